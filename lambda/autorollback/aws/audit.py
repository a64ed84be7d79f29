"""What the readiness audit asks of AWS beyond a judgement, what it remembers, and how it tells people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from autorollback.aws.items import plain, to_item
from autorollback.decision.image_lifecycle import Pushed
from autorollback.naming import OWN_SIGNAL_PREFIX, SIGNALS, Names, ServiceKey
from autorollback.policy import ServicePolicy

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

IMAGES_LOOKED_AT, IMAGES_A_PAGE = 10_000, 1000
"""Of a repository, to tell how many are newer than one of them; a page as large as DescribeImages gives (botocore ecr/2015-09-21)."""

_PARTITION = "readiness"


@dataclass(frozen=True, slots=True)
class Repository:
    """How an ECR repository treats tags and old images. `lifecycle` is its policy's JSON text, where it has one: then
    `images` are those that the policy may take.
    """

    mutability: str
    exclusions: tuple[str, ...]
    lifecycle: str | None
    images: tuple[Pushed, ...]

    def can_move(self, tag: str) -> bool:
        """Whether a tag may be pushed over (botocore ecr/2015-09-21, ImageTagMutability and its exclusion filters)."""
        excluded = any(fnmatchcase(tag, pattern) for pattern in self.exclusions)
        return {"MUTABLE": True, "IMMUTABLE": False, "IMMUTABLE_WITH_EXCLUSION": excluded}.get(
            self.mutability, not excluded
        )


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the last audit found of a service: its findings as `check severity`."""

    ready: bool
    findings: tuple[str, ...]
    at: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Reads for readiness, and the memory of the last audit: one partition of the ledger, beside those of the services."""

    clients: "Clients"
    names: Names
    table: str
    topic_arn: str

    def alarms(self, policy: ServicePolicy) -> dict[str, bool | None]:
        """The alarms that should watch a service: whether their actions are enabled, None where there is no such alarm.

        A composite alarm is told only where AlarmTypes asks for it, and 100 names at once (botocore cloudwatch/2010-08-01).
        """
        signals = [
            *(SIGNALS if policy.load_balancer else ()),
            *(f"{OWN_SIGNAL_PREFIX}{name}" for name in policy.alarms),
        ]
        wanted = [*(self.names.alarm(policy.key, signal) for signal in signals), *policy.alarms]
        found: dict[str, bool | None] = {}
        for start in range(0, len(wanted), 100):
            answer = self.clients.cloudwatch.describe_alarms(
                AlarmNames=wanted[start : start + 100], AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
            )
            for described in (*answer["MetricAlarms"], *answer["CompositeAlarms"]):
                found[str(described.get("AlarmName"))] = bool(described.get("ActionsEnabled", True))
        return {name: found.get(name) for name in wanted}

    def repository(self, name: str) -> Repository | None:
        """An ECR repository; None where there is none of that name."""
        ecr = self.clients.ecr
        try:
            (described,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        except ecr.exceptions.RepositoryNotFoundException:
            return None
        try:
            lifecycle = ecr.get_lifecycle_policy(repositoryName=name).get("lifecyclePolicyText")
        except ecr.exceptions.LifecyclePolicyNotFoundException:
            lifecycle = None
        return Repository(
            described.get("imageTagMutability", "MUTABLE"),
            tuple(e["filter"] for e in described.get("imageTagMutabilityExclusionFilters", [])),
            lifecycle,
            self._images(name) if lifecycle else (),
        )

    def _images(self, repository: str) -> tuple[Pushed, ...]:
        pages = self.clients.ecr.get_paginator("describe_images").paginate(
            repositoryName=repository, PaginationConfig={"MaxItems": IMAGES_LOOKED_AT, "PageSize": IMAGES_A_PAGE}
        )
        return tuple(
            Pushed(
                image["imageDigest"],
                tuple(image.get("imageTags", [])),
                image["imagePushedAt"].astimezone(UTC),
                pulled.astimezone(UTC) if (pulled := image.get("lastRecordedPullTime")) else None,
            )
            for page in pages
            for image in page["imageDetails"]
        )

    def remembered(self) -> dict[str, Remembered]:
        """What the audits before found, by `<cluster>/<service>`."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": to_item(_PARTITION)},
        )
        items = [plain(item) for page in pages for item in page["Items"]]
        return {i["sk"]: Remembered(bool(i["ready"]), tuple(i["findings"]), str(i["at"])) for i in items}

    def remember(self, key: ServiceKey, ready: bool, findings: Sequence[str], at: datetime) -> None:  # noqa: FBT001 - a fact
        """Keep what was found, for the next audit to compare with."""
        item = {"pk": _PARTITION, "sk": str(key), "ready": ready, "findings": list(findings), "at": at.isoformat()}
        self.clients.dynamodb.put_item(TableName=self.table, Item={k: to_item(v) for k, v in item.items()})

    def tell(self, subject: str, letter: str, result: Mapping[str, Any]) -> None:
        """One message to the topic; subscribers of a queue or function get the JSON alone."""
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=subject,
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(result), "email": letter, "sms": subject}),
        )
