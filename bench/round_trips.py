"""Calls and round trips in sequence of one automatic rollback, by the size of the service's past.

    make round-trips

Runs the function's own code against the local cloud, with 20 ms added to each call. Two calls are in sequence where one began
after the other had ended; the depth is the longest such chain. The service has three alarms, two containers, two secrets
and two roles; the bad deployment has completed, and the function has heard so, as it does in AWS.
"""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import boto3
from rich.console import Console
from rich.table import Table

from autorollback import handler, results
from autorollback.aws.clients import Clients
from autorollback.flows.session import Invocation
from autorollback.naming import Names, ServiceKey
from autorollback.policy import parse_service
from localcloud.ecs.world import World
from localcloud.server import Cloud, running
from localcloud.traffic import Behaviour

DELAY = 0.020
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = ServiceKey("my-cluster", "auth-service")
LOAD_BALANCER, TARGET_GROUP = "app/my-alb/50dc6c495c0c9188", "targetgroup/auth/943f017f100becff"
TABLE = "ledger"


@dataclass(frozen=True)
class Span:
    """One call, in seconds of this process's steady clock."""

    operation: str
    began: float
    ended: float


class Stopwatch:
    """Times every call of a session's clients, and makes each last `delay` seconds longer."""

    def __init__(self, session: boto3.Session, delay: float) -> None:
        self.spans: list[Span] = []
        self._delay = delay
        self._local = threading.local()
        events = session.events
        events.register("before-call", self._before)
        events.register("after-call", self._after)

    def _before(self, **_: Any) -> None:
        self._local.began = time.perf_counter()
        time.sleep(self._delay)

    def _after(self, model: Any, **_: Any) -> None:
        self.spans.append(Span(str(model.name), self._local.began, time.perf_counter()))


def depth(spans: list[Span]) -> int:
    """The longest chain of calls of which each began after the one before had ended."""
    longest: list[tuple[float, int]] = []
    for span in sorted(spans, key=lambda s: s.began):
        longest.append(
            (span.ended, 1 + max((n for ended, n in longest if ended <= span.began), default=0))
        )
    return max((n for _, n in longest), default=0)


