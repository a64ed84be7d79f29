"""The operations on tasks of services, and on task sets."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from moto.core.responses import ActionResult
from moto.ecs.models import Task as MotoTask
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers, service_tasks
from localcloud.ecs.model import Service, ServiceTask, Task, TaskSet
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import at_most, cluster_of, missing, name_in, page, parameters
from localcloud.errors import NotModelled
from localcloud.shapes import ApiObject, Settings

DESCRIBED_AT_ONCE = 100
LIST_PARAMETERS = frozenset(
    {
        "cluster",
        "serviceName",
        "family",
        "startedBy",
        "desiredStatus",
        "nextToken",
        "maxResults",
    }
)

describe_task_sets_by_moto = EC2ContainerServiceResponse.describe_task_sets


class KnownTask(NamedTuple):
    """A task of a service, with its task set where CodeDeploy deploys."""

    service: Service
    task: Task | ServiceTask
    task_set: TaskSet | None = None

    @property
    def task_id(self) -> str:
        """The last part of its ARN."""
        return name_in(self.task.arn)

    @property
    def shown(self) -> ApiObject:
        """As DescribeTasks shows it."""
        if isinstance(self.task, ServiceTask):
            return answers.service_task(self.service, self.task)
        if self.task_set is None:
            raise AssertionError("a task of no service of ECS's is of a task set")
        return answers.task(self.service, self.task, self.task_set)

    def is_in(self, cluster: str) -> bool:
        """Tell whether it runs in a cluster, given by its name or its ARN."""
        return name_in(self.service.cluster_arn) == name_in(cluster)


class TaskOperations:
    """Tasks of services, and the task sets that CodeDeploy's deployments have made. Others are moto's."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def list_tasks(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """List the tasks of services by service, family, starter and status. 100 a page unless told.

        Those that nobody started for a service are moto's, and listed where no service is asked for.
        """
        asked = parameters(request)
        for name in set(asked) - LIST_PARAMETERS:
            raise NotModelled(f"ecs ListTasks: {name}")
        services = self._ecs.services()
        if asked.get("serviceName"):
            named = asked["serviceName"]
            services = [self._ecs.service(request.ecs_backend, cluster_of(asked), named)]
        arns = [one.task.arn for one in self._known(services) if _is_listed(one, asked)]
        started_by = str(asked.get("startedBy", ""))
        if not asked.get("serviceName") and not started_by.startswith("ecs-svc/"):
            others = request.ecs_backend.list_tasks(
                cluster_of(asked),
                None,
                asked.get("family"),
                asked.get("startedBy"),
                None,
                asked.get("desiredStatus"),
            )
            arns += [one.task_arn for one in others]
        shown, token = page(arns, asked)
        return ActionResult({"taskArns": shown, "nextToken": token})

    def describe_tasks(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show at most 100: tasks of services, those that stopped within the hour included, and moto's.

        Those that are gone are failures.
        """
        asked = parameters(request)
        cluster = cluster_of(asked)
        known = {
            one.task_id: one for one in self._known(self._ecs.services()) if one.is_in(cluster)
        }
        shown: list[Any] = []
        others: list[str] = []
        names_by_id = {name_in(name): name for name in at_most(DESCRIBED_AT_ONCE, asked, "tasks")}
        for task_id, name in names_by_id.items():
            one = known.get(task_id)
            if one is None:
                others.append(name)
            else:
                shown.append(one.shown)

        by_moto: list[MotoTask] = []
        if others:
            by_moto = request.ecs_backend.describe_tasks(cluster, others)
        ids_of_moto = {name_in(one.task_arn) for one in by_moto}
        gone = [name for name in others if name_in(name) not in ids_of_moto]
        return ActionResult({"tasks": shown + by_moto, "failures": missing(gone, ())})

    def describe_task_sets(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show all of a service unless some are named. Those that are not there are failures."""
        asked = parameters(request)
        service = self._ecs.asked_service(request.ecs_backend, asked)
        if not service.is_code_deployed:
            return describe_task_sets_by_moto(request)

        known: dict[str, TaskSet] = {}
        for one in service.task_sets:
            known[one.arn] = one
            known[one.task_set_id] = one

        names = asked.get("taskSets") or [one.arn for one in service.task_sets]
        shown = [answers.task_set(service, known[name]) for name in names if name in known]
        return ActionResult({"taskSets": shown, "failures": missing(names, known)})

    def _known(self, services: Iterable[Service]) -> Iterator["KnownTask"]:
        for service in services:
            service_tasks.fit(service, self._ecs.now())
            for task_set in service.task_sets:
                for task in task_set.tasks:
                    yield KnownTask(service, task, task_set)
            for own in service.tasks:
                yield KnownTask(service, own)


def _is_listed(one: KnownTask, asked: Settings) -> bool:
    """Tell whether ListTasks asks for it."""
    shown = one.shown
    family = name_in(shown["taskDefinitionArn"]).partition(":")[0]
    return (
        one.is_in(cluster_of(asked))
        and asked.get("startedBy", shown["startedBy"]) == shown["startedBy"]
        and asked.get("family", family) == family
        and asked.get("desiredStatus", "RUNNING") == shown["desiredStatus"]
    )
