"""The operations on task definitions."""

from datetime import datetime

from moto.core.responses import ActionResult
from moto.ecs.models import TaskDefinition
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs.definitions import find_definition
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import modelled_parameters, page, parameters
from localcloud.errors import Refusal

REGISTER_PARAMETERS = frozenset(
    {
        "family",
        "taskRoleArn",
        "executionRoleArn",
        "networkMode",
        "containerDefinitions",
        "volumes",
        "placementConstraints",
        "requiresCompatibilities",
        "cpu",
        "memory",
        "tags",
        "pidMode",
        "ipcMode",
        "proxyConfiguration",
        "inferenceAccelerators",
        "ephemeralStorage",
        "runtimePlatform",
    }
)

register_by_moto = EC2ContainerServiceResponse.register_task_definition


class DefinitionOperations:
    """Task definitions with the times, tags and order that AWS shows."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def register_task_definition(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Register as moto does, with the times and tags that AWS shows.

        An empty list of tags is refused ("Tags can not be empty."), and one of more than 50.
        """
        asked = modelled_parameters(request, "RegisterTaskDefinition", REGISTER_PARAMETERS)
        if asked.get("tags") == []:
            raise Refusal("InvalidParameterException", "Tags can not be empty.")

        made = register_by_moto(request).result["taskDefinition"]
        made.registered_at = self._ecs.now()
        made.registered_by = f"arn:aws:iam::{self._ecs.account}:root"
        return ActionResult({"taskDefinition": made, "tags": made.tags})

    def deregister_task_definition(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Make it INACTIVE. The services that run it go on."""
        reference = parameters(request)["taskDefinition"]
        made = request.ecs_backend.deregister_task_definition(reference)
        made.deregistered_at = self._ecs.now()
        return ActionResult({"taskDefinition": made})

    def describe_task_definition(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show one. A bare family is its newest ACTIVE revision."""
        asked = parameters(request)
        definition = find_definition(request.ecs_backend, asked["taskDefinition"])
        shown = {"taskDefinition": definition}
        if "TAGS" in asked.get("include", []):
            shown["tags"] = definition.tags
        return ActionResult(shown)

    def list_task_definitions(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """List them by family and revision. 100 a page unless told."""
        asked = parameters(request)
        family = asked.get("familyPrefix")
        status = asked.get("status", "ACTIVE")
        backend = request.ecs_backend
        arns = [
            arn
            for arn in backend.list_task_definitions(family, status)
            if self._ecs.is_listed(_registered_at(backend.describe_task_definition(arn)))
        ]
        arns.sort(key=_family_and_revision, reverse=asked.get("sort") == "DESC")
        shown, token = page(arns, asked)
        return ActionResult({"taskDefinitionArns": shown, "nextToken": token})


def _registered_at(definition: TaskDefinition) -> datetime | None:
    """None where another part of moto made it."""
    moment: datetime | None = getattr(definition, "registered_at", None)
    return moment


def _family_and_revision(arn: str) -> tuple[str, int]:
    family, _, revision = arn.rpartition(":")
    return family, int(revision)
