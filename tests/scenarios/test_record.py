"""A stored judgement can be judged again."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from autorollback.codec import UnreadableValue, read_record, record_of
from autorollback.decision.decide import decide
from autorollback.decision.facts import Quarantine, Status
from tests.examples import examples
from tests.scenarios.history import NOW, History, bad_deployment, days, hours, minutes
from tests.scenarios.test_invariants import stories


def stored(story: History) -> dict[str, Any]:
    """What is read back from where it was stored."""
    record: dict[str, Any] = json.loads(json.dumps(record_of(story.facts(), story.policy, NOW)))
    return record


@examples(100)
@given(stories())
def test_every_story_replayed_is_judged_alike(story: History) -> None:
    assert decide(*read_record(stored(story))) == story.judged()


def test_every_kind_of_fact_comes_back_equal() -> None:
    story = (
        bad_deployment()
        .neighbour("cart", onset=minutes(7), changed=None)
        .known_good("v0", since=days(9), until=days(8))
    )
    story.secret("token", changed=days(1)).quarantined("v9", ago=days(3)).paused_for(
        hours(1)
    ).rolled_back("v1", ago=days(2), deployment="arn")
    story.serving(ports=(("app", 8080),), healthy=3, bake=minutes(5)).under(latency_p99_seconds=1)
    story.deployed(
        "v3", ago=minutes(1), status=Status.IN_PROGRESS, settings={"platformVersion": "1.4.0"}
    )
    story.as_ecs_says("FAILED", failed_tasks=2)
    assert read_record(stored(story)) == (story.facts(), story.policy, NOW)


def as_version_2(story: History) -> dict[str, Any]:
    """A record as it was written before some facts were known."""
    record = stored(story)
    record["version"] = 2
    del record["facts"]["undescribed"], record["facts"]["service"]["current_revisions"]
    for good in record["facts"]["ledger"]["known_good"]:
        del good["calm_until"], good["spells"]
    return record


def test_a_record_from_before_the_newest_facts_were_known_is_read() -> None:
    story = bad_deployment().known_good("v0", since=days(9), until=days(8))
    facts, _, _ = read_record(as_version_2(story))
    assert facts == story.facts()


def test_a_record_from_before_ecs_was_asked_about_its_deployments_is_read() -> None:
    record = as_version_2(bad_deployment())
    record["version"] = 1
    record["facts"]["memory"] = record["facts"].pop("ledger")
    del record["facts"]["service"]["deployments"], record["facts"]["trigger"]["deployment"]
    facts, _, _ = read_record(record)
    assert facts == bad_deployment().facts()


def test_a_record_from_when_a_quarantine_was_a_time_alone_is_read() -> None:
    record = stored(bad_deployment().quarantined("v9", ago=days(3)))
    record["version"] = 2
    record["facts"]["ledger"]["quarantined"] = {"v9": (NOW - days(3)).isoformat()}
    for revision in record["facts"]["revisions"].values():
        del revision["process_identity"]
    facts, _, _ = read_record(record)
    assert facts.ledger.quarantined == {"v9": Quarantine("v9", "", NOW - days(3))}


def change(record: dict[str, Any], path: str, value: object) -> None:
    *way, last = path.split(".")
    for step in way:
        record = record[step]
    record[last] = value


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        pytest.param(
            lambda r: change(r, "version", 4),
            "version 4; this controller reads versions up to 3",
            id="version",
        ),
        pytest.param(lambda r: r.pop("policy"), "record.policy is missing", id="a part is missing"),
        pytest.param(
            lambda r: change(r, "more", 1), "record.more is not known", id="a part too many"
        ),
        pytest.param(
            lambda r: r["facts"].pop("unread"), "facts.unread is missing", id="a fact is missing"
        ),
        pytest.param(
            lambda r: change(r, "facts.service.extra", 1),
            "facts.service.extra is not known",
            id="a fact more",
        ),
        pytest.param(
            lambda r: change(r, "facts.service.desired", "4"),
            "facts.service.desired: int",
            id="a text",
        ),
        pytest.param(
            lambda r: change(r, "facts.service.desired", True),
            "desired: True is no int",
            id="a flag",
        ),
        pytest.param(
            lambda r: change(r, "facts.service.controller", "X"),
            "'X' is no Controller",
            id="another word",
        ),
        pytest.param(
            lambda r: change(r, "now", "2026-11-22T14:00:00"),
            "now: .*no time zone",
            id="a time of nowhere",
        ),
        pytest.param(
            lambda r: change(r, "facts.alarms", {}),
            "facts.alarms: list expected",
            id="an object for a list",
        ),
    ],
)
def test_a_record_that_is_not_whole_is_refused(
    spoil: Callable[[dict[str, Any]], object], told: str
) -> None:
    record = stored(bad_deployment())
    spoil(record)
    with pytest.raises(UnreadableValue, match=told):
        read_record(record)


def test_a_record_is_an_object() -> None:
    with pytest.raises(UnreadableValue, match="not list"):
        read_record([])


def test_times_are_told_in_utc() -> None:
    facts, _, now = read_record(stored(bad_deployment()))
    assert now == datetime(2026, 11, 22, 14, tzinfo=UTC)
    assert facts.deployments[0].created_at.utcoffset() == now.utcoffset()


def test_a_record_from_before_the_traffic_of_deployments_was_read_is_read() -> None:
    record = stored(bad_deployment())
    record["version"] = 2
    for deployment in record["facts"]["deployments"]:
        del deployment["traffic"]
    del record["facts"]["ledger"]["traffic"], record["facts"]["service"]["shifts_traffic"]
    facts, _, _ = read_record(record)
    assert facts == bad_deployment().facts()
