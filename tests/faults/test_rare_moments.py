"""What happens rarely: full tags, lost answers, another hand in the ledger, clocks apart, a minute that straddles."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any

import pytest

from autorollback import handler
from autorollback.aws.deployer import Deployer
from localcloud.recorder import Call
from tests.faults.campaign import CLUSTER, TABLE, Campaign, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def began(here: Campaign) -> datetime:
    """The first of three minutes that have breached by now."""
    return here.cloud.clock.now().replace(second=0, microsecond=0) - minutes(3)


def sweep(here: Campaign) -> list[str]:
    """One sweep; the calls that it made."""
    faults = Faults()
    here.invoke(here.sweep(), faults)
    return faults.calls


def reasons(here: Campaign, service: str) -> list[tuple[str, str]]:
    """What people were told of a service."""
    return [(told["outcome"], told["reason"]) for told in here.told(service)]


# --- a copy


def test_a_copy_with_as_many_tags_as_aws_takes_whose_answer_was_lost_is_found_and_not_made_again(
    here: Campaign,
) -> None:
    """The tag that says whose copy it is gives way, so that the content alone tells."""
    (service,) = here.prepare(1)
    tags: Any = [{"key": f"team-{number}", "value": "x"} for number in range(50)]
    definition = here.ecs.describe_task_definition(taskDefinition=f"{service}:1")
    arn = definition["taskDefinition"]["taskDefinitionArn"]
    here.ecs.tag_resource(resourceArn=arn, tags=tags)
    here.breaks("copy", service)
    lost: list[Call] = []

    def is_lost(call: Call) -> bool:
        if call.operation != "RegisterTaskDefinition" or lost:
            return False
        lost.append(call)
        return True

    found_again = here.cloud.recorder.lose(is_lost)
    assert not here.invoke(here.event("copy", service), Faults()), here.raised
    found_again()
    assert sorted(lost[0].parameters["tags"], key=str) == sorted(tags, key=str)
    assert here.acts.count((service, "RegisterTaskDefinition")) == 1
    assert here.cloud.ecs.find(CLUSTER, service).task_definition.endswith(f"{service}:3")
    (incident,) = here.incidents(service)
    assert json.loads(incident["result"])["to"]["restored_as"] == f"{service}:3"
    here.recovers(service)


# --- the ledger


def claimed(here: Campaign, service: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A rollback is claimed, and its process dies before the act; the claim's item."""

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    here.breaks("completed", service)
    with monkeypatch.context() as dying:
        dying.setattr(Deployer, "update", die)
        assert here.invoke(here.event("completed", service), Faults())
    (item,) = here.incidents(service)
    return item


def written(here: Campaign, item: dict[str, Any], **changed: object) -> None:
    """Another hand writes into the table."""
    key = {"pk": {"S": str(item["pk"])}, "sk": {"S": str(item["sk"])}}
    stored: Any = here.dynamodb.get_item(TableName=TABLE, Key=key)["Item"]
    for name, value in changed.items():
        stored[name] = {"S": str(value)}
    here.dynamodb.put_item(TableName=TABLE, Item=stored)


def aimed_at(here: Campaign, item: dict[str, Any], definition: str) -> str:
    """The intent of a claim, with another target."""
    of_account = f"arn:aws:ecs:{here.cloud.region}:{here.cloud.account}"
    target = f"{of_account}:task-definition/{definition}"
    return json.dumps(json.loads(item["intent"]) | {"target": target, "deploy": target})


