"""Is a deployment recent enough to be to blame for trouble?"""

from datetime import datetime

from autorollback.decision.case import Suspicion
from autorollback.decision.facts import Deployment, Facts
from autorollback.decision.formatting import clock, span
from autorollback.decision.verdicts import Hold, Reason
from autorollback.policy import Policy


def within_window(
    deployment: Deployment,
    facts: Facts,
    onset: datetime,
    policy: Policy,
) -> Suspicion | Hold:
    """A suspicion against a deployment in progress or just finished.

    A hold against an older one.
    """
    what = f"the deployment of {_name(deployment, facts)}"
    if deployment.status.in_progress:
        detail = f"{what} is in progress since {clock(deployment.start)}"
        return Suspicion(deployment, onset, detail)

    finished = deployment.finished_at or deployment.start
    since_then = onset - finished
    if since_then > policy.window:
        outside = f"outside the {policy.window_minutes} min window"
        detail = f"{what} finished {span(since_then)} before the trouble, {outside}"
        return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, deployment)
    order = "before" if onset >= finished else "after"
    detail = f"{what} finished {span(since_then)} {order} the trouble began"
    return Suspicion(deployment, onset, detail)


def _name(deployment: Deployment, facts: Facts) -> str:
    target = facts.revision(deployment.target)
    return target.task_definition if target else clock(deployment.start)
