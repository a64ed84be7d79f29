"""Is the newest deployment to blame? The rules of judgement, each a function of the facts alone.

A rule answers `Passed`, or the verdict that it speaks: the first that speaks, wins (see `decide`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision import stability
from autorollback.decision.facts import (
    Alarm,
    AlarmPeriod,
    Controller,
    Deployment,
    Facts,
    Revision,
    Service,
    Status,
    TriggerKind,
)
from autorollback.decision.formatting import clock, span
from autorollback.decision.lineage import (
    CLOCK_SKEW as CLOCK_SKEW,
)  # re-exported: part of this module's interface
from autorollback.decision.lineage import carries_out as carries_out
from autorollback.decision.lineage import rollback_behind as rollback_behind
from autorollback.decision.lineage import running_before as running_before
from autorollback.decision.lineage import something_ran_before
from autorollback.decision.question import Question
from autorollback.decision.verdicts import Hold, Ignore, Reason
from autorollback.policy import Mode, Policy

SHARED_CAUSE_SPAN = timedelta(minutes=10)
FLAPPING_SPAN = timedelta(hours=24)
SETTLED = timedelta(minutes=1)
"""How long before ECS says that tasks cannot start a deployment must have begun, for that to be said of it."""
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
    if facts.ledger.paused_until and now < facts.ledger.paused_until:
        return Ignore(
            Reason.PAUSED,
            f"automatic rollbacks are paused until {clock(facts.ledger.paused_until)}",
        )
    return Passed(f"mode {policy.mode}, neither muted nor paused")


def still_true(facts: Facts) -> Passed | Ignore:
    """Events come late, twice and out of order: is the alarm in ALARM now, does ECS itself bear its event out?"""
    if facts.trigger.kind is not TriggerKind.ALARM:
        return _borne_out(facts)
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm is None:
        return Ignore(
            Reason.NO_LONGER_IN_ALARM, f"the alarm {facts.trigger.alarm} does not exist any more"
        )
    if not alarm.in_alarm:
        when = f" since {clock(alarm.since)}" if alarm.since else ""
        return Ignore(Reason.NO_LONGER_IN_ALARM, f"{alarm.signal} is not in ALARM{when}")
    return Passed(f"{alarm.signal} is in ALARM")


def _borne_out(facts: Facts) -> Passed | Ignore:
    """An event is a reason to look, and no fact: what ECS says now of the newest deployment is."""
    newest, at = newest_deployment(facts), facts.trigger.at
    if facts.service is None or newest is None:
        return Passed(f"an ECS event of {clock(at)}, no alarm")
    failed = facts.trigger.kind is TriggerKind.DEPLOYMENT_FAILED
    found = (
        _failure_seen(facts, facts.service, newest)
        if failed
        else _failing_tasks_seen(facts, facts.service, newest)
    )
    if found:
        return Passed(f"an ECS event of {clock(at)}, no alarm: {found}")
    what = "a deployment that failed" if failed else "tasks that cannot start"
    detail = f"the event of {clock(at)} speaks of {what}, and ECS does not say so of the deployment of {clock(newest.start)}"
    return Ignore(Reason.SUPERSEDED, detail)


def _failure_seen(facts: Facts, service: Service, newest: Deployment) -> str | None:
    """By what ECS bears a failed deployment out, if it does. CodeDeploy's are none of its own."""
    primary, named = service.primary, facts.trigger.deployment
    if primary and named == primary.id and primary.rollout == "FAILED":
        return f"{named} is the service's deployment, and has failed"
    gave_up = newest.status in (Status.STOPPED, Status.ROLLBACK_FAILED) or newest.status.is_rollback
    if (
        service.controller is Controller.ECS
        and gave_up
        and newest.start <= facts.trigger.at + CLOCK_SKEW
    ):
        return f"the newest deployment is {newest.status}"
    return None


def _failing_tasks_seen(facts: Facts, service: Service, newest: Deployment) -> str | None:
    """By what ECS bears out that the newest deployment's own tasks fail, if it does.

    Once a task of a deployment has run well, ECS counts failures no more (`failedTasks`, botocore ecs/2014-11-13): of one
    that has completed, tasks that are missing say it. Of task sets ECS counts neither.
    """
    if newest.status.is_rollback:
        return f"the newest deployment is {newest.status}"
    if facts.trigger.at - newest.start < SETTLED:
        return None
    primary = service.primary
    if primary is None:
        return None
    if primary.failed_tasks:
        return f"{primary.failed_tasks} tasks of its deployment failed"
    if newest.status is Status.SUCCESSFUL and primary.running < service.desired:
        return f"{primary.running} of {service.desired} tasks of its deployment run"
    return None


