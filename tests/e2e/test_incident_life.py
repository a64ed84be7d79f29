"""An incident from its opening to its end, through the deployed stack; and nothing secret in anything that is said of it."""

import json
from datetime import timedelta
from typing import Any

from demo.scenario import AUTH, BAD, FUNCTION, GOOD_REVISION, Stage
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes, updates

CANARY = "canary-7f3a"


def states(stage: Stage) -> list[str]:
    return [str(incident["state"]) for incident in stage.incidents()]


def told(stage: Stage) -> list[dict[str, Any]]:
    """What the function itself told people; CloudWatch tells them of the function's own alarms."""
    return [message for message in stage.messages() if message["result"]]


def metric(stage: Stage, name: str) -> list[float]:
    """The sums of a metric of the service, by the minute."""
    dimensions = [
        {"Name": "cluster", "Value": AUTH.cluster},
        {"Name": "service", "Value": AUTH.name},
    ]
    of = {"Namespace": "AutoRollback", "MetricName": name, "Dimensions": dimensions}
    now = stage.cloud.clock.now()
    answer = stage.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "sums", "MetricStat": {"Metric": of, "Period": 60, "Stat": "Sum"}}
        ],
        StartTime=now - timedelta(hours=2),
        EndTime=now + minutes(1),
    )
    values: list[float] = answer["MetricDataResults"][0]["Values"]
    return values


def test_an_incident_is_opened_followed_and_closed_as_recovered(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    assert stage.until(lambda: states(stage) == ["open"], within=minutes(12))
    (incident,) = stage.incidents()
    assert (incident["announced"], "due_at" in incident) == (True, True)
    assert stage.until(lambda: states(stage) == ["recovered"], within=minutes(25))
    (incident,) = stage.incidents()
    assert "unfinished" not in incident
    assert [message["subject"] for message in told(stage)] == [
        "[ROLLED BACK] my-cluster/auth-service: alarm after deployment",
        "[RECOVERED] my-cluster/auth-service: alarm after deployment",
    ]
    letter = told(stage)[-1]["email"]
    assert "Better:  yes" in letter
    assert (metric(stage, "Rollback"), metric(stage, "Recovered")) == ([1.0], [1.0])
    (to_rollback,), (to_recover,) = metric(stage, "TimeToRollback"), metric(stage, "TimeToRecover")
    assert 60 <= to_rollback <= 600
    assert 60 <= to_recover <= 1500


def test_a_rollback_that_does_not_help_is_escalated_and_never_answered_with_another(
    scene: Scene,
) -> None:
    stage = scene()
    stage.cloud.traffic.behaviour(stage.digests[f"auth-service:v{GOOD_REVISION}"], Behaviour())
    stage.deploy_bad()
    assert stage.until(lambda: states(stage) == ["open"], within=minutes(12))
    stage.cloud.traffic.behaviour(
        stage.digests[f"auth-service:v{GOOD_REVISION}"], BAD
    )  # what it depends on broke too
    assert stage.until(lambda: states(stage) == ["not_recovered"], within=minutes(45))
    last = told(stage)[-1]
    assert last["subject"] == "[NOT RECOVERED] my-cluster/auth-service: alarm after deployment"
    assert "still in ALARM: 5xx-rate" in last["result"]["summary"]
    assert "auth-service:18 runs now" in last["result"]["summary"]
    assert "nothing will be rolled back further" in last["email"]
    said = len(told(stage))
    stage.passes(minutes(15))
    assert (states(stage), updates(stage)) == (["not_recovered"], 1)
    assert len(told(stage)) == said, "people were told to look; the sweep does not repeat it"


def test_a_fix_that_is_deployed_meanwhile_supersedes_the_incident(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    assert stage.until(lambda: states(stage) == ["open"], within=minutes(12))
    stage.deploy(17)
    assert stage.until(lambda: states(stage) == ["superseded"], within=minutes(30))
    assert updates(stage) == 1


def test_no_value_of_an_environment_or_a_secret_is_said_anywhere(scene: Scene) -> None:
    """Canaries stand wherever a value could come from; logs, ledger, messages, events and results are searched for them."""
    stage = scene()
    session = stage.cloud.session()
    events: list[str] = []
    emit = stage.cloud.emit

    def overhear(event: dict[str, Any]) -> None:
        events.append(json.dumps(event, default=str))
        emit(event)

    stage.cloud.emit = overhear
    secrets = session.client("secretsmanager")
    secrets.put_secret_value(SecretId="auth-service/database", SecretString=f"{CANARY}-secret")
    ecs = session.client("ecs")
    for number in (GOOD_REVISION, 19):
        described = ecs.describe_task_definition(taskDefinition=f"auth-service:{number}")[
            "taskDefinition"
        ]
        (container,) = described["containerDefinitions"]
        planted = {
            "environment": [{"name": "PASSWORD", "value": f"{CANARY}-environment"}],
            "dockerLabels": {"label": f"{CANARY}-label"},
            "command": ["serve", f"--token={CANARY}-command"],
        }
        stage.world.define(
            "auth-service", {}, containerDefinitions=[container | planted],
            taskRoleArn=described["taskRoleArn"], executionRoleArn=described["executionRoleArn"],
        )  # fmt: skip
    stage.deploy(20)  # the good build, with the canaries
    stage.passes(minutes(50))
    ecs.deregister_task_definition(taskDefinition="auth-service:20")
    stage.deploy(21)  # the bad one; going back registers a copy of the good one, canaries and all
    assert stage.until(lambda: states(stage) == ["recovered"], within=minutes(40))
    (incident,) = stage.incidents()
    assert '"restored_as": "auth-service:22"' in incident["result"], (
        "a copy was made, so the content was read"
    )
    answers = [
        stage.invoke({"action": action, "service": "auth-service"})
        for action in ("plan", "history")
    ]
    logs = session.client("logs")
    lines = [
        event["message"]
        for stream in logs.describe_log_streams(logGroupName=f"/aws/lambda/{FUNCTION}")[
            "logStreams"
        ]
        for event in logs.get_log_events(
            logGroupName=f"/aws/lambda/{FUNCTION}",
            logStreamName=stream["logStreamName"],
            limit=10_000,
        )["events"]
    ]
    assert any("incident_id" in line for line in lines)
    said: dict[str, Any] = {
        "logs": lines,
        "ledger": stage.ledger(),
        "messages": stage.messages(),
        "events": events,
        "answers": answers,
    }
    assert {
        where: CANARY in json.dumps(what, default=str) for where, what in said.items()
    } == dict.fromkeys(said, False)
