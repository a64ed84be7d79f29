"""Task definitions: what they name, and the identity of what ran under them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

IRREVERSIBLE_TAG = "auto-rollback:irreversible"

RESTORED_TAG = "auto-rollback:restored-from"


CONCURRENT = "Too many concurrent attempts"
"""How ECS's ClientException begins where a retry does help (hashicorp/terraform-provider-aws issue 9777)."""


class UnknownDefinition(LookupError):  # noqa: N818 - a finding, which the caller turns into a refusal or a hold
    """ECS cannot describe this task definition: there is none, or it has been deleted."""


class CannotBeRestored(ValueError):  # noqa: N818 - a finding, which the caller turns into a hold
    """ECS refuses to register this content again as it is, and a changed one would not be what ran."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition revision.

    Attributes:
        content: what can be registered again. It may hold environment values: never log it.
        unknown_fields: paths that AWS sent and the SDK does not know; a copy would silently lose them.
    """

    arn: str
    status: str
    content: Mapping[str, Any] = field(repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    unknown_fields: tuple[str, ...] = ()

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
        """Every `valueFrom` of its containers: of their secrets and of their log configuration."""
        found: dict[str, None] = {}
        for container in self.content.get("containerDefinitions", []):
            options = (container.get("logConfiguration") or {}).get("secretOptions") or []
            for secret in (*(container.get("secrets") or []), *options):
                found[str(secret["valueFrom"])] = None
        return tuple(found)

    @property
    def registry_credentials(self) -> tuple[str, ...]:
        """The secrets with which images of private registries are pulled, each an ARN or the name of a secret."""
        containers = self.content.get("containerDefinitions", [])
        given = ((c.get("repositoryCredentials") or {}).get("credentialsParameter") for c in containers)
        return tuple(dict.fromkeys(str(name) for name in given if name))

    @property
    def ports(self) -> frozenset[tuple[str, int]]:
        """Container and port of every port mapping."""
        return frozenset(
            (str(c.get("name")), int(m["containerPort"]))
            for c in self.content.get("containerDefinitions", [])
            for m in c.get("portMappings") or []
            if m.get("containerPort")
        )

    @property
    def network_mode(self) -> str:
        """Its network mode; ECS takes `bridge` where none is given (RegisterTaskDefinition, networkMode)."""
        return str(self.content.get("networkMode") or "bridge")

    @property
    def compatibilities(self) -> tuple[str, ...]:
        """The launch types that it was registered for."""
        return tuple(self.content.get("requiresCompatibilities") or ())

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
        return hashlib.sha256(_canonical(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Definitions:
    """Reads task definitions; each is read once, and registers pinned copies of them."""

    clients: "Clients"
    _read: dict[str, Definition] = field(default_factory=dict)

    def describe(self, reference: str) -> Definition:
        """The definition behind an ARN, `family:revision`, or of a family's newest ACTIVE revision.

        Raises:
            UnknownDefinition: naming the reference.
        """
        if reference in self._read:
            return self._read[reference]
        ecs = self.clients.ecs
        try:
            answer = ecs.describe_task_definition(taskDefinition=reference, include=["TAGS"])
        except (ecs.exceptions.ClientException, ecs.exceptions.InvalidParameterException) as error:
            raise UnknownDefinition(f"{reference}: {error.response['Error'].get('Message', error)}") from error
        described, raw = answer["taskDefinition"], self.clients.raw_definition()
        taken = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape
        can_be_registered = taken.members if taken else {}
        definition = Definition(
            described["taskDefinitionArn"],
            described.get("status", "ACTIVE"),
            {key: value for key, value in described.items() if key in can_be_registered},
            tags_of(answer.get("tags", [])),
            tuple(unknown_fields(raw.get("taskDefinition"), described)),
        )
        self._read[reference] = self._read[definition.arn] = definition
        return definition

    def copy_of(
        self, original: Definition, digests: Mapping[str, str | None], known: Sequence[str] = ()
    ) -> Definition | None:
        """A pinned copy that is there and ACTIVE already: the family's newest revision, so that a retry makes no second one.

        `known` are ARNs of further definitions that may be one.
        """
        self._read.pop(original.family, None)
        wanted = _canonical(pinned(original, digests))
        for reference in (original.family, *known):
            try:
                found = self.describe(reference)
            except UnknownDefinition:
                continue
            is_copy = found.status == "ACTIVE" and found.tags.get(RESTORED_TAG) == original.arn
            if is_copy and _canonical(found.content) == wanted:
                return found
        return None

    def restore(self, original: Definition, digests: Mapping[str, str | None], known: Sequence[str] = ()) -> Definition:
        """A revision with the same content, its images pinned to digests: an existing copy, or a new one.

        RegisterTaskDefinition refuses an empty list of tags, and tags that begin with `aws:`, which are AWS's own
        (API RegisterTaskDefinition, tags).

        Raises:
            CannotBeRestored: ECS refuses the content (its ClientException and InvalidParameterException: a retry cannot help),
                or it holds fields that this version's SDK does not know and would lose.
        """
        if original.unknown_fields:
            fields = ", ".join(original.unknown_fields)
            raise CannotBeRestored(
                f"{original.name}: this version does not know its fields {fields}: update the controller"
            )
        if existing := self.copy_of(original, digests, known):
            return existing
        tags = {k: v for k, v in original.tags.items() if not k.lower().startswith("aws:")} | {
            RESTORED_TAG: original.arn
        }
        content = pinned(original, digests)
        try:
            answer = self.clients.ecs.register_task_definition(
                **content, tags=[{"key": key, "value": value} for key, value in tags.items()]
            )
        except ClientError as error:
            code, why = error.response["Error"].get("Code"), error.response["Error"].get("Message", "")
            if code not in ("ClientException", "InvalidParameterException") or why.startswith(CONCURRENT):
                raise
            raise CannotBeRestored(f"{original.name} cannot be registered again as it is: {why}") from error
        registered = answer["taskDefinition"]
        return Definition(registered["taskDefinitionArn"], registered.get("status", "ACTIVE"), content, tags)


def pinned(definition: Definition, digests: Mapping[str, str | None]) -> dict[str, Any]:
    """The content with every image replaced by `repository@digest`, where a digest is known."""
    containers = [
        {**c, "image": f"{without_version(c['image'])}@{digest}"} if (digest := digests.get(str(c.get("name")))) else c
        for c in definition.content.get("containerDefinitions", [])
    ]
    return {**definition.content, "containerDefinitions": containers}


def _canonical(content: object) -> str:
    """The content as text in which the order of keys and of named things (containers, variables, mounts) does not count.

    AWS does not promise to describe them in the order in which they were registered. Lists of words, such as a command,
    keep theirs.
    """

    def ordered(value: object) -> object:
        if isinstance(value, Mapping):
            return {str(key): ordered(item) for key, item in value.items()}
        if isinstance(value, list):
            items = [ordered(item) for item in value]
            return sorted(items, key=_as_text) if all(isinstance(item, dict) for item in items) else items
        return value

    return _as_text(ordered(content))


def _as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))


def without_version(image: str) -> str:
    """An image reference without tag and digest; a registry's port stays."""
    name = image.partition("@")[0]
    path, slash, last = name.rpartition("/")
    return f"{path}{slash}{last.partition(':')[0]}"


def unknown_fields(raw: object, parsed: object, where: str = "") -> Iterator[str]:
    """The paths that an answer held and the SDK's model dropped. A null is no field."""
    if isinstance(raw, Mapping) and isinstance(parsed, Mapping):
        for key, value in raw.items():
            path = f"{where}.{key}" if where else str(key)
            if key in parsed:
                yield from unknown_fields(value, parsed[key], path)
            elif value is not None:
                yield path
    elif isinstance(raw, list) and isinstance(parsed, list):
        for index, (one, other) in enumerate(zip(raw, parsed, strict=False)):
            yield from unknown_fields(one, other, f"{where}[{index}]")


def short_name(arn: str) -> str:
    """`family:revision` of a task definition's ARN."""
    return arn.rpartition("/")[2]


def tags_of(tags: Any) -> dict[str, str]:
    """ECS's list of tags as a mapping."""
    return {str(tag.get("key")): str(tag.get("value", "")) for tag in tags or []}


def is_irreversible(tags: Mapping[str, str]) -> bool:
    """Whether the tag stands there with any value but `false`, to the letter: who writes another is not guessed at."""
    return tags.get(IRREVERSIBLE_TAG, "false") != "false"
