"""Where to go back to: what really ran well, by evidence, never the revision before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from autorollback.decision.decide import choose_for_person
from autorollback.decision.facts import AlarmPeriod, Facts, KnownGood, Status, TriggerKind
from autorollback.decision.formatting import clock
from autorollback.decision.lineage import running_before
from autorollback.decision.quarantine import quarantined
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod, serving_periods
from autorollback.decision.stability import attested, may_have_been_stable, past_is_known, proven
from autorollback.decision.targets import candidates
from autorollback.decision.verdicts import RollBack
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


def replaced_last(facts: Facts) -> ServingPeriod:
    """The newest serving period that was over when the newest deployment began."""
    return next(p for p in serving_periods(facts) if p.ended_by(facts.deployments[0].start))


def passed_over(story: History, build: str) -> str:
    """Why a build was not chosen, in the words of the report."""
    return next(c.detail for c in story.judged().candidates if c.revision.identity == build)


class TestServingPeriods:
    """v2's deployment started 11 minutes ago; v1 served until then."""

    @pytest.mark.parametrize(
        ("served", "target"),
        [(minutes(30), "v1"), (minutes(30) - seconds(1), "v0")],
        ids=["half an hour", "a second less"],
    )
    def test_stable_is_half_an_hour_in_service(self, served: timedelta, target: str) -> None:
        story = incident().deployed("v0", ago=days(2)).deployed("v1", ago=minutes(11) + served)
        assert (
            story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)).target()
            == target
        )

    def test_the_revision_before_is_passed_over_where_it_did_not_run_well(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(1))
        story.was_red("latency", ago=minutes(36), lasted=minutes(30))
        story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert story.target() == "v1"
        assert "latency was in ALARM" in passed_over(story, "v2")

    @pytest.mark.parametrize(
        ("began", "target"),
        [(minutes(21), "v1"), (minutes(21) + seconds(1), "v0")],
        ids=["ten minutes before the end", "a second longer"],
    )
    def test_or_to_ten_minutes_before_it(self, began: timedelta, target: str) -> None:
        """A migration that runs ahead of its deployment does not discredit what it finds."""
        story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
        story.was_red("latency", ago=began, lasted=minutes(30)).deployed("v2", ago=minutes(9))
        assert story.alarm("5xx-rate", onset=minutes(6)).target() == target

    def test_an_alarm_that_was_there_before_it_came_says_nothing_against_it(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .was_red("5xx-rate", ago=hours(2), lasted=minutes(80))
        )
        story.deployed("v1", ago=hours(1)).deployed("v2", ago=minutes(9)).alarm(
            "5xx-rate", onset=minutes(6)
        )
        assert story.target() == "v1"

    @pytest.mark.parametrize(
        ("red_for", "target"),
        [(minutes(58), "v1"), (minutes(60), "v0")],
        ids=["for less than a tenth of its time", "for longer"],
    )
    def test_one_that_fired_while_it_was_being_deployed_does(
        self, red_for: timedelta, target: str
    ) -> None:
        """It served for 589 minutes."""
        story = incident().deployed("v0", ago=days(9))
        story.deployed("v1", ago=minutes(600), took=minutes(6))
        story.was_red("latency", ago=minutes(602), lasted=minutes(2) + red_for)
        story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert story.target() == target

    def test_but_not_against_what_ecs_went_back_to(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(9))
            .deployed("bad", ago=hours(1), status=Status.ROLLBACK_SUCCESSFUL)
        )
        story.was_red("latency", ago=minutes(61), lasted=minutes(40)).deployed("v2", ago=minutes(9))
        assert story.alarm("5xx-rate", onset=minutes(6)).target() == "v1"
        assert "served 49 min" in passed_over(story, "v1")

    def test_a_restart_does_not_interrupt_a_serving_period(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("v1", ago=minutes(50))
            .deployed("v1", ago=minutes(30))
        )
        assert (
            story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)).target()
            == "v1"
        )

    @pytest.mark.parametrize(
        "status", [Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED]
    )
    def test_a_deployment_that_failed_is_no_evidence_for_what_it_brought(
        self, status: Status
    ) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=hours(3), status=status)
        story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert story.target() == "v1"

    def test_but_other_periods_of_the_same_build_may_be(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=hours(5), status=Status.ROLLBACK_SUCCESSFUL)
        )
        story.deployed("v2", ago=hours(3)).deployed("v3", ago=minutes(9)).alarm(
            "5xx-rate", onset=minutes(6)
        )
        assert story.target() == "v2"

    def test_what_a_deployment_in_progress_replaces_is_stable_by_its_own_time(self) -> None:
        story = incident().deployed("v0", ago=days(6)).deployed("v1", ago=hours(1))
        story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS).alarm(
            "5xx-rate", onset=minutes(6)
        )
        assert story.target() == "v1"

    def test_the_newest_deployments_source_may_be_older_than_what_aws_keeps(self) -> None:
        story = incident().deployed("v1", ago=days(95)).deployed("v2", ago=minutes(9))
        story.deployments.pop(0)
        assert story.alarm("5xx-rate", onset=minutes(6)).target() == "v1"


