"""The operations on deployment targets, of which each deployment has one: its service."""

from moto.codedeploy.responses import CodeDeployResponse
from moto.core.responses import ActionResult

from localcloud.codedeploy import answers
from localcloud.codedeploy.api.deployments import find_deployment
from localcloud.codedeploy.model import Deployment
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.requests import modelled_parameters, parameters
from localcloud.errors import Refusal
from localcloud.shapes import ApiObject


class TargetOperations:
    """The targets of deployments that have started."""

    def __init__(self, deployer: Deployer) -> None:
        self._deployer = deployer

    def list_deployment_targets(self, request: CodeDeployResponse) -> ActionResult:
        """Name the one service."""
        asked = modelled_parameters(request, "ListDeploymentTargets", {"deploymentId"})
        deployment = self._started(asked["deploymentId"])
        return ActionResult({"targetIds": [answers.target_id(deployment)]})

    def get_deployment_target(self, request: CodeDeployResponse) -> ActionResult:
        """Show the one service, by its id."""
        asked = parameters(request)
        target = self._only_target(asked["deploymentId"], [asked["targetId"]])
        return ActionResult({"deploymentTarget": target})

    def batch_get_deployment_targets(self, request: CodeDeployResponse) -> ActionResult:
        """Show the one service, by its id."""
        asked = parameters(request)
        target = self._only_target(asked["deploymentId"], asked.get("targetIds", []))
        return ActionResult({"deploymentTargets": [target]})

    def _only_target(self, deployment_id: str, target_ids: list[str]) -> ApiObject:
        deployment = self._started(deployment_id)
        if not target_ids:
            message = "A deployment target ID was not provided."
            raise Refusal("DeploymentTargetIdRequiredException", message)
        if target_ids != [answers.target_id(deployment)]:
            message = "The provided target ID does not belong to the attempted deployment."
            raise Refusal("DeploymentTargetDoesNotExistException", message)
        return answers.target(deployment)

    def _started(self, deployment_id: str) -> Deployment:
        deployment = find_deployment(self._deployer, deployment_id)
        if deployment.started_at is None:
            message = "The specified deployment has not started."
            raise Refusal("DeploymentNotStartedException", message)
        return deployment
