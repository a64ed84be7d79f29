"""Which image ECR's lifecycle policy will take within a week."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autorollback.decision.image_lifecycle import Pushed, expires_soon

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
BY_COUNT = {"tagStatus": "any", "countType": "imageCountMoreThan"}
BY_PULL = {"tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days"}
ARCHIVED = {
    "tagStatus": "any",
    "countType": "sinceImageTransitioned",
    "countUnit": "days",
    "storageClass": "archive",
}


def rule(priority: int, **selection: Any) -> dict[str, Any]:
    return {"rulePriority": priority, "selection": selection, "action": {"type": "expire"}}


def days(old: int, *tags: str) -> Pushed:
    return Pushed(f"sha256:{old}", tags, NOW - timedelta(days=old))


def by_age(number: int, **selection: Any) -> dict[str, Any]:
    return {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": number,
    } | selection


@pytest.mark.parametrize(
    ("rules", "expires"),
    [
        pytest.param([rule(1, **by_age(36))], True, id="six days are left"),
        pytest.param([rule(1, **by_age(37))], True, id="a week to the second"),
        pytest.param([rule(1, **by_age(38))], False, id="eight days are left"),
        pytest.param(
            [rule(1, **by_age(31, tagStatus="untagged"))], False, id="a rule for untagged images"
        ),
        pytest.param(
            [rule(1, **by_age(31, tagStatus="tagged", tagPrefixList=["v"]))],
            True,
            id="its tag's prefix",
        ),
        pytest.param(
            [rule(1, **by_age(31, tagStatus="tagged", tagPatternList=["v*", "p*"]))],
            False,
            id="one pattern of two",
        ),
        pytest.param(
            [rule(2, **by_age(31)), rule(1, **by_age(99))],
            False,
            id="a rule of lower priority cannot take it",
        ),
        pytest.param(
            [rule(1, **BY_COUNT, countNumber=4)], True, id="two newer, two pushes a week, four kept"
        ),
        pytest.param(
            [rule(1, **BY_COUNT, countNumber=5)],
            False,
            id="two newer, two pushes a week, five kept",
        ),
        pytest.param(
            [rule(1, **BY_PULL, countNumber=12)], True, id="pulled five days ago, seven are left"
        ),
        pytest.param(
            [rule(1, **BY_PULL, countNumber=13)], False, id="pulled five days ago, eight are left"
        ),
        pytest.param(
            [rule(1, **ARCHIVED, countNumber=9), rule(2, **by_age(31))],
            True,
            id="a rule for the archive takes nothing that runs",
        ),
        pytest.param(
            [rule(1, tagStatus="any", countType="sinceSomething", countNumber=9)],
            True,
            id="cannot be foretold",
        ),
    ],
)
def test_an_image_of_thirty_days(rules: list[dict[str, Any]], expires: bool) -> None:  # noqa: FBT001 - a table
    pulled = replace(days(30, "v1"), pulled_at=NOW - timedelta(days=5))
    images = [days(1, "v3"), days(3, "v2"), pulled, days(60, "v0")]
    assert bool(expires_soon(json.dumps({"rules": rules}), "sha256:30", images, NOW)) is expires


def test_what_was_never_pulled_is_counted_from_its_push() -> None:
    policy = json.dumps({"rules": [rule(1, **BY_PULL, countNumber=36)]})
    assert "if it is not pulled before" in str(expires_soon(policy, "sha256:30", [days(30)], NOW))


def test_an_image_that_is_not_there_any_more_is_not_foretold() -> None:
    assert (
        expires_soon(json.dumps({"rules": [rule(1, **by_age(1))]}), "sha256:gone", [days(3)], NOW)
        is None
    )


@pytest.mark.parametrize(
    ("hour", "pushes"),
    [pytest.param(0, 1, id="a week ago to the second"), pytest.param(1, 2, id="an hour later")],
)
def test_what_was_pushed_within_the_last_week_is_reckoned_with(hour: int, pushes: int) -> None:
    policy = json.dumps({"rules": [rule(1, **BY_COUNT, countNumber=3)]})
    older = replace(days(7), at=NOW - timedelta(days=7) + timedelta(hours=hour))
    said = expires_soon(policy, "sha256:30", [days(1), older, days(30)], NOW)
    assert said == (
        "rule 1 of the repository's lifecycle policy "
        f"keeps 3 images, 2 are newer, and the last week had {pushes} pushes"
    )


@pytest.mark.parametrize(("kind", "verb"), [("expire", "expires"), ("transition", "archives")])
def test_it_is_told_when_and_how_it_goes(kind: str, verb: str) -> None:
    by_push = {**rule(2, **by_age(31)), "action": {"type": kind}}
    policy = json.dumps({"rules": [by_push]})
    assert expires_soon(policy, "sha256:30", [days(30)], NOW) == (
        f"rule 2 of the repository's lifecycle policy {verb} it at 2026-11-23 12:00:00Z"
    )


def test_a_rule_for_the_archive_says_nothing_of_what_runs() -> None:
    policy = json.dumps({"rules": [rule(1, **ARCHIVED, countNumber=9)]})
    assert expires_soon(policy, "sha256:30", [days(30)], NOW) is None


@pytest.mark.parametrize(
    ("tags", "selected", "taken"),
    [
        pytest.param(("v1", "latest"), {"tagPrefixList": ["v"]}, True, id="one of its tags"),
        pytest.param(("v1", "p2"), {"tagPatternList": ["v*", "p*"]}, True, id="a tag for each"),
        pytest.param(("latest",), {"tagPrefixList": ["v"]}, False, id="none of its tags"),
        pytest.param((), {"tagPrefixList": []}, False, id="no tag at all"),
    ],
)
def test_a_rule_for_tags_takes_what_has_one_for_each(
    tags: tuple[str, ...], selected: dict[str, Any], *, taken: bool
) -> None:
    policy = json.dumps({"rules": [rule(1, **by_age(31, tagStatus="tagged", **selected))]})
    assert bool(expires_soon(policy, "sha256:30", [days(30, *tags)], NOW)) is taken
