"""Which candidate is gone back to: the first that could run now."""

from autorollback.aws.definitions import UnknownDefinition
from autorollback.decision import preflight
from autorollback.decision.facts import Facts, Service
from autorollback.decision.incident import RollbackMethod
from autorollback.decision.lineage import running_now
from autorollback.decision.plan import RollbackPlan, method_of
from autorollback.decision.preflight_case import PreflightCase, PreflightTarget
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Check
from autorollback.flows.session import ProtectedService, Session
from autorollback.naming import Home


def choose(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """The first stable candidate that passes, and every candidate with what was found about it."""
    if facts.service is None:
        return None, plan.considered

    looked_at: dict[str, Candidate] = {}
    chosen: Candidate | None = None
    for candidate in plan.verdict.candidates:
        found = _find(
            service.session,
            facts.service,
            facts,
            plan,
            candidate,
        )
        assessed = preflight.assessed(candidate, found)
        looked_at[candidate.revision.arn] = assessed
        if assessed.verdict is CandidateVerdict.CHOSEN:
            chosen = assessed
            break

    considered = plan.considered or plan.verdict.candidates
    return chosen, tuple(looked_at.get(one.revision.arn, one) for one in considered)


def _find(
    session: Session,
    ecs_service: Service,
    facts: Facts,
    plan: RollbackPlan,
    candidate: Candidate,
) -> tuple[Check, ...]:
    """All that the preflight finds about a candidate; force skips what could refuse."""
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
    )
    return preflight.checks(case)
