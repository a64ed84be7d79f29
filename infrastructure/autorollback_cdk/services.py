"""`services.yaml` as typed configuration.

Whatever is wrong in it is one line that says where, what and what is allowed.

The keys of a service are checked by `autorollback.policy`, the same table that the function uses; here are the file, its
outer shape and what only holds among services.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import yaml

from autorollback.naming import ALARM_NAME_LIMIT, OWN_SIGNAL_PREFIX, SIGNALS, Names
from autorollback.policy import PolicyError, ServicePolicy, parse_service, parse_tunables

PARAMETER_LIMIT = 8192
"""Characters; the value of an SSM parameter of the advanced tier (PutParameter's Value, botocore ssm/2014-11-06)."""

_TOP_KEYS = ("defaults", "notifications", "services")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class ConfigurationError(ValueError):
    """What is wrong with the configuration file, in one line.

    That is the file, the path inside it, what was given, and what is allowed.
    """


@dataclass(frozen=True, slots=True)
class Configuration:
    """What one `services.yaml` asks for; `emails` are subscribed to the notifications."""

    services: tuple[ServicePolicy, ...]
    emails: tuple[str, ...] = ()


def load(path: Path, names: Names) -> Configuration:
    """Read and check the file; `names` because the names of alarms have a limit.

    Raises:
        ConfigurationError: the file is missing, is no YAML, or says something that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse(_read_yaml(text), names)
    except OSError as error:
        reason = error.strerror or error
        remedy = "name another file with -c services=<path>"
        raise ConfigurationError(f"{path}: {reason}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: byte {error.start} is not UTF-8") from error
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
    services = _services(document.get("services"), defaults, names)
    emails = _emails(_part(document, "notifications"))
    return Configuration(services, emails)


def _part(document: Mapping[Any, Any], name: str) -> object:
    """A part of the file that may be left out, or empty.

    What is empty but no mapping is refused like all else.
    """
    value = document.get(name)
    if value is None:
        return {}
    return value


def _services(
    entries: object, defaults: Mapping[str, Any], names: Names
) -> tuple[ServicePolicy, ...]:
    if not _is_list(entries) or not entries:
        raise PolicyError("services", entries, "a list of services, at least one")
    first_at: dict[object, str] = {}
    services = []
    for index, entry in enumerate(entries):
        where = f"services[{index}]"
        service = parse_service(entry, where, defaults)
        if service.key in first_at:
            first = first_at[service.key]
            message = f"each service once, and {first} is the same"
            raise PolicyError(where, str(service.key), message)
        first_at[service.key] = where
        check_own_alarms(service.alarms, where)
        _check_alarm_names(service, names, where)
        _check_document(service, where)
        services.append(service)
    return tuple(services)


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def check_own_alarms(alarms: Sequence[str], where: str = "") -> None:
    """Check that a composite alarm can be made around each of a user's alarms.

    CloudWatch documents that a name may be put in double quotes in a composite alarm's rule, and no way to write a double quote
    inside them (PutCompositeAlarm's AlarmRule, botocore cloudwatch/2010-08-01).

    Raises:
        PolicyError: naming the alarm, with `where` before it.
    """
    for index, alarm in enumerate(alarms):
        at = f"{where}.alarms[{index}]".lstrip(".")
        if '"' in alarm or "\\" in alarm:
            allowed = (
                "an alarm name without double quotes and backslashes, which a rule cannot hold"
            )
            raise PolicyError(at, alarm, allowed)
        if alarm in alarms[:index]:
            raise PolicyError(at, alarm, "each alarm once")


def _check_alarm_names(service: ServicePolicy, names: Names, where: str) -> None:
    for index, alarm in enumerate(service.alarms):
        own = names.alarm(service.key, f"{OWN_SIGNAL_PREFIX}{alarm}")
        _check_alarm_name(own, f"{where}.alarms[{index}]")
    if service.load_balancer:
        for signal in SIGNALS:
            _check_alarm_name(names.alarm(service.key, signal), f"{where}.service")


def _check_alarm_name(alarm: str, where: str) -> None:
    length = len(alarm)
    if length > ALARM_NAME_LIMIT:
        most = f"at most {ALARM_NAME_LIMIT} characters ({length} now)"
        raise PolicyError(where, alarm, f"names with which the alarm's own has {most}")


def _check_document(service: ServicePolicy, where: str) -> None:
    length = len(json.dumps(service.to_document()))
    if length > PARAMETER_LIMIT:
        allowed = f"a policy of at most {PARAMETER_LIMIT} characters as JSON ({length} now)"
        raise PolicyError(where, str(service.key), allowed)


def _emails(notifications: object) -> tuple[str, ...]:
    if not isinstance(notifications, Mapping):
        raise PolicyError("notifications", notifications, "a mapping with the key emails")
    for key in notifications:
        if key != "emails":
            raise PolicyError(f"notifications.{key}", notifications[key], "one of the keys emails")
    emails = notifications.get("emails", [])
    if not _is_list(emails):
        raise PolicyError("notifications.emails", emails, "a list of e-mail addresses")
    for index, email in enumerate(emails):
        is_address = isinstance(email, str) and _EMAIL.fullmatch(email)
        if not is_address or email in emails[:index]:
            where = f"notifications.emails[{index}]"
            raise PolicyError(where, email, "an e-mail address, each once")
    return tuple(emails)


_TAG = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML as people mean it.

    As in YAML 1.2, `off` is a word and a date is text; only true and false are booleans.

    Numbers are decimal: in YAML 1.1 `010` would be 8, and `1:30` would be 90. Both are text here, which no key takes.
    """


_REPLACED = {f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float", f"{_TAG}timestamp"}
_BOOLEAN = re.compile(r"(?:true|True|TRUE|false|False|FALSE)$")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)$")
_FLOAT = re.compile(
    r"(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)


def _kept_resolvers() -> dict[str, list[tuple[str, Any]]]:
    """What tells the types of plain values, without those of YAML 1.1."""
    kept = {}
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [resolver for resolver in resolvers if resolver[0] not in _REPLACED]
    return kept


_Loader.yaml_implicit_resolvers = _kept_resolvers()
_Loader.add_implicit_resolver(f"{_TAG}bool", _BOOLEAN, list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", _INTEGER, list("-+0123456789"))
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+.0123456789"))


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
    """Raise for a key that stands twice.

    PyYAML lets the last one win without a word, and an alias may point back at what holds it.
    """
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _refuse_duplicates(item, f"{where}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        _refuse_duplicate_keys(node, where, seen)


def _refuse_duplicate_keys(node: yaml.MappingNode, where: str, seen: set[int]) -> None:
    lines: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            given = f"a list or mapping as a key, in line {line}"
            raise PolicyError(where or "(document)", given, "words as keys")
        path = str(key.value)
        if where:
            path = f"{where}.{path}"
        if key.value in lines:
            given = f"twice, in line {lines[key.value]} and line {line}"
            raise PolicyError(path, given, "each key once")
        lines[key.value] = line
        _refuse_duplicates(value, path, seen)


def _one_line(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or error
    words = " ".join(str(problem).split())
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return f"not YAML: {words}"
    return f"line {mark.line + 1}, column {mark.column + 1}: not YAML: {words}"
