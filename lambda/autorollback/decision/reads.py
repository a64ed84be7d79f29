"""Which reads does the question still need? The reader fetches all that is missing at once, and asks again.

Everything that can be foreseen is asked for in the first round: what runs, what the ledger last saw run well, the history of
the alarm that fired. Then only as much of the past as the question needs: the newest serving periods, going back until a
stable revision is found or nothing is left to read.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision import stability, targets
from autorollback.decision.alarm_order import predates, trouble_began
from autorollback.decision.case import Suspicion
from autorollback.decision.changes import changed_settings
from autorollback.decision.continuation import restored_by, told_apart_by_content
from autorollback.decision.decide import decide
from autorollback.decision.facts import (
    Alarm,
    Controller,
    Deployment,
    Facts,
    PastRollback,
    RedAlarm,
    Revision,
    Status,
    Strategy,
    TriggerKind,
)
from autorollback.decision.lineage import deployment_of, running_before
from autorollback.decision.question import Question
from autorollback.decision.rules.alarm_is_flapping import LOOKED_BACK, came_and_went
from autorollback.decision.rules.alarm_predates_deployment import Testimony, testimonies
from autorollback.decision.rules.no_recent_deployment import find_suspect
from autorollback.decision.rules.slow_start import UNHEALTHY_TARGETS
from autorollback.decision.serving import ServingPeriod
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Hold, Ignore, Reason
from autorollback.policy import ServicePolicy

OLDER_PAGES = 100
"""Pages of older service deployments that are read before the search for a stable revision is given up.

With 20 a page that is all of the 90 days that AWS keeps, of a service that is deployed 22 times a day.
"""

PERIODS_AT_ONCE = 2

LONGEST_CHAIN = 5
"""Deployments of CodeDeploy that are asked at most how they shift traffic, the suspect and those before it."""

LONGEST_DEPLOYMENT = timedelta(hours=24)
"""A deployment's stage ends after 24 hours (blue-green-deployment-how-it-works.html)."""


@dataclass(frozen=True, slots=True)
class DeploymentsInFull:
    """Service deployments, of which only the list is known."""

    arns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServiceRevisions:
    """What deployments brought or replaced."""

    arns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OlderDeployments:
    """The next page of the service's deployments, in full, with what they brought."""

    after: str


@dataclass(frozen=True, slots=True)
class DefinitionContent:
    """The content of a task definition, which gives revisions their identity."""

    arn: str


@dataclass(frozen=True, slots=True)
class ShiftOfTraffic:
    """How one of CodeDeploy's deployments shifts traffic, and since when."""

    deployment: str


@dataclass(frozen=True, slots=True)
class AlarmsNow:
    """The service's alarms as they are now."""


@dataclass(frozen=True, slots=True)
class AlarmHistory:
    """An alarm's times in ALARM since a moment."""

    alarm: str
    since: datetime


@dataclass(frozen=True, slots=True)
class RedAlarms:
    """The alarms of this controller that are in ALARM, of whichever service."""


@dataclass(frozen=True, slots=True)
class NeighbourDeployments:
    """Whether other services that are red, and fell ill near an onset, were deployed.

    Attributes:
        grain: how finely the onset is known.
    """

    red: tuple[RedAlarm, ...]
    onset: datetime
    grain: timedelta


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """How many targets of the service's target groups, given by ARN, are healthy now."""

    target_groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoppedTaskNames:
    """The ARNs of the service's tasks that stopped lately."""


@dataclass(frozen=True, slots=True)
class StoppedTasks:
    """When and why tasks stopped, given by ARN."""

    arns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RequestsServed:
    """The requests that reached the service in a serving period."""

    revision: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ChangedSecrets:
    """When the secrets and parameters of a task definition last changed."""

    definition: str


ReadOfDeployments = (
    DeploymentsInFull | ServiceRevisions | OlderDeployments | DefinitionContent | ShiftOfTraffic
)
ReadOfAlarms = AlarmsNow | AlarmHistory | RedAlarms | NeighbourDeployments
ReadOfTasks = TargetHealth | StoppedTaskNames | StoppedTasks
Read = ReadOfDeployments | ReadOfAlarms | ReadOfTasks | RequestsServed | ChangedSecrets


