"""Did the rollback help? v2 was rolled back to v1 twenty minutes ago; its deployment took two minutes."""

from datetime import timedelta

import pytest

from autorollback.decision.facts import Status
from autorollback.decision.question import Question
from autorollback.decision.recovery import Recovery, assess
from tests.scenarios.history import NOW, History, days, incident, minutes, seconds


def rolled_back(*, finished: timedelta | None = None, status: Status = Status.SUCCESSFUL) -> History:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(1))
    ago = finished or (minutes(20) if status.in_progress else minutes(18))
    return story.deployed("v1", ago=ago, status=status).alarm("5xx-rate", onset=minutes(30)).serving(healthy=4)


def followed(story: History, *, began: timedelta | None = None, deployment: str | None = None) -> Recovery:
    story.rolled_back("v1", ago=began or minutes(20), is_open=True, deployment=deployment)
    return assess(story.memory.rollbacks[-1], Question(story.facts(), story.policy, NOW))


def calm(story: History) -> History:
    """The alarm went OK ten minutes ago."""
    return story.watched_by("5xx-rate", since=minutes(10))


def test_calm_alarms_and_healthy_targets_are_recovery() -> None:
    recovery = followed(calm(rolled_back()))
    assert (recovery.progress, recovery.calm_since) == ("recovered", NOW - minutes(10))
    assert "10 min after the rollback began" in recovery.detail


@pytest.mark.parametrize(
    ("finished", "progress"),
    [
        pytest.param(minutes(15) - seconds(1), "open", id="a second before the time is over"),
        pytest.param(minutes(15), "not_recovered", id="15 min after the deployment finished"),
    ],
)
def test_a_red_alarm_has_its_time_to_recover(finished: timedelta, progress: str) -> None:
    recovery = followed(rolled_back(finished=finished))
    assert recovery.progress == progress
    assert "5xx-rate" in recovery.detail


def test_without_a_healthy_target_nothing_has_recovered() -> None:
    assert followed(calm(rolled_back()).serving(healthy=0)).progress == "not_recovered"


@pytest.mark.parametrize(
    ("began", "bake", "progress"),
    [
        pytest.param(minutes(119), minutes(0), "open", id="not quite two hours"),
        pytest.param(minutes(120), minutes(0), "not_recovered", id="two hours"),
        pytest.param(minutes(120), minutes(90), "open", id="a longer bake is waited for"),
        pytest.param(minutes(150), minutes(90), "not_recovered", id="and an hour more"),
    ],
)
def test_a_rollback_that_never_finishes_is_a_persons(began: timedelta, bake: timedelta, progress: str) -> None:
    story = rolled_back(finished=began, status=Status.IN_PROGRESS).serving(bake=bake)
    recovery = followed(story, began=began)
    assert recovery.progress == progress
    assert ("runs now" in recovery.detail) == (progress == "not_recovered"), "people are told what runs"


@pytest.mark.parametrize("status", [Status.STOPPED, Status.ROLLBACK_FAILED, Status.ROLLBACK_SUCCESSFUL])
def test_a_rollback_that_ecs_undid_has_not_helped(status: Status) -> None:
    recovery = followed(calm(rolled_back(status=status)))
    assert recovery.progress == "not_recovered"
    assert "runs now" in recovery.detail


def test_a_deployment_that_was_stopped_is_the_rollback_itself() -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(18), took=minutes(30), status=Status.ROLLBACK_SUCCESSFUL)
    story.alarm("5xx-rate", onset=minutes(30))
    assert followed(calm(story), deployment=story.deployments[-1].arn).progress == "recovered"


def test_another_build_supersedes_it() -> None:
    assert followed(rolled_back().deployed("v3", ago=minutes(5))).progress == "superseded"


def test_a_restart_of_what_was_restored_does_not() -> None:
    assert followed(calm(rolled_back()).deployed("v1", ago=minutes(8))).progress == "recovered"


def test_a_deployment_that_ecs_does_not_show_yet_is_waited_for() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(40)).alarm("5xx-rate", onset=minutes(30))
    assert followed(story, began=seconds(20)).progress == "open"
