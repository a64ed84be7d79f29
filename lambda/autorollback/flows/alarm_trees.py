"""Which alarms are under a user's own is read before it matters, and kept."""

from collections.abc import Mapping
from dataclasses import replace

from autorollback.flows.session import ProtectedService

Trees = Mapping[str, tuple[str, ...]]


def read_anew(service: ProtectedService) -> ProtectedService:
    """The service with the alarms under its users' own as they are now."""
    if not service.configured.alarms:
        return service
    trees = service.session.alarms.trees(service.configured)
    ledger = replace(service.ledger_state, alarm_trees=trees)
    return replace(service, snapshot=replace(service.snapshot, ledger=ledger))


def changed(before: ProtectedService, now: ProtectedService) -> Trees | None:
    """What the ledger is to keep; None where it has it already."""
    trees = now.ledger_state.alarm_trees
    return None if trees == before.ledger_state.alarm_trees else trees