class TestCalmWhenItWasReplaced:
    """v1 served for six days, until v2's deployment began 11 minutes ago; v0 served well before it."""

    def story(self, **first: Any) -> History:
        return incident().deployed("v0", ago=days(20)).deployed("v1", ago=days(6), **first)

    def judged(self, story: History) -> str | None:
        return story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)).target()

    def test_a_blip_shortly_before_it_was_replaced_sends_nobody_two_releases_back(self) -> None:
        """Three minutes of errors, twenty-five minutes before the next deployment: they are named."""
        story = self.story().was_red("5xx-rate", ago=minutes(36), lasted=minutes(3))
        assert self.judged(story) == "v1"
        assert passed_over(story, "v1") == (
            "served 5 d without alarm until 2026-11-22 13:24:00Z, 5,000 requests; "
            "5xx-rate was in ALARM at 2026-11-22 13:24:00Z for 3 min"
        )

    def test_nor_is_nothing_left_where_it_was_the_only_one(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        assert self.judged(story.was_red("latency", ago=minutes(36), lasted=minutes(3))) == "v1"

    @pytest.mark.parametrize(
        ("lasted", "target"),
        [
            pytest.param(minutes(20), "v1", id="it was over when v2 began"),
            pytest.param(minutes(20) + seconds(1), "v0", id="it was not"),
        ],
    )
    def test_what_was_red_ten_minutes_before_must_not_be_red_still(
        self, lasted: timedelta, target: str
    ) -> None:
        assert (
            self.judged(self.story().was_red("latency", ago=minutes(31), lasted=lasted)) == target
        )

    @pytest.mark.parametrize(("times", "target"), [(2, "v1"), (3, "v0")])
    def test_no_more_spells_in_its_last_day_than_an_alarm_may_flap(
        self, times: int, target: str
    ) -> None:
        story = self.story()
        for number in range(times):
            story.was_red("latency", ago=hours(3 + number), lasted=minutes(2))
        assert self.judged(story) == target
        if times == 3:
            told = "3 times in ALARM in its last 24 h, limit 2: latency was in ALARM at "
            assert passed_over(story, "v1").startswith(told)

    def test_those_of_the_days_before_are_forgotten(self) -> None:
        story = self.story()
        for number in range(9):
            story.was_red("latency", ago=hours(25 + number), lasted=minutes(20))
        assert self.judged(story) == "v1"

    def test_alarms_that_speak_at_one_time_speak_of_one_trouble(self) -> None:
        story = self.story()
        for signal in ("5xx-rate", "latency", "unhealthy-targets"):
            story.was_red(signal, ago=hours(3), lasted=minutes(4))
        assert self.judged(story) == "v1"

    @pytest.mark.parametrize(
        ("lasted", "target"), [(hours(2.4), "v1"), (hours(2.4) + seconds(1), "v0")]
    )
    def test_together_they_take_no_more_than_a_tenth_of_its_last_day(
        self, lasted: timedelta, target: str
    ) -> None:
        story = self.story().was_red("latency", ago=hours(9), lasted=lasted)
        assert self.judged(story) == target

    def test_of_a_shorter_time_in_service_they_take_no_more_than_a_tenth_of_that(self) -> None:
        """It served 100 minutes."""
        story = incident().deployed("v0", ago=days(20)).deployed("v1", ago=minutes(111))
        story.was_red("latency", ago=minutes(60), lasted=minutes(10))
        assert self.judged(story) == "v1"
        story = incident().deployed("v0", ago=days(20)).deployed("v1", ago=minutes(111))
        story.was_red("latency", ago=minutes(60), lasted=minutes(10) + seconds(1))
        assert self.judged(story) == "v0"

    def test_an_alarm_that_came_and_went_as_often_before_it_came_says_nothing(self) -> None:
        story = self.story()
        for number in range(4):
            story.was_red("latency", ago=days(6) + hours(2 + number), lasted=minutes(5))
            story.was_red("latency", ago=hours(2 + number), lasted=minutes(5))
        assert self.judged(story) == "v1"

    @pytest.mark.parametrize(("times", "target"), [(3, "v1"), (1, "v0")])
    def test_still_red_says_nothing_only_of_one_that_flaps_as_it_did(
        self, times: int, target: str
    ) -> None:
        story = self.story().under(flap_limit=2)
        for number in range(times):
            story.was_red("latency", ago=days(6) + hours(2 + number), lasted=minutes(40))
        story.was_red("latency", ago=minutes(36), lasted=minutes(30))
        assert self.judged(story) == target

    def test_one_that_came_more_often_than_before_does(self) -> None:
        story = self.story().under(flap_limit=3)
        for number in range(4):
            story.was_red("latency", ago=hours(2 + number), lasted=minutes(5))
        for number in range(3):
            story.was_red("latency", ago=days(6) + hours(2 + number), lasted=minutes(5))
        assert self.judged(story) == "v0"

    def test_so_does_one_that_stayed_much_longer_than_before(self) -> None:
        story = self.story().was_red("latency", ago=days(6) + hours(2), lasted=minutes(5))
        assert self.judged(story.was_red("latency", ago=hours(9), lasted=hours(3))) == "v0"

    def test_a_migration_that_runs_ahead_says_nothing_however_often_it_tries(self) -> None:
        story = self.story()
        for number in range(4):
            story.was_red("latency", ago=minutes(20 - 2 * number), lasted=minutes(1))
        assert self.judged(story) == "v1"

    def test_how_an_alarm_behaved_before_it_came_is_read_where_it_matters(self) -> None:
        story = self.story().was_red("latency", ago=minutes(36), lasted=minutes(3))
        latency = story.alarms["latency"]
        story.alarms["latency"] = replace(latency, history_from=NOW - days(6) - minutes(3))
        assert self.judged(story) != "v1"
        assert passed_over(story, "v1") == "the history of latency was not read"

    def test_a_record_of_the_ledger_tells_the_spells(self) -> None:
        story = self.story().was_red("latency", ago=minutes(36), lasted=minutes(3))
        self.judged(story)
        question = Question(story.facts(), story.policy, NOW)
        good = proven(replaced_last(story.facts()), question)
        assert good is not None
        assert (good.calm_until, good.until) == (NOW - minutes(36), NOW - minutes(11))
        remembered = self.story().deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        remembered.memory = replace(remembered.memory, known_good=(good,))
        for signal in ("latency", "unhealthy-targets"):
            unread = replace(remembered.alarms[signal], history_from=None, spells=None, since=NOW)
            remembered.alarms[signal] = unread
        assert remembered.target() == "v1"
        assert "latency was in ALARM at 2026-11-22 13:24:00Z for 3 min" in passed_over(
            remembered, "v1"
        )


class TestTraffic:
    def story(self, requests: int | None) -> History:
        story = (
            incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6), requests=requests)
        )
        return story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))

    @pytest.mark.parametrize(
        ("requests", "target"),
        [(1, "v1"), (0, "v0"), (None, "v0")],
        ids=["some reached it", "none did: a quiet night", "nobody knows"],
    )
    def test_behind_a_load_balancer_requests_must_have_reached_it(
        self, requests: int | None, target: str
    ) -> None:
        assert self.story(requests).target() == target

    def test_the_evidence_gives_the_number(self) -> None:
        assert "1,234 requests" in passed_over(self.story(1234), "v1")

    def test_without_load_balancer_none_is_asked(self) -> None:
        assert self.story(0).without_load_balancer().target() == "v1"


