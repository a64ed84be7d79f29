"""Users: requests through a load balancer, whose metrics depend on which images serve.

Metrics as load-balancer-cloudwatch-metrics.html defines them, written each simulated minute for the minute that ended, with the
dimensions LoadBalancer and TargetGroup. Not published: per Availability Zone, and target metrics of a whole load balancer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.models import cloudwatch_backends

from localcloud.ecs.model import Revision, Service
from localcloud.ecs.operations import Ecs
from localcloud.ecs.scheduler import TICK, Fitness

if TYPE_CHECKING:
    from localcloud.base import Cloud

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How tasks with an image do: the share of requests answered with 5xx (0 to 1), seconds to the response headers,
    whether tasks reach RUNNING, and whether they pass the load balancer's health checks."""

    error_rate: float = 0.0
    latency_seconds: float = 0.1
    starts: bool = True
    healthy: bool = True


GOOD = Behaviour()


@dataclass(slots=True)
class _Counts:
    """One target group's minute: requests and errors as fractions until they are whole, and a sample of hosts each tick."""

    requests: float = 0.0
    errors: float = 0.0
    latencies: dict[float, float] = field(default_factory=dict)
    healthy: list[int] = field(default_factory=list)
    unhealthy: list[int] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Flow:
    """The requests to one service. Two target groups alternate between its revisions, as blue/green has them."""

    cluster: str
    service: str
    load_balancer: str
    target_groups: tuple[str, ...]
    requests_per_minute: float
    group_of: dict[Revision, str] = field(default_factory=dict)
    counts: dict[str, _Counts] = field(default_factory=dict)
    refused: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """One task behind a target group."""

    ip: str
    healthy: bool


