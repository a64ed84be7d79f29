"""ECS services, their deployments and revisions, as facts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from autorollback.aws.definitions import is_irreversible, short_name, tags_of
from autorollback.decision.model import Controller, Deployment, EcsDeployment, Revision, Service, Status, TaskSet
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

BATCH = 20
"""ARNs that DescribeServiceDeployments and DescribeServiceRevisions take at once (botocore ecs/2014-11-13)."""

_SETTINGS = (
    "networkConfiguration",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "vpcLatticeConfigurations",
    "volumeConfigurations",
    "platformVersion",
    "launchType",
    "capacityProviderStrategy",
)
"""What a service revision holds beside its task definition and can be changed by UpdateService (botocore ecs/2014-11-13)."""
_MAY_HOLD_SECRETS = ("serviceConnectConfiguration",)
"""Its log options may hold a token in plain: compared by a digest, and never kept."""


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """ARNs of service deployments, newest first, with those of the service revisions they bring; and how to go on.

    `newest_at` is when the first of them was created.
    """

    arns: tuple[str, ...]
    targets: tuple[str, ...]
    next: str | None
    newest_at: datetime | None = None


class History(Protocol):
    """Where a service's deployments are on record: in ECS, or in the CodeDeploy deployment group that deploys it."""

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:
        """The newest deployments, or those that follow a page."""

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        """Deployments in full, newest first."""

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """What deployments brought, without identity; what cannot be described is not there."""


@dataclass(frozen=True, slots=True)
class Ecs:
    """Reads ECS. Throttling is retried by the client; what still fails is raised, never taken for "nothing there"."""

    clients: "Clients"

    def service(self, key: ServiceKey) -> Service | None:
        """The service as it is now; None where ECS knows none of that name in that cluster, or no such cluster."""
        ecs = self.clients.ecs
        try:
            answer = ecs.describe_services(cluster=key.cluster, services=[key.service], include=["TAGS"])
        except ecs.exceptions.ClusterNotFoundException:
            return None
        return _service(answer["services"][0]) if answer["services"] else None

    def deployed_at(self, cluster: str, keys: Sequence[ServiceKey]) -> dict[ServiceKey, tuple[datetime, ...]]:
        """When the deployments that run in each of up to 10 services of a cluster were created, newest first.

        Without services that have none. A deployment that was replaced is listed until its tasks are gone (Deployment,
        status ACTIVE, botocore ecs/2014-11-13).
        """
        ecs = self.clients.ecs
        try:
            answer = ecs.describe_services(cluster=cluster, services=[key.service for key in keys])
        except ecs.exceptions.ClusterNotFoundException:
            return {}
        return {
            ServiceKey(cluster, service["serviceName"]): tuple(sorted(map(_utc, made), reverse=True))
            for service in answer["services"]
            if (made := [d["createdAt"] for d in (*service.get("deployments", []), *service.get("taskSets", []))])
        }

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:
        """Up to 20 service deployments, newest first. AWS keeps 90 days, and none from before 2024-10-25."""
        ecs = self.clients.ecs
        more: dict[str, Any] = {"nextToken": after} if after else {}
        try:
            answer = ecs.list_service_deployments(cluster=key.cluster, service=key.service, maxResults=BATCH, **more)
        except (ecs.exceptions.ServiceNotFoundException, ecs.exceptions.ClusterNotFoundException):
            return DeploymentPage((), (), None)
        briefs = sorted(answer["serviceDeployments"], key=lambda b: b.get("createdAt") or _LONG_AGO, reverse=True)
        targets = dict.fromkeys(b["targetServiceRevisionArn"] for b in briefs if b.get("targetServiceRevisionArn"))
        arns = tuple(b["serviceDeploymentArn"] for b in briefs)
        newest_at = _utc(briefs[0]["createdAt"]) if briefs and briefs[0].get("createdAt") else None
        return DeploymentPage(arns, tuple(targets), answer.get("nextToken"), newest_at)

    def newest_page(self, key: ServiceKey) -> DeploymentPage | ClientError:
        """The newest service deployments, or why ECS tells none.

        What it says of a service of another controller, which has none, is documented nowhere: a refusal is then as good as
        an empty list. Of a service of ECS's own it is an error.
        """
        refusals = self.clients.ecs.exceptions
        try:
            return self.deployments_page(key)
        except (
            refusals.InvalidParameterException,
            refusals.UnsupportedFeatureException,
            refusals.ClientException,
        ) as error:
            return error

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        """Service deployments in full, newest first. The briefs of ListServiceDeployments lack sources and rollback."""
        found = [
            _deployment(described)
            for batch in _batches(arns)
            for described in self.clients.ecs.describe_service_deployments(serviceDeploymentArns=batch)[
                "serviceDeployments"
            ]
        ]
        return tuple(sorted(found, key=lambda d: (d.created_at, d.arn), reverse=True))

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """Service revisions by ARN, without identity. One that AWS no longer has is not there."""
        return {
            revision.arn: revision
            for batch in _batches(arns)
            for described in self.clients.ecs.describe_service_revisions(serviceRevisionArns=batch)["serviceRevisions"]
            for revision in [_revision(described)]
        }


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def _batches(arns: Sequence[str]) -> Iterable[list[str]]:
    return (list(arns[start : start + BATCH]) for start in range(0, len(arns), BATCH))


