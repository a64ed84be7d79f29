"""How a claim ends.

The act is recorded, or it is said why there was none.
"""

from collections.abc import Sequence
from dataclasses import replace

from autorollback import results
from autorollback.aws.ledger import Notice
from autorollback.decision.definition import short_name
from autorollback.decision.incident import Event, Incident, Intent
from autorollback.decision.ledger_state import verdict_marks
from autorollback.decision.result import FindingSummary, IncidentState, Outcome, Result
from autorollback.decision.verdicts import Candidate, FindingVerdict, Reason
from autorollback.flows import announce, still_red
from autorollback.flows.session import ProtectedService, Session
from autorollback.results import Done


def record(
    service: ProtectedService,
    incident: Incident,
    deployment: str | None,
) -> Result:
    """The act is done: tell people, and write it down.

    Whether they could be told or not.

    One write is enough: until then the intent stands, from which a retry finds the act that was done. What people could
    not be told of is the next sweep's to send.
    """
    session, intent = service.session, incident.intent
    result = intent.result
    if intent.onset is not None:
        elapsed = round((session.now - intent.onset).total_seconds())
        result = replace(result, time_to_rollback_seconds=max(0, elapsed))
    opened = replace(incident.after(Event.ACTED), result=result, rollback_deployment=deployment)
    told = announce.tell_of_incident(session, opened, is_own=_is_own(session, incident))
    due = session.now
    if told.announced:
        due = session.now + service.policy.confirm_within
    session.ledger.finish(
        told,
        due,
        session.request_id,
        intent.left,
        session.now,
    )
    return result


def record_quietly(
    service: ProtectedService,
    incident: Incident,
    deployment: str,
) -> Done:
    """An act that was done long ago is written down.

    People are told once how it ended.

    That it was done may have been told then: the table may have been restored to the moment of the
    claim. The next sweep looks at what is known of it now.
    """
    session, intent = service.session, incident.intent
    opened = replace(
        incident.after(Event.ACTED),
        result=intent.result,
        rollback_deployment=deployment,
        announced=True,
    )
    session.ledger.finish(
        opened,
        session.now,
        session.request_id,
        intent.left,
        incident.claimed_at,
    )
    detail = f"{incident.incident_id} was done, and its record was not there: what became of it is told next"
    return Done(detail)


def _is_own(session: Session, incident: Incident) -> bool:
    """Whether an incident was claimed by this very invocation, or by the one that it retries."""
    return incident.intent.request_id == session.request_id


def came_to_nothing(session: Session, incident: Incident) -> Result:
    """Somebody deployed before the rollback did: nothing was done, so nothing stays of the claim.

    Before the second try of a rollback that is on record, that record stays, and says so.
    """
    if incident.intent.again_at is not None:
        why = "another deployment started before the rollback was tried again"
        words = f"{incident.key.service}: superseded: {why}."
        result = replace(
            incident.intent.result, summary=words, incident_state=IncidentState.SUPERSEDED
        )
        closed = _close(
            session,
            incident,
            Event.DISPLACED,
            result,
        )
        still_red.watch_superseded(
            session,
            incident,
            incident.intent.red,
            result,
        )
        return closed
    session.ledger.retract(incident)
    detail = "another deployment started before the rollback did"
    return results.ignored(Reason.SUPERSEDED, detail, incident.key)


