"""The services of the cloud, each with what moto does not know of it."""

from datetime import datetime
from typing import TYPE_CHECKING

from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends
from moto.ecs.models import Service as MotoService

from localcloud.ecs import task_sets
from localcloud.ecs.configuration import DEFAULT_CONFIGURATION, checked_configuration
from localcloud.ecs.definitions import find_usable_definition
from localcloud.ecs.model import Service, TaskSet
from localcloud.ecs.requests import cluster_of
from localcloud.ecs.scheduler import Scheduler
from localcloud.ecs.task_sets import TaskSetRequest
from localcloud.errors import Refusal
from localcloud.shapes import ApiObject, Settings

if TYPE_CHECKING:
    from localcloud.base import Cloud


class Ecs:
    """Finds services, with all done that has fallen due, and starts their deployments.

    Hold `lock` while reading what it answers.
    """

    def __init__(self, cloud: "Cloud", scheduler: Scheduler) -> None:
        self._cloud = cloud
        self.scheduler = scheduler
        self.lock = scheduler.lock

    @property
    def account(self) -> str:
        """The account of the cloud."""
        return self._cloud.account

    @property
    def backend(self) -> EC2ContainerServiceBackend:
        """What moto keeps for the cloud's account and region."""
        return ecs_backends[self._cloud.account][self._cloud.region]

    def is_listed(self, created: datetime | None) -> bool:
        """Whether the lists that are only eventually consistent show what was created then."""
        return created is None or not self._cloud.lag or created <= self.now() - self._cloud.lag

    def now(self) -> datetime:
        """Tell the time of the cloud."""
        return self._cloud.clock.now()

    def find(self, cluster: str, service: str) -> Service:
        """Find a service by the names or ARNs of its cluster and itself.

        Raises:
            Refusal: there is none.
        """
        with self.lock:
            return self.service(self.backend, cluster, service)

    def asked_service(self, backend: EC2ContainerServiceBackend, asked: Settings) -> Service:
        """Find the service that a request names.

        Raises:
            Refusal: there is none.
        """
        return self.service(backend, cluster_of(asked), asked["service"])

    def service(
        self,
        backend: EC2ContainerServiceBackend,
        cluster: str,
        name: str,
    ) -> Service:
        """Find a service as `find` does, in the backend of a request."""
        found, _ = backend.describe_services(cluster, [name])
        if not found:
            raise Refusal("ServiceNotFoundException", "Service not found.")
        service = self.of_moto(backend, found[0])
        self.scheduler.progress(service, self.now())
        return service

    def services(self) -> list[Service]:
        """List all services that are known."""
        known = list(self.scheduler.services.values())
        for service in known:
            with self.scheduler.troubles.of(f"the service {service.name}"):
                self.scheduler.progress(service, self.now())
        return known

    def of_moto(self, backend: EC2ContainerServiceBackend, made: MotoService) -> Service:
        """Find what is known of moto's service.

        One that another part of moto created, such as CloudFormation, has its first deployment
        when it is first seen.
        """
        known = self.scheduler.services.get(made.arn)
        if known is not None and known.moto is made:
            return known
        return self.adopt(backend, made, {})

    def adopt(
        self,
        backend: EC2ContainerServiceBackend,
        made: MotoService,
        given: Settings,
    ) -> Service:
        """Take over a new service of moto, and start its first tasks."""
        service = Service(
            arn=made.arn,
            name=made.name,
            cluster_arn=made.cluster_arn,
            created_at=self.now(),
            controller=made.deployment_controller["type"],
            task_definition=made.task_definition,
            desired=made.desired_count,
            settings=_settings(made, given),
            moto=made,
        )
        self.scheduler.services[made.arn] = service
        if service.controller == "ECS":
            self.deploy(backend, service)
        elif service.is_code_deployed:
            self._begin_task_set(backend, service)
        return service

    def deploy(self, backend: EC2ContainerServiceBackend, service: Service) -> None:
        """Start a deployment of what the service's settings say now."""
        definition = backend.describe_task_definition(service.task_definition)
        self.scheduler.deploy(service, definition.container_definitions, self.now())

    def start_task_set(
        self,
        service: Service,
        reference: str,
        settings: Settings,
        external_id: str,
        now: datetime,
    ) -> TaskSet:
        """Do what CreateTaskSet does for CodeDeploy.

        Raises:
            Refusal: there is no such definition, or it is inactive.
        """
        definition = find_usable_definition(self.backend, reference)
        request = TaskSetRequest(
            definition.arn,
            definition.container_definitions,
            settings,
            external_id,
        )
        return task_sets.create(service, request, now)

    def _begin_task_set(self, backend: EC2ContainerServiceBackend, service: Service) -> None:
        """Run the tasks that CreateService starts where CodeDeploy will deploy.

        They are given no time to start.
        """
        definition = backend.describe_task_definition(service.task_definition)
        request = TaskSetRequest(definition.arn, definition.container_definitions)
        first = task_sets.create(service, request, self.now())
        task_sets.run(service, first, self.now())
        task_sets.make_primary(service, first, self.now())


def _settings(made: MotoService, given: Settings) -> ApiObject:
    settings: ApiObject = {
        "loadBalancers": [],
        "serviceRegistries": [],
        "launchType": made.launch_type,
        "schedulingStrategy": "REPLICA",
        "propagateTags": made.propagate_tags,
    }
    settings.update(given)
    settings["deploymentConfiguration"] = DEFAULT_CONFIGURATION | checked_configuration(given)
    if "capacityProviderStrategy" in settings:
        del settings["launchType"]
    return settings
