"""The policy of one protected service: its keys, defaults and bounds.

One table serves `services.yaml` at deployment and the SSM parameter at run time, so that neither
accepts what the other refuses. Pure, and without a validation library: the function's zip holds no
compiled code.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from autorollback.naming import ECS_NAME, ServiceKey

Value = TypeVar("Value")

SHOWN_CHARACTERS = 200
"""Of what was given, in an error."""


class Mode(StrEnum):
    """What the automatic may do: act, decide and report only, or nothing."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


class PolicyError(ValueError):
    """A key that is missing, unknown or wrong.

    Attributes:
        field: the path of the key.
        given: what stands there.
        allowed: what could stand there, in words.
    """

    def __init__(
        self,
        field: str,
        given: object,
        allowed: str,
    ) -> None:
        self.field = field
        self.given = given
        self.allowed = allowed
        super().__init__(f"{field}: {_shown(given)}; allowed: {allowed}")

    @property
    def shown(self) -> object:
        """What stands there, for an answer; None where nothing does."""
        return None if isinstance(self.given, _Missing) else self.given


class _Missing:
    """The value of a required key that is not there."""


_MISSING = _Missing()


def _shown(given: object) -> str:
    if isinstance(given, _Missing):
        return "missing"

    try:
        text = json.dumps(given, default=str)
    except ValueError:  # YAML's aliases can make a list that holds itself
        text = str(given)
    if len(text) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}..."
    return f"{text} given"


class KeyRule(ABC, Generic[Value]):
    """What one key takes."""

    __slots__ = ()

    @property
    @abstractmethod
    def allowed(self) -> str:
        """What is taken, for a person."""

    @abstractmethod
    def read(self, given: object) -> Value | None:
        """The value as the policy holds it; None for what is not allowed."""

    def take(
        self,
        given: object,
        path: str,
    ) -> Value:
        """The value as the policy holds it.

        Raises:
            PolicyError: naming the path, where the value is not allowed or missing.
        """
        value = self.read(given)
        if value is None:
            raise PolicyError(path, given, self.allowed)
        return value


@dataclass(frozen=True, slots=True)
class _OneMode(KeyRule[Mode]):
    @property
    def allowed(self) -> str:
        return "enforce, observe or off"

    def read(self, given: object) -> Mode | None:
        if isinstance(given, str) and given in list(Mode):
            return Mode(given)
        return None


@dataclass(frozen=True, slots=True)
class _Flag(KeyRule[bool]):
    @property
    def allowed(self) -> str:
        return "true or false"

    def read(self, given: object) -> bool | None:
        if isinstance(given, bool):
            return given
        return None


@dataclass(frozen=True, slots=True)
class _NumberAboveZero(KeyRule[float]):
    high: float
    unit: str

    @property
    def allowed(self) -> str:
        return f"a number of {self.unit} above 0, at most {self.high:g}"

    def read(self, given: object) -> float | None:
        if not isinstance(given, int | float) or isinstance(given, bool):
            return None
        if 0 < given <= self.high:
            return float(given)
        return None


@dataclass(frozen=True, slots=True)
class _Whole(KeyRule[int]):
    low: int
    high: int
    unit: str

    @property
    def allowed(self) -> str:
        return f"a whole number of {self.unit} from {self.low} to {self.high}"

    def read(self, given: object) -> int | None:
        if not isinstance(given, int) or isinstance(given, bool):
            return None
        if self.low <= given <= self.high:
            return given
        return None


@dataclass(frozen=True, slots=True)
class _Text(KeyRule[str]):
    form: str
    pattern: re.Pattern[str]

    @property
    def allowed(self) -> str:
        return self.form

    def read(self, given: object) -> str | None:
        if isinstance(given, str) and self.pattern.fullmatch(given):
            return given
        return None


