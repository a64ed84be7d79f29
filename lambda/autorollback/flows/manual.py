"""What a person asks for.

A rollback, a plan of one, or what the ledger knows.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from autorollback import results
from autorollback.decision.decide import choose_for_person, decide
from autorollback.decision.definition import short_name
from autorollback.decision.facts import Facts, Revision, Status, Trigger, TriggerKind
from autorollback.decision.incident import Incident, Phase
from autorollback.decision.lineage import rollback_behind
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.result import Outcome
from autorollback.decision.rules.requested import undone_by_person
from autorollback.decision.verdicts import (
    Candidate,
    FindingVerdict,
    Hold,
    Ignore,
    Judgement,
    Reason,
    RollBack,
    RuleFinding,
)
from autorollback.flows import (
    act,
    check,
    explain,
    explicit_target,
    intent,
    preflight,
    readiness,
    records,
    respond,
    settle,
    status,
    undoing,
)
from autorollback.flows.service_named import maybe_named, service_named
from autorollback.flows.session import (
    ProtectedService,
    Session,
    unprotected,
)
from autorollback.policy import PolicyError
from autorollback.requests import Action, BadRequest, Manual
from autorollback.results import Answer


def answer(session: Session, asked: Manual) -> Answer:
    """Do what a person asked for.

    Raises:
        BadRequest: for what cannot be done as asked, naming the field; also for a service whose
            policy cannot be read, where that is needed.
    """
    try:
        return _answer(session, asked)
    except PolicyError as error:
        raise BadRequest(error.field, error.shown, error.allowed) from error


def _answer(session: Session, asked: Manual) -> Answer:
    match asked.action:
        case Action.HISTORY:
            return records.history(session, asked, maybe_named(session, asked))
        case Action.EXPLAIN:
            return explain.explain(session, asked)
        case Action.STATUS:
            return status.status(session, maybe_named(session, asked))
        case Action.CHECK:
            return check.check(session, asked)
        case Action.PAUSE | Action.RESUME | Action.RELEASE:
            return _order(session, asked)
        case Action.READINESS:
            return readiness.ask(session, maybe_named(session, asked))
        case Action.PLAN | Action.ROLLBACK:
            return _rollback(session, asked)
        case _:
            assert_never(asked.action)


def _order(session: Session, asked: Manual) -> Answer:
    """What a person orders of automatic rollbacks to come: the ledger alone keeps it."""
    if asked.action is Action.RELEASE:
        return records.release(session, asked, service_named(session, asked))
    key = maybe_named(session, asked)
    if asked.action is Action.PAUSE:
        return records.pause(session, asked, key)
    return records.resume(session, key)


# --- a rollback, and a plan of one --------------------------------------------------------------------------------


def _rollback(session: Session, asked: Manual) -> Answer:
    if asked.action is Action.PLAN or asked.dry_run:
        return _plan(session, asked)
    return _roll_back(session, asked)


def _plan(session: Session, asked: Manual) -> Answer:
    """What would happen now; nothing is written, the ledger included."""
    key = service_named(session, asked)
    service = session.look_at(key)
    if service is None:
        return unprotected(session, key)
    request = _Request(service, asked)
    judgement = request.judgement()
    request.asides = request.automatic_evidence()
    return request.answer(request.with_asides(judgement), plan_only=True)


def _roll_back(session: Session, asked: Manual) -> Answer:
    key = service_named(session, asked)
    with session.lease(key) as leased:
        if not leased and not asked.force:
            detail = "the service is being judged at this moment: ask again"
            return results.ignored(Reason.ALREADY_HANDLED, detail, key)
        service = session.look_at(key)
        if service is None:
            return unprotected(session, key)
        ready = _ready(service, asked, leased=leased)
        if not isinstance(ready, _Ready):
            return ready
        request = _Request(ready.service, asked, ready.instead_of)
        return request.answer(request.judgement(), plan_only=False)


@dataclass(frozen=True, slots=True)
class _Ready:
    """A service that is free for a person's request, and the claim whose place that takes."""

    service: ProtectedService
    instead_of: Incident | None = None


def _ready(
    service: ProtectedService,
    asked: Manual,
    *,
    leased: bool,
) -> _Ready | Answer:
    """Bring what was left unfinished of a service to its end.

    A claim that has not acted stays, where a person wants another target or forces: the request takes its place.
    """
    claim = service.ledger_state.unfinished_claim
    names_target = asked.revision is not None or asked.image_tag is not None
    if asked.force and claim is None:
        return _Ready(service)
    if claim is None or not (asked.force or names_target):
        return _settled(service)
    if claim.phase is not Phase.ACTING:
        return _Ready(service, claim)
    if act.is_untouched(service.session, claim):
        return _Ready(service, claim) if leased else _being_done(claim)
    return _after_the_act(service, asked, claim, leased=leased)


