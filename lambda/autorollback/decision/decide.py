"""Is the newest deployment to blame, and where to go back to? Every rule that was asked leaves its finding."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from autorollback.decision.case import Case, Considered, Rule, Suspicion
from autorollback.decision.facts import Facts, LedgerState, Trigger, TriggerKind
from autorollback.decision.question import Question
from autorollback.decision.rules import OF_PERSONS, paused, rules_for
from autorollback.decision.rules.irreversible_change import reversible
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
from autorollback.policy import Policy

_REASONS = {
    TriggerKind.ALARM: Reason.ALARM_AFTER_DEPLOYMENT,
    TriggerKind.TASKS_CANNOT_START: Reason.TASKS_CANNOT_START,
    TriggerKind.DEPLOYMENT_FAILED: Reason.DEPLOYMENT_FAILED,
}


def decide(
    facts: Facts,
    policy: Policy,
    now: datetime,
) -> Judgement:
    """The judgement of a trigger: a pure function of its arguments.

    `policy.mode` observe changes nothing here: whether a verdict is acted on is the caller's.
    """
    kind = facts.trigger.kind
    heard = _hear(rules_for(kind), Case(Question(facts, policy, now)))
    if isinstance(heard, Judgement):
        return heard
    return _roll_back(heard, _REASONS[kind])


def choose_for_person(
    facts: Facts,
    policy: Policy,
    now: datetime,
) -> Judgement:
    """Where a person's rollback without a named revision goes.

    That is the last stable one before what runs.
    """
    heard = _hear(OF_PERSONS, Case(Question(facts, policy, now)))
    if isinstance(heard, Judgement):
        return heard
    return _roll_back(heard, Reason.REQUESTED)


def decide_without_facts(
    trigger: Trigger,
    ledger: LedgerState,
    policy: Policy,
    now: datetime,
) -> Ignore | None:
    """What needs no facts is decided before any are read."""
    facts = Facts(service=None, trigger=trigger, ledger=ledger)
    answer = paused.RULE.ask(Case(Question(facts, policy, now)))
    return answer if isinstance(answer, Ignore) else None


def irreversible_target(
    facts: Facts,
    verdict: RollBack,
    chosen: Candidate,
) -> Hold | None:
    """Whether something deployed after the target forbids to go back to it.

    Asked of all that lies between the chosen target and the suspect.
    """
    answer = reversible(facts, verdict.suspect, chosen.between)
    return answer if isinstance(answer, Hold) else None


def _hear(rules: Sequence[Rule], case: Case) -> Case | Judgement:
    """Ask one rule after another: a judgement where one speaks, else the case with all that was found."""
    for rule in rules:
        answer = rule.ask(case)
        if isinstance(answer, Suspicion):
            case = replace(case, suspicion=answer)
        if isinstance(answer, Considered):
            case = replace(case, considered=answer.candidates)
            if not case.stable:
                answer = Hold(Reason.NO_STABLE_REVISION, answer.detail, case.blamed.suspect)
        if isinstance(answer, Hold | Ignore):
            return _spoken(case, answer)
        finding = RuleFinding(rule.name, FindingVerdict.PASSED, answer.detail)
        case = replace(case, evidence=(*case.evidence, finding))
    return case


def _spoken(case: Case, verdict: Hold | Ignore) -> Judgement:
    kind = FindingVerdict.HOLD if isinstance(verdict, Hold) else FindingVerdict.IGNORE
    finding = RuleFinding(verdict.reason.value, kind, verdict.detail)
    return Judgement(verdict, (*case.evidence, finding), case.considered)


def _roll_back(case: Case, reason: Reason) -> Judgement:
    blamed = case.blamed
    verdict = RollBack(
        reason=reason,
        detail=blamed.detail,
        suspect=blamed.suspect,
        newest=case.facts.deployments[0],
        candidates=case.stable,
        onset=None if reason is Reason.REQUESTED else blamed.onset,
        signal=blamed.alarm.signal if blamed.alarm else None,
    )
    finding = RuleFinding(reason.value, FindingVerdict.ROLL_BACK, blamed.detail)
    return Judgement(verdict, (*case.evidence, finding), case.considered)
