"""Is this deployment to blame? Each rule from both sides, and on its edges."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.changes import is_return
from autorollback.decision.decide import decide
from autorollback.decision.facts import Controller, Status, TriggerKind
from autorollback.decision.question import Question
from autorollback.decision.rules import paused
from autorollback.decision.verdicts import Hold, Ignore, RollBack
from autorollback.policy import Mode
from tests.scenarios.history import (
    NOW,
    History,
    bad_deployment,
    days,
    hours,
    incident,
    minutes,
    seconds,
)

EXITED, SCHEDULER = "EssentialContainerExited", "ServiceSchedulerInitiated"


def told(story: History, reason: str, target: str | None = None) -> None:
    """The story is judged so, and goes back to that build (or to none)."""
    judgement = story.judged()
    assert (judgement.verdict.reason.value, story.target()) == (reason, target), (
        judgement.verdict.detail
    )
    last = judgement.evidence[-1]
    assert last.rule == reason, "the last evidence is the rule that spoke"
    spoken = {RollBack: "roll_back", Hold: "hold", Ignore: "ignore"}
    assert last.verdict.value == spoken[type(judgement.verdict)]
    assert {one.verdict.value for one in judgement.evidence[:-1]} <= {"passed"}


def test_an_alarm_after_a_deployment_rolls_it_back() -> None:
    told(bad_deployment(), "alarm_after_deployment", "v1")


def test_an_alarm_whose_actions_are_muted_is_turned_away_before_anything_is_asked() -> None:
    muted = paused.muted(bad_deployment().muted("by a mute rule").facts().trigger)
    assert muted is not None
    assert muted.reason.value == "muted"
    assert paused.muted(bad_deployment().facts().trigger) is None


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        pytest.param(bad_deployment().under(mode=Mode.OFF), "paused", id="mode off"),
        pytest.param(
            bad_deployment().paused_for(seconds(1)), "paused", id="a pause that is running"
        ),
        pytest.param(
            bad_deployment().paused_for(seconds(0)),
            "alarm_after_deployment",
            id="a pause that is over",
        ),
        pytest.param(
            bad_deployment().under(mode=Mode.OBSERVE),
            "alarm_after_deployment",
            id="observe is judged alike",
        ),
        pytest.param(
            bad_deployment().watched_by("5xx-rate"),
            "no_longer_in_alarm",
            id="the alarm is OK by now",
        ),
        pytest.param(
            bad_deployment().serving(active=False, status="DRAINING"),
            "service_inactive",
            id="draining",
        ),
        pytest.param(bad_deployment().serving(desired=0), "service_inactive", id="scaled to zero"),
        pytest.param(
            bad_deployment().serving(controller=Controller.EXTERNAL),
            "unsupported_deployment_controller",
            id="an external controller",
        ),
        pytest.param(
            bad_deployment().serving(
                controller=Controller.CODE_DEPLOY, out_of_reach="add code_deploy"
            ),
            "unsupported_deployment_controller",
            id="CodeDeploy, and no deployment group that could be asked",
        ),
        pytest.param(
            bad_deployment().serving(controller=Controller.CODE_DEPLOY),
            "alarm_after_deployment",
            id="CodeDeploy",
        ),
        pytest.param(
            incident().alarm("latency", onset=minutes(4)),
            "no_recent_deployment",
            id="never deployed",
        ),
    ],
)
def test_what_is_asked_before_anybody_is_suspected(story: History, reason: str) -> None:
    assert story.reason() == reason


@pytest.mark.parametrize(
    ("finished", "reason"),
    [
        pytest.param(
            minutes(60),
            "alarm_after_deployment",
            id="finished 60 min before the trouble: on the edge",
        ),
        pytest.param(
            minutes(60) + seconds(1), "no_recent_deployment", id="finished a second longer before"
        ),
        pytest.param(days(3), "no_recent_deployment", id="finished days before"),
    ],
)
def test_only_a_recent_deployment_is_suspect(finished: timedelta, reason: str) -> None:
    assert bad_deployment(ago=minutes(6) + finished).reason() == reason


@pytest.mark.parametrize(
    ("onset", "told_as"),
    [
        pytest.param(minutes(6), "finished 3 min before the trouble began", id="before"),
        pytest.param(minutes(9), "finished 0 s before the trouble began", id="at the same moment"),
        pytest.param(minutes(10), "finished 1 min after the trouble began", id="after"),
    ],
)
def test_it_is_told_how_the_end_of_the_deployment_lies_to_the_trouble(
    onset: timedelta, told_as: str
) -> None:
    evidence = bad_deployment(onset=onset).judged().evidence
    (found,) = (one for one in evidence if one.rule == "no_recent_deployment")
    assert found.detail == f"the deployment of auth:v2 {told_as}"


def test_an_event_that_comes_an_hour_late_is_judged_by_when_the_trouble_began() -> None:
    told(bad_deployment(ago=minutes(100), onset=minutes(95)), "alarm_after_deployment", "v1")


def test_a_deployment_in_progress_is_suspect_however_long_it_takes() -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=hours(5), status=Status.IN_PROGRESS)
    )
    told(story.alarm("5xx-rate", onset=minutes(5)), "alarm_after_deployment", "v1")


@pytest.mark.parametrize("status", [Status.STOPPED, Status.ROLLBACK_FAILED])
def test_nobody_else_is_in_charge_of_a_deployment_that_ended_badly(status: Status) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9), status=status)
    told(story.alarm("5xx-rate", onset=minutes(6)), "alarm_after_deployment", "v1")


@pytest.mark.parametrize(
    "status", [Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS, Status.ROLLBACK_SUCCESSFUL]
)
def test_what_ecs_rolls_back_is_left_to_ecs(status: Status) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9), status=status)
    told(story.alarm("5xx-rate", onset=minutes(6)), "deployment_is_a_rollback")
    who = story.judged().verdict.detail.partition(" has rolled back")[0]
    assert who == "ECS"
    story.serving(controller=Controller.CODE_DEPLOY)
    assert story.judged().verdict.detail.startswith("CodeDeploy has rolled back")


@pytest.mark.parametrize("kind", TriggerKind)
def test_of_a_service_that_is_gone_nothing_else_is_asked(kind: TriggerKind) -> None:
    story = bad_deployment()
    if kind is not TriggerKind.ALARM:
        story.event(kind)
    gone = decide(replace(story.facts(), service=None), story.policy, NOW)
    assert gone.verdict.reason.value == "service_inactive"


class TestRestarts:
    def test_a_restart_of_what_was_stable_is_not_to_blame(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("v1", ago=days(6))
            .deployed("v1", ago=minutes(9))
        )
        told(story.alarm("5xx-rate", onset=minutes(6)), "only_settings_changed")

    def test_it_names_the_secrets_and_parameters_that_it_may_have_brought(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v1", ago=minutes(9))
            .alarm("5xx-rate", onset=minutes(6))
        )
        assert "look at secrets, parameters" in story.judged().verdict.detail
        story.secret("old", changed=days(7)).secret("unknown")
        assert (
            "none of its 2 secrets and parameters has changed since 2026-11-16"
            in story.judged().verdict.detail
        )
        story.secret("new", changed=days(2)).secret("gone", wrong="there is no such secret")
        told(story, "only_settings_changed")
        named = story.judged().verdict.detail.partition("though: ")[2]
        assert named == "gone: there is no such secret; new changed at 2026-11-20 14:00:00Z"

    def test_of_many_that_changed_five_are_named_and_the_others_counted(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v1", ago=minutes(9))
            .alarm("5xx-rate", onset=minutes(6))
        )
        for number in range(7):
            story.secret(f"s{number}", changed=days(2))
        detail = story.judged().verdict.detail
        assert "s4 changed at" in detail
        assert "s5 changed at" not in detail
        assert detail.endswith("2 more")

    def test_of_a_restart_that_is_alone_on_record_what_it_restarted_tells_since_when(self) -> None:
        """AWS keeps a deployment for 90 days, and a revision as long as it is used."""
        story = incident().deployed("v1", ago=days(95)).deployed("v1", ago=minutes(9))
        del story.deployments[0]
        story.secret("token", changed=days(100)).alarm("5xx-rate", onset=minutes(6))
        said = story.judged().verdict.detail
        assert "none of its 1 secrets and parameters has changed since 2026-08-19" in said

    def test_nor_while_it_is_in_progress(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v1", ago=hours(2), status=Status.IN_PROGRESS)
        )
        told(story.alarm("5xx-rate", onset=minutes(6)), "only_settings_changed")

    def test_a_restart_of_what_is_new_is_passed_over(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(20))
            .deployed("v2", ago=minutes(9))
        )
        told(story.alarm("5xx-rate", onset=minutes(6)), "alarm_after_deployment", "v1")

    def test_a_restart_of_long_ago_explains_nothing(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v1", ago=hours(2))
        told(story.alarm("5xx-rate", onset=minutes(6)), "no_recent_deployment")

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            pytest.param(
                minutes(12) - seconds(1),
                "only_settings_changed",
                id="its minute had not quite ended then",
            ),
            pytest.param(
                minutes(12),
                "alarm_after_deployment",
                id="its minute had ended when the restart began",
            ),
        ],
    )
    def test_trouble_in_the_minute_of_a_restart_follows_it(
        self, onset: timedelta, reason: str
    ) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(6))
            .deployed("v1", ago=minutes(50))
            .deployed("v1", ago=minutes(9))
        )
        assert story.alarm("5xx-rate", onset=onset).reason() == reason

    def test_a_restart_after_the_onset_does_not_shield_what_caused_it(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(20))
            .deployed("v2", ago=minutes(5))
        )
        told(story.alarm("5xx-rate", onset=minutes(15)), "alarm_after_deployment", "v1")


class TestSettings:
    OLD, NEW = {"networkConfiguration": "subnet-a"}, {"networkConfiguration": "subnet-b"}

    def test_changed_settings_are_no_change_of_the_revision(self) -> None:
        story = incident().deployed("v1", ago=days(6), settings=self.OLD)
        story.deployed("v1", ago=minutes(9), settings=self.NEW).alarm("5xx-rate", onset=minutes(6))
        told(story, "only_settings_changed")
        assert "networkConfiguration" in story.judged().verdict.detail

    @pytest.mark.parametrize("name", ["monitoring", "gatewayConnectors", "added by AWS later"])
    def test_a_deployment_of_whatever_setting_is_no_restart(self, name: str) -> None:
        story = incident().deployed("v1", ago=days(6), settings={name: "old"})
        story.deployed("v1", ago=minutes(9), settings={name: "new"})
        told(story.alarm("5xx-rate", onset=minutes(6)), "only_settings_changed")
        assert f"changed only settings of the service: {name}" in story.judged().verdict.detail

    def test_while_in_progress_they_can_be_stopped_and_ecs_brings_them_back(self) -> None:
        story = (
            incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6), settings=self.OLD)
        )
        story.deployed("v1", ago=minutes(9), settings=self.NEW, status=Status.IN_PROGRESS)
        told(story.alarm("5xx-rate", onset=minutes(6)), "alarm_after_deployment", "v1")

    def test_not_by_going_back_to_anything_but_its_source(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("v1", ago=minutes(25), settings=self.OLD)
        )
        story.deployed("v1", ago=minutes(9), settings=self.NEW, status=Status.IN_PROGRESS)
        told(story.alarm("5xx-rate", onset=minutes(6)), "no_stable_revision")

    def test_changed_after_the_onset_they_do_not_shield_what_caused_it(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6), settings=self.OLD)
            .deployed("v2", ago=minutes(20))
        )
        story.deployed("v2", ago=minutes(5), settings=self.NEW).alarm("5xx-rate", onset=minutes(15))
        told(story, "alarm_after_deployment", "v1")

    def test_settings_changed_together_with_the_revision_are_a_change_of_the_revision(self) -> None:
        story = incident().deployed("v1", ago=days(6), settings=self.OLD)
        story.deployed("v2", ago=minutes(9), settings=self.NEW).alarm("5xx-rate", onset=minutes(6))
        told(story, "alarm_after_deployment", "v1")


class TestRollbacks:
    def story(self) -> History:
        """v2 was rolled back to v1, and there is trouble again."""
        story = incident().deployed("v0", ago=days(20)).deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(30)).deployed("v1", ago=minutes(10))
        return story.alarm("5xx-rate", onset=minutes(5))

    def test_a_return_to_what_had_been_stable_is_a_persons_own_rollback(self) -> None:
        told(self.story(), "deployment_is_a_rollback")

    def test_a_return_to_what_had_failed_before_is_a_deployment_like_any_other(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(20))
            .deployed("v1", ago=days(6))
            .deployed("v0", ago=days(5.9))
        )
        story.was_red("5xx-rate", ago=days(5.95), lasted=hours(1)).deployed("v1", ago=minutes(10))
        told(story.alarm("5xx-rate", onset=minutes(5)), "alarm_after_deployment", "v0")

    def test_so_is_a_return_while_what_is_left_had_not_finished(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(15), status=Status.STOPPED)
        )
        story.deployed("v1", ago=minutes(5)).alarm("5xx-rate", onset=minutes(12))
        told(story, "deployment_is_a_rollback")

    def test_also_where_that_is_the_oldest_deployment_on_record(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(95))
            .deployed("v2", ago=minutes(15), status=Status.STOPPED)
        )
        story.deployed("v1", ago=minutes(5)).alarm("5xx-rate", onset=minutes(12))
        del story.deployments[0]
        told(story, "deployment_is_a_rollback")

    @pytest.mark.parametrize(
        ("build", "status"),
        [
            pytest.param("v1", Status.STOPPED, id="it was to bring the same"),
            pytest.param("v2", Status.ROLLBACK_SUCCESSFUL, id="ECS had gone back already"),
        ],
    )
    def test_nothing_is_returned_from_where_nothing_else_was_left(
        self, build: str, status: Status
    ) -> None:
        """What ran all the time is restarted."""
        story = incident().deployed("v1", ago=days(6))
        story.deployed(build, ago=minutes(15), status=status).deployed("v1", ago=minutes(5))
        told(story.alarm("5xx-rate", onset=minutes(3)), "only_settings_changed")

    def test_of_what_cannot_be_described_nobody_says_that_it_is_a_return(self) -> None:
        story = self.story()
        del story.revisions[story.deployments[-1].target]
        assert not is_return(Question(story.facts(), story.policy, NOW), 0)

    def test_of_an_unfinished_one_that_cannot_be_described_that_is_not_told(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(15), status=Status.STOPPED)
        )
        story.deployed("v1", ago=minutes(5)).alarm("5xx-rate", onset=minutes(12))
        del story.revisions[story.deployments[1].target]
        told(story, "no_recent_deployment")

    @pytest.mark.parametrize(
        ("until", "reason", "target"),
        [
            pytest.param(days(50), "deployment_is_a_rollback", None, id="seen before the return"),
            pytest.param(minutes(11), "deployment_is_a_rollback", None, id="up to the return"),
            pytest.param(minutes(5), "alarm_after_deployment", "v1", id="seen since"),
        ],
    )
    def test_so_is_a_return_to_what_only_the_ledger_remembers(
        self, until: timedelta, reason: str, target: str | None
    ) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v0", ago=minutes(9))
        story.known_good("v0", since=days(99), until=until).alarm("5xx-rate", onset=minutes(6))
        told(story, reason, target)

    def test_this_controllers_own_rollback_is_not_rolled_back(self) -> None:
        story = incident().deployed("v1", ago=minutes(50)).deployed("v2", ago=minutes(30))
        story.deployed("v1", ago=minutes(10)).rolled_back("v1", ago=minutes(12)).alarm(
            "latency", onset=minutes(5)
        )
        told(story, "deployment_is_a_rollback")

    def test_further_alarms_wait_while_its_recovery_is_watched(self) -> None:
        told(self.story().rolled_back("v1", ago=minutes(12), is_open=True), "already_handled")

    def test_what_came_since_and_could_not_be_described_is_no_restart_of_it(self) -> None:
        """Perhaps it is another build, and that would not be watched."""
        story = self.story().rolled_back("v1", ago=minutes(12), is_open=True)
        story.deployed("v3", ago=minutes(6))
        for deployment in story.deployments[-2:]:
            revision = story.revisions[deployment.target]
            story.revisions[deployment.target] = replace(revision, identity=None)
        told(story, "no_recent_deployment")

    def test_what_a_person_named_is_theirs(self) -> None:
        story = self.story().rolled_back(
            "v1", ago=minutes(12), automatic=False, pins=True, is_open=True
        )
        told(story, "pinned_by_human")

    def test_a_restart_of_it_is_theirs_as_well(self) -> None:
        story = self.story().rolled_back("v1", ago=minutes(12), automatic=False, pins=True)
        told(story.deployed("v1", ago=minutes(6)), "pinned_by_human")

    @pytest.mark.parametrize(
        ("now", "reason"),
        [
            pytest.param(minutes(47) + seconds(59), "pinned_by_human", id="59:59 after it began"),
            pytest.param(minutes(48), "deployment_is_a_rollback", id="an hour after it began"),
        ],
    )
    def test_for_as_long_as_a_deployment_is_suspect(self, now: timedelta, reason: str) -> None:
        story = self.story().rolled_back("v1", ago=minutes(12), automatic=False, pins=True)
        story.now += now
        assert story.reason() == reason

    @pytest.mark.parametrize(
        ("asked", "reason"),
        [
            pytest.param(minutes(59), "pinned_by_human", id="59 min after they asked"),
            pytest.param(minutes(60), "deployment_is_a_rollback", id="an hour after they asked"),
        ],
    )
    def test_counted_from_the_rollback_and_not_from_the_deployment_that_it_stopped(
        self, asked: timedelta, reason: str
    ) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=hours(3), status=Status.ROLLBACK_IN_PROGRESS)
        )
        stopped = story.deployments[-1].arn
        story.rolled_back("v1", ago=asked, automatic=False, pins=True, deployment=stopped)
        assert story.alarm("5xx-rate", onset=minutes(5)).reason() == reason


class TestLongAgo:
    """What came last is told before how long ago that was; whatever it was, it is no suspect any more."""

    @staticmethod
    def told_of_long_ago(story: History, reason: str) -> str:
        told(story.alarm("5xx-rate", onset=minutes(5)), reason)
        verdict = story.judged().verdict
        assert isinstance(verdict, Hold)
        assert verdict.long_ago
        assert verdict.detail.endswith("outside the 60 min window")
        return verdict.detail

    @staticmethod
    def returned(*, ago: timedelta) -> History:
        """v1 ran well, v2 came, and v1 again."""
        story = incident().deployed("v1", ago=days(9)).deployed("v2", ago=days(5))
        return story.deployed("v1", ago=ago)

    def test_a_rollback_of_this_controller(self) -> None:
        story = self.returned(ago=days(4)).rolled_back("v1", ago=days(4) + minutes(3))
        said = self.told_of_long_ago(story, "deployment_is_a_rollback")
        assert said == (
            "the deployment of 2026-11-18 13:58:00Z is itself a rollback, to auth:v1; the deployment of auth:v1"
            " finished 3 d before the trouble, outside the 60 min window"
        )

    def test_a_person_who_went_back_to_what_had_been_stable(self) -> None:
        self.told_of_long_ago(self.returned(ago=days(4)), "deployment_is_a_rollback")

    def test_a_rollback_of_ecs(self) -> None:
        story = incident().deployed("v1", ago=days(9))
        story.deployed("v2", ago=days(4), status=Status.ROLLBACK_SUCCESSFUL)
        said = self.told_of_long_ago(story, "deployment_is_a_rollback")
        assert said.startswith("ECS has rolled back")

    def test_one_of_ecs_that_could_not_be_described(self) -> None:
        story = incident().deployed("v1", ago=days(9))
        story.deployed("v2", ago=days(4), status=Status.ROLLBACK_SUCCESSFUL)
        del story.revisions[story.deployments[-1].target]
        self.told_of_long_ago(story, "deployment_is_a_rollback")

    def test_settings_alone(self) -> None:
        story = incident().deployed("v1", ago=days(9), settings={"platformVersion": "1.3.0"})
        story.deployed("v1", ago=days(4), settings={"platformVersion": "1.4.0"})
        said = self.told_of_long_ago(story, "only_settings_changed")
        assert "changed only settings of the service: platformVersion; " in said

    def test_settings_alone_of_a_day_when_the_alarm_was_red_as_well(self) -> None:
        """Today's trouble did not begin then."""
        story = incident().deployed("v1", ago=days(9), settings={"platformVersion": "1.3.0"})
        story.was_red("5xx-rate", ago=days(4) + minutes(20), lasted=hours(1))
        story.deployed("v1", ago=days(4), settings={"platformVersion": "1.4.0"})
        self.told_of_long_ago(story, "only_settings_changed")

    def test_restarts_since_then_are_passed_over(self) -> None:
        story = self.returned(ago=days(4)).rolled_back("v1", ago=days(4) + minutes(3))
        story.deployed("v1", ago=days(2)).deployed("v1", ago=hours(3))
        self.told_of_long_ago(story, "deployment_is_a_rollback")

    def test_a_restart_that_the_trouble_followed_is_not(self) -> None:
        story = self.returned(ago=days(4)).rolled_back("v1", ago=days(4) + minutes(3))
        story.deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(5))
        told(story, "only_settings_changed")
        assert "restarted what had been stable before" in story.judged().verdict.detail

    @pytest.mark.parametrize(
        "build",
        [
            pytest.param("v3", id="a new build"),
            pytest.param("v0", id="back to what had not been stable"),
        ],
    )
    def test_any_other_change_is_no_recent_deployment(self, build: str) -> None:
        story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(9) - minutes(20))
        story.deployed(build, ago=days(4)).alarm("5xx-rate", onset=minutes(5))
        told(story, "no_recent_deployment")

    def test_what_could_not_be_described_is_no_recent_deployment(self) -> None:
        """It may have been a return: nobody knows."""
        story = self.returned(ago=days(4))
        del story.revisions[story.deployments[-1].target]
        told(story.alarm("5xx-rate", onset=minutes(5)), "no_recent_deployment")

    @pytest.mark.parametrize(
        ("after", "long_ago"),
        [(minutes(60), False), (minutes(60) + seconds(1), True)],
        ids=["on the edge of the window", "a second later"],
    )
    def test_from_the_end_of_the_window_on(self, after: timedelta, *, long_ago: bool) -> None:
        story = self.returned(ago=minutes(6) + after).alarm("5xx-rate", onset=minutes(6))
        told(story, "deployment_is_a_rollback")
        verdict = story.judged().verdict
        assert isinstance(verdict, Hold)
        assert verdict.long_ago is long_ago

    @pytest.mark.parametrize(
        "status", [Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS], ids=str
    )
    def test_what_is_being_rolled_back_is_never_of_long_ago(self, status: Status) -> None:
        story = incident().deployed("v1", ago=days(9)).deployed("v2", ago=hours(9), status=status)
        told(story.alarm("5xx-rate", onset=minutes(5)), "deployment_is_a_rollback")
        verdict = story.judged().verdict
        assert isinstance(verdict, Hold)
        assert not verdict.long_ago


