"""The function's role grants what its calls need, on what they touch, and nothing beside it that writes."""

from datetime import timedelta
from typing import Any

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


EVERY_ACTION: tuple[dict[str, object], ...] = (
    {"action": "rollback"},
    {"action": "rollback", "force": True, "revision": 18},
    {"action": "rollback", "dry_run": True},
    {"action": "plan"},
    {"action": "history"},
    {"action": "readiness"},
    {"action": "release", "revision": 18},
    {"action": "pause", "minutes": 5},
    {"action": "resume"},
)


def test_a_mistyped_name_is_rejected_before_the_role_could_refuse_a_read(scene: Scene) -> None:
    stage = scene()
    nearest = "nearest are my-cluster/auth-service"
    for action in EVERY_ACTION:
        for named, field, allowed in (
            ({"service": "auth-servce"}, "service", nearest),
            ({"service": "auth-servce", "cluster": "my-cluster"}, "service", nearest),
            (
                {"service": "auth-service", "cluster": "my-clutser"},
                "cluster",
                "my-cluster, where auth-service is",
            ),
        ):
            answer = stage.invoke({**action, **named})
            assert (answer["outcome"], answer["reason"]) == ("rejected", "bad_request"), action
            assert answer["error"]["field"] == field
            assert allowed in answer["error"]["allowed"]
    assert denied(stage) == []


def test_nothing_is_read_of_a_service_that_was_taken_out_of_the_configuration(
    scene: Scene,
) -> None:
    stage = scene()
    name = "auto-rollback/my-cluster/old-service/5xx-rate"
    watch = stage.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName=name,
        Namespace="Old",
        MetricName="errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    watch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="still there")
    stage.passes(timedelta(minutes=11))
    at = stage.cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    here = {"account": stage.cloud.account, "region": stage.cloud.region, "time": at}
    alarm: dict[str, Any] = {
        **here,
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "detail": {"alarmName": name, "state": {"value": "ALARM", "timestamp": at}},
    }
    muted = {**alarm, "detail": {**alarm["detail"], "muteDetail": {}}}
    calm = {**alarm, "detail": {"alarmName": name, "state": {"value": "OK", "timestamp": at}}}
    failed = {
        **here,
        "source": "aws.ecs",
        "detail-type": "ECS Deployment State Change",
        "resources": [arn(stage, "service/my-cluster/old-service")],
        "detail": {"eventName": "SERVICE_DEPLOYMENT_FAILED", "deploymentId": "ecs-svc/1"},
    }
    impaired = {
        **failed,
        "detail-type": "ECS Service Action",
        "detail": {"eventName": "SERVICE_TASK_START_IMPAIRED"},
    }
    for event in (alarm, muted, calm, failed, impaired):
        answer = stage.invoke(event)
        assert (answer["outcome"], answer["reason"]) == ("ignored", "unprotected_service")
    assert denied(stage) == []
    assert not [item for item in stage.ledger() if "old-service" in item["pk"]]


def test_what_the_configuration_does_not_name_is_not_granted(scene: Scene) -> None:
    stage = scene()
    statements = role_statements(stage)
    assert granted_without_need(statements) == set()
    assert granted_everywhere(statements) == set()
    cluster = texts({"ecs:cluster": arn(stage, "cluster/my-cluster")})
    to_tasks = texts({"iam:PassedToService": "ecs-tasks.amazonaws.com"})
    to_lambda = texts({"iam:PassedToService": "lambda.amazonaws.com"})
    by_itself = texts({"ecs:CreateAction": None})
    service = arn(stage, "service/my-cluster/auth-service")
    own = texts({"ecs:task-definition": arn(stage, "task-definition/auth-service:18")})
    foreign = texts({"ecs:task-definition": arn(stage, "task-definition/another:1")})
    assert allows(stage, Need("ecs:UpdateService", service, {**cluster, **own}))
    elsewhere = texts({"ecs:cluster": arn(stage, "cluster/other-cluster")})
    assert allows(stage, Need("ecs:ListTasks", "*", cluster))
    role = f"arn:aws:iam::{stage.cloud.account}:role"
    for need in (
        Need("ecs:ListTasks", "*", elsewhere),
        Need("ecs:DescribeTasks", arn(stage, "task/other-cluster/1"), elsewhere),
        Need("ecs:UpdateService", service, {**cluster, **foreign}),
        Need("ecs:UpdateService", arn(stage, "service/my-cluster/another"), {**cluster, **own}),
        Need(
            "ecs:UpdateService",
            arn(stage, "service/other-cluster/auth-service"),
            {**cluster, **own},
        ),
        Need("ecs:RegisterTaskDefinition", arn(stage, "task-definition/another:*")),
        Need("ecs:TagResource", arn(stage, "task-definition/auth-service:18"), by_itself),
        Need("ecs:DeregisterTaskDefinition", "*"),
        Need("iam:PassRole", f"{role}/admin", to_tasks),
        Need("iam:PassRole", f"{role}/auth-service-task", to_lambda),
        Need("secretsmanager:GetSecretValue", "*"),
        Need("dynamodb:DeleteTable", "*"),
    ):
        assert not allows(stage, need), need
