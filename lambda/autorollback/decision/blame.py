"""Is the newest deployment to blame? The rules of judgement, each a function of the facts alone.

A rule answers `Passed`, or the verdict that it speaks: the first that speaks, wins (see `decide`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.decision import stability
from autorollback.decision.model import (
    Alarm,
    Controller,
    Deployment,
    Facts,
    Hold,
    Ignore,
    PastRollback,
    Reason,
    Revision,
    Status,
    TriggerKind,
)
from autorollback.decision.words import clock, span
from autorollback.policy import Mode, Policy

SHARED_CAUSE_SPAN = timedelta(minutes=10)
CLOCK_SKEW = timedelta(seconds=5)
"""How far the times of two machines may stand apart for the same moment."""

UNHEALTHY_TARGETS = "unhealthy-targets"


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule that was asked and has nothing to object: what it looked at, in words."""

    detail: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The deployment that may be to blame, since when there is trouble, and the alarm that says so, where one does."""

    suspect: Deployment
    onset: datetime
    detail: str
    alarm: Alarm | None = None


def asleep(facts: Facts, policy: Policy, now: datetime) -> Passed | Ignore:
    """Muted, paused or off: nothing is judged."""
    if facts.trigger.muted:
        return Ignore(Reason.MUTED, f"the alarm's actions are muted: {facts.trigger.muted}")
    if policy.mode is Mode.OFF:
        return Ignore(Reason.PAUSED, "the mode of this service is off")
    if facts.memory.paused_until and now < facts.memory.paused_until:
        return Ignore(Reason.PAUSED, f"automatic rollbacks are paused until {clock(facts.memory.paused_until)}")
    return Passed(f"mode {policy.mode}, neither muted nor paused")


def still_true(facts: Facts) -> Passed | Ignore:
    """Events come late, twice and out of order: is the alarm in ALARM now?"""
    if facts.trigger.kind is not TriggerKind.ALARM:
        return Passed(f"an ECS event of {clock(facts.trigger.at)}, no alarm")
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm is None:
        return Ignore(Reason.NO_LONGER_IN_ALARM, f"the alarm {facts.trigger.alarm} does not exist any more")
    if not alarm.in_alarm:
        when = f" since {clock(alarm.since)}" if alarm.since else ""
        return Ignore(Reason.NO_LONGER_IN_ALARM, f"{alarm.signal} is not in ALARM{when}")
    return Passed(f"{alarm.signal} is in ALARM")


def can_be_rolled_back(facts: Facts) -> Passed | Hold:
    """Is there a living service, and a deployment controller that this one understands?"""
    service = facts.service
    if service is None:
        return Hold(Reason.SERVICE_INACTIVE, "ECS knows no such service in this cluster")
    if not service.active:
        return Hold(Reason.SERVICE_INACTIVE, f"the service is {service.status}")
    if service.desired == 0:
        return Hold(Reason.SERVICE_INACTIVE, "the service is scaled to zero")
    if service.controller is not Controller.ECS:
        return Hold(
            Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER,
            f"the service's deployment controller is {service.controller}; ECS is supported",
        )
    return Passed(f"ACTIVE, {service.running} of {service.desired} tasks run")


def not_handled(facts: Facts, policy: Policy, now: datetime) -> Passed | Hold | Ignore:
    """Is somebody already on it: this controller, a person, or ECS itself?"""
    if facts.trigger.kind is TriggerKind.DEPLOYMENT_FAILED and facts.service and facts.service.rolls_back_by_itself:
        return Ignore(
            Reason.HANDLED_BY_ECS, "the service's circuit breaker or deployment alarms are set to roll it back"
        )
    newest = newest_deployment(facts)
    if newest is None:
        return Passed("no deployment on record")
    past = rollback_behind(newest, facts)
    if past and past.pins and now < newest.start + policy.window:
        until = clock(newest.start + policy.window)
        return Hold(
            Reason.PINNED_BY_HUMAN, f"a person rolled back to {past.to_task_definition}: theirs until {until}", newest
        )
    if past and past.is_open:
        return Ignore(
            Reason.ALREADY_HANDLED,
            f"the newest deployment is the rollback to {past.to_task_definition}, and its recovery is being watched",
        )
    return Passed("no rollback is being watched")


def find_suspect(facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold:
    """The newest service deployment that changed what runs, if it is recent enough to be suspect."""
    onset = trouble_began(facts)
    for index, deployment in enumerate(facts.deployments):
        target, source = facts.revision(deployment.target), running_before(facts, index)
        if target is None or target.identity is None:
            return Hold(
                Reason.NO_RECENT_DEPLOYMENT,
                f"what the deployment of {clock(deployment.start)} brought could not be described, so nothing can be said of it",
                deployment,
            )
        if is_rollback(deployment, target, source, facts, policy, now):
            return Hold(Reason.DEPLOYMENT_IS_A_ROLLBACK, _told_as_rollback(deployment, target), deployment)
        if source is None or source.identity != target.identity:
            return _within_window(deployment, target, onset, policy)
        if held := _same_content(deployment, target, source, onset, facts, policy, now):
            return held
    return Hold(Reason.NO_RECENT_DEPLOYMENT, "no deployment on record changed what runs")


def convict(suspicion: Suspicion, facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold:
    """Did the trouble start after the deployment? The alarm that fired is asked first, then the service's other red ones."""
    fired = facts.alarm(facts.trigger.alarm)
    others = sorted((a for a in facts.alarms if a.in_alarm and a is not fired), key=lambda a: a.name)
    first_refusal: Hold | None = None
    for alarm in ([fired] if fired else []) + others:
        answer = _convict_by(alarm, suspicion.suspect, facts, policy, now)
        if isinstance(answer, Suspicion):
            return answer
        first_refusal = first_refusal or answer
    return first_refusal or Hold(
        Reason.ALARM_PREDATES_DEPLOYMENT, "no datapoint says when the trouble began", suspicion.suspect
    )


