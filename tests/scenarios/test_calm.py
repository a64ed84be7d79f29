"""Was a build calm while it served? In minutes ago: it came an hour and a half ago, and was replaced ten minutes ago."""

from dataclasses import replace
from datetime import datetime

import pytest

from autorollback.decision.calm import (
    Run,
    calm_end,
    not_calm_at_its_end,
    runs,
    spells_under,
    told,
)
from autorollback.decision.facts import Alarm, AlarmPeriod, AlarmSpell
from autorollback.decision.serving import ServingPeriod
from autorollback.policy import Policy
from tests.scenarios.history import NOW, minutes, seconds

POLICY = Policy(families=("auth-*",), task_roles=("auth-*",))


def ago(number: float) -> datetime:
    return NOW - minutes(number)


PERIOD = ServingPeriod("revision", since=ago(100), until=ago(10), came=ago(102))
LONG = replace(PERIOD, since=ago(3000), came=ago(3002))


def alarm(*red: tuple[float, float | None], signal: str = "latency") -> Alarm:
    """In ALARM from so many minutes ago to so many."""
    spells = tuple(AlarmPeriod(ago(a), None if b is None else ago(b)) for a, b in red)
    return Alarm(f"auto-rollback/shop/auth/{signal}", signal, in_alarm=False, spells=spells)


def spell(since: float, until: float, signal: str = "latency") -> AlarmSpell:
    return AlarmSpell(signal, ago(since), ago(until))


def why(period: ServingPeriod, *alarms: Alarm, flap_limit: int = 2) -> str | None:
    """Why it was not calm at its end."""
    policy = replace(POLICY, flap_limit=flap_limit)
    return not_calm_at_its_end(period, spells_under(period, alarms, NOW), policy, NOW)


class TestRuns:
    @pytest.mark.parametrize(
        ("spells", "expected"),
        [
            pytest.param([], [(100, 10)], id="no alarm"),
            pytest.param([(60, 50)], [(100, 60), (50, 10)], id="one in the middle"),
            pytest.param([(100, 50)], [(50, 10)], id="one from its beginning"),
            pytest.param([(60, 10)], [(100, 60)], id="one to its end"),
            pytest.param([(60, 40), (50, 45)], [(100, 60), (40, 10)], id="one within another"),
            pytest.param([(40, 30), (60, 50)], [(100, 60), (50, 40), (30, 10)], id="two"),
        ],
    )
    def test_lie_between_the_times_in_alarm(
        self, spells: list[tuple[float, float]], expected: list[tuple[float, float]]
    ) -> None:
        found = runs(PERIOD, [spell(a, b) for a, b in spells], NOW)
        assert found == [Run(ago(a), ago(b)) for a, b in expected]

    def test_a_period_that_ended_as_it_began_has_none(self) -> None:
        assert runs(replace(PERIOD, until=PERIOD.since), [], NOW) == []


class TestWhatCounts:
    @pytest.mark.parametrize(
        ("since", "until", "counted"),
        [
            pytest.param(103, 90, None, id="there before it came"),
            pytest.param(102, 90, (100, 90), id="from the moment it came"),
            pytest.param(101, 100, None, id="over when it served alone"),
            pytest.param(60, None, (60, 10), id="red still: up to its end"),
            pytest.param(60, 5, (60, 10), id="red beyond its end"),
            pytest.param(10, 5, None, id="from its end on"),
        ],
    )
    def test_began_under_it(
        self, since: float, until: float | None, counted: tuple[float, float] | None
    ) -> None:
        found = spells_under(PERIOD, [alarm((since, until))], NOW)
        spells = [one for of_alarm in found for one in of_alarm.spells]
        assert spells == ([spell(*counted)] if counted else [])

    def test_an_alarm_whose_history_was_not_read_tells_nothing(self) -> None:
        assert spells_under(PERIOD, [replace(alarm(), spells=None)], NOW) == ()


@pytest.mark.parametrize(
    ("red", "end"),
    [
        pytest.param([], 10, id="none"),
        pytest.param([(20, 15)], 20, id="it began ten minutes before the end"),
        pytest.param([(20.1, 15)], 10, id="it began earlier"),
        pytest.param([(18, 17), (15, 12)], 18, id="the first of two"),
    ],
)
def test_it_was_calm_to_the_beginning_of_trouble_shortly_before_its_end(
    red: list[tuple[float, float]], end: float
) -> None:
    assert calm_end(PERIOD, spells_under(PERIOD, [alarm(*red)], NOW), NOW) == ago(end)


class TestRedAtItsEnd:
    @pytest.mark.parametrize(
        ("red", "counts"),
        [
            pytest.param((25, 5), True, id="from before its last ten minutes to beyond its end"),
            pytest.param((25, None), True, id="red to this day"),
            pytest.param((20, None), False, id="from its last ten minutes on"),
            pytest.param((102, 5), True, id="from the moment it came"),
            pytest.param((103, 5), False, id="from before it came"),
        ],
    )
    def test_speaks_against_it(self, red: tuple[float, float | None], *, counts: bool) -> None:
        assert ("and still then" in str(why(PERIOD, alarm(red)))) is counts

    def test_calm_at_the_very_end_is_calm(self) -> None:
        assert why(LONG, alarm((25, 10))) is None

    def test_in_words_since_when(self) -> None:
        assert why(LONG, alarm((70, 65), (25, 5))) == (
            "latency was in ALARM at 2026-11-22 13:35:00Z, 15 min before its end, and still then"
        )

    @pytest.mark.parametrize(
        ("before", "speaks"),
        [
            pytest.param([3100, 3200, 3300], False, id="three times in the day before it came"),
            pytest.param([3100, 3200], True, id="twice: that is no flapping"),
        ],
    )
    def test_an_alarm_that_flapped_before_says_nothing_new(
        self, before: list[float], *, speaks: bool
    ) -> None:
        flapping = alarm(*[(since, since - 20) for since in before], (25, 5))
        assert ("and still then" in str(why(LONG, flapping))) is speaks

    def test_unless_it_is_red_for_longer_than_then(self) -> None:
        flapping = alarm(*[(since, since - 2) for since in (3100, 3200, 3300)], (25, 5))
        assert "and still then" in str(why(LONG, flapping))


