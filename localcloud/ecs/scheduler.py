"""How deployments go on as time passes.

Tasks start or do not, traffic moves, a deployment completes, fails or rolls back. The pace is this
cloud's own: about a minute for a healthy deployment. The states, their order and their causes are
AWS's (service-deployment.html, deployment-circuit-breaker.html, deployment-alarm-failure.html,
stop-service-deployment.html). The reasons are AWS's where a source shows them: the circuit
breaker's, "active alarms", "No rollback candidate"; the others are this cloud's.
"""

import math
import secrets
import string
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from localcloud.ecs import hooks, service_tasks
from localcloud.ecs.events import deployment_state_change, service_action
from localcloud.ecs.images import can_be_pulled, container_images
from localcloud.ecs.model import (
    DEPLOYING_SETTINGS,
    Deployment,
    Phase,
    Revision,
    Rollback,
    Service,
    Status,
    Stop,
    new_revision_number,
)
from localcloud.shapes import ApiObject, Settings
from localcloud.troubles import Troubles

TICK = timedelta(seconds=5)
PENDING_FOR = timedelta(seconds=1)
LAUNCH = timedelta(seconds=20)
REPLACE = timedelta(seconds=20)
SETTLE = timedelta(seconds=20)
RETURN = timedelta(seconds=20)
DURATIONS = {Phase.LAUNCHING: LAUNCH, Phase.REPLACING: REPLACE, Phase.SETTLING: SETTLE}

# failed tasks, and the time between two events; AWS publishes neither
IMPAIRED_AFTER = 3
IMPAIRED_EVERY = timedelta(minutes=5)

MESSAGES_KEPT = 100
NO_CANDIDATE = "No rollback candidate was found to run the rollback."
SUPERSEDED = "Service deployment stopped due to a new service deployment."
REVISION_SETTINGS = (*DEPLOYING_SETTINGS, "launchType", "capacityProviderStrategy")


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether the tasks of a revision reach RUNNING, and then pass their health checks."""

    starts: bool = True
    healthy: bool = True

    @property
    def serves(self) -> bool:
        """Whether its tasks come to serve requests."""
        return self.starts and self.healthy


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a deployment fails.

    `because` ends the sentence of the deployment's status reason; `event_reason` is the reason that
    the event gives; `rolls_back` is whether it was configured to.
    """

    because: str
    event_reason: str
    rolls_back: bool


