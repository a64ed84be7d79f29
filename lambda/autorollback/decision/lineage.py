"""Which deployment followed on which: what ran before one, and which rollback of the ledger one carried out."""

from datetime import timedelta

from autorollback.decision.model import Deployment, Facts, PastRollback, Revision, Status

CLOCK_SKEW = timedelta(seconds=5)
"""How far the times of two machines may stand apart for the same moment."""


def running_before(facts: Facts, index: int) -> Revision | None:
    """What ran when a deployment started: its source revision, else what the deployment before it left.

    Of several sources the one that was not itself still being deployed. None where it could not be described, or where
    nothing ran: the first deployment of a service has neither.
    """
    deployment, older = facts.deployments[index], facts.deployments[index + 1 :]
    unfinished = {d.target for d in older[:1] if d.status is not Status.SUCCESSFUL}
    if deployment.sources:
        return facts.revision(min(deployment.sources, key=lambda arn: (arn in unfinished, arn)))
    left = next((d.leaves for d in older if d.leaves), None)
    return facts.revision(left)


def something_ran_before(facts: Facts, index: int) -> bool:
    """Whether a deployment replaced anything, described or not."""
    return bool(facts.deployments[index].sources) or any(d.leaves for d in facts.deployments[index + 1 :])


def rollback_behind(deployment: Deployment, facts: Facts) -> PastRollback | None:
    """The rollback in the ledger that a service deployment carried out."""
    newest_first = sorted(facts.memory.rollbacks, key=lambda r: (r.at, r.incident_id), reverse=True)
    return next((r for r in newest_first if deployment_of(r, facts) == deployment), None)


def deployment_of(rollback: PastRollback, facts: Facts) -> Deployment | None:
    """The service deployment that carried a rollback out: the first that fits, a later one of the same revision is another's."""
    oldest_first = reversed(facts.deployments)
    return next((d for d in oldest_first if carries_out(d, _deployed(d, facts), rollback)), None)


def carries_out(deployment: Deployment, deployed: str | None, rollback: PastRollback) -> bool:
    """Whether a deployment of a task definition is what a rollback started: UpdateService does not name the deployment."""
    if rollback.deployment is not None:
        return rollback.deployment == deployment.arn
    return rollback.deployed == deployed and deployment.created_at >= rollback.at - CLOCK_SKEW


def _deployed(deployment: Deployment, facts: Facts) -> str | None:
    target = facts.revision(deployment.target)
    return target.task_definition_arn if target else None
