"""A seeded campaign against the function: processes die around any AWS call, answers are lost, calls are throttled.

Events come twice, late and from elsewhere; messages cannot be sent for an hour; lists are behind. The handler runs in this process,
against a local cloud over HTTP. A process "dies" by an exception that nothing catches, raised before a call leaves or after its
effect; from then on none of its calls gets through, as if it were gone. Where an answer is lost, the process lives, and asks again.
"""

import json
import os
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Literal, cast
from unittest import mock

import botocore.endpoint
from boto3.dynamodb.types import TypeDeserializer
from moto.dynamodb.exceptions import TransactionCanceledException
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.sns.models import sns_backends

from autorollback import handler, metrics, results
from autorollback.aws import asking, neighbours
from autorollback.aws.clients import Clients
from autorollback.policy import parse_service
from localcloud.ecs.model import Status
from localcloud.ecs.world import World
from localcloud.errors import Refusal
from localcloud.iam import Iam
from localcloud.recorder import Call
from localcloud.server import Cloud, running
from tests.faults.installation import install

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
CLUSTER, TABLE, TOPIC = "prod", "ledger", "auto-rollback"
TIMEOUT = timedelta(seconds=120)
RETRIES = (timedelta(minutes=1), timedelta(minutes=2))
"""Lambda's own, of an asynchronous invocation that failed (Lambda guide, "How Lambda handles errors and retries")."""

ACTS = {
    ("ecs", "UpdateService"),
    ("ecs", "StopServiceDeployment"),
    ("ecs", "RegisterTaskDefinition"),
}
KINDS = ("completed", "in_progress", "copy", "by_hand", "cannot_start", "failed")
WITHOUT_ALARM = ("cannot_start", "failed")
"""Kinds of which ECS tells once: where nobody hears it, the sweep finds no red alarm either."""

PROCESSES = 4
MAX_THROTTLES = 8
WRITES = ("Put", "Update", "Delete", "Transact", "Register", "Stop", "Publish")
"""How the operations of the function begin that change something."""

LARGEST_ITEM, LARGEST_MESSAGE = 400 * 1024 // 4, 256 * 1024 // 4
"""Bytes: a quarter of what DynamoDB takes, and of what SNS takes."""

LONGEST_LAG = 5.0
"""Seconds by which lists and indexes may be behind."""

_read = TypeDeserializer().deserialize


class Died(BaseException):
    """The process is gone. Not an Exception: nothing in the function may catch it."""


class Violation(AssertionError):  # noqa: N818 - the word of the campaign
    """An invariant that does not hold; the message names the case."""


@dataclass
class Faults:
    """What befalls one invocation: death around its call of that number (from 0), throttles by the number of the call.

    Of the calls in `lost` the answer is lost after their effect; of those in `conflicts` an item is in another's transaction.
    """

    dies_at: int | None = None
    after_effect: bool = False
    throttled: Mapping[int, int] = field(default_factory=dict)
    lost: frozenset[int] = frozenset()
    conflicts: frozenset[int] = frozenset()
    calls: list[str] = field(default_factory=list)
    dead: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begins(self, call: str) -> int:
        """A call is about to leave; its number."""
        with self._lock:
            if self.dead:
                raise Died
            number = len(self.calls)
            self.calls.append(call)
            if number == self.dies_at and not self.after_effect:
                self.dead = True
                raise Died
            return number

    def has_effect(self, number: int) -> None:
        """The answer of a call has come."""
        with self._lock:
            if self.dead or (number == self.dies_at and self.after_effect):
                self.dead = True
                raise Died


@dataclass
class Process:
    """One execution environment of the function, with clients of its own; it lives through one invocation after another."""

    name: str
    clients: Clients
    faults: Faults = field(default_factory=Faults)
    throttles_left: dict[int, int] = field(default_factory=dict)


