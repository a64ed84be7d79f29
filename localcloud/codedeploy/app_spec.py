"""AppSpecs: the files that tell CodeDeploy what to deploy."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

# properties of the service that are settings of its task set, too
SETTINGS = ("platformVersion", "networkConfiguration", "capacityProviderStrategy")
# names of properties, in lower case
KNOWN_PROPERTIES = frozenset(
    {"taskdefinition", "loadbalancerinfo", *(name.lower() for name in SETTINGS)}
)


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What is to be deployed. `settings` are those that the task set shall have."""

    content: str
    task_definition: str
    container_name: str
    container_port: int
    settings: Settings

    @property
    def sha256(self) -> str:
        """The digest of the content as it was given, by which GetApplicationRevision is asked."""
        return hashlib.sha256(self.content.encode()).hexdigest()


def parse(content: str) -> AppSpec:
    """Read an AppSpec for ECS, as JSON or YAML.

    Source: https://docs.aws.amazon.com/codedeploy/latest/userguide/, the page
    reference-appspec-file-structure-resources.html. Hooks are taken to succeed at once. Names are
    read whatever the case of their first letter, as AWS's own tools do.

    Raises:
        Refusal: it is not one. That CreateDeployment says so, and the words, are this cloud's
            guess.
    """
    try:
        resources = _named(yaml.safe_load(content), "resources")
        ((target,),) = [resource.values() for resource in resources]
        kind = str(_named(target, "type"))
        spec = _spec_of(content, _named(target, "properties"))
    except (yaml.YAMLError, KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"The AppSpec is not one of an ECS service: {error!r}"
        raise Refusal("InvalidRevisionException", message) from error

    if kind != "AWS::ECS::Service":
        message = f"The AppSpec is of a {kind}, not of an ECS service."
        raise Refusal("InvalidRevisionException", message)
    return spec


def _spec_of(content: str, properties: Mapping[str, Any]) -> AppSpec:
    balancer = _named(properties, "loadBalancerInfo")
    return AppSpec(
        content=content,
        task_definition=str(_named(properties, "taskDefinition")),
        container_name=str(_named(balancer, "containerName")),
        container_port=int(_named(balancer, "containerPort")),
        settings=_settings(properties),
    )


def _settings(properties: Mapping[str, Any]) -> ApiObject:
    for name in properties:
        if name.lower() not in KNOWN_PROPERTIES:
            raise NotModelled(f"codedeploy AppSpec: {name}")

    by_api_name = _in_api_names(properties)
    return {name: by_api_name[name] for name in SETTINGS if by_api_name.get(name)}


def _named(mapping: Mapping[str, Any], name: str) -> Any:
    by_api_name = {_api_name(key): value for key, value in mapping.items()}
    return by_api_name[name]


def _in_api_names(value: Any) -> Any:
    """Rename all keys as the API of ECS has them."""
    if isinstance(value, Mapping):
        return {_api_name(key): _in_api_names(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_in_api_names(inner) for inner in value]
    return value


def _api_name(name: str) -> str:
    """Rename a key, which in an AppSpec begins with a capital."""
    return name[:1].lower() + name[1:]
