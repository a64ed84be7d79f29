"""`services.yaml` as typed configuration; whatever is wrong in it is one line that says where, what and what is allowed.

The keys of a service are checked by `autorollback.policy`, the same table that the function uses; here are the file, its
outer shape and what only holds among services.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autorollback.naming import ALARM_NAME_LIMIT, OWN_SIGNAL_PREFIX, SIGNALS, Names
from autorollback.policy import PolicyError, ServicePolicy, parse_service, parse_tunables

PARAMETER_LIMIT = 8192
"""Characters; the value of an SSM parameter of the advanced tier (PutParameter's Value, botocore ssm/2014-11-06)."""

_TOP_KEYS = ("defaults", "notifications", "services")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class ConfigurationError(ValueError):
    """What is wrong with the configuration file, in one line: the file, the path inside it, what was given, what is allowed."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one `services.yaml` asks for; `emails` are subscribed to the notifications."""

    services: tuple[ServicePolicy, ...]
    emails: tuple[str, ...] = ()


def load(path: Path, names: Names) -> Configuration:
    """Reads and checks the file; `names` because the names of alarms have a limit.

    Raises:
        ConfigurationError: the file is missing, is no YAML, or says something that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror or error}; name another file with -c services=<path>"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8") from error
    try:
        return parse(_read_yaml(text), names)
    except PolicyError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: {_one_line(error)}") from error


def parse(document: object, names: Names) -> Configuration:
    """The configuration of a document that YAML has read.

    Raises:
        PolicyError: naming the first key that is missing, unknown or wrong.
    """
    if not isinstance(document, Mapping):
        raise PolicyError("(document)", document, f"a mapping with the keys {', '.join(_TOP_KEYS)}")
    for key in document:
        if key not in _TOP_KEYS:
            raise PolicyError(str(key), document[key], f"one of the keys {', '.join(_TOP_KEYS)}")
    defaults = parse_tunables(_part(document, "defaults"), "defaults")
    return Configuration(
        _services(document.get("services"), defaults, names), _emails(_part(document, "notifications"))
    )


def _part(document: Mapping[Any, Any], name: str) -> object:
    """A part of the file that may be left out, or empty; what is empty but no mapping is refused like all else."""
    value = document.get(name)
    return {} if value is None else value


def _services(entries: object, defaults: Mapping[str, Any], names: Names) -> tuple[ServicePolicy, ...]:
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise PolicyError("services", entries, "a list of services, at least one")
    first_at: dict[object, str] = {}
    services = []
    for index, entry in enumerate(entries):
        where = f"services[{index}]"
        service = parse_service(entry, where, defaults)
        if service.key in first_at:
            raise PolicyError(where, str(service.key), f"each service once, and {first_at[service.key]} is the same")
        first_at[service.key] = where
        check_own_alarms(service.alarms, where)
        _check_alarm_names(service, names, where)
        _check_document(service, where)
        services.append(service)
    return tuple(services)


def check_own_alarms(alarms: Sequence[str], where: str = "") -> None:
    """Whether a composite alarm can be made around each of a user's alarms.

    CloudWatch documents that a name may be put in double quotes in a composite alarm's rule, and no way to write a double quote
    inside them (PutCompositeAlarm's AlarmRule, botocore cloudwatch/2010-08-01).

    Raises:
        PolicyError: naming the alarm, with `where` before it.
    """
    for index, alarm in enumerate(alarms):
        at = f"{where}.alarms[{index}]".lstrip(".")
        if '"' in alarm or "\\" in alarm:
            raise PolicyError(
                at, alarm, "an alarm name without double quotes and backslashes, which a rule cannot hold"
            )
        if alarm in alarms[:index]:
            raise PolicyError(at, alarm, "each alarm once")


def _check_alarm_names(service: ServicePolicy, names: Names, where: str) -> None:
    for index, alarm in enumerate(service.alarms):
        _check_alarm_name(names.alarm(service.key, f"{OWN_SIGNAL_PREFIX}{alarm}"), f"{where}.alarms[{index}]")
    for signal in SIGNALS if service.load_balancer else ():
        _check_alarm_name(names.alarm(service.key, signal), f"{where}.service")


def _check_alarm_name(alarm: str, where: str) -> None:
    if len(alarm) > ALARM_NAME_LIMIT:
        raise PolicyError(
            where,
            alarm,
            f"names with which the alarm's own has at most {ALARM_NAME_LIMIT} characters ({len(alarm)} now)",
        )


def _check_document(service: ServicePolicy, where: str) -> None:
    length = len(json.dumps(service.to_document()))
    if length > PARAMETER_LIMIT:
        raise PolicyError(
            where, str(service.key), f"a policy of at most {PARAMETER_LIMIT} characters as JSON ({length} now)"
        )


def _emails(notifications: object) -> tuple[str, ...]:
    if not isinstance(notifications, Mapping):
        raise PolicyError("notifications", notifications, "a mapping with the key emails")
    for key in notifications:
        if key != "emails":
            raise PolicyError(f"notifications.{key}", notifications[key], "one of the keys emails")
    emails = notifications.get("emails", [])
    if not isinstance(emails, Sequence) or isinstance(emails, str):
        raise PolicyError("notifications.emails", emails, "a list of e-mail addresses")
    for index, email in enumerate(emails):
        if not isinstance(email, str) or not _EMAIL.fullmatch(email) or email in emails[:index]:
            raise PolicyError(f"notifications.emails[{index}]", email, "an e-mail address, each once")
    return tuple(emails)


_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: `off` is a word and a date is text, as in YAML 1.2; only true and false are booleans.

    Numbers are decimal: in YAML 1.1 `010` would be 8, and `1:30` would be 90. Both are text here, which no key takes.
    """


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.removeprefix(_TAG) not in ("bool", "int", "float", "timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    f"{_TAG}float",
    re.compile(
        r"(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def _read_yaml(text: str) -> object:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_duplicates(node, "", set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_duplicates(node: yaml.Node, where: str, seen: set[int]) -> None:
    """PyYAML lets the last of two equal keys win without a word, and an alias may point back at what holds it."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_duplicates(item, f"{where}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                at = f"line {key.start_mark.line + 1}"
                raise PolicyError(where or "(document)", f"a list or mapping as a key, in {at}", "words as keys")
            path = f"{where}.{key.value}" if where else str(key.value)
            line = key.start_mark.line + 1
            if key.value in lines:
                raise PolicyError(path, f"twice, in line {lines[key.value]} and line {line}", "each key once")
            lines[key.value] = line
            _refuse_duplicates(value, path, seen)


def _one_line(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{at}not YAML: {' '.join(str(problem).split())}"
