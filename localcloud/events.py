"""EventBridge: rules that fire on events and on schedules, and hand over to Lambda, SNS and SQS with retries and a dead-letter queue.

Sources: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html, eb-rule-dlq.html and
eb-scheduled-rule-pattern.html.
"""

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import ServiceException
from moto.events.models import EventsBackend, Rule, events_backends
from moto.events.utils import EventTemplateParser
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

Event = dict[str, Any]
_MINUTE = timedelta(minutes=1)
_TARGET_KEYS = frozenset({"Id", "Arn", "Input", "InputPath", "InputTransformer", "DeadLetterConfig", "RetryPolicy"})
_FILTERS = frozenset(
    {"exists", "prefix", "suffix", "equals-ignore-case", "numeric", "anything-but", "cidr", "wildcard"}
)
# the defaults of a rule's target: a day, 185 tries
_MAXIMUM_AGE, _MAXIMUM_RETRIES = timedelta(hours=24), 185


def install(cloud: "Cloud") -> None:
    """Route events of AWS, of PutEvents and of schedules to the targets of the rules of the default bus."""
    bridge = Bridge(cloud)
    put_rule, put_targets = EventsBackend.put_rule, EventsBackend.put_targets

    def checked_rule(self: EventsBackend, name: str, *args: Any, **kwargs: Any) -> Rule:
        if pattern := kwargs.get("event_pattern"):
            _check_pattern(json.loads(pattern), pattern)
        if schedule := kwargs.get("scheduled_expression"):
            _schedule(schedule, cloud.clock.now())
        return put_rule(self, name, *args, **kwargs)

    def checked_targets(
        self: EventsBackend, name: str, event_bus_arn: str | None, targets: list[dict[str, Any]]
    ) -> None:
        for target in targets:
            _check_target(target)
        put_targets(self, name, event_bus_arn, targets)

    def send(rule: Rule, event: Event, transform_input: bool = True) -> None:  # noqa: FBT001, ARG001 - moto's signature
        bridge.offer(rule, event)

    cloud.replace(EventsBackend, "put_rule", checked_rule)
    cloud.replace(EventsBackend, "put_targets", checked_targets)
    cloud.replace(Rule, "send_to_targets", send)
    cloud.emit = bridge.emit
    cloud.clock.every(_MINUTE, bridge.tick)


@dataclass
class _Delivery:
    """A handover that failed, to be tried again."""

    rule: Rule
    target: dict[str, Any]
    body: str
    first: datetime
    due: datetime
    tries: int
    error: tuple[str, str]


