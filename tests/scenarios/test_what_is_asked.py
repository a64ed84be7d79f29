"""Which reads a question needs, and which it does not: each costs a call, of every alarm that fires."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision import reads
from autorollback.decision.facts import (
    Controller,
    ServedRequests,
    Status,
    Strategy,
    TrafficShift,
    Trigger,
    TriggerKind,
)
from autorollback.decision.question import Question
from autorollback.decision.reads import Read, missing, requests_by_revision
from autorollback.decision.request_counts import Requests
from tests.scenarios.history import (
    NOW,
    History,
    bad_deployment,
    days,
    hours,
    incident,
    minutes,
)
from tests.scenarios.test_reads import World


def first_round(story: History) -> frozenset[Read]:
    world = World(story)
    return missing(world.unread(), world.policy, NOW)


def asks(story: History, kind: type) -> bool:
    return any(isinstance(read, kind) for read in first_round(story))


def test_of_a_service_without_a_good_build_a_hundred_older_pages_are_read() -> None:
    """Of 20 deployments each: all of the 90 days that AWS keeps, at 22 deployments a day."""
    story = incident().deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    for pages, asked in ((99, True), (100, False)):
        so_far = replace(
            story.facts().so_far,
            present=True,
            red=(),
            neighbours=NOW - minutes(6),
            next_page="more",
            older_pages=pages,
        )
        facts = replace(story.facts(), so_far=so_far)
        found = missing(facts, World(story).policy, NOW)
        assert (reads.OlderDeployments("more") in found) is asked


class TestHealthyTargets:
    @pytest.mark.parametrize(
        ("kind", "asked"),
        [(TriggerKind.TASKS_CANNOT_START, True), (TriggerKind.DEPLOYMENT_FAILED, False)],
    )
    def test_are_counted_where_tasks_cannot_start(self, kind: TriggerKind, *, asked: bool) -> None:
        assert asks(bad_deployment().event(kind), reads.TargetHealth) is asked

    def test_are_counted_where_any_alarm_may_be_asked_about(self) -> None:
        story = bad_deployment()
        story.trigger = Trigger(TriggerKind.ALARM, NOW)
        assert asks(story, reads.TargetHealth)

    def test_are_not_where_there_is_no_load_balancer(self) -> None:
        story = bad_deployment().without_load_balancer().event(TriggerKind.TASKS_CANNOT_START)
        assert not asks(story, reads.TargetHealth)


class TestHistoryOfTheAlarmThatFired:
    @pytest.mark.parametrize(
        ("began", "since"),
        [
            pytest.param(minutes(11), hours(24) + minutes(11), id="a day before the deployment"),
            pytest.param(days(29), days(30), id="as far as CloudWatch keeps it"),
        ],
    )
    def test_is_read_from(self, began: timedelta, since: timedelta) -> None:
        story = incident().deployed("v1", ago=days(40))
        story.deployed("v2", ago=began - minutes(2)).under(window_minutes=1440)
        story.alarm("5xx-rate", onset=began - minutes(5), fired=began - minutes(5))
        (history,) = (r for r in first_round(story) if isinstance(r, reads.AlarmHistory))
        assert history == reads.AlarmHistory("auto-rollback/shop/auth/5xx-rate", NOW - since)

    def test_is_not_foreseen_where_nothing_was_ever_deployed(self) -> None:
        story = incident().alarm("5xx-rate", onset=minutes(6))
        assert not asks(story, reads.AlarmHistory)
        assert not asks(story, reads.DefinitionContent)

    def test_is_not_foreseen_where_no_alarm_asks(self) -> None:
        story = bad_deployment().event(TriggerKind.DEPLOYMENT_FAILED)
        assert not asks(story, reads.AlarmHistory)
        assert asks(story, reads.DefinitionContent)


def test_of_what_the_ledger_saw_run_well_the_last_is_foreseen_that_is_not_quarantined() -> None:
    story = bad_deployment().known_good("v0", since=days(60), until=days(50))
    story.known_good("v1", since=days(40), until=days(30))
    story.known_good("v-bad", since=days(20), until=days(10)).quarantined("v-bad", ago=days(9))
    world = World(story)
    first = missing(world.unread(), world.policy, NOW)
    asked = {read.arn for read in first if isinstance(read, reads.DefinitionContent)}
    good = story.memory.known_good[1].revision.task_definition_arn
    assert asked == {story.service.task_definition, good}


class TestShiftOfTraffic:
    def story(self) -> History:
        story = incident().serving(controller=Controller.CODE_DEPLOY).deployed("v1", ago=days(6))
        began = TrafficShift(Strategy.CODE_DEPLOY, 100.0, began_at=NOW - minutes(10))
        return story.deployed("v2", ago=minutes(9), traffic=began)

    def test_is_asked_of_codedeploy_in_the_first_round_where_an_alarm_asks(self) -> None:
        assert asks(self.story().alarm("5xx-rate", onset=minutes(6)), reads.ShiftOfTraffic)

    @pytest.mark.parametrize(
        "kind", [TriggerKind.TASKS_CANNOT_START, TriggerKind.DEPLOYMENT_FAILED]
    )
    def test_is_never_asked_where_no_alarm_does(self, kind: TriggerKind) -> None:
        world = World(self.story().event(kind))
        world.read()
        assert not any(isinstance(read, reads.ShiftOfTraffic) for read in world.asked)


class TestRequestsOfARevision:
    """They are those of the calm part of its serving period, of several the most."""

    def counted(self, story: History, *requests: int) -> dict[str, int | None]:
        """So many in each serving period, the oldest first, in its last minute and in its first."""
        story.alarm("5xx-rate", onset=minutes(6))
        question = Question(story.facts(), story.policy, NOW)
        told = []
        for period, number in zip(reversed(question.periods), requests, strict=False):
            minute = timedelta(minutes=1)
            last = (period.end(NOW) - minute, minute, number)
            told.append(ServedRequests(period.revision, period.since, Requests((last,))))
        facts = replace(question.facts, so_far=replace(question.facts.so_far, requests=tuple(told)))
        by_arn = requests_by_revision(replace(question, facts=facts))
        return {facts.revisions[arn].task_definition: number for arn, number in by_arn.items()}

    def test_are_counted(self) -> None:
        assert self.counted(bad_deployment(), 700) == {"auth:v1": 700}

    def test_none_count_where_it_was_not_calm(self) -> None:
        story = incident().deployed("v1", ago=minutes(25)).deployed("v2", ago=minutes(9))
        assert self.counted(story, 700) == {"auth:v1": 0}

    def test_none_are_told_where_none_were_asked(self) -> None:
        assert self.counted(bad_deployment()) == {}

    @pytest.mark.parametrize("requests", [(700, 300), (300, 700)])
    def test_of_several_periods_the_most_stand(self, requests: tuple[int, int]) -> None:
        """A deployment failed, and what it was to replace served on."""
        story = incident().deployed("v1", ago=days(6))
        story.deployed("v2", ago=days(2), status=Status.ROLLBACK_SUCCESSFUL)
        story.deployed("v3", ago=minutes(9))
        assert self.counted(story, *requests) == {"auth:v1": 700}


class TestOtherServicesThatAreRed:
    def asked(self, story: History, **so_far: object) -> list[reads.NeighbourDeployments]:
        world = World(story)
        present = {"present": True, "red": (), "neighbours": None, **so_far}
        known = replace(story.facts().so_far, **present)  # type: ignore[arg-type] # the keys are its own
        facts = replace(story.facts(), so_far=known)
        found = missing(facts, world.policy, NOW)
        return [read for read in found if isinstance(read, reads.NeighbourDeployments)]

    def test_are_asked_about_once_by_when_the_trouble_began_that_convicts(self) -> None:
        story = bad_deployment(onset=minutes(4)).alarm("latency", onset=minutes(6), trigger=False)
        (read,) = self.asked(story)
        assert (read.onset, read.grain) == (NOW - minutes(6), minutes(1))
        assert self.asked(story, neighbours=NOW - minutes(6)) == []

    def test_are_asked_about_the_earliest_trouble_while_nobody_knows_whether_it_flaps(self) -> None:
        story = bad_deployment(onset=minutes(6)).alarm("latency", onset=minutes(4))
        for signal in ("5xx-rate", "latency"):
            unread = replace(story.alarms[signal], spells=None, history_from=None)
            story.alarms[signal] = unread
        (read,) = self.asked(story)
        assert read.onset == NOW - minutes(6)

    def test_are_asked_about_anew_where_another_alarm_turns_out_to_convict(self) -> None:
        """The one that was thought to flaps, as its history tells by now."""
        story = bad_deployment(onset=minutes(4))
        for ago in (3, 5, 7):
            story.was_red("latency", ago=minutes(60 * ago))
        story.alarm("latency", onset=minutes(6), trigger=False)
        (read,) = self.asked(story, neighbours=NOW - minutes(6))
        assert read.onset == NOW - minutes(4)

    def test_where_none_convicts_by_when_the_one_began_that_fired(self) -> None:
        story = bad_deployment(onset=minutes(20)).alarm("latency", onset=minutes(21), trigger=False)
        (read,) = self.asked(story)
        assert read.onset == NOW - minutes(20)

    def test_are_not_asked_about_where_nobody_looked_who_is_red(self) -> None:
        assert self.asked(bad_deployment(), red=None) == []


def test_how_earlier_deployments_shift_traffic_is_asked_where_any_red_alarm_began_before() -> None:
    story = incident().serving(controller=Controller.CODE_DEPLOY).deployed("v0", ago=days(6))
    for build, ago in (("v1", 20), ("v2", 10)):
        began = TrafficShift(Strategy.CODE_DEPLOY, 100.0, began_at=NOW - minutes(ago + 1))
        story.deployed(build, ago=minutes(ago), traffic=began)
    story.alarm("latency", onset=minutes(19)).alarm("5xx-rate", onset=minutes(9))
    world = World(story)
    world.read()
    asked = [read for read in world.asked if isinstance(read, reads.ShiftOfTraffic)]
    assert len(asked) == 2


def test_of_each_alarm_the_past_before_what_it_accuses_is_asked() -> None:
    """Whoever asks without an alarm may ask about any: one speaks of the newest build, one of the build before."""
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(25)).deployed("v3", ago=minutes(9))
    story.alarm("5xx-rate", onset=minutes(20)).alarm("latency", onset=minutes(4))
    for signal in ("5xx-rate", "latency"):
        story.alarms[signal] = replace(story.alarms[signal], spells=None, history_from=NOW)
    story.trigger = Trigger(TriggerKind.ALARM, NOW)
    so_far = replace(story.facts().so_far, present=True, red=(), neighbours=NOW - minutes(6))
    facts = replace(story.facts(), so_far=so_far)
    asked: dict[str, timedelta] = {}
    for read in missing(facts, World(story).policy, NOW):
        if isinstance(read, reads.AlarmHistory):
            asked[read.alarm.rpartition("/")[2]] = NOW - read.since
    assert asked["5xx-rate"] >= minutes(27) + days(1)
