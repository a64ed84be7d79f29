"""The alarms under an alarm.

A composite names others in its rule, and these may be composites too.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autorollback.decision.facts import Untold

Answer = Mapping[str, Any]
"""One alarm of whichever kind as DescribeAlarms tells it."""

LEVELS = 4
"""Levels of alarms under an alarm that are looked at."""

MOST = 100
"""Alarms under an alarm, itself included, that are looked at: as many as DescribeAlarms takes by name."""

_NAME = r'(?:"[^"]+"|[^\s()",]+)'
_STATE = r"(?:ALARM|OK|INSUFFICIENT_DATA)"
_OF_ONE = re.compile(rf"\b{_STATE}\s*\(\s*({_NAME})\s*\)")
_OF_SEVERAL = re.compile(
    rf"\bAT_LEAST\s*\(\s*\d+(?:\.\d+)?\s*%?\s*,\s*(?:NOT\s+)?{_STATE}\s*,"
    rf"\s*\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*\)"
)
_REST = re.compile(r"(?:\s|[()]|\bAND\b|\bOR\b|\bNOT\b|\bTRUE\b|\bFALSE\b)*")


@dataclass(frozen=True, slots=True)
class AlarmTree:
    """An alarm with those under it, as far as they are known.

    Attributes:
        members: their names, from the top down; the alarm itself is the first.
        unknown: names that were met and not described.
        untold: why the tree cannot tell when trouble began; None where it can.
    """

    members: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    untold: Untold | None = None


def tree_under(root: str, known: Mapping[str, Answer]) -> AlarmTree:
    """The tree under an alarm, of the alarms that are known.

    A circle is followed once: composites can form one (PutCompositeAlarm, botocore
    cloudwatch/2010-08-01).
    """
    members: dict[str, None] = {root: None}
    unknown: list[str] = []
    read: list[Answer] = []
    level = members
    for _ in range(LEVELS + 1):
        members = {**members, **level}
        described = [known[name] for name in level if name in known]
        unknown += [name for name in level if name not in known]
        read += described
        level = _children_beyond(members, described)

    untold = next(filter(None, map(_untold_of, read)), None)
    if level or unknown or len(members) > MOST:
        untold = Untold.UNREAD
    return AlarmTree(tuple(members), tuple(unknown), untold)


def _children_beyond(members: Collection[str], level: Iterable[Answer]) -> dict[str, None]:
    """The alarms that a level names and that were not met before, in their order."""
    found: dict[str, None] = {}
    for described in level:
        for child in children_of(described) or ():
            if child not in members:
                found[child] = None
    return found


def is_composite(described: Answer) -> bool:
    """Whether an alarm watches other alarms."""
    return "AlarmRule" in described


def children_of(described: Answer) -> tuple[str, ...] | None:
    """The alarms that a composite's rule names, in their order.

    None for another alarm, and for a rule that is not understood: of another account's alarms, or
    with functions that are not known here (AlarmRule, PutCompositeAlarm; AT_LEAST, alarm-combining.html).
    """
    if not is_composite(described):
        return None
    rule = str(described["AlarmRule"])
    own_account = str(described.get("AlarmArn", "")).partition(":alarm:")[0]

    names: dict[str, None] = {}
    for function in (_OF_SEVERAL, _OF_ONE):
        for listed in function.findall(rule):
            for written in re.findall(_NAME, listed):
                name = _name_of(written.strip('"'), own_account)
                if name is None:
                    return None
                names[name] = None
        rule = function.sub(" ", rule)
    if not _REST.fullmatch(rule):
        return None
    return tuple(names)


def _name_of(written: str, own_account: str) -> str | None:
    """The name of an alarm that is written by name or by ARN; None for another account's."""
    if not written.startswith("arn:"):
        return written
    account, _, name = written.partition(":alarm:")
    if own_account and account != own_account:
        return None
    return name


def _untold_of(described: Answer) -> Untold | None:
    """Why an alarm cannot tell when trouble began, nor any above it."""
    if is_composite(described):
        return Untold.UNREAD if children_of(described) is None else None
    if periods_of(described):
        return None
    return Untold.NO_DATAPOINTS


def periods_of(described: Answer) -> list[int]:
    """The periods of an alarm's metric, or of each of its metric queries, in seconds.

    A log alarm has none, nor one on a PromQL query (LogAlarm and EvaluationCriteria, botocore
    cloudwatch/2010-08-01).
    """
    periods = [described.get("Period")]
    for query in described.get("Metrics", []):
        metric = query.get("MetricStat", {})
        periods.append(query.get("Period"))
        periods.append(metric.get("Period"))
    return [period for period in periods if period]
