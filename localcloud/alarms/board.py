"""All alarms of the cloud: their states, their histories, and what a change of state sets off."""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.sns.models import sns_backends

from localcloud.alarms import rules
from localcloud.alarms.expressions import ExpressionError, check
from localcloud.alarms.judgement import EXTRA_DATAPOINTS, OPERATORS, Judgement, Point, judge, timestamp
from localcloud.alarms.metrics import MetricStore, period_of
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

HISTORY_KEPT = timedelta(days=30)  # CloudWatch keeps an alarm's history for 30 days (DescribeAlarmHistory)
METRIC, COMPOSITE = "MetricAlarm", "CompositeAlarm"
STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")
_ACTIONS = {"OK": "OKActions", "ALARM": "AlarmActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}
_MODELLED = {
    METRIC: frozenset(
        [
            "AlarmName",
            "AlarmDescription",
            "ActionsEnabled",
            "OKActions",
            "AlarmActions",
            "InsufficientDataActions",
            "MetricName",
            "Namespace",
            "Statistic",
            "ExtendedStatistic",
            "Dimensions",
            "Period",
            "Unit",
            "EvaluationPeriods",
            "DatapointsToAlarm",
            "Threshold",
            "ComparisonOperator",
            "TreatMissingData",
            "EvaluateLowSampleCountPercentile",
            "Metrics",
            "Tags",
        ]
    ),
    COMPOSITE: frozenset(
        [
            "AlarmName",
            "AlarmDescription",
            "ActionsEnabled",
            "OKActions",
            "AlarmActions",
            "InsufficientDataActions",
            "AlarmRule",
            "Tags",
        ]
    ),
}


@dataclass
class Alarm:
    """One alarm: `definition` holds the parameters of the Put call that made it, the rest is its state."""

    name: str
    alarm_arn: str  # so named because moto's tagging looks for it
    kind: str
    definition: dict[str, Any]
    configured_at: datetime
    state: str = "INSUFFICIENT_DATA"
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str | None = None
    updated_at: datetime = field(init=False)
    transitioned_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.updated_at = self.transitioned_at = self.configured_at

    def described(self) -> dict[str, Any]:
        """As DescribeAlarms has it."""
        answer = {key: value for key, value in self.definition.items() if key != "Tags"} | {
            "AlarmArn": self.alarm_arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured_at,
            "StateValue": self.state,
            "StateReason": self.reason,
            "StateUpdatedTimestamp": self.updated_at,
            "StateTransitionedTimestamp": self.transitioned_at,
        }
        return answer | ({"StateReasonData": self.reason_data} if self.reason_data else {})


@dataclass(frozen=True)
class HistoryItem:
    """One entry of DescribeAlarmHistory; `kind` is the alarm's type, `item` the HistoryItemType."""

    name: str
    kind: str
    item: str
    at: datetime
    summary: str
    data: str


class Board:
    """The alarms of the cloud's account and region, judged minute by minute."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._backend: CloudWatchBackend = cloudwatch_backends[cloud.account][cloud.region]
        self._lock = threading.RLock()
        self.history: list[HistoryItem] = []
        self.metrics = MetricStore(self._backend)

    @property
    def alarms(self) -> dict[str, Alarm]:
        """By name; moto's own dictionary, so that its tagging finds them."""
        found: dict[str, Alarm] = self._backend.alarms
        return found

    def put(self, kind: str, definition: dict[str, Any]) -> Alarm:
        """Create or overwrite an alarm; one that existed keeps its state, as in AWS (PutMetricAlarm)."""
        if unknown := sorted(key for key in definition if key not in _MODELLED[kind]):
            raise NotModelled(f"cloudwatch Put{kind}: {', '.join(unknown)}")
        definition = _with_defaults(definition)
        self._check(kind, definition)
        name, now = definition["AlarmName"], self._cloud.clock.now()
        arn = f"arn:aws:cloudwatch:{self._cloud.region}:{self._cloud.account}:alarm:{name}"
        with self._lock:
            before = self.alarms.get(name)
            if before is not None and before.kind != kind:
                raise Refusal("ValidationError", f"An alarm of the other type has the name {name} already")
            if before is None:
                self.alarms[name] = Alarm(name, arn, kind, definition, now)
            else:
                before.definition, before.configured_at = definition, now
            alarm = self.alarms[name]
            if definition.get("Tags"):
                self._backend.tagger.tag_resource(arn, definition["Tags"])
            self._configured(alarm, "Update" if before else "Create", now)
            if kind == COMPOSITE:
                self._judge_composite(alarm, None, now)
        return alarm

    def delete(self, names: Iterable[str]) -> None:
        """Forget alarms; their history stays, as in AWS, which also refuses while a composite alarm depends on one."""
        names = list(names)
        with self._lock:
            for name in names:
                if name not in self.alarms:
                    raise Refusal("ResourceNotFound", f"Unknown alarm: {name}")
                if any(parent.name not in names for parent in self._parents(name)):
                    message = f"Cannot delete {name} as there are composite alarm(s) depending on it."
                    raise Refusal("ValidationError", message)
            for name in names:
                self._configured(self.alarms.pop(name), "Delete", self._cloud.clock.now())

    def set_state(self, name: str, state: str, reason: str, reason_data: str | None) -> None:
        """SetAlarmState: until the next evaluation says otherwise."""
        with self._lock:
            if name not in self.alarms:
                raise Refusal("ResourceNotFound", f"Unknown alarm: {name}")
            self._change(self.alarms[name], Judgement(state, reason, reason_data or ""), self._cloud.clock.now())

    def evaluate(self, now: datetime) -> None:
        """Judge every metric alarm on the periods that are complete at `now`."""
        with self._lock:
            for alarm in [a for a in self.alarms.values() if a.kind == METRIC]:
                definition = alarm.definition
                queries, period = _queries(definition)
                points = self._points(queries, period, int(definition["EvaluationPeriods"]) + EXTRA_DATAPOINTS, now)
                if _too_few_samples(definition, points):
                    continue
                verdict = judge(definition, points, period=period, now=now, state=alarm.state)
                if verdict is not None and verdict.state != alarm.state:
                    self._change(alarm, verdict, now)

    def _points(self, queries: list[dict[str, Any]], period: int, count: int, now: datetime) -> list[Point]:
        end = now.replace(second=0, microsecond=0)
        length = timedelta(seconds=period)
        moments = [end - (count - index) * length for index in range(count)]
        series = self.metrics.query(queries, moments, period)
        (judged,) = (q["Id"] for q in queries if q.get("ReturnData", True))
        counts: dict[datetime, float] = {}
        if len(queries) == 1:  # only a plain metric has a sample count
            stat = queries[0]["MetricStat"]
            counts = {m: self.metrics.samples(stat["Metric"], m, length, stat.get("Unit")).count for m in moments}
        return [Point(m, series[judged].get(m), counts.get(m) or None) for m in moments]

    def _check(self, kind: str, definition: dict[str, Any]) -> None:
        for state in STATES:
            for action in definition[_ACTIONS[state]]:
                if not action.startswith("arn:aws:sns:"):
                    raise NotModelled(f"the alarm action {action}")
        try:
            if kind == COMPOSITE:
                self._check_children(rules.parse(definition["AlarmRule"]))
            else:
                _check_metric_alarm(definition)
        except (ExpressionError, rules.RuleError) as error:
            raise Refusal("ValidationError", str(error)) from error

    def _check_children(self, rule: rules.Rule) -> None:
        """AWS refuses too, and in these words: https://github.com/awsdocs/aws-cloudformation-user-guide/issues/911."""
        if unknown := [child for child in rule.children if child not in self.alarms]:
            message = (
                f"Could not save the composite alarm as alarms [{', '.join(unknown)}] in the alarm rule do not exist"
            )
            raise Refusal("ValidationError", message)

    def _parents(self, name: str) -> list[Alarm]:
        composites = [alarm for alarm in self.alarms.values() if alarm.kind == COMPOSITE]
        return [alarm for alarm in composites if name in rules.parse(alarm.definition["AlarmRule"]).children]

    def _change(self, alarm: Alarm, verdict: Judgement, now: datetime) -> None:
        """Take on a state: history, event and actions follow a transition, and composite alarms are judged anew."""
        before, was = alarm.state, _state_data(alarm)
        event_before = _event_state(alarm)
        alarm.state, alarm.reason, alarm.reason_data = verdict.state, verdict.reason, verdict.reason_data or None
        alarm.updated_at = now
        if verdict.state == before:
            return
        alarm.transitioned_at = now
        data = {"version": "1.0", "oldState": was, "newState": _state_data(alarm)}
        self._record(alarm, "StateUpdate", f"Alarm updated from {before} to {alarm.state}", data, now)
        detail = {
            "alarmName": alarm.name,
            "configuration": _event_configuration(alarm),
            "previousState": event_before,
            "state": _event_state(alarm),
        }
        self._emit(alarm, "CloudWatch Alarm State Change", detail, now)
        if alarm.definition["ActionsEnabled"]:
            for action in alarm.definition[_ACTIONS[alarm.state]]:
                self._notify(alarm, before, action, now)
        for parent in self._parents(alarm.name):
            self._judge_composite(parent, alarm, now)

    def _judge_composite(self, alarm: Alarm, child: Alarm | None, now: datetime) -> None:
        rule = rules.parse(alarm.definition["AlarmRule"])
        state = "ALARM" if rule.holds(self._state_of) else "OK"
        if state == alarm.state:
            return
        if child is None:
            reason = f"{alarm.alarm_arn} was created and its alarm rule evaluates to {state}"
        else:
            reason = f"{child.alarm_arn} transitioned to {child.state} at {now:%A %d %B, %Y %H:%M:%S} UTC"
        children = [self.alarms[name] for name in rule.children if name in self.alarms]
        guilty = [c for c in children if c.state == "ALARM"] if state == "ALARM" else children
        triggering = [
            {"arn": c.alarm_arn, "state": {"value": c.state, "timestamp": timestamp(c.transitioned_at)}} for c in guilty
        ]
        data = json.dumps({"triggeringAlarms": triggering}, separators=(",", ":"))
        self._change(alarm, Judgement(state, reason, data), now)

    def _state_of(self, name: str) -> str:
        return self.alarms[name].state if name in self.alarms else "INSUFFICIENT_DATA"

    def _configured(self, alarm: Alarm, operation: str, now: datetime) -> None:
        verb = {"Create": "created", "Update": "updated", "Delete": "deleted"}[operation]
        data = {"version": "1.0", "type": operation, f"{verb}Alarm": _camel(alarm.definition)}
        self._record(alarm, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', data, now)
        detail = {
            "alarmName": alarm.name,
            "operation": operation.lower(),
            "state": {"value": alarm.state, "timestamp": timestamp(alarm.updated_at)},
            "configuration": _event_configuration(alarm)
            | {
                "alarmName": alarm.name,
                "actionsEnabled": alarm.definition["ActionsEnabled"],
                "timestamp": timestamp(now),
            },
        }
        self._emit(alarm, "CloudWatch Alarm Configuration Change", detail, now)

    def _record(self, alarm: Alarm, item: str, summary: str, data: dict[str, Any], now: datetime) -> None:
        text = json.dumps(data, separators=(",", ":"), default=str)
        self.history.append(HistoryItem(alarm.name, alarm.kind, item, now, summary, text))

    def _emit(self, alarm: Alarm, detail_type: str, detail: dict[str, Any], now: datetime) -> None:
        self._cloud.emit(
            {
                "detail-type": detail_type,
                "source": "aws.cloudwatch",
                "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                "resources": [alarm.alarm_arn],
                "detail": detail,
            }
        )

    def _notify(self, alarm: Alarm, before: str, topic: str, now: datetime) -> None:
        """The message and subject that people know from the e-mails of an alarm's SNS topic."""
        _, _, _, region, account, _ = topic.split(":", 5)
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.definition.get("AlarmDescription"),
            "AWSAccountId": account,
            "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configured_at),
            "NewStateValue": alarm.state,
            "NewStateReason": alarm.reason,
            "StateChangeTime": timestamp(now),
            "Region": region,
            "AlarmArn": alarm.alarm_arn,
            "OldStateValue": before,
            "OKActions": alarm.definition["OKActions"],
            "AlarmActions": alarm.definition["AlarmActions"],
            "InsufficientDataActions": alarm.definition["InsufficientDataActions"],
        }
        found = sns_backends[account][region].topics.get(topic)
        if found is not None:
            found.publish(json.dumps(message), subject=f'{alarm.state}: "{alarm.name}" in {region}'[:100])
        outcome = "Successfully executed" if found is not None else "Failed to execute"
        data = {"actionState": "Succeeded" if found is not None else "Failed", "notificationResource": topic}
        self._record(alarm, "Action", f"{outcome} action {topic}", data, now)


def _with_defaults(definition: dict[str, Any]) -> dict[str, Any]:
    lists: dict[str, Any] = {key: list(definition.get(key) or []) for key in _ACTIONS.values()}
    enabled = definition.get("ActionsEnabled")
    given = {key: value for key, value in definition.items() if value is not None}
    return given | lists | {"ActionsEnabled": True if enabled is None else enabled}


def _check_metric_alarm(definition: dict[str, Any]) -> None:
    if definition["ComparisonOperator"] not in OPERATORS:
        raise NotModelled(f"the comparison operator {definition['ComparisonOperator']}")
    if "Threshold" not in definition:
        raise NotModelled("alarms without a threshold")
    queries, period = _queries(definition)
    if period < 60:
        raise NotModelled("alarms with a period below a minute")
    if len([q for q in queries if q.get("ReturnData", True)]) != 1:
        raise Refusal("ValidationError", "Exactly one element of the metrics list should return data.")
    ids = [q["Id"] for q in queries]
    for query in queries:
        if not query.get("MetricStat"):
            check(query["Expression"], ids)
    needed, wanted = int(definition.get("DatapointsToAlarm") or 1), int(definition["EvaluationPeriods"])
    if needed > wanted:
        raise Refusal("ValidationError", "DatapointsToAlarm must not exceed EvaluationPeriods")


def _queries(definition: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """What a metric alarm watches, as queries, and the period in seconds."""
    if definition.get("Metrics"):
        return list(definition["Metrics"]), period_of(definition["Metrics"])
    stat = {
        "Metric": {
            "Namespace": definition["Namespace"],
            "MetricName": definition["MetricName"],
            "Dimensions": definition.get("Dimensions") or [],
        },
        "Period": definition["Period"],
        "Stat": definition.get("Statistic") or definition["ExtendedStatistic"],
    }
    if definition.get("Unit"):
        stat["Unit"] = definition["Unit"]
    return [{"Id": "m1", "MetricStat": stat, "ReturnData": True}], int(definition["Period"])


def _too_few_samples(definition: dict[str, Any], points: list[Point]) -> bool:
    """With `ignore` the state stays while the newest percentile rests on too few samples.

    Fewer than 10/(1-percentile) for an upper percentile, 10/percentile for a lower one:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
    """
    if definition.get("EvaluateLowSampleCountPercentile") != "ignore" or points[-1].sample_count is None:
        return False
    share = float(definition["ExtendedStatistic"].removeprefix("p")) / 100
    rare = min(share, 1 - share)
    return rare > 0 and points[-1].sample_count < 10 / rare


def _state_data(alarm: Alarm) -> dict[str, Any]:
    """One state in the data of a history item: there the reason's data is an object, not a string."""
    data: dict[str, Any] = {"stateValue": alarm.state, "stateReason": alarm.reason}
    return data | ({"stateReasonData": json.loads(alarm.reason_data)} if alarm.reason_data else {})


def _event_state(alarm: Alarm) -> dict[str, Any]:
    state = {"value": alarm.state, "reason": alarm.reason, "timestamp": timestamp(alarm.updated_at)}
    return state | ({"reasonData": alarm.reason_data} if alarm.reason_data else {})


def _event_configuration(alarm: Alarm) -> dict[str, Any]:
    configuration: dict[str, Any] = {}
    if alarm.definition.get("AlarmDescription"):
        configuration["description"] = alarm.definition["AlarmDescription"]
    if alarm.kind == COMPOSITE:
        return configuration | {"alarmRule": alarm.definition["AlarmRule"]}
    return configuration | {"metrics": [_event_metric(query) for query in _queries(alarm.definition)[0]]}


def _event_metric(query: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if query.get("Label"):
        result["label"] = query["Label"]
    if not query.get("MetricStat"):
        return result | {"expression": query["Expression"]}
    stat = query["MetricStat"]
    metric = {
        "namespace": stat["Metric"]["Namespace"],
        "name": stat["Metric"]["MetricName"],
        "dimensions": {d["Name"]: d["Value"] for d in stat["Metric"].get("Dimensions") or []},
    }
    return result | {"metricStat": {"metric": metric, "period": stat["Period"], "stat": stat["Stat"]}}


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(inner) for key, inner in value.items()}
    return [_camel(inner) for inner in value] if isinstance(value, list) else value
