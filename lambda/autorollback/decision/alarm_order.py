"""Did an alarm's trouble begin before a deployment, or after it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from autorollback.decision import onset
from autorollback.decision.facts import (
    Alarm,
    AlarmPeriod,
    AlarmSource,
    Datapoint,
    Deployment,
    Facts,
    Untold,
)
from autorollback.decision.formatting import clock, span
from autorollback.decision.lineage import CLOCK_SKEW

COARSEST = timedelta(minutes=5)
"""A datapoint that stands for longer, and straddles a deployment's start, tells no order."""

FETCHED_BESIDE = 2
"""Datapoints that CloudWatch fetches beyond the evaluation periods, where some are missing (alarms-and-missing-data.html)."""


class Order(Enum):
    """How an alarm's trouble stands to a deployment's start.

    STRADDLES: all that is known to breach straddles the start, which neither convicts nor acquits.
    UNTOLD: it cannot be told.
    """

    BEFORE = auto()
    UNTOLD = auto()
    AFTER = auto()
    STRADDLES = auto()


@dataclass(frozen=True, slots=True)
class Timing:
    """How an alarm's trouble stands to a deployment's start, and on what grounds.

    Attributes:
        onset: the datapoint, or the moment, that says so.
        grain: how finely that is known.
        by_datapoint: a datapoint says so; else it is the earliest that can be.
        straddled: a datapoint that straddles the start breached before it.
        lasted: no datapoint is told, but the alarm has been red for so long that one must have followed.
        untold: why it cannot be told.
    """

    order: Order
    onset: datetime
    grain: timedelta
    by_datapoint: bool = True
    straddled: bool = False
    lasted: bool = False
    untold: Untold | None = None


def trouble_began(facts: Facts) -> datetime:
    """The onset that the trigger speaks of; of an ECS event, its time."""
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm and alarm.onset:
        return alarm.onset
    return facts.trigger.at


def timing(
    alarm: Alarm,
    deployment: Deployment,
    now: datetime,
) -> Timing | None:
    """How an alarm's trouble stands to the moment from which a deployment may have served.

    None where the alarm tells no time at all. Of the metric alarms under a composite the earliest counts.
    """
    return _against(alarm, deployment.may_serve_from, now)


def _against(
    alarm: Alarm,
    start: datetime | None,
    now: datetime,
) -> Timing | None:
    """How an alarm's trouble stands to a moment; before one that is not known yet."""
    if alarm.onset is None or alarm.since is None:
        return None
    if start is None or was_red(alarm, start):
        return Timing(Order.BEFORE, min(alarm.onset, alarm.since), alarm.grain)
    if alarm.untold:
        return _untold(alarm, alarm.onset, alarm.untold)
    if not alarm.sources and not alarm.onset_is_datapoint:
        return _from(alarm.onset, alarm.evaluation_range, start)
    told = _earliest_told(alarm, start, now)
    return told or _untold(alarm, alarm.onset, Untold.NOTHING_RED)


def _earliest_told(
    alarm: Alarm,
    start: datetime,
    now: datetime,
) -> Timing | None:
    """What the red metric alarms under an alarm tell; None where none tells anything."""
    found: list[Timing] = []
    for source in alarm.sources or (_source_itself(alarm),):
        told = _timing_of(source, start, now)
        if told is not None:
            found.append(told)
    return min(found, key=lambda told: (told.order.value, told.onset), default=None)


def predates(alarm: Alarm, deployment: Deployment) -> bool:
    """Whether the trouble was there before a deployment began to serve.

    Also where that cannot be told.
    """
    start = deployment.may_serve_from
    return start is None or began_before(alarm, start)


def began_before(alarm: Alarm, start: datetime) -> bool:
    """Whether the trouble was there before a moment; also where that cannot be told."""
    told = _against(alarm, start, start)
    return told is None or told.order in (Order.BEFORE, Order.UNTOLD)


def was_red(alarm: Alarm, moment: datetime) -> bool:
    """Whether an alarm was in ALARM at a moment.

    It may have been calm since, and have come again.
    """
    periods = list(alarm.spells or ())
    if alarm.in_alarm and alarm.since:
        periods.append(AlarmPeriod(alarm.since))
    return any(_covers(period, moment) for period in periods)


# --- one metric alarm -----------------------------------------------------------------------------


def _source_itself(alarm: Alarm) -> AlarmSource:
    """An alarm of which only the onset is known, as the source of its own trouble."""
    points: list[Datapoint] = []
    if alarm.onset:
        points.append(Datapoint(alarm.onset, breaching=True))
    if alarm.onset and alarm.last_breach and alarm.last_breach > alarm.onset:
        points.append(Datapoint(alarm.last_breach, breaching=True))
    return AlarmSource(
        alarm.name,
        alarm.since,
        alarm.period,
        alarm.evaluation_range,
        tuple(points),
    )


def _timing_of(
    source: AlarmSource,
    start: datetime,
    now: datetime,
) -> Timing | None:
    """How one metric alarm stands to a moment; None where it tells no time at all."""
    breaches = onset.breaches(source.datapoints)
    if not breaches:
        return _without_datapoints(source, start)
    if source.since and source.since <= start:
        return Timing(Order.BEFORE, breaches[0], source.period)

    began = _began(source, breaches, start)
    if began >= start:
        return Timing(Order.AFTER, began, source.period)
    if began + source.period <= start:
        return Timing(Order.BEFORE, began, source.period)
    if source.period > COARSEST:
        return Timing(
            Order.UNTOLD,
            began,
            source.period,
            untold=Untold.COARSE,
        )
    return _straddling(source, breaches, began, start, now)


