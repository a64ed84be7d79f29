"""What ECS says of a deployment that somebody started while a rollback was still being watched."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from localcloud.ecs.model import Status
from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, Campaign, Faults, campaign

COMPLETED, FAILED = "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED"


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def rolled_back(here: Campaign) -> str:
    """A service that has been rolled back from its second build, and whose alarm is calm since; its incident is open."""
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    here.invoke(here.event("completed", service), Faults())
    here.alarm(service, "OK", here.cloud.clock.now())
    here.passes(timedelta(minutes=5))
    assert [i["state"] for i in here.incidents(service)] == ["open"]
    return service


def says(here: Campaign, service: str, name: str) -> dict[str, Any]:
    """What the function answers to an event of ECS."""
    assert not here.invoke(here.of_ecs(service, "ECS Deployment State Change", name), Faults()), (
        here.raised
    )
    return here.answers[-1]


def test_a_build_that_returns_from_quarantine_is_told_though_an_incident_is_open(
    here: Campaign,
) -> None:
    service = rolled_back(here)
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(minutes=6))
    answer = says(here, service, COMPLETED)
    assert f"{CLUSTER}/{service}: {service}:2, which was rolled back" in answer["detail"]
    assert answer["detail"].endswith("is deployed again")
    assert [i["state"] for i in here.incidents(service)] == ["superseded"]
    assert [(t["outcome"], t.get("incident_state")) for t in here.told(service)[1:]] == [
        ("rolled_back", "superseded"),
        ("done", None),
    ]


def test_a_build_that_returns_from_quarantine_into_a_red_alarm_is_told_and_judged(
    here: Campaign,
) -> None:
    service = rolled_back(here)
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(minutes=6))
    here.alarm(service, "ALARM", here.cloud.clock.now() - timedelta(minutes=2))
    assert says(here, service, COMPLETED)["outcome"] in ("rolled_back", "held")
    assert [t["outcome"] for t in here.told(service)].count("done") == 1
    here.alarm(service, "OK", here.cloud.clock.now())


def test_a_failed_deployment_of_somebody_else_is_judged_though_an_incident_is_open(
    here: Campaign,
) -> None:
    service = rolled_back(here)
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(seconds=30))
    here.fails(service)
    answer = says(here, service, FAILED)
    assert (answer["outcome"], answer["reason"]) == ("rolled_back", "deployment_failed")
    assert sorted(i["state"] for i in here.incidents(service)) == ["open", "superseded"]


@pytest.mark.parametrize("breaker", [False, True], ids=["it is ours", "it is left to ECS"])
def test_a_failure_that_came_while_an_alarm_was_judged_is_the_sweeps(
    here: Campaign, *, breaker: bool
) -> None:
    (service,) = here.prepare(1)
    rolls_back: Any = {"deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker}}
    here.ecs.update_service(cluster=CLUSTER, service=service, deploymentConfiguration=rolls_back)
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(minutes=6))
    here.fails(service)
    here.is_judged_by_another(service)
    assert says(here, service, FAILED)["reason"] == "already_handled"
    here.passes(timedelta(minutes=3))
    here.invoke(here.sweep(), Faults())
    assert [i["state"] for i in here.incidents(service)] == ([] if breaker else ["open"])
    here.passes(timedelta(minutes=11))
    here.invoke(here.sweep(), Faults())
    assert len(here.incidents(service)) == 1
    assert [i for i in here.items(service) if str(i["sk"]).startswith("watch#")] == []


def test_tasks_that_cannot_start_are_judged_by_the_sweep_where_the_event_was_turned_away(
    here: Campaign,
) -> None:
    """The judgement that turned it away died for good, and no alarm is red."""
    (service,) = here.prepare(1)
    here.breaks("cannot_start", service)
    here.is_judged_by_another(service)
    here.invoke(here.event("cannot_start", service), Faults())
    assert here.incidents(service) == []
    here.passes(timedelta(minutes=3))
    here.invoke(here.sweep(), Faults())
    assert [i["state"] for i in here.incidents(service)] == ["open"]
    here.recovers(service)
    assert [i for i in here.items(service) if str(i["sk"]).startswith("watch#")] == []


@pytest.mark.parametrize("breaker", [False, True], ids=["it is ours", "it is left to ECS"])
@pytest.mark.parametrize("turned_away", [False, True], ids=["judged at once", "left to the sweep"])
def test_the_failure_of_a_deployment_that_was_replaced_is_no_fault_of_what_replaced_it(
    here: Campaign, *, breaker: bool, turned_away: bool
) -> None:
    """The event comes five seconds after the next deployment began, which succeeds."""
    (service,) = here.prepare(1)
    rolls_back: Any = {"deploymentCircuitBreaker": {"enable": breaker, "rollback": breaker}}
    here.ecs.update_service(cluster=CLUSTER, service=service, deploymentConfiguration=rolls_back)
    here.world.define(service, {"app": f"{here.repository}:v1"}, cpu="512")
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(seconds=30))
    failed = here.deployment_id(service)
    here.fails(service)
    here.world.deploy(CLUSTER, service, f"{service}:3")
    here.passes(timedelta(seconds=5))
    event = here.of_ecs(service, "ECS Deployment State Change", FAILED, failed)
    if turned_away:
        here.is_judged_by_another(service)
    assert not here.invoke(event, Faults()), here.raised
    assert here.answers[-1]["reason"] == ("already_handled" if turned_away else "superseded")
    for _ in range(4):
        here.passes(timedelta(minutes=5))
        assert not here.invoke(here.sweep(), Faults()), here.raised
    assert here.incidents(service) == []
    assert here.cloud.ecs.find(CLUSTER, service).task_definition.endswith(f"{service}:3")
    assert [i for i in here.items(service) if str(i["sk"]).startswith("watch#")] == []


def test_a_failure_of_another_account_touches_nothing(here: Campaign) -> None:
    """Its service has the name of one that is protected here."""
    (service,) = here.prepare(1)
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(seconds=30))
    event = here.of_ecs(service, "ECS Deployment State Change", FAILED)
    event["resources"] = [
        arn.replace(here.cloud.account, "999999999999") for arn in event["resources"]
    ]
    faults = Faults()
    assert not here.invoke(event, faults), here.raised
    assert (here.answers[-1]["outcome"], here.answers[-1]["reason"]) == (
        "ignored",
        "unprotected_service",
    )
    assert faults.calls == []


def test_where_ecs_and_the_second_try_both_fail_people_are_told_what_runs(
    here: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    (service,) = here.prepare(1)
    here.breaks("in_progress", service)
    here.invoke(here.event("in_progress", service), Faults())
    stopped = here.cloud.ecs.find(CLUSTER, service).newest
    assert stopped is not None
    stopped.status, stopped.finished_at = Status.ROLLBACK_FAILED, here.cloud.clock.now()

    def denied(call: Call) -> None:
        if call.operation == "UpdateService":
            raise Refusal("AccessDeniedException", "not allowed")

    monkeypatch.setattr(here.cloud.recorder, "interfere", denied)
    answer = says(here, service, FAILED)
    assert answer["incident_state"] == "not_recovered"
    assert "UpdateService: AccessDeniedException: not allowed" in answer["summary"]
    assert f"{service}:2 is what the service is set to run now" in answer["summary"]
    assert here.told(service)[-1] == answer