def still_serving(suspicion: Suspicion, facts: Facts) -> Passed | Hold:
    """Tasks that cannot start while half of the desired ones serve: a registry or capacity outage looks the same."""
    service, suspect = facts.service, suspicion.suspect
    if facts.trigger.kind is not TriggerKind.TASKS_CANNOT_START or service is None or suspect.status.in_progress:
        return Passed("the deployment is not a finished one whose tasks stopped starting")
    serving = service.healthy if service.behind_load_balancer else service.running
    if serving is None:
        return Hold(Reason.STILL_SERVING, "how many targets are healthy could not be read", suspect)
    if serving * 2 >= service.desired:
        return Hold(Reason.STILL_SERVING, f"{serving} of {service.desired} desired tasks still serve", suspect)
    return Passed(f"only {serving} of {service.desired} desired tasks serve")


def calm_before(suspicion: Suspicion, policy: Policy) -> Passed | Hold:
    """An alarm that came and went before the deployment proves nothing by coming again."""
    alarm, suspect = suspicion.alarm, suspicion.suspect
    if alarm is None:
        return Passed("an ECS event, no alarm")
    if alarm.spells is None:
        return Hold(Reason.ALARM_IS_FLAPPING, f"the history of {alarm.signal} could not be read", suspect)
    before = [s for s in alarm.spells if suspect.start - timedelta(hours=24) <= s.since < suspect.start]
    detail = f"{alarm.signal} went to ALARM {len(before)} times in the 24 h before the deployment, {policy.flap_limit} are allowed"
    return Hold(Reason.ALARM_IS_FLAPPING, detail, suspect) if len(before) > policy.flap_limit else Passed(detail)


def not_shared(suspicion: Suspicion, facts: Facts, policy: Policy) -> Passed | Hold:
    """Are services that did not change in trouble too, and were so before this one?"""
    onset, suspect = suspicion.onset, suspicion.suspect
    needed = services_for_shared_cause(facts.protected_services, policy)
    long_done = suspect.finished_at is not None and onset - suspect.finished_at > SHARED_CAUSE_SPAN
    latest = onset + SHARED_CAUSE_SPAN if long_done else onset
    ill = sorted(
        {
            str(n.key)
            for n in facts.neighbours
            if not n.changed
            and onset - SHARED_CAUSE_SPAN <= n.onset
            and (n.onset < onset or (long_done and n.onset <= latest))
        }
    )
    detail = f"{len(ill)} other services that were not deployed fell ill within 10 min before this one; {needed} speak for a shared cause"
    if len(ill) >= needed:
        return Hold(Reason.SHARED_CAUSE, f"{detail}: {', '.join(ill[:5])}", suspect)
    return Passed(detail)