@dataclass(frozen=True, slots=True)
class _Texts(KeyRule[tuple[str, ...]]):
    """A list of different texts, at least `least` of them."""

    form: str
    pattern: re.Pattern[str]
    least: int

    @property
    def allowed(self) -> str:
        return self.form

    def read(self, given: object) -> tuple[str, ...] | None:
        if not isinstance(given, Sequence) or isinstance(given, str):
            return None

        texts: list[str] = []
        for item in given:
            if not isinstance(item, str) or not self.pattern.fullmatch(item):
                return None
            texts.append(item)

        different = len(set(texts)) == len(texts)
        if different and len(texts) >= self.least:
            return tuple(texts)
        return None


_FAMILIES = _Texts(
    "a list of task definition families (letters, digits, - _ and the wildcards * ?), "
    "each once, at least one",
    re.compile(r"[A-Za-z0-9_*?-]{1,255}"),
    least=1,
)
_TASK_ROLES = _Texts(
    "a list of role names (IAM's characters and the wildcards * ?), each once, at least one",
    re.compile(r"(?!arn:)[\w+=,.@*?/-]{1,576}"),
    least=1,
)
_DATAPOINTS = "one-minute datapoints"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one service is judged.

    Durations are whole minutes, as the keys say; the properties give timedeltas.
    """

    mode: Annotated[Mode, _OneMode()] = Mode.ENFORCE
    error_rate_percent: Annotated[float, _NumberAboveZero(100, "percent")] = 5.0
    latency_p99_seconds: Annotated[float, _NumberAboveZero(3600, "seconds")] = 2.0
    unhealthy_targets: Annotated[int, _Whole(1, 1000, "targets")] = 2
    dedicated_load_balancer: Annotated[bool, _Flag()] = False
    minimum_requests: Annotated[int, _Whole(1, 10_000_000, "requests a minute")] = 20
    minimum_errors: Annotated[int, _Whole(1, 10_000_000, "errors a minute")] = 5
    datapoints_to_alarm: Annotated[
        int, _Whole(1, 1440, f"{_DATAPOINTS}, at most evaluation_periods")
    ] = 3
    evaluation_periods: Annotated[int, _Whole(1, 1440, _DATAPOINTS)] = 5
    window_minutes: Annotated[int, _Whole(1, 10_080, "minutes")] = 60
    stable_after_minutes: Annotated[int, _Whole(1, 43_200, "minutes")] = 30
    flap_limit: Annotated[int, _Whole(0, 1000, "transitions")] = 2
    shared_cause_services: Annotated[int, _Whole(1, 1000, "services")] = 3
    confirm_within_minutes: Annotated[int, _Whole(1, 1440, "minutes")] = 15
    max_rollbacks_per_day: Annotated[int, _Whole(0, 100, "rollbacks")] = 3
    families: Annotated[tuple[str, ...], _FAMILIES]
    task_roles: Annotated[tuple[str, ...], _TASK_ROLES]

    @property
    def window(self) -> timedelta:
        """How long after it finished a deployment is suspect."""
        return timedelta(minutes=self.window_minutes)

    @property
    def stable_after(self) -> timedelta:
        """Time in service without alarm that makes a revision stable."""
        return timedelta(minutes=self.stable_after_minutes)

    @property
    def confirm_within(self) -> timedelta:
        """How long recovery may take after the rollback's deployment finished."""
        return timedelta(minutes=self.confirm_within_minutes)

    def allows_family(self, family: str) -> bool:
        """Whether definitions of a family may be deployed, and copies registered in it.

        The function's role is bound to the same families.
        """
        return any(fnmatchcase(family, allowed) for allowed in self.families)

    def allows_role(self, path: str) -> bool:
        """Whether a role, by its name with its path, may be passed to tasks."""
        return any(fnmatchcase(path, allowed) for allowed in self.task_roles)


KEY_RULES: Mapping[str, KeyRule[object]] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Policy, include_extras=True).items()
}
"""What each key of a policy takes: the annotation beside its type."""

