"""The function's role grants what its calls need, on what they touch, and nothing beside it that writes."""

from datetime import timedelta

from demo.scenario import AUTH, Stage
from localcloud.iam.needs.asked import texts
from localcloud.iam.requests import Need
from tests.e2e.conftest import Scene
from tests.e2e.rights import (
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
    cluster = texts({"ecs:cluster": arn(stage, "cluster/my-cluster")})
    to_tasks = texts({"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    to_lambda = texts({"iam:PassedToService": "lambda.amazonaws.com"})
    by_itself = texts({"ecs:CreateAction": None})
    granted = Need("ecs:UpdateService", arn(stage, "service/my-cluster/auth-service"), cluster)
    assert allows(stage, granted)
    role = f"arn:aws:iam::{stage.cloud.account}:role"
    for need in (
        Need("ecs:UpdateService", arn(stage, "service/my-cluster/another"), cluster),
        Need("ecs:UpdateService", arn(stage, "service/other-cluster/auth-service"), cluster),
        Need("ecs:RegisterTaskDefinition", arn(stage, "task-definition/another:*")),
        Need("ecs:TagResource", arn(stage, "task-definition/auth-service:18"), by_itself),
        Need("ecs:DeregisterTaskDefinition", "*"),
        Need("iam:PassRole", f"{role}/admin", to_tasks),
        Need("iam:PassRole", f"{role}/auth-service-task", to_lambda),
        Need("secretsmanager:GetSecretValue", "*"),
        Need("dynamodb:DeleteTable", "*"),
    ):
        assert not allows(stage, need), need