def missing(
    facts: Facts,
    configured: ServicePolicy,
    now: datetime,
) -> frozenset[Read]:
    """The reads that this question cannot be judged without.

    Empty once it can be judged as it would be on all the facts.

    Whether requests can be counted is known from the service's load balancer: hence the whole policy.
    """
    question = Question(facts, configured.policy, now)
    if not facts.so_far.present:
        return frozenset([*of_the_present(facts), *_foreseen(question)])
    accused = _accused(question)
    reads = frozenset(
        [
            *_of_neighbours(accused),
            *_of_the_past(accused, configured),
            *_of_shifts(accused),
            *_of_tasks(accused),
        ]
    )
    if reads:
        return reads
    return frozenset(_of_secrets(accused))


def of_the_present(facts: Facts) -> Iterator[Read]:
    """How the service is now.

    Its newest deployments, its alarms, and where it matters its healthy targets.
    """
    service = facts.service
    yield DeploymentsInFull(facts.so_far.listed)
    yield ServiceRevisions(facts.so_far.listed_targets)
    yield AlarmsNow()
    if service and service.target_groups and _health_matters(facts):
        yield TargetHealth(service.target_groups)


def missing_of_recovery(facts: Facts, rollbacks: Iterable[PastRollback]) -> frozenset[Read]:
    """The reads without which nobody can tell whether another build was deployed after a rollback.

    Empty once that can be told. Most often nothing was deployed since, and nothing is missing.
    """
    reads: set[Read] = set()
    for rollback in rollbacks:
        begun = deployment_of(rollback, facts)
        if begun is None or begun == facts.newest:
            continue
        restored = restored_by(begun)
        if restored and restored not in facts.revisions and restored not in facts.so_far.vanished:
            reads.add(ServiceRevisions((restored,)))
        for revision in told_apart_by_content(rollback, facts):
            if _can_be_identified(facts, revision):
                reads.add(DefinitionContent(revision.task_definition_arn))
    return frozenset(reads)


def past_of_alarms(question: Question, periods: Iterable[ServingPeriod]) -> Iterator[AlarmHistory]:
    """The histories that tell how some serving periods went, one for each alarm.

    As far back as CloudWatch keeps them.
    """
    since: dict[str, datetime] = {}
    for period in periods:
        for needed in stability.histories_needed(period, question):
            name = needed.alarm.name
            since[name] = min(needed.since, since.get(name, needed.since))
    for name, moment in since.items():
        kept = max(moment, question.now - stability.HISTORY_KEPT)
        yield AlarmHistory(name, kept)


def requests_by_revision(question: Question) -> dict[str, int]:
    """The requests in the calm part of each serving period that they were counted for.

    Of a revision's periods the one with most stands.
    """
    counted: dict[str, int] = {}
    for period in question.periods:
        for served in question.facts.so_far.requests:
            if (served.revision, served.since) != (period.revision, period.since):
                continue
            number = stability.assess(period, question).requests_in(served.requests)
            counted[period.revision] = max(number, counted.get(period.revision, number))
    return counted


def given_up_on(
    facts: Facts,
    configured: ServicePolicy,
    now: datetime,
) -> str | None:
    """What was left unread that may tell of a newer stable revision, in words."""
    if facts.so_far.next_page is None:
        return None
    question = Question(facts, configured.policy, now)
    if _reaches_back_to(facts, _found_until(question)):
        return None
    return f"service deployments older than the newest {len(facts.deployments)}"


# --- the suspect --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Accused:
    """What is suspected on what is known so far; each round works it out once.

    Attributes:
        found: what the search for the suspect ends with.
        testimonies: what each red alarm says of a suspect by its times, earliest onset first, where an alarm asks.
    """

    question: Question
    found: Suspicion | Hold | Ignore
    testimonies: Sequence[Testimony] = ()


def _accused(question: Question) -> _Accused:
    found = find_suspect(question)
    if question.facts.trigger.kind is TriggerKind.ALARM and isinstance(found, Suspicion):
        return _Accused(question, found, testimonies(found, question))
    return _Accused(question, found)


# --- the first round ----------------------------------------------------------------------------------------------


def _health_matters(facts: Facts) -> bool:
    """Whether the number of healthy targets can decide anything.

    Whoever asks without an alarm may ask about any that is red.
    """
    trigger = facts.trigger
    match trigger.kind:
        case TriggerKind.ALARM:
            return trigger.alarm is None or trigger.alarm.endswith(f"/{UNHEALTHY_TARGETS}")
        case TriggerKind.TASKS_CANNOT_START:
            return True
        case TriggerKind.DEPLOYMENT_FAILED:
            return False


