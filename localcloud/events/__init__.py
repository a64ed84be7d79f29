"""EventBridge's rules, which fire on events and schedules, and deliver to targets."""

import json
from typing import TYPE_CHECKING, Any

from moto.events.models import EventsBackend, Rule

from localcloud.events import checks, schedules
from localcloud.events.bus import MINUTE, Bus
from localcloud.events.delivery import Event

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Route events of AWS, of PutEvents and of schedules to the targets of rules."""
    bus = Bus(cloud)
    put_rule = EventsBackend.put_rule
    put_targets = EventsBackend.put_targets
    put_events = EventsBackend.put_events

    def checked_rule(self: EventsBackend, name: str, *args: Any, **kwargs: Any) -> Rule:
        pattern = kwargs.get("event_pattern")
        if pattern:
            checks.check_pattern(pattern, json.loads(pattern))
        schedule = kwargs.get("scheduled_expression")
        if schedule:
            schedules.parse(schedule, cloud.clock.now())
        return put_rule(
            self,
            name,
            *args,
            **kwargs,
        )

    def checked_targets(
        self: EventsBackend,
        name: str,
        event_bus_arn: str | None,
        targets: list[dict[str, Any]],
    ) -> None:
        for target in targets:
            checks.check_target(target)
        put_targets(
            self,
            name,
            event_bus_arn,
            targets,
        )

    def bounded_events(self: EventsBackend, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        checks.check_entries(entries)
        answers: list[dict[str, Any]] = []
        for entry in entries:
            refusal = checks.FAILED if cloud.outages.hit("events") else checks.refusal_of(entry)
            answers.extend([refusal] if refusal else put_events(self, [entry]))
        return answers

    def send(rule: Rule, event: Event, transform_input: bool = True) -> None:  # noqa: FBT001, ARG001 - moto's signature
        bus.offer(rule, event)

    cloud.replace(EventsBackend, "put_rule", checked_rule)
    cloud.replace(EventsBackend, "put_targets", checked_targets)
    cloud.replace(EventsBackend, "put_events", bounded_events)
    cloud.replace(Rule, "send_to_targets", send)
    cloud.emit = bus.emit
    cloud.clock.every(MINUTE, bus.tick)
