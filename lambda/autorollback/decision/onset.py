"""When did the trouble that an alarm speaks of begin?"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from autorollback.decision.facts import Datapoint


def first_lasting_breach(datapoints: Sequence[Datapoint]) -> datetime | None:
    """Start of the first breaching datapoint that does not stand alone between calm ones.

    If all stand alone, the first counts. A missing neighbour is not a calm one. None where nothing
    breaches.
    """
    lasting = lasting_breach(datapoints)
    if lasting is not None:
        return lasting
    return min(breaches(datapoints), default=None)


def lasting_breach(datapoints: Sequence[Datapoint]) -> datetime | None:
    """Start of the first breaching datapoint that does not stand alone; None without one."""
    ordered = sorted(datapoints, key=lambda point: point.start)
    for index, point in enumerate(ordered):
        if point.breaching and not _stands_alone(ordered, index):
            return point.start
    return None


def breaches(datapoints: Sequence[Datapoint]) -> list[datetime]:
    """The starts of the breaching datapoints, oldest first."""
    return sorted(point.start for point in datapoints if point.breaching)


def last_breach(datapoints: Sequence[Datapoint]) -> datetime | None:
    """Start of the newest breaching datapoint."""
    return max(breaches(datapoints), default=None)


def fallback(changed_at: datetime, evaluation_range: timedelta) -> datetime:
    """The earliest that the trouble can have begun where no datapoint is given.

    It is the state change minus the evaluation range.
    """
    return changed_at - evaluation_range


def _stands_alone(ordered: list[Datapoint], index: int) -> bool:
    """Whether both neighbours of a datapoint are calm; beyond the ends all is."""
    before = ordered[:index][-1:]
    after = ordered[index + 1 :][:1]
    return all(point.breaching is False for point in (*before, *after))
