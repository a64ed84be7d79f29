"""The tasks of services that ECS itself deploys: each with its beginning, its end, and why it ended.

The counts of the scheduler are what is; tasks are started and stopped to fit them. Stop codes are
botocore's TaskStopCode (ecs 2014-11-13), the reasons those of the developer guide's
stopped-task-errors.html; the one for a deployment is also that of a changed desired count.
"""

import secrets
from datetime import datetime, timedelta

from localcloud.ecs.model import Revision, Service, ServiceTask, Stop

KEPT = timedelta(hours=1)  # DescribeTasks shows stopped tasks "for at least one hour"

STARTED_BEFORE = timedelta(
    seconds=20
)  # this cloud's pace: tasks that run were asked for so long ago

EXITED = Stop("EssentialContainerExited", "Essential container in task exited")
NO_IMAGE = Stop("TaskFailedToStart", "CannotPullContainerError: failed to resolve ref: not found")
UNHEALTHY = Stop("ServiceSchedulerInitiated", "Task failed ELB health checks")
SPOT = Stop("SpotInterruption", "Your Spot Task was interrupted.")


def fit(service: Service, at: datetime) -> None:
    """Start and stop tasks, so that of each revision as many run as are counted."""
    if service.is_code_deployed:
        return
    for revision in {*service.running, *(task.revision for task in running(service))}:
        wanted = service.running.get(revision, 0)
        there = [task for task in running(service) if task.revision is revision]
        for task in there[wanted:]:
            task.end(_scaling(service), at)
        for _ in range(wanted - len(there)):
            _start(service, revision, at)
    _forget(service, at)


def running(service: Service) -> list[ServiceTask]:
    """The tasks that run, oldest first."""
    return [task for task in service.tasks if task.stop is None]


def fail(
    service: Service,
    revision: Revision,
    stop: Stop,
    at: datetime,
) -> None:
    """Let as many tasks of a revision as the service wants have failed; those that run are the first."""
    there = [task for task in running(service) if task.revision is revision]
    for _ in range(service.desired - len(there)):
        there.append(_start(service, revision, at))
    for task in there:
        task.end(stop, at)


def take_away(
    service: Service,
    count: int,
    stop: Stop,
    at: datetime,
) -> None:
    """Take so many running tasks away, the oldest first. What replaces them is not there to be had."""
    fit(service, at)
    for task in running(service)[:count]:
        task.end(stop, at)
        service.running[task.revision] -= 1


def _start(service: Service, revision: Revision, at: datetime) -> ServiceTask:
    prefix, _, cluster_and_service = service.arn.partition(":service/")
    cluster = cluster_and_service.partition("/")[0]
    task = ServiceTask(
        arn=f"{prefix}:task/{cluster}/{secrets.token_hex(16)}",
        revision=revision,
        created_at=max(at - STARTED_BEFORE, revision.created_at),
        started_at=at,
    )
    service.tasks.append(task)
    return task


def _scaling(service: Service) -> Stop:
    number = service.primary.deployment_id if service.primary else ""
    words = f"Scaling activity initiated by (deployment {number})"
    return Stop("ServiceSchedulerInitiated", words)


def _forget(service: Service, at: datetime) -> None:
    kept = [
        task for task in service.tasks if task.stopped_at is None or task.stopped_at > at - KEPT
    ]
    service.tasks[:] = kept
