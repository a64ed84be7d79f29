"""Gathers the facts of a judgement in as few round trips as can be: what can be asked at once, is.

First look: policy, ledger, service and the newest deployments. Then those in full, their revisions and the alarms.
Then only as much of the past as the question needs: task definitions, alarm histories and requests of the newest
serving periods, going back until a stable revision is found or nothing is left to read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from autorollback.aws.alarms import Alarms, RedAlarm
from autorollback.aws.clients import Clients, in_parallel
from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import Definition, Definitions, UnknownDefinition, short_name
from autorollback.aws.deployment_group import DeploymentGroup
from autorollback.aws.ecs import DeploymentPage, Ecs, History
from autorollback.aws.items import Recollection
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import LONGEST_DEPLOYMENT, Neighbours
from autorollback.aws.policies import Policies
from autorollback.aws.traffic import Requests, Traffic
from autorollback.decision import blame, stability, targets
from autorollback.decision.facts import (
    Alarm,
    Controller,
    Deployment,
    Facts,
    Neighbour,
    Revision,
    Service,
    Trigger,
    TriggerKind,
)
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod, serving_periods
from autorollback.naming import Names, ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.requests import AlarmChanged

PAGES = 5
"""Pages of 20 service deployments that are read before the search for a stable revision is given up."""

PERIODS_AT_ONCE = 2
_Read = tuple[str, Any]
"""What is read of the past: its kind, and of what."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What a judgement starts from. `policy` is None for a service that is not protected; `page` is the newest of `history`."""

    policy: ServicePolicy | None
    recollection: Recollection
    service: Service | None
    page: DeploymentPage
    history: History


