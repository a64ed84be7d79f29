"""Did the trouble begin before the deployment? By the datapoints of every red alarm, and of those under it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.alarm_order import Order, Timing, after_words
from autorollback.decision.decide import decide
from autorollback.decision.facts import (
    Alarm,
    AlarmSource,
    Datapoint,
    Status,
    Strategy,
    TrafficShift,
    Trigger,
    TriggerKind,
    Untold,
)
from autorollback.decision.verdicts import Hold, RollBack
from tests.scenarios.history import NOW, History, days, hours, incident, minutes, seconds

MEANING = {"X": True, "o": False, "-": None}
HALF = seconds(30)


def source(
    drawn: str,
    first: timedelta,
    *,
    period: timedelta = timedelta(minutes=1),
    name: str = "metric",
    keeps_state: bool = False,
) -> AlarmSource:
    """A red metric alarm: its datapoints from so long ago on, breaching X, calm o, missing -."""
    points = []
    for number, sign in enumerate(drawn):
        points.append(Datapoint(NOW - first + number * period, MEANING[sign]))
    fired = NOW - first + len(drawn) * period + minutes(1)
    return AlarmSource(name, fired, period, 5 * period, tuple(points), keeps_state)


def red(story: History, signal: str, *sources: AlarmSource, **changed: object) -> History:
    """An alarm that is red by these metric alarms; the first of them is the earliest."""
    breaching = [p.start for s in sources for p in s.datapoints if p.breaching]
    onset = min(breaching, default=NOW - minutes(20))
    story.alarm(signal, onset=NOW - onset, fired=seconds(20))
    alarm: Alarm = replace(story.alarms[signal], sources=sources, **changed)  # type: ignore[arg-type] # the keys are Alarm's own
    story.alarms[signal] = alarm
    return story


def deployed() -> History:
    """v1 served for days; v2's deployment started 10:30 min ago, within a minute, and took a minute."""
    return incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9.5), took=minutes(1))


def recently(story: History) -> History:
    """Judged three minutes earlier: what began within the deployment's minute need not have lasted."""
    story.now = NOW - minutes(3)
    return story


def held(story: History) -> Hold:
    verdict = story.judged().verdict
    assert isinstance(verdict, Hold), verdict.detail
    assert verdict.reason.value == "alarm_predates_deployment", verdict.detail
    return verdict


class TestDatapoints:
    """They stand for whole minutes; the one that began 11 min ago straddles the start."""

    @pytest.mark.parametrize(
        ("drawn", "reason"),
        [
            pytest.param("oooXXX", "alarm_predates_deployment", id="two before the start"),
            pytest.param(
                "ooooXXX", "alarm_predates_deployment", id="the one before the straddling"
            ),
            pytest.param("oooooXXX", "alarm_after_deployment", id="the straddling one, and then"),
            pytest.param("ooooooXXX", "alarm_after_deployment", id="the first wholly after it"),
            pytest.param("oXoooooXX", "alarm_after_deployment", id="a stray one before"),
            pytest.param("oXoooooX", "alarm_after_deployment", id="a stray one before, one after"),
            pytest.param("XoXooooX", "alarm_predates_deployment", id="it came and went before"),
            pytest.param("ooX-ooXX", "alarm_predates_deployment", id="missing is not calm"),
            pytest.param(
                "ooXooo", "alarm_predates_deployment", id="a stray one before, none after"
            ),
        ],
    )
    def test_the_first_that_does_not_stand_alone_tells(self, drawn: str, reason: str) -> None:
        assert red(deployed(), "5xx-rate", source(drawn, minutes(16))).reason() == reason

    def test_what_is_blamed_began_with_the_first_wholly_after_the_start(self) -> None:
        story = red(deployed(), "5xx-rate", source("oooooXXX", minutes(16)))
        verdict = story.judged().verdict
        assert isinstance(verdict, RollBack)
        assert verdict.onset == NOW - minutes(10)
        assert verdict.detail == "5xx-rate fired in the minute of the deployment"

    def test_red_on_the_straddling_one_alone_neither_convicts_nor_acquits(self) -> None:
        """The sweep asks again: nobody is told, and the alarm has no verdict of its own."""
        hold = held(recently(red(deployed(), "5xx-rate", source("oooooX", minutes(16)))))
        assert not hold.is_announced
        assert hold.waiting == ("auto-rollback/shop/auth/5xx-rate",)
        assert hold.detail == "5xx-rate breached within the minute in which the deployment started"

    @pytest.mark.parametrize(
        ("later", "reason"),
        [
            pytest.param(
                minutes(-2) - seconds(1), "alarm_predates_deployment", id="not quite as long"
            ),
            pytest.param(minutes(-2), "alarm_after_deployment", id="all that it looks at is later"),
        ],
    )
    def test_red_still_when_all_that_it_looks_at_is_later_it_convicts(
        self, later: timedelta, reason: str
    ) -> None:
        """Its five minutes, two more that CloudWatch may fetch, and a minute for the clocks."""
        story = red(deployed(), "5xx-rate", source("oooooX", minutes(16)))
        story.now = NOW + later
        assert story.reason() == reason

    def test_not_if_missing_data_keep_it_red(self) -> None:
        points = source("oooooX", minutes(16), keeps_state=True)
        assert not held(red(deployed(), "5xx-rate", points)).is_announced

    def test_a_chain_is_not_blamed_by_what_straddles_its_start(self) -> None:
        """v2 began within the minute of the trouble, and v3 replaced it at once."""
        story = deployed().deployed("v3", ago=minutes(7), took=minutes(1))
        hold = held(red(story, "5xx-rate", source("oooooX", minutes(16), keeps_state=True)))
        assert hold.suspect == story.deployments[1]
        assert not hold.is_announced


