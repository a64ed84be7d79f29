"""Is there what the service's settings need of its definition?

Whatever they name of one: ports, port names, volumes; and network mode and platform must fit.
"""

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
MANAGED = "MANAGED_INSTANCES"
"""A launch type of which AWS chooses the instances (botocore ecs/2014-11-13, Compatibility)."""


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
        _missing_port(target.service, target.definition)
        or _missing_port_name(target.service, target.definition)
        or _other_volumes(target.service, target.definition)
        or _other_network(target.definition, running)
        or _other_platform(target.definition, running, present)
        or _other_processor(target.definition, running, present)
    )
    if objection:
        return Check(CheckName.SETTINGS_MATCH, passed=False, detail=objection)

    other = _other_settings(target.revision, present)
    detail = "ports, volumes, network mode and platform fit the service"
    if other:
        ran_under = "it fits, but ran under other settings of the service"
        detail = f"{ran_under}, which stay as they are now: {', '.join(other)}"
    return Check(CheckName.SETTINGS_MATCH, passed=True, detail=detail)


def _missing_port(service: Service, definition: Definition) -> str | None:
    """A place that requests are sent to, and that the definition does not have."""
    for container, port in service.ports:
        if not definition.listens_on(container, port):
            sends_to = f"the load balancer or a service registry sends to {container}:{port}"
            return f"{sends_to}, which {definition.name} does not have"
    return None


def _missing_port_name(service: Service, definition: Definition) -> str | None:
    """A name by which Service Connect or VPC Lattice looks for a port, and that no mapping has."""
    for name in service.port_names:
        if name not in definition.port_names:
            looks_for = f"Service Connect or VPC Lattice looks for the port named {name}"
            return f"{looks_for}, which {definition.name} does not have"
    return None


def _other_volumes(service: Service, definition: Definition) -> str | None:
    """A volume that is configured at launch on one side alone: UpdateService refuses both.

    Volume.configuredAtLaunch and ServiceVolumeConfiguration.name (botocore ecs/2014-11-13).
    """
    configured = frozenset(service.volumes)
    for name in sorted(configured - definition.volumes_at_launch):
        return f"the service configures the volume {name}, which {definition.name} does not have"
    for name in sorted(definition.volumes_at_launch - configured):
        needs = f"{definition.name} needs its volume {name} configured at launch"
        return f"{needs}, and the service configures none of that name"
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


def _other_processor(
    definition: Definition,
    running: Definition,
    settings: Mapping[str, str],
) -> str | None:
    """Another processor than that of what runs now.

    Fargate has both. On instances of one's own there may be only those that serve now; where a
    definition names none, nothing is known.
    """
    if _platform(running, settings) == FARGATE or MANAGED in running.compatibilities:
        return None
    wanted, there = definition.cpu_architecture, running.cpu_architecture
    if wanted is None or there is None or wanted == there:
        return None
    return f"{definition.name} is for {wanted}, what runs now for {there}"


def _other_settings(revision: Revision, present: Mapping[str, str]) -> list[str]:
    """Names of the service settings under which it ran otherwise.

    They stay as the service has them now.
    """
    if not revision.settings or not present:
        return []
    names = {*revision.settings, *present}
    return sorted(name for name in names if revision.settings.get(name) != present.get(name))


CHECK = PreflightCheck(CheckName.SETTINGS_MATCH, needs, find)
