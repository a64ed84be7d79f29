"""The next target of a claim, after AWS refused one for good."""

from dataclasses import dataclass, replace

from autorollback import codec
from autorollback.aws.ledger_items import unpacked
from autorollback.codec import UnreadableValue
from autorollback.decision.decide import choose_for_person, decide, irreversible_target
from autorollback.decision.facts import Facts
from autorollback.decision.incident import TARGETS_TRIED, Event, Incident
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.verdicts import Candidate, RollBack
from autorollback.flows import preflight
from autorollback.flows.intent import asked_unless_copied, intent_of, opened_result
from autorollback.flows.preflight import Choice, Judge
from autorollback.flows.session import ProtectedService

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a claim rests on. `judge` judges anew on more facts, where more may be read."""

    facts: Facts
    plan: RollbackPlan
    judge: Judge | None = None


def next_target(
    service: ProtectedService,
    claim: Incident,
    judged: Judged | None,
) -> tuple[Incident | None, Candidates]:
    """The claim with the next candidate that passes the preflight, as it is written.

    With it all candidates as far as they were looked at.

    None where nothing is left: three were tried, no other passes, or something between cannot be gone back over.
    `judged` is None of a claim that was resumed: then its record tells.
    """
    judged = judged or judged_again(claim)
    if judged is None:
        return None, ()
    is_last = len(claim.intent.refused) >= TARGETS_TRIED
    choice = preflight.choose(
        service,
        judged.facts,
        _none_left(judged.plan, claim) if is_last else judged.plan,
        None if is_last else judged.judge,
        claim.intent.refused,
    )
    chosen = choice.chosen
    if chosen is None or _is_barred(choice, chosen):
        return None, choice.considered
    following = _aimed_at(
        service,
        claim,
        choice,
        Target(chosen, choice.considered),
    )
    return service.session.ledger.save(following, due=claim.claimed_at), choice.considered


def _none_left(plan: RollbackPlan, claim: Incident) -> RollbackPlan:
    """The plan with those candidates alone that were refused: no other is looked at."""
    refused = {one.target for one in claim.intent.refused}
    candidates = tuple(
        one for one in plan.verdict.candidates if one.revision.task_definition_arn in refused
    )
    return replace(plan, verdict=replace(plan.verdict, candidates=candidates))


def judged_again(claim: Incident) -> Judged | None:
    """What the claim's own record says that it rested on, judged again.

    None where that is not kept, or where a person named the one target.
    """
    if claim.facts is None or claim.intent.pins:
        return None
    try:
        facts, policy, now = codec.read_record(unpacked(claim.facts))
    except (UnreadableValue, ValueError):
        return None
    judge = decide if claim.automatic else choose_for_person
    judgement = judge(facts, policy, now)
    if not isinstance(judgement.verdict, RollBack):
        return None
    plan = RollbackPlan(
        judgement.verdict,
        judgement.evidence,
        judgement.candidates,
        automatic=claim.automatic,
        words=claim.intent.words,
    )
    return Judged(facts, plan)


def _is_barred(choice: Choice, chosen: Candidate) -> bool:
    """Whether something between is a change that older code cannot live with; force goes over it."""
    if choice.plan.forced:
        return False
    return irreversible_target(choice.facts, choice.plan.verdict, chosen) is not None


def _aimed_at(
    service: ProtectedService,
    claim: Incident,
    choice: Choice,
    target: Target,
) -> Incident:
    """The same claim, with the intent to go to another target."""
    before = claim.intent
    intent = intent_of(
        service,
        choice.facts,
        choice.plan,
        target,
    )
    intent = replace(
        intent,
        request_id=before.request_id,
        untold=before.untold,
        refused=before.refused,
        pins=before.pins,
        forced=before.forced,
        words=before.words,
        result=opened_result(claim, intent.result),
    )
    return asked_unless_copied(claim.after(Event.TARGET_REFUSED).with_intent(intent))
