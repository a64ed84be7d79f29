"""What came of each judgement and incident, counted by metrics in the log (EMF)."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit


@dataclass(frozen=True, slots=True)
class _Time:
    """A metric of seconds, and the key of the result that holds them."""

    metric: str
    key: str


_BY_STATE = {
    "recovered": "Recovered",
    "not_recovered": "NotRecovered",
    "superseded": "Superseded",
}
_BY_OUTCOME = {
    "rolled_back": "Rollback",
    "would_roll_back": "WouldRollBack",
    "held": "Held",
    "ignored": "Ignored",
    "rejected": "Rejected",
    "failed": "Failed",
}
_ALSO_BY_REASON = ("Held", "Ignored")
_TIMES = {
    "Rollback": _Time("TimeToRollback", "time_to_rollback_seconds"),
    "Recovered": _Time("TimeToRecover", "time_to_recover_seconds"),
}


def count(namespace: str, result: Mapping[str, object]) -> None:
    """Count one result, by cluster and service where it names them.

    What was held or ignored is counted by its reason too. `TimeToRollback` is the seconds from the
    first breaching datapoint to the act, `TimeToRecover` those from the rollback to the moment when
    the last alarm was calm. What concerns no protected service is not counted: it would be a metric
    for every service of the account.
    """
    if result.get("reason") == "unprotected_service":
        return
    name = _metric_of(result)
    if name is None:
        return

    dimensions = {key: str(result[key]) for key in ("cluster", "service") if result.get(key)}
    metrics = _counted_once(namespace, name, dimensions)
    time = _TIMES.get(name)
    if time and time.key in result:
        seconds = float(str(result[time.key]))
        metrics.add_metric(time.metric, MetricUnit.Seconds, seconds)
    metrics.flush_metrics()

    if name in _ALSO_BY_REASON:
        by_reason = dimensions | {"reason": str(result.get("reason"))}
        _counted_once(namespace, name, by_reason).flush_metrics()


def count_sweep(namespace: str) -> None:
    """Count a sweep that has gone its round, by the function's name alone.

    An alarm speaks when there is none.
    """
    _counted_once(namespace, "Sweep", {}).flush_metrics()


def _metric_of(result: Mapping[str, object]) -> str | None:
    by_state = _BY_STATE.get(str(result.get("incident_state")))
    by_outcome = _BY_OUTCOME.get(str(result.get("outcome")))
    return by_state or by_outcome


def _counted_once(namespace: str, name: str, dimensions: Mapping[str, str]) -> Metrics:
    metrics = Metrics(namespace=namespace)
    for dimension, value in dimensions.items():
        metrics.add_dimension(dimension, value)
    metrics.add_metric(name, MetricUnit.Count, 1)
    return metrics
