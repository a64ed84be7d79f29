"""Could a candidate run now? What has to be asked for that, and what the answers say."""

from dataclasses import replace

from autorollback.decision.checks import CHECKS, definition_usable
from autorollback.decision.formatting import first_few
from autorollback.decision.lookups import Answers, Lookup
from autorollback.decision.preflight_case import PreflightCase, PreflightTarget
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Check, CheckName

TOLD = 5
"""Failed checks of a candidate that are told in its detail."""

SKIPPED = Check(CheckName.PREFLIGHT, None, "skipped: forced by a person")


def needed(target: PreflightTarget) -> frozenset[Lookup]:
    """All that the checks of a candidate need to be asked, each once."""
    lookups: set[Lookup] = set()
    for check in CHECKS:
        lookups |= check.needs(target)
    return frozenset(lookups)


def checks(case: PreflightCase) -> tuple[Check, ...]:
    """Every finding about a candidate, in the order of the checks."""
    found: list[Check] = []
    for check in CHECKS:
        found += check.find(case)
    return tuple(found)


def needed_when_forced(target: PreflightTarget) -> frozenset[Lookup]:
    """Force skips what could refuse, not what brings back exactly what ran."""
    return definition_usable.needs(target)


def checks_when_forced(target: PreflightTarget, answers: Answers) -> tuple[Check, ...]:
    """Whether a candidate can only be brought back as a copy; it refuses nobody."""
    found = definition_usable.usable(target, answers)
    if not found.passed:
        found = replace(found, passed=None)
    return (SKIPPED, found)


def undescribed(why: str) -> tuple[Check, ...]:
    """The findings where its definition, or the running one, cannot be described."""
    detail = f"a task definition cannot be described: {why}"
    return (Check(CheckName.DEFINITION_USABLE, passed=False, detail=detail),)


def undescribed_when_forced(why: str) -> tuple[Check, ...]:
    """The same where a person forces it: told, and refusing nobody."""
    detail = f"it cannot be described: {why}"
    return (SKIPPED, Check(CheckName.DEFINITION_USABLE, None, detail))


def assessed(candidate: Candidate, found: tuple[Check, ...]) -> Candidate:
    """The candidate with what was found: chosen, or passed over and why."""
    every = (*candidate.checks, *found)
    failed = [f"{check.name}: {check.detail}" for check in every if check.passed is False]
    if failed:
        detail = "; ".join(first_few(failed, TOLD))
        passed_over = CandidateVerdict.PASSED_OVER
        return replace(
            candidate,
            verdict=passed_over,
            detail=detail,
            checks=every,
        )
    return replace(candidate, verdict=CandidateVerdict.CHOSEN, checks=every)