def services_for_shared_cause(protected_services: int, policy: Policy) -> int:
    """How many other services must be in trouble: in a small fleet half of the others, but at least two."""
    return min(policy.shared_cause_services, max(2, -(-(protected_services - 1) // 2)))


def reversible(suspicion: Suspicion, facts: Facts, between: Sequence[Revision] = ()) -> Passed | Hold:
    """A change that old code cannot live with is for a person to undo."""
    suspect = facts.revision(suspicion.suspect.target)
    if facts.service and facts.service.irreversible:
        return Hold(Reason.IRREVERSIBLE_CHANGE, "the service has the tag auto-rollback:irreversible", suspicion.suspect)
    for revision in (suspect, *between):
        if revision is None or revision.identity is None:
            what = revision.task_definition if revision else "what the deployment brought"
            detail = f"the tags of {what} could not be read, and one of them may be auto-rollback:irreversible"
            return Hold(Reason.IRREVERSIBLE_CHANGE, detail, suspicion.suspect)
        if revision.irreversible:
            detail = f"{revision.task_definition} has the tag auto-rollback:irreversible"
            return Hold(Reason.IRREVERSIBLE_CHANGE, detail, suspicion.suspect)
    return Passed("no tag auto-rollback:irreversible")


def within_limit(facts: Facts, policy: Policy, now: datetime, suspect: Deployment) -> Passed | Hold:
    """A service that is rolled back again and again needs a person."""
    recent = [r for r in facts.memory.rollbacks if r.automatic and now - r.at < timedelta(hours=24)]
    detail = f"{len(recent)} automatic rollbacks in the last 24 h, {policy.max_rollbacks_per_day} are allowed"
    return (
        Hold(Reason.ROLLBACK_LIMIT_REACHED, detail, suspect)
        if len(recent) >= policy.max_rollbacks_per_day
        else Passed(detail)
    )


def newest_deployment(facts: Facts) -> Deployment | None:
    """The service's newest deployment."""
    return facts.deployments[0] if facts.deployments else None


def trouble_began(facts: Facts) -> datetime:
    """The onset that the trigger speaks of; of an ECS event, its time."""
    alarm = facts.alarm(facts.trigger.alarm)
    return alarm.onset if alarm and alarm.onset else facts.trigger.at


def rollback_behind(deployment: Deployment, facts: Facts) -> PastRollback | None:
    """The rollback in the ledger that a service deployment carried out."""
    target = facts.revision(deployment.target)
    deployed = target.task_definition_arn if target else None
    return next((r for r in facts.memory.rollbacks if carries_out(deployment, deployed, r)), None)


def carries_out(deployment: Deployment, deployed: str | None, rollback: PastRollback) -> bool:
    """Whether a deployment of a task definition is what a rollback started: UpdateService does not name the deployment."""
    if rollback.deployment is not None:
        return rollback.deployment == deployment.arn
    return rollback.deployed == deployed and deployment.created_at >= rollback.at - CLOCK_SKEW


def running_before(facts: Facts, index: int) -> Revision | None:
    """What ran when a deployment started: its source revision, else what the deployment before it left."""
    deployment = facts.deployments[index]
    for arn in deployment.sources:
        if revision := facts.revision(arn):
            return revision
    older = next((d for d in facts.deployments[index + 1 :] if d.leaves), None)
    return facts.revision(older.leaves) if older else None


def is_rollback(
    deployment: Deployment, target: Revision, source: Revision | None, facts: Facts, policy: Policy, now: datetime
) -> bool:
    """Whether a deployment went back: by ECS, by this controller, or by a person to what had been stable here before."""
    if deployment.status.is_rollback or rollback_behind(deployment, facts):
        return True
    changed = source is not None and target.identity is not None and source.identity != target.identity
    return changed and stability.was_stable(facts, policy, now, target.identity or "", deployment.start) is not None


def _told_as_rollback(deployment: Deployment, target: Revision) -> str:
    if deployment.status.is_rollback:
        return (
            f"ECS has rolled back, or is rolling back, the deployment of {target.task_definition} ({deployment.status})"
        )
    return f"the newest deployment, of {clock(deployment.start)}, is itself a rollback, to {target.task_definition}"


def _within_window(deployment: Deployment, target: Revision, onset: datetime, policy: Policy) -> Suspicion | Hold:
    what = f"the deployment of {target.task_definition}"
    if deployment.status.in_progress:
        return Suspicion(deployment, onset, f"{what} is in progress since {clock(deployment.start)}")
    finished = deployment.finished_at or deployment.start
    if onset - finished > policy.window:
        detail = f"{what} finished {span(onset - finished)} before the trouble began; suspect are {policy.window_minutes} min"
        return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, deployment)
    when = f"{span(onset - finished)} before" if onset >= finished else f"{span(finished - onset)} after"
    return Suspicion(deployment, onset, f"{what} finished {when} the trouble began")


def _same_content(
    deployment: Deployment,
    target: Revision,
    source: Revision,
    onset: datetime,
    facts: Facts,
    policy: Policy,
    now: datetime,
) -> Hold | None:
    finished = deployment.finished_at or deployment.start
    if onset < deployment.start or onset - finished > policy.window:
        return None
    changed = sorted(
        name for name in {*source.settings, *target.settings} if source.settings.get(name) != target.settings.get(name)
    )
    if changed:
        detail = (
            f"the deployment of {clock(deployment.start)} changed only settings of the service: {', '.join(changed)}"
        )
        return Hold(Reason.ONLY_SETTINGS_CHANGED, detail, deployment)
    if stability.was_stable(facts, policy, now, source.identity or "", deployment.start):
        detail = (
            f"the deployment of {clock(deployment.start)} restarted what had been stable before: nothing that a rollback "
            "restores has changed; look at secrets, parameters and what the service depends on"
        )
        return Hold(Reason.ONLY_SETTINGS_CHANGED, detail, deployment)
    return None


def _convict_by(alarm: Alarm, suspect: Deployment, facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold:
    if alarm.onset is None:
        return Hold(Reason.ALARM_PREDATES_DEPLOYMENT, f"when {alarm.signal} began is not known", suspect)
    if slow := _slow_start(alarm, suspect, facts, now):
        return slow
    if _predates(alarm, suspect):
        return _convict_chain(alarm, suspect, facts, policy, now)
    if not suspect.status.in_progress and alarm.onset - (suspect.finished_at or suspect.start) > policy.window:
        return Hold(Reason.NO_RECENT_DEPLOYMENT, f"{alarm.signal} began long after the deployment", suspect)
    return Suspicion(suspect, alarm.onset, _since(alarm, suspect), alarm)


def _predates(alarm: Alarm, deployment: Deployment) -> bool:
    if alarm.onset is None:
        return True
    already_red = alarm.since is not None and alarm.since <= deployment.start
    return already_red or alarm.onset + alarm.period <= deployment.start


def _since(alarm: Alarm, deployment: Deployment) -> str:
    if alarm.onset is None or alarm.onset < deployment.start:
        return f"{alarm.signal} fired in the minute of the deployment"
    return f"{alarm.signal} fired {span(alarm.onset - deployment.start)} after the deployment"


def _slow_start(alarm: Alarm, suspect: Deployment, facts: Facts, now: datetime) -> Hold | None:
    if alarm.signal != UNHEALTHY_TARGETS or _predates(alarm, suspect):
        return None
    if suspect.status.in_progress:
        healthy = facts.service.healthy if facts.service else None
        if healthy == 0:
            return None
        return Hold(
            Reason.SLOW_START,
            f"the deployment is in progress and {'some' if healthy is None else healthy} targets are healthy: tasks that start slowly are not failing",
            suspect,
        )
    finished = suspect.finished_at or suspect.start
    if (alarm.last_breach and alarm.last_breach >= finished) or now >= finished + alarm.evaluation_range:
        return None
    return Hold(
        Reason.SLOW_START,
        f"{alarm.signal} has no breaching datapoint since the deployment finished at {clock(finished)}",
        suspect,
    )


def _convict_chain(alarm: Alarm, suspect: Deployment, facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold:
    """The trouble began before the newest deployment: is an earlier one to blame, that was replaced before it had proven itself?"""
    predates = Hold(
        Reason.ALARM_PREDATES_DEPLOYMENT,
        f"{alarm.signal} was in trouble {_before(alarm, suspect)} before the deployment started",
        suspect,
    )
    start = next((i for i, d in enumerate(facts.deployments) if d.arn == suspect.arn), None)
    if start is None or alarm.onset is None:
        return predates
    for index in range(start + 1, len(facts.deployments)):
        earlier, replaced_at = facts.deployments[index], facts.deployments[index - 1].start
        target, source = facts.revision(earlier.target), running_before(facts, index)
        if target is None or target.identity is None or source is None:
            return predates
        if is_rollback(earlier, target, source, facts, policy, now):
            return predates
        proven = (
            earlier.status is Status.SUCCESSFUL
            and replaced_at - (earlier.finished_at or earlier.start) >= policy.stable_after
        )
        if proven:
            return predates
        if source.identity != target.identity and not _predates(alarm, earlier):
            detail = (
                f"{_since(alarm, earlier)} of {target.task_definition}, which was replaced before it had proven itself"
            )
            return Suspicion(earlier, alarm.onset, detail, alarm)
    return predates


def _before(alarm: Alarm, deployment: Deployment) -> str:
    began = min(alarm.onset or deployment.start, alarm.since or deployment.start)
    return span(deployment.start - began)
