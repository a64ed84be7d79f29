"""Were services that did not change in trouble before this one, or with it?"""

from datetime import timedelta

import pytest

from autorollback.decision.facts import Deployment, Neighbour, Status
from autorollback.decision.rules.shared_cause import explains
from autorollback.naming import ServiceKey
from tests.scenarios.history import NOW, History, bad_deployment, hours, minutes, seconds


def ill(
    count: int,
    *,
    onset: timedelta = timedelta(minutes=5),
    fleet: int = 20,
    finished: timedelta = timedelta(minutes=8),
    changed: bool | None = False,
    grain: timedelta = timedelta(minutes=1),
) -> History:
    """The deployment finished 8 min ago, the trouble began 5 min ago; so many others are ill since then."""
    story = bad_deployment(ago=finished, onset=minutes(5))
    story.fleet = fleet
    for number in range(count):
        key = ServiceKey("shop", f"other-{number}")
        story.neighbours.append(Neighbour(key, NOW - onset, changed, grain))
    return story


class TestTogether:
    """Onsets less than one period apart are equal: which came first cannot be told."""

    def test_eight_of_twenty_unchanged_neighbours_with_the_very_same_onset(self) -> None:
        assert ill(8).reason() == "shared_cause"

    @pytest.mark.parametrize(
        ("fleet", "enough"),
        [
            pytest.param(3, 2, id="of two others both: at least two, as if they were earlier"),
            pytest.param(6, 3, id="of five others three, as if they were earlier"),
            pytest.param(13, 3, id="of twelve others three: that many are needed earlier, too"),
            pytest.param(14, 4, id="of thirteen others a quarter, rounded up"),
            pytest.param(20, 5, id="of nineteen others a quarter, rounded up"),
            pytest.param(33, 8, id="of 32 others a quarter"),
            pytest.param(1000, 8, id="in however large a fleet eight"),
        ],
    )
    def test_a_quarter_of_the_others_or_eight(self, fleet: int, enough: int) -> None:
        assert ill(enough, fleet=fleet).reason() == "shared_cause"
        assert ill(enough - 1, fleet=fleet).reason() == "alarm_after_deployment"

    def test_as_many_as_the_policy_wants_earlier_ones(self) -> None:
        assert ill(8).under(shared_cause_services=9).reason() == "alarm_after_deployment"
        assert ill(9).under(shared_cause_services=9).reason() == "shared_cause"

    def test_those_that_were_deployed_do_not_count(self) -> None:
        assert ill(8, changed=True).reason() == "alarm_after_deployment"

    def test_services_count_and_not_alarms(self) -> None:
        story = ill(4)
        story.neighbours += story.neighbours
        assert story.reason() == "alarm_after_deployment"

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            pytest.param(minutes(4), "alarm_after_deployment", id="a period later: victims"),
            pytest.param(minutes(4) + seconds(1), "shared_cause", id="less than a period later"),
        ],
    )
    def test_one_period_parts_equal_from_later(self, onset: timedelta, reason: str) -> None:
        assert ill(8, onset=onset).reason() == reason

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            pytest.param(minutes(6), "shared_cause", id="a period earlier: three are enough"),
            pytest.param(minutes(6) - seconds(1), "alarm_after_deployment", id="less: a quarter"),
        ],
    )
    def test_one_period_parts_equal_from_earlier(self, onset: timedelta, reason: str) -> None:
        assert ill(3, onset=onset).reason() == reason

    def test_the_longer_of_two_periods_counts(self) -> None:
        """A datapoint of five minutes that began two minutes later may hold the same moment."""
        assert ill(8, onset=minutes(3), grain=minutes(5)).reason() == "shared_cause"
        assert ill(3, onset=minutes(8), grain=minutes(5)).reason() == "alarm_after_deployment"

    @pytest.mark.parametrize(
        ("finished", "reason"),
        [
            pytest.param(minutes(15), "alarm_after_deployment", id="ten minutes before: a quarter"),
            pytest.param(minutes(15) + seconds(1), "shared_cause", id="longer before: three do"),
        ],
    )
    def test_where_the_deployment_had_long_finished_they_count_like_earlier_ones(
        self, finished: timedelta, reason: str
    ) -> None:
        assert ill(3, finished=finished).reason() == reason

    def test_what_is_held_says_how_many(self) -> None:
        assert "8 unchanged services fell ill with it" in ill(8).judged().verdict.detail

    def test_what_is_not_held_for_too_few_says_how_many(self) -> None:
        details = [finding.detail for finding in ill(4).judged().evidence]
        assert any("4 at the same time" in detail for detail in details)


class TestUnread:
    """The deployments of ten neighbours are read, the nearest in onset."""

    def story(self, changed: int) -> History:
        """Ten were read, so many of them deployed; three more, which fell ill earlier, were not."""
        story = ill(10 - changed, onset=minutes(4))
        for number in range(changed):
            story.neighbour(f"deployed-{number}", onset=minutes(4), changed=True)
        for number in range(3):
            story.neighbour(f"unread-{number}", onset=minutes(9), changed=None)
        return story

    def test_unless_all_that_were_read_were_not_deployed_the_others_count_as_deployed(self) -> None:
        assert self.story(changed=1).reason() == "alarm_after_deployment"

    def test_if_all_were_not_neither_were_the_others(self) -> None:
        assert self.story(changed=0).reason() == "shared_cause"


class TestANeighboursOwnDeployment:
    """It excuses its trouble only where the trouble follows it."""

    @pytest.mark.parametrize(
        ("onset", "explained"),
        [
            pytest.param(minutes(-1), False, id="begun before it"),
            pytest.param(minutes(0), True, id="begun with it"),
            pytest.param(minutes(12), True, id="ten minutes after it finished"),
            pytest.param(minutes(12) + seconds(1), False, id="longer after it finished"),
        ],
    )
    def test_begun_before_it_or_long_after_it_counts_all_the_same(
        self, onset: timedelta, *, explained: bool
    ) -> None:
        deployment = Deployment("arn", Status.SUCCESSFUL, NOW, "target", NOW, NOW + minutes(2))
        assert explains(deployment, NOW + onset, hours(1)) is explained

    def test_while_it_is_in_progress_it_explains_all_that_began_since(self) -> None:
        deployment = Deployment("arn", Status.IN_PROGRESS, NOW, "target", NOW)
        assert explains(deployment, NOW + hours(3), hours(1))
        assert not explains(deployment, NOW - seconds(1), hours(1))

    def test_a_window_shorter_than_ten_minutes_bounds_it(self) -> None:
        deployment = Deployment("arn", Status.SUCCESSFUL, NOW, "target", NOW, NOW)
        assert explains(deployment, NOW + minutes(5), minutes(5))
        assert not explains(deployment, NOW + minutes(5) + seconds(1), minutes(5))
