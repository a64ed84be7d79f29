"""The function's role grants what its calls need, on what they touch, and nothing beside it that writes."""

from datetime import timedelta

from demo.scenario import AUTH, Stage
from tests.e2e.conftest import Scene
from tests.e2e.rights import (
    Need,
    allows,
    denied,
    granted_everywhere,
    granted_without_need,
    role_statements,
)


def arn(stage: Stage, resource: str) -> str:
    return f"arn:aws:ecs:{stage.cloud.region}:{stage.cloud.account}:{resource}"


def test_a_whole_incident_needs_only_what_is_granted(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    stage.passes(timedelta(minutes=25))
    assert stage.running_revision() == "auth-service:18"
    for payload in (
        {"action": "plan", "service": AUTH.name},
        {"action": "history"},
        {"action": "pause", "minutes": 5},
        {"action": "resume"},
        {"action": "release", "service": AUTH.name, "revision": 19},
        {"service": AUTH.name, "revision": 17},
    ):
        stage.invoke(payload)
    assert denied(stage) == []


def test_what_the_configuration_does_not_name_is_not_granted(scene: Scene) -> None:
    stage = scene()
    statements = role_statements(stage)
    assert granted_without_need(statements) == set()
    assert granted_everywhere(statements) == set()
    cluster = {"ecs:cluster": arn(stage, "cluster/my-cluster")}
    granted = Need("ecs:UpdateService", arn(stage, "service/my-cluster/auth-service"), cluster)
    assert allows(statements, granted)
    role = f"arn:aws:iam::{stage.cloud.account}:role"
    for need in (
        Need("ecs:UpdateService", arn(stage, "service/my-cluster/another"), cluster),
        Need("ecs:UpdateService", arn(stage, "service/other-cluster/auth-service"), cluster),
        Need("ecs:RegisterTaskDefinition", arn(stage, "task-definition/another:*")),
        Need("ecs:TagResource", arn(stage, "task-definition/auth-service:18")),
        Need("ecs:DeregisterTaskDefinition", "*"),
        Need("iam:PassRole", f"{role}/admin", {"iam:PassedToService": "ecs-tasks.amazonaws.com"}),
        Need(
            "iam:PassRole",
            f"{role}/auth-service-task",
            {"iam:PassedToService": "lambda.amazonaws.com"},
        ),
        Need("secretsmanager:GetSecretValue", "*"),
        Need("dynamodb:DeleteTable", "*"),
    ):
        assert not allows(statements, need), need
