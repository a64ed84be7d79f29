"""What AWS refuses: another target is tried, the same later, or people are told at once what it said."""

from dataclasses import replace

import pytest

from autorollback.decision.facts import Status
from autorollback.decision.incident import Phase
from autorollback.decision.result import Result
from autorollback.flows.act import ActFailed
from autorollback.requests import Action
from autorollback.results import HistoryAnswer
from tests.fakes.ecs import refused
from tests.flows.stories import ServiceStory, World, outcome_of, reason_of
from tests.scenarios.history import days, hours, minutes

NO_VOLUME = (
    "Volume configuration provided but no matching configuredAtLaunch volume found in task "
    "definition."
)
DENIED = "not authorized to perform: ecs:UpdateService"


def no_volume(operation: str = "UpdateService") -> Exception:
    return refused("InvalidParameterException", operation, NO_VOLUME)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def auth(world: World) -> ServiceStory:
    """Four builds that served for days, and a bad one."""
    story = world.service("auth").deployed("v1", ago=days(12)).deployed("v2", ago=days(9))
    story.deployed("v3", ago=days(6)).deployed("v4", ago=days(3))
    return story.deployed("bad", ago=minutes(9))


def listed(world: World) -> list[tuple[str, str | None]]:
    """What `history` says of a service: outcomes and states."""
    answer = world.person(Action.HISTORY)
    assert isinstance(answer, HistoryAnswer)
    told = []
    for one in answer.incidents:
        state = one.result.incident_state
        told.append((one.result.outcome.value, state.value if state else None))
    return told


# --- about the target


def test_a_target_that_is_refused_for_good_gives_way_to_the_next_at_once(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [no_volume()]
    answer = world.fire("auth", "5xx-rate")
    assert outcome_of(answer) == "rolled_back"
    assert world.ecs.acts == ["UpdateService auth:v3"]
    assert auth.runs == "auth:v3"
    assert isinstance(answer, Result)
    assert answer.goes_to is not None
    assert answer.goes_to.task_definition == "auth:v3"
    details = {one.task_definition: one.detail for one in answer.candidates}
    assert NO_VOLUME in details["auth:v4"]
    assert world.told == ["rolled_back open"]
    assert listed(world) == [("rolled_back", "open")]


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(
            refused("PlatformTaskDefinitionIncompatibilityException", "UpdateService"),
            id="the platform cannot run it",
        ),
        pytest.param(
            refused("PlatformUnknownException", "UpdateService"), id="an unknown platform"
        ),
        pytest.param(
            refused(
                "InvalidParameterException",
                "UpdateService",
                "The container app did not have a container port 8080 defined.",
            ),
            id="a port that it has not",
        ),
        pytest.param(
            refused("ClientException", "UpdateService", "TaskDefinition is inactive"),
            id="deregistered meanwhile",
        ),
    ],
)
def test_what_speaks_of_the_definition_is_about_the_target(
    world: World, auth: ServiceStory, error: Exception
) -> None:
    world.ecs.refuses["UpdateService"] = [error]
    world.fire("auth", "5xx-rate")
    assert auth.runs == "auth:v3"


