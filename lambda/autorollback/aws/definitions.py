"""Task definitions: what they name, and the identity of what ran under them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from autorollback.aws.clients import each_once

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TagTypeDef, TaskDefinitionTypeDef

    from autorollback.aws.clients import Clients

IRREVERSIBLE_TAG = "auto-rollback:irreversible"

RESTORED_TAG = "auto-rollback:restored-from"

CONCURRENT = "Too many concurrent attempts"
"""How ECS's ClientException begins where a retry does help.

See hashicorp/terraform-provider-aws issue 9777.
"""

Content = Mapping[str, Any]
"""A part of a task definition as boto3 gives and takes it."""


class UnknownDefinition(LookupError):  # noqa: N818 - a finding, turned into a refusal or hold
    """ECS cannot describe this task definition: there is none, or it has been deleted."""


class CannotBeRestored(ValueError):  # noqa: N818 - a finding, which the caller turns into a hold
    """ECS refuses to register this content as it is.

    A changed one would not be what ran.
    """


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition revision.

    Attributes:
        content: what can be registered again. It may hold environment values: never log it.
        unknown_fields: paths that AWS sent and the SDK does not know; a copy would silently lose
            them.
    """

    arn: str
    status: str
    content: Content = field(repr=False)
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
    def containers(self) -> Sequence[Content]:
        """Its container definitions."""
        containers: Sequence[Content] = self.content.get("containerDefinitions", [])
        return containers

    @property
    def images(self) -> dict[str, str]:
        """Container name to image, as the definition writes it."""
        images: dict[str, str] = {}
        for container in self.containers:
            if container.get("image"):
                images[str(container["name"])] = str(container["image"])
        return images

    @property
    def roles(self) -> tuple[str, ...]:
        """ARNs of the task and the execution role, each once."""
        return each_once(
            (
                self.content.get("taskRoleArn"),
                self.content.get("executionRoleArn"),
            )
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every `valueFrom` of its containers: of their secrets and of their log configuration."""
        named: list[str] = []
        for container in self.containers:
            logging = container.get("logConfiguration", {})
            secrets = [
                *container.get("secrets", []),
                *logging.get("secretOptions", []),
            ]
            named += [str(secret["valueFrom"]) for secret in secrets]
        return tuple(dict.fromkeys(named))

    @property
    def registry_credentials(self) -> tuple[str, ...]:
        """The secrets with which images of private registries are pulled.

        Each is an ARN or the name of a secret.
        """
        named: list[str | None] = []
        for container in self.containers:
            credentials = container.get("repositoryCredentials", {})
            named.append(credentials.get("credentialsParameter"))
        return each_once(named)

    @property
    def ports(self) -> frozenset[tuple[str, int]]:
        """Container and port of every port mapping."""
        ports: set[tuple[str, int]] = set()
        for container in self.containers:
            name = str(container.get("name"))
            for mapping in container.get("portMappings", []):
                if mapping.get("containerPort"):
                    ports.add((name, int(mapping["containerPort"])))
        return frozenset(ports)

    @property
    def network_mode(self) -> str:
        """Its network mode.

        It is `bridge` where none is given (RegisterTaskDefinition, networkMode).
        """
        return str(self.content.get("networkMode", "bridge"))

    @property
    def compatibilities(self) -> tuple[str, ...]:
        """The launch types that it was registered for."""
        return tuple(self.content.get("requiresCompatibilities", ()))

    @property
    def irreversible(self) -> bool:
        """Whether it is tagged as a change that older code cannot live with."""
        return is_irreversible(self.tags)

    def identity(self, digests: Mapping[str, str | None]) -> str:
        """The identity of this content run with these image digests.

        Where there is none, the image's name stands in.
        """
        containers: list[Content] = []
        for container in self.containers:
            digest = digests.get(str(container.get("name")))
            containers.append({**container, "image": digest or container.get("image")})

        content = {**self.content, "containerDefinitions": containers}
        return hashlib.sha256(_canonical(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Definitions:
    """Reads task definitions, each once, and registers pinned copies of them."""

    clients: "Clients"
    _read: dict[str, Definition] = field(default_factory=dict)

    def describe(self, reference: str) -> Definition:
        """The definition behind an ARN or `family:revision`.

        Behind a family's name alone it is the newest ACTIVE revision.

        Raises:
            UnknownDefinition: naming the reference.
        """
        if reference in self._read:
            return self._read[reference]

        ecs = self.clients.ecs
        try:
            answer = ecs.describe_task_definition(
                taskDefinition=reference,
                include=["TAGS"],
            )
        except (
            ecs.exceptions.ClientException,
            ecs.exceptions.InvalidParameterException,
        ) as error:
            why = error.response["Error"].get("Message", error)
            raise UnknownDefinition(f"{reference}: {why}") from error

        described = answer["taskDefinition"]
        as_sent = self.clients.raw_definition().get("taskDefinition")
        definition = Definition(
            arn=described["taskDefinitionArn"],
            status=described.get("status", "ACTIVE"),
            content=self._registrable(described),
            tags=tags_of(answer.get("tags", [])),
            unknown_fields=tuple(unknown_fields(as_sent, described)),
        )
        self._read[reference] = definition
        self._read[definition.arn] = definition
        return definition

    def _registrable(self, described: "TaskDefinitionTypeDef") -> Content:
        """What RegisterTaskDefinition takes of what DescribeTaskDefinition gave."""
        operation = self.clients.ecs.meta.service_model.operation_model("RegisterTaskDefinition")
        taken = operation.input_shape.members if operation.input_shape else {}
        return {name: value for name, value in described.items() if name in taken}

    def copy_of(
        self,
        original: Definition,
        digests: Mapping[str, str | None],
        known: Sequence[str] = (),
    ) -> Definition | None:
        """A pinned copy that is there and ACTIVE already.

        None without one. It is the family's newest revision, so that a retry makes no second one.
        `known` are ARNs of further definitions that may be one.
        """
        self._read.pop(original.family, None)
        wanted = _canonical(pinned(original, digests))

        for reference in (original.family, *known):
            try:
                found = self.describe(reference)
            except UnknownDefinition:
                continue
            is_copy = found.tags.get(RESTORED_TAG) == original.arn
            if is_copy and found.status == "ACTIVE" and _canonical(found.content) == wanted:
                return found
        return None

    def restore(
        self,
        original: Definition,
        digests: Mapping[str, str | None],
        known: Sequence[str] = (),
    ) -> Definition:
        """A revision with the same content, its images pinned.

        It is a copy that is there already, or a new one.

        Raises:
            CannotBeRestored: ECS refuses the content, or it holds fields that this version's SDK
                does not know and would lose.
        """
        if original.unknown_fields:
            fields = ", ".join(original.unknown_fields)
            raise CannotBeRestored(
                f"{original.name}: this version does not know its fields {fields}: "
                "update the controller"
            )

        existing = self.copy_of(original, digests, known)
        if existing:
            return existing
        return self._register(original, pinned(original, digests))

    def _register(self, original: Definition, content: Content) -> Definition:
        """Register a copy of a definition.

        RegisterTaskDefinition refuses an empty list of tags, and tags that begin with `aws:`, which
        are AWS's own (API RegisterTaskDefinition, tags). Of its ClientException and its
        InvalidParameterException a retry cannot help, unless it was asked too much at once.
        """
        tags = {
            key: value for key, value in original.tags.items() if not key.lower().startswith("aws:")
        }
        tags[RESTORED_TAG] = original.arn

        try:
            answer = self.clients.ecs.register_task_definition(
                **content,
                tags=[{"key": key, "value": value} for key, value in tags.items()],
            )
        except ClientError as error:
            code = error.response["Error"].get("Code")
            why = error.response["Error"].get("Message", "")
            refused = code in ("ClientException", "InvalidParameterException")
            if not refused or why.startswith(CONCURRENT):
                raise
            raise CannotBeRestored(
                f"{original.name} cannot be registered again as it is: {why}"
            ) from error

        registered = answer["taskDefinition"]
        return Definition(
            arn=registered["taskDefinitionArn"],
            status=registered.get("status", "ACTIVE"),
            content=content,
            tags=tags,
        )


def pinned(definition: Definition, digests: Mapping[str, str | None]) -> dict[str, Any]:
    """The content with every image as `repository@digest`, where a digest is known."""
    containers: list[Content] = []
    for container in definition.containers:
        digest = digests.get(str(container.get("name")))
        if digest:
            repository = without_version(container["image"])
            containers.append({**container, "image": f"{repository}@{digest}"})
        else:
            containers.append(container)
    return {**definition.content, "containerDefinitions": containers}


def _canonical(content: object) -> str:
    """The content as text in which the order of named things does not count.

    Named things are keys, containers, variables, mounts: AWS does not promise to describe them in
    the order in which they were registered. Lists of words, such as a command, keep theirs.
    """
    return _as_text(_ordered(content))


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _ordered(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value

    items = [_ordered(item) for item in value]
    if all(isinstance(item, dict) for item in items):
        items.sort(key=_as_text)
    return items


def _as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str, separators=(",", ":"))


def without_version(image: str) -> str:
    """An image reference without tag and digest.

    A registry's port stays.
    """
    name = image.partition("@")[0]
    path, slash, last = name.rpartition("/")
    repository = last.partition(":")[0]
    return f"{path}{slash}{repository}"


def unknown_fields(raw: object, parsed: object, where: str = "") -> Iterator[str]:
    """The paths that an answer held and the SDK's model dropped.

    A null is no field.
    """
    if isinstance(raw, Mapping) and isinstance(parsed, Mapping):
        for key, value in raw.items():
            path = f"{where}.{key}".removeprefix(".")
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


def tags_of(tags: "Iterable[TagTypeDef]") -> dict[str, str]:
    """ECS's list of tags as a mapping."""
    return {str(tag.get("key")): tag.get("value", "") for tag in tags}


def is_irreversible(tags: Mapping[str, str]) -> bool:
    """Whether the tag stands there with any value but `false`, to the letter.

    Who writes another is not guessed at.
    """
    return tags.get(IRREVERSIBLE_TAG, "false") != "false"