class TestOnset:
    """v2's deployment started 11 minutes ago and finished 9 minutes ago."""

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            pytest.param(
                minutes(12),
                "alarm_predates_deployment",
                id="its minute had ended when the deployment began",
            ),
            pytest.param(
                minutes(12) - seconds(1),
                "alarm_after_deployment",
                id="its minute had not quite ended",
            ),
            pytest.param(minutes(11), "alarm_after_deployment", id="together with the deployment"),
        ],
    )
    def test_a_datapoint_stands_for_its_whole_minute(self, onset: timedelta, reason: str) -> None:
        assert bad_deployment(onset=onset).reason() == reason

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            pytest.param(
                minutes(11) + seconds(1),
                "alarm_predates_deployment",
                id="a second before the deployment",
            ),
            pytest.param(minutes(11), "alarm_after_deployment", id="together with it"),
        ],
    )
    def test_an_onset_that_no_datapoint_gives_stands_for_a_moment(
        self, onset: timedelta, reason: str
    ) -> None:
        story = bad_deployment(onset=onset)
        story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], onset_is_datapoint=False)
        assert story.reason() == reason

    def test_an_alarm_that_was_red_at_the_start_proves_nothing(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        told(
            story.alarm("latency", onset=minutes(8), fired=minutes(11)), "alarm_predates_deployment"
        )

    @pytest.mark.parametrize(
        ("calm_since", "reason"),
        [
            pytest.param(
                minutes(11) - seconds(1),
                "alarm_predates_deployment",
                id="it calmed a second after the start",
            ),
            pytest.param(
                minutes(11),
                "alarm_after_deployment",
                id="it had calmed when the deployment started",
            ),
        ],
    )
    def test_nor_does_one_that_was_red_at_the_start_calmed_and_came_again(
        self, calm_since: timedelta, reason: str
    ) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        story.was_red("5xx-rate", ago=minutes(20), lasted=minutes(20) - calm_since)
        assert story.alarm("5xx-rate", onset=minutes(6)).reason() == reason

    def test_another_alarm_that_began_after_it_still_convicts(self) -> None:
        story = bad_deployment(onset=minutes(18)).alarm("latency", onset=minutes(5), trigger=False)
        told(story, "alarm_after_deployment", "v1")
        assert "latency" in story.judged().verdict.detail

    def test_and_is_asked_itself_whether_it_flaps(self) -> None:
        """It does, so none convicts: the hold that is told is that of the earliest."""
        story = bad_deployment(onset=minutes(18))
        for ago in (3, 4, 5):
            story.was_red("latency", ago=hours(ago))
        told(story.alarm("latency", onset=minutes(5), trigger=False), "alarm_predates_deployment")


class TestChains:
    def test_a_deployment_that_was_replaced_unproven_is_blamed_for_what_began_under_it(
        self,
    ) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(25))
            .deployed("v3", ago=minutes(5))
        )
        told(story.alarm("5xx-rate", onset=minutes(15)), "alarm_after_deployment", "v1")

    @pytest.mark.parametrize(
        ("v2_finished", "reason"),
        [
            pytest.param(
                minutes(37), "alarm_predates_deployment", id="it had proven itself: 30 min"
            ),
            pytest.param(
                minutes(37) - seconds(1), "alarm_after_deployment", id="a second short of that"
            ),
        ],
    )
    def test_unproven_is_younger_than_stable(self, v2_finished: timedelta, reason: str) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=v2_finished)
            .deployed("v3", ago=minutes(5))
        )
        assert story.alarm("5xx-rate", onset=minutes(15)).reason() == reason

    def test_restarts_do_not_make_what_is_old_unproven(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(57))
            .deployed("v2", ago=minutes(27))
        )
        story.deployed("v3", ago=minutes(5)).alarm("5xx-rate", onset=minutes(15))
        told(story, "alarm_predates_deployment")

    def test_the_chain_goes_on_through_deployments_that_never_finished(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(25))
        story.deployed("v3", ago=minutes(14), status=Status.STOPPED).deployed("v4", ago=minutes(5))
        told(story.alarm("5xx-rate", onset=minutes(18)), "alarm_after_deployment", "v1")

    @pytest.mark.parametrize(
        ("v2_began", "reason"),
        [
            pytest.param(minutes(37), "alarm_predates_deployment", id="30 min in service"),
            pytest.param(minutes(37) - seconds(1), "alarm_after_deployment", id="a second less"),
        ],
    )
    def test_where_no_end_is_on_record_it_served_since_its_start(
        self, v2_began: timedelta, reason: str
    ) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=v2_began, took=seconds(0)).deployed("v3", ago=minutes(5))
        story.deployments[1] = replace(story.deployments[1], finished_at=None)
        assert story.alarm("5xx-rate", onset=minutes(15)).reason() == reason

    def test_it_is_blamed_as_well_where_its_alarm_calmed_and_came_again(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(25))
            .deployed("v3", ago=minutes(9))
        )
        story.was_red("5xx-rate", ago=minutes(20), lasted=minutes(12)).alarm(
            "5xx-rate", onset=minutes(6)
        )
        told(story, "alarm_after_deployment", "v1")

    @pytest.mark.parametrize(
        ("last_breach", "reason"),
        [
            pytest.param(
                minutes(4), "slow_start", id="no breach since it finished: it started slowly"
            ),
            pytest.param(minutes(3), "alarm_after_deployment", id="a breach since it finished"),
        ],
    )
    def test_slow_tasks_of_the_earlier_one_are_not_failing(
        self, last_breach: timedelta, reason: str
    ) -> None:
        story = (
            incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(3), took=minutes(6))
        )
        story.deployed("v3", ago=minutes(2), status=Status.IN_PROGRESS).serving(healthy=2)
        assert (
            story.alarm("unhealthy-targets", onset=minutes(6), last_breach=last_breach).reason()
            == reason
        )

    def test_a_fix_forward_after_a_rollback_is_not_blamed_for_what_it_came_to_mend(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(40))
            .deployed("v1", ago=minutes(25))
        )
        story.rolled_back("v1", ago=minutes(28)).deployed("v3", ago=minutes(5))
        told(story.alarm("5xx-rate", onset=minutes(35)), "alarm_predates_deployment")


