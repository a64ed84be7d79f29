"""Did the rollback help? Pure, like the judgement."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from autorollback.decision import blame
from autorollback.decision.model import Deployment, Facts, PastRollback, Status
from autorollback.decision.words import clock, span
from autorollback.policy import Policy

UNFINISHED_FOR = timedelta(hours=2)
"""A rollback's deployment that has not finished after this long is a person's; a longer bake of its own adds to it."""


class Progress(StrEnum):
    """Where a rollback stands."""

    OPEN = "open"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where a rollback stands, in words, and when to look again while it is open."""

    progress: Progress
    detail: str
    look_again: datetime | None = None


def assess(rollback: PastRollback, facts: Facts, policy: Policy, now: datetime) -> Recovery:
    """Recovered is: the rollback's deployment has finished, and every alarm of the service is calm since it began.

    An alarm that was OK all along must not have missed the trouble: it counts as calm. One that was red must have gone OK
    after the rollback.
    """
    newest = facts.deployments[0] if facts.deployments else None
    begun = next((d for d in facts.deployments if _carries_out(d, facts, rollback)), None)
    if begun is None:
        if newest and newest.created_at > rollback.at + blame.CLOCK_SKEW:
            return _superseded(facts)
        return _still_open(rollback, facts, now, "ECS has not shown the rollback's deployment yet", policy)
    if newest and newest.arn != begun.arn and not _same_identity(facts):
        return _superseded(facts)
    if (
        begun.status is Status.STOPPED
        or (begun.status.is_rollback and rollback.deployment is None)
        or begun.status is Status.ROLLBACK_FAILED
    ):
        return Recovery(
            Progress.NOT_RECOVERED, f"the rollback's own deployment ended {begun.status}; {_running(facts)} runs now"
        )
    if begun.status.in_progress:
        return _still_open(rollback, facts, now, f"the rollback's deployment is {begun.status}", policy)
    finished = begun.finished_at or begun.start
    red = sorted(alarm.signal for alarm in facts.alarms if alarm.in_alarm)
    healthy = facts.service.healthy if facts.service else None
    if not red and healthy != 0:
        targets = "" if healthy is None else f", {healthy} targets are healthy"
        return Recovery(
            Progress.RECOVERED, f"every alarm is OK{targets}, {span(now - rollback.at)} after the rollback began"
        )
    seen = f"still in ALARM: {', '.join(red)}" if red else "no target is healthy"
    if now < finished + policy.confirm_within:
        return Recovery(Progress.OPEN, seen, finished + policy.confirm_within)
    return Recovery(
        Progress.NOT_RECOVERED,
        f"{seen}, {span(now - finished)} after the rollback's deployment finished at {clock(finished)}; {_running(facts)} runs now",
    )


def _carries_out(deployment: Deployment, facts: Facts, rollback: PastRollback) -> bool:
    target = facts.revision(deployment.target)
    return blame.carries_out(deployment, target.task_definition_arn if target else None, rollback)


def _still_open(rollback: PastRollback, facts: Facts, now: datetime, detail: str, policy: Policy) -> Recovery:
    bake = facts.service.bake if facts.service else timedelta()
    limit = rollback.at + max(UNFINISHED_FOR, bake + timedelta(hours=1))
    if now >= limit:
        return Recovery(Progress.NOT_RECOVERED, f"{detail}, {span(now - rollback.at)} after it began")
    return Recovery(Progress.OPEN, detail, min(limit, now + policy.confirm_within))


def _superseded(facts: Facts) -> Recovery:
    return Recovery(Progress.SUPERSEDED, f"another deployment has come since: {_running(facts)}")


def _running(facts: Facts) -> str:
    newest = facts.deployments[0] if facts.deployments else None
    revision = facts.revision(newest.leaves or newest.target) if newest else None
    return revision.task_definition if revision else "an unknown revision"


def _same_identity(facts: Facts) -> bool:
    newest = facts.deployments[0]
    target, source = facts.revision(newest.target), blame.running_before(facts, 0)
    return bool(
        target
        and source
        and (target.identity or target.task_definition_arn) == (source.identity or source.task_definition_arn)
    )
