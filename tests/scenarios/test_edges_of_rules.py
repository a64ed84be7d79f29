"""Where a rule ends: what just counts, and what could not be read."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.before_deployment import Coming, is_it_quarantined
from autorollback.decision.case import Case, Passed, Suspicion
from autorollback.decision.changes import only_settings_in_progress
from autorollback.decision.continuation import another_came, told_apart_by_content
from autorollback.decision.decide import choose_for_person, decide
from autorollback.decision.facts import Revision, Status, Strategy, TrafficShift, TriggerKind
from autorollback.decision.next_deployment import with_next_deployment
from autorollback.decision.question import Question
from autorollback.decision.recovery import assess
from autorollback.decision.rules import still_serving
from autorollback.decision.rules.capacity_lost import capacity_lost
from autorollback.decision.rules.irreversible_change import reversible
from autorollback.decision.rules.not_serving_yet import not_serving_yet
from autorollback.decision.verdicts import Hold, RollBack
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


def unfinished(story: History, index: int = -1) -> History:
    """AWS has no end of a deployment on record."""
    story.deployments[index] = replace(story.deployments[index], finished_at=None)
    return story


class TestSuspects:
    def test_a_restart_at_the_very_moment_of_an_event_may_have_caused_it(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v1", ago=minutes(5), status=Status.IN_PROGRESS).as_ecs_says("FAILED")
        assert story.event(TriggerKind.DEPLOYMENT_FAILED, ago=minutes(5)).reason() == (
            "only_settings_changed"
        )

    def test_an_event_and_a_deployment_may_stand_as_far_apart_as_two_clocks(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(5), status=Status.IN_PROGRESS).as_ecs_says("FAILED")
        event = minutes(5) + seconds(5)
        assert story.event(TriggerKind.DEPLOYMENT_FAILED, ago=event).reason() == "deployment_failed"

    def test_without_any_deployment_on_record_nobody_is_blamed_for_a_failure(self) -> None:
        story = incident().event(TriggerKind.DEPLOYMENT_FAILED)
        assert story.reason() == "no_recent_deployment"

    @pytest.mark.parametrize(("changed", "told"), [(days(6) + minutes(2), False), (days(6), True)])
    def test_secrets_count_that_changed_since_what_was_restarted_had_started(
        self, changed: timedelta, *, told: bool
    ) -> None:
        story = incident().deployed("v0", ago=days(20)).deployed("v1", ago=days(6))
        story.deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        detail = story.secret("token", changed=changed).judged().verdict.detail
        assert ("token changed at" in detail) is told
        assert ("has changed since 2026-11-16 13:58:00Z" in detail) is not told

    def test_what_was_stopped_has_not_proven_itself_however_long_ago_that_was(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(58), status=Status.STOPPED).deployed("v3", ago=minutes(5))
        story.alarm("5xx-rate", onset=minutes(55))
        assert (story.reason(), story.target()) == ("alarm_after_deployment", "v1")

    def test_nobody_is_blamed_for_what_began_long_after_an_unproven_deployment(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(100), status=Status.STOPPED).deployed("v3", ago=minutes(5))
        detail = story.alarm("5xx-rate", onset=minutes(30)).judged().verdict.detail
        assert detail == "5xx-rate was in trouble 23 min before the deployment started"

    def test_one_that_was_stopped_without_an_end_on_record_is_late_by_its_start(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(9), status=Status.STOPPED)
        assert unfinished(story.alarm("5xx-rate", onset=minutes(6))).target() == "v1"

    @pytest.mark.parametrize(("earlier", "flaps"), [(seconds(0), True), (seconds(1), False)])
    def test_two_or_more_times_in_the_day_before_count_from_its_very_beginning(
        self, earlier: timedelta, *, flaps: bool
    ) -> None:
        story = bad_deployment()
        for ago in (hours(3), hours(5), hours(24) + minutes(11) + earlier):
            story.was_red("5xx-rate", ago=ago)
        reason = story.alarm("5xx-rate", onset=minutes(6)).reason()
        assert (reason == "alarm_is_flapping") is flaps

    def test_that_an_alarm_does_not_flap_is_evidence_too(self) -> None:
        """Of a build that was rolled back from before, that it was not asked."""

        def found(story: History) -> str:
            (finding,) = [f for f in story.judged().evidence if f.rule == "alarm_is_flapping"]
            return finding.detail

        went = "5xx-rate went to ALARM 1 times in the 24 h before the deployment, limit 2"
        assert (
            found(
                bad_deployment()
                .was_red("5xx-rate", ago=hours(20))
                .alarm("5xx-rate", onset=minutes(6))
            )
            == went
        )
        known = bad_deployment().quarantined("v2", ago=days(2))
        assert found(known).startswith("a build that was rolled back from before")

    def test_of_a_build_that_was_rolled_back_from_ecs_spoke_before_it_was_deployed_again(
        self,
    ) -> None:
        story = incident().deployed("v1", ago=days(6)).quarantined("v2", ago=days(2))
        story.deployed("v2", ago=minutes(5), status=Status.IN_PROGRESS).as_ecs_says("FAILED")
        story.event(TriggerKind.DEPLOYMENT_FAILED, ago=minutes(9), overdue=True)
        assert story.reason() == "superseded"

    def test_nobody_says_that_a_service_still_serves_which_could_not_be_read(self) -> None:
        facts = replace(
            bad_deployment().event(TriggerKind.TASKS_CANNOT_START).facts(), service=None
        )
        suspicion = Suspicion(facts.deployments[0], NOW, "tasks cannot start")
        question = Question(facts, incident().policy, NOW)
        assert isinstance(still_serving.RULE.ask(Case(question, suspicion)), Passed)

    @pytest.mark.parametrize("known", [True, False])
    def test_it_is_told_since_when_an_alarm_is_calm(self, *, known: bool) -> None:
        story = bad_deployment().watched_by("5xx-rate", since=minutes(3))
        if not known:
            story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], since=None)
        when = " since 2026-11-22 13:57:00Z" if known else ""
        assert story.judged().verdict.detail == f"5xx-rate is not in ALARM{when}"

    @pytest.mark.parametrize(
        ("began", "reason"),
        [
            pytest.param(minutes(11) + seconds(30), "alarm_after_deployment", id="long red since"),
            pytest.param(minutes(5), "alarm_predates_deployment", id="not long enough to tell"),
        ],
    )
    def test_of_trouble_in_the_minute_of_a_deployment_the_time_that_it_lasts_tells(
        self, began: timedelta, reason: str
    ) -> None:
        """Nothing but its first breach is known, and an alarm is evaluated every minute."""
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=began - minutes(2), took=minutes(2) - seconds(30))
        story.alarm("5xx-rate", onset=began, fired=began - minutes(3), last_breach=began)
        assert story.reason() == reason


class TestKnownBad:
    def test_the_trouble_began_when_the_alarm_fired_where_nothing_else_is_known(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(50))
        story.deployed("v1", ago=minutes(38)).rolled_back("v1", ago=minutes(40))
        story.quarantined("v2", ago=minutes(40), signals=("5xx-rate",))
        story.deployed("v2", ago=minutes(5)).alarm("5xx-rate", onset=minutes(3), fired=minutes(2))
        for unknown, onset in (({}, 3), ({"onset": None}, 2), ({"since": None}, 0)):
            story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], **unknown)  # type: ignore[arg-type]
            verdict = story.judged().verdict
            assert isinstance(verdict, RollBack)
            assert verdict.onset == NOW - minutes(onset)


class TestSharedCause:
    def later(self, story: History) -> str:
        for number in range(3):
            story.neighbour(f"other-{number}", onset=minutes(4))
        return story.alarm("5xx-rate", onset=minutes(6)).reason()

    def test_of_a_deployment_in_progress_others_are_victims(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(40), status=Status.IN_PROGRESS)
        assert self.later(story) == "alarm_after_deployment"

    @pytest.mark.parametrize(
        ("began", "reason"),
        [(minutes(16), "alarm_after_deployment"), (minutes(17), "shared_cause")],
    )
    def test_where_no_end_is_on_record_a_deployment_ended_as_it_began(
        self, began: timedelta, reason: str
    ) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=began, took=seconds(0), status=Status.STOPPED)
        assert self.later(unfinished(story)) == reason


class TestSlowStart:
    def test_an_alarm_of_which_no_breach_is_known_waits(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(3), took=hours(1))
        story.serving(healthy=2).alarm("unhealthy-targets", onset=minutes(8))
        red = story.alarms["unhealthy-targets"]
        story.alarms["unhealthy-targets"] = replace(red, last_breach=None)
        assert story.reason() == "slow_start"

    @pytest.mark.parametrize(
        ("healthy", "told"),
        [(2, "2 targets are healthy"), (None, "how many targets are healthy could not be read")],
    )
    def test_it_is_told_how_many_are_healthy(self, healthy: int | None, told: str) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS).serving(healthy=healthy)
        detail = story.alarm("unhealthy-targets", onset=minutes(6)).judged().verdict.detail
        assert f"is in progress and {told}: tasks that start slowly are not failing" in detail


class TestIrreversible:
    def test_of_a_service_that_is_gone_only_the_revisions_tell(self) -> None:
        facts = replace(bad_deployment().facts(), service=None)
        assert not isinstance(reversible(facts, facts.deployments[0]), Hold)

    def test_what_could_not_be_described_may_be_it(self) -> None:
        story = bad_deployment()
        facts, brought = story.facts(), story.deployments[-1].target
        between = reversible(facts, facts.deployments[0], [None])
        assert between.detail.startswith("the tags of something that was deployed after the target")
        unread: Revision = replace(story.revisions[brought], identity=None)
        told = reversible(facts, facts.deployments[0], [unread])
        assert isinstance(told, Hold)
        assert told.detail.startswith("the tags of auth:v2 could not be read")


class TestNotServingYet:
    def story(self) -> History:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(20))
        story.deployed("v3", ago=minutes(9), status=Status.IN_PROGRESS)
        return story.as_ecs_says(running=0).alarm("5xx-rate", onset=minutes(6))

    def test_ecs_speaks_of_the_newest_deployment_alone(self) -> None:
        facts = self.story().serving(desired=0).facts()
        assert not_serving_yet(facts.deployments[0], facts) is not None
        stopped = replace(facts.deployments[1], status=Status.STOPPED)
        assert not_serving_yet(stopped, facts) is None
        assert not_serving_yet(facts.deployments[0], replace(facts, deployments=())) is None
        assert not_serving_yet(facts.deployments[0], replace(facts, service=None)) is None

    @pytest.mark.parametrize(
        ("weight", "stage", "told"),
        [
            (0.0, None, "0% of production traffic reaches what it brought"),
            (0.0, "SCALE_UP", "0% of production traffic reaches what it brought (stage SCALE_UP)"),
            (None, None, "nothing says that production traffic reaches what it brought"),
        ],
    )
    def test_it_is_told_at_which_stage(
        self, weight: float | None, stage: str | None, told: str
    ) -> None:
        facts = self.story().facts()
        traffic = TrafficShift(Strategy.CANARY, weight, stage)
        assert not_serving_yet(replace(facts.deployments[0], traffic=traffic), facts) == told


class TestPersons:
    def test_what_runs_may_be_a_build_that_could_not_be_described(self) -> None:
        story = bad_deployment()
        del story.revisions[story.deployments[-1].target]
        verdict = choose_for_person(story.facts(), story.policy, NOW).verdict
        assert isinstance(verdict, RollBack)
        assert verdict.candidates[0].revision.identity == "v1"

    def test_they_are_told_what_could_not_be_read(self) -> None:
        story = incident().deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        whole = story.judged().verdict.detail
        assert "could not be read" not in whole
        facts = replace(story.facts(), unread=("older deployments", "tags"))
        detail = decide(facts, story.policy, NOW).verdict.detail
        assert detail == f"{whole}; could not be read: older deployments, tags"


class TestAfterARollback:
    """v2 was rolled back to v1 twenty minutes ago."""

    def story(self) -> History:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(1))
        story.deployed("v1", ago=minutes(18)).rolled_back("v1", ago=minutes(20), is_open=True)
        return story.serving(healthy=4).alarm("5xx-rate", onset=minutes(30))

    def came(self, story: History) -> bool:
        return another_came(story.memory.rollbacks[-1], story.facts())

    def told_apart(self, story: History) -> list[str]:
        found = told_apart_by_content(story.memory.rollbacks[-1], story.facts())
        return [revision.arn for revision in found]

    def progress(self, story: History) -> str:
        question = Question(story.facts(), story.policy, NOW)
        return assess(story.memory.rollbacks[-1], question).progress.value

    def test_where_no_end_is_on_record_its_time_runs_from_the_start(self) -> None:
        story = unfinished(self.story()).watched_by("5xx-rate", since=minutes(10))
        assert self.progress(story) == "recovered"
        assert self.progress(unfinished(self.story())) == "not_recovered"
        assert self.progress(incident().rolled_back("v1", ago=minutes(5)).alarm(
            "5xx-rate", onset=minutes(30)
        )) == "open"  # fmt: skip

    @pytest.mark.parametrize(
        ("before", "progress"), [(seconds(60), "not_recovered"), (seconds(61), "recovered")]
    )
    def test_what_it_stopped_was_there_before_by_more_than_clocks_differ(
        self, before: timedelta, progress: str
    ) -> None:
        story = incident().deployed("v1", ago=days(6))
        status = Status.ROLLBACK_SUCCESSFUL
        story.deployed("v2", ago=minutes(10), took=minutes(10) + before, status=status)
        stopped = story.deployments[-1].arn
        story.rolled_back("v1", ago=minutes(20), deployment=stopped).serving(healthy=4)
        story.alarm("5xx-rate", onset=minutes(30)).watched_by("5xx-rate", since=minutes(8))
        older_record = replace(story.memory.rollbacks[-1], over=None)
        story.memory = replace(story.memory, rollbacks=(older_record,))
        assert self.progress(story) == progress

    def test_nothing_else_came_while_its_own_is_the_newest_or_none_is_shown(self) -> None:
        assert not self.came(self.story())
        nothing = self.story()
        nothing.deployments.clear()
        assert not self.came(nothing)
        assert self.told_apart(nothing) == []

    def test_another_build_came(self) -> None:
        assert self.came(self.story().deployed("v3", ago=minutes(5)))
        assert not self.came(self.story().deployed("v1", ago=minutes(5)))

    def again(self, **changed: object) -> History:
        """v1 is deployed again, under a definition of another number, and with what else is told."""
        story = self.story().deployed("v1", ago=minutes(5))
        newest = story.deployments[-1].target
        again = {"task_definition_arn": "registered-again", **changed}
        story.revisions[newest] = replace(story.revisions[newest], **again)  # type: ignore[arg-type] # its own keys
        return story

    def test_a_pipeline_that_registers_it_again_brings_the_same(self) -> None:
        assert not self.came(self.again())
        assert self.came(self.again(identity="other"))
        assert self.came(self.again(images={"app": "sha256:other"}))
        assert self.came(self.again(task_definition_arn="other", identity="other"))

    def test_a_container_that_only_one_of_them_has_tells_no_other_image(self) -> None:
        assert not self.came(self.again(images={"app": "sha256:v1", "log": "sha256:log"}))

    def test_what_is_not_described_is_told_by_its_containers(self) -> None:
        assert not self.came(self.again(identity=None))
        assert not self.came(self.again(identity=None, images={"app": None}))
        assert self.came(self.again(identity=None, images={"app": None, "log": None}))

    def test_digests_that_are_not_there_yet_are_waited_for_while_it_is_in_progress(self) -> None:
        story = self.again(identity="other", images={"app": None})
        assert self.came(story)
        under_way = replace(story.deployments[-1], status=Status.IN_PROGRESS)
        story.deployments[-1] = under_way
        assert not self.came(story)
        known = self.again(identity="other")
        known.deployments[-1] = replace(known.deployments[-1], status=Status.IN_PROGRESS)
        assert self.came(known)

    def test_what_was_restored_may_be_told_by_its_definition_alone(self) -> None:
        story = self.again(task_definition_arn="other")
        restored = story.deployments[-2]
        story.memory = replace(
            story.memory,
            rollbacks=(replace(story.memory.rollbacks[-1], deployment=restored.arn),),
        )
        del story.revisions[restored.target]
        assert self.came(story)
        newest = story.deployments[-1].target
        deployed = story.memory.rollbacks[-1].deployed
        story.revisions[newest] = replace(story.revisions[newest], task_definition_arn=deployed)
        assert not self.came(story)
        del story.revisions[newest]
        assert self.came(story)
        assert self.told_apart(story) == []

    def test_content_tells_where_definitions_do_not(self) -> None:
        story = self.again()
        newest, restored = story.deployments[-1].target, story.deployments[-2].target
        assert self.told_apart(story) == [newest, restored]
        assert self.told_apart(self.story().deployed("v1", ago=minutes(5))) == []


class TestTheNextDeployment:
    def sources(self, story: History, *, gone: bool = False) -> tuple[str, ...]:
        facts = story.alarm("5xx-rate", onset=minutes(6)).facts()
        if gone:
            facts = replace(facts, service=None)
        return with_next_deployment(facts, NOW).deployments[0].sources

    def test_replaces_what_runs_where_no_deployment_is_on_record_any_more(self) -> None:
        runs = incident().serving(current_revisions=("revision",))
        assert self.sources(runs) == ("revision",)
        assert self.sources(runs, gone=True) == ()
        assert self.sources(runs.deployed("v1", ago=days(6))) == ()


class TestWhatIsNotThere:
    def test_of_a_service_that_is_gone_nobody_knows_what_capacity_it_lost(self) -> None:
        story = bad_deployment().tasks_stopped(4, "SpotInterruption")
        facts = replace(story.facts(), service=None)
        assert capacity_lost(story.deployments[-1], NOW - minutes(6), facts, NOW) is None

    def test_a_task_of_which_nobody_says_when_it_was_started_is_the_suspects_own(self) -> None:
        story = bad_deployment().serving(running=0).tasks_stopped(4, "SpotInterruption")
        story.stops = tuple(replace(task, created_at=None) for task in story.stops or ())
        facts = story.facts()
        assert capacity_lost(story.deployments[-1], NOW - minutes(6), facts, NOW) is not None

    def test_settings_that_come_with_another_build_are_not_only_settings(self) -> None:
        story = incident().deployed("v1", ago=days(6), settings={"network": "a"})
        in_progress = Status.IN_PROGRESS
        story.deployed("v2", ago=minutes(5), settings={"network": "b"}, status=in_progress)
        story.alarm("5xx-rate", onset=minutes(4))
        assert not only_settings_in_progress(story.facts(), story.deployments[-1])
        alone = incident().deployed("v1", ago=days(6), settings={"network": "a"})
        alone.deployed("v1", ago=minutes(5), settings={"network": "b"}, status=in_progress)
        alone.alarm("5xx-rate", onset=minutes(4))
        assert only_settings_in_progress(alone.facts(), alone.deployments[-1])


class TestBeforeADeployment:
    def coming(self, **images: str | None) -> Coming:
        """A build that nobody knows, with these images given alone."""
        story = incident().deployed("new", ago=minutes(1))
        (revision,) = story.revisions.values()
        return Coming(revision, images)

    def passes(self, **images: str | None) -> bool:
        story = incident().deployed("v1", ago=days(6)).quarantined("v2", ago=hours(2))
        story.alarm("5xx-rate", onset=minutes(4))
        question = Question(story.facts(), story.policy, NOW)
        return is_it_quarantined(self.coming(**images), question).passed

    def test_the_images_of_a_build_that_was_rolled_back_from_are_known_alone(self) -> None:
        assert not self.passes(app="sha256:v2")
        assert self.passes(app="sha256:v3")

    def test_no_image_or_one_without_a_digest_is_nobodys(self) -> None:
        assert self.passes()
        assert self.passes(app=None)
