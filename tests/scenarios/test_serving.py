"""Which revision served when, told by the deployments that came and went."""

from dataclasses import replace
from datetime import datetime

import pytest

from autorollback.decision.facts import Status
from autorollback.decision.serving import serving_periods
from tests.scenarios.history import NOW, History, days, incident, minutes

Told = list[tuple[str, datetime, datetime | None]]


def periods(story: History) -> Told:
    """Build, since and until, the newest first."""
    story.alarm("5xx-rate", onset=minutes(1))
    facts = story.facts()
    found = []
    for period in serving_periods(facts):
        build = facts.revisions[period.revision].identity or "unread"
        found.append((build, period.since, period.until))
    return found


def ago(number: float) -> datetime:
    return NOW - minutes(number)


def test_from_the_end_of_a_deployment_to_the_start_of_the_next() -> None:
    story = incident().deployed("v1", ago=minutes(90)).deployed("v2", ago=minutes(30))
    assert periods(story) == [("v2", ago(30), None), ("v1", ago(90), ago(32))]


def test_while_one_is_in_progress_what_it_replaces_serves_no_more_alone() -> None:
    story = incident().deployed("v1", ago=minutes(90))
    story.deployed("v2", ago=minutes(30), status=Status.IN_PROGRESS)
    assert periods(story) == [("v1", ago(90), ago(30))]


def test_one_that_was_overtaken_before_it_had_finished_served_no_time_alone() -> None:
    story = incident().deployed("v1", ago=minutes(30), took=minutes(10))
    story.deployed("v2", ago=minutes(20), took=minutes(15))
    assert periods(story) == [("v2", ago(20), None), ("v1", ago(35), ago(35))]


def test_after_a_failure_what_ran_on_serves_alone_again() -> None:
    story = incident().deployed("v1", ago=minutes(90))
    story.deployed("v2", ago=minutes(60), status=Status.STOPPED).deployed("v3", ago=minutes(30))
    assert periods(story) == [
        ("v3", ago(30), None),
        ("v1", ago(60), ago(32)),
        ("v1", ago(90), ago(62)),
    ]


def test_what_ecs_went_back_to_serves_alone_again() -> None:
    story = incident().deployed("v1", ago=minutes(90))
    story.deployed("v2", ago=minutes(60), status=Status.ROLLBACK_SUCCESSFUL)
    assert periods(story) == [("v1", ago(60), None), ("v1", ago(90), ago(62))]


def test_what_the_oldest_deployment_on_record_replaced_served_since_it_was_made() -> None:
    story = incident().deployed("v1", ago=days(95), took=minutes(0)).deployed("v2", ago=minutes(30))
    del story.deployments[0]
    assert periods(story) == [("v2", ago(30), None), ("v1", NOW - days(95), ago(32))]


def test_of_what_could_not_be_described_nobody_knows_since_when() -> None:
    story = incident().deployed("v1", ago=days(95)).deployed("v2", ago=minutes(30))
    del story.revisions[story.deployments.pop(0).target]
    assert periods(story) == [("v2", ago(30), None)]


def test_a_revision_that_is_made_after_its_deployment_began_served_no_time_before_it() -> None:
    """Two machines' clocks differ."""
    story = incident().deployed("v1", ago=days(95)).deployed("v2", ago=minutes(30))
    first = story.deployments.pop(0).target
    story.revisions[first] = replace(story.revisions[first], created_at=ago(31))
    assert periods(story) == [("v2", ago(30), None), ("v1", ago(32), ago(32))]


@pytest.mark.parametrize("status", [Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL])
def test_where_no_end_is_on_record_nothing_is_known_to_have_served(status: Status) -> None:
    story = incident().deployed("v1", ago=minutes(90))
    story.deployed("v2", ago=minutes(60), status=status)
    story.deployments[1] = replace(story.deployments[1], finished_at=None)
    assert periods(story) == [("v1", ago(90), ago(62))]


class TestRestarts:
    def test_join_what_they_part(self) -> None:
        story = incident().deployed("v1", ago=minutes(90)).deployed("v1", ago=minutes(60))
        assert periods(story) == [("v1", ago(90), None)]

    def test_do_not_where_they_did_not_succeed(self) -> None:
        story = incident().deployed("v1", ago=minutes(90))
        story.deployed("v1", ago=minutes(60), status=Status.STOPPED).deployed("v2", ago=minutes(30))
        assert periods(story) == [
            ("v2", ago(30), None),
            ("v1", ago(60), ago(32)),
            ("v1", ago(90), ago(62)),
        ]

    def test_do_not_where_another_build_lies_between(self) -> None:
        story = incident().deployed("v1", ago=minutes(90)).deployed("v2", ago=minutes(60))
        story.deployed("v1", ago=minutes(30))
        assert [build for build, _, _ in periods(story)] == ["v1", "v2", "v1"]
