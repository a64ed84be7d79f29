"""One bad alarm, rule, target, subscription or service ends no loop that serves the others, and is on record."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.events.models import events_backends

from localcloud.ecs.world import World
from localcloud.server import Cloud, running

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with running(START) as cloud:
        yield cloud


def client(cloud: Cloud, service: str) -> Any:
    session: Any = cloud.session()
    return session.client(service)


def alarm(cloud: Cloud, name: str, **more: Any) -> None:
    settings: dict[str, Any] = {
        "Namespace": "N", "MetricName": "M", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold", "TreatMissingData": "breaching",
    }  # fmt: skip
    client(cloud, "cloudwatch").put_metric_alarm(AlarmName=name, **settings | more)


def state(cloud: Cloud, name: str) -> str:
    answer = client(cloud, "cloudwatch").describe_alarms(AlarmNames=[name])
    return str(answer["MetricAlarms"][0]["StateValue"])


def test_an_alarm_with_a_statistic_that_is_not_modelled(cloud: Cloud) -> None:
    alarm(cloud, "a-bad-one", ExtendedStatistic="tm99")
    alarm(cloud, "b-good-one", Statistic="Sum")
    cloud.clock.advance(timedelta(minutes=3))
    assert state(cloud, "b-good-one") == "ALARM"
    assert state(cloud, "a-bad-one") == "INSUFFICIENT_DATA"
    (trouble,) = cloud.troubles.found
    assert "the alarm a-bad-one" in trouble
    assert "tm99" in trouble


def queue(cloud: Cloud, name: str) -> str:
    client(cloud, "sqs").create_queue(QueueName=name)
    return f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"


def received(cloud: Cloud, name: str) -> int:
    url = client(cloud, "sqs").get_queue_url(QueueName=name)["QueueUrl"]
    answer = client(cloud, "sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return len(answer.get("Messages", []))


def test_a_rule_and_a_target_that_cannot_be_served(cloud: Cloud) -> None:
    events = client(cloud, "events")
    arn = queue(cloud, "jobs")
    for name in ("a-bad-one", "b-good-one"):
        events.put_rule(Name=name, EventPattern=json.dumps({"source": ["test"]}))
    events.put_rule(Name="c-schedule", ScheduleExpression="rate(1 minute)")
    events.put_rule(Name="d-schedule", ScheduleExpression="rate(1 minute)")
    events.put_targets(Rule="b-good-one", Targets=[{"Id": "bad", "Arn": arn}, {"Id": "good", "Arn": arn}])  # fmt: skip
    events.put_targets(Rule="d-schedule", Targets=[{"Id": "good", "Arn": arn}])
    rules = events_backends[cloud.account][cloud.region].event_buses["default"].rules
    rules["a-bad-one"].event_pattern = None
    rules["b-good-one"].targets[0]["InputTransformer"] = {"InputTemplate": 7}
    rules["c-schedule"].scheduled_expression = "rate(often)"
    events.put_events(Entries=[{"Source": "test", "DetailType": "d", "Detail": "{}"}])
    assert received(cloud, "jobs") == 1
    cloud.clock.advance(timedelta(minutes=2))
    assert received(cloud, "jobs") >= 1
    told = " ".join(cloud.troubles.found)
    for what in ("the rule a-bad-one", "the target bad of the rule b-good-one", "the schedule of the rule c-schedule"):  # fmt: skip
        assert what in told


def test_a_subscription_whose_queue_is_gone(cloud: Cloud) -> None:
    sns = client(cloud, "sns")
    topic = sns.create_topic(Name="told")["TopicArn"]
    missing = f"arn:aws:sqs:{cloud.region}:{cloud.account}:gone"
    for endpoint in (missing, queue(cloud, "there")):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)
    alarm(cloud, "red", Statistic="Sum", AlarmActions=[topic])
    cloud.clock.advance(timedelta(minutes=3))
    assert received(cloud, "there") == 1
    assert [trouble.partition(": ")[0] for trouble in cloud.troubles.found] == [
        f"the subscription {missing}"
    ]


def test_a_service_whose_state_is_impossible(cloud: Cloud) -> None:
    world = World.of(cloud)
    world.cluster("shop")
    repository = world.repository("app")
    for tag in ("v1", "v2"):
        world.push("app", tag)
        world.define("app", {"app": f"{repository}:{tag}"})
    for name in ("a-bad-one", "b-good-one"):
        world.service("shop", name, "app:1")
    cloud.clock.advance(timedelta(minutes=3))
    bad = cloud.ecs.find("shop", "a-bad-one")
    for name in ("a-bad-one", "b-good-one"):
        world.deploy("shop", name, "app:2")
    assert bad.newest is not None
    bad.newest.phase = "impossible"  # type: ignore[assignment]
    cloud.clock.advance(timedelta(minutes=3))
    good = cloud.ecs.find("shop", "b-good-one").newest
    assert good is not None
    assert good.status.value == "SUCCESSFUL"
    assert any("the service a-bad-one" in trouble for trouble in cloud.troubles.found)
