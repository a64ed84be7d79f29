"""The door: a raw event or payload in, a typed request out, or a clear refusal. Everything behind it is typed."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from autorollback.naming import Names, ServiceKey

Kind = TypeVar("Kind")

MAX_PAUSE_MINUTES = 7 * 24 * 60
DEFAULT_HISTORY = 20


class BadRequest(ValueError):  # noqa: N818 - the word of the contract
    """An input that is not understood: `field`, `given` and `allowed` say where and what would be."""

    def __init__(self, field: str, given: object, allowed: str) -> None:
        self.field, self.given, self.allowed = field, given, allowed
        super().__init__(f"{field}: {json.dumps(given, default=str)[:300]} given; allowed: {allowed}")


class Action(StrEnum):
    """What a person can ask for."""

    ROLLBACK = "rollback"
    PLAN = "plan"
    HISTORY = "history"
    READINESS = "readiness"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class Home:
    """The account and Region that the function works in."""

    account: str
    region: str

    @classmethod
    def of_arn(cls, arn: str) -> "Home | None":
        """Where a resource is, by its ARN; None where that does not say it."""
        parts = arn.split(":")
        if len(parts) < _PARTS_OF_AN_ARN or not parts[3] or not parts[4]:
            return None
        return cls(parts[4], parts[3])

    def __str__(self) -> str:
        return f"{self.account} in {self.region}"


_PARTS_OF_AN_ARN = 6


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """An alarm of this controller changed its state. `reason_data` is CloudWatch's own JSON object, where it parses."""

    alarm: str
    service: ServiceKey
    signal: str
    in_alarm: bool
    at: datetime
    reason_data: Mapping[str, Any]
    muted: str | None = None


@dataclass(frozen=True, slots=True)
class TasksCannotStart:
    """ECS says SERVICE_TASK_START_IMPAIRED of a service."""

    service: ServiceKey
    at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentEnded:
    """ECS says that a deployment of a service completed or failed. `deployment_id` is `ecs-svc/...`, no ARN."""

    service: ServiceKey
    at: datetime
    deployment_id: str
    completed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every five minutes: what events alone would lose."""

    at: datetime


@dataclass(frozen=True, slots=True)
class DailyAudit:
    """Once a day: could each protected service be rolled back?"""

    at: datetime


@dataclass(frozen=True, slots=True)
class NotInAlarm:
    """An alarm of this controller went to a state that says nothing: INSUFFICIENT_DATA."""

    service: ServiceKey
    detail: str


@dataclass(frozen=True, slots=True)
class NotOurs:
    """An event that concerns nothing this controller protects, and why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Manual:
    """What a person asked for. `service` is None only where the action allows all services."""

    action: Action
    service: str | None = None
    cluster: str | None = None
    revision: str | None = None
    image_tag: str | None = None
    container: str | None = None
    force: bool = False
    dry_run: bool = False
    reason: str | None = None
    minutes: int | None = None
    limit: int = DEFAULT_HISTORY
    next: str | None = None


Request = AlarmChanged | TasksCannotStart | DeploymentEnded | Sweep | DailyAudit | NotInAlarm | NotOurs | Manual

_UNDERSTOOD = (
    "an EventBridge event (CloudWatch Alarm State Change, ECS Service Action, ECS Deployment State Change, Scheduled "
    f"Event) or a manual payload with the action {', '.join(Action)}"
)


def parse(raw: object, names: Names, home: Home | None = None) -> Request:
    """What an invocation asks for. With `home`, an event of elsewhere is none of ours, whatever it says.

    Raises:
        BadRequest: naming the field; a retry cannot help.
    """
    if not isinstance(raw, Mapping):
        raise BadRequest("(event)", raw, _UNDERSTOOD)
    if "detail-type" in raw or "source" in raw:
        return _event(raw, names, home)
    return _manual(raw)


def _event(raw: Mapping[str, Any], names: Names, home: Home | None) -> Request:
    kind = [raw.get("source"), raw.get("detail-type")]
    reader = next((reader for known, reader in _EVENTS.items() if list(known) == kind), None)
    if reader is None:
        raise BadRequest("source and detail-type", kind, _UNDERSTOOD)
    if home and (elsewhere := _elsewhere(raw, home)):
        return NotOurs(f"an event of {elsewhere}, this controller works in {home}")
    return reader(raw, names)


def _elsewhere(raw: Mapping[str, Any], home: Home) -> Home | None:
    """The other account or Region that an event is of, by its envelope or by what it is about; None where it is of `home`.

    An event made by hand may have no envelope: then what it is about says it alone.
    """
    sent_from = Home(str(raw.get("account") or home.account), str(raw.get("region") or home.region))
    resources = raw.get("resources")
    about = [Home.of_arn(str(arn)) for arn in resources] if isinstance(resources, list) else []
    return next((place for place in (sent_from, *about) if place is not None and place != home), None)


