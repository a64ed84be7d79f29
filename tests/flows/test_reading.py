"""What a judgement rests on is read as far as it needs, and no further."""

import pytest
from botocore.exceptions import ClientError

from autorollback.decision.facts import Controller, Status, Trigger, TriggerKind
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.question import Question
from autorollback.decision.result import Result
from autorollback.requests import Action
from tests.fakes.ecs import refused
from tests.fakes.ledger import FakeLedger
from tests.flows.stories import World, outcome_of, reason_of
from tests.scenarios.history import days, hours, minutes


@pytest.fixture
def world() -> World:
    return World()


def test_older_deployments_are_read_until_a_stable_one_is_found(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3))
    for number in range(5):
        story.deployed(f"bad{number}", ago=minutes(59 - 10 * number))
    world.ecs.page_size = 2
    answer = world.fire("auth", "5xx-rate")
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v1"]


def test_where_nothing_stable_is_on_record_every_page_is_read_and_a_person_decides(
    world: World,
) -> None:
    story = world.service("auth")
    for number in range(7):
        story.deployed(f"bad{number}", ago=minutes(69 - 10 * number))
    world.ecs.page_size = 1
    assert reason_of(world.fire("auth", "5xx-rate")) == "no_stable_revision"


def test_what_ran_before_and_has_left_the_list_is_read_by_its_revision(world: World) -> None:
    story = world.bad_deployment()
    story.fake.deployments.pop(0)
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"
    assert world.rollbacks("auth") == ["v1"]


def test_a_revision_that_aws_has_no_more_is_no_candidate(world: World) -> None:
    story = world.bad_deployment()
    first = story.fake.deployments[0]
    del story.fake.revisions[first.target]
    answer = world.fire("auth", "5xx-rate")
    assert outcome_of(answer) == "held"
    assert world.ecs.acts == []


def test_a_definition_that_cannot_be_described_is_told_as_unread(world: World) -> None:
    story = world.bad_deployment()
    newest = story.fake.revisions[story.newest.target]
    del world.ecs.definitions[newest.task_definition_arn]
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert "brought could not be described" in answer.summary


def test_a_restart_that_trouble_followed_is_told_with_the_secrets_that_changed(
    world: World,
) -> None:
    container = [
        {
            "name": "app",
            "image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/auth:v1",
            "secrets": [{"name": "KEY", "valueFrom": "/auth/key"}],
        }
    ]
    story = world.service("auth").deployed("v1", ago=days(3), containerDefinitions=container)
    story.deployed("v1", ago=minutes(9), containerDefinitions=container)
    world.dependencies.secrets["/auth/key"] = DependencyStatus(changed_at=world.now - hours(1))
    answer = world.fire("auth", "5xx-rate")
    assert isinstance(answer, Result)
    assert answer.reason == "only_settings_changed"
    assert "/auth/key changed at" in answer.summary


def test_services_that_fall_ill_together_without_a_deployment_have_a_shared_cause(
    world: World,
) -> None:
    world.bad_deployment()
    for name in ("mail", "shop", "cart"):
        world.service(name).deployed("v1", ago=days(3))
        world.turn_red(name, "5xx-rate", onset=minutes(5))
    answer = world.fire("auth", "5xx-rate", onset=minutes(4))
    assert reason_of(answer) == "shared_cause"
    assert world.ecs.acts == []


def test_services_that_were_each_deployed_themselves_share_no_cause(world: World) -> None:
    world.bad_deployment()
    for name in ("mail", "shop", "cart"):
        story = world.service(name).deployed("v1", ago=days(3))
        world.turn_red(name, "5xx-rate", onset=minutes(5))
        world.neighbours.deployed.add(story.key)
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"


def test_what_ecs_refuses_to_tell_of_its_own_service_is_an_error(world: World) -> None:
    world.bad_deployment()
    denied = refused("InvalidParameterException", "ListServiceDeployments")
    world.ecs.refuses["ListServiceDeployments"] = [denied]
    with pytest.raises(ClientError):
        world.fire("auth", "5xx-rate")


def test_of_a_service_of_another_controller_that_refusal_says_that_there_is_none(
    world: World,
) -> None:
    story = world.service("auth", controller=Controller.EXTERNAL).deployed("v1", ago=days(3))
    denied = refused("InvalidParameterException", "ListServiceDeployments")
    world.ecs.refuses["ListServiceDeployments"] = [denied]
    world.turn_red("auth", "5xx-rate")
    answer = world.ask(world.alarm_event("auth", "5xx-rate"))
    assert outcome_of(answer) == "held"
    assert story.runs == "auth:v1"


def test_of_two_pauses_the_longer_one_holds(world: World) -> None:
    story, ledger = world.bad_deployment(), FakeLedger(world.table)
    ledger.pause(story.key, world.now + minutes(5), None, world.now)
    ledger.pause(None, world.now + hours(2), None, world.now)
    snapshot = world.session().reader.snapshot(story.policy, world.now)
    assert snapshot.ledger.state.paused_until == world.now + hours(2)


def test_the_present_holds_nothing_of_the_past(world: World) -> None:
    story, reader = world.bad_deployment(), world.session().reader
    snapshot = reader.snapshot(story.policy, world.now)
    trigger = Trigger(TriggerKind.ALARM, world.now)
    facts = reader.present(snapshot, trigger, world.now)
    assert facts.newest == story.newest
    assert facts.service is not None
    assert facts.service.healthy == 4
    assert [alarm.spells for alarm in facts.alarms] == [None, None, None]


def test_the_past_of_an_alarm_is_read_where_its_state_does_not_tell_it(world: World) -> None:
    story, reader = world.bad_deployment(), world.session().reader
    world.turn_red("auth", "latency")
    snapshot = reader.snapshot(story.policy, world.now)
    facts = reader.present(snapshot, Trigger(TriggerKind.ALARM, world.now), world.now)
    question = Question(facts, snapshot.policy.policy, world.now)
    with_past = reader.with_histories(question, question.periods)
    read = {alarm.signal: alarm.history_from for alarm in with_past.alarms}
    a_day_before_it_came = world.now - days(3) - days(1)
    assert read == {"5xx-rate": None, "latency": a_day_before_it_came, "unhealthy-targets": None}


def test_a_first_deployment_has_nothing_before_it(world: World) -> None:
    story = world.service("auth").stuck(Status.IN_PROGRESS).deployed("v1", ago=minutes(9))
    assert outcome_of(world.fire("auth", "5xx-rate")) == "held"
    assert outcome_of(world.person(Action.PLAN)) == "held"
    assert story.runs == "auth:v1"
