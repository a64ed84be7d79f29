"""The door, where a raw event or payload becomes a typed request or is refused.

Everything behind it is typed.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from autorollback import free_text
from autorollback.free_text import presentable, refused_character, writable
from autorollback.naming import ECS_NAME, Home, Names, ServiceKey, are_ecs_names

MAX_PAUSE_MINUTES = 7 * 24 * 60
DEFAULT_HISTORY = 20
MAX_HISTORY = 100
MAX_TEXT = 2048
MAX_REASON = 1000
MAX_REQUESTED_BY = 200
MAX_CONTAINERS = 10
"""Of a task definition (ECS Developer Guide, "Amazon ECS service quotas")."""


class BadRequest(ValueError):  # noqa: N818 - the word of the contract
    """An input that is not understood.

    Attributes:
        field: where in the input.
        given: what stands there, as it can be shown.
        allowed: what would be understood, in words.
    """

    def __init__(
        self,
        field: str,
        given: object,
        allowed: str,
    ) -> None:
        self.field = field
        self.given = presentable(given)
        self.allowed = allowed
        shown = json.dumps(self.given, default=str)
        super().__init__(f"{field}: {shown} given; allowed: {allowed}")


class Action(StrEnum):
    """What a person can ask for."""

    ROLLBACK = "rollback"
    PLAN = "plan"
    HISTORY = "history"
    EXPLAIN = "explain"
    STATUS = "status"
    CHECK = "check"
    READINESS = "readiness"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """An alarm of this controller changed its state.

    Attributes:
        reason_data: CloudWatch's own JSON object; empty where there is none that parses.
        muted: by what its actions are muted, if they are.
    """

    alarm: str
    service: ServiceKey
    signal: str
    in_alarm: bool
    at: datetime
    reason_data: Mapping[str, object]
    muted: str | None = None


@dataclass(frozen=True, slots=True)
class TasksCannotStart:
    """ECS says SERVICE_TASK_START_IMPAIRED of a service."""

    service: ServiceKey
    at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentBegan:
    """ECS says that a deployment of a service is in progress.

    Of a rollback it says so too.
    """

    service: ServiceKey
    at: datetime


@dataclass(frozen=True, slots=True)
class DeploymentEnded:
    """ECS says that a deployment of a service completed or failed.

    Attributes:
        deployment_id: `ecs-svc/...`, no ARN.
    """

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
    """An alarm of this controller went to INSUFFICIENT_DATA, which says nothing."""

    service: ServiceKey
    detail: str


@dataclass(frozen=True, slots=True)
class NotOurs:
    """An event that concerns nothing this controller protects, and why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Manual:
    """What a person asked for.

    Attributes:
        service: None only where the action allows all services.
        requested_by: what the sender says of himself; shown, never used to decide.
        next: where the page after the last begins.
        task_definition: of `check`: what is to be deployed.
        images: of `check`: container to the image that is to be deployed.
    """

    action: Action
    service: str | None = None
    cluster: str | None = None
    revision: str | None = None
    image_tag: str | None = None
    container: str | None = None
    force: bool = False
    dry_run: bool = False
    reason: str | None = None
    requested_by: str | None = None
    minutes: int | None = None
    limit: int = DEFAULT_HISTORY
    next: str | None = None
    incident_id: str | None = None
    task_definition: str | None = None
    images: Mapping[str, str] | None = None


Request = (
    AlarmChanged
    | TasksCannotStart
    | DeploymentBegan
    | DeploymentEnded
    | Sweep
    | DailyAudit
    | NotInAlarm
    | NotOurs
    | Manual
)

_Dated = AlarmChanged | TasksCannotStart | DeploymentBegan | DeploymentEnded | Sweep | DailyAudit

_UNDERSTOOD = (
    "an EventBridge event (CloudWatch Alarm State Change, ECS Service Action, "
    "ECS Deployment State Change, Scheduled Event) "
    f"or a manual payload with the action {', '.join(Action)}"
)


