"""An alarm storm: 1,000 services with 3 alarms each, at once, against AWS's published rates, on a simulated clock.

    make storm

The function's own code runs; AWS is a stand-in behind its clients, with a token bucket for each rate that AWS publishes
(ECS: request-throttling.html; CloudWatch: cloudwatch_limits.html) and the SDK's own retries of throttling
(botocore.retries.standard). Lambda runs up to 1,000 at once, ends what runs into the timeout, and tries twice again. Within an
invocation the calls go one after the other, where the function sends some at once. With `--inactive` every target has been
deregistered, so that each rollback has to register a copy. All chance comes from `--seed`: the same one gives the same storm.
"""

import heapq
import json
import os
import random
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest import mock

import botocore.session
import click
from botocore.config import Config
from botocore.exceptions import ClientError
from rich.console import Console
from rich.table import Table

from autorollback import handler, metrics
from autorollback.aws import asking, neighbours
from autorollback.aws import clients as real_clients
from autorollback.aws.clients import CONFIG, UNRETRIED
from autorollback.flows import session
from autorollback.flows.session import Invocation, Settings
from autorollback.naming import Names
from autorollback.policy import parse_service

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLUSTER = "prod"
ACCOUNT = "arn:aws:ecs:eu-west-1:123456789012:"
SIGNALS = ("5xx-rate", "latency", "unhealthy-targets")
LATENCY = 0.02  # seconds a call takes
AT_ONCE = 1000  # Lambda's default limit of concurrent executions in a Region
TIMEOUT = timedelta(
    seconds=300
)  # of the function, infrastructure/autorollback_cdk/auto_rollback.py
RETRIES = (60.0, 120.0)  # seconds after which Lambda tries again
SWEEP = 300.0
LONGEST_BACK_OFF = 20.0  # seconds; botocore.retries.standard, ExponentialBackoff

Rate = tuple[str, float, float]
_DEPLOYMENTS: Rate = ("List+DescribeServiceDeployments", 50, 20)
_REGISTER: Rate = ("RegisterTaskDefinition", 20, 1)
RATES: dict[str, Rate] = {
    "update_service": ("UpdateService", 50, 5),
    "describe_services": ("DescribeServices", 100, 20),
    "list_service_deployments": _DEPLOYMENTS,
    "describe_service_deployments": _DEPLOYMENTS,
    "describe_service_revisions": ("DescribeServiceRevisions", 50, 20),
    "describe_task_definition": ("DescribeTaskDefinition", 50, 20),
    "list_tasks": ("ListTasks", 100, 20),
    "register_task_definition": _REGISTER,
    "describe_alarms": ("DescribeAlarms", 9, 9),
    "describe_alarm_history": ("DescribeAlarmHistory", 20, 20),
    "get_metric_data": ("GetMetricData", 500, 500),
}


class Clock:
    """Simulated seconds. Of all threads that play invocations one runs at a time: the one whose moment is next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._turn = threading.Semaphore(0)
        self._number = 0

    def at(self, moment: float, work: Callable[[], None]) -> None:
        """Have something done at a moment, in a thread of its own."""
        gate = self._queue(moment)

        def run() -> None:
            gate.acquire()
            try:
                work()
            finally:
                self._turn.release()

        threading.Thread(target=run, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Let simulated time pass, and the others work meanwhile."""
        gate = self._queue(self.now + seconds)
        self._turn.release()
        gate.acquire()

    def run(self, until: Callable[[], bool]) -> None:
        """Go from moment to moment."""
        while self._waiting and not until():
            self.now, _, gate = heapq.heappop(self._waiting)
            gate.release()
            self._turn.acquire()

    def _queue(self, moment: float) -> threading.Semaphore:
        gate = threading.Semaphore(0)
        self._number += 1
        heapq.heappush(self._waiting, (moment, self._number, gate))
        return gate


@dataclass
class Bucket:
    """A token bucket: `burst` tokens, refilled by `rate` a second."""

    burst: float
    rate: float
    tokens: float = field(init=False)
    at: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> bool:
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class TimedOutError(BaseException):
    """Lambda ends the process."""


