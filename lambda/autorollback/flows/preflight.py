"""Which candidate is gone back to: the first that could run now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autorollback.aws.definitions import UnknownDefinition
from autorollback.decision import preflight
from autorollback.decision.facts import Facts, Service
from autorollback.decision.incident import RefusedTarget, RollbackMethod
from autorollback.decision.lineage import running_now
from autorollback.decision.plan import RollbackPlan, method_of
from autorollback.decision.preflight_case import PreflightCase, PreflightTarget
from autorollback.decision.verdicts import (
    Candidate,
    CandidateVerdict,
    Check,
    Judgement,
    RollBack,
)
from autorollback.flows.session import ProtectedService
from autorollback.naming import Home

Judge = Callable[[Facts], Judgement]
"""Judges anew on more facts."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The first stable candidate that passes, and what it was chosen from.

    Attributes:
        chosen: None where none passes.
        considered: every candidate, with what was found about it.
        facts: all that was gathered until one passed, or nothing was left to read.
        turned: the judgement on these facts, where it is no rollback any more.
    """

    chosen: Candidate | None
    considered: tuple[Candidate, ...]
    plan: RollbackPlan
    facts: Facts
    turned: Judgement | None = None


def choose(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    judge: Judge | None = None,
    refused: Sequence[RefusedTarget] = (),
) -> Choice:
    """The first stable candidate that passes, however far back.

    While none does, more of the past is read and judged anew. Without a judge, as where a person
    named the target, nothing more is read. What AWS has `refused` already passes no more.
    """
    looked_at: dict[str, Candidate] = {}
    while True:
        chosen = _first_that_passes(
            service,
            facts,
            plan,
            looked_at,
            refused,
        )
        choice = Choice(
            chosen,
            _with_findings(plan, looked_at),
            plan,
            facts,
        )
        if chosen is not None or judge is None or facts.service is None:
            return choice

        facts = service.session.reader.facts_beyond(
            facts,
            service.snapshot,
            len(looked_at),
            service.now,
        )
        judgement = judge(facts)
        if not isinstance(judgement.verdict, RollBack):
            return replace(choice, facts=facts, turned=judgement)
        plan = replace(
            plan,
            verdict=judgement.verdict,
            evidence=judgement.evidence,
            considered=judgement.candidates,
        )
        if not _adds_any(judgement.verdict, looked_at):
            return Choice(
                None,
                _with_findings(plan, looked_at),
                plan,
                facts,
            )


def _passed_over(candidate: Candidate, refusal: str) -> Candidate:
    """A candidate that AWS refused, with its words."""
    passed_over = CandidateVerdict.PASSED_OVER
    return replace(candidate, verdict=passed_over, detail=f"AWS refused it: {refusal}")


def _first_that_passes(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    looked_at: dict[str, Candidate],
    refused: Sequence[RefusedTarget],
) -> Candidate | None:
    """The first candidate that passes; what is found about each is noted in `looked_at`."""
    if facts.service is None:
        return None
    words = {one.target: one.words for one in refused}
    for candidate in plan.verdict.candidates:
        if candidate.revision.arn in looked_at:
            continue
        refusal = words.get(candidate.revision.task_definition_arn)
        if refusal is not None:
            looked_at[candidate.revision.arn] = _passed_over(candidate, refusal)
            continue
        found = _find(
            service,
            facts.service,
            facts,
            plan,
            candidate,
        )
        assessed = preflight.assessed(candidate, found)
        looked_at[candidate.revision.arn] = assessed
        if assessed.verdict is CandidateVerdict.CHOSEN:
            return assessed
    return None


def _with_findings(plan: RollbackPlan, looked_at: dict[str, Candidate]) -> tuple[Candidate, ...]:
    """Every candidate of a plan, those that were looked at with what was found.

    Of a revision that ran more than once, the run that is stable was looked at.
    """
    considered = plan.considered or plan.verdict.candidates
    told: list[Candidate] = []
    for candidate in considered:
        assessed = looked_at.get(candidate.revision.arn)
        is_stable = candidate.verdict is CandidateVerdict.STABLE
        told.append(assessed if assessed and is_stable else candidate)
    return tuple(told)


def _adds_any(verdict: RollBack, looked_at: dict[str, Candidate]) -> bool:
    """Whether a verdict has a candidate that was not looked at yet."""
    return any(candidate.revision.arn not in looked_at for candidate in verdict.candidates)


def _find(
    service: ProtectedService,
    ecs_service: Service,
    facts: Facts,
    plan: RollbackPlan,
    candidate: Candidate,
) -> tuple[Check, ...]:
    """All that the preflight finds about a candidate; force skips what could refuse."""
    session = service.session
    home = Home.of_service(ecs_service.arn)
    describe = session.definitions.describe
    now_runs = running_now(facts)
    try:
        definition = describe(candidate.revision.task_definition_arn)
        target = PreflightTarget.of(
            ecs_service,
            candidate.revision,
            definition,
            now_runs,
        )
        if plan.forced:
            needed = preflight.needed_when_forced(target)
            return preflight.checks_when_forced(target, session.dependencies.answers(home, needed))
        running = describe(ecs_service.task_definition)
    except UnknownDefinition as unknown:
        if plan.forced:
            return preflight.undescribed_when_forced(str(unknown))
        return preflight.undescribed(str(unknown))

    answers = session.dependencies.answers(home, preflight.needed(target))
    method = method_of(facts, plan.verdict, candidate)
    whole = method is RollbackMethod.STOP_DEPLOYMENT
    case = PreflightCase(
        target,
        running,
        candidate.ran_until,
        whole,
        answers,
        service.policy,
    )
    return preflight.checks(case)
