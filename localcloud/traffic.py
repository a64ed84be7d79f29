"""Requests through a load balancer, whose metrics depend on which images serve.

The metrics are those of load-balancer-cloudwatch-metrics.html, written each simulated minute for
the minute that ended, with the dimensions LoadBalancer and TargetGroup. Not published: metrics by
Availability Zone, and target metrics of a whole load balancer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.cloudwatch.models import cloudwatch_backends

from localcloud.ecs.model import Revision, Service
from localcloud.ecs.registry import Ecs
from localcloud.ecs.scheduler import TICK, Fitness
from localcloud.shapes import ApiObject

if TYPE_CHECKING:
    from localcloud.base import Cloud

MINUTE = timedelta(minutes=1)
NAMESPACE = "AWS/ApplicationELB"
_ROUNDING = 1e-6  # sums of fractions may fall short of a whole request by less than this

_Dimensions = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How tasks with an image do.

    `error_rate` is the share of requests answered with 5xx (0 to 1), `latency_seconds` the time to
    the response headers; `starts` is whether tasks reach RUNNING, `healthy` whether they pass the
    load balancer's health checks.
    """

    error_rate: float = 0.0
    latency_seconds: float = 0.1
    starts: bool = True
    healthy: bool = True


GOOD = Behaviour()


@dataclass(slots=True)
class _Hosts:
    """The hosts of one target group at one tick."""

    healthy: int = 0
    unhealthy: int = 0


@dataclass(slots=True)
class _Counts:
    """One target group's minute.

    Requests and errors are fractions until they are whole; hosts are counted at each tick.
    `latencies` are requests by the seconds that they took.
    """

    requests: float = 0.0
    errors: float = 0.0
    latencies: dict[float, float] = field(default_factory=dict)
    hosts: list[_Hosts] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Flow:
    """The requests to one service.

    Two target groups alternate between its revisions, as blue/green has them. `refused` are
    requests that found no healthy task.
    """

    cluster: str
    service: str
    load_balancer: str
    target_groups: tuple[str, ...]
    requests_per_minute: float
    group_of: dict[Revision, str] = field(default_factory=dict)
    counts: dict[str, _Counts] = field(default_factory=dict)
    refused: float = 0.0

    def counts_of(self, target_group: str) -> _Counts:
        """Find the counts of a target group since the last minute was published."""
        return self.counts.setdefault(target_group, _Counts())


@dataclass(frozen=True, slots=True)
class Target:
    """One task behind a target group."""

    ip: str
    healthy: bool


