"""Policies, what tasks need to start, people, and the readiness audit's own memory, in memory."""

# ruff: noqa: ARG002 - a fake takes what its port takes

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from botocore.exceptions import ClientError

from autorollback.aws.audit import Remembered, Repository
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Secret
from autorollback.decision.lookups import (
    Answers,
    DependencyStatus,
    ImagesStored,
    Lookup,
    RepositoryImages,
    RoleLookup,
    SecretLookup,
    TagPushed,
)
from autorollback.naming import Home, ServiceKey
from autorollback.policy import PolicyError, ServicePolicy
from autorollback.results import Message


@dataclass
class FakePolicies:
    """The policies of the protected services; one may have been edited into nonsense."""

    known: dict[ServiceKey, ServicePolicy] = field(default_factory=dict)
    broken: dict[ServiceKey, PolicyError] = field(default_factory=dict)

    def has(self, key: ServiceKey) -> bool:
        return key in self.known or key in self.broken

    def of(self, key: ServiceKey) -> ServicePolicy | None:
        if key in self.broken:
            raise self.broken[key]
        return self.known.get(key)

    def keys(self) -> tuple[ServiceKey, ...]:
        return tuple(sorted(self.known, key=str))

    def named(self, service: str, cluster: str | None = None) -> tuple[ServiceKey, ...]:
        if cluster is None:
            return tuple(key for key in self.keys() if key.service == service)
        key = ServiceKey(cluster, service)
        return (key,) if key in self.known else ()


@dataclass
class FakeDependencies:
    """Repositories, secrets and roles: all there, but for what is told."""

    digests: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, DependencyStatus] = field(default_factory=dict)
    roles: dict[str, DependencyStatus] = field(default_factory=dict)
    pushed: dict[str, datetime] = field(default_factory=dict)
    asked: list[Lookup] = field(default_factory=list)
    refuses: ClientError | None = None

    def answers(self, home: Home, lookups: Iterable[Lookup]) -> Answers:
        if self.refuses:
            raise self.refuses
        images: dict[ImagesStored, RepositoryImages] = {}
        pushed: dict[TagPushed, datetime | None] = {}
        secrets: dict[SecretLookup, DependencyStatus] = {}
        roles: dict[RoleLookup, DependencyStatus] = {}
        for lookup in lookups:
            self.asked.append(lookup)
            match lookup:
                case ImagesStored():
                    images[lookup] = RepositoryImages(frozenset(self.digests), self.tags)
                case TagPushed():
                    pushed[lookup] = self.pushed.get(lookup.tag)
                case SecretLookup():
                    told = self.secrets.get(lookup.value_from, DependencyStatus())
                    secrets[lookup] = told
                case RoleLookup():
                    roles[lookup] = self.roles.get(lookup.path, DependencyStatus())
        return Answers(images, pushed, secrets, roles)

    def secrets_of(self, service_arn: str, definition: Definition) -> tuple[Secret, ...]:
        found = []
        for name in sorted(definition.secrets):
            status = self.secrets.get(name, DependencyStatus())
            found.append(Secret(name, status.changed_at, status.wrong))
        return tuple(found)

    def digest_of(self, repository: str, tag: str) -> str | None:
        return self.tags.get(tag)

    def tags_like(self, repository: str, tag: str) -> list[str]:
        return sorted(self.tags)


@dataclass
class FakeAnnouncer:
    """What people were told, and machines; it fails as often as it is told to, or all the while."""

    messages: list[Message] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)
    letters: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    people_unreachable: Exception | None = None
    machines_unreachable: Exception | None = None

    def tell_people(self, message: Message) -> None:
        if self.fails:
            raise self.fails.pop(0)
        if self.people_unreachable:
            raise self.people_unreachable
        self.messages.append(message)

    def tell_machines(self, message: Message, resource: str) -> None:
        if self.machines_unreachable:
            raise self.machines_unreachable
        self.events.append(message)

    def publish(self, title: str, letter: str, document: dict[str, object]) -> None:
        if self.people_unreachable:
            raise self.people_unreachable
        self.letters.append((title, letter, document))


@dataclass
class FakeAudit:
    """The memory of the last audit, alarms and repositories."""

    enabled: dict[str, bool | None] = field(default_factory=lambda: {"5xx-rate": True})
    repositories: dict[str, Repository | None] = field(default_factory=dict)
    memory: dict[str, Remembered] = field(default_factory=dict)

    def alarms(self, policy: ServicePolicy) -> dict[str, bool | None]:
        return self.enabled

    def repository(self, name: str) -> Repository | None:
        return self.repositories.get(name)

    def remembered(self) -> Mapping[str, Remembered]:
        return dict(self.memory)

    def remember(self, key: ServiceKey, found: Remembered) -> None:
        self.memory[str(key)] = found
