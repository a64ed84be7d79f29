"""One line a service: what runs, since when, what a rollback would go back to, and whether it could."""

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from autorollback import results
from autorollback.aws.audit import Repository
from autorollback.decision.facts import Status
from autorollback.policy import PolicyError
from autorollback.requests import Action, BadRequest
from tests.flows.stories import World
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    world = World()
    kept = Repository("IMMUTABLE", (), None, ())
    world.audit.repositories = {"auth": kept, "mail": kept}
    return world


def lines(world: World, name: str | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    answer = results.to_json(world.person(Action.STATUS, name, **more))
    assert set(answer) == {"outcome", "services"}
    assert answer["outcome"] == "done"
    services: Any = answer["services"]
    return {f"{line['cluster']}/{line['service']}": line for line in services}


def test_a_service_that_serves_well_is_its_own_last_stable(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(9)).deployed("v2", ago=days(2))
    (line,) = lines(world).values()
    finished = story.newest.finished_at
    assert finished is not None
    assert line == {
        "cluster": "shop",
        "service": "auth",
        "task_definition": "auth:v2",
        "since": finished.isoformat(),
        "last_stable": "auth:v2",
        "incident_id": None,
        "paused_until": None,
        "ready": True,
    }


def test_after_a_fresh_deployment_the_last_stable_is_what_it_replaced(world: World) -> None:
    world.bad_deployment()
    (line,) = lines(world).values()
    assert (line["task_definition"], line["last_stable"]) == ("auth:v2", "auth:v1")


def test_a_restart_does_not_begin_the_time_in_service_anew(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(9))
    before = lines(world)["shop/auth"]["since"]
    world.ecs.begin(story.key, story.fake.seen().task_definition, at=world.now - minutes(20))
    world.ecs.settled(story.key)
    assert lines(world)["shop/auth"]["since"] == before


def test_a_deployment_under_way_is_what_runs_since_it_began(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(9)).deployed("v2", ago=minutes(1))
    story.stuck(Status.IN_PROGRESS).becomes(Status.IN_PROGRESS)
    line = lines(world)["shop/auth"]
    assert line["task_definition"] == "auth:v2"
    assert line["since"] == story.newest.start.isoformat()
    assert line["last_stable"] == "auth:v1"


def test_an_open_incident_and_a_pause_are_told_until_they_end(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.person(Action.PAUSE, minutes=30)
    paused_until = world.now + minutes(30)
    world.passes(minutes(5))
    line = lines(world)["shop/auth"]
    assert line["incident_id"] == world.incident().incident_id
    assert line["paused_until"] == paused_until.isoformat()
    assert (line["task_definition"], line["last_stable"]) == ("auth:v1", "auth:v1")

    world.passes(minutes(40))
    world.calm("auth", "5xx-rate")
    line = lines(world)["shop/auth"]
    assert (line["incident_id"], line["paused_until"]) == (None, None)


def test_a_pause_of_all_services_is_each_ones_pause(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(9))
    world.service("mail").deployed("v1", ago=days(9))
    world.person(Action.PAUSE, None, minutes=30)
    until = (world.now + minutes(30)).isoformat()
    assert [line["paused_until"] for line in lines(world).values()] == [until, until]


def test_a_service_that_nothing_can_be_gone_back_to_is_not_ready(world: World) -> None:
    world.service("auth").deployed("v1", ago=minutes(5))
    line = lines(world)["shop/auth"]
    assert (line["task_definition"], line["last_stable"], line["ready"]) == (
        "auth:v1",
        None,
        False,
    )


def test_what_cannot_be_read_of_one_is_null_and_hides_no_other(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(9))
    world.service("mail").deployed("v1", ago=days(9))
    world.policies.broken[story.key] = PolicyError("mode", "x", "enforce")
    told = lines(world)
    broken = told["shop/auth"]
    assert broken["ready"] is False
    assert set(broken.values()) == {"shop", "auth", None, False}
    assert told["shop/mail"]["ready"] is True


def test_two_services_of_one_name_are_told_apart_by_their_cluster(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(9))
    world.service("auth", cluster="blue").deployed("v7", ago=days(9))
    assert sorted(lines(world)) == ["blue/auth", "shop/auth"]
    assert list(lines(world, "auth", cluster="blue")) == ["blue/auth"]
    with pytest.raises(BadRequest) as refused:
        lines(world, "auth")
    assert refused.value.field == "cluster"
    assert "blue, shop" in refused.value.allowed


def test_an_unknown_service_is_answered_with_the_nearest_names(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(9))
    with pytest.raises(BadRequest) as refused:
        lines(world, "atuh")
    assert refused.value.field == "service"
    assert "shop/auth" in refused.value.allowed


def test_services_that_there_was_no_time_for_are_named(world: World) -> None:
    for number in range(7):
        world.service(f"s{number}").deployed("v1", ago=days(9))
    world.time_left = timedelta(seconds=1)
    answer = results.to_json(world.person(Action.STATUS, None))
    told: Any = answer["services"]
    assert [line["service"] for line in told] == ["s0", "s1", "s2", "s3"]
    assert answer["not_looked_at"] == ["shop/s4", "shop/s5", "shop/s6"]


def test_asking_writes_nothing_and_tells_nobody(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate", onset=hours(1))
    before = deepcopy(world.known("auth"))
    lines(world)
    assert world.known("auth") == before
    assert world.table.is_empty
    assert (world.ecs.acts, world.told, world.audit.memory) == ([], [], {})
