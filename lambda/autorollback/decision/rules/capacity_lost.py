"""Tasks that are missing because their capacity was taken away convict nobody."""

from datetime import datetime, timedelta

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Deployment, Facts, Service
from autorollback.decision.stopped_tasks import StopCause, stops_since
from autorollback.decision.verdicts import Hold, Reason

BEFORE_ONSET = timedelta(minutes=10)
"""How long before the trouble began tasks may have stopped to explain it."""

KEPT = timedelta(hours=1)
"""How long DescribeTasks tells of stopped tasks, at least (botocore ecs/2014-11-13)."""


def capacity_lost(
    suspect: Deployment,
    onset: datetime,
    facts: Facts,
    now: datetime,
) -> Hold | None:
    """The hold where more tasks were taken away than failed.

    They must be as many as are missing. None where they are not, or where nothing is known of what stopped.
    """
    service = facts.service
    if service is None or now - onset > KEPT:
        return None
    causes = stops_since(onset - BEFORE_ONSET, suspect, facts)
    taken = causes.count(StopCause.TAKEN_AWAY)
    failed = causes.count(StopCause.FAILED)
    missing = service.desired - _serving(service)
    if taken <= failed or taken < missing:
        return None
    detail = f"the capacity of {taken} tasks was taken away, {failed} failed, {missing} are missing"
    return Hold(Reason.CAPACITY_LOST, detail, suspect)


def _serving(service: Service) -> int:
    """Tasks that run, and behind a load balancer are healthy where that was read."""
    if service.healthy is None:
        return service.running
    return min(service.running, service.healthy)


def _ask(case: Case) -> Passed | Hold:
    blamed = case.blamed
    hold = capacity_lost(
        blamed.suspect,
        blamed.onset,
        case.facts,
        case.now,
    )
    return hold or Passed("no more tasks were taken away than failed or are missing")


RULE = Rule("capacity_lost", _ask)
