"""After a rollback: did it help? Asked when an alarm goes OK, when a deployment ends, and by the sweep."""

from dataclasses import replace
from datetime import datetime, timedelta

from autorollback import results
from autorollback.decision.facts import Facts, Status, Trigger, TriggerKind
from autorollback.decision.formatting import clock
from autorollback.decision.incident import Event, Incident
from autorollback.decision.ledger_state import PendingCheck
from autorollback.decision.lineage import deployment_of
from autorollback.decision.question import Question
from autorollback.decision.recovery import Progress, Recovery, assess
from autorollback.decision.result import IncidentState, Result
from autorollback.decision.verdicts import Reason
from autorollback.flows import act, announce, completed, look_at, respond, settle, still_red
from autorollback.flows.session import (
    ProtectedService,
    Session,
    already_being_judged,
    unprotected,
)
from autorollback.naming import ServiceKey
from autorollback.requests import DeploymentEnded
from autorollback.results import Answer, Done

ECS_HAS = timedelta(minutes=10)
"""How long ECS has to begin rolling a failed deployment back, and between two looks at it."""

CODE_DEPLOY_HAS = timedelta(minutes=5)
"""How long CodeDeploy has to begin the rollback of a deployment that it was asked to stop."""

_ENDED_BY = {
    Progress.RECOVERED: Event.CALM,
    Progress.NOT_RECOVERED: Event.NOT_CALM,
    Progress.SUPERSEDED: Event.DISPLACED,
}


def confirm(session: Session, key: ServiceKey) -> Answer:
    """An alarm is calm: perhaps an open incident of its service is over."""
    with session.lease(key) as leased:
        if not leased:
            return already_being_judged(key)
        service = settle.take_up(session, key)
        if not isinstance(service, ProtectedService):
            return service
        if service.ledger_state.open_incidents:
            return follow(service)
        detail = "no incident of this service is open"
        return results.ignored(Reason.NOT_IN_ALARM, detail, key)


def deployment_ended(session: Session, ended: DeploymentEnded) -> Answer:
    """Take up that a deployment completed or failed.

    Perhaps it is ours, perhaps one that comes into a red alarm.
    """
    key = ended.service
    if session.policy_of(key) is None:
        return unprotected(session, key)
    with session.lease(key) as leased:
        if not leased:
            _leave_to_the_sweep(session, ended)
            return already_being_judged(key)
        service = settle.take_up(session, key)
        if not isinstance(service, ProtectedService):
            _leave_to_the_sweep(session, ended)
            return service
        return _look_after(service, ended)


def _look_after(looked_at: ProtectedService, ended: DeploymentEnded) -> Answer:
    """One that has taken the place of our rollback closes that incident, and is then looked at for its own sake."""
    if ended.completed:
        look_at.remember(
            looked_at.session,
            looked_at.key,
            looked_at.snapshot.service,
            ended.at,
        )
    service = follow_first(looked_at)
    if not isinstance(service, ProtectedService):
        if _is_superseded(service):
            _leave_to_the_sweep(looked_at.session, ended)
        return service
    if ended.completed:
        return completed.deployment_completed(service, ended)
    return _failed(service, respond.trigger_of(ended))


def follow_first(service: ProtectedService) -> ProtectedService | Answer:
    """Look after an open incident before all else.

    Answers what came of it, or the service to go on with.
    """
    if not service.ledger_state.open_incidents:
        return service
    followed = follow(service)
    return _after_superseded(service, followed) or followed


def _after_superseded(service: ProtectedService, followed: Answer) -> ProtectedService | None:
    """The service to go on with, to look at what took the rollback's place.

    None where the incident goes on, or another invocation is at work on the service already.
    """
    if not _is_superseded(followed):
        return None
    again = service.look_again()
    if again is not None:
        service.session.report(followed)
    return again


def _is_superseded(answer: Answer) -> bool:
    return isinstance(answer, Result) and answer.incident_state is IncidentState.SUPERSEDED


def _leave_to_the_sweep(session: Session, ended: DeploymentEnded) -> None:
    """No alarm need be red that would bring a failure up again: the sweep asks later."""
    if not ended.completed:
        check = PendingCheck(
            "",
            ended.at,
            session.now,
            named=ended.deployment_id,
        )
        session.ledger.add_pending_check(ended.service, check)


# --- open incidents -----------------------------------------------------------------------------------------------


def follow(service: ProtectedService) -> Answer:
    """Look after a service's open incidents.

    Those whose end can be told are closed, and people are told.
    """
    trigger = Trigger(TriggerKind.ALARM, service.now)
    incidents = service.ledger_state.open_incidents
    facts = service.session.reader.after_rollbacks(
        service.snapshot,
        trigger,
        service.now,
        [incident.as_past_rollback() for incident in incidents],
    )
    answers = [_follow(service, facts, incident) for incident in incidents]
    for answer in answers[1:]:
        service.session.report(answer)
    return answers[0]


