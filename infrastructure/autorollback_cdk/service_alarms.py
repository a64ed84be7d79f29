"""The alarms of one protected service.

No alarm has an action: CloudWatch sends every change of state to EventBridge by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from autorollback.naming import OWN_SIGNAL_PREFIX, Names
from autorollback.policy import ServicePolicy

PERIOD_SECONDS = 60
LATENCY_NEEDS_TIMES_THE_REQUESTS = 5
"""A p99 of few requests is their slowest one; of 100 (five times the default minimum) one slow request is not it."""

Query = cloudwatch.CfnAlarm.MetricDataQueryProperty


@dataclass(frozen=True, slots=True)
class _Signal:
    """One alarm, which fires while the expression over the queries crosses the threshold."""

    name: str
    label: str
    queries: Sequence[Query]
    expression: str
    threshold: float
    operator: str = "GreaterThanThreshold"
    least_datapoints: int = 1
    missing_data: str = "notBreaching"


class ServiceAlarms(Construct):
    """All alarms of one service, named `<prefix>/<cluster>/<service>/<signal>`."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        names: Names,
        protected: ServicePolicy,
    ) -> None:
        super().__init__(scope, construct_id)
        self._names = names
        self._protected = protected
        if protected.load_balancer is not None:
            self._error_rate()
            self._latency()
            self._unhealthy_targets()
        for number, alarm in enumerate(protected.alarms):
            self._own(f"Own{number}", alarm)

    def _error_rate(self) -> None:
        """5xx as percent of requests, strictly above the limit.

        Minutes with few requests or few errors count as zero.

        `HTTPCode_ELB_5XX_Count` exists per load balancer only, so it is added where that serves this service alone, to
        the requests as well: `RequestCount` of a target group counts only requests for which a target was chosen.
        (https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html)
        """
        policy = self._protected.policy
        errors = self._per_group("errors", "HTTPCode_Target_5XX_Count", "Sum")
        requests = self._per_group("requests", "RequestCount", "Sum")
        queries = [*errors, *requests]
        error_sum = _sum_of(errors)
        request_sum = _sum_of(requests)
        if policy.dedicated_load_balancer:
            refused = self._query(
                "refused",
                "HTTPCode_ELB_5XX_Count",
                "Sum",
                target_group=None,
            )
            queries.append(refused)
            error_sum += "+FILL(refused,0)"
            request_sum += "+FILL(refused,0)"
        queries += [_hidden("e", error_sum), _hidden("r", request_sum)]

        enough = f"r >= {policy.minimum_requests} AND e >= {policy.minimum_errors}"
        signal = _Signal(
            name="5xx-rate",
            label="5xx share of requests, percent",
            queries=queries,
            expression=f"IF({enough}, 100*e/IF(r > 0, r, 1), 0)",
            threshold=policy.error_rate_percent,
        )
        self._alarm(signal)

    def _latency(self) -> None:
        """The p99 response time in seconds, of two groups the larger, strictly above the limit.

        Quiet minutes count as zero.
        """
        policy = self._protected.policy
        times = self._per_group("seconds", "TargetResponseTime", "p99")
        requests = self._per_group("requests", "RequestCount", "Sum")
        slowest = "FILL(seconds0,0)"
        if len(times) == 2:
            slowest = "IF(FILL(seconds0,0) > FILL(seconds1,0), FILL(seconds0,0), FILL(seconds1,0))"
        sums = [_hidden("s", slowest), _hidden("r", _sum_of(requests))]
        minimum_requests = LATENCY_NEEDS_TIMES_THE_REQUESTS * policy.minimum_requests
        signal = _Signal(
            name="latency",
            label="p99 response time, seconds",
            queries=[*times, *requests, *sums],
            expression=f"IF(r >= {minimum_requests}, s, 0)",
            threshold=policy.latency_p99_seconds,
        )
        self._alarm(signal)

    def _unhealthy_targets(self) -> None:
        """1 in a minute with too few healthy or too many unhealthy targets.

        Both counts are reported only while targets are registered, so no datapoint means no target, and breaches. Of
        two groups, blue/green leaves one empty: their counts add up. The newest minute may be filled with 0 before its
        datapoint arrives, so one breaching minute is never enough, whatever the policy says.
        """
        policy = self._protected.policy
        healthy = self._per_group("healthy", "HealthyHostCount", "Minimum")
        unhealthy = self._per_group("unhealthy", "UnHealthyHostCount", "Minimum")
        sums = [_hidden("h", _sum_of(healthy)), _hidden("u", _sum_of(unhealthy))]
        signal = _Signal(
            name="unhealthy-targets",
            label="too few healthy or too many unhealthy targets",
            queries=[*healthy, *unhealthy, *sums],
            expression=f"IF(h < 1 OR u >= {policy.unhealthy_targets}, 1, 0)",
            threshold=1,
            operator="GreaterThanOrEqualToThreshold",
            least_datapoints=2,
            missing_data="breaching",
        )
        self._alarm(signal)

    def _own(self, construct_id: str, alarm: str) -> None:
        """Make a composite alarm around an alarm of the user's.

        So its changes carry the service in their name.
        """
        cloudwatch.CfnCompositeAlarm(
            self,
            construct_id,
            alarm_name=self._names.alarm(self._protected.key, f"{OWN_SIGNAL_PREFIX}{alarm}"),
            alarm_description=self._description(f"the alarm {alarm} is in ALARM"),
            alarm_rule=f'ALARM("{alarm}")',
        )

    def _alarm(self, signal: _Signal) -> None:
        policy = self._protected.policy
        datapoints = max(policy.datapoints_to_alarm, signal.least_datapoints)
        result = Query(
            id="signal",
            expression=signal.expression,
            label=signal.label,
            return_data=True,
        )
        cloudwatch.CfnAlarm(
            self,
            signal.name,
            alarm_name=self._names.alarm(self._protected.key, signal.name),
            alarm_description=self._description(signal.label),
            metrics=[*signal.queries, result],
            comparison_operator=signal.operator,
            threshold=signal.threshold,
            datapoints_to_alarm=datapoints,
            evaluation_periods=max(policy.evaluation_periods, datapoints),
            treat_missing_data=signal.missing_data,
        )

    def _per_group(
        self,
        query_id: str,
        metric: str,
        statistic: str,
    ) -> list[Query]:
        return [
            self._query(
                f"{query_id}{number}",
                metric,
                statistic,
                target_group=group,
            )
            for number, group in enumerate(self._protected.target_groups)
        ]

    def _query(
        self,
        query_id: str,
        metric: str,
        statistic: str,
        *,
        target_group: str | None,
    ) -> Query:
        given = {"LoadBalancer": self._protected.load_balancer, "TargetGroup": target_group}
        dimensions = [
            cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value)
            for name, value in given.items()
            if value is not None
        ]
        measured = cloudwatch.CfnAlarm.MetricProperty(
            namespace="AWS/ApplicationELB", metric_name=metric, dimensions=dimensions
        )
        metric_stat = cloudwatch.CfnAlarm.MetricStatProperty(
            metric=measured, period=PERIOD_SECONDS, stat=statistic
        )
        return Query(id=query_id, return_data=False, metric_stat=metric_stat)

    def _description(self, what: str) -> str:
        key = self._protected.key
        return f"Auto-rollback judges the newest deployment of {key} when this fires: {what}."


def _sum_of(queries: Sequence[Query]) -> str:
    return "+".join(f"FILL({query.id},0)" for query in queries)


def _hidden(query_id: str, expression: str) -> Query:
    return Query(id=query_id, expression=expression, return_data=False)
