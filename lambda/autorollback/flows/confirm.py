"""After a rollback: did it help? Asked when an alarm goes OK, when a deployment ends, and by the sweep."""

from dataclasses import replace

from autorollback import results
from autorollback.aws.evidence import FirstLook
from autorollback.aws.ledger import Incident, State, past_rollback
from autorollback.decision.model import Reason, Trigger, TriggerKind
from autorollback.decision.recovery import Progress, Recovery, assess
from autorollback.flows import respond
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.requests import DeploymentEnded, Sweep
from autorollback.results import Result


def confirm(desk: Desk, call: Call, key: ServiceKey) -> Result:
    """Look after a service's open incident: close it where its end can be told, and tell people."""
    if not desk.ledger.lease(key, call.request_id, call.now, call.lease_until):
        return results.ignored(Reason.ALREADY_HANDLED, "the service is being judged by another invocation", key)
    try:
        look = desk.evidence.first_look(key, call.now)
        if look.policy is None:
            return respond.unprotected(key, desk)
        if resumed := respond.finish_unfinished(desk, call, look, look.policy):
            return resumed
        incident = _open_incident(look)
        if incident is None:
            return results.ignored(Reason.NOT_IN_ALARM, "no incident of this service is open", key)
        return _follow(desk, call, look, look.policy, incident)
    finally:
        desk.ledger.give_back(key, call.request_id)


def deployment_ended(desk: Desk, call: Call, ended: DeploymentEnded) -> Result:
    """ECS says that a deployment completed or failed: perhaps ours, perhaps one that comes into a red alarm."""
    key = ended.service
    if not desk.ledger.lease(key, call.request_id, call.now, call.lease_until):
        return results.ignored(Reason.ALREADY_HANDLED, "the service is being judged by another invocation", key)
    try:
        look = desk.evidence.first_look(key, call.now)
        if look.policy is None:
            return respond.unprotected(key, desk)
        if resumed := respond.finish_unfinished(desk, call, look, look.policy):
            return resumed
        if incident := _open_incident(look):
            return _follow(desk, call, look, look.policy, incident)
        if not ended.completed:
            return respond.judge(desk, call, look, look.policy, respond.trigger_of(ended))
        present = desk.evidence.present(look, respond.trigger_of(ended), call.now)
        red = next((alarm for alarm in present.alarms if alarm.in_alarm), None)
        if red is None:
            return results.done("a deployment completed, and no alarm of the service is in ALARM")
        return respond.judge(desk, call, look, look.policy, Trigger(TriggerKind.ALARM, ended.at, red.name))
    finally:
        desk.ledger.give_back(key, call.request_id)


def sweep(desk: Desk, call: Call, _sweep: Sweep) -> Result:
    """What events alone would lose: incidents that are overdue, and claims that were left unfinished."""
    due = desk.ledger.due(call.now)
    looked = [confirm(desk, call, key) for key in due]
    return results.done(f"{len(looked)} incident(s) looked after")


def _open_incident(look: FirstLook) -> Incident | None:
    return next((i for i in look.recollection.incidents if i.state is State.OPEN), None)


def _follow(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, incident: Incident) -> Result:
    facts = desk.evidence.present(look, Trigger(TriggerKind.ALARM, call.now), call.now)
    recovery = assess(past_rollback(incident), facts, policy.policy, call.now)
    if recovery.progress is Progress.OPEN:
        desk.ledger.save(incident, due=recovery.look_again)
        return results.done(f"{incident.incident_id} is still open: {recovery.detail}")
    return _close(desk, call, incident, recovery)


def _close(desk: Desk, call: Call, incident: Incident, recovery: Recovery) -> Result:
    result = {
        **(incident.result or {}),
        "summary": f"{incident.key.service}: {recovery.progress.value.replace('_', ' ')}: {recovery.detail}.",
        "incident_state": recovery.progress.value,
    }
    closed = replace(incident, state=State(recovery.progress.value), result=result, closed_at=call.now, announced=False)
    desk.ledger.save(closed, due=call.now)
    desk.announcer.announce(result, str(incident.intent["service_arn"]))
    desk.ledger.save(replace(closed, announced=True), due=None)
    return result
