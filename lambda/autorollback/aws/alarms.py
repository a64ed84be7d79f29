"""Alarms as they are now, their history, and the onset that their datapoints give."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autorollback.decision import onset
from autorollback.decision.blame import CLOCK_SKEW
from autorollback.decision.model import Alarm, AlarmPeriod, Datapoint
from autorollback.naming import OWN_SIGNAL_PREFIX, SIGNALS, AlarmKey, Names
from autorollback.policy import ServicePolicy
from autorollback.requests import AlarmChanged, parse_time

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import AlarmTypeType
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef

    from autorollback.aws.clients import Clients

_STRANGE_DATA = (ValueError, KeyError, TypeError, AttributeError)
_RATE = re.compile(r"rate\((?P<count>\d+) (?P<unit>minute|hour|day)s?\)")


@dataclass(frozen=True, slots=True)
class RedAlarm:
    """An alarm of this controller that is in ALARM, of whichever service."""

    key: AlarmKey
    name: str
    onset: datetime


@dataclass(frozen=True, slots=True)
class Alarms:
    """Reads alarms: DescribeAlarms by exact names or by prefix and state, never polling."""

    clients: "Clients"
    names: Names

    def of(self, policy: ServicePolicy, event: AlarmChanged | None = None) -> tuple[Alarm, ...]:
        """The service's own alarms that exist. The children of composites are read with them, for the onset.

        The event that fired tells the onset of its alarm, unless the alarm has changed its state again since.

        DescribeAlarms takes at most 100 names, and hides composite and log alarms unless AlarmTypes asks for them
        (botocore cloudwatch/2010-08-01). Only a user's own alarm may be a log alarm.
        """
        kinds: list[AlarmTypeType] = ["MetricAlarm", "CompositeAlarm"]
        kinds += ["LogAlarm"] if policy.alarms else []
        signals = (*SIGNALS, *(f"{OWN_SIGNAL_PREFIX}{alarm}" for alarm in policy.alarms))
        ours = {self.names.alarm(policy.key, signal): signal for signal in signals}
        wanted = [*ours, *policy.alarms]
        described: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(wanted), 100):
            answer = self.clients.cloudwatch.describe_alarms(
                AlarmNames=wanted[start : start + 100], AlarmTypes=kinds, MaxRecords=100
            )
            found = (*answer["MetricAlarms"], *answer["CompositeAlarms"], *answer.get("LogAlarms", []))
            described |= {str(a["AlarmName"]): a for a in found}
        if event and event.alarm in described:
            described[event.alarm] = _as_it_fired(described[event.alarm], event)
        return tuple(_alarm(described[name], signal, described) for name, signal in ours.items() if name in described)

    def red(self, cloudwatch: "CloudWatchClient | None" = None) -> tuple[RedAlarm, ...]:
        """One page of this controller's alarms that are in ALARM: at most 100. Another client may be named."""
        answer = (cloudwatch or self.clients.cloudwatch).describe_alarms(
            AlarmNamePrefix=self.names.alarm_prefix,
            StateValue="ALARM",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=100,
        )
        found = []
        for described in (*answer["MetricAlarms"], *answer["CompositeAlarms"]):
            name = str(described.get("AlarmName"))
            key = self.names.parse_alarm(name)
            alarm = _alarm(described, key.signal, {}) if key else None
            if key and alarm and alarm.onset:
                found.append(RedAlarm(key, name, alarm.onset))
        return tuple(found)

    def with_history(self, alarm: Alarm, since: datetime) -> Alarm:
        """The alarm with its times in ALARM since a moment."""
        return self.history(alarm.name, since).told_to(alarm)

    def history(self, name: str, since: datetime) -> "StateChanges":
        """An alarm's changes of state since a moment, from DescribeAlarmHistory (kept 30 days, 100 items a page)."""
        pages = self.clients.cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmName=name,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            StartDate=since,
            ScanBy="TimestampDescending",
            PaginationConfig={"PageSize": 100},
        )
        return StateChanges(since, tuple(item for page in pages for item in page["AlarmHistoryItems"]))


@dataclass(frozen=True, slots=True)
class StateChanges:
    """What DescribeAlarmHistory told of an alarm since a moment."""

    since: datetime
    items: tuple["AlarmHistoryItemTypeDef", ...]

    def told_to(self, alarm: Alarm) -> Alarm:
        """The alarm with its times in ALARM since that moment."""
        traces = [*(i["Timestamp"] for i in self.items), *([alarm.first_trace] if alarm.first_trace else [])]
        return replace(
            alarm, spells=_spells(self.items, alarm), history_from=self.since, first_trace=min(traces, default=None)
        )


def _alarm(described: Mapping[str, Any], signal: str, others: Mapping[str, Mapping[str, Any]]) -> Alarm:
    in_alarm = described.get("StateValue") == "ALARM"
    since = described.get("StateTransitionedTimestamp") or described.get("StateUpdatedTimestamp")
    data = _object(described.get("StateReasonData"))
    children = [c for name, state, _ in _children(data) if state == "ALARM" and (c := others.get(name))]
    source = children[0] if children else described
    period, evaluation_range = _timing(source)
    points = [p for d in (children or [described]) for p in datapoints(_object(d.get("StateReasonData")), d)]
    started = told = onset.first_lasting_breach(points) if in_alarm else None
    if in_alarm and started is None and since:
        changes = [at for _, state, at in _children(data) if state == "ALARM"] or [since]
        started = onset.fallback(min(changes), evaluation_range)
    traces = [
        t
        for key in ("StateTransitionedTimestamp", "StateUpdatedTimestamp", "AlarmConfigurationUpdatedTimestamp")
        if (t := described.get(key))
    ]
    return Alarm(
        str(described["AlarmName"]),
        signal,
        in_alarm,
        since,
        started,
        period,
        evaluation_range,
        onset.last_breach(points),
        first_trace=min(traces, default=None),
        onset_is_datapoint=told is not None,
    )


