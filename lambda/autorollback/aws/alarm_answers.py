"""What CloudWatch answers about an alarm, read into facts; nothing here calls anybody."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from autorollback.aws.alarm_tree import Answer, is_composite, periods_of, tree_under
from autorollback.decision import onset
from autorollback.decision.facts import Alarm, AlarmPeriod, AlarmSource, Datapoint, Untold
from autorollback.decision.lineage import SAME_MOMENT
from autorollback.naming import OWN_SIGNAL_PREFIX
from autorollback.requests import AlarmChanged, parse_object, parse_time

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef

_STRANGE_DATA = (ValueError, KeyError, TypeError, AttributeError)
_TRACES = (
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "AlarmConfigurationUpdatedTimestamp",
)

_EVENTS_REASON = "ReasonDataOfEvent"
"""Where the event's reason stands beside what DescribeAlarms tells."""

_RANGE_OF_UNKNOWN = timedelta(minutes=5)
"""How far an alarm is thought to look back, of which nothing is known."""

SOURCES_KEPT = 10
"""Red metric alarms under a composite that are kept, the earliest trouble first."""

DATAPOINTS_KEPT = 100
"""Of each of them, from the first breaching one on."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_RATE = re.compile(r"rate\((?P<count>\d+) (?P<unit>minute|hour|day)s?\)")
_RATE_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_MISSING_BREACHES = {"breaching": True, "notBreaching": False}


@dataclass(frozen=True, slots=True)
class _Child:
    """An alarm that a composite alarm watches."""

    name: str
    state: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class _Timing:
    """The period of one datapoint, and the evaluation range."""

    period: timedelta
    evaluation_range: timedelta


@dataclass(frozen=True, slots=True)
class _Measured:
    """The value of one datapoint, where it was not missing."""

    at: datetime
    value: float | None


@dataclass(frozen=True, slots=True)
class _StateChange:
    """A change of an alarm's state, as its history tells it."""

    at: datetime
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class StateChanges:
    """What DescribeAlarmHistory told of an alarm since a moment."""

    since: datetime
    items: tuple["AlarmHistoryItemTypeDef", ...]

    def told_to(self, alarm: Alarm) -> Alarm:
        """The alarm with its times in ALARM since that moment."""
        traces = [item["Timestamp"] for item in self.items]
        if alarm.first_trace:
            traces.append(alarm.first_trace)

        return replace(
            alarm,
            spells=_spells(_state_changes(self.items), alarm),
            history_from=self.since,
            first_trace=min(traces, default=None),
        )


def read_alarm(
    described: Answer,
    signal: str,
    others: Mapping[str, Answer],
) -> Alarm:
    """The facts of one alarm.

    A composite alarm has no datapoints of its own: the metric alarms under it that are red tell its
    onset, however deep they are. `others` are the alarms that were described with it, by their
    names. The alarm around a user's own is named by it.
    """
    name = str(described["AlarmName"])
    root = name
    if signal.startswith(OWN_SIGNAL_PREFIX) and not periods_of(described):
        root = signal.removeprefix(OWN_SIGNAL_PREFIX)
    known = {name: described, **others}
    tree = tree_under(root, known)
    members = [known[member] for member in tree.members if member in known]

    changed_at = _changed_at(described)
    in_alarm = described.get("StateValue") == "ALARM"
    sources = _sources(members) if in_alarm else ()
    timing = _longest(members)

    began: datetime | None = None
    untold = tree.untold
    if sources:
        began = began_at(sources[0])
    elif in_alarm:
        began = _earliest_onset(changed_at, _children_in_alarm(described), timing)
        untold = untold or Untold.NOTHING_RED

    return Alarm(
        name=name,
        signal=signal,
        in_alarm=in_alarm,
        since=changed_at,
        onset=began,
        period=timing.period,
        evaluation_range=timing.evaluation_range,
        last_breach=_last_breach(sources),
        first_trace=_first_trace(described),
        onset_is_datapoint=bool(sources) and bool(onset.breaches(sources[0].datapoints)),
        sources=sources,
        untold=untold,
    )


def as_it_fired(described: Answer, event: AlarmChanged) -> Answer:
    """The alarm with the event's reason beside its own.

    Only where the event speaks of its present state. What CloudWatch answers now stands beside what
    the event says, and nothing that an event alone says can make trouble begin later.
    """
    changed_at: datetime | None = _changed_at(described)
    if not event.reason_data or changed_at is None:
        return described
    if abs(event.at - changed_at) > SAME_MOMENT:
        return described
    return {**described, _EVENTS_REASON: event.reason_data}


def began_at(source: AlarmSource) -> datetime | None:
    """When the trouble of a metric alarm began.

    Its datapoints tell it; else it is the earliest that can be.
    """
    by_datapoint = onset.first_lasting_breach(source.datapoints)
    if by_datapoint is not None or source.since is None:
        return by_datapoint
    return onset.fallback(source.since, source.evaluation_range)


