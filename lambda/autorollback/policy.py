"""The policy of one protected service: its keys, defaults and bounds.

One table serves `services.yaml` at deployment and the SSM parameter at run time, so that neither accepts what the
other refuses. Pure, and without a validation library: the function's zip holds no compiled code.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import Any

from autorollback.naming import ServiceKey


class Mode(StrEnum):
    """What the automatic may do: act, decide and report only, or nothing."""

    ENFORCE = "enforce"
    OBSERVE = "observe"
    OFF = "off"


class PolicyError(ValueError):
    """A key that is missing, unknown or wrong: `field` (a path), `given` and `allowed` say which and how."""

    def __init__(self, field: str, given: object, allowed: str) -> None:
        self.field, self.given, self.allowed = field, given, allowed
        super().__init__(f"{field}: {_shown(given)}; allowed: {allowed}")


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
    return f"{text if len(text) <= 200 else text[:200] + '...'} given"


@dataclass(frozen=True, slots=True)
class _Rule:
    allowed: str
    accepts: Callable[[Any], bool]
    convert: Callable[[Any], Any] = lambda value: value


def _number_above_zero(high: float, unit: str) -> _Rule:
    def accepts(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= high

    return _Rule(f"a number of {unit} above 0, at most {high:g}", accepts, float)


def _whole(low: int, high: int, unit: str) -> _Rule:
    def accepts(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

    return _Rule(f"a whole number of {unit} from {low} to {high}", accepts)


def _texts(what: str, pattern: str, *, least: int) -> _Rule:
    compiled = re.compile(pattern)

    def accepts(value: object) -> bool:
        return (
            isinstance(value, Sequence)
            and not isinstance(value, str)
            and len(value) >= least
            and all(isinstance(item, str) and compiled.fullmatch(item) for item in value)
            and len(set(value)) == len(value)
        )

    return _Rule(f"a list of {what}, each once{', at least one' if least else ''}", accepts, tuple)


_MODE = _Rule(
    "enforce, observe or off",
    lambda value: isinstance(value, str) and value in list(Mode),
    Mode,
)
_FLAG = _Rule("true or false", lambda value: isinstance(value, bool))


def _key(rule: _Rule, default: Any = MISSING) -> Any:
    metadata = {"rule": rule}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one service is judged. Durations are whole minutes, as the keys say; the properties give timedeltas."""

    mode: Mode = _key(_MODE, Mode.ENFORCE)
    error_rate_percent: float = _key(_number_above_zero(100, "percent"), 5.0)
    latency_p99_seconds: float = _key(_number_above_zero(3600, "seconds"), 2.0)
    unhealthy_targets: int = _key(_whole(1, 1000, "targets"), 2)
    dedicated_load_balancer: bool = _key(_FLAG, default=False)
    minimum_requests: int = _key(_whole(1, 10_000_000, "requests a minute"), 20)
    minimum_errors: int = _key(_whole(1, 10_000_000, "errors a minute"), 5)
    datapoints_to_alarm: int = _key(_whole(1, 1440, "one-minute datapoints, at most evaluation_periods"), 3)
    evaluation_periods: int = _key(_whole(1, 1440, "one-minute datapoints"), 5)
    window_minutes: int = _key(_whole(1, 10_080, "minutes"), 60)
    stable_after_minutes: int = _key(_whole(1, 43_200, "minutes"), 30)
    flap_limit: int = _key(_whole(0, 1000, "transitions"), 2)
    shared_cause_services: int = _key(_whole(1, 1000, "services"), 3)
    confirm_within_minutes: int = _key(_whole(1, 1440, "minutes"), 15)
    max_rollbacks_per_day: int = _key(_whole(0, 100, "rollbacks"), 3)
    families: tuple[str, ...] = _key(
        _texts(
            "task definition families (letters, digits, - _ and the wildcards * ?)", r"[A-Za-z0-9_*?-]{1,255}", least=1
        )
    )
    task_roles: tuple[str, ...] = _key(
        _texts("role names (IAM's characters and the wildcards * ?)", r"(?!arn:)[\w+=,.@*?/-]{1,576}", least=1)
    )

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