class TestUnwatched:
    @pytest.mark.parametrize(
        ("served", "reason"),
        [(hours(24), "alarm_after_deployment"), (hours(24) - seconds(1), "no_stable_revision")],
        ids=["a day", "a second less"],
    )
    def test_time_without_alarms_counts_from_a_day_on(self, served: timedelta, reason: str) -> None:
        story = incident().unwatched_until(minutes(15)).deployed("v1", ago=minutes(11) + served)
        assert (
            story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)).reason()
            == reason
        )

    @pytest.mark.parametrize(
        ("watched", "reason"),
        [(minutes(41), "alarm_after_deployment"), (minutes(41) - seconds(1), "no_stable_revision")],
        ids=["half an hour of it watched", "a second less"],
    )
    def test_watched_time_counts_as_ever(self, watched: timedelta, reason: str) -> None:
        story = (
            incident()
            .unwatched_until(watched)
            .deployed("v1", ago=hours(3))
            .deployed("v2", ago=minutes(9))
        )
        assert story.alarm("5xx-rate", onset=minutes(6)).reason() == reason

    @pytest.mark.parametrize(
        ("served", "target"), [(hours(25), "v1"), (hours(23), "v0")], ids=["a day and more", "less"]
    )
    def test_so_does_time_that_is_longer_ago_than_alarm_history_is_kept(
        self, served: timedelta, target: str
    ) -> None:
        story = incident().deployed("v0", ago=days(60)).deployed("v1", ago=days(40) + served)
        story.deployed("bad", ago=days(40)).was_red(
            "latency", ago=minutes(36), lasted=minutes(30)
        ).deployed("v2", ago=minutes(9))
        assert story.alarm("5xx-rate", onset=minutes(6)).target() == target


