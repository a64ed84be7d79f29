"""A build that was rolled back from comes back: from which sides it is convicted, and from which it is not."""

from dataclasses import replace

import pytest

from autorollback.decision.facts import Status, Strategy, TrafficShift, TriggerKind
from autorollback.decision.plan import left_behind
from autorollback.decision.verdicts import RollBack
from tests.scenarios.history import NOW, History, days, hours, incident, minutes


def rolled_back_from(
    build: str = "v2", *, ago: float = 40, signals: tuple[str, ...] = ("5xx-rate",)
) -> History:
    """v1 ran well, v2 was rolled back from; what is told next comes after that."""
    story = incident().deployed("v1", ago=days(6)).deployed(build, ago=minutes(ago + 10))
    story.deployed("v1", ago=minutes(ago - 2))
    story.rolled_back("v1", ago=minutes(ago))
    return story.quarantined(build, ago=minutes(ago), signals=signals)


def test_a_retry_that_deploys_it_into_the_alarm_that_is_still_red_is_undone_at_once() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(2)).alarm("5xx-rate", onset=minutes(52))
    assert (story.reason(), story.target()) == ("alarm_after_deployment", "v1")
    detail = story.judged().verdict.detail
    assert "5xx-rate is in ALARM" in detail
    assert "auth:v2, which was rolled back from" in detail


def test_so_it_is_while_its_deployment_is_in_progress() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(1), status=Status.IN_PROGRESS)
    assert story.alarm("5xx-rate", onset=minutes(52)).target() == "v1"


def test_another_build_deployed_into_the_red_alarm_is_not_blamed_for_it() -> None:
    story = rolled_back_from().deployed("v3", ago=minutes(2)).alarm("5xx-rate", onset=minutes(52))
    assert story.reason() == "alarm_predates_deployment"


def test_once_released_it_is_judged_like_any_other() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(2)).alarm("5xx-rate", onset=minutes(52))
    story.memory = replace(story.memory, quarantined={})
    assert story.reason() == "alarm_predates_deployment"


@pytest.mark.parametrize(
    ("signals", "red", "began", "reason"),
    [
        pytest.param(
            ("5xx-rate",), "latency", 52, "alarm_predates_deployment",
            id="another alarm, whose trouble was there before it",
        ),
        pytest.param(
            ("5xx-rate",), "latency", 1, "alarm_after_deployment",
            id="another alarm, whose trouble came after it",
        ),
        pytest.param(
            (), "5xx-rate", 52, "alarm_predates_deployment",
            id="a person rolled back, and the trouble was there before it",
        ),
        pytest.param(
            (), "5xx-rate", 1, "alarm_after_deployment",
            id="a person rolled back, and the trouble came after it",
        ),
        pytest.param(
            ("5xx-rate", "latency"), "latency", 52, "alarm_after_deployment",
            id="it was rolled back from twice, for two alarms",
        ),
    ],
)  # fmt: skip
def test_which_alarm_convicts_it(
    signals: tuple[str, ...], red: str, began: int, reason: str
) -> None:
    story = rolled_back_from(signals=signals).deployed("v2", ago=minutes(2))
    assert story.alarm(red, onset=minutes(began)).reason() == reason


def test_an_alarm_that_came_and_went_all_day_convicts_it_too() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(2))
    for ago in (300, 200, 100):
        story.was_red("5xx-rate", ago=minutes(ago))
    assert story.alarm("5xx-rate", onset=minutes(1)).reason() == "alarm_after_deployment"
    other = rolled_back_from().deployed("v3", ago=minutes(2))
    for ago in (300, 200, 100):
        other.was_red("5xx-rate", ago=minutes(ago))
    assert other.alarm("5xx-rate", onset=minutes(1)).reason() == "alarm_is_flapping"


def test_it_is_known_however_stable_it_once_was() -> None:
    story = incident().deployed("v1", ago=days(30)).deployed("v2", ago=days(20))
    story.deployed("v3", ago=days(4)).deployed("v2", ago=minutes(3))
    story.quarantined("v2", ago=days(5)).alarm("5xx-rate", onset=minutes(1))
    assert (story.reason(), story.target()) == ("alarm_after_deployment", "v3")


def test_one_that_a_person_deployed_again_and_that_proved_itself_is_no_known_bad_build() -> None:
    story = rolled_back_from(ago=3000).deployed("v2", ago=days(1)).deployed("v3", ago=hours(5))
    story.deployed("v2", ago=minutes(3)).alarm("5xx-rate", onset=minutes(1))
    assert story.reason() == "deployment_is_a_rollback"


def test_what_a_person_rolled_back_to_is_theirs_also_when_the_window_is_over() -> None:
    story = rolled_back_from(ago=300).deployed("v2", ago=minutes(70))
    story.rolled_back("v2", ago=minutes(73), automatic=False, pins=True)
    story.alarm("5xx-rate", onset=minutes(11))
    assert story.reason() == "deployment_is_a_rollback"
    story.under(window_minutes=120)
    assert story.reason() == "pinned_by_human"


