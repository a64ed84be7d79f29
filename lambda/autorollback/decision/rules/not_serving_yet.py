"""A deployment convicts by alarms only once production traffic reaches what it brought."""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Deployment, Facts, Service, Status
from autorollback.decision.verdicts import Hold, Reason

_REACHED = frozenset({"POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"})
"""Stages before which, where no weight is told, nobody can say that traffic was shifted.

For linear and canary deployments PRODUCTION_TRAFFIC_SHIFT is at every step (botocore ecs/2014-11-13,
ServiceDeploymentLifecycleStage).
"""


def not_serving_yet(suspect: Deployment, facts: Facts) -> str | None:
    """Why no user can have reached what a deployment brought, in words.

    None where some may have.
    """
    if suspect.status is Status.SUCCESSFUL:
        return None
    if suspect.traffic.strategy.shifts:
        return _unshifted(suspect)
    is_newest = facts.newest is not None and facts.newest.arn == suspect.arn
    if facts.service is None or not is_newest:
        return None
    return _runs_no_task(facts.service)


def _unshifted(suspect: Deployment) -> str | None:
    traffic = suspect.traffic
    at_stage = f" (stage {traffic.stage})" if traffic.stage else ""
    if traffic.weight is not None:
        if traffic.weight > 0:
            return None
        return f"0% of production traffic reaches what it brought{at_stage}"
    if traffic.stage in _REACHED:
        return None
    return f"nothing says that production traffic reaches what it brought{at_stage}"


def _runs_no_task(service: Service) -> str | None:
    """Of a rolling deployment: as long as those before it run the desired count, it has taken nothing away."""
    primary = service.primary
    if primary is None or primary.running > 0:
        return None
    before = sum(one.running for one in service.deployments if not one.primary)
    if before < service.desired:
        return None
    return f"none of its tasks runs yet, and {before} of the deployments before do"


def _ask(case: Case) -> Passed | Hold:
    suspect = case.blamed.suspect
    if case.blamed.known_bad:
        return Passed("a build that was rolled back from before needs no traffic to be known")
    why = not_serving_yet(suspect, case.facts)
    if why is None:
        return Passed("users may have reached what the deployment brought")
    return Hold(Reason.NOT_SERVING_YET, why, suspect)


RULE = Rule("not_serving_yet", _ask)