def _alarm_changed(raw: Mapping[str, Any], names: Names) -> Request:
    detail = _part(raw, "detail", dict, "an object")
    name = _part(detail, "alarmName", str, "the name of the alarm", "detail.")
    key = names.parse_alarm(name)
    if key is None:
        return NotOurs(f"the alarm {name} is not named {names.alarm_prefix}<cluster>/<service>/<signal>")
    state = _part(detail, "state", dict, "an object", "detail.")
    value = _part(state, "value", str, "ALARM, OK or INSUFFICIENT_DATA", "detail.state.")
    if value not in ("ALARM", "OK", "INSUFFICIENT_DATA"):
        raise BadRequest("detail.state.value", value, "ALARM, OK or INSUFFICIENT_DATA")
    if value == "INSUFFICIENT_DATA":
        return NotInAlarm(key.service, f"the alarm {name} has insufficient data")
    return AlarmChanged(
        name,
        key.service,
        key.signal,
        value == "ALARM",
        _time(state, "timestamp", "detail.state.") if "timestamp" in state else _time(raw, "time"),
        _reason_data(state.get("reasonData")),
        _muted(detail, state),
    )


def _muted(detail: Mapping[str, Any], state: Mapping[str, Any]) -> str | None:
    if (mute := detail.get("muteDetail")) is not None:
        rule = mute.get("mutedByArn") if isinstance(mute, Mapping) else None
        return f"by the mute rule {rule}" if rule else "by a mute rule"
    if suppressor := state.get("actionsSuppressedBy"):
        return f"its actions are suppressed by {suppressor}"
    return None


def _service_action(raw: Mapping[str, Any], _names: Names) -> Request:
    detail = _part(raw, "detail", dict, "an object")
    _event_name(detail, "SERVICE_TASK_START_IMPAIRED")
    return TasksCannotStart(_service_of(raw), _time(raw, "time"))


def _deployment_ended(raw: Mapping[str, Any], _names: Names) -> Request:
    detail = _part(raw, "detail", dict, "an object")
    name = _event_name(detail, "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_DEPLOYMENT_FAILED")
    return DeploymentEnded(
        _service_of(raw),
        _time(raw, "time"),
        str(detail.get("deploymentId", "")),
        name == "SERVICE_DEPLOYMENT_COMPLETED",
        str(detail.get("reason", "")),
    )


def _scheduled(raw: Mapping[str, Any], names: Names) -> Request:
    rules = [str(arn).rpartition("/")[2] for arn in _part(raw, "resources", list, "the ARN of the rule")]
    at = _time(raw, "time")
    if names.sweep_rule in rules:
        return Sweep(at)
    if names.readiness_rule in rules:
        return DailyAudit(at)
    raise BadRequest("resources", rules, f"the rule {names.sweep_rule} or {names.readiness_rule}")


_EVENTS: Mapping[tuple[str, str], Callable[[Mapping[str, Any], Names], Request]] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _alarm_changed,
    ("aws.ecs", "ECS Service Action"): _service_action,
    ("aws.ecs", "ECS Deployment State Change"): _deployment_ended,
    ("aws.events", "Scheduled Event"): _scheduled,
}


def _event_name(detail: Mapping[str, Any], *understood: str) -> str:
    name = _part(detail, "eventName", str, " or ".join(understood), "detail.")
    if name not in understood:
        raise BadRequest("detail.eventName", name, " or ".join(understood))
    return name


def _service_of(raw: Mapping[str, Any]) -> ServiceKey:
    """The service of an ECS event, by the service's ARN under `resources`: arn:...:service/<cluster>/<service>.

    Services from before 2021 may still have an ARN of the short format, without the cluster (ECS Developer Guide,
    service-arn-migration.html); events of service actions name it beside (`detail.clusterArn`, ecs_service_events.html).
    """
    resources = _part(raw, "resources", list, "the ARN of the service")
    names = [str(arn).partition(":service/")[2].split("/") for arn in resources]
    parts = next((found for found in names if all(found)), [])
    if len(parts) == 1:
        cluster = str(raw["detail"].get("clusterArn") or "").partition(":cluster/")[2]
        parts = [cluster, *parts] if cluster else []
    if len(parts) != 2:
        allowed = "an ARN ending in :service/<cluster>/<service>, or in :service/<service> beside detail.clusterArn"
        raise BadRequest("resources", resources, allowed)
    return ServiceKey(*parts)


