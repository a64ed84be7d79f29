"""How far back what is known reaches: of alarms, of deployments, and of the shift of traffic."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.facts import (
    EcsDeployment,
    KnownGood,
    Status,
    Strategy,
    TrafficReading,
    TrafficShift,
    TriggerKind,
)
from autorollback.decision.question import Question
from autorollback.decision.stability import histories_needed, watched_from
from autorollback.decision.targets import deployed_since, reaches_back_to
from autorollback.decision.traffic_shift import is_watched, reading_of, with_readings
from tests.scenarios.history import NOW, History, bad_deployment, days, hours, incident, minutes


class TestAlarms:
    """v1 came six days ago, and its deployment took two minutes."""

    def needed(self, *, reaches: timedelta, spoke: bool) -> list[str]:
        story = bad_deployment()
        if spoke:
            story.was_red("latency", ago=days(2))
        latency = replace(story.alarms["latency"], history_from=NOW - reaches, since=NOW - hours(1))
        story.alarms["latency"] = latency
        question = Question(story.facts(), story.policy, NOW)
        (served,) = (p for p in question.periods if p.until is not None)
        found = histories_needed(served, question)
        assert all(one.since == NOW - days(7) - minutes(2) for one in found)
        return [one.alarm.signal for one in found]

    @pytest.mark.parametrize(
        ("reaches", "spoke", "needed"),
        [
            pytest.param(days(6), False, ["latency"], id="not to its deployment"),
            pytest.param(days(6) + minutes(2), False, [], id="to its deployment, and silent since"),
            pytest.param(days(6) + minutes(2), True, ["latency"], id="to it, and it spoke"),
            pytest.param(days(7) + minutes(2), True, [], id="to the day before"),
        ],
    )
    def test_of_one_that_spoke_the_day_before_matters_too(
        self, reaches: timedelta, *, spoke: bool, needed: list[str]
    ) -> None:
        assert self.needed(reaches=reaches, spoke=spoke) == needed

    def test_the_oldest_of_several_tells_since_when_a_service_is_watched(self) -> None:
        story = bad_deployment().watched_by("latency", since=days(3))
        story.watched_by("unhealthy-targets", since=days(2))
        story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], first_trace=None)
        assert watched_from(story.facts(), NOW) == NOW - days(3)


class TestDeployments:
    def record(self, until: timedelta) -> KnownGood:
        story = incident().known_good("v1", since=days(99), until=until)
        return story.memory.known_good[0]

    @pytest.mark.parametrize(
        ("until", "reaches"), [(days(6) + minutes(2), True), (days(6) + minutes(3), False)]
    )
    def test_reach_back_to_what_was_recorded_before_the_oldest(
        self, until: timedelta, *, reaches: bool
    ) -> None:
        story = incident().deployed("v2", ago=days(6)).deployed("v3", ago=minutes(9))
        facts = story.alarm("5xx-rate", onset=minutes(6)).facts()
        assert reaches_back_to(facts, self.record(until)) is reaches
        assert not reaches_back_to(replace(facts, deployments=()), self.record(until))

    def test_since_a_moment(self) -> None:
        facts = bad_deployment().facts()
        newest, first = facts.deployments
        assert deployed_since(facts, newest.start) == (facts.revision(newest.target),)
        assert deployed_since(facts, NOW) == ()
        assert len(deployed_since(facts, first.start)) == 2


class TestTrafficShift:
    def deployment(self, strategy: Strategy, status: Status, **seen: object):  # type: ignore[no-untyped-def] # a deployment
        traffic = replace(TrafficShift(strategy), **seen)  # type: ignore[arg-type] # the keys are its own
        newest = bad_deployment().deployments[-1]
        return replace(newest, status=status, traffic=traffic)

    @pytest.mark.parametrize(
        ("strategy", "status", "watched"),
        [
            (Strategy.CANARY, Status.IN_PROGRESS, True),
            (Strategy.BLUE_GREEN, Status.PENDING, True),
            (Strategy.BLUE_GREEN, Status.SUCCESSFUL, False),
            (Strategy.ROLLING, Status.IN_PROGRESS, False),
            (Strategy.CODE_DEPLOY, Status.IN_PROGRESS, False),
        ],
    )
    def test_is_watched_while_ecs_shifts(
        self, strategy: Strategy, status: Status, *, watched: bool
    ) -> None:
        assert is_watched(self.deployment(strategy, status)) is watched
        seen = reading_of(self.deployment(strategy, status, weight=0.0), NOW)
        assert (seen.unserved_at is not None) is watched

    def test_some_traffic_is_not_none(self) -> None:
        some = self.deployment(Strategy.CANARY, Status.IN_PROGRESS, weight=10.0)
        assert reading_of(some, NOW) == TrafficReading(some.arn, None, None)
        bakes = self.deployment(
            Strategy.CANARY, Status.IN_PROGRESS, weight=100.0, stage="BAKE_TIME"
        )
        assert reading_of(bakes, NOW) == TrafficReading(bakes.arn, None, NOW)

    def test_what_was_seen_stands_with_its_deployment(self) -> None:
        one = self.deployment(Strategy.CANARY, Status.IN_PROGRESS)
        other = replace(one, arn="other")
        reading = TrafficReading(one.arn, NOW - minutes(3), NOW - minutes(1))
        first, second = with_readings([one, other], [reading])
        assert first.traffic.unserved_at == NOW - minutes(3)
        assert first.traffic.baking_at == NOW - minutes(1)
        assert second == other


class TestTasksThatServe:
    def story(self, *, running: int, healthy: int | None) -> History:
        story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
        story.event(TriggerKind.TASKS_CANNOT_START)
        primary = EcsDeployment("ecs-svc/1", NOW - minutes(9), True, "COMPLETED", running, 3)
        return story.serving(deployments=(primary,), healthy=healthy, desired=4)

    @pytest.mark.parametrize(
        ("running", "healthy", "reason"),
        [
            pytest.param(1, 1, "tasks_cannot_start", id="a quarter"),
            pytest.param(2, 2, "still_serving", id="half"),
            pytest.param(2, 1, "tasks_cannot_start", id="half run, a quarter is healthy"),
            pytest.param(1, 4, "tasks_cannot_start", id="the others linger from before"),
            pytest.param(2, None, "still_serving", id="nobody knows"),
        ],
    )
    def test_half_of_the_desired_ones_are_enough(
        self, running: int, healthy: int | None, reason: str
    ) -> None:
        assert self.story(running=running, healthy=healthy).reason() == reason

    def test_what_was_stopped_serves_nothing_itself(self) -> None:
        story = self.story(running=4, healthy=4)
        story.deployments[-1] = replace(story.deployments[-1], status=Status.STOPPED)
        assert story.reason() == "tasks_cannot_start"
