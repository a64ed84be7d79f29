"""Where else to look: what was deployed shortly before the trouble."""

from dataclasses import replace
from datetime import datetime

from autorollback.decision.definition import short_name
from autorollback.decision.facts import Service
from autorollback.decision.ledger_state import RecentDeployment
from autorollback.decision.result import LookAt, Result
from autorollback.flows.session import ProtectedService, Session
from autorollback.naming import ServiceKey

AT_MOST = 3


def remember(
    session: Session,
    key: ServiceKey,
    service: Service | None,
    at: datetime,
) -> None:
    """Remember that a service was deployed, at the time that an event names.

    It is bounded by now, for events are only news.
    """
    if service is None or not service.task_definition:
        return
    definition = short_name(service.task_definition)
    deployed = RecentDeployment(key, definition, min(at, session.now))
    session.ledger.save_deployment(deployed)


def told_where(
    service: ProtectedService,
    result: Result,
    onset: datetime,
) -> Result:
    """The result with up to three other services deployed within the window before the onset.

    The newest comes first.
    """
    since = onset - service.policy.window
    places: dict[ServiceKey, LookAt] = {}
    for deployed in service.session.ledger.deployed_between(since, onset):
        if deployed.key == service.key or deployed.key in places:
            continue
        places[deployed.key] = LookAt(
            deployed.key.cluster,
            deployed.key.service,
            deployed.task_definition,
            deployed.at,
        )
    return replace(result, look_at=tuple(places.values())[:AT_MOST])