@dataclass(frozen=True, slots=True)
class ServicePolicy:
    """One protected service: which it is, what its alarms watch, and how it is judged.

    Attributes:
        load_balancer: the CloudWatch dimension value `app/<name>/<id>`; None for a service without one.
        target_groups: the CloudWatch dimension values `targetgroup/<name>/<id>`; two where blue/green swaps them.
        alarms: names of the users' own alarms that should also roll back.
        code_deploy: `<application>/<deployment group>` of a service that CodeDeploy deploys.
    """

    key: ServiceKey
    policy: Policy
    load_balancer: str | None = None
    target_groups: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()
    code_deploy: str | None = None

    def to_document(self) -> dict[str, Any]:
        """The JSON object that the policy parameter holds; `parse_service` reads it back to an equal value."""
        document: dict[str, Any] = {"cluster": self.key.cluster, "service": self.key.service}
        if self.load_balancer is not None:
            document["load_balancer"] = self.load_balancer
            document["target_group"] = (
                self.target_groups[0] if len(self.target_groups) == 1 else list(self.target_groups)
            )
        if self.alarms:
            document["alarms"] = list(self.alarms)
        if self.code_deploy is not None:
            document["code_deploy"] = self.code_deploy
        return document | {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.policy).items()
        }


_RULES: dict[str, _Rule] = {f.name: f.metadata["rule"] for f in fields(Policy)}
_REQUIRED = tuple(f.name for f in fields(Policy) if f.default is MISSING)

# The names ECS takes: "up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens"
# (CreateCluster clusterName, CreateService serviceName; botocore ecs/2014-11-13). Alarm names take any character.
_ECS_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_LOAD_BALANCER = re.compile(r"app/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}")
_TARGET_GROUP = re.compile(r"targetgroup/[A-Za-z0-9-]{1,32}/[0-9a-f]{16}")
_NAME = _Rule(
    "a name of up to 255 letters, digits, - and _",
    lambda value: isinstance(value, str) and bool(_ECS_NAME.fullmatch(value)),
)
_ALARMS = _texts("alarm names", r"(?s).{1,255}", least=0)
# What CodeDeploy takes in the names of applications and deployment groups, up to 100 characters
# (https://docs.aws.amazon.com/codedeploy/latest/userguide/limits.html); a slash is none of them.
_CODE_DEPLOY = _Rule(
    "<application>/<deployment group> of CodeDeploy, each up to 100 letters, digits and . _ + = , @ -",
    lambda value: (
        isinstance(value, str) and bool(re.fullmatch(r"[\w.+=,@-]{1,100}/[\w.+=,@-]{1,100}", value, re.ASCII))
    ),
)
_SERVICE_KEYS = ("cluster", "service", "load_balancer", "target_group", "alarms", "code_deploy")


def parse_tunables(document: object, where: str = "") -> dict[str, Any]:
    """The keys that may stand under `defaults`, each checked alone; none is required here.

    Raises:
        PolicyError: naming the first key that is unknown or wrong, with `where` before it.
    """
    return _checked(_mapping(document, where), where, _RULES)


def parse_service(document: object, where: str = "", defaults: Mapping[str, Any] | None = None) -> ServicePolicy:
    """The policy of one service, from a mapping with the keys of one entry under `services`.

    Raises:
        PolicyError: naming the first key that is missing, unknown or wrong, with `where` before it.
    """
    given = _mapping(document, where)
    _refuse_unknown(given, where, (*_SERVICE_KEYS, *_RULES))
    cluster, service = (_require(given, where, name, _NAME) for name in ("cluster", "service"))
    load_balancer, target_groups = parse_load_balancing(given, where)
    optional = {"alarms": _ALARMS, "code_deploy": _CODE_DEPLOY}
    more = _checked({name: value for name, value in given.items() if name in optional}, where, optional)
    return ServicePolicy(
        ServiceKey(cluster, service),
        build_policy(
            {**(defaults or {}), **_checked({k: v for k, v in given.items() if k in _RULES}, where, _RULES)}, where
        ),
        load_balancer,
        target_groups,
        more.get("alarms", ()),
        more.get("code_deploy"),
    )


