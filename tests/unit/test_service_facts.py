"""How what ECS describes becomes facts."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from autorollback.aws.ecs import bake_of

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
