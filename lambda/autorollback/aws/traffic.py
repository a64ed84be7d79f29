"""What reached a service: the requests of a time, and the targets that are healthy now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from autorollback.policy import ServicePolicy

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from autorollback.aws.clients import Clients

Count = tuple[datetime, timedelta, int]

FINE, COARSE = timedelta(minutes=5), timedelta(hours=1)
FINEST, FINEST_UP_TO = timedelta(minutes=1), timedelta(hours=12)
FINEST_KEPT, FINE_KEPT = timedelta(days=15), timedelta(days=62)
"""How long CloudWatch keeps datapoints of a length; of the five-minute ones a day less than it says."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests over time, each count with the start and the length of the period that it is of."""

    counts: tuple[Count, ...]

    def between(self, since: datetime, until: datetime) -> int:
        """The requests of every period that lies wholly within a time."""
        return sum(n for start, period, n in self.counts if start >= since and start + period <= until)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Reads Application Load Balancer metrics and target health."""

    clients: "Clients"

    def requests(self, policy: ServicePolicy, since: datetime, until: datetime, now: datetime) -> Requests:
        """RequestCount over all target groups of the service (AWS/ApplicationELB; dimensions TargetGroup, LoadBalancer).

        CloudWatch keeps one-minute datapoints 15 days, five-minute ones 63 days and hourly ones 455 days
        (GetMetricStatistics, "CloudWatch metric data retention"). The calm part of a serving period may be its last half hour, of
        which an hourly datapoint tells nothing: the finest that are kept are read, 18,000 at most of each target group.
        """
        return Requests(
            tuple(
                count
                for start, end, period in _parts(since, until, now)
                for count in self._counts(policy, start, end, period)
            )
        )

    def _counts(self, policy: ServicePolicy, since: datetime, until: datetime, period: timedelta) -> list[Count]:
        queries: list[MetricDataQueryTypeDef] = [
            {
                "Id": f"requests{index}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/ApplicationELB",
                        "MetricName": "RequestCount",
                        "Dimensions": [
                            {"Name": "TargetGroup", "Value": group},
                            {"Name": "LoadBalancer", "Value": policy.load_balancer or ""},
                        ],
                    },
                    "Period": int(period.total_seconds()),
                    "Stat": "Sum",
                },
            }
            for index, group in enumerate(policy.target_groups)
        ]
        pages = self.clients.cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries, StartTime=since, EndTime=until
        )
        counts = [
            (at.astimezone(UTC), period, int(value))
            for page in pages
            for result in page["MetricDataResults"]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        ]
        return sorted(counts)

    def healthy_targets(self, target_group_arns: Sequence[str]) -> int:
        """Targets that the load balancer finds healthy now, over all target groups."""
        return sum(
            1
            for arn in target_group_arns
            for target in self.clients.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            if target.get("TargetHealth", {}).get("State") == "healthy"
        )


def _parts(since: datetime, until: datetime, now: datetime) -> list[tuple[datetime, datetime, timedelta]]:
    """The times to ask about, each with the period of its datapoints: most often one."""
    if now - since < FINEST_KEPT and until - since <= FINEST_UP_TO:
        return [(since, until, FINEST)]
    kept = (now - FINE_KEPT).replace(minute=0, second=0, microsecond=0)
    if since >= kept:
        return [(since, until, FINE)]
    if until <= kept:
        return [(since, until, COARSE)]
    return [(since, kept, COARSE), (kept, until, FINE)]