@dataclass
class Scheduler:
    """Moves the deployments of all services on.

    `fitness` and `alarms_in_alarm` ask the rest of the cloud; events wait for their tick.
    `code_deploy` does what has fallen due for a service that CodeDeploy deploys.
    """

    fitness: Callable[[Revision], Fitness]
    alarms_in_alarm: Callable[[Iterable[str]], tuple[str, ...]]
    emit: Callable[[ApiObject], None]
    troubles: Troubles = field(default_factory=Troubles)
    code_deploy: Callable[[Service, datetime], None] = lambda _service, _now: None
    services: dict[str, Service] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _outbox: list[tuple[datetime, ApiObject]] = field(default_factory=list)

    def tick(self, moment: datetime) -> None:
        """Do what has fallen due, then send the events of this tick.

        Those of a time that was jumped over are not sent.
        """
        with self.lock:
            for service in list(self.services.values()):
                with self.troubles.of(f"the service {service.name}"):
                    self.progress(service, moment)
                    self._watch_alarms(service, moment)
            ready = [event for at, event in self._outbox if moment - TICK < at <= moment]
            self._outbox = [(at, event) for at, event in self._outbox if at > moment]

        for event in ready:
            with self.troubles.of(f"an event of ECS: {event.get('detail-type')}"):
                self.emit(event)

    def progress(self, service: Service, now: datetime) -> None:
        """Do what has fallen due for one service, at the moments when it did."""
        while service.newest is not None:
            deployment = service.newest
            due = _due(deployment)
            if due is None or due > now:
                break
            self._step(service, deployment, due)
            service_tasks.fit(service, due)

        if service.is_code_deployed:
            self.code_deploy(service, now)

    def deploy(
        self,
        service: Service,
        containers: list[ApiObject],
        now: datetime,
    ) -> Deployment:
        """Start a deployment of what the service's settings say now.

        A deployment that is under way is stopped by it.
        """
        under_way = service.newest
        if under_way is not None and not under_way.finished:
            _supersede(under_way, now)

        revision = _new_revision(service, containers, now)
        configuration = dict(service.settings["deploymentConfiguration"])
        already_in_alarm = self.alarms_in_alarm(_watched_alarms(configuration))
        deployment = Deployment(
            arn=service.related_arn("service-deployment", _random_id()),
            target=revision,
            sources={source: count for source, count in service.running.items() if count},
            configuration=configuration,
            created_at=now,
            updated_at=now,
            since=now,
            ignores_alarms=bool(already_in_alarm),
        )
        service.revisions[revision.arn] = revision
        service.deployments.append(deployment)
        service.primary = revision
        return deployment

    def request_rollback(
        self,
        service: Service,
        deployment: Deployment,
        now: datetime,
    ) -> None:
        """Stop a deployment that is pending or in progress, as StopServiceDeployment does."""
        deployment.status_reason = "Service deployment rolled back because of a user request."
        self._go_back_on_request(service, deployment, now)

    def _go_back_on_request(
        self,
        service: Service,
        deployment: Deployment,
        now: datetime,
    ) -> None:
        deployment.hook = None
        deployment.since = now
        _set_status(deployment, Status.ROLLBACK_REQUESTED, now)
        if service.last_completed(deployment) is None:
            _end(
                service,
                deployment,
                Status.ROLLBACK_FAILED,
                now,
                NO_CANDIDATE,
            )

    def scale(self, service: Service, desired: int) -> None:
        """Change the number of tasks. The scaling of a service is given no time of its own."""
        service.desired = desired
        deployment = service.newest
        is_deploying = deployment is not None and not deployment.finished
        if service.primary is None or is_deploying:
            return

        largest = max(
            service.running,
            key=lambda revision: service.running[revision],
            default=service.primary,
        )
        service.running = {largest: desired}

    def take_away(
        self,
        service: Service,
        count: int,
        stop: Stop,
        at: datetime,
    ) -> None:
        """Take tasks away, as a loss of capacity does; they stay away until the next change."""
        self.progress(service, at)
        service_tasks.take_away(
            service,
            count,
            stop,
            at,
        )

    def can_run(self, revision: Revision) -> Fitness:
        """Tell whether tasks start and are healthy, the pulling of images included."""
        if not all(can_be_pulled(image) for image in revision.images):
            return Fitness(starts=False)
        return self.fitness(revision)

    def post(self, event: ApiObject, at: datetime) -> None:
        """Have an event sent at the tick of its moment."""
        self._outbox.append((at, event))

    def _step(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        match deployment.status:
            case Status.PENDING:
                self._begin(service, deployment, at)
            case Status.IN_PROGRESS:
                self._go_on(service, deployment, at)
            case Status.ROLLBACK_REQUESTED:
                self._begin_rollback(service, deployment, at)
            case Status.ROLLBACK_IN_PROGRESS:
                self._go_back(service, deployment, at)
            case status:
                raise AssertionError(f"nothing falls due in {status}")

    def _begin(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        for earlier in service.deployments[:-1]:
            if earlier.status is Status.STOP_REQUESTED:
                _stop_superseded(
                    service,
                    earlier,
                    deployment,
                    at,
                )

        _set_status(deployment, Status.IN_PROGRESS, at)
        deployment.started_at = at
        deployment.since = at
        service.pending[deployment.target] = service.desired
        reason = f"ECS deployment {deployment.target.deployment_id} in progress."
        self._announce(
            service,
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            deployment.target,
            reason,
            at,
        )

    def _go_on(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        if deployment.hook is not None:
            self._time_out(service, deployment, at)
            return
        if hooks.wait(deployment, at):
            return
        match deployment.phase:
            case Phase.LAUNCHING:
                self._launch(service, deployment, at)
            case Phase.REPLACING:
                _replace(service, deployment, at)
            case Phase.SETTLING:
                deployment.step = 0
                _enter(deployment, Phase.SHIFTING, at)
                hooks.wait_after_shift(deployment, at)
            case _:
                self._shift_or_complete(service, deployment, at)

    def _time_out(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        """Nobody answered the hook in time."""
        hook = deployment.hook
        if hook is None or hook.timeout_action == "CONTINUE":
            hooks.go_on(deployment, at)
            return
        hook.status = "TIMED_OUT"
        deployment.status_reason = (
            "Service deployment rolled back because a lifecycle hook timed out."
        )
        self._go_back_on_request(service, deployment, at)

    def _launch(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        """Start the first tasks: half of them in a rolling deployment, else all."""
        target = deployment.target
        fitness = self._fitness_if_wanted(service, target)
        if not fitness.serves:
            self._fail_tasks(
                service,
                deployment,
                fitness,
                at,
            )
            return

        first = service.desired
        if deployment.is_rolling:
            first = math.ceil(service.desired / 2)
            _shrink_others(service, target, service.desired - first)
        service.running[target] = first
        service.pending[target] = service.desired - first
        _enter(deployment, Phase.REPLACING, at)

    def _shift_or_complete(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        next_step = deployment.step + 1
        if next_step < len(deployment.traffic_steps):
            deployment.step = next_step
            _enter(deployment, Phase.SHIFTING, at)
            hooks.wait_after_shift(deployment, at)
        else:
            self._complete(service, deployment, at)

    def _complete(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        service.running = {deployment.target: service.desired}
        service.pending = {}
        _end(
            service,
            deployment,
            Status.SUCCESSFUL,
            at,
            None,
        )
        self._announce_completed(service, deployment.target, at)

    def _fail_tasks(
        self,
        service: Service,
        deployment: Deployment,
        fitness: Fitness,
        at: datetime,
    ) -> None:
        """Let every task of one attempt fail.

        ECS tries again until the circuit breaker, if there is one, has had enough.
        """
        target = deployment.target
        if fitness.starts:
            service_tasks.fail(service, target, service_tasks.UNHEALTHY, at)
            service.running[target] = service.desired
            service.pending[target] = 0
        else:
            service_tasks.fail(service, target, _why_not_started(target), at)
            service.running[target] = 0
            service.pending[target] = service.desired

        deployment.failed_tasks += service.desired
        deployment.since = at
        deployment.updated_at = at
        self._tell_impaired(service, deployment, at)
        self._check_breaker(service, deployment, at)

    def _tell_impaired(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        if deployment.failed_tasks < IMPAIRED_AFTER:
            return
        last = deployment.last_impaired
        if last is not None and at - last < IMPAIRED_EVERY:
            return

        deployment.last_impaired = at
        self.post(
            service_action(
                service,
                "SERVICE_TASK_START_IMPAIRED",
                "WARN",
                at,
            ),
            at,
        )
        message = f"(service {service.name}) is unable to consistently start tasks successfully."
        _add_message(service, message, at)

    def _check_breaker(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        breaker = deployment.breaker
        if not breaker.get("enable"):
            return
        if deployment.failed_tasks < breaker_threshold(service.desired):
            return

        deployment.breaker_triggered = True
        failure = Failure(
            because="the circuit breaker threshold was exceeded",
            event_reason="ECS deployment circuit breaker: task failed to start.",
            rolls_back=bool(breaker.get("rollback")),
        )
        self._fail(
            service,
            deployment,
            failure,
            at,
        )

    def _watch_alarms(self, service: Service, at: datetime) -> None:
        """Let a deployment fail by its alarms.

        Where one was in ALARM when the deployment began, all are ignored for the whole of it.
        """
        deployment = service.newest
        if deployment is None or deployment.status is not Status.IN_PROGRESS:
            return
        if deployment.ignores_alarms:
            return
        in_alarm = self.alarms_in_alarm(_watched_alarms(deployment.configuration))
        if not in_alarm:
            return

        deployment.triggered_alarms = in_alarm
        failure = Failure(
            because="of one or more active alarms",
            event_reason="ECS deployment failed: alarm detected.",
            rolls_back=bool(deployment.configuration["alarms"].get("rollback")),
        )
        self._fail(
            service,
            deployment,
            failure,
            at,
        )

    def _fail(
        self,
        service: Service,
        deployment: Deployment,
        failure: Failure,
        at: datetime,
    ) -> None:
        target = deployment.target
        service.pending.pop(target, None)
        self._announce(
            service,
            "SERVICE_DEPLOYMENT_FAILED",
            target,
            failure.event_reason,
            at,
        )

        if not failure.rolls_back:
            deployment.stopped_at = at
            reason = f"Service deployment stopped because {failure.because}."
            _end(
                service,
                deployment,
                Status.STOPPED,
                at,
                reason,
            )
        elif service.last_completed(deployment) is None:
            _end(
                service,
                deployment,
                Status.ROLLBACK_FAILED,
                at,
                NO_CANDIDATE,
            )
        else:
            reason = f"Service deployment rolled back because {failure.because}."
            deployment.status_reason = reason
            self._begin_rollback(service, deployment, at)

    def _begin_rollback(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        candidate = service.last_completed(deployment)
        if candidate is None:
            _end(
                service,
                deployment,
                Status.ROLLBACK_FAILED,
                at,
                NO_CANDIDATE,
            )
            return

        deployment.rollback = Rollback(str(deployment.status_reason), at, candidate)
        deployment.phase = Phase.RETURNING
        deployment.since = at
        _set_status(deployment, Status.ROLLBACK_IN_PROGRESS, at)

        _take_settings(service, candidate)
        missing = service.desired - service.running.get(candidate, 0)
        service.pending = {candidate: missing} if missing > 0 else {}

        mechanism = "alarm" if deployment.triggered_alarms else "circuit breaker"
        reason = (
            f"ECS deployment {mechanism}: rolling back to deploymentId {candidate.deployment_id}."
        )
        self._announce(
            service,
            "SERVICE_DEPLOYMENT_IN_PROGRESS",
            candidate,
            reason,
            at,
        )

    def _go_back(
        self,
        service: Service,
        deployment: Deployment,
        at: datetime,
    ) -> None:
        """Let tasks of the rolled back revision give way.

        A candidate whose tasks no longer start leaves the rollback where it is.
        """
        if deployment.rollback is None:
            raise AssertionError("a rollback in progress has a revision to go back to")
        candidate = deployment.rollback.revision
        deployment.since = at
        if not self._fitness_if_wanted(service, candidate).serves:
            deployment.failed_tasks += service.desired
            return

        service.running = {candidate: service.desired}
        service.pending = {}
        if deployment.phase is Phase.RETURNING:
            deployment.phase = Phase.RETURNED
            return

        _end(
            service,
            deployment,
            Status.ROLLBACK_SUCCESSFUL,
            at,
            deployment.status_reason,
        )
        self._announce_completed(service, candidate, at)

    def _fitness_if_wanted(self, service: Service, revision: Revision) -> Fitness:
        """Tell how tasks do. Of a service that wants none, none can fail."""
        if service.desired == 0:
            return Fitness()
        return self.can_run(revision)

    def _announce_completed(
        self,
        service: Service,
        revision: Revision,
        at: datetime,
    ) -> None:
        deployment_id = revision.deployment_id
        reason = f"ECS deployment {deployment_id} completed."
        self._announce(
            service,
            "SERVICE_DEPLOYMENT_COMPLETED",
            revision,
            reason,
            at,
        )
        message = f"(service {service.name}) (deployment {deployment_id}) deployment completed."
        _add_message(service, message, at)

        self.post(
            service_action(
                service,
                "SERVICE_STEADY_STATE",
                "INFO",
                at,
            ),
            at,
        )
        _add_message(service, f"(service {service.name}) has reached a steady state.", at)

    def _announce(
        self,
        service: Service,
        name: str,
        revision: Revision,
        reason: str,
        at: datetime,
    ) -> None:
        self.post(
            deployment_state_change(
                service,
                name,
                revision,
                reason,
                at,
            ),
            at,
        )


def breaker_threshold(desired: int) -> int:
    """Count the failed tasks that trip the circuit breaker.

    It is half the desired count, at least 3, at most 200.
    """
    half = math.ceil(desired / 2)
    return min(max(half, 3), 200)


def _due(deployment: Deployment) -> datetime | None:
    """Tell when the next step of a deployment is due. None where there is none."""
    match deployment.status:
        case Status.PENDING | Status.ROLLBACK_REQUESTED:
            return deployment.since + PENDING_FOR
        case Status.ROLLBACK_IN_PROGRESS:
            return deployment.since + RETURN
        case Status.IN_PROGRESS if deployment.hook is not None:
            return deployment.hook.expires_at
        case Status.IN_PROGRESS:
            due = deployment.since + _duration(deployment)
            return max(due, deployment.resumed_at or due)
    return None


def _duration(deployment: Deployment) -> timedelta:
    """Tell how long the phase of a deployment in progress lasts."""
    if deployment.phase is Phase.SHIFTING:
        step = deployment.traffic_steps[deployment.step]
        return timedelta(minutes=step.minutes)
    return DURATIONS[deployment.phase]


def _why_not_started(revision: Revision) -> Stop:
    if all(can_be_pulled(image) for image in revision.images):
        return service_tasks.EXITED
    return service_tasks.NO_IMAGE


def _new_revision(service: Service, containers: list[ApiObject], now: datetime) -> Revision:
    settings: ApiObject = {}
    for name in REVISION_SETTINGS:
        value = service.settings.get(name)
        if value is not None:
            settings[name] = value

    number = new_revision_number()
    return Revision(
        number=number,
        arn=service.related_arn("service-revision", number),
        task_definition=service.task_definition,
        images=container_images(containers, service.desired),
        settings=settings,
        created_at=now,
    )


def _supersede(deployment: Deployment, now: datetime) -> None:
    """Have a deployment replaced by a newer one.

    A rollback that is replaced counts as failed: its documented ends are success and failure, and
    it did not succeed.
    """
    if deployment.status in {Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS}:
        _set_status(deployment, Status.ROLLBACK_FAILED, now)
        deployment.finished_at = now
    else:
        _set_status(deployment, Status.STOP_REQUESTED, now)


def _stop_superseded(
    service: Service,
    earlier: Deployment,
    newer: Deployment,
    at: datetime,
) -> None:
    """Stop a deployment and its tasks, except those that the newer one began from."""
    earlier.stopped_at = at
    _end(
        service,
        earlier,
        Status.STOPPED,
        at,
        SUPERSEDED,
    )
    if earlier.target not in newer.sources:
        service.running.pop(earlier.target, None)
    service.pending.pop(earlier.target, None)


def _replace(service: Service, deployment: Deployment, at: datetime) -> None:
    """Run all tasks of the target. In a rolling deployment, no others."""
    target = deployment.target
    service.running[target] = service.desired
    service.pending[target] = 0
    if deployment.is_rolling:
        _shrink_others(service, target, 0)
    _enter(deployment, Phase.SETTLING, at)


def _shrink_others(service: Service, target: Revision, to: int) -> None:
    """Stop old tasks as new ones run, so that the desired count is kept."""
    left = to
    for revision, count in list(service.running.items()):
        if revision is target:
            continue
        kept = min(count, left)
        left -= kept
        if kept:
            service.running[revision] = kept
        else:
            del service.running[revision]


def _take_settings(service: Service, revision: Revision) -> None:
    """Let the service be what the revision recorded."""
    service.primary = revision
    service.task_definition = revision.task_definition
    for name in DEPLOYING_SETTINGS:
        service.settings.pop(name, None)
    service.settings.update(revision.settings)


def _enter(deployment: Deployment, phase: Phase, at: datetime) -> None:
    deployment.phase = phase
    deployment.since = at
    deployment.updated_at = at


def _end(
    service: Service,
    deployment: Deployment,
    status: Status,
    at: datetime,
    reason: str | None,
) -> None:
    deployment.counts = service.counts_of(deployment.target)
    _set_status(deployment, status, at)
    deployment.finished_at = at
    deployment.status_reason = reason


def _set_status(deployment: Deployment, status: Status, at: datetime) -> None:
    deployment.status = status
    deployment.updated_at = at


def _add_message(service: Service, message: str, at: datetime) -> None:
    """Put a message in front of the service's `events`, which hold the newest hundred."""
    service.messages.insert(0, {"id": str(uuid.uuid4()), "createdAt": at, "message": message})
    del service.messages[MESSAGES_KEPT:]


def _watched_alarms(configuration: Settings) -> tuple[str, ...]:
    alarms = configuration.get("alarms", {})
    if not alarms.get("enable"):
        return ()
    return tuple(alarms.get("alarmNames", ()))


def _random_id() -> str:
    alphabet = string.ascii_letters + string.digits + "-_"
    return "".join(secrets.choice(alphabet) for _ in range(21))
