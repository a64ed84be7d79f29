"""What was left unfinished of a service is finished first."""

from autorollback.decision.result import Outcome
from autorollback.flows import act, announce
from autorollback.flows.session import (
    ProtectedService,
    Session,
    already_being_judged,
    unprotected,
)
from autorollback.naming import ServiceKey
from autorollback.results import Answer, Done


def take_up(session: Session, key: ServiceKey) -> ProtectedService | Answer:
    """The service to go on with.

    Or the answer, where there is nothing more to do. The caller holds its lease.
    """
    service = session.look_at(key)
    if service is None:
        return unprotected(session, key)
    return settle(service)


def settle(service: ProtectedService) -> ProtectedService | Answer:
    """Finish an unfinished claim; a request that was answered before gets its answer again.

    A message that could not be sent comes before nothing: the sweep sends it, or the retry of the request that it is of.
    Where a claim had to be given up, the service is looked at anew; so it is where the record of an open incident was removed.
    """
    for lost in service.ledger_state.lost:
        service.session.ledger.put_back(lost)
        detail = "its record was removed while it was open, and is put back"
        service.session.report(Done(f"{lost.incident_id}: {detail}"))
    unfinished = service.ledger_state.unfinished_claim
    if unfinished is None:
        answered = _answered_before(service)
        return service if answered is None else answered
    answer = act.resume(service, unfinished)
    if answer.outcome is not Outcome.FAILED:
        return answer
    service.session.report(answer)
    again = service.look_again()
    return already_being_judged(service.key) if again is None else again


def _answered_before(service: ProtectedService) -> Answer | None:
    """What this very request was answered, which is told now where it could not be told then."""
    session = service.session
    for incident in service.ledger_state.incidents:
        if incident.intent.request_id == session.request_id and incident.result:
            announce.send_of_incident(session, incident, is_own=True)
            return incident.result
    return None
