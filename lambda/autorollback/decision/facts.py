"""What a judgement rests on: facts with times. All are immutable, in aware UTC, and hold no secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from autorollback.decision.request_counts import Requests
from autorollback.naming import AlarmKey, ServiceKey


class Controller(StrEnum):
    """Who deploys the service (`deploymentController.type`)."""

    ECS = "ECS"
    CODE_DEPLOY = "CODE_DEPLOY"
    EXTERNAL = "EXTERNAL"


class Status(StrEnum):
    """`status` of a service deployment (botocore ecs/2014-11-13, ServiceDeploymentStatus; the API reference adds one)."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOP_IN_PROGRESS = "STOP_IN_PROGRESS"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"

    @property
    def in_progress(self) -> bool:
        """Whether ECS is still working on it."""
        return self not in _FINISHED

    @property
    def is_rollback(self) -> bool:
        """Whether ECS is rolling it back or has. After ROLLBACK_FAILED nobody is in charge any more."""
        return self in _ROLLED_BACK


_FINISHED = {Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED}
_ROLLED_BACK = {Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS, Status.ROLLBACK_SUCCESSFUL}


class Strategy(StrEnum):
    """How production traffic comes to what a deployment brings.

    ECS's own strategies (DeploymentStrategy, botocore ecs/2014-11-13), CodeDeploy's, and one that is newer than this.
    """

    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"
    LINEAR = "LINEAR"
    CANARY = "CANARY"
    CODE_DEPLOY = "CODE_DEPLOY"
    OTHER = "OTHER"

    @property
    def shifts(self) -> bool:
        """Whether its tasks run for a time before traffic is shifted to them."""
        return self is not Strategy.ROLLING


@dataclass(frozen=True, slots=True)
class TrafficShift:
    """How much production traffic a deployment asks for what it brings.

    AWS keeps no time of the shift (ServiceDeployment, botocore ecs/2014-11-13): hence what was seen of it on the way.

    Attributes:
        weight: percent of production traffic; None where nobody says.
        stage: ECS's `lifecycleStage`; None where it has none.
        bake: how long it waits after the shift by its configuration, before it counts as finished.
        unserved_at: when the weight was last seen to be 0.
        baking_at: when the stage BAKE_TIME was first seen.
        began_at: when CodeDeploy began to shift.
    """

    strategy: Strategy = Strategy.ROLLING
    weight: float | None = None
    stage: str | None = None
    bake: timedelta = timedelta()
    unserved_at: datetime | None = None
    baking_at: datetime | None = None
    began_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskSet:
    """One of the task sets of a service that ECS does not deploy itself.

    Attributes:
        primary: it serves the production traffic.
        deployment: the CodeDeploy deployment that made it; None for the one that came with the service.
    """

    id: str
    task_definition: str
    created_at: datetime
    primary: bool = False
    deployment: str | None = None


