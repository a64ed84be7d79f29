"""What a person asks, against a service's real past; and what people are told."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from localcloud.errors import Refusal
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, TABLE, Campaign, Faults, campaign

READS = ("Get", "Describe", "List", "Query", "BatchGet")


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def asked(here: Campaign, payload: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The answer to a payload, and the calls that it took."""
    faults = Faults()
    assert not here.invoke(payload, faults), here.raised
    return here.answers[-1], faults.calls


@pytest.mark.parametrize(
    "revision", [{}, {"revision": 1}], ids=["the last stable one", "a named one"]
)
def test_after_ecs_has_rolled_back_a_person_leaves_what_runs_not_what_failed(
    here: Campaign, revision: dict[str, int]
) -> None:
    (service,) = here.prepare(1)
    here.world.push("app", f"v3-{service}")
    here.world.define(service, {"app": f"{here.repository}:v3-{service}"})
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(timedelta(hours=2))
    here.world.deploy(CLUSTER, service, f"{service}:3")
    here.passes(timedelta(seconds=20))
    newest = here.cloud.ecs.find(CLUSTER, service).newest
    assert newest is not None
    here.ecs.stop_service_deployment(serviceDeploymentArn=newest.arn, stopType="ROLLBACK")
    here.passes(timedelta(minutes=10))
    answer, _ = asked(here, {"service": service, **revision})
    assert (answer["from"]["task_definition"], answer["to"]["task_definition"]) == (
        f"{service}:2",
        f"{service}:1",
    )
    quarantined = {
        i["task_definition"] for i in here.items(service) if str(i["sk"]).startswith("quarantine#")
    }
    assert quarantined == {f"{service}:2", f"{service}:3"}


@pytest.mark.parametrize("more", [{}, {"force": True}, {"revision": 1, "reason": "a try"}], ids=str)
def test_a_dry_run_writes_nothing_anywhere(here: Campaign, more: dict[str, Any]) -> None:
    (service,) = here.prepare(1)
    here.breaks("completed", service)
    here.counted.clear()
    before = here.items(service)
    answer, calls = asked(here, {"service": service, "dry_run": True, **more})
    assert (answer["outcome"], answer["reason"]) == ("would_roll_back", "requested")
    assert [e["rule"] for e in answer["evidence"]][-1] == "alarm_after_deployment", (
        "what the automatic says"
    )
    assert [call for call in calls if not call.split(".")[1].startswith(READS)] == []
    assert (here.items(service), here.told(service), list(here.counted)) == (before, [], [])
    here.alarm(service, "OK", here.cloud.clock.now())


def test_what_holds_without_a_suspect_is_told_once_for_each_onset(here: Campaign) -> None:
    (service,) = here.prepare(1)
    told = []
    for revision in (2, 1):
        here.world.deploy(CLUSTER, service, f"{service}:{revision}")
        here.passes(timedelta(minutes=8))
        here.ecs.update_service(cluster=CLUSTER, service=service, desiredCount=0)
        for minutes in (3, 2):
            here.alarm(service, "ALARM", here.cloud.clock.now() - timedelta(minutes=minutes))
            assert asked(here, here.event("completed", service))[0]["reason"] == "service_inactive"
            here.alarm(service, "OK", here.cloud.clock.now())
        here.ecs.update_service(cluster=CLUSTER, service=service, desiredCount=2)
        here.passes(timedelta(minutes=5))
        told.append(len(here.told(service)))
    assert told == [2, 4]


def test_a_history_that_cannot_be_read_names_the_record_and_not_the_payload(here: Campaign) -> None:
    (service,) = here.prepare(1)
    item = {
        "pk": {"S": f"service#{CLUSTER}/{service}"},
        "sk": {"S": "incident#edited"},
        "version": {"N": "7"},
    }
    here.dynamodb.put_item(TableName=TABLE, Item=item)
    assert here.invoke({"action": "history", "service": service}, Faults())
    assert "incident#edited: version 7, this controller reads up to 2" in here.raised[-1]


def test_a_refused_record_is_not_told_as_a_refused_act(
    here: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stop was done, whatever the ledger said then; the next try writes it down."""
    (service,) = here.prepare(1)
    here.breaks("in_progress", service)
    refused: list[Call] = []

    def refuse_once(call: Call) -> None:
        if call.operation == "TransactWriteItems" and not refused:
            refused.append(call)
            raise Refusal("ValidationException", "The table is being restored.")

    payload = {"service": service, "cluster": CLUSTER}
    with monkeypatch.context() as away:
        away.setattr(here.cloud.recorder, "interfere", refuse_once)
        assert here.invoke(payload, Faults()), "it fails, and says so"
    assert [incident["state"] for incident in here.incidents(service)] == ["acting"]
    here.invoke(here.sweep(), Faults())
    assert [incident["state"] for incident in here.incidents(service)] == ["open"]
    assert {told["outcome"] for told in here.told(service)} == {"rolled_back"}
    here.recovers(service)