def test_three_targets_are_asked_for_each_once_and_then_people_are_told(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [no_volume() for _ in range(4)]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "refused_by_aws"
    assert isinstance(answer, Result)
    assert answer.outcome == "held"
    assert answer.severity == "critical", "an alarm is red"
    asked = 4 - len(world.ecs.refuses["UpdateService"])
    assert asked == 3
    assert answer.summary.count(NO_VOLUME.rstrip(".")) == asked
    assert all(f"auth:{build}" in answer.summary for build in ("v4", "v3", "v2"))
    assert world.ecs.acts == []
    assert auth.runs == "auth:bad"
    assert world.told == ["held refused_by_aws"]
    assert listed(world) == [("held", None)]


def test_a_copy_that_ecs_will_not_register_gives_way_to_the_next(
    world: World, auth: ServiceStory
) -> None:
    world.dependencies.tags["v4"] = "sha256:moved"
    too_big = refused("ClientException", "RegisterTaskDefinition", "Actual length exceeds 64 KB.")
    world.ecs.refuses["RegisterTaskDefinition"] = [too_big]
    world.fire("auth", "5xx-rate")
    assert world.ecs.acts == ["UpdateService auth:v3"]


def test_a_copy_registered_a_moment_ago_that_is_not_found_yet_is_asked_for_again(
    world: World, auth: ServiceStory
) -> None:
    world.dependencies.tags["v4"] = "sha256:moved"
    not_yet = refused("ClientException", "UpdateService", "TaskDefinition not found.")
    world.ecs.refuses["UpdateService"] = [not_yet]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(ActFailed):
        world.ask(event, "first")
    world.ask(event, "first")
    assert world.rollbacks("auth") == ["v4"]
    assert sum(act.startswith("Register") for act in world.ecs.acts) == 1


def test_over_an_irreversible_change_nobody_goes_further_back(
    world: World, auth: ServiceStory
) -> None:
    revisions = auth.fake.revisions
    v4 = world.ecs.definitions[next(a for a in world.ecs.definitions if a.endswith(":v4"))]
    v4.tags["auto-rollback:irreversible"] = "true"  # type: ignore[index]  # a fake's dictionary
    assert revisions
    world.ecs.refuses["UpdateService"] = [no_volume()]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "refused_by_aws"
    assert world.ecs.acts == []


def test_a_process_that_dies_between_two_targets_goes_on_with_the_second(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [no_volume(), RuntimeError("killed")]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    assert listed(world) == [], "nothing is done yet"
    world.ask(event, "first")
    assert world.ecs.acts == ["UpdateService auth:v3"]


def test_a_resumed_claim_finds_its_next_target_in_its_own_record(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed"), no_volume()]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(event, "first")
    world.passes(minutes(5))
    world.sweep()
    assert world.ecs.acts == ["UpdateService auth:v3"]
    assert world.told == ["rolled_back open"]


@pytest.mark.parametrize("facts", [None, "nonsense"], ids=["not kept", "unreadable"])
def test_a_resumed_claim_whose_record_tells_nothing_tries_no_other_target(
    world: World, auth: ServiceStory, facts: str | None
) -> None:
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed"), no_volume()]
    world.turn_red("auth", "5xx-rate")
    with pytest.raises(RuntimeError):
        world.ask(world.alarm_event("auth", "5xx-rate"), "first")
    (record,) = world.table.of(auth.key).records.values()
    record.incident = replace(record.incident, facts=facts)
    world.passes(minutes(5))
    world.sweep()
    assert world.ecs.acts == []
    assert world.told == ["held refused_by_aws"]


# --- about the service, or the caller


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("AccessDeniedException", DENIED, id="no right"),
        pytest.param("ServiceNotActiveException", "Service was not ACTIVE.", id="not active"),
        pytest.param("ServiceNotFoundException", "Service not found.", id="not found"),
        pytest.param(
            "InvalidParameterException",
            "5 active deployments exist, unable to create new deployment.",
            id="too many deployments",
        ),
        pytest.param(
            "InvalidParameterException",
            "Unable to update task definition on services with a CODE_DEPLOY deployment controller.",
            id="another controller",
        ),
        pytest.param("UnsupportedFeatureException", "no", id="unsupported"),
        pytest.param("InvalidParameterException", "Because of the moon.", id="unknown words"),
    ],
)
def test_what_is_about_the_service_is_told_at_once_and_no_other_target_is_tried(
    world: World, auth: ServiceStory, code: str, words: str
) -> None:
    world.ecs.refuses["UpdateService"] = [refused(code, "UpdateService", words)]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "refused_by_aws"
    assert isinstance(answer, Result)
    assert words.rstrip(".") in answer.summary
    assert answer.goes_to is None
    assert world.ecs.acts == []
    assert world.told == ["held refused_by_aws"]


def test_what_was_refused_is_not_tried_again_until_a_person_asks(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [refused("AccessDeniedException", "UpdateService", DENIED)]
    world.fire("auth", "5xx-rate")
    for _ in range(6):
        world.passes(minutes(5))
        world.sweep()
    assert reason_of(world.fire("auth", "latency")) == "refused_by_aws"
    assert (world.ecs.acts, len(world.told)) == ([], 1)
    assert outcome_of(world.person()) == "rolled_back"
    assert auth.runs == "auth:v4"


def test_a_newer_deployment_is_judged_by_itself_after_a_refusal(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [refused("AccessDeniedException", "UpdateService", DENIED)]
    world.fire("auth", "5xx-rate")
    world.turn_calm("auth", "5xx-rate")
    world.passes(hours(2))
    auth.deployed("worse")
    world.passes(minutes(8))
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"


def test_without_a_red_alarm_a_refusal_is_no_emergency(world: World, auth: ServiceStory) -> None:
    world.ecs.refuses["UpdateService"] = [refused("AccessDeniedException", "UpdateService", DENIED)]
    answer = world.person()
    assert isinstance(answer, Result)
    assert (answer.reason, answer.severity) == ("refused_by_aws", "warning")


# --- what passes


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ThrottlingException", 400),
        ("ServerException", 500),
        ("ServiceUnavailable", 503),
        ("UpdateInProgressException", 400),
        ("ExpiredTokenException", 400),
    ],
)
def test_what_passes_is_asked_for_again_and_no_other_target_is_tried(
    world: World, auth: ServiceStory, code: str, status: int
) -> None:
    world.ecs.refuses["UpdateService"] = [refused(code, "UpdateService", status=status)]
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(ActFailed):
        world.ask(event, "first")
    assert world.told == []
    assert listed(world) == []
    world.ask(event, "first")
    assert world.ecs.acts == ["UpdateService auth:v4"]


# --- a stop


def test_a_stop_that_is_refused_for_good_is_tried_once_as_a_deployment(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    unsupported = refused("UnsupportedFeatureException", "StopServiceDeployment")
    world.ecs.refuses["StopServiceDeployment"] = [unsupported]
    assert outcome_of(world.fire("auth", "5xx-rate")) == "rolled_back"
    assert world.ecs.acts == ["UpdateService auth:v1"]


def test_where_that_is_refused_too_people_are_told_and_it_ends(world: World) -> None:
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    denied = refused("AccessDeniedException", "UpdateService", DENIED)
    world.ecs.refuses["StopServiceDeployment"] = [
        refused("AccessDeniedException", "StopServiceDeployment", "no right to stop")
    ]
    world.ecs.refuses["UpdateService"] = [denied]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "refused_by_aws"
    assert world.incident().phase is Phase.FAILED
    for _ in range(3):
        world.passes(minutes(5))
        world.sweep()
    assert len(world.told) == 1


def test_a_refusal_of_code_deploy_is_told_at_once_too(world: World) -> None:
    story = world.through_code_deploy("auth").deployed("v1", ago=days(6))
    story.deployed("v2", ago=days(3)).deployed("v3", ago=minutes(9))
    gone = refused("DeploymentConfigDoesNotExistException", "CreateDeployment", "no such config")
    world.ecs.refuses["CreateDeployment"] = [gone]
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "refused_by_aws"
    assert isinstance(answer, Result)
    assert "no such config" in answer.summary
    assert world.ecs.acts == []


# --- a person wants something else


def left_before_the_act(world: World) -> None:
    """A rollback to v4 that was claimed, and AWS said not now."""
    world.ecs.refuses["UpdateService"] = [refused("ThrottlingException", "UpdateService")]
    with pytest.raises(ActFailed):
        world.fire("auth", "5xx-rate")


def test_a_persons_other_target_takes_the_place_of_a_claim_that_has_not_acted(
    world: World, auth: ServiceStory
) -> None:
    left_before_the_act(world)
    world.passes(minutes(5))
    answer = world.person(revision="auth:v2")
    assert outcome_of(answer) == "rolled_back"
    assert world.ecs.acts == ["UpdateService auth:v2"]
    for _ in range(3):
        world.passes(minutes(5))
        world.sweep()
    assert world.ecs.acts == ["UpdateService auth:v2"], "the first claim is never resumed"
    assert ("failed", None) in listed(world)
    assert world.rollbacks("auth") == ["v2"]


def test_a_person_who_asks_for_the_same_target_has_the_claim_finished(
    world: World, auth: ServiceStory
) -> None:
    left_before_the_act(world)
    answer = world.person(revision="auth:v4")
    assert outcome_of(answer) == "rolled_back"
    assert world.incident().phase is Phase.OPEN


def test_with_force_another_target_is_deployed_at_once_over_a_claim_that_waits(
    world: World, auth: ServiceStory
) -> None:
    left_before_the_act(world)
    with world.judged_elsewhere("auth"):
        answer = world.person(revision="auth:v2", force=True)
    assert outcome_of(answer) == "rolled_back"
    assert world.rollbacks("auth") == ["v2"]


def test_while_aws_is_being_asked_even_force_is_told_what_is_being_done(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    with world.judged_elsewhere("auth"):
        answer = world.person(revision="auth:v2", force=True)
    assert reason_of(answer) == "already_handled"
    assert isinstance(answer, Result)
    assert "a rollback to auth:v4 is being done" in answer.summary
    assert world.ecs.acts == []


def test_once_its_lease_has_run_out_a_claim_that_never_reached_aws_gives_way(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.refuses["UpdateService"] = [RuntimeError("killed")]
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.passes(minutes(6))
    assert outcome_of(world.person(revision="auth:v2")) == "rolled_back"
    assert world.rollbacks("auth") == ["v2"]


def test_a_claim_that_did_reach_aws_is_recorded_and_the_person_told(
    world: World, auth: ServiceStory
) -> None:
    world.ecs.dies_after["UpdateService"] = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        world.fire("auth", "5xx-rate")
    world.passes(minutes(1))
    answer = world.person(revision="auth:v2")
    assert reason_of(answer) == "already_handled"
    assert world.rollbacks("auth") == ["v4"]
    forced = world.person(revision="auth:v2", force=True)
    assert outcome_of(forced) == "rolled_back"
    assert auth.runs == "auth:v2"


def test_an_invocation_that_lost_its_claim_to_a_person_acts_no_more(
    world: World, auth: ServiceStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy is being registered while a person forces another target."""
    world.dependencies.tags["v4"] = "sha256:moved"
    restore = type(world.definitions).restore
    asked: list[object] = []

    def slowly(*given: object, **named: object) -> object:
        if not asked:
            asked.append(world.person(revision="auth:v2", force=True))
        return restore(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(type(world.definitions), "restore", slowly)
    answer = world.fire("auth", "5xx-rate")
    assert reason_of(answer) == "already_handled"
    assert [act for act in world.ecs.acts if act.startswith("Update")] == ["UpdateService auth:v2"]
    assert auth.runs == "auth:v2"


def test_a_person_who_wants_what_runs_ends_a_claim_to_leave_it(
    world: World, auth: ServiceStory
) -> None:
    left_before_the_act(world)
    assert reason_of(world.person(revision="auth:bad")) == "already_running"
    for _ in range(3):
        world.passes(minutes(5))
        world.sweep()
    assert world.ecs.acts == []
