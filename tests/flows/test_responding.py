"""An alarm, or ECS, speaks of a service: it is judged, and perhaps rolled back."""

import pytest

from tests.flows.stories import World


@pytest.fixture
def world() -> World:
    return World()


def test_three_alarms_roll_back_once(world: World) -> None:
    service = world.bad_deployment()
    world.fire("auth", "5xx-rate", "latency", "unhealthy-targets")
    assert world.rollbacks("auth") == ["v1"]
    assert world.ecs.acts == ["UpdateService auth:v1"]
    assert service.runs == "auth:v1"
    assert world.told == ["rolled_back open"]