@dataclass
class Cloud:
    """What AWS would answer: every service ran its first build for a day, and its second for ten minutes."""

    services: int
    inactive: bool
    clock: Clock = field(default_factory=Clock)
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    rolled_back: dict[str, float] = field(default_factory=dict)
    copies: dict[str, Any] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    throttled: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    unanswered: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.buckets = {name: Bucket(burst, rate) for name, burst, rate in RATES.values()}
        self.model = botocore.session.get_session().get_service_model("ecs")

    def asked(self, operation: str, deadline: float, chance: random.Random, config: Any) -> None:
        """One call as the SDK makes it: throttled, it waits and tries again, up to its limit."""
        name, attempts = RATES.get(operation, ("", 0, 0))[0], config.retries["total_max_attempts"]
        for attempt in range(attempts):
            self.pause(LATENCY, deadline)
            self.calls[operation] += 1
            if not name or self.buckets[name].take(self.clock.now):
                return
            self.throttled[operation] += 1
            if attempt == attempts - 1:
                break
            self.pause(min(chance.random() * 2**attempt, LONGEST_BACK_OFF), deadline)
        raise ClientError(
            {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}, operation
        )

    def pause(self, seconds: float, deadline: float) -> None:
        self.clock.sleep(min(seconds, max(0.0, deadline - self.clock.now)))
        if self.clock.now >= deadline:
            raise TimedOutError

    def time(self, seconds: float = 0.0) -> datetime:
        return START + timedelta(seconds=seconds)


class Refused(ClientError):  # noqa: N818 - says what happened
    """A condition that was not met, in the words of DynamoDB."""

    def __init__(self, code: str, reasons: list[str] | None = None) -> None:
        answer: Any = {
            "Error": {"Code": code, "Message": code},
            "CancellationReasons": [{"Code": r} for r in reasons or []],
        }
        super().__init__(answer, "write")


class Clients:
    """The function's clients of one invocation: each method is a call to the stand-in."""

    def __init__(
        self, cloud: Cloud, deadline: float, chance: random.Random, config: Config = CONFIG
    ) -> None:
        self._cloud, self._deadline, self._config = cloud, deadline, config
        self.chance = chance
        names = ("ConditionalCheckFailedException", "TransactionConflictException", "TransactionCanceledException",
                 "ParameterNotFound", "ClusterNotFoundException", "ServiceNotFoundException", "ClientException",
                 "RepositoryNotFoundException", "ImageNotFoundException", "InvalidParameterException")  # fmt: skip
        self.exceptions = SimpleNamespace(**{n: type(n, (Refused,), {}) for n in names})
        self.meta = SimpleNamespace(service_model=cloud.model)
        self.dynamodb = self.ssm = self.ecs = self.cloudwatch = self.ecr = self.sns = (
            self.events
        ) = self.elbv2 = self
        self._raw: dict[str, Any] = {}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        if not hasattr(Answers, operation):
            self._cloud.unanswered.add(operation)
        answer = getattr(Answers, operation)

        def call(**parameters: Any) -> Any:
            self._cloud.asked(operation, self._deadline, self.chance, self._config)
            return answer(self._cloud, self, **parameters)

        return call

    @property
    def cloudwatch_unretried(self) -> "Clients":
        return Clients(self._cloud, self._deadline, self.chance, UNRETRIED)

    ecs_unretried = cloudwatch_unretried

    def get_paginator(self, operation: str) -> Any:
        def paginate(**asked: Any) -> Iterator[Any]:
            asked.pop("PaginationConfig", None)
            yield getattr(self, operation)(**asked)

        return SimpleNamespace(paginate=paginate)

    def raw_answer(self) -> Any:
        return self._raw

    def keep_raw(self, raw: dict[str, Any]) -> None:
        self._raw = raw


