"""The operations on services."""

from moto.core.responses import ActionResult
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers, task_sets
from localcloud.ecs.configuration import checked_configuration
from localcloud.ecs.definitions import find_usable_definition
from localcloud.ecs.model import DEPLOYING_SETTINGS, Service
from localcloud.ecs.refusals import refuse_too_many_deployments, refuse_what_does_not_fit
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import at_most, cluster_of, modelled_parameters, parameters
from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import Settings

DESCRIBED_AT_ONCE = 10
TAGS_IN_ANSWER = "DescribeServicesResponse.services.Service.tags"

SERVICE_SETTINGS = (
    *DEPLOYING_SETTINGS,
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
CREATE_PARAMETERS = frozenset(SERVICE_SETTINGS) | {
    "cluster",
    "serviceName",
    "taskDefinition",
    "desiredCount",
    "role",
    "deploymentController",
    "tags",
}
FIXED_WHEN_CREATED = frozenset({"launchType", "schedulingStrategy"})
UPDATE_PARAMETERS = (frozenset(SERVICE_SETTINGS) - FIXED_WHEN_CREATED) | {
    "cluster",
    "service",
    "taskDefinition",
    "desiredCount",
    "forceNewDeployment",
}

# what UpdateService may change where CodeDeploy deploys (botocore's documentation of UpdateService)
CODE_DEPLOY_UPDATE_PARAMETERS = frozenset(
    {
        "cluster",
        "service",
        "desiredCount",
        "deploymentConfiguration",
        "healthCheckGracePeriodSeconds",
        "placementConstraints",
        "placementStrategy",
        "enableECSManagedTags",
        "propagateTags",
    }
)
CODE_DEPLOY_ONLY = (
    "on services with a CODE_DEPLOY deployment controller. "
    "Use AWS CodeDeploy to trigger a new deployment."
)


class ServiceOperations:
    """Services whose changes start deployments that take their time."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def create_service(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Create a service, whose first deployment starts.

        An ACTIVE service of that name is refused.
        """
        asked = modelled_parameters(request, "CreateService", CREATE_PARAMETERS)
        backend = request.ecs_backend
        if asked.get("schedulingStrategy", "REPLICA") != "REPLICA":
            raise NotModelled("ecs CreateService: schedulingStrategy DAEMON")
        _refuse_second(backend, cluster_of(asked), asked["serviceName"])
        if "taskDefinition" not in asked:
            raise Refusal("InvalidParameterException", "TaskDefinition can not be blank.")

        definition = find_usable_definition(backend, asked["taskDefinition"])
        made = backend.create_service(
            cluster_str=cluster_of(asked),
            service_name=asked["serviceName"],
            desired_count=asked.get("desiredCount", 0),
            task_definition_str=definition.arn,
            load_balancers=asked.get("loadBalancers"),
            tags=asked.get("tags"),
            deployment_controller=asked.get("deploymentController"),
            launch_type=asked.get("launchType"),
            role_arn=asked.get("role"),
        )
        settings = {name: asked[name] for name in SERVICE_SETTINGS if name in asked}
        service = self._ecs.adopt(backend, made, settings)
        return ActionResult({"service": answers.service(service, tags=True)})

    def update_service(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Change a service. A new task definition must be ACTIVE and fit the service's settings.

        Only a property that deploys and differs, or force, starts a deployment.
        """
        asked = modelled_parameters(request, "UpdateService", UPDATE_PARAMETERS)
        backend = request.ecs_backend
        service = self._ecs.asked_service(backend, asked)
        if service.status != "ACTIVE":
            raise Refusal("ServiceNotActiveException", "Service was not ACTIVE.")
        _refuse_what_the_controller_owns(service, asked)

        definition_arn = service.task_definition
        if "taskDefinition" in asked:
            definition = find_usable_definition(backend, asked["taskDefinition"])
            refuse_what_does_not_fit(service, asked, definition)
            definition_arn = definition.arn
        if asked.get("forceNewDeployment") or definition_arn != service.task_definition:
            refuse_too_many_deployments(service)
        deploys = bool(asked.get("forceNewDeployment"))
        deploys |= _change_settings(service, asked)
        deploys |= _change_definition(service, definition_arn)
        if "desiredCount" in asked:
            self._scale(service, asked["desiredCount"])

        if deploys:
            self._ecs.deploy(backend, service)
        return ActionResult({"service": answers.service(service, tags=False)})

    def delete_service(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Delete a service, with its deployments and revisions.

        Sources: service-deployment.html, service-revision.html.
        """
        asked = parameters(request)
        backend = request.ecs_backend
        service = self._ecs.asked_service(backend, asked)
        backend.delete_service(cluster_of(asked), service.name, asked.get("force", False))
        service.status = "INACTIVE"
        service.desired = 0
        shown = answers.service(service, tags=True)

        service.deployments.clear()
        service.revisions.clear()
        service.task_sets.clear()
        service.running = {}
        service.pending = {}
        service.primary = None
        return ActionResult({"service": shown})

    def describe_services(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show at most 10. Those that are not there are failures."""
        asked = parameters(request)
        backend = request.ecs_backend
        names = at_most(DESCRIBED_AT_ONCE, asked, "services")
        found, failures = backend.describe_services(cluster_of(asked), names)
        services = [self._ecs.of_moto(backend, one) for one in found]
        for service in services:
            self._ecs.scheduler.progress(service, self._ecs.now())

        tags = "TAGS" in asked.get("include", [])
        if tags:
            request._include_in_response(TAGS_IN_ANSWER)
        shown = [answers.service(service, tags=tags) for service in services]
        return ActionResult({"services": shown, "failures": failures})

    def _scale(self, service: Service, desired: int) -> None:
        self._ecs.scheduler.scale(service, desired)
        service.moto.desired_count = desired
        task_sets.scale(service, self._ecs.now())


def _refuse_second(backend: EC2ContainerServiceBackend, cluster: str, name: str) -> None:
    existing, _ = backend.describe_services(cluster, [name])
    if existing and existing[0].status == "ACTIVE":
        raise Refusal("InvalidParameterException", "Creation of service was not idempotent.")


def _change_settings(service: Service, asked: Settings) -> bool:
    """Take over the settings that differ. Returns whether one of them deploys."""
    changed = {}
    for name in SERVICE_SETTINGS:
        if name in asked and asked[name] != service.settings.get(name):
            changed[name] = asked[name]

    if "deploymentConfiguration" in changed:
        before = service.settings["deploymentConfiguration"]
        changed["deploymentConfiguration"] = before | checked_configuration(asked)
    service.settings.update(changed)
    return any(name in DEPLOYING_SETTINGS for name in changed)


def _change_definition(service: Service, definition_arn: str) -> bool:
    """Take over a task definition. Returns whether it is another one."""
    if definition_arn == service.task_definition:
        return False
    service.task_definition = definition_arn
    service.moto.task_definition = definition_arn
    return True


def _refuse_what_the_controller_owns(service: Service, asked: Settings) -> None:
    """Refuse to update what another controller deploys.

    The words for CODE_DEPLOY are those that people report (aws/aws-cdk issue 23564).
    """
    if service.controller == "ECS":
        return
    if service.is_code_deployed and "taskDefinition" in asked:
        message = f"Unable to update task definition {CODE_DEPLOY_ONLY}"
        raise Refusal("InvalidParameterException", message)
    if service.is_code_deployed and asked.get("forceNewDeployment"):
        message = f"Cannot force a new deployment {CODE_DEPLOY_ONLY}"
        raise Refusal("InvalidParameterException", message)

    owned = sorted(set(asked) - CODE_DEPLOY_UPDATE_PARAMETERS - {"forceNewDeployment"})
    if owned:
        names = ", ".join(owned)
        message = (
            f"Unable to update {names} on services with a {service.controller} "
            "deployment controller."
        )
        raise Refusal("InvalidParameterException", message)
