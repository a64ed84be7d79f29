"""The order of judgement: the first rule that speaks, wins, and every rule that was asked leaves its evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autorollback.decision import blame, targets
from autorollback.decision.blame import Passed, Suspicion
from autorollback.decision.facts import (
    Deployment,
    Facts,
    LedgerState,
    Revision,
    Trigger,
    TriggerKind,
)
from autorollback.decision.question import Question
from autorollback.decision.verdicts import (
    Candidate,
    CandidateVerdict,
    FindingVerdict,
    Hold,
    Ignore,
    Judgement,
    Reason,
    RollBack,
    RuleFinding,
)
from autorollback.policy import Policy


@dataclass(frozen=True, slots=True)
class Considered:
    """What was looked at as the target; `detail` names the first that is stable."""

    candidates: tuple[Candidate, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged, and what the rules have found so far."""

    facts: Facts
    policy: Policy
    now: datetime
    suspicion: Suspicion | None = None
    considered: tuple[Candidate, ...] = ()
    evidence: tuple[RuleFinding, ...] = ()

    @property
    def question(self) -> Question:
        """What is judged, without what has been found."""
        return Question(self.facts, self.policy, self.now)

    @property
    def blamed(self) -> Suspicion:
        """The suspicion, for the rules that come after it."""
        if self.suspicion is None:
            raise ValueError("this rule is asked only of a suspect")
        return self.suspicion

    @property
    def stable(self) -> tuple[Candidate, ...]:
        """The candidates that ran well, best first."""
        return tuple(c for c in self.considered if c.verdict == CandidateVerdict.STABLE)


Answer = Passed | Suspicion | Considered | Hold | Ignore
Rule = Callable[[Case], Answer]


def decide(facts: Facts, policy: Policy, now: datetime) -> Judgement:
    """Is the newest deployment to blame, and where to go back to? A pure function of its arguments.

    `policy.mode` observe changes nothing here: whether a verdict is acted on is the caller's.
    """
    rules = _OF_ALARMS if facts.trigger.kind is TriggerKind.ALARM else _OF_ECS_EVENTS
    heard = _hear((*_BEFORE_BLAME, *rules, *_BEFORE_ACTING), Case(facts, policy, now))
    return (
        heard if isinstance(heard, Judgement) else _roll_back(heard, _REASONS[facts.trigger.kind])
    )


def choose_for_person(facts: Facts, policy: Policy, now: datetime) -> Judgement:
    """Where a person's rollback without a named revision goes: the last stable revision before what runs. Nobody is blamed."""
    heard = _hear(_OF_PERSONS, Case(facts, policy, now))
    return heard if isinstance(heard, Judgement) else _roll_back(heard, Reason.REQUESTED)


def undone_by_person(facts: Facts) -> tuple[Deployment, Revision | None] | None:
    """The deployment that a person's rollback undoes, and what it brought: the one that made what runs now.

    Restarts of the same identity are passed over. None without a deployment on record.
    """
    chosen = blame.newest_deployment(facts)
    if chosen is None:
        return None
    running = facts.revision(chosen.leaves or chosen.target)
    for index, deployment in enumerate(facts.deployments):
        chosen, source = deployment, blame.running_before(facts, index)
        if source is None or running is None or source.identity != running.identity:
            break
    return chosen, running


def _hear(rules: Sequence[tuple[str, Rule]], case: Case) -> Case | Judgement:
    """Ask one rule after another: a judgement where one speaks, else the case with all that was found."""
    for name, rule in rules:
        answer = rule(case)
        if isinstance(answer, Hold | Ignore):
            kind = FindingVerdict.HOLD if isinstance(answer, Hold) else FindingVerdict.IGNORE
            evidence = (*case.evidence, RuleFinding(answer.reason, kind, answer.detail))
            return Judgement(answer, evidence, case.considered)
        if isinstance(answer, Suspicion):
            case = replace(case, suspicion=answer)
        elif isinstance(answer, Considered):
            case = replace(case, considered=answer.candidates)
            if not case.stable:
                hold = Hold(Reason.NO_STABLE_REVISION, answer.detail, case.blamed.suspect)
                return Judgement(
                    hold,
                    (*case.evidence, RuleFinding(hold.reason, FindingVerdict.HOLD, hold.detail)),
                    case.considered,
                )
        case = replace(
            case, evidence=(*case.evidence, RuleFinding(name, FindingVerdict.PASSED, answer.detail))
        )
    return case


def _roll_back(case: Case, reason: Reason) -> Judgement:
    blamed = case.blamed
    onset = None if reason is Reason.REQUESTED else blamed.onset
    verdict = RollBack(
        reason, blamed.detail, blamed.suspect, case.facts.deployments[0], case.stable, onset
    )
    evidence = (*case.evidence, RuleFinding(reason, FindingVerdict.ROLL_BACK, blamed.detail))
    return Judgement(verdict, evidence, case.considered)