class TestQuarantine:
    def test_what_was_rolled_back_from_stays_out(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("v1", ago=days(6))
            .quarantined("v1", ago=days(1))
        )
        story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert story.target() == "v0"
        assert "quarantined" in passed_over(story, "v1")

    def test_until_a_person_has_deployed_it_again_and_it_became_stable(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .quarantined("v1", ago=days(7))
            .deployed("v1", ago=days(6))
        )
        assert (
            story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)).target()
            == "v1"
        )

    def test_not_if_it_did_not_become_stable(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(9))
            .quarantined("v1", ago=days(7))
            .deployed("v0", ago=days(6))
        )
        story.deployed("v1", ago=minutes(35)).deployed("v2", ago=minutes(9)).alarm(
            "5xx-rate", onset=minutes(6)
        )
        assert story.target() == "v0"

    def test_not_if_no_request_reached_it_then(self) -> None:
        """A quiet night proves nothing, nor does it open the way to what ran in busier times."""
        story = (
            incident()
            .deployed("v0", ago=days(10))
            .deployed("v1", ago=days(9))
            .deployed("v0", ago=days(8))
        )
        story.quarantined("v1", ago=days(8)).deployed("v1", ago=days(6), requests=0).deployed(
            "v2", ago=minutes(9)
        )
        story.alarm("5xx-rate", onset=minutes(6))
        assert story.target() == "v0"
        assert "quarantined" in passed_over(story, "v1")

    def test_not_if_this_controller_brought_it_back(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("bad", ago=days(8))
            .quarantined("v1", ago=days(7))
        )
        story.rolled_back("v1", ago=days(6) + minutes(3)).deployed("v1", ago=days(6)).deployed(
            "v2", ago=minutes(9)
        )
        assert story.alarm("5xx-rate", onset=minutes(6)).target() != "v1"


class TestKnownGood:
    """The ledger remembers longer than AWS."""

    def forgotten(self) -> History:
        """Of v2 alone AWS still knows."""
        return incident().deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))

    @pytest.mark.parametrize(
        ("seen_until", "reason"),
        [
            pytest.param(
                days(8) + minutes(2),
                "alarm_after_deployment",
                id="up to the oldest deployment on record",
            ),
            pytest.param(
                days(8) + minutes(3),
                "irreversible_change",
                id="before it: who knows what came between",
            ),
        ],
    )
    def test_a_record_counts_where_every_deployment_since_is_known(
        self, seen_until: timedelta, reason: str
    ) -> None:
        story = (
            incident()
            .deployed("v2", ago=days(8))
            .was_red("latency", ago=minutes(36), lasted=minutes(30))
            .deployed("v3", ago=minutes(9))
        )
        story.alarm("5xx-rate", onset=minutes(6)).known_good("v1", since=days(99), until=seen_until)
        assert story.reason() == reason

    def test_what_ran_after_the_suspect_is_no_target(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(25))
            .deployed("v3", ago=minutes(5))
        )
        story.alarm("5xx-rate", onset=minutes(15)).known_good(
            "v9", since=minutes(12), until=minutes(4)
        )
        assert story.target() == "v1"

    def test_nor_is_that_told_among_what_was_looked_at(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(25))
        story.deployed("v3", ago=minutes(15)).deployed("v4", ago=minutes(5))
        candidates_told = story.alarm("5xx-rate", onset=minutes(20)).judged().candidates
        assert [candidate.revision.identity for candidate in candidates_told] == ["v1"]

    @pytest.mark.parametrize("requests", [0, None])
    def test_behind_a_load_balancer_it_has_requests(self, requests: int | None) -> None:
        story = self.forgotten().known_good("v1", since=days(99), until=hours(1), requests=requests)
        assert story.reason() == "no_stable_revision"

    def test_quarantined_it_stays_out(self) -> None:
        story = (
            self.forgotten()
            .known_good("v1", since=days(99), until=hours(1))
            .quarantined("v1", ago=days(1))
        )
        assert story.reason() == "no_stable_revision"

    def test_the_newer_evidence_comes_first(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(9))
            .alarm("latency", onset=minutes(6))
        )
        assert story.known_good("v0", since=days(99), until=days(50)).target() == "v1"


class TestPersons:
    """A person decided: nobody is blamed, but the target is chosen alike."""

    def chosen(self, story: History) -> str | None:
        story.event(TriggerKind.DEPLOYMENT_FAILED)
        verdict = choose_for_person(story.facts(), story.policy, story.now).verdict
        return (
            verdict.candidates[0].revision.identity
            if isinstance(verdict, RollBack)
            else verdict.reason.value
        )

    def test_from_what_runs_to_the_last_stable_one(self) -> None:
        assert (
            self.chosen(incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(2))) == "v1"
        )

    def test_restarts_are_passed_over(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=days(2))
            .deployed("v2", ago=hours(2))
        )
        assert self.chosen(story) == "v1"

    def test_a_deployment_in_progress_is_no_obstacle(self) -> None:
        story = (
            incident()
            .deployed("v1", ago=days(6))
            .deployed("v2", ago=minutes(1), status=Status.IN_PROGRESS)
        )
        assert self.chosen(story) == "v1"

    def test_nothing_that_ran_well(self) -> None:
        assert self.chosen(incident().deployed("v1", ago=days(6))) == "no_stable_revision"


def test_every_candidate_is_told_with_its_reason() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
    story.was_red("5xx-rate", ago=minutes(3), lasted=minutes(1))
    story.deployed("v3", ago=minutes(1.5), took=minutes(0.4)).alarm("latency", onset=minutes(1))
    assert [(c.revision.identity, c.verdict) for c in story.judged().candidates][-1] == (
        "v1",
        "stable",
    )
    assert "served only" in passed_over(story, "v2") or "was in ALARM" in passed_over(story, "v2")


