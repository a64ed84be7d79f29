"""The operations of ECS that moto lacks, or answers differently from AWS, put in the place of moto's."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers, task_sets
from localcloud.ecs.model import DEPLOYING, Deployment, Service, Status, Task, TaskSet
from localcloud.ecs.scheduler import Scheduler
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

SETTINGS = (
    *DEPLOYING,
    "deploymentConfiguration",
    "launchType",
    "capacityProviderStrategy",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
    "placementConstraints",
    "placementStrategy",
)
CREATE = {*SETTINGS, "cluster", "serviceName", "taskDefinition", "desiredCount", "role", "deploymentController", "tags"}
UPDATE = {*SETTINGS, "cluster", "service", "taskDefinition", "desiredCount", "forceNewDeployment"} - {
    "launchType",
    "schedulingStrategy",
}
REGISTER = {
    "family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions", "volumes", "placementConstraints",
    "requiresCompatibilities", "cpu", "memory", "tags", "pidMode", "ipcMode", "proxyConfiguration", "inferenceAccelerators",
    "ephemeralStorage", "runtimePlatform",
}  # fmt: skip
CONFIGURATION = {
    "deploymentCircuitBreaker", "maximumPercent", "minimumHealthyPercent", "alarms", "strategy", "bakeTimeInMinutes",
    "linearConfiguration", "canaryConfiguration",
}  # fmt: skip
DEFAULT_CONFIGURATION = {
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
}
# what UpdateService may change where CodeDeploy deploys (botocore's documentation of UpdateService)
CODE_DEPLOY_UPDATE = {
    "cluster", "service", "desiredCount", "deploymentConfiguration", "healthCheckGracePeriodSeconds", "placementConstraints",
    "placementStrategy", "enableECSManagedTags", "propagateTags",
}  # fmt: skip

Operation = Callable[[Any], ActionResult]


class Ecs:
    """Answers for moto's response class; what each method is given is that class's instance of the request."""

    def __init__(self, cloud: "Cloud", scheduler: Scheduler) -> None:
        self._cloud = cloud
        self.scheduler = scheduler
        self.lock = scheduler.lock

    def find(self, cluster: str, service: str) -> Service:
        """A service by the names or ARNs of its cluster and itself, as things stand now; hold `lock` while reading it."""
        with self.lock:
            return self._service(ecs_backends[self._cloud.account][self._cloud.region], cluster, service)

    def start_task_set(
        self, service: Service, reference: str, settings: Mapping[str, Any], external_id: str, now: datetime
    ) -> TaskSet:
        """What CreateTaskSet does for CodeDeploy.

        Raises:
            Refusal: there is no such definition, or it is inactive.
        """
        definition = _usable(ecs_backends[self._cloud.account][self._cloud.region], reference)
        return task_sets.create(
            service, definition.arn, definition.container_definitions, now, settings=settings, external_id=external_id
        )

    def install(self) -> None:
        """Put them in place for as long as the cloud runs."""
        for name in ("create_task_set", "update_task_set", "delete_task_set", "update_service_primary_task_set"):
            by_moto = getattr(EC2ContainerServiceResponse, name)
            self._cloud.replace(EC2ContainerServiceResponse, name, self._locked(self._unless_code_deploy(by_moto)))
        for operation in (
            self.create_service, self.update_service, self.delete_service, self.describe_services,
            self.list_service_deployments, self.describe_service_deployments, self.describe_service_revisions,
            self.stop_service_deployment, self.register_task_definition, self.deregister_task_definition,
            self.describe_task_definition, self.list_task_definitions, self.list_tasks, self.describe_tasks,
            self.describe_task_sets,
        ):  # fmt: skip
            self._cloud.replace(EC2ContainerServiceResponse, operation.__name__, self._locked(operation))
        self._cloud.replace(EC2ContainerServiceBackend, "update_service", _refuse_update_by_cloudformation)

    def _locked(self, operation: Operation) -> Operation:
        """moto dispatches to plain functions of the class only."""

        def answer(response: Any) -> ActionResult:
            with self.lock:
                return operation(response)

        return answer

    def create_service(self, response: Any) -> ActionResult:
        """An ACTIVE service of that name is refused; a new one starts its first deployment."""
        asked = _modelled(response, "CreateService", CREATE)
        backend, cluster, name = response.ecs_backend, asked.get("cluster", "default"), asked["serviceName"]
        if asked.get("schedulingStrategy", "REPLICA") != "REPLICA":
            raise NotModelled("ecs CreateService: schedulingStrategy DAEMON")
        existing = backend.describe_services(cluster, [name])[0]
        if existing and existing[0].status == "ACTIVE":
            raise Refusal("InvalidParameterException", "Creation of service was not idempotent.")
        if "taskDefinition" not in asked:
            raise Refusal("InvalidParameterException", "TaskDefinition can not be blank.")
        definition = _usable(backend, asked["taskDefinition"])
        made = backend.create_service(
            cluster, name, asked.get("desiredCount", 0), definition.arn, asked.get("loadBalancers"), None, asked.get("tags"),
            asked.get("deploymentController"), asked.get("launchType"), role_arn=asked.get("role"),
        )  # fmt: skip
        service = self._adopt(backend, made, {key: asked[key] for key in SETTINGS if key in asked})
        return ActionResult({"service": answers.service(service, tags=True)})

    def update_service(self, response: Any) -> ActionResult:
        """Only a property that deploys and differs, or force, starts a deployment; a new task definition must be ACTIVE."""
        asked = _modelled(response, "UpdateService", UPDATE)
        backend = response.ecs_backend
        service = self._service(backend, asked.get("cluster", "default"), asked["service"])
        if service.status != "ACTIVE":
            raise Refusal("ServiceNotActiveException", "Service was not ACTIVE.")
        _refuse_what_the_controller_owns(service, asked)
        definition = _usable(backend, asked["taskDefinition"]) if "taskDefinition" in asked else None
        changed = {key: asked[key] for key in SETTINGS if key in asked and asked[key] != service.settings.get(key)}
        deploys = bool(asked.get("forceNewDeployment")) or any(key in DEPLOYING for key in changed)
        if "deploymentConfiguration" in changed:
            changed["deploymentConfiguration"] = service.settings["deploymentConfiguration"] | _configuration(asked)
        service.settings.update(changed)
        if definition is not None and definition.arn != service.task_definition:
            service.task_definition = service.moto.task_definition = definition.arn
            deploys = True
        if "desiredCount" in asked:
            self.scheduler.scale(service, asked["desiredCount"])
            service.moto.desired_count = asked["desiredCount"]
            task_sets.scale(service, self._now())
        if deploys:
            self._deploy(backend, service)
        return ActionResult({"service": answers.service(service, tags=False)})

    def delete_service(self, response: Any) -> ActionResult:
        """Its deployments and revisions go with it (service-deployment.html, service-revision.html)."""
        asked = response._get_params()
        backend = response.ecs_backend
        service = self._service(backend, asked.get("cluster", "default"), asked["service"])
        backend.delete_service(asked.get("cluster", "default"), service.name, asked.get("force", False))
        service.status, service.desired = "INACTIVE", 0
        shown = answers.service(service, tags=True)
        service.deployments.clear()
        service.revisions.clear()
        service.task_sets.clear()
        service.running, service.pending, service.primary = {}, {}, None
        return ActionResult({"service": shown})

    def describe_services(self, response: Any) -> ActionResult:
        """At most 10; those that are not there are failures."""
        asked = response._get_params()
        backend = response.ecs_backend
        names = _at_most(asked.get("services", []), 10, "services")
        cluster = asked.get("cluster", "default")
        found, failures = backend.describe_services(cluster, names)
        services = [self._of_moto(backend, one) for one in found]
        tags = "TAGS" in asked.get("include", [])
        for service in services:
            self.scheduler.progress(service, self._now())
        if tags:
            response._include_in_response("DescribeServicesResponse.services.Service.tags")
        return ActionResult({"services": [answers.service(s, tags=tags) for s in services], "failures": failures})

    def list_service_deployments(self, response: Any) -> ActionResult:
        """Newest first; 20 a page unless told, 100 at most.

        None where CodeDeploy deploys: a service deployment is what ECS's own controller makes (service-deployment.html); that
        the list is then empty, and no error, is this cloud's guess.
        """
        asked = response._get_params()
        service = self._service(response.ecs_backend, asked.get("cluster", "default"), asked["service"])
        size = asked.get("maxResults", 20)
        if not 1 <= size <= 100:
            raise Refusal("InvalidParameterException", "maxResults must be between 1 and 100.")
        wanted = [d for d in reversed(service.deployments) if _matches(d, asked)]
        start = _position(wanted, asked.get("nextToken"))
        page = [answers.brief(service, d) for d in wanted[start : start + size]]
        more = start + size < len(wanted)
        return ActionResult({"serviceDeployments": page, "nextToken": wanted[start + size].arn if more else None})

    def describe_service_deployments(self, response: Any) -> ActionResult:
        """At most 20; those that are not there are failures, reason MISSING."""
        arns = _at_most(response._get_params().get("serviceDeploymentArns", []), 20, "serviceDeploymentArns")
        known = {d.arn: (service, d) for service in self._progressed() for d in service.deployments}
        shown = [answers.deployment(*known[arn]) for arn in arns if arn in known]
        return ActionResult({"serviceDeployments": shown, "failures": _missing(arns, known)})

    def describe_service_revisions(self, response: Any) -> ActionResult:
        """At most 20; those that are not there are failures, reason MISSING."""
        arns = _at_most(response._get_params().get("serviceRevisionArns", []), 20, "serviceRevisionArns")
        known = {r.arn: (service, r) for service in self._progressed() for r in service.revisions.values()}
        shown = [answers.revision(*known[arn]) for arn in arns if arn in known]
        return ActionResult({"serviceRevisions": shown, "failures": _missing(arns, known)})

    def stop_service_deployment(self, response: Any) -> ActionResult:
        """Starts a rollback of what is pending or in progress; what is stopping or rolling back goes on; what has ended conflicts.

        Source: stop-service-deployment.html. The texts of the errors are this cloud's own.
        """
        asked = response._get_params()
        arn, stop_type = asked["serviceDeploymentArn"], asked.get("stopType", "ROLLBACK")
        if stop_type != "ROLLBACK":
            raise Refusal(
                "InvalidParameterException", f"The stop type {stop_type} is not valid. The valid value is ROLLBACK."
            )
        known = {d.arn: (service, d) for service in self._progressed() for d in service.deployments}
        if arn not in known:
            raise Refusal("ServiceDeploymentNotFoundException", f"The service deployment {arn} was not found.")
        service, deployment = known[arn]
        if deployment.finished:
            raise Refusal(
                "ConflictException", f"The service deployment is in state {deployment.status} and cannot be stopped."
            )
        if deployment.status in {Status.PENDING, Status.IN_PROGRESS}:
            self.scheduler.request_rollback(service, deployment, self._now())
        return ActionResult({"serviceDeploymentArn": arn})

    def register_task_definition(self, response: Any) -> ActionResult:
        """Moto's, with the times and tags that AWS shows; an empty list of tags is refused ("Tags can not be empty.")."""
        asked = _modelled(response, "RegisterTaskDefinition", REGISTER)
        if asked.get("tags") == []:
            raise Refusal("InvalidParameterException", "Tags can not be empty.")
        made = _moto_register(response)
        made.registered_at = self._now()
        made.registered_by = f"arn:aws:iam::{self._cloud.account}:root"
        return ActionResult({"taskDefinition": made, "tags": made.tags})

    def deregister_task_definition(self, response: Any) -> ActionResult:
        """It becomes INACTIVE; the services that run it go on."""
        made = response.ecs_backend.deregister_task_definition(response._get_params()["taskDefinition"])
        made.deregistered_at = self._now()
        return ActionResult({"taskDefinition": made})

    def describe_task_definition(self, response: Any) -> ActionResult:
        """A bare family is its newest ACTIVE revision."""
        asked = response._get_params()
        definition = _definition(response.ecs_backend, asked["taskDefinition"])
        shown: dict[str, Any] = {"taskDefinition": definition}
        if "TAGS" in asked.get("include", []):
            shown["tags"] = definition.tags
        return ActionResult(shown)

    def list_task_definitions(self, response: Any) -> ActionResult:
        """Sorted by family and revision; 100 a page unless told."""
        asked = response._get_params()
        arns = response.ecs_backend.list_task_definitions(asked.get("familyPrefix"), asked.get("status", "ACTIVE"))
        arns.sort(
            key=lambda arn: (arn.rpartition(":")[0], int(arn.rpartition(":")[2])), reverse=asked.get("sort") == "DESC"
        )
        start, size = int(asked.get("nextToken") or 0), asked.get("maxResults", 100)
        token = str(start + size) if start + size < len(arns) else None
        return ActionResult({"taskDefinitionArns": arns[start : start + size], "nextToken": token})

    def list_tasks(self, response: Any) -> ActionResult:
        """Where CodeDeploy deploys, the tasks of the task sets; 100 a page unless told.

        Services that ECS deploys have counts of tasks here, no tasks; an empty list would pretend otherwise.
        """
        asked = response._get_params()
        backend, cluster = response.ecs_backend, asked.get("cluster", "default")
        if asked.get("serviceName"):
            service = self._service(backend, cluster, asked["serviceName"])
            if service.controller != "CODE_DEPLOY":
                raise NotModelled("ecs ListTasks: serviceName of a service that ECS deploys")
            services = [service]
        elif str(asked.get("startedBy", "")).startswith("ecs-svc/"):
            services = self._progressed()
        else:
            return _moto_list_tasks(response)
        for name in set(asked) - {"cluster", "serviceName", "startedBy", "desiredStatus", "nextToken", "maxResults"}:
            raise NotModelled(f"ecs ListTasks: {name} beside serviceName or startedBy")
        wanted = asked.get("desiredStatus", "RUNNING")
        arns = [
            task.arn
            for service, task_set, task in _tasks(services)
            if asked.get("startedBy", task_set.task_set_id) == task_set.task_set_id
            and wanted == ("STOPPED" if task_set.status == "DRAINING" else "RUNNING")
            and service.cluster_arn.rpartition("/")[2] == cluster.rpartition("/")[2]
        ]
        start, size = int(asked.get("nextToken") or 0), asked.get("maxResults", 100)
        token = str(start + size) if start + size < len(arns) else None
        return ActionResult({"taskArns": arns[start : start + size], "nextToken": token})

    def describe_tasks(self, response: Any) -> ActionResult:
        """At most 100; tasks of task sets as long as they run, other tasks are moto's. Those that are gone are failures."""
        asked = response._get_params()
        cluster = asked.get("cluster", "default").rpartition("/")[2]
        wanted = {name.rpartition("/")[2]: name for name in _at_most(asked.get("tasks", []), 100, "tasks")}
        found = {
            task.arn.rpartition("/")[2]: answers.task(service, task, task_set)
            for service, task_set, task in _tasks(self._progressed())
            if service.cluster_arn.rpartition("/")[2] == cluster
        }
        others = [name for number, name in wanted.items() if number not in found]
        by_moto = response.ecs_backend.describe_tasks(asked.get("cluster", "default"), others) if others else []
        known = {task.task_arn.rpartition("/")[2] for task in by_moto} | set(found)
        return ActionResult(
            {
                "tasks": [found[number] for number in wanted if number in found] + by_moto,
                "failures": _missing([name for number, name in wanted.items() if number not in known], {}),
            }
        )

    def describe_task_sets(self, response: Any) -> ActionResult:
        """All of a service unless some are named; those that are not there are failures."""
        asked = response._get_params()
        service = self._service(response.ecs_backend, asked.get("cluster", "default"), asked["service"])
        if service.controller != "CODE_DEPLOY":
            return _moto_describe_task_sets(response)
        names = asked.get("taskSets") or [one.arn for one in service.task_sets]
        known = {name: one for one in service.task_sets for name in (one.arn, one.task_set_id)}
        shown = [answers.task_set(service, known[name]) for name in names if name in known]
        return ActionResult({"taskSets": shown, "failures": _missing(names, known)})

    def _unless_code_deploy(self, by_moto: Operation) -> Operation:
        def answer(response: Any) -> ActionResult:
            asked = response._get_params()
            service = self._service(response.ecs_backend, asked.get("cluster", "default"), asked["service"])
            if service.controller == "CODE_DEPLOY":
                raise NotModelled(f"ecs {response._get_action()} of a service that CodeDeploy deploys")
            return by_moto(response)

        return answer

    def _service(self, backend: Any, cluster: str, name: str) -> Service:
        found, _ = backend.describe_services(cluster, [name])
        if not found:
            raise Refusal("ServiceNotFoundException", "Service not found.")
        service = self._of_moto(backend, found[0])
        self.scheduler.progress(service, self._now())
        return service

    def _of_moto(self, backend: Any, made: Any) -> Service:
        """One that another part of moto created, such as CloudFormation, has its first deployment when it is first seen."""
        known = self.scheduler.services.get(made.arn)
        return known if known is not None and known.moto is made else self._adopt(backend, made, {})

    def _adopt(self, backend: Any, made: Any, settings: dict[str, Any]) -> Service:
        settings = {
            "loadBalancers": [],
            "serviceRegistries": [],
            "launchType": made.launch_type,
            "schedulingStrategy": "REPLICA",
            "propagateTags": made.propagate_tags,
        } | settings
        settings["deploymentConfiguration"] = DEFAULT_CONFIGURATION | _configuration(settings)
        if "capacityProviderStrategy" in settings:
            del settings["launchType"]
        service = Service(
            arn=made.arn,
            name=made.name,
            cluster_arn=made.cluster_arn,
            created_at=self._now(),
            controller=made.deployment_controller["type"],
            task_definition=made.task_definition,
            desired=made.desired_count,
            settings=settings,
            moto=made,
        )
        self.scheduler.services[made.arn] = service
        if service.controller == "ECS":
            self._deploy(backend, service)
        elif service.controller == "CODE_DEPLOY":
            self._begin_task_set(backend, service)
        return service

    def _begin_task_set(self, backend: Any, service: Service) -> None:
        """The tasks that CreateService starts where CodeDeploy will deploy; they are given no time to start."""
        definition = backend.describe_task_definition(service.task_definition)
        first = task_sets.create(service, definition.arn, definition.container_definitions, self._now())
        task_sets.run(service, first, self._now())
        task_sets.make_primary(service, first, self._now())

    def _deploy(self, backend: Any, service: Service) -> None:
        definition = backend.describe_task_definition(service.task_definition)
        self.scheduler.deploy(service, definition.container_definitions, self._now())

    def _progressed(self) -> list[Service]:
        for service in self.scheduler.services.values():
            self.scheduler.progress(service, self._now())
        return list(self.scheduler.services.values())

    def _now(self) -> datetime:
        return self._cloud.clock.now()