def _targets(case: Case) -> Considered:
    """What ran before the suspect, and how well."""
    facts, suspect = case.facts, case.blamed.suspect
    if blame.only_settings_in_progress(facts, suspect):
        return _considered(case, targets.source_candidates(case.question, suspect))
    brought = facts.revision(suspect.target)
    return _considered(case, targets.candidates(case.question, suspect, brought))


def _undone(case: Case) -> Suspicion | Hold:
    undone = undone_by_person(case.facts)
    if undone is None:
        return Hold(Reason.NO_STABLE_REVISION, "AWS has no deployment of this service on record")
    return Suspicion(undone[0], case.now, "a person asked for it")


def _targets_of_person(case: Case) -> Considered:
    undone = undone_by_person(case.facts)
    running = undone[1] if undone else None
    return _considered(case, targets.candidates(case.question, case.blamed.suspect, running))


def _considered(case: Case, candidates: tuple[Candidate, ...]) -> Considered:
    if best := next((c for c in candidates if c.verdict == CandidateVerdict.STABLE), None):
        return Considered(candidates, f"{best.revision.task_definition}: {best.detail}")
    looked_at = "; ".join(f"{c.revision.task_definition}: {c.detail}" for c in candidates[:3])
    unread = f"; could not be read: {', '.join(case.facts.unread)}" if case.facts.unread else ""
    detail = f"no revision before this deployment is known to have run well{': ' if looked_at else ''}{looked_at}{unread}"
    return Considered(candidates, detail)


_BEFORE_BLAME: tuple[tuple[str, Rule], ...] = (
    ("paused", lambda case: blame.asleep(case.facts, case.policy, case.now)),
    ("no_longer_in_alarm", lambda case: blame.still_true(case.facts)),
    ("handled_by_ecs", lambda case: blame.left_to_ecs(case.facts)),
    ("service_inactive", lambda case: blame.can_be_rolled_back(case.facts)),
    ("already_handled", lambda case: blame.not_handled(case.facts, case.policy, case.now)),
    ("no_recent_deployment", lambda case: blame.find_suspect(case.facts, case.policy, case.now)),
)
_OF_ALARMS: tuple[tuple[str, Rule], ...] = (
    (
        "alarm_predates_deployment",
        lambda case: blame.convict(case.blamed, case.facts, case.policy, case.now),
    ),
    ("alarm_is_flapping", lambda case: blame.calm_before(case.blamed, case.policy, case.now)),
)
_OF_ECS_EVENTS: tuple[tuple[str, Rule], ...] = (
    ("still_serving", lambda case: blame.still_serving(case.blamed, case.facts)),
)
_BEFORE_ACTING: tuple[tuple[str, Rule], ...] = (
    ("shared_cause", lambda case: blame.not_shared(case.blamed, case.facts, case.policy)),
    ("irreversible_change", lambda case: blame.reversible(case.blamed, case.facts)),
    (
        "rollback_limit_reached",
        lambda case: blame.within_limit(case.facts, case.policy, case.now, case.blamed.suspect),
    ),
    ("no_stable_revision", _targets),
    (
        "irreversible_change",
        lambda case: blame.reversible(case.blamed, case.facts, case.stable[0].between),
    ),
)
_OF_PERSONS: tuple[tuple[str, Rule], ...] = (
    ("service_inactive", lambda case: blame.can_be_rolled_back(case.facts)),
    ("requested", _undone),
    ("no_stable_revision", _targets_of_person),
)

_REASONS = {
    TriggerKind.ALARM: Reason.ALARM_AFTER_DEPLOYMENT,
    TriggerKind.TASKS_CANNOT_START: Reason.TASKS_CANNOT_START,
    TriggerKind.DEPLOYMENT_FAILED: Reason.DEPLOYMENT_FAILED,
}


def decide_without_facts(
    trigger: Trigger, ledger: LedgerState, policy: Policy, now: datetime
) -> Ignore | None:
    """What needs no facts is decided before any are read."""
    answer = blame.asleep(Facts(None, trigger, ledger=ledger), policy, now)
    return answer if isinstance(answer, Ignore) else None


def irreversible_target(facts: Facts, verdict: RollBack, chosen: Candidate) -> Hold | None:
    """Whether what lies between the chosen target and the suspect forbids to go back to it."""
    suspicion = Suspicion(verdict.suspect, verdict.suspect.start, "")
    answer = blame.reversible(suspicion, facts, chosen.between)
    return answer if isinstance(answer, Hold) else None
