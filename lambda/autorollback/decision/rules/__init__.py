"""The rules of judgement, and the list that gives their order.

Each is a module. The first that speaks, wins.
"""

from autorollback.decision.case import Rule
from autorollback.decision.facts import TriggerKind
from autorollback.decision.rules import (
    alarm_is_flapping,
    alarm_predates_deployment,
    already_handled,
    capacity_lost,
    handled_by_ecs,
    irreversible_change,
    no_longer_in_alarm,
    no_recent_deployment,
    no_stable_revision,
    not_serving_yet,
    paused,
    requested,
    rollback_limit_reached,
    service_inactive,
    shared_cause,
    still_serving,
)

_BEFORE_BLAME = (
    paused.RULE,
    no_longer_in_alarm.RULE,
    handled_by_ecs.RULE,
    service_inactive.RULE,
    already_handled.RULE,
    no_recent_deployment.RULE,
)
_OF_ALARMS = (
    not_serving_yet.RULE,
    alarm_predates_deployment.RULE,
    alarm_is_flapping.RULE,
)
_OF_ECS_EVENTS = (
    still_serving.RULE,
    capacity_lost.RULE,
)
_BEFORE_ACTING = (
    shared_cause.RULE,
    irreversible_change.RULE,
    rollback_limit_reached.RULE,
    no_stable_revision.RULE,
    irreversible_change.RULE_OF_TARGET,
)

OF_PERSONS = (
    service_inactive.RULE,
    requested.RULE,
    no_stable_revision.RULE_FOR_PERSON,
)
"""A person's rollback without a named target: nobody is blamed."""


def rules_for(kind: TriggerKind) -> tuple[Rule, ...]:
    """The rules that are asked of a trigger, in their order."""
    middle = _OF_ALARMS if kind is TriggerKind.ALARM else _OF_ECS_EVENTS
    return (*_BEFORE_BLAME, *middle, *_BEFORE_ACTING)