class TestSlowStart:
    """Tasks that start slowly are not failing."""

    def in_progress(self, healthy: int | None) -> History:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
        )
        return story.serving(healthy=healthy).alarm("unhealthy-targets", onset=minutes(6))

    @pytest.mark.parametrize(
        ("healthy", "reason"),
        [(0, "alarm_after_deployment"), (1, "slow_start"), (None, "slow_start")],
        ids=["no target is healthy", "one still is", "nobody knows"],
    )
    def test_in_progress_it_takes_a_service_without_healthy_targets(
        self, healthy: int | None, reason: str
    ) -> None:
        assert self.in_progress(healthy).reason() == reason

    def test_other_signals_convict_at_once(self) -> None:
        told(
            self.in_progress(2).alarm("5xx-rate", onset=minutes(5), trigger=False),
            "alarm_after_deployment",
            "v1",
        )

    @pytest.mark.parametrize(
        ("finished", "last_breach", "reason"),
        [
            pytest.param(
                minutes(3), minutes(3), "alarm_after_deployment", id="a breach since it finished"
            ),
            pytest.param(minutes(3), minutes(4), "slow_start", id="none since it finished"),
            pytest.param(
                minutes(5),
                minutes(6),
                "alarm_after_deployment",
                id="red still, one evaluation range later",
            ),
        ],
    )
    def test_afterwards_it_takes_trouble_that_lasts(
        self, finished: timedelta, last_breach: timedelta, reason: str
    ) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=finished, took=minutes(8))
        story.serving(healthy=2).alarm(
            "unhealthy-targets", onset=minutes(8), last_breach=last_breach
        )
        assert story.reason() == reason


