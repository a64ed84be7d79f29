"""A deployment of somebody else completed.

Learn from what it replaced, and judge it where an alarm is red.
"""

from autorollback.decision import stability
from autorollback.decision.facts import Facts, Trigger, TriggerKind
from autorollback.decision.formatting import clock, span
from autorollback.decision.question import Question
from autorollback.flows import alarm_trees, known_bad, respond
from autorollback.flows.session import ProtectedService
from autorollback.requests import DeploymentEnded
from autorollback.results import Answer, Done

TRIMMED_AT_ONCE = 100
"""Records that are removed when a deployment completes; the daily audit removes the rest."""


def deployment_completed(service: ProtectedService, ended: DeploymentEnded) -> Answer:
    """Learn from a completed deployment, and judge it where an alarm is red.

    What was replaced is remembered, and a known bad build that came back is told. Which alarms are
    under a user's own is read anew.
    """
    service = _with_alarm_trees(service)
    trigger = Trigger(TriggerKind.ALARM, ended.at)
    facts = service.session.reader.facts(service.snapshot, trigger, service.now)
    learnt = _remember_replaced(service, facts)
    returned = known_bad.tell_of_its_coming(service, facts)
    judged = respond.judge_red(service, facts, ended.at)
    if judged:
        return judged
    if returned:
        return returned
    calm = "a deployment completed, and no alarm of the service is in ALARM"
    return Done(f"{service.key}: {calm}{learnt}")


def _with_alarm_trees(service: ProtectedService) -> ProtectedService:
    """The service with the alarms under its users' own, which a later judgement names in one call."""
    now = alarm_trees.read_anew(service)
    trees = alarm_trees.changed(service, now)
    if trees is not None:
        service.session.ledger.save_alarm_trees(service.key, trees)
    return now


def _remember_replaced(service: ProtectedService, facts: Facts) -> str:
    """What has just been replaced is remembered as known good, where its time in service proved it.

    What is to be said of that.
    """
    newest = facts.newest
    question = Question(facts, service.policy, service.now)
    for period in question.periods:
        if newest is None or period.until != newest.start:
            continue
        good = stability.proven(period, question)
        if good:
            ledger, surplus = service.session.ledger, service.ledger_state.surplus
            ledger.save_known_good(service.key, good)
            if surplus:
                ledger.trim(service.key, surplus[:TRIMMED_AT_ONCE], service.now)
            name = good.revision.task_definition
            served = f"{span(good.until - good.since)} without alarm until {clock(good.until)}"
            return f"; {name} is remembered as known good: it served {served}"
    return ""