def _foreseen(question: Question) -> Iterator[Read]:
    """What the judgement will most likely ask about, beside how things are now.

    Nothing of the past where the newest deployment is too old to be suspect.
    """
    facts = question.facts
    yield RedAlarms()
    yield from _newest_shift(facts)
    if _stops_matter(facts):
        yield StoppedTaskNames()
    newest_at = facts.so_far.newest_at
    if facts.service is None or newest_at is None:
        return
    if facts.trigger.at - newest_at > question.policy.window + LONGEST_DEPLOYMENT:
        return
    for arn in _foreseen_definitions(facts, facts.service.task_definition):
        yield DefinitionContent(arn)
    if facts.trigger.alarm:
        since = max(newest_at - LOOKED_BACK, question.now - stability.HISTORY_KEPT)
        yield AlarmHistory(facts.trigger.alarm, since)


def _foreseen_definitions(facts: Facts, runs: str) -> tuple[str, ...]:
    """What runs, and what the ledger last saw run well."""
    names = [runs]
    good = [
        record
        for record in facts.ledger.known_good
        if record.revision.identity not in facts.ledger.quarantined
    ]
    if good:
        last = max(good, key=lambda record: record.until)
        names.append(last.revision.task_definition_arn)
    return tuple(dict.fromkeys(name for name in names if name))


def _stops_matter(facts: Facts) -> bool:
    """Whether it is known already that it matters why tasks stopped: never for errors and latency."""
    trigger = facts.trigger
    if trigger.kind is not TriggerKind.ALARM:
        return True
    return trigger.alarm is not None and trigger.alarm.endswith(f"/{UNHEALTHY_TARGETS}")


def _of_tasks(accused: _Accused) -> Iterator[Read]:
    """What is still to be asked of tasks, also where another alarm is on targets than the one that asks."""
    facts = accused.question.facts
    so_far = facts.so_far
    if so_far.stopped and facts.stopped is None:
        yield StoppedTasks(so_far.stopped)
    if not _unhealthy_targets_decide(accused):
        return
    if so_far.stopped is None:
        yield StoppedTaskNames()
    target_groups = facts.service.target_groups if facts.service else ()
    if target_groups and not so_far.health:
        yield TargetHealth(target_groups)


def _unhealthy_targets_decide(accused: _Accused) -> bool:
    """Whether the alarm on targets is asked: not where another convicts before it."""
    for testimony in accused.testimonies:
        if testimony.alarm.signal == UNHEALTHY_TARGETS:
            return True
        if _convicts(testimony, accused.question):
            return False
    return False


def _newest_shift(facts: Facts) -> Iterator[ShiftOfTraffic]:
    """What ECS says of its own deployments tells it; CodeDeploy is asked, where an alarm asks."""
    service = facts.service
    by_code_deploy = service is not None and service.controller is Controller.CODE_DEPLOY
    if by_code_deploy and facts.trigger.kind is TriggerKind.ALARM:
        for arn in facts.so_far.listed[:1]:
            yield ShiftOfTraffic(arn)


def _of_shifts(accused: _Accused) -> Iterator[ShiftOfTraffic]:
    """How the suspect shifts traffic, and those before it on which the trouble may be to blame."""
    facts, suspicion = accused.question.facts, accused.found
    if facts.trigger.kind is not TriggerKind.ALARM or not isinstance(suspicion, Suspicion):
        return
    red = [alarm for alarm in facts.alarms if alarm.in_alarm]
    first = facts.deployments.index(suspicion.suspect)
    for deployment in facts.deployments[first : first + LONGEST_CHAIN]:
        if deployment.traffic.strategy is not Strategy.CODE_DEPLOY:
            return
        if deployment.arn not in facts.so_far.shifts:
            yield ShiftOfTraffic(deployment.arn)
            return
        if not any(predates(alarm, deployment) for alarm in red):
            return


# --- other services -----------------------------------------------------------------------------------------------


def _of_neighbours(accused: _Accused) -> Iterator[Read]:
    """Who else fell ill near the onset that the judgement will ask about, as far as is known.

    Nobody is asked a second time while why tasks stopped may still change which alarm convicts.
    """
    facts = accused.question.facts
    if facts.so_far.red is None:
        return
    was_asked = facts.so_far.neighbours is not None
    if was_asked and any(True for _ in _of_tasks(accused)):
        return
    onset, grain = trouble_began(facts), timedelta()
    convicting = _convicting(accused)
    if convicting is not None:
        onset, grain = convicting.onset, convicting.grain
    if onset != facts.so_far.neighbours:
        yield NeighbourDeployments(facts.so_far.red, onset, grain)


