"""What is counted, as metrics in the log (EMF): what came of each judgement, and of each incident."""

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

_BY_OUTCOME = {
    "rolled_back": "Rollback",
    "would_roll_back": "WouldRollBack",
    "held": "Held",
    "ignored": "Ignored",
    "rejected": "Rejected",
    "failed": "Failed",
}
_BY_STATE = {"recovered": "Recovered", "not_recovered": "NotRecovered", "superseded": "Superseded"}
_BY_REASON = ("Held", "Ignored")
_TIMES = {
    "Rollback": ("TimeToRollback", "time_to_rollback_seconds"),
    "Recovered": ("TimeToRecover", "time_to_recover_seconds"),
}


def count(namespace: str, result: Mapping[str, Any]) -> None:
    """Count one result, by cluster and service where it names them; what was held or ignored by its reason too.

    `TimeToRollback` is the seconds from the first breaching datapoint to the act, `TimeToRecover` those from the rollback to
    the moment when the last alarm was calm. What concerns no protected service is not counted: it would be a metric for
    every service of the account.
    """
    name = _BY_STATE.get(str(result.get("incident_state"))) or _BY_OUTCOME.get(str(result.get("outcome")))
    if name is None or result.get("reason") == "unprotected_service":
        return
    named = {d: str(result[d]) for d in ("cluster", "service") if result.get(d)}
    _emit(namespace, name, named, result)
    if name in _BY_REASON:
        _emit(namespace, name, named | {"reason": str(result.get("reason"))}, {})


def count_sweep(namespace: str) -> None:
    """Count a sweep that has gone its round, by the function's name alone: an alarm speaks when there is none."""
    _emit(namespace, "Sweep", {}, {})


def _emit(namespace: str, name: str, dimensions: Mapping[str, str], result: Mapping[str, Any]) -> None:
    metrics = Metrics(namespace=namespace)
    for dimension, value in dimensions.items():
        metrics.add_dimension(dimension, value)
    metrics.add_metric(name, MetricUnit.Count, 1)
    time, key = _TIMES.get(name, ("", ""))
    if key in result:
        metrics.add_metric(time, MetricUnit.Seconds, float(result[key]))
    metrics.flush_metrics()