@pytest.mark.parametrize("status", [Status.ROLLBACK_IN_PROGRESS, Status.ROLLBACK_SUCCESSFUL])
def test_what_ecs_rolls_back_is_left_to_ecs_also_then(status: Status) -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(2), status=status)
    assert story.alarm("5xx-rate", onset=minutes(52)).reason() == "deployment_is_a_rollback"


def test_its_targets_may_start_slowly_like_those_of_any_other() -> None:
    story = rolled_back_from(signals=("unhealthy-targets",)).serving(healthy=3)
    story.deployed("v2", ago=minutes(1), status=Status.IN_PROGRESS)
    story.alarm("unhealthy-targets", onset=minutes(52))
    assert story.reason() == "slow_start"
    assert story.serving(healthy=0).reason() == "alarm_after_deployment"


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        pytest.param(
            rolled_back_from().under(max_rollbacks_per_day=1), "rollback_limit_reached", id="the limit"
        ),
        pytest.param(
            rolled_back_from().serving(irreversible=True), "irreversible_change", id="irreversible"
        ),
        pytest.param(
            rolled_back_from()
            .neighbour("cart", onset=minutes(55))
            .neighbour("mail", onset=minutes(54))
            .neighbour("pay", onset=minutes(53)),
            "shared_cause",
            id="others fell ill before it",
        ),
    ],
)  # fmt: skip
def test_all_other_rules_speak_of_it_too(story: History, reason: str) -> None:
    story.deployed("v2", ago=minutes(2)).alarm("5xx-rate", onset=minutes(52))
    assert story.reason() == reason


def test_one_that_came_back_long_before_the_trouble_is_no_suspect() -> None:
    story = rolled_back_from(ago=3000).deployed("v2", ago=minutes(80), requests=0)
    assert story.alarm("5xx-rate", onset=minutes(5)).reason() == "no_recent_deployment"


def test_a_restart_of_it_is_passed_over_and_hides_nothing() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(6)).deployed("v2", ago=minutes(2))
    assert story.alarm("5xx-rate", onset=minutes(52)).target() == "v1"


class TestABuildOfWhichAProcessSeesNoDifference:
    """Its definition differs in labels, log options, or a commit in a variable; its images are the same."""

    def test_is_the_known_bad_build(self) -> None:
        story = rolled_back_from().deployed("v2-again", seen_as="v2", ago=minutes(2))
        story.alarm("5xx-rate", onset=minutes(52))
        assert (story.reason(), story.target()) == ("alarm_after_deployment", "v1")

    def test_frees_the_build_once_it_has_proven_itself(self) -> None:
        story = rolled_back_from(ago=3000).deployed("v2-again", seen_as="v2", ago=days(1))
        story.deployed("v3", ago=hours(5)).deployed("v2", ago=minutes(3))
        assert story.alarm("5xx-rate", onset=minutes(52)).reason() == "alarm_predates_deployment"

    def test_is_its_own_witness_where_it_was_stable_here_itself(self) -> None:
        """v1 ran for days; v1 with another label was rolled back from, and v3 too. Somebody deploys v1."""
        story = (
            incident().deployed("v1", ago=days(6)).deployed("v1-again", seen_as="v1", ago=days(2))
        )
        story.deployed("v1", ago=days(1)).deployed("v3", ago=minutes(40)).deployed(
            "v1", ago=minutes(9)
        )
        story.quarantined("v1-again", ago=days(2), seen_as="v1")
        assert story.alarm("5xx-rate", onset=minutes(5)).reason() == "deployment_is_a_rollback"

    def test_but_the_same_images_with_other_settings_are_a_new_build(self) -> None:
        story = rolled_back_from().deployed("v2-tuned", image="v2", ago=minutes(2))
        assert story.alarm("5xx-rate", onset=minutes(52)).reason() == "alarm_predates_deployment"


def test_what_ecs_says_of_its_tasks_needs_no_quarantine_to_convict_it() -> None:
    story = rolled_back_from().deployed("v2", ago=minutes(2), status=Status.IN_PROGRESS)
    assert story.event(TriggerKind.TASKS_CANNOT_START).target() == "v1"


def test_what_is_left_is_quarantined_for_the_signal_that_convicted_and_those_of_before() -> None:
    story = rolled_back_from(signals=("latency",)).deployed("v2", ago=minutes(2))
    story.alarm("5xx-rate", onset=minutes(1))
    verdict = story.judged().verdict
    assert isinstance(verdict, RollBack)
    (left,) = left_behind(story.facts(), verdict, verdict.candidates[0])
    assert (left.identity, left.process_identity) == ("v2", "v2")
    assert left.signals == ("5xx-rate", "latency")
    assert left.quarantined_at(NOW).images == {"app": "sha256:v2"}


def test_it_needs_no_traffic_to_be_convicted() -> None:
    unserved = TrafficShift(Strategy.BLUE_GREEN, weight=0, stage="POST_SCALE_UP")
    story = rolled_back_from().deployed(
        "v2", ago=minutes(9), status=Status.IN_PROGRESS, traffic=unserved
    )
    assert story.alarm("latency", onset=minutes(5)).reason() == "alarm_after_deployment"
    other = rolled_back_from().deployed(
        "v3", ago=minutes(9), status=Status.IN_PROGRESS, traffic=unserved
    )
    assert other.alarm("latency", onset=minutes(5)).reason() == "not_serving_yet"