@dataclass
class Case:
    """One incident and what happens to it. `seed` makes it again."""

    kind: str
    seed: int
    first: Faults = field(default_factory=Faults)
    again: str = "retry"  # who comes after the first delivery failed: Lambda's retry, another event, or only the sweep
    random_faults: bool = False
    mail_fails: bool = False  # from the first delivery on, until an hour later

    def __str__(self) -> str:
        if self.random_faults:
            return f"{self.kind}, seed {self.seed}"
        if self.mail_fails:
            return f"{self.kind}, nothing can be sent, then {self.again}"
        if self.first.lost:
            (call,) = self.first.lost
            return f"{self.kind}, the answer of call {call} is lost, then {self.again}"
        where = f" dies {'after' if self.first.after_effect else 'before'} call {self.first.dies_at}, then {self.again}"
        return f"{self.kind}, seed {self.seed}{where}"

    @property
    def happened(self) -> bool:
        """Whether what was to befall the first delivery did."""
        if self.first.lost:
            return max(self.first.lost) < len(self.first.calls)
        return self.first.dead or self.mail_fails


class Campaign:
    """A cloud with a service for each case to come. Cases run one after the other; time only goes on."""

    OLD = timedelta(minutes=61)  # a claim that is not resumed any more

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.world = cloud, World.of(cloud)
        self.session = cloud.session("team")
        self.ecs, self.cloudwatch = self.session.client("ecs"), self.session.client("cloudwatch")
        self.dynamodb = self.session.client("dynamodb")
        self.events: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self.raised: list[str] = []
        self.answers: deque[dict[str, Any]] = deque(maxlen=100)
        self.counted: deque[Mapping[str, Any]] = deque(maxlen=100)
        self.acts: list[tuple[str, str]] = []
        self.done: list[tuple[str, str]] = []
        self.unanswered: list[str] = []
        self.mail_fails = False
        self._here = threading.local()
        self._requests = 0
        self._services = 0
        cloud.emit = self.events.append
        self.world.cluster(CLUSTER)
        self.repository = self.world.repository("app")
        self.world.push("app", "v1")
        self.world.push("app", "v2")
        keys = [f"process-{number}" for number in range(PROCESSES)]
        install(cloud, CLUSTER, TABLE, keys)
        self.topic = f"arn:aws:sns:{cloud.region}:{cloud.account}:{TOPIC}"
        self.processes = [self._process(number) for number in range(PROCESSES)]
        cloud.recorder.interfere = self._judge  # type: ignore[method-assign]  # the recorder's own hook is by operation
        cloud.recorder.lose(self._answered)

    def prepare(self, number: int) -> list[str]:
        """Services that have run their first build for two hours; their names."""
        names = []
        for _ in range(number):
            name = f"service-{self._services}"
            self._services += 1
            for tag in ("v1", "v2"):
                self.world.define(name, {"app": f"{self.repository}:{tag}"})
            self.world.service(CLUSTER, name, f"{name}:1", desired=2)
            document = {"cluster": CLUSTER, "service": name, "alarms": [f"queue-{name}"], "families": ["*"], "task_roles": ["*"]}  # fmt: skip
            policy = json.dumps(parse_service(document).to_document())
            self.session.client("ssm").put_parameter(
                Name=f"/auto-rollback/{CLUSTER}/{name}", Value=policy, Type="String"
            )
            self.cloudwatch.put_metric_alarm(
                AlarmName=_watched(name), Namespace="Queues", MetricName=name, Statistic="Sum", Period=60, Threshold=30,
                EvaluationPeriods=3, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
            )  # fmt: skip
            self.cloudwatch.set_alarm_state(
                AlarmName=_watched(name), StateValue="OK", StateReason="calm"
            )
            self.cloudwatch.put_composite_alarm(
                AlarmName=_alarm(name), AlarmRule=f'ALARM("{_watched(name)}")'
            )
            names.append(name)
        self.passes(timedelta(hours=2))
        return names

    def run(self, case: Case, service: str) -> int:
        """Play one case to its end and check what must always hold; how many calls the first delivery made.

        Raises:
            Violation: naming the case.
        """
        chance = random.Random(case.seed)  # noqa: S311 - the seed makes the case again
        if case.random_faults:
            self.cloud.lag = timedelta(seconds=chance.uniform(0, LONGEST_LAG))
            self._hears_news_that_is_not_so(service, chance)
        self.breaks(case.kind, service)
        event = self.event(case.kind, service)
        self.mail_fails = case.mail_fails
        self._deliver(case, event, chance)
        if case.mail_fails:
            self._acts_without_a_word(case.kind, service)
        self.recovers(service, chance if case.random_faults else None)
        self.cloud.lag = timedelta()
        self._check(case, service)
        return len(case.first.calls)

    def _hears_news_that_is_not_so(self, service: str, chance: random.Random) -> None:
        """Events that ECS's own answers do not bear out, and one of another account: none of them is a reason to act."""
        state, action = "ECS Deployment State Change", "ECS Service Action"
        news = [
            self.of_ecs(service, state, "SERVICE_DEPLOYMENT_FAILED"),
            self.of_ecs(service, state, "SERVICE_DEPLOYMENT_FAILED", "ecs-svc/0000000000000000000"),
            self.of_ecs(service, action, "SERVICE_TASK_START_IMPAIRED"),
            self.of_ecs(service, state, "SERVICE_DEPLOYMENT_FAILED") | {"account": "999999999999"},
            self.of_ecs(service, state, "SERVICE_DEPLOYMENT_FAILED") | {"region": "us-east-1"},
        ]
        chance.shuffle(news)
        for event in news[:2]:
            self._invoke(event, self.processes[0], self._request(), _random_faults(chance))
        if self.incidents(service) or service in dict(self.acts):
            self.violations.append(f"it was acted on news of {news[:2]}")

    def _acts_without_a_word(self, kind: str, service: str) -> None:
        """Nothing can be sent for an hour, in which the alarm calms down and the sweep goes on: it was acted all the same."""
        self.passes(timedelta(minutes=5))
        if kind not in WITHOUT_ALARM:
            began = self.cloud.clock.now().replace(second=0, microsecond=0)
            self.alarm(service, "OK", began - timedelta(minutes=3))
        for _ in range(3):
            self.passes(timedelta(minutes=20))
            self._invoke(self.sweep(), self.processes[2], self._request(), Faults())
        if service not in dict(self.done):
            self.violations.append("what could not be said kept it from acting")
        if self.told(service):
            self.violations.append("something was told while nothing could be")
        self.mail_fails = False

    def passes(self, time: timedelta) -> None:
        """Be later; deployments have gone on meanwhile."""
        self.cloud.clock.jump(self.cloud.clock.now() + time)

    def breaks(self, kind: str, service: str) -> None:
        if kind == "copy":
            self.ecs.deregister_task_definition(taskDefinition=f"{service}:1")
        self.world.deploy(CLUSTER, service, f"{service}:2")
        if kind in ("in_progress", "failed"):
            self.passes(timedelta(seconds=30))
        else:
            self.passes(timedelta(minutes=8))
        began = self.cloud.clock.now().replace(second=0, microsecond=0) - timedelta(
            minutes=0 if kind == "in_progress" else 3
        )
        if kind == "failed":
            self.fails(service)
        if kind not in WITHOUT_ALARM:
            self.alarm(service, "ALARM", began)

    def alarm(self, service: str, state: Literal["OK", "ALARM"], began: datetime) -> None:
        data = {
            "version": "1.0", "startDate": began.strftime("%Y-%m-%dT%H:%M:%S.000+0000"), "statistic": "Sum", "period": 60,
            "recentDatapoints": [90.0, 90.0, 90.0] if state == "ALARM" else [0.0, 0.0, 0.0], "threshold": 30.0,
        }  # fmt: skip
        self.cloudwatch.set_alarm_state(
            AlarmName=_watched(service),
            StateValue=state,
            StateReason="told",
            StateReasonData=json.dumps(data),
        )

    def event(self, kind: str, service: str) -> dict[str, Any]:
        if kind == "by_hand":
            return {"service": service, "cluster": CLUSTER, "reason": "a person saw it"}
        if kind == "cannot_start":
            found = self.cloud.ecs.find(CLUSTER, service)
            found.running.clear()
            if found.newest is not None:
                found.newest.failed_tasks = found.desired
            return self.of_ecs(service, "ECS Service Action", "SERVICE_TASK_START_IMPAIRED")
        if kind == "failed":
            return self.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED")
        return [e for e in self.events if e["detail"].get("alarmName") == _alarm(service)][-1]

    def of_ecs(
        self, service: str, detail_type: str, name: str, deployment: str = ""
    ) -> dict[str, Any]:
        """An event of ECS, about the newest deployment unless another is named."""
        arn = f"arn:aws:ecs:{self.cloud.region}:{self.cloud.account}:service/{CLUSTER}/{service}"
        return {
            "id": f"{name}-{service}", "source": "aws.ecs", "detail-type": detail_type, "resources": [arn],
            "time": self.cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "detail": {"eventName": name, "deploymentId": deployment or self.deployment_id(service)},
        }  # fmt: skip

    def deployment_id(self, service: str) -> str:
        """What ECS's events call the service's newest deployment."""
        newest = self.cloud.ecs.find(CLUSTER, service).newest
        return newest.target.deployment_id if newest is not None else ""

    def fails(self, service: str) -> None:
        """ECS gives the newest deployment up: as the circuit breaker does where it is not set to roll back."""
        found = self.cloud.ecs.find(CLUSTER, service)
        if found.newest is not None:
            found.newest.status, found.newest.finished_at = Status.STOPPED, self.cloud.clock.now()

    def is_judged_by_another(self, service: str) -> None:
        """Another invocation holds the service's lease, for two minutes."""
        until = (self.cloud.clock.now() + TIMEOUT).isoformat()
        lease = {
            "pk": f"service#{CLUSTER}/{service}",
            "sk": "lease",
            "owner": "another",
            "until": until,
        }
        self.dynamodb.put_item(
            TableName=TABLE, Item={name: {"S": value} for name, value in lease.items()}
        )

    def _deliver(self, case: Case, event: dict[str, Any], chance: random.Random) -> None:
        if case.random_faults:
            deliveries = [event] * chance.randint(1, 3)
            with ThreadPoolExecutor(len(deliveries)) as pool:
                running = [
                    pool.submit(self._as_lambda, e, p, chance.randrange(2**32))
                    for p, e in enumerate(deliveries)
                ]
                failed = [future.result() for future in running]
            if all(failed):  # dead letters, sent again by a person
                self.passes(timedelta(minutes=10))
                self._invoke(event, self.processes[0], self._request(), Faults())
            return
        request = self._request()
        self._invoke(event, self.processes[0], request, case.first)
        if case.again == "retry":
            self.passes(RETRIES[0])
            self._invoke(event, self.processes[1], request, Faults())
        elif case.again == "duplicate":
            self._invoke(
                event, self.processes[1], self._request(), Faults()
            )  # while the lease of the dead one runs
            self.passes(TIMEOUT + timedelta(seconds=10))
            self._invoke(event, self.processes[2], self._request(), Faults())

    def _as_lambda(self, event: dict[str, Any], process: int, seed: int) -> bool:
        """One asynchronous invocation with its retries, in the course of which anything may go wrong; whether all failed."""
        chance, request = random.Random(seed), self._request()  # noqa: S311 - the seed makes the case again
        for wait in (timedelta(), *RETRIES):
            self.passes(wait)
            if not self._invoke(event, self.processes[process], request, _random_faults(chance)):
                return False
        return True

    def recovers(self, service: str, chance: random.Random | None = None) -> None:
        """What the world does after the rollback: its deployment ends, the alarm calms down, the sweep goes its rounds."""
        news: list[dict[str, Any]] = []
        calm = False
        for round_ in range(16):
            self.passes(timedelta(minutes=5))
            if not calm and not self._runs_bad(service):
                calm = True
                seen = len(self.events)
                self.alarm(
                    service,
                    "OK",
                    self.cloud.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=3),
                )
                news = [*self.events[seen:], self.of_ecs(service, "ECS Deployment State Change", "SERVICE_DEPLOYMENT_COMPLETED")]  # fmt: skip
            if chance is not None:
                chance.shuffle(news)
                for event in news:
                    self._invoke(event, self.processes[0], self._request(), _random_faults(chance))
                if round_ < 8:
                    self._invoke(
                        self.sweep(), self.processes[1], self._request(), _random_faults(chance)
                    )
                    news = []
                    continue
            self._invoke(self.sweep(), self.processes[2], self._request(), Faults())
            news = []
            if self._closed(service):
                return

    def _runs_bad(self, service: str) -> bool:
        return self.cloud.ecs.find(CLUSTER, service).task_definition.endswith(f"{service}:2")

    def sweep(self) -> dict[str, Any]:
        rule = f"arn:aws:events:{self.cloud.region}:{self.cloud.account}:rule/auto-rollback-sweep"
        return {
            "id": "sweep", "source": "aws.events", "detail-type": "Scheduled Event", "resources": [rule], "detail": {},
            "time": self.cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }  # fmt: skip

    def _closed(self, service: str) -> bool:
        incidents = self.incidents(service)
        return bool(incidents) and all("unfinished" not in i for i in incidents)

    def invoke(self, event: dict[str, Any], faults: Faults) -> bool:
        """Run the function once, for a request of its own; whether it failed."""
        return self._invoke(event, self.processes[0], self._request(), faults)

    def _invoke(
        self, event: dict[str, Any], process: Process, request: str, faults: Faults
    ) -> bool:
        """Run the function once; whether it failed, so that Lambda would try again."""
        process.faults, process.throttles_left = faults, dict(faults.throttled)
        self._here.process = process
        context = SimpleNamespace(
            aws_request_id=request, get_remaining_time_in_millis=lambda: TIMEOUT.seconds * 1000
        )
        try:
            self.answers.append(handler.handle(event, cast(Any, context)))
        except Died:
            return True
        except Exception as error:  # noqa: BLE001 - whatever the function raises, Lambda tries again
            self.raised.append(f"{request}: {error!r}"[:300])
            return True
        return False

    def _request(self) -> str:
        self._requests += 1
        return f"request-{self._requests}"

    def _check(self, case: Case, service: str) -> None:
        """What must hold after every incident, whatever happened on its way."""
        wrong, raised = list(self.violations), list(self.raised)
        self.violations.clear()
        self.raised.clear()
        incidents = self.incidents(service)
        deployments = self.cloud.ecs.find(CLUSTER, service).deployments
        ours = deployments[2:]
        stopped = any(
            i["rollback_deployment"] == i["deployment"]
            for i in incidents
            if i.get("rollback_deployment")
        )
        if len(ours) != (0 if stopped else 1):
            wrong.append(f"{len(ours)} deployments after the bad one, stopped: {stopped}")
        if self._runs_bad(service):
            wrong.append("the bad build still runs")
        if [i["state"] for i in incidents] != ["recovered"]:
            wrong.append(f"the incidents are {[(i['sk'], i['state']) for i in incidents]}")
        if any("unfinished" in i for i in incidents):
            wrong.append("something is left unfinished")
        for state in ("open", "recovered"):
            told = [m for m in self.told(service) if m.get("incident_state") == state]
            if not told:
                wrong.append(f"nobody was told of {state}")
        wrong += self._too_large(service)
        registered = self.acts.count((service, "RegisterTaskDefinition"))
        if registered > (1 if case.kind == "copy" else 0):
            wrong.append(f"{registered} copies were registered")
        acts = [
            operation
            for of, operation in self.acts
            if of == service and operation != "RegisterTaskDefinition"
        ]
        # UpdateService to what the service is set to deploys nothing: the client may ask again for a lost answer
        if not 1 <= len(acts) <= 1 + self.unanswered.count(service):
            wrong.append(f"it was acted {len(acts)} times: {acts}")
        if wrong:
            raise Violation(
                f"{case}: {'; '.join(wrong)}; raised {raised}; first delivery: {case.first.calls}"
            )

    def _too_large(self, service: str) -> list[str]:
        sizes = {str(one["sk"]): len(json.dumps(one, default=str)) for one in self.items(service)}
        return [f"{sk} has {size} bytes" for sk, size in sizes.items() if size > LARGEST_ITEM]

    def incidents(self, service: str) -> list[dict[str, Any]]:
        return [i for i in self.items(service) if str(i["sk"]).startswith("incident#")]

    def items(self, service: str) -> list[dict[str, Any]]:
        """Straight from the table: a campaign looks often."""
        table = dynamodb_backends[self.cloud.account][self.cloud.region].tables[TABLE]
        items = table.items.get(DynamoType({"S": f"service#{CLUSTER}/{service}"}), {})
        found = [item.to_json()["Attributes"] for item in list(items.values())]
        return [{key: _read(value) for key, value in item.items()} for item in found]

    def told(self, service: str) -> list[dict[str, Any]]:
        sent = (
            sns_backends[self.cloud.account][self.cloud.region]
            .topics[self.topic]
            .sent_notifications
        )
        results = [json.loads(json.loads(text)["default"]) for _, text, *_ in sent]
        return [r for r in results if r.get("service") == service]

    def _judge(self, call: Call) -> None:
        """In the cloud: throttle, and see that no act comes without a record of it."""
        if not call.access_key.startswith("process-"):
            return
        process = self.processes[int(call.access_key.removeprefix("process-"))]
        number = len(process.faults.calls) - 1
        if self.mail_fails and call.operation in ("Publish", "PutEvents"):
            raise Refusal("InternalFailure", "The service is not to be had for a while")
        if number in process.faults.conflicts and call.service == "dynamodb":
            _conflict(call)
        if call.operation == "Publish":
            self._hears(call)
        if process.throttles_left.get(number, 0) > 0:
            process.throttles_left[number] -= 1
            raise Refusal("ThrottlingException", "Rate exceeded")
        if (call.service, call.operation) in ACTS:
            service = _service_of(call)
            if call.operation != "StopServiceDeployment" or self._can_be_stopped(service):
                self.acts.append((service, call.operation))
            if not any(i["state"] in ("claimed", "acting") for i in self.incidents(service)):
                self.violations.append(f"{call.operation} of {service} without a claim on record")

    def _hears(self, call: Call) -> None:
        """Nothing says "rolled back" of what was not, and no message is long."""
        text = str(call.parameters["Message"])
        if len(text.encode()) > LARGEST_MESSAGE:
            self.violations.append(f"a message of {len(text.encode())} bytes")
        result = json.loads(json.loads(text)["default"])
        if result.get("outcome") == "rolled_back" and result["service"] not in dict(self.done):
            self.violations.append(f"told that {result['service']} was rolled back before it was")

    def _answered(self, call: Call) -> bool:
        """In the cloud, after a call had its effect: whether its answer is lost."""
        if not call.access_key.startswith("process-"):
            return False
        if (call.service, call.operation) in ACTS and call.status == 200:
            self.done.append((_service_of(call), call.operation))
        process = self.processes[int(call.access_key.removeprefix("process-"))]
        is_lost = len(process.faults.calls) - 1 in process.faults.lost
        if is_lost and (call.service, call.operation) in ACTS:
            self.unanswered.append(_service_of(call))
        return is_lost

    def _can_be_stopped(self, service: str) -> bool:
        """Whether ECS will not refuse; asking it first lets the deployment go on to where it is by now."""
        self.ecs.list_service_deployments(cluster=CLUSTER, service=service)
        newest = self.cloud.ecs.find(CLUSTER, service).newest
        return newest is not None and not newest.finished

    def _process(self, number: int) -> Process:
        session = self.cloud.session(f"process-{number}")
        process = Process(f"process-{number}", Clients(session))
        emitter = session._session  # boto3 has no other way to the hooks of all its clients
        here = threading.local()

        def leaves(**hooked: Any) -> None:
            here.number = process.faults.begins(hooked["event_name"].removeprefix("before-send."))

        def arrived(**_: Any) -> None:
            process.faults.has_effect(here.number)

        emitter.register("before-send", leaves)
        emitter.register("response-received", arrived)
        return process

    def clients(self) -> Clients:
        """Those of the process that is running in this thread."""
        clients: Clients = self._here.process.clients
        return clients


