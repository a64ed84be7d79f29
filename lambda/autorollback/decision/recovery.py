"""Did the rollback help? Pure, like the judgement."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from autorollback.decision import lineage
from autorollback.decision.formatting import clock, span
from autorollback.decision.model import Alarm, Deployment, Facts, PastRollback, Status
from autorollback.policy import Policy

DATAPOINTS_COME_AFTER = timedelta(minutes=2)
"""How long after its end a minute's datapoint has been evaluated, at the latest that is usual."""

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
    """Where a rollback stands, in words.

    Attributes:
        look_again: when to ask again, while it is open.
        calm_since: since when all is well, where it is.
    """

    progress: Progress
    detail: str
    look_again: datetime | None = None
    calm_since: datetime | None = None


def assess(rollback: PastRollback, facts: Facts, policy: Policy, now: datetime) -> Recovery:
    """Recovered is: the rollback's deployment has finished, no alarm of the service is in ALARM, and a target is healthy."""
    newest = facts.deployments[0] if facts.deployments else None
    begun = lineage.deployment_of(rollback, facts)
    if begun is None:
        if newest and newest.created_at > rollback.at + lineage.CLOCK_SKEW:
            return _superseded(facts)
        return _still_open(rollback, facts, now, "ECS has not shown the rollback's deployment yet", policy)
    if newest and newest != begun:
        if not _brings_the_same(newest, begun, facts):
            return _superseded(facts)
        begun = newest
    if begun.status in (Status.STOPPED, Status.ROLLBACK_FAILED) or (
        begun.status.is_rollback and not _was_stopped_by(rollback, begun)
    ):
        return Recovery(
            Progress.NOT_RECOVERED,
            f"the rollback's own deployment ended {begun.status}; {_running(facts)} runs now; look at the events and stopped tasks of the service",
        )
    if begun.status.in_progress:
        return _still_open(rollback, facts, now, f"the rollback's deployment is {begun.status}", policy)
    return _after_deployment(begun, rollback, facts, policy, now)


def _after_deployment(
    begun: Deployment, rollback: PastRollback, facts: Facts, policy: Policy, now: datetime
) -> Recovery:
    finished = begun.finished_at or begun.start
    red = sorted(alarm.signal for alarm in facts.alarms if alarm.in_alarm)
    healthy = facts.service.healthy if facts.service else None
    if not red and healthy != 0:
        stale = [alarm for alarm in facts.alarms if not _speaks_of_now(alarm, rollback, finished, now)]
        if stale:
            names = ", ".join(sorted(alarm.signal for alarm in stale))
            sure_at = max(_sure_at(alarm, finished) for alarm in stale)
            return Recovery(Progress.OPEN, f"{names} went OK before the rollback's deployment had finished", sure_at)
        targets = "" if healthy is None else f", {healthy} targets are healthy"
        calmed = [alarm.since for alarm in facts.alarms if alarm.since and alarm.since > rollback.at]
        calm_since = max([finished, *calmed])
        return Recovery(
            Progress.RECOVERED,
            f"every alarm is OK{targets}, {span(calm_since - rollback.at)} after the rollback began",
            calm_since=calm_since,
        )
    seen = f"still in ALARM: {', '.join(red)}" if red else "no target is healthy"
    if now < finished + policy.confirm_within:
        return Recovery(Progress.OPEN, seen, finished + policy.confirm_within)
    return Recovery(
        Progress.NOT_RECOVERED,
        f"{seen}, {span(now - finished)} after the rollback's deployment finished at {clock(finished)}; {_running(facts)} runs now; "
        "look at what the service depends on: its secrets, its database, the services it calls",
    )


def _speaks_of_now(alarm: Alarm, rollback: PastRollback, finished: datetime, now: datetime) -> bool:
    """Whether an alarm's OK rests on datapoints of what the rollback brought back.

    One that was calm all through the incident need not: it never missed the trouble. CloudWatch evaluates a calm alarm
    on, without saying so: once its whole range lies after the cut-over, its OK is fresh.
    """
    calm_all_along = alarm.since is None or alarm.since <= rollback.at
    went_ok_after = alarm.since is not None and alarm.since >= finished + alarm.period
    return calm_all_along or went_ok_after or now >= _sure_at(alarm, finished)


def _sure_at(alarm: Alarm, finished: datetime) -> datetime:
    return finished + alarm.evaluation_range + DATAPOINTS_COME_AFTER


def _was_stopped_by(rollback: PastRollback, deployment: Deployment) -> bool:
    """Whether the rollback stopped a deployment that was there before it, so that ECS rolls that one back."""
    return rollback.deployment == deployment.arn and deployment.created_at < rollback.at - lineage.CLOCK_SKEW


def _brings_the_same(newest: Deployment, begun: Deployment, facts: Facts) -> bool:
    """Whether a later deployment only restarts what the rollback brought back."""
    target = facts.revision(newest.target)
    restored = facts.revision(begun.rollback_revision if begun.status.is_rollback else begun.target)
    if target is None or restored is None:
        return False
    same_definition = target.task_definition_arn == restored.task_definition_arn
    return same_definition or (target.identity is not None and target.identity == restored.identity)


def _still_open(rollback: PastRollback, facts: Facts, now: datetime, detail: str, policy: Policy) -> Recovery:
    bake = facts.service.bake if facts.service else timedelta()
    limit = rollback.at + max(UNFINISHED_FOR, bake + timedelta(hours=1))
    if now >= limit:
        took = f"{detail}, {span(now - rollback.at)} after it began"
        look = f"{_running(facts)} runs now; look at the events and stopped tasks of the service"
        return Recovery(Progress.NOT_RECOVERED, f"{took}; {look}")
    return Recovery(Progress.OPEN, detail, min(limit, now + policy.confirm_within))


def _superseded(facts: Facts) -> Recovery:
    return Recovery(Progress.SUPERSEDED, f"another deployment has come since: {_running(facts)}")


def _running(facts: Facts) -> str:
    """What runs now: what the newest deployment left; while one is under way, what the service is set to run."""
    newest = facts.deployments[0] if facts.deployments else None
    if revision := facts.revision(newest.leaves if newest else None):
        return revision.task_definition
    return facts.service.task_definition.rpartition("/")[2] if facts.service else "nothing: the service is gone"