class Traffic:
    """All flows, and how each image behaves. An image without a behaviour is a good one."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._behaviours: dict[str, Behaviour] = {}
        self._flows: list[Flow] = []
        self._ecs = cloud.service(Ecs)
        self._lock = self._ecs.lock  # what it reads are the tasks of ECS

    def behaviour(self, image: str, behaviour: Behaviour) -> None:
        """Let an image behave so from now on.

        It is named by its digest ("sha256:..."), or by its name where it has none.
        """
        self._behaviours[image] = behaviour

    def serve(
        self,
        cluster: str,
        service: str,
        *,
        load_balancer: str,
        target_group: str | Sequence[str],
        requests_per_minute: float,
    ) -> None:
        """Send requests, steadily, from now on. Again with another rate to change it.

        Load balancer and target groups are named as the values of CloudWatch's dimensions.
        """
        groups = (target_group,) if isinstance(target_group, str) else tuple(target_group)
        with self._lock:
            for flow in self._flows:
                if flow.cluster == cluster and flow.service == service:
                    flow.load_balancer = load_balancer
                    flow.target_groups = groups
                    flow.requests_per_minute = requests_per_minute
                    return
            self._flows.append(
                Flow(
                    cluster,
                    service,
                    load_balancer,
                    groups,
                    requests_per_minute,
                )
            )

    def of(self, revision: Revision) -> Behaviour:
        """Tell how its tasks do, which is the worst of what its images do."""
        behaviours = [GOOD]
        if revision.images:
            behaviours = [self._behaviour_of(image) for image in revision.images]
        return Behaviour(
            error_rate=max(one.error_rate for one in behaviours),
            latency_seconds=max(one.latency_seconds for one in behaviours),
            starts=all(one.starts for one in behaviours),
            healthy=all(one.healthy for one in behaviours),
        )

    def fitness(self, revision: Revision) -> Fitness:
        """Tell the scheduler how tasks do."""
        behaviour = self.of(revision)
        return Fitness(behaviour.starts, behaviour.healthy)

    def target_group_arn(self, name: str) -> str | None:
        """Find the ARN of a target group by its name. None where no flow has it."""
        prefix = f"arn:aws:elasticloadbalancing:{self._cloud.region}:{self._cloud.account}"
        with self._lock:
            for flow in self._flows:
                for group in flow.target_groups:
                    if group.split("/")[1] == name:
                        return f"{prefix}:{group}"
        return None

    def targets(self, target_group: str) -> list[Target] | None:
        """List the tasks registered with a target group. None where no flow has it.

        The group is named as the value of CloudWatch's dimension.
        """
        with self._lock:
            for flow in self._flows:
                if target_group in flow.target_groups:
                    return self._targets(flow, target_group)
        return None

    def sample(self, _moment: datetime) -> None:
        """Count what users saw during one tick."""
        with self._lock:
            for flow in self._flows:
                with self._cloud.troubles.of(f"the traffic of the service {flow.service}"):
                    service = self._service(flow)
                    self._count_hosts(flow, service)
                    self._count_requests(flow, service)

    def publish(self, moment: datetime) -> None:
        """Write the metrics of the minute that ends now."""
        # moto keeps times without their zone, which is UTC
        began = (moment - MINUTE).replace(tzinfo=None)
        backend = cloudwatch_backends[self._cloud.account][self._cloud.region]
        with self._lock:
            for flow in self._flows:
                with self._cloud.troubles.of(f"the metrics of the service {flow.service}"):
                    for metric in _metrics(flow, began):
                        backend.put_metric_data(NAMESPACE, [metric])

    def _behaviour_of(self, image: dict[str, str]) -> Behaviour:
        name = image.get("imageDigest", image["image"])
        return self._behaviours.get(name, GOOD)

    def _service(self, flow: Flow) -> Service:
        return self._ecs.find(flow.cluster, flow.service)

    def _targets(self, flow: Flow, target_group: str) -> list[Target]:
        service = self._service(flow)
        targets: list[Target] = []
        for revision, count in service.running.items():
            if _group(flow, service, revision) == target_group:
                healthy = self.of(revision).healthy
                targets += [Target(_ip(revision, host), healthy) for host in range(count)]
        return targets

    def _count_hosts(self, flow: Flow, service: Service) -> None:
        hosts_of: dict[str, _Hosts] = {}
        for revision, count in service.running.items():
            if not count:
                continue
            hosts = hosts_of.setdefault(_group(flow, service, revision), _Hosts())
            if self.of(revision).healthy:
                hosts.healthy += count
            else:
                hosts.unhealthy += count

        for group in flow.target_groups:
            if group in hosts_of:
                flow.counts_of(group).hosts.append(hosts_of[group])

    def _count_requests(self, flow: Flow, service: Service) -> None:
        """Let healthy revisions serve what comes. Without one, it is refused."""
        requests = flow.requests_per_minute * (TICK / MINUTE)
        healthy_shares = {
            revision: share
            for revision, share in service.shares().items()
            if service.running.get(revision) and self.of(revision).healthy
        }
        total = sum(healthy_shares.values())
        if total == 0:
            flow.refused += requests
            return

        for revision, share in healthy_shares.items():
            behaviour = self.of(revision)
            served = requests * share / total
            counts = flow.counts_of(_group(flow, service, revision))
            counts.requests += served
            counts.errors += served * behaviour.error_rate
            latency = behaviour.latency_seconds
            counts.latencies[latency] = counts.latencies.get(latency, 0.0) + served


def install(cloud: "Cloud") -> None:
    """Count at each tick, publish each minute."""
    traffic = Traffic(cloud)
    cloud.add(traffic)
    cloud.service(Ecs).scheduler.fitness = traffic.fitness
    cloud.clock.every(TICK, traffic.sample)
    cloud.clock.every(MINUTE, traffic.publish)


def _ip(revision: Revision, host: int) -> str:
    network = int(revision.number) % 200
    return f"10.0.{network}.{host + 10}"


def _group(flow: Flow, service: Service, revision: Revision) -> str:
    """Find the target group of a revision.

    Its task set says its own; otherwise it keeps its first.
    """
    task_set = service.task_set_of(revision)
    if task_set is not None and task_set.target_group in flow.target_groups:
        return str(task_set.target_group)

    if revision not in flow.group_of:
        flow.group_of[revision] = _first_group(flow, service, revision)
    return flow.group_of[revision]


def _first_group(flow: Flow, service: Service, revision: Revision) -> str:
    """Choose the target group of a new revision.

    A rolling deployment keeps the group that is in use; otherwise the new revision takes one that
    those running leave free.
    """
    used: set[str] = set()
    for other, count in service.running.items():
        if count and other is not revision and other in flow.group_of:
            used.add(flow.group_of[other])

    is_rolling = service.newest is None or service.newest.is_rolling
    if not is_rolling:
        for group in flow.target_groups:
            if group not in used:
                return group
    return min(used, default=flow.target_groups[0])


def _metrics(flow: Flow, at: datetime) -> list[ApiObject]:
    """Take the metrics out of the counts. Fractions of a request stay for the next minute."""
    metrics: list[ApiObject] = []
    for group, counts in flow.counts.items():
        metrics += _metrics_of_group(
            flow,
            group,
            counts,
            at,
        )

    refused = _whole(flow.refused)
    flow.refused -= refused
    if refused:
        only_load_balancer = [{"Name": "LoadBalancer", "Value": flow.load_balancer}]
        metrics.append(
            _count(
                "HTTPCode_ELB_5XX_Count",
                refused,
                only_load_balancer,
                at,
            )
        )
    return metrics


def _metrics_of_group(
    flow: Flow,
    group: str,
    counts: _Counts,
    at: datetime,
) -> list[ApiObject]:
    dimensions = [
        {"Name": "LoadBalancer", "Value": flow.load_balancer},
        {"Name": "TargetGroup", "Value": group},
    ]
    requests = _whole(counts.requests)
    errors = _whole(counts.errors)

    metrics: list[ApiObject] = []
    if requests:
        metrics.append(
            _count(
                "RequestCount",
                requests,
                dimensions,
                at,
            )
        )
    if errors:
        metrics.append(
            _count(
                "HTTPCode_Target_5XX_Count",
                errors,
                dimensions,
                at,
            )
        )
    for latency, number in counts.latencies.items():
        samples = [latency] * max(1, round(number))
        metrics.append(
            _samples(
                "TargetResponseTime",
                samples,
                dimensions,
                at,
            )
        )
    if counts.hosts:
        healthy = [hosts.healthy for hosts in counts.hosts]
        unhealthy = [hosts.unhealthy for hosts in counts.hosts]
        metrics.append(
            _samples(
                "HealthyHostCount",
                healthy,
                dimensions,
                at,
            )
        )
        metrics.append(
            _samples(
                "UnHealthyHostCount",
                unhealthy,
                dimensions,
                at,
            )
        )

    left = _Counts(requests=counts.requests - requests, errors=counts.errors - errors)
    flow.counts[group] = left
    return metrics


def _whole(count: float) -> int:
    return int(count + _ROUNDING)


def _count(
    name: str,
    count: int,
    dimensions: _Dimensions,
    at: datetime,
) -> ApiObject:
    """Make a count, in which each request is one sample of value 1.

    So the load balancer reports them.
    """
    statistics = {"Sum": count, "SampleCount": count, "Minimum": 1, "Maximum": 1}
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Timestamp": at,
        "StatisticValues": statistics,
        "Unit": "Count",
    }


def _samples(
    name: str,
    samples: Sequence[float],
    dimensions: _Dimensions,
    at: datetime,
) -> ApiObject:
    """Make a statistic set. One whose minimum and maximum are equal keeps its percentiles."""
    statistics = {
        "Sum": sum(samples),
        "SampleCount": len(samples),
        "Minimum": min(samples),
        "Maximum": max(samples),
    }
    return {
        "MetricName": name,
        "Dimensions": dimensions,
        "Timestamp": at,
        "StatisticValues": statistics,
        "Unit": "Seconds" if name == "TargetResponseTime" else "Count",
    }
