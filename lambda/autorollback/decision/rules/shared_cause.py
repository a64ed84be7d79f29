"""Rule 6: were services that did not change in trouble before this one?"""

from datetime import datetime, timedelta

from autorollback.decision.case import Case, Passed, Rule, Suspicion
from autorollback.decision.facts import Facts
from autorollback.decision.verdicts import Hold, Reason
from autorollback.policy import Policy

NEAR = timedelta(minutes=10)
"""How far apart two onsets may be for one cause."""

_NAMED = 5


def services_for_shared_cause(protected_services: int, policy: Policy) -> int:
    """How many other services must be in trouble.

    In a small fleet half of the others, but at least two.
    """
    half_of_the_others = -(-(protected_services - 1) // 2)
    return min(policy.shared_cause_services, max(2, half_of_the_others))


def _ask(case: Case) -> Passed | Hold:
    needed = services_for_shared_cause(case.facts.protected_services, case.policy)
    ill = _ill_for_another_reason(case.blamed, case.facts)
    count = f"{len(ill)} unchanged services fell ill within 10 min before it"
    detail = f"{count}, {needed} required"
    if len(ill) < needed:
        return Passed(detail)
    named = ", ".join(ill[:_NAMED])
    return Hold(Reason.SHARED_CAUSE, f"{detail}: {named}", case.blamed.suspect)


def _ill_for_another_reason(suspicion: Suspicion, facts: Facts) -> list[str]:
    """The other services that were not deployed, and whose trouble began near this one's."""
    ill = set()
    for neighbour in facts.neighbours:
        if not neighbour.changed and _counts(neighbour.onset, suspicion):
            ill.add(str(neighbour.key))
    return sorted(ill)


def _counts(onset: datetime, suspicion: Suspicion) -> bool:
    """Whether a neighbour's trouble speaks against this one's deployment being the cause.

    A later one may be this one's victim, unless the suspect had finished long before.
    """
    if onset < suspicion.onset - NEAR:
        return False
    if onset < suspicion.onset:
        return True
    return _finished_long_before(suspicion) and onset <= suspicion.onset + NEAR


def _finished_long_before(suspicion: Suspicion) -> bool:
    suspect = suspicion.suspect
    if suspect.status.in_progress:
        return False
    finished = suspect.finished_at or suspect.start
    return suspicion.onset - finished > NEAR


RULE = Rule("shared_cause", _ask)
