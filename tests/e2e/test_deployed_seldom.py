"""A service that is deployed less often than quarterly: its alarms are older than their history, its deployments forgotten."""

from dataclasses import replace
from datetime import timedelta

import pytest

from demo.scenario import AUTH, Actor, Stage
from tests.e2e.conftest import Scene
from tests.e2e.telling import minutes
from tests.e2e.test_readiness import findings

THROUGH_CODE_DEPLOY = replace(AUTH, controller="CODE_DEPLOY", termination_wait_minutes=0)


def is_left_alone(stage: Stage, actor: Actor, time: timedelta) -> None:
    """Nobody deploys it for so long, and all is calm."""
    stage.cloud.clock.jump(stage.cloud.clock.now() + time)
    stage.passes(minutes(6))
    assert findings(stage, actor)["ready"] is True


@pytest.mark.parametrize(
    ("actor", "days"),
    [
        pytest.param(AUTH, 40, id="longer than alarms keep their history"),
        pytest.param(AUTH, 400, id="longer than ECS keeps deployments"),
        pytest.param(THROUGH_CODE_DEPLOY, 100, id="through CodeDeploy"),
    ],
)
def test_it_is_ready_and_rolled_back_to_what_ran_all_that_time(
    scene: Scene, actor: Actor, days: int
) -> None:
    stage = scene(actor)
    is_left_alone(stage, actor, timedelta(days=days))
    stage.deploy_bad(actor)
    assert stage.until(lambda: bool(stage.incidents()), within=minutes(15))
    assert stage.until(
        lambda: stage.running_revision(actor) == f"{actor.name}:18", within=minutes(15)
    )