class TestTimesInItsLastDay:
    def told(self, *red: tuple[float, float]) -> str:
        return str(why(LONG, alarm(*red)))

    def test_more_than_the_limit_speak_against_it(self) -> None:
        twice = ((900, 895), (600, 595))
        assert self.told(*twice) == "None"
        assert self.told(*twice, (300, 295)) == (
            "3 times in ALARM in its last 24 h, limit 2: "
            "latency was in ALARM at 2026-11-22 09:00:00Z for 5 min, "
            "latency was in ALARM at 2026-11-22 04:00:00Z for 5 min, "
            "latency was in ALARM at 2026-11-21 23:00:00Z for 5 min"
        )

    def test_of_many_the_newest_three_are_told(self) -> None:
        red = [spell(since, since - 5) for since in (900, 800, 700, 600, 500)]
        assert told(red).endswith(", 2 more")
        assert told(red).count("was in ALARM") == 3
        assert told(red[:4]).endswith(", 1 more")
        assert "more" not in told(red[:3])

    @pytest.mark.parametrize(
        ("first", "counts"),
        [
            pytest.param((1460, 1449.9), True, id="it reached into the last day"),
            pytest.param((1460, 1450), False, id="it was over when that began"),
        ],
    )
    def test_count_where_they_reach_into_it(
        self, first: tuple[float, float], *, counts: bool
    ) -> None:
        assert ("3 times" in self.told(first, (900, 895), (600, 595))) is counts

    @pytest.mark.parametrize(
        ("last", "counts"),
        [
            pytest.param((20.1, 15), True, id="before its last ten minutes"),
            pytest.param((20, 15), False, id="within them"),
        ],
    )
    def test_do_not_count_in_its_last_ten_minutes(
        self, last: tuple[float, float], *, counts: bool
    ) -> None:
        assert ("3 times" in self.told((900, 895), (600, 595), last)) is counts

    def test_those_of_several_alarms_that_overlap_are_one(self) -> None:
        late = alarm((900, 890), (600, 590))
        errors = alarm((895, 880), (590, 585), signal="5xx-rate")
        assert why(LONG, late, errors) is None
        apart = alarm((895, 880), (589, 585), signal="5xx-rate")
        assert "3 times" in str(why(LONG, late, apart))

    @pytest.mark.parametrize(
        ("before", "counts"),
        [
            pytest.param((3100, 3200, 3300), False, id="as often"),
            pytest.param((3100, 3200), True, id="less often"),
            pytest.param((3100, 3200, 4500), True, id="the third longer than a day before"),
        ],
    )
    def test_what_was_so_before_it_came_says_nothing_new(
        self, before: tuple[float, ...], *, counts: bool
    ) -> None:
        now = [(since, since - 5) for since in (900, 600, 300)]
        flapping = alarm(*[(since, since - 5) for since in before], *now)
        assert ("3 times" in str(why(LONG, flapping))) is counts


class TestShareOfItsLastDay:
    @pytest.mark.parametrize(
        ("red", "counts"),
        [
            pytest.param((700, 556), False, id="a tenth of a day: 144 min"),
            pytest.param((700, 555.9), True, id="more than that"),
        ],
    )
    def test_of_a_long_time_in_service(self, red: tuple[float, float], *, counts: bool) -> None:
        assert ("more than a tenth of its last 1 d" in str(why(LONG, alarm(red)))) is counts

    @pytest.mark.parametrize(
        ("red", "counts"),
        [
            pytest.param((60, 51), False, id="nine minutes of ninety"),
            pytest.param((60, 50.9), True, id="more than that"),
        ],
    )
    def test_of_a_short_one(self, red: tuple[float, float], *, counts: bool) -> None:
        assert (
            "more than a tenth of its last 1 h 30 min" in str(why(PERIOD, alarm(red)))
        ) is counts

    def test_one_within_another_counts_once(self) -> None:
        long, within = alarm((700, 556)), alarm((690, 680), signal="5xx-rate")
        assert why(LONG, long, within) is None

    @pytest.mark.parametrize(
        ("before", "counts"),
        [
            pytest.param((3200, 3050), False, id="as long in the day before it came"),
            pytest.param((3200, 3050.1), True, id="less long"),
            pytest.param((4600, 4292), False, id="as far as that reaches into that day"),
        ],
    )
    def test_what_was_so_before_it_came_says_nothing_new(
        self, before: tuple[float, float], *, counts: bool
    ) -> None:
        assert ("more than a tenth" in str(why(LONG, alarm(before, (700, 550))))) is counts

    def test_what_was_red_as_it_came_is_cut_to_that_moment(self) -> None:
        assert why(LONG, alarm((3152, None), (700, 550))) is None
        assert why(LONG, alarm((3152, 3002 - 1), (700, 550))) is None
        shorter = replace(LONG, came=LONG.came - seconds(1))
        assert "more than a tenth" in str(why(shorter, alarm((3152, None), (700, 550))))
