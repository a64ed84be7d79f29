"""A build that was rolled back from is deployed again: what is done, and what people are told."""

from typing import Any

import pytest

from autorollback.decision.result import Result
from autorollback.requests import Action
from autorollback.results import Done
from tests.fakes.ecs import ECR
from tests.flows.stories import ServiceStory, World, outcome_of
from tests.scenarios.history import hours, minutes

LABEL = {"dockerLabels": {"commit": "9b1c44e"}}
VARIABLE = {"environment": [{"name": "MODE", "value": "test"}]}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def story(world: World) -> ServiceStory:
    """v2 has been rolled back from, and the alarm is red still."""
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(3))
    world.announcer.messages.clear()
    return story


def brings_v2(**more: Any) -> dict[str, Any]:
    """A definition with the image of v2."""
    return {"containerDefinitions": [{"name": "app", "image": f"{ECR}/auth@sha256:v2", **more}]}


def severities(world: World) -> list[str]:
    return [f"{one.outcome} {one.severity}" for one in world.announcer.messages]


def test_a_retry_that_deploys_it_into_the_red_alarm_is_rolled_back_and_people_are_paged(
    world: World, story: ServiceStory
) -> None:
    story.deployed("v2")
    world.passes(minutes(2))
    assert outcome_of(world.ended("auth")) == "rolled_back"
    assert (world.rollbacks("auth"), story.runs) == (["v1", "v1"], "auth:v1")
    assert severities(world) == ["rolled_back info", "done critical", "rolled_back info"]
    superseded, coming, rolled_back = world.announcer.messages
    assert isinstance(superseded, Result)
    assert superseded.incident_state == "superseded"
    assert isinstance(coming, Done)
    assert coming.summary == (
        "auth: auth:v2, which was rolled back from at 2026-11-22 14:00:00Z, is deployed again."
    )
    assert isinstance(rolled_back, Result)
    assert "brings back auth:v2" in rolled_back.summary


def test_it_is_stopped_before_it_has_come_far(world: World, story: ServiceStory) -> None:
    story.deployed("v2")
    assert outcome_of(world.began("auth")) == "rolled_back"
    assert world.ecs.acts[-1] == "StopServiceDeployment"
    assert "done critical" in severities(world)
    world.passes(minutes(3))
    assert story.runs == "auth:v1"


def test_while_all_is_calm_its_beginning_is_told_and_nothing_done(
    world: World, story: ServiceStory
) -> None:
    world.calm("auth", "5xx-rate")
    world.passes(hours(1))
    world.sweep()
    world.announcer.messages.clear()
    story.deployed("v2")
    assert isinstance(world.began("auth"), Done)
    assert severities(world) == ["done warning"]
    assert world.ecs.acts == ["UpdateService auth:v1"]


@pytest.mark.parametrize("build", ["v1", "v3"])
def test_of_the_rollback_itself_and_of_another_build_nothing_is_told_when_they_begin(
    world: World, story: ServiceStory, build: str
) -> None:
    if build == "v3":
        story.deployed(build)
    answer = world.began("auth")
    assert isinstance(answer, Done)
    assert "shifts no traffic" in answer.detail
    assert world.announcer.messages == []
    assert len(world.ecs.acts) == 1


def test_while_the_service_is_judged_its_beginning_is_left_to_that(
    world: World, story: ServiceStory
) -> None:
    story.deployed("v2")
    with world.judged_elsewhere("auth"):
        assert isinstance(world.began("auth"), Done)
    assert len(world.ecs.acts) == 1


def test_where_the_event_was_lost_one_sweep_does_all_of_it(
    world: World, story: ServiceStory
) -> None:
    story.deployed("v2")
    world.passes(minutes(2))
    world.sweep()
    assert (world.rollbacks("auth"), story.runs) == (["v1", "v1"], "auth:v1")
    assert sorted(severities(world)) == ["done critical", "rolled_back info", "rolled_back info"]


def test_while_all_is_calm_its_coming_is_told_as_a_warning(
    world: World, story: ServiceStory
) -> None:
    world.calm("auth", "5xx-rate")
    world.passes(hours(1))
    world.sweep()
    world.announcer.messages.clear()
    story.deployed("v2")
    world.passes(minutes(3))
    world.ended("auth")
    assert severities(world) == ["done warning"]
    assert story.runs == "auth:v2"


@pytest.mark.parametrize(
    ("container", "outcome", "told"),
    [
        pytest.param(LABEL, "rolled_back", "done critical", id="another label"),
        pytest.param(VARIABLE, "held", "done warning", id="another environment: a new build"),
    ],
)
def test_its_image_in_another_definition(
    world: World, story: ServiceStory, container: dict[str, Any], outcome: str, told: str
) -> None:
    story.deployed("v7", **brings_v2(**container))
    world.passes(minutes(2))
    assert outcome_of(world.ended("auth")) == outcome
    assert told in severities(world)
    (coming,) = [one for one in world.announcer.messages if isinstance(one, Done)]
    assert "auth:v7 brings" in str(coming.summary)
    assert "auth:v2, which was rolled back from" in str(coming.summary)


def test_no_value_of_its_environment_is_in_the_record(world: World) -> None:
    world.service("auth").deployed("v1", ago=hours(60))
    canary = {"environment": [{"name": "PASSWORD", "value": "canary-7f3a"}]}
    world.stories["auth"].deployed("v2", ago=minutes(9), **brings_v2(**canary))
    world.fire("auth", "5xx-rate")
    (quarantine,) = world.known("auth").state.quarantined.values()
    assert (quarantine.signals, quarantine.images) == (("5xx-rate",), {"app": "sha256:v2"})
    assert quarantine.process_identity
    assert "canary" not in repr(quarantine)


def test_a_release_frees_what_differs_in_a_label_too(world: World, story: ServiceStory) -> None:
    story.deployed("v7", **brings_v2(**LABEL))
    world.passes(minutes(2))
    world.ended("auth")
    released = world.person(Action.RELEASE, revision="v2")
    assert isinstance(released, Done)
    assert released.detail == "auth:v2, auth:v7 of shop/auth may be rolled back to again"
    assert world.known("auth").state.quarantined == {}
