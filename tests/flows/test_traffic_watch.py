"""When users were first reached by a build that ran beside what served: ECS does not say, so it is watched."""

import pytest

from autorollback.decision.facts import TrafficReading
from autorollback.decision.result import Result
from autorollback.results import Answer, Done
from tests.flows.stories import ServiceStory, World
from tests.scenarios.history import NOW, days, minutes


@pytest.fixture
def world() -> World:
    return World()


def begun(world: World) -> ServiceStory:
    """v1 serves; v2 is deployed beside it, and waits for its traffic."""
    auth = world.service("auth").deployed("v1", ago=days(3)).deployed("v2")
    return auth.shifts(0.0, "POST_SCALE_UP")


def readings(world: World) -> tuple[TrafficReading, ...]:
    return world.known("auth").state.traffic


def verdict(answer: Answer) -> str | None:
    assert isinstance(answer, Result)
    return answer.reason.value if answer.reason else None


def test_a_build_that_waits_for_hours_is_blamed_for_what_follows_the_shift_alone(
    world: World,
) -> None:
    """Errors of what serves beside it hold nothing against it, and nobody is told; it is looked at every five minutes."""
    auth = begun(world)
    world.began("auth")
    for _ in range(36):
        world.passes(minutes(5))
        world.sweep()
    assert verdict(world.fire("auth", "5xx-rate")) == "not_serving_yet"
    world.passes(minutes(5))
    world.sweep()
    assert world.told == []
    last_seen = world.now
    world.turn_calm("auth", "5xx-rate")
    auth.shifts(100.0, "BAKE_TIME")
    world.passes(minutes(5))
    world.sweep()
    (reading,) = readings(world)
    assert (reading.unserved_at, reading.baking_at) == (last_seen, world.now)
    assert verdict(world.fire("auth", "latency", onset=minutes(9))) == "alarm_predates_deployment"
    world.turn_calm("auth", "latency")
    assert verdict(world.fire("auth", "5xx-rate", onset=minutes(4))) == "alarm_after_deployment"


def test_it_is_watched_until_it_ends_and_what_was_seen_stays(world: World) -> None:
    auth = begun(world)
    world.began("auth")
    auth.fake.ends_as.clear()
    world.passes(minutes(5))
    world.sweep()
    world.passes(minutes(5))
    world.sweep()
    assert readings(world) == (TrafficReading(auth.newest.arn, unserved_at=NOW),)
    assert world.known("auth").watched == ()


def test_a_rolling_deployment_is_not_watched(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2")
    answer = world.began("auth")
    assert isinstance(answer, Done)
    assert "shifts no traffic" in answer.detail
    assert readings(world) == ()


def test_the_event_of_a_deployment_that_has_ended_meanwhile_watches_nothing(world: World) -> None:
    auth = begun(world)
    auth.fake.ends_as.clear()
    world.passes(minutes(5))
    world.began("auth")
    assert readings(world) == ()


def test_where_the_event_was_lost_the_judgement_that_finds_it_unserved_has_it_watched(
    world: World,
) -> None:
    begun(world)
    assert verdict(world.fire("auth", "5xx-rate")) == "not_serving_yet"
    assert [reading.unserved_at for reading in readings(world)] == [world.now]
    assert len(world.known("auth").watched) == 1


def test_where_ecs_tells_no_weight_nothing_is_held_to_be_seen(world: World) -> None:
    begun(world).shifts(None, "POST_SCALE_UP")
    world.began("auth")
    (reading,) = readings(world)
    assert (reading.unserved_at, reading.baking_at) == (None, None)
    assert len(world.known("auth").watched) == 1


def test_a_service_that_is_not_protected_is_none_of_ours(world: World) -> None:
    begun(world).unprotected()
    assert verdict(world.began("auth")) == "unprotected_service"


def test_a_plan_writes_nothing_of_what_it_sees(world: World) -> None:
    begun(world)
    world.turn_red("auth", "5xx-rate")
    world.person(dry_run=True)
    assert readings(world) == ()