@dataclass(frozen=True, slots=True)
class EcsDeployment:
    """A deployment in ECS's answer about a service.

    It goes by the id that ECS's events name.

    Attributes:
        id: `ecs-svc/...`; a service deployment has another id.
        primary: the newest; what it replaces is listed until its tasks are gone.
        rollout: IN_PROGRESS, COMPLETED or FAILED; None where ECS does not say.
        failed_tasks: those that failed in a row before the first one ran well.
    """

    id: str
    created_at: datetime
    primary: bool = False
    rollout: str | None = None
    running: int = 0
    failed_tasks: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """The service as it is now.

    Attributes:
        running: tasks that run; behind a load balancer `healthy` counts those that it finds healthy, where that was read.
        target_groups: ARNs of the target groups that it registers its tasks in; none without a load balancer.
        ports: container and port that the load balancer or a service registry sends to.
        rolls_back_by_itself: its circuit breaker or its deployment alarms are set to roll back.
        irreversible: it has the tag `auto-rollback:irreversible` with another value than `false`.
        bake: how long the traffic of each of its deployments waits by configuration, all steps together; with CodeDeploy, how
            long the newest keeps what ran before.
        task_sets: those of a service that ECS does not deploy itself.
        deployments: what ECS says of those that it is at; none where another controller deploys.
        shifts_traffic: its deployments are set to run beside what serves for a time, by ECS's own strategies.
        out_of_reach: why its deployment controller cannot be worked with, in words; None where it can.
        current_revisions: ARNs of the service revisions that run now; none where ECS does not say.
        port_names: port mappings that Service Connect and VPC Lattice find by name.
        volumes: names of the volumes that it configures when it launches a task.
    """

    arn: str
    active: bool
    status: str
    desired: int
    running: int
    controller: Controller
    task_definition: str
    newest_deployment: str | None = None
    target_groups: tuple[str, ...] = ()
    ports: tuple[tuple[str, int], ...] = ()
    healthy: int | None = None
    rolls_back_by_itself: bool = False
    irreversible: bool = False
    bake: timedelta = timedelta()
    task_sets: tuple[TaskSet, ...] = ()
    out_of_reach: str | None = None
    deployments: tuple[EcsDeployment, ...] = ()
    shifts_traffic: bool = False
    current_revisions: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()

    @property
    def primary(self) -> EcsDeployment | None:
        """The deployment that is to run, by ECS's own account."""
        return next((deployment for deployment in self.deployments if deployment.primary), None)

    @property
    def within_reach(self) -> bool:
        """Whether its deployment controller can be worked with."""
        return self.controller is not Controller.EXTERNAL and self.out_of_reach is None

    @property
    def behind_load_balancer(self) -> bool:
        """Whether requests reach it through a load balancer."""
        return bool(self.target_groups)


@dataclass(frozen=True, slots=True)
class Revision:
    """A service revision: what ran.

    It is told by the content of its task definition and the digests of its images.

    Attributes:
        task_definition: `family:revision`.
        images: container name to digest; None where AWS recorded none, and the image's name stands in.
        identity: digest of the definition's content with each image replaced by what ran; None where the definition
            could not be described.
        process_identity: the same of what its processes can see: without labels, log options, and the variables that
            only name the build.
        settings: the service settings it ran under (network, load balancer, platform), by name.
        irreversible: its definition has the tag `auto-rollback:irreversible` with another value than `false`.
    """

    arn: str
    task_definition: str
    task_definition_arn: str
    created_at: datetime
    images: Mapping[str, str | None] = field(default_factory=dict)
    identity: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    irreversible: bool = False
    process_identity: str | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """A service deployment. `target` and `sources` are ARNs of service revisions; with CodeDeploy, ids of deployments."""

    arn: str
    status: Status
    created_at: datetime
    target: str
    started_at: datetime | None = None
    finished_at: datetime | None = None
    sources: tuple[str, ...] = ()
    rollback_revision: str | None = None
    traffic: TrafficShift = TrafficShift()

    @property
    def start(self) -> datetime:
        """When it began to change what runs."""
        return self.started_at or self.created_at

    @property
    def may_serve_from(self) -> datetime | None:
        """The first moment at which users may have reached what it brought.

        None where that is not known yet.

        Of a strategy that shifts traffic, where nothing was seen of the shift, no moment before the deployment's end is known:
        only a blue/green one that succeeded has baked since.
        """
        traffic = self.traffic
        if not traffic.strategy.shifts:
            return self.start
        seen = traffic.unserved_at or traffic.baking_at
        if seen is not None:
            return max(seen, self.start)
        if traffic.began_at is not None:
            return traffic.began_at
        has_baked = traffic.strategy is Strategy.BLUE_GREEN and self.status is Status.SUCCESSFUL
        if has_baked and self.finished_at is not None:
            return self.finished_at - traffic.bake
        return self.finished_at

    @property
    def leaves(self) -> str | None:
        """The service revision that runs once it has finished; None where that is not known."""
        if self.status is Status.SUCCESSFUL:
            return self.target
        if self.status is Status.ROLLBACK_SUCCESSFUL:
            return self.rollback_revision
        return None