@dataclass(frozen=True)
class Rehearsal:
    """A service whose bad deployment has completed, and the alarm about it, of which the function has not heard yet."""

    cloud: Cloud
    clients: Clients
    watch: Stopwatch
    alarm: Mapping[str, Any]

    def answer(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What the function answers to an event, in this process."""
        with mock.patch.object(handler, "_clients", return_value=self.clients):
            invocation = Invocation("round-trips", self.cloud.clock.now(), timedelta(minutes=2))
            settings = handler.settings_of(os.environ)
            return results.to_json(handler.answer(settings, invocation, event))


@contextmanager
def rehearsed(
    revisions: int,
    deployments: int,
    delay: float = DELAY,
    *,
    heard: bool = True,
) -> Iterator[Rehearsal]:
    """A service with such a past, right before the alarm; each call lasts `delay` seconds longer.

    The function has `heard` that the bad deployment completed, and recorded what that replaced.
    """
    with running(START) as cloud, _environment(cloud):
        session = cloud.session("function")
        # before any client is made: clients of one name are shared
        watch = Stopwatch(session, delay)
        events = _deployed_badly(cloud, revisions, deployments)
        completed = _of(events, "eventName", "SERVICE_DEPLOYMENT_COMPLETED")[-1]
        if heard:
            Rehearsal(cloud, Clients(session), watch, {}).answer(completed)
        cloud.clock.advance(timedelta(minutes=6))
        alarm = next(
            e
            for e in events
            if e["detail"].get("alarmName", "").endswith("/5xx-rate") and _is_red(e)
        )
        rehearsal = Rehearsal(cloud, Clients(session), watch, alarm)
        # makes the clients
        rehearsal.answer({"action": "plan", "service": KEY.service, "cluster": KEY.cluster})
        watch.spans.clear()
        yield rehearsal


def measure(
    revisions: int, deployments: int, *, heard: bool = True
) -> tuple[list[Span], dict[str, Any]]:
    """The calls of one rollback of a service with such a past, and what came of it.

    The function has `heard` that the bad deployment completed, and recorded what that replaced.
    """
    with rehearsed(revisions, deployments, heard=heard) as rehearsal:
        answer = rehearsal.answer(rehearsal.alarm)
        return rehearsal.watch.spans, answer


def _is_red(event: Mapping[str, Any]) -> bool:
    return bool(event["detail"]["state"]["value"] == "ALARM")


def _of(events: list[dict[str, Any]], key: str, value: str) -> list[dict[str, Any]]:
    return [event for event in events if event.get("detail", {}).get(key) == value]


@contextmanager
def _environment(cloud: Cloud) -> Iterator[None]:
    kept = dict(os.environ)
    os.environ |= {
        "AUTO_ROLLBACK_NAME": "auto-rollback",
        "LEDGER_TABLE": TABLE,
        "PROTECTED_SERVICES": "1000",
    }
    os.environ["TOPIC_ARN"] = f"arn:aws:sns:{cloud.region}:{cloud.account}:auto-rollback"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= kept


def _deployed_badly(cloud: Cloud, revisions: int, deployments: int) -> list[dict[str, Any]]:
    """A past of so many revisions and deployments, then a bad deployment that has just completed; the events, as they come."""
    events: list[dict[str, Any]] = []
    cloud.emit = events.append
    world = World.of(cloud)
    _foundation(world)
    content = _content(world)
    for number in range(min(revisions - 1, deployments)):
        world.push("auth", f"v{number}")
    definitions = [_define(world, content, f"v{number}") for number in range(revisions - 1)]
    cloud.traffic.behaviour(world.push("auth", "bad"), Behaviour(error_rate=0.4, latency_seconds=5))
    bad = _define(world, content, "bad")
    group = f"arn:aws:elasticloadbalancing:{cloud.region}:{cloud.account}:{TARGET_GROUP}"
    balanced = [{"targetGroupArn": group, "containerName": "app", "containerPort": 80}]
    past = (definitions * (deployments // len(definitions) + 1))[: deployments - 1]
    world.service(KEY.cluster, KEY.service, past[0], loadBalancers=balanced)
    cloud.traffic.serve(
        KEY.cluster,
        KEY.service,
        load_balancer=LOAD_BALANCER,
        target_group=TARGET_GROUP,
        requests_per_minute=600,
    )
    for definition in past[1:]:
        cloud.clock.advance(timedelta(minutes=2))
        world.deploy(KEY.cluster, KEY.service, definition)
    cloud.clock.advance(timedelta(hours=30))
    world.deploy(KEY.cluster, KEY.service, bad)
    cloud.clock.advance(timedelta(minutes=2))
    return events


def _foundation(world: World) -> None:
    """Cluster, ledger, topic, policy and the three alarms."""
    session: Any = world.session
    world.cluster(KEY.cluster)
    keys = ("pk", "sk", "unfinished", "due_at", "timeline", "at")
    session.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": _keys(name, by),
                "Projection": {"ProjectionType": "ALL"},
            }
            for name, by in (("unfinished", "due_at"), ("timeline", "at"))
        ],
    )
    session.client("sns").create_topic(Name="auto-rollback")
    document = {
        "cluster": KEY.cluster, "service": KEY.service, "load_balancer": LOAD_BALANCER, "target_group": TARGET_GROUP,
        "families": [KEY.service], "task_roles": [f"{KEY.service}-*"],
    }  # fmt: skip
    policy = json.dumps(parse_service(document).to_document())
    session.client("ssm").put_parameter(
        Name=Names().policy_parameter(KEY), Type="String", Value=policy
    )
    for signal, metric, statistic, threshold in (
        ("5xx-rate", "HTTPCode_Target_5XX_Count", {"Statistic": "Sum"}, 30),
        ("latency", "TargetResponseTime", {"ExtendedStatistic": "p99"}, 2),
        ("unhealthy-targets", "UnHealthyHostCount", {"Statistic": "Minimum"}, 1),
    ):
        session.client("cloudwatch").put_metric_alarm(
            AlarmName=Names().alarm(KEY, signal),
            Namespace="AWS/ApplicationELB",
            MetricName=metric,
            Dimensions=[
                {"Name": "LoadBalancer", "Value": LOAD_BALANCER},
                {"Name": "TargetGroup", "Value": TARGET_GROUP},
            ],
            Period=60,
            EvaluationPeriods=5,
            DatapointsToAlarm=3,
            Threshold=threshold,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            **statistic,
        )


def _keys(partition: str, sort: str) -> list[Mapping[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def _content(world: World) -> dict[str, Any]:
    """Content of a task definition with two containers, two secrets and two roles."""
    session: Any = world.session
    app, sidecar = world.repository("auth"), world.repository("proxy")
    world.push("proxy", "v1")
    manager, iam = session.client("secretsmanager"), session.client("iam")
    secrets = [
        {
            "name": name.upper(),
            "valueFrom": manager.create_secret(Name=name, SecretString="-")["ARN"],
        }
        for name in ("database", "token")
    ]
    roles = {
        key: iam.create_role(RoleName=f"{KEY.service}-{kind}", AssumeRolePolicyDocument="{}")[
            "Role"
        ]["Arn"]
        for key, kind in (("taskRoleArn", "task"), ("executionRoleArn", "execution"))
    }
    containers = [
        {
            "name": "app",
            "image": app,
            "memory": 512,
            "essential": True,
            "secrets": secrets,
            "portMappings": [{"containerPort": 80}],
        },
        {"name": "proxy", "image": f"{sidecar}:v1", "memory": 64, "essential": True},
    ]
    return {**roles, "containerDefinitions": containers}


def _define(world: World, content: Mapping[str, Any], tag: str) -> str:
    app, proxy = content["containerDefinitions"]
    containers = [app | {"image": f"{app['image']}:{tag}"}, proxy]
    return world.define(KEY.service, {}, **{**content, "containerDefinitions": containers})


def main() -> None:
    """Print the table."""
    table = Table(
        "past",
        "outcome",
        "calls to UpdateService",
        "depth to UpdateService",
        "calls in all",
        "depth in all",
    )
    details: list[str] = []
    for revisions, deployments, heard in ((3, 3, True), (1000, 300, True), (3, 3, False)):
        spans, result = measure(revisions, deployments, heard=heard)
        acted = next((s.ended for s in spans if s.operation == "UpdateService"), 0.0)
        until = [s for s in spans if s.ended <= acted]
        table.add_row(
            f"{revisions} revisions, {deployments} deployments{'' if heard else ', no record'}",
            str(result["outcome"]),
            *(str(n) for n in (len(until), depth(until), len(spans), depth(spans))),
        )
        details.append(" ".join(s.operation for s in sorted(spans, key=lambda s: s.began)))
    Console().print(table)
    for line in details:
        print(line)


if __name__ == "__main__":
    main()
