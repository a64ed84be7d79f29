"""What is still due of a service that is protected no more ends.

People are told how far it came.
"""

from datetime import timedelta

from autorollback.decision.facts import TrafficReading
from autorollback.decision.incident import Incident
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.flows import endings
from autorollback.flows.session import Session, unprotected
from autorollback.naming import ServiceKey
from autorollback.results import Answer

WAITS_FOR = timedelta(hours=1)
"""How long the service may be protected again: it may have been taken out by mistake."""


def look_after(session: Session, key: ServiceKey) -> Answer:
    """End what is due of a service without a policy, whose lease the caller holds.

    Nothing of the service itself is read: the function's role would refuse that.
    """
    known = session.ledger.recall(key, session.now)
    for lost in known.lost:
        session.ledger.put_back(lost)
    _end_watches(session, key, known)
    for incident in known.incidents:
        if incident.is_under_way and _is_over(session, incident):
            session.report(endings.no_longer_protected(session, incident))
    return unprotected(session, key)


def _is_over(session: Session, incident: Incident) -> bool:
    return session.now - incident.attempted_at > WAITS_FOR


def _end_watches(
    session: Session,
    key: ServiceKey,
    known: ServiceLedger,
) -> None:
    ledger, now = session.ledger, session.now
    for check in known.pending_checks:
        if now - check.failed_at > WAITS_FOR:
            ledger.remove_pending_check(key, check)
    for watch in known.red_watches:
        if now - watch.since > WAITS_FOR:
            ledger.end_red_watch(
                key,
                watch,
                now,
                told=True,
            )
    for deployment in known.watched:
        ledger.keep_traffic(key, TrafficReading(deployment), now + WAITS_FOR, due=None)
