"""Queries of metric data, each a statistic of a metric or an expression."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from localcloud.alarms.expressions import ExpressionError

MetricKey = tuple[str, str, frozenset[tuple[str, str]]]
_IDENTIFIER = re.compile(r"[a-z]\w*")


@dataclass(frozen=True)
class MetricStat:
    """A statistic of one metric.

    `period` is in seconds, and `unit` None where any unit counts.
    """

    namespace: str
    name: str
    dimensions: dict[str, str]
    statistic: str
    period: int
    unit: str | None

    @property
    def key(self) -> MetricKey:
        """What identifies the metric: namespace, name and exactly these dimensions."""
        return self.namespace, self.name, frozenset(self.dimensions.items())


@dataclass(frozen=True)
class MetricQuery:
    """One query by its id: `stat` is None where the query is an `expression`."""

    id: str
    stat: MetricStat | None = None
    expression: str = ""
    label: str | None = None
    period: int | None = None
    returns_data: bool = True


def parse_query(raw: dict[str, Any]) -> MetricQuery:
    """Read a MetricDataQuery of CloudWatch's API."""
    stat = None
    if raw.get("MetricStat"):
        stat = _parse_stat(raw["MetricStat"])
    period = None
    if raw.get("Period"):
        period = int(raw["Period"])
    return MetricQuery(
        id=raw["Id"],
        stat=stat,
        expression=raw.get("Expression") or "",
        label=raw.get("Label"),
        period=period,
        returns_data=raw.get("ReturnData") is not False,
    )


def _parse_stat(raw: dict[str, Any]) -> MetricStat:
    metric = raw["Metric"]
    return MetricStat(
        namespace=metric["Namespace"],
        name=metric["MetricName"],
        dimensions=_parse_dimensions(metric),
        statistic=raw["Stat"],
        period=int(raw["Period"]),
        unit=raw.get("Unit") or None,
    )


def _parse_dimensions(raw: dict[str, Any]) -> dict[str, str]:
    given = raw.get("Dimensions") or []
    return {dimension["Name"]: dimension["Value"] for dimension in given}


def query_of_plain_metric(definition: dict[str, Any]) -> MetricQuery:
    """The query of an alarm that names a metric instead of queries."""
    stat = MetricStat(
        namespace=definition["Namespace"],
        name=definition["MetricName"],
        dimensions=_parse_dimensions(definition),
        statistic=definition.get("Statistic") or definition["ExtendedStatistic"],
        period=int(definition["Period"]),
        unit=definition.get("Unit") or None,
    )
    return MetricQuery(id="m1", stat=stat)


def shared_period(queries: Iterable[MetricQuery]) -> int:
    """The one period, in seconds, that the queries share.

    Raises:
        ExpressionError: they have none, or several, which is not modelled.
    """
    periods = set()
    for query in queries:
        if query.stat is not None:
            periods.add(query.stat.period)
        if query.period is not None:
            periods.add(query.period)
    if len(periods) != 1:
        found = sorted(periods) or "none"
        raise ExpressionError(f"metrics of one period are modelled, not of {found} together")
    return periods.pop()


def in_order(queries: Iterable[MetricQuery]) -> list[MetricQuery]:
    """The metrics, then each expression after those that it refers to.

    Raises:
        ExpressionError: expressions refer to each other in a circle.
    """
    ordered = []
    waiting: dict[str, MetricQuery] = {}
    for query in queries:
        if query.stat is not None:
            ordered.append(query)
        else:
            waiting[query.id] = query

    while waiting:
        ready = [query for query in waiting.values() if not _refers_to(query, waiting)]
        if not ready:
            raise ExpressionError(f"{list(waiting)} refer to each other in a circle")
        ordered += ready
        for query in ready:
            del waiting[query.id]
    return ordered


def _refers_to(query: MetricQuery, others: Iterable[str]) -> bool:
    mentioned = set(_IDENTIFIER.findall(query.expression))
    return not mentioned.isdisjoint(others)
