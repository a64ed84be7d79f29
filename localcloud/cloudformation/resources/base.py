"""What all resource types share: clients, how a type is described, and helpers for properties."""

import json
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from localcloud.errors import NotModelled

Properties = dict[str, Any]
_LENGTH_OF_CHANCE = 12


class Aws:
    """Clients by service, made once."""

    def __init__(
        self,
        session: boto3.Session,
        account: str,
        region: str,
    ) -> None:
        self._session = session
        self.account = account
        self.region = region

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        create: Any = self._session.client  # the session keeps what it has made
        return create(service)

    def arn(self, service: str, resource: str) -> str:
        """An ARN of this account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def global_arn(self, service: str, resource: str) -> str:
        """An ARN of this account, of a service without regions."""
        return f"arn:aws:{service}::{self.account}:{resource}"


Create = Callable[[Aws, str, Properties], str]
Update = Callable[[Aws, str, Properties, Properties], None]
Delete = Callable[[Aws, str, Properties], None]
Attributes = Callable[[Aws, str, Properties], dict[str, str]]


def no_attributes(_aws: Aws, _physical: str, _properties: Properties) -> dict[str, str]:
    """For types that Fn::GetAtt knows nothing of."""
    return {}


@dataclass(frozen=True)
class Type:
    """How one resource type is handled.

    `create` gets the name and the properties and returns the physical id; `update` gets the physical id, the old and the new
    properties; a change of a property in `replaced_by` makes a new resource, and so does any change where `update` is None.
    `name` is the property that names the resource.
    """

    create: Create
    delete: Delete
    update: Update | None = None
    attributes: Attributes = no_attributes
    name: str | None = None
    longest_name: int = 255
    lower_case: bool = False
    replaced_by: frozenset[str] = frozenset()

    def name_for(
        self,
        stack: str,
        logical: str,
        properties: Properties,
    ) -> str:
        """The name that the properties give, or one as CloudFormation makes it.

        That is made of stack, logical name and chance.
        """
        if self.name and properties.get(self.name):
            return str(properties[self.name])
        alphabet = string.ascii_uppercase + string.digits
        chance = "".join(secrets.choice(alphabet) for _ in range(_LENGTH_OF_CHANCE))
        longest_head = self.longest_name - _LENGTH_OF_CHANCE - 1
        head = f"{stack}-{logical}"[:longest_head]
        name = f"{head}-{chance}"
        if self.lower_case:
            return name.lower()
        return name

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """Whether this change needs a new resource."""
        if self.update is None:
            return True
        immutable = set(self.replaced_by)
        if self.name:
            immutable.add(self.name)
        return any(old.get(key) != new.get(key) for key in immutable)


def refuse_unknown(resource_type: str, properties: Properties, modelled: frozenset[str]) -> None:
    """Raise NotModelled for properties that would have no effect here."""
    unknown = sorted(set(properties) - modelled)
    if unknown:
        raise NotModelled(f"{resource_type}: {', '.join(unknown)}")


def given(properties: Properties, *keys: str) -> Properties:
    """Those of the properties that are among the keys."""
    return {key: value for key, value in properties.items() if key in keys}


def without(properties: Properties, *keys: str) -> Properties:
    """Those of the properties that are not among the keys."""
    return {key: value for key, value in properties.items() if key not in keys}


def as_text(value: Any) -> str:
    """The value as APIs take it that know texts only: documents as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    return json.dumps(value)


def as_texts(properties: Properties) -> dict[str, str]:
    """The properties with each value as a text."""
    return {key: as_text(value) for key, value in properties.items()}


def tag_map(properties: Properties) -> dict[str, str]:
    """The list of tags as a mapping."""
    tags = properties.get("Tags") or []
    return {tag["Key"]: tag["Value"] for tag in tags}


def arn_of(service: str, pattern: str) -> Attributes:
    """The attribute Arn; the pattern has {} in the place of the physical id."""

    def attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
        return {"Arn": aws.arn(service, pattern.format(physical))}

    return attributes


def overwrite_by(create: Create) -> Update:
    """For resources whose Put call overwrites them."""

    def update(
        aws: Aws,
        physical: str,
        _old: Properties,
        new: Properties,
    ) -> None:
        create(aws, physical, new)

    return update


def delete_by(service: str, operation: str, parameter: str, **more: Any) -> Delete:
    """Deletion by one call that names the resource."""

    def delete(aws: Aws, physical: str, _properties: Properties) -> None:
        call = getattr(aws(service), operation)
        call(**{parameter: physical}, **more)

    return delete


def keep(_aws: Aws, _physical: str, _properties: Properties) -> None:
    """Deletion that does nothing: what it belongs to is deleted, or it has no effect."""
