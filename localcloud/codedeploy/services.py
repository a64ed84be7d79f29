"""The ECS services that deployment groups are for."""

from moto.core.exceptions import ServiceException

from localcloud.ecs.model import Service
from localcloud.ecs.registry import Ecs
from localcloud.errors import Refusal
from localcloud.shapes import Settings


def find_service(ecs: Ecs, named: Settings) -> Service:
    """Find a service that CodeDeploy deploys by one of a group's `ecsServices`.

    Raises:
        Refusal: there is none, or it is not for CodeDeploy to deploy.
    """
    try:
        service = ecs.find(named["clusterName"], named["serviceName"])
    except ServiceException as missing:
        message = "The Amazon ECS service identifier is not valid."
        raise Refusal("InvalidECSServiceException", message) from missing

    if not service.is_code_deployed or service.status != "ACTIVE":
        message = (
            "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment "
            "controller."
        )
        raise Refusal("InvalidECSServiceException", message)
    return service
