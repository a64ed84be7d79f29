"""Target health from the tasks that run: DescribeTargetHealth for the target groups that traffic goes to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.elbv2.responses import ELBV2Response

from localcloud.errors import NotModelled
from localcloud.traffic import Traffic

if TYPE_CHECKING:
    from localcloud.base import Cloud

PORT = 80


def install(cloud: "Cloud") -> None:
    """Other target groups are moto's."""
    cloud.replace(ELBV2Response, "describe_target_health", _describing(cloud, ELBV2Response.describe_target_health))


def _describing(cloud: "Cloud", by_moto: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def describe_target_health(response: Any) -> ActionResult:
        arn = response._get_param("TargetGroupArn")
        targets = cloud.service(Traffic).targets(arn.rpartition(":")[2])
        if targets is None:
            return by_moto(response)
        if response._get_param("Targets"):
            raise NotModelled("elbv2 DescribeTargetHealth: Targets")
        descriptions = [_description(target.ip, healthy=target.healthy) for target in targets]
        return ActionResult({"TargetHealthDescriptions": descriptions})

    return describe_target_health


def _description(ip: str, *, healthy: bool) -> dict[str, Any]:
    health = {"State": "healthy"}
    if not healthy:
        # the words of botocore's TargetHealthReasonEnum and of target-group-health-checks.html
        health = {"State": "unhealthy", "Reason": "Target.FailedHealthChecks", "Description": "Health checks failed"}
    return {"Target": {"Id": ip, "Port": PORT}, "HealthCheckPort": str(PORT), "TargetHealth": health}
