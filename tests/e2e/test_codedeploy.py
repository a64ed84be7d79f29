"""Services that CodeDeploy deploys are rolled back through it: the digests that ran before the bad deployment run again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from localcloud import functions
from localcloud.errors import Refusal
from localcloud.recorder import Call
from localcloud.stage import AUTH, FUNCTION, Actor, Stage
from tests.e2e.conftest import Scene
from tests.e2e.rights import granted_without_need, role_statements, watched_scene  # noqa: F401 - a fixture, by its name
from tests.e2e.telling import last_verdict, minutes

SHOP = replace(AUTH, controller="CODE_DEPLOY", termination_wait_minutes=0)
WAITS = replace(SHOP, termination_wait_minutes=60)


def asked(stage: Stage, operation: str) -> list[Call]:
    """The function's calls of one operation of CodeDeploy."""
    return stage.cloud.recorder.calls("codedeploy", operation, functions.access_key(FUNCTION))


def test_a_finished_deployment_is_rolled_back_by_a_new_one(scene: Scene) -> None:
    stage = scene(SHOP)
    ran = stage.running()
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "CreateDeployment")), within=minutes(15))
    stage.passes(minutes(10))
    print(stage.errors())
    print(last_verdict(stage))
    assert stage.running() == ran


def test_a_deployment_in_flight_is_stopped(scene: Scene) -> None:
    stage = scene(WAITS)
    ran = stage.running()
    stage.deploy_bad()
    assert stage.until(lambda: bool(asked(stage, "StopDeployment")), within=minutes(15))
    stage.passes(minutes(10))
    print(stage.errors())
    print(last_verdict(stage))
    assert stage.running() == ran
