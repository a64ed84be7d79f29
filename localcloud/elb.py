"""Target health from the tasks that run.

It answers DescribeTargetHealth for the target groups that traffic goes to.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from moto.core.responses import ActionResult
from moto.elbv2.responses import ELBV2Response

from localcloud.errors import NotModelled
from localcloud.shapes import ApiObject
from localcloud.traffic import Target, Traffic

if TYPE_CHECKING:
    from localcloud.base import Cloud

Operation = Callable[[ELBV2Response], ActionResult]

PORT = 80
HEALTHY = {"State": "healthy"}
# the words of botocore's TargetHealthReasonEnum and of target-group-health-checks.html
UNHEALTHY = {
    "State": "unhealthy",
    "Reason": "Target.FailedHealthChecks",
    "Description": "Health checks failed",
}


def install(cloud: "Cloud") -> None:
    """Extend moto's load balancers. Other target groups are moto's."""
    by_moto = ELBV2Response.describe_target_health
    cloud.replace(ELBV2Response, "describe_target_health", _describe_target_health(cloud, by_moto))


def _describe_target_health(cloud: "Cloud", by_moto: Operation) -> Operation:
    def answer(request: ELBV2Response) -> ActionResult:
        target_group = request._get_param("TargetGroupArn").rpartition(":")[2]
        targets = cloud.service(Traffic).targets(target_group)
        if targets is None:
            return by_moto(request)
        if request._get_param("Targets"):
            raise NotModelled("elbv2 DescribeTargetHealth: Targets")

        descriptions = [_description(target) for target in targets]
        return ActionResult({"TargetHealthDescriptions": descriptions})

    return answer


def _description(target: Target) -> ApiObject:
    return {
        "Target": {"Id": target.ip, "Port": PORT},
        "HealthCheckPort": str(PORT),
        "TargetHealth": dict(HEALTHY if target.healthy else UNHEALTHY),
    }
