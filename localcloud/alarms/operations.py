"""CloudWatch's operations on alarms and metric data, in the place of moto's."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.alarms.board import COMPOSITE, HISTORY_KEPT, METRIC, STATES, Alarm, Board, HistoryItem
from localcloud.alarms.expressions import ExpressionError, Series
from localcloud.alarms.metrics import period_of
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

Parameters = dict[str, Any]


def install(cloud: "Cloud", board: Board) -> None:
    """Answer these operations from the board."""
    operations: dict[str, Callable[[Parameters], dict[str, Any] | None]] = {
        "put_metric_alarm": lambda p: _put(board, METRIC, p),
        "put_composite_alarm": lambda p: _put(board, COMPOSITE, p),
        "describe_alarms": lambda p: _describe(board, p),
        "describe_alarms_for_metric": lambda p: _for_metric(board, p),
        "describe_alarm_history": lambda p: _history(board, p, cloud.clock.now()),
        "delete_alarms": lambda p: board.delete(p["AlarmNames"]),
        "set_alarm_state": lambda p: _set_state(board, p),
        "enable_alarm_actions": lambda p: _enable(board, p, True),
        "disable_alarm_actions": lambda p: _enable(board, p, False),
        "get_metric_data": lambda p: _metric_data(board, p),
    }
    for name, answer in operations.items():
        cloud.replace(CloudWatchResponse, name, _operation(answer))


def _operation(answer: Callable[[Parameters], dict[str, Any] | None]) -> Callable[[CloudWatchResponse], ActionResult]:
    def operation(self: CloudWatchResponse) -> ActionResult:
        result = answer(dict(self._get_params()))
        return EmptyResult() if result is None else ActionResult(result)

    return operation


def _put(board: Board, kind: str, parameters: Parameters) -> None:
    board.put(kind, parameters)


def _set_state(board: Board, parameters: Parameters) -> None:
    state, data = parameters["StateValue"], parameters.get("StateReasonData")
    if state not in STATES:
        raise Refusal("ValidationError", f"StateValue must be one of {', '.join(STATES)}, not {state}")
    if data:
        try:
            json.loads(data)
        except ValueError as error:
            raise Refusal("InvalidFormat", f"StateReasonData is not JSON: {error}") from error
    board.set_state(parameters["AlarmName"], state, parameters["StateReason"], data)


def _enable(board: Board, parameters: Parameters, enabled: bool) -> None:  # noqa: FBT001 - the two operations differ in this alone
    for name in parameters["AlarmNames"]:
        if name in board.alarms:
            board.alarms[name].definition["ActionsEnabled"] = enabled


def _describe(board: Board, parameters: Parameters) -> dict[str, Any]:
    """All that is given must hold; without AlarmTypes there are no composite alarms in the answer (DescribeAlarms)."""
    _only(
        "DescribeAlarms",
        parameters,
        ["AlarmNames", "AlarmNamePrefix", "AlarmTypes", "StateValue", "ActionPrefix", "MaxRecords", "NextToken"],
    )
    names = parameters.get("AlarmNames")
    if names and parameters.get("AlarmNamePrefix"):
        raise Refusal("ValidationError", "AlarmNames and AlarmNamePrefix cannot be given together")
    if names and len(names) > 100:
        raise Refusal("ValidationError", "AlarmNames holds at most 100 names")
    kinds = parameters.get("AlarmTypes") or [METRIC]
    found = [
        alarm
        for alarm in sorted(board.alarms.values(), key=lambda a: a.name)
        if alarm.kind in kinds
        and (not names or alarm.name in names)
        and alarm.name.startswith(parameters.get("AlarmNamePrefix") or "")
        and parameters.get("StateValue") in (None, alarm.state)
        and _has_action(alarm, parameters.get("ActionPrefix"))
    ]
    page, token = _page(found, parameters, default=50)
    return {
        "MetricAlarms": [alarm.described() for alarm in page if alarm.kind == METRIC],
        "CompositeAlarms": [alarm.described() for alarm in page if alarm.kind == COMPOSITE],
        "NextToken": token,
    }


def _has_action(alarm: Alarm, prefix: str | None) -> bool:
    return not prefix or any(action.startswith(prefix) for action in alarm.definition["AlarmActions"])


def _for_metric(board: Board, parameters: Parameters) -> dict[str, Any]:
    _only("DescribeAlarmsForMetric", parameters, ["MetricName", "Namespace"])
    wanted = (parameters["MetricName"], parameters["Namespace"])
    alarms = [
        a for a in board.alarms.values() if (a.definition.get("MetricName"), a.definition.get("Namespace")) == wanted
    ]
    return {"MetricAlarms": [alarm.described() for alarm in alarms]}


def _history(board: Board, parameters: Parameters, now: datetime) -> dict[str, Any]:
    """Newest first unless ScanBy says otherwise; without AlarmTypes only that of metric alarms (DescribeAlarmHistory)."""
    _only(
        "DescribeAlarmHistory",
        parameters,
        ["AlarmName", "AlarmTypes", "HistoryItemType", "StartDate", "EndDate", "MaxRecords", "NextToken", "ScanBy"],
    )
    start, end = (_aware(parameters.get(key)) for key in ("StartDate", "EndDate"))
    kinds = parameters.get("AlarmTypes") or [METRIC]
    found = [
        item
        for item in board.history
        if item.kind in kinds
        and parameters.get("AlarmName") in (None, item.name)
        and parameters.get("HistoryItemType") in (None, item.item)
        and item.at > now - HISTORY_KEPT
        and (start is None or item.at >= start)
        and (end is None or item.at <= end)
    ]
    if parameters.get("ScanBy") != "TimestampAscending":
        found.reverse()
    page, token = _page(found, parameters, default=50)
    return {"AlarmHistoryItems": [_history_item(item) for item in page], "NextToken": token}


def _history_item(item: HistoryItem) -> dict[str, Any]:
    return {
        "AlarmName": item.name,
        "AlarmType": item.kind,
        "Timestamp": item.at,
        "HistoryItemType": item.item,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


def _metric_data(board: Board, parameters: Parameters) -> dict[str, Any]:
    """Whole periods from StartTime on, which is rounded down to the minute; the last holds EndTime's predecessor."""
    _only(
        "GetMetricData",
        parameters,
        ["MetricDataQueries", "StartTime", "EndTime", "ScanBy", "MaxDatapoints", "LabelOptions"],
    )
    queries = parameters["MetricDataQueries"]
    start, end = _aware(parameters["StartTime"]), _aware(parameters["EndTime"])
    if start is None or end is None or start >= end:
        raise Refusal("ValidationError", "The parameter EndTime must be greater than StartTime.")
    for query in queries:
        if not query.get("MetricStat") and not query.get("Expression"):
            raise Refusal("ValidationError", "A query needs a MetricStat or an Expression")
        if (query.get("Expression") or "").lstrip().upper().startswith("SELECT"):
            raise NotModelled("Metrics Insights queries")
    try:
        period = period_of(queries)
        first = start.replace(second=0, microsecond=0)
        moments = []
        while first < end:
            moments.append(first)
            first += timedelta(seconds=period)
        series = board.metrics.query(queries, moments, period)
    except ExpressionError as error:
        raise Refusal("ValidationError", str(error)) from error
    newest_first = parameters.get("ScanBy") != "TimestampAscending"
    results = [_result(q, series[q["Id"]], newest_first) for q in queries if q.get("ReturnData") is not False]
    return {"MetricDataResults": results, "Messages": []}


def _result(query: dict[str, Any], series: Series, newest_first: bool) -> dict[str, Any]:  # noqa: FBT001 - private
    moments = sorted(series, reverse=newest_first)
    label = query.get("Label") or (
        query["MetricStat"]["Metric"]["MetricName"] if query.get("MetricStat") else query["Id"]
    )
    values = [series[moment] for moment in moments]
    return {"Id": query["Id"], "Label": label, "Timestamps": moments, "Values": values, "StatusCode": "Complete"}


def _page(found: list[Any], parameters: Parameters, default: int) -> tuple[list[Any], str | None]:
    start = int(parameters.get("NextToken") or 0)
    end = start + int(parameters.get("MaxRecords") or default)
    return found[start:end], str(end) if end < len(found) else None


def _only(operation: str, parameters: Parameters, modelled: list[str]) -> None:
    if unknown := sorted(key for key, value in parameters.items() if key not in modelled and value is not None):
        raise NotModelled(f"cloudwatch {operation}: {', '.join(unknown)}")


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
