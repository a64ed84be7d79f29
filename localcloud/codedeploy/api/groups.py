"""The operations on applications and deployment groups."""

from moto.codedeploy.models import CodeDeployBackend, DeploymentGroup
from moto.codedeploy.responses import CodeDeployResponse, _deployment_group_info
from moto.core.responses import ActionResult

from localcloud.codedeploy import answers
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.requests import (
    check_blue_green,
    check_configuration,
    check_load_balancer,
    check_style,
    modelled_parameters,
    parameters,
)
from localcloud.codedeploy.services import find_service
from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject

CREATE_PARAMETERS = frozenset(
    {
        "applicationName",
        "deploymentGroupName",
        "deploymentConfigName",
        "serviceRoleArn",
        "alarmConfiguration",
        "autoRollbackConfiguration",
        "deploymentStyle",
        "blueGreenDeploymentConfiguration",
        "loadBalancerInfo",
        "ecsServices",
        "tags",
    }
)


class GroupOperations:
    """Applications for ECS, and groups for one service each."""

    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer

    def create_application(self, request: CodeDeployResponse) -> ActionResult:
        """Create an application of the platform ECS."""
        asked = parameters(request)
        platform = asked.get("computePlatform", "Server")
        if platform != "ECS":
            raise NotModelled(f"codedeploy applications for {platform}")
        name = asked["applicationName"]
        made = request.codedeploy_backend.create_application(name, "ECS", asked.get("tags", []))
        return ActionResult({"applicationId": made})

    def create_deployment_group(self, request: CodeDeployResponse) -> ActionResult:
        """Create a group for one ECS service and one pair of target groups.

        The service has the controller CODE_DEPLOY, and no other group. The texts of the errors are
        this cloud's own.
        """
        asked = modelled_parameters(request, "CreateDeploymentGroup", CREATE_PARAMETERS)
        configuration = asked.get("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
        check_style(asked.get("deploymentStyle", {}))
        check_configuration(configuration)
        check_blue_green(asked.get("blueGreenDeploymentConfiguration"))
        check_load_balancer(asked.get("loadBalancerInfo", {}))
        self._check_services(request.codedeploy_backend, asked.get("ecsServices", []))

        made = request.codedeploy_backend.create_deployment_group(
            application_name=asked["applicationName"],
            deployment_group_name=asked["deploymentGroupName"],
            deployment_config_name=configuration,
            ec2_tag_filters=None,
            on_premises_instance_tag_filters=None,
            auto_scaling_groups=None,
            service_role_arn=asked["serviceRoleArn"],
            alarm_configuration=asked.get("alarmConfiguration"),
            auto_rollback_configuration=asked.get("autoRollbackConfiguration"),
            deployment_style=asked["deploymentStyle"],
            blue_green_deployment_configuration=asked["blueGreenDeploymentConfiguration"],
            load_balancer_info=asked["loadBalancerInfo"],
            ecs_services=asked["ecsServices"],
            tags=asked.get("tags"),
        )
        return ActionResult({"deploymentGroupId": made})

    def get_deployment_group(self, request: CodeDeployResponse) -> ActionResult:
        """Show a group with its last deployments.

        Its target is the revision of the last that succeeded.
        """
        asked = parameters(request)
        group = request.codedeploy_backend.get_deployment_group(
            asked["applicationName"], asked["deploymentGroupName"]
        )
        return ActionResult({"deploymentGroupInfo": self._shown(group)})

    def batch_get_deployment_groups(self, request: CodeDeployResponse) -> ActionResult:
        """Show those that are there. The others are named in `errorMessage`."""
        asked = parameters(request)
        backend = request.codedeploy_backend
        application = asked["applicationName"]
        backend.get_application(application)

        known = backend.deployment_groups.get(application, {})
        shown: list[ApiObject] = []
        missing: list[str] = []
        for name in asked["deploymentGroupNames"]:
            if name in known:
                shown.append(self._shown(known[name]))
            else:
                missing.append(name)

        answer: ApiObject = {"deploymentGroupsInfo": shown}
        if missing:
            names = ", ".join(missing)
            answer["errorMessage"] = f"Not found: {names}"
        return ActionResult(answer)

    def _check_services(self, backend: CodeDeployBackend, services: list[dict[str, str]]) -> None:
        if len(services) != 1:
            message = "The deployment group must have one ECS service."
            raise Refusal("InvalidECSServiceException", message)

        for groups in backend.deployment_groups.values():
            if any(group.ecs_services == services for group in groups.values()):
                message = (
                    "The Amazon ECS service is associated with more than one deployment groups."
                )
                raise Refusal("ECSServiceMappingLimitExceededException", message)
        find_service(self._deployer.ecs, services[0])

    def _shown(self, group: DeploymentGroup) -> ApiObject:
        newest_first = [one for one in self._deployer.newest_first() if one.group is group]
        target = self._deployer.last_location(group)
        return answers.group(
            group,
            _deployment_group_info(group),
            target,
            newest_first,
        )