def _moto_register(response: Any) -> Any:
    return _MOTO["register_task_definition"](response).result["taskDefinition"]


def _moto_list_tasks(response: Any) -> ActionResult:
    return _MOTO["list_tasks"](response)


def _moto_describe_task_sets(response: Any) -> ActionResult:
    return _MOTO["describe_task_sets"](response)


_MOTO: dict[str, Callable[[Any], Any]] = {
    name: getattr(EC2ContainerServiceResponse, name)
    for name in ("register_task_definition", "list_tasks", "describe_task_sets")
}


def _tasks(services: Iterable[Service]) -> list[tuple[Service, TaskSet, Task]]:
    return [(service, one, task) for service in services for one in service.task_sets for task in one.tasks]


def _modelled(response: Any, operation: str, known: Iterable[str]) -> dict[str, Any]:
    asked = dict(response._get_params())
    for name in asked:
        if name not in known:
            raise NotModelled(f"ecs {operation}: {name}")
    return asked


def _configuration(settings: Mapping[str, Any]) -> dict[str, Any]:
    configuration = dict(settings.get("deploymentConfiguration", {}))
    for name in configuration:
        if name not in CONFIGURATION:
            raise NotModelled(f"ecs deploymentConfiguration: {name}")
    breaker = configuration.get("deploymentCircuitBreaker", {})
    for name in breaker:
        if name not in {"enable", "rollback"}:
            raise NotModelled(f"ecs deploymentConfiguration.deploymentCircuitBreaker: {name}")
    if configuration.get("strategy") == "BLUE_GREEN" and "bakeTimeInMinutes" not in configuration:
        raise Refusal(
            "InvalidParameterException", "bakeTimeInMinutes is required for the BLUE_GREEN deployment strategy."
        )
    return configuration