def test_a_claim_that_another_hand_turned_to_a_foreign_definition_or_service_is_not_carried_out(
    here: Campaign,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turned, moved, into = here.prepare(3)
    here.world.define("admin", {"app": f"{here.repository}:v1"})
    item = claimed(here, turned, monkeypatch)
    written(here, item, intent=aimed_at(here, item, "admin:1"))
    item = claimed(here, moved, monkeypatch)
    written(here, item, pk=f"service#{CLUSTER}/{into}")
    for service in (turned, moved):
        here.alarm(service, "OK", here.cloud.clock.now())
    here.passes(minutes(6))

    acted = len(here.acts)
    sweep(here)
    assert here.acts[acted:] == [(moved, "UpdateService")], "the claim of its own service"
    runs = {name: here.cloud.ecs.find(CLUSTER, name).task_definition for name in (turned, into)}
    assert runs[turned].endswith(f"{turned}:2")
    assert runs[into].endswith(f"{into}:1")
    for service, why in ((turned, "is no revision that ran"), (into, f"{CLUSTER}/{moved}")):
        assert [incident["state"] for incident in here.incidents(service)] == ["failed"]
        (told,) = here.told(service)
        assert (told["outcome"], told["severity"]) == ("failed", "critical")
        assert why in told["summary"]
        assert "Who wrote it?" in told["summary"]
    here.passes(minutes(6))
    sweep(here)
    assert [len(here.told(service)) for service in (turned, into)] == [1, 1], "once"
    here.recovers(moved)


# --- clocks


@pytest.mark.parametrize("ahead", [10, 55, -10, -55])
def test_a_clock_that_differs_from_that_of_aws_makes_no_failure_of_a_rollback_that_worked(
    here: Campaign,
    monkeypatch: pytest.MonkeyPatch,
    ahead: int,
) -> None:
    def now(_: tzinfo) -> datetime:
        return here.cloud.clock.now() + timedelta(seconds=ahead)

    (service,) = here.prepare(1)
    here.breaks("completed", service)
    with monkeypatch.context() as apart:
        apart.setattr(handler, "datetime", SimpleNamespace(now=now))
        here.invoke(here.event("completed", service), Faults())
        here.recovers(service)
    told = [(one["incident_state"], one["severity"]) for one in here.told(service)]
    assert told == [("open", "info"), ("recovered", "info")]
    assert [one for one in here.acts if one[0] == service] == [(service, "UpdateService")]


# --- a minute that straddles


def test_what_breached_only_in_the_minute_of_the_start_is_asked_again_by_the_next_invocation(
    here: Campaign,
) -> None:
    """The first one tells nobody; the alarm goes on being red, and then a minute lies after the start."""
    (service,) = here.prepare(1)
    here.cloudwatch.put_metric_alarm(
        AlarmName=f"queue-{service}", Namespace="Queues", MetricName=service, Statistic="Sum", Period=60, Threshold=30,
        EvaluationPeriods=3, ComparisonOperator="GreaterThanThreshold", TreatMissingData="missing",
    )  # fmt: skip
    here.world.deploy(CLUSTER, service, f"{service}:2")
    started = here.cloud.clock.now()
    minute = started.replace(second=0, microsecond=0)
    here.passes(minutes(2))
    data = {
        "version": "1.0", "startDate": minute.strftime("%Y-%m-%dT%H:%M:%S.000+0000"), "statistic": "Sum", "period": 60,
        "recentDatapoints": [90.0], "threshold": 30.0,
    }  # fmt: skip
    here.cloudwatch.set_alarm_state(
        AlarmName=f"queue-{service}",
        StateValue="ALARM",
        StateReason="told",
        StateReasonData=json.dumps(data),
    )
    assert not here.invoke(here.event("completed", service), Faults())
    held = here.answers[-1]
    assert (held["outcome"], held["reason"]) == ("held", "alarm_predates_deployment")
    assert (here.told(service), here.incidents(service)) == ([], [])
    sweep(here)
    assert (here.told(service), here.incidents(service)) == ([], []), "nor does the sweep yet"
    here.passes(minutes(8))
    sweep(here)
    assert reasons(here, service) == [("rolled_back", "alarm_after_deployment")]
    here.recovers(service)
    assert [incident["state"] for incident in here.incidents(service)] == ["recovered"]


# --- neighbours


@pytest.mark.parametrize(
    ("left_by", "verdict"),
    [
        pytest.param("a rollback by hand", ("held", "shared_cause"), id="rolled back by hand"),
        pytest.param(
            "a new build", ("rolled_back", "alarm_after_deployment"), id="deployed by their teams"
        ),
    ],
)
def test_neighbours_that_people_rolled_back_are_not_excused_by_that(
    here: Campaign,
    left_by: str,
    verdict: tuple[str, str],
) -> None:
    """They fell ill long after what they were rolled back from, and before one that was deployed just now."""
    *neighbours, service = here.prepare(4)
    for name in neighbours:
        here.world.define(name, {"app": f"{here.repository}:v1"}, cpu="512")
        here.world.deploy(CLUSTER, name, f"{name}:2")
    here.passes(minutes(12))
    for name in neighbours:
        if left_by == "a new build":
            here.world.deploy(CLUSTER, name, f"{name}:3")
        else:
            here.invoke({"service": name, "cluster": CLUSTER}, Faults())
            assert here.answers[-1]["outcome"] == "rolled_back", here.raised
    here.world.deploy(CLUSTER, service, f"{service}:2")
    here.passes(minutes(6))
    for name in neighbours:
        here.alarm(name, "ALARM", began(here))
    here.passes(minutes(5))
    here.alarm(service, "ALARM", began(here))
    here.invoke(here.event("completed", service), Faults())
    assert reasons(here, service) == [verdict], here.raised
    for name in (*neighbours, service):
        here.alarm(name, "OK", here.cloud.clock.now())
