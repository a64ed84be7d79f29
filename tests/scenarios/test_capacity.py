"""Tasks that are missing because their capacity went away are nobody's fault; those that fail are."""

from datetime import timedelta

import pytest

from autorollback.decision.facts import Service, Status, TriggerKind
from tests.scenarios.history import NOW, History, days, incident, minutes, seconds

_AGO, _ONSET = minutes(40), minutes(6)
SPOT, EXITED = "SpotInterruption", "EssentialContainerExited"
TO_START, SCHEDULER = "TaskFailedToStart", "ServiceSchedulerInitiated"


def bereft(*, serving: int = 1, finished: timedelta = _AGO, onset: timedelta = _ONSET) -> History:
    """v2 finished long ago and all was calm; then three of its four tasks are gone."""
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=finished)
    story.serving(running=serving, healthy=serving).as_ecs_says("COMPLETED", running=serving)
    return story.alarm("unhealthy-targets", onset=onset)


def of_ecs(story: History, kind: TriggerKind = TriggerKind.TASKS_CANNOT_START) -> History:
    return story.event(kind)


@pytest.mark.parametrize("asks", ["an alarm on targets", "ecs"])
@pytest.mark.parametrize(
    ("taken", "failed", "serving", "reason"),
    [
        pytest.param(3, 0, 1, "capacity_lost", id="all that are missing were taken"),
        pytest.param(4, 0, 1, "capacity_lost", id="more than are missing"),
        pytest.param(3, 2, 1, "capacity_lost", id="fewer failed than were taken"),
        pytest.param(3, 3, 1, "convicted", id="as many failed"),
        pytest.param(2, 1, 1, "convicted", id="fewer taken than are missing"),
        pytest.param(3, 0, 0, "convicted", id="one more is missing"),
        pytest.param(0, 3, 1, "convicted", id="they failed"),
    ],
)
def test_a_service_whose_capacity_was_taken_away_is_held(
    asks: str, taken: int, failed: int, serving: int, reason: str
) -> None:
    """Spot takes three of four tasks, forty minutes after a deployment that did nothing wrong."""
    story = bereft(serving=serving).tasks_stopped(taken, SPOT, "Your Spot Task was interrupted.")
    story.tasks_stopped(failed, EXITED, "Essential container in task exited")
    convicted = "alarm_after_deployment"
    if asks == "ecs":
        of_ecs(story)
        convicted = "tasks_cannot_start"
    assert story.reason() == (convicted if reason == "convicted" else reason)


@pytest.mark.parametrize(
    ("code", "reason", "verdict"),
    [
        pytest.param(SPOT, "", "capacity_lost", id="Spot"),
        pytest.param("TerminationNotice", "", "capacity_lost", id="a termination notice"),
        pytest.param("InfrastructureHealth", "", "capacity_lost", id="the host is ill"),
        pytest.param(
            SCHEDULER,
            "Service auth: (instance i-0) container instance is in DRAINING state",
            "capacity_lost",
            id="a draining host",
        ),
        pytest.param(
            SCHEDULER,
            "Task stopped during instance draining",
            "capacity_lost",
            id="draining, managed",
        ),
        pytest.param("", "Host EC2 (instance i-0abc) terminated.", "capacity_lost", id="no host"),
        pytest.param(
            "UserInitiated",
            "Container instance deregistration forced by user",
            "capacity_lost",
            id="a deregistered host",
        ),
        pytest.param(
            SCHEDULER,
            "ECS is performing maintenance on the underlying infrastructure hosting the task",
            "capacity_lost",
            id="Fargate retires it",
        ),
        pytest.param(
            TO_START,
            "Capacity is unavailable at this time. Please try again later or in a different availability zone",
            "capacity_lost",
            id="no Fargate capacity",
        ),
        pytest.param(TO_START, "RESOURCE:MEMORY", "capacity_lost", id="no room on any instance"),
        pytest.param(TO_START, "NO ACTIVE INSTANCES", "capacity_lost", id="no instance"),
        pytest.param(
            TO_START, "CannotPullContainerError: not found", "alarm_after_deployment", id="no image"
        ),
        pytest.param(
            TO_START,
            "ResourceInitializationError: unable to pull secrets",
            "alarm_after_deployment",
            id="no secret",
        ),
        pytest.param(TO_START, "ATTRIBUTE", "alarm_after_deployment", id="asks for what none has"),
        pytest.param(EXITED, "RESOURCE:MEMORY", "alarm_after_deployment", id="exits, so worded"),
        pytest.param(
            SCHEDULER,
            "Task failed ELB health checks in (target-group arn)",
            "alarm_after_deployment",
            id="not healthy",
        ),
        pytest.param("UserInitiated", "by hand", "alarm_after_deployment", id="stopped by hand"),
        pytest.param("Newer", "", "alarm_after_deployment", id="a code that is not known"),
    ],
)
def test_why_a_task_stopped_is_told_by_its_code_and_where_that_leaves_it_open_by_its_reason(
    code: str, reason: str, verdict: str
) -> None:
    assert bereft().tasks_stopped(3, code, reason).reason() == verdict


