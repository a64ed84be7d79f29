"""What was held is told once more where an alarm stays red; and where else to look."""

import pytest

from autorollback.decision.result import Result
from autorollback.policy import Mode
from autorollback.requests import Action
from tests.flows.stories import World, reason_of
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


def held(world: World) -> World:
    """v2 came ten minutes ago; nothing that ran before it is known to have run well."""
    world.service("auth").deployed("v1", ago=minutes(19)).deployed("v2", ago=minutes(9))
    assert reason_of(world.fire("auth", "5xx-rate")) == "no_stable_revision"
    return world


def severities(world: World) -> list[str]:
    return [f"{one.outcome} {one.severity}" for one in world.announcer.messages]


def test_after_a_quarter_of_an_hour_people_are_paged_once(world: World) -> None:
    held(world).passes(minutes(14))
    world.sweep()
    assert severities(world) == ["held warning"]
    world.passes(minutes(1))
    assert world.stories["auth"].key in world.session().ledger.due(world.now)
    for _ in range(3):
        world.sweep()
        world.passes(minutes(5))
    assert severities(world) == ["held warning", "held critical"]
    escalated = world.announcer.messages[-1]
    assert isinstance(escalated, Result)
    assert "5xx-rate in ALARM since 2026-11-22 14:00:00Z, and nobody acts" in escalated.summary
    assert reason_of(escalated) == "no_stable_revision"
    assert world.stories["auth"].key not in world.session().ledger.due(world.now)


def test_whatever_reasons_follow_it_is_told_once_for_each_suspect_deployment(world: World) -> None:
    held(world).passes(minutes(10))
    world.stories["auth"].described(irreversible=True)
    assert reason_of(world.fire("auth", "latency")) == "irreversible_change"
    world.passes(minutes(5))
    world.sweep()
    world.passes(minutes(15))
    world.sweep()
    assert severities(world) == ["held warning", "held warning", "held critical"]
    assert reason_of(world.announcer.messages[-1]) == "irreversible_change"


def test_an_alarm_that_was_calm_meanwhile_has_not_been_red_ever_since(world: World) -> None:
    held(world).passes(minutes(5))
    world.calm("auth", "5xx-rate")
    world.passes(minutes(5))
    world.turn_red("auth", "5xx-rate")
    world.passes(minutes(5))
    world.sweep()
    assert "held critical" not in severities(world)


def test_where_a_person_has_rolled_back_since_nobody_is_paged_for_the_hold(world: World) -> None:
    held(world).passes(minutes(5))
    world.person(revision="auth:v1", force=True)
    world.passes(minutes(10))
    world.sweep()
    assert "held critical" not in severities(world)


@pytest.mark.parametrize("silence", ["off", "paused"])
def test_who_has_switched_the_automatic_off_is_not_paged(world: World, silence: str) -> None:
    held(world)
    if silence == "off":
        world.stories["auth"].under(mode=Mode.OFF)
    else:
        world.person(Action.PAUSE, minutes=60)
    world.passes(minutes(15))
    world.sweep()
    assert "held critical" not in severities(world)


