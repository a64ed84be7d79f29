"""Typed values as JSON and back: results, incidents, and the facts of a judgement. Strict on reading."""

from collections import abc
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, TypeVar, cast, get_args, get_origin

from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, transform_error
from cattrs.cols import homogenous_tuple_structure_factory, mapping_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from autorollback.decision.facts import Facts, ReadSoFar
from autorollback.decision.result import Result, Severity
from autorollback.policy import Policy

RECORD_VERSION = 3
"""Of the facts of a judgement.

Version 1 called `ledger` `memory`; up to version 2 a quarantine was a time alone. What an older record does not have
is as its dataclass has it by default.
"""

_MISSING = "is missing"
_UNKNOWN = "is not known"

Value = TypeVar("Value")
Hook = Callable[[Any, Any], Any]
Json = abc.Mapping[str, object]


class UnreadableValue(ValueError):  # noqa: N818 - a finding, which the caller names the record of
    """A stored value is not as it is written.

    The message names the path, and what was expected there.
    """


def to_json(value: object) -> dict[str, object]:
    """A typed value as a JSON object.

    Times are ISO 8601 in UTC, durations are seconds.
    """
    return cast("dict[str, object]", _CONVERTER.unstructure(value))


def record_of(
    facts: Facts,
    policy: Policy,
    now: datetime,
) -> dict[str, object]:
    """What a verdict rested on: the three arguments of a judgement, to be judged again."""
    return {
        "version": RECORD_VERSION,
        "facts": _facts_json(facts),
        "policy": to_json(policy),
        "now": _unstructure_time(now),
    }


def _facts_json(facts: Facts) -> dict[str, object]:
    """The facts without what only their reader needs."""
    written = to_json(replace(facts, so_far=ReadSoFar()))
    del written["so_far"]
    return written


def read_record(record: object) -> tuple[Facts, Policy, datetime]:
    """The three arguments of a stored judgement.

    They are equal to those that were stored, by this version or an older one.

    Raises:
        UnreadableValue: for a record of a newer version, or one that is not as `record_of` writes it.
    """
    if not isinstance(record, abc.Mapping):
        raise UnreadableValue(f"a record is an object, not {type(record).__name__}")
    version = record.get("version")
    if version not in range(1, RECORD_VERSION + 1):
        known = f"this controller reads versions up to {RECORD_VERSION}"
        raise UnreadableValue(f"record of version {version!r}; {known}")
    if version != RECORD_VERSION:
        read = from_json(_upgraded(record), _Record, "record")
        return read.facts, read.policy, read.now

    read = from_json(record, _Record, "record")
    written = record_of(read.facts, read.policy, read.now)
    missing = _first_missing(written, record, "record")
    if missing:
        raise UnreadableValue(f"{missing} is missing")
    return read.facts, read.policy, read.now


@dataclass(frozen=True, slots=True)
class _Record:
    version: int
    facts: Facts
    policy: Policy
    now: datetime


def _upgraded(record: Json) -> Json:
    """An older record in the words of this version. What did not exist then has its default."""
    facts = dict(_object_in(record, "facts"))
    if "memory" in facts:
        facts["ledger"] = facts.pop("memory")
    ledger = dict(_object_in(facts, "ledger"))
    quarantined = {}
    for identity, quarantine in _object_in(ledger, "quarantined").items():
        is_time = isinstance(quarantine, str)
        quarantined[identity] = (
            {"identity": identity, "task_definition": "", "at": quarantine}
            if is_time
            else quarantine
        )
    ledger["quarantined"] = quarantined
    facts["ledger"] = ledger
    return {**record, "facts": facts}


def _object_in(document: Json, name: str) -> Json:
    value = document.get(name)
    if not isinstance(value, abc.Mapping):
        raise UnreadableValue(f"{name}: object expected, {type(value).__name__} given")
    return value


def _first_missing(
    written: object,
    given: object,
    path: str,
) -> str | None:
    """The first path that a whole document has and a given one lacks: half the facts would be another verdict."""
    if isinstance(written, abc.Mapping) and isinstance(given, abc.Mapping):
        for name, value in written.items():
            where = f"{path}.{name}"
            if name not in given:
                return where
            missing = _first_missing(value, given[name], where)
            if missing:
                return missing
    if isinstance(written, list) and isinstance(given, list):
        for index, (value, item) in enumerate(zip(written, given, strict=True)):
            missing = _first_missing(value, item, f"{path}[{index}]")
            if missing:
                return missing
    return None


def from_json(
    document: object,
    kind: type[Value],
    name: str = "",
) -> Value:
    """The typed value of a JSON object.

    `name` is what an error calls it, else the type's own name.

    Raises:
        UnreadableValue: naming the path of what is missing, unknown or wrong.
    """
    path = name or kind.__name__.lower()
    try:
        return _CONVERTER.structure(document, kind)
    except BaseValidationError as error:
        faults = transform_error(error, path=path, format_exception=_fault)
        raise UnreadableValue("; ".join(_with_path_first(fault) for fault in faults)) from error
    except (TypeError, ValueError) as error:
        raise UnreadableValue(f"{path}: {error}") from error


