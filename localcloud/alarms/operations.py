"""CloudWatch's operations on alarms and metric data, in the place of moto's."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.alarms.alarm import STATES, Alarm, HistoryItem
from localcloud.alarms.definitions import COMPOSITE, METRIC
from localcloud.alarms.expressions import ExpressionError, Series
from localcloud.alarms.metrics import aware
from localcloud.alarms.queries import MetricQuery, parse_query, shared_period
from localcloud.alarms.store import HISTORY_KEPT, AlarmStore
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

Parameters = dict[str, Any]
Answer = dict[str, Any]
Operation = Callable[[AlarmStore, Parameters, datetime], Answer | None]
Item = TypeVar("Item")
_PAGE_SIZE = 50
_MOST_DATAPOINTS = 100_800  # of a call: GetMetricData, botocore cloudwatch/2010-08-01
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)
_LONGEST_LIST_OF_NAMES = 100


def install(cloud: "Cloud", store: AlarmStore) -> None:
    """Answer these operations from the store."""
    for name, operation in _OPERATIONS.items():
        cloud.replace(CloudWatchResponse, name, _method(cloud, store, operation))


def _method(
    cloud: "Cloud", store: AlarmStore, operation: Operation
) -> Callable[[CloudWatchResponse], ActionResult]:
    """The operation as a method of moto's class."""

    def method(self: CloudWatchResponse) -> ActionResult:
        sent: Parameters = self._get_params()
        parameters = {key: value for key, value in sent.items() if value is not None}
        answer = operation(store, parameters, cloud.clock.now())
        if answer is None:
            return EmptyResult()
        return ActionResult(answer)

    return method


def _put_alarm(
    store: AlarmStore,
    parameters: Parameters,
    _now: datetime,
    *,
    kind: str,
) -> None:
    store.put(kind, parameters)


def _delete_alarms(store: AlarmStore, parameters: Parameters, _now: datetime) -> None:
    store.delete(parameters["AlarmNames"])


def _set_alarm_state(store: AlarmStore, parameters: Parameters, _now: datetime) -> None:
    state = parameters["StateValue"]
    data = parameters.get("StateReasonData")
    if state not in STATES:
        allowed = ", ".join(STATES)
        raise Refusal("ValidationError", f"StateValue must be one of {allowed}, not {state}")
    if data:
        try:
            json.loads(data)
        except ValueError as error:
            raise Refusal("InvalidFormat", f"StateReasonData is not JSON: {error}") from error
    store.set_state(
        parameters["AlarmName"],
        state,
        parameters["StateReason"],
        data,
    )


def _switch_alarm_actions(
    store: AlarmStore,
    parameters: Parameters,
    _now: datetime,
    *,
    enabled: bool,
) -> None:
    for name in parameters["AlarmNames"]:
        if name in store.alarms:
            store.alarms[name].definition["ActionsEnabled"] = enabled


@dataclass(frozen=True)
class _AlarmFilter:
    """Which alarms DescribeAlarms is asked for; all that is given must hold."""

    kinds: Sequence[str]
    names: Sequence[str] | None
    prefix: str
    state: str | None
    action_prefix: str | None

    def accepts(self, alarm: Alarm) -> bool:
        """Whether the alarm is asked for."""
        if alarm.kind not in self.kinds or not alarm.name.startswith(self.prefix):
            return False
        if self.names and alarm.name not in self.names:
            return False
        if self.state not in (None, alarm.state.value):
            return False
        actions = alarm.definition["AlarmActions"]
        return not self.action_prefix or any(
            action.startswith(self.action_prefix) for action in actions
        )


def _describe_alarms(store: AlarmStore, parameters: Parameters, _now: datetime) -> Answer:
    _refuse_unknown(
        "DescribeAlarms",
        parameters,
        {
            "AlarmNames",
            "AlarmNamePrefix",
            "AlarmTypes",
            "StateValue",
            "ActionPrefix",
            "MaxRecords",
            "NextToken",
        },
    )
    asked = _alarm_filter(parameters)
    alarms = sorted(store.alarms.values(), key=lambda alarm: alarm.name)
    found = [alarm for alarm in alarms if asked.accepts(alarm)]
    page, token = _page(found, parameters)
    answer: Answer = {"MetricAlarms": [], "CompositeAlarms": [], "NextToken": token}
    for alarm in page:
        answer[f"{alarm.kind}s"].append(alarm.described())
    return answer


