"""boto3 clients, made when first asked for, and reads in parallel."""

import json
import random
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient

Client = TypeVar("Client")
Name = TypeVar("Name", bound=Hashable)

AT_ONCE = 10
"""Reads that one invocation sends out at the same time, and connections that it keeps for them."""

# Bounded, with jitter, and far below the function's timeout: a call that hangs is retried, not
# waited for. `standard` retries throttling with exponential backoff and jitter, at most 20 s apart
# (boto3 guide "Retries"): twenty attempts wait out a storm of alarms, and still end before the
# function does.
CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 20},
    max_pool_connections=AT_ONCE,
    user_agent_extra="auto-rollback",
)

KEPT_AS_SENT = ("DescribeTaskDefinition", "DescribeServiceRevisions")
"""Operations of ECS whose answers are looked at for fields that the SDK does not know."""

UNRETRIED = CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

THROTTLES = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottledException",
        "RequestThrottled",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
    }
)
"""Codes of throttling that our services may send.

The SDK retries them (botocore.retries.standard, ThrottledRetryableChecker).
"""


def is_throttle(error: ClientError) -> bool:
    """Whether AWS said that it was asked too often, and may answer later."""
    return error.response["Error"].get("Code") in THROTTLES


class Clients:
    """The clients of one invocation environment, shared by its threads.

    Using a client is safe there, making one is not: that is done under a lock.
    """

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._raw = threading.local()

    def _once(
        self,
        name: str,
        make: Callable[[boto3.Session], Client],
    ) -> Client:
        with self._lock:
            if name not in self._made:
                self._session = self._session or boto3.Session()
                self._made[name] = make(self._session)
            made: Client = self._made[name]
            return made

    def raw_answer(self) -> object:
        """The last answer of ECS in this thread, as it came.

        Of the operations in `KEPT_AS_SENT` alone. The SDK's model drops what it does not know; here
        it is still there.
        """
        body: object = json.loads(self._raw.body)
        return body

    def _keep_raw(self, response_dict: Mapping[str, object], **_: object) -> None:
        self._raw.body = response_dict["body"]

    def _make_ecs(self, session: boto3.Session) -> "ECSClient":
        client = session.client("ecs", config=CONFIG)
        for operation in KEPT_AS_SENT:
            client.meta.events.register(f"before-parse.ecs.{operation}", self._keep_raw)
        return client

    @property
    def cloudwatch(self) -> "CloudWatchClient":
        """Alarms and metrics."""
        return self._once("cloudwatch", lambda session: session.client("cloudwatch", config=CONFIG))

    @property
    def cloudwatch_unretried(self) -> "CloudWatchClient":
        """The same, where a throttle is an answer to act on."""
        return self._once(
            "cloudwatch_unretried", lambda session: session.client("cloudwatch", config=UNRETRIED)
        )

    @property
    def codedeploy(self) -> "CodeDeployClient":
        """Deployments of the services that CodeDeploy deploys."""
        return self._once("codedeploy", lambda session: session.client("codedeploy", config=CONFIG))

    @property
    def codedeploy_unretried(self) -> "CodeDeployClient":
        """The same, where a lost answer must not be asked for again before looking."""
        return self._once(
            "codedeploy_unretried", lambda session: session.client("codedeploy", config=UNRETRIED)
        )

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """The ledger."""
        return self._once("dynamodb", lambda session: session.client("dynamodb", config=CONFIG))

    @property
    def ecr(self) -> "ECRClient":
        """Images."""
        return self._once("ecr", lambda session: session.client("ecr", config=CONFIG))

    @property
    def ecs(self) -> "ECSClient":
        """Services, their deployments and task definitions."""
        return self._once("ecs", self._make_ecs)

    @property
    def ecs_unretried(self) -> "ECSClient":
        """The same, where a lost answer must not be asked for again before looking."""
        return self._once("ecs_unretried", lambda session: session.client("ecs", config=UNRETRIED))

    @property
    def elbv2(self) -> "ElasticLoadBalancingv2Client":
        """Target health."""
        return self._once("elbv2", lambda session: session.client("elbv2", config=CONFIG))

    @property
    def events(self) -> "EventBridgeClient":
        """The controller's own events."""
        return self._once("events", lambda session: session.client("events", config=CONFIG))

    @property
    def iam(self) -> "IAMClient":
        """Roles of task definitions."""
        return self._once("iam", lambda session: session.client("iam", config=CONFIG))

    @property
    def secretsmanager(self) -> "SecretsManagerClient":
        """Whether secrets exist.

        Their values are never read.
        """
        return self._once(
            "secretsmanager", lambda session: session.client("secretsmanager", config=CONFIG)
        )

    @property
    def sns(self) -> "SNSClient":
        """Messages to people."""
        return self._once("sns", lambda session: session.client("sns", config=CONFIG))

    @property
    def ssm(self) -> "SSMClient":
        """Policies, and whether parameters exist."""
        return self._once("ssm", lambda session: session.client("ssm", config=CONFIG))


def backoff(attempt: int) -> float:
    """Seconds to wait after an attempt: exponential with jitter, at most 20.

    The first attempt is 1. As botocore's `standard` mode waits (botocore.retries.standard, ExponentialBackoff).
    """
    longest = float(2 ** (attempt - 1))
    return min(random.random() * longest, 20.0)  # noqa: S311 - jitter


def each_once(names: Iterable[str | None]) -> tuple[str, ...]:
    """The names that are given, each once, in their order.

    None is no name.
    """
    found: dict[str, None] = {}
    for name in names:
        if name:
            found[name] = None
    return tuple(found)


def in_batches(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """Split names into batches of as many as one call takes."""
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def in_parallel(reads: Mapping[Name, Callable[[], Any]]) -> dict[Name, Any]:
    """Run independent reads at once and wait for all.

    The first error among them is raised.
    """
    if not reads:
        return {}

    with ThreadPoolExecutor(max_workers=min(len(reads), AT_ONCE)) as pool:
        running = {name: pool.submit(read) for name, read in reads.items()}
        return {name: future.result() for name, future in running.items()}
