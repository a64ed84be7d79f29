"""Metric data by period: what moto stores, indexed, and the statistics of CloudWatch on it."""

import math
import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum

from localcloud.alarms.expressions import ExpressionError, Scope, Series, evaluate
from localcloud.alarms.queries import MetricKey, MetricQuery, MetricStat, in_order

_MINUTE = timedelta(minutes=1)
_STATISTICS = frozenset({"Sum", "Average", "Minimum", "Maximum", "SampleCount"})
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass
class Samples:
    """All datapoints that fall into one period: single values, and statistic sets."""

    values: list[float] = field(default_factory=list)
    sets: list[MetricAggregatedDatum] = field(default_factory=list)

    @property
    def count(self) -> float:
        """How many samples there are, those inside statistic sets included."""
        in_sets = sum(one.sample_count for one in self.sets)
        return float(len(self.values) + in_sets)

    @property
    def total(self) -> float:
        """The sum of all samples."""
        in_sets = sum(one.sum for one in self.sets)
        return float(sum(self.values) + in_sets)

    def statistic(self, name: str) -> float | None:
        """A statistic by CloudWatch's name for it, None where there are no samples.

        Raises:
            ExpressionError: the statistic is not modelled.
        """
        percentile = _PERCENTILE.fullmatch(name)
        if percentile:
            return self._percentile(float(percentile[1]) / 100)
        if name not in _STATISTICS:
            raise ExpressionError(f"the statistic {name!r} is not modelled")
        if not self.count:
            return None
        smallest = [one.min for one in self.sets]
        greatest = [one.max for one in self.sets]
        statistics: dict[str, float] = {
            "Sum": self.total,
            "Average": self.total / self.count,
            "Minimum": min(self.values + smallest),
            "Maximum": max(self.values + greatest),
            "SampleCount": self.count,
        }
        return statistics[name]

    def _percentile(self, share: float) -> float | None:
        """Linear between the ranks; a statistic set counts only where all of its samples are equal.

        A set that spans several values hides its distribution, so CloudWatch has no percentile of it:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
        """
        ordered = list(self.values)
        for one in self.sets:
            if one.min != one.max:
                return None
            ordered += [one.min] * int(one.sample_count)
        if not ordered:
            return None

        ordered.sort()
        rank = share * (len(ordered) - 1)
        low = ordered[math.floor(rank)]
        high = ordered[math.ceil(rank)]
        return low + (high - low) * (rank - math.floor(rank))


class MetricStore:
    """Reads moto's metric data by name, dimensions and minute, without scanning all of it."""

    def __init__(self, backend: CloudWatchBackend) -> None:
        self._backend = backend
        self._lock = threading.Lock()
        self._read = 0
        self._minutes: dict[MetricKey, dict[datetime, list[Any]]] = {}

    def samples(self, stat: MetricStat, start: datetime, length: timedelta) -> Samples:
        """The datapoints of the metric from `start` (inclusive), for `length`."""
        self._catch_up()
        samples = Samples()
        end = start + length
        minutes = self._minutes.get(stat.key, {})
        moment = _minute(start)
        while moment < end:
            for datum in minutes.get(moment, ()):
                in_period = start <= _aware(datum.timestamp) < end
                if in_period and stat.unit in (None, datum.unit):
                    _add(samples, datum)
            moment += _MINUTE
        return samples

    def _catch_up(self) -> None:
        """Index what the backend has received since the last time."""
        with self._lock:
            data = self._backend.metric_data
            was_reset = len(data) < self._read
            if was_reset:
                self._read = 0
                self._minutes.clear()

            fresh = data[self._read :]
            for datum in fresh:
                dimensions = frozenset((one.name, one.value) for one in datum.dimensions)
                key = (datum.namespace, datum.name, dimensions)
                minutes = self._minutes.setdefault(key, defaultdict(list))
                minutes[_minute(_aware(datum.timestamp))].append(datum)
            self._read += len(fresh)

    def query(
        self, queries: Sequence[MetricQuery], moments: Sequence[datetime], period: int
    ) -> dict[str, Series]:
        """The series of each query by its id, at these moments: the starts of periods of `period` seconds.

        Raises:
            ExpressionError: an expression or a statistic is malformed or not modelled, or refers in a circle.
        """
        metric_ids = [query.id for query in queries if query.stat is not None]
        series: dict[str, Series] = {}
        for query in in_order(queries):
            if query.stat is not None:
                series[query.id] = self._series(query.stat, moments, period)
            else:
                scope = Scope(series, metric_ids, moments, period)
                series[query.id] = evaluate(query.expression, scope)
        return series

    def _series(self, stat: MetricStat, moments: Sequence[datetime], period: int) -> Series:
        length = timedelta(seconds=period)
        series = {}
        for moment in moments:
            value = self.samples(stat, moment, length).statistic(stat.statistic)
            if value is not None:
                series[moment] = value
        return series


def _add(samples: Samples, datum: Any) -> None:
    if isinstance(datum, MetricAggregatedDatum):
        samples.sets.append(datum)
    else:
        samples.values.append(datum.value)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
