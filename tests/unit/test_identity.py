"""By what two revisions are known to be the same build: their content and the digests of their images, in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from autorollback.decision.definition import Definition, canonical, described_as
from autorollback.decision.facts import Revision
from autorollback.decision.identity import same_identity
from tests.scenarios.history import bad_deployment

ARN = "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth:7"
CAME = datetime(2026, 3, 2, tzinfo=UTC)
RAN, PINNED = "sha256:ran", "sha256:pinned"


def definition(image: str = "auth:v1", **more: Any) -> Definition:
    content = {"containerDefinitions": [{"name": "app", "image": image}], **more}
    return Definition(ARN, "ACTIVE", content)


@pytest.mark.parametrize("digest", [None, ""], ids=["none was recorded", "an empty one"])
def test_where_there_is_no_digest_the_images_name_stands_in(digest: str | None) -> None:
    one, same, other = definition(), definition(), definition("auth:v2")
    assert one.identity({"app": digest}) == same.identity({"app": digest})
    assert one.identity({"app": digest}) != other.identity({"app": digest})
    assert one.process_identity({"app": digest}) != other.process_identity({"app": digest})


def test_where_there_is_one_the_images_name_does_not_count() -> None:
    one, other = definition(), definition("auth:v2")
    assert one.identity({"app": RAN}) == other.identity({"app": RAN})
    assert one.identity({"app": RAN}) != one.identity({"app": PINNED})


@pytest.mark.parametrize(
    ("image", "recorded", "known"),
    [
        pytest.param("auth:v1", RAN, RAN, id="as AWS recorded it"),
        pytest.param(f"auth@{PINNED}", RAN, RAN, id="as AWS recorded it, whatever is pinned"),
        pytest.param(f"auth@{PINNED}", None, PINNED, id="as the definition pins it"),
        pytest.param("auth:v1", None, None, id="not at all"),
    ],
)
def test_an_image_is_known_by_its_digest(
    image: str, recorded: str | None, known: str | None
) -> None:
    revision = Revision("revision", "auth:7", ARN, CAME, {"app": recorded})
    described = described_as(revision, definition(image))
    assert described.images == {"app": known}
    assert described.identity == definition(image).identity({"app": known})
    assert not described.irreversible
    tagged = replace(definition(image), tags={"auto-rollback:irreversible": "true"})
    assert described_as(revision, tagged).irreversible


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"a": 1, "b": 2}, {"b": 2, "a": 1}, True, id="keys"),
        pytest.param([{"a": 1}, {"b": 2}], [{"b": 2}, {"a": 1}], True, id="named things"),
        pytest.param({"c": [{"a": 1, "b": 2}]}, {"c": [{"b": 2, "a": 1}]}, True, id="within them"),
        pytest.param(["serve", "now"], ["now", "serve"], False, id="not the words of a command"),
        pytest.param([{"a": 1}, "x"], ["x", {"a": 1}], False, id="nor of unlike things"),
    ],
)
def test_the_order_of_named_things_is_no_difference(
    one: object, other: object, *, same: bool
) -> None:
    assert (canonical(one) == canonical(other)) is same


def test_two_revisions_that_nobody_described_are_not_known_to_be_the_same() -> None:
    facts = bad_deployment().facts()
    assert not same_identity(facts, "one", "other")
    assert same_identity(facts, "one", "one")


@pytest.mark.parametrize(
    ("ports", "port", "has"),
    [
        pytest.param("8000-8010", 8000, True, id="its first"),
        pytest.param("8000-8010", 8010, True, id="its last"),
        pytest.param("8000-8010", 7999, False, id="before it"),
        pytest.param("8000-8010", 8011, False, id="after it"),
        pytest.param("8000-", 8000, False, id="without an end"),
        pytest.param("", 8000, False, id="none"),
    ],
)
def test_a_port_may_lie_in_a_range(ports: str, port: int, *, has: bool) -> None:
    mapped = {"name": "app", "portMappings": [{"containerPortRange": ports}]}
    told = Definition(ARN, "ACTIVE", {"containerDefinitions": [mapped]})
    assert told.listens_on("app", port) is has
    assert not told.listens_on("log", port)