def remembered(story: History, **changed: Any) -> History:
    """The ledger's record of the first build's period, made when it ended; CloudWatch was asked for the last day only."""
    arn = story.deployments[0].target
    until = story.deployments[1].start
    record = KnownGood(story.revisions[arn], until - days(5), until, 5000)
    story.memory = replace(story.memory, known_good=(replace(record, **changed),))
    story.requests = dict.fromkeys(story.requests)
    for signal, alarm in story.alarms.items():
        story.alarms[signal] = replace(alarm, history_from=NOW - hours(25), since=NOW - minutes(1))
    return story


def test_what_the_ledger_recorded_of_a_serving_period_when_it_ended_need_not_be_read_again() -> (
    None
):
    story = remembered(bad_deployment())
    assert story.target() == "v1"
    (candidate,) = story.judged().candidates
    assert candidate.detail == (
        f"served 5 d without alarm until {clock(story.deployments[1].start)} (the ledger's record), 5,000 requests"
    )


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"since": NOW - days(6)}, id="from its very beginning"),
        pytest.param({"until": NOW - minutes(21)}, id="to ten minutes before its end"),
        pytest.param({"since": NOW - minutes(41)}, id="for as long as today's policy asks"),
    ],
)
def test_a_record_that_just_covers_the_serving_period_is_one(changed: dict[str, Any]) -> None:
    story = remembered(bad_deployment(), **changed)
    period = replaced_last(story.facts())
    assert attested(period, Question(story.facts(), story.policy, story.now)) is not None


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"requests": None}, id="no requests were recorded"),
        pytest.param({"requests": 0}, id="nobody asked anything of it"),
        pytest.param({"until": NOW - minutes(30)}, id="it ends long before the serving period did"),
        pytest.param(
            {"until": NOW - minutes(21) - seconds(1)}, id="it ends more than ten minutes before"
        ),
        pytest.param({"since": NOW - minutes(20)}, id="it is too short for today's policy"),
        pytest.param({"since": NOW - days(7)}, id="it began before this serving period did"),
        pytest.param(
            {"until": NOW - minutes(10)}, id="it goes on after the serving period had ended"
        ),
    ],
)
def test_a_record_that_does_not_cover_the_serving_period_is_no_substitute_for_reading(
    changed: dict[str, Any],
) -> None:
    story = remembered(bad_deployment(), **changed)
    period = replaced_last(story.facts())
    assert attested(period, Question(story.facts(), story.policy, story.now)) is None


@pytest.mark.parametrize(
    ("ended", "target"),
    [
        pytest.param(
            minutes(11) + minutes(10) + seconds(1), None, id="while the build still served"
        ),
        pytest.param(minutes(11) + minutes(10), "v1", id="at the end of its period"),
    ],
)
def test_a_record_made_while_a_build_served_does_not_hide_how_it_went_on(
    ended: timedelta, target: str | None
) -> None:
    """v1 was recorded as known good; a quarter of an hour before the next deployment trouble began, and stayed."""
    story = bad_deployment().was_red("latency", ago=minutes(26), lasted=minutes(20))
    first = story.revisions[story.deployments[0].target]
    record = KnownGood(first, NOW - days(5), NOW - ended, 5000)
    story.memory = replace(story.memory, known_good=(record,))
    assert story.target() == target


@pytest.mark.parametrize(
    ("calm_since", "known"),
    [
        pytest.param(days(40), True, id="40 days ago: longer than its history is kept"),
        pytest.param(days(30), True, id="as long as its history is kept"),
        pytest.param(
            days(30) - seconds(1), False, id="not as long: before that there is history to read"
        ),
    ],
)
@pytest.mark.parametrize("balanced", [True, False], ids=["behind a load balancer", "a worker"])
def test_time_that_no_history_is_kept_of_is_unwatched_and_not_unread(
    calm_since: timedelta, *, known: bool, balanced: bool
) -> None:
    """v1 served for 60 days; its alarms are younger."""
    story = incident().deployed("v1", ago=days(60)).deployed("v2", ago=minutes(12))
    story = story if balanced else story.without_load_balancer()
    for signal in story.alarms:
        story.calm_and_unread(signal, since=calm_since)
    story.alarms["5xx-rate"] = replace(
        story.alarms["5xx-rate"], spells=(), history_from=NOW - days(30)
    )
    story.alarm("5xx-rate", onset=minutes(8))
    assert story.target() == ("v1" if known else None)
    by_hand = choose_for_person(story.facts(), story.policy, story.now).verdict
    assert isinstance(by_hand, RollBack) == known
    if not known:
        assert "the history of latency, unhealthy-targets was not read" in by_hand.detail