def _reason_data(given: object) -> Mapping[str, Any]:
    """CloudWatch's JSON string as an object; empty where it is missing or no JSON, and the fallback for the onset serves."""
    try:
        parsed = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        return {}
    return parsed if isinstance(parsed, Mapping) else {}


def parse_time(text: str) -> datetime:
    """A time as AWS writes it in events (`2019-10-02T17:04:40.989+0000`, `...Z`), aware UTC. ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def _time(raw: Mapping[str, Any], name: str, where: str = "") -> datetime:
    text = _part(raw, name, str, "an ISO 8601 time", where)
    try:
        return parse_time(text)
    except (ValueError, OverflowError):  # the latter of a time that no calendar holds in UTC
        raise BadRequest(f"{where}{name}", text, "an ISO 8601 time with its offset") from None


def _part(raw: Mapping[str, Any], name: str, kind: type[Kind], allowed: str, where: str = "") -> Kind:
    value = raw.get(name)
    if not isinstance(value, kind):
        raise BadRequest(f"{where}{name}", value, allowed)
    return value


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 2048


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _whole(low: int, high: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _revision(value: object) -> bool:
    number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return number or (_text(value) and re.fullmatch(r"0*[1-9][0-9]*", str(value).rpartition(":")[2]) is not None)


def _image_tag(value: object) -> bool:
    """Whether it is a tag as registries take it (OCI distribution specification, "Pulling manifests")."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", value) is not None


_FIELDS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "action": (lambda value: value in list(Action), f"one of {', '.join(Action)}"),
    "service": (_text, "the name of a protected service"),
    "cluster": (_text, "the name of a cluster"),
    "revision": (_revision, 'a revision of the service\'s family: 18, "18", "auth-service:18" or an ARN'),
    "image_tag": (_image_tag, "a tag of the same repository: up to 128 letters, digits, and _ . - after the first"),
    "container": (_text, "the name of a container, beside image_tag"),
    "force": (_flag, "true or false"),
    "dry_run": (_flag, "true or false"),
    "reason": (lambda value: isinstance(value, str) and len(value) <= 2048, "text of up to 2,048 characters"),
    "minutes": (_whole(1, MAX_PAUSE_MINUTES), f"a whole number of minutes from 1 to {MAX_PAUSE_MINUTES} (7 days)"),
    "limit": (_whole(1, 100), "a whole number from 1 to 100"),
    "next": (_text, "the `next` of the page before"),
}
_OF_ACTION: Mapping[Action, tuple[str, ...]] = {
    Action.ROLLBACK: ("service", "cluster", "revision", "image_tag", "container", "force", "dry_run", "reason"),
    Action.PLAN: ("service", "cluster", "revision", "image_tag", "container", "force", "dry_run", "reason"),
    Action.HISTORY: ("service", "cluster", "limit", "next", "reason"),
    Action.READINESS: ("service", "cluster", "reason"),
    Action.RELEASE: ("service", "cluster", "revision", "reason"),
    Action.PAUSE: ("service", "cluster", "minutes", "reason"),
    Action.RESUME: ("service", "cluster", "reason"),
}
_NEEDS_SERVICE = (Action.ROLLBACK, Action.PLAN, Action.RELEASE)


def _manual(raw: Mapping[str, Any]) -> Manual:
    given = dict(raw)
    _check_field("action", given.get("action", Action.ROLLBACK))
    action = Action(given.get("action", Action.ROLLBACK))
    allowed = ("action", *_OF_ACTION[action])
    for name, value in given.items():
        if name not in allowed:
            raise BadRequest(str(name), value, f"one of the fields {', '.join(allowed)} for the action {action}")
        _check_field(name, value)
    if action in _NEEDS_SERVICE and "service" not in given:
        raise BadRequest("service", None, f"{_FIELDS['service'][1]}, required for the action {action}")
    if "cluster" in given and "service" not in given:
        raise BadRequest("cluster", given["cluster"], "only beside service")
    if action is Action.RELEASE and "revision" not in given:
        raise BadRequest("revision", None, f"{_FIELDS['revision'][1]}, required for the action release")
    if action is Action.PAUSE and "minutes" not in given:
        raise BadRequest("minutes", None, f"{_FIELDS['minutes'][1]}, required for the action pause")
    if "revision" in given and "image_tag" in given:
        raise BadRequest("image_tag", given["image_tag"], "either revision or image_tag, not both")
    if "container" in given and "image_tag" not in given:
        raise BadRequest("container", given["container"], "only beside image_tag")
    values = {name: value for name, value in given.items() if name != "action"}
    if "revision" in values:
        values["revision"] = str(values["revision"])
    return Manual(action, **values)


def _check_field(name: str, value: object) -> None:
    accepts, allowed = _FIELDS[name]
    if not accepts(value):
        raise BadRequest(name, value, allowed)
