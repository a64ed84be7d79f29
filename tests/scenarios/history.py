"""Incidents, told: what was deployed, what fired, what the ledger remembers. Everything not told was calm and readable."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from autorollback.decision.decide import decide
from autorollback.decision.facts import (
    Alarm,
    AlarmPeriod,
    Controller,
    Deployment,
    EcsDeployment,
    Facts,
    KnownGood,
    LedgerState,
    Neighbour,
    PastRollback,
    Quarantine,
    Revision,
    Secret,
    Service,
    Status,
    StoppedTask,
    TrafficShift,
    Trigger,
    TriggerKind,
)
from autorollback.decision.verdicts import Judgement, RollBack
from autorollback.naming import ServiceKey
from autorollback.policy import Policy

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
ARN = "arn:aws:ecs:eu-central-1:111122223333"
SIGNALS = ("5xx-rate", "latency", "unhealthy-targets")


def seconds(n: float) -> timedelta:
    return timedelta(seconds=n)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def days(n: float) -> timedelta:
    return timedelta(days=n)


_LATELY = seconds(90)


@dataclass(slots=True)
class History:
    """The story of one service up to now; each call tells one thing more and returns the story."""

    policy: Policy = field(
        default_factory=lambda: Policy(families=("auth", "auth-*"), task_roles=("auth-*",))
    )
    service: Service = field(
        default_factory=lambda: Service(
            arn=f"{ARN}:service/shop/auth",
            active=True,
            status="ACTIVE",
            desired=4,
            running=4,
            controller=Controller.ECS,
            task_definition=f"{ARN}:task-definition/auth:1",
            target_groups=(
                "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/auth/943f017f100becff",
            ),
        )
    )
    deployments: list[Deployment] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    requests: dict[str, int | None] = field(default_factory=dict)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    neighbours: list[Neighbour] = field(default_factory=list)
    fleet: int = 20
    memory: LedgerState = field(default_factory=LedgerState)
    trigger: Trigger | None = None
    now: datetime = NOW
    secrets: tuple[Secret, ...] | None = None
    stops: tuple[StoppedTask, ...] | None = None

    def __post_init__(self) -> None:
        for signal in SIGNALS:
            self.watched_by(signal)

    def under(self, **policy: object) -> "History":
        """Judged by a policy that differs from the defaults."""
        self.policy = replace(self.policy, **policy)  # type: ignore[arg-type] # the keys are Policy's own
        return self

    def serving(self, **changed: object) -> "History":
        """The service as it is now."""
        self.service = replace(self.service, **changed)  # type: ignore[arg-type] # the keys are Service's own
        return self

    def without_load_balancer(self) -> "History":
        self.requests = dict.fromkeys(self.requests)
        return self.serving(target_groups=())

    def deployed(
        self,
        build: str,
        *,
        ago: timedelta,
        took: timedelta = timedelta(minutes=2),
        status: Status = Status.SUCCESSFUL,
        settings: Mapping[str, str] | None = None,
        irreversible: bool = False,
        requests: int | None = 5000,
        traffic: TrafficShift | None = None,
        seen_as: str | None = None,
        image: str | None = None,
    ) -> "History":
        """A deployment that finished `ago` before now, or began so long ago where it is in progress.

        The same build is the same identity; `seen_as` is the build that its processes cannot tell it from. What ran before is its source; a rollback by ECS returns to that.
        """
        number = len(self.deployments) + 1
        arn, ran = f"{ARN}:service-revision/shop/auth/{number}", self._running()
        started = NOW - ago - (timedelta() if status.in_progress else took)
        before = self.revisions[ran].settings if ran else {}
        self.revisions[arn] = Revision(
            arn=arn,
            task_definition=f"auth:{build}",
            task_definition_arn=f"{ARN}:task-definition/auth:{build}",
            created_at=started,
            images={"app": f"sha256:{image or seen_as or build}"},
            identity=build,
            settings=before if settings is None else settings,
            irreversible=irreversible,
            process_identity=seen_as or build,
        )
        self.requests[arn] = requests
        self.deployments.append(
            Deployment(
                arn=f"{ARN}:service-deployment/shop/auth/{number}",
                status=status,
                created_at=started,
                started_at=started,
                finished_at=None if status.in_progress else NOW - ago,
                target=arn,
                sources=(ran,) if ran else (),
                rollback_revision=ran if status.is_rollback else None,
                traffic=traffic or TrafficShift(),
            )
        )
        return self

    def watched_by(self, signal: str, *, since: timedelta = timedelta(days=90)) -> "History":
        """An alarm that has been there so long, calm."""
        self.alarms[signal] = Alarm(
            f"auto-rollback/shop/auth/{signal}",
            signal,
            in_alarm=False,
            since=NOW - since,
            spells=(),
            history_from=NOW - days(30),
            first_trace=NOW - since,
        )
        return self

    def calm_and_unread(self, signal: str, *, since: timedelta) -> "History":
        """An alarm that has been OK so long, and whose history nobody read for that reason."""
        self.watched_by(signal, since=since)
        self.alarms[signal] = replace(self.alarms[signal], spells=None, history_from=None)
        return self

    def unwatched_until(self, ago: timedelta) -> "History":
        """The alarms exist only since then."""
        for signal in self.alarms:
            self.watched_by(signal, since=ago)
        return self

    def was_red(
        self, signal: str, *, ago: timedelta, lasted: timedelta = timedelta(minutes=5)
    ) -> "History":
        """An alarm was in ALARM for a while, from so long ago."""
        alarm, spell = self.alarms[signal], AlarmPeriod(NOW - ago, NOW - ago + lasted)
        spells = tuple(sorted((*(alarm.spells or ()), spell), key=lambda s: s.since))
        self.alarms[signal] = replace(alarm, spells=spells, since=NOW - ago + lasted)
        return self

    def alarm(
        self,
        signal: str,
        *,
        onset: timedelta,
        fired: timedelta | None = None,
        last_breach: timedelta = timedelta(minutes=1),
        trigger: bool = True,
    ) -> "History":
        """An alarm that is in ALARM: the trouble began `onset` ago, it fired up to three minutes later."""
        alarm = self.alarms[signal]
        since = NOW - (max(onset - minutes(3), timedelta()) if fired is None else fired)
        self.alarms[signal] = replace(
            alarm,
            in_alarm=True,
            since=since,
            onset=NOW - onset,
            last_breach=NOW - last_breach,
            spells=(*(alarm.spells or ()), AlarmPeriod(since)),
        )
        if trigger:
            self.trigger = Trigger(TriggerKind.ALARM, since, alarm.name)
        return self

    def event(
        self,
        kind: TriggerKind,
        *,
        ago: timedelta = timedelta(seconds=20),
        overdue: bool = False,
        deployment: str = "ecs-svc/1",
    ) -> "History":
        """An ECS event, so long ago; or the sweep's question where ECS has not done what it was to do.

        It is true of the service's deployment, three tasks of which have failed, unless `as_ecs_says` tells otherwise.
        """
        self.trigger = Trigger(kind, NOW - ago, overdue=overdue, deployment=deployment)
        return (
            self
            if self.service.deployments
            else self.as_ecs_says(failed_tasks=3, running=self.service.running)
        )

    def as_ecs_says(
        self,
        rollout: str = "IN_PROGRESS",
        *,
        deployment: str = "ecs-svc/1",
        failed_tasks: int = 0,
        running: int = 4,
    ) -> "History":
        """What DescribeServices says of the deployment that is to run."""
        primary = EcsDeployment(deployment, NOW - minutes(9), True, rollout, running, failed_tasks)
        return self.serving(deployments=(primary,))

    def tasks_stopped(
        self,
        count: int,
        code: str,
        reason: str = "",
        *,
        ago: timedelta = _LATELY,
        build: str | None = None,
        started: timedelta = _LATELY,
    ) -> "History":
        """Tasks stopped so long ago, of the newest build unless told, asked to start `started` before that."""
        definition = f"{ARN}:task-definition/auth:{build}"
        if build is None:
            definition = self.revisions[self.deployments[-1].target].task_definition_arn
        at = NOW - ago
        task = StoppedTask(code, reason, at, definition, at - started)
        self.stops = (*(self.stops or ()), *[task] * count)
        return self

    def muted(self, by: str) -> "History":
        assert self.trigger is not None
        self.trigger = replace(self.trigger, muted=by)
        return self

    def neighbour(self, name: str, *, onset: timedelta, changed: bool | None = False) -> "History":
        """Another protected service is in trouble since so long ago."""
        self.neighbours.append(Neighbour(ServiceKey("shop", name), NOW - onset, changed))
        return self

    def rolled_back(
        self,
        build: str,
        *,
        ago: timedelta,
        automatic: bool = True,
        pins: bool = False,
        is_open: bool = False,
        deployment: str | None = None,
    ) -> "History":
        """The ledger remembers a rollback to a build, started so long ago (its deployment is told apart from it)."""
        past = PastRollback(
            f"incident-{len(self.memory.rollbacks)}",
            NOW - ago,
            automatic=automatic,
            pins=pins,
            is_open=is_open,
            to_task_definition=f"auth:{build}",
            deployed=f"{ARN}:task-definition/auth:{build}",
            deployment=deployment,
        )
        self.memory = replace(self.memory, rollbacks=(*self.memory.rollbacks, past))
        return self

    def quarantined(
        self,
        build: str,
        *,
        ago: timedelta,
        signals: tuple[str, ...] = ("5xx-rate",),
        seen_as: str | None = None,
    ) -> "History":
        """A build was rolled back from so long ago, for these signals."""
        quarantine = Quarantine(
            build,
            f"auth:{build}",
            NOW - ago,
            signals,
            process_identity=seen_as or build,
            images={"app": f"sha256:{build}"},
        )
        self.memory = replace(
            self.memory, quarantined={**self.memory.quarantined, build: quarantine}
        )
        return self

    def secret(
        self, name: str, *, changed: timedelta | None = None, wrong: str | None = None
    ) -> "History":
        """One that the tasks were given when they started."""
        changed_at = None if changed is None else NOW - changed
        self.secrets = (*(self.secrets or ()), Secret(name, changed_at, wrong))
        return self

    def paused_for(self, duration: timedelta) -> "History":
        self.memory = replace(self.memory, paused_until=NOW + duration)
        return self

    def known_good(
        self, build: str, *, since: timedelta, until: timedelta, requests: int | None = 9000
    ) -> "History":
        """The ledger saw a build run well then; AWS may have forgotten it."""
        revision = Revision(
            arn=f"{ARN}:service-revision/shop/auth/good-{build}",
            task_definition=f"auth:{build}",
            task_definition_arn=f"{ARN}:task-definition/auth:{build}",
            created_at=NOW - since,
            images={"app": f"sha256:{build}"},
            identity=build,
        )
        record = KnownGood(revision, NOW - since, NOW - until, requests)
        self.memory = replace(self.memory, known_good=(*self.memory.known_good, record))
        return self

    def facts(self) -> Facts:
        assert self.trigger is not None, "tell what asked for the judgement"
        return Facts(
            service=self.service,
            trigger=self.trigger,
            deployments=tuple(reversed(self.deployments)),
            revisions=self.revisions,
            alarms=tuple(self.alarms.values()),
            neighbours=tuple(self.neighbours),
            protected_services=self.fleet,
            requests=self.requests,
            ledger=self.memory,
            secrets=self.secrets,
            stopped=self.stops,
        )

    def judged(self) -> Judgement:
        return decide(self.facts(), self.policy, self.now)

    def reason(self) -> str:
        return self.judged().verdict.reason.value

    def target(self) -> str | None:
        """The build that is gone back to; None where the verdict is another."""
        verdict = self.judged().verdict
        return verdict.candidates[0].revision.identity if isinstance(verdict, RollBack) else None

    def _running(self) -> str | None:
        for deployment in reversed(self.deployments):
            if deployment.leaves:
                return deployment.leaves
        return None


def incident() -> History:
    """A service of four tasks behind a load balancer, three calm alarms, twenty protected services."""
    return History()


def bad_deployment(
    *, ago: timedelta = timedelta(minutes=9), onset: timedelta = timedelta(minutes=6)
) -> History:
    """The plain case: v1 served for days, v2 came, errors followed."""
    return (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=ago)
        .alarm("5xx-rate", onset=onset)
    )