class TestEcsEvents:
    """They skip the questions about alarms."""

    def impaired(self, **service: object) -> History:
        story = (
            incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9)).serving(**service)
        )
        return story.event(TriggerKind.TASKS_CANNOT_START)

    @pytest.mark.parametrize(
        ("healthy", "reason"),
        [(1, "tasks_cannot_start"), (2, "still_serving"), (None, "still_serving")],
        ids=["less than half serve", "half of the four still serve", "nobody knows"],
    )
    def test_a_service_that_still_serves_is_left_alone(
        self, healthy: int | None, reason: str
    ) -> None:
        assert self.impaired(healthy=healthy).reason() == reason

    @pytest.mark.parametrize(
        ("said", "reason"),
        [(minutes(5), "tasks_cannot_start"), (minutes(5) - seconds(1), "no_recent_deployment")],
    )
    def test_the_events_own_time_is_what_the_window_is_measured_by(
        self, said: timedelta, reason: str
    ) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(65))
            .serving(healthy=1)
        )
        assert story.event(TriggerKind.TASKS_CANNOT_START, ago=said).reason() == reason

    @pytest.mark.parametrize(
        ("running", "reason"), [(1, "tasks_cannot_start"), (2, "still_serving")]
    )
    def test_without_load_balancer_running_tasks_serve(self, running: int, reason: str) -> None:
        assert self.impaired(running=running).without_load_balancer().reason() == reason

    def test_in_progress_what_still_serves_is_the_old_one(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
        )
        told(
            story.serving(healthy=4).event(TriggerKind.TASKS_CANNOT_START),
            "tasks_cannot_start",
            "v1",
        )

    def failed(self, status: Status = Status.STOPPED) -> History:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(1), status=status)
        return story.event(TriggerKind.DEPLOYMENT_FAILED)

    def test_a_failed_deployment_is_rolled_back(self) -> None:
        told(self.failed(), "deployment_failed", "v1")

    @pytest.mark.parametrize(
        ("kind", "begun", "reason"),
        [
            (TriggerKind.DEPLOYMENT_FAILED, minutes(5) - seconds(6), "superseded"),
            (TriggerKind.DEPLOYMENT_FAILED, minutes(5), "deployment_failed"),
            (TriggerKind.TASKS_CANNOT_START, minutes(6) - seconds(1), "superseded"),
            (TriggerKind.TASKS_CANNOT_START, minutes(6), "tasks_cannot_start"),
        ],
        ids=[
            "failed before it began",
            "failed as it began",
            "less than a minute after it began",
            "a minute after",
        ],
    )
    def test_an_old_event_does_not_blame_what_was_deployed_since(
        self, kind: TriggerKind, begun: timedelta, reason: str
    ) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(20), status=Status.STOPPED)
        )
        story.deployed("v3", ago=begun, status=Status.IN_PROGRESS).as_ecs_says(
            "FAILED", failed_tasks=3
        )
        assert story.event(kind, ago=minutes(5)).reason() == reason

    @pytest.mark.parametrize(
        ("rollout", "named", "reason"),
        [
            pytest.param("FAILED", "ecs-svc/1", "deployment_failed", id="as ECS says"),
            pytest.param("IN_PROGRESS", "ecs-svc/1", "superseded", id="it goes on"),
            pytest.param("COMPLETED", "ecs-svc/1", "superseded", id="it has completed"),
            pytest.param("FAILED", "ecs-svc/0", "superseded", id="another one was meant"),
            pytest.param("FAILED", "", "superseded", id="none was named"),
        ],
    )
    @pytest.mark.parametrize("overdue", [False, True], ids=["at once", "once ECS has had its time"])
    def test_a_failure_is_believed_where_ecs_itself_says_so(
        self, rollout: str, named: str, reason: str, *, overdue: bool
    ) -> None:
        story = self.failed(Status.IN_PROGRESS).as_ecs_says(rollout)
        story.event(TriggerKind.DEPLOYMENT_FAILED, deployment=named, overdue=overdue)
        assert story.reason() == reason
        if not overdue and reason == "superseded":
            assert story.serving(rolls_back_by_itself=True).reason() == "superseded", (
                "nor is it left to ECS"
            )

    def test_what_ecs_is_rolling_back_is_left_to_it(self) -> None:
        told(self.failed(Status.ROLLBACK_IN_PROGRESS), "handled_by_ecs")

    def test_code_deploys_failures_are_none_of_ecs(self) -> None:
        told(self.failed().serving(controller=Controller.CODE_DEPLOY, deployments=()), "superseded")
        impaired = self.impaired(healthy=0, running=0).serving(
            controller=Controller.CODE_DEPLOY, deployments=()
        )
        told(impaired, "superseded")

    def test_tasks_of_another_deployment_are_not_its_own(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
        )
        told(story.as_ecs_says(running=1).event(TriggerKind.TASKS_CANNOT_START), "superseded")

    def completed(self) -> History:
        """ECS counts no failures of what has completed, and one of four tasks runs."""
        return self.impaired(healthy=1).as_ecs_says("COMPLETED", running=1)

    @pytest.mark.parametrize(
        ("build", "reason", "ago"),
        [
            pytest.param("v2", "tasks_cannot_start", minutes(2), id="its own, since it began"),
            pytest.param("v1", "superseded", minutes(2), id="those of the build before"),
            pytest.param("v2", "superseded", minutes(12), id="from before it began"),
        ],
    )
    def test_of_one_that_has_completed_stopped_tasks_tell_that_they_fail(
        self, build: str, reason: str, ago: timedelta
    ) -> None:
        story = self.completed().tasks_stopped(3, EXITED, build=build, ago=ago)
        assert story.reason() == reason

    def test_tasks_that_are_missing_and_of_which_nothing_is_known_tell_nothing(self) -> None:
        told(self.completed(), "superseded")

    def test_nor_do_those_that_a_scaling_stopped(self) -> None:
        words = "Scaling activity initiated by (deployment ecs-svc/1)"
        told(self.completed().tasks_stopped(3, SCHEDULER, words), "superseded")

    def test_of_what_codedeploy_deploys_stopped_tasks_alone_tell_it(self) -> None:
        story = self.impaired(healthy=1).tasks_stopped(3, EXITED)
        told(
            story.serving(controller=Controller.CODE_DEPLOY, deployments=()),
            "tasks_cannot_start",
            "v1",
        )

    def test_what_never_completed_is_judged_though_the_tasks_before_it_serve(self) -> None:
        """Nobody is in charge of it any more, and going back changes nothing of what serves."""
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(9), status=Status.STOPPED).serving(healthy=4)
        told(story.event(TriggerKind.TASKS_CANNOT_START), "tasks_cannot_start", "v1")

    def test_what_lingers_of_the_build_before_does_not_count_as_serving(self) -> None:
        """A deployment may succeed early, and its old tasks stay for two weeks."""
        story = self.impaired(healthy=4).as_ecs_says("COMPLETED", failed_tasks=3, running=1)
        told(story, "tasks_cannot_start", "v1")

    def test_unless_ecs_does_it_by_itself(self) -> None:
        told(self.failed().serving(rolls_back_by_itself=True), "handled_by_ecs")

    def test_but_not_if_ecs_has_had_its_time(self) -> None:
        story = self.failed(Status.ROLLBACK_FAILED).serving(rolls_back_by_itself=True)
        told(story.event(TriggerKind.DEPLOYMENT_FAILED, overdue=True), "deployment_failed", "v1")

    def test_nor_asked_again_where_ecs_did_it(self) -> None:
        story = self.failed(Status.ROLLBACK_SUCCESSFUL).serving(rolls_back_by_itself=True)
        told(story.event(TriggerKind.DEPLOYMENT_FAILED, overdue=True), "deployment_is_a_rollback")


