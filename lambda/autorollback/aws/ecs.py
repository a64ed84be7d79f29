"""ECS services, their deployments and revisions, as facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from autorollback.aws.clients import each_once, in_batches
from autorollback.aws.definitions import tags_of
from autorollback.decision.definition import canonical, is_irreversible, short_name
from autorollback.decision.facts import (
    Controller,
    Deployment,
    EcsDeployment,
    Revision,
    Service,
    Status,
    Strategy,
    TaskSet,
    TrafficShift,
)
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        DeploymentConfigurationOutputTypeDef,
        DeploymentTypeDef,
        ListServiceDeploymentsRequestTypeDef,
        LoadBalancerTypeDef,
        ServiceDeploymentBriefTypeDef,
        ServiceDeploymentTypeDef,
        ServiceRevisionTypeDef,
        ServiceTypeDef,
        TaskSetTypeDef,
    )

    from autorollback.aws.clients import Clients

BATCH = 20
"""ARNs that DescribeServiceDeployments and DescribeServiceRevisions take at once.

By botocore ecs/2014-11-13.
"""

_NO_SETTINGS = frozenset(
    {
        "serviceRevisionArn",
        "serviceArn",
        "clusterArn",
        "createdAt",
        "taskDefinition",
        "containerImages",
        "resolvedConfiguration",
        "ecsManagedResources",
    }
)
"""What a service revision holds that is no setting of its service.

What tells it apart, what ran, and what ECS itself chose or made (the target group that serves now
alternates). Everything else is a setting, fields that AWS adds later too (botocore ecs/2014-11-13,
ServiceRevision).
"""

_SHORT_WORDS = frozenset(
    {
        "launchType",
        "capacityProviderStrategy",
        "platformVersion",
        "platformFamily",
    }
)
"""Settings that are kept as they are; the others are compared by a digest.

