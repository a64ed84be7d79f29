"""What is asked of a deployment that has just begun."""

from autorollback.decision.facts import Service, Trigger, TriggerKind
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.flows import confirm, known_bad, look_at, respond, settle, traffic_watch
from autorollback.flows.session import ProtectedService, Session, unprotected
from autorollback.requests import DeploymentBegan
from autorollback.results import Answer


def deployment_began(session: Session, began: DeploymentBegan) -> Answer:
    """Have its traffic watched, and look for a known bad build.

    Of a service from which nothing was rolled back, and of a rollback itself, the second is one query of the ledger.
    """
    key = began.service
    configured = session.policy_of(key)
    if configured is None:
        return unprotected(session, key)
    service = session.deployments.service(key)
    look_at.remember(
        session,
        key,
        service,
        began.at,
    )
    watched = traffic_watch.watch_new(
        session,
        key,
        configured.policy,
        service,
    )
    known = session.ledger.recall(key, session.now)
    if not known.state.quarantined or _is_rollback(service, known):
        return watched

    with session.lease(key) as leased:
        if not leased:
            return watched  # whoever judges the service sees it too
        return _look_for_known_bad(session, began) or watched


def _is_rollback(service: Service | None, known: ServiceLedger) -> bool:
    """Whether the service is set to run what a rollback that is under way deployed."""
    if service is None:
        return False
    under_way = [incident for incident in known.incidents if incident.closed_at is None]
    return service.task_definition in {incident.intent.deploy for incident in under_way}


def _look_for_known_bad(session: Session, began: DeploymentBegan) -> Answer | None:
    """Tell people of a known bad build, and judge it where an alarm is red; None where it is another."""
    service = settle.take_up(session, began.service)
    if not isinstance(service, ProtectedService):
        return service
    trigger = Trigger(TriggerKind.ALARM, began.at)
    facts = session.reader.facts(service.snapshot, trigger, service.now)
    if not known_bad.is_back(service, facts):
        return None

    service = confirm.follow_first(service)
    if not isinstance(service, ProtectedService):
        return service
    told = known_bad.tell_of_its_coming(service, facts)
    return respond.judge_red(service, facts, began.at) or told
