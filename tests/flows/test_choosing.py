"""The first candidate that could run now is gone back to."""

from dataclasses import replace

import pytest

from autorollback.decision.decide import decide
from autorollback.decision.facts import Status
from autorollback.decision.lookups import DependencyStatus, ImagesStored, SecretLookup
from autorollback.decision.plan import RollbackPlan
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Check, CheckName, RollBack
from autorollback.flows import preflight
from tests.flows.told_world import World, arn_of, digest
from tests.scenarios.history import days, hours, incident, minutes

CHOSEN, PASSED_OVER = CandidateVerdict.CHOSEN, CandidateVerdict.PASSED_OVER


@pytest.fixture
def world() -> World:
    """Two builds proved themselves before a bad one."""
    story = incident().deployed("16", ago=days(9)).deployed("17", ago=days(6))
    story.deployed("18", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    return World(story.serving(task_definition=arn_of("18")))


def plan_of(world: World, *, forced: bool = False) -> RollbackPlan:
    judgement = decide(world.facts, world.story.policy, world.story.now)
    assert isinstance(judgement.verdict, RollBack)
    considered = judgement.candidates
    return RollbackPlan(judgement.verdict, (), considered, automatic=not forced, forced=forced)


def choose(world: World, *, forced: bool = False) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    choice = preflight.choose(world.service, world.facts, plan_of(world, forced=forced))
    return choice.chosen, choice.considered


def test_the_newest_stable_one_that_passes_is_chosen_and_no_further_is_asked_about(
    world: World,
) -> None:
    chosen, considered = choose(world)
    assert chosen is not None
    assert (chosen.revision.task_definition, chosen.verdict) == ("auth:17", CHOSEN)
    assert chosen.detail.startswith("served "), "why it is stable"
    assert [one.verdict for one in considered] == [CHOSEN, CandidateVerdict.STABLE]
    asked = ImagesStored("auth", frozenset({digest("17")}), frozenset({"17"}))
    assert world.dependencies.asked == [asked]


def test_one_that_fails_is_passed_over_for_the_next(world: World) -> None:
    world.dependencies.digests.discard(digest("17"))
    chosen, considered = choose(world)
    assert chosen is not None
    assert chosen.revision.task_definition == "auth:16"
    assert [one.verdict for one in considered] == [PASSED_OVER, CHOSEN]
    gone = f"image_present: app: auth@{digest('17')} is not in ECR"
    assert considered[0].detail == gone


def test_where_none_passes_none_is_chosen(world: World) -> None:
    world.dependencies.digests.clear()
    chosen, considered = choose(world)
    assert chosen is None
    assert {one.verdict for one in considered} == {PASSED_OVER}


@pytest.mark.parametrize("missing", ["17", "18"])
def test_a_definition_that_cannot_be_described_fails_the_candidate(
    world: World, missing: str
) -> None:
    world.definitions.known.pop(arn_of(missing))
    _, (first, *_) = choose(world)
    (check,) = first.checks
    assert (check.name, check.passed) == (CheckName.DEFINITION_USABLE, False)
    assert check.detail.startswith("a task definition cannot be described: ")


def test_a_secret_that_changed_since_is_told_and_fails_nobody(world: World) -> None:
    secrets = [{"name": "KEY", "valueFrom": "/auth/key"}]
    world.built("17", container={"secrets": secrets})
    changed_at = world.story.now - hours(1)
    world.dependencies.secrets["/auth/key"] = DependencyStatus(changed_at=world.story.now)
    chosen, _ = choose(world)
    assert chosen is not None
    (check,) = [one for one in chosen.checks if one.name is CheckName.SECRETS_PRESENT]
    assert check.passed
    assert check.changed_since_run == ("/auth/key",)
    world.dependencies.secrets["/auth/key"] = DependencyStatus(changed_at=changed_at - days(30))
    chosen, _ = choose(world)
    assert chosen is not None
    assert not any(one.changed_since_run for one in chosen.checks)


@pytest.mark.parametrize(
    ("task_roles", "chosen_one", "passed"),
    [
        pytest.param(("team/*",), "auth:17", None, id="of a role that may be passed"),
        pytest.param(("other",), "auth:16", False, id="of a role that may never be passed"),
    ],
)
def test_that_nobody_may_be_asked_fails_no_candidate(
    world: World,
    task_roles: tuple[str, ...],
    chosen_one: str,
    *,
    passed: bool | None,
) -> None:
    world.built("17", taskRoleArn="arn:aws:iam::123456789012:role/team/auth")
    world.story.under(task_roles=task_roles)
    unknown = DependencyStatus(unknown="GetRole is not allowed", denied=True)
    world.dependencies.roles["team/auth"] = unknown
    chosen, considered = choose(world)
    assert chosen is not None
    assert chosen.revision.task_definition == chosen_one
    (check,) = [one for one in considered[0].checks if one.name is CheckName.ROLES_PRESENT]
    assert check.passed is passed
    assert check.denied or "add team/auth to them" in check.detail


def test_force_asks_only_whether_a_copy_is_needed(world: World) -> None:
    secrets = [{"name": "KEY", "valueFrom": "/auth/key"}]
    world.built("17", status="INACTIVE", container={"secrets": secrets})
    world.dependencies.digests.clear()
    world.dependencies.secrets["/auth/key"] = DependencyStatus(wrong="there is no such parameter")
    world.definitions.asked.clear()
    chosen, _ = choose(world, forced=True)
    assert chosen is not None
    told = [(check.name, check.passed, check.needs_copy) for check in chosen.checks]
    assert told == [
        (CheckName.PREFLIGHT, None, False),
        (CheckName.DEFINITION_USABLE, True, True),
    ]
    assert not any(isinstance(lookup, SecretLookup) for lookup in world.dependencies.asked)
    assert world.definitions.asked == [arn_of("17")]


def test_force_acts_on_what_cannot_be_described_too(world: World) -> None:
    world.definitions.known.pop(arn_of("17"))
    chosen, _ = choose(world, forced=True)
    assert chosen is not None
    assert [check.passed for check in chosen.checks] == [None, None]
    assert chosen.checks[1].detail.startswith("it cannot be described: ")


def test_what_was_found_before_stands_first_and_counts(world: World) -> None:
    plan = plan_of(world)
    found = Check(CheckName.HAS_RUN_HERE, passed=True, detail="it ran")
    named = replace(plan.verdict.candidates[0], checks=(found,))
    plan = replace(plan, verdict=replace(plan.verdict, candidates=(named,)), considered=())
    choice = preflight.choose(world.service, world.facts, plan)
    assert choice.chosen is not None
    assert choice.chosen.checks[0] == found
    assert choice.considered == (choice.chosen,), (
        "what nobody considered before is what was looked at"
    )


def test_a_deployment_in_progress_that_is_stopped_restores_its_source_as_a_whole() -> None:
    story = incident().deployed("17", ago=days(6))
    story.deployed("18", ago=minutes(9), status=Status.IN_PROGRESS, settings={"subnets": "b"})
    story.alarm("5xx-rate", onset=minutes(6))
    world = World(story.serving(task_definition=arn_of("18")))
    world.built("17", networkMode="awsvpc")
    chosen, _ = choose(world)
    assert chosen is not None
    whole = "ECS restores the whole service revision, with its images and settings"
    assert [check.detail for check in chosen.checks[-2:]] == [whole, whole]


def test_of_a_service_that_is_not_there_nothing_is_asked(world: World) -> None:
    plan = plan_of(world)
    facts = replace(world.facts, service=None)
    choice = preflight.choose(world.service, facts, plan)
    assert (choice.chosen, choice.considered) == (None, plan.considered)
    assert world.dependencies.asked == []
