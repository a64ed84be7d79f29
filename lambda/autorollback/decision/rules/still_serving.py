"""Tasks that cannot start convict nobody while half of the desired ones serve.

A registry or capacity outage looks the same.
"""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import TriggerKind
from autorollback.decision.verdicts import Hold, Reason


def _ask(case: Case) -> Passed | Hold:
    service, suspect = case.facts.service, case.blamed.suspect
    is_about_tasks = case.facts.trigger.kind is TriggerKind.TASKS_CANNOT_START
    if not is_about_tasks or service is None or suspect.status.in_progress:
        return Passed("the deployment is not a finished one whose tasks stopped starting")
    serving = service.healthy if service.behind_load_balancer else service.running
    if serving is None:
        detail = "how many targets are healthy could not be read"
        return Hold(Reason.STILL_SERVING, detail, suspect)
    if serving * 2 >= service.desired:
        detail = f"{serving} of {service.desired} desired tasks still serve"
        return Hold(Reason.STILL_SERVING, detail, suspect)
    return Passed(f"only {serving} of {service.desired} desired tasks serve")


RULE = Rule("still_serving", _ask)