def parse_code_deploy(value: object, where: str = "code_deploy") -> str:
    """`<application>/<deployment group>`, as it stands on a service.

    Raises:
        PolicyError: for another form.
    """
    if not _CODE_DEPLOY.accepts(value):
        raise PolicyError(where, value, _CODE_DEPLOY.allowed)
    return str(value)


def build_policy(tunables: Mapping[str, Any], where: str = "") -> Policy:
    """A policy from checked tunables; asks for what is required and for what must fit together.

    Raises:
        PolicyError: naming the key.
    """
    for name in _REQUIRED:
        if name not in tunables:
            raise PolicyError(_path(where, name), _MISSING, _RULES[name].allowed)
    policy = Policy(**tunables)
    if policy.datapoints_to_alarm > policy.evaluation_periods:
        raise PolicyError(
            _path(where, "datapoints_to_alarm"),
            policy.datapoints_to_alarm,
            f"at most evaluation_periods ({policy.evaluation_periods})",
        )
    return policy


def parse_load_balancing(given: Mapping[str, Any], where: str = "") -> tuple[str | None, tuple[str, ...]]:
    """The load balancer and its one or two target groups, by their dimension values; both keys or neither.

    Raises:
        PolicyError: naming the key, with `where` before it.
    """
    load_balancer, target_group = given.get("load_balancer"), given.get("target_group")
    if not given.keys() & {"load_balancer", "target_group"}:
        return None, ()
    if not (isinstance(load_balancer, str) and _LOAD_BALANCER.fullmatch(load_balancer)):
        raise PolicyError(
            _path(where, "load_balancer"),
            given.get("load_balancer", _MISSING),
            "the CloudWatch dimension value of an Application Load Balancer, app/<name>/<16 hex digits>, beside target_group",
        )
    groups = [target_group] if isinstance(target_group, str) else target_group
    if not (
        isinstance(groups, Sequence)
        and 1 <= len(groups) <= 2
        and len({str(group) for group in groups}) == len(groups)
        and all(isinstance(group, str) and _TARGET_GROUP.fullmatch(group) for group in groups)
    ):
        raise PolicyError(
            _path(where, "target_group"),
            given.get("target_group", _MISSING),
            "the CloudWatch dimension value targetgroup/<name>/<16 hex digits>, or a list of two different ones, beside load_balancer",
        )
    return load_balancer, tuple(groups)


def _checked(given: Mapping[str, Any], where: str, rules: Mapping[str, _Rule]) -> dict[str, Any]:
    _refuse_unknown(given, where, rules)
    for name, value in given.items():
        if not rules[name].accepts(value):
            raise PolicyError(_path(where, name), value, rules[name].allowed)
    return {name: rules[name].convert(value) for name, value in given.items()}


def _require(given: Mapping[str, Any], where: str, name: str, rule: _Rule) -> Any:
    if name not in given:
        raise PolicyError(_path(where, name), _MISSING, rule.allowed)
    return _checked({name: given[name]}, where, {name: rule})[name]


def _refuse_unknown(given: Mapping[str, Any], where: str, known: Collection[str]) -> None:
    for name in given:
        if name not in known:
            raise PolicyError(_path(where, str(name)), given[name], f"one of the keys {', '.join(known)}")


def _mapping(document: object, where: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise PolicyError(where or "(document)", document, "a mapping of keys to values")
    return document


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