def can_be_rolled_back(facts: Facts) -> Passed | Hold:
    """Is there a living service, and a deployment controller that this one understands?"""
    service = facts.service
    if service is None:
        return Hold(Reason.SERVICE_INACTIVE, "ECS knows no such service in this cluster")
    if not service.active:
        return Hold(Reason.SERVICE_INACTIVE, f"the service is {service.status}")
    if service.desired == 0:
        return Hold(Reason.SERVICE_INACTIVE, "the service is scaled to zero")
    if service.controller is Controller.EXTERNAL:
        detail = (
            "the service's deployment controller is EXTERNAL; ECS and CODE_DEPLOY are supported"
        )
        return Hold(Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER, detail)
    if service.out_of_reach is not None:
        return Hold(Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER, service.out_of_reach)
    return Passed(f"ACTIVE, {service.running} of {service.desired} tasks run")


def left_to_ecs(facts: Facts) -> Passed | Ignore:
    """A deployment that failed is ECS's to roll back, where the service is set so, until it has had its time."""
    if facts.trigger.kind is not TriggerKind.DEPLOYMENT_FAILED or facts.trigger.overdue:
        return Passed("no failed deployment that ECS itself rolls back")
    newest = newest_deployment(facts)
    if newest and newest.status.is_rollback:
        return Ignore(
            Reason.HANDLED_BY_ECS,
            f"ECS has rolled it back, or is rolling it back ({newest.status})",
        )
    if facts.service and facts.service.rolls_back_by_itself:
        return Ignore(
            Reason.HANDLED_BY_ECS,
            "the service's circuit breaker or deployment alarms are set to roll it back",
        )
    return Passed("no failed deployment that ECS itself rolls back")


def not_handled(facts: Facts, policy: Policy, now: datetime) -> Passed | Hold | Ignore:
    """Is somebody already on it: this controller, or a person? A restart since then changes nothing about that."""
    newest = _newest_but_restarts(facts)
    past = rollback_behind(newest, facts) if newest else None
    if newest is None or past is None:
        return Passed("the newest deployment is no rollback of this controller")
    pinned_until = max(newest.start, past.at) + policy.window
    if past.pins and now < pinned_until:
        detail = (
            f"a person rolled back to {past.to_task_definition}: theirs until {clock(pinned_until)}"
        )
        return Hold(Reason.PINNED_BY_HUMAN, detail, newest)
    if past.is_open:
        return Ignore(
            Reason.ALREADY_HANDLED,
            f"the newest deployment is the rollback to {past.to_task_definition}, and its recovery is being watched",
        )
    return Passed(f"the rollback to {past.to_task_definition} is not being watched any more")


