"""A deployment that completes into a red alarm is judged at once: an alarm that stays red says nothing more."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.faults.campaign import CLUSTER, Campaign, Faults, campaign


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def completes(here: Campaign, service: str, revision: int) -> list[str]:
    """A deployment completes, and ECS says so; the calls that this led to."""
    here.world.deploy(CLUSTER, service, f"{service}:{revision}")
    here.passes(timedelta(minutes=6))
    faults = Faults()
    here.invoke(
        here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_COMPLETED"), faults
    )
    return faults.calls


def test_the_one_before_is_blamed_too_by_one_reading_of_the_alarms(here: Campaign) -> None:
    """The ledger saw v1 run well. v2 broke something, and v3 came into its red alarm, no better."""
    (service,) = here.prepare(1)
    here.world.define(service, {"app": f"{here.repository}:v1"}, cpu="512")
    completes(here, service, 2)
    assert [item["sk"].partition("#")[0] for item in here.items(service)] == ["good"]
    minute = here.cloud.clock.now().replace(second=0, microsecond=0)
    here.alarm(service, "ALARM", minute - timedelta(minutes=2))
    calls = completes(here, service, 3)
    # the alarms under the team's own, those of the service, and the red ones of others
    assert ("ecs.UpdateService" in calls, calls.count("cloudwatch.DescribeAlarms")) == (True, 3)
    (told,) = here.told(service)
    assert told["to"]["task_definition"] == f"{service}:1"
    here.recovers(service)
