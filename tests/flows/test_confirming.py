"""After a rollback: did it help? And what ECS says of deployments that ended."""

from datetime import datetime, timedelta

import pytest

from autorollback.decision.facts import Controller, Status
from autorollback.decision.incident import Incident, Phase
from autorollback.decision.result import Result
from autorollback.requests import Action
from autorollback.results import Done, StatusAnswer
from tests.fakes.ecs import ECR, Clock, refused
from tests.fakes.ledger import FakeLedger
from tests.flows.stories import ServiceStory, World, outcome_of, reason_of
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def rolled_back(world: World) -> ServiceStory:
    """v2 was rolled back to v1, whose deployment has just finished."""
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(3))
    return story


@pytest.fixture
def stopped(world: World) -> ServiceStory:
    """v2 was under way, and ECS was asked to roll it back."""
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    world.fire("auth", "5xx-rate")
    return story


# --- the end of an incident


def test_once_all_is_calm_the_incident_has_recovered_and_people_are_told(
    world: World, rolled_back: ServiceStory
) -> None:
    world.passes(minutes(1))
    answer = world.calm("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert answer.incident_state == "recovered"
    assert answer.time_to_recover_seconds == 240
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert world.incident().closed_at == world.now
    assert rolled_back.runs == "auth:v1"


def test_while_an_alarm_is_red_it_stays_open_and_is_looked_at_again(
    world: World, rolled_back: ServiceStory
) -> None:
    answer = world.ended("auth")
    assert isinstance(answer, Done)
    assert "still in ALARM: 5xx-rate" in answer.detail
    assert world.incident().phase is Phase.OPEN
    assert rolled_back.key not in world.session().ledger.due(world.now)


def test_after_its_time_it_has_not_recovered_and_people_must_look(
    world: World, rolled_back: ServiceStory
) -> None:
    world.passes(minutes(20))
    world.sweep()
    assert world.incident().phase is Phase.NOT_RECOVERED
    assert world.told == ["rolled_back open", "rolled_back not_recovered"]
    world.passes(minutes(5))
    world.reported.clear()
    world.sweep()
    assert world.reported == [], "people have been told to look"
    assert rolled_back.runs == "auth:v1"


def test_another_deployment_supersedes_it_and_is_looked_at_for_its_own_sake(
    world: World, rolled_back: ServiceStory
) -> None:
    world.turn_calm("auth", "5xx-rate")
    rolled_back.deployed("v3")
    world.passes(minutes(3))
    answer = world.ended("auth")
    (followed,) = world.reported
    assert isinstance(followed, Result)
    assert followed.incident_state == "superseded"
    assert isinstance(answer, Done)
    assert "no alarm of the service is in ALARM" in answer.detail


def test_where_another_invocation_is_quicker_what_supersedes_is_left_to_it(
    world: World, rolled_back: ServiceStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.turn_calm("auth", "5xx-rate")
    rolled_back.deployed("v3")
    world.passes(minutes(3))
    monkeypatch.setattr("autorollback.flows.session.ProtectedService.look_again", lambda _: None)
    answer = world.ended("auth", completed=False)
    assert isinstance(answer, Result)
    assert answer.incident_state == "superseded"
    (check,) = world.known("auth").pending_checks
    assert check.deployment == "", "the sweep looks into what failed"


def test_a_calm_alarm_of_a_service_without_an_incident_says_nothing(world: World) -> None:
    world.bad_deployment()
    assert reason_of(world.calm("auth", "5xx-rate")) == "not_in_alarm"
    with world.judged_elsewhere("auth"):
        assert reason_of(world.calm("auth", "5xx-rate")) == "already_handled"
    world.stories["auth"].unprotected()
    assert reason_of(world.calm("auth", "5xx-rate")) == "unprotected_service"


def test_a_message_that_could_not_be_sent_is_sent_with_the_next_one(
    world: World, rolled_back: ServiceStory
) -> None:
    world.announcer.messages.clear()
    world.announcer.fails = [ConnectionError("SNS is down")]
    world.calm("auth", "5xx-rate")
    assert world.failed
    assert world.incident().untold
    world.sweep()
    assert world.told == ["rolled_back recovered"]
    assert not world.incident().untold
    assert rolled_back.key not in world.session().ledger.due(world.now)


# --- a stop that ECS could not finish


def test_where_ecs_could_not_roll_back_the_target_is_deployed(
    world: World, stopped: ServiceStory
) -> None:
    stopped.becomes(Status.ROLLBACK_FAILED)
    answer = world.ended("auth", completed=False)
    assert outcome_of(answer) == "rolled_back"
    assert world.ecs.acts == ["StopServiceDeployment", "UpdateService auth:v1"]
    assert world.incident().phase is Phase.OPEN
    assert len(world.told) == 2
    assert stopped.runs == "auth:v1"


def test_where_the_second_try_is_refused_too_people_must_look_now(
    world: World, stopped: ServiceStory
) -> None:
    stopped.becomes(Status.ROLLBACK_FAILED)
    world.ecs.refuses["UpdateService"] = [refused("InvalidParameterException", "UpdateService")]
    answer = world.ended("auth", completed=False)
    assert isinstance(answer, Result)
    assert answer.incident_state == "not_recovered"
    assert "what the service is set to run now" in answer.summary
    assert world.told == ["rolled_back open", "rolled_back not_recovered"]


def test_of_a_service_that_is_gone_the_second_try_says_so(
    world: World, stopped: ServiceStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped.becomes(Status.ROLLBACK_FAILED)
    world.ecs.refuses["UpdateService"] = [refused("InvalidParameterException", "UpdateService")]
    session = world.session()
    session_type = type(session.deployments)
    service_of = session_type.service
    world.passes(minutes(1))
    seen: list[object] = []

    def first_only(self: object, key: object) -> object:
        seen.append(key)
        return service_of(self, key) if len(seen) == 1 else None  # type: ignore[arg-type]

    monkeypatch.setattr(session_type, "service", first_only)
    answer = world.ended("auth", completed=False)
    assert isinstance(answer, Result)
    assert "nothing: the service is gone" in answer.summary


def test_before_the_second_try_another_deployment_supersedes_the_record_which_stays(
    world: World, stopped: ServiceStory
) -> None:
    stopped.becomes(Status.ROLLBACK_FAILED)
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError, match="killed"):
        world.ended("auth", completed=False)
    assert world.incident().phase is Phase.ACTING
    stopped.deployed("v3")
    world.ended("auth")
    incident = world.incident()
    assert incident.phase is Phase.SUPERSEDED
    assert incident.result is not None
    assert "before the rollback was tried again" in incident.result.summary


def test_a_target_that_cannot_be_registered_on_the_second_try_escalates(
    world: World,
) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    world.dependencies.tags["v1"] = "sha256:moved"
    world.fire("auth", "5xx-rate")
    story.becomes(Status.ROLLBACK_FAILED)
    world.definitions.cannot_restore = "auth:v1 cannot be registered again"
    answer = world.ended("auth", completed=False)
    assert isinstance(answer, Result)
    assert answer.incident_state == "not_recovered"
    assert "cannot be registered again" in answer.summary


# --- deployments that failed


def test_a_failed_deployment_that_nobody_rolls_back_is_judged(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(1)).becomes(Status.STOPPED)
    answer = world.ended("auth", completed=False)
    assert isinstance(answer, Result)
    assert answer.evidence


def test_one_that_ecs_rolls_back_by_itself_is_left_to_it_and_looked_into_later(
    world: World,
) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).described(rolls_back_by_itself=True)
    story.deployed("v2", ago=minutes(1)).given_up()
    answer = world.ended("auth", completed=False)
    assert reason_of(answer) == "handled_by_ecs"
    (check,) = world.known("auth").pending_checks
    assert (check.deployment, check.due) == (story.newest.arn, world.now + minutes(10))

    story.becomes(Status.ROLLBACK_IN_PROGRESS).stuck(Status.ROLLBACK_IN_PROGRESS)
    world.passes(minutes(10))
    world.sweep()
    (check,) = world.known("auth").pending_checks
    assert check.due == world.now + minutes(10), "ECS is at it"

    story.becomes(Status.ROLLBACK_SUCCESSFUL)
    world.passes(minutes(10))
    world.sweep()
    assert world.known("auth").pending_checks == ()
    assert world.ecs.acts == []


def test_one_that_ecs_does_not_roll_back_in_its_time_is_judged(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).described(rolls_back_by_itself=True)
    story.deployed("v2", ago=minutes(1)).given_up()
    world.ended("auth", completed=False)
    world.passes(minutes(10))
    world.sweep()
    assert world.known("auth").pending_checks == ()
    answer = world.reported[-1]
    assert isinstance(answer, Result)
    assert answer.reason != "handled_by_ecs"


def test_a_failure_that_came_while_the_service_was_judged_is_looked_into_by_the_sweep(
    world: World,
) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(9))
    with world.judged_elsewhere("auth"):
        assert reason_of(world.ended("auth", completed=False)) == "already_handled"
        assert reason_of(world.ended("auth", completed=True)) == "already_handled"
    (check,) = world.known("auth").pending_checks
    assert check.deployment == ""
    world.sweep()
    assert world.known("auth").pending_checks == ()
    assert story.runs == "auth:v2"


