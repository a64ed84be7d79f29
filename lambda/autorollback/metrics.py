"""What is counted, as metrics in the log (EMF).

What came of each judgement and incident.
"""

from collections.abc import Mapping

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey

_BY_STATE = {
    IncidentState.RECOVERED: "Recovered",
    IncidentState.NOT_RECOVERED: "NotRecovered",
    IncidentState.SUPERSEDED: "Superseded",
}
_BY_OUTCOME = {
    Outcome.ROLLED_BACK: "Rollback",
    Outcome.WOULD_ROLL_BACK: "WouldRollBack",
    Outcome.HELD: "Held",
    Outcome.IGNORED: "Ignored",
    Outcome.REJECTED: "Rejected",
    Outcome.FAILED: "Failed",
}
_BY_REASON_TOO = (Outcome.HELD, Outcome.IGNORED)


def count(namespace: str, result: Result) -> None:
    """Count one result, by cluster and service.

    What was held or ignored by its reason too.

    `TimeToRollback` is the seconds from the first breaching datapoint to the act, `TimeToRecover` those from the
    rollback to the moment when the last alarm was calm. What concerns no protected service is not counted: it would be
    a metric for every service of the account.
    """
    if result.reason is Reason.UNPROTECTED_SERVICE:
        return
    name = _name_of(result)
    if name is None:
        return
    dimensions = _dimensions(result)
    _emit(
        namespace,
        name,
        dimensions,
        _elapsed(name, result),
    )
    if result.outcome in _BY_REASON_TOO and result.reason:
        _emit(namespace, name, {**dimensions, "reason": result.reason.value})


def count_sweep(namespace: str) -> None:
    """Count a sweep that has gone its round: an alarm speaks when there is none."""
    _emit(namespace, "Sweep", {})


def count_unannounced(namespace: str) -> None:
    """Count a message that could not be sent, each time that it is tried."""
    _emit(namespace, "Unannounced", {})


def count_readiness(
    namespace: str,
    key: ServiceKey,
    *,
    ready: bool,
) -> None:
    """Say whether a service could be rolled back now.

    A name that a person mistyped is of no cluster, and of no protected service.
    """
    if not key.cluster:
        return
    _emit(
        namespace,
        "RollbackReady",
        {"cluster": key.cluster, "service": key.service},
        value=int(ready),
    )


def _dimensions(result: Result) -> dict[str, str]:
    """The cluster and the service, where a result names them."""
    named = {"cluster": result.cluster, "service": result.service}
    return {dimension: value for dimension, value in named.items() if value}


def _elapsed(name: str, result: Result) -> dict[str, float]:
    """How long a rollback or a recovery took, where that is known."""
    if name == "Rollback" and result.time_to_rollback_seconds is not None:
        return {"TimeToRollback": float(result.time_to_rollback_seconds)}
    if name == "Recovered" and result.time_to_recover_seconds is not None:
        return {"TimeToRecover": float(result.time_to_recover_seconds)}
    return {}


def _name_of(result: Result) -> str | None:
    if result.incident_state in _BY_STATE:
        return _BY_STATE[result.incident_state]
    return _BY_OUTCOME.get(result.outcome)


def _emit(
    namespace: str,
    name: str,
    dimensions: Mapping[str, str],
    seconds: Mapping[str, float] | None = None,
    value: int = 1,
) -> None:
    metrics = Metrics(namespace=namespace)
    for dimension, text in dimensions.items():
        metrics.add_dimension(dimension, text)
    metrics.add_metric(name, MetricUnit.Count, value)
    for time, elapsed in (seconds or {}).items():
        metrics.add_metric(time, MetricUnit.Seconds, elapsed)
    metrics.flush_metrics()