@dataclass(frozen=True, slots=True)
class Datapoint:
    """One evaluated datapoint of an alarm; it stands for `start` to `start + period`. `breaching` is None where it is missing."""

    start: datetime
    breaching: bool | None


@dataclass(frozen=True, slots=True)
class AlarmPeriod:
    """A time that an alarm spent in ALARM; `until` is None while it lasts."""

    since: datetime
    until: datetime | None = None


class Untold(StrEnum):
    """Why it cannot be told whether an alarm's trouble began before a deployment.

    UNREAD: of the alarms under a composite some were not read: they changed, or are more than are read.
    NO_DATAPOINTS: one of them has none, as a log alarm or one on a query of another kind.
    NOTHING_RED: no metric alarm under it is in ALARM.
    COARSE: a datapoint that straddles the deployment's start stands for longer than such a one may.
    """

    UNREAD = "unread"
    NO_DATAPOINTS = "no_datapoints"
    NOTHING_RED = "nothing_red"
    COARSE = "coarse"


@dataclass(frozen=True, slots=True)
class AlarmSource:
    """A metric alarm that is in ALARM.

    It is the alarm itself, or one under a composite, however deep.

    Attributes:
        since: when it went to ALARM.
        period: what one datapoint stands for.
        evaluation_range: evaluation periods times period.
        datapoints: what was evaluated when it went to ALARM, oldest first; none where that is not told.
        keeps_state: it stays as it is while data are missing, so that its being red still proves nothing new.
    """

    name: str
    since: datetime | None
    period: timedelta = timedelta(minutes=1)
    evaluation_range: timedelta = timedelta(minutes=5)
    datapoints: tuple[Datapoint, ...] = ()
    keeps_state: bool = False