def find_suspect(facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold | Ignore:
    """The newest service deployment that changed what runs, if it is recent enough to be suspect."""
    onset = trouble_began(facts)
    for index, deployment in enumerate(facts.deployments):
        suspicion = _within_window(deployment, facts, onset, policy)
        if isinstance(suspicion, Hold):
            return suspicion
        if hold := _cannot_be_told(facts, index) or _goes_back(facts, index, policy, now):
            return hold
        if not _same_identity(facts, index):
            return _of_before(facts, deployment, onset) or suspicion
        changed, began_before = (
            changed_settings(facts, index),
            _began_before(facts, deployment, onset),
        )
        if changed and (deployment.status.in_progress or not began_before):
            return _of_before(facts, deployment, onset) or _only_settings(suspicion, changed)
        if not began_before and (hold := _only_restarted(facts, index, policy, now)):
            return hold
    return Hold(Reason.NO_RECENT_DEPLOYMENT, "no deployment on record changed what runs")


def convict(suspicion: Suspicion, facts: Facts, policy: Policy, now: datetime) -> Suspicion | Hold:
    """Did the trouble start after the deployment? The alarm that fired is asked first, then the service's other red ones."""
    fired = facts.alarm(facts.trigger.alarm)
    others = sorted(
        (a for a in facts.alarms if a.in_alarm and a is not fired), key=lambda a: a.name
    )
    first_refusal: Hold | None = None
    for alarm in ([fired] if fired else []) + others:
        answer = _convict_by(alarm, suspicion.suspect, facts, policy, now)
        if isinstance(answer, Suspicion) and first_refusal:
            return replace(answer, detail=f"{answer.detail}; asked before: {first_refusal.detail}")
        if isinstance(answer, Suspicion):
            return answer
        first_refusal = first_refusal or answer
    return first_refusal or Hold(
        Reason.ALARM_PREDATES_DEPLOYMENT,
        "no datapoint says when the trouble began",
        suspicion.suspect,
    )


def still_serving(suspicion: Suspicion, facts: Facts) -> Passed | Hold:
    """Tasks that cannot start while half of the desired ones serve: a registry or capacity outage looks the same."""
    service, suspect = facts.service, suspicion.suspect
    if (
        facts.trigger.kind is not TriggerKind.TASKS_CANNOT_START
        or service is None
        or suspect.status.in_progress
    ):
        return Passed("the deployment is not a finished one whose tasks stopped starting")
    serving = service.healthy if service.behind_load_balancer else service.running
    if serving is None:
        return Hold(Reason.STILL_SERVING, "how many targets are healthy could not be read", suspect)
    if serving * 2 >= service.desired:
        return Hold(
            Reason.STILL_SERVING,
            f"{serving} of {service.desired} desired tasks still serve",
            suspect,
        )
    return Passed(f"only {serving} of {service.desired} desired tasks serve")


def calm_before(suspicion: Suspicion, policy: Policy, now: datetime) -> Passed | Hold:
    """An alarm that came and went before the deployment proves nothing by coming again."""
    alarm, suspect = suspicion.alarm, suspicion.suspect
    if alarm is None:
        return Passed("an ECS event, no alarm")
    if not stability.past_is_known(alarm, suspect.start - FLAPPING_SPAN, now):
        detail = f"the history of {alarm.signal} in the 24 h before the deployment was not read"
        return Hold(Reason.ALARM_IS_FLAPPING, detail, suspect)
    before = [
        s for s in alarm.spells or () if suspect.start - FLAPPING_SPAN <= s.since < suspect.start
    ]
    detail = f"{alarm.signal} went to ALARM {len(before)} times in the 24 h before the deployment, {policy.flap_limit} are allowed"
    return (
        Hold(Reason.ALARM_IS_FLAPPING, detail, suspect)
        if len(before) > policy.flap_limit
        else Passed(detail)
    )


def not_shared(suspicion: Suspicion, facts: Facts, policy: Policy) -> Passed | Hold:
    """Are services that did not change in trouble too, and were so before this one?"""
    onset, suspect = suspicion.onset, suspicion.suspect
    needed = services_for_shared_cause(facts.protected_services, policy)
    finished = suspect.finished_at or suspect.start
    long_done = not suspect.status.in_progress and onset - finished > SHARED_CAUSE_SPAN
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


def reversible(
    suspicion: Suspicion, facts: Facts, between: Sequence[Revision | None] = ()
) -> Passed | Hold:
    """A change that old code cannot live with is for a person to undo: of the suspect, or of any deployed since the target."""
    if facts.service and facts.service.irreversible:
        return Hold(
            Reason.IRREVERSIBLE_CHANGE,
            "the service has the tag auto-rollback:irreversible",
            suspicion.suspect,
        )
    for revision in (facts.revision(suspicion.suspect.target), *between):
        if revision is None or revision.identity is None:
            what = (
                revision.task_definition
                if revision
                else "something that was deployed after the target"
            )
            detail = f"the tags of {what} could not be read, and one of them may be auto-rollback:irreversible"
            return Hold(Reason.IRREVERSIBLE_CHANGE, detail, suspicion.suspect)
        if revision.irreversible:
            detail = f"{revision.task_definition} has the tag auto-rollback:irreversible"
            return Hold(Reason.IRREVERSIBLE_CHANGE, detail, suspicion.suspect)
    return Passed("no tag auto-rollback:irreversible")


def within_limit(facts: Facts, policy: Policy, now: datetime, suspect: Deployment) -> Passed | Hold:
    """A service that is rolled back again and again needs a person."""
    recent = [r for r in facts.ledger.rollbacks if r.automatic and now - r.at < timedelta(hours=24)]
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


def is_rollback(facts: Facts, index: int, policy: Policy, now: datetime) -> bool:
    """Whether a deployment went back: by ECS, by this controller, or by a person to what had been stable here before."""
    deployment = facts.deployments[index]
    if deployment.status.is_rollback or rollback_behind(deployment, facts):
        return True
    target = facts.revision(deployment.target)
    if target is None or _same_identity(facts, index) or not something_ran_before(facts, index):
        return False
    good = {
        good.revision.identity for good in facts.ledger.known_good if good.until <= deployment.start
    }
    return (
        target.identity in good
        or stability.may_have_been_stable(Question(facts, policy, now), target, deployment.start)
        is not None
    )


def changed_settings(facts: Facts, index: int) -> list[str]:
    """Names of the service settings that a deployment changed."""
    target, source = facts.revision(facts.deployments[index].target), running_before(facts, index)
    before, after = (source.settings if source else {}), (target.settings if target else {})
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def only_settings_in_progress(facts: Facts, suspect: Deployment) -> bool:
    """Whether a suspect still in progress changes nothing but settings of the service: stopped, it brings them back."""
    index = facts.deployments.index(suspect)
    return (
        suspect.status.in_progress
        and _same_identity(facts, index)
        and bool(changed_settings(facts, index))
    )


def _same_identity(facts: Facts, index: int) -> bool:
    """Whether a deployment brings what ran already. One that takes the place of another build's unfinished one goes back."""
    target, source = facts.revision(facts.deployments[index].target), running_before(facts, index)
    if (
        target is None
        or source is None
        or target.identity is None
        or target.identity != source.identity
    ):
        return False
    aborted = _unfinished_before(facts, index)
    brought = facts.revision(aborted.target) if aborted else None
    return brought is None or brought.identity in (None, target.identity)


def _unfinished_before(facts: Facts, index: int) -> Deployment | None:
    """The deployment that one took the place of before it had finished, where nobody rolled it back."""
    before = facts.deployments[index + 1] if index + 1 < len(facts.deployments) else None
    return (
        None
        if before is None or before.status is Status.SUCCESSFUL or before.status.is_rollback
        else before
    )


def _newest_but_restarts(facts: Facts) -> Deployment | None:
    for index, deployment in enumerate(facts.deployments):
        if rollback_behind(deployment, facts) or not _same_identity(facts, index):
            return deployment
    return newest_deployment(facts)


def _within_window(
    deployment: Deployment, facts: Facts, onset: datetime, policy: Policy
) -> Suspicion | Hold:
    target = facts.revision(deployment.target)
    what = f"the deployment of {target.task_definition if target else clock(deployment.start)}"
    if deployment.status.in_progress:
        return Suspicion(
            deployment, onset, f"{what} is in progress since {clock(deployment.start)}"
        )
    finished = deployment.finished_at or deployment.start
    if onset - finished > policy.window:
        detail = f"{what} finished {span(onset - finished)} before the trouble began; suspect are {policy.window_minutes} min"
        return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, deployment)
    when = (
        f"{span(onset - finished)} before"
        if onset >= finished
        else f"{span(finished - onset)} after"
    )
    return Suspicion(deployment, onset, f"{what} finished {when} the trouble began")


