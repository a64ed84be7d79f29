"""What CodeDeploy knows: deployment groups of ECS services, the AppSpecs that they were asked for, and the deployments."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import yaml

from localcloud.ecs.model import Service, TaskSet
from localcloud.errors import NotModelled, Refusal

# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html: the steps of production traffic to
# the replacement, each with the minutes until the next
CONFIGURATIONS: Mapping[str, tuple[tuple[float, int], ...]] = {
    "CodeDeployDefault.ECSAllAtOnce": ((1.0, 0),),
    "CodeDeployDefault.ECSCanary10Percent5Minutes": ((0.1, 5), (1.0, 0)),
    "CodeDeployDefault.ECSCanary10Percent15Minutes": ((0.1, 15), (1.0, 0)),
    "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": tuple((n / 10, 1) for n in range(1, 11)),
    "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": tuple((n / 10, 3) for n in range(1, 11)),
}


class Status(StrEnum):
    """Of a deployment (botocore's DeploymentStatus), those that happen here: Queued, Baking and Ready do not."""

    CREATED = "Created"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


FINISHED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.STOPPED})


class Stage(StrEnum):
    """How far the task sets of a deployment are; not an AWS name."""

    LAUNCHING = "launching"
    SETTLING = "settling"
    SHIFTING = "shifting"
    WAITING = "waiting"
    DRAINING = "draining"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What is to be deployed; `settings` are those that the task set shall have, `sha256` is of the content as it was given."""

    content: str
    task_definition: str
    container_name: str
    container_port: int
    settings: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """How GetApplicationRevision is asked for it."""
        return hashlib.sha256(self.content.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Location:
    """An application revision: the AppSpec and where it came from. `shown` is as GetDeployment has it, without content."""

    spec: AppSpec
    shown: Mapping[str, Any]
    whole: Mapping[str, Any]


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment. `since` is when its stage began, `step` counts the shifts of traffic that are done.

    `original` served before it, `replacement` is its own task set. A rollback that finds the original still running has it
    as its `original`, and brings no task set of its own. `stop` is when StopDeployment was called.
    """

    deployment_id: str
    group: Any
    service: Service
    location: Location | None
    configuration: str
    created_at: datetime
    since: datetime
    rolls_back_on: frozenset[str]
    alarms: tuple[str, ...]
    settings: Mapping[str, Any]
    creator: str = "user"
    description: str | None = None
    previous: Location | None = None
    status: Status = Status.CREATED
    stage: Stage = Stage.LAUNCHING
    step: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    original: TaskSet | None = None
    replacement: TaskSet | None = None
    returns_from: "Deployment | None" = None
    waits: bool = False
    stop: datetime | None = None
    stop_rolls_back: bool = False
    error: Mapping[str, str] | None = None
    rollback_info: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in FINISHED


def parse(content: str) -> AppSpec:
    """An AppSpec for ECS, as JSON or YAML (https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html).

    Hooks are taken to succeed at once. Names are read whatever the case of their first letter, as AWS's own tools do.

    Raises:
        Refusal: it is not one. That CreateDeployment says so, and the words, are this cloud's guess.
    """
    try:
        resources = _named(yaml.safe_load(content), "resources")
        ((target,),) = [resource.values() for resource in resources]
        properties = _named(target, "properties")
        balancer = _named(properties, "loadBalancerInfo")
        kind = str(_named(target, "type"))
        spec = AppSpec(
            content,
            str(_named(properties, "taskDefinition")),
            str(_named(balancer, "containerName")),
            int(_named(balancer, "containerPort")),
            _settings(properties),
        )
    except (yaml.YAMLError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refusal("InvalidRevisionException", f"The AppSpec is not one of an ECS service: {error!r}") from error
    if kind != "AWS::ECS::Service":
        raise Refusal("InvalidRevisionException", f"The AppSpec is of a {kind}, not of an ECS service.")
    return spec


def _settings(properties: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "taskdefinition",
        "loadbalancerinfo",
        "platformversion",
        "networkconfiguration",
        "capacityproviderstrategy",
    }
    for name in properties:
        if name.lower() not in known:
            raise NotModelled(f"codedeploy AppSpec: {name}")
    lowered = {_lower(name): _lowered(value) for name, value in properties.items()}
    kept = ("platformVersion", "networkConfiguration", "capacityProviderStrategy")
    return {name: lowered[name] for name in kept if lowered.get(name)}


def _named(mapping: Mapping[str, Any], name: str) -> Any:
    return {_lower(key): value for key, value in mapping.items()}[name]


def _lowered(value: Any) -> Any:
    """The names of an AppSpec begin with capitals, those of the API of ECS do not."""
    if isinstance(value, dict):
        return {_lower(key): _lowered(inner) for key, inner in value.items()}
    return [_lowered(inner) for inner in value] if isinstance(value, list) else value


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