# --- the past -----------------------------------------------------------------------------------------------------


def _of_the_past(accused: _Accused, configured: ServicePolicy) -> list[Read]:
    """What is missing of the newest serving periods, and of ever more of them until one is stable."""
    question = accused.question
    facts = question.facts
    long_enough = _long_enough(question)
    found_until = _found_until(question)
    looked_at = PERIODS_AT_ONCE
    while True:
        wanted = long_enough[:looked_at]
        for period in long_enough[looked_at:]:
            if _ran_what_is_newest(facts, period):
                wanted.append(period)
        reads = _of_periods(accused, configured, wanted)
        if reads:
            return reads
        if _ended_before(found_until, long_enough[looked_at:], question):
            return _of_older_deployments(facts, found_until)
        if looked_at >= len(long_enough):
            return _of_older_deployments(facts, None)
        looked_at *= 2


def _of_older_deployments(facts: Facts, until: datetime | None) -> list[Read]:
    """The next page, unless what is listed reaches back to a moment.

    A record of the ledger may be older than that: what ran well since, and what was deployed since, is on further pages.
    """
    so_far = facts.so_far
    if so_far.next_page is None or so_far.older_pages >= OLDER_PAGES:
        return []
    if _reaches_back_to(facts, until):
        return []
    return [OlderDeployments(so_far.next_page)]


def _reaches_back_to(facts: Facts, moment: datetime | None) -> bool:
    """Whether all deployments since a moment were read; not where none is known."""
    return moment is not None and any(one.start <= moment for one in facts.deployments)


def _long_enough(question: Question) -> list[ServingPeriod]:
    """The serving periods that may prove their revision, newest first.

    Each is long enough, alone or with those beside it that turn out to be one period, once their identities are known.
    """
    found: list[ServingPeriod] = []
    together: list[ServingPeriod] = []
    for period in question.periods:
        if together and not _may_be_one(together[-1], period, question.facts):
            found.extend(_if_long_enough(together, question))
            together = []
        together.append(period)
    found.extend(_if_long_enough(together, question))
    return found


def _may_be_one(
    newer: ServingPeriod,
    older: ServingPeriod,
    facts: Facts,
) -> bool:
    """Whether only a restart may lie between two serving periods; those that are known to be one are joined already."""
    restarted, before = facts.revision(newer.revision), facts.revision(older.revision)
    if restarted is None or before is None or restarted.images != before.images:
        return False
    return restarted.identity is None or before.identity is None


def _if_long_enough(together: list[ServingPeriod], question: Question) -> list[ServingPeriod]:
    """These periods, where they were long enough to prove what ran.

    One that lasts counts up to the newest deployment: that is a restart then, and whether what it restarted had been
    stable is asked.
    """
    served = timedelta()
    for period in together:
        end = period.until or _newest_start(question)
        served += end - period.since
    return together if served >= question.policy.stable_after else []


def _newest_start(question: Question) -> datetime:
    newest = question.facts.newest
    return newest.start if newest else question.now


def _oldest_start(question: Question) -> datetime:
    """Where nothing served long enough, any of the deployments may belong to the chain that is to blame."""
    starts = [deployment.start for deployment in question.facts.deployments]
    return min(starts, default=question.now)


def _of_periods(
    accused: _Accused,
    configured: ServicePolicy,
    periods: Sequence[ServingPeriod],
) -> list[Read]:
    """The reads without which these periods, and what came after them, cannot be judged."""
    question = accused.question
    facts, now = question.facts, question.now
    reads: list[Read] = []
    ends = [period.end(now) for period in periods]
    for arn in _definitions_since(facts, min(ends, default=_oldest_start(question)), periods):
        reads.append(DefinitionContent(arn))
    unknown = _unknown_revisions(facts)
    if unknown:
        reads.append(ServiceRevisions(unknown))

    unattested = [p for p in periods if stability.attested(p, question) is None]
    reads.extend(_of_histories(accused, unattested))
    if configured.load_balancer:
        reads.extend(_of_requests(question, unattested))
    return reads


def _of_requests(question: Question, periods: Sequence[ServingPeriod]) -> Iterator[Read]:
    """The requests that were not counted yet, each period told apart by its revision and its start."""
    known = question.facts.so_far.requests
    counted = {(served.revision, served.since) for served in known}
    for period in periods:
        if period.until is not None and (period.revision, period.since) not in counted:
            yield RequestsServed(period.revision, period.since, period.until)


