"""When did the trouble that an alarm speaks of begin?"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from autorollback.decision.model import Datapoint


def first_lasting_breach(datapoints: Sequence[Datapoint]) -> datetime | None:
    """Start of the first breaching datapoint that does not stand alone between calm ones; if all do, of the first.

    One stray datapoint before a deployment must not acquit it. A missing neighbour is not a calm one. None without any.
    """
    ordered = sorted(datapoints, key=lambda point: point.start)
    breaching = [i for i, point in enumerate(ordered) if point.breaching]
    lasting = (i for i in breaching if not (_calm(ordered, i - 1) and _calm(ordered, i + 1)))
    first = next(lasting, breaching[0] if breaching else None)
    return None if first is None else ordered[first].start


def last_breach(datapoints: Sequence[Datapoint]) -> datetime | None:
    """Start of the newest breaching datapoint."""
    return max((point.start for point in datapoints if point.breaching), default=None)


def fallback(changed_at: datetime, evaluation_range: timedelta) -> datetime:
    """The earliest that the trouble can have begun where no datapoint is given: the state change minus the evaluation range."""
    return changed_at - evaluation_range


def _calm(points: Sequence[Datapoint], index: int) -> bool:
    return not 0 <= index < len(points) or points[index].breaching is False