def test_a_claim_whose_target_cannot_be_brought_back_is_a_hold_like_any_other(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.definitions.cannot_restore = "auth:v1 cannot be registered again as it is"
    assert reason_of(world.fire("auth", "5xx-rate")) == "no_candidate_passes_preflight"
    world.passes(minutes(15))
    world.sweep()
    assert severities(world) == ["held warning", "held critical"]


def test_what_observe_would_have_done_is_told_again_too(world: World) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    world.fire("auth", "5xx-rate")
    world.passes(minutes(15))
    world.sweep()
    assert severities(world) == ["would_roll_back info", "would_roll_back critical"]


def test_a_reason_that_is_not_announced_is_told_then_for_the_first_time(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).stuck()
    world.traffic.healthy = 3
    story = world.stories["auth"].deployed("v2", ago=minutes(1))
    world.stories["auth"].fake.ends_as = {story.newest.status: story.newest.status}
    assert reason_of(world.fire("auth", "unhealthy-targets", onset=minutes(0))) == "slow_start"
    assert severities(world) == []
    world.passes(minutes(15))
    world.sweep()
    assert severities(world) == ["held critical"]


def test_trouble_that_comes_again_after_a_calm_is_told_too_where_nobody_was_told_before(
    world: World,
) -> None:
    world.service("auth").deployed("v1", ago=days(3)).stuck()
    world.traffic.healthy = 3
    story = world.stories["auth"].deployed("v2", ago=minutes(1))
    world.stories["auth"].fake.ends_as = {story.newest.status: story.newest.status}
    world.fire("auth", "unhealthy-targets", onset=minutes(0))
    world.passes(minutes(5))
    world.calm("auth", "unhealthy-targets")
    world.passes(minutes(10))
    world.sweep()
    assert severities(world) == []
    assert reason_of(world.fire("auth", "unhealthy-targets", onset=minutes(0))) == "slow_start"
    world.passes(minutes(15))
    world.sweep()
    assert severities(world) == ["held critical"]


@pytest.mark.parametrize("again", [hours(0), hours(2)])
@pytest.mark.parametrize(
    ("newest", "reason"),
    [("v3", "no_recent_deployment"), ("v1", "deployment_is_a_rollback")],
)
def test_old_deployments_never_page_and_are_told_once_for_each_trouble(
    world: World,
    newest: str,
    reason: str,
    again: object,
) -> None:
    service = world.service("auth").deployed("v1", ago=days(9)).deployed("v2", ago=days(5))
    service.deployed(newest, ago=days(1))
    assert reason_of(world.fire("auth", "5xx-rate")) == reason
    world.passes(minutes(20))
    world.sweep()
    assert severities(world) == ["held warning"]
    if again:
        world.calm("auth", "5xx-rate")
        world.passes(hours(2))
        world.fire("auth", "5xx-rate")
        assert severities(world) == ["held warning", "held warning"]


def test_an_incident_that_was_superseded_pages_where_the_alarm_is_red_still(world: World) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(3))
    story.deployed("v3")
    world.passes(minutes(3))
    world.ended("auth")
    assert world.told[:2] == ["rolled_back open", "rolled_back superseded"]
    world.passes(minutes(15))
    world.sweep()
    pages = [one for one in world.announcer.messages if one.severity == "critical"]
    assert "superseded" in [one.incident_state for one in pages if isinstance(one, Result)]


def test_whatever_is_held_says_what_else_was_deployed_before_it(world: World) -> None:
    for name in ("cart", "mail", "pay", "late"):
        world.service(name).deployed("v7", ago=days(3))
    for name in ("cart", "mail", "pay"):
        world.stories[name].deployed("v8")
        world.passes(minutes(3))
        world.ended(name)
    world.passes(hours(0.5))
    world.service("auth").deployed("v1", ago=minutes(19)).deployed("v2", ago=minutes(9))
    world.ended("auth")
    world.stories["late"].deployed("v9")
    world.began("late")
    answer = world.fire("auth", "5xx-rate", onset=minutes(4))
    assert isinstance(answer, Result)
    assert [(one.service, one.task_definition) for one in answer.look_at] == [
        ("pay", "pay:v8"), ("mail", "mail:v8"), ("cart", "cart:v8"),
    ]  # fmt: skip
    assert not any(one.depends_on for one in answer.look_at)


def test_what_lies_outside_the_window_is_no_place_to_look_at(world: World) -> None:
    world.service("cart").deployed("v7", ago=days(3)).deployed("v8")
    world.passes(minutes(3))
    world.ended("cart")
    world.passes(hours(2))
    world.service("auth").deployed("v1", ago=minutes(19)).deployed("v2", ago=minutes(9))
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert answer.look_at == ()