def _cannot_be_told(facts: Facts, index: int) -> Hold | None:
    """What could not be described is neither blamed nor acquitted."""
    deployment, aborted = facts.deployments[index], _unfinished_before(facts, index)
    target, source = facts.revision(deployment.target), running_before(facts, index)
    if target is None or target.identity is None:
        unread = f"what the deployment of {clock(deployment.start)} brought"
    elif aborted and (
        (brought := facts.revision(aborted.target)) is None or brought.identity is None
    ):
        unread = f"what the unfinished deployment of {clock(aborted.start)} brought"
    elif something_ran_before(facts, index) and (source is None or source.identity is None):
        unread = f"what ran before the deployment of {clock(deployment.start)}"
    else:
        return None
    detail = f"{unread} could not be described, so it cannot be told whether that deployment changed what runs"
    return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, deployment)


def _goes_back(facts: Facts, index: int, policy: Policy, now: datetime) -> Hold | None:
    deployment = facts.deployments[index]
    if not is_rollback(facts, index, policy, now):
        return None
    target = facts.revision(deployment.target)
    name = target.task_definition if target else "an unknown revision"
    detail = f"the newest deployment, of {clock(deployment.start)}, is itself a rollback, to {name}"
    if deployment.status.is_rollback:
        by = (
            "CodeDeploy"
            if facts.service and facts.service.controller is Controller.CODE_DEPLOY
            else "ECS"
        )
        detail = f"{by} has rolled back, or is rolling back, the deployment of {name} ({deployment.status})"
    return Hold(Reason.DEPLOYMENT_IS_A_ROLLBACK, detail, deployment)