@dataclass(slots=True)
class _Draft:
    """The facts while they grow; `facts` gives them as they stand."""

    service: Service | None
    deployments: tuple[Deployment, ...]
    revisions: dict[str, Revision]
    alarms: tuple[Alarm, ...]
    next_page: str | None
    history: History
    requests: dict[tuple[str, datetime], Requests] = field(default_factory=dict)
    definitions: set[str] = field(default_factory=set)
    vanished: set[str] = field(default_factory=set)
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Reads everything that a verdict rests on; a read that fails is raised, never taken for "nothing there"."""

    clients: Clients
    names: Names
    ledger: Ledger
    definitions: Definitions
    neighbours: Neighbours

    @property
    def policies(self) -> Policies:
        """The policies of the protected services."""
        return self.neighbours.policies

    def first_look(self, key: ServiceKey, now: datetime) -> FirstLook:
        """Policy, ledger, service and newest deployments, in one round trip."""
        ecs = Ecs(self.clients)
        seen = in_parallel(
            {
                "policy": lambda: self.policies.of(key),
                "recollection": lambda: self.ledger.recall(key, now),
                "pause": self.ledger.pause_of_all,
                "service": lambda: ecs.service(key),
                "page": lambda: ecs.newest_page(key),
            }
        )
        recollection: Recollection = seen["recollection"]
        pauses = [p for p in (seen["pause"], recollection.ledger.paused_until) if p and p > now]
        memory = replace(recollection.memory, paused_until=max(pauses, default=None))
        service: Service | None = seen["service"]
        page: DeploymentPage | ClientError = seen["page"]
        if isinstance(page, ClientError):
            if service is None or service.controller is Controller.ECS:
                raise page
            page = DeploymentPage((), (), None)
        look = FirstLook(seen["policy"], replace(recollection, ledger=memory), service, page, ecs)
        return self._through_code_deploy(look)

    def _through_code_deploy(self, look: FirstLook) -> FirstLook:
        """The look at a service that CodeDeploy deploys, its history CodeDeploy's; without a history, it says why."""
        service, policy = look.service, look.policy
        if service is None or policy is None or service.controller is not Controller.CODE_DEPLOY:
            return look
        if policy.code_deploy is None:
            why = (
                "the service's deployment controller is CODE_DEPLOY: add code_deploy: <application>/<deployment group> to it "
                "in services.yaml and deploy"
            )
            return replace(look, service=replace(service, out_of_reach=why))
        group = DeploymentGroup.of(self.clients, policy.code_deploy, self.names.prefix)
        group.service_arn = service.arn
        group.original = next((s for s in service.task_sets if s.deployment is None), None)
        try:
            page = group.deployments_page(policy.key)
        except UnknownGroup as unknown:
            return replace(
                look,
                service=replace(
                    service, out_of_reach=f"{unknown}: correct code_deploy in services.yaml"
                ),
            )
        if refused := group.refuses(service.task_sets):
            return replace(look, service=replace(service, out_of_reach=refused))
        return replace(look, service=replace(service, bake=group.waits), page=page, history=group)

    def facts(
        self, look: FirstLook, trigger: Trigger, now: datetime, event: AlarmChanged | None = None
    ) -> Facts:
        """All that the judgement of a protected service rests on."""
        if look.policy is None:
            raise ValueError("facts are gathered for protected services only")
        policy = look.policy
        draft, red = self._second_look(look, policy, trigger, event, now)
        own = {a.onset for a in draft.alarms if a.in_alarm and a.onset}
        fired = next(
            (a.onset for a in draft.alarms if a.name == trigger.alarm and a.onset), trigger.at
        )
        neighbours = self.neighbours.in_trouble(red, policy, fired, own)
        for _ in range(PAGES):
            exhausted = self._look_back(draft, policy, trigger, look, now)
            if not exhausted or draft.next_page is None:
                break
            self._read_page(draft, policy.key)
        else:
            draft.unread.append(
                f"service deployments older than the newest {len(draft.deployments)}"
            )
        return self._as_facts(draft, look, trigger, now, neighbours)

    def present(self, look: FirstLook, trigger: Trigger, now: datetime) -> Facts:
        """How the service is now: its newest deployments, its alarms, its healthy targets. Nothing of its past."""
        if look.policy is None:
            raise ValueError("facts are gathered for protected services only")
        draft, _ = self._as_it_is(look, look.policy, with_health=True)
        return self._as_facts(replace(draft, next_page=None), look, trigger, now, ())

    def with_histories(self, facts: Facts, since: datetime, now: datetime) -> Facts:
        """The facts with the past of every alarm since a moment, or as far back as CloudWatch keeps its history."""
        unread = [alarm for alarm in facts.alarms if not stability.past_is_known(alarm, since, now)]
        since, alarms = max(since, now - stability.HISTORY_KEPT), Alarms(self.clients, self.names)
        read = in_parallel(
            {alarm.name: partial(alarms.with_history, alarm, since) for alarm in unread}
        )
        return replace(facts, alarms=tuple(read.get(alarm.name, alarm) for alarm in facts.alarms))

    def _second_look(
        self,
        look: FirstLook,
        policy: ServicePolicy,
        trigger: Trigger,
        event: AlarmChanged | None,
        now: datetime,
    ) -> tuple[_Draft, tuple[RedAlarm, ...]]:
        key = self.names.parse_alarm(trigger.alarm) if trigger.alarm else None
        of_targets = trigger.alarm is None or (
            key is not None and key.signal == blame.UNHEALTHY_TARGETS
        )
        asks_for_health = {
            TriggerKind.ALARM: of_targets,  # whoever asks without an alarm may ask about any that is red
            TriggerKind.TASKS_CANNOT_START: True,
            TriggerKind.DEPLOYMENT_FAILED: False,
        }[trigger.kind]
        alarms = Alarms(self.clients, self.names)
        beside: dict[str, Callable[[], Any]] = {
            "red": partial(self.neighbours.red, policy.policy, now)
        }
        foreseen = self._foreseen(look, policy, trigger)
        beside |= {arn: partial(_definition, self.definitions, arn) for arn in foreseen}
        since = _flapping_from(look, now)
        if foreseen and trigger.alarm and since:
            beside["history"] = partial(alarms.history, trigger.alarm, since)
        draft, seen = self._as_it_is(
            look, policy, with_health=asks_for_health, event=event, beside=beside
        )
        answers: dict[_Read, Any] = {("definition", arn): seen[arn] for arn in foreseen}
        if changes := seen.get("history"):
            answers |= {
                ("history", a.name): changes.told_to(a)
                for a in draft.alarms
                if a.name == trigger.alarm
            }
        _take_in(draft, answers)
        return draft, seen["red"]

    def _foreseen(
        self, look: FirstLook, policy: ServicePolicy, trigger: Trigger
    ) -> tuple[str, ...]:
        """Task definitions that the judgement will most likely ask about: what runs, and what the ledger last saw run well.

        None where the newest deployment is too old to be suspect, for then nothing of the past is asked.
        """
        newest = look.page.newest_at
        if look.service is None or newest is None:
            return ()
        if trigger.at - newest > policy.policy.window + LONGEST_DEPLOYMENT:
            return ()
        memory = look.recollection.memory
        good = [r for r in memory.known_good if r.revision.identity not in memory.quarantined]
        last = max(good, key=lambda record: record.until, default=None)
        names = (look.service.task_definition, last.revision.task_definition_arn if last else None)
        return tuple(dict.fromkeys(name for name in names if name))

    def _as_it_is(
        self,
        look: FirstLook,
        policy: ServicePolicy,
        *,
        with_health: bool,
        event: AlarmChanged | None = None,
        beside: Mapping[str, Callable[[], Any]] | None = None,
    ) -> tuple[_Draft, Mapping[str, Any]]:
        """The newest deployments in full, their revisions, the service's alarms, and what is read `beside` them at once."""
        history, alarms = look.history, Alarms(self.clients, self.names)
        reads: dict[str, Callable[[], Any]] = {
            "deployments": lambda: history.deployments(look.page.arns),
            "revisions": lambda: history.revisions(look.page.targets),
            "alarms": lambda: alarms.of(policy, event),
            **(beside or {}),
        }
        if look.service and look.service.behind_load_balancer and with_health:
            reads["healthy"] = partial(
                Traffic(self.clients).healthy_targets, look.service.target_groups
            )
        seen = in_parallel(reads)
        service = replace(look.service, healthy=seen.get("healthy")) if look.service else None
        revisions = dict(seen["revisions"])
        return _Draft(
            service, seen["deployments"], revisions, seen["alarms"], look.page.next, history
        ), seen

    def _read_page(self, draft: _Draft, key: ServiceKey) -> None:
        history = draft.history
        page = history.deployments_page(key, draft.next_page)
        seen = in_parallel(
            {
                "deployments": lambda: history.deployments(page.arns),
                "revisions": lambda: history.revisions(
                    [arn for arn in page.targets if arn not in draft.revisions]
                ),
            }
        )
        draft.deployments = (*draft.deployments, *seen["deployments"])
        draft.revisions |= seen["revisions"]
        draft.next_page = page.next

    def _look_back(
        self, draft: _Draft, policy: ServicePolicy, trigger: Trigger, look: FirstLook, now: datetime
    ) -> bool:
        """Read on, period by period, until one is stable; True where all that is on record has been read without one.

        What is read can join two periods into one, so that each round asks anew what is missing.
        """
        at_once = PERIODS_AT_ONCE
        while True:
            facts = self._as_facts(draft, look, trigger, now, ())
            periods = [
                s
                for s in serving_periods(facts)
                if s.until is not None and s.until - s.since >= policy.policy.stable_after
            ]
            wanted = [*periods[:at_once], *(s for s in periods[at_once:] if _is_newest(facts, s))]
            if missing := self._missing(draft, policy, facts, wanted, now):
                _take_in(draft, in_parallel(missing))
            elif _has_target(facts, policy, now):
                return False
            elif len(periods) <= at_once:
                return True
            else:
                at_once += PERIODS_AT_ONCE

    def _missing(
        self,
        draft: _Draft,
        policy: ServicePolicy,
        facts: Facts,
        periods: Sequence[ServingPeriod],
        now: datetime,
    ) -> dict[_Read, Callable[[], Any]]:
        """The reads without which these periods, and what came after them, cannot be judged."""
        moment = min((s.until or now for s in periods), default=now)
        definitions = {
            draft.revisions[arn].task_definition_arn
            for arn in _revisions_since(facts, moment, periods)
            if arn in draft.revisions
        }
        reads: dict[_Read, Callable[[], Any]] = {
            ("definition", arn): partial(_definition, self.definitions, arn)
            for arn in sorted(definitions - draft.definitions)
        }
        if unknown := _unknown_revisions(draft):
            reads["revisions", unknown] = partial(draft.history.revisions, unknown)
        question = Question(facts, policy.policy, now)
        unattested = [s for s in periods if stability.attested(s, question) is None]
        alarms = Alarms(self.clients, self.names)
        for alarm, since in _histories_asked(facts, policy, unattested, now):
            if not stability.past_is_known(alarm, since, now):
                reads["history", alarm.name] = partial(alarms.with_history, alarm, since)
        if policy.load_balancer:
            traffic = Traffic(self.clients)
            for period in unattested:
                if (spot := (period.revision, period.since)) not in draft.requests:
                    reads["requests", spot] = partial(
                        traffic.requests, policy, period.since, period.end(now), now
                    )
        return reads

    def _as_facts(
        self,
        draft: _Draft,
        look: FirstLook,
        trigger: Trigger,
        now: datetime,
        neighbours: Sequence[Neighbour],
    ) -> Facts:
        facts = Facts(
            service=draft.service,
            trigger=trigger,
            deployments=draft.deployments,
            revisions=draft.revisions,
            alarms=draft.alarms,
            neighbours=tuple(neighbours),
            protected_services=self.neighbours.protected_services,
            ledger=look.recollection.memory,
            unread=tuple(dict.fromkeys(draft.unread)),
        )
        if look.policy is None:
            return facts
        return replace(facts, requests=_requests(facts, draft.requests, look.policy, now))


