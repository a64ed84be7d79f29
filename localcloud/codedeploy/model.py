"""What CodeDeploy knows of a deployment of an ECS service."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from moto.codedeploy.models import DeploymentGroup

from localcloud.codedeploy.app_spec import AppSpec
from localcloud.ecs.model import Service, TaskSet, TrafficStep
from localcloud.shapes import Settings

ROLLBACK_CREATOR = "codeDeployRollback"

Steps = tuple[TrafficStep, ...]


def _canary(minutes: int) -> Steps:
    return (TrafficStep(0.1, minutes), TrafficStep(1.0, 0))


def _linear(minutes: int) -> Steps:
    return tuple(TrafficStep(tenths / 10, minutes) for tenths in range(1, 11))


# The steps of production traffic to the replacement. Source:
# https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
CONFIGURATIONS: dict[str, Steps] = {
    "CodeDeployDefault.ECSAllAtOnce": (TrafficStep(1.0, 0),),
    "CodeDeployDefault.ECSCanary10Percent5Minutes": _canary(minutes=5),
    "CodeDeployDefault.ECSCanary10Percent15Minutes": _canary(minutes=15),
    "CodeDeployDefault.ECSLinear10PercentEvery1Minutes": _linear(minutes=1),
    "CodeDeployDefault.ECSLinear10PercentEvery3Minutes": _linear(minutes=3),
}


class Status(StrEnum):
    """The status of a deployment (botocore's DeploymentStatus).

    Those that do not happen here are Queued, Baking and Ready.
    """

    CREATED = "Created"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


FINISHED = frozenset({Status.SUCCEEDED, Status.FAILED, Status.STOPPED})


class Phase(StrEnum):
    """How far the task sets of a deployment are. Not an AWS name."""

    LAUNCHING = "launching"
    SETTLING = "settling"
    SHIFTING = "shifting"
    WAITING = "waiting"
    DRAINING = "draining"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class Location:
    """An application revision: the AppSpec and where it came from.

    `shown` is as GetDeployment has it, without content; `whole` has it.
    """

    spec: AppSpec
    shown: Settings
    whole: Settings


@dataclass(slots=True, eq=False)
class Deployment:
    """One deployment.

    `since` is when its phase began, `step` counts the shifts of traffic that are done. `original`
    served before it, `replacement` is its own task set. A rollback that finds the original still
    running has it as its `original`, and brings no task set of its own. `stop` is when
    StopDeployment was called, `shift_began_at` when traffic was first moved.
    """

    deployment_id: str
    group: DeploymentGroup
    service: Service
    location: Location | None
    configuration: str
    created_at: datetime
    since: datetime
    rolls_back_on: frozenset[str]
    alarms: tuple[str, ...]
    settings: Settings
    creator: str = "user"
    description: str | None = None
    previous: Location | None = None
    status: Status = Status.CREATED
    phase: Phase = Phase.LAUNCHING
    step: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    shift_began_at: datetime | None = None
    original: TaskSet | None = None
    replacement: TaskSet | None = None
    returns_from: "Deployment | None" = None
    waits: bool = False
    stop: datetime | None = None
    stop_rolls_back: bool = False
    error: dict[str, str] | None = None
    rollback_info: dict[str, str] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in FINISHED

    @property
    def traffic_step(self) -> TrafficStep:
        """The shift of traffic that is next, or was made last."""
        return CONFIGURATIONS[self.configuration][self.step]