def _only_settings(suspicion: Suspicion, changed: Sequence[str]) -> Suspicion | Hold:
    """One that has completed is a person's; one in progress can be stopped, and ECS brings the settings back."""
    suspect, names = suspicion.suspect, ", ".join(changed)
    if suspect.status.in_progress:
        detail = f"{suspicion.detail} and changes only settings of the service: {names}"
        return Suspicion(suspect, suspicion.onset, detail)
    detail = (
        f"the deployment of {clock(suspect.start)} changed only settings of the service: {names}"
    )
    return Hold(Reason.ONLY_SETTINGS_CHANGED, detail, suspect)


def _of_before(facts: Facts, deployment: Deployment, onset: datetime) -> Ignore | None:
    """What ECS said before a deployment began, it said of an older one; of this one it will speak again."""
    if facts.trigger.kind is TriggerKind.ALARM or onset >= deployment.start - CLOCK_SKEW:
        return None
    detail = f"the event of {clock(onset)} is older than the deployment of {clock(deployment.start)}: somebody deployed meanwhile"
    return Ignore(Reason.SUPERSEDED, detail)


def _began_before(facts: Facts, deployment: Deployment, onset: datetime) -> bool:
    """Whether the trouble that the trigger speaks of was there before a deployment began."""
    alarm = facts.alarm(facts.trigger.alarm)
    return _predates(alarm, deployment) if alarm and alarm.onset else onset < deployment.start


def _only_restarted(facts: Facts, index: int, policy: Policy, now: datetime) -> Hold | None:
    """A restart of what had been stable, which the trouble followed. Any other restart is passed over."""
    restart = facts.deployments[index]
    target = facts.revision(restart.target)
    if (
        target is None
        or stability.may_have_been_stable(Question(facts, policy, now), target, restart.start)
        is None
    ):
        return None
    detail = (
        f"the deployment of {clock(restart.start)} restarted what had been stable before: nothing that a rollback "
        f"restores has changed; {_new_to_its_tasks(facts, index)}"
    )
    return Hold(Reason.ONLY_SETTINGS_CHANGED, detail, restart)


def _new_to_its_tasks(facts: Facts, index: int) -> str:
    """Which secrets and parameters a restart may have brought anew: those that changed since what it restarted had started."""
    if facts.secrets is None:
        return "look at secrets, parameters and what the service depends on"
    source, older = running_before(facts, index), facts.deployments[index + 1 :]
    since = (
        older[0].start if older else source.created_at if source else facts.deployments[index].start
    )
    told = [f"{s.name}: {s.wrong}" for s in facts.secrets if s.wrong]
    told += [
        f"{s.name} changed at {clock(s.changed_at)}"
        for s in facts.secrets
        if s.changed_at and s.changed_at > since
    ]
    if told:
        return f"of its secrets and parameters, though: {'; '.join(told)}"
    seen = (
        f"none of its {len(facts.secrets)} secrets and parameters has changed since {clock(since)}"
    )
    return f"{seen if facts.secrets else 'it is given no secrets or parameters'}: look at what the service depends on"


def _convict_by(
    alarm: Alarm, suspect: Deployment, facts: Facts, policy: Policy, now: datetime
) -> Suspicion | Hold:
    if alarm.onset is None:
        return Hold(
            Reason.ALARM_PREDATES_DEPLOYMENT, f"when {alarm.signal} began is not known", suspect
        )
    if slow := _slow_start(alarm, suspect, facts, now):
        return slow
    if _predates(alarm, suspect):
        return _convict_chain(alarm, suspect, facts, policy, now)
    if (
        not suspect.status.in_progress
        and alarm.onset - (suspect.finished_at or suspect.start) > policy.window
    ):
        return Hold(
            Reason.NO_RECENT_DEPLOYMENT, f"{alarm.signal} began long after the deployment", suspect
        )
    return Suspicion(suspect, alarm.onset, _since(alarm, suspect), alarm)