def _alarm_filter(parameters: Parameters) -> _AlarmFilter:
    """Without AlarmTypes no composite alarms are asked for (DescribeAlarms)."""
    names = parameters.get("AlarmNames")
    prefix = parameters.get("AlarmNamePrefix", "")
    if names and prefix:
        message = "AlarmNames and AlarmNamePrefix cannot be given together"
        raise Refusal("ValidationError", message)
    if names and len(names) > _LONGEST_LIST_OF_NAMES:
        message = f"AlarmNames holds at most {_LONGEST_LIST_OF_NAMES} names"
        raise Refusal("ValidationError", message)
    return _AlarmFilter(
        kinds=parameters.get("AlarmTypes") or [METRIC],
        names=names,
        prefix=prefix,
        state=parameters.get("StateValue"),
        action_prefix=parameters.get("ActionPrefix"),
    )


def _describe_alarms_for_metric(
    store: AlarmStore, parameters: Parameters, _now: datetime
) -> Answer:
    _refuse_unknown("DescribeAlarmsForMetric", parameters, {"MetricName", "Namespace"})
    wanted = (parameters["Namespace"], parameters["MetricName"])
    found = []
    for alarm in store.alarms.values():
        metric = (alarm.definition.get("Namespace"), alarm.definition.get("MetricName"))
        if metric == wanted:
            found.append(alarm.described())
    return {"MetricAlarms": found}


@dataclass(frozen=True)
class _HistoryFilter:
    """Which entries DescribeAlarmHistory is asked for; `oldest` and `newest` are inclusive."""

    kinds: Sequence[str]
    name: str | None
    item: str | None
    oldest: datetime
    newest: datetime

    def accepts(self, item: HistoryItem) -> bool:
        """Whether the entry is asked for."""
        if item.kind not in self.kinds:
            return False
        if self.name not in (None, item.name) or self.item not in (None, item.item):
            return False
        return self.oldest <= item.at <= self.newest


def _describe_alarm_history(store: AlarmStore, parameters: Parameters, now: datetime) -> Answer:
    """Newest first, unless ScanBy says otherwise."""
    _refuse_unknown(
        "DescribeAlarmHistory",
        parameters,
        {
            "AlarmName",
            "AlarmTypes",
            "HistoryItemType",
            "StartDate",
            "EndDate",
            "MaxRecords",
            "NextToken",
            "ScanBy",
        },
    )
    # without AlarmTypes only the history of metric alarms is asked for (DescribeAlarmHistory)
    asked = _HistoryFilter(
        kinds=parameters.get("AlarmTypes") or [METRIC],
        name=parameters.get("AlarmName"),
        item=parameters.get("HistoryItemType"),
        oldest=aware(parameters.get("StartDate", _BEFORE_ALL)),
        newest=aware(parameters.get("EndDate", _AFTER_ALL)),
    )
    forgotten = now - HISTORY_KEPT
    found = [item for item in store.history if item.at > forgotten and asked.accepts(item)]
    if _is_newest_first(parameters):
        found.reverse()
    page, token = _page(found, parameters)
    return {"AlarmHistoryItems": [_history_item(item) for item in page], "NextToken": token}


