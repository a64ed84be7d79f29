"""Is there still what the service's load balancer, network and platform need of its definition?"""

from collections.abc import Mapping

from autorollback.decision.definition import Definition
from autorollback.decision.facts import Revision, Service
from autorollback.decision.lookups import Lookup
from autorollback.decision.preflight_case import (
    PreflightCase,
    PreflightCheck,
    PreflightTarget,
    restored_whole,
)
from autorollback.decision.verdicts import Check, CheckName

FARGATE = "FARGATE"


def needs(_: PreflightTarget) -> frozenset[Lookup]:
    """Nothing: the definitions and the service tell it."""
    return frozenset()


def find(case: PreflightCase) -> tuple[Check, ...]:
    """One finding: it fits the service, or what does not."""
    found = _matches(case)
    if case.restored_whole:
        found = restored_whole(found)
    return (found,)


def _matches(case: PreflightCase) -> Check:
    target, running = case.target, case.running
    present: Mapping[str, str] = target.now_runs.settings if target.now_runs else {}
    objection = (
        _missing_port(target.service, target.definition, running)
        or _other_network(target.definition, running)
        or _other_platform(target.definition, running, present)
    )
    if objection:
        return Check(CheckName.SETTINGS_MATCH, passed=False, detail=objection)

    other = _other_settings(target.revision, present)
    detail = "load balancer, network mode and platform fit the service"
    if other:
        ran_under = "it fits, but ran under other settings of the service"
        detail = f"{ran_under}, which stay as they are now: {', '.join(other)}"
    return Check(CheckName.SETTINGS_MATCH, passed=True, detail=detail)


def _missing_port(
    service: Service,
    definition: Definition,
    running: Definition,
) -> str | None:
    """A place that requests are sent to, and that only the running definition has."""
    for place in service.ports:
        if place in running.ports and place not in definition.ports:
            container, port = place
            sends_to = f"the load balancer or a service registry sends to {container}:{port}"
            return f"{sends_to}, which {definition.name} does not have"
    return None


def _other_network(definition: Definition, running: Definition) -> str | None:
    if definition.network_mode == running.network_mode:
        return None
    its_own = f"its network mode is {definition.network_mode}"
    return f"{its_own}, the service runs with {running.network_mode}"


def _other_platform(
    definition: Definition,
    running: Definition,
    settings: Mapping[str, str],
) -> str | None:
    platform = _platform(running, settings)
    registered_for = definition.compatibilities
    if platform not in running.compatibilities:
        return None
    fits_any = not registered_for and platform != FARGATE
    if platform in registered_for or fits_any:
        return None
    return f"the service runs on {platform}, {definition.name} was not registered for it"


def _platform(running: Definition, settings: Mapping[str, str]) -> str | None:
    """What the service's tasks are launched on, by its launch type or its capacity providers.

    Where neither is told it is Fargate, if that may be.
    """
    launch_type = settings.get("launchType")
    if launch_type:
        return launch_type
    told_by = settings.get("capacityProviderStrategy", running.compatibilities)
    return FARGATE if FARGATE in told_by else None


def _other_settings(revision: Revision, present: Mapping[str, str]) -> list[str]:
    """Names of the service settings under which it ran otherwise.

    They stay as the service has them now.
    """
    if not revision.settings or not present:
        return []
    names = {*revision.settings, *present}
    return sorted(name for name in names if revision.settings.get(name) != present.get(name))


CHECK = PreflightCheck(CheckName.SETTINGS_MATCH, needs, find)
