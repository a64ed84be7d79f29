"""What CloudWatch answers about an alarm, read into facts; nothing here calls anybody."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autorollback.decision import onset
from autorollback.decision.facts import Alarm, AlarmPeriod, Datapoint
from autorollback.decision.lineage import SAME_MOMENT
from autorollback.requests import AlarmChanged, parse_object, parse_time

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef

Answer = Mapping[str, Any]
"""One alarm of whichever kind as DescribeAlarms tells it, or a JSON object inside."""

_STRANGE_DATA = (ValueError, KeyError, TypeError, AttributeError)
_TRACES = (
    "StateTransitionedTimestamp",
    "StateUpdatedTimestamp",
    "AlarmConfigurationUpdatedTimestamp",
)

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

    A composite alarm has no datapoints of its own: those of its children in ALARM tell its onset.
    `others` are the alarms that were described with it, by their names.
    """
    in_alarm = described.get("StateValue") == "ALARM"
    changed_at = _changed_at(described)
    children = _children_in_alarm(described)

    described_children = [others[child.name] for child in children if child.name in others]
    sources = described_children or [described]

    points: list[Datapoint] = []
    for source in sources:
        points += _datapoints(source)
    timing = _timing(sources[0])

    by_datapoint = None
    began = None
    if in_alarm:
        by_datapoint = onset.first_lasting_breach(points)
        began = by_datapoint or _earliest_onset(changed_at, children, timing)

    return Alarm(
        name=str(described["AlarmName"]),
        signal=signal,
        in_alarm=in_alarm,
        since=changed_at,
        onset=began,
        period=timing.period,
        evaluation_range=timing.evaluation_range,
        last_breach=onset.last_breach(points),
        first_trace=_first_trace(described),
        onset_is_datapoint=by_datapoint is not None,
    )


def as_it_fired(described: Answer, event: AlarmChanged) -> Answer:
    """The alarm with the reason of the event, unless its state has changed again since."""
    if not event.reason_data:
        return described

    changed_at: datetime = described.get("StateTransitionedTimestamp", event.at)
    changed_again = changed_at > event.at + SAME_MOMENT
    if changed_again and described.get("StateReasonData"):
        return described
    return {**described, "StateReasonData": event.reason_data}


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
    """The earliest that the trouble can have begun, where no datapoint tells it."""
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

    seconds = max(_periods(described), default=60)
    period = timedelta(seconds=seconds)
    evaluation_periods: int = described.get("EvaluationPeriods", 5)
    return _Timing(period, period * evaluation_periods)


def _periods(described: Answer) -> list[int]:
    """The periods of an alarm's metric, or of each of its metric queries, in seconds."""
    periods = [described.get("Period")]
    for query in described.get("Metrics", []):
        metric = query.get("MetricStat", {})
        periods.append(query.get("Period"))
        periods.append(metric.get("Period"))
    return [period for period in periods if period]


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
    """The evaluated datapoints of an alarm, where its reason holds any that can be read."""
    reason = _reason_of(described)
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