def _settled(service: ProtectedService) -> _Ready | Answer:
    settled = settle.settle(service)
    return _Ready(settled) if isinstance(settled, ProtectedService) else settled


def _after_the_act(
    service: ProtectedService,
    asked: Manual,
    claim: Incident,
    *,
    leased: bool,
) -> _Ready | Answer:
    """The claim has acted, or somebody has deployed since: only force goes on at once."""
    if not leased:
        return _Ready(service)
    settled = _settled(service)
    if isinstance(settled, _Ready):
        return settled
    if not asked.force:
        return _being_done(claim)
    service.session.report(settled)
    again = service.session.look_at(service.key)
    return _Ready(again) if again else unprotected(service.session, service.key)


def _being_done(claim: Incident) -> Answer:
    """A rollback to another target has begun: it goes on, and people are told how it ends."""
    target = claim.intent.result.goes_to
    name = target.task_definition if target else short_name(claim.intent.target)
    detail = f"a rollback to {name} is being done; force deploys another target once it has begun"
    return results.ignored(Reason.ALREADY_HANDLED, detail, claim.key)


class _Request:
    """A person's request for a rollback of one service, with the facts that it rests on."""

    def __init__(
        self,
        service: ProtectedService,
        asked: Manual,
        instead_of: Incident | None = None,
    ) -> None:
        self.service = service
        self.asked = asked
        self.instead_of = instead_of
        self.asides: tuple[RuleFinding, ...] = ()
        trigger = Trigger(TriggerKind.ALARM, service.now)
        reader = service.session.reader
        self.facts: Facts = reader.facts(service.snapshot, trigger, service.now)

    def judgement(self) -> Judgement:
        """What is to be done as the person asked. Nobody is blamed."""
        named = self._named()
        if named and _runs_already(self.facts, named.revision):
            detail = f"{named.revision.task_definition} is what the service runs"
            return _ignoring(Reason.ALREADY_RUNNING, detail)
        hold = _rollback_under_way(self.facts)
        if hold and not self.asked.force:
            return Judgement(hold, (_finding(hold.reason, FindingVerdict.HOLD, hold.detail),))
        if named is None:
            return choose_for_person(self.facts, self.service.policy, self.service.now)
        return self._to_the_named(named)

    def automatic_evidence(self) -> tuple[RuleFinding, ...]:
        """What the automatic judgement says of the alarms as they are now."""
        now = self.service.now
        red = [alarm for alarm in self.facts.alarms if alarm.in_alarm]
        if not red:
            detail = "no alarm of this service is in ALARM: the automatic would do nothing"
            return (_finding(Reason.NOT_IN_ALARM, FindingVerdict.IGNORE, detail),)
        first = min(red, key=lambda alarm: alarm.onset or now)
        trigger = Trigger(TriggerKind.ALARM, first.since or now, first.name)
        reader = self.service.session.reader
        facts = reader.facts_for(
            self.facts,
            self.service.snapshot,
            trigger,
            now,
        )
        return decide(facts, self.service.policy, now).evidence

    def with_asides(self, judgement: Judgement) -> Judgement:
        """The judgement with what is told besides."""
        return replace(judgement, evidence=(*judgement.evidence, *self.asides))

    def answer(
        self,
        judgement: Judgement,
        *,
        plan_only: bool,
    ) -> Answer:
        """Do it, or say what would be done."""
        match judgement.verdict:
            case Ignore(reason, detail):
                if not plan_only and reason is Reason.ALREADY_RUNNING:
                    self._end_claim()
                return results.judged(
                    Outcome.IGNORED,
                    reason,
                    detail,
                    self.service.key,
                    judgement.evidence,
                )
            case Hold() as hold:
                return respond.held(
                    self.service,
                    self.facts,
                    judgement,
                    hold,
                )
            case RollBack() as verdict:
                return self._to_target(judgement, verdict, plan_only=plan_only)

    @property
    def _names_target(self) -> bool:
        return self.asked.revision is not None or self.asked.image_tag is not None

    def _plan(self, judgement: Judgement, verdict: RollBack) -> RollbackPlan:
        asked = self.asked
        return RollbackPlan(
            verdict,
            judgement.evidence,
            judgement.candidates,
            automatic=False,
            pins=asked.force or self._names_target,
            forced=asked.force,
            words=asked.reason,
            requested_by=asked.requested_by,
        )

    def _to_target(
        self,
        judgement: Judgement,
        verdict: RollBack,
        *,
        plan_only: bool,
    ) -> Answer:
        asked = self.asked
        plan = self._plan(judgement, verdict)
        choice = preflight.choose(
            self.service,
            self.facts,
            plan,
            None if self._names_target else self._choose_anew,
        )
        self.facts = choice.facts
        if choice.turned is not None:
            return self.answer(choice.turned, plan_only=plan_only)
        plan, considered = choice.plan, choice.considered
        chosen = choice.chosen
        if chosen is None:
            hold = respond.no_candidate(plan, considered)
            looked_at = replace(judgement, candidates=considered)
            return respond.held(
                self.service,
                self.facts,
                looked_at,
                hold,
            )
        objection = undoing.irreversible(
            self.service,
            self.facts,
            verdict,
            chosen,
        )
        if objection and not asked.force:
            return respond.held(
                self.service,
                self.facts,
                respond.holding(judgement, objection, considered),
                objection,
            )
        if objection:
            passed = _finding(objection.reason, FindingVerdict.PASSED, objection.detail)
            plan = replace(plan, evidence=(*plan.evidence, passed))
        target = Target(chosen, considered)
        if plan_only:
            return intent.would_roll_back(
                self.service,
                self.facts,
                plan,
                target,
            )
        return self._act(plan, target)

    def _act(self, plan: RollbackPlan, target: Target) -> Answer:
        """Deploy the target; a claim that already goes there is gone on with."""
        claim = self.instead_of
        wanted = target.chosen.revision.task_definition_arn
        if claim and claim.intent.target == wanted and not self.asked.force:
            return act.resume(self.service, claim)
        return act.carry_out(
            self.service,
            self.facts,
            plan,
            target,
            instead_of=claim,
        )

    def _end_claim(self) -> None:
        """A person wants what runs: an unfinished claim to leave it is not resumed."""
        if self.instead_of is not None:
            session = self.service.session
            session.ledger.save(self.instead_of.replaced(session.now), due=None)

    def _choose_anew(self, facts: Facts) -> Judgement:
        """Where a rollback without a named target goes, on more facts."""
        chosen = choose_for_person(facts, self.service.policy, self.service.now)
        return self.with_asides(chosen)

    def _named(self) -> Candidate | None:
        """What the person named instead of leaving the choice."""
        ecs_service = self.facts.service
        if ecs_service is None or not self.facts.deployments or not ecs_service.within_reach:
            return None
        if self.asked.image_tag is not None:
            return explicit_target.tagged(self.service, self.facts, self.asked)
        if self.asked.revision is not None:
            return explicit_target.revision_named(self.service, self.facts, self.asked.revision)
        return None

    def _to_the_named(self, named: Candidate) -> Judgement:
        newest = self.facts.deployments[0]
        suspect = undone_by_person(self.facts) or newest
        verdict = RollBack(
            Reason.REQUESTED,
            "a person asked for it",
            suspect,
            newest,
            (named,),
        )
        what = self.asked.image_tag or named.revision.task_definition
        finding = _finding(Reason.REQUESTED, FindingVerdict.ROLL_BACK, f"a person named {what}")
        return Judgement(verdict, (finding,), (named,))


