"""Which protected service a person means. Nothing of a service is read before that is known."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from autorollback.flows.session import Session
from autorollback.naming import ServiceKey
from autorollback.policy import PolicyError
from autorollback.requests import BadRequest, Manual

SUGGESTED = 3
"""Of the protected services, those whose names are nearest to one that is none."""


def service_named(session: Session, asked: Manual) -> ServiceKey:
    """The one protected service that a person means.

    Raises:
        BadRequest: where it is not protected, with the nearest names; or where clusters share the
            name and none is given.
    """
    if asked.service is None:
        raise BadRequest("service", None, "the name of a protected service")

    if asked.cluster is not None:
        key = ServiceKey(asked.cluster, asked.service)
        if _is_protected(session, key):
            return key
        raise _not_protected(asked, session.policies.keys())

    keys = session.policies.keys()
    found = [key for key in keys if key.service == asked.service]
    if not found:
        raise _not_protected(asked, keys)
    if len(found) > 1:
        clusters = ", ".join(key.cluster for key in found)
        shared = f"{len(found)} protected services are named {asked.service}"
        raise BadRequest("cluster", None, f"one of {clusters}: {shared}")
    return found[0]


def maybe_named(session: Session, asked: Manual) -> ServiceKey | None:
    """The one protected service that a person means; None where all are meant."""
    return service_named(session, asked) if asked.service else None


def _is_protected(session: Session, key: ServiceKey) -> bool:
    """Whether it has a policy, be it one that cannot be read."""
    try:
        return session.policy_of(key) is not None
    except PolicyError:
        return True


def _not_protected(asked: Manual, keys: Iterable[ServiceKey]) -> BadRequest:
    """The refusal of a name: the cluster is wrong where another one has the service."""
    namesakes = [key.cluster for key in keys if key.service == asked.service]
    if namesakes:
        clusters = ", ".join(namesakes[:SUGGESTED])
        return BadRequest("cluster", asked.cluster, f"{clusters}, where {asked.service} is")

    wanted = str(ServiceKey(asked.cluster or "", asked.service or ""))
    nearest = sorted(keys, key=lambda key: _likeness(key, wanted), reverse=True)[:SUGGESTED]
    if not nearest:
        return BadRequest("service", asked.service, "a protected service; there is none yet")
    names = ", ".join(str(key) for key in nearest)
    return BadRequest("service", asked.service, f"a protected service; the nearest are {names}")


def _likeness(key: ServiceKey, wanted: str) -> float:
    cluster, _, service = wanted.partition("/")
    of_service = SequenceMatcher(None, key.service, service).ratio()
    of_cluster = SequenceMatcher(None, key.cluster, cluster).ratio()
    return of_service + of_cluster / 10
