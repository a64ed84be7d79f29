"""An alarm, or ECS, speaks of a service: it is judged, and perhaps rolled back."""

from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from autorollback.aws.deployer import StillDeploying
from autorollback.decision.facts import EcsDeployment, Status
from autorollback.decision.incident import Phase
from autorollback.decision.result import Outcome, Result
from autorollback.flows.act import ActFailed
from autorollback.naming import ServiceKey
from autorollback.policy import Mode, PolicyError
from autorollback.requests import NotInAlarm, NotOurs
from autorollback.results import Done
from tests.fakes.ecs import refused
from tests.fakes.ledger import FakeLedger
from tests.flows.stories import World, outcome_of, reason_of
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


DIED = RuntimeError("the function was killed")


# --- a rollback


def test_three_alarms_roll_back_once(world: World) -> None:
    service = world.bad_deployment()
    answer = world.fire("auth", "5xx-rate", "latency", "unhealthy-targets")
    assert world.rollbacks("auth") == ["v1"]
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert service.runs == "auth:v1"
    assert world.told == ["rolled_back open"]
    assert reason_of(answer) == "already_handled"


def test_a_rollback_tells_its_times_what_it_left_and_what_it_quarantines(world: World) -> None:
    world.bad_deployment()
    answer = world.fire("auth", "5xx-rate", onset=minutes(4))
    assert isinstance(answer, Result)
    assert answer.came_from is not None
    assert answer.goes_to is not None
    assert (answer.came_from.task_definition, answer.goes_to.task_definition) == (
        "auth:v2",
        "auth:v1",
    )
    assert answer.time_to_rollback_seconds == 240
    assert len(world.known("auth").state.quarantined) == 1
    assert world.incident().facts, "it can be judged again"


def test_a_deployment_in_progress_is_stopped_and_ecs_restores_what_ran(world: World) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    service.deployed("v2", ago=minutes(9))
    world.fire("auth", "5xx-rate")
    assert world.ecs.acts == ["StopServiceDeployment"]
    assert world.incident().rollback_deployment == service.newest.arn
    world.passes(minutes(3))
    assert service.newest.status is Status.ROLLBACK_SUCCESSFUL
    assert service.runs == "auth:v1"


@pytest.mark.parametrize(
    ("answer", "acts"),
    [
        pytest.param(None, [], id="taken"),
        pytest.param(
            refused("InvalidParameterException", "ContinueServiceDeployment"),
            ["StopServiceDeployment"],
            id="refused, for it has gone on",
        ),
        pytest.param(
            refused("AccessDeniedException", "ContinueServiceDeployment"),
            ["StopServiceDeployment"],
            id="refused for want of a right",
        ),
    ],
)
def test_a_deployment_that_waits_at_a_hook_is_rolled_back_from_there(
    world: World,
    answer: ClientError | None,
    acts: list[str],
) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).waits_at_hook()
    service.deployed("v2", ago=minutes(9)).stuck(Status.IN_PROGRESS)
    world.ecs.refuses["ContinueServiceDeployment"] = [answer] if answer else []
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"
    assert world.ecs.acts == ["ContinueServiceDeployment ROLLBACK", *acts]
    world.passes(minutes(3))
    assert service.newest.status is Status.ROLLBACK_SUCCESSFUL
    assert service.runs == "auth:v1"
    assert world.rollbacks("auth") == ["v1"]


def test_a_failure_of_ecs_at_the_hook_is_retried_there_and_nothing_else_is_tried(
    world: World,
) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).waits_at_hook()
    service.deployed("v2", ago=minutes(9))
    fails = refused("ServerException", "ContinueServiceDeployment", status=500)
    world.ecs.refuses["ContinueServiceDeployment"] = [fails]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(ActFailed, match="ServerException"):
        world.ask(event, "first")
    world.ask(event, "first")
    assert world.ecs.acts == ["ContinueServiceDeployment ROLLBACK"] * 2
    assert world.incident().phase is Phase.OPEN


def test_a_rollback_at_a_hook_whose_answer_was_lost_is_known_by_what_ecs_shows(
    world: World,
) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).waits_at_hook()
    service.deployed("v2", ago=minutes(9))
    world.ecs.dies_after["ContinueServiceDeployment"] = DIED
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    world.ask(event, "first")
    assert world.ecs.acts == ["ContinueServiceDeployment ROLLBACK"]
    assert world.incident().phase is Phase.OPEN


