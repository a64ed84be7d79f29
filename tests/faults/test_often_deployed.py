"""A service that has been deployed twenty times a day for ten years is judged as one that was deployed three times."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from autorollback.decision.retention import Kept
from tests.faults.campaign import (
    CLUSTER,
    LARGEST_ITEM,
    LARGEST_MESSAGE,
    TABLE,
    Campaign,
    Faults,
    campaign,
)

TEN_YEARS = 73_000
APART = timedelta(days=1) / 20
LAST_WEEKS = 120
"""Deployments: ECS tells them on six pages."""

ONE_QUERY = 1024 * 1024 // 4
"""Bytes: a quarter of what one page of a query holds (API Query, 1 MB)."""

HEARD = 30
"""Of the newest as many completions are heard of: more than records are kept of the newest."""


@pytest.fixture(scope="module")
def here() -> Iterator[Campaign]:
    with campaign() as cloud:
        yield cloud


def remembered(here: Campaign, service: str) -> None:
    """Of ten years of records of what ran well those that are kept, as their retention leaves them."""
    now = here.cloud.clock.now()
    ends = {f"{n:064}": now - (n + LAST_WEEKS) * APART for n in range(TEN_YEARS)}
    kept = Kept(now)
    for name, until in ends.items():
        kept.add(name, until)
    assert 20 <= len(kept.names()) <= 46
    serialize = TypeSerializer().serialize
    for name in kept.names():
        until = ends[name]
        arn = f"arn:aws:ecs:{here.cloud.region}:{here.cloud.account}"
        item: dict[str, Any] = {
            "pk": f"service#{CLUSTER}/{service}",
            "sk": f"good#{name}",
            "revision": f"{arn}:service-revision/{CLUSTER}/{service}/{name[:20]}",
            "task_definition": f"{service}:9{name[-6:]}",
            "task_definition_arn": f"{arn}:task-definition/{service}:9{name[-6:]}",
            "images": {"app": f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"},
            "since": (until - timedelta(minutes=60)).isoformat(timespec="milliseconds"),
            "until": until.isoformat(timespec="milliseconds"),
        }
        attributes = {key: serialize(value) for key, value in item.items()}
        here.dynamodb.put_item(TableName=TABLE, Item=attributes)


def released(here: Campaign, service: str, build: int, *, serves: timedelta = APART) -> list[str]:
    """A build of its own goes out, completes, and serves a while; the calls that its completion led to."""
    tag = f"{service}-{build}"
    here.world.push("app", tag)
    arn = here.world.define(service, {"app": f"{here.repository}:{tag}"})
    here.world.deploy(CLUSTER, service, arn)
    here.passes(timedelta(minutes=6))
    faults = Faults()
    if build >= LAST_WEEKS - HEARD:
        event = here.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_COMPLETED")
        assert not here.invoke(event, faults), here.raised
    here.passes(serves - timedelta(minutes=6))
    return faults.calls


def goes_bad(here: Campaign, service: str) -> list[str]:
    """The newest build turns out bad and is rolled back; the calls that its alarm led to."""
    running = here.cloud.ecs.find(CLUSTER, service).task_definition
    released(here, service, LAST_WEEKS, serves=timedelta(minutes=10))
    minute = here.cloud.clock.now().replace(second=0, microsecond=0)
    here.alarm(service, "ALARM", minute - timedelta(minutes=3))
    faults = Faults()
    assert not here.invoke(here.event("completed", service), faults), here.raised
    answer = here.answers[-1]
    assert answer["outcome"] == "rolled_back", answer
    assert running.endswith(answer["to"]["task_definition"])
    here.recovers(service)
    return faults.calls


def largest_event(here: Campaign) -> int:
    """Bytes of the largest that was put."""
    puts = [call for call in here.cloud.recorder.calls() if call.operation == "PutEvents"]
    return max(
        len(entry["Detail"].encode()) for call in puts for entry in call.parameters["Entries"]
    )


def test_a_judgement_asks_as_often_and_writes_as_little(here: Campaign) -> None:
    new, old = here.prepare(2)
    released(here, new, LAST_WEEKS - 1)
    remembered(here, old)
    completions = [released(here, old, build) for build in range(LAST_WEEKS)]
    assert Counter(completions[-1]) == Counter(completions[-HEARD + 5])
    assert Counter(goes_bad(here, old)) == Counter(goes_bad(here, new))

    sizes = {str(item["sk"]): len(json.dumps(item, default=str)) for item in here.items(old)}
    good = [name for name in sizes if name.startswith("good#")]
    assert 20 <= len(good) <= 46 + HEARD, "what is too much is removed with the next completion"
    assert max(sizes.values()) < LARGEST_ITEM
    assert sum(sizes.values()) < ONE_QUERY
    assert max(len(json.dumps(message)) for message in here.told(old)) < LARGEST_MESSAGE
    assert largest_event(here) < LARGEST_MESSAGE
