"""Gathers the facts of a judgement.

While something is missing, all of it is fetched at once.

What is missing is the decision's to say (`decision.reads`); here it is asked of AWS and taken into the facts. A read that
fails is raised, never taken for "nothing there".
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from autorollback.aws.clients import in_parallel
from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ecs import NO_DEPLOYMENTS, DeploymentPage, History
from autorollback.aws.ports import (
    AlarmPast,
    Alarms,
    Definitions,
    Dependencies,
    Deployments,
    Ledger,
    Neighbours,
    Tasks,
    Traffic,
)
from autorollback.decision import reads
from autorollback.decision.definition import Definition, described_as, short_name
from autorollback.decision.facts import (
    Controller,
    Deployment,
    Facts,
    PastRollback,
    ReadSoFar,
    Revision,
    Secret,
    ServedRequests,
    Service,
    TrafficShift,
    Trigger,
)
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.decision.next_deployment import with_next_deployment
from autorollback.decision.question import Question
from autorollback.decision.reads import Read
from autorollback.decision.serving import ServingPeriod
from autorollback.decision.traffic_shift import with_readings
from autorollback.policy import ServicePolicy
from autorollback.requests import AlarmChanged


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a judgement of a protected service starts from, read in one round trip.

    The policy was read before.

    Attributes:
        page: the newest deployments of `history`.
    """

    policy: ServicePolicy
    ledger: ServiceLedger
    service: Service | None
    page: DeploymentPage
    history: History


@dataclass(frozen=True, slots=True)
class OlderPage:
    """A page of older service deployments in full, with what they brought."""

    page: DeploymentPage
    deployments: tuple[Deployment, ...]
    revisions: Mapping[str, Revision]


Fetched = object
"""What a read brought; its type is the read's."""