class TestCoarseDatapoints:
    """A datapoint longer than five minutes that straddles the start cannot be told."""

    @pytest.mark.parametrize(
        ("period", "reason"),
        [
            pytest.param(
                minutes(5), "alarm_after_deployment", id="of five minutes: the next tells"
            ),
            pytest.param(minutes(6), "alarm_predates_deployment", id="of six minutes"),
        ],
    )
    def test_it_convicts_nobody(self, period: timedelta, reason: str) -> None:
        breached = source("oXX", period + minutes(12), period=period)
        assert red(deployed(), "latency", breached).reason() == reason

    def test_that_is_said(self) -> None:
        hold = held(red(deployed(), "latency", source("oX", hours(1.3), period=hours(1))))
        assert hold.is_announced
        within = "latency breached within the hour in which the deployment started"
        assert hold.detail == f"{within}: which came first cannot be told"

    def test_one_that_was_calm_over_the_start_tells_that_nothing_had_begun(self) -> None:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(70))
        story = red(
            story.under(window_minutes=90), "latency", source("oX", hours(2), period=hours(1))
        )
        story.alarms["latency"] = replace(story.alarms["latency"], since=NOW - seconds(20))
        assert story.reason() == "alarm_after_deployment"
        assert "breached within the hour from 12 min after" in story.judged().verdict.detail

    def test_one_that_ended_before_the_start_acquits(self) -> None:
        story = red(deployed(), "latency", source("oXXX", minutes(52), period=minutes(10)))
        assert "breached within the 10 min from 31 min before" in held(story).detail


class TestComposites:
    """The earliest of the metric alarms under it that are red, with their own periods."""

    def test_trouble_of_an_alarm_under_it_that_began_before_a_harmless_deployment(self) -> None:
        """Three datapoints of five minutes from 9 min before the deployment; red 6 min after it."""
        payments = source("XXX", minutes(15), period=minutes(5), name="payments")
        story = (
            incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(5), took=minutes(1))
        )
        assert held(red(story, "latency", payments)).is_announced

    @pytest.mark.parametrize(
        ("other", "reason"),
        [
            pytest.param("ooooooXX", "alarm_after_deployment", id="both after the deployment"),
            pytest.param("ooXXXXXX", "alarm_predates_deployment", id="the other one before"),
            pytest.param("oooooX", "alarm_after_deployment", id="the other one straddles it"),
        ],
    )
    def test_the_earliest_counts(self, other: str, reason: str) -> None:
        after = source("ooooooXX", minutes(16), name="a")
        assert red(deployed(), "latency", source(other, minutes(16)), after).reason() == reason

    def test_one_that_was_red_already_at_the_start_acquits(self) -> None:
        was_red = replace(source("XXX", minutes(5)), since=NOW - hours(3))
        assert held(red(deployed(), "latency", source("XX", minutes(4)), was_red)).is_announced

    @pytest.mark.parametrize("why", [Untold.UNREAD, Untold.NO_DATAPOINTS, Untold.NOTHING_RED])
    def test_what_cannot_be_told_convicts_nobody(self, why: Untold) -> None:
        story = red(deployed(), "latency", source("ooooooXX", minutes(16)), untold=why)
        hold = held(story)
        assert hold.is_announced
        assert "cannot be told" in hold.detail

    @pytest.mark.parametrize(
        ("fired", "reason"),
        [
            pytest.param(minutes(5.5), "alarm_after_deployment", id="its range began at the start"),
            pytest.param(minutes(5.5) + seconds(1), "alarm_predates_deployment", id="before it"),
        ],
    )
    def test_without_datapoints_the_evaluation_range_tells(
        self, fired: timedelta, reason: str
    ) -> None:
        story = red(deployed(), "latency", replace(source("", minutes(9)), since=NOW - fired))
        assert story.reason() == reason


