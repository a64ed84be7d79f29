"""What a person names is found as it ran here, or refused with what there is."""

from dataclasses import replace

import pytest

from autorollback.aws.ecs import DeploymentPage
from autorollback.decision.facts import Status, Trigger, TriggerKind
from autorollback.decision.formatting import clock
from autorollback.decision.verdicts import CandidateVerdict, CheckName
from autorollback.flows import explicit_target
from autorollback.requests import Action, BadRequest, Manual
from tests.flows.told_world import ECR, World, arn_of, digest
from tests.scenarios.history import ARN, NOW, History, days, incident, minutes


def told(story: History) -> World:
    """The service runs the newest build of the story."""
    newest = list(story.revisions.values())[-1]
    story.serving(task_definition=newest.task_definition_arn)
    story.trigger = Trigger(TriggerKind.ALARM, NOW)
    return World(story)


@pytest.fixture
def world() -> World:
    return told(incident().deployed("17", ago=days(6)).deployed("18", ago=minutes(9)))


@pytest.mark.parametrize("wanted", ["17", "auth:17", arn_of("17")])
def test_a_revision_is_named_by_number_name_or_arn(world: World, wanted: str) -> None:
    candidate = explicit_target.revision_named(world.service, world.facts, wanted)
    assert candidate.revision.task_definition == "auth:17"
    assert candidate.revision.images == {"app": digest("17")}, "with the digests that it ran with"
    assert candidate.verdict is CandidateVerdict.STABLE
    (check,) = candidate.checks
    assert (check.name, check.passed) == (CheckName.HAS_RUN_HERE, True)
    came = world.facts.revisions[f"{ARN}:service-revision/shop/auth/1"].created_at
    assert check.detail.startswith(
        f"was named by a person; it came to this service at {clock(came)}: "
    )
    assert candidate.detail == check.detail
    assert candidate.ran_until == world.facts.deployments[0].start