_REQUIRED = tuple(field.name for field in fields(Policy) if field.default is MISSING)


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """Which a protected service is, what its alarms watch, and how it is judged.

    Attributes:
        load_balancer: the CloudWatch dimension value `app/<name>/<id>`, where it has one.
        target_groups: `targetgroup/<name>/<id>`, likewise; two where blue/green swaps them.
        alarms: names of the users' own alarms that should also roll back.
        code_deploy: `<application>/<deployment group>` of a service that CodeDeploy deploys.
    """

    key: ServiceKey
    policy: Policy
    load_balancer: str | None = None
    target_groups: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    code_deploy: str | None = None

    def to_document(self) -> dict[str, object]:
        """The JSON object that the policy parameter holds: every key, empty where there is none.

        `parse_stored` reads it back to an equal value. There is no null: the CDK would leave its
        key out.
        """
        document: dict[str, object] = {
            "cluster": self.key.cluster,
            "service": self.key.service,
            "load_balancer": self.load_balancer or "",
            "target_group": self._target_group(),
            "alarms": list(self.alarms),
            "code_deploy": self.code_deploy or "",
        }
        document |= asdict(self.policy)
        document["families"] = list(self.policy.families)
        document["task_roles"] = list(self.policy.task_roles)
        return document

    def _target_group(self) -> str | list[str]:
        if len(self.target_groups) == 1:
            return self.target_groups[0]
        return list(self.target_groups)


_NAME = _Text("a name of up to 255 letters, digits, - and _", ECS_NAME)

# Alarm names take any character.
_ALARMS = _Texts("a list of alarm names, each once", re.compile(r"(?s).{1,255}"), least=0)

# What CodeDeploy takes in the names of applications and deployment groups, up to 100 characters
# (https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html); a slash is none of them.
_CODE_DEPLOY = _Text(
    "<application>/<deployment group> of CodeDeploy, "
    "each up to 100 letters, digits and . _ + = , @ -",
    re.compile(r"[\w.+=,@-]{1,100}/[\w.+=,@-]{1,100}", re.ASCII),
)

_LOAD_BALANCER = _Text(
    "the CloudWatch dimension value of an Application Load Balancer, "
    "app/<name>/<16 hex digits>, beside target_group",
    re.compile(r"app/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"),
)


@dataclass(frozen=True, slots=True)
class _TargetGroups(KeyRule[tuple[str, ...]]):
    """One target group, or a list of one or two."""

    groups: _Texts

    @property
    def allowed(self) -> str:
        return self.groups.allowed

    def read(self, given: object) -> tuple[str, ...] | None:
        if isinstance(given, str):
            given = [given]
        found = self.groups.read(given)
        if found is None or len(found) > 2:
            return None
        return found


_TARGET_GROUPS = _TargetGroups(
    _Texts(
        "the CloudWatch dimension value targetgroup/<name>/<16 hex digits>, "
        "or a list of two different ones, beside load_balancer",
        re.compile(r"targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}"),
        least=1,
    )
)

_EMPTY: Mapping[str, object] = {"load_balancer": "", "target_group": [], "code_deploy": ""}
"""What a stored policy holds of a service that has none."""

_SERVICE_KEYS = ("cluster", "service", "alarms", *_EMPTY)

Tunables = Mapping[str, Any]
"""Some of a policy's keys, each value taken by its rule: arguments for Policy."""

NO_DEFAULTS: Tunables = MappingProxyType({})


def parse_tunables(document: object, where: str = "") -> Tunables:
    """The keys that may stand under `defaults`, each checked alone.

    None is required here.

    Raises:
        PolicyError: naming the first key that is unknown or wrong, with `where` before it.
    """
    given = _mapping(document, where)
    _refuse_unknown(given, where, KEY_RULES)
    return _take_tunables(given, where)


