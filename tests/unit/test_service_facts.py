"""How what ECS describes becomes facts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
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


class TestSettingsOfAServiceRevision:
    """Whatever a deployment may have changed beside the task definition, also what AWS adds later."""

    ARN = "arn:aws:ecs:eu-central-1:111122223333:service-revision/shop/auth/1"

    def read(self, sent: dict[str, Any], *, known: bool = True) -> Mapping[str, str]:
        """The settings of a revision; what the SDK does not know is in the raw answer alone."""
        plain = {
            "serviceRevisionArn": self.ARN,
            "taskDefinition": "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth:1",
            "createdAt": datetime(2026, 3, 2, tzinfo=UTC),
        }
        parsed = {**plain, **sent} if known else plain
        ecs = mock.Mock()
        ecs.describe_service_revisions.return_value = {"serviceRevisions": [parsed]}
        raw = {"serviceRevisions": [{**plain, **sent, "createdAt": 1772409600.0}]}
        clients = mock.Mock(ecs=ecs)
        clients.raw_answer.return_value = raw
        return Ecs(clients).revisions([self.ARN])[self.ARN].settings

    @pytest.mark.parametrize(
        "changed",
        [
            pytest.param({"monitoring": {"metricResolution": 20}}, id="the resolution of metrics"),
            pytest.param({"gatewayConnectors": [{"name": "edge"}]}, id="gateway connectors"),
            pytest.param({"fargateEphemeralStorage": {"kmsKeyId": "k"}}, id="a key of the disk"),
            pytest.param({"guardDutyEnabled": True}, id="Runtime Monitoring"),
            pytest.param({"volumeConfigurations": [{"name": "data"}]}, id="a volume at launch"),
        ],
    )
    def test_every_field_is_a_setting(self, changed: dict[str, Any]) -> None:
        assert set(self.read(changed)) == set(changed)

    def test_so_is_one_that_this_version_does_not_know(self) -> None:
        assert set(self.read({"laterAddition": {"on": True}}, known=False)) == {"laterAddition"}

    @pytest.mark.parametrize(
        "same",
        [
            pytest.param({"resolvedConfiguration": {"loadBalancers": [{}]}}, id="what serves now"),
            pytest.param({"ecsManagedResources": {"ingressPaths": [{}]}}, id="what ECS made"),
            pytest.param({"containerImages": [{"containerName": "app"}]}, id="what ran"),
            pytest.param({"loadBalancers": []}, id="an empty list"),
        ],
    )
    def test_what_tells_it_apart_what_ran_and_what_ecs_made_are_none(
        self, same: dict[str, Any]
    ) -> None:
        assert self.read(same) == {}

    def test_the_order_of_named_things_does_not_count(self) -> None:
        one, two = {"capacityProvider": "A", "weight": 1}, {"capacityProvider": "B"}
        there = self.read({"capacityProviderStrategy": [one, two]})
        assert there == self.read({"capacityProviderStrategy": [two, one]})

    def test_a_token_among_log_options_is_not_kept(self) -> None:
        logs = {"logConfiguration": {"options": {"splunk-token": "s3cr3t"}}}
        assert "s3cr3t" not in str(self.read({"serviceConnectConfiguration": logs}))
        assert "s3cr3t" not in str(self.read({"laterAddition": logs}, known=False))
