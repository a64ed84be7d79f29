"""How much one request may hold, what of it lasts, and an answer that is lost."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import World
from localcloud.server import Cloud, running

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(START) as cloud:
        World.of(cloud).cluster("shop")
        World.of(cloud).repository("auth")
        yield cloud


def client(cloud: Cloud, service: str) -> Any:
    session: Any = cloud.session()
    return session.client(service)


def names(count: int) -> list[str]:
    return [f"name-{number}" for number in range(count)]


def query(number: int) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "N", "MetricName": "M"}, "Period": 60, "Stat": "Sum"}
    return {"Id": f"q{number}", "MetricStat": stat}


@pytest.mark.parametrize(
    ("service", "most", "code", "call"),
    [
        ("ecr", 100, "InvalidParameterException", lambda c, n: c.batch_get_image(repositoryName="auth", imageIds=[{"imageTag": name} for name in names(n)])),
        ("cloudwatch", 500, "ValidationError", lambda c, n: c.get_metric_data(MetricDataQueries=[query(i) for i in range(n)], StartTime=START - timedelta(minutes=5), EndTime=START)),
        ("cloudwatch", 100, "ValidationError", lambda c, n: c.describe_alarms(AlarmNames=names(n))),
        ("ecs", 10, "InvalidParameterException", lambda c, n: c.describe_services(cluster="shop", services=names(n))),
        ("ssm", 10, "ValidationException", lambda c, n: c.get_parameters(Names=names(n))),
        ("events", 10, "ValidationException", lambda c, n: c.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}"}] * n)),
        ("events", 256 * 1024 - 2, "ValidationException", lambda c, n: c.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": json.dumps({"": "x" * (n - 8)})}])),
        ("sns", 262144, "InvalidParameter", lambda c, n: c.publish(TopicArn=c.create_topic(Name="t")["TopicArn"], Message="é" * (n // 2) + "x" * (n % 2))),
        ("sns", 100, "InvalidParameter", lambda c, n: c.publish(TopicArn=c.create_topic(Name="t")["TopicArn"], Message="m", Subject="x" * n)),
    ],
)  # fmt: skip
def test_a_request_holds_so_much_and_no_more(
    cloud: Cloud, service: str, most: int, code: str, call: Callable[[Any, int], object]
) -> None:
    call(client(cloud, service), most)
    with pytest.raises(ClientError) as refused:
        call(client(cloud, service), most + 1)
    assert refused.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("subject", ["two\nlines", "a\x1bcolour", "\x00"])
def test_a_subject_is_one_line_of_text(cloud: Cloud, subject: str) -> None:
    sns = client(cloud, "sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    with pytest.raises(ClientError, match="Subject"):
        sns.publish(TopicArn=topic, Message="m", Subject=subject)


@pytest.mark.parametrize(
    ("period", "kept"),
    [
        (10, timedelta(hours=3)),
        (60, timedelta(days=15)),
        (300, timedelta(days=63)),
        (3600, timedelta(days=455)),
    ],
)
def test_datapoints_are_kept_for_as_long_as_their_period_says(
    cloud: Cloud, period: int, kept: timedelta
) -> None:
    cloudwatch = client(cloud, "cloudwatch")
    now = cloud.clock.now()
    stat = {"Metric": {"Namespace": "N", "MetricName": f"m{period}"}, "Period": period, "Stat": "Sum"}  # fmt: skip
    for age, values in ((kept - timedelta(hours=1), [1.0]), (kept + timedelta(hours=2), [])):
        at = (now - age).replace(minute=0, second=0, microsecond=0)
        data = {"MetricName": f"m{period}", "Value": 1.0, "Timestamp": at}
        cloudwatch.put_metric_data(Namespace="N", MetricData=[data])
        answer = cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "q", "MetricStat": stat}],
            StartTime=at,
            EndTime=at + timedelta(seconds=period),
        )
        assert answer["MetricDataResults"][0]["Values"] == values


def test_datapoints_come_in_pages(cloud: Cloud) -> None:
    cloudwatch = client(cloud, "cloudwatch")
    now = cloud.clock.now().replace(second=0, microsecond=0)
    for minute in range(5):
        data = [
            {"MetricName": name, "Value": minute, "Timestamp": now - timedelta(minutes=minute)}
            for name in ("a", "b")
        ]
        cloudwatch.put_metric_data(Namespace="Pages", MetricData=data)
    queries = [
        {"Id": name, "MetricStat": {"Metric": {"Namespace": "Pages", "MetricName": name}, "Period": 60, "Stat": "Sum"}}
        for name in ("a", "b")
    ]  # fmt: skip
    asked = {
        "MetricDataQueries": queries,
        "StartTime": now - timedelta(minutes=4),
        "EndTime": now + timedelta(minutes=1),
    }
    found: dict[str, list[float]] = {"a": [], "b": []}
    states = []
    for page in cloudwatch.get_paginator("get_metric_data").paginate(**asked, MaxDatapoints=3):
        for result in page["MetricDataResults"]:
            found[result["Id"]] += result["Values"]
            states.append((result["Id"], result["StatusCode"]))
    assert found == {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4]}
    assert states == [("a", "PartialData"), ("a", "Complete"), ("b", "PartialData"), ("b", "PartialData"), ("b", "Complete")]  # fmt: skip


def test_a_lost_answer_is_asked_for_again_and_its_effect_stays(cloud: Cloud) -> None:
    ecs = client(cloud, "ecs")
    lost: list[str] = []

    def first(call: Any) -> bool:
        lost.append(call.operation)
        return call.operation == "RegisterTaskDefinition" and len(lost) == 1

    undo = cloud.recorder.lose(first)
    container = {"name": "app", "image": "auth", "memory": 128}
    made = ecs.register_task_definition(family="lost", containerDefinitions=[container])
    undo()
    assert made["taskDefinition"]["revision"] == 2
    assert lost == ["RegisterTaskDefinition"] * 2
