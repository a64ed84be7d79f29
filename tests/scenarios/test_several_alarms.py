"""Which of several red alarms is asked, what is told of the others, and how it is told when the trouble began."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.alarm_order import (
    after_words,
    before_words,
    predates,
    timing,
    trouble_began,
    was_red,
)
from autorollback.decision.facts import Alarm, Deployment, Status, Strategy, TrafficShift
from autorollback.decision.verdicts import Hold, RollBack
from tests.scenarios.history import NOW, bad_deployment, days, incident, minutes, seconds

BEFORE, AFTER = minutes(20), minutes(5)
"""Trouble that began before the deployment of eleven minutes ago, and after it."""


def test_the_earliest_trouble_is_asked_first_whichever_alarm_fired() -> None:
    story = bad_deployment(onset=minutes(6)).alarm("latency", onset=AFTER)
    assert story.judged().verdict.detail == "5xx-rate fired 5 min after the deployment"
    story.alarm("5xx-rate", onset=minutes(4))
    assert story.judged().verdict.detail == "latency fired 6 min after the deployment"


def test_another_that_convicts_is_told_with_what_the_first_said() -> None:
    story = bad_deployment(onset=AFTER).alarm("latency", onset=BEFORE)
    assert story.judged().verdict.detail == (
        "5xx-rate fired 6 min after the deployment; "
        "asked before: latency was in trouble 9 min before the deployment started"
    )


def test_where_none_convicts_the_first_that_was_asked_is_told() -> None:
    story = bad_deployment(onset=BEFORE).alarm("unhealthy-targets", onset=BEFORE)
    story.alarm("latency", onset=minutes(21))
    verdict = story.judged().verdict
    assert isinstance(verdict, Hold)
    assert verdict.detail == "latency was in trouble 10 min before the deployment started"


def test_one_that_began_within_the_window_convicts_though_the_one_that_fired_did_not() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(70))
    assert story.alarm("latency", onset=minutes(5)).reason() == "no_recent_deployment"
    story.alarm("5xx-rate", onset=minutes(20), trigger=False)
    verdict = story.judged().verdict
    assert isinstance(verdict, RollBack)
    assert verdict.signal == "5xx-rate"


def test_one_that_began_before_an_old_deployment_makes_it_no_suspect() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(70))
    story.alarm("latency", onset=minutes(5)).alarm("5xx-rate", onset=days(1), trigger=False)
    assert story.reason() == "no_recent_deployment"


def test_one_that_is_calm_by_now_is_not_asked() -> None:
    story = incident().deployed("v1", ago=minutes(3000)).deployed("v2", ago=minutes(9))
    story.alarm("latency", onset=AFTER).alarm("5xx-rate", onset=BEFORE)
    story.watched_by("latency", since=minutes(1))
    assert story.reason() == "alarm_predates_deployment"


class TestWhenItBegan:
    """In words, of an alarm that proves nothing: v2's deployment started eleven minutes ago."""

    def said(self, *, onset: timedelta, fired: timedelta) -> str:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        return story.alarm("latency", onset=onset, fired=fired).judged().verdict.detail

    @pytest.mark.parametrize(
        ("fired", "before"),
        [
            pytest.param(minutes(14), "3 min", id="and it was red then"),
            pytest.param(minutes(11), "1 min", id="and it fired as the deployment started"),
            pytest.param(minutes(9), "1 min", id="and it fired after that"),
        ],
    )
    def test_trouble_that_was_there_before(self, fired: timedelta, before: str) -> None:
        said = self.said(onset=minutes(12), fired=fired)
        assert said == f"latency was in trouble {before} before the deployment started"

    def test_trouble_that_had_gone_and_came_again(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        story.was_red("latency", ago=minutes(13), lasted=minutes(5))
        assert story.alarm("latency", onset=minutes(6)).judged().verdict.detail == (
            "latency was in ALARM when the deployment started at 2026-11-22 13:49:00Z, "
            "calmed and came again"
        )

    def test_trouble_in_the_minute_of_the_deployment(self) -> None:
        assert bad_deployment(onset=minutes(11)).judged().verdict.detail == (
            "5xx-rate fired 0 s after the deployment"
        )
        assert bad_deployment(onset=minutes(11) + seconds(30)).judged().verdict.detail == (
            "5xx-rate fired in the minute of the deployment"
        )


def test_a_deployment_is_replaced_when_users_can_have_reached_the_next() -> None:
    """v2 served for half an hour, until v3 had its first traffic: it is proven, though v3 began earlier."""
    traffic = TrafficShift(Strategy.BLUE_GREEN, 100.0, "BAKE_TIME", unserved_at=NOW - minutes(7))
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(37))
    story.deployed("v3", ago=minutes(30), status=Status.IN_PROGRESS, traffic=traffic)
    told = story.alarm("5xx-rate", onset=minutes(15))
    assert told.reason() == "alarm_predates_deployment"
    sooner = replace(traffic, unserved_at=NOW - minutes(7) - seconds(1))
    story.deployments[-1] = replace(story.deployments[-1], traffic=sooner)
    assert (told.reason(), told.target()) == ("alarm_after_deployment", "v1")


