"""What every flow works with: the adapters of one installation, and who is asking when."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autorollback.aws.announcer import Announcer
from autorollback.aws.clients import Clients
from autorollback.aws.codedeploy import DeploymentGroup
from autorollback.aws.definitions import Definitions
from autorollback.aws.deployer import Deployer, Hands
from autorollback.aws.ecs import Ecs, History
from autorollback.aws.evidence import Evidence
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import Neighbours
from autorollback.aws.policies import Policies
from autorollback.naming import Names
from autorollback.results import Result


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function's environment says. `protected_services` is how many services this installation protects."""

    names: Names
    table: str
    topic_arn: str
    protected_services: int


@dataclass(frozen=True, slots=True)
class Desk:
    """The adapters of one installation, made anew for each invocation: what was read is true for one.

    `report` counts and logs a result that is not the invocation's own answer, which its caller does. `unsent` is what kept
    messages of this very invocation from being sent: it fails in the end, when all else is done, and is tried again.
    """

    names: Names
    clients: Clients
    ledger: Ledger
    evidence: Evidence
    definitions: Definitions
    deployer: Deployer
    announcer: Announcer
    report: Callable[[Result], None]
    unsent: list[Exception] = field(default_factory=list)

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

    def hands(self, code_deploy: str | None) -> Hands:
        """What acts on a service: ECS, or the deployment group of CodeDeploy that is named."""
        return self._group(code_deploy) if code_deploy else self.deployer

    def history(self, code_deploy: str | None) -> History:
        """Where the deployments of a service are on record, likewise; read anew."""
        return self._group(code_deploy) if code_deploy else Ecs(self.clients)

    def carrying(self, code_deploy: str, deployments: Sequence[str], incident_id: str) -> str | None:
        """Which of CodeDeploy's deployments was created for an incident, if one was."""
        return self._group(code_deploy).carrying(deployments, incident_id)

    def _group(self, code_deploy: str) -> DeploymentGroup:
        return DeploymentGroup.of(self.clients, code_deploy, self.names.prefix)


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
