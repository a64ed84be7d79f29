"""Telling people, and machines. What cannot be sent is kept and sent later; it stands in the way of no judgement and no act."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from autorollback import metrics
from autorollback.aws.clients import in_parallel
from autorollback.aws.ledger import Notice, UnsentNotice
from autorollback.decision.incident import Incident, Phase, Told
from autorollback.flows.session import Session
from autorollback.naming import ServiceKey
from autorollback.results import Message


def tell_of_incident(
    session: Session,
    incident: Incident,
    *,
    is_own: bool,
) -> Incident:
    """Tell people and machines what they have not been told of an incident.

    Returned is the incident as the caller must write it.

    A message of the invocation's `own` that cannot be sent fails the invocation, once it has done all else.
    """
    untold, told = incident.untold, incident.told
    sent = _send(
        session,
        untold[told.people :],
        untold[told.machines :],
        incident.intent.service_arn,
        is_own=is_own,
    )
    people, machines = told.people + sent.people, told.machines + sent.machines
    both = min(people, machines)
    intent = replace(incident.intent, untold=untold[both:-1])
    return replace(
        incident,
        announced=both == len(untold),
        intent=intent,
        told=Told(people - both, machines - both),
    )


def tell_once(
    session: Session,
    key: ServiceKey,
    notice: Notice,
) -> None:
    """Tell people of a verdict on a deployment, once for each reason."""
    unsent = session.ledger.should_notify(key, notice, session.now)
    if unsent:
        _send_notice(
            session,
            key,
            unsent,
            is_own=True,
        )


def send_kept(session: Session, key: ServiceKey) -> None:
    """Send what could not be sent of a service.

    Unless another invocation is at work on it. The sweep does not fail for a message that is still
    not to be sent: the metric tells it.
    """
    if not session.ledger.recall(key, session.now).has_untold:
        return
    with session.lease(key) as leased:
        if not leased:
            return
        known = session.ledger.recall(key, session.now)
        for incident in reversed(known.incidents):
            if incident.untold:
                send_of_incident(session, incident, is_own=False)
        for sort_key in known.unsent:
            unsent = session.ledger.unsent_notice(key, sort_key)
            if unsent:
                _send_notice(
                    session,
                    key,
                    unsent,
                    is_own=False,
                )


def send_of_incident(
    session: Session,
    incident: Incident,
    *,
    is_own: bool,
) -> None:
    """Send what could not be sent of an incident, and write down that it was."""
    told = tell_of_incident(session, incident, is_own=is_own)
    if told == incident:
        return
    is_over = told.announced and told.phase is not Phase.OPEN
    session.ledger.save(told, due=None if is_over else session.now)


def publish(
    session: Session,
    title: str,
    letter: str,
    document: dict[str, object],
) -> bool:
    """One message to people that is about no incident.

    False where it could not be sent. Then the invocation fails in the end, and its retry sends it.
    """
    try:
        session.announcer.publish(title, letter, document)
    except Exception as error:  # noqa: BLE001 - whatever it is, the audit goes on without it
        metrics.count_unannounced(session.names.metric_namespace)
        session.unsent.append(error)
        return False
    return True


def _send_notice(
    session: Session,
    key: ServiceKey,
    notice: UnsentNotice,
    *,
    is_own: bool,
) -> None:
    message = (notice.message,)
    sent = _send(
        session,
        () if notice.people_told else message,
        () if notice.machines_told else message,
        notice.resource,
        is_own=is_own,
    )
    if sent.people or sent.machines:
        people_told = notice.people_told or sent.people > 0
        machines_told = notice.machines_told or sent.machines > 0
        told = replace(notice, people_told=people_told, machines_told=machines_told)
        session.ledger.notified(key, told)


@dataclass(frozen=True, slots=True)
class _Sent:
    """How many messages were sent, in their order, and what kept the next one from it."""

    number: int
    error: Exception | None = None


def _send(
    session: Session,
    to_people: Sequence[Message],
    to_machines: Sequence[Message],
    resource: str,
    *,
    is_own: bool,
) -> Told:
    """Send to people and to machines at once; neither waits for the other to be reachable."""
    announcer = session.announcer
    machines = partial(announcer.tell_machines, resource=resource)
    sent: dict[str, _Sent] = in_parallel(
        {
            "people": partial(_in_order, announcer.tell_people, to_people),
            "machines": partial(_in_order, machines, to_machines),
        }
    )
    failed = [one.error for one in sent.values() if one.error is not None]
    if failed:
        metrics.count_unannounced(session.names.metric_namespace)
    if is_own:
        session.unsent.extend(failed)
    return Told(sent["people"].number, sent["machines"].number)


def _in_order(tell: Callable[[Message], None], messages: Sequence[Message]) -> _Sent:
    for number, message in enumerate(messages):
        try:
            tell(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message is kept and sent later
            return _Sent(number, error)
    return _Sent(len(messages))