def _service_of(call: Call) -> str:
    """The service that an act is on; a definition is of the family that has its name."""
    named = call.parameters.get("service") or call.parameters.get("family")
    return str(named or str(call.parameters["serviceDeploymentArn"]).split("/")[-2])


def _conflict(call: Call) -> None:
    """As DynamoDB answers where an item is in another's transaction."""
    if call.operation == "TransactWriteItems":
        count = len(call.parameters["TransactItems"])
        reasons = [("TransactionConflict", "Transaction is ongoing for the item", None)]
        raise TransactionCanceledException(reasons + [(None, None, None)] * (count - 1))
    if call.operation in ("PutItem", "UpdateItem", "DeleteItem"):
        raise Refusal("TransactionConflictException", "Transaction is ongoing for the item")


def _random_faults(chance: random.Random) -> Faults:
    """A good third of the invocations die somewhere, half of them meet throttles, some more than the client has patience for."""
    faults = Faults()
    if chance.random() < 0.4:
        faults = replace(faults, dies_at=chance.randint(0, 30), after_effect=chance.random() < 0.5)
    if chance.random() < 0.5:
        faults.throttled = {
            chance.randint(0, 30): chance.randint(1, MAX_THROTTLES) for _ in range(2)
        }
    if chance.random() < 0.3:
        faults.lost = frozenset({chance.randint(0, 30)})
    if chance.random() < 0.2:
        faults.conflicts = frozenset({chance.randint(0, 30)})
    return faults


