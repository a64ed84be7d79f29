"""A build is judged by alarms only once users can have reached it: each strategy, before and after the shift."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.facts import (
    Controller,
    EcsDeployment,
    Status,
    Strategy,
    TrafficShift,
    TriggerKind,
)
from tests.scenarios.history import NOW, History, days, hours, incident, minutes, seconds

_LONG_AGO, _SOON = hours(3), minutes(20)
SHIFTING = (Strategy.BLUE_GREEN, Strategy.LINEAR, Strategy.CANARY)


def shifted(
    traffic: TrafficShift,
    *,
    began: timedelta = _LONG_AGO,
    onset: timedelta = _SOON,
    status: Status = Status.IN_PROGRESS,
) -> History:
    """v2 is deployed beside v1 for hours; errors begin."""
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=began, status=status, traffic=traffic)
    return story.alarm("5xx-rate", onset=onset)


@pytest.mark.parametrize("strategy", SHIFTING)
@pytest.mark.parametrize(
    ("weight", "stage", "reason"),
    [
        pytest.param(0.0, "POST_SCALE_UP", "not_serving_yet", id="waits at a hook"),
        pytest.param(0.0, "PRODUCTION_TRAFFIC_SHIFT", "not_serving_yet", id="is about to shift"),
        pytest.param(
            0.5, "PRODUCTION_TRAFFIC_SHIFT", "alarm_after_deployment", id="half a percent"
        ),
        pytest.param(100.0, "BAKE_TIME", "alarm_after_deployment", id="bakes"),
        pytest.param(None, None, "not_serving_yet", id="nothing is told of it"),
        pytest.param(None, "PRODUCTION_TRAFFIC_SHIFT", "not_serving_yet", id="only a stage before"),
        pytest.param(
            None, "POST_PRODUCTION_TRAFFIC_SHIFT", "alarm_after_deployment", id="after it"
        ),
        pytest.param(None, "CLEAN_UP", "alarm_after_deployment", id="the old ones are ended"),
    ],
)
def test_a_build_that_no_user_reaches_is_not_to_blame_for_errors(
    strategy: Strategy, weight: float | None, stage: str | None, reason: str
) -> None:
    """Its tasks run for hours; until the shift it was seen to have none of the traffic."""
    seen = NOW - minutes(30)
    assert shifted(TrafficShift(strategy, weight, stage, unserved_at=seen)).reason() == reason


@pytest.mark.parametrize("strategy", SHIFTING)
def test_a_build_that_has_succeeded_serves_whatever_its_record_says(strategy: Strategy) -> None:
    traffic = TrafficShift(strategy, 0.0, unserved_at=NOW - hours(1))
    story = shifted(traffic, began=minutes(30), status=Status.SUCCESSFUL)
    assert story.reason() == "alarm_after_deployment"


def test_a_strategy_that_is_newer_than_this_controller_convicts_nobody_before_it_ends() -> None:
    other = TrafficShift(Strategy.OTHER)
    assert shifted(other).reason() == "not_serving_yet"
    finished = shifted(other, began=minutes(30), status=Status.SUCCESSFUL)
    assert finished.reason() == "alarm_after_deployment"


@pytest.mark.parametrize("weight", [0.0, 10.0, None])
def test_through_codedeploy_the_green_task_sets_weight_tells_it(weight: float | None) -> None:
    began = None if weight is None else NOW - minutes(40)
    story = shifted(TrafficShift(Strategy.CODE_DEPLOY, weight, began_at=began))
    story.serving(controller=Controller.CODE_DEPLOY)
    assert story.reason() == ("alarm_after_deployment" if weight else "not_serving_yet")


def test_through_codedeploy_trouble_from_before_the_shift_acquits() -> None:
    traffic = TrafficShift(Strategy.CODE_DEPLOY, 10.0, began_at=NOW - minutes(15))
    story = shifted(traffic).serving(controller=Controller.CODE_DEPLOY)
    assert story.reason() == "alarm_predates_deployment"


def ecs(*, new: int, old: int) -> tuple[EcsDeployment, ...]:
    """What DescribeServices lists while the tasks of one deployment replace those of another."""
    began, before = NOW - minutes(9), NOW - days(6)
    return (
        EcsDeployment("ecs-svc/2", began, True, "IN_PROGRESS", new),
        EcsDeployment("ecs-svc/1", before, False, "COMPLETED", old),
    )


@pytest.mark.parametrize(
    ("new", "old", "reason"),
    [
        pytest.param(0, 4, "not_serving_yet", id="none runs, and all old ones do"),
        pytest.param(0, 3, "alarm_after_deployment", id="it has taken one away"),
        pytest.param(1, 4, "alarm_after_deployment", id="one runs"),
    ],
)
def test_a_rolling_deployment_convicts_from_its_first_task_or_the_first_that_it_took_away(
    new: int, old: int, reason: str
) -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
    story.serving(deployments=ecs(new=new, old=old)).alarm("5xx-rate", onset=minutes(6))
    assert story.reason() == reason


def test_so_it_is_of_one_that_was_given_up_before_any_of_its_tasks_ran() -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(7), status=Status.STOPPED)
    story.serving(deployments=ecs(new=0, old=4)).alarm("5xx-rate", onset=minutes(6))
    assert story.reason() == "not_serving_yet"


def test_a_build_that_has_completed_and_lost_all_its_tasks_is_judged() -> None:
    """What runs beside it is what lingers of the one before."""
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
    story.serving(deployments=ecs(new=0, old=4)).alarm("5xx-rate", onset=minutes(6))
    assert story.reason() == "alarm_after_deployment"


@pytest.mark.parametrize("kind", [TriggerKind.TASKS_CANNOT_START, TriggerKind.DEPLOYMENT_FAILED])
def test_that_its_tasks_do_not_start_convicts_a_build_that_no_user_reaches(
    kind: TriggerKind,
) -> None:
    story = shifted(TrafficShift(Strategy.BLUE_GREEN, 0.0, "SCALE_UP")).event(kind)
    if kind is TriggerKind.DEPLOYMENT_FAILED:
        story.as_ecs_says("FAILED")
    assert story.reason() == kind.value


class TestTheStartThatTheOnsetIsHeldAgainst:
    """The first moment at which users may have reached the build."""

    @pytest.mark.parametrize("strategy", SHIFTING)
    @pytest.mark.parametrize(
        ("seen", "reason"),
        [
            pytest.param(minutes(25), "alarm_after_deployment", id="none of the traffic before"),
            pytest.param(minutes(20), "alarm_after_deployment", id="at that very moment"),
            pytest.param(minutes(18), "alarm_predates_deployment", id="still none after it"),
        ],
    )
    def test_it_is_the_last_time_that_the_weight_was_seen_to_be_zero(
        self, strategy: Strategy, seen: timedelta, reason: str
    ) -> None:
        traffic = TrafficShift(strategy, 100.0, "BAKE_TIME", minutes(30), NOW - seen)
        assert shifted(traffic).reason() == reason

    def test_without_such_a_reading_it_is_when_it_was_first_seen_to_bake(self) -> None:
        traffic = TrafficShift(Strategy.CANARY, 100.0, "BAKE_TIME", baking_at=NOW - minutes(25))
        assert shifted(traffic).reason() == "alarm_after_deployment"
        story = shifted(replace(traffic, baking_at=NOW - minutes(18)))
        assert story.reason() == "alarm_predates_deployment"

    @pytest.mark.parametrize(
        ("strategy", "onset", "reason"),
        [
            pytest.param(Strategy.BLUE_GREEN, 18, "alarm_after_deployment", id="while it baked"),
            pytest.param(
                Strategy.BLUE_GREEN, 22, "alarm_predates_deployment", id="before it baked"
            ),
            pytest.param(Strategy.LINEAR, 18, "alarm_predates_deployment", id="linear: not known"),
            pytest.param(Strategy.CANARY, 18, "alarm_predates_deployment", id="canary: not known"),
            pytest.param(Strategy.CANARY, 9, "alarm_after_deployment", id="after its end"),
        ],
    )
    def test_where_nothing_was_seen_the_bake_tells_it_of_blue_green_and_else_the_end(
        self, strategy: Strategy, onset: int, reason: str
    ) -> None:
        traffic = TrafficShift(strategy, 100.0, bake=minutes(10))
        story = shifted(traffic, began=minutes(10), onset=minutes(onset), status=Status.SUCCESSFUL)
        assert story.reason() == reason

    def test_while_it_is_in_progress_and_nothing_was_seen_nobody_is_convicted(self) -> None:
        story = shifted(TrafficShift(Strategy.BLUE_GREEN, 100.0, "BAKE_TIME", minutes(10)))
        assert story.reason() == "alarm_predates_deployment"
        assert "is not known yet" in story.judged().verdict.detail

    @pytest.mark.parametrize(
        ("red", "reason"),
        [
            pytest.param(minutes(27), "alarm_predates_deployment", id="at the shift"),
            pytest.param(hours(3), "alarm_after_deployment", id="when its tasks began to start"),
        ],
    )
    def test_an_alarm_that_was_red_then_acquits_though_it_calmed_and_came_again(
        self, red: timedelta, reason: str
    ) -> None:
        seen = NOW - minutes(25)
        traffic = TrafficShift(Strategy.BLUE_GREEN, 100.0, "BAKE_TIME", unserved_at=seen)
        story = incident().was_red("5xx-rate", ago=red + seconds(30), lasted=minutes(4))
        story.deployed("v1", ago=days(6))
        story.deployed("v2", ago=hours(3), status=Status.IN_PROGRESS, traffic=traffic)
        assert story.alarm("5xx-rate", onset=minutes(20)).reason() == reason

    def test_trouble_from_before_the_shift_is_an_earlier_unproven_builds(self) -> None:
        """v2 was deployed half an hour ago, errors followed, and v3 is shifted in to mend it."""
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(29))
        traffic = TrafficShift(
            Strategy.BLUE_GREEN, 100.0, "BAKE_TIME", unserved_at=NOW - minutes(6)
        )
        story.deployed("v3", ago=minutes(20), status=Status.IN_PROGRESS, traffic=traffic)
        story.alarm("5xx-rate", onset=minutes(25))
        assert (story.reason(), story.target()) == ("alarm_after_deployment", "v1")
