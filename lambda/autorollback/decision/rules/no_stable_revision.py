"""Rule 9: which revision ran well before the suspect?"""

from autorollback.decision import targets
from autorollback.decision.case import Case, Considered, Rule
from autorollback.decision.changes import only_settings_in_progress
from autorollback.decision.formatting import unread_of
from autorollback.decision.lineage import running_now
from autorollback.decision.verdicts import Candidate, CandidateVerdict

_TOLD = 3


def _ask(case: Case) -> Considered:
    facts, suspect = case.facts, case.blamed.suspect
    if only_settings_in_progress(facts, suspect):
        return _considered(case, targets.source_candidates(case.question, suspect))
    brought = facts.revision(suspect.target)
    return _considered(case, targets.candidates(case.question, suspect, brought))


def _ask_for_person(case: Case) -> Considered:
    running = running_now(case.facts)
    return _considered(case, targets.candidates(case.question, case.blamed.suspect, running))


def _considered(case: Case, candidates: tuple[Candidate, ...]) -> Considered:
    for candidate in candidates:
        if candidate.verdict is CandidateVerdict.STABLE:
            detail = f"{candidate.revision.task_definition}: {candidate.detail}"
            return Considered(candidates, detail)

    detail = "no revision before this deployment is known to have run well"
    looked_at = [f"{c.revision.task_definition}: {c.detail}" for c in candidates[:_TOLD]]
    if looked_at:
        detail = f"{detail}: {'; '.join(looked_at)}"
    return Considered(candidates, f"{detail}{unread_of(case.facts.unread)}")


RULE = Rule("no_stable_revision", _ask)
RULE_FOR_PERSON = Rule("no_stable_revision", _ask_for_person)
"""A person's rollback goes back from what runs; nobody is blamed."""