@dataclass
class Bridge:
    """The default bus of the cloud's account and region."""

    cloud: "Cloud"
    _anchors: dict[int, datetime] = field(default_factory=dict)
    _waiting: list[_Delivery] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def emit(self, event: Event) -> None:
        """Deliver an event of AWS; what every event has (version, id, time, account, region) is added where it lacks."""
        whole = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "account": self.cloud.account,
            "time": _iso(self.cloud.clock.now()),
            "region": self.cloud.region,
            "resources": [],
        } | event
        for rule in self._rules():
            self.offer(rule, whole)

    def offer(self, rule: Rule, event: Event) -> None:
        """Hand the event to the rule's targets, if the rule is enabled and its pattern matches."""
        if rule.state == "DISABLED" or not rule.event_pattern.get_pattern():
            return
        event = {key: value for key, value in event.items() if key != "ingestion-time"}
        if not isinstance(event["time"], str):
            moment = event["time"]
            event["time"] = _iso(moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC))
        if rule.event_pattern.matches_event(event):
            self._fire(rule, event)

    def tick(self, now: datetime) -> None:
        """Fire the schedules that fall due at this minute, and try again what failed."""
        for rule in self._rules():
            if rule.scheduled_expression and rule.state != "DISABLED":
                anchor = self._anchors.setdefault(id(rule), now - _MINUTE)
                if _schedule(rule.scheduled_expression, anchor)(now):
                    self._fire(rule, self._scheduled_event(rule, now))
        with self._lock:
            due = [delivery for delivery in self._waiting if delivery.due <= now]
            self._waiting = [delivery for delivery in self._waiting if delivery.due > now]
        for delivery in due:
            self._try(delivery, now)

    def _rules(self) -> list[Rule]:
        backend: EventsBackend = events_backends[self.cloud.account][self.cloud.region]
        return list(backend.event_buses["default"].rules.values())

    def _scheduled_event(self, rule: Rule, now: datetime) -> Event:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self.cloud.account,
            "time": _iso(now),
            "region": self.cloud.region,
            "resources": [rule.arn],
            "detail": {},
        }

    def _fire(self, rule: Rule, event: Event) -> None:
        now = self.cloud.clock.now()
        for target in list(rule.targets):
            self._try(_Delivery(rule, target, _body(target, event), now, now, 0, ("", "")), now)

    def _try(self, delivery: _Delivery, now: datetime) -> None:
        """One handover; a target that is gone or forbidden goes to the dead-letter queue at once, anything else is retried."""
        delivery.tries += 1
        try:
            self._hand_over(delivery.rule, delivery.target["Arn"], delivery.body)
        except _UndeliverableError as failure:
            delivery.error = (failure.code, str(failure))
            self._bury(delivery, None)
        except ServiceException as failure:
            delivery.error = ("SDK_CLIENT_ERROR", str(failure))
            self._retry(delivery, now)

    def _retry(self, delivery: _Delivery, now: datetime) -> None:
        policy = delivery.target.get("RetryPolicy") or {}
        oldest = timedelta(seconds=policy.get("MaximumEventAgeInSeconds", _MAXIMUM_AGE.total_seconds()))
        if delivery.tries > policy.get("MaximumRetryAttempts", _MAXIMUM_RETRIES):
            self._bury(delivery, "MaximumRetryAttempts")
        elif now + _MINUTE - delivery.first > oldest:
            self._bury(delivery, "MaximumEventAgeInSeconds")
        else:
            delivery.due = now + _MINUTE
            with self._lock:
                self._waiting.append(delivery)

    def _bury(self, delivery: _Delivery, exhausted: str | None) -> None:
        """The event as it was, with the attributes that EventBridge sets; without a queue it is lost, as in AWS."""
        queue = (delivery.target.get("DeadLetterConfig") or {}).get("Arn")
        if not queue:
            return
        code, message = delivery.error
        attributes = {
            "RULE_ARN": delivery.rule.arn,
            "TARGET_ARN": delivery.target["Arn"],
            "ERROR_CODE": code,
            "ERROR_MESSAGE": message,
            "RETRY_ATTEMPTS": str(delivery.tries - 1),
        } | ({"EXHAUSTED_RETRY_CONDITION": exhausted} if exhausted else {})
        _, _, _, region, account, name = queue.split(":", 5)
        sqs_backends[account][region].send_message(
            name,
            delivery.body,
            message_attributes={
                key: {"DataType": "String", "StringValue": value} for key, value in attributes.items() if value
            },
        )

    def _hand_over(self, rule: Rule, arn: str, body: str) -> None:
        _, _, service, region, account, name = arn.split(":", 5)
        if service == "lambda":
            backend = lambda_backends[account][region]
            function = backend._lambdas.get_arn(arn)
            if function is None:
                raise _UndeliverableError("RESOURCE_NOT_FOUND", f"the function {arn} does not exist")
            if not _may_invoke(function.policy.statements, rule.arn):
                raise _UndeliverableError("NO_PERMISSIONS", f"the policy of {arn} does not let {rule.arn} invoke it")
            backend.invoke(arn, None, body, {"X-Amz-Invocation-Type": "Event"}, {})
        elif service == "sns":
            topic = sns_backends[account][region].topics.get(arn)
            if topic is None:
                raise _UndeliverableError("RESOURCE_NOT_FOUND", f"the topic {arn} does not exist")
            topic.publish(body)
        else:
            queue = sqs_backends[account][region].queues.get(name)
            if queue is None:
                raise _UndeliverableError("RESOURCE_NOT_FOUND", f"the queue {arn} does not exist")
            sqs_backends[account][region].send_message(name, body)


class _UndeliverableError(Exception):
    """Not worth a retry; `code` is EventBridge's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _may_invoke(statements: list[dict[str, Any]], rule_arn: str) -> bool:
    """Does the function's resource policy let EventBridge invoke it for this rule?"""
    return any(_allows(statement, rule_arn) for statement in statements)