def test_how_an_alarms_past_is_known() -> None:
    alarm = incident().calm_and_unread("latency", since=days(3)).alarms["latency"]
    assert past_is_known(alarm, NOW - days(3), NOW)
    assert not past_is_known(alarm, NOW - days(4), NOW)
    assert not past_is_known(replace(alarm, since=None), NOW - days(1), NOW)
    assert not past_is_known(replace(alarm, in_alarm=True), NOW - days(1), NOW), (
        "how often it was so is not told"
    )
    read = replace(alarm, in_alarm=True, spells=(), history_from=NOW - days(30))
    assert past_is_known(read, NOW - days(60), NOW)
    assert not past_is_known(replace(read, history_from=None), NOW - days(1), NOW)
    assert not past_is_known(replace(read, spells=None), NOW - days(1), NOW)
    assert not past_is_known(replace(read, history_from=NOW - days(29)), NOW - days(60), NOW)


class TestFailedDeployments:
    """While a deployment fails, what it was to replace runs on; then it serves alone again."""

    def story(self, *, took: timedelta, finished: bool = True) -> History:
        """v1 was deployed 75 min ago; from 70 min ago on, v2 came and failed; v3 began 11 min ago."""
        story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=minutes(75))
        story.deployed("v2", ago=minutes(70) - took, took=took, status=Status.ROLLBACK_FAILED)
        if not finished:
            story.deployments[-1] = replace(story.deployments[-1], finished_at=None)
        return story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))

    @pytest.mark.parametrize(
        ("took", "target"),
        [(minutes(29), "v1"), (minutes(29) + seconds(1), "v0")],
        ids=["half an hour since it failed", "a second less"],
    )
    def test_what_runs_on_is_stable_by_its_time_since_the_failure(
        self, took: timedelta, target: str
    ) -> None:
        assert self.story(took=took).target() == target

    def test_where_no_end_is_on_record_it_counts_from_the_start(self) -> None:
        assert self.story(took=minutes(50), finished=False).target() == "v1"


class TestProven:
    """What the ledger is given to remember."""

    def remembered(self, story: History) -> KnownGood | None:
        facts = story.event(TriggerKind.DEPLOYMENT_FAILED).facts()
        period = replaced_last(facts)
        return proven(period, Question(facts, story.policy, NOW))

    def story(self, **first: Any) -> History:
        return incident().deployed("v1", ago=days(6), **first).deployed("v2", ago=minutes(9))

    def test_the_calm_part_with_its_requests(self) -> None:
        good = self.remembered(self.story())
        assert good is not None
        assert (good.revision.identity, good.since, good.until) == (
            "v1",
            NOW - days(6),
            NOW - minutes(11),
        )
        assert good.requests == 5000

    @pytest.mark.parametrize("requests", [0, None])
    def test_not_without_requests_behind_a_load_balancer(self, requests: int | None) -> None:
        assert self.remembered(self.story(requests=requests)) is None

    def test_without_load_balancer_none_are_asked(self) -> None:
        assert self.remembered(self.story().without_load_balancer()) is not None

    def test_not_what_was_not_stable(self) -> None:
        assert (
            self.remembered(self.story().was_red("latency", ago=minutes(25), lasted=minutes(20)))
            is None
        )

    def test_not_what_could_not_be_described(self) -> None:
        story = self.story()
        arn = story.deployments[0].target
        story.revisions[arn] = replace(story.revisions[arn], identity=None)
        assert self.remembered(story) is None
        del story.revisions[arn]
        assert self.remembered(story) is None


@pytest.mark.parametrize(
    ("earlier", "wanted", "maybe"),
    [
        pytest.param({}, {"identity": "v1"}, True, id="the same identity"),
        pytest.param(
            {}, {"identity": "other"}, False, id="another identity, though the images are the same"
        ),
        pytest.param(
            {"identity": None}, {"identity": "v1"}, True, id="not described, the same images"
        ),
        pytest.param(
            {"identity": None},
            {"images": {"app": "sha256:other"}},
            False,
            id="not described, other images",
        ),
        pytest.param(
            {"identity": None, "images": {}},
            {"identity": "other"},
            True,
            id="nothing tells it apart",
        ),
    ],
)
def test_what_cannot_be_told_apart_may_have_been_stable(
    *, earlier: dict[str, Any], wanted: dict[str, Any], maybe: bool
) -> None:
    story = bad_deployment()
    arn = story.deployments[0].target
    asked = replace(story.revisions[arn], arn="asked", **wanted)
    story.revisions[arn] = replace(story.revisions[arn], **earlier)
    found = may_have_been_stable(
        Question(story.facts(), story.policy, NOW), asked, NOW - minutes(11)
    )
    assert (found is not None) == maybe


@pytest.mark.parametrize(
    ("before", "maybe"),
    [
        pytest.param(days(6) - minutes(30), True, id="half an hour after it came"),
        pytest.param(days(6) - minutes(29), False, id="less"),
        pytest.param(days(6), False, id="when it came"),
    ],
)
def test_only_what_had_been_stable_by_then_counts(*, before: timedelta, maybe: bool) -> None:
    story = bad_deployment()
    asked = story.revisions[story.deployments[0].target]
    found = may_have_been_stable(Question(story.facts(), story.policy, NOW), asked, NOW - before)
    assert (found is not None) == maybe