def _definition(backend: Any, reference: str) -> Any:
    name = reference.split("/")[-1]
    if ":" in name:
        return backend.describe_task_definition(reference)
    active = [d for d in backend.task_definitions.get(name, {}).values() if d.status == "ACTIVE"]
    if not active:
        raise Refusal("ClientException", "Unable to describe task definition.")
    return max(active, key=lambda d: d.revision)


def _usable(backend: Any, reference: str) -> Any:
    """UpdateService on an inactive one is reported to fail with just these words."""
    try:
        definition = _definition(backend, reference)
    except Refusal as unknown:
        raise Refusal("ClientException", "TaskDefinition not found.") from unknown
    if definition.status != "ACTIVE":
        raise Refusal("ClientException", "TaskDefinition is inactive")
    return definition


def _refuse_what_the_controller_owns(service: Service, asked: Mapping[str, Any]) -> None:
    """The words for CODE_DEPLOY are those that people report (aws/aws-cdk issue 23564)."""
    if service.controller == "CODE_DEPLOY":
        if "taskDefinition" in asked:
            message = "Unable to update task definition on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
            raise Refusal("InvalidParameterException", message)
        if asked.get("forceNewDeployment"):
            message = "Cannot force a new deployment on services with a CODE_DEPLOY deployment controller. Use AWS CodeDeploy to trigger a new deployment."
            raise Refusal("InvalidParameterException", message)
    if service.controller != "ECS" and (owned := sorted(set(asked) - CODE_DEPLOY_UPDATE - {"forceNewDeployment"})):
        raise Refusal(
            "InvalidParameterException",
            f"Unable to update {', '.join(owned)} on services with a {service.controller} deployment controller.",
        )


