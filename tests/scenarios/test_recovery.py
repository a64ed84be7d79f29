"""Did the rollback help? v2 was rolled back to v1 twenty minutes ago; its deployment took two minutes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.facts import Status
from autorollback.decision.lineage import deployment_of
from autorollback.decision.question import Question
from autorollback.decision.recovery import Recovery, assess
from tests.scenarios.history import NOW, History, days, incident, minutes, seconds


def rolled_back(
    *, finished: timedelta | None = None, status: Status = Status.SUCCESSFUL
) -> History:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(1))
    ago = finished or (minutes(20) if status.in_progress else minutes(18))
    return (
        story.deployed("v1", ago=ago, status=status)
        .alarm("5xx-rate", onset=minutes(30))
        .serving(healthy=4)
    )


def followed(
    story: History, *, began: timedelta | None = None, deployment: str | None = None
) -> Recovery:
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
def test_a_rollback_that_never_finishes_is_a_persons(
    began: timedelta, bake: timedelta, progress: str
) -> None:
    story = rolled_back(finished=began, status=Status.IN_PROGRESS).serving(bake=bake)
    recovery = followed(story, began=began)
    assert recovery.progress == progress
    assert ("runs now" in recovery.detail) == (progress == "not_recovered"), (
        "people are told what runs"
    )


@pytest.mark.parametrize(
    "status", [Status.STOPPED, Status.ROLLBACK_FAILED, Status.ROLLBACK_SUCCESSFUL]
)
def test_a_rollback_that_ecs_undid_has_not_helped(status: Status) -> None:
    recovery = followed(calm(rolled_back(status=status)))
    assert recovery.progress == "not_recovered"
    assert "runs now" in recovery.detail


def test_a_deployment_that_was_stopped_is_the_rollback_itself() -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(18), took=minutes(30), status=Status.ROLLBACK_SUCCESSFUL)
    story.alarm("5xx-rate", onset=minutes(30))
    assert followed(calm(story), deployment=story.deployments[-1].arn).progress == "recovered"


def test_a_deployment_of_the_rollback_itself_that_ecs_rolled_back_has_not_helped() -> None:
    """It went back to what was rolled back from."""
    story = calm(rolled_back(status=Status.ROLLBACK_SUCCESSFUL))
    own = story.deployments[-1].arn
    assert followed(story, began=minutes(21), deployment=own).progress == "not_recovered"


def test_another_build_supersedes_it() -> None:
    assert followed(rolled_back().deployed("v3", ago=minutes(5))).progress == "superseded"


def test_a_restart_of_what_was_restored_does_not() -> None:
    assert followed(calm(rolled_back()).deployed("v1", ago=minutes(8))).progress == "recovered"


def test_a_deployment_that_ecs_does_not_show_yet_is_waited_for() -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=minutes(40))
        .alarm("5xx-rate", onset=minutes(30))
    )
    assert followed(story, began=seconds(20)).progress == "open"


def test_people_are_told_how_many_targets_are_healthy_where_that_is_known() -> None:
    told = "every alarm is OK, 4 targets are healthy, 10 min after the rollback began"
    assert followed(calm(rolled_back())).detail == told
    unknown = followed(calm(rolled_back()).serving(healthy=None))
    assert unknown.progress == "recovered"
    assert unknown.detail == "every alarm is OK, 10 min after the rollback began"


class TestOkThatCameTooEarly:
    """The rollback began 6 minutes ago, its deployment finished 4 minutes ago; the alarm looks back over 5 minutes."""

    def recovery(self, *, calm_since: timedelta) -> Recovery:
        story = rolled_back(finished=minutes(4)).watched_by("5xx-rate", since=calm_since)
        return followed(story, began=minutes(6))

    def test_an_ok_of_before_the_deployment_finished_is_waited_for(self) -> None:
        recovery = self.recovery(calm_since=minutes(5))
        assert (recovery.progress, recovery.look_again) == ("open", NOW + minutes(3))
        assert recovery.detail == "5xx-rate went OK before the rollback's deployment had finished"

    @pytest.mark.parametrize(
        ("calm_since", "progress"),
        [
            pytest.param(minutes(3), "recovered", id="a whole datapoint after it finished"),
            pytest.param(minutes(3) + seconds(1), "open", id="a second less"),
            pytest.param(minutes(7), "recovered", id="it was calm a minute before the rollback"),
            pytest.param(
                minutes(6), "open", id="AWS's clock and the function's may differ so much"
            ),
        ],
    )
    def test_one_that_rests_on_a_datapoint_of_afterwards_counts(
        self, calm_since: timedelta, progress: str
    ) -> None:
        assert self.recovery(calm_since=calm_since).progress == progress

    def test_nor_is_it_waited_for_once_all_that_it_looks_at_lies_afterwards(self) -> None:
        story = rolled_back(finished=minutes(7)).watched_by("5xx-rate", since=minutes(8))
        assert followed(story, began=minutes(9)).progress == "recovered"

    def test_the_slowest_of_several_alarms_is_waited_for(self) -> None:
        story = rolled_back(finished=minutes(4)).watched_by("5xx-rate", since=minutes(5))
        story.watched_by("latency", since=minutes(5))
        story.alarms["latency"] = replace(story.alarms["latency"], evaluation_range=minutes(10))
        recovery = followed(story, began=minutes(6))
        assert recovery.look_again == NOW + minutes(8)
        assert recovery.detail.startswith("5xx-rate, latency went OK before")


def test_what_has_not_recovered_in_time_is_told_in_full() -> None:
    assert followed(rolled_back()).detail == (
        "still in ALARM: 5xx-rate, 18 min after the rollback's deployment finished at 2026-11-22 13:42:00Z; "
        "auth:v1 runs now; look at what the service depends on: its secrets, its database, the services it calls"
    )
    assert followed(calm(rolled_back()).serving(healthy=0)).detail.startswith(
        "no target is healthy, 18 min after"
    )


def test_a_rollback_that_ecs_undid_is_told_with_how_it_ended() -> None:
    assert followed(rolled_back(status=Status.STOPPED)).detail == (
        "the rollback's own deployment ended STOPPED; auth:1 runs now; look at the events and stopped tasks of the service"
    )


def test_a_deployment_under_way_is_asked_about_again_and_given_up_after_two_hours() -> None:
    story = rolled_back(finished=minutes(110), status=Status.IN_PROGRESS)
    recovery = followed(story, began=minutes(110))
    assert recovery.detail == "the rollback's deployment is IN_PROGRESS"
    assert recovery.look_again == NOW + minutes(10)
    given_up = followed(
        rolled_back(finished=minutes(125), status=Status.IN_PROGRESS), began=minutes(125)
    )
    assert given_up.detail == (
        "the rollback's deployment is IN_PROGRESS, 2 h 5 min after it began; auth:1 runs now; "
        "look at the events and stopped tasks of the service"
    )


@pytest.mark.parametrize(
    ("came", "progress"),
    [
        pytest.param(minutes(20) - seconds(60), "open", id="as far as two clocks may differ"),
        pytest.param(minutes(20) - seconds(61), "superseded", id="later"),
    ],
)
def test_what_came_after_a_rollback_that_ecs_never_showed_supersedes_it(
    came: timedelta, progress: str
) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=came, took=seconds(0))
    recovery = followed(story.alarm("5xx-rate", onset=minutes(30)))
    assert recovery.progress == progress
    assert (recovery.detail == "another deployment has come since: auth:v2") == (
        progress == "superseded"
    )


def test_a_service_without_any_deployment_on_record_is_waited_for() -> None:
    assert followed(incident().alarm("5xx-rate", onset=minutes(30))).progress == "open"


def test_where_what_came_since_cannot_be_told_it_supersedes_the_rollback() -> None:
    story = calm(rolled_back()).deployed("v1", ago=minutes(8))
    del story.revisions[story.deployments[-1].target]
    assert followed(story).progress == "superseded"


def test_the_same_build_under_another_definition_does_not_supersede_it() -> None:
    story = calm(rolled_back()).deployed("v1", ago=minutes(8))
    newest = story.deployments[-1].target
    story.revisions[newest] = replace(story.revisions[newest], task_definition_arn="a-copy")
    assert followed(story).progress == "recovered"


def test_nor_does_the_same_definition_where_no_content_could_be_read() -> None:
    story = calm(rolled_back()).deployed("v1", ago=minutes(8))
    newest = story.deployments[-1].target
    story.revisions[newest] = replace(story.revisions[newest], identity=None)
    assert followed(story).progress == "recovered"


def test_a_service_that_is_gone_is_told_so() -> None:
    story = rolled_back(finished=minutes(125), status=Status.IN_PROGRESS)
    story.rolled_back("v1", ago=minutes(125), is_open=True)
    facts = replace(story.facts(), service=None)
    recovery = assess(story.memory.rollbacks[-1], Question(facts, story.policy, NOW))
    assert "nothing: the service is gone runs now" in recovery.detail


def test_an_alarm_without_a_recorded_change_was_calm_all_along() -> None:
    story = calm(rolled_back())
    story.alarms["latency"] = replace(story.alarms["latency"], since=None)
    recovery = followed(story)
    assert (recovery.progress, recovery.calm_since) == ("recovered", NOW - minutes(10))


class TestWhatWasDeployedSince:
    """Its number and its ARN do not tell whether it is another build."""

    def test_the_same_content_registered_again_goes_on_with_the_rollback(self) -> None:
        story = rolled_back().deployed("v1-again", image="v1", ago=minutes(5))
        again = story.deployments[-1].target
        story.revisions[again] = replace(story.revisions[again], identity="v1")
        assert followed(story).progress == "not_recovered"

    def test_the_same_content_with_other_images_is_another_build(self) -> None:
        story = rolled_back().deployed("v1", image="v3", ago=minutes(5))
        assert followed(story).progress == "superseded"

    def test_the_same_images_with_other_content_are_another_build(self) -> None:
        story = rolled_back().deployed("v3", image="v1", ago=minutes(5))
        assert followed(story).progress == "superseded"

    @pytest.mark.parametrize(
        ("status", "progress"),
        [
            pytest.param(Status.IN_PROGRESS, "open", id="its tasks have not pulled yet"),
            pytest.param(Status.SUCCESSFUL, "superseded", id="none were recorded"),
        ],
    )
    def test_digests_that_are_not_recorded_yet_are_waited_for(
        self, status: Status, progress: str
    ) -> None:
        story = rolled_back().deployed("v1-again", ago=minutes(5), status=status)
        again = story.deployments[-1].target
        story.revisions[again] = replace(story.revisions[again], images={"app": None})
        assert followed(story).progress == progress

    def test_of_the_same_definition_digests_that_were_not_recorded_say_nothing(self) -> None:
        story = calm(rolled_back()).deployed("v1", ago=minutes(8))
        again = story.deployments[-1].target
        story.revisions[again] = replace(story.revisions[again], images={"app": None}, identity="?")
        assert followed(story).progress == "recovered"

    def test_a_restart_into_the_red_alarm_begins_its_time_no_second_time(self) -> None:
        assert followed(rolled_back().deployed("v1", ago=minutes(1))).progress == "not_recovered"
        stopped = rolled_back(status=Status.STOPPED).deployed("v1", ago=minutes(1))
        assert followed(stopped).progress == "open"


@pytest.mark.parametrize("ahead", [10, 59, -10, -59])
def test_a_functions_clock_that_is_seconds_off_takes_no_rollback_for_anothers(ahead: int) -> None:
    """The rollback's deployment began by AWS's clock twenty minutes ago, the claim by the function's."""
    story = rolled_back().watched_by("5xx-rate", since=minutes(10))
    recovery = followed(story, began=minutes(20) - seconds(ahead))
    assert recovery.progress == "recovered"


def test_what_was_there_when_it_was_claimed_carries_no_rollback_out() -> None:
    """The same definition was deployed by a person seconds before the bad one: that is not the rollback."""
    story = incident().deployed("v1", ago=days(6)).deployed("v0", ago=days(1))
    story.deployed("v1", ago=minutes(22), took=seconds(5))
    story.deployed("v2", ago=minutes(21) + seconds(40), took=seconds(5))
    story.alarm("5xx-rate", onset=minutes(21) + seconds(30))
    claimed_over = story.deployments[-1].arn
    story.rolled_back("v1", ago=minutes(21) + seconds(20), is_open=True)
    rollback = replace(story.memory.rollbacks[-1], over=claimed_over)
    facts = replace(story.facts(), ledger=replace(story.memory, rollbacks=(rollback,)))
    assert deployment_of(replace(rollback, over=None), facts) is not None, "by its time alone"
    assert deployment_of(rollback, facts) is None
