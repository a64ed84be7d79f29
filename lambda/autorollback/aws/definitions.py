"""Task definitions: what they name, and the identity of what ran under them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

IRREVERSIBLE_TAG = "auto-rollback:irreversible"

# What a response has and RegisterTaskDefinition does not take (botocore ecs/2014-11-13: members of TaskDefinition that
# RegisterTaskDefinitionRequest lacks). They tell of one registration, not of what runs.
RESPONSE_ONLY = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)


class UnknownDefinition(LookupError):  # noqa: N818 - a finding, which the caller turns into a refusal or a hold
    """ECS cannot describe this task definition: there is none, or it has been deleted."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition revision. `content` is what can be registered again; it may hold environment values: never log it."""

    arn: str
    status: str
    content: Mapping[str, Any] = field(repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`family:revision`."""
        return short_name(self.arn)

    @property
    def family(self) -> str:
        """The family."""
        return self.name.partition(":")[0]

    @property
    def images(self) -> dict[str, str]:
        """Container name to image, as the definition writes it."""
        return {str(c["name"]): str(c["image"]) for c in self.content.get("containerDefinitions", []) if c.get("image")}

    @property
    def roles(self) -> tuple[str, ...]:
        """ARNs of the task and the execution role, each once."""
        return tuple(dict.fromkeys(r for key in ("taskRoleArn", "executionRoleArn") if (r := self.content.get(key))))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every `valueFrom` of its containers: of their secrets, their log configuration and their repository credentials."""
        found: dict[str, None] = {}
        for container in self.content.get("containerDefinitions", []):
            options = (container.get("logConfiguration") or {}).get("secretOptions") or []
            for secret in (*(container.get("secrets") or []), *options):
                found[str(secret["valueFrom"])] = None
            if credentials := (container.get("repositoryCredentials") or {}).get("credentialsParameter"):
                found[str(credentials)] = None
        return tuple(found)

    @property
    def irreversible(self) -> bool:
        """Whether it is tagged as a change that older code cannot live with."""
        return is_irreversible(self.tags)

    def identity(self, digests: Mapping[str, str | None]) -> str:
        """The identity of this content run with these image digests; where there is none, the image's name stands in."""
        containers = [
            {**c, "image": digests.get(str(c.get("name"))) or c.get("image")}
            for c in self.content.get("containerDefinitions", [])
        ]
        content = {**self.content, "containerDefinitions": containers}
        text = json.dumps(content, sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Definitions:
    """Reads task definitions; each is read once in an invocation, for a definition never changes but for its status."""

    clients: "Clients"
    _read: dict[str, Definition] = field(default_factory=dict)

    def describe(self, reference: str) -> Definition:
        """The definition behind an ARN or `family:revision`.

        Raises:
            UnknownDefinition: naming the reference.
        """
        if reference in self._read:
            return self._read[reference]
        ecs = self.clients.ecs
        try:
            answer = ecs.describe_task_definition(taskDefinition=reference, include=["TAGS"])
        except ecs.exceptions.ClientException as error:
            raise UnknownDefinition(f"{reference}: {error.response['Error'].get('Message', error)}") from error
        described = answer["taskDefinition"]
        definition = Definition(
            described["taskDefinitionArn"],
            described.get("status", "ACTIVE"),
            {key: value for key, value in described.items() if key not in RESPONSE_ONLY},
            tags_of(answer.get("tags", [])),
        )
        self._read[reference] = self._read[definition.arn] = definition
        return definition


def short_name(arn: str) -> str:
    """`family:revision` of a task definition's ARN."""
    return arn.rpartition("/")[2]


def tags_of(tags: Any) -> dict[str, str]:
    """ECS's list of tags as a mapping."""
    return {str(tag.get("key")): str(tag.get("value", "")) for tag in tags or []}


def is_irreversible(tags: Mapping[str, str]) -> bool:
    """Whether the tag stands there with any value but `false`."""
    return IRREVERSIBLE_TAG in tags and tags[IRREVERSIBLE_TAG].strip().lower() != "false"