def test_a_stop_that_comes_too_late_becomes_a_deployment_of_the_target(world: World) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    service.deployed("v2", ago=minutes(9))
    world.ecs.refuses["StopServiceDeployment"] = [DIED]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    service.becomes(Status.SUCCESSFUL)
    world.ask(event, "first")
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert world.incident().intent.stop_refused


def test_a_moved_tag_is_restored_by_a_pinned_copy_which_is_registered_once(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.fire("auth", "5xx-rate")
    registered, updated = world.ecs.acts
    copy = registered.removeprefix("RegisterTaskDefinition ")
    assert updated == f"UpdateService {copy}"
    result = world.incident().result
    assert result is not None
    assert result.goes_to is not None
    assert (result.goes_to.task_definition, result.goes_to.restored_as) == ("auth:v1", copy)


def test_a_target_that_cannot_be_registered_as_it_was_is_held_and_nothing_stays(
    world: World,
) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.definitions.cannot_restore = "auth:v1 cannot be registered again as it is"
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "no_candidate_passes_preflight"
    assert world.incidents("auth") == ()
    assert world.told == ["held no_candidate_passes_preflight"]
    again = world.fire("auth", "latency")
    assert outcome_of(again) == "held"
    assert len(world.told) == 1, "people are told once"


def test_where_nothing_stable_could_run_a_person_decides(world: World) -> None:
    world.bad_deployment()
    world.dependencies.digests.clear()
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "no_candidate_passes_preflight"
    assert world.ecs.acts == []
    assert world.told == ["held no_candidate_passes_preflight"]


# --- what is only said


def test_in_observe_mode_it_is_said_once_what_would_be_done(world: World) -> None:
    world.bad_deployment().under(mode=Mode.OBSERVE)
    answer = world.fire("auth", "5xx-rate", "latency")
    assert outcome_of(answer) == "would_roll_back"
    assert world.ecs.acts == []
    assert world.incidents("auth") == ()
    assert [line.partition(" ")[0] for line in world.told] == ["would_roll_back"]


def test_people_are_told_of_a_hold_once_and_each_alarm_has_its_verdict(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=days(2))
    answers = [world.fire("auth", "5xx-rate"), world.fire("auth", "latency")]
    assert [outcome_of(answer) for answer in answers] == ["held", "held"]
    assert len(world.told) == 1
    assert len(world.known("auth").judged) == 2


def test_of_a_slow_start_nobody_is_told_yet(world: World) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    service.deployed("v2", ago=minutes(1))
    answer = world.fire("auth", "unhealthy-targets", onset=minutes(0.5))
    assert reason_of(answer) == "slow_start"
    assert world.told == []


@pytest.mark.parametrize("own", [True, False], ids=["of the service", "of all services"])
def test_in_a_pause_nothing_is_read_and_nothing_done(world: World, *, own: bool) -> None:
    story = world.bad_deployment()
    until = world.now + hours(1)
    FakeLedger(world.table).pause(story.key if own else None, until, None, world.now)
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "paused"
    assert world.ecs.acts == []


def test_a_deployment_that_is_marked_irreversible_is_held(world: World) -> None:
    service = world.service("auth").deployed("v1", ago=days(3))
    service.deployed("v2", ago=minutes(9), tags={"auto-rollback:irreversible": "yes"})
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "irreversible_change"
    assert world.ecs.acts == []


def test_a_target_from_before_an_irreversible_change_is_held_too(world: World) -> None:
    service = world.service("auth").deployed("v0", ago=days(9))
    service.deployed("v1", ago=days(3), tags={"auto-rollback:irreversible": "yes"})
    service.deployed("v2", ago=minutes(9))
    world.dependencies.digests.discard("sha256:v1")
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "irreversible_change"
    assert world.told == ["held irreversible_change"]
    assert world.ecs.acts == []


# --- who is not judged


def test_a_muted_alarm_is_left_alone_and_remembered(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    answer = world.ask(world.alarm_event("auth", "5xx-rate", muted="maintenance"))
    assert reason_of(answer) == "muted"
    assert list(world.known("auth").muted) == ["auto-rollback/shop/auth/5xx-rate"]
    assert world.ecs.acts == []


def test_a_muted_event_from_the_future_mutes_nothing_that_is_yet_to_come(world: World) -> None:
    world.bad_deployment()
    event = world.alarm_event("auth", "5xx-rate", muted="maintenance")
    assert reason_of(world.ask(replace(event, at=world.now + days(3650)))) == "muted"
    assert list(world.known("auth").muted.values()) == [world.now]
    world.passes(minutes(1))
    world.turn_red("auth", "5xx-rate", onset=timedelta(seconds=10))
    world.sweep()
    assert world.rollbacks("auth") == ["v1"], "the alarm that speaks later is heard"


def test_a_muted_event_of_a_service_that_is_not_protected_is_ignored(world: World) -> None:
    story = world.bad_deployment()
    event = world.alarm_event("auth", "5xx-rate", muted="maintenance")
    story.unprotected()
    assert reason_of(world.ask(event)) == "unprotected_service"
    assert world.table.is_empty


def test_a_service_without_a_policy_is_nobodys_business(world: World) -> None:
    world.bad_deployment().unprotected()
    assert reason_of(world.fire("auth", "5xx-rate")) == "unprotected_service"
    assert reason_of(world.cannot_start("auth")) == "unprotected_service"
    assert reason_of(world.ended("auth")) == "unprotected_service"
    assert world.table.is_empty


def test_a_policy_that_lost_a_key_stops_the_automatic_and_nothing_is_done(world: World) -> None:
    story = world.bad_deployment()
    world.policies.broken[story.key] = PolicyError("parameter x.mode", None, "every key")
    with pytest.raises(PolicyError, match=r"parameter x\.mode"):
        world.fire("auth", "5xx-rate")
    with pytest.raises(PolicyError):
        world.cannot_start("auth")
    with pytest.raises(PolicyError):
        world.ended("auth", completed=False)
    with pytest.raises(PolicyError):
        world.calm("auth", "5xx-rate")
    assert world.ecs.acts == []
    assert world.table.is_empty, "the lease is given back"


def test_what_is_not_ours_and_what_says_nothing_is_ignored(world: World) -> None:
    key = ServiceKey("shop", "auth")
    assert reason_of(world.ask(NotOurs("of another account"))) == "unprotected_service"
    assert reason_of(world.ask(NotInAlarm(key, "INSUFFICIENT_DATA"))) == "not_in_alarm"


def test_while_a_service_is_judged_elsewhere_an_alarm_is_turned_away(world: World) -> None:
    world.bad_deployment()
    with world.judged_elsewhere("auth"):
        answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "already_handled"
    assert world.known("auth").pending_checks == (), "the alarm stays red: the sweep sees it"


def test_of_tasks_that_cannot_start_the_sweep_asks_later_where_it_was_turned_away(
    world: World,
) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    service.deployed("v2", ago=minutes(9)).described(running=0)
    with world.judged_elsewhere("auth"):
        world.cannot_start("auth")
    (check,) = world.known("auth").pending_checks
    assert check.tasks
    world.sweep()
    assert world.known("auth").pending_checks == ()
    assert len(world.reported) == 1


def test_a_deployment_whose_tasks_cannot_start_is_rolled_back(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    failing = EcsDeployment("ecs-svc/2", story.newest.created_at, True, failed_tasks=3)
    story.described(deployments=(failing,))
    assert outcome_of(world.cannot_start("auth")) == "rolled_back"
    assert world.ecs.acts == ["StopServiceDeployment"]


# --- somebody was first


def test_a_deployment_that_has_been_claimed_is_left_to_who_claimed_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.bad_deployment()
    monkeypatch.setattr(FakeLedger, "claim", lambda *_: False)
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "already_handled"
    assert world.ecs.acts == []


def test_a_deployment_that_came_between_supersedes_the_rollback_and_nothing_stays(
    world: World,
) -> None:
    story = world.bad_deployment()
    world.ecs.deploys_before_newest = lambda: story.deployed("v3")
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "superseded"
    assert world.incidents("auth") == ()
    assert story.runs == "auth:v3"
    assert world.ecs.acts == []


def test_one_that_comes_while_the_copy_is_registered_supersedes_too(world: World) -> None:
    story = world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"

    def deploy_at_second_look() -> None:
        if any(act.startswith("Register") for act in world.ecs.acts):
            world.ecs.deploys_before_newest = None
            story.deployed("v3")

    world.ecs.deploys_before_newest = deploy_at_second_look
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "superseded"
    assert world.incidents("auth") == ()


# --- AWS says no


def test_a_refusal_that_passes_fails_the_invocation_and_its_retry_goes_on(world: World) -> None:
    world.bad_deployment()
    expired = refused("ExpiredTokenException", "UpdateService", "The security token has expired.")
    world.ecs.refuses["UpdateService"] = [expired]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(ActFailed, match="ExpiredTokenException"):
        world.ask(event, "first")
    assert world.incident().phase is Phase.CLAIMED
    answer = world.ask(event, "first")
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v1"]


def test_a_throttle_fails_the_invocation_too(world: World) -> None:
    world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [refused("ThrottlingException", "UpdateService")]
    with pytest.raises(ActFailed):
        world.fire("auth", "5xx-rate")
    assert world.incident().phase is Phase.CLAIMED


# --- crashes


@pytest.mark.parametrize(
    "step", ["newest", "UpdateService"], ids=["after the claim", "before the act"]
)
def test_a_claim_left_before_its_act_is_finished_by_the_retry(world: World, step: str) -> None:
    world.bad_deployment()
    world.ecs.refuses[step] = [DIED]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    answer = world.ask(event, "first")
    assert outcome_of(answer) == "rolled_back"
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert world.told == ["rolled_back open"]


@pytest.mark.parametrize("retried", [True, False], ids=["by the retry", "by the sweep"])
def test_an_act_that_was_done_is_not_done_again(world: World, *, retried: bool) -> None:
    world.bad_deployment()
    world.ecs.dies_after["UpdateService"] = DIED
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    if retried:
        world.ask(event, "first")
    else:
        world.passes(minutes(5))
        world.sweep()
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert world.rollbacks("auth") == ["v1"]
    assert world.incident().rollback_deployment


def test_a_stop_that_was_done_is_known_by_what_ecs_shows(world: World) -> None:
    service = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    service.deployed("v2", ago=minutes(9))
    world.ecs.dies_after["StopServiceDeployment"] = DIED
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    world.ask(event, "first")
    assert world.ecs.acts == ["StopServiceDeployment"]
    assert world.incident().phase is Phase.OPEN


def test_a_copy_that_was_registered_is_found_by_the_retry(world: World) -> None:
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    world.ecs.dies_after["RegisterTaskDefinition"] = DIED
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    world.ask(event, "first")
    assert [act.partition(" ")[0] for act in world.ecs.acts] == [
        "RegisterTaskDefinition",
        "UpdateService",
    ]


def test_a_claim_over_which_somebody_deployed_is_taken_back(world: World) -> None:
    story = world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [DIED]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    story.deployed("v3")
    assert reason_of(world.ask(event, "first")) == "superseded"
    assert world.incidents("auth") == ()
    assert story.runs == "auth:v3"


def test_a_claim_that_is_too_old_is_given_up_and_the_service_judged_anew(world: World) -> None:
    world.bad_deployment().under(window_minutes=600)
    world.ecs.refuses["UpdateService"] = [DIED]
    world.turn_red("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(world.alarm_event("auth", "5xx-rate"))
    world.passes(hours(2))
    answer = world.ask(world.alarm_event("auth", "5xx-rate"))
    given_up = world.reported[0]
    assert isinstance(given_up, Result)
    assert given_up.outcome is Outcome.FAILED
    assert "never finished" in given_up.summary
    assert outcome_of(answer) == "rolled_back", "it may be rolled back under another claim"
    assert len(world.incidents("auth")) == 2


def test_the_retry_of_a_request_that_was_answered_gets_the_same_answer(world: World) -> None:
    world.bad_deployment()
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    first = world.ask(event, "first")
    assert world.ask(event, "first") == first
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert len(world.told) == 1


def test_a_message_that_cannot_be_sent_is_kept_and_the_retry_sends_it(world: World) -> None:
    world.bad_deployment()
    world.announcer.fails = [ConnectionError("SNS is down")]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    world.ask(event, "first")
    assert world.failed, "the invocation fails in the end"
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert world.incident().untold
    world.ask(event, "first")
    assert world.told == ["rolled_back open"]
    assert not world.incident().untold


def test_what_waits_for_another_deployment_is_told_and_stays_claimed(world: World) -> None:
    story = world.bad_deployment()
    world.ecs.refuses["UpdateService"] = [StillDeploying("another one has to end first")]
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Done)
    assert "goes back to auth:v1 within minutes" in answer.detail
    assert world.incident().phase is Phase.CLAIMED
    world.passes(minutes(5))
    world.sweep()
    assert world.rollbacks("auth") == ["v1"]
    assert story.runs == "auth:v1"


def test_a_service_that_nobody_knows_any_more_is_ignored(world: World) -> None:
    story = world.bad_deployment()
    del world.ecs.services[story.key]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "service_inactive"
    assert world.ecs.acts == []
