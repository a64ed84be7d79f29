"""How deployments go on as time passes: tasks start or do not, traffic moves, a deployment completes, fails or rolls back.

The pace is this cloud's own: about a minute for a healthy deployment. The states, their order and their causes are AWS's
(service-deployment.html, deployment-circuit-breaker.html, deployment-alarm-failure.html, stop-service-deployment.html). The
reasons are AWS's where a source shows them: the circuit breaker's, "active alarms", "No rollback candidate"; the others are this cloud's.
"""

import math
import secrets
import string
import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from localcloud.ecs.events import deployment_state_change, service_action
from localcloud.ecs.images import can_be_pulled, container_images
from localcloud.ecs.model import DEPLOYING, Deployment, Revision, Rollback, Service, Stage, Status, shifts

TICK = timedelta(seconds=5)
PENDING_FOR = timedelta(seconds=1)
LAUNCH = timedelta(seconds=20)
REPLACE = timedelta(seconds=20)
SETTLE = timedelta(seconds=20)
RETURN = timedelta(seconds=20)
IMPAIRED_AFTER = 3  # failed tasks; AWS publishes neither the number nor the interval
IMPAIRED_EVERY = timedelta(minutes=5)
NO_CANDIDATE = "No rollback candidate was found to run the rollback."


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether the tasks of a revision reach RUNNING, and then pass their health checks."""

    starts: bool = True
    healthy: bool = True


@dataclass
class Scheduler:
    """Moves all services on. `fitness` and `alarms_in_alarm` ask the rest of the cloud; events wait for their tick.

    `code_deploy` does what has fallen due for a service that CodeDeploy deploys.
    """

    fitness: Callable[[Revision], Fitness]
    alarms_in_alarm: Callable[[Iterable[str]], tuple[str, ...]]
    emit: Callable[[dict[str, Any]], None]
    code_deploy: Callable[[Service, datetime], None] = lambda _service, _now: None
    services: dict[str, Service] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _outbox: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def tick(self, moment: datetime) -> None:
        """Do what has fallen due, then send the events of this tick; those of a time that was jumped over are not sent."""
        with self.lock:
            for service in self.services.values():
                self.progress(service, moment)
                self._watch_alarms(service, moment)
            ready = [event for at, event in self._outbox if moment - TICK < at <= moment]
            self._outbox = [(at, event) for at, event in self._outbox if at > moment]
        for event in ready:
            self.emit(event)

    def progress(self, service: Service, now: datetime) -> None:
        """Do what has fallen due for one service, at the moments when it did."""
        while (deployment := service.newest) is not None and (due := _due(deployment)) is not None and due <= now:
            self._step(service, deployment, due)
        if service.controller == "CODE_DEPLOY":
            self.code_deploy(service, now)

    def deploy(self, service: Service, containers: list[dict[str, Any]], now: datetime) -> Deployment:
        """Start a deployment of what the service's settings say now; one that is under way is stopped by it."""
        if (under_way := service.newest) is not None and not under_way.finished:
            self._supersede(under_way, now)
        # two revisions of one service never share a number
        number = str(10**18 + secrets.randbelow(9 * 10**18))
        prefix, _, path = service.arn.partition(":service/")
        revision = Revision(
            number=number,
            arn=f"{prefix}:service-revision/{path}/{number}",
            task_definition=service.task_definition,
            images=container_images(containers, service.desired),
            settings={
                key: value
                for key in (*DEPLOYING, "launchType", "capacityProviderStrategy")
                if (value := service.settings.get(key)) is not None
            },
            created_at=now,
        )
        configuration = dict(service.settings["deploymentConfiguration"])
        deployment = Deployment(
            arn=f"{prefix}:service-deployment/{path}/{_random_id()}",
            target=revision,
            sources={r: count for r, count in service.running.items() if count},
            configuration=configuration,
            created_at=now,
            updated_at=now,
            since=now,
            ignores_alarms=bool(self.alarms_in_alarm(_watched_alarms(configuration))),
        )
        service.revisions[revision.arn] = revision
        service.deployments.append(deployment)
        service.primary = revision
        return deployment

    def request_rollback(self, service: Service, deployment: Deployment, now: datetime) -> None:
        """StopServiceDeployment of a deployment that is pending or in progress."""
        deployment.status_reason = "Service deployment rolled back because of a user request."
        self._set(deployment, Status.ROLLBACK_REQUESTED, now)
        deployment.since = now
        if service.last_completed(deployment) is None:
            self._end(service, deployment, Status.ROLLBACK_FAILED, now, NO_CANDIDATE)

    def scale(self, service: Service, desired: int) -> None:
        """Change the number of tasks; the scaling of a service is given no time of its own."""
        service.desired = desired
        deployment = service.newest
        if service.primary is None or (deployment is not None and not deployment.finished):
            return
        largest = max(service.running, key=lambda revision: service.running[revision], default=service.primary)
        service.running = {largest: desired}

    def _supersede(self, deployment: Deployment, now: datetime) -> None:
        """A rollback that is replaced counts as failed: its documented ends are success and failure, and it did not succeed."""
        if deployment.status in {Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS}:
            self._set(deployment, Status.ROLLBACK_FAILED, now)
            deployment.finished_at = now
            return
        self._set(deployment, Status.STOP_REQUESTED, now)

    def _step(self, service: Service, deployment: Deployment, at: datetime) -> None:
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

    def _begin(self, service: Service, deployment: Deployment, at: datetime) -> None:
        for earlier in service.deployments[:-1]:
            if earlier.status is Status.STOP_REQUESTED:
                earlier.stopped_at = at
                self._end(
                    service, earlier, Status.STOPPED, at, "Service deployment stopped due to a new service deployment."
                )
                if not any(earlier.target is source for source in deployment.sources):
                    service.running.pop(earlier.target, None)
                service.pending.pop(earlier.target, None)
        self._set(deployment, Status.IN_PROGRESS, at)
        deployment.started_at = deployment.since = at
        service.pending[deployment.target] = service.desired
        reason = f"ECS deployment {deployment.target.deployment_id} in progress."
        self._announce(service, "SERVICE_DEPLOYMENT_IN_PROGRESS", deployment.target, reason, at)

    def _go_on(self, service: Service, deployment: Deployment, at: datetime) -> None:
        target, desired = deployment.target, service.desired
        match deployment.stage:
            case Stage.LAUNCHING:
                fitness = self.can_run(target) if desired else Fitness()
                if not (fitness.starts and fitness.healthy):
                    self._fail_tasks(service, deployment, fitness, at)
                    return
                deployment.stage = Stage.REPLACING
                first = desired if deployment.strategy != "ROLLING" else math.ceil(desired / 2)
                service.running[target], service.pending[target] = first, desired - first
                if deployment.strategy == "ROLLING":
                    _shrink_others(service, target, desired - first)
            case Stage.REPLACING:
                deployment.stage = Stage.SETTLING
                service.running[target], service.pending[target] = desired, 0
                if deployment.strategy == "ROLLING":
                    _shrink_others(service, target, 0)
            case Stage.SETTLING:
                deployment.stage, deployment.step = Stage.SHIFTING, 0
            case Stage.SHIFTING if deployment.step + 1 < len(shifts(deployment.configuration)):
                deployment.step += 1
            case _:
                self._complete(service, deployment, at)
                return
        deployment.since = deployment.updated_at = at

    def _fail_tasks(self, service: Service, deployment: Deployment, fitness: Fitness, at: datetime) -> None:
        """Every task of one attempt fails; ECS tries again until the circuit breaker, if there is one, has had enough."""
        target = deployment.target
        deployment.failed_tasks += service.desired
        deployment.since = deployment.updated_at = at
        service.running[target], service.pending[target] = (
            (service.desired, 0) if fitness.starts else (0, service.desired)
        )
        breaker = deployment.configuration.get("deploymentCircuitBreaker", {})
        impaired = deployment.failed_tasks >= IMPAIRED_AFTER
        if impaired and (deployment.last_impaired is None or at - deployment.last_impaired >= IMPAIRED_EVERY):
            deployment.last_impaired = at
            self.post(service_action(service, "SERVICE_TASK_START_IMPAIRED", "WARN", at), at)
            self._say(service, f"(service {service.name}) is unable to consistently start tasks successfully.", at)
        if breaker.get("enable") and deployment.failed_tasks >= breaker_threshold(service.desired):
            deployment.breaker_triggered = True
            rollback = bool(breaker.get("rollback"))
            because = "the circuit breaker threshold was exceeded"
            reason = "ECS deployment circuit breaker: task failed to start."
            self._fail(service, deployment, at, rollback=rollback, because=because, reason=reason)

    def _watch_alarms(self, service: Service, at: datetime) -> None:
        """Deployment alarms: those in ALARM when the deployment began are ignored, with all others, for the whole of it."""
        deployment = service.newest
        if deployment is None or deployment.status is not Status.IN_PROGRESS or deployment.ignores_alarms:
            return
        red = self.alarms_in_alarm(_watched_alarms(deployment.configuration))
        if red:
            deployment.triggered_alarms = red
            rollback = bool(deployment.configuration["alarms"].get("rollback"))
            because = "of one or more active alarms"
            reason = "ECS deployment failed: alarm detected."
            self._fail(service, deployment, at, rollback=rollback, because=because, reason=reason)

    def _fail(
        self, service: Service, deployment: Deployment, at: datetime, *, rollback: bool, because: str, reason: str
    ) -> None:
        target = deployment.target
        service.pending.pop(target, None)
        self._announce(service, "SERVICE_DEPLOYMENT_FAILED", target, reason, at)
        if not rollback:
            deployment.stopped_at = at
            self._end(service, deployment, Status.STOPPED, at, f"Service deployment stopped because {because}.")
        elif service.last_completed(deployment) is None:
            self._end(service, deployment, Status.ROLLBACK_FAILED, at, NO_CANDIDATE)
        else:
            deployment.status_reason = f"Service deployment rolled back because {because}."
            self._begin_rollback(service, deployment, at)

    def _begin_rollback(self, service: Service, deployment: Deployment, at: datetime) -> None:
        candidate = service.last_completed(deployment)
        if candidate is None:
            self._end(service, deployment, Status.ROLLBACK_FAILED, at, NO_CANDIDATE)
            return
        deployment.rollback = Rollback(str(deployment.status_reason), at, candidate)
        self._set(deployment, Status.ROLLBACK_IN_PROGRESS, at)
        deployment.stage, deployment.since = Stage.RETURNING, at
        service.primary = candidate
        service.task_definition = candidate.task_definition
        kept = {key: value for key, value in service.settings.items() if key not in DEPLOYING}
        service.settings = kept | dict(candidate.settings)
        missing = service.desired - service.running.get(candidate, 0)
        service.pending = {candidate: missing} if missing > 0 else {}
        mechanism = "alarm" if deployment.triggered_alarms else "circuit breaker"
        reason = f"ECS deployment {mechanism}: rolling back to deploymentId {candidate.deployment_id}."
        self._announce(service, "SERVICE_DEPLOYMENT_IN_PROGRESS", candidate, reason, at)

    def _go_back(self, service: Service, deployment: Deployment, at: datetime) -> None:
        """Tasks of the rolled back revision give way; a candidate whose tasks no longer start leaves the rollback where it is."""
        if deployment.rollback is None:
            raise AssertionError("a rollback in progress has a revision to go back to")
        candidate = deployment.rollback.revision
        fitness = self.can_run(candidate) if service.desired else Fitness()
        deployment.since = at
        if not (fitness.starts and fitness.healthy):
            deployment.failed_tasks += service.desired
            return
        service.running, service.pending = {candidate: service.desired}, {}
        if deployment.stage is Stage.RETURNING:
            deployment.stage = Stage.RETURNED
            return
        self._end(service, deployment, Status.ROLLBACK_SUCCESSFUL, at, deployment.status_reason)
        self._announce_completed(service, candidate, at)

    def _complete(self, service: Service, deployment: Deployment, at: datetime) -> None:
        service.running, service.pending = {deployment.target: service.desired}, {}
        self._end(service, deployment, Status.SUCCESSFUL, at, None)
        self._announce_completed(service, deployment.target, at)

    def _announce_completed(self, service: Service, revision: Revision, at: datetime) -> None:
        reason = f"ECS deployment {revision.deployment_id} completed."
        self._announce(service, "SERVICE_DEPLOYMENT_COMPLETED", revision, reason, at)
        self._say(service, f"(service {service.name}) (deployment {revision.deployment_id}) deployment completed.", at)
        self.post(service_action(service, "SERVICE_STEADY_STATE", "INFO", at), at)
        self._say(service, f"(service {service.name}) has reached a steady state.", at)

    def can_run(self, revision: Revision) -> Fitness:
        """Of its tasks, the pulling of their images included."""
        if not all(can_be_pulled(image) for image in revision.images):
            return Fitness(starts=False)
        return self.fitness(revision)

    def _end(self, service: Service, deployment: Deployment, status: Status, at: datetime, reason: str | None) -> None:
        target = deployment.target
        deployment.counts = (service.desired, service.running.get(target, 0), service.pending.get(target, 0))
        self._set(deployment, status, at)
        deployment.finished_at, deployment.status_reason = at, reason

    def _set(self, deployment: Deployment, status: Status, at: datetime) -> None:
        deployment.status, deployment.updated_at = status, at

    def _announce(self, service: Service, name: str, revision: Revision, reason: str, at: datetime) -> None:
        self.post(deployment_state_change(service, name, revision, reason, at), at)

    def post(self, event: dict[str, Any], at: datetime) -> None:
        """Have it sent at the tick of its moment."""
        self._outbox.append((at, event))

    def _say(self, service: Service, message: str, at: datetime) -> None:
        service.messages.insert(0, {"id": str(uuid.uuid4()), "createdAt": at, "message": message})
        del service.messages[100:]