@dataclass(frozen=True, slots=True)
class AlarmSpell:
    """A time that an alarm, by its signal, spent in ALARM while a revision served."""

    signal: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm of the service, as it is now.

    Attributes:
        onset: when the trouble that it speaks of began, while it is in ALARM.
        onset_is_datapoint: a datapoint gives the onset, and stands for a whole period; else it is the earliest that can be.
        period: what one datapoint stands for, the longest of those under a composite.
        evaluation_range: evaluation periods times period.
        last_breach: start of the newest breaching datapoint that is known.
        spells: its times in ALARM that its history still holds, oldest first; None where the history was not read.
        history_from: how far back `spells` reach.
        first_trace: the oldest sign that it existed.
        sources: the metric alarms that are in ALARM and tell when the trouble began, earliest first.
        untold: why they cannot tell it, whatever the deployment.
    """

    name: str
    signal: str
    in_alarm: bool
    since: datetime | None = None
    onset: datetime | None = None
    period: timedelta = timedelta(minutes=1)
    evaluation_range: timedelta = timedelta(minutes=5)
    last_breach: datetime | None = None
    spells: tuple[AlarmPeriod, ...] | None = None
    history_from: datetime | None = None
    first_trace: datetime | None = None
    onset_is_datapoint: bool = True
    sources: tuple[AlarmSource, ...] = ()
    untold: Untold | None = None

    @property
    def grain(self) -> timedelta:
        """How finely its onset is known."""
        first = self.sources[0] if self.sources else self
        return first.period if self.onset_is_datapoint else first.evaluation_range


class TriggerKind(StrEnum):
    """What asked for a judgement."""

    ALARM = "alarm"
    TASKS_CANNOT_START = "tasks_cannot_start"
    DEPLOYMENT_FAILED = "deployment_failed"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What asked for a judgement, and when.

    Attributes:
        alarm: the name of the alarm, where one asked.
        muted: by what it is muted, if it is.
        overdue: ECS was to roll a failed deployment back by itself and has had its time: it is not left to ECS any more.
        deployment: the `ecs-svc/...` id of the deployment that failed; empty where the event named none.
    """

    kind: TriggerKind
    at: datetime
    alarm: str | None = None
    muted: str | None = None
    overdue: bool = False
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An alarm of another protected service that is in ALARM; a service may have several.

    Attributes:
        changed: a deployment of its own may explain it; None where its deployments were not read.
        grain: how finely its onset is known.
    """

    key: ServiceKey
    onset: datetime
    changed: bool | None = None
    grain: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class PastRollback:
    """A rollback in the ledger, as it stands now.

    With the service deployment that carried it out, where that is known.

    Attributes:
        automatic: nobody asked for it; these count against the daily limit.
        pins: a person named its target or forced it, and the automatic keeps away for a while.
        deployed: ARN of the task definition that it deployed: the target's, or a copy's.
        deployment: the service deployment that carries it out, where that is known; else told by `deployed` and the time.
        over: the newest service deployment when it was claimed, which it came over or had stopped; None in older records.
    """

    incident_id: str
    at: datetime
    automatic: bool
    pins: bool
    is_open: bool
    to_task_definition: str
    deployed: str
    deployment: str | None = None
    over: str | None = None


@dataclass(frozen=True, slots=True)
class KnownGood:
    """A revision that the ledger saw run well from `since` to `until`.

    It is kept longer than AWS keeps deployments.

    `requests` is how many reached it then; None where it was not asked, which proves nothing behind a load balancer.

    Attributes:
        calm_until: end of the run without alarm that began with `since`; None where that is `until`.
        spells: times in ALARM up to `until`, the newest few.
    """

    revision: Revision
    since: datetime
    until: datetime
    requests: int | None = None
    calm_until: datetime | None = None
    spells: tuple[AlarmSpell, ...] = ()

    @property
    def ran_calm_until(self) -> datetime:
        """The end of its run without alarm."""
        return self.calm_until or self.until


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A build that was rolled back from.

    Attributes:
        at: when it was rolled back from last.
        signals: of the alarms that convicted it; none where a person rolled back, or ECS spoke.
        process_identity: what its processes could see, as of a revision; None in records that are older than that.
        images: container name to the digest that ran.
    """

    identity: str
    task_definition: str
    at: datetime
    signals: tuple[str, ...] = ()
    process_identity: str | None = None
    images: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret or parameter that tasks are given when they start.

    By what their definition calls it; never its value.

    `changed_at` is when it last changed, `wrong` what is wrong with it; None where there is nothing to tell.
    """

    name: str
    changed_at: datetime | None = None
    wrong: str | None = None


@dataclass(frozen=True, slots=True)
class StoppedTask:
    """A task of the service that has stopped, as DescribeTasks tells it.

    Attributes:
        code: ECS's `stopCode`; empty where it gives none.
        reason: its `stoppedReason`.
        definition: ARN of the task definition that it ran.
        created_at: when it was asked to start; None where ECS does not say.
    """

    code: str
    reason: str
    at: datetime
    definition: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrafficReading:
    """What was seen of a deployment's traffic while it was watched.

    Attributes:
        deployment: its ARN.
        unserved_at: when it was last seen to have none of the production traffic.
        baking_at: when the stage BAKE_TIME was first seen.
    """

    deployment: str
    unserved_at: datetime | None = None
    baking_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the ledger knows of the service.

    `quarantined` holds, by identity, what was rolled back from.
    """

    paused_until: datetime | None = None
    quarantined: Mapping[str, Quarantine] = field(default_factory=dict)
    rollbacks: tuple[PastRollback, ...] = ()
    known_good: tuple[KnownGood, ...] = ()
    traffic: tuple[TrafficReading, ...] = ()