def _finding(
    reason: Reason,
    verdict: FindingVerdict,
    detail: str,
) -> RuleFinding:
    return RuleFinding(reason.value, verdict, detail)


def _ignoring(reason: Reason, detail: str) -> Judgement:
    finding = _finding(reason, FindingVerdict.IGNORE, detail)
    return Judgement(Ignore(reason, detail), (finding,))


def _runs_already(facts: Facts, named: Revision) -> bool:
    """By what runs, not by its number: a copy of it may run, or its own number with a moved tag."""
    newest = facts.deployments[0]
    runs = facts.revision(newest.leaves or newest.target)
    if runs is None or runs.identity is None:
        service = facts.service
        return service is not None and service.task_definition == named.task_definition_arn
    return runs.identity == named.identity


def _rollback_under_way(facts: Facts) -> Hold | None:
    newest = facts.newest
    if newest is None or not newest.status.in_progress:
        return None
    ours = rollback_behind(newest, facts)
    by_ecs = newest.status in (Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS)
    if not by_ecs and ours is None:
        return None
    whose = f"to {ours.to_task_definition}" if ours else "by ECS"
    detail = f"a rollback {whose} is under way; force acts all the same"
    return Hold(Reason.DEPLOYMENT_IS_A_ROLLBACK, detail, newest)
