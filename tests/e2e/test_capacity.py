"""Tasks that are missing because their capacity went away roll nothing back; those that fail do."""

import pytest

from demo.scenario import Stage
from localcloud.ecs.events import service_action
from localcloud.ecs.model import Stop
from localcloud.ecs.service_tasks import EXITED, SPOT
from localcloud.traffic import GOOD
from tests.e2e.conftest import Scene
from tests.e2e.telling import last_verdict, minutes, updates

CLUSTER, SERVICE = "my-cluster", "auth-service"


def loses_three_of_four(stage: Stage, stop: Stop) -> None:
    """A new build serves well for forty minutes; then three of its tasks are gone, and none replaces them."""
    stage.cloud.traffic.behaviour(stage.digests["auth-service:v19"], GOOD)
    stage.deploy_bad()
    stage.passes(minutes(42))
    stage.world.loses_capacity(CLUSTER, SERVICE, 3, stop)
    stage.passes(minutes(1))


def says_that_tasks_cannot_start(stage: Stage) -> None:
    service, now = stage.cloud.ecs.find(CLUSTER, SERVICE), stage.cloud.clock.now()
    event = service_action(service, "SERVICE_TASK_START_IMPAIRED", "WARN", now)
    stage.cloud.emit(event)
    stage.passes(minutes(1))


@pytest.mark.parametrize(
    ("stop", "outcome", "reason", "acts"),
    [
        pytest.param(SPOT, "held", "capacity_lost", 0, id="Spot took them"),
        pytest.param(EXITED, "rolled_back", "tasks_cannot_start", 1, id="they exited"),
    ],
)
def test_why_tasks_are_missing_decides_whether_the_build_is_to_blame(
    scene: Scene, stop: Stop, outcome: str, reason: str, acts: int
) -> None:
    stage = scene()
    loses_three_of_four(stage, stop)
    says_that_tasks_cannot_start(stage)
    verdict = last_verdict(stage)
    assert (verdict["outcome"], verdict["reason"]) == (outcome, reason)
    assert updates(stage) == acts
    assert len(stage.incidents()) == acts