def parse(
    raw: object,
    names: Names,
    home: Home | None = None,
) -> Request:
    """What an invocation asks for.

    With `home`, an event of elsewhere is none of ours, whatever it says.

    Raises:
        BadRequest: naming the field; a retry cannot help.
    """
    if not isinstance(raw, Mapping):
        raise BadRequest("(event)", raw, _UNDERSTOOD)
    if "detail-type" not in raw and "source" not in raw:
        return _manual(raw)

    event = _Part(raw)
    read = _reader_of(event)
    elsewhere = _elsewhere(event, home)
    if elsewhere is not None:
        return NotOurs(f"an event of {elsewhere}, this controller works in {home}")
    return read(event, names)


def at_the_latest(request: Request, now: datetime) -> Request:
    """The request, of no time that is yet to come: nothing has happened then."""
    if isinstance(request, _Dated) and request.at > now:
        return replace(request, at=now)
    return request


def parse_time(text: str) -> datetime:
    """A time as AWS writes it in events, in UTC.

    For example `2019-10-02T17:04:40.989+0000`, or `...Z`.

    Raises:
        ValueError: it is none, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def parse_object(given: object) -> Mapping[str, object]:
    """A JSON object, or the text of one; empty where it is none."""
    parsed = given
    if isinstance(given, str):
        try:
            parsed = json.loads(given)
        except ValueError:
            return {}

    if not isinstance(parsed, Mapping):
        return {}
    return parsed


# Events


@dataclass(frozen=True, slots=True)
class _Part:
    """An event, or an object inside of it.

    Each method but `get` reads a field that must be there, or raises BadRequest.

    Attributes:
        path: where it is in the event: empty, or ends in a dot.
    """

    fields: Mapping[str, object]
    path: str = ""

    def get(self, name: str) -> object:
        value = self.fields.get(name)
        return writable(value) if isinstance(value, str) else value

    def text(
        self,
        name: str,
        allowed: str,
    ) -> str:
        value = self.get(name)
        if not isinstance(value, str):
            raise self.refusal(name, allowed)
        return value

    def one_of(self, name: str, *allowed: str) -> str:
        words = _either(allowed)
        value = self.text(name, words)
        if value not in allowed:
            raise self.refusal(name, words)
        return value

    def time(self, name: str) -> datetime:
        text = self.text(name, "an ISO 8601 time")
        try:
            return parse_time(text)
        except (ValueError, OverflowError):  # the latter of a time that no calendar holds in UTC
            raise self.refusal(name, "an ISO 8601 time with its offset") from None

    def array(
        self,
        name: str,
        allowed: str,
    ) -> list[object]:
        value = self.get(name)
        if not isinstance(value, list):
            raise self.refusal(name, allowed)
        return value

    def part(self, name: str) -> "_Part":
        value = self.get(name)
        if not isinstance(value, dict):
            raise self.refusal(name, "an object")
        return _Part(value, f"{self.path}{name}.")

    def refusal(
        self,
        name: str,
        allowed: str,
    ) -> BadRequest:
        return BadRequest(f"{self.path}{name}", self.get(name), allowed)


def _either(words: Sequence[str]) -> str:
    *others, last = words
    if not others:
        return last
    return f"{', '.join(others)} or {last}"


def _alarm_changed(event: _Part, names: Names) -> Request:
    detail = event.part("detail")
    name = detail.text("alarmName", "the name of the alarm")
    key = names.parse_alarm(name)
    if key is None:
        form = f"{names.alarm_prefix}<cluster>/<service>/<signal>"
        return NotOurs(f"the alarm {name} is not named {form}")

    state = detail.part("state")
    value = state.one_of(
        "value",
        "ALARM",
        "OK",
        "INSUFFICIENT_DATA",
    )
    if value == "INSUFFICIENT_DATA":
        return NotInAlarm(key.service, f"the alarm {name} has insufficient data")

    return AlarmChanged(
        alarm=name,
        service=key.service,
        signal=key.signal,
        in_alarm=value == "ALARM",
        at=_changed_at(event, state),
        reason_data=parse_object(state.get("reasonData")),
        muted=_muted(detail, state),
    )


def _changed_at(event: _Part, state: _Part) -> datetime:
    if "timestamp" in state.fields:
        return state.time("timestamp")
    return event.time("time")


def _muted(detail: _Part, state: _Part) -> str | None:
    mute = detail.get("muteDetail")
    if isinstance(mute, Mapping) and mute.get("mutedByArn"):
        return f"by the mute rule {writable(str(mute['mutedByArn']))}"
    if mute is not None:
        return "by a mute rule"

    suppressor = state.get("actionsSuppressedBy")
    if suppressor:
        return f"its actions are suppressed by {suppressor}"
    return None


def _service_action(event: _Part, _names: Names) -> Request:
    detail = event.part("detail")
    detail.one_of("eventName", "SERVICE_TASK_START_IMPAIRED")
    return TasksCannotStart(_service_of(event, detail), event.time("time"))


def _deployment_changed(event: _Part, _names: Names) -> Request:
    detail = event.part("detail")
    name = detail.one_of(
        "eventName",
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_COMPLETED",
        "SERVICE_DEPLOYMENT_FAILED",
    )
    service, at = _service_of(event, detail), event.time("time")
    if name == "SERVICE_DEPLOYMENT_IN_PROGRESS":
        return DeploymentBegan(service, at)
    return DeploymentEnded(
        service=service,
        at=at,
        deployment_id=str(detail.get("deploymentId") or ""),
        completed=name == "SERVICE_DEPLOYMENT_COMPLETED",
        detail=str(detail.get("reason") or ""),
    )


def _scheduled(event: _Part, names: Names) -> Request:
    arns = event.array("resources", "the ARN of the rule")
    rules = [str(arn).rpartition("/")[2] for arn in arns]
    at = event.time("time")
    if names.sweep_rule in rules:
        return Sweep(at)
    if names.readiness_rule in rules:
        return DailyAudit(at)

    allowed = f"the rule {names.sweep_rule} or {names.readiness_rule}"
    raise BadRequest("resources", rules, allowed)


_Reader = Callable[[_Part, Names], Request]
READERS: Mapping[tuple[str, str], _Reader] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _alarm_changed,
    ("aws.ecs", "ECS Service Action"): _service_action,
    ("aws.ecs", "ECS Deployment State Change"): _deployment_changed,
    ("aws.events", "Scheduled Event"): _scheduled,
}
"""By the `source` and the `detail-type` of an event."""


def _reader_of(event: _Part) -> _Reader:
    source = event.get("source")
    detail_type = event.get("detail-type")
    for known, reader in READERS.items():
        if known == (source, detail_type):
            return reader
    raise BadRequest("source and detail-type", [source, detail_type], _UNDERSTOOD)


def _elsewhere(event: _Part, home: Home | None) -> Home | None:
    """The other account or Region that an event is of, if it is not of `home`.

    By its envelope and by what it is about. An event made by hand may have no envelope: then what
    it is about says it alone.
    """
    if home is None:
        return None

    account = event.get("account") or home.account
    region = event.get("region") or home.region
    sent_from = Home(str(account), str(region))

    resources = event.get("resources")
    about: list[Home | None] = []
    if isinstance(resources, list):
        about = [Home.of_arn(str(arn)) for arn in resources]

    for place in (sent_from, *about):
        if place is not None and not _is_at(place, home):
            return place
    return None


def _is_at(place: Home, home: Home) -> bool:
    """Whether a place is the home; not everything that names one says its partition."""
    told = {one.partition for one in (place, home) if one.partition}
    return place == home and len(told) <= 1


def _service_of(event: _Part, detail: _Part) -> ServiceKey:
    """The service of an ECS event, by the ARN under `resources`.

    It ends in `:service/<cluster>/<service>`. Services from before 2021 may still have an ARN of
    the short format, without the cluster (ECS Developer Guide, service-arn-migration.html); events
    of service actions name it beside (`detail.clusterArn`, ecs_service_events.html).
    """
    resources = event.array("resources", "the ARN of the service")
    match _named_after(":service/", resources):
        case [cluster, service] if are_ecs_names(cluster, service):
            return ServiceKey(cluster, service)
        case [service]:
            cluster = str(detail.get("clusterArn")).partition(":cluster/")[2]
            if are_ecs_names(cluster, service):
                return ServiceKey(cluster, service)

    allowed = (
        "an ARN ending in :service/<cluster>/<service>, "
        "or in :service/<service> beside detail.clusterArn"
    )
    raise BadRequest("resources", resources, allowed)


_ARN_OF_ECS = re.compile(r"arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:")
"""An event about something of no account could be of any."""


def _named_after(mark: str, arns: Iterable[object]) -> list[str]:
    """The names that follow a mark, in the first ARN that has it."""
    for arn in arns:
        whole = str(arn)
        names = whole.partition(mark)[2].split("/")
        if all(names) and _ARN_OF_ECS.match(whole):
            return names
    return []


# Payloads of people


def _harmless(_value: object) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class _Field:
    """What one field of a payload takes, as a test and in words.

    Attributes:
        objection: what in a value is refused, by its name; None where nothing is.
    """

    accepts: Callable[[object], bool]
    allowed: str
    objection: Callable[[object], str | None] = _harmless


def _action(value: object) -> bool:
    return value in list(Action)


def _text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT


def _name(value: object) -> bool:
    return isinstance(value, str) and ECS_NAME.fullmatch(value) is not None


def _reason(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_REASON


def _requested_by(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_REQUESTED_BY


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _minutes(value: object) -> bool:
    return _whole(value) and value in range(1, MAX_PAUSE_MINUTES + 1)


def _limit(value: object) -> bool:
    return _whole(value) and value in range(1, MAX_HISTORY + 1)


_REVISION = re.compile(
    r"""(
        (arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/)?  # an ARN
        [A-Za-z0-9_-]{1,255}:                                     # or family:revision
    )?
    0*[1-9][0-9]{0,9}                                             # or the number alone
    """,
    re.VERBOSE,
)


def _revision(value: object) -> bool:
    """Whether it is a number above zero, `family:number` or the ARN of a task definition."""
    if _whole(value):
        return value in range(1, 10**10)
    return isinstance(value, str) and _REVISION.fullmatch(value) is not None


def _image_tag(value: object) -> bool:
    """Whether registries take it (OCI distribution specification, "Pulling manifests")."""
    if not isinstance(value, str):
        return False
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", value) is not None


_IMAGE = re.compile(
    r"""
    ([A-Za-z0-9][A-Za-z0-9._/:-]{0,500}@)?sha256:[0-9a-f]{64}  # a digest, of a repository or alone
    |
    (?!sha256:)([A-Za-z0-9.-]{1,255}(:[0-9]{1,5})?/)?          # a registry, or none
    [a-z0-9][a-z0-9._/-]{0,255}:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}
    """,
    re.VERBOSE,
)


def _images(value: object) -> bool:
    """Whether it maps containers to images, each with its tag or digest: a word alone may mean either."""
    if not isinstance(value, Mapping) or not 0 < len(value) <= MAX_CONTAINERS:
        return False
    for container, image in value.items():
        if not _name(container) or not isinstance(image, str) or not _IMAGE.fullmatch(image):
            return False
    return True


def _incident_id(value: object) -> bool:
    if not _text(value):
        return False
    parts = str(value).split("/", 2)
    return len(parts) == 3 and are_ecs_names(*parts[:2]) and parts[2] != ""


def _refused_in(value: object) -> str | None:
    return refused_character(value) if isinstance(value, str) else None


_A_NAME = "up to 255 letters, digits, - and _"
_FIELDS: Mapping[str, _Field] = {
    "action": _Field(_action, f"one of {', '.join(Action)}"),
    "service": _Field(_name, f"the name of a protected service, {_A_NAME}"),
    "cluster": _Field(_name, f"the name of a cluster, {_A_NAME}"),
    "revision": _Field(
        _revision,
        'a revision of the service\'s family: 18, "18", "auth-service:18" or an ARN',
    ),
    "image_tag": _Field(
        _image_tag,
        "a tag of the same repository: up to 128 letters, digits, and _ . - after the first",
    ),
    "container": _Field(_name, f"the name of a container beside image_tag, {_A_NAME}"),
    "force": _Field(_flag, "true or false"),
    "dry_run": _Field(_flag, "true or false"),
    "reason": _Field(_reason, f"text of up to 1,000 characters {free_text.ALLOWED}", _refused_in),
    "requested_by": _Field(
        _requested_by, f"text of 1 to 200 characters {free_text.ALLOWED}", _refused_in
    ),
    "minutes": _Field(
        _minutes, f"a whole number of minutes from 1 to {MAX_PAUSE_MINUTES} (7 days)"
    ),
    "limit": _Field(_limit, f"a whole number from 1 to {MAX_HISTORY}"),
    "next": _Field(_text, "the `next` of the page before"),
    "incident_id": _Field(
        _incident_id,
        "the id of an incident, <cluster>/<service>/<time>/<deployment>, as `history` lists it",
        _refused_in,
    ),
    "task_definition": _Field(
        _revision,
        'a task definition of the service\'s family: 18, "18", "auth-service:18" or an ARN',
    ),
    "images": _Field(
        _images,
        "an object of up to 10 containers and their images, each repository:tag, "
        "repository@sha256:... or sha256:...",
    ),
}

_FOR_THE_RECORD = ("reason", "requested_by")
_OF_A_ROLLBACK = (
    "service",
    "cluster",
    "revision",
    "image_tag",
    "container",
    "force",
    "dry_run",
    *_FOR_THE_RECORD,
)
_OF_ACTION: Mapping[Action, tuple[str, ...]] = {
    Action.ROLLBACK: _OF_A_ROLLBACK,
    Action.PLAN: _OF_A_ROLLBACK,
    Action.HISTORY: ("service", "cluster", "limit", "next", *_FOR_THE_RECORD),
    Action.EXPLAIN: ("incident_id", "service", "cluster", *_FOR_THE_RECORD),
    Action.STATUS: ("service", "cluster", *_FOR_THE_RECORD),
    Action.CHECK: ("service", "cluster", "task_definition", "images", *_FOR_THE_RECORD),
    Action.READINESS: ("service", "cluster", *_FOR_THE_RECORD),
    Action.RELEASE: ("service", "cluster", "revision", *_FOR_THE_RECORD),
    Action.PAUSE: ("service", "cluster", "minutes", *_FOR_THE_RECORD),
    Action.RESUME: ("service", "cluster", *_FOR_THE_RECORD),
}
_REQUIRED: Mapping[Action, tuple[str, ...]] = {
    Action.ROLLBACK: ("service",),
    Action.PLAN: ("service",),
    Action.RELEASE: ("service", "revision"),
    Action.PAUSE: ("minutes",),
    Action.EXPLAIN: ("incident_id",),
    Action.CHECK: ("service",),
}
_ONLY_BESIDE = {"cluster": "service", "container": "image_tag"}


def _manual(given: Mapping[str, object]) -> Manual:
    asked = given.get("action", Action.ROLLBACK)
    _check_field("action", asked)
    action = Action(str(asked))

    allowed = ("action", *_OF_ACTION[action])
    for name, value in given.items():
        if name not in allowed:
            fields = f"one of the fields {', '.join(allowed)} for the action {action}"
            raise BadRequest(str(name), value, fields)
        _check_field(name, value)

    _check_together(action, given)

    # each was accepted as its field
    arguments: dict[str, Any] = {**given, "action": action}
    for name in ("revision", "task_definition"):
        if name in arguments:
            arguments[name] = str(arguments[name])
    return Manual(**arguments)


def _check_field(name: str, value: object) -> None:
    field = _FIELDS[name]
    if not field.accepts(value):
        raise BadRequest(name, value, field.allowed)
    objection = field.objection(value)
    if objection is not None:
        raise BadRequest(name, value, f"{field.allowed}; {objection}")


def _check_together(action: Action, given: Mapping[str, object]) -> None:
    """Whether the fields that are given, each right by itself, are right together."""
    for name in _REQUIRED.get(action, ()):
        if name not in given:
            allowed = f"{_FIELDS[name].allowed}, required for the action {action}"
            raise BadRequest(name, None, allowed)

    for name, other in _ONLY_BESIDE.items():
        if name in given and other not in given:
            raise BadRequest(name, given[name], f"only beside {other}")

    if action is Action.CHECK and not {"task_definition", "images"} & given.keys():
        allowed = "task_definition or images, or both: what is to be deployed"
        raise BadRequest("task_definition", None, allowed)

    if "revision" in given and "image_tag" in given:
        raise BadRequest("image_tag", given["image_tag"], "either revision or image_tag, not both")
