"""What ECS knows of a service: revisions, deployments, task sets and counts of tasks."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from moto.ecs.models import Service as MotoService

from localcloud.shapes import ApiObject, Settings

# The parameters of UpdateService that start a deployment, and that a service revision records. The
# others do neither (botocore's model of ecs 2014-11-13, documentation of UpdateServiceRequest).
DEPLOYING_SETTINGS = (
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
)


class Status(StrEnum):
    """The status of a service deployment (botocore's ServiceDeploymentStatus)."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"


FINISHED = frozenset(
    {Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED}
)


class Phase(StrEnum):
    """How far the tasks of a deployment are. Not an AWS name."""

    LAUNCHING = "launching"
    REPLACING = "replacing"
    SETTLING = "settling"
    SHIFTING = "shifting"
    RETURNING = "returning"
    RETURNED = "returned"


class TrafficStep(NamedTuple):
    """One shift of production traffic to the target.

    `weight` is the target's part of traffic (0 to 1) after it, `minutes` the time until the next.
    """

    weight: float
    minutes: int


class TaskCounts(NamedTuple):
    """How many tasks of a revision are wanted, run, and are being started."""

    requested: int
    running: int
    pending: int


@dataclass(frozen=True, slots=True, eq=False)
class Revision:
    """A service revision, which never changes.

    Its number also names the deployment ("ecs-svc/<number>"), as captured answers show.
    """

    number: str
    arn: str
    task_definition: str
    images: tuple[dict[str, str], ...]
    settings: Settings
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


@dataclass(slots=True)
class Hook:
    """A lifecycle hook that a deployment came to. `step` is the step of traffic that was next."""

    hook_id: str
    stage: str
    step: int
    expires_at: datetime
    timeout_action: str
    status: str = "AWAITING_ACTION"


@dataclass(slots=True, eq=False)
class Deployment:
    """A service deployment.

    `since` is when its phase began. `step` counts the shifts of traffic that are done. `counts` are
    those of the target when the deployment ended; None until then. `hook` is the one that it waits
    at, `hooks` are all that it came to, `resumed_at` is when it last went on from one.
    """

    arn: str
    target: Revision
    sources: dict[Revision, int]
    configuration: ApiObject
    created_at: datetime
    updated_at: datetime
    since: datetime
    ignores_alarms: bool
    status: Status = Status.PENDING
    status_reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    phase: Phase = Phase.LAUNCHING
    step: int = 0
    failed_tasks: int = 0
    last_impaired: datetime | None = None
    rollback: Rollback | None = None
    breaker_triggered: bool = False
    triggered_alarms: tuple[str, ...] = ()
    counts: TaskCounts | None = None
    hooks: list[Hook] = field(default_factory=list)
    hook: Hook | None = None
    resumed_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.status in FINISHED

    @property
    def strategy(self) -> str:
        """One of ROLLING, BLUE_GREEN, LINEAR, CANARY."""
        return str(self.configuration.get("strategy", "ROLLING"))

    @property
    def is_rolling(self) -> bool:
        """Whether new tasks replace old ones, without a shift of traffic."""
        return self.strategy == "ROLLING"

    @property
    def breaker(self) -> Settings:
        """The circuit breaker's configuration. Empty where there is none."""
        breaker: Settings = self.configuration.get("deploymentCircuitBreaker", {})
        return breaker

    @property
    def traffic_steps(self) -> list[TrafficStep]:
        """The shifts of traffic that its strategy makes."""
        return traffic_steps(self.configuration)

    @property
    def target_weight(self) -> float:
        """The part of production traffic that has been shifted to the target."""
        if self.phase is not Phase.SHIFTING:
            return 0.0
        return self.traffic_steps[self.step].weight

    @property
    def serving(self) -> Revision | None:
        """What runs once this deployment has completed. None where it never did."""
        if self.status is Status.SUCCESSFUL:
            return self.target
        if self.status is Status.ROLLBACK_SUCCESSFUL and self.rollback is not None:
            return self.rollback.revision
        return None


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a task set. It runs from when it started."""

    arn: str
    started_at: datetime


class Stop(NamedTuple):
    """Why a task stopped, as DescribeTasks shows it."""

    code: str
    reason: str


@dataclass(slots=True, eq=False)
class ServiceTask:
    """One task of a service that ECS deploys. `stop` is None as long as it runs."""

    arn: str
    revision: Revision
    created_at: datetime
    started_at: datetime
    stopped_at: datetime | None = None
    stop: Stop | None = None

    def end(self, stop: Stop, at: datetime) -> None:
        """It stops, and is shown for a while as stopped."""
        self.stop = stop
        self.stopped_at = at


@dataclass(slots=True, eq=False)
class TaskSet:
    """The tasks of one CodeDeploy deployment.

    They run `revision`; `weight` is their part of production traffic (0 to 1). `settings` are those
    that a task set shows: load balancers, network, platform and the like. The set that
    CreateService makes has no `external_id`; CodeDeploy's have the id of their deployment.
    """

    revision: Revision
    arn: str
    settings: Settings
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
        """The name of the set, which is also what its tasks are `startedBy`."""
        return self.revision.deployment_id

    @property
    def is_draining(self) -> bool:
        """Whether its tasks are being stopped."""
        return self.status == "DRAINING"

    @property
    def target_group(self) -> str | None:
        """As CloudWatch's dimension names it. None where no load balancer is in front."""
        balancers = self.settings.get("loadBalancers") or []
        if not balancers:
            return None
        return str(balancers[0]["targetGroupArn"]).rpartition(":")[2]


@dataclass(slots=True, eq=False)
class Service:
    """A service as DescribeServices shows it.

    `running` and `pending` count tasks; deployments are oldest first. A service that CodeDeploy
    deploys has task sets, oldest first, and no deployments; its tasks are counted by revision all
    the same. `tasks` are those of the others, the ones that have stopped lately included.
    """

    arn: str
    name: str
    cluster_arn: str
    created_at: datetime
    controller: str
    task_definition: str
    desired: int
    settings: ApiObject
    moto: MotoService
    status: str = "ACTIVE"
    primary: Revision | None = None
    deployments: list[Deployment] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    running: dict[Revision, int] = field(default_factory=dict)
    pending: dict[Revision, int] = field(default_factory=dict)
    messages: list[ApiObject] = field(default_factory=list)
    task_sets: list[TaskSet] = field(default_factory=list)
    tasks: list[ServiceTask] = field(default_factory=list)

    @property
    def is_code_deployed(self) -> bool:
        """Whether CodeDeploy deploys it."""
        return self.controller == "CODE_DEPLOY"

    @property
    def primary_task_set(self) -> TaskSet | None:
        """The one that serves production traffic."""
        return next((one for one in self.task_sets if one.status == "PRIMARY"), None)

    def task_set_of(self, revision: Revision) -> TaskSet | None:
        """Find the task set that runs it. None where ECS itself deploys."""
        return next((one for one in self.task_sets if one.revision is revision), None)

    @property
    def newest(self) -> Deployment | None:
        """The newest service deployment, finished or not."""
        if not self.deployments:
            return None
        return self.deployments[-1]

    def last_completed(self, before: Deployment) -> Revision | None:
        """Find what ECS rolls back to.

        It is the revision that the most recent completed deployment left running.
        """
        position = self.deployments.index(before)
        for earlier in reversed(self.deployments[:position]):
            if earlier.serving is not None:
                return earlier.serving
        return None

    def counts_of(self, revision: Revision) -> TaskCounts:
        """Count the tasks of a revision. Requested are as many as the service wants."""
        running = self.running.get(revision, 0)
        pending = self.pending.get(revision, 0)
        return TaskCounts(self.desired, running, pending)

    def related_arn(self, kind: str, name: str) -> str:
        """Name something that belongs to the service, such as a "service-deployment"."""
        prefix, _, cluster_and_service = self.arn.partition(":service/")
        return f"{prefix}:{kind}/{cluster_and_service}/{name}"

    def shares(self) -> dict[Revision, float]:
        """Share production traffic among the revisions, as if all tasks were healthy.

        The parts sum to 1, or there are none. A rolling deployment shares by tasks; the other
        strategies shift traffic as configured, target group to target group; between task sets
        CodeDeploy shifts it.
        """
        if self.task_sets:
            return self._shares_of_task_sets()

        running = {revision: count for revision, count in self.running.items() if count > 0}
        deployment = self.newest
        shifts_traffic = (
            deployment is not None and not deployment.finished and not deployment.is_rolling
        )
        if deployment is not None and shifts_traffic and len(running) > 1:
            return _shifted_shares(running, deployment.target, deployment.target_weight)

        total = sum(running.values())
        return {revision: count / total for revision, count in running.items()}

    def _shares_of_task_sets(self) -> dict[Revision, float]:
        shares: dict[Revision, float] = {}
        for task_set in self.task_sets:
            if task_set.weight and self.running.get(task_set.revision):
                shares[task_set.revision] = task_set.weight
        return shares


def _shifted_shares(
    running: Mapping[Revision, int], target: Revision, target_weight: float
) -> dict[Revision, float]:
    """Give the target its weight. The other revisions share the rest by their tasks."""
    others = {revision: count for revision, count in running.items() if revision is not target}
    total = sum(others.values())
    shares: dict[Revision, float] = {}
    if target_weight < 1:
        for revision, count in others.items():
            shares[revision] = (1 - target_weight) * count / total
    if target_weight > 0:
        shares[target] = target_weight
    return shares


def traffic_steps(configuration: Settings) -> list[TrafficStep]:
    """List the steps of traffic that a deployment configuration asks for.

    The defaults are those of botocore's documentation.
    """
    bake_minutes = int(configuration.get("bakeTimeInMinutes", 0))
    last = TrafficStep(1.0, bake_minutes)
    match configuration.get("strategy", "ROLLING"):
        case "CANARY":
            return [_canary_step(configuration), last]
        case "LINEAR":
            return [*_linear_steps(configuration), last]
        case _:
            return [last]


def _canary_step(configuration: Settings) -> TrafficStep:
    canary = configuration.get("canaryConfiguration", {})
    weight = float(canary.get("canaryPercent", 5)) / 100
    minutes = int(canary.get("canaryBakeTimeInMinutes", 10))
    return TrafficStep(weight, minutes)


def _linear_steps(configuration: Settings) -> list[TrafficStep]:
    linear = configuration.get("linearConfiguration", {})
    percent = float(linear.get("stepPercent", 10))
    minutes = int(linear.get("stepBakeTimeInMinutes", 6))
    steps: list[TrafficStep] = []
    for number in range(1, int(100 / percent) + 1):
        shifted = percent * number
        if shifted < 100:
            steps.append(TrafficStep(shifted / 100, minutes))
    return steps


def new_revision_number() -> str:
    """Make up a number that no other revision of the service has."""
    return str(10**18 + secrets.randbelow(9 * 10**18))
