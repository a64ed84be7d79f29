"""The state of a metric alarm, from its datapoints and its treatment of missing ones.

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

# the comparison, and its words in a reason
OPERATORS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}

# how a reason names the treatments that give missing datapoints a meaning
_TREATED_AS = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


@dataclass(frozen=True)
class Point:
    """One period of the evaluation range; `value` is None where it has no data."""

    start: datetime
    value: float | None
    sample_count: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """The state that the datapoints call for, and why; `reason_data` is a JSON string."""

    state: str
    reason: str
    reason_data: str


@dataclass(frozen=True)
class _Settings:
    """What an evaluation needs of an alarm's definition.

    `needed` of the last `periods` datapoints must breach; `missing_data` is the value of TreatMissingData.
    """

    periods: int
    needed: int
    comparison: str
    threshold: float
    missing_data: str
    statistic: str | None
    unit: str | None

    def is_breaching(self, point: Point) -> bool:
        """Whether the point has a value on the wrong side of the threshold."""
        compare, _ = OPERATORS[self.comparison]
        return point.value is not None and compare(point.value, self.threshold)


@dataclass(frozen=True)
class _Range:
    """The evaluation range, oldest first.

    `known` are its points with a value, `evaluated` the newest of these, as many as there are evaluation periods, and
    `missing` counts what they lack.
    """

    points: Sequence[Point]
    known: Sequence[Point]
    evaluated: Sequence[Point]
    breaching: Sequence[Point]
    missing: int


def evaluate_alarm(
    definition: dict[str, Any],
    points: Sequence[Point],
    *,
    period: int,
    now: datetime,
    state: str,
) -> Evaluation | None:
    """The state that follows `state`, None where it is retained because missing data is ignored.

    `points` is the whole range, oldest first; `period` is in seconds.
    """
    settings = _settings(definition)
    found = _range(settings, points)
    new_state = _next_state(settings, found)
    if new_state is None:
        return None
    reason = _reason(
        settings,
        found,
        state,
        new_state,
    )
    reason_data = _reason_data(
        settings,
        found,
        period,
        now,
    )
    return Evaluation(new_state, reason, reason_data)


def _settings(definition: dict[str, Any]) -> _Settings:
    periods = int(definition["EvaluationPeriods"])
    # metrics of AWS/DynamoDB are ignored by default, all others are missing
    default = "missing"
    if definition.get("Namespace") == "AWS/DynamoDB":
        default = "ignore"
    return _Settings(
        periods=periods,
        needed=int(definition.get("DatapointsToAlarm") or periods),
        comparison=definition["ComparisonOperator"],
        threshold=float(definition["Threshold"]),
        missing_data=definition.get("TreatMissingData") or default,
        statistic=definition.get("Statistic") or definition.get("ExtendedStatistic"),
        unit=definition.get("Unit"),
    )


def _range(settings: _Settings, points: Sequence[Point]) -> _Range:
    known = [point for point in points if point.value is not None]
    evaluated = known[-settings.periods :]
    breaching = list(filter(settings.is_breaching, evaluated))
    missing = settings.periods - len(evaluated)
    return _Range(
        points,
        known,
        evaluated,
        breaching,
        missing,
    )


def _next_state(settings: _Settings, found: _Range) -> str | None:
    if found.missing and settings.missing_data not in _TREATED_AS:
        return _state_despite_gaps(settings, found)
    breaching = len(found.breaching)
    if settings.missing_data == "breaching":
        breaching += found.missing
    return "ALARM" if breaching >= settings.needed else "OK"


def _state_despite_gaps(settings: _Settings, found: _Range) -> str | None:
    """Where missing datapoints are `missing` or `ignore`, and some are."""
    ignores = settings.missing_data == "ignore"
    if not found.known:
        return None if ignores else "INSUFFICIENT_DATA"
    if len(found.breaching) >= settings.needed:
        return "ALARM"
    if len(found.breaching) < len(found.known):
        return "OK"
    if ignores:
        return None
    # all that is known breaches: an alarm once the oldest is as many periods old as there are datapoints to alarm
    age_in_periods = len(found.points) - list(found.points).index(found.breaching[0])
    return "ALARM" if age_in_periods >= settings.needed else "OK"


def _reason(
    settings: _Settings,
    found: _Range,
    old_state: str,
    new_state: str,
) -> str:
    missing = found.missing
    if new_state == "INSUFFICIENT_DATA":
        return f"Insufficient Data: {_count(missing, 'datapoint')} {_were(missing)} unknown."

    treated = ""
    if missing and settings.missing_data in _TREATED_AS:
        kind = _TREATED_AS[settings.missing_data]
        treated = (
            f" and {_count(missing, 'missing datapoint')} {_were(missing)} treated as [{kind}]"
        )
    if not found.evaluated:
        periods = _count(settings.periods, "period")
        return f"Threshold Crossed: no datapoints were received for {periods}{treated}."

    crossing = _crossing(settings, found, new_state)
    least = _least(settings, old_state, new_state)
    return f"Threshold Crossed: {crossing}{treated} ({least})."


def _crossing(settings: _Settings, found: _Range, new_state: str) -> str:
    """The datapoints that speak for the new state, newest first, and their side."""
    _, words = OPERATORS[settings.comparison]
    if new_state == "ALARM":
        shown = found.breaching
    else:
        words = f"not {words}"
        shown = [point for point in found.evaluated if point not in found.breaching]
    if not shown:  # the missing datapoints decided
        shown = found.evaluated

    values = [f"{point.value} ({point.start:%d/%m/%y %H:%M:%S})" for point in reversed(shown)]
    looked_at = f"{len(shown)} out of the last {_count(settings.periods, 'datapoint')}"
    verb = _were(len(shown))
    return f"{looked_at} [{', '.join(values)}] {verb} {words} the threshold ({settings.threshold})"


def _least(settings: _Settings, old_state: str, new_state: str) -> str:
    """How many datapoints the transition takes at least."""
    least = settings.needed
    if new_state == "OK":
        least = settings.periods - settings.needed + 1
    transition = "OK -> ALARM"
    if old_state == "ALARM" and new_state == "OK":
        transition = "ALARM -> OK"
    return f"minimum {_count(least, 'datapoint')} for {transition} transition"


def _reason_data(
    settings: _Settings,
    found: _Range,
    period: int,
    now: datetime,
) -> str:
    data: dict[str, Any] = {"version": "1.0", "queryDate": timestamp(now)}
    if found.evaluated:
        data["startDate"] = timestamp(found.evaluated[0].start)
    if settings.unit:
        data["unit"] = settings.unit
    if settings.statistic:
        data["statistic"] = settings.statistic
    data["period"] = period
    data["recentDatapoints"] = [point.value for point in found.evaluated]
    data["threshold"] = settings.threshold
    data["evaluatedDatapoints"] = [_described(point) for point in _newest_first(found)]
    return json.dumps(data, separators=(",", ":"))


def _newest_first(found: _Range) -> list[Point]:
    """The evaluated points, with gaps in the place of those that are missing."""
    looked_at = list(found.evaluated)
    if found.missing:
        gaps = [point for point in found.points if point.value is None]
        looked_at += gaps[-found.missing :]
    return sorted(looked_at, key=lambda point: point.start, reverse=True)


def _described(point: Point) -> dict[str, str | float]:
    described: dict[str, str | float] = {"timestamp": timestamp(point.start)}
    if point.sample_count is not None:
        described["sampleCount"] = point.sample_count
    if point.value is not None:
        described["value"] = point.value
    return described


def timestamp(moment: datetime) -> str:
    """The time as alarms write it: 2026-11-02T12:00:00.000+0000."""
    milliseconds = moment.microsecond // 1000
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}+0000"


def _count(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}s"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"
