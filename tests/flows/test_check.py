"""A pipeline asks before it deploys: would that bring back trouble, or come into it?"""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from autorollback import results
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Status
from autorollback.requests import Action, BadRequest
from tests.flows.stories import World
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


def check(world: World, **asked: Any) -> dict[str, Any]:
    answer = results.to_json(world.person(Action.CHECK, **asked))
    assert set(answer) == {"outcome", "clear", "findings"}
    assert answer["outcome"] == "done"
    return answer


def failed(world: World, **asked: Any) -> list[str]:
    """The checks that speak against a deployment."""
    answer = check(world, **asked)
    names = [finding["check"] for finding in answer["findings"]]
    assert names == ["quarantined", "in_alarm", "rollback_in_progress"]
    assert all(set(finding) == {"check", "passed", "detail"} for finding in answer["findings"])
    found = [finding["check"] for finding in answer["findings"] if not finding["passed"]]
    assert answer["clear"] is (found == [])
    return found


def detail(world: World, name: str, **asked: Any) -> str:
    (found,) = [one for one in check(world, **asked)["findings"] if one["check"] == name]
    return str(found["detail"])


def rolled_back(world: World) -> None:
    """v2 was rolled back from, v1 serves, and all is calm again."""
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(40))
    world.calm("auth", "5xx-rate")
    assert world.incident().phase == "recovered"


def define(world: World, build: str, **container: Any) -> Definition:
    """A definition that CI has registered and that nobody has deployed yet."""
    definition = world.ecs.define("auth", build)
    world.dependencies.digests.add(f"sha256:{build}")
    world.dependencies.tags.setdefault(build, f"sha256:{build}")
    changed = {**definition.containers[0], **container}
    content = {**definition.content, "containerDefinitions": [changed]}
    known = world.ecs.definitions[definition.arn] = replace(definition, content=content)
    return known


def image_of(world: World, build: str) -> str:
    (image,) = define(world, build).images.values()
    return image


def test_a_new_build_into_a_calm_service_is_clear(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3))
    define(world, "v2")
    assert failed(world, task_definition="auth:v2") == []
    assert failed(world, images={"app": image_of(world, "v2")}) == []


def test_a_build_that_was_rolled_back_from_is_named(world: World) -> None:
    rolled_back(world)
    assert failed(world, task_definition="auth:v2") == ["quarantined"]
    told = detail(world, "quarantined", task_definition="auth:v2")
    assert "it brings back auth:v2, which was rolled back from at" in told
    assert failed(world, task_definition="auth:v1") == [], "what runs well is no trouble"


@pytest.mark.parametrize("image", ["by tag", "by digest", "digest alone"])
def test_images_of_a_build_that_was_rolled_back_from_are_known(world: World, image: str) -> None:
    rolled_back(world)
    tagged = image_of(world, "v2")
    repository = tagged.rpartition(":")[0]
    given = {
        "by tag": tagged,
        "by digest": f"{repository}@sha256:v2",
        "digest alone": "sha256:v2",
    }[image]
    assert failed(world, images={"app": given}) == ["quarantined"]
    fine = {"by tag": image_of(world, "v1"), "by digest": f"{repository}@sha256:v1"}
    assert failed(world, images={"app": fine.get(image, "sha256:v1")}) == []


def test_a_tag_that_was_moved_to_the_bad_image_is_seen_through(world: World) -> None:
    rolled_back(world)
    define(world, "v3")
    world.dependencies.tags["v3"] = "sha256:v2"
    assert failed(world, images={"app": image_of(world, "v1").replace(":v1", ":v3")}) == [
        "quarantined"
    ]


def test_the_same_number_with_a_tag_that_was_mended_is_a_new_build(world: World) -> None:
    rolled_back(world)
    world.dependencies.tags["v2"] = "sha256:mended"
    assert failed(world, task_definition="auth:v2") == []


def test_the_bad_build_in_a_definition_that_differs_in_a_label_is_known(world: World) -> None:
    rolled_back(world)
    define(world, "v4", image=image_of(world, "v2"), dockerLabels={"commit": "f00"})
    assert failed(world, task_definition="auth:v4") == ["quarantined"]


