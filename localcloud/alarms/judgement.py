"""The state of a metric alarm, from the datapoints of its evaluation range and how it treats the missing ones.

Sources: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html and alarm-evaluation.html.
The wording of reasons and the shape of the reason's data are those of published events and notifications.
"""

import json
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# CloudWatch fetches more datapoints than it needs; the one example that is documented has 5 for 3 evaluation periods
EXTRA_DATAPOINTS = 2

OPERATORS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Point:
    """One period of the evaluation range; `value` is None where it has no data."""

    start: datetime
    value: float | None
    sample_count: float | None = None


@dataclass(frozen=True)
class Judgement:
    """The state that the datapoints call for, and why; `reason_data` is a JSON string."""

    state: str
    reason: str
    reason_data: str


def judge(
    definition: dict[str, Any], points: Sequence[Point], *, period: int, now: datetime, state: str
) -> Judgement | None:
    """None: the state is retained (missing data is ignored). `points` is the whole range, oldest first."""
    wanted = int(definition["EvaluationPeriods"])
    needed = int(definition.get("DatapointsToAlarm") or wanted)
    breaches = _breaches(definition)
    real = [point for point in points if point.value is not None]
    evaluated = real[-wanted:]
    breaching = [point for point in evaluated if breaches(point)]
    missing = wanted - len(evaluated)
    verdict = _verdict(definition, points, breaching, real, missing, needed)
    if verdict is None:
        return None
    reason = _reason(definition, verdict, evaluated, breaching, missing, needed, state)
    gaps = [point for point in points if point.value is None][-missing:] if missing else []
    looked_at = sorted([*evaluated, *gaps], key=lambda point: point.start)
    return Judgement(verdict, reason, _reason_data(definition, evaluated, looked_at, period, now))


def _breaches(definition: dict[str, Any]) -> Callable[[Point], bool]:
    compare, _ = OPERATORS[definition["ComparisonOperator"]]
    return lambda point: point.value is not None and compare(point.value, definition["Threshold"])


def treatment(definition: dict[str, Any]) -> str:
    """How missing data is treated; metrics of AWS/DynamoDB are ignored by default, all others are missing."""
    default = "ignore" if definition.get("Namespace") == "AWS/DynamoDB" else "missing"
    return str(definition.get("TreatMissingData") or default)


def _verdict(
    definition: dict[str, Any],
    points: Sequence[Point],
    breaching: Sequence[Point],
    real: Sequence[Point],
    missing: int,
    needed: int,
) -> str | None:
    if not missing:
        return "ALARM" if len(breaching) >= needed else "OK"
    treat = treatment(definition)
    if treat == "breaching":
        return "ALARM" if len(breaching) + missing >= needed else "OK"
    if treat == "notBreaching":
        return "ALARM" if len(breaching) >= needed else "OK"
    if not real:
        return "INSUFFICIENT_DATA" if treat == "missing" else None
    if len(breaching) >= needed:
        return "ALARM"
    if len(breaching) < len(real):
        return "OK"
    # all that is known breaches: an alarm once the oldest is as many periods old as there are datapoints to alarm
    old_enough = len(points) - list(points).index(breaching[0]) >= needed
    if treat == "ignore":
        return None
    return "ALARM" if old_enough else "OK"


def _reason(
    definition: dict[str, Any],
    verdict: str,
    evaluated: Sequence[Point],
    breaching: Sequence[Point],
    missing: int,
    needed: int,
    state: str,
) -> str:
    wanted = int(definition["EvaluationPeriods"])
    _, words = OPERATORS[definition["ComparisonOperator"]]
    if verdict == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_count(missing, 'datapoint')} {_were(missing)} unknown."
    treated = ""
    if missing and treatment(definition) in ("breaching", "notBreaching"):
        kind = "Breaching" if treatment(definition) == "breaching" else "NonBreaching"
        treated = f"{_count(missing, 'missing datapoint')} {_were(missing)} treated as [{kind}]"
    if not evaluated:
        return f"Threshold Crossed: no datapoints were received for {_count(wanted, 'period')} and {treated}."
    shown = breaching if verdict == "ALARM" and breaching else [p for p in evaluated if p not in breaching] or evaluated
    values = ", ".join(f"{point.value} ({point.start:%d/%m/%y %H:%M:%S})" for point in reversed(shown))
    not_ = "" if verdict == "ALARM" else " not"
    turn = f"{'ALARM -> OK' if state == 'ALARM' and verdict == 'OK' else 'OK -> ALARM'} transition"
    least = needed if verdict == "ALARM" else wanted - needed + 1
    aside = f" and {treated}" if treated else ""
    return (
        f"Threshold Crossed: {len(shown)} out of the last {_count(wanted, 'datapoint')} [{values}] "
        f"{_were(len(shown))}{not_} {words} the threshold ({float(definition['Threshold'])}){aside} "
        f"(minimum {_count(least, 'datapoint')} for {turn})."
    )


def _reason_data(
    definition: dict[str, Any], evaluated: Sequence[Point], looked_at: Sequence[Point], period: int, now: datetime
) -> str:
    data: dict[str, Any] = {"version": "1.0", "queryDate": timestamp(now)}
    if evaluated:
        data["startDate"] = timestamp(evaluated[0].start)
    if definition.get("Unit"):
        data["unit"] = definition["Unit"]
    if statistic := definition.get("Statistic") or definition.get("ExtendedStatistic"):
        data["statistic"] = statistic
    data["period"] = period
    data["recentDatapoints"] = [point.value for point in evaluated]
    data["threshold"] = float(definition["Threshold"])
    data["evaluatedDatapoints"] = [_evaluated(point) for point in reversed(looked_at)]
    return json.dumps(data, separators=(",", ":"))


def _evaluated(point: Point) -> dict[str, Any]:
    known = {"sampleCount": point.sample_count, "value": point.value}
    return {"timestamp": timestamp(point.start)} | {key: value for key, value in known.items() if value is not None}


def timestamp(moment: datetime) -> str:
    """As alarms write it: 2026-11-02T12:00:00.000+0000."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}+0000"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
