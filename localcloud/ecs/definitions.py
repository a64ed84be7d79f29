"""Task definitions, as moto keeps them, found as AWS finds them."""

from moto.ecs.models import EC2ContainerServiceBackend, TaskDefinition

from localcloud.errors import Refusal


def find_definition(backend: EC2ContainerServiceBackend, reference: str) -> TaskDefinition:
    """Find a task definition. A bare family is its newest ACTIVE revision.

    Raises:
        Refusal: there is none.
    """
    name = reference.split("/")[-1]
    if ":" in name:
        return backend.describe_task_definition(reference)

    revisions = backend.task_definitions.get(name, {}).values()
    active = [one for one in revisions if one.status == "ACTIVE"]
    if not active:
        raise Refusal("ClientException", "Unable to describe task definition.")
    return max(active, key=lambda one: one.revision)


def find_usable_definition(backend: EC2ContainerServiceBackend, reference: str) -> TaskDefinition:
    """Find a task definition that a service may run.

    Raises:
        Refusal: there is none, or it is inactive. UpdateService on an inactive one is reported to
            fail with just these words.
    """
    try:
        definition = find_definition(backend, reference)
    except Refusal as unknown:
        raise Refusal("ClientException", "TaskDefinition not found.") from unknown
    if definition.status != "ACTIVE":
        raise Refusal("ClientException", "TaskDefinition is inactive")
    return definition
