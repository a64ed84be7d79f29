"""What ECS asks the policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from moto.ecs.models import TaskDefinition, ecs_backends

from localcloud.ecs.definitions import find_definition
from localcloud.errors import Refusal
from localcloud.iam.needs.asked import Asked, Needs, listed, texts, without_resource
from localcloud.iam.requests import Need

TASKS = "ecs-tasks.amazonaws.com"


def _cluster(asked: Asked) -> str:
    name = str(asked.parameters.get("cluster") or "default")
    return name if name.startswith("arn:") else asked.arn("ecs", f"cluster/{name}")


def _service(asked: Asked, name: str) -> str:
    cluster = _cluster(asked).rpartition("/")[2]
    return name if name.startswith("arn:") else asked.arn("ecs", f"service/{cluster}/{name}")


def _on_cluster(asked: Asked) -> Iterator[Need]:
    for name in listed(asked.parameters.get("clusters") or asked.parameters.get("cluster")):
        arn = name if name.startswith("arn:") else asked.arn("ecs", f"cluster/{name}")
        yield asked.need(arn)


def _on_services(asked: Asked) -> Iterator[Need]:
    context = {"ecs:cluster": _cluster(asked)}
    named = asked.parameters.get("services") or asked.parameters["service"]
    for name in listed(named):
        yield asked.need(_service(asked, name), context)


def _in_cluster(asked: Asked) -> Iterator[Need]:
    """Without a resource, bound by the cluster alone."""
    yield asked.need("*", {"ecs:cluster": _cluster(asked)})


def _list_tasks(asked: Asked) -> Iterator[Need]:
    """Its one resource is a container instance; where none is named it is `*` (reported by several users)."""
    context = {"ecs:cluster": _cluster(asked)}
    instance = asked.parameters.get("containerInstance")
    if instance is None:
        yield asked.need("*", context)
        return
    cluster = _cluster(asked).rpartition("/")[2]
    known = instance.startswith("arn:")
    arn = instance if known else asked.arn("ecs", f"container-instance/{cluster}/{instance}")
    yield asked.need(arn, context)


def _describe_tasks(asked: Asked) -> Iterator[Need]:
    context = {"ecs:cluster": _cluster(asked)}
    cluster = _cluster(asked).rpartition("/")[2]
    for name in asked.parameters["tasks"]:
        arn = name if name.startswith("arn:") else asked.arn("ecs", f"task/{cluster}/{name}")
        yield asked.need(arn, context)


def _describe_task_sets(asked: Asked) -> Iterator[Need]:
    service = _service(asked, asked.parameters["service"])
    path = service.partition(":service/")[2]
    context = {"ecs:cluster": _cluster(asked), "ecs:service": service}
    for name in asked.parameters.get("taskSets") or ["*"]:
        arn = name if name.startswith("arn:") else asked.arn("ecs", f"task-set/{path}/{name}")
        yield asked.need(arn, context)


def _capacity_providers(asked: Asked) -> Iterator[Need]:
    for name in asked.parameters.get("capacityProviders") or ["*"]:
        known = name.startswith("arn:")
        yield asked.need(name if known else asked.arn("ecs", f"capacity-provider/{name}"))


def _on_part(parameter: str) -> Needs:
    """Service deployments and revisions: the reference wants the service's ARN as well."""

    def needs(asked: Asked) -> Iterator[Need]:
        for arn in listed(asked.parameters[parameter]):
            prefix, _, path = str(arn).rpartition(":")
            cluster, service = [*path.split("/"), "", ""][1:3]
            of_service = f"{prefix}:service/{cluster}/{service}"
            context = {"ecs:cluster": f"{prefix}:cluster/{cluster}", "ecs:service": of_service}
            yield asked.need(arn, context)
            yield asked.need(of_service, context)

    return needs


