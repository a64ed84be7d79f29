"""Telling people. What cannot be sent is kept and sent later; it stands in the way of no judgement and no act."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from autorollback.aws.items import Incident, State, Unsent
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.results import Result


def tell(desk: Desk, incident: Incident, *, own: bool) -> Incident:
    """Tell people what they have not been told of an incident; the incident as it then stands, to be written by the caller.

    Where that fails for a message of this invocation's `own`, the invocation fails once it has done all else.
    """
    untold = list(incident.untold)
    while untold:
        if not _sent(desk, untold[0], str(incident.intent["service_arn"]), own=own):
            break
        untold.pop(0)
    intent = {name: value for name, value in incident.intent.items() if name != "untold"}
    if earlier := untold[:-1]:
        intent["untold"] = earlier
    return replace(incident, announced=not untold, intent=intent)


def tell_once(
    desk: Desk,
    call: Call,
    key: ServiceKey,
    deployment: str,
    result: Result,
    *,
    reason: str | None = None,
    resource: str | None = None,
    judged: Sequence[str] = (),
    facts: str | None = None,
) -> None:
    """Tell people of a verdict on a deployment, once for each reason (the result's own, unless one is given)."""
    why = reason or str(result["reason"])
    unsent = desk.ledger.tell_once(key, deployment, why, result, call.now, judged, facts, resource)
    if unsent:
        _send(desk, key, unsent)


def send_kept(desk: Desk, call: Call, key: ServiceKey) -> None:
    """Send what could not be sent of a service, unless another invocation is at work on it."""
    if not desk.ledger.recall(key, call.now).has_untold:
        return
    if not desk.ledger.lease(key, call.request_id, call.now, call.lease_until):
        return
    try:
        known = desk.ledger.recall(key, call.now)
        for incident in reversed(known.incidents):
            if incident.untold:
                send_of(desk, call, incident)
        for unsent in known.unsent:
            _send(desk, key, unsent)
    finally:
        desk.ledger.give_back(key, call.request_id)


def send_of(desk: Desk, call: Call, incident: Incident) -> None:
    """Send what could not be sent of an incident, and write down that it was."""
    told = tell(desk, incident, own=True)
    if told != incident:
        over = told.announced and told.state is not State.OPEN
        desk.ledger.save(told, due=None if over else call.now)


def _send(desk: Desk, key: ServiceKey, unsent: Unsent) -> None:
    if _sent(desk, unsent.result, unsent.resource, own=True):
        desk.ledger.told(key, unsent)


def _sent(desk: Desk, result: Mapping[str, Any], resource: str, *, own: bool) -> bool:
    try:
        desk.announcer.announce(result, resource)
    except Exception as error:  # noqa: BLE001 - whatever it is, the message is kept
        if own:
            desk.unsent.append(error)
        return False
    return True
