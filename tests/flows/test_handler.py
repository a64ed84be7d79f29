"""The door: one event in, one JSON object out; what cannot be finished raises."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from autorollback import handler, metrics
from autorollback.aws.clients import Clients
from autorollback.flows.session import Invocation, Session, Settings
from autorollback.naming import Names
from autorollback.policy import Mode
from autorollback.results import Answer
from tests.flows.stories import World
from tests.scenarios.history import days, minutes

ENVIRONMENT = {
    "AUTO_ROLLBACK_NAME": "auto-rollback",
    "LEDGER_TABLE": "ledger",
    "TOPIC_ARN": "arn:aws:sns:eu-central-1:111122223333:topic",
    "PROTECTED_SERVICES": "20",
}


class Counted:
    """What was counted, by the names of the counters."""

    def __init__(self) -> None:
        self.names: list[str] = []


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()

    def emit(_namespace: str, name: str, *_: object, **__: object) -> None:
        counted.names.append(name)

    monkeypatch.setattr(metrics, "_emit", emit)
    return counted


@pytest.fixture
def invoke(
    world: World, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, Any]]:
    """The handler as Lambda calls it, on a session of this world."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def session_of(
        _settings: Settings,
        _clients: object,
        invocation: Invocation,
        report: Callable[[Answer], None],
    ) -> Session:
        told = world.session(invocation.request_id)
        fields = {name: getattr(told, name) for name in Session.__slots__}
        return Session(**{**fields, "report": report})

    monkeypatch.setattr(Session, "of", session_of)
    monkeypatch.setattr(handler, "_clients", mock.Mock())

    def invoke(event: object, request_id: str = "request") -> dict[str, Any]:
        context = mock.Mock(aws_request_id=request_id)
        context.get_remaining_time_in_millis.return_value = 300_000
        answer = handler.handle(event, context)
        json.dumps(answer)
        return dict(answer)

    return invoke


def alarm_event(signal: str = "5xx-rate", state: str = "ALARM") -> dict[str, Any]:
    return {
        "id": "event-1",
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "account": "111122223333",
        "region": "eu-central-1",
        "time": "2026-11-22T14:00:00Z",
        "detail": {
            "alarmName": f"auto-rollback/shop/auth/{signal}",
            "state": {"value": state, "timestamp": "2026-11-22T14:00:00.000+0000"},
        },
    }


def test_an_alarm_rolls_back_and_is_counted_with_its_time(
    world: World, counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    answer = invoke(alarm_event())
    assert (answer["outcome"], answer["to"]["task_definition"]) == ("rolled_back", "auth:v1")
    assert counted.names == ["Rollback"]
    assert invoke(alarm_event()) == answer, "its retry gets the same answer"


def test_an_input_that_is_not_understood_is_rejected_and_counted(
    counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    answer = invoke({"action": "explode"})
    assert (answer["outcome"], answer["reason"]) == ("rejected", "bad_request")
    assert answer["error"]["field"] == "action"
    assert counted.names == ["Rejected"]
    assert invoke("nonsense")["outcome"] == "rejected"


@pytest.mark.parametrize(
    "asked",
    [
        {"action": "plan", "service": "auth"},
        {"action": "rollback", "service": "auth", "dry_run": True},
    ],
    ids=["a plan", "a dry run"],
)
def test_what_only_asks_is_in_no_metric(
    world: World, counted: Counted, invoke: Callable[..., dict[str, Any]], asked: dict[str, Any]
) -> None:
    world.bad_deployment()
    assert invoke(asked)["outcome"] == "would_roll_back"
    assert counted.names == []


def test_what_is_not_ours_is_in_no_metric(
    counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    event = {**alarm_event(), "account": "999999999999"}
    assert invoke(event)["reason"] == "unprotected_service"
    assert counted.names == []


def test_what_cannot_be_finished_raises(
    world: World, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError, match="killed"):
        invoke(alarm_event())


def test_an_invocation_whose_message_could_not_be_sent_fails_when_all_is_done(
    world: World, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    world.announcer.fails = [ConnectionError("SNS is down")]
    with pytest.raises(ExceptionGroup, match=r"1 message\(s\) could not be sent, and are kept"):
        invoke(alarm_event())
    assert world.rollbacks("auth") == ["v1"]


def test_a_hold_and_what_observe_would_do_are_counted_by_their_names(
    world: World, counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=days(2))
    world.turn_red("auth", "5xx-rate")
    assert invoke(alarm_event(), "first")["outcome"] == "held"
    assert counted.names == ["Held", "Held"]
    counted.names.clear()
    story.under(mode=Mode.OBSERVE).deployed("v3", ago=minutes(9))
    assert invoke(alarm_event(), "second")["outcome"] == "would_roll_back"
    assert counted.names == ["WouldRollBack"]


def test_the_sweep_counts_itself_and_each_answer(
    world: World, counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    rule = "arn:aws:events:eu-central-1:111122223333:rule/" + Names().sweep_rule
    event = {
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "account": "111122223333",
        "region": "eu-central-1",
        "time": "2026-11-22T14:00:00Z",
        "resources": [rule],
        "detail": {},
    }
    answer = invoke(event)
    assert answer == {"outcome": "done", "detail": "1 service(s) looked after"}
    assert counted.names == ["Rollback", "Sweep"]


def test_the_daily_audit_counts_who_is_ready(
    world: World, counted: Counted, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    rule = "arn:aws:events:eu-central-1:111122223333:rule/" + Names().readiness_rule
    event = {
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "account": "111122223333",
        "region": "eu-central-1",
        "time": "2026-11-22T14:00:00Z",
        "resources": [rule],
        "detail": {},
    }
    answer = invoke(event)
    assert [service["service"] for service in answer["services"]] == ["auth"]
    assert counted.names == ["RollbackReady"]
    assert world.audit.memory.keys() == {"shop/auth"}


def test_what_a_person_asks_of_the_ledger_is_answered(
    world: World, invoke: Callable[..., dict[str, Any]]
) -> None:
    world.bad_deployment()
    answer = invoke({"action": "history"})
    assert answer == {"outcome": "done", "incidents": [], "next": None}
    assert invoke(alarm_event(state="INSUFFICIENT_DATA"))["reason"] == "not_in_alarm"


def test_a_function_that_the_stack_did_not_deploy_says_what_is_missing() -> None:
    with pytest.raises(KeyError, match="LEDGER_TABLE"):
        handler.settings_of({"AUTO_ROLLBACK_NAME": "auto-rollback"})


def test_a_session_has_every_adapter_on_the_same_clients() -> None:
    settings = handler.settings_of(ENVIRONMENT)
    clients = Clients(mock.Mock())
    invocation = Invocation("request", World().now, minutes(1))
    session = Session.of(settings, clients, invocation, lambda _: None)
    assert session.reader.ledger is session.ledger
    assert session.reader.alarms is session.alarms
    assert session.reader.deployments is session.deployments
    assert session.reader.neighbours.protected_services == 20
    assert session.invocation.lease_until == World().now + minutes(1)
