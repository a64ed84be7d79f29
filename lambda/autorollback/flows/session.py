"""What every flow works with: the adapters of this installation, and who is asking when."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from autorollback import results
from autorollback.aws import ports
from autorollback.aws.alarms import Alarms
from autorollback.aws.announcer import Announcer
from autorollback.aws.audit import Audit
from autorollback.aws.clients import Clients, in_parallel
from autorollback.aws.definitions import Definitions
from autorollback.aws.dependencies import Dependencies
from autorollback.aws.deployments import Deployments
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import Neighbours
from autorollback.aws.policies import Policies
from autorollback.aws.reader import FactsReader, Snapshot
from autorollback.aws.tasks import Tasks
from autorollback.aws.traffic import Traffic
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.decision.result import Result
from autorollback.decision.verdicts import Reason
from autorollback.naming import Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from autorollback.results import Answer


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function's environment says. `protected_services` is how many this installation protects."""

    names: Names
    table: str
    topic_arn: str
    protected_services: int


@dataclass(frozen=True, slots=True)
class Invocation:
    """One invocation of the function.

    Its id, which retries share; its time; and how long the function has left.
    """

    request_id: str
    now: datetime
    time_left: timedelta

    @property
    def lease_until(self) -> datetime:
        """When nobody can still be working on this invocation."""
        return self.now + self.time_left


@dataclass(frozen=True, slots=True)
class Session:
    """The adapters of this installation, for one invocation: what was read is true for one.

    Attributes:
        report: counts and logs an answer that is not the invocation's own.
        unsent: what kept messages of this very invocation from being sent. It fails in the end, when all else is done.
    """

    invocation: Invocation
    names: Names
    ledger: ports.Ledger
    policies: ports.Policies
    reader: FactsReader
    definitions: ports.Definitions
    deployments: ports.Deployments
    dependencies: ports.Dependencies
    alarms: ports.Alarms
    traffic: ports.Traffic
    announcer: ports.Announcer
    audit: ports.Audit
    report: Callable[[Answer], None]
    unsent: list[Exception] = field(default_factory=list)
    _policies_read: dict[ServiceKey, ServicePolicy | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        settings: Settings,
        clients: Clients,
        invocation: Invocation,
        report: Callable[[Answer], None],
    ) -> "Session":
        """The adapters, all on the same clients."""
        names = settings.names
        ledger = Ledger(clients, settings.table)
        policies = Policies(clients, names)
        definitions = Definitions(clients)
        deployments = Deployments(clients, names.prefix)
        dependencies = Dependencies(clients)
        alarms = Alarms(clients, names)
        traffic = Traffic(clients)
        neighbours = Neighbours(
            clients,
            names,
            ledger,
            policies,
            settings.protected_services,
        )
        reader = FactsReader(
            ledger=ledger,
            deployments=deployments,
            definitions=definitions,
            dependencies=dependencies,
            alarms=alarms,
            traffic=traffic,
            tasks=Tasks(clients),
            neighbours=neighbours,
        )
        return cls(
            invocation=invocation,
            names=names,
            ledger=ledger,
            policies=policies,
            reader=reader,
            definitions=definitions,
            deployments=deployments,
            dependencies=dependencies,
            alarms=alarms,
            traffic=traffic,
            announcer=Announcer(
                clients,
                settings.topic_arn,
                names.prefix,
                names.installation,
            ),
            audit=Audit(clients, names, settings.table),
            report=report,
        )

    @property
    def now(self) -> datetime:
        """When the invocation began."""
        return self.invocation.now

    @property
    def request_id(self) -> str:
        """The id of the invocation, which its retries share."""
        return self.invocation.request_id

    def policy_of(self, key: ServiceKey) -> ServicePolicy | None:
        """The policy of a service, read once; None where it is not protected.

        Raises:
            PolicyError: it lost a key, or was edited into nonsense.
        """
        if key not in self._policies_read:
            self._policies_read[key] = self.policies.of(key)
        return self._policies_read[key]

    @contextmanager
    def lease(self, key: ServiceKey) -> Iterator[bool]:
        """Hold the one judgement of a service; False where another invocation holds it.

        Its policy is read beside: nothing of a service is, before that tells that it may be.
        """
        take = partial(
            self.ledger.lease,
            key,
            self.request_id,
            self.now,
            self.invocation.lease_until,
        )
        try:
            seen = in_parallel({"taken": take, "policy": partial(self.policy_of, key)})
            yield seen["taken"]
        finally:
            self.ledger.release_lease(key, self.request_id)

    def look_at(self, key: ServiceKey) -> "ProtectedService | None":
        """A service as it is now.

        None where it has no policy, which means that it is not protected: then nothing else of it
        is asked for, which the function's role would refuse.
        """
        policy = self.policy_of(key)
        if policy is None:
            return None
        return ProtectedService(self, policy, self.reader.snapshot(policy, self.now))


@dataclass(frozen=True, slots=True)
class ProtectedService:
    """One protected service in one session: its policy, and what was seen of it first."""

    session: Session
    configured: ServicePolicy
    snapshot: Snapshot

    @property
    def key(self) -> ServiceKey:
        """Which service it is."""
        return self.configured.key

    @property
    def policy(self) -> Policy:
        """How it is judged."""
        return self.configured.policy

    @property
    def now(self) -> datetime:
        """When the invocation began."""
        return self.session.now

    @property
    def ledger_state(self) -> ServiceLedger:
        """All that the ledger says of it."""
        return self.snapshot.ledger

    @property
    def newest_deployment(self) -> str:
        """ARN of its newest deployment; empty without one."""
        return next(iter(self.snapshot.page.arns), "")

    def look_again(self) -> "ProtectedService | None":
        """The service anew, after an incident of it was closed, which gave the lease back.

        None where another invocation has taken the lease meanwhile.
        """
        session = self.session
        until = session.invocation.lease_until
        if not session.ledger.lease(
            self.key,
            session.request_id,
            session.now,
            until,
        ):
            return None
        return session.look_at(self.key)


def already_being_judged(key: ServiceKey) -> Result:
    """Another invocation holds the lease of the service."""
    detail = "the service is being judged by another invocation"
    return results.ignored(Reason.ALREADY_HANDLED, detail, key)


def unprotected(session: Session, key: ServiceKey) -> Result:
    """A service without a policy is nobody's business here."""
    detail = f"{key} has no policy parameter {session.names.policy_parameter(key)}"
    return results.ignored(Reason.UNPROTECTED_SERVICE, detail, key)
