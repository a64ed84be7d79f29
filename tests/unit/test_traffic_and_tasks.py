"""How what ECS and CodeDeploy tell of traffic and of stopped tasks becomes facts, also where they tell little."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from autorollback.aws.codedeploy import CodeDeploy
from autorollback.aws.ecs import Ecs
from autorollback.aws.tasks import PAGE, REASON_KEPT, Tasks
from autorollback.aws.traffic import Traffic
from autorollback.decision.facts import StoppedTask, Strategy, TrafficShift
from autorollback.naming import ServiceKey

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = ServiceKey("shop", "auth")


class RefusedError(ClientError):
    """What AWS answers where it says no."""

    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "No", "Message": "no"}}, "Operation")


def client(*refusals: str) -> Any:
    """A client that knows these exceptions, each a class of its own."""
    made = mock.Mock()
    for name in refusals:
        setattr(made.exceptions, name, type(name, (RefusedError,), {}))
    return made


def test_a_target_group_that_is_gone_has_no_healthy_target() -> None:
    """The service may still name it; the others are counted all the same."""
    elbv2 = client("TargetGroupNotFoundException")
    healthy = {"TargetHealthDescriptions": [{"TargetHealth": {"State": "healthy"}}]}
    gone = elbv2.exceptions.TargetGroupNotFoundException()
    elbv2.describe_target_health.side_effect = [gone, healthy]
    assert Traffic(mock.Mock(elbv2=elbv2)).healthy_targets(("gone", "there")) == 1


@pytest.mark.parametrize(
    ("described", "seen"),
    [
        pytest.param({}, TrafficShift(), id="nothing is told: rolling, as by default"),
        pytest.param(
            {
                "deploymentConfiguration": {"strategy": "CANARY", "bakeTimeInMinutes": 7},
                "targetServiceRevision": {
                    "arn": "arn:new",
                    "requestedProductionTrafficWeight": 0.0,
                },
                "lifecycleStage": "POST_SCALE_UP",
            },
            TrafficShift(Strategy.CANARY, 0.0, "POST_SCALE_UP", timedelta(minutes=7)),
            id="a canary without traffic",
        ),
        pytest.param(
            {"deploymentConfiguration": {"strategy": "LINEAR"}},
            TrafficShift(Strategy.LINEAR),
            id="a weight that is not told is not 0",
        ),
        pytest.param(
            {"deploymentConfiguration": {"strategy": "MIRROR"}},
            TrafficShift(Strategy.OTHER),
            id="a strategy of tomorrow",
        ),
    ],
)
def test_what_ecs_says_of_a_deployments_traffic(described: Any, seen: TrafficShift) -> None:
    ecs = client()
    ecs.describe_service_deployments.return_value = {
        "serviceDeployments": [
            {
                "serviceDeploymentArn": "arn:d",
                "status": "IN_PROGRESS",
                "createdAt": AT,
                **described,
            }
        ]
    }
    (deployment,) = Ecs(mock.Mock(ecs=ecs)).deployments(["arn:d"])
    assert deployment.traffic == seen


NO_TARGET = (
    "DeploymentNotStartedException",
    "DeploymentTargetDoesNotExistException",
    "InvalidDeploymentTargetIdException",
)


def of_code_deploy(targets: Any) -> TrafficShift:
    codedeploy = client(*NO_TARGET)
    codedeploy.batch_get_deployment_targets.return_value = {"deploymentTargets": targets}
    seen = CodeDeploy(mock.Mock(codedeploy=codedeploy), "shop", "auth").traffic_of("d-1", KEY)
    codedeploy.batch_get_deployment_targets.assert_called_once_with(
        deploymentId="d-1", targetIds=["shop:auth"]
    )
    return seen


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        pytest.param({}, TrafficShift(Strategy.CODE_DEPLOY, 0.0), id="no task set of its own yet"),
        pytest.param(
            {
                "taskSetsInfo": [
                    {"taskSetLabel": "Blue", "trafficWeight": 90.0},
                    {"taskSetLabel": "Green", "trafficWeight": 10.0},
                ],
                "lifecycleEvents": [
                    {"lifecycleEventName": "Install", "startTime": AT},
                    {"lifecycleEventName": "AllowTraffic", "startTime": AT + timedelta(minutes=2)},
                ],
            },
            TrafficShift(Strategy.CODE_DEPLOY, 10.0, began_at=AT + timedelta(minutes=2)),
            id="a tenth",
        ),
        pytest.param(
            {
                "taskSetsInfo": [{"taskSetLabel": "Green"}],
                "lifecycleEvents": [{"lifecycleEventName": "AllowTraffic"}],
            },
            TrafficShift(Strategy.CODE_DEPLOY, 0.0),
            id="a shift that has not begun",
        ),
    ],
)
def test_what_codedeploy_says_of_a_deployments_traffic(target: Any, seen: TrafficShift) -> None:
    assert of_code_deploy([{"deploymentTargetType": "ECSTarget", "ecsTarget": target}]) == seen


def test_a_deployment_without_a_service_as_its_target_tells_nothing() -> None:
    unknown = TrafficShift(Strategy.CODE_DEPLOY)
    assert of_code_deploy([{"deploymentTargetType": "InstanceTarget"}]) == unknown
    assert of_code_deploy([]) == unknown


@pytest.mark.parametrize("refusal", NO_TARGET)
def test_so_does_one_that_has_not_begun(refusal: str) -> None:
    codedeploy = client(*NO_TARGET)
    codedeploy.batch_get_deployment_targets.side_effect = getattr(codedeploy.exceptions, refusal)()
    group = CodeDeploy(mock.Mock(codedeploy=codedeploy), "shop", "auth")
    assert group.traffic_of("d-1", KEY) == TrafficShift(Strategy.CODE_DEPLOY)


def test_another_refusal_is_no_answer() -> None:
    codedeploy = client(*NO_TARGET)
    codedeploy.batch_get_deployment_targets.side_effect = RefusedError()
    with pytest.raises(RefusedError):
        CodeDeploy(mock.Mock(codedeploy=codedeploy), "shop", "auth").traffic_of("d-1", KEY)


GONE = ("ServiceNotFoundException", "ClusterNotFoundException")


def test_stopped_tasks_are_asked_for_once_by_service() -> None:
    ecs = client(*GONE)
    ecs.list_tasks.return_value = {"taskArns": ["arn:1", "arn:2"], "nextToken": "more"}
    assert Tasks(mock.Mock(ecs=ecs)).stopped(KEY) == ("arn:1", "arn:2")
    ecs.list_tasks.assert_called_once_with(
        cluster="shop", serviceName="auth", desiredStatus="STOPPED", maxResults=PAGE
    )


@pytest.mark.parametrize("refusal", GONE)
def test_a_service_that_is_not_there_has_none(refusal: str) -> None:
    ecs = client(*GONE)
    ecs.list_tasks.side_effect = getattr(ecs.exceptions, refusal)()
    assert Tasks(mock.Mock(ecs=ecs)).stopped(KEY) == ()


def test_what_tasks_tell_of_their_end_and_that_what_still_runs_tells_none() -> None:
    """One that is being stopped has its code already, and no end."""
    ecs = client()
    ecs.describe_tasks.return_value = {
        "tasks": [
            {
                "stopCode": "SpotInterruption",
                "stoppedReason": "Your Spot Task was interrupted. " + "x" * 500,
                "stoppingAt": AT,
                "createdAt": AT - timedelta(hours=2),
                "taskDefinitionArn": "arn:auth:2",
            },
            {"stoppedAt": AT},
            {"taskDefinitionArn": "arn:auth:2"},
        ]
    }
    arns = [f"arn:{number}" for number in range(PAGE + 20)]
    interrupted, unknown = Tasks(mock.Mock(ecs=ecs)).described(KEY, arns)
    assert len(interrupted.reason) == REASON_KEPT
    assert (interrupted.code, interrupted.at, interrupted.definition, interrupted.created_at) == (
        "SpotInterruption",
        AT,
        "arn:auth:2",
        AT - timedelta(hours=2),
    )
    assert unknown == StoppedTask("", "", AT, "")
    assert len(ecs.describe_tasks.call_args.kwargs["tasks"]) == PAGE
