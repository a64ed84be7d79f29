"""When does traffic reach a deployment that shifts it? AWS keeps no time of that: it is looked at on the way."""

from datetime import timedelta

from autorollback.aws.ecs import DeploymentPage
from autorollback.decision.facts import Deployment, Service
from autorollback.decision.traffic_shift import is_watched, reading_of
from autorollback.flows.session import ProtectedService, Session
from autorollback.naming import ServiceKey
from autorollback.policy import Policy
from autorollback.results import Done

KEPT_BEYOND_WINDOW = timedelta(days=1)
"""How long what was seen is kept, after a deployment that ended then would have ceased to be suspect."""


def watch_new(
    session: Session,
    key: ServiceKey,
    policy: Policy,
    service: Service | None,
) -> Done:
    """Have the sweep look at the traffic of a deployment whose strategy shifts any."""
    if service is None or not service.shifts_traffic:
        return Done(f"{key}: a deployment began that shifts no traffic")
    _look(session, key, policy)
    return Done(f"{key}: the traffic of the deployment that began is watched")


def look_again(service: ProtectedService) -> None:
    """Look at the deployments that are watched, until they end."""
    session, known = service.session, service.ledger_state
    if not known.watched:
        return
    deployments = session.deployments.history(None).deployments(known.watched)
    for deployment in deployments:
        keep(session, service.key, service.policy, deployment)


def keep(
    session: Session,
    key: ServiceKey,
    policy: Policy,
    deployment: Deployment,
) -> None:
    """Remember what is seen of a deployment now.

    It is looked at again until it ends.
    """
    now = session.now
    session.ledger.keep_traffic(
        key,
        reading_of(deployment, now),
        now + policy.window + KEPT_BEYOND_WINDOW,
        now if is_watched(deployment) else None,
    )


def _look(
    session: Session,
    key: ServiceKey,
    policy: Policy,
) -> None:
    """Look at the newest deployment."""
    page = session.deployments.newest_page(key)
    if not isinstance(page, DeploymentPage) or not page.arns:
        return
    newest = page.arns[:1]
    for deployment in session.deployments.history(None).deployments(newest):
        if is_watched(deployment):
            keep(session, key, policy, deployment)