def test_a_record_does_not_stand_in_for_a_build_that_cannot_be_described_any_more() -> None:
    """How v0 went on after the record was made, nobody can tell; what ran after it did not last."""
    story = incident().deployed("v0", ago=days(6)).deployed("v1", ago=minutes(25))
    story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    first = story.revisions.pop(story.deployments[0].target)

    def offered(until: timedelta) -> list[str | None]:
        record = KnownGood(first, NOW - days(5), NOW - until, 5000)
        story.memory = replace(story.memory, known_good=(record,))
        asked = Question(story.facts(), story.policy, NOW)
        found = candidates(asked, story.deployments[-1], None)
        return [one.revision.identity for one in found if one.verdict == "stable"]

    assert offered(days(4)) == []
    assert offered(minutes(27)) == ["v0"], "at the end of its time"


def test_a_record_up_to_the_moment_at_which_another_build_served_counts() -> None:
    story = incident().deployed("v1", ago=hours(2), took=seconds(0))
    story.was_red("latency", ago=minutes(36), lasted=minutes(30)).deployed("v2", ago=minutes(9))
    story.alarm("5xx-rate", onset=minutes(6)).known_good("v0", since=days(99), until=hours(2))
    assert story.target() == "v0"


def test_a_restart_of_the_very_same_revision_does_not_interrupt_its_time_in_service() -> None:
    """Not even where its task definition cannot be described any more."""
    story = incident().deployed("v1", ago=hours(2)).deployed("v1", ago=hours(1))
    first, restart = story.deployments
    story.deployments[1] = replace(restart, target=first.target)
    revision = story.revisions[first.target]
    story.revisions[first.target] = replace(revision, identity=None)
    story.alarm("5xx-rate", onset=minutes(6))
    (period,) = serving_periods(story.facts())
    assert (period.since, period.until) == (NOW - hours(2), None)


