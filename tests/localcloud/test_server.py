"""The server itself: isolation, the record of calls, interference, and errors that name what is missing."""

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import BrokenBarrierError
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from localcloud.errors import NOT_MODELLED, Refusal
from localcloud.recorder import Call
from localcloud.server import Cloud, running

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(START) as cloud:
        yield cloud


def test_nothing_leaks_from_one_cloud_into_the_next() -> None:
    for _ in range(2):
        with running(START) as cloud:
            ecs = cloud.session().client("ecs")
            assert ecs.list_clusters()["clusterArns"] == []
            ecs.create_cluster(clusterName="shop")
            assert START <= cloud.clock.now() < START + timedelta(minutes=1)
    assert datetime.now(UTC) - START > timedelta(days=1)  # noqa: TID251 - the real time is back


def test_every_call_is_recorded_with_who_asked_for_what_and_how_it_ended(cloud: Cloud) -> None:
    cloud.recorder.clear()
    cloud.session("alice").client("ecs").describe_clusters(clusters=["shop"])
    cloud.session("bob").client("cloudwatch").describe_alarms(AlarmNames=["a", "b"], MaxRecords=7)
    with pytest.raises(ClientError):
        cloud.session("bob").client("lambda").get_function(FunctionName="none")

    ecs, cloudwatch, function = cloud.recorder
    assert (ecs.service, ecs.operation, ecs.parameters, ecs.access_key, ecs.status) == (
        "ecs", "DescribeClusters", {"clusters": ["shop"]}, "alice", 200,
    )  # fmt: skip
    assert (cloudwatch.service, cloudwatch.operation, cloudwatch.region) == (
        "cloudwatch",
        "DescribeAlarms",
        "eu-west-1",
    )
    assert cloudwatch.parameters == {"AlarmNames": ["a", "b"], "MaxRecords": 7}
    assert (function.operation, function.parameters["FunctionName"], function.status) == (
        "GetFunction",
        "none",
        404,
    )
    assert [call.operation for call in cloud.recorder.calls(access_key="bob")] == [
        "DescribeAlarms",
        "GetFunction",
    ]


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        pytest.param(
            "ecs",
            "describe_daemon",
            {"daemonArn": "arn:aws:ecs:x"},
            id="an operation that moto lacks",
        ),
        pytest.param("lambda", "list_capacity_providers", {}, id="a path that moto lacks"),
        pytest.param("apprunner", "list_services", {}, id="a service that moto lacks"),
    ],
)
def test_what_is_not_modelled_is_refused_by_name_and_not_retried(
    cloud: Cloud, service: str, operation: str, parameters: dict[str, str]
) -> None:
    cloud.recorder.clear()
    client = cloud.session().client(service)  # type: ignore[call-overload] # the stubs want literals
    with pytest.raises(ClientError, match=f"does not model {service}") as refused:
        getattr(client, operation)(**parameters)
    assert refused.value.response["Error"]["Code"] == NOT_MODELLED
    assert [call.status for call in cloud.recorder] == [400]


def test_a_test_can_throttle_a_call_and_run_something_before_it(cloud: Cloud) -> None:
    cloud.recorder.clear()
    calls_seen: list[Call] = []

    def throttle_once(call: Call) -> None:
        calls_seen.append(call)
        if len(calls_seen) == 1:
            raise Refusal("ThrottlingException", "Rate exceeded")

    remove = cloud.recorder.before("ecs", "ListClusters", throttle_once)
    ecs = cloud.session().client(
        "ecs", config=Config(retries={"mode": "standard", "total_max_attempts": 2})
    )
    ecs.list_clusters()
    remove()
    ecs.list_clusters()
    assert [call.status for call in cloud.recorder.calls("ecs", "ListClusters")] == [400, 200, 200]
    assert len(calls_seen) == 2


def test_of_many_conditional_writes_at_once_exactly_one_wins(cloud: Cloud) -> None:
    """A table of the local cloud is as strict as DynamoDB; without this a ledger cannot be tested."""
    dynamodb = cloud.session().client("dynamodb")
    _make_table(dynamodb, "contested")
    # two threads that ask for it first would have a class each
    lost = dynamodb.exceptions.ConditionalCheckFailedException
    contenders = 4
    start = threading.Barrier(contenders, timeout=60)

    def contend() -> list[int]:
        won = []
        for number in range(50):
            start.wait()
            try:
                dynamodb.update_item(
                    TableName="contested",
                    Key={"pk": {"S": str(number)}},
                    UpdateExpression="SET taken = :t",
                    ConditionExpression="attribute_not_exists(taken)",
                    ExpressionAttributeValues={":t": {"BOOL": True}},
                )
                won.append(number)
            except lost:
                pass
        return won

    with _threads_that_change_often(), ThreadPoolExecutor(contenders) as pool:
        contests = [pool.submit(contend) for _ in range(contenders)]
        wait(contests)
    failed = [
        error
        for one in contests
        if (error := one.exception()) and not isinstance(error, BrokenBarrierError)
    ]
    assert failed == []
    assert sorted(number for one in contests for number in one.result()) == list(range(50))


def test_an_item_is_read_whole_while_others_write_it(cloud: Cloud) -> None:
    dynamodb = cloud.session().client("dynamodb")
    _make_table(dynamodb, "read-meanwhile")
    key = {"pk": {"S": "one"}}
    many = {f"a{number}": {"S": "there"} for number in range(200)}
    dynamodb.put_item(TableName="read-meanwhile", Item=key | many)

    def write(name: str) -> None:
        for number in range(40):
            dynamodb.update_item(
                TableName="read-meanwhile",
                Key=key,
                UpdateExpression=f"SET {name}{number} = :there",
                ExpressionAttributeValues={":there": {"S": "there"}},
            )

    with _threads_that_change_often(), ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, name) for name in ("x", "y", "z")]
        wait(writers)
    assert [error for writer in writers if (error := writer.exception())] == []
    item = dynamodb.get_item(TableName="read-meanwhile", Key=key, ConsistentRead=True)["Item"]
    assert len(item) == 1 + 200 + 3 * 40


def _make_table(dynamodb: Any, name: str) -> None:
    """One for each test: they share a cloud, in whatever order and process they run."""
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


@contextmanager
def _threads_that_change_often() -> Iterator[None]:
    """At the usual pace a race is lost too seldom for a test to be able to fail."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("ecs", lambda client: client.list_clusters()),
        ("cloudwatch", lambda client: client.describe_alarms()),
        ("events", lambda client: client.list_rules()),
    ],
)
def test_another_region_is_refused_where_it_would_be_half_there(
    cloud: Cloud, service: str, call: Callable[[Any], object]
) -> None:
    session: Any = cloud.session()
    elsewhere = session.client(service, region_name="us-east-1")
    with pytest.raises(ClientError, match=f"does not model {service} in us-east-1"):
        call(elsewhere)
