"""What the preflight may ask of AWS, and what is answered. Values of secrets are never read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ImagesStored:
    """Which of some images does a repository have?"""

    repository: str
    digests: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TagPushed:
    """When was the image pushed that a tag has now?"""

    repository: str
    tag: str


@dataclass(frozen=True, slots=True)
class SecretLookup:
    """Is a secret or parameter there?

    Attributes:
        value_from: how a task definition names it.
        of_registry: it is a registry's credentials, so that a bare name is that of a secret.
    """

    value_from: str
    of_registry: bool = False


@dataclass(frozen=True, slots=True)
class RoleLookup:
    """Is a role there? A definition gives its ARN or its name (TaskDefinition.taskRoleArn)."""

    arn: str

    @property
    def path(self) -> str:
        """The role's name with its path, as `task_roles` names it."""
        return role_path(self.arn)


Lookup = ImagesStored | TagPushed | SecretLookup | RoleLookup


@dataclass(frozen=True, slots=True)
class RepositoryImages:
    """What a repository has of what was asked.

    Attributes:
        digests: of images that are there, whatever their status.
        tags: each tag's digest now.
        inactive: status by digest of images that cannot be pulled as they are: ARCHIVED, ACTIVATING.
        unknown: by digest or tag, why ECR could not tell whether it is there.
        refused: why nothing could be asked of the repository; then nothing of it is known.
    """

    digests: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)
    inactive: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None

    def unknown_of(self, wanted: str) -> str | None:
        """Why it is not known whether a digest or tag is there.

        None where it is known.
        """
        return self.refused or self.unknown.get(wanted)


@dataclass(frozen=True, slots=True)
class DependencyStatus:
    """How it stands with one secret, parameter or role.

    Attributes:
        wrong: what is wrong with it, if anything.
        changed_at: when it last changed, where that is told.
        unknown: why it could not be looked for, which is nothing wrong.
        denied: it could not because this function may not ask.
    """

    wrong: str | None = None
    changed_at: datetime | None = None
    unknown: str | None = None
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to lookups; each that was asked has one."""

    images: Mapping[ImagesStored, RepositoryImages] = field(default_factory=dict)
    pushed: Mapping[TagPushed, datetime | None] = field(default_factory=dict)
    secrets: Mapping[SecretLookup, DependencyStatus] = field(default_factory=dict)
    roles: Mapping[RoleLookup, DependencyStatus] = field(default_factory=dict)


def role_path(role: str) -> str:
    """A role's name with its path, of its ARN or its name."""
    return role.partition(":role/")[2] or role