# --- deployments that completed


def test_what_was_replaced_is_remembered_as_known_good_where_it_proved_itself(
    world: World,
) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(3))
    answer = world.ended("auth")
    assert isinstance(answer, Done)
    assert "auth:v1 is remembered as known good" in answer.detail
    (good,) = world.known("auth").state.known_good
    assert good.revision.task_definition == "auth:v1"


def test_a_deployment_into_a_red_alarm_is_judged(world: World) -> None:
    world.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(9))
    world.turn_red("auth", "5xx-rate")
    answer = world.ended("auth")
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v1"]


def test_of_a_build_that_comes_back_from_quarantine_people_are_told_once(world: World) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(4))
    world.calm("auth", "5xx-rate")
    world.passes(hours(3))
    story.deployed("v2")
    world.passes(minutes(3))
    first, second = world.ended("auth"), world.ended("auth")
    assert first == second
    assert isinstance(first, Done)
    assert "auth:v2, which was rolled back from" in first.detail
    assert world.told[-1] == "done"
    assert world.told.count("done") == 1


# --- CodeDeploy


def test_a_service_of_code_deploy_is_rolled_back_through_its_group(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.fire("auth", "5xx-rate")
    assert world.ecs.acts == ["CreateDeployment auth:v1"]
    world.passes(minutes(4))
    assert story.runs == "auth:v1"
    answer = world.calm("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert answer.incident_state == "recovered"


def test_an_act_of_code_deploy_that_was_done_is_known_by_its_incident(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.ecs.dies_after["CreateDeployment"] = RuntimeError("killed")
    with pytest.raises(RuntimeError, match="killed"):
        world.fire("auth", "5xx-rate")
    world.passes(minutes(5))
    world.sweep()
    assert world.ecs.acts == ["CreateDeployment auth:v1"]
    assert world.incident().rollback_deployment == story.newest.arn


def test_a_stop_that_code_deploy_does_not_follow_is_waited_for_then_tried_otherwise(
    world: World,
) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.stuck(Status.IN_PROGRESS).deployed("v2", ago=minutes(9))
    world.fire("auth", "5xx-rate")
    assert world.ecs.acts == ["StopDeployment"]
    world.turn_calm("auth", "5xx-rate")
    waiting = world.calm("auth", "5xx-rate")
    assert isinstance(waiting, Done)
    assert "CodeDeploy has not begun the rollback yet" in waiting.detail
    world.passes(minutes(6))
    world.sweep()
    assert world.ecs.acts == ["StopDeployment", "CreateDeployment auth:v1"]


def test_a_rollback_that_code_deploy_began_after_all_is_taken_for_its_own(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.stuck(Status.IN_PROGRESS).deployed("v2", ago=minutes(9))
    world.fire("auth", "5xx-rate")
    world.passes(minutes(6))
    world.ecs.refuses["CreateDeployment"] = [RuntimeError("killed")]
    with pytest.raises(ExceptionGroup):
        world.sweep()
    assert world.incident().phase is Phase.ACTING
    story.becomes(Status.ROLLBACK_SUCCESSFUL)
    world.passes(minutes(5))
    world.sweep()
    assert world.ecs.acts == ["StopDeployment"]
    assert world.incident().phase is Phase.OPEN


@pytest.mark.parametrize("group", [None, "shop/another"], ids=["no group", "an unknown group"])
def test_a_group_that_the_policy_does_not_name_rightly_is_out_of_reach(
    world: World, group: str | None
) -> None:
    story = world.service("auth", controller=Controller.CODE_DEPLOY, code_deploy=group)
    story.deployed("v1", ago=days(3)).deployed("v2", ago=minutes(9))
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert answer.outcome == "held"
    assert "code_deploy" in answer.summary
    world.sweep()
    assert world.ecs.acts == []


def test_tasks_of_another_group_are_out_of_reach(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.deployments.groups["shop/auth-group"].refusal = "another group deployed its tasks"
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert "another group deployed its tasks" in answer.summary


def test_a_claim_whose_group_is_gone_cannot_be_finished(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(3))
    story.deployed("v2", ago=minutes(9))
    world.ecs.refuses["CreateDeployment"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError, match="killed"):
        world.fire("auth", "5xx-rate")
    world.deployments.groups.clear()
    world.passes(minutes(5))
    world.sweep()
    assert world.incident().phase is Phase.FAILED
    assert "the rollback cannot be finished" in world.incident().shown.summary


# --- what is deployed after the rollback


def test_the_same_build_registered_again_by_a_pipeline_does_not_end_the_watch(
    world: World, rolled_back: ServiceStory
) -> None:
    """The old commit's pipeline has run: the content is what it was, its number is new."""
    rolled_back.deployed("v1-again", image=f"{ECR}/auth@sha256:v1")
    world.passes(minutes(3))
    answer = world.ended("auth")
    assert isinstance(answer, Done)
    assert "still in ALARM: 5xx-rate" in answer.detail
    world.passes(minutes(15))
    world.sweep()
    assert world.incident().phase is Phase.NOT_RECOVERED
    assert world.told == ["rolled_back open", "rolled_back not_recovered"]
    assert world.announcer.messages[-1].severity == "critical"


def test_the_same_definition_whose_tag_has_moved_ends_it(
    world: World, rolled_back: ServiceStory
) -> None:
    """Somebody forces a deployment of what was restored: its tag names another image by now."""
    arn = rolled_back.fake.revisions[rolled_back.newest.target].task_definition_arn
    world.ecs.begin(rolled_back.key, arn, images={"app": "sha256:v3"})
    world.passes(minutes(3))
    world.ended("auth")
    assert world.incident().phase is Phase.SUPERSEDED


def test_what_was_stopped_and_gone_back_to_is_known_when_it_is_registered_again(
    world: World, stopped: ServiceStory
) -> None:
    """What ECS went back to was deployed long before all that is on the newest page."""
    world.ecs.page_size = 1
    stopped.becomes(Status.ROLLBACK_SUCCESSFUL)
    stopped.deployed("v1-again", image=f"{ECR}/auth@sha256:v1")
    world.ecs.page_size = 2
    world.passes(minutes(3))
    world.ended("auth")
    assert world.incident().phase is Phase.OPEN


# --- clocks


class Apart:
    """AWS's clock, by which the function's is ahead or behind."""

    def __init__(self, of_function: Clock, ahead: timedelta) -> None:
        self.of_function = of_function
        self.ahead = ahead

    @property
    def now(self) -> datetime:
        return self.of_function.now - self.ahead


@pytest.mark.parametrize("ahead", [10, 50, -10, -50])
def test_a_rollback_that_worked_is_recovered_though_the_functions_clock_is_off(
    world: World, ahead: int
) -> None:
    story = world.bad_deployment()
    world.ecs.clock = Apart(world.clock, timedelta(seconds=ahead))  # type: ignore[assignment]
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"
    world.passes(minutes(5))
    world.calm("auth", "5xx-rate")
    for _ in range(4):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert story.runs == "auth:v1"


def test_a_table_restored_to_the_moment_of_the_claim_tells_once_how_it_ended(world: World) -> None:
    story = world.bad_deployment()
    claims: list[Incident] = []
    claim_of = FakeLedger.claim

    def kept(ledger: FakeLedger, incident: Incident, over: Incident | None = None) -> bool:
        claims.append(incident)
        return claim_of(ledger, incident, over)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeLedger, "claim", kept)
        world.fire("auth", "5xx-rate")
    world.passes(minutes(5))
    world.calm("auth", "5xx-rate")
    world.passes(hours(1))
    world.sweep()
    assert world.incident().phase is Phase.RECOVERED
    world.announcer.messages.clear()

    (record,) = world.table.of(story.key).records.values()
    record.incident, record.due = claims[0], claims[0].claimed_at
    for _ in range(4):
        world.sweep()
        world.passes(minutes(5))
    assert world.told == ["rolled_back recovered"], "not again that it was rolled back"
    assert len(world.ecs.acts) == 1


# --- a record that somebody removed

WAS_REMOVED = "Its record was removed from the ledger while it was open: who did that?"


def rolled_back_and_lost(world: World) -> None:
    """The service was rolled back, and the record of that is gone."""
    story = world.bad_deployment()
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"
    world.table.of(story.key).records.clear()


def test_an_open_incident_whose_record_was_removed_is_told_once_how_it_ended(
    world: World,
) -> None:
    rolled_back_and_lost(world)
    world.passes(minutes(4))
    world.turn_calm("auth", "5xx-rate")
    for _ in range(6):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert world.announcer.messages[-1].summary is not None
    assert world.announcer.messages[-1].summary.endswith(WAS_REMOVED)
    assert world.incident().phase is Phase.RECOVERED
    assert world.table.of(world.stories["auth"].key).copies == {}
    assert len(world.ecs.acts) == 1


def test_one_that_does_not_recover_is_escalated_though_its_record_was_removed(
    world: World,
) -> None:
    rolled_back_and_lost(world)
    for _ in range(8):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open", "rolled_back not_recovered"]
    assert str(world.announcer.messages[-1].summary).endswith(WAS_REMOVED)


def test_an_alarm_finds_the_incident_whose_record_was_removed(world: World) -> None:
    rolled_back_and_lost(world)
    assert reason_of(world.fire("auth", "latency")) == "already_handled"
    assert len(world.ecs.acts) == 1
    world.passes(minutes(6))
    world.turn_calm("auth", "latency")
    world.calm("auth", "5xx-rate")
    assert world.told == ["rolled_back open", "rolled_back recovered"]


def test_people_who_only_ask_see_it_and_put_nothing_back(world: World) -> None:
    rolled_back_and_lost(world)
    answer = world.person(Action.STATUS)
    assert isinstance(answer, StatusAnswer)
    assert answer.services[0].state.incident_id is not None
    world.person(Action.PLAN)
    assert world.table.of(world.stories["auth"].key).records == {}


def test_what_people_have_not_been_told_yet_is_told_though_the_record_was_removed(
    world: World,
) -> None:
    world.announcer.people_unreachable = ConnectionError("SNS is down")
    rolled_back_and_lost(world)
    world.announcer.people_unreachable = None
    world.passes(minutes(5))
    world.calm("auth", "5xx-rate")
    for _ in range(6):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]


def test_one_whose_copy_was_removed_ends_as_ever(world: World) -> None:
    story = world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.table.of(story.key).copies.clear()
    world.passes(minutes(4))
    world.turn_calm("auth", "5xx-rate")
    for _ in range(6):
        world.passes(minutes(5))
        world.sweep()
    assert world.told == ["rolled_back open", "rolled_back recovered"]
    assert WAS_REMOVED not in str(world.announcer.messages[-1].summary)


def test_the_alarms_under_a_users_own_are_kept_when_a_deployment_completes(world: World) -> None:
    story = world.service("mail", alarms=("checkout",)).deployed("v1", ago=minutes(9))
    world.alarms.under["checkout"] = ("checkout-errors", "checkout-latency")
    for _ in range(2):
        world.ended("mail")
        kept = world.table.of(story.key).alarm_trees
        assert kept == {"checkout": ("checkout-errors", "checkout-latency")}
    del world.alarms.under["checkout"]
    world.ended("mail")
    assert world.table.of(story.key).alarm_trees == {}
