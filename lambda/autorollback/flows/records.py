"""What a person asks of the ledger: its history, pauses, and to lift a quarantine."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.decision.facts import Quarantine
from autorollback.decision.formatting import clock
from autorollback.decision.incident import Incident
from autorollback.decision.result import IncidentRecord
from autorollback.flows.session import Session
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest, Manual
from autorollback.results import Answer, Done, HistoryAnswer


def history(
    session: Session,
    asked: Manual,
    key: ServiceKey | None,
) -> HistoryAnswer:
    """Incidents of a service or of all, newest first.

    A claim that has not acted yet is none.

    Raises:
        BadRequest: for a `next` that no page gave.
        LedgerRecordError: for a record that cannot be read.
    """
    try:
        page = session.ledger.history(key, asked.limit, asked.next)
    except LedgerRecordError:
        raise  # what cannot be read is no fault of who asks
    except ValueError as error:
        raise BadRequest("next", asked.next, "the `next` of the page before") from error
    acted_or_ended = [one for one in page.incidents if not one.is_unfinished_claim]
    records = tuple(_record_of(incident) for incident in acted_or_ended)
    return HistoryAnswer(records, page.next)


def pause(
    session: Session,
    asked: Manual,
    key: ServiceKey | None,
) -> Answer:
    """Automatic rollbacks rest until a time; a person's own go on."""
    until = session.now + timedelta(minutes=asked.minutes or 0)
    session.ledger.pause(
        key,
        until,
        asked.reason,
        session.now,
        asked.requested_by,
    )
    whose = key or "all services"
    return Done(f"automatic rollbacks of {whose} are paused until {clock(until)}")


def resume(session: Session, key: ServiceKey | None) -> Answer:
    """Automatic rollbacks go on."""
    session.ledger.resume(key)
    if key is None:
        return Done("automatic rollbacks of all services are not paused")
    still = "a pause of all services would still hold"
    return Done(f"automatic rollbacks of {key} are not paused; {still}")


def release(
    session: Session,
    asked: Manual,
    key: ServiceKey,
) -> Done:
    """Lift the quarantine of what ran under a revision.

    And of all that its processes cannot tell from it.

    Raises:
        BadRequest: where nothing of that revision is quarantined.
    """
    quarantines = session.ledger.quarantines(key)
    wanted = str(asked.revision).rpartition("/")[2]
    named = [q for q in quarantines if wanted in _ways_to_name(q.task_definition)]
    if not named:
        listed = _names_of(quarantines) or "nothing is quarantined"
        allowed = f"a quarantined revision of {key}: {listed}"
        raise BadRequest("revision", asked.revision, allowed)
    lifted = _alike(named, quarantines)
    for quarantine in lifted:
        session.ledger.release(
            key,
            quarantine,
            asked.reason,
            session.now,
            asked.requested_by,
        )
    return Done(f"{_names_of(lifted)} of {key} may be rolled back to again")


def _alike(named: Sequence[Quarantine], quarantines: Sequence[Quarantine]) -> list[Quarantine]:
    """Those that are named, and those that processes cannot tell from them."""
    seen = {quarantine.process_identity for quarantine in named}
    seen.discard(None)
    return [one for one in quarantines if one in named or one.process_identity in seen]


def _names_of(quarantines: Iterable[Quarantine]) -> str:
    return ", ".join(sorted({quarantine.task_definition for quarantine in quarantines}))


def _ways_to_name(task_definition: str) -> tuple[str, str]:
    """A revision as `family:18`, and by its number alone."""
    return task_definition, task_definition.rpartition(":")[2]


def _record_of(incident: Incident) -> IncidentRecord:
    result = replace(incident.shown, incident_state=incident.phase.told_as)
    return IncidentRecord(result, incident.claimed_at, incident.closed_at)
