"""Rule 8: a service that is rolled back again and again needs a person."""

from datetime import timedelta

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.verdicts import Hold, Reason

_A_DAY = timedelta(hours=24)


def _ask(case: Case) -> Passed | Hold:
    recent = 0
    for rollback in case.facts.ledger.rollbacks:
        if rollback.automatic and case.now - rollback.at < _A_DAY:
            recent += 1
    limit = case.policy.max_rollbacks_per_day
    detail = f"{recent} automatic rollbacks in the last 24 h, limit {limit}"
    if recent >= limit:
        return Hold(Reason.ROLLBACK_LIMIT_REACHED, detail, case.blamed.suspect)
    return Passed(detail)


RULE = Rule("rollback_limit_reached", _ask)