def _history_item(item: HistoryItem) -> Answer:
    return {
        "AlarmName": item.name,
        "AlarmType": item.kind,
        "Timestamp": item.at,
        "HistoryItemType": item.item,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


def _get_metric_data(store: AlarmStore, parameters: Parameters, _now: datetime) -> Answer:
    """Whole periods from StartTime on, rounded down to the minute; the last begins before EndTime."""
    _refuse_unknown(
        "GetMetricData",
        parameters,
        {
            "MetricDataQueries",
            "StartTime",
            "EndTime",
            "ScanBy",
            "MaxDatapoints",
            "NextToken",
            "LabelOptions",
        },
    )
    start = aware(parameters["StartTime"])
    end = aware(parameters["EndTime"])
    if start >= end:
        message = "The parameter EndTime must be greater than StartTime."
        raise Refusal("ValidationError", message)
    queries = [parse_query(raw) for raw in parameters["MetricDataQueries"]]
    for query in queries:
        _check_query(query)

    try:
        period = shared_period(queries)
        series = store.metrics.query(queries, _period_starts(start, end, period), period)
    except ExpressionError as error:
        raise Refusal("ValidationError", str(error)) from error

    newest_first = _is_newest_first(parameters)
    results = [
        _metric_data_result(query, series[query.id], newest_first=newest_first)
        for query in queries
        if query.returns_data
    ]
    return _page_of_datapoints(results, parameters)


def _page_of_datapoints(results: list[Answer], parameters: Parameters) -> Answer:
    """As many datapoints as are asked for, 100,800 at most; a result that goes on has StatusCode PartialData."""
    most = min(int(parameters.get("MaxDatapoints") or _MOST_DATAPOINTS), _MOST_DATAPOINTS)
    before = int(parameters.get("NextToken") or 0)
    after = before + most
    position = 0
    shown: list[Answer] = []
    for result in results:
        count = len(result["Timestamps"])
        first, last = max(before - position, 0), max(after - position, 0)
        position += count
        is_past = first > 0 and first >= count
        is_to_come = last == 0 and last < count
        if not is_past and not is_to_come:
            shown.append(_part_of(result, first, last))
    answer: Answer = {"MetricDataResults": shown, "Messages": []}
    if after < position:
        answer["NextToken"] = str(after)
    return answer


def _part_of(
    result: Answer,
    first: int,
    last: int,
) -> Answer:
    """A result with its datapoints from `first` to before `last`."""
    timestamps, values = result["Timestamps"], result["Values"]
    return result | {
        "Timestamps": timestamps[first:last],
        "Values": values[first:last],
        "StatusCode": "PartialData" if last < len(timestamps) else "Complete",
    }


def _check_query(query: MetricQuery) -> None:
    if query.stat is None and not query.expression:
        raise Refusal("ValidationError", "A query needs a MetricStat or an Expression")
    if query.expression.lstrip().upper().startswith("SELECT"):
        raise NotModelled("Metrics Insights queries")


def _period_starts(start: datetime, end: datetime, period: int) -> list[datetime]:
    starts = []
    moment = start.replace(second=0, microsecond=0)
    while moment < end:
        starts.append(moment)
        moment += timedelta(seconds=period)
    return starts


def _metric_data_result(query: MetricQuery, series: Series, *, newest_first: bool) -> Answer:
    label = query.label
    if not label:
        label = query.id if query.stat is None else query.stat.name
    moments = sorted(series, reverse=newest_first)
    return {
        "Id": query.id,
        "Label": label,
        "Timestamps": moments,
        "Values": [series[moment] for moment in moments],
        "StatusCode": "Complete",
    }


def _is_newest_first(parameters: Parameters) -> bool:
    return parameters.get("ScanBy") != "TimestampAscending"


def _page(found: list[Item], parameters: Parameters) -> tuple[list[Item], str | None]:
    """The page that is asked for, and the token of the next."""
    start = int(parameters.get("NextToken") or 0)
    end = start + int(parameters.get("MaxRecords") or _PAGE_SIZE)
    token = None
    if end < len(found):
        token = str(end)
    return found[start:end], token


def _refuse_unknown(operation: str, parameters: Parameters, modelled: set[str]) -> None:
    unknown = sorted(set(parameters) - modelled)
    if unknown:
        raise NotModelled(f"cloudwatch {operation}: {', '.join(unknown)}")


_OPERATIONS: dict[str, Operation] = {
    "put_metric_alarm": partial(_put_alarm, kind=METRIC),
    "put_composite_alarm": partial(_put_alarm, kind=COMPOSITE),
    "delete_alarms": _delete_alarms,
    "set_alarm_state": _set_alarm_state,
    "enable_alarm_actions": partial(_switch_alarm_actions, enabled=True),
    "disable_alarm_actions": partial(_switch_alarm_actions, enabled=False),
    "describe_alarms": _describe_alarms,
    "describe_alarms_for_metric": _describe_alarms_for_metric,
    "describe_alarm_history": _describe_alarm_history,
    "get_metric_data": _get_metric_data,
}