@dataclass(frozen=True, slots=True)
class RedAlarm:
    """An alarm of this controller that is in ALARM, of whichever service. `grain` is how finely its onset is known."""

    key: AlarmKey
    name: str
    onset: datetime
    grain: timedelta


@dataclass(frozen=True, slots=True)
class ServedRequests:
    """The requests that were counted in a serving period, which `since` tells apart."""

    revision: str
    since: datetime
    requests: Requests


@dataclass(frozen=True, slots=True)
class ReadSoFar:
    """What has been asked for already, whether it was found or not. It is never stored.

    Attributes:
        listed: ARNs of the newest service deployments, known from their list.
        listed_targets: ARNs of the service revisions that these bring.
        newest_at: when the newest of them was created.
        present: the newest deployments were read in full, and the alarms as they are now.
        definitions: ARNs of the task definitions that were asked for.
        vanished: ARNs of the service revisions that AWS does not have any more.
        requests: what was counted, by serving period.
        red: the page of this controller's red alarms; None where it was not read.
        neighbours: the onset that other services in trouble were asked about; None before that.
        health: healthy targets were counted.
        stopped: ARNs of the tasks that stopped lately; None where nobody asked.
        shifts: ids of CodeDeploy's deployments that were asked how they shift traffic.
        next_page: where the list of older deployments goes on; None at its end.
        older_pages: how many pages of older deployments were read.
        stable_wanted: how many stable revisions are to be known: more where those that are cannot run now.
    """

    listed: tuple[str, ...] = ()
    listed_targets: tuple[str, ...] = ()
    newest_at: datetime | None = None
    present: bool = False
    definitions: frozenset[str] = frozenset()
    vanished: frozenset[str] = frozenset()
    requests: tuple[ServedRequests, ...] = ()
    red: tuple[RedAlarm, ...] | None = None
    neighbours: datetime | None = None
    health: bool = False
    stopped: tuple[str, ...] | None = None
    shifts: frozenset[str] = frozenset()
    next_page: str | None = None
    older_pages: int = 0
    stable_wanted: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verdict rests on.

    Attributes:
        deployments: newest first, in whatever order they are given.
        revisions: by ARN; one that could not be described is not there.
        requests: requests that reached the service in the calm stretch of a revision, by the revision's ARN; None where
            nothing could be read.
        protected_services: how many services this controller protects, this one included.
        unread: what could not be read, in words.
        secrets: what the tasks that run were given when they started; None where nobody asked.
        undescribed: ARNs of the task definitions that AWS was asked for, and cannot describe any more.
        stopped: tasks that stopped lately; None where nobody asked.
        so_far: what has been read of all this.
    """

    service: Service | None
    trigger: Trigger
    deployments: tuple[Deployment, ...] = ()
    revisions: Mapping[str, Revision] = field(default_factory=dict)
    alarms: tuple[Alarm, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    protected_services: int = 1
    requests: Mapping[str, int | None] = field(default_factory=dict)
    ledger: LedgerState = field(default_factory=LedgerState)
    unread: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] | None = None
    undescribed: tuple[str, ...] = ()
    stopped: tuple[StoppedTask, ...] | None = None
    so_far: ReadSoFar = ReadSoFar()

    def __post_init__(self) -> None:
        newest_first = tuple(
            sorted(self.deployments, key=lambda d: (d.created_at, d.arn), reverse=True)
        )
        object.__setattr__(self, "deployments", newest_first)

    @property
    def newest(self) -> Deployment | None:
        """The service's newest deployment."""
        return self.deployments[0] if self.deployments else None

    def alarm(self, name: str | None) -> Alarm | None:
        """The alarm of that name."""
        return next((alarm for alarm in self.alarms if alarm.name == name), None)

    def revision(self, arn: str | None) -> Revision | None:
        """The service revision of that ARN, where it could be described."""
        return self.revisions.get(arn) if arn else None