class TestWhatIsTold:
    """Each candidate with its reason, in the words of the report."""

    def story(self) -> History:
        return bad_deployment()

    def test_how_long_it_served(self) -> None:
        assert (
            passed_over(self.story(), "v1")
            == "served 5 d without alarm until 2026-11-22 13:49:00Z, 5,000 requests"
        )

    def test_that_no_alarm_watched(self) -> None:
        told = passed_over(
            self.story().unwatched_until(minutes(15)).alarm("5xx-rate", onset=minutes(6)), "v1"
        )
        assert "(no alarm watched then)" in told

    def test_that_an_image_has_no_digest(self) -> None:
        story = self.story()
        arn = story.deployments[0].target
        images = {"web": None, "app": None, "log": "sha256:1"}
        story.revisions[arn] = replace(story.revisions[arn], images=images)
        assert passed_over(story, "v1").endswith(
            "; AWS recorded no image digest of app, web, the image's name stands in"
        )

    def test_that_an_alarms_history_was_not_read(self) -> None:
        story = self.story()
        for signal in ("latency", "unhealthy-targets"):
            story.alarms[signal] = replace(story.alarms[signal], spells=None, since=NOW - hours(1))
        assert passed_over(story, "v1") == "the history of latency, unhealthy-targets was not read"

    @pytest.mark.parametrize(
        ("calmed", "why"),
        [
            pytest.param(
                minutes(60),
                "served 49 min without alarm until 2026-11-22 13:49:00Z, 5,000 requests",
                id="by then",
            ),
            pytest.param(
                minutes(60) - seconds(1),
                "served 48 min without alarm until 2026-11-22 13:49:00Z, 5,000 requests; "
                "latency was in ALARM at 2026-11-22 13:00:00Z for 1 s",
                id="a second later",
            ),
        ],
    )
    def test_that_an_alarm_had_calmed_when_the_deployment_finished(
        self, calmed: timedelta, why: str
    ) -> None:
        story = incident().deployed("v1", ago=minutes(60), took=minutes(10))
        story.was_red("latency", ago=minutes(65), lasted=minutes(65) - calmed)
        story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert passed_over(story, "v1") == why

    def test_of_many_that_did_not_run_well_the_newest_three(self) -> None:
        story = incident()
        for number in range(5):
            story.deployed(f"v{number}", ago=minutes(100 - 20 * number))
        story.alarm("5xx-rate", onset=minutes(19)).serving(healthy=4)
        detail = story.judged().verdict.detail
        assert detail.startswith("no revision before this deployment is known to have run well: ")
        assert [build for build in ("v0", "v1", "v2", "v3") if f"auth:{build}: " in detail] == [
            "v1",
            "v2",
            "v3",
        ]

    def test_of_those_that_did_the_best(self) -> None:
        story = self.story()
        (found,) = (one for one in story.judged().evidence if one.rule == "no_stable_revision")
        assert found.detail == f"auth:v1: {passed_over(story, 'v1')}"

    def test_what_was_still_red_at_the_end(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.was_red("latency", ago=minutes(31), lasted=minutes(25)).deployed("v2", ago=minutes(9))
        story.alarm("unhealthy-targets", onset=minutes(6))
        told = "latency was in ALARM at 2026-11-22 13:29:00Z, 20 min before its end, and still then"
        assert passed_over(story, "v1") == told

    def test_how_short_the_longest_run_was(self) -> None:
        story = incident().deployed("v1", ago=minutes(50))
        story.was_red("latency", ago=minutes(31), lasted=minutes(3)).deployed("v2", ago=minutes(9))
        story.alarm("unhealthy-targets", onset=minutes(6))
        assert passed_over(story, "v1") == (
            "served only 19 min without alarm, 30 min required: "
            "latency was in ALARM at 2026-11-22 13:29:00Z for 3 min"
        )


class TestLedgerAndDeployments:
    """Which deployment was a rollback of this controller, and what the ledger may not offer."""

    def test_a_record_of_the_blamed_build_itself_is_no_target(self) -> None:
        story = incident().deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        story.known_good("v2", since=days(99), until=hours(1))
        assert story.reason() == "no_stable_revision"

    def test_a_record_that_cannot_be_described_any_more_is_no_target(self) -> None:
        story = incident().deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        story.known_good("v1", since=days(99), until=hours(1))
        (record,) = story.memory.known_good
        nameless = replace(record, revision=replace(record.revision, identity=None))
        story.memory = replace(story.memory, known_good=(nameless,))
        assert story.reason() == "no_stable_revision"

    @pytest.mark.parametrize(
        ("began", "target"),
        [
            pytest.param(
                seconds(-60), "v0", id="begun by this controller, as far as two clocks may differ"
            ),
            pytest.param(seconds(-61), "v1", id="it was there before: a person's"),
        ],
    )
    def test_a_rollback_of_this_controller_releases_nothing(
        self, began: timedelta, target: str
    ) -> None:
        """v1 is quarantined; it was deployed again six days ago and ran well since, but by whom?"""
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .quarantined("v1", ago=days(7))
            .deployed("v1", ago=days(6))
        )
        story.rolled_back("v1", ago=days(6) + minutes(2) + began).deployed("v2", ago=minutes(9))
        assert story.alarm("5xx-rate", onset=minutes(6)).target() == target

    def test_what_took_the_place_of_something_unknown_releases_nothing(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .deployed("x", ago=days(8))
            .quarantined("v1", ago=days(7))
        )
        story.deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9)).alarm(
            "5xx-rate", onset=minutes(6)
        )
        unknown = story.deployments[1].target
        assert quarantined(Question(story.facts(), story.policy, NOW)) == {}
        story.revisions[unknown] = replace(story.revisions[unknown], identity=None)
        assert quarantined(Question(story.facts(), story.policy, NOW)) == story.memory.quarantined

    def test_what_did_not_become_stable_stays_in_quarantine(self) -> None:
        story = (
            incident()
            .deployed("v0", ago=days(9))
            .quarantined("v1", ago=days(7))
            .deployed("v1", ago=minutes(35))
        )
        story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
        assert quarantined(Question(story.facts(), story.policy, NOW)) == story.memory.quarantined

    def test_of_equally_new_evidence_the_stable_is_told_first(self) -> None:
        story = bad_deployment().was_red("latency", ago=minutes(25), lasted=minutes(20))
        story.known_good("v0", since=days(99), until=minutes(11))
        told = [(c.revision.identity, c.verdict) for c in story.judged().candidates]
        assert told == [("v0", "stable"), ("v1", "passed_over")]


def test_an_alarm_that_was_over_before_the_deployment_finished_says_nothing() -> None:
    story = (
        incident()
        .deployed("v1", ago=minutes(60), took=minutes(10))
        .was_red("latency", ago=minutes(65))
    )
    story.alarms["latency"] = replace(
        story.alarms["latency"], spells=(AlarmPeriod(NOW - minutes(65), NOW - minutes(63)),)
    )
    story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    assert passed_over(story, "v1").startswith("served 49 min without alarm")


def test_of_several_sources_what_was_not_still_being_deployed_ran_before() -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=minutes(30), status=Status.STOPPED)
    )
    story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    unfinished, settled = story.deployments[1].target, "the-last-by-name"
    story.revisions[settled] = replace(story.revisions[story.deployments[0].target], arn=settled)
    story.deployments[2] = replace(story.deployments[2], sources=(unfinished, settled))
    assert running_before(story.facts(), 0) == story.revisions[settled]
    story.deployments[1] = replace(story.deployments[1], status=Status.SUCCESSFUL)
    assert running_before(story.facts(), 0) == story.revisions[unfinished]


def test_a_record_up_to_the_very_start_of_the_blamed_deployment_counts() -> None:
    story = incident().deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    (newest,) = story.deployments
    story.deployments[0] = replace(newest, sources=("forgotten",))
    story.known_good("v1", since=days(99), until=minutes(11))
    assert [
        c.verdict
        for c in candidates(Question(story.facts(), story.policy, NOW), story.deployments[0], None)
    ] == ["stable"]