def _unknown_revisions(draft: _Draft) -> tuple[str, ...]:
    """What ran before a deployment, or what one went back to, and no deployment that was read had brought.

    Before the oldest deployment of a page, that is on the next page; of the newest few it is asked at once.
    """
    deployments = draft.deployments if draft.next_page is None else draft.deployments[:-1]
    arns = (arn for d in deployments for arn in (*d.sources, d.rollback_revision) if arn)
    return tuple(
        dict.fromkeys(a for a in arns if a not in draft.revisions and a not in draft.vanished)
    )


def _take_in(draft: _Draft, answers: Mapping[_Read, Any]) -> None:
    draft.alarms = tuple(answers.get(("history", a.name), a) for a in draft.alarms)
    draft.requests |= {
        spot: answer for (kind, spot), answer in answers.items() if kind == "requests"
    }
    for (kind, asked), answer in answers.items():
        if kind == "revisions":
            draft.revisions |= answer
            draft.vanished |= {arn for arn in asked if arn not in answer}
    definitions = {arn: answer for (kind, arn), answer in answers.items() if kind == "definition"}
    draft.definitions |= set(definitions)
    for arn, revision in draft.revisions.items():
        if revision.task_definition_arn in definitions:
            draft.revisions[arn] = described_as(revision, definitions[revision.task_definition_arn])
    draft.unread += [
        f"task definition {short_name(arn)}" for arn, found in definitions.items() if found is None
    ]