def _sources(described: Sequence[Answer]) -> tuple[AlarmSource, ...]:
    """The metric alarms that are red, the earliest trouble first, as many as are kept."""
    found: list[AlarmSource] = []
    for one in described:
        if one.get("StateValue") == "ALARM" and periods_of(one):
            found.append(_source(one))
    found.sort(key=lambda source: (began_at(source) or _LONG_AGO, source.name))
    return tuple(found[:SOURCES_KEPT])


def _source(described: Answer) -> AlarmSource:
    timing = _timing(described)
    since = _changed_at(described)
    points = _kept(_datapoints(described))
    breaches = onset.breaches(points)
    evaluated_later = bool(breaches) and since is not None and breaches[0] >= since
    ignores = "ignore" in (
        described.get("TreatMissingData"),
        described.get("EvaluateLowSampleCountPercentile"),
    )
    return AlarmSource(
        name=str(described["AlarmName"]),
        since=since,
        period=timing.period,
        evaluation_range=timing.evaluation_range,
        datapoints=() if evaluated_later else points,
        keeps_state=ignores,
    )


def _kept(points: Sequence[Datapoint]) -> tuple[Datapoint, ...]:
    """The datapoints that tell when trouble began, oldest first: not the calm before it, nor all that followed."""
    ordered = sorted(points, key=lambda point: point.start)
    first = next((i for i, point in enumerate(ordered) if point.breaching), 0)
    begin = max(first - 1, 0)
    return tuple(ordered[begin : begin + DATAPOINTS_KEPT])


def _last_breach(sources: Sequence[AlarmSource]) -> datetime | None:
    found = [onset.last_breach(source.datapoints) for source in sources]
    return max((moment for moment in found if moment), default=None)


def _longest(described: Sequence[Answer]) -> _Timing:
    """The longest period and evaluation range of some alarms; the usual ones where none is told."""
    timings = [_timing(one) for one in described if not is_composite(one)]
    if not timings:
        return _Timing(timedelta(minutes=1), _RANGE_OF_UNKNOWN)
    return _Timing(
        max(timing.period for timing in timings),
        max(timing.evaluation_range for timing in timings),
    )


def _changed_at(described: Answer) -> datetime | None:
    """When its state changed, or was last updated where it never changed."""
    updated_at: datetime | None = described.get("StateUpdatedTimestamp")
    changed_at: datetime | None = described.get("StateTransitionedTimestamp")
    return changed_at or updated_at


def _first_trace(described: Answer) -> datetime | None:
    """The oldest sign that the alarm existed."""
    times: list[datetime] = [described[key] for key in _TRACES if key in described]
    return min(times, default=None)


def _earliest_onset(
    changed_at: datetime | None,
    children: Sequence[_Child],
    timing: _Timing,
) -> datetime | None:
    """About when the trouble began, where no metric alarm tells it.

    The changes of the alarms that a composite names as its cause are nearest to it.
    """
    if changed_at is None:
        return None
    changes = [child.changed_at for child in children]
    first_change = min(changes, default=changed_at)
    return onset.fallback(first_change, timing.evaluation_range)


def _children_in_alarm(described: Answer) -> list[_Child]:
    """The alarms in ALARM that a composite names in `triggeringAlarms`."""
    triggering = _reason_of(described).get("triggeringAlarms", [])
    try:
        children = [_read_child(told) for told in triggering]
    except _STRANGE_DATA:
        return []
    return [child for child in children if child.state == "ALARM"]


def _read_child(told: Answer) -> _Child:
    state = told["state"]
    return _Child(
        name=str(told["arn"]).partition(":alarm:")[2],
        state=str(state["value"]),
        changed_at=parse_time(state["timestamp"]),
    )


def _timing(described: Answer) -> _Timing:
    if "QueryResultsToEvaluate" in described:
        return _timing_of_log_alarm(described)

    seconds = max(periods_of(described), default=60)
    period = timedelta(seconds=seconds)
    evaluation_periods: int = described.get("EvaluationPeriods", 5)
    return _Timing(period, period * evaluation_periods)


def _timing_of_log_alarm(described: Answer) -> _Timing:
    """The timing of an alarm that has query results instead of datapoints.

    Each looks back StartTimeOffset seconds from its run (LogAlarm and ScheduleConfiguration,
    botocore cloudwatch/2010-08-01).
    """
    query = described.get("ScheduledQueryConfiguration", {})
    schedule = query.get("ScheduleConfiguration", {})
    every = _every(str(schedule.get("ScheduleExpression")))
    offset = timedelta(seconds=schedule.get("StartTimeOffset", 0))
    looks_back = max(every, offset)

    results_before_the_last: int = described["QueryResultsToEvaluate"] - 1
    return _Timing(every, every * results_before_the_last + looks_back)