def _unknown_revisions(facts: Facts) -> tuple[str, ...]:
    """What ran before a deployment, or what one went back to, and no deployment that was read had brought.

    Before the oldest deployment of a page, that is on the next page; of the newest few it is asked at once.
    """
    deployments = facts.deployments
    if facts.so_far.next_page is not None:
        deployments = deployments[:-1]
    unknown: dict[str, None] = {}
    for deployment in deployments:
        for arn in _replaced_by(deployment):
            if arn not in facts.revisions and arn not in facts.so_far.vanished:
                unknown[arn] = None
    return tuple(unknown)


def _replaced_by(deployment: Deployment) -> tuple[str, ...]:
    """What ran before a deployment, and what it went back to."""
    if deployment.rollback_revision:
        return (*deployment.sources, deployment.rollback_revision)
    return deployment.sources


def _definitions_since(
    facts: Facts,
    moment: datetime,
    periods: Sequence[ServingPeriod],
) -> list[str]:
    """The task definitions whose content the question needs.

    Those of every deployment since a moment, and of the newest that looks like a change; those of the periods; and those
    that ran the images of that change, for it may be a return to them. CodeDeploy records no images: there it may be a
    return to any.
    """
    arns, changed = _revisions_since(facts, moment)
    arns.update(period.revision for period in periods)
    if changed:
        arns.update(_with_images_of(facts, changed))

    definitions = set()
    for arn in arns:
        revision = facts.revision(arn)
        if revision and _can_be_identified(facts, revision):
            definitions.add(revision.task_definition_arn)
    return sorted(definitions)


def _revisions_since(facts: Facts, moment: datetime) -> tuple[set[str], Revision | None]:
    """What the deployments since a moment brought and replaced, and what the newest that looks like a change brought.

    That change is among them, however old it is.
    """
    arns: set[str] = set()
    changed: Revision | None = None
    for index, deployment in enumerate(facts.deployments):
        if changed and deployment.start < moment:
            break
        arns.update([deployment.target, *_replaced_by(deployment)])
        target = facts.revision(deployment.target)
        if changed is None and _looks_changed(target, running_before(facts, index)):
            changed = target
            arns.update(_unfinished_before(facts, index))
    return arns, changed


def _unfinished_before(facts: Facts, index: int) -> Iterator[str]:
    """What the deployment before one was to bring, where it came to nothing: a change may go back from it."""
    for older in facts.deployments[index + 1 : index + 2]:
        if older.status is not Status.SUCCESSFUL:
            yield older.target


def _can_be_identified(facts: Facts, revision: Revision) -> bool:
    """Whether a revision has no identity yet, and its task definition may give it one.

    It may have been described before for another revision of the same definition: then the reader knows it already.
    """
    if revision.identity is not None:
        return False
    definition = revision.task_definition_arn
    if definition not in facts.so_far.definitions:
        return True
    for other in facts.revisions.values():
        if other.task_definition_arn == definition and other.identity is not None:
            return True
    return False


def _with_images_of(facts: Facts, changed: Revision) -> Iterator[str]:
    """ARNs of the revisions that ran the same images, or of which none are recorded."""
    for revision in facts.revisions.values():
        if not revision.images or revision.images == changed.images:
            yield revision.arn


def _looks_changed(target: Revision | None, source: Revision | None) -> bool:
    """Whether a deployment brought another definition or other images, before any content is read."""
    return _appearance(target) != _appearance(source)


def _appearance(revision: Revision | None) -> tuple[str, tuple[tuple[str, str | None], ...]]:
    if revision is None:
        return ("", ())
    return (revision.task_definition_arn, tuple(sorted(revision.images.items())))


def _ran_what_is_newest(facts: Facts, period: ServingPeriod) -> bool:
    """Whether what the newest deployment brought ran in a period before: then it matters how it fared.

    A build that its processes cannot tell from it counts too, for what was rolled back from may have proven itself so.
    """
    newest = facts.revision(facts.newest.target) if facts.newest else None
    earlier = facts.revision(period.revision)
    if newest is None or earlier is None or newest.identity is None:
        return False
    return newest.process_identity == earlier.process_identity


def _ended_before(
    moment: datetime | None,
    older: Sequence[ServingPeriod],
    question: Question,
) -> bool:
    """Whether all of these periods ended before what was looked for; not where it was not found."""
    if moment is None:
        return False
    return all(period.end(question.now) <= moment for period in older)


def _found_until(question: Question) -> datetime | None:
    """Until when the last of the stable revisions ran that are wanted; None where they are not known yet."""
    stable = _stable(question)
    wanted = question.facts.so_far.stable_wanted
    if len(stable) < wanted:
        return None
    return stable[wanted - 1].ran_until or question.now


