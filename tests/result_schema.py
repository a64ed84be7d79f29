"""The JSON Schema of the result object, made from its types: `python -m tests.result_schema > docs/result.schema.json`."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from autorollback.decision.result import Result, Severity

Schema = dict[str, Any]

RENAMED = {"came_from": "from", "goes_to": "to"}
NEVER_WRITTEN = {"escalated"}
LEFT_OUT_IF_UNKNOWN = {
    "more_candidates",
    "time_to_rollback_seconds",
    "time_to_recover_seconds",
    "error",
    "requested_by",
}
_PLAIN: Mapping[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


def result_schema() -> Schema:
    """What every subscriber, caller and reader of the ledger gets."""
    schema: Schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Auto-rollback result",
        "description": "The result of a judgement, of a person's rollback, or of an incident's end. docs/result.md explains each field.",
    }
    return schema | _object(Result)


def _object(kind: type) -> Schema:
    hints = get_type_hints(kind)
    properties: Schema = {}
    required: list[str] = []
    for field in fields(kind):
        if field.name in NEVER_WRITTEN:
            continue
        name = RENAMED.get(field.name, field.name)
        properties[name] = _value(hints[field.name])
        if field.name not in LEFT_OUT_IF_UNKNOWN:
            required.append(name)
    if kind is Result:
        properties["severity"] = _value(Severity)
        required.append("severity")
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(required),
        "additionalProperties": kind
        is Result,  # a later version may add fields to the result itself
    }


def _value(kind: Any) -> Schema:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        alternatives = [_value(one) for one in arguments if one is not NoneType]
        if NoneType in arguments:
            alternatives.append({"type": "null"})
        return {"anyOf": alternatives}
    if origin is tuple:
        return {"type": "array", "items": _value(arguments[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _value(arguments[1])}
    if kind is object:
        return {}
    if kind is datetime:
        return {"type": "string", "format": "date-time"}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {"enum": [member.value for member in kind]}
    if is_dataclass(kind) and isinstance(kind, type):
        return _object(kind)
    raise TypeError(f"no schema is known of {kind!r}")


def as_text() -> str:
    """The file's content."""
    return json.dumps(result_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(as_text(), end="")  # noqa: T201 - its purpose