class Answers:
    """What each operation says and does, in boto3's shapes."""

    @staticmethod
    def put_item(cloud: Cloud, to: Clients, **asked: Any) -> Any:
        if not Answers._met(cloud, asked):
            raise to.exceptions.ConditionalCheckFailedException("ConditionalCheckFailedException")
        cloud.items[_place(asked["Item"])] = asked["Item"]
        return {}

    @staticmethod
    def delete_item(cloud: Cloud, to: Clients, **asked: Any) -> Any:
        if not Answers._met(cloud, asked):
            raise to.exceptions.ConditionalCheckFailedException("ConditionalCheckFailedException")
        cloud.items.pop(_place(asked["Key"]), None)
        return {}

    @staticmethod
    def transact_write_items(cloud: Cloud, to: Clients, **asked: Any) -> Any:
        writes = [
            (kind, write) for entry in asked["TransactItems"] for kind, write in entry.items()
        ]
        if not all(Answers._met(cloud, write) for _, write in writes):
            raise to.exceptions.TransactionCanceledException(
                "TransactionCanceledException", ["ConditionalCheckFailed"]
            )
        for kind, write in writes:
            if kind == "Put":
                cloud.items[_place(write["Item"])] = write["Item"]
            else:
                cloud.items.pop(_place(write["Key"]), None)
        return {}

    @staticmethod
    def _met(cloud: Cloud, write: dict[str, Any]) -> bool:
        """The function's own conditions, each by its words; another one is a KeyError that names it."""
        there = cloud.items.get(_place(write.get("Item") or write["Key"]), {})
        values = write.get("ExpressionAttributeValues", {})
        rules: dict[str | None, Callable[[], bool]] = {
            None: lambda: True,
            "attribute_not_exists(pk)": lambda: not there,
            "attribute_not_exists(pk) OR #until < :now OR #owner = :owner": lambda: (
                not there
                or there["until"]["S"] < values[":now"]["S"]
                or there["owner"] == values[":owner"]
            ),
            "#owner = :owner": lambda: there.get("owner") == values[":owner"],
            "step = :before": lambda: there.get("step") == values[":before"],
            "#state = :claimed AND step = :step": lambda: (
                there.get("state") == values[":claimed"] and there.get("step") == values[":step"]
            ),
        }
        return rules[write.get("ConditionExpression")]()

    @staticmethod
    def get_item(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        found = cloud.items.get(_place(asked["Key"]))
        return {"Item": found} if found else {}

    @staticmethod
    def query(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        values = asked["ExpressionAttributeValues"]
        if asked.get("IndexName") == "unfinished":
            due = [
                i
                for i in cloud.items.values()
                if "unfinished" in i and i["due_at"]["S"] <= values[":now"]["S"]
            ]
            return {"Items": sorted(due, key=lambda i: str(i["due_at"]["S"]))}
        prefix = values.get(":prefix", {"S": ""})["S"]
        found = [
            item
            for (pk, sk), item in sorted(cloud.items.items())
            if pk == values[":pk"]["S"] and sk.startswith(prefix)
        ]
        if not asked.get("ScanIndexForward", True):
            found.reverse()
        return {"Items": found[: asked.get("Limit")]}

    @staticmethod
    def get_parameter(_cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        return {"Parameter": {"Value": _policy(asked["Name"])}}

    @staticmethod
    def get_parameters(_cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        return {"Parameters": [{"Name": name, "Value": _policy(name)} for name in asked["Names"]]}

    @staticmethod
    def describe_services(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        return {"services": [_service(cloud, service) for service in asked["services"]]}

    @staticmethod
    def list_service_deployments(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        service = asked["service"]
        numbers = (3, 2, 1) if service in cloud.rolled_back else (2, 1)
        briefs = [
            {"serviceDeploymentArn": _arn("service-deployment", service, n), "createdAt": _created(cloud, service, n),
             "targetServiceRevisionArn": _arn("service-revision", service, n), "status": "SUCCESSFUL",
             "finishedAt": _created(cloud, service, n) + timedelta(minutes=3)}
            for n in numbers[: asked["maxResults"]]
        ]  # fmt: skip
        return {"serviceDeployments": briefs}

    @staticmethod
    def describe_service_deployments(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        found = []
        for arn in asked["serviceDeploymentArns"]:
            service, number = _of(arn)
            created = _created(cloud, service, number)
            source = [{"arn": _arn("service-revision", service, number - 1)}] if number > 1 else []
            found.append(
                {"serviceDeploymentArn": arn, "status": "SUCCESSFUL", "createdAt": created, "startedAt": created,
                 "finishedAt": created + timedelta(minutes=3), "sourceServiceRevisions": source,
                 "targetServiceRevision": {"arn": _arn("service-revision", service, number)}}
            )  # fmt: skip
        return {"serviceDeployments": found}

    @staticmethod
    def describe_service_revisions(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        found = []
        for arn in asked["serviceRevisionArns"]:
            service, number = _of(arn)
            build = 2 if number == 2 else 1
            definition = f"{ACCOUNT}task-definition/{service}:{build}"
            if number == 3 and cloud.inactive:
                definition = f"{ACCOUNT}task-definition/{service}:3"
            found.append(
                {"serviceRevisionArn": arn, "taskDefinition": definition, "createdAt": _created(cloud, service, number),
                 "containerImages": [{"containerName": "app", "imageDigest": _digest(build)}]}
            )  # fmt: skip
        return {"serviceRevisions": found}

    @staticmethod
    def describe_task_definition(cloud: Cloud, to: Clients, **asked: Any) -> Any:
        name = str(asked["taskDefinition"]).rpartition("/")[2]
        family, _, number = name.partition(":")
        if not number:
            number = "3" if family in cloud.copies else "2"
        tags = cloud.copies[family]["tags"] if number == "3" else []
        build = 2 if number == "2" else 1
        image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{family}@{_digest(build)}"
        container = {
            "name": "app",
            "image": image,
            "memory": 512,
            "portMappings": [{"containerPort": 80}],
        }
        definition = {
            "taskDefinitionArn": f"{ACCOUNT}task-definition/{family}:{number}", "family": family,
            "status": "INACTIVE" if cloud.inactive and number == "1" else "ACTIVE", "containerDefinitions": [container],
        }  # fmt: skip
        to.keep_raw({"taskDefinition": definition, "tags": tags})
        return {"taskDefinition": definition, "tags": tags}

    @staticmethod
    def list_tasks(_cloud: Cloud, _to: Clients, **_asked: Any) -> Any:
        return {"taskArns": []}

    @staticmethod
    def register_task_definition(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        family = asked["family"]
        cloud.acts[f"register {family}"] += 1
        cloud.copies[family] = asked
        arn = f"{ACCOUNT}task-definition/{family}:3"
        return {"taskDefinition": {"taskDefinitionArn": arn, "status": "ACTIVE"}}

    @staticmethod
    def update_service(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        cloud.acts[asked["service"]] += 1
        cloud.rolled_back.setdefault(asked["service"], cloud.clock.now)
        return {}

    @staticmethod
    def describe_alarms(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        names = asked.get("AlarmNames")
        if names is None:
            every = (
                f"{asked['AlarmNamePrefix']}{CLUSTER}/service-{n}/{s}"
                for n in range(cloud.services)
                for s in SIGNALS
            )
            names = [name for name, _ in zip(every, range(100), strict=False)]
        return {"MetricAlarms": [_described(n) for n in names if "/" in n], "CompositeAlarms": []}

    @staticmethod
    def describe_alarm_history(_cloud: Cloud, _to: Clients, **_asked: Any) -> Any:
        return {"AlarmHistoryItems": []}

    @staticmethod
    def get_metric_data(_cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        period = timedelta(seconds=asked["MetricDataQueries"][0]["MetricStat"]["Period"])
        first = asked["StartTime"].replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        times = [first + i * period for i in range(20)]
        return {"MetricDataResults": [{"Timestamps": times, "Values": [600.0] * len(times)}]}

    @staticmethod
    def describe_images(_cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        return {"imageDetails": asked["imageIds"]}

    @staticmethod
    def batch_get_image(_cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        return {"images": [{"imageId": image} for image in asked["imageIds"]], "failures": []}

    @staticmethod
    def describe_target_health(_cloud: Cloud, _to: Clients, **_asked: Any) -> Any:
        return {"TargetHealthDescriptions": [{"TargetHealth": {"State": "unhealthy"}}] * 4}

    @staticmethod
    def publish(cloud: Cloud, _to: Clients, **asked: Any) -> Any:
        result = json.loads(json.loads(asked["Message"])["default"])
        cloud.told[f"{result['service']} {result['outcome']} {result['reason']}"] += 1
        return {}

    @staticmethod
    def put_events(_cloud: Cloud, _to: Clients, **_asked: Any) -> Any:
        return {"FailedEntryCount": 0, "Entries": [{}]}


def _place(item: dict[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _arn(kind: str, service: str, number: int) -> str:
    return f"{ACCOUNT}{kind}/{CLUSTER}/{service}/{number}"


def _of(arn: str) -> tuple[str, int]:
    _, _, service, number = arn.rsplit("/", 3)
    return service, int(number)


def _policy(parameter: str) -> str:
    service = parameter.rpartition("/")[2]
    document = {"cluster": CLUSTER, "service": service, "families": ["*"], "task_roles": ["*"],
                "load_balancer": "app/alb/50dc6c495c0c9188", "target_group": f"targetgroup/{service}/50dc6c495c0c9188"}  # fmt: skip
    return json.dumps(parse_service(document).to_document())


def _service(cloud: Cloud, service: str) -> dict[str, Any]:
    balancer = {"targetGroupArn": f"arn:{service}", "containerName": "app", "containerPort": 80}
    newest = 3 if service in cloud.rolled_back else 2
    return {
        "serviceArn": f"{ACCOUNT}service/{CLUSTER}/{service}", "serviceName": service, "status": "ACTIVE", "desiredCount": 4,
        "runningCount": 4, "taskDefinition": f"{ACCOUNT}task-definition/{service}:2", "loadBalancers": [balancer],
        "deployments": [_ecs_deployment(cloud, service, number, newest) for number in range(newest, 1, -1)],
    }  # fmt: skip


def _ecs_deployment(cloud: Cloud, service: str, number: int, newest: int) -> dict[str, Any]:
    return {
        "id": f"ecs-svc/{number}", "status": "PRIMARY" if number == newest else "ACTIVE", "failedTasks": 0,
        "runningCount": 4 if number == newest else 0, "createdAt": _created(cloud, service, number),
    }  # fmt: skip


def _created(cloud: Cloud, service: str, number: int) -> datetime:
    ages = {1: timedelta(days=1), 2: timedelta(minutes=12)}
    return cloud.time(cloud.rolled_back[service]) if number == 3 else START - ages[number]


def _digest(build: int) -> str:
    return "sha256:" + str(build) * 64


def _described(name: str) -> dict[str, Any]:
    return {
        "AlarmName": name, "StateValue": "ALARM", "StateTransitionedTimestamp": START, "StateReasonData": _reason_data(),
        "AlarmConfigurationUpdatedTimestamp": START - timedelta(days=30), "Threshold": 5.0, "Period": 60,
        "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 3, "TreatMissingData": "notBreaching",
    }  # fmt: skip


def _reason_data() -> str:
    start = (START - timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return json.dumps(
        {"startDate": start, "period": 60, "recentDatapoints": [40.0, 40.0, 40.0], "threshold": 5.0}
    )


def _event(service: str, signal: str) -> dict[str, Any]:
    at = START.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {
        "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "time": START.isoformat(),
        "detail": {"alarmName": f"auto-rollback/{CLUSTER}/{service}/{signal}",
                   "state": {"value": "ALARM", "timestamp": at, "reasonData": _reason_data()}},
    }  # fmt: skip


def _sweep() -> dict[str, Any]:
    rule = "arn:aws:events:eu-west-1:123456789012:rule/auto-rollback-sweep"
    return {
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "time": START.isoformat(),
        "resources": [rule],
    }


@dataclass
class Lambda:
    """Lambda's queue and its retries: `lost` are the events that ended in the dead-letter queue."""

    cloud: Cloud
    seed: int
    running: int = 0
    waiting: deque[tuple[dict[str, Any], str, int]] = field(default_factory=deque)
    lost: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def send(self, event: dict[str, Any], request: str, tries: int = 0) -> None:
        self.waiting.append((event, request, tries))
        self.start()

    def start(self) -> None:
        while self.waiting and self.running < AT_ONCE:
            event, request, tries = self.waiting.popleft()
            self.running += 1
            run = partial(self._run, event, request, tries)
            self.cloud.clock.at(self.cloud.clock.now, run)

    def _run(self, event: dict[str, Any], request: str, tries: int) -> None:
        clock = self.cloud.clock
        chance = random.Random(f"{self.seed} {request} {tries}")  # noqa: S311 - the seed makes the storm again
        clients = Clients(self.cloud, clock.now + TIMEOUT.total_seconds(), chance)
        invocation = Invocation(request, self.cloud.time(clock.now), TIMEOUT + timedelta(seconds=5))
        _here.clients = clients
        try:
            handler.answer(
                Settings(Names(), "ledger", "topic", self.cloud.services), invocation, event
            )
        except (Exception, TimedOutError) as error:  # noqa: BLE001 - whatever it is, Lambda tries again
            self.failures[type(error).__name__] += 1
            if tries < len(RETRIES):
                clock.at(clock.now + RETRIES[tries], lambda: self.send(event, request, tries + 1))
            else:
                self.lost += 1
        self.running -= 1
        self.start()


_here = threading.local()


def _clients_here() -> Clients:
    clients: Clients = _here.clients
    return clients


def _neighbours(clients: Clients, *others: Any) -> neighbours.Neighbours:
    """The function's own, whose jitter comes from the invocation's chance."""
    made: Callable[..., neighbours.Neighbours] = neighbours.Neighbours
    return made(clients, *others, jitter=clients.chance.random)


def _backoff(attempt: int) -> float:
    """Seconds as the function waits after an attempt, its jitter the invocation's chance."""
    return float(min(_here.clients.chance.random() * 2 ** (attempt - 1), LONGEST_BACK_OFF))


class _Inline:
    """In place of a pool: the simulated clock lets one thread run at a time."""

    def __init__(self, **_: Any) -> None: ...

    def __enter__(self) -> "_Inline":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Callable[[], Any]) -> Any:
        value = work()
        return SimpleNamespace(result=lambda: value)


def storm(services: int, *, inactive: bool, seed: int) -> tuple[Cloud, Lambda]:
    """All alarms fire at once; the sweep goes its rounds until every service has been rolled back and told of."""
    cloud = Cloud(services, inactive)
    function = Lambda(cloud, seed)
    threading.stack_size(512 * 1024)
    for signal in SIGNALS:
        for number in range(services):
            service = f"service-{number}"
            function.waiting.append((_event(service, signal), f"{service} {signal}", 0))
    for round_ in range(24):
        cloud.clock.at(SWEEP * (round_ + 1), lambda r=round_: function.send(_sweep(), f"sweep {r}"))  # type: ignore[misc]  # bound now
    with (
        mock.patch.object(handler, "_clients", _clients_here),
        mock.patch.object(handler, "_report"),
        mock.patch.object(metrics, "count_sweep"),
        mock.patch.object(real_clients, "ThreadPoolExecutor", _Inline),
        mock.patch.object(session, "Neighbours", _neighbours),
        mock.patch.object(neighbours, "monotonic", lambda: cloud.clock.now),  # noqa: PT008 - it goes on
        mock.patch.object(neighbours, "sleep", cloud.clock.sleep),
        mock.patch.object(asking, "sleep", cloud.clock.sleep),
        mock.patch.object(asking, "backoff", _backoff),
    ):
        function.start()
        cloud.clock.run(
            lambda: (
                len(cloud.rolled_back) == services
                and function.running == 0
                and not function.waiting
            )
        )
    return cloud, function


def _rows(cloud: Cloud, function: Lambda, services: int) -> Iterator[tuple[str, str]]:
    twice = sum(1 for count in cloud.acts.values() if count > 1)
    last = max(cloud.rolled_back.values(), default=0.0)
    name, burst, rate = _REGISTER if cloud.inactive else RATES["update_service"]
    least = max(services - burst, 0) / rate
    yield "services rolled back", f"{len(cloud.rolled_back)} of {services}"
    yield "services acted on twice", str(twice)
    yield "events lost to the dead-letter queue", str(function.lost)
    yield "invocations that Lambda tried again", str(dict(function.failures) or 0)
    yield (
        "calls per rollback, throttled ones included",
        f"{sum(cloud.calls.values()) / services:.1f}",
    )
    yield "of these throttled", f"{sum(cloud.throttled.values()) / services:.1f}"
    yield "last rollback after", f"{last:.0f} s"
    yield f"least that {name} allows ({burst:g} at once, {rate:g}/s)", f"{least:.0f} s"
    if least:
        yield "last rollback over the least", f"{last / least:.2f}"
    for operation, count in cloud.throttled.most_common(4):
        yield f"throttled: {operation}", f"{count} of {cloud.calls[operation]}"


@click.command()
@click.option("--services", default=1000, show_default=True)
@click.option(
    "--seed", default=1, show_default=True, help="Of all chance: the same one gives the same storm."
)
@click.option(
    "--inactive", is_flag=True, help="Every target has been deregistered: each needs a copy."
)
def main(services: int, seed: int, inactive: bool) -> None:  # noqa: FBT001 - click passes options by name
    """Play one storm and print its table."""
    cloud, function = storm(services, inactive=inactive, seed=seed)
    table = Table(
        title=f"{services} services x {len(SIGNALS)} alarms at once{', every target INACTIVE' if inactive else ''}"
    )
    for column in ("what", "measured"):
        table.add_column(column)
    for row in _rows(cloud, function, services):
        table.add_row(*row)
    Console().print(table)
    if cloud.unanswered:
        names = ", ".join(sorted(cloud.unanswered))
        raise click.ClickException(f"the stand-in for AWS does not answer {names}: add them to it")


if __name__ == "__main__":
    if (
        os.environ.get("PYTHONHASHSEED") != "0"
    ):  # the order in which sets are gone through would be chance, too
        environment = os.environ | {"PYTHONHASHSEED": "0"}
        os.execve(sys.executable, [sys.executable, "-m", "bench.storm", *sys.argv[1:]], environment)  # noqa: S606 - itself
    main()
