"""After a rollback: did it help? Asked when an alarm goes OK, when a deployment ends, and by the sweep."""

from dataclasses import replace
from datetime import datetime, timedelta

from autorollback import results
from autorollback.aws.deployer import Way
from autorollback.aws.evidence import FirstLook
from autorollback.aws.items import Incident, State, Watched, past_rollback
from autorollback.decision import stability
from autorollback.decision.lineage import deployment_of
from autorollback.decision.model import Facts, Reason, Status, Trigger, TriggerKind
from autorollback.decision.recovery import Progress, Recovery, assess
from autorollback.decision.words import clock, span
from autorollback.flows import messages, respond, rollback
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.requests import DeploymentEnded
from autorollback.results import Result

ECS_HAS = timedelta(minutes=10)
"""How long ECS has to begin rolling a failed deployment back, and between two looks at whether it is done."""

CODE_DEPLOY_HAS = timedelta(minutes=5)
"""How long CodeDeploy has to begin the rollback of a deployment that it was asked to stop and to roll back."""


def confirm(desk: Desk, call: Call, key: ServiceKey) -> Result:
    """An alarm is calm: perhaps an open incident of its service is over."""

    def look_after(look: FirstLook, policy: ServicePolicy) -> Result:
        if look.recollection.open_incidents:
            return follow(desk, call, look, policy)
        return results.ignored(Reason.NOT_IN_ALARM, "no incident of this service is open", key)

    return respond.under_lease(desk, call, key, look_after)


def deployment_ended(desk: Desk, call: Call, ended: DeploymentEnded) -> Result:
    """ECS says that a deployment completed or failed: perhaps ours, perhaps one that comes into a red alarm.

    One that has taken the place of our rollback closes that incident, and is then looked at for its own sake. A failure that
    comes while something else of the service is judged is left to the sweep: no alarm need be red that would bring it up again.
    """
    key = ended.service
    if desk.evidence.policies.of(key) is None:
        return respond.unprotected(key, desk)

    def look_after(look: FirstLook, policy: ServicePolicy) -> Result:
        if look.recollection.open_incidents:
            followed = follow(desk, call, look, policy)
            if followed.get("incident_state") != State.SUPERSEDED:
                return followed
            again = respond.look_again(desk, call, key)
            if again is None:
                leave_to_the_sweep()
                return followed
            desk.report(followed)
            look = again
        if ended.completed:
            return _completed(desk, call, look, policy, ended)
        return _failed(desk, call, look, policy, respond.trigger_of(ended))

    def leave_to_the_sweep() -> None:
        if not ended.completed:
            desk.ledger.watch(key, Watched("", ended.at, call.now, named=ended.deployment_id))

    return respond.under_lease(desk, call, key, look_after, leave_to_the_sweep)


def follow(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy) -> Result:
    """Look after a service's open incidents: close those whose end can be told, and tell people."""
    facts = desk.evidence.present(look, Trigger(TriggerKind.ALARM, call.now), call.now)
    newest, *older = [_follow(desk, call, policy, facts, incident) for incident in look.recollection.open_incidents]
    for answer in older:
        desk.report(answer)
    return newest


def left_to_ecs(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, watched: Watched) -> Result:
    """A deployment failed, and ECS was to roll it back: has it? Else it is judged here."""
    trigger = Trigger(TriggerKind.DEPLOYMENT_FAILED, watched.failed_at, deployment=watched.named)
    facts = desk.evidence.present(look, trigger, call.now)
    newest = facts.deployments[0] if facts.deployments else None
    turned_away = not watched.deployment and newest is not None and newest.created_at <= watched.failed_at
    is_it = newest is not None and (turned_away or newest.arn == watched.deployment)
    if newest is None or not is_it or newest.status is Status.ROLLBACK_SUCCESSFUL:
        desk.ledger.watch_no_more(policy.key, watched)
        return results.done(f"{policy.key}: the failed deployment of {clock(watched.failed_at)} runs no more")
    if newest.status.is_rollback:
        desk.ledger.watch(policy.key, replace(watched, due=call.now + ECS_HAS))
        return results.done(f"{policy.key}: ECS is rolling the failed deployment back")
    result = _failed(desk, call, look, policy, replace(trigger, overdue=not turned_away))
    desk.ledger.watch_no_more(policy.key, watched)
    return result


def _failed(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, trigger: Trigger) -> Result:
    """Judge a failed deployment; one that is ECS's to roll back is watched, until ECS has had its time (`overdue`)."""
    result = respond.judge(desk, call, look, policy, trigger)
    if result["reason"] == Reason.HANDLED_BY_ECS and look.page.arns:
        desk.ledger.watch(
            policy.key, Watched(look.page.arns[0], trigger.at, call.now + ECS_HAS, named=trigger.deployment)
        )
    return result


