"""What a person asks of the ledger: its history, pauses, and to lift a quarantine."""

from datetime import timedelta

from autorollback import results
from autorollback.aws.items import Incident, LedgerRecordError
from autorollback.decision.formatting import clock
from autorollback.flows import respond
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import PolicyError
from autorollback.requests import BadRequest, Manual
from autorollback.results import Result


def history(desk: Desk, asked: Manual, key: ServiceKey | None) -> Result:
    """Incidents of a service or of all, newest first.

    Raises:
        BadRequest: for a `next` that no page gave.
        LedgerRecordError: for a record that cannot be read.
    """
    try:
        incidents, following = desk.ledger.history(key, asked.limit, asked.next)
    except LedgerRecordError:
        raise  # what cannot be read is no fault of who asks
    except ValueError as error:
        raise BadRequest("next", asked.next, "the `next` of the page before") from error
    return {"outcome": "done", "incidents": [_told(incident) for incident in incidents], "next": following}


def pause(desk: Desk, call: Call, asked: Manual, key: ServiceKey | None) -> Result:
    """Automatic rollbacks rest until a time; a person's own go on."""
    if unknown := _unprotected(desk, key):
        return unknown
    until = call.now + timedelta(minutes=asked.minutes or 0)
    desk.ledger.pause(key, until, asked.reason, call.now)
    return results.done(f"automatic rollbacks of {key or 'all services'} are paused until {clock(until)}")


def resume(desk: Desk, key: ServiceKey | None) -> Result:
    """Automatic rollbacks go on."""
    if unknown := _unprotected(desk, key):
        return unknown
    desk.ledger.resume(key)
    whole = "" if key is None else "; a pause of all services would still hold"
    return results.done(f"automatic rollbacks of {key or 'all services'} are not paused{whole}")


def release(desk: Desk, call: Call, asked: Manual, key: ServiceKey) -> Result:
    """Lift the quarantine of what ran under a revision.

    Raises:
        BadRequest: where nothing of that revision is quarantined.
    """
    quarantined = sorted({str(i["task_definition"]) for i in desk.ledger.recall_items(key, "quarantine#")})
    wanted = str(asked.revision).rpartition("/")[2]
    named = [name for name in quarantined if name == wanted or name.rpartition(":")[2] == wanted]
    if not named:
        listed = ", ".join(quarantined) or "nothing is quarantined"
        raise BadRequest("revision", asked.revision, f"a quarantined revision of {key}: {listed}")
    for name in named:
        desk.ledger.release(key, name, asked.reason, call.now)
    return results.done(f"{', '.join(named)} of {key} may be rolled back to again")


def _unprotected(desk: Desk, key: ServiceKey | None) -> Result | None:
    """A pause of a name that was mistyped would protect nobody. One whose policy is broken can be paused all the same."""
    try:
        protected = key is None or desk.evidence.policies.of(key) is not None
    except PolicyError:
        protected = True
    if key is None or protected:
        return None
    return respond.unprotected(key, desk)


def _told(incident: Incident) -> Result:
    result = dict(incident.result or incident.intent["result"])
    return result | {
        "incident_state": incident.state.value,
        "opened_at": incident.claimed_at.isoformat(),
        "closed_at": incident.closed_at.isoformat() if incident.closed_at else None,
    }
