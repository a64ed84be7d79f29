"""Which deployment followed on which, and which one carried out a rollback of the ledger?"""

from datetime import timedelta

from autorollback.decision.facts import Deployment, Facts, PastRollback, Revision, Status

CLOCK_SKEW = timedelta(seconds=60)
"""How far AWS's clock and the function's may stand apart: nothing is concluded from less."""

SAME_MOMENT = timedelta(seconds=5)
"""How far two times that AWS itself gave may stand apart for the same moment."""


def running_before(facts: Facts, index: int) -> Revision | None:
    """What ran when a deployment started.

    That is its source revision, else what the one before it left. Of several sources it is the one
    that was not itself still being deployed. None where it could not be described, or where nothing
    ran: the first deployment of a service has neither.
    """
    sources = facts.deployments[index].sources
    if not sources:
        return facts.revision(_left_before(facts, index))

    unfinished = _unfinished_target(facts, index)
    settled = [arn for arn in sources if arn != unfinished]
    return facts.revision(min(settled or sources))


def running_now(facts: Facts) -> Revision | None:
    """What the newest deployment left or is bringing; None where that was not described."""
    newest = facts.newest
    return facts.revision(newest.leaves or newest.target) if newest else None


def something_ran_before(facts: Facts, index: int) -> bool:
    """Whether a deployment replaced anything, described or not."""
    if facts.deployments[index].sources:
        return True
    return _left_before(facts, index) is not None


def rollback_behind(deployment: Deployment, facts: Facts) -> PastRollback | None:
    """The rollback in the ledger that a service deployment carried out."""
    newest_first = sorted(facts.ledger.rollbacks, key=lambda r: (r.at, r.incident_id), reverse=True)
    for rollback in newest_first:
        if deployment_of(rollback, facts) == deployment:
            return rollback
    return None


def is_rollback(deployment: Deployment, facts: Facts) -> bool:
    """Whether ECS rolls a deployment back, or it carries out a rollback of this controller."""
    return deployment.status.is_rollback or rollback_behind(deployment, facts) is not None


def deployment_of(rollback: PastRollback, facts: Facts) -> Deployment | None:
    """The service deployment that carried a rollback out: the first that fits.

    A later one of the same revision is another's, and so is one that was there when it was claimed.
    """
    oldest_first = reversed(_since_claim(rollback, facts))
    for deployment in oldest_first:
        target = facts.revision(deployment.target)
        deployed = target.task_definition_arn if target else None
        if carries_out(deployment, deployed, rollback):
            return deployment
    return None


def _since_claim(rollback: PastRollback, facts: Facts) -> tuple[Deployment, ...]:
    """The deployments that may carry a rollback out, newest first.

    By their order, which AWS's own times give; all where what was claimed is not among them, or was itself stopped.
    """
    arns = [deployment.arn for deployment in facts.deployments]
    if rollback.over in (None, rollback.deployment) or rollback.over not in arns:
        return facts.deployments
    return facts.deployments[: arns.index(rollback.over)]


def carries_out(
    deployment: Deployment,
    deployed: str | None,
    rollback: PastRollback,
) -> bool:
    """Whether a deployment of a task definition is what a rollback started.

    UpdateService does not name the deployment that it begins: until that is known, the definition
    and the time tell it.
    """
    if rollback.deployment is not None:
        return rollback.deployment == deployment.arn
    begun_since = deployment.created_at >= rollback.at - CLOCK_SKEW
    return rollback.deployed == deployed and begun_since


def _left_before(facts: Facts, index: int) -> str | None:
    """The service revision that the deployments before one left running."""
    for older in facts.deployments[index + 1 :]:
        if older.leaves:
            return older.leaves
    return None


def _unfinished_target(facts: Facts, index: int) -> str | None:
    """What the deployment before one was bringing, where it did not succeed."""
    for older in facts.deployments[index + 1 : index + 2]:
        if older.status is not Status.SUCCESSFUL:
            return older.target
    return None
