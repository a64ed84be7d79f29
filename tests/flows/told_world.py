"""A session over a told service: what AWS would answer is told, what is written is kept."""

# ruff: noqa: ARG002 - a fake takes what its port takes

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from autorollback.aws.audit import Repository
from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ecs import DeploymentPage
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.aws.reader import Snapshot
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Deployment, Facts, KnownGood, Revision, Trigger
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.decision.next_deployment import with_next_deployment
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod
from autorollback.flows.session import Invocation, ProtectedService, Session
from autorollback.naming import Names, ServiceKey
from autorollback.policy import PolicyError, ServicePolicy
from tests.fakes.services import FakeAnnouncer, FakeAudit, FakeDependencies
from tests.fakes.watch import FakeTraffic
from tests.scenarios.history import ARN, NOW, History

KEY = ServiceKey("shop", "auth")
ECR = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"


def arn_of(build: str) -> str:
    return f"{ARN}:task-definition/auth:{build}"


def digest(build: str) -> str:
    return f"sha256:{build}"


@dataclass
class Definitions:
    """Task definitions by ARN and by `family:revision`; each reference asked for is kept."""

    known: dict[str, Definition] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def describe(self, reference: str) -> Definition:
        self.asked.append(reference)
        for arn, definition in self.known.items():
            if reference in (arn, definition.name):
                return definition
        raise UnknownDefinition(f"{reference}: Unable to describe task definition.")

    def add(self, build: str, *, image: str | None = None, **more: Any) -> Definition:
        """A definition of one container `app`, whose image is tagged with the build."""
        image = f"{ECR}/auth:{build}" if image is None else image
        status = more.pop("status", "ACTIVE")
        container = {"name": "app", "image": image, **more.pop("container", {})}
        content = {"family": "auth", "containerDefinitions": [container], **more}
        definition = Definition(arn_of(build), status, content)
        self.known[definition.arn] = definition
        return definition


@dataclass
class Past:
    """Further pages of deployments, older with each page."""

    pages: dict[str, DeploymentPage] = field(default_factory=dict)
    known_deployments: dict[str, Deployment] = field(default_factory=dict)
    known_revisions: dict[str, Revision] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:
        self.read.append(str(after))
        return self.pages[str(after)]

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        return tuple(self.known_deployments[arn] for arn in arns)

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        return {arn: self.known_revisions[arn] for arn in arns}


@dataclass
class Reader:
    """Gives the facts of the told story."""

    world: "World"
    asked_of: list[list[str]] = field(default_factory=list)

    def snapshot(self, policy: ServicePolicy, now: datetime) -> Snapshot:
        if self.world.broken_record:
            raise self.world.broken_record
        return self.world.snapshot(policy, self.world.stories[policy.key])

    def facts(
        self, snapshot: Snapshot, trigger: Trigger, now: datetime, event: object = None
    ) -> Facts:
        story = self.world.story
        story.trigger = trigger
        return replace(story.facts(), service=snapshot.service)

    def facts_of_next(self, snapshot: Snapshot, trigger: Trigger, now: datetime) -> Facts:
        return with_next_deployment(self.facts(snapshot, trigger, now), now)

    def facts_beyond(self, facts: Facts, snapshot: Snapshot, unfit: int, now: datetime) -> Facts:
        return facts

    def with_histories(self, question: Question, periods: Sequence[ServingPeriod]) -> Facts:
        self.asked_of.append([period.revision for period in periods])
        return question.facts


@dataclass
class Policies:
    """The protected services."""

    world: "World"

    def of(self, key: ServiceKey) -> ServicePolicy | None:
        if self.world.broken_policy:
            raise self.world.broken_policy
        story = self.world.stories.get(key)
        return ServicePolicy(key, story.policy, load_balancer="app/lb/1") if story else None

    def keys(self) -> tuple[ServiceKey, ...]:
        return tuple(self.world.stories)


@dataclass
class Ledger:
    """What is kept as known good."""

    good: dict[ServiceKey, KnownGood] = field(default_factory=dict)

    def save_known_good(self, key: ServiceKey, good: KnownGood) -> None:
        self.good[key] = good


class World:
    """A protected service whose story is told, with everything that it needs."""

    def __init__(self, story: History) -> None:
        self.story = story
        self.stories: dict[ServiceKey, History] = {KEY: story}
        self.definitions = Definitions()
        self.dependencies = FakeDependencies()
        self.past = Past()
        self.page = DeploymentPage((), (), None)
        self.reader = Reader(self)
        self.traffic = FakeTraffic()
        repository = Repository("IMMUTABLE", (), None, ())
        self.audit = FakeAudit(repositories={"auth": repository})
        self.announcer = FakeAnnouncer()
        self.ledger = Ledger()
        self.time_left = timedelta(minutes=5)
        self.broken_policy: PolicyError | None = None
        self.broken_record: LedgerRecordError | None = None
        self.gone = False
        for revision in story.revisions.values():
            self.built(revision.task_definition.partition(":")[2])

    def built(self, build: str, **more: Any) -> Definition:
        """A build whose definition and image are there."""
        self.dependencies.digests.add(digest(build))
        self.dependencies.tags[build] = digest(build)
        return self.definitions.add(build, **more)

    def snapshot(self, policy: ServicePolicy, story: History) -> Snapshot:
        ledger = ServiceLedger(state=story.memory)
        service = None if self.gone else story.service
        return Snapshot(
            policy=policy,
            ledger=ledger,
            service=service,
            page=self.page,
            history=cast(Any, self.past),
        )

    @property
    def session(self) -> Session:
        fakes: dict[str, Any] = {
            "ledger": self.ledger,
            "policies": Policies(self),
            "reader": self.reader,
            "definitions": self.definitions,
            "deployments": None,
            "dependencies": self.dependencies,
            "alarms": None,
            "traffic": self.traffic,
            "announcer": self.announcer,
            "audit": self.audit,
        }
        invocation = Invocation("request", NOW, self.time_left)
        return Session(invocation=invocation, names=Names(), report=lambda _: None, **fakes)

    @property
    def service(self) -> ProtectedService:
        service = self.session.look_at(KEY)
        assert service is not None
        return service

    @property
    def facts(self) -> Facts:
        return self.story.facts()
