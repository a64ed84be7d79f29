"""The main job, through the deployed stack: real alarm definitions, real rules, the zip in a process of its own."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from autorollback import codec
from autorollback.aws.ledger_items import unpacked
from autorollback.decision.decide import decide
from autorollback.decision.verdicts import RollBack
from demo.scenario import AUTH, FUNCTION, Actor, Stage, StageError
from localcloud import functions
from localcloud.traffic import Behaviour
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes

FIRST_READS = {"GetParameter", "DescribeServices", "DescribeAlarms"}
READS = ("Describe", "List", "Get", "BatchGet", "Query")


def acts(stage: Stage) -> list[str]:
    """What the function did to the service: `family:revision` that it deployed, or that it had ECS stop a deployment."""
    calls = stage.cloud.recorder.calls(access_key=functions.access_key(FUNCTION))
    return [
        str(call.parameters.get("taskDefinition", "stopped")).rpartition("/")[2]
        for call in calls
        if call.operation in ("UpdateService", "StopServiceDeployment")
    ]


def alarm_event(stage: Stage, signal: str) -> dict[str, Any]:
    """The event that CloudWatch sends for an alarm that is in ALARM now."""
    (alarm,) = (
        stage.cloud.session()
        .client("cloudwatch")
        .describe_alarms(AlarmNames=[f"auto-rollback/my-cluster/auth-service/{signal}"])[
            "MetricAlarms"
        ]
    )
    state = {
        "value": alarm["StateValue"],
        "timestamp": alarm["StateUpdatedTimestamp"].strftime("%Y-%m-%dT%H:%M:%S.000+0000"),
        "reasonData": alarm.get("StateReasonData", "{}"),
    }
    return {
        "version": "0", "id": signal, "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
        "account": stage.cloud.account, "region": stage.cloud.region,
        "time": alarm["StateUpdatedTimestamp"].strftime("%Y-%m-%dT%H:%M:%SZ"), "resources": [alarm["AlarmArn"]],
        "detail": {"alarmName": alarm["AlarmName"], "state": state, "previousState": {"value": "OK"}, "configuration": {}},
    }  # fmt: skip


def test_a_bad_deployment_is_rolled_back_to_the_digest_that_ran_and_its_recovery_confirmed(
    scene: Scene,
) -> None:
    stage = scene()
    good = stage.running()
    stage.deploy_bad()
    assert stage.until(lambda: bool(acts(stage)), within=minutes(10))
    assert acts(stage) == ["auth-service:18"]
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("rolled_back", "alarm_after_deployment")
    assert verdict["from"]["task_definition"] == "auth-service:19"
    assert verdict["to"]["images"] == {"app": next(iter(good))}
    assert stage.until(
        lambda: last_verdict(stage)["incident_state"] == "recovered", within=minutes(25)
    )
    assert stage.running() == good
    judged_again = decide(*codec.read_record(unpacked(stage.incidents()[0]["facts"])))
    assert isinstance(judged_again.verdict, RollBack)
    assert [
        {"rule": e.rule, "verdict": e.verdict, "detail": e.detail} for e in judged_again.evidence
    ] == verdict["evidence"]
    (incident,) = stage.invoke({"action": "history", "service": "auth-service"})["incidents"]
    assert incident["incident_state"] == "recovered"
    assert incident["opened_at"] < incident["closed_at"]
    assert acts(stage) == ["auth-service:18"], "the recovery is no reason to act again"


def test_three_alarms_of_one_incident_each_delivered_twice_at_once_make_one_rollback(
    scene: Scene,
) -> None:
    stage = scene()
    stage.cloud.traffic.behaviour(
        stage.digests["auth-service:v19"],
        Behaviour(error_rate=0.5, latency_seconds=4, healthy=True),
    )
    client = stage.cloud.session().client("events")
    client.disable_rule(Name=f"{FUNCTION}-alarms")
    stage.deploy_bad()
    assert stage.until(
        lambda: stage.alarm_state("latency") == "ALARM" == stage.alarm_state(), within=minutes(10)
    )
    cloudwatch = stage.cloud.session().client("cloudwatch")
    third = "auto-rollback/my-cluster/auth-service/unhealthy-targets"
    cloudwatch.set_alarm_state(AlarmName=third, StateValue="ALARM", StateReason="for this test")
    events = [alarm_event(stage, signal) for signal in ("5xx-rate", "latency", "unhealthy-targets")]
    lambda_ = stage.cloud.session().client("lambda")

    def deliver(event: dict[str, Any]) -> dict[str, Any]:
        answer = lambda_.invoke(FunctionName=FUNCTION, Payload=json.dumps(event))
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        return result

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(deliver, events * 2))
    assert acts(stage) == ["auth-service:18"]
    assert sorted(o["outcome"] for o in outcomes) == ["ignored"] * 5 + ["rolled_back"]
    assert {o["reason"] for o in outcomes if o["outcome"] == "ignored"} <= {"already_handled"}
    assert len(stage.incidents()) == 1


def test_a_plan_says_what_would_happen_and_touches_nothing(scene: Scene) -> None:
    stage = scene()
    stage.cloud.session().client("events").disable_rule(Name=f"{FUNCTION}-alarms")
    stage.deploy_bad()
    stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    stage.cloud.recorder.clear()
    plan = stage.invoke({"action": "plan", "service": "auth-service"})
    assert (plan["outcome"], plan["reason"]) == ("would_roll_back", "requested")
    assert plan["to"]["task_definition"] == "auth-service:18"
    assert {"rule": "alarm_after_deployment", "verdict": "roll_back"}.items() <= plan["evidence"][
        -1
    ].items()
    asked = {
        call.operation
        for call in stage.cloud.recorder.calls(access_key=functions.access_key(FUNCTION))
    }
    assert asked >= FIRST_READS
    assert [operation for operation in asked if not operation.startswith(READS)] == []


def test_a_person_rolls_back_by_service_alone_or_to_a_revision_they_name(scene: Scene) -> None:
    stage = scene()
    stage.deploy_bad()
    stage.passes(minutes(1.5))
    by_service = stage.invoke({"service": "auth-service", "reason": "checkout fails"})
    assert (by_service["outcome"], by_service["to"]["task_definition"]) == (
        "rolled_back",
        "auth-service:18",
    )
    stage.passes(minutes(3))
    by_name = stage.invoke(
        {"service": "auth-service", "cluster": "my-cluster", "revision": "auth-service:17"}
    )
    assert (by_name["outcome"], by_name["reason"]) == ("rolled_back", "requested")
    assert acts(stage) == ["auth-service:18", "auth-service:17"]
    again = stage.invoke({"service": "auth-service", "revision": 17})
    assert (again["outcome"], again["reason"]) == ("ignored", "already_running")


def test_trouble_61_minutes_after_the_deployment_is_held(scene: Scene) -> None:
    stage = scene()
    digest = stage.digests["auth-service:v19"]
    stage.cloud.traffic.behaviour(digest, Behaviour())
    stage.deploy_bad()
    stage.passes(minutes(62))
    stage.cloud.traffic.behaviour(digest, Behaviour(error_rate=0.4))
    stage.passes(minutes(6))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "no_recent_deployment")
    assert acts(stage) == []


def test_a_deployment_into_a_red_alarm_is_not_blamed_for_it(scene: Scene) -> None:
    stage = scene()
    stage.cloud.traffic.behaviour(stage.digests["auth-service:v18"], Behaviour(error_rate=0.4))
    stage.passes(minutes(8))
    stage.deploy_bad()
    stage.passes(minutes(4))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "alarm_predates_deployment")
    assert acts(stage) == []


def test_in_mode_observe_it_says_what_it_would_do_once_and_does_nothing(scene: Scene) -> None:
    stage = scene(Actor(policy={"mode": "observe"}))
    stage.deploy_bad()
    stage.passes(minutes(12))
    told = [message["result"] for message in stage.messages() if message["result"]]
    assert [(t["outcome"], t["reason"]) for t in told] == [
        ("would_roll_back", "alarm_after_deployment")
    ]
    assert acts(stage) == []
    assert stage.running_revision() == "auth-service:19"


def test_a_service_without_policy_is_left_alone(scene: Scene) -> None:
    stage = scene()
    parameter = "/auto-rollback/my-cluster/auth-service"
    stage.cloud.session().client("ssm").delete_parameter(Name=parameter)
    stage.deploy_bad()
    stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    assert stage.invoke(alarm_event(stage, "5xx-rate"))["reason"] == "unprotected_service"
    assert stage.invoke({"service": "auth-service"})["error"] == {
        "field": "service",
        "given": "auth-service",
        "allowed": "a protected service; there is none yet",
    }
    assert acts(stage) == []


def test_a_policy_edited_into_nonsense_fails_the_invocation_and_reaches_the_dead_letter_queue(
    scene: Scene,
) -> None:
    stage = scene()
    ssm, sqs = stage.cloud.session().client("ssm"), stage.cloud.session().client("sqs")
    parameter = "/auto-rollback/my-cluster/auth-service"
    document = json.loads(ssm.get_parameter(Name=parameter)["Parameter"]["Value"])
    ssm.put_parameter(
        Name=parameter, Value=json.dumps(document | {"window_minutes": "soon"}), Overwrite=True
    )
    stage.deploy_bad()
    stage.passes(minutes(10))
    (queue,) = sqs.list_queues()["QueueUrls"]
    letters = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    buried = [json.loads(letter["Body"]) for letter in letters]
    error = buried[0]["responsePayload"]["errorMessage"]
    assert (
        error
        == f'parameter {parameter}.window_minutes: "soon" given; allowed: a whole number of minutes from 1 to 10080'
    )
    assert acts(stage) == []


@pytest.mark.parametrize("lost", ["mode", "alarms", "families", "window_minutes"])
def test_a_policy_that_lost_a_key_takes_no_default_and_nothing_is_done(
    scene: Scene, lost: str
) -> None:
    stage = scene()
    ssm = stage.cloud.session().client("ssm")
    parameter = "/auto-rollback/my-cluster/auth-service"
    document = json.loads(ssm.get_parameter(Name=parameter)["Parameter"]["Value"])
    del document[lost]
    ssm.put_parameter(Name=parameter, Value=json.dumps(document), Overwrite=True)
    stage.deploy_bad()
    assert stage.until(lambda: stage.alarm_state() == "ALARM", within=minutes(10))
    with pytest.raises(StageError, match=f"{parameter}.{lost}: missing"):
        stage.invoke(alarm_event(stage, "5xx-rate"))
    answer = stage.invoke({"service": "auth-service", "force": True})
    assert (answer["outcome"], answer["error"]["field"]) == (
        "rejected",
        f"parameter {parameter}.{lost}",
    )
    stage.passes(minutes(10))
    assert acts(stage) == []
    assert stage.incidents() == []


def test_the_first_deployment_of_a_service_has_nothing_to_go_back_to(scene: Scene) -> None:
    stage = scene()
    session = stage.cloud.session()
    ecs = session.client("ecs")
    ecs.delete_service(cluster=AUTH.cluster, service=AUTH.name, force=True)
    stage.passes(minutes(2))
    group = f"arn:aws:elasticloadbalancing:{stage.cloud.region}:{stage.cloud.account}:{AUTH.target_group}"
    stage.world.service(
        AUTH.cluster, AUTH.name, f"{AUTH.name}:19",
        loadBalancers=[{"targetGroupArn": group, "containerName": "app", "containerPort": 80}],
    )  # fmt: skip
    stage.passes(minutes(8))
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == ("held", "no_stable_revision")
    assert acts(stage) == []
