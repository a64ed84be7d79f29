"""A copy of a cloud is a cloud of its own that begins where the other was."""

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import server
from localcloud.ecs.world import World
from localcloud.snapshot import Copier, Snapshot
from localcloud.traffic import Behaviour

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
SERVED = {
    "load_balancer": "app/alb/1",
    "target_group": "targetgroup/auth/1",
    "requests_per_minute": 60,
}
ALARM = {
    "Namespace": "AWS/ApplicationELB", "MetricName": "HTTPCode_Target_5XX_Count", "Statistic": "Sum", "Period": 60,
    "Dimensions": [{"Name": "LoadBalancer", "Value": "app/alb/1"}, {"Name": "TargetGroup", "Value": "targetgroup/auth/1"}],
    "EvaluationPeriods": 2, "Threshold": 5, "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}  # fmt: skip


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    """A service that has served for twenty minutes, an alarm on it, and a parameter."""
    with server.running(START) as cloud:
        copier, world = Copier(cloud), World.of(cloud)
        world.cluster("prod")
        repository = world.repository("auth")
        cloud.traffic.behaviour(world.push("auth", "v2"), Behaviour(error_rate=0.5))
        world.push("auth", "v1")
        world.define("auth", {"app": f"{repository}:v1"})
        world.define("auth", {"app": f"{repository}:v2"})
        world.service("prod", "auth", "auth:1")
        served: Any = SERVED
        cloud.traffic.serve("prod", "auth", **served)
        wanted: Any = ALARM
        cloud.session().client("cloudwatch").put_metric_alarm(AlarmName="errors", **wanted)
        rule = "ALARM(errors) OR (ALARM(errors) AND NOT OK(errors))"
        cloud.session().client("cloudwatch").put_composite_alarm(AlarmName="either", AlarmRule=rule)
        cloud.session().client("ssm").put_parameter(Name="/said", Value="before", Type="String")
        cloud.clock.advance(timedelta(minutes=20))
        return copier.take()


def alarm(cloud: server.Cloud) -> str:
    (found,) = (
        cloud.session().client("cloudwatch").describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
    )
    return found["StateValue"]


def composite(cloud: server.Cloud) -> str:
    cloudwatch = cloud.session().client("cloudwatch")
    (found,) = cloudwatch.describe_alarms(AlarmNames=["either"], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    return found["StateValue"]


def said(cloud: server.Cloud) -> str:
    return cloud.session().client("ssm").get_parameter(Name="/said")["Parameter"]["Value"]


def test_a_copy_goes_on_from_the_moment_of_the_other(snapshot: Snapshot) -> None:
    with server.running(START) as cloud:
        Copier(cloud).give(snapshot)
        assert (
            timedelta()
            <= cloud.clock.now() - (START + timedelta(minutes=20))
            < timedelta(minutes=1)
        )
        assert (alarm(cloud), composite(cloud)) == ("OK", "OK")
        World.of(cloud).deploy("prod", "auth", "auth:2")
        cloud.clock.advance(timedelta(minutes=10))
        assert (alarm(cloud), composite(cloud)) == ("ALARM", "ALARM")


def test_what_happens_in_one_copy_is_not_seen_in_the_next(snapshot: Snapshot) -> None:
    with server.running(START) as cloud:
        Copier(cloud).give(snapshot)
        cloud.session().client("ssm").put_parameter(
            Name="/said", Value="after", Type="String", Overwrite=True
        )
        cloud.session().client("ecs").create_cluster(clusterName="another")
    with server.running(START) as cloud:
        Copier(cloud).give(snapshot)
        assert said(cloud) == "before"
        assert len(cloud.session().client("ecs").list_clusters()["clusterArns"]) == 1


def test_a_cloud_after_a_copy_is_empty(snapshot: Snapshot) -> None:
    with server.running(START) as cloud:
        Copier(cloud).give(snapshot)
    with server.running(START) as cloud, pytest.raises(ClientError, match="ParameterNotFound"):
        said(cloud)


def test_a_function_that_remembers_is_not_shared_by_copies() -> None:
    with server.running(START) as cloud:
        copier = Copier(cloud)
        remembered: list[str] = []
        behaviours: Any = cloud.traffic._behaviours
        behaviours["an image"] = lambda said: remembered.append(said)
        with pytest.raises((AttributeError, pickle.PicklingError)):
            copier.take()
