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


def count(namespace: str, result: Mapping[str, Any]) -> None:
    """Count one result, by cluster and service where it names them; its reason stands beside it in the log."""
    name = _BY_STATE.get(str(result.get("incident_state"))) or _BY_OUTCOME.get(str(result.get("outcome")))
    if name is None:
        return
    metrics = Metrics(namespace=namespace)
    for dimension in ("cluster", "service"):
        if result.get(dimension):
            metrics.add_dimension(dimension, str(result[dimension]))
    metrics.add_metadata("reason", str(result.get("reason")))
    metrics.add_metric(name, MetricUnit.Count, 1)
    metrics.flush_metrics()