def _service(described: Mapping[str, Any]) -> Service:
    configuration = described.get("deploymentConfiguration") or {}
    breaker, alarms = configuration.get("deploymentCircuitBreaker") or {}, configuration.get("alarms") or {}
    current = described.get("currentServiceDeployment")
    task_sets = [_task_set(task_set) for task_set in described.get("taskSets") or []]
    serving = next((s.task_definition for s in task_sets if s.primary), None)
    return Service(
        arn=described["serviceArn"],
        active=described.get("status") == "ACTIVE",
        status=str(described.get("status")),
        desired=int(described.get("desiredCount", 0)),
        running=int(described.get("runningCount", 0)),
        controller=Controller((described.get("deploymentController") or {}).get("type", "ECS")),
        task_definition=serving or str(described.get("taskDefinition", "")),
        newest_deployment=str(current) if current else None,
        ports=tuple(
            (b["containerName"], int(b["containerPort"]))
            for b in (*(described.get("loadBalancers") or []), *(described.get("serviceRegistries") or []))
            if b.get("containerName") and b.get("containerPort")
        ),
        target_groups=_target_groups(
            [b for owner in (described, *(described.get("taskSets") or [])) for b in owner.get("loadBalancers") or []]
        ),
        rolls_back_by_itself=bool(
            (breaker.get("enable") and breaker.get("rollback")) or (alarms.get("enable") and alarms.get("rollback"))
        ),
        irreversible=is_irreversible(tags_of(described.get("tags"))),
        bake=bake_of(configuration),
        task_sets=tuple(task_sets),
        deployments=tuple(_ecs_deployment(one) for one in described.get("deployments") or []),
    )


def _ecs_deployment(described: Mapping[str, Any]) -> EcsDeployment:
    return EcsDeployment(
        id=str(described["id"]),
        created_at=_utc(described["createdAt"]),
        primary=described.get("status") == "PRIMARY",
        rollout=described.get("rolloutState"),
        running=int(described.get("runningCount", 0)),
        failed_tasks=int(described.get("failedTasks", 0)),
    )


def _task_set(described: Mapping[str, Any]) -> TaskSet:
    """CodeDeploy's task sets have its deployment's id as their external id; the one made with the service has none."""
    return TaskSet(
        id=str(described["id"]),
        task_definition=str(described["taskDefinition"]),
        created_at=_utc(described["createdAt"]),
        primary=described.get("status") == "PRIMARY",
        deployment=described.get("externalId") if described.get("startedBy") == "CODE_DEPLOY" else None,
    )


def bake_of(configuration: Mapping[str, Any]) -> timedelta:
    """How long a deployment's traffic waits by its configuration: between its shifts, and before it counts as finished.

    A linear one waits after every step but the last ("BakeTimeInMinutes + (StepBakeTimeInMinutes x Number of deployment
    steps)", AWS::ECS::Service LinearConfiguration); the defaults are those of botocore ecs/2014-11-13.
    """
    minutes = float(configuration.get("bakeTimeInMinutes") or 0)
    match configuration.get("strategy"):
        case "LINEAR":
            linear = configuration.get("linearConfiguration") or {}
            percent = float(linear.get("stepPercent") or 10)
            minutes += (ceil(round(100 / percent, 6)) - 1) * float(linear.get("stepBakeTimeInMinutes", 6))
        case "CANARY":
            minutes += float((configuration.get("canaryConfiguration") or {}).get("canaryBakeTimeInMinutes", 10))
    return timedelta(minutes=minutes)


def _target_groups(load_balancers: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    groups = [
        group
        for balancer in load_balancers
        for group in (
            balancer.get("targetGroupArn"),
            (balancer.get("advancedConfiguration") or {}).get("alternateTargetGroupArn"),
        )
        if group
    ]
    return tuple(dict.fromkeys(groups))


def _deployment(described: Mapping[str, Any]) -> Deployment:
    rollback = described.get("rollback") or {}
    return Deployment(
        arn=described["serviceDeploymentArn"],
        status=Status(described["status"]),
        created_at=_utc(described["createdAt"]),
        started_at=_utc(described["startedAt"]) if described.get("startedAt") else None,
        finished_at=_finished(described),
        target=str((described.get("targetServiceRevision") or {}).get("arn", "")),
        sources=tuple(source["arn"] for source in described.get("sourceServiceRevisions") or []),
        rollback_revision=rollback.get("serviceRevisionArn"),
    )


def _finished(described: Mapping[str, Any]) -> datetime | None:
    if Status(described["status"]).in_progress:
        return None
    moment = described.get("finishedAt") or described.get("stoppedAt") or described.get("updatedAt")
    return _utc(moment) if moment else None


def _revision(described: Mapping[str, Any]) -> Revision:
    return Revision(
        arn=described["serviceRevisionArn"],
        task_definition=short_name(described["taskDefinition"]),
        task_definition_arn=described["taskDefinition"],
        created_at=_utc(described["createdAt"]),
        images={
            c["containerName"]: c.get("imageDigest")
            for c in described.get("containerImages") or []
            if c.get("containerName")
        },
        settings={name: _to_compare(name, described[name]) for name in _SETTINGS if described.get(name)},
    )


def _to_compare(name: str, setting: object) -> str:
    return sha256(str(setting).encode()).hexdigest() if name in _MAY_HOLD_SECRETS else str(setting)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
