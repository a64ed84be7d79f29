"""Metric data by period: what moto stores, indexed, and the statistics of CloudWatch on it."""

import math
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum

from localcloud.alarms.expressions import ExpressionError, Scope, Series, evaluate
from localcloud.alarms.queries import MetricKey, MetricQuery, MetricStat, in_order

_MINUTE = timedelta(minutes=1)
# how long datapoints of a period that is a multiple of so many seconds are kept
# (GetMetricStatistics, "CloudWatch metric data retention"); shorter ones for three hours
_KEPT = (
    (3600, timedelta(days=455)),
    (300, timedelta(days=63)),
    (60, timedelta(days=15)),
    (1, timedelta(hours=3)),
)
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")


@dataclass
class Samples:
    """All datapoints that fall into one period, summed up.

    A single value is a statistic set of one.

    `sets` holds the smallest and the greatest value of each set, and how many samples it is of.
    """

    count: float = 0.0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf
    sets: list[tuple[float, float, float]] = field(default_factory=list)

    def add(
        self,
        minimum: float,
        maximum: float,
        total: float,
        count: float,
    ) -> None:
        """Add a statistic set."""
        self.count += count
        self.total += total
        self.minimum = min(self.minimum, minimum)
        self.maximum = max(self.maximum, maximum)
        self.sets.append((minimum, maximum, count))

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
        return _STATISTICS[name](self)

    def _percentile(self, share: float) -> float | None:
        """Linear between the ranks.

        A statistic set counts only where all of its samples are equal.

        A set that spans several values hides its distribution, so CloudWatch has no percentile of it:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
        """
        ordered: list[float] = []
        for minimum, maximum, count in self.sets:
            if minimum != maximum:
                return None
            ordered += [minimum] * int(count)
        if not ordered:
            return None

        ordered.sort()
        rank = share * (len(ordered) - 1)
        low = ordered[math.floor(rank)]
        high = ordered[math.ceil(rank)]
        return low + (high - low) * (rank - math.floor(rank))


_STATISTICS: dict[str, Callable[[Samples], float]] = {
    "Sum": lambda samples: samples.total,
    "Average": lambda samples: samples.total / samples.count,
    "Minimum": lambda samples: samples.minimum,
    "Maximum": lambda samples: samples.maximum,
    "SampleCount": lambda samples: samples.count,
}


class MetricStore:
    """Reads moto's metric data by name, dimensions and minute, without scanning all of it."""

    def __init__(self, backend: CloudWatchBackend, now: Callable[[], datetime]) -> None:
        self._backend = backend
        self._now = now
        self._lock = threading.Lock()
        self._read = 0
        self._minutes: dict[MetricKey, dict[datetime, list[Any]]] = {}

    def samples(
        self,
        stat: MetricStat,
        start: datetime,
        length: timedelta,
    ) -> Samples:
        """The datapoints of the metric from `start` (inclusive), for `length`."""
        self._catch_up()
        samples = Samples()
        end = start + length
        minutes = self._minutes.get(stat.key, {})
        moment = _minute(start)
        while moment < end:
            for datum in minutes.get(moment, ()):
                in_period = start <= aware(datum.timestamp) < end
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
                minutes[_minute(aware(datum.timestamp))].append(datum)
            self._read += len(fresh)

    def query(
        self,
        queries: Sequence[MetricQuery],
        moments: Sequence[datetime],
        period: int,
    ) -> dict[str, Series]:
        """The series of each query by its id.

        `moments` are the starts of periods of `period` seconds.

        Raises:
            ExpressionError: an expression or a statistic is malformed or not modelled, or refers in a circle.
        """
        metric_ids = [query.id for query in queries if query.stat is not None]
        series: dict[str, Series] = {}
        for query in in_order(queries):
            if query.stat is not None:
                series[query.id] = self._series(query.stat, moments, period)
            else:
                scope = Scope(
                    series,
                    metric_ids,
                    moments,
                    period,
                )
                series[query.id] = evaluate(query.expression, scope)
        return series

    def _series(
        self,
        stat: MetricStat,
        moments: Sequence[datetime],
        period: int,
    ) -> Series:
        length = timedelta(seconds=period)
        oldest = self._now() - _kept(period)
        series = {}
        for moment in moments:
            if moment < oldest:
                continue
            value = self.samples(stat, moment, length).statistic(stat.statistic)
            if value is not None:
                series[moment] = value
        return series


def _kept(period: int) -> timedelta:
    return next(kept for multiple, kept in _KEPT if period % multiple == 0)


def _add(samples: Samples, datum: Any) -> None:
    if isinstance(datum, MetricAggregatedDatum):
        samples.add(
            datum.min,
            datum.max,
            datum.sum,
            datum.sample_count,
        )
    else:
        samples.add(
            datum.value,
            datum.value,
            datum.value,
            1,
        )


def aware(moment: datetime) -> datetime:
    """The moment with its time zone, which is UTC where moto gives none."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
