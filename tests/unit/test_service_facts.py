"""How what ECS describes becomes facts."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from autorollback.aws.ecs import Ecs, bake_of
from autorollback.decision.facts import EcsDeployment
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentConfigurationOutputTypeDef


@pytest.mark.parametrize(
    ("configuration", "minutes"),
    [
        pytest.param({}, 0, id="rolling"),
        pytest.param({"strategy": "ROLLING", "bakeTimeInMinutes": 4}, 4, id="rolling, with alarms"),
        pytest.param({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 7}, 7, id="blue/green"),
        pytest.param(
            {"strategy": "CANARY", "bakeTimeInMinutes": 7, "canaryConfiguration": {"canaryBakeTimeInMinutes": 15}}, 22,
            id="canary",
        ),
        pytest.param({"strategy": "CANARY"}, 10, id="canary, as it is by default"),
        pytest.param(
            {"strategy": "LINEAR", "bakeTimeInMinutes": 5,
             "linearConfiguration": {"stepPercent": 25.0, "stepBakeTimeInMinutes": 3}}, 14,
            id="linear: three steps before all of the traffic is there",
        ),
        pytest.param(
            {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 11.0, "stepBakeTimeInMinutes": 1}}, 9,
            id="linear, steps that do not divide 100",
        ),
        pytest.param(
            {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.0, "stepBakeTimeInMinutes": 0}}, 0,
            id="linear without a pause",
        ),
        pytest.param({"strategy": "LINEAR"}, 54, id="linear, as it is by default"),
    ],
)  # fmt: skip
def test_a_deployment_waits_as_long_as_all_its_steps_together(
    configuration: "DeploymentConfigurationOutputTypeDef", minutes: int
) -> None:
    assert bake_of(configuration) == timedelta(minutes=minutes)


def test_the_deployments_that_ecs_is_at_are_known_by_the_ids_of_its_events() -> None:
    """As DescribeServices lists them: what is to run, and what still has tasks."""
    at = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    listed = [
        {
            "id": "ecs-svc/2",
            "status": "PRIMARY",
            "createdAt": at,
            "rolloutState": "FAILED",
            "failedTasks": 3,
        },
        {
            "id": "ecs-svc/1",
            "status": "ACTIVE",
            "createdAt": at,
            "rolloutState": "COMPLETED",
            "runningCount": 4,
        },
    ]
    ecs = mock.Mock()
    ecs.describe_services.return_value = {
        "services": [{"serviceArn": "arn:auth", "deployments": listed}]
    }
    service = Ecs(mock.Mock(ecs=ecs)).service(ServiceKey("shop", "auth"))
    assert service is not None
    assert service.primary == EcsDeployment("ecs-svc/2", at, True, "FAILED", 0, 3)
    assert service.deployments[1:] == (EcsDeployment("ecs-svc/1", at, False, "COMPLETED", 4, 0),)
