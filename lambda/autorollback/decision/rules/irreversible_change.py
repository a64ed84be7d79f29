"""Rule 7: what old code cannot live with, a person undoes."""

from collections.abc import Sequence

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.definition import IRREVERSIBLE_TAG
from autorollback.decision.facts import Deployment, Facts, Revision
from autorollback.decision.formatting import unread_of
from autorollback.decision.verdicts import Hold, Reason


def reversible(
    facts: Facts,
    suspect: Deployment,
    between: Sequence[Revision | None] = (),
) -> Passed | Hold:
    """Whether the suspect, and what was deployed `between` the target and it, can be undone.

    None stands for a revision that could not be described.
    """
    if facts.service and facts.service.irreversible:
        detail = f"the service has the tag {IRREVERSIBLE_TAG}"
        return Hold(Reason.IRREVERSIBLE_CHANGE, detail, suspect)
    for revision in (facts.revision(suspect.target), *between):
        objection = _objection(revision)
        if objection and revision is None:
            objection = f"{objection}{unread_of(facts.unread)}"
        if objection:
            return Hold(Reason.IRREVERSIBLE_CHANGE, objection, suspect)
    return Passed(f"no tag {IRREVERSIBLE_TAG}")


def _objection(revision: Revision | None) -> str | None:
    what = "something that was deployed after the target"
    if revision:
        what = revision.task_definition
    if revision is None or revision.identity is None:
        return f"the tags of {what} could not be read, and one of them may be {IRREVERSIBLE_TAG}"
    if revision.irreversible:
        return f"{what} has the tag {IRREVERSIBLE_TAG}"
    return None


def _ask_of_suspect(case: Case) -> Passed | Hold:
    return reversible(case.facts, case.blamed.suspect)


def _ask_of_target(case: Case) -> Passed | Hold:
    return reversible(case.facts, case.blamed.suspect, case.stable[0].between)


RULE = Rule("irreversible_change", _ask_of_suspect)
RULE_OF_TARGET = Rule("irreversible_change", _ask_of_target)
"""Asked again once the target is known: of all that was deployed after it."""
