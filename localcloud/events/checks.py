"""What may stand in a rule and its targets.

The rest would silently be without effect.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from localcloud.errors import NotModelled, Refusal

_TARGET_KEYS = frozenset(
    {
        "Id",
        "Arn",
        "Input",
        "InputPath",
        "InputTransformer",
        "DeadLetterConfig",
        "RetryPolicy",
    }
)
_TARGET_SERVICES = ("lambda", "sns", "sqs")
_FILTERS = frozenset(
    {
        "exists",
        "prefix",
        "suffix",
        "equals-ignore-case",
        "numeric",
        "anything-but",
        "cidr",
        "wildcard",
    }
)
_LONGEST_PATTERN = 2048


LARGEST_ENTRIES = 256 * 1024
"""Bytes of all entries of one PutEvents. Newer documentation allows a megabyte; this is what every target takes."""

_SIZE_OF_TIME = 14


def check_entries(entries: Sequence[Mapping[str, Any]]) -> None:
    """Refuse entries that are too large together.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html ("Calculating PutEvents event entry size").
    """
    if sum(map(_size, entries)) > LARGEST_ENTRIES:
        message = "Total size of the entries in the request is over the limit."
        raise Refusal("ValidationException", message)


NOT_AUTHORIZED = {
    "ErrorCode": "NotAuthorizedForSourceException",
    "ErrorMessage": "Not authorized for the source.",
}
"""Of an entry whose source begins as AWS's own do (the code as users report it)."""

FAILED = {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal failure."}
"""Of each entry while the service is down (API_PutEventsResultEntry.html)."""


def refusal_of(entry: Mapping[str, Any]) -> dict[str, str] | None:
    """What is answered to an entry of PutEvents that says it comes from a service of AWS."""
    return NOT_AUTHORIZED if str(entry.get("Source", "")).startswith("aws.") else None


def _size(entry: Mapping[str, Any]) -> int:
    size = _SIZE_OF_TIME if "Time" in entry else 0
    texts = [entry.get(name) or "" for name in ("Source", "DetailType", "Detail")]
    for text in [*texts, *entry.get("Resources", [])]:
        size += len(str(text).encode())
    return size


def check_target(target: dict[str, Any]) -> None:
    """Raise NotModelled for what a target cannot have here."""
    unknown = sorted(set(target) - _TARGET_KEYS)
    if unknown:
        raise NotModelled(f"events PutTargets: {', '.join(unknown)}")
    arn = target["Arn"]
    service = arn.split(":")[2]
    if service not in _TARGET_SERVICES:
        raise NotModelled(f"events targets of {service}: {arn}")


def check_pattern(text: str, pattern: dict[str, Any]) -> None:
    """Raise for a pattern that is too long, or has a filter unknown to moto.

    Moto would take such a filter for a match.
    """
    if len(text) > _LONGEST_PATTERN:
        message = "an event pattern holds at most 2,048 characters"
        raise Refusal("InvalidEventPatternException", message)
    _check_filters(pattern)


def _check_filters(pattern: dict[str, Any]) -> None:
    for key, value in pattern.items():
        if key == "$or":
            for alternative in value:
                _check_filters(alternative)
        elif isinstance(value, dict):
            _check_filters(value)
        else:
            _check_tests(value)


def _check_tests(tests: list[Any]) -> None:
    """The values that are allowed for one key, some of them filters."""
    for test in tests:
        if isinstance(test, dict):
            unknown = sorted(set(test) - _FILTERS)
            if unknown:
                raise NotModelled(f"event pattern filters {unknown}")
