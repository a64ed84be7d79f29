"""Rule 2: is there a living service, and a deployment controller that this one understands?"""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Controller, Facts
from autorollback.decision.verdicts import Hold, Reason


def can_be_rolled_back(facts: Facts) -> Passed | Hold:
    """Whether anything can be rolled back as the service is now; readiness asks this too."""
    service = facts.service
    if service is None:
        return Hold(Reason.SERVICE_INACTIVE, "ECS knows no such service in this cluster")
    if not service.active:
        return Hold(Reason.SERVICE_INACTIVE, f"the service is {service.status}")
    if service.desired == 0:
        return Hold(Reason.SERVICE_INACTIVE, "the service is scaled to zero")
    if service.controller is Controller.EXTERNAL:
        supported = "ECS and CODE_DEPLOY are supported"
        detail = f"the service's deployment controller is EXTERNAL; {supported}"
        return Hold(Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER, detail)
    if service.out_of_reach is not None:
        return Hold(Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER, service.out_of_reach)
    return Passed(f"ACTIVE, {service.running} of {service.desired} tasks run")


def _ask(case: Case) -> Passed | Hold:
    return can_be_rolled_back(case.facts)


RULE = Rule("service_inactive", _ask)
