"""Every five minutes: what events alone would lose."""

import pytest

from autorollback.decision.facts import EcsDeployment, Status
from autorollback.decision.ledger_state import PendingCheck, RedWatch
from autorollback.decision.result import Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.flows.act import ActFailed
from autorollback.policy import Mode
from autorollback.results import Done
from tests.fakes.ecs import refused
from tests.fakes.ledger import FakeLedger
from tests.flows.stories import World
from tests.scenarios.history import days, minutes, seconds


@pytest.fixture
def world() -> World:
    return World()


def looked_after(answer: object) -> str:
    assert isinstance(answer, Done)
    return answer.detail


def test_when_all_is_calm_nobody_is_looked_after(world: World) -> None:
    world.bad_deployment()
    assert looked_after(world.sweep()) == "0 service(s) looked after"
    assert world.reported == []


def test_a_red_alarm_whose_event_was_lost_is_judged(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    assert looked_after(world.sweep()) == "1 service(s) looked after"
    assert world.rollbacks("auth") == ["v1"]


def test_a_red_alarm_that_has_its_verdict_is_not_judged_again(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=days(2))
    world.fire("auth", "5xx-rate")
    world.sweep()
    assert world.reported == []
    world.turn_red("auth", "latency")
    world.sweep()
    assert len(world.reported) == 1
    assert len(world.told) == 1


def test_an_alarm_that_spoke_while_it_was_muted_is_left_alone(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    world.ask(world.alarm_event("auth", "5xx-rate", muted="maintenance"))
    world.passes(minutes(5))
    world.sweep()
    assert world.reported == []
    assert world.ecs.acts == []


def test_alarms_of_a_service_that_was_given_up_on_are_left_to_people(world: World) -> None:
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(20))
    world.sweep()
    world.turn_red("auth", "latency")
    world.reported.clear()
    world.sweep()
    assert world.reported == []


def test_a_service_whose_only_news_is_an_unfinished_claim_is_taken_up(world: World) -> None:
    world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    record = next(iter(world.table.of(world.stories["auth"].key).records.values()))
    record.due = None
    world.sweep()
    assert world.rollbacks("auth") == ["v1"]


@pytest.mark.parametrize("event", ["failed", "cannot start"])
def test_what_ecs_said_while_a_left_claim_was_ended_is_looked_into(
    world: World, event: str
) -> None:
    """The claim comes to nothing, for somebody deployed; no alarm need be red that brings the news up again."""
    story = world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.turn_calm("auth", "5xx-rate")
    story.deployed("v3")
    world.passes(minutes(2))
    if event == "failed":
        story.becomes(Status.STOPPED)
        answer = world.ended("auth", completed=False)
    else:
        failing = EcsDeployment("ecs-svc/3", story.newest.created_at, True, failed_tasks=3)
        story.becomes(Status.IN_PROGRESS).stuck(Status.IN_PROGRESS)
        story.described(deployments=(failing,))
        answer = world.cannot_start("auth")
    assert isinstance(answer, Result)
    assert answer.reason == "superseded"
    assert world.rollbacks("auth") == []
    world.sweep()
    assert world.rollbacks("auth") == ["v1"]
    assert world.known("auth").pending_checks == ()


def test_a_service_that_is_judged_elsewhere_is_left_for_this_time(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    with world.judged_elsewhere("auth"):
        world.sweep()
    (answer,) = world.reported
    assert isinstance(answer, Result)
    assert answer.reason == "already_handled"
    assert world.ecs.acts == []


def test_what_is_due_of_a_service_that_is_not_protected_any_more_is_said(world: World) -> None:
    story = world.bad_deployment().unprotected()
    FakeLedger(world.table).add_pending_check(story.key, PendingCheck("", world.now, world.now))
    world.sweep()
    (answer,) = world.reported
    assert isinstance(answer, Result)
    assert answer.reason == "unprotected_service"


def test_of_a_deployment_that_runs_no_more_nothing_is_to_be_looked_into(world: World) -> None:
    story = world.bad_deployment()
    check = PendingCheck("another", world.now, world.now)
    FakeLedger(world.table).add_pending_check(story.key, check)
    world.sweep()
    (answer,) = world.reported
    assert isinstance(answer, Done)
    assert "runs no more" in answer.detail
    assert world.known("auth").pending_checks == ()


def test_what_fails_for_one_service_stops_no_other(world: World) -> None:
    world.bad_deployment("auth")
    world.bad_deployment("mail")
    world.neighbours.deployed = {world.stories["auth"].key, world.stories["mail"].key}
    world.ecs.refuses["UpdateService"] = [
        refused("ServiceUnavailable", "UpdateService", status=503)
    ]
    world.turn_red("auth", "5xx-rate")
    world.turn_red("mail", "5xx-rate")
    with pytest.raises(ExceptionGroup, match=r"1 of 2 service\(s\)") as failure:
        world.sweep()
    (error,) = failure.value.exceptions
    assert error.__notes__ in (["shop/auth"], ["shop/mail"])
    assert sorted(world.rollbacks("auth") + world.rollbacks("mail")) == ["v1"]


def test_when_time_runs_out_the_rest_is_left_to_the_next_sweep(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    world.time_left = seconds(20)
    left = "0 service(s) looked after, 1 left to the next sweep"
    assert looked_after(world.sweep()) == left
    assert world.ecs.acts == []


def test_a_message_that_could_not_be_sent_is_sent_later(world: World) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    world.announcer.fails = [ConnectionError("SNS is down"), ConnectionError("still down")]
    world.fire("auth", "5xx-rate")
    assert world.failed
    world.sweep()
    assert not world.failed, "it is no message of this sweep; the metric tells it"
    assert world.told == []
    world.sweep()
    assert not world.failed
    assert [line.partition(" ")[0] for line in world.told] == ["would_roll_back"]
    assert world.known("auth").unsent == ()


def test_messages_of_a_service_that_is_judged_elsewhere_are_left_to_that(world: World) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    world.announcer.fails = [ConnectionError("SNS is down")]
    world.fire("auth", "5xx-rate")
    with world.judged_elsewhere("auth"):
        world.sweep()
    assert world.told == []
    assert world.known("auth").has_untold


def test_what_keeps_a_message_from_being_looked_for_is_raised_in_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    world.announcer.fails = [ConnectionError("SNS is down")]
    world.fire("auth", "5xx-rate")

    def broken(*_: object) -> None:
        raise ValueError("a record that cannot be read")

    monkeypatch.setattr(FakeLedger, "unsent_notice", broken)
    with pytest.raises(ExceptionGroup):
        world.sweep()


def test_a_service_of_code_deploy_is_asked_of_its_group(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.turn_red("auth", "5xx-rate")
    world.sweep()
    assert world.ecs.acts == ["CreateDeployment auth:v1"]


def test_a_red_alarm_of_nobodys_service_is_said_to_be_unprotected(world: World) -> None:
    story = world.service("auth").unprotected()
    world.turn_red("auth", "5xx-rate")
    world.sweep()
    (answer,) = world.reported
    assert isinstance(answer, Result)
    assert (answer.reason, answer.service) == ("unprotected_service", story.key.service)


def test_several_open_incidents_are_each_followed(world: World) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(3))
    story.deployed("v4")
    world.passes(minutes(3))
    world.person(force=True, revision="auth:v1")
    assert len(world.known("auth").open_incidents) == 2
    world.passes(minutes(5))
    world.turn_calm("auth", "5xx-rate")
    world.reported.clear()
    world.passes(minutes(15))
    world.sweep()
    states = [answer.incident_state for answer in world.reported if isinstance(answer, Result)]
    assert states == ["recovered", "recovered"], "what the first brought back runs again"


# --- a service that was taken out of the configuration


def test_an_open_incident_of_a_service_that_is_protected_no_more_ends_and_is_told(
    world: World,
) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    story.unprotected()
    world.passes(minutes(30))
    world.sweep()
    assert world.incident().phase == "open", "it may have been taken out by mistake"
    world.passes(minutes(40))
    world.sweep()
    assert world.told == ["rolled_back open", "rolled_back superseded"]
    assert "it is protected no more" in str(world.announcer.messages[-1].summary)
    world.passes(minutes(5))
    world.sweep()
    assert len(world.told) == 2
    assert FakeLedger(world.table).due(world.now) == ()


def test_an_unfinished_claim_of_such_a_service_ends_and_is_told(world: World) -> None:
    story = world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [refused("ThrottlingException", "UpdateService")]
    with pytest.raises(ActFailed):
        world.fire("auth", "5xx-rate")
    story.unprotected()
    world.passes(minutes(70))
    world.sweep()
    assert world.told == ["failed alarm_after_deployment"]
    assert "whether the claimed rollback was begun" in str(world.announcer.messages[-1].summary)
    assert world.ecs.acts == []
    world.passes(minutes(5))
    assert FakeLedger(world.table).due(world.now) == ()


def test_checks_and_watches_of_such_a_service_end(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(1))
    story.shifts(0.0)
    world.began("auth")
    ledger = FakeLedger(world.table)
    ledger.add_pending_check(story.key, PendingCheck("arn", world.now, world.now))
    message = Result(Outcome.HELD, Reason.SHARED_CAUSE, "why")
    ledger.watch_red(story.key, RedWatch("arn", world.now, ("5xx-rate",), message, "arn"))
    story.unprotected()
    world.passes(minutes(50))
    world.sweep()
    known = world.known("auth")
    assert (len(known.pending_checks), len(known.red_watches)) == (1, 1)
    world.passes(minutes(20))
    world.sweep()
    known = world.known("auth")
    assert (known.pending_checks, known.red_watches, known.watched) == ((), (), ())
    assert world.told == []
    assert FakeLedger(world.table).due(world.now) == ()


def test_a_service_that_is_protected_again_within_the_hour_is_followed_as_ever(
    world: World,
) -> None:
    story = world.bad_deployment()
    policy = story.policy
    world.fire("auth", "5xx-rate")
    story.unprotected()
    world.passes(minutes(20))
    world.turn_calm("auth", "5xx-rate")
    world.sweep()
    world.policies.known[story.key] = policy
    world.passes(minutes(20))
    world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]
