"""Task sets: how the tasks of a service come and go where CodeDeploy deploys it.

What CodeDeploy asks of ECS are CreateTaskSet, UpdateServicePrimaryTaskSet and DeleteTaskSet; these
are its effects. The digests that a set runs are taken to be resolved once, when it is created, as
those of a service deployment are: no source says so.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from localcloud.ecs.images import container_images
from localcloud.ecs.model import Revision, Service, Task, TaskSet, new_revision_number
from localcloud.shapes import ApiObject, Settings

# What a task set says for itself, and the service takes over once the set is primary ("Any
# parameters that are updated on the primary task set in a service will transition to the service",
# botocore's documentation of UpdateServicePrimaryTaskSet).
SHARED_SETTINGS = (
    "loadBalancers",
    "networkConfiguration",
    "platformVersion",
    "capacityProviderStrategy",
)
INHERITED_SETTINGS = (*SHARED_SETTINGS, "launchType", "serviceRegistries")


@dataclass(frozen=True, slots=True)
class TaskSetRequest:
    """What CreateTaskSet is asked for.

    `definition` and `containers` are the ARN and the container definitions of the task definition.
    """

    definition: str
    containers: list[ApiObject]
    settings: Settings = field(default_factory=dict)
    external_id: str | None = None


def create(service: Service, request: TaskSetRequest, now: datetime) -> TaskSet:
    """Make a set for all of the service's tasks, none of which runs yet.

    What the request does not say is the service's.
    """
    settings = _settings(service, request)
    number = new_revision_number()
    revision = Revision(
        number=number,
        arn=service.related_arn("task-set", f"ecs-svc/{number}"),
        task_definition=request.definition,
        images=container_images(request.containers, service.desired),
        settings=settings,
        created_at=now,
    )
    made = TaskSet(
        revision=revision,
        arn=revision.arn,
        settings=settings,
        external_id=request.external_id,
        created_at=now,
        updated_at=now,
        stable_since=now,
    )
    service.task_sets.append(made)
    service.pending[revision] = service.desired
    return made


def _settings(service: Service, request: TaskSetRequest) -> ApiObject:
    settings = _selected(service.settings, INHERITED_SETTINGS)
    settings.update(request.settings)
    if settings.get("capacityProviderStrategy"):
        settings.pop("launchType", None)
    return settings


def _selected(settings: Settings, names: tuple[str, ...]) -> ApiObject:
    return {name: settings[name] for name in names if name in settings}


def run(service: Service, task_set: TaskSet, now: datetime) -> None:
    """All its tasks run, as many as the service wants."""
    prefix, _, cluster_and_service = service.arn.partition(":service/")
    cluster = cluster_and_service.partition("/")[0]

    del task_set.tasks[service.desired :]
    while len(task_set.tasks) < service.desired:
        task_id = secrets.token_hex(16)
        task_set.tasks.append(Task(f"{prefix}:task/{cluster}/{task_id}", now))

    service.pending.pop(task_set.revision, None)
    service.running[task_set.revision] = service.desired
    task_set.stable = True
    task_set.stable_since = now
    task_set.updated_at = now


def shift(
    service: Service,
    to: TaskSet,
    weight: float,
    now: datetime,
) -> None:
    """Give a set that part of production traffic. The primary set keeps the rest."""
    for one in service.task_sets:
        one.weight = 0.0

    primary = service.primary_task_set
    if primary is to:
        to.weight = 1.0
    else:
        to.weight = weight
        if primary is not None:
            primary.weight = 1 - weight
    to.updated_at = now


def make_primary(service: Service, task_set: TaskSet, now: datetime) -> None:
    """Give a set all production traffic. The service shows its definition and settings from now."""
    for one in service.task_sets:
        if one.status == "PRIMARY":
            one.status = "ACTIVE"
            one.updated_at = now

    task_set.status = "PRIMARY"
    shift(
        service,
        task_set,
        1.0,
        now,
    )
    service.task_definition = task_set.revision.task_definition
    service.moto.task_definition = task_set.revision.task_definition
    service.settings.update(_selected(task_set.settings, SHARED_SETTINGS))


def drain(task_set: TaskSet, now: datetime) -> None:
    """Begin to stop its tasks."""
    task_set.status = "DRAINING"
    task_set.updated_at = now


def remove(service: Service, task_set: TaskSet) -> None:
    """Forget the set and its tasks."""
    service.task_sets.remove(task_set)
    service.running.pop(task_set.revision, None)
    service.pending.pop(task_set.revision, None)


def scale(service: Service, now: datetime) -> None:
    """Scale each set to 100 percent of what the service wants.

    Those whose tasks run are given no time for it.
    """
    for one in service.task_sets:
        if one.stable:
            run(service, one, now)
        else:
            service.pending[one.revision] = service.desired
