"""Tasks that cannot start convict nobody while half of the desired ones serve.

A registry or capacity outage looks the same.
"""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Service, Status, TriggerKind
from autorollback.decision.verdicts import Hold, Reason


def _ask(case: Case) -> Passed | Hold:
    service, suspect = case.facts.service, case.blamed.suspect
    is_about_tasks = case.facts.trigger.kind is TriggerKind.TASKS_CANNOT_START
    has_completed = suspect.status is Status.SUCCESSFUL
    if not is_about_tasks or service is None or not has_completed:
        return Passed("the deployment is not a completed one whose tasks stopped starting")
    serving = _serving(service)
    if serving is None:
        detail = "how many targets are healthy could not be read"
        return Hold(Reason.STILL_SERVING, detail, suspect)
    if serving * 2 >= service.desired:
        detail = f"{serving} of {service.desired} desired tasks still serve"
        return Hold(Reason.STILL_SERVING, detail, suspect)
    return Passed(f"only {serving} of {service.desired} desired tasks serve")


def _serving(service: Service) -> int | None:
    """Its tasks that run; behind a load balancer those that are healthy, None where that was not read.

    What lingers of the deployments before does not count (DeploymentEarlySuccessCriteria, botocore ecs/2014-11-13).
    """
    running = service.primary.running if service.primary else service.running
    if not service.behind_load_balancer:
        return running
    return None if service.healthy is None else min(running, service.healthy)


RULE = Rule("still_serving", _ask)