def _update_service(asked: Asked) -> Iterator[Need]:
    """With the roles of the definition: iam:PassRole is listed under the operation.

    Whether a mere change of revision asks for it is not said. A reference is resolved to its revision before
    (ECS developer guide, "Identity-based policy examples").
    """
    context: dict[str, str | None] = {"ecs:cluster": _cluster(asked), "ecs:task-definition": None}
    reference = asked.parameters.get("taskDefinition")
    definition = None
    if reference is not None:
        definition = _definition(asked, reference)
        context["ecs:task-definition"] = definition.arn if definition else reference
    yield asked.need(_service(asked, asked.parameters["service"]), context)
    if definition is not None:
        roles = {
            "taskRoleArn": getattr(definition, "task_role_arn", None),
            "executionRoleArn": getattr(definition, "execution_role_arn", None),
        }
        yield from _pass_roles(asked, roles)


def _definition(asked: Asked, reference: str) -> TaskDefinition | None:
    try:
        return find_definition(asked.backend(ecs_backends), reference)
    except Refusal:
        return None


def _register(asked: Asked) -> Iterator[Need]:
    resource = asked.arn("ecs", f"task-definition/{asked.parameters['family']}:*")
    tags = _tags(asked)
    yield Need(asked.action, resource, tags)
    if tags:
        on_creation = {**tags, **texts({"ecs:CreateAction": "RegisterTaskDefinition"})}
        yield Need("ecs:TagResource", resource, on_creation)
    yield from _pass_roles(asked, asked.parameters)


def _tag(asked: Asked) -> Iterator[Need]:
    """By itself it creates nothing."""
    context = {**_tags(asked), **texts({"ecs:CreateAction": None})}
    yield Need(asked.action, asked.parameters["resourceArn"], context)


def _tags(asked: Asked) -> dict[str, tuple[str, ...]]:
    tags = asked.parameters.get("tags") or []
    if not tags:
        return {}
    context: dict[str, tuple[str, ...]] = {}
    for tag in tags:
        context[f"aws:requesttag/{tag['key'].lower()}"] = (tag.get("value", ""),)
    context["aws:tagkeys"] = tuple(tag["key"] for tag in tags)
    return context


def _pass_roles(asked: Asked, definition: Mapping[str, Any]) -> Iterator[Need]:
    context = texts({"iam:PassedToService": TASKS, "iam:AssociatedResourceArn": None})
    for key in ("taskRoleArn", "executionRoleArn"):
        role = definition.get(key)
        if role:
            known = role.startswith("arn:")
            arn = role if known else asked.arn("iam", f"role/{role}", region="")
            yield Need("iam:PassRole", arn, context)


def _on_arn(asked: Asked) -> Iterator[Need]:
    yield asked.need(asked.parameters["resourceArn"])


NEEDS: Mapping[str, Needs] = {
    "ecs:ContinueServiceDeployment": _on_part("serviceDeploymentArn"),
    "ecs:DeregisterTaskDefinition": without_resource,
    "ecs:DescribeCapacityProviders": _capacity_providers,
    "ecs:DescribeClusters": _on_cluster,
    "ecs:DescribeServiceDeployments": _on_part("serviceDeploymentArns"),
    "ecs:DescribeServiceRevisions": _on_part("serviceRevisionArns"),
    "ecs:DescribeServices": _on_services,
    "ecs:DescribeTaskDefinition": without_resource,
    "ecs:DescribeTaskSets": _describe_task_sets,
    "ecs:DescribeTasks": _describe_tasks,
    "ecs:ListServiceDeployments": _on_services,
    "ecs:ListServices": _in_cluster,
    "ecs:ListTagsForResource": _on_arn,
    "ecs:ListTaskDefinitions": without_resource,
    "ecs:ListTasks": _list_tasks,
    "ecs:RegisterTaskDefinition": _register,
    "ecs:StopServiceDeployment": _on_part("serviceDeploymentArn"),
    "ecs:TagResource": _tag,
    "ecs:UpdateService": _update_service,
}
