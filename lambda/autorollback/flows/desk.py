"""What every flow works with: the adapters of one copy of the controller, and who is asking when."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.aws.announcer import Announcer
from autorollback.aws.clients import Clients
from autorollback.aws.definitions import Definitions
from autorollback.aws.deployer import Deployer
from autorollback.aws.evidence import Evidence
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import Neighbours
from autorollback.aws.policies import Policies
from autorollback.naming import Names
from autorollback.results import Result


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function's environment says. `protected_services` is how many services this copy protects."""

    names: Names
    table: str
    topic_arn: str
    protected_services: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The adapters of one copy of the controller, made anew for each invocation: what was read is true for one.

    `report` counts and logs a result that is not the invocation's own answer, which its caller does.
    """

    names: Names
    clients: Clients
    ledger: Ledger
    evidence: Evidence
    definitions: Definitions
    deployer: Deployer
    announcer: Announcer
    report: Callable[[Result], None]

    @classmethod
    def of(cls, settings: Settings, clients: Clients, report: Callable[[Result], None]) -> "Desk":
        """The adapters, all on the same clients."""
        ledger, definitions = Ledger(clients, settings.table), Definitions(clients)
        policies = Policies(clients, settings.names)
        neighbours = Neighbours(clients, settings.names, ledger, policies, settings.protected_services)
        return cls(
            settings.names,
            clients,
            ledger,
            Evidence(clients, settings.names, ledger, definitions, neighbours),
            definitions,
            Deployer(clients),
            Announcer(clients, settings.topic_arn, settings.names.prefix),
            report,
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation: its id, which retries share; its time; and how long the function has left."""

    request_id: str
    now: datetime
    time_left: timedelta

    @property
    def lease_until(self) -> datetime:
        """When nobody can still be working on this invocation."""
        return self.now + self.time_left