def _as_it_fired(described: Mapping[str, Any], event: AlarmChanged) -> Mapping[str, Any]:
    since = described.get("StateTransitionedTimestamp")
    changed_again = since is not None and since > event.at + CLOCK_SKEW
    if not event.reason_data or (changed_again and described.get("StateReasonData")):
        return described
    return {**described, "StateReasonData": event.reason_data}


def _timing(described: Mapping[str, Any]) -> tuple[timedelta, timedelta]:
    """The period of one datapoint, and the evaluation range.

    A log alarm has query results instead of datapoints: each looks back StartTimeOffset seconds from its run
    (LogAlarm and ScheduleConfiguration, botocore cloudwatch/2010-08-01).
    """
    if results := described.get("QueryResultsToEvaluate"):
        schedule = (described.get("ScheduledQueryConfiguration") or {}).get("ScheduleConfiguration") or {}
        every = _every(str(schedule.get("ScheduleExpression")))
        looks_back = max(every, timedelta(seconds=int(schedule.get("StartTimeOffset") or 0)))
        return every, every * (int(results) - 1) + looks_back
    periods = [described.get("Period")] + [
        query.get("Period") or (query.get("MetricStat") or {}).get("Period") for query in described.get("Metrics") or []
    ]
    period = timedelta(seconds=max((int(p) for p in periods if p), default=60))
    return period, period * int(described.get("EvaluationPeriods") or 5)


def _every(rate: str) -> timedelta:
    """How often a scheduled query runs: `rate(5 minutes)`. A day, which convicts nobody, where that cannot be told."""
    if found := _RATE.fullmatch(rate):
        return int(found["count"]) * timedelta(**{f"{found['unit']}s": 1})
    return timedelta(days=1)


def datapoints(reason_data: Mapping[str, Any], described: Mapping[str, Any]) -> list[Datapoint]:
    """The evaluated datapoints of an alarm, each breaching or not; empty where the reason data holds none that can be read.

    `evaluatedDatapoints` carries a time each, and no value where it was missing; the older form has `startDate`, `period`
    and `recentDatapoints`, oldest first. Anomaly bands bring their thresholds along, one for each datapoint.
    """
    try:
        if evaluated := reason_data.get("evaluatedDatapoints"):
            values = [(parse_time(point["timestamp"]), point.get("value")) for point in evaluated]
            values.sort(key=lambda v: v[0])
        else:
            start, period = parse_time(reason_data["startDate"]), timedelta(seconds=reason_data["period"])
            values = [(start + i * period, value) for i, value in enumerate(reason_data["recentDatapoints"])]
        return [Datapoint(at, _breaches(value, i, reason_data, described)) for i, (at, value) in enumerate(values)]
    except _STRANGE_DATA:
        return []


def _breaches(value: float | None, index: int, data: Mapping[str, Any], described: Mapping[str, Any]) -> bool | None:
    if value is None:
        return {"breaching": True, "notBreaching": False}.get(str(described.get("TreatMissingData")))
    low, high = data.get("recentLowerThresholds") or [], data.get("recentUpperThresholds") or []
    operator = described.get("ComparisonOperator")
    if low or high:
        below = bool(low) and value < low[min(index, len(low) - 1)]
        above = bool(high) and value > high[min(index, len(high) - 1)]
        return {"LessThanLowerThreshold": below, "GreaterThanUpperThreshold": above}.get(str(operator), below or above)
    threshold = float(data["threshold"])
    return {
        "GreaterThanThreshold": value > threshold,
        "GreaterThanOrEqualToThreshold": value >= threshold,
        "LessThanThreshold": value < threshold,
        "LessThanOrEqualToThreshold": value <= threshold,
    }[str(operator)]


def _children(reason_data: Mapping[str, Any]) -> list[tuple[str, str, datetime]]:
    """The alarms that a composite names in `triggeringAlarms`: name, state and the time of its change."""
    try:
        return [
            (
                str(child["arn"]).partition(":alarm:")[2],
                str(child["state"]["value"]),
                parse_time(child["state"]["timestamp"]),
            )
            for child in reason_data.get("triggeringAlarms") or []
        ]
    except _STRANGE_DATA:
        return []


def _spells(items: Sequence["AlarmHistoryItemTypeDef"], alarm: Alarm) -> tuple[AlarmPeriod, ...]:
    changes: list[tuple[datetime, str, str]] = []
    for item in sorted(items, key=lambda i: i["Timestamp"]):
        data = _object(item.get("HistoryData"))
        old, new = (str((data.get(key) or {}).get("stateValue")) for key in ("oldState", "newState"))
        changes.append((item["Timestamp"], old, new))
    spells: list[AlarmPeriod] = []
    since: datetime | None = None
    for index, (at, old, new) in enumerate(changes):
        if index == 0 and old == "ALARM" and new != "ALARM":
            spells.append(AlarmPeriod(datetime.min.replace(tzinfo=at.tzinfo), at))
        if new == "ALARM" and since is None:
            since = at
        elif new != "ALARM" and since is not None:
            spells.append(AlarmPeriod(since, at))
            since = None
    if since is not None:
        spells.append(AlarmPeriod(since))
    elif alarm.in_alarm and alarm.since and not changes:
        spells.append(AlarmPeriod(alarm.since))
    return tuple(spells)


def _object(text: object) -> Mapping[str, Any]:
    try:
        parsed = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return parsed if isinstance(parsed, Mapping) else {}