class TestTasksThatDoNotCount:
    """Spot took three; others stopped as well, and hold nothing against the build."""

    def story(self) -> History:
        return bereft().tasks_stopped(3, SPOT)

    def test_those_that_a_scaling_or_a_deployment_stopped(self) -> None:
        words = "Scaling activity initiated by (deployment ecs-svc/1)"
        assert self.story().tasks_stopped(9, SCHEDULER, words).reason() == "capacity_lost"

    def test_those_of_the_build_before(self) -> None:
        assert self.story().tasks_stopped(9, EXITED, build="v1").reason() == "capacity_lost"

    def test_those_of_the_same_definition_from_before_the_deployment(self) -> None:
        began = _AGO + minutes(2)
        story = self.story().tasks_stopped(
            9, EXITED, ago=minutes(2), started=began - minutes(2) + seconds(1)
        )
        assert story.reason() == "capacity_lost"

    def test_but_those_that_were_asked_to_start_with_the_deployment_do(self) -> None:
        began = _AGO + minutes(2)
        story = self.story().tasks_stopped(9, EXITED, ago=minutes(2), started=began - minutes(2))
        assert story.reason() == "alarm_after_deployment"

    def test_those_that_stopped_long_before_the_trouble(self) -> None:
        long_before = self.story().tasks_stopped(9, EXITED, ago=minutes(16) + seconds(1))
        assert long_before.reason() == "capacity_lost"
        just_before = self.story().tasks_stopped(9, EXITED, ago=minutes(16))
        assert just_before.reason() == "alarm_after_deployment"

    def test_nor_does_capacity_that_an_older_build_lost(self) -> None:
        assert bereft().tasks_stopped(3, SPOT, build="v1").reason() == "alarm_after_deployment"


def test_nobody_knows_what_stopped_more_than_an_hour_ago() -> None:
    story = bereft(finished=minutes(90), onset=minutes(60)).tasks_stopped(3, SPOT, ago=minutes(60))
    assert story.reason() == "capacity_lost"
    story = bereft(finished=minutes(90), onset=minutes(61)).tasks_stopped(3, SPOT, ago=minutes(60))
    assert story.reason() == "alarm_after_deployment"


def test_an_empty_answer_says_nothing() -> None:
    assert bereft().reason() == "alarm_after_deployment"


@pytest.mark.parametrize("signal", ["5xx-rate", "latency"])
def test_errors_and_latency_are_not_excused_by_lost_capacity(signal: str) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(40))
    story.serving(running=1, healthy=1).alarm(signal, onset=minutes(6)).tasks_stopped(3, SPOT)
    assert story.reason() == "alarm_after_deployment"


def test_a_deployment_that_failed_for_want_of_capacity_is_held() -> None:
    """What served before serves on; nothing that a rollback could mend is wrong."""
    story = (
        incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9), status=Status.STOPPED)
    )
    story.event(TriggerKind.DEPLOYMENT_FAILED)
    assert story.reason() == "deployment_failed"
    assert story.tasks_stopped(10, TO_START, "RESOURCE:CPU").reason() == "capacity_lost"


def test_half_of_the_tasks_that_still_serve_are_asked_about_first() -> None:
    story = bereft(serving=2).tasks_stopped(2, SPOT)
    assert of_ecs(story).reason() == "still_serving"


def test_tasks_that_run_and_are_not_healthy_are_missing() -> None:
    """One was taken away and came back; none of the four passes its health checks."""
    story = bereft(serving=4).serving(healthy=0).tasks_stopped(1, SPOT)
    assert story.reason() == "alarm_after_deployment"


def test_an_earlier_unproven_build_is_excused_as_well() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(20))
    story.serving(running=1, healthy=1).alarm("unhealthy-targets", onset=minutes(9))
    story.deployed("v3", ago=minutes(5))
    assert (story.reason(), story.target()) == ("alarm_after_deployment", "v1")
    story.tasks_stopped(3, SPOT, build="v2", ago=minutes(9), started=minutes(8))
    assert story.reason() == "capacity_lost"


def test_a_service_of_which_nothing_is_missing_any_more_is_held_all_the_same() -> None:
    story = bereft(serving=4).tasks_stopped(3, SPOT)
    assert isinstance(story.service, Service)
    assert story.reason() == "capacity_lost"
    assert story.now == NOW