def _with_path_first(fault: str) -> str:
    """`<path>: <what is wrong>`, of what the library tells the other way round."""
    wrong, _, path = fault.rpartition(" @ ")
    if wrong == _MISSING:
        return f"{path} {_MISSING}"
    if wrong.endswith(_UNKNOWN):
        return f"{path}.{wrong}"
    return f"{path}: {wrong}"


def _fault(error: BaseException, _kind: type | None) -> str:
    if isinstance(error, KeyError):
        return _MISSING
    if isinstance(error, ForbiddenExtraKeysError):
        return f"{min(error.extra_fields)} {_UNKNOWN}"
    return str(error)


def _structure_time(text: object, _kind: object) -> datetime:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def _unstructure_time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _structure_duration(seconds: object, _kind: object) -> timedelta:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{seconds!r} is no number of seconds")
    return timedelta(seconds=seconds)


def _structure_plain(value: object, kind: type) -> object:
    """A text, number or flag as it is: nothing is converted from another type.

    Enums whose members are texts come here too.
    """
    if issubclass(kind, Enum):
        return _structure_word(value, kind)
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted):
        raise TypeError(f"{kind.__name__} expected, {type(value).__name__} given")
    if isinstance(value, bool) and kind is not bool:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _structure_word(value: object, kind: type[Enum]) -> Enum:
    try:
        return kind(value)
    except ValueError:
        allowed = ", ".join(str(member.value) for member in kind)
        raise ValueError(f"{value!r} is no {kind.__name__}; allowed: {allowed}") from None


def _is_word(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _is_mapping(kind: object) -> bool:
    return get_origin(kind) is abc.Mapping


def _tuple_hook(kind: type, converter: Converter) -> Hook:
    """A tuple is a JSON list; cattrs alone would take any iterable."""
    parts = get_args(kind)
    is_fixed = Ellipsis not in parts
    if is_fixed:
        structure = converter.gen_structure_hetero_tuple(kind)
    else:
        structure = homogenous_tuple_structure_factory(kind, converter)

    def checked(value: object, target: object) -> object:
        if not isinstance(value, list):
            raise TypeError(f"list expected, {type(value).__name__} given")
        if is_fixed and len(value) != len(parts):
            raise ValueError(f"{len(parts)} items expected, {len(value)} given")
        return structure(value, target)

    return checked


def _mapping_hook(kind: type, converter: Converter) -> Hook:
    return _of_an_object(mapping_structure_factory(kind, converter, structure_to=dict))


def _dataclass_hook(kind: type, converter: Converter) -> Hook:
    return _of_an_object(make_dict_structure_fn(kind, converter))


def _without_old_state(structure: Hook) -> Hook:
    """A hook for results that earlier versions wrote: a claim that came to nothing had a state `failed`."""

    def upgraded(value: object, kind: object) -> object:
        if isinstance(value, abc.Mapping) and value.get("incident_state") == "failed":
            value = {**value, "incident_state": None}
        return structure(value, kind)

    return upgraded


def _of_an_object(structure: Hook) -> Hook:
    """A hook that refuses what is no JSON object."""

    def checked(value: object, kind: object) -> object:
        if not isinstance(value, abc.Mapping):
            raise TypeError(f"object expected, {type(value).__name__} given")
        return structure(value, kind)

    return checked


def _register_result(converter: Converter) -> None:
    """Results have names that Python reserves, and carry their severity, which is derived."""
    renamed: dict[str, Any] = {
        "came_from": override(rename="from"),
        "goes_to": override(rename="to"),
    }
    if_known = override(omit_if_default=True)
    write = make_dict_unstructure_fn(
        Result,
        converter,
        more_candidates=if_known,
        time_to_rollback_seconds=if_known,
        time_to_recover_seconds=if_known,
        error=if_known,
        requested_by=if_known,
        escalated=override(omit=True),
        **renamed,
    )
    read = make_dict_structure_fn(
        Result,
        converter,
        _cattrs_forbid_extra_keys=False,
        **renamed,
    )

    def write_with_severity(result: Result) -> dict[str, object]:
        return {**write(result), "severity": result.severity.value}

    converter.register_unstructure_hook(Result, write_with_severity)

    def read_with_severity(document: Any, kind: Any) -> Result:
        """What is more urgent than its outcome makes it was escalated."""
        result: Result = read(document, kind)
        is_critical = document.get("severity") == Severity.CRITICAL.value
        return replace(result, escalated=is_critical and result.severity is not Severity.CRITICAL)

    converter.register_structure_hook(Result, _without_old_state(_of_an_object(read_with_severity)))


def _made() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    converter.register_unstructure_hook(datetime, _unstructure_time)
    converter.register_structure_hook(datetime, _structure_time)
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook(timedelta, _structure_duration)
    converter.register_structure_hook_factory(is_dataclass, _dataclass_hook)
    converter.register_structure_hook_factory(_is_tuple, _tuple_hook)
    converter.register_structure_hook_factory(_is_mapping, _mapping_hook)
    for plain in (str, int, float, bool):
        converter.register_structure_hook(plain, _structure_plain)
    converter.register_unstructure_hook_func(_is_word, lambda word: word.value)
    _register_result(converter)
    return converter


_CONVERTER = _made()
