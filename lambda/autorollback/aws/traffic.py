"""The requests that reached a service, and the targets that are healthy now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from autorollback.decision.request_counts import Count, Requests
from autorollback.policy import ServicePolicy

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

    from autorollback.aws.clients import Clients

ONE_MINUTE = timedelta(minutes=1)
FIVE_MINUTES = timedelta(minutes=5)
ONE_HOUR = timedelta(hours=1)

ONE_MINUTE_KEPT = timedelta(days=15)
FIVE_MINUTES_KEPT = timedelta(days=62)
"""How long CloudWatch keeps datapoints of a length.

Of the five-minute ones it is a day less than CloudWatch says.
"""

ONE_MINUTE_UP_TO = timedelta(hours=12)
"""The longest time that is asked about minute by minute."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """Reads Application Load Balancer metrics and target health."""

    clients: "Clients"

    def requests(
        self,
        policy: ServicePolicy,
        since: datetime,
        until: datetime,
        now: datetime,
    ) -> Requests:
        """RequestCount over all target groups of the service (AWS/ApplicationELB).

        CloudWatch keeps one-minute datapoints 15 days, five-minute ones 63 days and hourly ones 455
        days (GetMetricStatistics, "CloudWatch metric data retention"). The calm part of a serving period
        may be its last half hour, of which an hourly datapoint tells nothing: the finest that are
        kept are read, 18,000 at most of each target group. A time without a length has none, and
        GetMetricData refuses it.
        """
        counts: list[Count] = []
        if since >= until:
            return Requests(())
        for start, end, period in _parts(since, until, now):
            counts += self._counts(
                policy,
                start,
                end,
                period,
            )
        return Requests(tuple(counts))

    def _counts(
        self,
        policy: ServicePolicy,
        since: datetime,
        until: datetime,
        period: timedelta,
    ) -> list[Count]:
        paginator = self.clients.cloudwatch.get_paginator("get_metric_data")
        pages = paginator.paginate(
            MetricDataQueries=_queries(policy, period),
            StartTime=since,
            EndTime=until,
        )

        counts: list[Count] = []
        for page in pages:
            for result in page["MetricDataResults"]:
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    counts.append((at.astimezone(UTC), period, int(value)))
        return sorted(counts)

    def healthy_targets(self, target_group_arns: Sequence[str]) -> int:
        """Targets that the load balancer finds healthy now, over all target groups.

        A group that is gone has none: a service may still name it (DescribeTargetHealth, errors,
        botocore elasticloadbalancingv2/2015-12-01).
        """
        elbv2 = self.clients.elbv2
        healthy = 0
        for arn in target_group_arns:
            try:
                answer = elbv2.describe_target_health(TargetGroupArn=arn)
            except elbv2.exceptions.TargetGroupNotFoundException:
                continue
            for target in answer["TargetHealthDescriptions"]:
                healthy += target.get("TargetHealth", {}).get("State") == "healthy"
        return healthy


def _queries(policy: ServicePolicy, period: timedelta) -> "list[MetricDataQueryTypeDef]":
    """One query for each target group (dimensions TargetGroup, LoadBalancer)."""
    queries: list[MetricDataQueryTypeDef] = []
    for index, group in enumerate(policy.target_groups):
        query: MetricDataQueryTypeDef = {
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
        queries.append(query)
    return queries


def _parts(
    since: datetime,
    until: datetime,
    now: datetime,
) -> list[tuple[datetime, datetime, timedelta]]:
    """The times to ask about, each with the period of its datapoints.

    Most often it is one.
    """
    minutes_are_kept = now - since < ONE_MINUTE_KEPT
    if minutes_are_kept and until - since <= ONE_MINUTE_UP_TO:
        return [(since, until, ONE_MINUTE)]

    kept_from = (now - FIVE_MINUTES_KEPT).replace(minute=0, second=0, microsecond=0)
    if since >= kept_from:
        return [(since, until, FIVE_MINUTES)]
    if until <= kept_from:
        return [(since, until, ONE_HOUR)]
    return [(since, kept_from, ONE_HOUR), (kept_from, until, FIVE_MINUTES)]
