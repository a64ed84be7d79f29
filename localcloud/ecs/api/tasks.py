"""The operations on task sets and their tasks."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from moto.core.responses import ActionResult
from moto.ecs.models import Task as MotoTask
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers
from localcloud.ecs.model import Service, Task, TaskSet
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import at_most, cluster_of, missing, name_in, page, parameters
from localcloud.errors import NotModelled
from localcloud.shapes import ApiObject, Settings

DESCRIBED_AT_ONCE = 100
LIST_PARAMETERS = frozenset(
    {"cluster", "serviceName", "startedBy", "desiredStatus", "nextToken", "maxResults"}
)

list_tasks_by_moto = EC2ContainerServiceResponse.list_tasks
describe_task_sets_by_moto = EC2ContainerServiceResponse.describe_task_sets


class TaskOfSet(NamedTuple):
    """A task of a task set, with the service that it is of."""

    service: Service
    task_set: TaskSet
    task: Task

    @property
    def task_id(self) -> str:
        """The last part of its ARN."""
        return name_in(self.task.arn)

    def is_in(self, cluster: str) -> bool:
        """Tell whether it runs in a cluster, given by its name or its ARN."""
        return name_in(self.service.cluster_arn) == name_in(cluster)


class TaskOperations:
    """Task sets that CodeDeploy's deployments have made, and their tasks. Others are moto's."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def list_tasks(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """List the tasks of task sets, where CodeDeploy deploys. 100 a page unless told.

        Services that ECS deploys have counts of tasks here, no tasks; an empty list would pretend
        otherwise.
        """
        asked = parameters(request)
        started_by = str(asked.get("startedBy", ""))
        if asked.get("serviceName"):
            services = [self._code_deployed_service(request, asked)]
        elif started_by.startswith("ecs-svc/"):
            services = self._ecs.services()
        else:
            return list_tasks_by_moto(request)

        for name in set(asked) - LIST_PARAMETERS:
            raise NotModelled(f"ecs ListTasks: {name} beside serviceName or startedBy")
        arns = [one.task.arn for one in _tasks(services) if _is_listed(one, asked)]
        shown, token = page(arns, asked)
        return ActionResult({"taskArns": shown, "nextToken": token})

    def describe_tasks(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show at most 100: tasks of task sets as long as they run, and moto's.

        Those that are gone are failures.
        """
        asked = parameters(request)
        cluster = cluster_of(asked)
        known = self._tasks_by_id(cluster)
        shown: list[Any] = []
        others: list[str] = []
        names_by_id = {name_in(name): name for name in at_most(DESCRIBED_AT_ONCE, asked, "tasks")}
        for task_id, name in names_by_id.items():
            one = known.get(task_id)
            if one is None:
                others.append(name)
            else:
                shown.append(answers.task(one.service, one.task, one.task_set))

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

    def _code_deployed_service(
        self, request: EC2ContainerServiceResponse, asked: ApiObject
    ) -> Service:
        service = self._ecs.service(request.ecs_backend, cluster_of(asked), asked["serviceName"])
        if not service.is_code_deployed:
            raise NotModelled("ecs ListTasks: serviceName of a service that ECS deploys")
        return service

    def _tasks_by_id(self, cluster: str) -> dict[str, TaskOfSet]:
        tasks = _tasks(self._ecs.services())
        return {one.task_id: one for one in tasks if one.is_in(cluster)}


def _tasks(services: Iterable[Service]) -> Iterator[TaskOfSet]:
    for service in services:
        for task_set in service.task_sets:
            for task in task_set.tasks:
                yield TaskOfSet(service, task_set, task)


def _is_listed(one: TaskOfSet, asked: Settings) -> bool:
    """Tell whether ListTasks asks for it."""
    task_set_id = one.task_set.task_set_id
    wanted_status = asked.get("desiredStatus", "RUNNING")
    return (
        one.is_in(cluster_of(asked))
        and asked.get("startedBy", task_set_id) == task_set_id
        and answers.desired_status(one.task_set) == wanted_status
    )
