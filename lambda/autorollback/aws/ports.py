"""What the flows and the reader need of the outside, port by port.

No port is wider than they use it.

The adapters of this package fulfil them, and so do the fakes of the tests, which pass the same tests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from autorollback.aws.deployer import DeploymentBackend
from autorollback.aws.ecs import DeploymentPage, History
from autorollback.decision.definition import Definition
from autorollback.decision.facts import (
    Alarm,
    KnownGood,
    Neighbour,
    Quarantine,
    RedAlarm,
    Secret,
    Service,
    StoppedTask,
    TaskSet,
    TrafficReading,
    TrafficShift,
)
from autorollback.decision.incident import Incident, LeftRevision
from autorollback.decision.ledger_state import (
    PendingCheck,
    RecentDeployment,
    RedWatch,
    ServiceLedger,
)
from autorollback.decision.lookups import Answers, Lookup
from autorollback.decision.request_counts import Requests
from autorollback.naming import Home, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from autorollback.requests import AlarmChanged
from autorollback.results import Message

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

    from autorollback.aws.audit import Remembered, Repository
    from autorollback.aws.ledger import HistoryPage, Notice, UnsentNotice


class Leases(Protocol):
    """One judgement of a service at a time."""

    def lease(
        self,
        key: ServiceKey,
        owner: str,
        now: datetime,
        until: datetime,
    ) -> bool:
        """Take the one judgement of a service; False while another owner's lease runs."""

    def release_lease(
        self,
        key: ServiceKey,
        owner: str,
    ) -> None:
        """Give the lease back, if it is still this owner's."""


class LedgerReads(Protocol):
    """What the ledger says of services."""

    def recall(
        self,
        key: ServiceKey,
        now: datetime,
    ) -> ServiceLedger:
        """All that is known of a service."""

    def pause_of_all(self) -> datetime | None:
        """Until when automatic rollbacks of all services are paused."""

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        """The services that want something of the sweep by now."""

    def history(
        self,
        key: ServiceKey | None,
        limit: int,
        after: str | None,
    ) -> "HistoryPage":
        """Incidents of a service or of all, newest first."""

    def quarantines(self, key: ServiceKey) -> tuple[Quarantine, ...]:
        """Everything of a service that is quarantined."""


class Incidents(Protocol):
    """The records of incidents; who lost a conditional write is told so."""

    def claim(
        self,
        incident: Incident,
        over: Incident | None = None,
    ) -> bool:
        """Write the intent; False where the service's newest deployment has been claimed before."""

    def save(
        self,
        incident: Incident,
        due: datetime | None,
    ) -> Incident:
        """Write what has become of a claimed incident, and answer it as it now stands."""

    def finish(
        self,
        incident: Incident,
        due: datetime | None,
        owner: str,
        left: Sequence[LeftRevision] = (),
        at: datetime | None = None,
    ) -> Incident:
        """Write an invocation's last word on an incident, and give the lease back with it."""

    def put_back(self, incident: Incident) -> None:
        """Write the record of an open incident again that was removed."""

    def retract(self, incident: Incident) -> None:
        """Take back a claim that has led to no act."""


class Notices(Protocol):
    """What people were told that is about no incident."""

    def should_notify(
        self,
        key: ServiceKey,
        notice: "Notice",
        now: datetime,
    ) -> "UnsentNotice | None":
        """What people are still to be told; None where they have been told before."""

    def notified(
        self,
        key: ServiceKey,
        notice: "UnsentNotice",
    ) -> None:
        """Write down who has been told."""

    def unsent_notice(
        self,
        key: ServiceKey,
        sort_key: str,
    ) -> "UnsentNotice | None":
        """A message that people have not got yet; None where they have meanwhile."""


class TrafficWatch(Protocol):
    """What was seen of deployments that shift traffic."""

    def keep_traffic(
        self,
        key: ServiceKey,
        reading: TrafficReading,
        kept_until: datetime,
        due: datetime | None,
    ) -> None:
        """Remember what was seen of a deployment's traffic."""


class RedWatches(Protocol):
    """Whether an alarm stays red is looked at once."""

    def watch_red(
        self,
        key: ServiceKey,
        watch: RedWatch,
    ) -> None:
        """Have the sweep look whether an alarm stays red."""

    def end_red_watch(
        self,
        key: ServiceKey,
        watch: RedWatch,
        at: datetime,
        *,
        told: bool,
    ) -> None:
        """It has been looked at, and will not be again where people were told."""