def _alarm(service: str) -> str:
    return f"auto-rollback/{CLUSTER}/{service}/own-queue-{service}"


def _watched(service: str) -> str:
    """The alarm of the team's own, which the function's watches."""
    return f"queue-{service}"


@contextmanager
def campaign() -> Iterator[Campaign]:
    """A fresh cloud, and the handler of this process talking to it. Back-off takes no time; what is counted is kept, not printed."""
    silent: Callable[..., None] = lambda *_args, **_kwargs: None  # noqa: E731 - three stand-ins that do nothing
    with running(START) as cloud:
        here = Campaign(cloud)
        environment = {
            **cloud.environment("function"),
            "AUTO_ROLLBACK_NAME": TOPIC,
            "LEDGER_TABLE": TABLE,
            "TOPIC_ARN": here.topic,
        }
        with (
            mock.patch.dict(os.environ, environment),
            mock.patch.object(handler, "_clients", here.clients),
            mock.patch.object(metrics, "count_sweep", silent),
            mock.patch.object(
                metrics,
                "count",
                lambda _namespace, result: here.counted.append(results.to_json(result)),
            ),
            mock.patch.object(
                handler,
                "logger",
                SimpleNamespace(
                    append_keys=silent, info=silent, debug=silent, warning=silent, exception=silent
                ),
            ),
            mock.patch.object(botocore.endpoint, "time", SimpleNamespace(sleep=silent)),
            mock.patch.object(neighbours, "sleep", silent),
            mock.patch.object(asking, "sleep", silent),
        ):
            yield here
        assert cloud.troubles.found == []
        role = cloud.service(Iam)
        assert role.not_evaluated == []
        assert [denial.message for denial in role.denials] == []


