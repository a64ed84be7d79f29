"""What ECS lists and counts, and how far behind its lists may be."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import World
from localcloud.server import Cloud, running


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with running(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as cloud:
        world = World.of(cloud)
        world.cluster("shop")
        repository = world.repository("app")
        for tag in ("v1", "v2"):
            world.push("app", tag)
            world.define("app", {"app": f"{repository}:{tag}"})
        world.service("shop", "app", "app:1", desired=3)
        cloud.clock.advance(timedelta(minutes=5))
        yield cloud


@pytest.fixture
def ecs(cloud: Cloud) -> Any:
    session: Any = cloud.session()
    return session.client("ecs")


def test_a_cluster_counts_the_services_and_tasks_that_are_in_it(cloud: Cloud, ecs: Any) -> None:
    World.of(cloud).cluster("empty")
    found = ecs.describe_clusters(clusters=["shop", "empty"])["clusters"]
    counts = [
        (one["activeServicesCount"], one["runningTasksCount"], one["pendingTasksCount"])
        for one in found
    ]
    assert counts == [(1, 3, 0), (0, 0, 0)]
    with pytest.raises(ClientError, match="include STATISTICS"):
        ecs.describe_clusters(clusters=["shop"], include=["STATISTICS"])


def test_lists_lag_behind_what_is_described(cloud: Cloud, ecs: Any) -> None:
    cloud.lag = timedelta(seconds=20)
    World.of(cloud).deploy("shop", "app", "app:2")
    World.of(cloud).define("app", {"app": "another"})

    def listed() -> tuple[int, int]:
        deployments = ecs.list_service_deployments(cluster="shop", service="app")
        definitions = ecs.list_task_definitions(familyPrefix="app")
        return len(deployments["serviceDeployments"]), len(definitions["taskDefinitionArns"])

    assert listed() == (1, 2)
    (service,) = ecs.describe_services(cluster="shop", services=["app"])["services"]
    assert service["taskDefinition"].endswith("app:2")
    cloud.clock.advance(timedelta(seconds=21))
    assert listed() == (2, 3)
