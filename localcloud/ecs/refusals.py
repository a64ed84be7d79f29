"""What UpdateService refuses for good.

Each with its source; words without one are marked as inferred.
"""

from moto.ecs.models import TaskDefinition

from localcloud.ecs.model import Service
from localcloud.errors import Refusal
from localcloud.shapes import Settings

MOST_ACTIVE_DEPLOYMENTS = 5


def refuse_what_does_not_fit(service: Service, asked: Settings, definition: TaskDefinition) -> None:
    """Refuse a definition that does not fit what the service is, or would become.

    Raises:
        Refusal: naming what does not fit.
    """
    settings = {**service.settings, **asked}
    _refuse_volumes(settings, definition)
    _refuse_port_names(settings, definition)
    _refuse_launch_type(settings, definition)


def refuse_too_many_deployments(service: Service) -> None:
    """Refuse a sixth deployment while five have tasks: ones that were replaced count until theirs are gone.

    Source: aws/containers-roadmap issue 2836, with these words. The exception's type is inferred.
    """
    active = {revision for revision, count in service.running.items() if count}
    active |= {revision for revision, count in service.pending.items() if count}
    if len(active) >= MOST_ACTIVE_DEPLOYMENTS:
        message = f"{len(active)} active deployments exist, unable to create new deployment."
        raise Refusal("InvalidParameterException", message)


def _refuse_volumes(settings: Settings, definition: TaskDefinition) -> None:
    """Volumes configured at launch must match, both ways.

    Sources: that "the name of the volume must match the name from the task definition" is API UpdateService,
    volumeConfigurations; the words for one without a match are reported (go-to-k/cdkd pull request 811), the others
    are inferred.
    """
    configured = {one["name"] for one in settings.get("volumeConfigurations") or []}
    at_launch = {
        one["name"] for one in definition.volumes or [] if one.get("configuredAtLaunch") is True
    }
    if configured - at_launch:
        message = (
            "Volume configuration provided but no matching configuredAtLaunch volume found in "
            "task definition."
        )
        raise Refusal("InvalidParameterException", message)
    if at_launch - configured:
        names = ", ".join(sorted(at_launch - configured))
        message = f"No volume configuration provided for the configuredAtLaunch volume {names}."
        raise Refusal("InvalidParameterException", message)


def _refuse_port_names(settings: Settings, definition: TaskDefinition) -> None:
    """Service Connect's port names must be those of port mappings.

    Source: API ServiceConnectService, portName ("must match the name of one of the portMappings from all the containers
    in the task definition"); the words are inferred.
    """
    connect = settings.get("serviceConnectConfiguration") or {}
    if not connect.get("enabled"):
        return
    named = set()
    for container in definition.container_definitions:
        for mapping in container.get("portMappings") or []:
            named.add(mapping.get("name"))
    for offered in connect.get("services") or []:
        if offered["portName"] not in named:
            message = f"portName {offered['portName']} was not found in the task definition."
            raise Refusal("InvalidParameterException", message)


def _refuse_launch_type(settings: Settings, definition: TaskDefinition) -> None:
    """The launch type must be one that the definition was registered for.

    Source: API RegisterTaskDefinition, requiresCompatibilities ("Amazon ECS validates the task definition parameters with
    those specified by the launch type"); the words are inferred.
    """
    launch_type = settings.get("launchType")
    compatible = getattr(definition, "requires_compatibilities", None) or []
    if launch_type and compatible and launch_type not in compatible:
        message = f"Task definition does not support launch_type {launch_type}."
        raise Refusal("InvalidParameterException", message)