def described_as(revision: Revision, definition: Definition | None) -> Revision:
    """The revision with the identity that its task definition gives; unchanged where there is none any more."""
    if definition is None:
        return revision
    images = {
        name: revision.images.get(name) or _pinned(image)
        for name, image in definition.images.items()
    }
    return replace(
        revision,
        images=images,
        identity=definition.identity(images),
        irreversible=definition.irreversible,
    )


def _pinned(image: str) -> str | None:
    """The digest that an image reference names, where it does."""
    digest = image.partition("@")[2]
    return digest if digest.startswith("sha256:") else None


def _definition(definitions: Definitions, arn: str) -> Definition | None:
    try:
        return definitions.describe(arn)
    except UnknownDefinition:
        return None


def _revisions_since(facts: Facts, moment: datetime, periods: Sequence[ServingPeriod]) -> list[str]:
    """The revisions whose content the question needs: of every deployment since a moment, and of the newest that looks like
    a change; of the periods; and those that ran the images of that change, for it may be a return to them. CodeDeploy
    records no images: there it may be a return to any."""
    arns: dict[str, None] = {}
    changed: Revision | None = None
    for index, deployment in enumerate(facts.deployments):
        if changed and deployment.start < moment:
            break
        arns |= dict.fromkeys(
            arn
            for arn in (deployment.target, *deployment.sources, deployment.rollback_revision)
            if arn
        )
        target, source = facts.revision(deployment.target), blame.running_before(facts, index)
        if changed is None and _appearance(target) != _appearance(source):
            changed = target
    arns |= dict.fromkeys(s.revision for s in periods)
    if changed and changed.images:
        arns |= {
            r.arn: None
            for r in facts.revisions.values()
            if not r.images or r.images == changed.images
        }
    return list(arns)


