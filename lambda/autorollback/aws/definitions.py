"""Reads task definitions, and registers pinned copies of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autorollback.aws.asking import ask_once
from autorollback.decision.definition import IRREVERSIBLE_TAG, Content, Definition, canonical

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TagTypeDef, TaskDefinitionTypeDef

    from autorollback.aws.clients import Clients

RESTORED_TAG = "auto-rollback:restored-from"

OWN_TAGS = "auto-rollback:"
"""How the tags of this controller begin."""

MOST_TAGS = 50
"""Tags that a definition can have (API RegisterTaskDefinition, tags)."""


class UnknownDefinition(LookupError):  # noqa: N818 - a finding, turned into a refusal or hold
    """ECS cannot describe this task definition: there is none, or it has been deleted."""


class CannotBeRestored(ValueError):  # noqa: N818 - a finding, which the caller turns into a hold
    """This content cannot be registered as it is.

    A changed one would not be what ran.
    """


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
        as_sent = self.clients.raw_answer()
        definition = Definition(
            arn=described["taskDefinitionArn"],
            status=described.get("status", "ACTIVE"),
            content=self._registrable(described),
            tags=tags_of(answer.get("tags", [])),
            unknown_fields=tuple(_unknown_of_definition(as_sent, described)),
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
        wanted = canonical(original.pinned(digests))
        copied_tags = tags_of_copy(original)

        for reference in (original.family, *known):
            try:
                found = self.describe(reference)
            except UnknownDefinition:
                continue
            is_copy = found.tags.get(RESTORED_TAG) == original.arn or found.tags == copied_tags
            if is_copy and found.status == "ACTIVE" and canonical(found.content) == wanted:
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
            CannotBeRestored: it holds fields that this version's SDK does not know and would lose.
            ClientError: ECS refuses the content.
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
        return self._register(original, original.pinned(digests), digests)

    def _register(
        self,
        original: Definition,
        content: Content,
        digests: Mapping[str, str | None],
    ) -> Definition:
        """Register a copy of a definition, once: RegisterTaskDefinition has no idempotency token.

        Where its answer is lost, what it made is looked for before it is asked again. Errors of ECS
        are raised as they are.
        """
        tags = tags_of_copy(original)
        listed: list[TagTypeDef] = [{"key": key, "value": value} for key, value in tags.items()]

        def ask() -> Definition:
            answer = self.clients.ecs_unretried.register_task_definition(**content, tags=listed)
            registered = answer["taskDefinition"]
            return Definition(
                arn=registered["taskDefinitionArn"],
                status=registered.get("status", "ACTIVE"),
                content=content,
                tags=tags,
            )

        return ask_once(ask, lambda _: self.copy_of(original, digests))


def tags_of_copy(original: Definition) -> dict[str, str]:
    """The tags of a definition's copy, within AWS's limits.

    This controller's own tags are not carried on, but `irreversible`, which speaks of the content.
    A definition has at most 50 tags, and none that begins with `aws:`, which are AWS's own (API
    RegisterTaskDefinition, tags): `restored-from` gives way.
    """
    tags: dict[str, str] = {}
    for key, value in original.tags.items():
        is_own = key.startswith(OWN_TAGS) and key != IRREVERSIBLE_TAG
        if not is_own and not key.lower().startswith("aws:"):
            tags[key] = value
    if len(tags) < MOST_TAGS:
        tags[RESTORED_TAG] = original.arn
    return tags


def _unknown_of_definition(as_sent: object, described: object) -> Iterator[str]:
    """The paths of a definition that the SDK's model dropped of DescribeTaskDefinition's answer."""
    if isinstance(as_sent, Mapping):
        yield from unknown_fields(as_sent.get("taskDefinition"), described)


def unknown_fields(
    raw: object,
    parsed: object,
    where: str = "",
) -> Iterator[str]:
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


def tags_of(tags: "Iterable[TagTypeDef]") -> dict[str, str]:
    """ECS's list of tags as a mapping."""
    return {str(tag.get("key")): tag.get("value", "") for tag in tags}
