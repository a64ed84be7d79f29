"""A message that cannot be sent: all is judged and done without it, and people are told afterwards, once."""

import itertools

import pytest

from autorollback import metrics
from autorollback.decision.incident import Phase
from autorollback.decision.result import Result
from autorollback.requests import Action
from tests.flows.stories import World, outcome_of
from tests.scenarios.history import hours, minutes

SNS = ConnectionError("the key of the topic is disabled")
BUS = ConnectionError("EventBridge has an hour")
SERVICES = ("auth", "mail", "orders")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def emit(_namespace: str, name: str, *_: object, **__: object) -> None:
        names.append(name)

    monkeypatch.setattr(metrics, "_emit", emit)
    return names


def lines(messages: list[object]) -> list[tuple[str | None, str]]:
    """Who each message is about, and what it says."""
    found = []
    for message in messages:
        assert isinstance(message, Result)
        found.append((message.service, str(message.incident_state or message.reason)))
    return found


def test_three_incidents_in_an_hour_without_sns_are_rolled_back_and_told_afterwards_once(
    world: World, counted: list[str]
) -> None:
    for name in SERVICES:
        world.bad_deployment(name)
    world.announcer.people_unreachable = SNS
    for name in SERVICES:
        assert outcome_of(world.fire(name, "5xx-rate")) == "rolled_back"
        assert world.failed == [SNS], (
            "the invocation fails for its own message, so that it is tried again"
        )
    for _ in range(12):
        world.passes(minutes(5))
        for name in SERVICES:
            world.turn_calm(name, "5xx-rate")
        world.sweep()
    assert world.announcer.messages == []
    assert [world.incident(name).phase for name in SERVICES] == [Phase.RECOVERED] * 3
    assert "Unannounced" in counted, "an alarm speaks of it"

    both = list(itertools.product(SERVICES, ("open", "recovered")))
    assert sorted(lines([*world.announcer.events])) == sorted(both), "machines hear at once, once"

    world.announcer.people_unreachable = None
    counted.clear()
    for _ in range(3):
        world.passes(minutes(5))
        world.sweep()
        assert world.failed == []
    assert sorted(lines([*world.announcer.messages])) == sorted(both)
    for name in SERVICES:
        told = [state for service, state in lines([*world.announcer.messages]) if service == name]
        assert told == ["open", "recovered"], "in the order in which it happened"
        assert not world.known(name).has_untold
    assert len(world.announcer.events) == 6
    assert "Unannounced" not in counted


def test_while_sns_is_down_a_sweep_that_only_sends_what_was_kept_does_not_fail(
    world: World, counted: list[str]
) -> None:
    world.bad_deployment()
    world.announcer.people_unreachable = SNS
    world.fire("auth", "5xx-rate")
    world.passes(minutes(2))
    counted.clear()
    world.sweep()
    assert world.failed == []
    assert counted.count("Unannounced") == 1


def test_where_the_bus_is_down_people_are_told_at_once_and_machines_later(world: World) -> None:
    world.bad_deployment()
    world.announcer.machines_unreachable = BUS
    world.fire("auth", "5xx-rate")
    assert world.failed == [BUS]
    assert world.told == ["rolled_back open"]
    world.passes(minutes(5))
    world.sweep()
    world.announcer.machines_unreachable = None
    for _ in range(2):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open"]
    assert lines([*world.announcer.events]) == [("auth", "open")]
    assert not world.known("auth").has_untold


def test_first_one_is_down_and_then_the_other(world: World) -> None:
    world.bad_deployment()
    world.announcer.people_unreachable = SNS
    world.fire("auth", "5xx-rate")
    world.announcer.people_unreachable = None
    world.announcer.machines_unreachable = BUS
    world.passes(minutes(4))
    world.calm("auth", "5xx-rate")
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert lines([*world.announcer.events]) == [("auth", "open")]
    world.announcer.machines_unreachable = None
    world.passes(minutes(5))
    world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert lines([*world.announcer.events]) == [("auth", "open"), ("auth", "recovered")]


def test_the_retry_of_the_request_tells_people_what_machines_know_already(world: World) -> None:
    world.bad_deployment()
    world.announcer.people_unreachable = SNS
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    world.ask(event, "first")
    world.announcer.people_unreachable = None
    assert outcome_of(world.ask(event, "first")) == "rolled_back"
    world.passes(minutes(5))
    world.sweep()
    assert world.told == ["rolled_back open"]
    assert len(world.announcer.events) == 1
    assert len(world.ecs.acts) == 1


@pytest.mark.parametrize("signal", ["5xx-rate", "latency"])
def test_what_is_held_is_told_once_when_it_can_be(world: World, signal: str) -> None:
    world.service("auth").deployed("v1", ago=minutes(9))
    world.announcer.people_unreachable = SNS
    for _ in range(2):
        assert outcome_of(world.fire("auth", signal)) == "held"
        assert world.failed == [SNS]
    assert len(world.announcer.events) == 1, "machines hear of it once, however often it is judged"
    world.announcer.people_unreachable = None
    for _ in range(2):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["held no_stable_revision"]
    assert len(world.announcer.events) == 1


def test_another_bad_build_hours_later_is_rolled_back_by_hand_too(world: World) -> None:
    story = world.bad_deployment()
    world.announcer.people_unreachable = SNS
    world.fire("auth", "5xx-rate")
    for build in ("v3", "v4"):
        world.passes(hours(1))
        world.turn_calm("auth", "5xx-rate")
        world.sweep()
        world.passes(hours(2))
        story.deployed(build)
        world.passes(minutes(9))
        if build == "v3":
            world.fire("auth", "5xx-rate")
        else:
            assert outcome_of(world.person(Action.ROLLBACK)) == "rolled_back"
        assert story.runs == "auth:v1"
    assert world.told == []
    world.announcer.people_unreachable = None
    for _ in range(12):
        world.passes(minutes(5))
        world.turn_calm("auth", "5xx-rate")
        world.sweep()
    assert world.told == [f"rolled_back {state}" for state in ("open", "recovered") * 3]