def test_of_an_alarm_that_is_red_nobody_knows_since_when_nothing_says_that_it_was_red_then() -> (
    None
):
    alarm = bad_deployment().alarms["5xx-rate"]
    assert was_red(alarm, NOW)
    assert not was_red(replace(alarm, since=None, spells=()), NOW)
    assert not was_red(replace(alarm, in_alarm=False, spells=None), NOW)


class TestWhereItIsNotKnown:
    """When an alarm began, or since when it is red: doubt acquits the deployment."""

    def alarm(self, **unknown: None) -> Alarm:
        alarm = bad_deployment().alarms["5xx-rate"]
        return replace(alarm, **unknown)  # type: ignore[arg-type] # only what may be unknown

    def deployment(self) -> Deployment:
        return bad_deployment().deployments[-1]

    def test_the_alarm_counts_as_there_before(self) -> None:
        assert not predates(self.alarm(), self.deployment())
        assert predates(self.alarm(onset=None), self.deployment())
        assert predates(self.alarm(since=None), self.deployment())
        shifts = replace(self.deployment(), traffic=TrafficShift(Strategy.LINEAR), finished_at=None)
        assert predates(self.alarm(), shifts), "when users could first reach it"

    def test_of_the_alarm_that_fired(self) -> None:
        story = bad_deployment()
        story.alarms["5xx-rate"] = self.alarm(onset=None)
        assert trouble_began(story.facts()) == story.facts().trigger.at
        assert story.judged().verdict.detail == "when 5xx-rate began is not known"
        story.alarms["5xx-rate"] = self.alarm(since=None)
        assert story.reason() == "alarm_predates_deployment"

    def test_in_words(self) -> None:
        unknown = self.alarm(onset=None, since=None)
        assert timing(unknown, self.deployment(), NOW) is None
        told = before_words(unknown, self.deployment(), None)
        assert told == "when 5xx-rate began is not known"

    def test_in_words_of_one_that_shifts_traffic(self) -> None:
        seen = TrafficShift(Strategy.CANARY, 10.0, unserved_at=NOW - minutes(8))
        canary = replace(self.deployment(), traffic=seen)
        after = timing(self.alarm(), canary, NOW)
        assert after is not None
        assert after_words(self.alarm(), canary, after) == (
            "5xx-rate fired 2 min after the shift of traffic"
        )
        earlier = replace(self.alarm(), onset=NOW - minutes(10), since=NOW - minutes(8))
        assert before_words(earlier, canary, timing(earlier, canary, NOW)) == (
            "5xx-rate was in trouble 2 min before traffic can have reached the deployment"
        )
        unseen = replace(canary, traffic=TrafficShift(Strategy.CANARY), finished_at=None)
        assert before_words(earlier, unseen, timing(earlier, unseen, NOW)) == (
            "when traffic reached the deployment of 2026-11-22 13:49:00Z is not known yet"
        )