class Traffic:
    """All flows, and how each image behaves; an image without a behaviour is a good one."""

    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._behaviours: dict[str, Behaviour] = {}
        self._flows: list[Flow] = []
        self._ecs = cloud.service(Ecs)
        self._lock = self._ecs.lock  # what it reads are the tasks of ECS

    def behaviour(self, image: str, behaviour: Behaviour) -> None:
        """How an image behaves from now on: by its digest ("sha256:..."), or by its name where it has none."""
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
        """Send requests, steadily, from now on; again with another rate to change it. Names are CloudWatch's dimension values."""
        groups = (target_group,) if isinstance(target_group, str) else tuple(target_group)
        with self._lock:
            for flow in self._flows:
                if (flow.cluster, flow.service) == (cluster, service):
                    flow.load_balancer, flow.target_groups = load_balancer, groups
                    flow.requests_per_minute = requests_per_minute
                    return
            self._flows.append(Flow(cluster, service, load_balancer, groups, requests_per_minute))

    def of(self, revision: Revision) -> Behaviour:
        """The worst of what its images do."""
        found = [self._behaviours.get(i.get("imageDigest", i["image"]), GOOD) for i in revision.images] or [GOOD]
        return Behaviour(
            error_rate=max(b.error_rate for b in found),
            latency_seconds=max(b.latency_seconds for b in found),
            starts=all(b.starts for b in found),
            healthy=all(b.healthy for b in found),
        )

    def fitness(self, revision: Revision) -> Fitness:
        """What the scheduler asks."""
        behaviour = self.of(revision)
        return Fitness(behaviour.starts, behaviour.healthy)

    def target_group_arn(self, name: str) -> str | None:
        """Of the target group with that name that traffic may go to; None where no flow has it."""
        with self._lock:
            groups = (group for flow in self._flows for group in flow.target_groups if group.split("/")[1] == name)
            account = f"{self._cloud.region}:{self._cloud.account}"
            return next((f"arn:aws:elasticloadbalancing:{account}:{group}" for group in groups), None)

    def targets(self, target_group: str) -> list[Target] | None:
        """The tasks registered with a target group (by its dimension value); None where no flow has it."""
        with self._lock:
            flow = next((f for f in self._flows if target_group in f.target_groups), None)
            if flow is None:
                return None
            service = self._ecs.find(flow.cluster, flow.service)
            targets: list[Target] = []
            for revision, count in service.running.items():
                if self._group(flow, service, revision) == target_group:
                    healthy = self.of(revision).healthy
                    network = int(revision.number) % 200
                    targets += [Target(f"10.0.{network}.{host + 10}", healthy) for host in range(count)]
            return targets

    def sample(self, _moment: datetime) -> None:
        """Count what users saw during one tick."""
        with self._lock:
            for flow in self._flows:
                self._sample(flow, self._ecs.find(flow.cluster, flow.service))

    def publish(self, moment: datetime) -> None:
        """Write the metrics of the minute that ends now."""
        with self._lock:
            for flow in self._flows:
                # moto keeps times without their zone, which is UTC
                for metric in self._metrics(flow, (moment - MINUTE).replace(tzinfo=None)):
                    self._put(metric)

    def _sample(self, flow: Flow, service: Service) -> None:
        requests = flow.requests_per_minute * (TICK / MINUTE)
        running = {revision: count for revision, count in service.running.items() if count}
        healthy = {revision for revision in running if self.of(revision).healthy}
        for group in flow.target_groups:
            members = {r: n for r, n in running.items() if self._group(flow, service, r) == group}
            if members:
                counts = flow.counts.setdefault(group, _Counts())
                counts.healthy.append(sum(n for r, n in members.items() if r in healthy))
                counts.unhealthy.append(sum(n for r, n in members.items() if r not in healthy))
        shares = {revision: share for revision, share in service.shares().items() if revision in healthy}
        if not (total := sum(shares.values())):
            flow.refused += requests
            return
        for revision, share in shares.items():
            behaviour, served = self.of(revision), requests * share / total
            counts = flow.counts.setdefault(self._group(flow, service, revision), _Counts())
            counts.requests += served
            counts.errors += served * behaviour.error_rate
            latency = behaviour.latency_seconds
            counts.latencies[latency] = counts.latencies.get(latency, 0.0) + served

    def _group(self, flow: Flow, service: Service, revision: Revision) -> str:
        """A task set says its own; otherwise a new revision takes the target group that those running leave free, and a
        rolling deployment keeps the group."""
        task_set = service.task_set_of(revision)
        if task_set is not None and task_set.target_group in flow.target_groups:
            return str(task_set.target_group)
        if revision not in flow.group_of:
            newest = service.newest
            used = {
                flow.group_of[r] for r, n in service.running.items() if n and r in flow.group_of and r is not revision
            }
            free = [group for group in flow.target_groups if group not in used]
            rolling = newest is None or newest.strategy == "ROLLING"
            current = flow.target_groups[0] if not used else sorted(used)[0]
            flow.group_of[revision] = current if rolling or not free else free[0]
        return flow.group_of[revision]

    def _metrics(self, flow: Flow, at: datetime) -> list[dict[str, Any]]:
        metrics: list[dict[str, Any]] = []
        for group, counts in flow.counts.items():
            dimensions = [
                {"Name": "LoadBalancer", "Value": flow.load_balancer},
                {"Name": "TargetGroup", "Value": group},
            ]
            requests, errors = int(counts.requests + 1e-6), int(counts.errors + 1e-6)
            if requests:
                metrics.append(_sum("RequestCount", requests, dimensions, at))
            if errors:
                metrics.append(_sum("HTTPCode_Target_5XX_Count", errors, dimensions, at))
            metrics += [
                _set("TargetResponseTime", [latency] * max(1, round(n)), dimensions, at)
                for latency, n in counts.latencies.items()
            ]
            if counts.healthy:
                metrics.append(_set("HealthyHostCount", counts.healthy, dimensions, at))
                metrics.append(_set("UnHealthyHostCount", counts.unhealthy, dimensions, at))
            flow.counts[group] = _Counts(requests=counts.requests - requests, errors=counts.errors - errors)
        if refused := int(flow.refused + 1e-6):
            flow.refused -= refused
            only_load_balancer = [{"Name": "LoadBalancer", "Value": flow.load_balancer}]
            metrics.append(_sum("HTTPCode_ELB_5XX_Count", refused, only_load_balancer, at))
        return metrics

    def _put(self, metric: dict[str, Any]) -> None:
        cloudwatch_backends[self._cloud.account][self._cloud.region].put_metric_data("AWS/ApplicationELB", [metric])


def install(cloud: "Cloud") -> None:
    """Count at each tick, publish each minute."""
    traffic = Traffic(cloud)
    cloud.add(traffic)
    cloud.service(Ecs).scheduler.fitness = traffic.fitness
    cloud.clock.every(TICK, traffic.sample)
    cloud.clock.every(MINUTE, traffic.publish)


def _sum(name: str, count: int, dimensions: list[dict[str, str]], at: datetime) -> dict[str, Any]:
    """A count: each request is one sample of value 1, as the load balancer reports them."""
    values = {"Sum": count, "SampleCount": count, "Minimum": 1, "Maximum": 1}
    return {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "StatisticValues": values, "Unit": "Count"}


def _set(name: str, samples: Sequence[float], dimensions: list[dict[str, str]], at: datetime) -> dict[str, Any]:
    """Samples as a statistic set; one whose minimum and maximum are equal keeps its percentiles."""
    values = {"Sum": sum(samples), "SampleCount": len(samples), "Minimum": min(samples), "Maximum": max(samples)}
    unit = "Seconds" if name == "TargetResponseTime" else "Count"
    return {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "StatisticValues": values, "Unit": unit}