def _allows(statement: dict[str, Any], rule_arn: str) -> bool:
    principal = statement.get("Principal")
    service = principal.get("Service") if isinstance(principal, dict) else principal
    arns = [
        value
        for condition in (statement.get("Condition") or {}).values()
        for key, value in condition.items()
        if key.lower() == "aws:sourcearn"
    ]
    return (
        statement.get("Effect", "Allow") == "Allow"
        and service in ("events.amazonaws.com", "*")
        and statement.get("Action") in ("lambda:InvokeFunction", "lambda:*", "*")
        and all(re.fullmatch(re.escape(arn).replace(r"\*", ".*"), rule_arn) for arn in arns)
    )


def _body(target: dict[str, Any], event: Event) -> str:
    if target.get("Input"):
        return str(target["Input"])
    if path := target.get("InputPath"):
        return json.dumps(_at_path(event, path))
    if transformer := target.get("InputTransformer"):
        parsed = EventTemplateParser.parse(
            input_template=transformer["InputTemplate"],
            input_paths_map=transformer.get("InputPathsMap", {}),
            event=event | {"ingestion-time": event["time"]},
        )
        return parsed if isinstance(parsed, str) else json.dumps(parsed)
    return json.dumps(event)


def _at_path(event: Event, path: str) -> Any:
    value: Any = event
    for step in path.removeprefix("$").strip(".").split("."):
        value = value.get(step) if step and isinstance(value, dict) else value
    return value


def _check_target(target: dict[str, Any]) -> None:
    if unknown := sorted(set(target) - _TARGET_KEYS):
        raise NotModelled(f"events PutTargets: {', '.join(unknown)}")
    service = target["Arn"].split(":")[2]
    if service not in ("lambda", "sns", "sqs"):
        raise NotModelled(f"events targets of {service}: {target['Arn']}")


def _check_pattern(pattern: dict[str, Any], text: str) -> None:
    """Moto's matcher takes a filter that it does not know for a match."""
    if len(text) > 2048:
        raise Refusal("InvalidEventPatternException", "an event pattern holds at most 2,048 characters")
    for key, value in pattern.items():
        if key == "$or":
            for alternative in value:
                _check_pattern(alternative, "")
        elif isinstance(value, dict):
            _check_pattern(value, "")
        else:
            for test in value:
                if isinstance(test, dict) and not set(test) <= _FILTERS:
                    raise NotModelled(f"event pattern filters {sorted(set(test) - _FILTERS)}")


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


_UNITS = {"minute": _MINUTE, "hour": timedelta(hours=1), "day": timedelta(days=1)}
_NAMES = [
    {name: number for number, name in enumerate("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split(), 1)},  # noqa: SIM905 - reads as the calendar does
    {name: number for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split(), 1)},  # noqa: SIM905 - likewise
]
# minute, hour, day of the month, month, day of the week (Sunday is 1), year
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))


def _schedule(expression: str, anchor: datetime) -> Callable[[datetime], bool]:
    """Whether a minute is due; a rate counts from `anchor`.

    Raises:
        Refusal: the expression is malformed.
        NotModelled: it uses L, W or #.
    """
    if rate := re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression):
        interval = int(rate[1]) * _UNITS[rate[2]]
        start = anchor.replace(second=0, microsecond=0)
        return lambda now: now > start and (now - start) % interval == timedelta()
    cron = re.fullmatch(r"cron\((.+)\)", expression)
    fields = cron[1].split() if cron else []
    if len(fields) != len(_BOUNDS):
        raise Refusal("ValidationException", f"Parameter ScheduleExpression is not valid: {expression}")
    allowed = [_field(text, bounds, expression) for text, bounds in zip(fields, _BOUNDS, strict=True)]
    return lambda now: all(
        value in values
        for value, values in zip(
            (now.minute, now.hour, now.day, now.month, now.isoweekday() % 7 + 1, now.year), allowed, strict=True
        )
    )


def _field(text: str, bounds: tuple[int, int], expression: str) -> set[int]:
    for names in _NAMES:
        for name, number in names.items():
            text = text.replace(name, str(number))
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:(?P<all>[*?])|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:/(?P<step>\d+))?", part)
        if match is None:
            raise NotModelled(f"{part!r} in the schedule {expression}")
        low = bounds[0] if match["all"] else int(match["low"])
        high = int(match["high"]) if match["high"] else bounds[1] if match["all"] or match["step"] else low
        values |= set(range(low, high + 1, int(match["step"] or 1)))
    return values