They may be long, and log options may hold a token in plain.
"""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """Service deployments by their ARNs, newest first, and how to go on.

    Attributes:
        targets: ARNs of the service revisions that they bring.
        newest_at: when the first of them was created.
    """

    arns: tuple[str, ...]
    targets: tuple[str, ...]
    next: str | None
    newest_at: datetime | None = None


NO_DEPLOYMENTS = DeploymentPage(arns=(), targets=(), next=None)
"""The page of a service that has none."""


class History(Protocol):
    """Where a service's deployments are on record.

    In ECS, or in the CodeDeploy deployment group that deploys it.
    """

    def deployments_page(
        self,
        key: ServiceKey,
        after: str | None = None,
    ) -> DeploymentPage:
        """The newest deployments, or those that follow a page."""

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        """Deployments in full, newest first."""

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """What deployments brought, without identity.

        What cannot be described is not there.
        """


@dataclass(frozen=True, slots=True)
class Ecs:
    """Reads ECS.

    Throttling is retried by the client; what still fails is raised, never taken for "nothing
    there".
    """

    clients: "Clients"

    def service(self, key: ServiceKey) -> Service | None:
        """The service as it is now.

        None where ECS knows none of that name in that cluster, or no such cluster.
        """
        ecs = self.clients.ecs
        try:
            answer = ecs.describe_services(
                cluster=key.cluster,
                services=[key.service],
                include=["TAGS"],
            )
        except ecs.exceptions.ClusterNotFoundException:
            return None
        return _service(answer["services"][0]) if answer["services"] else None

    def deployed_at(
        self,
        cluster: str,
        keys: Sequence[ServiceKey],
    ) -> dict[ServiceKey, tuple[datetime, ...]]:
        """When the deployments of up to 10 services were created, newest first.

        Of each service those that run; without services that have none. A deployment that was
        replaced is listed until its tasks are gone (Deployment, status ACTIVE, botocore
        ecs/2014-11-13).
        """
        ecs = self.clients.ecs
        names = [key.service for key in keys]
        try:
            answer = ecs.describe_services(cluster=cluster, services=names)
        except ecs.exceptions.ClusterNotFoundException:
            return {}

        found: dict[ServiceKey, tuple[datetime, ...]] = {}
        for service in answer["services"]:
            running = (
                *service.get("deployments", []),
                *service.get("taskSets", []),
            )
            created = [_utc(one["createdAt"]) for one in running]
            if created:
                key = ServiceKey(cluster, service["serviceName"])
                found[key] = tuple(sorted(created, reverse=True))
        return found

    def deployments_page(
        self,
        key: ServiceKey,
        after: str | None = None,
    ) -> DeploymentPage:
        """Up to 20 service deployments, newest first.

        AWS keeps 90 days, and none from before 2024-10-25.
        """
        ecs = self.clients.ecs
        asked: ListServiceDeploymentsRequestTypeDef = {
            "cluster": key.cluster,
            "service": key.service,
            "maxResults": BATCH,
        }
        if after:
            asked["nextToken"] = after

        try:
            answer = ecs.list_service_deployments(**asked)
        except (
            ecs.exceptions.ServiceNotFoundException,
            ecs.exceptions.ClusterNotFoundException,
        ):
            return NO_DEPLOYMENTS
        return _page(answer["serviceDeployments"], answer.get("nextToken"))

    def newest_in_brief(self, key: ServiceKey, at_most: int) -> tuple[Deployment, ...]:
        """A service's newest deployments in one call, newest first, without what they replaced.

        ListServiceDeployments tells status and times of each (ServiceDeploymentBrief, botocore
        ecs/2014-11-13). None of a service that ECS does not know, or does not deploy.
        """
        ecs = self.clients.ecs
        try:
            answer = ecs.list_service_deployments(
                cluster=key.cluster,
                service=key.service,
                maxResults=at_most,
            )
        except (
            ecs.exceptions.ServiceNotFoundException,
            ecs.exceptions.ClusterNotFoundException,
            ecs.exceptions.InvalidParameterException,
            ecs.exceptions.UnsupportedFeatureException,
            ecs.exceptions.ClientException,
        ):
            return ()
        found = [_in_brief(brief) for brief in answer["serviceDeployments"]]
        found.sort(key=lambda deployment: (deployment.created_at, deployment.arn), reverse=True)
        return tuple(found)

    def newest_page(self, key: ServiceKey) -> DeploymentPage | ClientError:
        """The newest service deployments, or why ECS tells none.

        What it says of a service of another controller, which has none, is documented nowhere: a
        refusal is then as good as an empty list. Of a service of ECS's own it is an error.
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
        """Service deployments in full, newest first.

        The briefs of ListServiceDeployments lack sources and rollback.
        """
        found: list[Deployment] = []
        for batch in in_batches(arns, BATCH):
            answer = self.clients.ecs.describe_service_deployments(serviceDeploymentArns=batch)
            found += [_deployment(described) for described in answer["serviceDeployments"]]

        found.sort(key=lambda deployment: (deployment.created_at, deployment.arn), reverse=True)
        return tuple(found)

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """Service revisions by ARN, without identity.

        One that AWS no longer has is not there.
        """
        found: dict[str, Revision] = {}
        for batch in in_batches(arns, BATCH):
            answer = self.clients.ecs.describe_service_revisions(serviceRevisionArns=batch)
            as_sent = _revisions_as_sent(self.clients.raw_answer())
            for described in answer["serviceRevisions"]:
                arn = described["serviceRevisionArn"]
                unknown = as_sent.get(arn, {})
                found[arn] = _revision(described, {**unknown, **described})
        return found


def _service(described: "ServiceTypeDef") -> Service:
    configuration = described.get("deploymentConfiguration", {})
    controller = described.get("deploymentController", {})
    task_sets = tuple(_task_set(task_set) for task_set in described.get("taskSets", []))
    serving = next((one.task_definition for one in task_sets if one.primary), None)

    return Service(
        arn=described["serviceArn"],
        active=described.get("status") == "ACTIVE",
        status=str(described.get("status")),
        desired=described.get("desiredCount", 0),
        running=described.get("runningCount", 0),
        controller=Controller(controller.get("type", "ECS")),
        task_definition=serving or described.get("taskDefinition", ""),
        newest_deployment=described.get("currentServiceDeployment"),
        ports=_ports(described),
        target_groups=_target_groups(described),
        rolls_back_by_itself=_rolls_back_by_itself(configuration),
        irreversible=is_irreversible(tags_of(described.get("tags", []))),
        bake=bake_of(configuration),
        task_sets=task_sets,
        deployments=tuple(_ecs_deployment(one) for one in described.get("deployments", [])),
        shifts_traffic=strategy_of(configuration).shifts,
        current_revisions=_current_revisions(described),
        port_names=_port_names(described),
        volumes=_volumes(described),
    )


def _primary_of(described: "ServiceTypeDef") -> Mapping[str, Any]:
    """The deployment that is to run: it has the settings that the service itself does not show."""
    for deployment in described.get("deployments", []):
        if deployment.get("status") == "PRIMARY":
            return deployment
    return {}