class TestFlapping:
    @pytest.mark.parametrize(
        ("hours_ago", "reason"),
        [
            pytest.param((3, 5), "alarm_after_deployment", id="twice in the day before"),
            pytest.param((3, 5, 7), "alarm_is_flapping", id="three times"),
            pytest.param(
                (3, 5, 24.1),
                "alarm_is_flapping",
                id="three times, the first 23:55 h before the deployment",
            ),
            pytest.param(
                (3, 5, 24.3),
                "alarm_after_deployment",
                id="the first longer ago than a day before it",
            ),
        ],
    )
    def test_an_alarm_that_came_and_went_proves_nothing_by_coming_again(
        self, hours_ago: tuple[float, ...], reason: str
    ) -> None:
        story = bad_deployment()
        for ago in hours_ago:
            story.was_red("5xx-rate", ago=hours(ago))
        assert story.alarm("5xx-rate", onset=minutes(6)).reason() == reason


class TestSharedCause:
    """v2 finished 9 minutes ago, the trouble began 6 minutes ago: within ten minutes."""

    def story(
        self,
        *onsets: timedelta,
        changed: bool | None = False,
        fleet: int = 20,
        ago: timedelta | None = None,
    ) -> History:
        story = bad_deployment(ago=ago or minutes(9))
        story.fleet = fleet
        for number, onset in enumerate(onsets):
            story.neighbour(f"other-{number}", onset=onset, changed=changed)
        return story

    @pytest.mark.parametrize(
        ("onsets", "reason"),
        [
            pytest.param([7, 8], "alarm_after_deployment", id="two others"),
            pytest.param([7, 8, 16], "shared_cause", id="three, the first ten minutes before"),
            pytest.param([7, 8, 16.1], "alarm_after_deployment", id="the third longer before"),
            pytest.param(
                [7, 8, 6],
                "alarm_after_deployment",
                id="the third at the same time: perhaps a victim",
            ),
            pytest.param(
                [5, 4, 3], "alarm_after_deployment", id="all of them later: perhaps victims"
            ),
        ],
    )
    def test_unchanged_services_that_were_ill_before(
        self, onsets: list[float], reason: str
    ) -> None:
        assert self.story(*map(minutes, onsets)).reason() == reason

    @pytest.mark.parametrize(
        ("finished", "reason"),
        [
            pytest.param(
                minutes(16), "alarm_after_deployment", id="finished ten minutes before the trouble"
            ),
            pytest.param(minutes(16) + seconds(1), "shared_cause", id="finished longer before it"),
        ],
    )
    def test_later_ones_count_where_the_suspect_had_long_finished(
        self, finished: timedelta, reason: str
    ) -> None:
        assert self.story(minutes(6), minutes(5), minutes(0), ago=finished).reason() == reason

    @pytest.mark.parametrize(
        ("third", "reason"),
        [
            pytest.param(minutes(2), "shared_cause", id="ten minutes later"),
            pytest.param(minutes(2) - seconds(1), "alarm_after_deployment", id="a second more"),
        ],
    )
    def test_but_not_those_that_fell_ill_much_later(self, third: timedelta, reason: str) -> None:
        story = bad_deployment(ago=minutes(23), onset=minutes(12))
        for number, onset in enumerate([minutes(11), minutes(5), third]):
            story.neighbour(f"other-{number}", onset=onset)
        assert story.reason() == reason

    def test_of_many_the_first_five_are_named(self) -> None:
        story = self.story(*[minutes(8)] * 6)
        assert story.judged().verdict.detail == (
            "6 unchanged services fell ill within 10 min before it, 3 required: "
            + ", ".join(f"shop/other-{number}" for number in range(5))
        )

    def test_services_count_and_not_alarms(self) -> None:
        story = self.story(minutes(7), minutes(8)).neighbour("other-1", onset=minutes(9))
        assert story.reason() == "alarm_after_deployment"

    def test_services_that_changed_themselves_do_not_count(self) -> None:
        assert (
            self.story(*map(minutes, [7, 8, 9]), changed=True).reason() == "alarm_after_deployment"
        )

    def test_services_of_which_that_is_not_known_do(self) -> None:
        assert self.story(*map(minutes, [7, 8, 9]), changed=None).reason() == "shared_cause"

    @pytest.mark.parametrize(
        ("fleet", "others", "reason"),
        [
            (3, 1, "alarm_after_deployment"),
            (3, 2, "shared_cause"),
            (5, 2, "shared_cause"),
            (6, 2, "alarm_after_deployment"),
            (6, 3, "shared_cause"),
        ],
    )
    def test_in_a_small_fleet_half_of_the_others_and_at_least_two(
        self, fleet: int, others: int, reason: str
    ) -> None:
        assert self.story(*[minutes(8)] * others, fleet=fleet).reason() == reason