def _stable(question: Question) -> list[Candidate]:
    """The stable revisions before the newest deployment that changed what runs, newest first, as far as is known."""
    facts = question.facts
    for index, deployment in enumerate(facts.deployments):
        target, source = facts.revision(deployment.target), running_before(facts, index)
        if target is None or (source is not None and source.identity == target.identity):
            continue
        found = targets.candidates(question, deployment, target)
        return [one for one in found if one.verdict is CandidateVerdict.STABLE]
    return []


# --- alarms -------------------------------------------------------------------------------------------------------


def _of_histories(accused: _Accused, periods: Sequence[ServingPeriod]) -> Iterator[Read]:
    """The past of the alarms: how these periods went, then whether the alarm that convicts flapped."""
    question = accused.question
    histories = list(past_of_alarms(question, periods))
    if histories:
        yield from histories
        return
    for alarm, since in _flapping_asked(accused):
        kept = max(since, question.now - stability.HISTORY_KEPT)
        if not stability.past_is_known(alarm, kept, question.now):
            yield AlarmHistory(alarm.name, kept)


def _flapping_asked(accused: _Accused) -> list[tuple[Alarm, datetime]]:
    """The alarms of which it matters whether they flapped, each with since when.

    Those whose times convict the suspect, earliest onset first, up to the one that convicts or is not known to flap;
    whoever asks without an alarm may ask about any that is red.
    """
    question = accused.question
    facts = question.facts
    if facts.trigger.kind is not TriggerKind.ALARM:
        return []
    if facts.trigger.alarm is None:
        red = [alarm for alarm in facts.alarms if alarm.in_alarm]
        return [(alarm, _flapping_from(question, alarm) - LOOKED_BACK) for alarm in red]

    asked: list[tuple[Alarm, datetime]] = []
    for testimony in accused.testimonies:
        if isinstance(testimony.answer, Suspicion):
            asked.append((testimony.alarm, testimony.answer.suspect.start - LOOKED_BACK))
        if _convicts(testimony, question):
            break
    return asked


def _flapping_from(question: Question, alarm: Alarm) -> datetime:
    """Before what an alarm may have flapped, if it is the one that asks: the newest deployment, or the suspect."""
    facts = question.facts
    of_it = replace(facts, trigger=replace(facts.trigger, alarm=alarm.name))
    starts = [_newest_start(question)]
    for testimony in _accused(replace(question, facts=of_it)).testimonies:
        answer = testimony.answer
        if testimony.alarm.name == alarm.name and isinstance(answer, Suspicion):
            starts.append(answer.suspect.start)
    return min(starts)


def _convicting(accused: _Accused) -> Suspicion | None:
    """The suspicion of the first alarm that convicts and is not known to flap; None where none does."""
    for testimony in accused.testimonies:
        answer = testimony.answer
        if isinstance(answer, Suspicion) and _convicts(testimony, accused.question):
            return answer
    return None


def _convicts(testimony: Testimony, question: Question) -> bool:
    """Whether an alarm convicts by its times, and is not known to flap."""
    alarm, answer = testimony.alarm, testimony.answer
    return isinstance(answer, Suspicion) and not _is_known_to_flap(alarm, answer, question)


def _is_known_to_flap(
    alarm: Alarm,
    suspicion: Suspicion,
    question: Question,
) -> bool:
    """Whether an alarm convicts by its times, but flaps, and all of that is read."""
    since = suspicion.suspect.start - LOOKED_BACK
    if suspicion.known_bad or not stability.past_is_known(alarm, since, question.now):
        return False
    return isinstance(came_and_went(alarm, suspicion.suspect, question), Hold)


# --- secrets ------------------------------------------------------------------------------------------------------


def _of_secrets(accused: _Accused) -> Iterator[Read]:
    """After a restart that changed no settings people are told which secrets and parameters changed.

    Not where another rule speaks before the one that looks for the suspect.
    """
    question, found = accused.question, accused.found
    facts = question.facts
    if facts.secrets is not None or facts.service is None:
        return
    if not isinstance(found, Hold) or found.suspect is None:
        return
    index = facts.deployments.index(found.suspect)
    restarted = found.reason is Reason.ONLY_SETTINGS_CHANGED
    if not restarted or changed_settings(facts, index):
        return
    if decide(facts, question.policy, question.now).verdict == found:
        yield ChangedSecrets(facts.service.task_definition)