def _appearance(revision: Revision | None) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    return (
        (revision.task_definition_arn, tuple(sorted(revision.images.items())))
        if revision
        else ("", ())
    )


def _is_newest(facts: Facts, period: ServingPeriod) -> bool:
    """Whether what the newest deployment brought ran in a serving period before: then it matters how it fared."""
    newest = facts.revision(facts.deployments[0].target) if facts.deployments else None
    earlier = facts.revision(period.revision)
    return bool(newest and earlier and newest.identity and newest.identity == earlier.identity)


def _histories_asked(
    facts: Facts, policy: ServicePolicy, periods: Sequence[ServingPeriod], now: datetime
) -> list[tuple[Alarm, datetime]]:
    """The alarms whose past is asked about, each with since when.

    For serving periods: of all alarms, far enough to tell how the periods went, and whether an alarm flapped before
    whatever came after them. Without any: of the alarm that convicts the suspect, whether it flapped before it.
    """
    kept, newest = (
        now - stability.HISTORY_KEPT,
        facts.deployments[0].start if facts.deployments else now,
    )
    if periods:
        ends = [s.until - blame.FLAPPING_SPAN for s in periods if s.until is not None]
        since = min([now, newest - blame.FLAPPING_SPAN, *ends, *(s.came for s in periods)])
        return [(alarm, max(since, kept)) for alarm in facts.alarms]
    if facts.trigger.kind is not TriggerKind.ALARM:
        return []
    if facts.trigger.alarm is not None:
        convicting = _convicting(facts, policy, now)
        return [
            (alarm, max(suspect.start - blame.FLAPPING_SPAN, kept)) for alarm, suspect in convicting
        ]
    asked: list[tuple[Alarm, datetime]] = []
    for alarm in (
        a for a in facts.alarms if a.in_alarm
    ):  # whoever asks without an alarm may ask about any that is red
        of_it = replace(facts, trigger=replace(facts.trigger, alarm=alarm.name))
        starts = [newest, *(suspect.start for _, suspect in _convicting(of_it, policy, now))]
        asked.append((alarm, max(min(starts) - blame.FLAPPING_SPAN, kept)))
    return asked


def _convicting(
    facts: Facts, policy: ServicePolicy, now: datetime
) -> list[tuple[Alarm, Deployment]]:
    """The alarm that convicts, and the deployment that it blames: one, or none."""
    suspicion = blame.find_suspect(facts, policy.policy, now)
    if isinstance(suspicion, blame.Suspicion):
        suspicion = blame.convict(suspicion, facts, policy.policy, now)
    if not isinstance(suspicion, blame.Suspicion) or suspicion.alarm is None:
        return []
    return [(suspicion.alarm, suspicion.suspect)]


def _flapping_from(look: FirstLook, now: datetime) -> datetime | None:
    """From when on an alarm's past is asked about, if the newest deployment is the suspect."""
    newest = look.page.newest_at
    return max(newest - blame.FLAPPING_SPAN, now - stability.HISTORY_KEPT) if newest else None


def _has_target(facts: Facts, policy: ServicePolicy, now: datetime) -> bool:
    suspect = next((i for i, d in enumerate(facts.deployments) if _changed(facts, i, d)), None)
    if suspect is None:
        return False
    blamed = facts.deployments[suspect]
    question = Question(facts, policy.policy, now)
    found = targets.candidates(question, blamed, facts.revision(blamed.target))
    return any(candidate.verdict == "stable" for candidate in found)


def _changed(facts: Facts, index: int, deployment: Deployment) -> bool:
    target, source = facts.revision(deployment.target), blame.running_before(facts, index)
    return target is not None and (source is None or source.identity != target.identity)


def _requests(
    facts: Facts,
    read: Mapping[tuple[str, datetime], Requests],
    policy: ServicePolicy,
    now: datetime,
) -> dict[str, int | None]:
    """The requests in the calm part of each serving period that they were read for; the most of a revision's periods."""
    counted: dict[str, int | None] = {}
    question = Question(facts, policy.policy, now)
    for period in serving_periods(facts):
        requests = read.get((period.revision, period.since))
        if requests is None:
            continue
        assessment = stability.assess(period, question)
        number = (
            requests.between(assessment.calm_since, assessment.calm_until)
            if assessment.stable
            else 0
        )
        counted[period.revision] = max(number, counted.get(period.revision) or 0)
    return counted
