"""What ECS knows of a service: its revisions, its service deployments and the tasks that run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

# UpdateService parameters that start a deployment, and that a service revision records; the others do neither
# (botocore's model of ecs 2014-11-13, documentation of UpdateServiceRequest)
DEPLOYING = (
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
)


class Status(StrEnum):
    """Of a service deployment (botocore's ServiceDeploymentStatus)."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"


FINISHED = frozenset({Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED})


class Stage(StrEnum):
    """How far the tasks of a deployment are; not an AWS name."""

    LAUNCHING = "launching"
    REPLACING = "replacing"
    SETTLING = "settling"
    SHIFTING = "shifting"
    RETURNING = "returning"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True, eq=False)
class Revision:
    """A service revision: immutable. Its number also names the deployment ("ecs-svc/<number>"), as captured answers show."""

    number: str
    arn: str
    task_definition: str
    images: tuple[dict[str, str], ...]
    settings: Mapping[str, Any]
    created_at: datetime

    @property
    def deployment_id(self) -> str:
        """What DescribeServices and the events call the deployment."""
        return f"ecs-svc/{self.number}"


@dataclass(slots=True)
class Rollback:
    """Where a failed or stopped deployment went back to."""

    reason: str
    started_at: datetime
    revision: Revision


@dataclass(slots=True, eq=False)
class Deployment:
    """A service deployment. `since` is when its stage began; `step` counts the shifts of traffic that are done."""

    arn: str
    target: Revision
    sources: dict[Revision, int]
    configuration: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    since: datetime
    ignores_alarms: bool
    status: Status = Status.PENDING
    status_reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    stage: Stage = Stage.LAUNCHING
    step: int = 0
    failed_tasks: int = 0
    last_impaired: datetime | None = None
    rollback: Rollback | None = None
    breaker_triggered: bool = False
    triggered_alarms: tuple[str, ...] = ()
    counts: tuple[int, int, int] | None = None  # requested, running and pending tasks of the target when it ended

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in FINISHED

    @property
    def strategy(self) -> str:
        """One of ROLLING, BLUE_GREEN, LINEAR, CANARY."""
        return str(self.configuration.get("strategy", "ROLLING"))

    @property
    def serving(self) -> Revision | None:
        """What runs once this deployment has completed; None where it never did."""
        if self.status is Status.SUCCESSFUL:
            return self.target
        if self.status is Status.ROLLBACK_SUCCESSFUL and self.rollback is not None:
            return self.rollback.revision
        return None


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a task set; it runs from when it started."""

    arn: str
    started_at: datetime


@dataclass(slots=True, eq=False)
class TaskSet:
    """The tasks of one CodeDeploy deployment: what they run is `revision`, `weight` their part of production traffic (0 to 1).

    `settings` are those that a task set shows: load balancers, network, platform and the like. The set that CreateService
    makes has no `external_id`; CodeDeploy's have the id of their deployment.
    """

    revision: Revision
    arn: str
    settings: Mapping[str, Any]
    external_id: str | None
    created_at: datetime
    updated_at: datetime
    stable_since: datetime
    status: str = "ACTIVE"
    stable: bool = False
    weight: float = 0.0
    tasks: list[Task] = field(default_factory=list)

    @property
    def task_set_id(self) -> str:
        """What its tasks are `startedBy`, too."""
        return self.revision.deployment_id

    @property
    def target_group(self) -> str | None:
        """As CloudWatch's dimension names it; None where no load balancer is in front."""
        balancers = self.settings.get("loadBalancers") or []
        return str(balancers[0]["targetGroupArn"]).rpartition(":")[2] if balancers else None


@dataclass(slots=True, eq=False)
class Service:
    """A service as DescribeServices shows it. `running` and `pending` count tasks; deployments are oldest first.

    One that CodeDeploy deploys has task sets, oldest first, and no deployments; its tasks are counted by revision all the same.
    """

    arn: str
    name: str
    cluster_arn: str
    created_at: datetime
    controller: str
    task_definition: str
    desired: int
    settings: dict[str, Any]
    moto: Any
    status: str = "ACTIVE"
    primary: Revision | None = None
    deployments: list[Deployment] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    running: dict[Revision, int] = field(default_factory=dict)
    pending: dict[Revision, int] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    task_sets: list[TaskSet] = field(default_factory=list)

    @property
    def primary_task_set(self) -> TaskSet | None:
        """The one that serves production traffic."""
        return next((one for one in self.task_sets if one.status == "PRIMARY"), None)

    def task_set_of(self, revision: Revision) -> TaskSet | None:
        """The task set that runs it; None where ECS itself deploys."""
        return next((one for one in self.task_sets if one.revision is revision), None)

    @property
    def newest(self) -> Deployment | None:
        """The newest service deployment, finished or not."""
        return self.deployments[-1] if self.deployments else None

    def last_completed(self, before: Deployment) -> Revision | None:
        """What ECS rolls back to: the revision that the most recent completed deployment left running."""
        earlier = self.deployments[: self.deployments.index(before)]
        return next((revision for d in reversed(earlier) if (revision := d.serving) is not None), None)

    def shares(self) -> dict[Revision, float]:
        """The part of production traffic that each revision gets if all its tasks are healthy; sums to 1, or is empty.

        A rolling deployment shares by tasks; the other strategies shift it as configured, target group to target group;
        between task sets CodeDeploy shifts it.
        """
        if self.task_sets:
            return {one.revision: one.weight for one in self.task_sets if one.weight and self.running.get(one.revision)}
        running = {revision: count for revision, count in self.running.items() if count > 0}
        deployment = self.newest
        if deployment and not deployment.finished and deployment.strategy != "ROLLING" and len(running) > 1:
            weight = target_weight(deployment)
            others = {revision: count for revision, count in running.items() if revision is not deployment.target}
            shares = {revision: (1 - weight) * count / sum(others.values()) for revision, count in others.items()}
            return {r: s for r, s in (shares | {deployment.target: weight}).items() if s > 0}
        total = sum(running.values())
        return {revision: count / total for revision, count in running.items()}


def shifts(configuration: Mapping[str, Any]) -> list[tuple[float, int]]:
    """The steps of traffic to the target, each with the minutes that it is watched; the defaults are botocore's documentation's."""
    bake = int(configuration.get("bakeTimeInMinutes", 0))
    match configuration.get("strategy", "ROLLING"):
        case "CANARY":
            canary = configuration.get("canaryConfiguration", {})
            first = float(canary.get("canaryPercent", 5)) / 100
            return [(first, int(canary.get("canaryBakeTimeInMinutes", 10))), (1.0, bake)]
        case "LINEAR":
            linear = configuration.get("linearConfiguration", {})
            percent, minutes = float(linear.get("stepPercent", 10)), int(linear.get("stepBakeTimeInMinutes", 6))
            steps = [(percent * n / 100, minutes) for n in range(1, int(100 / percent) + 1) if percent * n < 100]
            return [*steps, (1.0, bake)]
        case _:
            return [(1.0, bake)]


def target_weight(deployment: Deployment) -> float:
    """The part of production traffic that a deployment with two target groups has moved to its target."""
    if deployment.stage is not Stage.SHIFTING:
        return 0.0
    return shifts(deployment.configuration)[deployment.step][0]
