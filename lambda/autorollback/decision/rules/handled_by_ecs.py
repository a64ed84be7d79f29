"""A failed deployment is ECS's to roll back, where the service is set so.

It is until ECS has had its time.
"""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import TriggerKind
from autorollback.decision.verdicts import Ignore, Reason


def _ask(case: Case) -> Passed | Ignore:
    facts = case.facts
    trigger, newest = facts.trigger, facts.newest
    nothing_left = Passed("no failed deployment that ECS itself rolls back")
    if trigger.kind is not TriggerKind.DEPLOYMENT_FAILED or trigger.overdue:
        return nothing_left
    if newest and newest.status.is_rollback:
        detail = f"ECS has rolled it back, or is rolling it back ({newest.status})"
        return Ignore(Reason.HANDLED_BY_ECS, detail)
    if facts.service and facts.service.rolls_back_by_itself:
        detail = "the service's circuit breaker or deployment alarms are set to roll it back"
        return Ignore(Reason.HANDLED_BY_ECS, detail)
    return nothing_left


RULE = Rule("handled_by_ecs", _ask)