def _refuse_update_by_cloudformation(_backend: object, _properties: object) -> None:
    raise NotModelled("updates of AWS::ECS::Service through CloudFormation")


def _matches(deployment: Deployment, asked: Mapping[str, Any]) -> bool:
    statuses, created = asked.get("status"), asked.get("createdAt", {})
    after, before = _moment(created.get("after")), _moment(created.get("before"))
    return (
        (not statuses or deployment.status in statuses)
        and (after is None or deployment.created_at > after)
        and (before is None or deployment.created_at < before)
    )


def _moment(value: datetime | None) -> datetime | None:
    """moto parses times without a zone; they are UTC."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _position(deployments: list[Deployment], token: str | None) -> int:
    """A token names the first of the next page, so that a page is not lost when a deployment is added in between."""
    if token is None:
        return 0
    for position, deployment in enumerate(deployments):
        if deployment.arn == token:
            return position
    raise Refusal("InvalidParameterException", "Invalid token.")


def _at_most(items: list[str], limit: int, name: str) -> list[str]:
    if not items:
        raise Refusal("InvalidParameterException", f"{name} can not be empty.")
    if len(items) > limit:
        raise Refusal("InvalidParameterException", f"{name} can have at most {limit} items.")
    return items


def _missing(arns: list[str], known: Mapping[str, object]) -> list[dict[str, str]]:
    return [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]
