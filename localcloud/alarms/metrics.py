"""Metric data by period: what moto stores, indexed, and the statistics of CloudWatch on it."""

import math
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum

from localcloud.alarms.expressions import ExpressionError, Scope, Series, evaluate

_Key = tuple[str, str, frozenset[tuple[str, str]]]
_MINUTE = timedelta(minutes=1)


@dataclass
class _Samples:
    """All datapoints that fall into one period: single values, and statistic sets."""

    values: list[float] = field(default_factory=list)
    sets: list[MetricAggregatedDatum] = field(default_factory=list)

    @property
    def count(self) -> float:
        return float(len(self.values) + sum(s.sample_count for s in self.sets))

    def statistic(self, name: str) -> float | None:
        """`None` where there are no samples.

        Raises:
            ExpressionError: the statistic is not modelled.
        """
        if percentile := re.fullmatch(r"p(\d{1,2}(?:\.\d+)?|100)", name):
            return self._percentile(float(percentile[1]) / 100)
        if name not in ("Sum", "Average", "Minimum", "Maximum", "SampleCount"):
            raise ExpressionError(f"the statistic {name!r} is not modelled")
        if not self.count:
            return None
        total = sum(self.values) + sum(s.sum for s in self.sets)
        statistics: dict[str, float] = {
            "Sum": total,
            "Average": total / self.count,
            "Minimum": min([*self.values, *(s.min for s in self.sets)]),
            "Maximum": max([*self.values, *(s.max for s in self.sets)]),
            "SampleCount": float(self.count),
        }
        return statistics[name]

    def _percentile(self, share: float) -> float | None:
        """Linear between the ranks; a statistic set counts only where all of its samples are equal.

        A set that spans several values hides its distribution, so CloudWatch has no percentile of it:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
        """
        if any(s.min != s.max for s in self.sets):
            return None
        ordered: list[float] = sorted([*self.values, *(s.min for s in self.sets for _ in range(int(s.sample_count)))])
        if not ordered:
            return None
        rank = share * (len(ordered) - 1)
        low, high = ordered[math.floor(rank)], ordered[math.ceil(rank)]
        return low + (high - low) * (rank - math.floor(rank))


class MetricStore:
    """Reads moto's metric data by name, dimensions and minute, so that an evaluation does not scan all of it."""

    def __init__(self, backend: CloudWatchBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._read = 0
        self._minutes: dict[_Key, dict[datetime, list[Any]]] = defaultdict(lambda: defaultdict(list))

    def samples(self, metric: dict[str, Any], start: datetime, length: timedelta, unit: str | None = None) -> _Samples:
        """The datapoints of a metric with exactly these dimensions, from `start` (inclusive), for `length`."""
        self._catch_up()
        key = _key(
            metric["Namespace"], metric["MetricName"], ((d["Name"], d["Value"]) for d in metric.get("Dimensions") or ())
        )
        samples = _Samples()
        minutes = self._minutes.get(key, {})
        moment = _minute(start)
        while moment < start + length:
            for datum in minutes.get(moment, ()):
                if start <= _aware(datum.timestamp) < start + length and unit in (None, datum.unit):
                    if isinstance(datum, MetricAggregatedDatum):
                        samples.sets.append(datum)
                    else:
                        samples.values.append(datum.value)
            moment += _MINUTE
        return samples

    def _catch_up(self) -> None:
        with self._lock:
            data = self._backend.metric_data
            if len(data) < self._read:  # the backend was reset
                self._read = 0
                self._minutes.clear()
            fresh = data[self._read :]
            for datum in fresh:
                key = _key(datum.namespace, datum.name, ((d.name, d.value) for d in datum.dimensions))
                self._minutes[key][_minute(_aware(datum.timestamp))].append(datum)
            self._read += len(fresh)

    def query(self, queries: Sequence[dict[str, Any]], moments: Sequence[datetime], period: int) -> dict[str, Series]:
        """The series of each query by its id, at these moments: the starts of periods of `period` seconds.

        Raises:
            ExpressionError: an expression or a statistic is malformed or not modelled, or refers in a circle.
        """
        length = timedelta(seconds=period)
        series: dict[str, Series] = {}
        metrics = [q for q in queries if q.get("MetricStat")]
        for query in metrics:
            stat = query["MetricStat"]
            points = {
                moment: self.samples(stat["Metric"], moment, length, stat.get("Unit")).statistic(stat["Stat"])
                for moment in moments
            }
            series[query["Id"]] = {moment: value for moment, value in points.items() if value is not None}
        for query in _in_order([q for q in queries if not q.get("MetricStat")], set(series)):
            scope = Scope(series, [q["Id"] for q in metrics], moments, period)
            series[query["Id"]] = evaluate(query["Expression"], scope)
        return series


def period_of(queries: Iterable[dict[str, Any]]) -> int:
    """The one period, in seconds, that the queries share.

    Raises:
        ExpressionError: they have none, or several, which is not modelled.
    """
    periods = {int(q["MetricStat"]["Period"]) for q in queries if q.get("MetricStat")}
    periods |= {int(q["Period"]) for q in queries if q.get("Period")}
    if len(periods) != 1:
        raise ExpressionError(f"metrics of one period are modelled, not of {sorted(periods) or 'none'} together")
    return periods.pop()


def _in_order(expressions: list[dict[str, Any]], known: set[str]) -> list[dict[str, Any]]:
    """Each expression after those that it refers to."""
    ordered: list[dict[str, Any]] = []
    ids = {q["Id"] for q in expressions}
    while expressions:
        ready = [q for q in expressions if not (set(re.findall(r"[a-z]\w*", q["Expression"])) & ids) - known]
        if not ready:
            raise ExpressionError(f"{[q['Id'] for q in expressions]} refer to each other in a circle")
        ordered += ready
        known = known | {q["Id"] for q in ready}
        expressions = [q for q in expressions if q not in ready]
    return ordered


def _key(namespace: str, name: str, dimensions: Iterable[tuple[str, str]]) -> _Key:
    return namespace, name, frozenset(dimensions)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