def _port_names(described: "ServiceTypeDef") -> tuple[str, ...]:
    """The port mappings that Service Connect and VPC Lattice name.

    ServiceConnectService.portName and VpcLatticeConfiguration.portName (botocore ecs/2014-11-13).
    """
    primary = _primary_of(described)
    connect = primary.get("serviceConnectConfiguration") or {}
    offered = connect.get("services", []) if connect.get("enabled") else []
    targets = [*offered, *(primary.get("vpcLatticeConfigurations") or [])]
    return each_once(target.get("portName") for target in targets)


def _volumes(described: "ServiceTypeDef") -> tuple[str, ...]:
    """Names of the volumes that are configured at launch (ServiceVolumeConfiguration.name)."""
    configured = _primary_of(described).get("volumeConfigurations") or []
    return each_once(volume.get("name") for volume in configured)


def _current_revisions(described: "ServiceTypeDef") -> tuple[str, ...]:
    """ARNs of the service revisions that run (Service.currentServiceRevisions, botocore ecs/2014-11-13)."""
    current = described.get("currentServiceRevisions", [])
    return each_once(revision.get("arn") for revision in current)


def _ecs_deployment(described: "DeploymentTypeDef") -> EcsDeployment:
    return EcsDeployment(
        id=described["id"],
        created_at=_utc(described["createdAt"]),
        primary=described.get("status") == "PRIMARY",
        rollout=described.get("rolloutState"),
        running=described.get("runningCount", 0),
        failed_tasks=described.get("failedTasks", 0),
    )


def _task_set(described: "TaskSetTypeDef") -> TaskSet:
    """A task set, with the deployment that made it.

    CodeDeploy's task sets have the deployment's id as their external id; the one made with the
    service has none.
    """
    by_code_deploy = described.get("startedBy") == "CODE_DEPLOY"
    return TaskSet(
        id=described["id"],
        task_definition=described["taskDefinition"],
        created_at=_utc(described["createdAt"]),
        primary=described.get("status") == "PRIMARY",
        deployment=described.get("externalId") if by_code_deploy else None,
    )


def _ports(described: "ServiceTypeDef") -> tuple[tuple[str, int], ...]:
    """Container and port that the load balancers and the service registries send to."""
    receivers = (
        *described.get("loadBalancers", []),
        *described.get("serviceRegistries", []),
    )
    ports: list[tuple[str, int]] = []
    for receiver in receivers:
        container = receiver.get("containerName")
        port = receiver.get("containerPort")
        if container and port:
            ports.append((container, int(port)))
    return tuple(ports)


def _target_groups(described: "ServiceTypeDef") -> tuple[str, ...]:
    """Those of the service and of its task sets, each once, the alternate ones included."""
    balancers: list[LoadBalancerTypeDef] = [*described.get("loadBalancers", [])]
    for task_set in described.get("taskSets", []):
        balancers += task_set.get("loadBalancers", [])

    groups: list[str | None] = []
    for balancer in balancers:
        groups.append(balancer.get("targetGroupArn"))
        advanced = balancer.get("advancedConfiguration", {})
        groups.append(advanced.get("alternateTargetGroupArn"))
    return each_once(groups)


def _rolls_back_by_itself(configuration: "DeploymentConfigurationOutputTypeDef") -> bool:
    """Whether the circuit breaker or the deployment alarms are set to roll back."""
    reactions: tuple[Mapping[str, object], ...] = (
        configuration.get("deploymentCircuitBreaker", {}),
        configuration.get("alarms", {}),
    )
    return any(one.get("enable") and one.get("rollback") for one in reactions)


def bake_of(configuration: "DeploymentConfigurationOutputTypeDef") -> timedelta:
    """How long a deployment's traffic waits by its configuration.

    Between its shifts, and before it counts as finished. A linear one waits after every step but
    the last ("BakeTimeInMinutes + (StepBakeTimeInMinutes x Number of deployment steps)",
    AWS::ECS::Service LinearConfiguration); the defaults are those of botocore ecs/2014-11-13.
    """
    minutes = float(configuration.get("bakeTimeInMinutes") or 0)
    match configuration.get("strategy"):
        case "LINEAR":
            linear = configuration.get("linearConfiguration", {})
            percent = float(linear.get("stepPercent") or 10)
            steps = ceil(round(100 / percent, 6))
            minutes += (steps - 1) * float(linear.get("stepBakeTimeInMinutes", 6))
        case "CANARY":
            canary = configuration.get("canaryConfiguration", {})
            minutes += float(canary.get("canaryBakeTimeInMinutes", 10))
    return timedelta(minutes=minutes)