def test_the_same_images_with_other_settings_are_a_new_build_and_it_is_said(world: World) -> None:
    rolled_back(world)
    safe = [{"name": "MODE", "value": "safe"}]
    define(world, "v4", image=image_of(world, "v2"), environment=safe)
    assert failed(world, task_definition="auth:v4") == []
    told = detail(world, "quarantined", task_definition="auth:v4")
    assert "it brings the images of auth:v2" in told
    assert failed(world, images={"app": "sha256:v2"}) == ["quarantined"], (
        "with which settings they would run is not said"
    )
    both = {"task_definition": "auth:v1", "images": {"app": "sha256:v2"}}
    assert failed(world, **both) == ["quarantined"], "this definition with these images"


def test_a_released_build_is_clear_again(world: World) -> None:
    rolled_back(world)
    world.person(Action.RELEASE, revision="auth:v2")
    assert failed(world, task_definition="auth:v2") == []
    assert failed(world, images={"app": "sha256:v2"}) == []


def test_a_red_service_and_a_rollback_under_way_are_told(world: World) -> None:
    world.bad_deployment()
    define(world, "v3")
    world.turn_red("auth", "5xx-rate")
    assert failed(world, task_definition="auth:v3") == ["in_alarm"]
    assert detail(world, "in_alarm", task_definition="auth:v3").startswith("in ALARM: 5xx-rate")

    world.fire("auth", "5xx-rate")
    assert failed(world, task_definition="auth:v3") == ["in_alarm", "rollback_in_progress"]
    told = detail(world, "rollback_in_progress", task_definition="auth:v3")
    assert told.startswith("the rollback to auth:v1 of ")
    assert told.endswith(world.incident().incident_id)

    world.passes(minutes(40))
    world.calm("auth", "5xx-rate")
    assert failed(world, task_definition="auth:v3") == []


def test_a_rollback_by_ecs_itself_is_under_way_too(world: World) -> None:
    story = world.bad_deployment()
    story.stuck(Status.ROLLBACK_IN_PROGRESS).becomes(Status.ROLLBACK_IN_PROGRESS)
    define(world, "v3")
    assert failed(world, task_definition="auth:v3") == ["rollback_in_progress"]


def test_a_digest_that_only_another_registry_knows_is_said_not_to_be_known(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3))
    define(world, "v2", image="docker.io/library/nginx:1.27")
    assert failed(world, task_definition="auth:v2") == []
    told = detail(world, "quarantined", task_definition="auth:v2")
    assert told.endswith("compared by name, the digest is not known here: app")


def test_the_revision_that_was_rolled_back_from_is_known_though_its_tag_is_gone(
    world: World,
) -> None:
    rolled_back(world)
    del world.dependencies.tags["v2"]
    assert failed(world, task_definition="auth:v2") == ["quarantined"]


@pytest.mark.parametrize(
    ("asked", "field", "words"),
    [
        pytest.param(
            {"task_definition": "mail:v2"}, "task_definition", "family auth", id="another family"
        ),
        pytest.param(
            {"task_definition": "auth:v9"}, "task_definition", "existing revision", id="unknown"
        ),
        pytest.param(
            {"images": {"ap": "sha256:v1"}}, "images", "auth:v1: app", id="no such container"
        ),
        pytest.param({"images": {"app": "TAG:v7"}}, "images", "nearest: v1", id="no such tag"),
        pytest.param(
            {"name": "atuh", "images": {"app": "sha256:v1"}}, "service", "shop/auth", id="a typo"
        ),
        pytest.param(
            {"cluster": "shp", "images": {"app": "sha256:v1"}}, "cluster", "shop", id="a cluster"
        ),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    world: World, asked: dict[str, Any], field: str, words: str
) -> None:
    world.service("auth").deployed("v1", ago=days(3))
    world.service("mail").deployed("v2", ago=days(3))
    repository = image_of(world, "v1").rpartition(":")[0]
    if "TAG" in str(asked):
        asked = {"images": {"app": f"{repository}:v7"}}
    with pytest.raises(BadRequest) as refused:
        check(world, **asked)
    assert refused.value.field == field
    assert words in refused.value.allowed


def test_asking_writes_nothing(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate", onset=hours(1))
    before = deepcopy(world.known("auth"))
    check(world, task_definition="auth:v2")
    assert world.known("auth") == before
    assert world.table.is_empty
    assert (world.ecs.acts, world.told) == ([], [])