@dataclass(frozen=True, slots=True)
class FactsReader:
    """Reads everything that a verdict rests on."""

    ledger: Ledger
    deployments: Deployments
    definitions: Definitions
    dependencies: Dependencies
    alarms: Alarms
    traffic: Traffic
    tasks: Tasks
    neighbours: Neighbours

    def snapshot(
        self,
        policy: ServicePolicy,
        now: datetime,
    ) -> Snapshot:
        """Ledger, service and newest deployments of a protected service, in one round trip."""
        key = policy.key
        seen = in_parallel(
            {
                "ledger": partial(self.ledger.recall, key, now),
                "pause": self.ledger.pause_of_all,
                "service": partial(self.deployments.service, key),
                "page": partial(self.deployments.newest_page, key),
            }
        )
        service: Service | None = seen["service"]
        return self._through_code_deploy(
            Snapshot(
                policy=policy,
                ledger=_with_pause_of_all(seen["ledger"], seen["pause"], now),
                service=service,
                page=_page_or_raise(seen["page"], service),
                history=self.deployments.history(None),
            )
        )

    def facts(
        self,
        snapshot: Snapshot,
        trigger: Trigger,
        now: datetime,
        event: AlarmChanged | None = None,
    ) -> Facts:
        """All that the judgement of a protected service rests on.

        The event that fired tells the onset of its alarm.
        """
        return self._complete(
            self._from_snapshot(snapshot, trigger),
            snapshot,
            now,
            event,
        )

    def facts_for(
        self,
        facts: Facts,
        snapshot: Snapshot,
        trigger: Trigger,
        now: datetime,
    ) -> Facts:
        """The same facts for another trigger, with what that misses."""
        return self._complete(
            replace(facts, trigger=trigger),
            snapshot,
            now,
            None,
        )

    def facts_beyond(
        self,
        facts: Facts,
        snapshot: Snapshot,
        unfit: int,
        now: datetime,
    ) -> Facts:
        """The same facts with as much more of the past as shows further stable revisions.

        `unfit` is how many are known that cannot run now. As many again are looked for, and one, so
        that a long way back takes few steps.
        """
        wanted = 2 * unfit + 1
        return self._complete(
            replace(facts, so_far=replace(facts.so_far, stable_wanted=wanted)),
            snapshot,
            now,
            None,
        )

    def facts_of_next(
        self,
        snapshot: Snapshot,
        trigger: Trigger,
        now: datetime,
    ) -> Facts:
        """All that a judgement would rest on if another deployment began at this moment."""
        fetch = _Fetch(
            self,
            snapshot,
            now,
            None,
        )
        facts = self._from_snapshot(snapshot, trigger)
        facts = taken_in(facts, fetch.all(reads.missing(facts, snapshot.policy, now)))
        return self._complete(
            with_next_deployment(facts, now),
            snapshot,
            now,
            None,
        )

    def present(
        self,
        snapshot: Snapshot,
        trigger: Trigger,
        now: datetime,
    ) -> Facts:
        """How the service is now: its newest deployments, alarms, healthy targets. Nothing of its past."""
        facts = self._from_snapshot(snapshot, trigger)
        wanted = set(reads.of_the_present(facts))
        if facts.service and facts.service.target_groups:
            wanted.add(reads.TargetHealth(facts.service.target_groups))
        fetch = _Fetch(
            self,
            snapshot,
            now,
            None,
        )
        return taken_in(facts, fetch.all(wanted))

    def after_rollbacks(
        self,
        snapshot: Snapshot,
        trigger: Trigger,
        now: datetime,
        rollbacks: Collection[PastRollback],
    ) -> Facts:
        """How the service is now, and whether what was deployed after rollbacks is another build."""
        facts = self.present(snapshot, trigger, now)
        fetch = _Fetch(
            self,
            snapshot,
            now,
            None,
        )
        wanted = reads.missing_of_recovery(facts, rollbacks)
        while wanted:
            facts = taken_in(facts, fetch.all(wanted))
            wanted = reads.missing_of_recovery(facts, rollbacks)
        return facts

    def with_histories(self, question: Question, periods: Sequence[ServingPeriod]) -> Facts:
        """The facts with the pasts of the alarms that tell how some serving periods went."""
        facts = question.facts
        wanted: dict[Read, Callable[[], Fetched]] = {}
        for read in reads.past_of_alarms(question, periods):
            wanted[read] = partial(self.alarms.history, read.alarm, read.since)
        return taken_in(facts, in_parallel(wanted))

    def _complete(
        self,
        facts: Facts,
        snapshot: Snapshot,
        now: datetime,
        event: AlarmChanged | None,
    ) -> Facts:
        """Fetch while anything is missing."""
        policy = snapshot.policy
        fetch = _Fetch(
            self,
            snapshot,
            now,
            event,
        )
        wanted = reads.missing(facts, policy, now)
        while wanted:
            facts = taken_in(facts, fetch.all(wanted))
            question = Question(facts, policy.policy, now)
            facts = replace(facts, requests=reads.requests_by_revision(question))
            wanted = reads.missing(facts, policy, now)
        unread = reads.given_up_on(facts, policy, now)
        if unread and unread not in facts.unread:
            facts = replace(facts, unread=(*facts.unread, unread))
        return facts

    def _from_snapshot(
        self,
        snapshot: Snapshot,
        trigger: Trigger,
    ) -> Facts:
        page = snapshot.page
        so_far = ReadSoFar(
            listed=page.arns,
            listed_targets=page.targets,
            newest_at=page.newest_at,
            next_page=page.next,
        )
        return Facts(
            service=snapshot.service,
            trigger=trigger,
            protected_services=self.neighbours.protected_services,
            ledger=snapshot.ledger.state,
            so_far=so_far,
        )

    def _through_code_deploy(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot of a service that CodeDeploy deploys, its history CodeDeploy's.

        Without a history, it says why.
        """
        service, policy = snapshot.service, snapshot.policy
        if service is None or service.controller is not Controller.CODE_DEPLOY:
            return snapshot
        if policy.code_deploy is None:
            add = "add code_deploy: <application>/<deployment group> to it in services.yaml and deploy"
            why = f"the service's deployment controller is CODE_DEPLOY: {add}"
            return replace(snapshot, service=replace(service, out_of_reach=why))
        group = self.deployments.group_of(service, policy.code_deploy)
        try:
            page = group.deployments_page(policy.key)
        except UnknownGroup as unknown:
            why = f"{unknown}: correct code_deploy in services.yaml"
            return replace(snapshot, service=replace(service, out_of_reach=why))
        refused = group.refuses(service.task_sets)
        if refused:
            return replace(snapshot, service=replace(service, out_of_reach=refused))
        waiting = replace(service, bake=group.waits)
        return replace(
            snapshot,
            service=waiting,
            page=page,
            history=group,
        )


@dataclass(frozen=True, slots=True)
class _Fetch:
    """Asks AWS for what is missing about one service."""

    reader: FactsReader
    snapshot: Snapshot
    now: datetime
    event: AlarmChanged | None

    def all(self, wanted: Collection[Read]) -> dict[Read, Fetched]:
        """Everything that is wanted, at once."""
        return in_parallel({read: partial(self.one, read) for read in wanted})

    def one(self, read: Read) -> Fetched:
        """The answer to one read."""
        if isinstance(read, reads.ReadOfDeployments):
            return self._of_deployments(read)
        if isinstance(read, reads.ReadOfAlarms):
            return self._of_alarms(read)
        if isinstance(read, reads.ReadOfTasks):
            return self._of_tasks(read)
        match read:
            case reads.RequestsServed(_, since, until):
                policy = self.snapshot.policy
                return self.reader.traffic.requests(
                    policy,
                    since,
                    until,
                    self.now,
                )
            case reads.ChangedSecrets(definition):
                return self._secrets(definition)

    def _of_deployments(self, read: reads.ReadOfDeployments) -> Fetched:
        history = self.snapshot.history
        match read:
            case reads.DeploymentsInFull(arns):
                return history.deployments(arns)
            case reads.ServiceRevisions(arns):
                return history.revisions(arns)
            case reads.OlderDeployments(after):
                return self._older(after)
            case reads.DefinitionContent(arn):
                return self._definition(arn)
            case reads.ShiftOfTraffic(deployment):
                policy = self.snapshot.policy
                return self.reader.deployments.traffic_of(
                    policy.code_deploy or "",
                    deployment,
                    policy.key,
                )

    def _of_alarms(self, read: reads.ReadOfAlarms) -> Fetched:
        reader, policy = self.reader, self.snapshot.policy
        match read:
            case reads.AlarmsNow():
                trees = self.snapshot.ledger.alarm_trees
                return reader.alarms.of(policy, self.event, trees)
            case reads.AlarmHistory(alarm, since):
                return reader.alarms.history(alarm, since)
            case reads.RedAlarms():
                return reader.neighbours.red(policy.policy, self.now)
            case reads.NeighbourDeployments(red, onset, grain):
                return reader.neighbours.in_trouble(
                    red,
                    policy,
                    onset,
                    grain,
                )

    def _of_tasks(self, read: reads.ReadOfTasks) -> Fetched:
        key = self.snapshot.policy.key
        match read:
            case reads.TargetHealth(target_groups):
                return self.reader.traffic.healthy_targets(target_groups)
            case reads.StoppedTaskNames():
                return self.reader.tasks.stopped(key)
            case reads.StoppedTasks(arns):
                return self.reader.tasks.described(key, arns)

    def _older(self, after: str) -> OlderPage:
        history = self.snapshot.history
        page = history.deployments_page(self.snapshot.policy.key, after)
        seen = in_parallel(
            {
                "deployments": partial(history.deployments, page.arns),
                "revisions": partial(history.revisions, page.targets),
            }
        )
        return OlderPage(page, seen["deployments"], seen["revisions"])

    def _definition(self, arn: str) -> Definition | None:
        try:
            return self.reader.definitions.describe(arn)
        except UnknownDefinition:
            return None

    def _secrets(self, definition_arn: str) -> tuple[Secret, ...]:
        service, definition = self.snapshot.service, self._definition(definition_arn)
        if service is None or definition is None:
            return ()
        return self.reader.dependencies.secrets_of(service.arn, definition)


# --- what was fetched, taken into the facts -----------------------------------------------------------------------


def taken_in(facts: Facts, answers: Mapping[Read, Fetched]) -> Facts:
    """The facts with what some reads brought.

    Alarms and revisions come first: histories and contents are of them.
    """
    for read in sorted(answers, key=_comes_late):
        facts = _with(facts, read, answers[read])
    return facts


def _comes_late(read: Read) -> bool:
    of_others = reads.AlarmHistory | reads.DefinitionContent | reads.ShiftOfTraffic
    return isinstance(read, of_others)


def _with(
    facts: Facts,
    read: Read,
    answer: Any,
) -> Facts:
    """The facts with what one read brought; the type of the answer is the read's."""
    if isinstance(read, reads.ReadOfDeployments):
        return _with_deployments(facts, read, answer)
    if isinstance(read, reads.ReadOfAlarms):
        return _with_alarms(facts, read, answer)
    if isinstance(read, reads.ReadOfTasks):
        return _with_tasks(facts, read, answer)
    match read:
        case reads.RequestsServed(revision, since):
            served = ServedRequests(revision, since, answer)
            so_far = facts.so_far
            counted = replace(so_far, requests=(*so_far.requests, served))
            return replace(facts, so_far=counted)
        case reads.ChangedSecrets():
            return replace(facts, secrets=answer)


def _with_deployments(
    facts: Facts,
    read: reads.ReadOfDeployments,
    answer: Any,
) -> Facts:
    match read:
        case reads.DeploymentsInFull():
            present = replace(facts.so_far, present=True)
            seen = with_readings(answer, facts.ledger.traffic)
            return replace(facts, deployments=seen, so_far=present)
        case reads.ServiceRevisions(arns):
            return _with_revisions(facts, arns, answer)
        case reads.OlderDeployments():
            return _with_older(facts, answer)
        case reads.DefinitionContent(arn):
            return _with_definition(facts, arn, answer)
        case reads.ShiftOfTraffic(arn):
            return _with_shift(facts, arn, answer)


def _with_alarms(
    facts: Facts,
    read: reads.ReadOfAlarms,
    answer: Any,
) -> Facts:
    match read:
        case reads.AlarmsNow():
            return replace(facts, alarms=answer)
        case reads.AlarmHistory(name):
            return _with_history(facts, name, answer)
        case reads.RedAlarms():
            return replace(facts, so_far=replace(facts.so_far, red=answer))
        case reads.NeighbourDeployments(_, onset):
            asked = replace(facts.so_far, neighbours=onset)
            return replace(facts, neighbours=answer, so_far=asked)


def _with_tasks(
    facts: Facts,
    read: reads.ReadOfTasks,
    answer: Any,
) -> Facts:
    so_far = facts.so_far
    match read:
        case reads.TargetHealth():
            service = replace(facts.service, healthy=answer) if facts.service else None
            return replace(facts, service=service, so_far=replace(so_far, health=True))
        case reads.StoppedTaskNames():
            stopped = facts.stopped if answer else ()
            return replace(facts, stopped=stopped, so_far=replace(so_far, stopped=answer))
        case reads.StoppedTasks():
            return replace(facts, stopped=answer)


def _with_revisions(
    facts: Facts,
    asked: tuple[str, ...],
    found: Mapping[str, Revision],
) -> Facts:
    vanished = facts.so_far.vanished | {arn for arn in asked if arn not in found}
    return replace(
        facts,
        revisions={**facts.revisions, **found},
        so_far=replace(facts.so_far, vanished=vanished),
    )


def _with_shift(
    facts: Facts,
    arn: str,
    traffic: TrafficShift,
) -> Facts:
    deployments: list[Deployment] = []
    for deployment in facts.deployments:
        is_it = deployment.arn == arn
        deployments.append(replace(deployment, traffic=traffic) if is_it else deployment)
    asked = replace(facts.so_far, shifts=facts.so_far.shifts | {arn})
    return replace(facts, deployments=tuple(deployments), so_far=asked)


def _with_older(facts: Facts, older: OlderPage) -> Facts:
    so_far = facts.so_far
    known = {deployment.arn for deployment in facts.deployments}
    added = [deployment for deployment in older.deployments if deployment.arn not in known]
    new = {arn: r for arn, r in older.revisions.items() if arn not in facts.revisions}
    return replace(
        facts,
        deployments=(*facts.deployments, *with_readings(added, facts.ledger.traffic)),
        revisions={**facts.revisions, **new},
        so_far=replace(so_far, next_page=older.page.next, older_pages=so_far.older_pages + 1),
    )


def _with_definition(
    facts: Facts,
    arn: str,
    definition: Definition | None,
) -> Facts:
    """The facts in which every revision of a task definition has the identity that its content gives."""
    asked = replace(facts.so_far, definitions=facts.so_far.definitions | {arn})
    if definition is None:
        what = f"task definition {short_name(arn)}"
        unread = tuple(dict.fromkeys([*facts.unread, what]))
        undescribed = tuple(dict.fromkeys([*facts.undescribed, arn]))
        return replace(
            facts,
            unread=unread,
            undescribed=undescribed,
            so_far=asked,
        )
    revisions = dict(facts.revisions)
    for revision in facts.revisions.values():
        if revision.task_definition_arn == arn:
            revisions[revision.arn] = described_as(revision, definition)
    return replace(facts, revisions=revisions, so_far=asked)


def _with_history(
    facts: Facts,
    name: str,
    changes: AlarmPast,
) -> Facts:
    alarms = []
    for alarm in facts.alarms:
        alarms.append(changes.told_to(alarm) if alarm.name == name else alarm)
    return replace(facts, alarms=tuple(alarms))


def _with_pause_of_all(
    ledger: ServiceLedger,
    pause_of_all: datetime | None,
    now: datetime,
) -> ServiceLedger:
    """What the ledger says of a service, the pause of all services included."""
    pauses = [until for until in (pause_of_all, ledger.state.paused_until) if until]
    running = [until for until in pauses if until > now]
    state = replace(ledger.state, paused_until=max(running, default=None))
    return replace(ledger, state=state)


def _page_or_raise(page: DeploymentPage | ClientError, service: Service | None) -> DeploymentPage:
    """The newest deployments; none of a service that ECS does not deploy, which refuses to tell them."""
    if isinstance(page, DeploymentPage):
        return page
    if service is None or service.controller is Controller.ECS:
        raise page
    return NO_DEPLOYMENTS
