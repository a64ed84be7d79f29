"""The next target of a claim, after AWS refused one for good."""

from dataclasses import dataclass, replace

from autorollback import codec
from autorollback.aws.ledger_items import unpacked
from autorollback.codec import UnreadableValue
from autorollback.decision.decide import choose_for_person, decide, irreversible_target
from autorollback.decision.facts import Facts
from autorollback.decision.incident import TARGETS_TRIED, Event, Incident
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.verdicts import Candidate, CandidateVerdict, RollBack
from autorollback.flows import preflight
from autorollback.flows.intent import asked_unless_copied, intent_of, opened_result
from autorollback.flows.session import ProtectedService

Candidates = tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a claim rests on, and every candidate as far as it was looked at."""

    facts: Facts
    plan: RollbackPlan
    considered: Candidates


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
    considered = _with_refusals(claim, judged.considered)
    if len(claim.intent.refused) >= TARGETS_TRIED:
        return None, considered
    plan = _without_refused(claim, judged.plan, considered)
    chosen, considered = preflight.choose(service, judged.facts, plan)
    if chosen is None or _is_barred(judged, chosen):
        return None, considered
    target = Target(chosen, considered)
    following = _aimed_at(
        service,
        claim,
        replace(judged, plan=plan),
        target,
    )
    return service.session.ledger.save(following, due=claim.claimed_at), considered


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
    return Judged(facts, plan, judgement.candidates)


def _with_refusals(claim: Incident, considered: Candidates) -> Candidates:
    """The candidates, those that AWS refused with its words."""
    refused = {one.target: one.words for one in claim.intent.refused}
    told = []
    for candidate in considered:
        words = refused.get(candidate.revision.task_definition_arn)
        if words is None:
            told.append(candidate)
            continue
        passed_over = CandidateVerdict.PASSED_OVER
        told.append(replace(candidate, verdict=passed_over, detail=f"AWS refused it: {words}"))
    return tuple(told)


def _without_refused(
    claim: Incident,
    plan: RollbackPlan,
    considered: Candidates,
) -> RollbackPlan:
    """The plan with the candidates that follow the last one that was tried."""
    refused = {one.target for one in claim.intent.refused}
    candidates = plan.verdict.candidates
    tried = [
        index for index, one in enumerate(candidates) if one.revision.task_definition_arn in refused
    ]
    start = tried[-1] + 1 if tried else 0
    left = [one for one in candidates[start:] if one.revision.task_definition_arn not in refused]
    return replace(
        plan,
        verdict=replace(plan.verdict, candidates=tuple(left)),
        considered=considered,
    )


def _is_barred(judged: Judged, chosen: Candidate) -> bool:
    """Whether something between is a change that older code cannot live with; force goes over it."""
    if judged.plan.forced:
        return False
    return irreversible_target(judged.facts, judged.plan.verdict, chosen) is not None


def _aimed_at(
    service: ProtectedService,
    claim: Incident,
    judged: Judged,
    target: Target,
) -> Incident:
    """The same claim, with the intent to go to another target."""
    before = claim.intent
    intent = intent_of(
        service,
        judged.facts,
        judged.plan,
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