class TestUnread:
    """What could not be read is named, and nothing is done."""

    def test_what_ran_before(self) -> None:
        story = bad_deployment()
        del story.revisions[story.deployments[0].target]
        told(story, "no_recent_deployment")
        assert "what ran before the deployment" in story.judged().verdict.detail

    def test_an_alarm_history_that_does_not_reach_a_day_before_the_deployment(self) -> None:
        story = bad_deployment()
        story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], history_from=NOW - hours(24))
        told(story, "alarm_is_flapping")

    def test_an_alarm_history_that_does_not_reach_the_serving_period_of_a_candidate(self) -> None:
        story = bad_deployment()
        alarm = story.alarms["latency"]
        story.alarms["latency"] = replace(alarm, history_from=NOW - days(5), since=NOW - days(5))
        told(story, "no_stable_revision")
        assert "the history of latency was not read" in story.judged().verdict.detail

    def test_a_build_that_ran_on_while_another_failed(self) -> None:
        story = incident().deployed("v1", ago=days(20)).deployed("v2", ago=minutes(75))
        story.deployed("v1", ago=minutes(72), status=Status.STOPPED).deployed("v1", ago=minutes(39))
        unread = story.deployments[1].target
        story.deployed("v2", ago=minutes(3)).alarm("5xx-rate", onset=minutes(0))
        told(story, "deployment_is_a_rollback")
        del story.revisions[unread]
        told(story, "deployment_is_a_rollback")

    def test_how_a_build_that_comes_back_fared_before(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(20))
            .deployed("v2", ago=days(6))
            .deployed("v1", ago=minutes(9))
        )
        alarm = story.alarm("5xx-rate", onset=minutes(6)).alarms["latency"]
        story.alarms["latency"] = replace(alarm, history_from=NOW - days(7), since=NOW - days(7))
        told(story, "deployment_is_a_rollback")


