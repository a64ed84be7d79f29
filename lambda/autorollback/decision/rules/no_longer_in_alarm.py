"""Rule 1: events are news, not truth. Is the alarm in ALARM now, does ECS bear its event out?"""

from datetime import timedelta

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import (
    Controller,
    Deployment,
    Facts,
    Service,
    Status,
    TriggerKind,
)
from autorollback.decision.formatting import clock
from autorollback.decision.stopped_tasks import stops_since
from autorollback.decision.verdicts import Ignore, Reason

SETTLED = timedelta(minutes=1)
"""How long before ECS's event a deployment must have begun, for tasks that cannot start to be its own."""

_ENDED_BADLY = (Status.STOPPED, Status.ROLLBACK_FAILED)


def _ask(case: Case) -> Passed | Ignore:
    facts = case.facts
    if facts.trigger.kind is not TriggerKind.ALARM:
        return _borne_out(facts)
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm is None:
        detail = f"the alarm {facts.trigger.alarm} does not exist any more"
        return Ignore(Reason.NO_LONGER_IN_ALARM, detail)
    if not alarm.in_alarm:
        when = f" since {clock(alarm.since)}" if alarm.since else ""
        return Ignore(Reason.NO_LONGER_IN_ALARM, f"{alarm.signal} is not in ALARM{when}")
    return Passed(f"{alarm.signal} is in ALARM")


def _borne_out(facts: Facts) -> Passed | Ignore:
    """An event is a reason to look, and no fact: what ECS says now of the newest deployment is."""
    newest, event = facts.newest, f"an ECS event of {clock(facts.trigger.at)}, no alarm"
    if facts.service is None or newest is None:
        return Passed(event)
    if facts.trigger.kind is TriggerKind.DEPLOYMENT_FAILED:
        what, found = "a deployment that failed", _failure_seen(facts, facts.service, newest)
    else:
        what, found = "tasks that cannot start", _failing_tasks(facts, facts.service, newest)
    if found:
        return Passed(f"{event}: {found}")
    said = f"the event of {clock(facts.trigger.at)} speaks of {what}"
    of_newest = f"ECS does not say so of the deployment of {clock(newest.start)}"
    return Ignore(Reason.SUPERSEDED, f"{said}, and {of_newest}")


def _failure_seen(
    facts: Facts,
    service: Service,
    newest: Deployment,
) -> str | None:
    """By what ECS bears a failed deployment out, if it does. CodeDeploy's are none of its own."""
    primary, named = service.primary, facts.trigger.deployment
    if primary and named == primary.id and primary.rollout == "FAILED":
        return f"{named} is the service's deployment, and has failed"

    gave_up = newest.status in _ENDED_BADLY or newest.status.is_rollback
    began_before = newest.start <= facts.trigger.at
    if service.controller is Controller.ECS and gave_up and began_before:
        return f"the newest deployment is {newest.status}"
    return None


def _failing_tasks(
    facts: Facts,
    service: Service,
    newest: Deployment,
) -> str | None:
    """By what ECS bears out that the newest deployment's own tasks fail, if it does.

    Once a task of a deployment has run well, ECS counts failures no more (`failedTasks`, botocore ecs/2014-11-13), and of
    task sets never: then the tasks say it that have stopped since.
    """
    if newest.status.is_rollback:
        return f"the newest deployment is {newest.status}"
    if facts.trigger.at - newest.start < SETTLED:
        return None
    if service.primary and service.primary.failed_tasks:
        return f"{service.primary.failed_tasks} tasks of its deployment failed"
    stopped = len(stops_since(newest.start, newest, facts))
    if stopped:
        return f"{stopped} tasks of its deployment have stopped since"
    return None


RULE = Rule("no_longer_in_alarm", _ask)