def _follow(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts, incident: Incident) -> Result:
    if _stop_failed(incident, facts, call):
        return rollback.act_again(desk, call, policy, incident)
    if _was_stopped(incident, facts, Status.STOPPED):
        desk.ledger.save(incident, due=_due(call, incident, call.now + CODE_DEPLOY_HAS))
        return results.done(f"{incident.incident_id} is still open: CodeDeploy has not begun the rollback yet")
    recovery = assess(past_rollback(incident), facts, policy.policy, call.now)
    if recovery.progress is Progress.OPEN:
        desk.ledger.save(incident, due=_due(call, incident, recovery.look_again))
        return results.done(f"{incident.incident_id} is still open: {recovery.detail}")
    begun = incident.rollback_deployment or (d.arn if (d := deployment_of(past_rollback(incident), facts)) else None)
    return _close(desk, call, replace(incident, rollback_deployment=begun), recovery)


def _due(call: Call, incident: Incident, look_again: datetime | None) -> datetime | None:
    """When the sweep looks after an open incident: the next one does, where people could not be told of it yet."""
    return look_again if incident.announced else call.now


def _stop_failed(incident: Incident, facts: Facts, call: Call) -> bool:
    """Whether the newest deployment was to be stopped and rolled back, and was not; after that nobody is in charge of it."""
    if _was_stopped(incident, facts, Status.STOPPED):
        finished = facts.deployments[0].finished_at
        return finished is not None and call.now >= finished + CODE_DEPLOY_HAS
    return _was_stopped(incident, facts, Status.ROLLBACK_FAILED) or _was_stopped(incident, facts, Status.SUCCESSFUL)


def _was_stopped(incident: Incident, facts: Facts, status: Status) -> bool:
    """Whether the newest deployment is the one that this incident had stopped, and stands so."""
    newest = facts.deployments[0] if facts.deployments else None
    asked = Way(incident.intent["way"]).stops and incident.rollback_deployment == incident.deployment
    if status is not Status.ROLLBACK_FAILED:
        # ECS says ROLLBACK_REQUESTED at once; CodeDeploy that the stop is pending (botocore codedeploy/2014-10-06, StopStatus)
        asked = asked and rollback.code_deploy_of(incident) is not None
    return bool(asked and newest and newest.arn == incident.deployment and newest.status is status)


def _close(desk: Desk, call: Call, incident: Incident, recovery: Recovery) -> Result:
    result = {
        **(incident.result or {}),
        "summary": f"{incident.key.service}: {recovery.progress.value.replace('_', ' ')}: {recovery.detail}.",
        "incident_state": recovery.progress.value,
    }
    if recovery.calm_since is not None:
        took = recovery.calm_since - incident.claimed_at
        result["time_to_recover_seconds"] = max(0, round(took.total_seconds()))
    state = State(recovery.progress.value)
    closed = replace(incident.leaves_untold(), state=state, result=result, closed_at=call.now)
    told = messages.tell(desk, desk.ledger.save(closed, due=call.now), own=True)
    desk.ledger.finish(told, None if told.announced else call.now, call.request_id)
    return result


def _completed(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, ended: DeploymentEnded) -> Result:
    """A deployment of somebody else completed: learn from what it replaced, and judge it where an alarm is red."""
    facts = desk.evidence.facts(look, Trigger(TriggerKind.ALARM, ended.at), call.now)
    learnt = _remember_replaced(desk, call, policy, facts)
    returned = _returned_from_quarantine(desk, call, policy, facts)
    if red := next((alarm for alarm in facts.alarms if alarm.in_alarm), None):
        asked = replace(facts, trigger=Trigger(TriggerKind.ALARM, ended.at, red.name))
        return respond.act_on(desk, call, look, policy, *respond.decided(desk, call, policy, asked))
    return returned or results.done(
        f"{policy.key}: a deployment completed, and no alarm of the service is in ALARM{learnt}"
    )


def _remember_replaced(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts) -> str:
    """What has just been replaced is remembered as known good, where its time in service proved it."""
    newest = facts.deployments[0] if facts.deployments else None
    for stretch in stability.stretches(facts):
        if newest is None or stretch.until != newest.start:
            continue
        if good := stability.proven(stretch, facts, policy.policy, call.now):
            desk.ledger.keep_good(policy.key, good)
            served = f"{span(good.until - good.since)} without alarm until {clock(good.until)}"
            return f"; {good.revision.task_definition} is remembered as known good: it served {served}"
    return ""


def _returned_from_quarantine(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts) -> Result | None:
    """People are told once where a build that was rolled back from is deployed again."""
    newest = facts.deployments[0] if facts.deployments else None
    brought = facts.revision(newest.target) if newest else None
    since = facts.memory.quarantined.get(brought.identity) if brought and brought.identity else None
    if newest is None or brought is None or since is None:
        return None
    detail = f"{brought.task_definition} runs in {policy.key} again, though it was rolled back from at {clock(since)}"
    images = results.revision(brought)
    result = results.done(
        detail,
        summary=f"{detail}.",
        cluster=policy.key.cluster,
        service=policy.key.service,
        **{"from": None, "to": images},
    )
    arn = facts.service.arn if facts.service else None
    messages.tell_once(desk, call, policy.key, newest.arn, result, reason="quarantined", resource=arn)
    return result