def _every(rate: str) -> timedelta:
    """How often a scheduled query runs, by its `rate(5 minutes)`.

    A day, which convicts nobody, where that cannot be told.
    """
    found = _RATE.fullmatch(rate)
    if not found:
        return timedelta(days=1)
    return int(found["count"]) * _RATE_UNITS[found["unit"]]


def _datapoints(described: Answer) -> list[Datapoint]:
    """The evaluated datapoints of an alarm, where a reason holds any that can be read.

    Of two reasons that tell the same one, it breaches where either says so.
    """
    breaching: dict[datetime, bool | None] = {}
    for reason in (_reason_of(described), parse_object(described.get(_EVENTS_REASON))):
        for point in _datapoints_of(reason, described):
            breaching[point.start] = point.breaching or breaching.get(point.start, point.breaching)
    return [Datapoint(start, breaches) for start, breaches in breaching.items()]


def _datapoints_of(reason: Answer, described: Answer) -> list[Datapoint]:
    try:
        points = []
        for index, measured in enumerate(_measured(reason)):
            breaching = _breaches(
                measured.value,
                index,
                reason,
                described,
            )
            points.append(Datapoint(measured.at, breaching))
    except _STRANGE_DATA:
        return []
    return points


def _measured(reason: Answer) -> list[_Measured]:
    """The values that were evaluated, oldest first.

    `evaluatedDatapoints` carries a time each, and no value where it was missing; the older form has
    `startDate`, `period` and `recentDatapoints`, oldest first.
    """
    evaluated = reason.get("evaluatedDatapoints")
    if evaluated:
        found = [_Measured(parse_time(told["timestamp"]), told.get("value")) for told in evaluated]
        return sorted(found, key=lambda measured: measured.at)

    start = parse_time(reason["startDate"])
    period = timedelta(seconds=reason["period"])
    values = enumerate(reason["recentDatapoints"])
    return [_Measured(start + index * period, value) for index, value in values]


def _breaches(
    value: float | None,
    index: int,
    reason: Answer,
    described: Answer,
) -> bool | None:
    """Whether a datapoint breaches; None where it is missing and that says nothing."""
    if value is None:
        treated = str(described.get("TreatMissingData"))
        return _MISSING_BREACHES.get(treated)

    comparison = str(described.get("ComparisonOperator"))
    if reason.get("recentLowerThresholds") or reason.get("recentUpperThresholds"):
        return _leaves_band(
            value,
            index,
            reason,
            comparison,
        )

    compare = _COMPARISONS[comparison]
    threshold = float(reason["threshold"])
    return compare(value, threshold)


def _leaves_band(
    value: float,
    index: int,
    reason: Answer,
    comparison: str,
) -> bool:
    """Whether a value leaves its anomaly band, on a side that the alarm looks at."""
    lows = reason.get("recentLowerThresholds") or []
    highs = reason.get("recentUpperThresholds") or []
    below = bool(lows) and value < _threshold_at(index, lows)
    above = bool(highs) and value > _threshold_at(index, highs)

    match comparison:
        case "LessThanLowerThreshold":
            return below
        case "GreaterThanUpperThreshold":
            return above
        case _:
            return below or above


def _threshold_at(index: int, thresholds: Sequence[float]) -> float:
    """An anomaly band's threshold for one datapoint; the last serves those that have none."""
    last = len(thresholds) - 1
    return thresholds[min(index, last)]


def _state_changes(items: Sequence["AlarmHistoryItemTypeDef"]) -> list[_StateChange]:
    changes = []
    for item in sorted(items, key=lambda item: item["Timestamp"]):
        data = parse_object(item.get("HistoryData"))
        old = _state_value(data, "oldState")
        new = _state_value(data, "newState")
        changes.append(_StateChange(item["Timestamp"], old, new))
    return changes


def _state_value(data: Answer, key: str) -> str:
    state = data.get(key) or {}
    return str(state.get("stateValue"))


def _spells(changes: Sequence[_StateChange], alarm: Alarm) -> tuple[AlarmPeriod, ...]:
    """The times in ALARM that the changes tell, oldest first."""
    began: datetime | None = None
    if changes:
        began = _in_alarm_before(changes[0])
    elif alarm.in_alarm:
        began = alarm.since

    spells: list[AlarmPeriod] = []
    for change in changes:
        if change.new == "ALARM":
            began = began or change.at
        elif began is not None:
            spells.append(AlarmPeriod(began, change.at))
            began = None

    if began is not None:
        spells.append(AlarmPeriod(began))
    return tuple(spells)


def _in_alarm_before(first: _StateChange) -> datetime | None:
    """The beginning of all times, where the oldest known change left ALARM."""
    left_alarm = first.old == "ALARM" and first.new != "ALARM"
    if not left_alarm:
        return None
    return datetime.min.replace(tzinfo=first.at.tzinfo)


def _reason_of(described: Answer) -> Answer:
    return parse_object(described.get("StateReasonData"))
