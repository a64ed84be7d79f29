"""What events alone would lose is found by the sweep; where nothing was lost, it costs two calls."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from localcloud.ecs.model import Status
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, Campaign, Case, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def sweep(here: Campaign) -> list[str]:
    """One sweep; the calls that it made."""
    faults = Faults()
    here.invoke(here.sweep(), faults)
    return faults.calls


def test_when_all_is_calm_it_is_one_ledger_query_and_one_describe_alarms(here: Campaign) -> None:
    here.prepare(1)
    assert sweep(here) == ["dynamodb.Query", "cloudwatch.DescribeAlarms"]


def test_an_alarm_whose_event_was_lost_is_judged_once(here: Campaign) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    assert "ecs.UpdateService" in sweep(here)
    assert [i["state"] for i in here.incidents(service)] == ["open"]
    assert "ecs.UpdateService" not in sweep(here)
    here.recovers(service)
    assert [i["state"] for i in here.incidents(service)] == ["recovered"]


def test_what_the_sweep_does_is_counted_and_logged_like_what_events_do(here: Campaign) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    sweep(here)
    here.recovers(service)
    of_it = [
        (r["outcome"], r["incident_state"]) for r in here.counted if r.get("service") == service
    ]
    assert of_it == [("rolled_back", "open"), ("rolled_back", "recovered")]


def test_a_red_alarm_with_a_verdict_of_its_own_is_not_judged_again(here: Campaign) -> None:
    (service,) = here.prepare(1)
    here.alarm(service, "ALARM", here.cloud.clock.now())  # long after its deployment
    assert "cloudwatch.DescribeAlarmHistory" in sweep(here)
    assert [t["reason"] for t in here.told(service)] == ["no_recent_deployment"]
    assert sweep(here) == [
        "dynamodb.Query",
        "cloudwatch.DescribeAlarms",
        "ssm.GetParameter",  # whether it is protected, before anything of it is read
        "dynamodb.Query",
        "ecs.ListServiceDeployments",
    ]
    here.alarm(service, "OK", here.cloud.clock.now())


def test_an_alarm_that_was_heard_muted_is_left_alone(here: Campaign) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    event = json.loads(json.dumps(here.event("completed", service)))
    event["detail"]["muteDetail"] = {
        "mutedByArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm-mute-rule:night"
    }
    here.invoke(event, Faults())
    assert "ecs.UpdateService" not in sweep(here)
    assert here.incidents(service) == []
    here.alarm(service, "OK", here.cloud.clock.now())


def test_one_broken_policy_does_not_keep_the_others_waiting_and_is_not_hushed_up(
    here: Campaign,
) -> None:
    broken, well = here.prepare(2)
    ssm = here.session.client("ssm")
    ssm.put_parameter(
        Name=f"/auto-rollback/{CLUSTER}/{broken}", Value="{}", Type="String", Overwrite=True
    )
    for service in (broken, well):
        here.breaks("completed", service)
    assert here.invoke(here.sweep(), Faults()), (
        "the invocation fails, so that the alarm on errors speaks"
    )
    assert f"parameter /auto-rollback/{CLUSTER}/{broken}" in here.raised[-1]
    assert [i["state"] for i in here.incidents(well)] == ["open"]
    assert here.incidents(broken) == []
    here.alarm(broken, "OK", here.cloud.clock.now())
    here.recovers(well)


def test_a_rollback_that_ecs_could_not_finish_is_deployed_once(here: Campaign) -> None:
    (service,) = here.prepare(1)
    here.breaks("in_progress", service)
    stopping, first, second = Faults(), Faults(), Faults()
    here.invoke(here.event("in_progress", service), stopping)
    assert "ecs.StopServiceDeployment" in stopping.calls
    deployment = here.cloud.ecs.find(CLUSTER, service).newest
    assert deployment is not None
    deployment.status, deployment.finished_at = Status.ROLLBACK_FAILED, here.cloud.clock.now()
    here.invoke(
        here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"), first
    )
    here.invoke(
        here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"), second
    )
    assert ("ecs.UpdateService" in first.calls, "ecs.UpdateService" in second.calls) == (
        True,
        False,
    )
    assert "ECS's own rollback failed" in here.told(service)[-1]["summary"]
    here.recovers(service)
    assert [i["state"] for i in here.incidents(service)] == ["recovered"]


def test_a_rollback_that_somebody_deployed_over_before_its_second_try_stays_on_record(
    here: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    (service,) = here.prepare(1)
    here.breaks("in_progress", service)
    here.invoke(here.event("in_progress", service), Faults())
    deployment = here.cloud.ecs.find(CLUSTER, service).newest
    assert deployment is not None
    deployment.status, deployment.finished_at = Status.ROLLBACK_FAILED, here.cloud.clock.now()
    again = Faults()

    def deploy(call: Call) -> None:
        second_look = again.calls.count("ecs.ListServiceDeployments") == 2
        if call.operation == "ListServiceDeployments" and second_look:
            here.cloud.clock.advance(timedelta(seconds=10))
            here.world.deploy(CLUSTER, service, f"{service}:3")

    here.world.define(service, {"app": f"{here.repository}:v1"})
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(here.cloud.recorder, "interfere", deploy)
        here.invoke(
            here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"), again
        )
    assert "ecs.UpdateService" not in again.calls
    assert [(i["state"], "unfinished" in i) for i in here.incidents(service)] == [
        ("superseded", False)
    ]
    assert [t["incident_state"] for t in here.told(service)][:2] == ["open", "superseded"]
    here.recovers(service)


def test_a_failed_deployment_that_ecs_was_to_roll_back_and_did_not_is_rolled_back_here(
    here: Campaign,
) -> None:
    (service,) = here.prepare(1)
    breaker: Any = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    here.ecs.update_service(cluster=CLUSTER, service=service, deploymentConfiguration=breaker)
    here.breaks("cannot_start", service)
    here.fails(service)
    left = Faults()
    here.invoke(
        here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"), left
    )
    assert "ecs.UpdateService" not in left.calls
    assert "ecs.UpdateService" not in sweep(here), "ECS has its time"
    here.passes(timedelta(minutes=11))
    assert "ecs.UpdateService" in sweep(here)
    assert [(i["state"], "unfinished" in i) for i in here.incidents(service)] == [("open", True)]
    here.recovers(service)


def test_a_claim_that_nobody_could_finish_for_an_hour_is_given_up_and_told(here: Campaign) -> None:
    (service,) = here.prepare(1)
    case = Case("by_hand", 0)
    here.breaks("completed", service)
    case.first.dies_at = 16  # the act
    here.invoke(here.event("by_hand", service), case.first)
    assert [i["state"] for i in here.incidents(service)] == ["acting"]
    assert "ecs.UpdateService" not in case.first.calls[:-1]
    here.alarm(service, "OK", here.cloud.clock.now())
    here.passes(here.OLD)
    sweep(here)
    assert [i["state"] for i in here.incidents(service)] == ["failed"]
    assert [t["outcome"] for t in here.told(service)] == ["failed"]