def _began(
    source: AlarmSource,
    breaches: Sequence[datetime],
    start: datetime,
) -> datetime:
    """The datapoint with which the trouble began.

    A single stray one before a deployment does not acquit it where others breached since. If all
    stand alone and several came before, the first counts.
    """
    lasting = onset.lasting_breach(source.datapoints)
    if lasting is not None:
        return lasting
    before = [moment for moment in breaches if moment + source.period <= start]
    if len(before) == 1 and len(breaches) > 1:
        return breaches[1]
    return breaches[0]


def _straddling(
    source: AlarmSource,
    breaches: Sequence[datetime],
    began: datetime,
    start: datetime,
    now: datetime,
) -> Timing:
    """The trouble began with a datapoint that straddles the start: the first one wholly after it is judged."""
    for moment in breaches:
        if moment >= start:
            return Timing(
                Order.AFTER,
                moment,
                source.period,
                straddled=True,
            )

    ended = began + source.period
    evaluated_since = source.evaluation_range + FETCHED_BESIDE * source.period
    if not source.keeps_state and now >= ended + evaluated_since + CLOCK_SKEW:
        return Timing(
            Order.AFTER,
            ended,
            source.period,
            lasted=True,
        )
    return Timing(Order.STRADDLES, began, source.period)


def _without_datapoints(source: AlarmSource, start: datetime) -> Timing | None:
    if source.since is None:
        return None
    earliest = onset.fallback(source.since, source.evaluation_range)
    return _from(earliest, source.evaluation_range, start)


def _from(
    earliest: datetime,
    grain: timedelta,
    start: datetime,
) -> Timing:
    """The order where only the earliest moment is known at which the trouble can have begun."""
    order = Order.AFTER if earliest >= start else Order.BEFORE
    return Timing(
        order,
        earliest,
        grain,
        by_datapoint=False,
    )


def _untold(
    alarm: Alarm,
    began: datetime,
    why: Untold,
) -> Timing:
    return Timing(
        Order.UNTOLD,
        began,
        alarm.grain,
        untold=why,
    )


# --- in words -------------------------------------------------------------------------------------

_MINUTE = timedelta(minutes=1)

_WHY_UNTOLD: Mapping[Untold | None, str] = {
    Untold.UNREAD: "of the alarms under it not all are known: they changed, or are too many",
    Untold.NO_DATAPOINTS: "a log alarm, or one under it, has no datapoints",
    Untold.NOTHING_RED: "no metric alarm under it tells",
}


def after_words(
    alarm: Alarm,
    deployment: Deployment,
    told: Timing,
) -> str:
    """How long after a deployment an alarm's trouble began, no finer than that is known."""
    start = deployment.may_serve_from or deployment.start
    after = span(told.onset - start)
    what = "the shift of traffic" if deployment.traffic.strategy.shifts else "the deployment"
    if told.lasted:
        return f"{alarm.signal} has been red since the {_length(told)} of {what}"
    if told.straddled:
        return f"{alarm.signal} fired in the {_length(told)} of {what}"
    if told.by_datapoint and told.grain > _MINUTE:
        return f"{alarm.signal} breached within the {_length(told)} from {after} after {what}"
    return f"{alarm.signal} fired {after} after {what}"


def before_words(
    alarm: Alarm,
    deployment: Deployment,
    told: Timing | None,
) -> str:
    """Why an alarm says nothing against a deployment, no finer than that is known."""
    start = deployment.may_serve_from
    if told is None:
        return f"when {alarm.signal} began is not known"
    if start is None:
        return f"when traffic reached the deployment of {clock(deployment.start)} is not known yet"
    started = "the deployment started"
    if deployment.traffic.strategy.shifts:
        started = "traffic can have reached the deployment"
    if told.order is Order.STRADDLES:
        return f"{alarm.signal} breached within the {_length(told)} in which {started}"
    if told.order is Order.UNTOLD:
        return _untold_words(alarm, told, started)
    if alarm.since and alarm.since > start and was_red(alarm, start):
        then = f"when {started} at {clock(start)}, calmed and came again"
        return f"{alarm.signal} was in ALARM {then}"
    return _preceding_words(
        alarm,
        told,
        start,
        started,
    )


def _preceding_words(
    alarm: Alarm,
    told: Timing,
    start: datetime,
    started: str,
) -> str:
    before = f"{span(start - told.onset)} before {started}"
    if not told.by_datapoint:
        return f"{alarm.signal} may have begun up to {before}"
    if told.grain > _MINUTE:
        return f"{alarm.signal} breached within the {_length(told)} from {before}"
    return f"{alarm.signal} was in trouble {before}"


def _untold_words(
    alarm: Alarm,
    told: Timing,
    started: str,
) -> str:
    if told.untold is Untold.COARSE:
        within = f"within the {_length(told)} in which {started}"
        return f"{alarm.signal} breached {within}: which came first cannot be told"
    why = _WHY_UNTOLD[told.untold]
    return f"when {alarm.signal} began cannot be told: {why}"


def _length(told: Timing) -> str:
    """A grain as people say it: `minute`, `5 min`, `hour`."""
    if told.grain == _MINUTE:
        return "minute"
    if told.grain == timedelta(hours=1):
        return "hour"
    if told.grain == timedelta(days=1):
        return "day"
    return span(told.grain)


def _covers(period: AlarmPeriod, moment: datetime) -> bool:
    return period.since <= moment and (period.until is None or moment < period.until)
