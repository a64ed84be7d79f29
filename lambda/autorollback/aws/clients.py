"""boto3 clients, made when first asked for, and reads that go out together."""

import json
import threading
from collections.abc import Callable, Hashable, Mapping
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

Name = TypeVar("Name", bound=Hashable)

AT_ONCE = 10

# Bounded, with jitter, and far below the function's timeout: a call that hangs is retried, not waited for.
# `standard` retries throttling with exponential backoff and jitter, at most 20 s apart (boto3 guide "Retries"): twenty
# attempts wait out a storm of alarms, and still end before the function does.
CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 20},
    max_pool_connections=AT_ONCE,
    user_agent_extra="auto-rollback",
)


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
"""Codes that the SDK retries as throttling (botocore.retries.standard, ThrottledRetryableChecker) and our services may send."""


def is_throttle(error: ClientError) -> bool:
    """Whether AWS said that it was asked too often: later it may answer."""
    return error.response["Error"].get("Code") in THROTTLES


class Clients:
    """The clients of one invocation environment. Safe to share between threads: making a client is not, using one is."""

    def __init__(self, session: boto3.Session | None = None) -> None:
        self._session = session
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._raw = threading.local()

    def _client(self, service: str, config: Config = CONFIG) -> Any:
        name = service if config is CONFIG else f"{service}, unretried"
        with self._lock:
            if name not in self._made:
                self._session = self._session or boto3.Session()
                client = self._session.client(service, config=config)  # type: ignore[call-overload]  # the name is a variable
                if service == "ecs":
                    client.meta.events.register("before-parse.ecs.DescribeTaskDefinition", self._keep_raw)
                self._made[name] = client
            return self._made[name]

    def raw_definition(self) -> Mapping[str, Any]:
        """The last answer of DescribeTaskDefinition in this thread, before the SDK's model dropped what it does not know."""
        body: Mapping[str, Any] = json.loads(self._raw.body)
        return body

    def _keep_raw(self, response_dict: Mapping[str, Any], **_: Any) -> None:
        self._raw.body = response_dict["body"]

    @property
    def cloudwatch(self) -> "CloudWatchClient":
        """Alarms and metrics."""
        client: CloudWatchClient = self._client("cloudwatch")
        return client

    @property
    def cloudwatch_unretried(self) -> "CloudWatchClient":
        """The same, where a throttle is an answer to act on."""
        client: CloudWatchClient = self._client("cloudwatch", UNRETRIED)
        return client

    @property
    def codedeploy(self) -> "CodeDeployClient":
        """Deployments of the services that CodeDeploy deploys."""
        client: CodeDeployClient = self._client("codedeploy")
        return client

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """The ledger."""
        client: DynamoDBClient = self._client("dynamodb")
        return client

    @property
    def ecr(self) -> "ECRClient":
        """Images."""
        client: ECRClient = self._client("ecr")
        return client

    @property
    def ecs(self) -> "ECSClient":
        """Services, their deployments and task definitions."""
        client: ECSClient = self._client("ecs")
        return client

    @property
    def elbv2(self) -> "ElasticLoadBalancingv2Client":
        """Target health."""
        client: ElasticLoadBalancingv2Client = self._client("elbv2")
        return client

    @property
    def events(self) -> "EventBridgeClient":
        """The controller's own events."""
        client: EventBridgeClient = self._client("events")
        return client

    @property
    def iam(self) -> "IAMClient":
        """Roles of task definitions."""
        client: IAMClient = self._client("iam")
        return client

    @property
    def secretsmanager(self) -> "SecretsManagerClient":
        """Whether secrets exist; their values are never read."""
        client: SecretsManagerClient = self._client("secretsmanager")
        return client

    @property
    def sns(self) -> "SNSClient":
        """Messages to people."""
        client: SNSClient = self._client("sns")
        return client

    @property
    def ssm(self) -> "SSMClient":
        """Policies, and whether parameters exist."""
        client: SSMClient = self._client("ssm")
        return client


def in_parallel(reads: Mapping[Name, Callable[[], Any]]) -> dict[Name, Any]:
    """Run independent reads at once and wait for all; the first error among them is raised."""
    if not reads:
        return {}
    with ThreadPoolExecutor(max_workers=min(len(reads), AT_ONCE)) as pool:
        running = {name: pool.submit(read) for name, read in reads.items()}
        return {name: future.result() for name, future in running.items()}
