"""All that the ledger holds of one service, beside what a judgement asks of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autorollback.decision.facts import LedgerState
from autorollback.decision.incident import Incident, Phase
from autorollback.decision.result import Result
from autorollback.naming import ServiceKey

STAYS_RED_FOR = timedelta(minutes=15)
"""How long an alarm may stay red while nobody acts, until people are paged."""


@dataclass(frozen=True, slots=True)
class PendingCheck:
    """An ECS event that the sweep has to look into.

    A deployment failed, or tasks cannot start.

    Attributes:
        deployment: the service deployment that failed; empty where nobody read which one it was.
        due: when to look.
        tasks: it spoke of tasks that cannot start.
        named: the `ecs-svc/...` id that the event named.
    """

    deployment: str
    failed_at: datetime
    due: datetime
    tasks: bool = False
    named: str = ""


@dataclass(frozen=True, slots=True)
class RollbackMark:
    """By what another service's rollback is told apart from its other deployments.

    Attributes:
        at: when it was claimed.
        deployment: ARN of the service deployment that carried it out; None where that is not known yet.
        left: when the deployment that was the newest then had been created.
    """

    at: datetime
    deployment: str | None
    left: datetime | None = None


@dataclass(frozen=True, slots=True)
class RedWatch:
    """What is told at a higher severity, if an alarm stays red and nobody acts.

    Attributes:
        about: the suspect deployment's ARN, or another word where there is none.
        since: when people were first left with it.
        red: names of the alarms that were in ALARM then.
        message: what was said last.
        resource: ARN of the service.
    """

    about: str
    since: datetime
    red: tuple[str, ...]
    message: Result
    resource: str

    @property
    def due(self) -> datetime:
        """When it is looked at."""
        return self.since + STAYS_RED_FOR

    @property
    def sort_key(self) -> str:
        """Of its item."""
        return f"red#{self.about.rpartition('/')[2]}"


@dataclass(frozen=True, slots=True)
class RecentDeployment:
    """A deployment of a protected service, and what to."""

    key: ServiceKey
    task_definition: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ServiceLedger:
    """All that the ledger says of a service; incidents are newest first.

    Attributes:
        state: what a judgement asks of it.
        judged: alarms that have a verdict of their own, each with the newest deployment then.
        muted: when each alarm was last heard muted.
        pending_checks: what the sweep has to look into.
        unsent: sort keys of the notices that people could not be told of.
        watched: ARNs of the deployments whose traffic the sweep looks at.
        red_watches: what is told at a higher severity, if an alarm stays red.
        alarm_trees: names of the alarms under each of a user's own that is a composite, by its name.
        surplus: sort keys of what is not kept any more, and is still to be removed.
        lost: open incidents whose own record was removed; they are among `incidents`.
    """

    state: LedgerState = field(default_factory=LedgerState)
    incidents: tuple[Incident, ...] = ()
    judged: frozenset[str] = frozenset()
    muted: Mapping[str, datetime] = field(default_factory=dict)
    pending_checks: tuple[PendingCheck, ...] = ()
    unsent: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    red_watches: tuple[RedWatch, ...] = ()
    alarm_trees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    surplus: tuple[str, ...] = ()
    lost: tuple[Incident, ...] = ()

    @property
    def has_untold(self) -> bool:
        """Whether people have not been told of something."""
        return bool(self.unsent) or any(incident.untold for incident in self.incidents)

    @property
    def unfinished_claim(self) -> Incident | None:
        """The newest claim whose act, or its record, is still to be done."""
        for incident in self.incidents:
            if incident.is_unfinished_claim:
                return incident
        return None

    def refusal_of(self, deployment: str) -> Incident | None:
        """The claim on a deployment for which AWS refused all that could be tried."""
        for incident in self.incidents:
            if incident.deployment == deployment and incident.was_refused:
                return incident
        return None

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The rollbacks whose recovery is being watched, newest first."""
        return tuple(i for i in self.incidents if i.phase is Phase.OPEN)


def verdict_marks(newest: str, alarms: tuple[str, ...]) -> tuple[str, ...]:
    """What says that alarms have a verdict of their own on a service's newest deployment.

    `newest` is its ARN, empty without one.
    """
    deployment_id = newest.rpartition("/")[2]
    return tuple(f"{deployment_id} {alarm}" for alarm in alarms)