def breaker_threshold(desired: int) -> int:
    """Failed tasks that trip the circuit breaker: half the desired count, at least 3 and at most 200."""
    return min(max(math.ceil(desired / 2), 3), 200)


def _due(deployment: Deployment) -> datetime | None:
    match deployment.status, deployment.stage:
        case ((Status.PENDING | Status.ROLLBACK_REQUESTED), _):
            return deployment.since + PENDING_FOR
        case Status.IN_PROGRESS, Stage.LAUNCHING:
            return deployment.since + LAUNCH
        case Status.IN_PROGRESS, Stage.REPLACING:
            return deployment.since + REPLACE
        case Status.IN_PROGRESS, Stage.SETTLING:
            return deployment.since + SETTLE
        case Status.IN_PROGRESS, Stage.SHIFTING:
            return deployment.since + timedelta(minutes=shifts(deployment.configuration)[deployment.step][1])
        case Status.ROLLBACK_IN_PROGRESS, _:
            return deployment.since + RETURN
    return None


def _shrink_others(service: Service, target: Revision, to: int) -> None:
    """Old tasks stop as new ones run, so that the desired count is kept."""
    for revision in [revision for revision in service.running if revision is not target]:
        service.running[revision] = min(service.running[revision], to)
        to -= service.running[revision]
        if not service.running[revision]:
            del service.running[revision]


def _watched_alarms(configuration: dict[str, Any]) -> tuple[str, ...]:
    alarms = configuration.get("alarms", {})
    return tuple(alarms.get("alarmNames", ())) if alarms.get("enable") else ()


def _random_id() -> str:
    alphabet = string.ascii_letters + string.digits + "-_"
    return "".join(secrets.choice(alphabet) for _ in range(21))
