"""What the readiness audit asks of AWS beyond a judgement, remembers, and tells people."""

from dataclasses import dataclass
from datetime import UTC
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from autorollback.aws.alarms import signals_of
from autorollback.aws.ledger_table import LedgerTable
from autorollback.decision.image_lifecycle import Pushed
from autorollback.naming import Names, ServiceKey
from autorollback.policy import ServicePolicy

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef

    from autorollback.aws.clients import Clients

IMAGES_LOOKED_AT = 10_000
"""Of a repository, to tell how many are newer than one of them."""

IMAGES_A_PAGE = 1000
"""As many as DescribeImages gives (botocore ecr/2015-09-21)."""

ALARMS_A_CALL = 100
"""As many as DescribeAlarms gives (botocore cloudwatch/2010-08-01)."""

_PARTITION = "readiness"


@dataclass(frozen=True, slots=True)
class Repository:
    """How an ECR repository treats tags and old images.

    Attributes:
        lifecycle: its policy's JSON text, where it has one.
        images: those that the policy may take; empty where it has none.
    """

    mutability: str
    exclusions: tuple[str, ...]
    lifecycle: str | None
    images: tuple[Pushed, ...]

    def can_move(self, tag: str) -> bool:
        """Whether a tag may be pushed over.

        By ImageTagMutability and its exclusion filters (botocore ecr/2015-09-21).
        """
        excluded = any(fnmatchcase(tag, pattern) for pattern in self.exclusions)
        match self.mutability:
            case "MUTABLE":
                return True
            case "IMMUTABLE":
                return False
            case "IMMUTABLE_WITH_EXCLUSION":
                return excluded
            case _:
                return not excluded


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the last audit found of a service: its findings as `check severity`."""

    ready: bool
    findings: tuple[str, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Reads for readiness, and the memory of the last audit.

    The memory is one partition of the ledger, beside those of the services.
    """

    clients: "Clients"
    names: Names
    table: str

    def alarms(self, policy: ServicePolicy) -> dict[str, bool | None]:
        """Whether the actions of the alarms that should watch a service are enabled.

        None where there is no such alarm. A composite alarm is told only where AlarmTypes asks for
        it (botocore cloudwatch/2010-08-01).
        """
        wanted = self._alarms_that_should_watch(policy)
        enabled: dict[str, bool | None] = dict.fromkeys(wanted)

        for start in range(0, len(wanted), ALARMS_A_CALL):
            answer = self.clients.cloudwatch.describe_alarms(
                AlarmNames=wanted[start : start + ALARMS_A_CALL],
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                MaxRecords=ALARMS_A_CALL,
            )
            for described in (*answer["MetricAlarms"], *answer["CompositeAlarms"]):
                name = str(described.get("AlarmName"))
                enabled[name] = described.get("ActionsEnabled", True)
        return enabled

    def repository(self, name: str) -> Repository | None:
        """An ECR repository; None where there is none of that name."""
        ecr = self.clients.ecr
        try:
            answer = ecr.describe_repositories(repositoryNames=[name])
        except ecr.exceptions.RepositoryNotFoundException:
            return None
        (described,) = answer["repositories"]

        lifecycle = self._lifecycle(name)
        images: tuple[Pushed, ...] = ()
        if lifecycle:
            images = self._images(name)

        exclusions = described.get("imageTagMutabilityExclusionFilters", [])
        return Repository(
            mutability=described.get("imageTagMutability", "MUTABLE"),
            exclusions=tuple(exclusion["filter"] for exclusion in exclusions),
            lifecycle=lifecycle,
            images=images,
        )

    def remembered(self) -> dict[str, Remembered]:
        """What the audits before found, by `<cluster>/<service>`."""
        found: dict[str, Remembered] = {}
        for item in LedgerTable(self.clients, self.table).query(_PARTITION):
            found[item["sk"]] = Remembered(
                ready=bool(item["ready"]),
                findings=tuple(item["findings"]),
                at=str(item["at"]),
            )
        return found

    def remember(
        self,
        key: ServiceKey,
        found: Remembered,
    ) -> None:
        """Keep what was found, for the next audit to compare with."""
        item = {
            "pk": _PARTITION,
            "sk": str(key),
            "ready": found.ready,
            "findings": list(found.findings),
            "at": found.at,
        }
        LedgerTable(self.clients, self.table).put(item)

    def _alarms_that_should_watch(self, policy: ServicePolicy) -> list[str]:
        ours = [self.names.alarm(policy.key, signal) for signal in signals_of(policy)]
        return [*ours, *policy.alarms]

    def _lifecycle(self, repository: str) -> str | None:
        ecr = self.clients.ecr
        try:
            answer = ecr.get_lifecycle_policy(repositoryName=repository)
        except ecr.exceptions.LifecyclePolicyNotFoundException:
            return None
        return answer.get("lifecyclePolicyText")

    def _images(self, repository: str) -> tuple[Pushed, ...]:
        pages = self.clients.ecr.get_paginator("describe_images").paginate(
            repositoryName=repository,
            PaginationConfig={"MaxItems": IMAGES_LOOKED_AT, "PageSize": IMAGES_A_PAGE},
        )
        images: list[Pushed] = []
        for page in pages:
            images += map(_pushed, page["imageDetails"])
        return tuple(images)


def _pushed(image: "ImageDetailTypeDef") -> Pushed:
    pulled_at = image.get("lastRecordedPullTime")
    if pulled_at is not None:
        pulled_at = pulled_at.astimezone(UTC)
    return Pushed(
        image["imageDigest"],
        tuple(image.get("imageTags", [])),
        image["imagePushedAt"].astimezone(UTC),
        pulled_at,
    )
