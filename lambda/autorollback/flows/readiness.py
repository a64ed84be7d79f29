"""Could each protected service be rolled back, if its next deployment turned out bad?

Asked before the incident, with the same facts, rules of stability and preflight as of a judgement,
and a deployment that has not happened yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from time import monotonic

from botocore.exceptions import ClientError

from autorollback import results
from autorollback.aws.audit import Remembered, Repository
from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.aws.refusals import explain, is_refusal
from autorollback.decision import stability, targets
from autorollback.decision.definition import Definition, short_name
from autorollback.decision.facts import Facts, KnownGood, Service, Trigger, TriggerKind
from autorollback.decision.image_reference import Image
from autorollback.decision.plan import RollbackPlan
from autorollback.decision.preflight_case import own_images
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod
from autorollback.decision.verdicts import (
    Candidate,
    CandidateVerdict,
    Hold,
    Judgement,
    Reason,
    RollBack,
    Verdict,
)
from autorollback.flows import alarm_trees, announce, preflight, readiness_findings
from autorollback.flows.alarm_trees import Trees
from autorollback.flows.readiness_report import report_of
from autorollback.flows.session import ProtectedService, Session
from autorollback.naming import Home, ServiceKey
from autorollback.policy import PolicyError
from autorollback.results import (
    ReadinessAnswer,
    ReadinessFinding,
    ServiceReadiness,
    ServiceState,
)

ENOUGH = timedelta(seconds=30)
"""Time that the function must have left to look at further services."""

TRIMMED_A_DAY = 20_000
"""Records of one service that an audit removes: an older version of this function kept all."""

AT_ONCE = 4
"""Services that are looked at together: the audit leaves AWS's rates to what cannot wait."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One service that was looked at.

    Attributes:
        good: what has run well until now, if it has.
        trees: the alarms under its users' own, where they have changed.
        surplus: sort keys of what the ledger keeps of it no more.
        state: what runs and how it stands.
    """

    readiness: ServiceReadiness
    good: KnownGood | None = None
    trees: Trees | None = None
    surplus: tuple[str, ...] = ()
    state: ServiceState = field(default_factory=ServiceState)

    @property
    def key(self) -> ServiceKey:
        """Which service it is."""
        return self.readiness.key

    @property
    def marks(self) -> tuple[str, ...]:
        """What is compared from one audit to the next.

        The details may hold times and counts."""
        findings = self.readiness.findings
        return tuple(sorted(f"{one.check} {one.severity}" for one in findings))

    def is_news(self, before: Remembered | None) -> bool:
        """Whether it differs from the last audit; at first sight only trouble is news."""
        ready = self.readiness.ready
        if before is None:
            return not ready
        return (ready, set(self.marks)) != (before.ready, set(before.findings))


def ask(session: Session, key: ServiceKey | None) -> ReadinessAnswer:
    """A person asks: of one service, or of all. Nothing is written."""
    seen, left = look_at_those(session, key)
    return _answer(seen, left)


def look_at_those(
    session: Session,
    key: ServiceKey | None,
) -> tuple[list[Seen], Sequence[ServiceKey]]:
    """One service, or all; and those that there was no time for."""
    keys = (key,) if key else session.policies.keys()
    return _in_time(session, keys)


def daily(session: Session) -> ReadinessAnswer:
    """Every protected service; people are told once of what has changed.

    Those come first that were looked at longest ago, so that what there is no time for comes first
    the next day. What runs well is remembered as known good, for the day when AWS has forgotten its
    deployment.
    """
    before = session.audit.remembered()
    seen, left = _in_time(session, _longest_ago_first(session.policies.keys(), before))

    answer = _answer(seen, left)
    changed: dict[ServiceKey, ServiceReadiness] = {}
    for one in seen:
        _keep(session, one)
        if one.is_news(before.get(str(one.key))):
            changed[one.key] = one.readiness
    told = _is_told(session, answer, tuple(changed.values()))

    for one in seen:
        if told or one.key not in changed:  # what nobody was told stays news for the next audit
            at = session.now.isoformat()
            session.audit.remember(one.key, Remembered(one.readiness.ready, one.marks, at))
    return answer


def _keep(session: Session, one: Seen) -> None:
    """Put into the ledger what an audit found out about a service."""
    if one.good:
        session.ledger.save_known_good(one.key, one.good)
    if one.trees is not None:
        session.ledger.save_alarm_trees(one.key, one.trees)
    if one.surplus:
        session.ledger.trim(one.key, one.surplus[:TRIMMED_A_DAY], session.now)


def _is_told(
    session: Session,
    answer: ReadinessAnswer,
    changed: tuple[ServiceReadiness, ...],
) -> bool:
    """Tell people of what has changed; answers whether they have been told, where anything has."""
    if not changed:
        return True
    report = report_of(changed)
    document = results.to_json(replace(answer, services=report.services))
    return announce.publish(session, answer.summary, report.letter, document)


def look_at(session: Session, key: ServiceKey) -> Seen:
    """One service: its state, its target, its alarms and its images.

    What AWS refuses to tell is a finding, of this one alone.
    """
    try:
        return _look_at(session, key)
    except LedgerRecordError as error:
        return _only(key, readiness_findings.unreadable_record(error))
    except ClientError as error:
        if not is_refusal(error):
            raise
        return _only(key, readiness_findings.refused(explain(error, key)))


def _look_at(session: Session, key: ServiceKey) -> Seen:
    try:
        service = session.look_at(key)
    except PolicyError as error:
        return _only(key, readiness_findings.unreadable_policy(error))
    if service is None:
        return _only(key, readiness_findings.unprotected(key))
    if service.snapshot.service is None:
        return _only(key, readiness_findings.unknown(key))
    return _looked_at(service, service.snapshot.service)


def _longest_ago_first(
    keys: Sequence[ServiceKey], before: Mapping[str, Remembered]
) -> list[ServiceKey]:
    def last_seen(key: ServiceKey) -> str:
        remembered = before.get(str(key))
        return remembered.at if remembered else ""

    return sorted(keys, key=last_seen)


def _in_time(
    session: Session, keys: Sequence[ServiceKey]
) -> tuple[list[Seen], Sequence[ServiceKey]]:
    """As many services as there is time for, a few at once; and those that are left."""
    time_left = session.invocation.time_left - ENOUGH
    until = monotonic() + time_left.total_seconds()
    seen: list[Seen] = []
    left = keys
    while left and (not seen or monotonic() < until):
        looks = {key: partial(look_at, session, key) for key in left[:AT_ONCE]}
        seen += in_parallel(looks).values()
        left = left[AT_ONCE:]
    return seen, left


def _only(key: ServiceKey, finding: ReadinessFinding) -> Seen:
    return Seen(ServiceReadiness(key, (finding,)))


# --- one service -----------------------------------------------------------------------------


def _looked_at(service: ProtectedService, ecs_service: Service) -> Seen:
    session, policy = service.session, service.configured
    before = service
    service = alarm_trees.read_anew(before)
    facts = _facts(service)
    judgement = _judge(service, facts)
    chosen, of_target = _target(service, facts, judgement)
    running = _definition(session, ecs_service.task_definition)
    paused_until = service.ledger_state.state.paused_until
    findings = (
        *readiness_findings.of_service(
            facts,
            service.policy,
            paused_until,
            service.now,
        ),
        *of_target,
        *readiness_findings.of_definition(ecs_service.task_definition, running, service.policy),
        *readiness_findings.of_alarms(session.audit.alarms(policy)),
        *readiness_findings.of_alarm_times(facts),
        *_of_images(
            service,
            ecs_service,
            running,
            chosen,
        ),
    )
    return Seen(
        ServiceReadiness(service.key, findings),
        _runs_well(service, facts),
        alarm_trees.changed(before, service),
        service.ledger_state.surplus,
        _state(
            service,
            ecs_service,
            facts,
            judgement,
        ),
    )


def _state(
    service: ProtectedService,
    ecs_service: Service,
    facts: Facts,
    judgement: Judgement,
) -> ServiceState:
    """What runs, since when, and what stands of it in the ledger.

    While a deployment is under way it is what that brings, since it began.
    """
    serving = _serving(Question(facts, service.policy, service.now))
    revision = facts.revision(serving.revision) if serving else None
    runs, since = short_name(ecs_service.task_definition), None
    newest = next(iter(facts.deployments[1:]), None)
    if serving is not None and revision is not None:
        runs, since = revision.task_definition, serving.since
    elif newest is not None:
        since = newest.start
    stable = (one for one in judgement.candidates if one.verdict is CandidateVerdict.STABLE)
    last_stable = next(stable, None)
    watched = next(iter(service.ledger_state.open_incidents), None)
    return ServiceState(
        task_definition=runs,
        since=since,
        last_stable=last_stable.revision.task_definition if last_stable else None,
        incident_id=watched.incident_id if watched else None,
        paused_until=service.ledger_state.state.paused_until,
    )


def target_of_next(service: ProtectedService) -> Candidate | None:
    """Where a rollback of the next deployment would go now; None where nowhere."""
    facts = _facts(service)
    chosen, _ = _target(service, facts, _judge(service, facts))
    return chosen


def _facts(service: ProtectedService) -> Facts:
    """The facts that the judgement of another deployment would rest on, if it began at this moment."""
    now = service.now
    trigger = Trigger(TriggerKind.ALARM, now)
    return service.session.reader.facts_of_next(service.snapshot, trigger, now)


def _serving(question: Question) -> ServingPeriod | None:
    """The serving period that lasts until the next deployment is thought to begin."""
    for period in question.periods:
        if period.until == question.now:
            return period
    return None


def _runs_well(service: ProtectedService, facts: Facts) -> KnownGood | None:
    question = Question(facts, service.policy, service.now)
    serving = _serving(question)
    return stability.proven(serving, question) if serving else None


def _judge(service: ProtectedService, facts: Facts) -> Judgement:
    """Where a rollback of the next deployment would go, if it turned out bad."""
    coming = facts.deployments[0]
    question = Question(facts, service.policy, service.now)
    brought = facts.revision(coming.target)
    candidates = targets.candidates(question, coming, brought)
    stable = tuple(one for one in candidates if one.verdict is CandidateVerdict.STABLE)
    verdict: Verdict = Hold(Reason.NO_STABLE_REVISION, "nothing has proven itself", coming)
    if stable:
        newest = next(iter(facts.deployments[1:]), coming)
        verdict = RollBack(
            Reason.REQUESTED,
            "the readiness audit",
            coming,
            newest,
            stable,
        )
    return Judgement(verdict, candidates=candidates)


def _target(
    service: ProtectedService,
    facts: Facts,
    judgement: Judgement,
) -> tuple[Candidate | None, tuple[ReadinessFinding, ...]]:
    """Is there a stable revision, and would one pass the preflight now?"""
    if not isinstance(judgement.verdict, RollBack):
        candidates = judgement.candidates
        return None, (
            readiness_findings.no_stable_target(candidates, facts.unread, service.policy),
        )

    plan = RollbackPlan(
        judgement.verdict,
        evidence=(),
        considered=judgement.candidates,
        automatic=False,
    )
    choice = preflight.choose(
        service,
        facts,
        plan,
        partial(_judge, service),
    )
    chosen = choice.chosen
    failed = readiness_findings.of_failed_checks(choice.considered, is_fatal=chosen is None)
    if chosen is None:
        return None, failed

    definition = service.session.definitions.describe(chosen.revision.task_definition_arn)
    of_chosen = readiness_findings.of_chosen(chosen, definition, service.policy)
    return chosen, (*failed, *of_chosen)


def _definition(session: Session, arn: str) -> Definition | None:
    try:
        return session.definitions.describe(arn)
    except UnknownDefinition:
        return None


def _of_images(
    service: ProtectedService,
    ecs_service: Service,
    running: Definition | None,
    chosen: Candidate | None,
) -> tuple[ReadinessFinding, ...]:
    """Can a running tag be pushed over, and will what would be gone back to soon expire?"""
    session, home = service.session, Home.of_service(ecs_service.arn)
    runs = own_images(running, home) if running else {}
    kept: dict[str, Image] = {}
    if chosen:
        definition = session.definitions.describe(chosen.revision.task_definition_arn)
        kept.update(own_images(definition, home))

    names = {image.repository for image in (*runs.values(), *kept.values())}
    repositories: dict[str, Repository | None] = in_parallel(
        {name: partial(session.audit.repository, name) for name in names}
    )
    found = readiness_findings.of_running_images(runs, repositories, ecs_service.controller)
    if chosen is None:
        return found
    of_kept = readiness_findings.of_kept_images(
        kept,
        repositories,
        chosen.revision,
        service.now,
    )
    return (*found, *of_kept)


# --- what is told ----------------------------------------------------------------------------


def _answer(seen: Sequence[Seen], left: Sequence[ServiceKey]) -> ReadinessAnswer:
    services = tuple(one.readiness for one in seen)
    ready = sum(one.ready for one in services)
    summary = f"[READINESS] {ready} of {len(services)} services could be rolled back now"
    return ReadinessAnswer(summary, services, tuple(left))