class TestSeveralAlarms:
    """Each is asked about its times and whether it flaps, the earliest onset first."""

    def flapping(self, signal: str) -> History:
        """It flapped before v1 came as well, and so says nothing against that."""
        story = deployed()
        for ago in (3, 5, 7):
            story.was_red(signal, ago=days(6) + hours(ago))
            story.was_red(signal, ago=hours(ago))
        return story

    def test_the_first_that_convicts_is_the_one_that_is_asked_about(self) -> None:
        story = red(deployed(), "latency", source("ooooooXX", minutes(16)))
        story = red(story, "5xx-rate", source("oooooooXX", minutes(16)))
        assert story.judged().verdict.detail == "latency fired 30 s after the deployment"

    def test_one_that_flaps_leaves_it_to_the_next(self) -> None:
        story = red(self.flapping("latency"), "latency", source("ooooooXX", minutes(16)))
        story = red(story, "5xx-rate", source("oooooooXX", minutes(16)))
        assert story.reason() == "alarm_after_deployment"
        assert story.judged().verdict.detail.startswith("5xx-rate fired 1 min after the deployment")

    @pytest.mark.parametrize(
        ("before", "reason"),
        [
            pytest.param("5xx-rate", "alarm_predates_deployment", id="the earliest began before"),
            pytest.param("latency", "alarm_is_flapping", id="the earliest flaps"),
        ],
    )
    def test_if_none_convicts_the_hold_is_that_of_the_earliest(
        self, before: str, reason: str
    ) -> None:
        story = red(self.flapping("latency"), "latency", source("ooooooXX", minutes(16)))
        first = minutes(18) if before == "5xx-rate" else minutes(14.9)
        last = red(story, "5xx-rate", source("oXXX", first))
        if before == "latency":
            last = red(story, "5xx-rate", source("oXXX", minutes(8)), untold=Untold.UNREAD)
        assert last.reason() == reason

    def test_those_that_are_asked_again_have_no_verdict_of_their_own(self) -> None:
        story = red(deployed(), "latency", source("ooXXX", minutes(16)))
        story = red(story, "5xx-rate", source("oooooX", minutes(16)))
        hold = held(recently(story))
        assert hold.is_announced
        assert hold.waiting == ("auto-rollback/shop/auth/5xx-rate",)

    def test_which_of_them_fired_does_not_matter(self) -> None:
        story = red(self.flapping("latency"), "latency", source("ooooooXX", minutes(16)))
        story = red(story, "5xx-rate", source("oooooooXX", minutes(16)))
        for signal in ("latency", "5xx-rate"):
            name = story.alarms[signal].name
            story.trigger = Trigger(TriggerKind.ALARM, NOW, name)
            verdict = decide(story.facts(), story.policy, NOW).verdict
            assert verdict.reason.value == "alarm_after_deployment"


def test_while_it_is_in_progress_a_straddling_datapoint_says_no_more() -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(3) + HALF, status=Status.IN_PROGRESS)
    hold = held(red(story, "5xx-rate", source("oooX", minutes(7))))
    assert not hold.is_announced


class TestWords:
    def test_of_an_alarm_without_datapoints_no_period_is_told(self) -> None:
        """Only when it fired is known: it looks at five minutes, and the trouble began at the earliest so long before."""
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        story.alarm("5xx-rate", onset=minutes(6), fired=minutes(1))
        story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], onset_is_datapoint=False)
        assert story.judged().verdict.detail == "5xx-rate fired 5 min after the deployment"

    def test_how_long_after_is_told_by_its_start_where_nothing_was_seen_of_its_traffic(
        self,
    ) -> None:
        story = incident().deployed("v1", ago=days(6))
        traffic = TrafficShift(Strategy.LINEAR)
        story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS, traffic=traffic)
        story.alarm("5xx-rate", onset=minutes(6))
        told = Timing(Order.AFTER, NOW - minutes(6), minutes(1))
        words = after_words(story.alarms["5xx-rate"], story.deployments[-1], told)
        assert words == "5xx-rate fired 3 min after the shift of traffic"