def _predates(alarm: Alarm, deployment: Deployment) -> bool:
    if alarm.onset is None:
        return True
    already_red = alarm.since is None or _was_red(alarm, deployment.start)
    if alarm.onset_is_datapoint:
        return already_red or alarm.onset + alarm.period <= deployment.start
    return already_red or alarm.onset < deployment.start


def _was_red(alarm: Alarm, moment: datetime) -> bool:
    """Whether an alarm was in ALARM at a moment, be it that it has been calm since and came again."""
    spells = (
        *(alarm.spells or ()),
        *([AlarmPeriod(alarm.since)] if alarm.in_alarm and alarm.since else []),
    )
    return any(
        spell.since <= moment and (spell.until is None or moment < spell.until) for spell in spells
    )


def _since(alarm: Alarm, deployment: Deployment) -> str:
    if alarm.onset is None or alarm.onset < deployment.start:
        return f"{alarm.signal} fired in the minute of the deployment"
    return f"{alarm.signal} fired {span(alarm.onset - deployment.start)} after the deployment"


def _slow_start(alarm: Alarm, suspect: Deployment, facts: Facts, now: datetime) -> Hold | None:
    """Tasks that start slowly are not failing: an unhealthy target convicts only where none is healthy, or afterwards."""
    if alarm.signal != UNHEALTHY_TARGETS or _predates(alarm, suspect):
        return None
    if suspect.status.in_progress:
        healthy = facts.service.healthy if facts.service else None
        if healthy == 0:
            return None
        seen = (
            "how many targets are healthy could not be read"
            if healthy is None
            else f"{healthy} targets are healthy"
        )
        detail = (
            f"the deployment is in progress and {seen}: tasks that start slowly are not failing"
        )
        return Hold(Reason.SLOW_START, detail, suspect)
    if suspect.finished_at is None:
        return Hold(Reason.SLOW_START, "when the deployment finished could not be read", suspect)
    lasts = now >= suspect.finished_at + alarm.evaluation_range
    if lasts or (alarm.last_breach and alarm.last_breach >= suspect.finished_at):
        return None
    detail = f"{alarm.signal} has no breaching datapoint since the deployment finished at {clock(suspect.finished_at)}"
    return Hold(Reason.SLOW_START, detail, suspect)


def _convict_chain(
    alarm: Alarm, suspect: Deployment, facts: Facts, policy: Policy, now: datetime
) -> Suspicion | Hold:
    """The trouble began before the newest deployment: is an earlier one to blame, that was replaced before it had proven itself?

    Every deployment from that one on is suspect, and the target lies before it. A restart proves nothing and replaces
    nothing. The chain ends at a rollback: what is deployed into a red alarm to mend it is not blamed for it.
    """
    predates = Hold(Reason.ALARM_PREDATES_DEPLOYMENT, _before(alarm, suspect), suspect)
    replaced_at = suspect.start
    for index in range(facts.deployments.index(suspect) + 1, len(facts.deployments)):
        earlier = facts.deployments[index]
        if _cannot_be_told(facts, index) or is_rollback(facts, index, policy, now):
            return predates
        if _same_identity(facts, index):
            continue
        served = replaced_at - (earlier.finished_at or earlier.start)
        if earlier.status is Status.SUCCESSFUL and served >= policy.stable_after:
            return predates
        if not _predates(alarm, earlier):
            return _blame_earlier(alarm, earlier, facts, policy, now) or predates
        replaced_at = earlier.start
    return predates


def _blame_earlier(
    alarm: Alarm, earlier: Deployment, facts: Facts, policy: Policy, now: datetime
) -> Suspicion | Hold | None:
    if alarm.onset is None or isinstance(_within_window(earlier, facts, alarm.onset, policy), Hold):
        return None
    if slow := _slow_start(alarm, earlier, facts, now):
        return slow
    target = facts.revision(earlier.target)
    name = target.task_definition if target else "an unknown revision"
    detail = f"{_since(alarm, earlier)} of {name}, which was replaced before it had proven itself"
    return Suspicion(earlier, alarm.onset, detail, alarm)


def _before(alarm: Alarm, deployment: Deployment) -> str:
    start = deployment.start
    if alarm.since and alarm.since > start and _was_red(alarm, start):
        return f"{alarm.signal} was in ALARM when the deployment started at {clock(start)}, calmed and came again"
    began = min(alarm.onset or start, alarm.since or start)
    return f"{alarm.signal} was in trouble {span(start - began)} before the deployment started"