class TestIrreversible:
    def test_the_service(self) -> None:
        told(bad_deployment().serving(irreversible=True), "irreversible_change")

    @pytest.mark.parametrize(
        "tagged", ["v2", "v3", "v4"], ids=["between", "the suspect", "after the suspect"]
    )
    def test_any_revision_since_the_target(self, tagged: str) -> None:
        story = incident().deployed("v1", ago=days(6))
        for build, ago in (("v2", 55), ("v3", 25), ("v4", 5)):
            story.deployed(build, ago=minutes(ago), irreversible=build == tagged)
        story.was_red("latency", ago=minutes(50)).alarm("5xx-rate", onset=minutes(15))
        told(story, "irreversible_change")

    def test_not_the_target_itself(self) -> None:
        story = (
            incident().deployed("v1", ago=days(6), irreversible=True).deployed("v2", ago=minutes(9))
        )
        told(story.alarm("5xx-rate", onset=minutes(6)), "alarm_after_deployment", "v1")


class TestLimit:
    @pytest.mark.parametrize(
        ("ago", "automatic", "reason"),
        [
            pytest.param(hours(23.9), True, "rollback_limit_reached", id="the third within 24 h"),
            pytest.param(hours(24), True, "alarm_after_deployment", id="the third 24 h ago"),
            pytest.param(
                hours(23.9), False, "alarm_after_deployment", id="a person's do not count"
            ),
        ],
    )
    def test_three_automatic_ones_a_day(
        self, ago: timedelta, *, automatic: bool, reason: str
    ) -> None:
        story = bad_deployment().rolled_back("v0", ago=hours(2)).rolled_back("v0", ago=hours(3))
        assert story.rolled_back("v0", ago=ago, automatic=automatic).reason() == reason


def test_a_first_deployment_has_nowhere_to_go_back_to() -> None:
    told(
        incident().deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)),
        "no_stable_revision",
    )