def deaths(kind: str, calls: list[str], seed: int, *, all_of_them: bool) -> Iterator[Case]:
    """A case for each call that an undisturbed delivery makes: the process dies before it, and after its effect.

    From the claim on every call counts; of the reads before it every fifth will do, unless all are wanted. Who comes next
    changes from case to case.
    """
    claim = max(
        i for i, call in enumerate(calls) if call == "dynamodb.PutItem" and i < _first_act(calls)
    )
    next_ones = ("retry", "duplicate") if kind in WITHOUT_ALARM else ("retry", "duplicate", "sweep")
    for index in range(len(calls)):
        for after_effect in (False, True):
            number = 2 * index + after_effect + seed
            if all_of_them or index >= claim - 1 or number % 10 == 0:
                faults = Faults(dies_at=index, after_effect=after_effect)
                yield Case(kind, seed, faults, next_ones[number % len(next_ones)])


def losses(kind: str, calls: list[str]) -> Iterator[Case]:
    """A case for each write that an undisturbed delivery makes: its answer is lost, and the process lives on."""
    for index, call in enumerate(calls):
        if call.partition(".")[2].startswith(WRITES):
            yield Case(kind, 0, Faults(lost=frozenset({index})), "retry")


def _first_act(calls: list[str]) -> int:
    return next(i for i, call in enumerate(calls) if tuple(call.split(".")) in ACTS)