def _follow(
    service: ProtectedService,
    facts: Facts,
    incident: Incident,
) -> Answer:
    ledger, now = service.session.ledger, service.now
    if _stop_failed(incident, facts, now):
        return act.try_again(service, incident)
    if _stands_stopped(incident, facts, Status.STOPPED):
        ledger.save(incident, due=_due(service, incident, now + CODE_DEPLOY_HAS))
        still = "CodeDeploy has not begun the rollback yet"
        return Done(f"{incident.incident_id} is still open: {still}")
    question = Question(facts, service.policy, now)
    recovery = assess(incident.as_past_rollback(), question)
    if recovery.progress is Progress.OPEN:
        ledger.save(incident, due=_due(service, incident, recovery.look_again))
        return Done(f"{incident.incident_id} is still open: {recovery.detail}")
    begun = deployment_of(incident.as_past_rollback(), facts)
    carried_out_by = incident.rollback_deployment or (begun.arn if begun else None)
    result = _close(service, replace(incident, rollback_deployment=carried_out_by), recovery)
    if recovery.progress is Progress.SUPERSEDED:
        red = tuple(alarm.name for alarm in facts.alarms if alarm.in_alarm)
        still_red.watch_superseded(
            service.session,
            incident,
            red,
            result,
        )
    return result


def _due(
    service: ProtectedService,
    incident: Incident,
    look_again: datetime | None,
) -> datetime | None:
    """When the sweep looks after an open incident: at once where people have not been told of it."""
    return look_again if incident.announced else service.now


def _stop_failed(
    incident: Incident,
    facts: Facts,
    now: datetime,
) -> bool:
    """Whether the newest deployment was to be stopped and rolled back, and was not.

    After that nobody is in charge of it.
    """
    if _stands_stopped(incident, facts, Status.STOPPED):
        finished = facts.deployments[0].finished_at
        return finished is not None and now >= finished + CODE_DEPLOY_HAS
    not_rolled_back = _stands_stopped(incident, facts, Status.ROLLBACK_FAILED)
    return not_rolled_back or _stands_stopped(incident, facts, Status.SUCCESSFUL)


def _stands_stopped(
    incident: Incident,
    facts: Facts,
    status: Status,
) -> bool:
    """Whether the newest deployment is the one that this incident had stopped, and stands so.

    ECS says ROLLBACK_REQUESTED at once; CodeDeploy that the stop is pending (botocore codedeploy/2014-10-06, StopStatus).
    """
    intent, newest = incident.intent, facts.newest
    was_stopped = intent.method.stops and incident.rollback_deployment == incident.deployment
    if status is not Status.ROLLBACK_FAILED and intent.code_deploy is None:
        return False
    if not was_stopped or newest is None:
        return False
    return newest.arn == incident.deployment and newest.status is status


def _close(
    service: ProtectedService,
    incident: Incident,
    recovery: Recovery,
) -> Result:
    ended_as = recovery.progress.value.replace("_", " ")
    lost = ""
    if incident.was_lost:
        lost = " Its record was removed from the ledger while it was open: who did that?"
    result = replace(
        incident.shown,
        summary=f"{incident.key.service}: {ended_as}: {recovery.detail}.{lost}",
        incident_state=IncidentState(recovery.progress.value),
    )
    if recovery.calm_since is not None:
        elapsed = round((recovery.calm_since - incident.claimed_at).total_seconds())
        result = replace(result, time_to_recover_seconds=max(0, elapsed))
    session = service.session
    closed = incident.closed(_ENDED_BY[recovery.progress], result, session.now)
    saved = session.ledger.save(closed, due=session.now)
    told = announce.tell_of_incident(session, saved, is_own=True)
    session.ledger.finish(told, None if told.announced else session.now, session.request_id)
    return result


# --- deployments that failed --------------------------------------------------------------------------------------


def look_into(service: ProtectedService, check: PendingCheck) -> Answer:
    """A deployment failed, and ECS was to roll it back: has it? Else it is judged here."""
    key, ledger = service.key, service.session.ledger
    trigger = Trigger(TriggerKind.DEPLOYMENT_FAILED, check.failed_at, deployment=check.named)
    newest = service.session.reader.present(service.snapshot, trigger, service.now).newest
    was_turned_away = not check.deployment
    is_it = newest is not None and newest.arn == check.deployment
    if newest is not None and was_turned_away:
        is_it = newest.created_at <= check.failed_at
    if newest is None or not is_it or newest.status is Status.ROLLBACK_SUCCESSFUL:
        ledger.remove_pending_check(key, check)
        return Done(f"{key}: the failed deployment of {clock(check.failed_at)} runs no more")
    if newest.status.is_rollback:
        ledger.add_pending_check(key, replace(check, due=service.now + ECS_HAS))
        return Done(f"{key}: ECS is rolling the failed deployment back")
    result = _failed(service, replace(trigger, overdue=not was_turned_away))
    ledger.remove_pending_check(key, check)
    return result


def _failed(service: ProtectedService, trigger: Trigger) -> Result | Done:
    """Judge a failed deployment; one that is ECS's to roll back is looked into later, until ECS has had its time."""
    result = respond.judge(service, trigger)
    newest = service.newest_deployment
    is_left = isinstance(result, Result) and result.reason is Reason.HANDLED_BY_ECS
    if is_left and newest:
        due = service.now + ECS_HAS
        check = PendingCheck(
            newest,
            trigger.at,
            due,
            named=trigger.deployment,
        )
        service.session.ledger.add_pending_check(service.key, check)
    return result
