"""Checks of what the API of CodeDeploy is asked."""

from collections.abc import Collection
from datetime import UTC, datetime

from moto.codedeploy.responses import CodeDeployResponse

from localcloud.codedeploy.model import CONFIGURATIONS
from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

LARGEST_BATCH = 25
CONTINUE = "CONTINUE_DEPLOYMENT"


def parameters(request: CodeDeployResponse) -> ApiObject:
    """Read what a request asks for. Moto's response class holds the request, too."""
    return dict(request._get_params())


def modelled_parameters(
    request: CodeDeployResponse, operation: str, known: Collection[str]
) -> ApiObject:
    """Read what a request asks for.

    Raises:
        NotModelled: it asks for something that is not known.
    """
    asked = parameters(request)
    for name in asked:
        if name not in known:
            raise NotModelled(f"codedeploy {operation}: {name}")
    return asked


def deployment_ids(asked: Settings) -> list[str]:
    """Read the ids of a batch, which holds at most 25.

    Raises:
        Refusal: there are none, or too many.
    """
    ids: list[str] = asked.get("deploymentIds", [])
    if not ids:
        message = "At least one deployment ID must be specified."
        raise Refusal("DeploymentIdRequiredException", message)
    if len(ids) > LARGEST_BATCH:
        message = "The maximum number of names or IDs allowed for this request (25) was exceeded."
        raise Refusal("BatchLimitExceededException", message)
    return ids


def check_configuration(name: str) -> None:
    """Refuse a deployment configuration that AWS does not have for ECS."""
    if name not in CONFIGURATIONS:
        message = f"No deployment configuration found for name: {name}"
        raise Refusal("DeploymentConfigDoesNotExistException", message)


def check_style(style: Settings) -> None:
    """Refuse a deployment style that is not of ECS."""
    is_blue_green = style.get("deploymentType") == "BLUE_GREEN"
    controls_traffic = style.get("deploymentOption") == "WITH_TRAFFIC_CONTROL"
    if not (is_blue_green and controls_traffic):
        message = "ECS needs BLUE_GREEN and WITH_TRAFFIC_CONTROL."
        raise Refusal("InvalidDeploymentStyleException", message)


def check_blue_green(given: Settings | None) -> None:
    """Refuse all but the end of the original after a wait.

    Waiting for ContinueDeployment is not modelled.
    """
    if not given or "terminateBlueInstancesOnDeploymentSuccess" not in given:
        message = "ECS needs terminateBlueInstancesOnDeploymentSuccess."
        raise Refusal("InvalidBlueGreenDeploymentConfigurationException", message)

    termination = given["terminateBlueInstancesOnDeploymentSuccess"]
    if termination.get("action", "TERMINATE") != "TERMINATE":
        raise NotModelled("codedeploy terminateBlueInstancesOnDeploymentSuccess: KEEP_ALIVE")
    ready = given.get("deploymentReadyOption", {})
    if ready.get("actionOnTimeout", CONTINUE) != CONTINUE:
        raise NotModelled("codedeploy deploymentReadyOption: STOP_DEPLOYMENT")
    if "greenFleetProvisioningOption" in given:
        raise NotModelled("codedeploy greenFleetProvisioningOption")


def check_load_balancer(given: Settings) -> None:
    """Refuse all but one pair of target groups without test traffic."""
    pairs = given.get("targetGroupPairInfoList", [])
    is_one_pair = len(pairs) == 1 and len(pairs[0].get("targetGroups", [])) == 2
    if set(given) != {"targetGroupPairInfoList"} or not is_one_pair:
        message = "ECS needs one pair of target groups."
        raise Refusal("InvalidLoadBalancerInfoException", message)
    if "testTrafficRoute" in pairs[0]:
        raise NotModelled("codedeploy targetGroupPairInfoList: testTrafficRoute")


def in_utc(value: datetime | str | float | None) -> datetime | None:
    """Read a time as moto hands it over.

    It is a number of seconds, or parsed and without a zone, which is UTC.
    """
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value