def cannot_be_restored(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """The target cannot be brought back as it was.

    Held, or on the second try told as not recovered.
    """
    if incident.intent.again_at is not None:
        return escalate(session, incident, why)
    return _held_back(session, incident, why)


def _held_back(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """The target cannot be registered again as it was, and a changed one would not be what ran: a person decides."""
    intent = incident.intent
    result = replace(
        intent.result,
        outcome=Outcome.HELD,
        reason=Reason.NO_CANDIDATE_PASSES_PREFLIGHT,
        summary=f"{incident.key.service} is not rolled back: {why}.",
        incident_id=None,
        incident_state=None,
    )
    session.ledger.retract(incident)
    if incident.automatic:
        still_red.watch_held_back(session, incident, result)
        notice = Notice(
            about=incident.deployment,
            reason=Reason.NO_CANDIDATE_PASSES_PREFLIGHT,
            message=result,
            resource=intent.service_arn,
            judged=verdict_marks(incident.deployment, intent.red),
        )
        announce.tell_once(session, incident.key, notice)
    return result


def give_up(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """Close a claim that cannot be finished, and tell people."""
    result = replace(
        incident.intent.result,
        outcome=Outcome.FAILED,
        summary=why,
        incident_state=None,
    )
    return _close(
        session,
        incident,
        Event.GIVEN_UP,
        result,
    )


def no_longer_protected(session: Session, incident: Incident) -> Result:
    """Close what nobody may look at any more, and tell people where it was left.

    A claim may have been acted on by an invocation that died before it wrote that down.
    """
    service, name = incident.key.service, short_name(incident.intent.target)
    if incident.is_unfinished_claim and incident.intent.again_at is None:
        why = "it is protected no more, and whether the claimed rollback was begun is not on record"
        return give_up(session, incident, f"{service}: {why}. Look whether it runs {name}.")
    why = f"it is protected no more: nobody watches whether the rollback to {name} helped"
    result = replace(
        incident.shown,
        summary=f"{service}: superseded: {why}.",
        incident_state=IncidentState.SUPERSEDED,
    )
    return _close(
        session,
        incident,
        Event.DISPLACED,
        result,
    )


def not_believed(
    session: Session,
    incident: Incident,
    objection: str,
) -> Result:
    """Close a claim that this controller would not have written, and tell people.

    Nothing of it is acted on.
    """
    intent = incident.intent
    words = f"a rollback that stands in the ledger is not carried out: {objection}"
    result = replace(
        results.ignored(intent.result.reason or Reason.REQUESTED, words, incident.key),
        outcome=Outcome.FAILED,
        summary=f"{incident.key.service}: {words}. Who wrote it?",
        incident_id=incident.incident_id,
    )
    return _close(
        session,
        incident.with_intent(replace(intent, untold=())),
        Event.GIVEN_UP,
        result,
    )


def refused(
    session: Session,
    incident: Incident,
    considered: Sequence[Candidate],
) -> Result:
    """AWS refused all that could be tried: a person decides.

    AWS's own words are told at once.

    The record stays, so that it is not tried again for the same newest deployment unless a person asks.
    """
    intent = incident.intent
    words = _refusals_of(intent)
    told = results.summaries_of(considered)
    finding = FindingSummary(Reason.REFUSED_BY_AWS.value, FindingVerdict.HOLD, words)
    result = replace(
        intent.result,
        outcome=Outcome.HELD,
        reason=Reason.REFUSED_BY_AWS,
        summary=f"{incident.key.service} is not rolled back: {words}.",
        goes_to=None,
        evidence=(*intent.result.evidence, finding),
        candidates=told,
        more_candidates=len(considered) - len(told),
        incident_state=None,
        escalated=bool(intent.red),
    )
    return _close(
        session,
        incident,
        Event.REFUSED,
        result,
    )


def _refusals_of(intent: Intent) -> str:
    """Every target that was refused, with AWS's own words."""
    told = []
    for one in intent.refused:
        words = one.words.rstrip(".")
        told.append(f"AWS refused {short_name(one.target)}: {words}")
    return "; ".join(told)


def escalate(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """The rollback failed, and so did the second try: people must look now."""
    service = session.deployments.service(incident.key)
    runs = "nothing: the service is gone"
    if service:
        runs = service.task_definition.rpartition("/")[2]
    first = f"{incident.intent.controller}'s own rollback failed, and deploying the target did too"
    look = f"{runs} is what the service is set to run now; look at its events and stopped tasks"
    result = replace(
        incident.intent.result,
        summary=f"{incident.key.service}: not recovered: {first}: {why}; {look}.",
        incident_state=IncidentState.NOT_RECOVERED,
    )
    return _close(
        session,
        incident,
        Event.SECOND_TRY_FAILED,
        result,
    )


def _close(
    session: Session,
    incident: Incident,
    event: Event,
    result: Result,
) -> Result:
    closed = incident.closed(event, result, session.now)
    told = announce.tell_of_incident(session, closed, is_own=_is_own(session, incident))
    due = None if told.announced else session.now
    session.ledger.finish(told, due, session.request_id)
    return result
