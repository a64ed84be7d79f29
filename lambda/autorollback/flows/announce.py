"""Telling people. What cannot be sent is kept and sent later; it stands in the way of no judgement and no act."""

from dataclasses import replace

from autorollback.aws.ledger import Notice, UnsentNotice
from autorollback.decision.incident import Incident, Phase
from autorollback.flows.session import Session
from autorollback.naming import ServiceKey
from autorollback.results import Message


def tell_of_incident(
    session: Session,
    incident: Incident,
    *,
    is_own: bool,
) -> Incident:
    """Tell people what they have not been told of an incident.

    Returned is the incident as the caller must write it.

    A message of the invocation's `own` that cannot be sent fails the invocation, once it has done all else.
    """
    untold = list(incident.untold)
    while untold and _send(
        session,
        untold[0],
        incident.intent.service_arn,
        is_own=is_own,
    ):
        untold.pop(0)
    earlier = tuple(untold[:-1])
    intent = replace(incident.intent, untold=earlier)
    return replace(incident, announced=not untold, intent=intent)


def tell_once(
    session: Session,
    key: ServiceKey,
    notice: Notice,
) -> None:
    """Tell people of a verdict on a deployment, once for each reason."""
    unsent = session.ledger.should_notify(key, notice, session.now)
    if unsent:
        _send_notice(session, key, unsent)


def send_kept(session: Session, key: ServiceKey) -> None:
    """Send what could not be sent of a service.

    Unless another invocation is at work on it.
    """
    if not session.ledger.recall(key, session.now).has_untold:
        return
    with session.lease(key) as leased:
        if not leased:
            return
        known = session.ledger.recall(key, session.now)
        for incident in reversed(known.incidents):
            if incident.untold:
                send_of_incident(session, incident)
        for sort_key in known.unsent:
            unsent = session.ledger.unsent_notice(key, sort_key)
            if unsent:
                _send_notice(session, key, unsent)


def send_of_incident(session: Session, incident: Incident) -> None:
    """Send what could not be sent of an incident, and write down that it was."""
    told = tell_of_incident(session, incident, is_own=True)
    if told == incident:
        return
    is_over = told.announced and told.phase is not Phase.OPEN
    session.ledger.save(told, due=None if is_over else session.now)


def _send_notice(
    session: Session,
    key: ServiceKey,
    notice: UnsentNotice,
) -> None:
    if _send(
        session,
        notice.message,
        notice.resource,
        is_own=True,
    ):
        session.ledger.notified(key, notice)


def _send(
    session: Session,
    message: Message,
    resource: str,
    *,
    is_own: bool,
) -> bool:
    try:
        session.announcer.announce(message, resource)
    except Exception as error:  # noqa: BLE001 - whatever it is, the message is kept and sent later
        if is_own:
            session.unsent.append(error)
        return False
    return True
