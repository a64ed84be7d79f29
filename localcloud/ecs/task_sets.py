"""Task sets: how the tasks of a service come and go where CodeDeploy deploys it.

What CodeDeploy asks of ECS are CreateTaskSet, UpdateServicePrimaryTaskSet and DeleteTaskSet; these are its effects. The digests
that a set runs are taken to be resolved once, when it is created, as those of a service deployment are: no source says so.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from localcloud.ecs.images import container_images
from localcloud.ecs.model import Revision, Service, Task, TaskSet

# what a task set says for itself, and the service takes over once the set is primary ("Any parameters that are updated on the
# primary task set in a service will transition to the service", botocore's documentation of UpdateServicePrimaryTaskSet)
SETTINGS = ("loadBalancers", "networkConfiguration", "platformVersion", "capacityProviderStrategy")


def create(
    service: Service,
    definition: str,
    containers: Iterable[Mapping[str, Any]],
    now: datetime,
    *,
    settings: Mapping[str, Any] | None = None,
    external_id: str | None = None,
) -> TaskSet:
    """A set for all of the service's tasks, none of which runs yet; what it does not say is the service's."""
    number = str(10**18 + secrets.randbelow(9 * 10**18))
    prefix, _, path = service.arn.partition(":service/")
    said = {
        key: service.settings[key] for key in (*SETTINGS, "launchType", "serviceRegistries") if key in service.settings
    }
    said |= settings or {}
    if said.get("capacityProviderStrategy"):
        said.pop("launchType", None)
    revision = Revision(
        number=number,
        arn=f"{prefix}:task-set/{path}/ecs-svc/{number}",
        task_definition=definition,
        images=container_images(containers, service.desired),
        settings=said,
        created_at=now,
    )
    made = TaskSet(revision, revision.arn, said, external_id, created_at=now, updated_at=now, stable_since=now)
    service.task_sets.append(made)
    service.pending[revision] = service.desired
    return made


def run(service: Service, task_set: TaskSet, now: datetime) -> None:
    """All its tasks run, as many as the service wants."""
    prefix, _, path = service.arn.partition(":service/")
    cluster = path.partition("/")[0]
    missing = service.desired - len(task_set.tasks)
    started = [Task(f"{prefix}:task/{cluster}/{secrets.token_hex(16)}", now) for _ in range(missing)]
    task_set.tasks = task_set.tasks[: service.desired] + started
    service.pending.pop(task_set.revision, None)
    service.running[task_set.revision] = service.desired
    task_set.stable, task_set.stable_since, task_set.updated_at = True, now, now


def shift(service: Service, to: TaskSet, weight: float, now: datetime) -> None:
    """Give it that part of production traffic; the primary set keeps the rest."""
    for one in service.task_sets:
        one.weight = 0.0
    if (primary := service.primary_task_set) is not None:
        primary.weight = 1 - weight
    to.weight = weight if primary is not to else 1.0
    to.updated_at = now


def make_primary(service: Service, task_set: TaskSet, now: datetime) -> None:
    """All production traffic is its; the service shows its definition and settings from now on."""
    for one in service.task_sets:
        if one.status == "PRIMARY":
            one.status, one.updated_at = "ACTIVE", now
    task_set.status = "PRIMARY"
    shift(service, task_set, 1.0, now)
    service.task_definition = service.moto.task_definition = task_set.revision.task_definition
    service.settings |= {key: task_set.settings[key] for key in SETTINGS if key in task_set.settings}


def drain(task_set: TaskSet, now: datetime) -> None:
    """Its tasks are being stopped."""
    task_set.status, task_set.updated_at = "DRAINING", now


def remove(service: Service, task_set: TaskSet) -> None:
    """Its tasks are gone, and so is the set."""
    service.task_sets.remove(task_set)
    service.running.pop(task_set.revision, None)
    service.pending.pop(task_set.revision, None)


def scale(service: Service, now: datetime) -> None:
    """Each set is scaled to 100 percent of what the service wants; those whose tasks run are given no time for it."""
    for one in service.task_sets:
        if one.stable:
            run(service, one, now)
        else:
            service.pending[one.revision] = service.desired
