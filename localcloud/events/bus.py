"""The default bus: events offered to rules, schedules that fall due, and deliveries tried again."""

import threading
import uuid
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException
from moto.events.models import EventsBackend, Rule, events_backends

from localcloud.events import delivery, schedules
from localcloud.events.delivery import Delivery, Event, UndeliverableError

if TYPE_CHECKING:
    from localcloud.base import Cloud

MINUTE = timedelta(minutes=1)
# the defaults of a rule's target: a day, 185 retries
_MAXIMUM_AGE_SECONDS = 24 * 60 * 60
_MAXIMUM_RETRIES = 185


@dataclass
class Bus:
    """The default bus of the cloud's account and region."""

    cloud: "Cloud"
    _anchors: dict[int, datetime] = field(default_factory=dict)
    _waiting: list[Delivery] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def emit(self, event: Event) -> None:
        """Deliver an event of AWS; what every event has is added where it lacks."""
        complete = self._envelope(self.cloud.clock.now()) | event
        for rule in self._rules():
            self.offer(rule, complete)

    def offer(self, rule: Rule, event: Event) -> None:
        """Hand the event to the rule's targets, if its pattern matches."""
        with self.cloud.troubles.of(f"the rule {rule.name}"):
            self._offer(rule, event)

    def _offer(self, rule: Rule, event: Event) -> None:
        if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
            return
        event = dict(event)
        event.pop("ingestion-time", None)
        event["time"] = _as_text(event["time"])
        if rule.event_pattern.matches_event(event):
            self._fire(rule, event)

    def tick(self, now: datetime) -> None:
        """Fire the schedules that fall due at this minute, and try again what failed."""
        for rule in self._rules():
            with self.cloud.troubles.of(f"the schedule of the rule {rule.name}"):
                if self._is_due(rule, now):
                    self._fire(rule, self._scheduled_event(rule, now))
        for failed in self._take_due(now):
            self._try_alone(failed, now)

    def _is_due(self, rule: Rule, now: datetime) -> bool:
        if not rule.scheduled_expression or rule.state == "DISABLED":
            return False
        anchor = self._anchors.setdefault(id(rule), now - MINUTE)
        is_due = schedules.parse(rule.scheduled_expression, anchor)
        return is_due(now)

    def _take_due(self, now: datetime) -> list[Delivery]:
        """The failed deliveries that are to be tried again; they wait no longer."""
        with self._lock:
            due = [waiting for waiting in self._waiting if waiting.due <= now]
            self._waiting = [waiting for waiting in self._waiting if waiting.due > now]
        return due

    def _rules(self) -> list[Rule]:
        backend: EventsBackend = events_backends[self.cloud.account][self.cloud.region]
        return list(backend.event_buses["default"].rules.values())

    def _envelope(self, now: datetime) -> Event:
        """What every event has."""
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "account": self.cloud.account,
            "time": _iso(now),
            "region": self.cloud.region,
            "resources": [],
        }

    def _scheduled_event(self, rule: Rule, now: datetime) -> Event:
        return self._envelope(now) | {
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "resources": [rule.arn],
            "detail": {},
        }

    def _fire(self, rule: Rule, event: Event) -> None:
        now = self.cloud.clock.now()
        for target in list(rule.targets):
            with self._trouble_of(rule, target):
                one = Delivery(
                    rule,
                    target,
                    delivery.body_for(target, event),
                    first=now,
                    due=now,
                )
                self._try(one, now)

    def _trouble_of(self, rule: Rule, target: delivery.Target) -> AbstractContextManager[None]:
        return self.cloud.troubles.of(f"the target {target.get('Id')} of the rule {rule.name}")

    def _try_alone(self, one: Delivery, now: datetime) -> None:
        with self._trouble_of(one.rule, one.target):
            self._try(one, now)

    def _try(self, one: Delivery, now: datetime) -> None:
        """Send it once.

        What cannot be delivered ever is buried at once, anything else is tried again.
        """
        one.tries += 1
        try:
            delivery.send(one)
        except UndeliverableError as failure:
            one.error = (failure.code, str(failure))
            delivery.bury(one)
        except ServiceException as failure:
            one.error = ("SDK_CLIENT_ERROR", str(failure))
            self._retry(one, now)

    def _retry(self, one: Delivery, now: datetime) -> None:
        """Have it wait for the next minute, unless the target's retry policy ends the tries."""
        policy = one.target.get("RetryPolicy") or {}
        maximum_age = policy.get("MaximumEventAgeInSeconds", _MAXIMUM_AGE_SECONDS)
        next_try = now + MINUTE
        if one.tries > policy.get("MaximumRetryAttempts", _MAXIMUM_RETRIES):
            delivery.bury(one, "MaximumRetryAttempts")
        elif next_try - one.first > timedelta(seconds=maximum_age):
            delivery.bury(one, "MaximumEventAgeInSeconds")
        else:
            one.due = next_try
            with self._lock:
                self._waiting.append(one)


def _as_text(moment: str | datetime | float) -> str:
    """The time of an event.

    Moto has it as a number of seconds in events of PutEvents.
    """
    if isinstance(moment, str):
        return moment
    if isinstance(moment, datetime):
        return _iso(moment)
    return _iso(datetime.fromtimestamp(moment, UTC))


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