def parse_service(
    document: object,
    where: str = "",
    defaults: Tunables = NO_DEFAULTS,
) -> ServicePolicy:
    """The policy of one service, from a mapping as under `services`.

    Raises:
        PolicyError: naming the first key that is missing, unknown or wrong, with `where` before it.
    """
    given = _mapping(document, where)
    _refuse_unknown(given, where, (*_SERVICE_KEYS, *KEY_RULES))

    cluster = _take(
        _NAME,
        given,
        where,
        "cluster",
    )
    service = _take(
        _NAME,
        given,
        where,
        "service",
    )
    load_balancer, target_groups = parse_load_balancing(given, where)

    alarms: tuple[str, ...] = ()
    if "alarms" in given:
        alarms = _take(
            _ALARMS,
            given,
            where,
            "alarms",
        )

    code_deploy = None
    if "code_deploy" in given:
        code_deploy = _take(
            _CODE_DEPLOY,
            given,
            where,
            "code_deploy",
        )

    tunables = {**defaults, **_take_tunables(given, where)}
    return ServicePolicy(
        ServiceKey(cluster, service),
        build_policy(tunables, where),
        load_balancer,
        target_groups,
        alarms,
        code_deploy,
    )


def parse_stored(document: object, where: str = "") -> ServicePolicy:
    """The policy of one service, as `to_document` writes it.

    No key has a default here: one that is lost would make a service `enforce` that was not.

    Raises:
        PolicyError: naming the first key that is missing, unknown or wrong, with `where` before it.
    """
    given = _mapping(document, where)
    for name in (*_SERVICE_KEYS, *KEY_RULES):
        if name not in given:
            allowed = "every key of a policy, as the stack writes it: deploy it again"
            raise PolicyError(_path(where, name), _MISSING, allowed)

    known: dict[str, object] = {}
    for name, value in given.items():
        if name not in _EMPTY or value != _EMPTY[name]:
            known[name] = value
    return parse_service(known, where)


def parse_code_deploy(value: object, where: str = "code_deploy") -> str:
    """`<application>/<deployment group>`, as it stands on a service.

    Raises:
        PolicyError: for another form.
    """
    return _CODE_DEPLOY.take(value, where)


def build_policy(tunables: Tunables, where: str = "") -> Policy:
    """A policy from checked tunables.

    What is required, and what must fit together, is checked here.

    Raises:
        PolicyError: naming the key.
    """
    for name in _REQUIRED:
        if name not in tunables:
            raise PolicyError(_path(where, name), _MISSING, KEY_RULES[name].allowed)

    policy = Policy(**tunables)
    if policy.datapoints_to_alarm > policy.evaluation_periods:
        raise PolicyError(
            _path(where, "datapoints_to_alarm"),
            policy.datapoints_to_alarm,
            f"at most evaluation_periods ({policy.evaluation_periods})",
        )
    return policy


def parse_load_balancing(
    given: Mapping[str, object], where: str = ""
) -> tuple[str | None, tuple[str, ...]]:
    """The dimension values of the load balancer and its one or two target groups.

    Both keys are given, or neither.

    Raises:
        PolicyError: naming the key, with `where` before it.
    """
    if "load_balancer" not in given and "target_group" not in given:
        return None, ()
    load_balancer = _take(
        _LOAD_BALANCER,
        given,
        where,
        "load_balancer",
    )
    target_groups = _take(
        _TARGET_GROUPS,
        given,
        where,
        "target_group",
    )
    return load_balancer, target_groups


def _take(
    rule: KeyRule[Value],
    given: Mapping[str, object],
    where: str,
    name: str,
) -> Value:
    return rule.take(given.get(name, _MISSING), _path(where, name))


def _take_tunables(given: Mapping[str, object], where: str) -> Tunables:
    taken: dict[str, object] = {}
    for name, value in given.items():
        rule = KEY_RULES.get(name)
        if rule is not None:
            taken[name] = rule.take(value, _path(where, name))
    return taken


def _refuse_unknown(
    given: Mapping[str, object],
    where: str,
    known: Collection[str],
) -> None:
    for name in given:
        if name not in known:
            allowed = f"one of the keys {', '.join(known)}"
            for nearest in get_close_matches(str(name), known, n=1):
                allowed = f"{nearest}, which is nearest; {allowed}"
            raise PolicyError(_path(where, str(name)), given[name], allowed)


def _mapping(document: object, where: str) -> Mapping[str, object]:
    if not isinstance(document, Mapping):
        raise PolicyError(where or "(document)", document, "a mapping of keys to values")
    return document


def _path(where: str, name: str) -> str:
    if not where:
        return name
    return f"{where}.{name}"