class RecentDeployments(Protocol):
    """What was deployed lately, of all protected services."""

    def save_deployment(self, deployed: RecentDeployment) -> None:
        """Remember that a protected service was deployed."""

    def deployed_between(
        self,
        since: datetime,
        until: datetime,
    ) -> tuple[RecentDeployment, ...]:
        """What was deployed in a time, newest first."""


class Ledger(
    Leases,
    LedgerReads,
    Incidents,
    Notices,
    TrafficWatch,
    RedWatches,
    RecentDeployments,
    Protocol,
):
    """What makes a rollback happen once, and what is remembered of it."""

    def pause(
        self,
        key: ServiceKey | None,
        until: datetime,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        """Pause automatic rollbacks of a service, or of all."""

    def resume(self, key: ServiceKey | None) -> None:
        """End a pause; nothing happens where there is none."""

    def release(
        self,
        key: ServiceKey,
        lifted: Quarantine,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        """Lift one quarantine, and record that."""

    def save_known_good(
        self,
        key: ServiceKey,
        good: KnownGood,
    ) -> None:
        """Remember a revision that ran well; the newest time of an identity stands."""

    def trim(
        self,
        key: ServiceKey,
        surplus: Sequence[str],
        now: datetime,
    ) -> None:
        """Remove what is not kept any more, by its sort keys."""

    def save_alarm_trees(
        self,
        key: ServiceKey,
        trees: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Keep which alarms are under a user's own, for judgements to name them."""

    def record_muted(
        self,
        key: ServiceKey,
        alarm: str,
        at: datetime,
    ) -> None:
        """Remember that an alarm spoke while it was muted."""

    def add_pending_check(
        self,
        key: ServiceKey,
        check: PendingCheck,
    ) -> None:
        """Have the sweep look into an ECS event."""

    def remove_pending_check(
        self,
        key: ServiceKey,
        check: PendingCheck,
    ) -> None:
        """It has been looked into."""


class Policies(Protocol):
    """The policies of the protected services."""

    def of(self, key: ServiceKey) -> ServicePolicy | None:
        """The policy of one service; None where it is not protected."""

    def keys(self) -> tuple[ServiceKey, ...]:
        """Every protected service."""

    def named(
        self,
        service: str,
        cluster: str | None = None,
    ) -> tuple[ServiceKey, ...]:
        """The protected services of a name."""


class GroupHistory(History, Protocol):
    """The history of a service that CodeDeploy deploys, in its deployment group."""

    @property
    def waits(self) -> timedelta:
        """How long its newest deployment keeps what ran before."""

    def refuses(self, task_sets: Iterable[TaskSet]) -> str | None:
        """Say why the service cannot be deployed through this group; None where it can."""


class Deployments(Protocol):
    """Services, where their deployments are on record, and who acts on them.

    A `code_deploy` is `<application>/<deployment group>`; None is for services that ECS itself deploys.
    """

    def service(self, key: ServiceKey) -> Service | None:
        """The service as it is now; None where ECS knows none of that name."""

    def newest_page(self, key: ServiceKey) -> "DeploymentPage | ClientError":
        """The newest service deployments in ECS, or why it tells none."""

    def history(self, code_deploy: str | None) -> History:
        """Where the deployments of a service are on record; read anew."""

    def group_of(
        self,
        service: Service,
        code_deploy: str,
    ) -> GroupHistory:
        """The history of a service that CodeDeploy deploys; read anew."""

    def backend(self, code_deploy: str | None) -> DeploymentBackend:
        """What acts on a service."""

    def newest_of(
        self,
        key: ServiceKey,
        code_deploy: Callable[[], str | None],
    ) -> str:
        """ARN of a service's newest deployment; empty without one."""

    def carrying(
        self,
        code_deploy: str,
        deployments: Sequence[str],
        incident_id: str,
    ) -> str | None:
        """Which of CodeDeploy's deployments was created for an incident, if one was."""

    def traffic_of(
        self,
        code_deploy: str,
        deployment: str,
        key: ServiceKey,
    ) -> TrafficShift:
        """How a deployment of CodeDeploy shifts traffic."""


class Definitions(Protocol):
    """Task definitions."""

    def describe(self, reference: str) -> Definition:
        """The definition behind an ARN or `family:revision`."""

    def restore(
        self,
        original: Definition,
        digests: Mapping[str, str | None],
        known: Sequence[str] = (),
    ) -> Definition:
        """A revision with the same content, its images pinned.

        One that is there, or a new one.
        """


class AlarmPast(Protocol):
    """What an alarm's history told."""

    def told_to(self, alarm: Alarm) -> Alarm:
        """The alarm with its times in ALARM."""


class Alarms(Protocol):
    """The alarms of this controller."""

    def of(
        self,
        policy: ServicePolicy,
        event: AlarmChanged | None = None,
        trees: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> tuple[Alarm, ...]:
        """The service's own alarms that exist, with what is known to be under them."""

    def trees(self, policy: ServicePolicy) -> Mapping[str, tuple[str, ...]]:
        """The names of the alarms under each of a user's own that is a composite."""

    def red(self) -> tuple[RedAlarm, ...]:
        """One page of the alarms that are in ALARM, of whichever service."""

    def history(
        self,
        name: str,
        since: datetime,
    ) -> AlarmPast:
        """An alarm's changes of state since a moment."""


class Traffic(Protocol):
    """What reaches a service, and who answers."""

    def requests(
        self,
        policy: ServicePolicy,
        since: datetime,
        until: datetime,
        now: datetime,
    ) -> Requests:
        """The requests that reached a service in a time."""

    def healthy_targets(self, target_group_arns: Sequence[str]) -> int:
        """Targets that the load balancer finds healthy now."""


class Tasks(Protocol):
    """The tasks of a service that have stopped."""

    def stopped(self, key: ServiceKey) -> tuple[str, ...]:
        """ARNs of tasks that stopped lately, one page of them."""

    def described(
        self,
        key: ServiceKey,
        arns: Sequence[str],
    ) -> tuple[StoppedTask, ...]:
        """When and why tasks stopped."""


class Neighbours(Protocol):
    """The other protected services."""

    @property
    def protected_services(self) -> int:
        """How many services are protected in all."""

    def red(
        self,
        policy: Policy,
        now: datetime,
    ) -> tuple[RedAlarm, ...]:
        """One page of the alarms in ALARM; empty where no shared cause could show."""

    def in_trouble(
        self,
        red: Sequence[RedAlarm],
        policy: ServicePolicy,
        onset: datetime,
        grain: timedelta,
    ) -> tuple[Neighbour, ...]:
        """Other services in trouble around an onset, which is known as finely as `grain`."""


class Dependencies(Protocol):
    """What a task needs to start."""

    def answers(
        self,
        home: Home,
        lookups: Iterable[Lookup],
    ) -> Answers:
        """The answers to some lookups, all asked at once."""

    def secrets_of(
        self,
        service_arn: str,
        definition: Definition,
    ) -> tuple[Secret, ...]:
        """What tasks of a definition are given when they start, and when each last changed."""

    def digest_of(
        self,
        repository: str,
        tag: str,
    ) -> str | None:
        """The digest that a tag has now; None without such a tag or repository."""

    def tags_like(
        self,
        repository: str,
        tag: str,
    ) -> list[str]:
        """Existing tags that are nearest to one that is not there."""


class Announcer(Protocol):
    """People and machines who want to know."""

    def tell_people(self, message: Message) -> None:
        """Send the letter."""

    def tell_machines(
        self,
        message: Message,
        resource: str,
    ) -> None:
        """Send the event."""

    def publish(
        self,
        title: str,
        letter: str,
        document: dict[str, object],
    ) -> None:
        """One message to people that is about no incident."""


class Audit(Protocol):
    """What the readiness audit asks beyond a judgement, and remembers."""

    def alarms(self, policy: ServicePolicy) -> Mapping[str, bool | None]:
        """Whether the actions of the alarms that should watch a service are enabled."""

    def repository(self, name: str) -> "Repository | None":
        """An ECR repository; None where there is none of that name."""

    def remembered(self) -> "Mapping[str, Remembered]":
        """What the audits before found, by `<cluster>/<service>`."""

    def remember(
        self,
        key: ServiceKey,
        found: "Remembered",
    ) -> None:
        """Keep what was found, for the next audit to compare with."""
