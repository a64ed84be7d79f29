"""Is somebody already on it: this controller, or a person? A restart since then changes nothing about that."""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.changes import newest_but_restarts
from autorollback.decision.formatting import clock
from autorollback.decision.lineage import rollback_behind
from autorollback.decision.verdicts import Hold, Ignore, Reason


def _ask(case: Case) -> Passed | Hold | Ignore:
    facts = case.facts
    newest = newest_but_restarts(facts)
    no_rollback = Passed("the newest deployment is no rollback of this controller")
    if newest is None:
        return no_rollback
    past = rollback_behind(newest, facts)
    if past is None:
        return no_rollback

    target = past.to_task_definition
    pinned_until = max(newest.start, past.at) + case.policy.window
    if past.pins and case.now < pinned_until:
        detail = f"a person rolled back to {target}: theirs until {clock(pinned_until)}"
        return Hold(Reason.PINNED_BY_HUMAN, detail, newest)
    if past.is_open:
        watched = f"the rollback to {target}, and its recovery is being watched"
        return Ignore(Reason.ALREADY_HANDLED, f"the newest deployment is {watched}")
    return Passed(f"the rollback to {target} is not being watched any more")


RULE = Rule("already_handled", _ask)
