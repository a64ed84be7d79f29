"""History entries, events and notifications of an alarm."""

import json
from datetime import datetime
from typing import Any

from localcloud.alarms.alarm import Alarm, AlarmState, HistoryItem
from localcloud.alarms.definitions import COMPOSITE
from localcloud.alarms.evaluation import timestamp
from localcloud.alarms.queries import MetricQuery

Message = dict[str, Any]

# the operations of a ConfigurationUpdate, and what an alarm is after them
CREATE = "Create"
UPDATE = "Update"
DELETE = "Delete"
_DONE = {CREATE: "created", UPDATE: "updated", DELETE: "deleted"}


def history_of_state(alarm: Alarm, before: AlarmState, now: datetime) -> HistoryItem:
    """The StateUpdate entry of a transition to the alarm's present state."""
    summary = f"Alarm updated from {before.value} to {alarm.state.value}"
    data = {
        "version": "1.0",
        "oldState": _state_in_history(before),
        "newState": _state_in_history(alarm.state),
    }
    return _history_item(
        alarm,
        "StateUpdate",
        summary,
        data,
        now,
    )


def history_of_configuration(alarm: Alarm, operation: str, now: datetime) -> HistoryItem:
    """The ConfigurationUpdate entry of an alarm that was created, updated or deleted."""
    done = _DONE[operation]
    summary = f'Alarm "{alarm.name}" {done}'
    definition = _with_small_initials(alarm.definition)
    data = {"version": "1.0", "type": operation, f"{done}Alarm": definition}
    return _history_item(
        alarm,
        "ConfigurationUpdate",
        summary,
        data,
        now,
    )


def history_of_action(
    alarm: Alarm,
    topic: str,
    now: datetime,
    *,
    succeeded: bool,
) -> HistoryItem:
    """The Action entry of a notification."""
    if succeeded:
        summary = f"Successfully executed action {topic}"
        outcome = "Succeeded"
    else:
        summary = f"Failed to execute action {topic}"
        outcome = "Failed"
    data = {"actionState": outcome, "notificationResource": topic}
    return _history_item(
        alarm,
        "Action",
        summary,
        data,
        now,
    )


def _history_item(
    alarm: Alarm,
    item: str,
    summary: str,
    data: Message,
    now: datetime,
) -> HistoryItem:
    text = json.dumps(data, separators=(",", ":"), default=str)
    return HistoryItem(
        alarm.name,
        alarm.kind,
        item,
        now,
        summary,
        text,
    )


def _state_in_history(state: AlarmState) -> Message:
    """There the reason's data is an object, not a string."""
    data: Message = {"stateValue": state.value, "stateReason": state.reason}
    if state.reason_data:
        data["stateReasonData"] = json.loads(state.reason_data)
    return data


def _with_small_initials(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_small_initials(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        small = key[0].lower() + key[1:]
        result[small] = _with_small_initials(item)
    return result


def event_of_state(alarm: Alarm, before: AlarmState, now: datetime) -> Message:
    """The event of a transition to the alarm's present state."""
    detail = {
        "alarmName": alarm.name,
        "configuration": _configuration(alarm),
        "previousState": _state_in_event(before),
        "state": _state_in_event(alarm.state),
    }
    return _event(
        alarm,
        "CloudWatch Alarm State Change",
        detail,
        now,
    )


def event_of_configuration(alarm: Alarm, operation: str, now: datetime) -> Message:
    """The event of an alarm that was created, updated or deleted."""
    configuration = _configuration(alarm) | {
        "alarmName": alarm.name,
        "actionsEnabled": alarm.definition["ActionsEnabled"],
        "timestamp": timestamp(now),
    }
    detail = {
        "alarmName": alarm.name,
        "operation": operation.lower(),
        "state": {"value": alarm.state.value, "timestamp": timestamp(alarm.state.updated_at)},
        "configuration": configuration,
    }
    return _event(
        alarm,
        "CloudWatch Alarm Configuration Change",
        detail,
        now,
    )


def _event(
    alarm: Alarm,
    detail_type: str,
    detail: Message,
    now: datetime,
) -> Message:
    return {
        "detail-type": detail_type,
        "source": "aws.cloudwatch",
        "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
        "resources": [alarm.alarm_arn],
        "detail": detail,
    }


def _state_in_event(state: AlarmState) -> Message:
    data = {
        "value": state.value,
        "reason": state.reason,
        "timestamp": timestamp(state.updated_at),
    }
    if state.reason_data:
        data["reasonData"] = state.reason_data
    return data


def _configuration(alarm: Alarm) -> Message:
    configuration: Message = {}
    if alarm.definition.get("AlarmDescription"):
        configuration["description"] = alarm.definition["AlarmDescription"]
    if alarm.kind == COMPOSITE:
        configuration["alarmRule"] = alarm.definition["AlarmRule"]
    else:
        configuration["metrics"] = [_metric(query) for query in alarm.queries]
    return configuration


def _metric(query: MetricQuery) -> Message:
    result: Message = {"id": query.id, "returnData": query.returns_data}
    if query.label:
        result["label"] = query.label
    if query.stat is None:
        result["expression"] = query.expression
        return result
    metric = {
        "namespace": query.stat.namespace,
        "name": query.stat.name,
        "dimensions": query.stat.dimensions,
    }
    result["metricStat"] = {
        "metric": metric,
        "period": query.stat.period,
        "stat": query.stat.statistic,
    }
    return result


def notification(
    alarm: Alarm,
    before: AlarmState,
    topic: str,
    now: datetime,
) -> tuple[str, str]:
    """Subject and message that people know from the e-mails of an alarm's SNS topic."""
    _, _, _, region, account, _ = topic.split(":", 5)
    definition = alarm.definition
    message = {
        "AlarmName": alarm.name,
        "AlarmDescription": definition.get("AlarmDescription"),
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configured_at),
        "NewStateValue": alarm.state.value,
        "NewStateReason": alarm.state.reason,
        "StateChangeTime": timestamp(now),
        "Region": region,
        "AlarmArn": alarm.alarm_arn,
        "OldStateValue": before.value,
        "OKActions": definition["OKActions"],
        "AlarmActions": definition["AlarmActions"],
        "InsufficientDataActions": definition["InsufficientDataActions"],
    }
    subject = f'{alarm.state.value}: "{alarm.name}" in {region}'
    return subject[:100], json.dumps(message)
