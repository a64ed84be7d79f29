"""What a verdict rested on, as JSON: stored beside the verdict, it can be judged again and must come out the same.

Times are ISO 8601 in UTC, durations seconds. The form is closed: what is missing or unknown is an error, for a verdict on
half the facts would be another verdict. It holds what the facts hold: no environment value and no secret.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from autorollback.decision.facts import Facts, Service, Trigger
from autorollback.policy import Policy

VERSION = 1

_ADDED: Mapping[type, frozenset[str]] = {Service: frozenset({"deployments"}), Trigger: frozenset({"deployment"})}
"""Facts that the first records of this version lack; they are read with their defaults."""

_PARTS: Mapping[str, type] = {"facts": Facts, "policy": Policy, "now": datetime}


class RecordError(ValueError):
    """A record that cannot be read: by which path, and what was expected there."""


def to_json(facts: Facts, policy: Policy, now: datetime) -> dict[str, Any]:
    """The three arguments of a judgement as a JSON object."""
    return {"version": VERSION, "facts": _plain(facts), "policy": _plain(policy), "now": _plain(now)}


def from_json(record: object) -> tuple[Facts, Policy, datetime]:
    """The three arguments of a judgement, equal to those that were stored.

    Raises:
        RecordError: for a record of another version, or one that is not as `to_json` writes it.
    """
    if not isinstance(record, Mapping):
        raise RecordError(f"a record is an object, not {type(record).__name__}")
    if (version := record.get("version")) != VERSION:
        raise RecordError(f"record of version {version!r}; this controller reads version {VERSION}")
    _same_names("record", record, {"version", *_PARTS})
    facts, policy, now = (_typed(record[name], kind, name) for name, kind in _PARTS.items())
    return facts, policy, now


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(value: Any, kind: Any, path: str) -> Any:
    """A plain value as its annotated type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        if value is None and NoneType in arguments:
            return None
        (kind,) = (argument for argument in arguments if argument is not NoneType)
        return _typed(value, kind, path)
    if origin is tuple:
        return _typed_tuple(value, arguments, path)
    if origin is not None and issubclass(origin, Mapping):
        _of_type(value, Mapping, path)
        return {key: _typed(item, arguments[1], f"{path}.{key}") for key, item in value.items()}
    if is_dataclass(kind):
        return _typed_dataclass(value, kind, path)
    return _typed_scalar(value, kind, path)


def _typed_tuple(value: Any, arguments: tuple[Any, ...], path: str) -> tuple[Any, ...]:
    _of_type(value, list, path)
    kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
    if len(kinds) != len(value):
        raise RecordError(f"{path}: {len(kinds)} items expected, {len(value)} given")
    return tuple(_typed(item, kind, f"{path}[{i}]") for i, (item, kind) in enumerate(zip(value, kinds, strict=True)))


def _typed_dataclass(value: Any, kind: Any, path: str) -> Any:
    _of_type(value, Mapping, path)
    hints = get_type_hints(kind)
    names = [f.name for f in fields(kind) if f.name in value or f.name not in _ADDED.get(kind, ())]
    _same_names(path, value, set(names))
    return kind(**{name: _typed(value[name], hints[name], f"{path}.{name}") for name in names})


def _typed_scalar(value: Any, kind: Any, path: str) -> Any:
    try:
        if kind is datetime:
            return _aware(datetime.fromisoformat(value))
        if kind is timedelta:
            return timedelta(seconds=value)
        if issubclass(kind, Enum):
            return kind(value)
    except (TypeError, ValueError) as error:
        raise RecordError(f"{path}: {value!r} is no {kind.__name__} ({error})") from error
    _of_type(value, (int, float) if kind is float else kind, path)
    if isinstance(value, bool) and kind is not bool:
        raise RecordError(f"{path}: {value!r} is no {kind.__name__}")
    return value


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment


def _of_type(value: Any, kind: Any, path: str) -> None:
    if not isinstance(value, kind):
        expected = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise RecordError(f"{path}: {expected} expected, {type(value).__name__} given")


def _same_names(path: str, given: Mapping[str, Any], expected: set[str]) -> None:
    for what, names in (("is missing", expected - given.keys()), ("is not known", given.keys() - expected)):
        if names:
            raise RecordError(f"{path}.{min(names)} {what}")
