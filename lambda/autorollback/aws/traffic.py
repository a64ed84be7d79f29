"""What reached a service: the requests of a time, and the targets that are healthy now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from autorollback.policy import ServicePolicy

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from autorollback.aws.clients import Clients

Count = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests over time: `(start of the period, count)`, and the length of a period."""

    counts: tuple[Count, ...]
    period: timedelta

    def between(self, since: datetime, until: datetime) -> int:
        """The requests of every period that lies wholly within a time."""
        return sum(n for start, n in self.counts if start >= since and start + self.period <= until)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Reads Application Load Balancer metrics and target health."""

    clients: "Clients"

    def requests(self, policy: ServicePolicy, since: datetime, until: datetime, now: datetime) -> Requests:
        """RequestCount over all target groups of the service (AWS/ApplicationELB; dimensions TargetGroup, LoadBalancer).

        CloudWatch keeps one-minute datapoints 15 days, five-minute ones 63 days and hourly ones 455 days
        (GetMetricStatistics, "CloudWatch metric data retention").
        """
        period = _period(since, until, now)
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
            (at.astimezone(UTC), int(value))
            for page in pages
            for result in page["MetricDataResults"]
            for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        ]
        return Requests(tuple(sorted(counts)), period)

    def healthy_targets(self, target_group_arns: Sequence[str]) -> int:
        """Targets that the load balancer finds healthy now, over all target groups."""
        return sum(
            1
            for arn in target_group_arns
            for target in self.clients.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            if target.get("TargetHealth", {}).get("State") == "healthy"
        )


def _period(since: datetime, until: datetime, now: datetime) -> timedelta:
    age, length = now - since, until - since
    if age < timedelta(days=15) and length <= timedelta(hours=12):
        return timedelta(minutes=1)
    if age < timedelta(days=63) and length <= timedelta(days=4):
        return timedelta(minutes=5)
    return timedelta(hours=1)
