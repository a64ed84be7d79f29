"""The names that the stack creates and the function reads, said once for both."""

import re
from dataclasses import dataclass, field

BASE = "auto-rollback"
SIGNALS = ("5xx-rate", "latency", "unhealthy-targets")
OWN_SIGNAL_PREFIX = "own-"

ALARM_NAME_LIMIT = 255
"""Characters; PutMetricAlarm's AlarmName (botocore cloudwatch/2010-08-01, shape AlarmName)."""

ECS_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
"""The names of clusters, services, containers and families.

"Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens" (CreateCluster
clusterName, CreateService serviceName; botocore ecs/2014-11-13).
"""

_PARTS_OF_AN_ARN = 6

_INSTALLATION = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
_INSTALLATION_ALLOWED = (
    "1 to 20 lowercase letters, digits and hyphens, neither first nor last a hyphen"
)


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """One ECS service of this account and region, by its cluster's name and its own."""

    cluster: str
    service: str

    def __str__(self) -> str:
        return f"{self.cluster}/{self.service}"


@dataclass(frozen=True, slots=True)
class Home:
    """The account and Region that something is in.

    `partition` is that of its ARN, empty where no ARN told it.
    """

    account: str
    region: str
    partition: str = field(default="", compare=False)

    @classmethod
    def of_arn(cls, arn: str) -> "Home | None":
        """Where a resource is; None where its ARN does not say it."""
        parts = arn.split(":", _PARTS_OF_AN_ARN - 1)
        if len(parts) < _PARTS_OF_AN_ARN:
            return None

        _, partition, _, region, account, _ = parts
        if not region or not account:
            return None
        return cls(account, region, partition)

    @classmethod
    def of_service(cls, arn: str) -> "Home":
        """Where a service is.

        Raises:
            ValueError: it is no ARN of a service.
        """
        home = cls.of_arn(arn)
        if home is None:
            raise ValueError(f"no ARN of a service: {arn!r}")
        return home

    def __str__(self) -> str:
        partition = f" of {self.partition}" if self.partition not in ("", "aws") else ""
        return f"{self.account} in {self.region}{partition}"


@dataclass(frozen=True, slots=True)
class AlarmKey:
    """Whose an alarm of this controller is, and which signal it watches."""

    service: ServiceKey
    signal: str


@dataclass(frozen=True, slots=True)
class Names:
    """All names of one installation.

    Attributes:
        installation: what the installation is called; empty for the first in an account and region.
    """

    installation: str = ""

    def __post_init__(self) -> None:
        if self.installation and not _INSTALLATION.fullmatch(self.installation):
            raise ValueError(
                f"context key name: {self.installation!r} given; allowed: {_INSTALLATION_ALLOWED}"
            )

    @classmethod
    def of_prefix(cls, prefix: str) -> "Names":
        """The names behind a prefix such as `auto-rollback-blue`.

        Raises:
            ValueError: the prefix is none of ours.
        """
        if prefix == BASE:
            return cls()
        if prefix.startswith(f"{BASE}-"):
            return cls(prefix.removeprefix(f"{BASE}-"))
        raise ValueError(f"{prefix!r} given; allowed: {BASE} or {BASE}-<name>")

    @property
    def prefix(self) -> str:
        """The first part of all other names.

        Also the name of the function and of the topic, and the source of the events.
        """
        return self._with_installation(BASE)

    @property
    def stack(self) -> str:
        """The CloudFormation stack."""
        return self._with_installation("AutoRollback")

    @property
    def metric_namespace(self) -> str:
        """The CloudWatch namespace of the controller's own metrics."""
        return self.stack

    @property
    def alarm_prefix(self) -> str:
        """What the names of all its alarms start with."""
        return f"{self.prefix}/"

    @property
    def parameter_prefix(self) -> str:
        """What the names of all its policy parameters start with."""
        return f"/{self.prefix}/"

    @property
    def sweep_rule(self) -> str:
        """The EventBridge rule that fires every 5 minutes."""
        return f"{self.prefix}-sweep"

    @property
    def readiness_rule(self) -> str:
        """The EventBridge rule that fires daily."""
        return f"{self.prefix}-readiness"

    def alarms_of(self, key: ServiceKey) -> str:
        """What the names of all alarms of one service start with."""
        return f"{self.alarm_prefix}{key}/"

    def alarm(
        self,
        key: ServiceKey,
        signal: str,
    ) -> str:
        """The alarm of one service and signal.

        The signal is one of SIGNALS or `own-<alarm name>`.
        """
        return f"{self.alarms_of(key)}{signal}"

    def parse_alarm(self, alarm_name: str) -> AlarmKey | None:
        """Whose alarm it is; None where the name is not of this form.

        The signal may hold slashes.
        """
        parts = _parts_after(self.alarm_prefix, alarm_name)
        if len(parts) != 3:
            return None

        cluster, service, signal = parts
        if not are_ecs_names(cluster, service):
            return None
        return AlarmKey(ServiceKey(cluster, service), signal)

    def policy_parameter(self, key: ServiceKey) -> str:
        """The SSM parameter that holds the policy of one service."""
        return f"{self.parameter_prefix}{key}"

    def parse_policy_parameter(self, parameter: str) -> ServiceKey | None:
        """Whose policy it is; None where the name is not of this form."""
        parts = _parts_after(self.parameter_prefix, parameter)
        if len(parts) != 2:
            return None

        cluster, service = parts
        if not are_ecs_names(cluster, service):
            return None
        return ServiceKey(cluster, service)

    def _with_installation(self, name: str) -> str:
        if not self.installation:
            return name
        return f"{name}-{self.installation}"


def are_ecs_names(*texts: str) -> bool:
    """Whether each of some texts can be the name of a cluster or a service."""
    return all(ECS_NAME.fullmatch(text) for text in texts)


def _parts_after(prefix: str, name: str) -> list[str]:
    """What follows a prefix, split at its first two slashes.

    Nothing where the prefix or a part is missing.
    """
    if not name.startswith(prefix):
        return []

    parts = name.removeprefix(prefix).split("/", 2)
    if "" in parts:
        return []
    return parts
