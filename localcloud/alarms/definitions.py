"""Definitions of alarms: what a Put call may hold, defaults, and what CloudWatch refuses."""

from typing import Any

from localcloud.alarms import expressions
from localcloud.alarms.evaluation import OPERATORS
from localcloud.alarms.queries import MetricQuery, parse_query, query_of_plain_metric, shared_period
from localcloud.errors import NotModelled, Refusal

Definition = dict[str, Any]

METRIC = "MetricAlarm"
COMPOSITE = "CompositeAlarm"
ACTIONS_OF_STATE = {
    "OK": "OKActions",
    "ALARM": "AlarmActions",
    "INSUFFICIENT_DATA": "InsufficientDataActions",
}
_COMMON_PARAMETERS = frozenset(
    {
        "AlarmName",
        "AlarmDescription",
        "ActionsEnabled",
        "OKActions",
        "AlarmActions",
        "InsufficientDataActions",
        "Tags",
    }
)
_METRIC_PARAMETERS = frozenset(
    {
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
    }
)
_MODELLED = {
    METRIC: _COMMON_PARAMETERS | _METRIC_PARAMETERS,
    COMPOSITE: _COMMON_PARAMETERS | {"AlarmRule"},
}


def refuse_unknown_parameters(kind: str, definition: Definition) -> None:
    """Raise NotModelled for parameters that would have no effect here."""
    unknown = sorted(set(definition) - _MODELLED[kind])
    if unknown:
        raise NotModelled(f"cloudwatch Put{kind}: {', '.join(unknown)}")


def with_defaults(definition: Definition) -> Definition:
    """The definition with the settings and lists of actions that it leaves out."""
    complete: Definition = {"ActionsEnabled": True} | definition
    for key in ACTIONS_OF_STATE.values():
        complete.setdefault(key, [])
    return complete


def check_actions(definition: Definition) -> None:
    """Raise NotModelled for an action that is no SNS topic."""
    for key in ACTIONS_OF_STATE.values():
        for action in definition[key]:
            if not action.startswith("arn:aws:sns:"):
                raise NotModelled(f"the alarm action {action}")


def check_metric_alarm(definition: Definition) -> None:
    """Raise where a metric alarm could not be evaluated.

    Raises:
        ExpressionError: an expression is malformed or not modelled, or the periods differ.
        NotModelled: the alarm needs what is missing here.
        Refusal: AWS would refuse it too.
    """
    if definition["ComparisonOperator"] not in OPERATORS:
        raise NotModelled(f"the comparison operator {definition['ComparisonOperator']}")
    if "Threshold" not in definition:
        raise NotModelled("alarms without a threshold")
    queries = queries_of(definition)
    if shared_period(queries) < 60:
        raise NotModelled("alarms with a period below a minute")
    _check_queries(queries)
    needed = int(definition.get("DatapointsToAlarm") or 1)
    if needed > int(definition["EvaluationPeriods"]):
        raise Refusal("ValidationError", "DatapointsToAlarm must not exceed EvaluationPeriods")


def _check_queries(queries: list[MetricQuery]) -> None:
    returning = [query for query in queries if query.returns_data]
    if len(returning) != 1:
        message = "Exactly one element of the metrics list should return data."
        raise Refusal("ValidationError", message)
    ids = [query.id for query in queries]
    for query in queries:
        if query.stat is None:
            expressions.check(query.expression, ids)


def queries_of(definition: Definition) -> list[MetricQuery]:
    """What a metric alarm watches; a plain metric is one query too."""
    if definition.get("Metrics"):
        return [parse_query(raw) for raw in definition["Metrics"]]
    return [query_of_plain_metric(definition)]