def _page(
    briefs: "Sequence[ServiceDeploymentBriefTypeDef]",
    token: str | None,
) -> DeploymentPage:
    newest_first = sorted(
        briefs,
        key=lambda brief: brief.get("createdAt", _LONG_AGO),
        reverse=True,
    )
    arns: list[str] = []
    targets: list[str | None] = []
    for brief in newest_first:
        arns.append(brief["serviceDeploymentArn"])
        targets.append(brief.get("targetServiceRevisionArn"))

    newest_at: datetime | None = None
    if newest_first:
        newest_at = _utc_or_none(newest_first[0].get("createdAt"))

    return DeploymentPage(
        arns=tuple(arns),
        targets=each_once(targets),
        next=token,
        newest_at=newest_at,
    )


def _deployment(described: "ServiceDeploymentTypeDef") -> Deployment:
    return Deployment(
        arn=described["serviceDeploymentArn"],
        status=Status(described["status"]),
        created_at=_utc(described["createdAt"]),
        started_at=_utc_or_none(described.get("startedAt")),
        finished_at=_finished(described),
        target=described.get("targetServiceRevision", {}).get("arn", ""),
        sources=tuple(source["arn"] for source in described.get("sourceServiceRevisions", [])),
        rollback_revision=described.get("rollback", {}).get("serviceRevisionArn"),
        traffic=_traffic(described),
    )


def _traffic(described: "ServiceDeploymentTypeDef") -> TrafficShift:
    """How much production traffic is asked for what it brings, as far as ECS says.

    By botocore ecs/2014-11-13, ServiceRevisionSummary and ServiceDeploymentLifecycleStage.
    """
    configuration = described.get("deploymentConfiguration", {})
    target = described.get("targetServiceRevision", {})
    return TrafficShift(
        strategy=strategy_of(configuration),
        weight=target.get("requestedProductionTrafficWeight"),
        stage=described.get("lifecycleStage"),
        bake=timedelta(minutes=float(configuration.get("bakeTimeInMinutes") or 0)),
    )


def strategy_of(configuration: "DeploymentConfigurationOutputTypeDef") -> Strategy:
    """The strategy of a deployment configuration; rolling is the default."""
    try:
        return Strategy(configuration.get("strategy") or Strategy.ROLLING)
    except ValueError:
        return Strategy.OTHER


def _in_brief(brief: "ServiceDeploymentBriefTypeDef") -> Deployment:
    status = Status(brief["status"])
    finished_at = None
    if not status.in_progress:
        finished_at = _utc_or_none(brief.get("finishedAt"))
    return Deployment(
        arn=brief["serviceDeploymentArn"],
        status=status,
        created_at=_utc(brief["createdAt"]),
        started_at=_utc_or_none(brief.get("startedAt")),
        finished_at=finished_at,
        target=brief.get("targetServiceRevisionArn", ""),
    )


def _finished(described: "ServiceDeploymentTypeDef") -> datetime | None:
    if Status(described["status"]).in_progress:
        return None
    return _utc_or_none(
        described.get("finishedAt") or described.get("stoppedAt") or described.get("updatedAt"),
    )


def _revisions_as_sent(answer: object) -> dict[str, Mapping[str, object]]:
    """The service revisions of an answer by ARN, with the fields that the SDK does not know."""
    if not isinstance(answer, Mapping):
        return {}
    sent: dict[str, Mapping[str, object]] = {}
    for revision in answer.get("serviceRevisions") or []:
        sent[revision["serviceRevisionArn"]] = revision
    return sent


def _revision(described: "ServiceRevisionTypeDef", whole: Mapping[str, object]) -> Revision:
    """A service revision; `whole` has also the fields that the SDK does not know."""
    images: dict[str, str | None] = {}
    for container in described.get("containerImages", []):
        name = container.get("containerName")
        if name:
            images[name] = container.get("imageDigest")

    return Revision(
        arn=described["serviceRevisionArn"],
        task_definition=short_name(described["taskDefinition"]),
        task_definition_arn=described["taskDefinition"],
        created_at=_utc(described["createdAt"]),
        images=images,
        settings=_settings(whole),
    )


def _settings(whole: Mapping[str, object]) -> dict[str, str]:
    """The service's settings as text, to be compared; what is empty is not set."""
    settings: dict[str, str] = {}
    for name, setting in whole.items():
        if name in _NO_SETTINGS or not setting:
            continue
        text = canonical(setting)
        if isinstance(setting, str):
            text = setting
        if name not in _SHORT_WORDS:
            text = sha256(text.encode()).hexdigest()
        settings[name] = text
    return settings


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _utc_or_none(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
