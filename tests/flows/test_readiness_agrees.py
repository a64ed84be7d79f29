"""What readiness says before a deployment is what the judgement does after it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from autorollback.aws.audit import Repository
from autorollback.decision.facts import AlarmPeriod, Status
from autorollback.flows import readiness
from autorollback.naming import SIGNALS
from autorollback.policy import ServicePolicy
from autorollback.requests import Action
from tests.flows.stories import ServiceStory, World, outcome_of
from tests.scenarios.history import days, hours, minutes

SIXTY_DAYS, THREE_MINUTES = days(60), minutes(3)
Scenario = Callable[[World], ServiceStory]


def watched_since(story: ServiceStory, ago: timedelta) -> ServiceStory:
    """Its alarms were made so long ago, and have been OK since."""
    for signal in SIGNALS:
        story.world.alarms.add(story.key, signal, story.world.now - ago)
    return story


def was_red(story: ServiceStory, ago: timedelta, lasted: timedelta = THREE_MINUTES) -> ServiceStory:
    """One of its alarms was in ALARM for a while."""
    began = story.world.now - ago
    alarm = story.world.alarms.named(story.key, "latency")
    alarm.reds.append(AlarmPeriod(began, began + lasted))
    alarm.onsets.append(began)
    return story


def worker(world: World) -> ServiceStory:
    """A service without a load balancer."""
    story = world.service("auth")
    known = world.policies.known
    known[story.key] = ServicePolicy(story.key, known[story.key].policy)
    return story.described(target_groups=())


def once(world: World, ago: timedelta = SIXTY_DAYS) -> ServiceStory:
    """Deployed once, long ago."""
    return world.service("auth").deployed("v1", ago=ago)


def cleaned_out(story: ServiceStory, *builds: str) -> ServiceStory:
    """Their images are in ECR no more."""
    for build in builds:
        story.world.dependencies.digests.discard(f"sha256:{build}")
    return story


def many(world: World) -> ServiceStory:
    """Sixty builds of thirty hours each."""
    story = world.service("auth")
    for number in range(60):
        story.deployed(f"v{number}", ago=hours(30 * (60 - number)))
    return story


def without_requests(story: ServiceStory) -> ServiceStory:
    story.world.traffic.count = 0
    return story


def failed_since(story: ServiceStory) -> ServiceStory:
    """A later build was rolled back by ECS."""
    story.deployed("bad-before", ago=hours(9)).becomes(Status.ROLLBACK_SUCCESSFUL)
    return story


SCENARIOS: dict[str, tuple[Scenario, str | None]] = {
    "served for days": (lambda w: w.service("auth").deployed("v1", ago=days(3)), "v1"),
    "served for twenty minutes": (
        lambda w: w.service("auth").deployed("v1", ago=minutes(20)),
        None,
    ),
    "two builds, the newer one for twenty minutes": (
        lambda w: w.service("auth").deployed("v1", ago=days(3)).deployed("v2", ago=minutes(20)),
        "v1",
    ),
    "deployed once, its alarms are younger and were never red": (
        lambda w: watched_since(once(w), days(40)),
        "v1",
    ),
    "deployed once, its alarm was red once, before what history is kept of": (
        lambda w: was_red(watched_since(once(w), days(50)), days(40)),
        "v1",
    ),
    "deployed once, its alarm was red once since": (lambda w: was_red(once(w), days(10)), "v1"),
    "deployed so long ago that AWS has forgotten it": (lambda w: once(w, days(120)), "v1"),
    "a worker": (lambda w: worker(w).deployed("v1", ago=days(3)), "v1"),
    "a worker, deployed once": (
        lambda w: watched_since(worker(w).deployed("v1", ago=days(60)), days(40)),
        "v1",
    ),
    "through CodeDeploy": (
        lambda w: w.through_code_deploy("auth").deployed("v1", ago=days(3)),
        "v1",
    ),
    "through CodeDeploy, deployed once": (
        lambda w: watched_since(
            w.through_code_deploy("auth").deployed("v1", ago=days(60)), days(40)
        ),
        "v1",
    ),
    "a blip just now": (lambda w: was_red(once(w, days(6)), minutes(25)), "v1"),
    "in trouble for a quarter of the day": (
        lambda w: was_red(once(w, days(6)), hours(9), hours(6)),
        None,
    ),
    "three blips today": (
        lambda w: was_red(was_red(was_red(once(w, days(6)), hours(5)), hours(4)), hours(3)),
        None,
    ),
    "as many blips before it came": (
        lambda w: was_red(
            was_red(was_red(once(w, minutes(700)), minutes(800)), minutes(900)), minutes(500)
        ),
        "v1",
    ),
    "alarms made just now, a day in service": (
        lambda w: watched_since(once(w, hours(25)), minutes(5)),
        "v1",
    ),
    "alarms made just now, an hour in service": (
        lambda w: watched_since(once(w, hours(1)), minutes(5)),
        None,
    ),
    "no request reached it": (lambda w: without_requests(once(w, days(3))), None),
    "rolled back by ECS since": (lambda w: failed_since(once(w, days(3))), "v1"),
    "the newest two are cleaned out": (
        lambda w: cleaned_out(
            once(w, days(9)).deployed("v2", ago=days(5)).deployed("v3", ago=days(2)), "v2", "v3"
        ),
        "v1",
    ),
    "all but the oldest of sixty are cleaned out": (
        lambda w: cleaned_out(many(w), *(f"v{number}" for number in range(1, 60))),
        "v0",
    ),
    "all are cleaned out": (
        lambda w: cleaned_out(many(w), *(f"v{number}" for number in range(60))),
        None,
    ),
}


@pytest.fixture
def world() -> World:
    """Its images lie in one repository."""
    world = World()
    world.audit.repositories["auth"] = Repository("IMMUTABLE", (), None, ())
    return world


def of(table: dict[str, tuple[Scenario, str | None]]) -> list[Any]:
    return [pytest.param(*told, id=name) for name, told in table.items()]


def predicted(story: ServiceStory) -> str | None:
    """The build that readiness would go back to."""
    service = story.world.session().look_at(story.key)
    assert service is not None
    target = readiness.target_of_next(service)
    is_ready = readiness.look_at(story.world.session(), story.key).readiness.ready
    assert is_ready == (target is not None)
    return target.revision.task_definition.rpartition(":")[2] if target else None


@pytest.mark.parametrize("by_hand", [False, True], ids=["automatic", "by hand"])
@pytest.mark.parametrize(("scenario", "build"), of(SCENARIOS))
def test_readiness_says_what_the_judgement_does(
    world: World, scenario: Scenario, build: str | None, *, by_hand: bool
) -> None:
    story = scenario(world)
    assert predicted(story) == build
    story.deployed("bad")
    world.passes(minutes(6))
    if by_hand:
        answer = world.person(Action.ROLLBACK, "auth")
    else:
        answer = world.fire("auth", "5xx-rate", onset=minutes(4))
    assert world.rollbacks("auth") == ([build] if build else []), answer
    assert outcome_of(answer) == ("rolled_back" if build else "held")