def test_the_alarms_are_read_as_far_back_as_it_ran(world: World) -> None:
    explicit_target.revision_named(world.service, world.facts, "17")
    assert world.reader.asked_of == [[world.facts.deployments[1].target]]


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        ("billing:3", "a revision of the service's family auth"),
        (f"{ARN}:task-definition/billing:3", "a revision of the service's family auth"),
        ("99", "an existing revision of auth (auth:99: "),
    ],
)
def test_another_family_and_what_is_not_there_are_refused(
    world: World, wanted: str, allowed: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        explicit_target.revision_named(world.service, world.facts, wanted)
    assert (refused.value.field, refused.value.given) == ("revision", wanted)
    assert refused.value.allowed.startswith(allowed)


def test_of_several_runs_the_stable_one_is_taken() -> None:
    story = incident().deployed("17", ago=days(9)).deployed("18", ago=days(5))
    story.deployed("17", ago=minutes(20)).deployed("18", ago=minutes(9))
    world = told(story)
    candidate = explicit_target.revision_named(world.service, world.facts, "17")
    assert candidate.revision.arn == f"{ARN}:service-revision/shop/auth/1"


def test_a_run_that_never_completed_is_told_as_such() -> None:
    story = incident().deployed("16", ago=days(9))
    story.deployed("17", ago=days(6), status=Status.ROLLBACK_SUCCESSFUL)
    story.deployed("18", ago=minutes(9))
    world = told(story)
    candidate = explicit_target.revision_named(world.service, world.facts, "17")
    assert candidate.detail.endswith(": it never completed a deployment")
    assert candidate.ran_until is None


def test_older_pages_are_read_until_one_brings_it(world: World) -> None:
    past = told(incident().deployed("12", ago=days(40))).facts
    world.built("12")
    old, brought = past.deployments[0], next(iter(past.revisions.values()))
    old = replace(old, arn="old", target="ran 12")
    world.past.known_deployments["old"] = old
    world.past.known_revisions["ran 12"] = replace(brought, arn="ran 12")
    world.page = DeploymentPage((), (), "page 2")
    world.past.pages["page 2"] = DeploymentPage((), (), "page 3")
    world.past.pages["page 3"] = DeploymentPage(("old",), ("ran 12",), "page 4")
    candidate = explicit_target.revision_named(world.service, world.facts, "12")
    assert candidate.revision.arn == "ran 12"
    assert world.past.read == ["page 2", "page 3"]
    explicit_target.revision_named(world.service, world.facts, "17")
    assert world.past.read == ["page 2", "page 3"], "what is known already is not looked for"


def test_the_ledger_remembers_longer_than_aws(world: World) -> None:
    world.story.known_good("12", since=days(120), until=days(100))
    world.built("12")
    candidate = explicit_target.revision_named(world.service, world.facts, "12")
    until = NOW - days(100)
    assert candidate.revision.images == {"app": digest("12")}
    seen = f"was named by a person; the ledger saw it serve until {clock(until)}"
    assert (candidate.detail, candidate.ran_until) == (seen, until)
    assert [check.passed for check in candidate.checks] == [True]


def test_what_never_ran_here_is_told_and_no_failure(world: World) -> None:
    world.built("5", image=f"{ECR}/auth@{digest('5')}")
    candidate = explicit_target.revision_named(world.service, world.facts, "5")
    (check,) = candidate.checks
    assert (check.name, check.passed) == (CheckName.HAS_RUN_HERE, None)
    assert check.detail == "was named by a person; no run of it in this service is on record"
    assert candidate.revision.images == {"app": digest("5")}, "as far as it is pinned"


def test_whether_it_ran_is_not_known_where_the_search_ended_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then what came after it, either."""
    monkeypatch.setattr(explicit_target, "OLDER_PAGES", 2)
    world.built("5", image=f"{ECR}/auth@{digest('5')}")
    world.page = DeploymentPage((), (), "page 2")
    for number in range(2, 9):
        world.past.pages[f"page {number}"] = DeploymentPage((), (), f"page {number + 1}")
    candidate = explicit_target.revision_named(world.service, world.facts, "5")
    assert world.past.read == ["page 2", "page 3"]
    (check,) = candidate.checks
    assert check.passed is None
    assert check.detail == (
        "was named by a person; no run of it in this service is on record in the newest 2 "
        "deployments, and no older ones were read"
    )
    assert candidate.between == (None,)


def asked(tag: str, container: str | None = None) -> Manual:
    return Manual(Action.ROLLBACK, "auth", image_tag=tag, container=container)


def test_a_tag_is_run_with_the_definition_of_now(world: World) -> None:
    candidate = explicit_target.tagged(world.service, world.facts, asked("17"))
    assert candidate.revision.task_definition == "auth:18"
    assert candidate.revision.images == {"app": digest("17")}
    assert candidate.detail == "is to run auth:17 (sha256:17) in app"
    assert candidate.checks == ()


def two_containers(other: str) -> World:
    world = told(incident().deployed("18", ago=days(2)))
    containers = [
        {"name": "app", "image": f"{ECR}/auth:18"},
        {"name": "side", "image": other},
    ]
    definition = world.built("18", containerDefinitions=containers)
    world.dependencies.tags["17"] = digest("17")
    (arn, revision) = next(iter(world.story.revisions.items()))
    images = {"app": digest("18"), "side": digest("side")}
    world.story.revisions[arn] = replace(revision, images=images)
    assert definition.images.keys() == images.keys()
    return world


def test_containers_of_one_repository_take_the_tag_together_unless_one_is_named() -> None:
    world = two_containers(f"{ECR}/auth:18")
    both = explicit_target.tagged(world.service, world.facts, asked("17"))
    assert both.revision.images == {"app": digest("17"), "side": digest("17")}
    assert both.detail.endswith(" in app, side")
    one = explicit_target.tagged(world.service, world.facts, asked("17", "app"))
    assert one.revision.images == {"app": digest("17"), "side": digest("side")}


def test_a_container_of_another_registry_keeps_what_it_runs() -> None:
    world = two_containers("nginx:1")
    candidate = explicit_target.tagged(world.service, world.facts, asked("17"))
    assert candidate.revision.images == {"app": digest("17"), "side": digest("side")}


@pytest.mark.parametrize(
    ("container", "other", "allowed"),
    [
        pytest.param(
            None,
            f"{ECR}/side:1",
            "the container whose image has this tag: app, side",
            id="which of two repositories",
        ),
        pytest.param(
            "web",
            f"{ECR}/side:1",
            "a container with an image in this account's ECR: app, side",
            id="no such container",
        ),
        pytest.param(
            "side",
            "nginx:1",
            "a container with an image in this account's ECR: app",
            id="an image of another registry",
        ),
    ],
)
def test_a_container_that_cannot_be_told_is_refused(
    container: str | None, other: str, allowed: str
) -> None:
    world = two_containers(other)
    with pytest.raises(BadRequest) as refused:
        explicit_target.tagged(world.service, world.facts, asked("17", container))
    assert (refused.value.field, refused.value.allowed) == ("container", allowed)


def test_without_an_image_of_ours_no_tag_can_be_named(world: World) -> None:
    world.definitions.add("18", image="nginx:1")
    with pytest.raises(BadRequest) as refused:
        explicit_target.tagged(world.service, world.facts, asked("17"))
    assert refused.value.allowed == "no container has an image in this account's ECR"


def test_a_tag_that_is_not_there_is_refused_with_the_nearest(world: World) -> None:
    with pytest.raises(BadRequest) as refused:
        explicit_target.tagged(world.service, world.facts, asked("19"))
    allowed = "a tag of the repository auth; the nearest: 17, 18"
    assert (refused.value.field, refused.value.allowed) == ("image_tag", allowed)
    world.dependencies.tags.clear()
    with pytest.raises(BadRequest, match="the nearest: it has none"):
        explicit_target.tagged(world.service, world.facts, asked("19"))


def test_a_tag_needs_the_definition_of_now(world: World) -> None:
    world.definitions.known.pop(arn_of("18"))
    with pytest.raises(BadRequest, match="a revision instead: the definition that the service"):
        explicit_target.tagged(world.service, world.facts, asked("17"))
