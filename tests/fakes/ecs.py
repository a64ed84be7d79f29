"""ECS in memory: services, their deployments and revisions, task definitions, and time that passes."""

# ruff: noqa: ARG002 - a fake takes what its port takes

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import CannotBeRestored, UnknownDefinition
from autorollback.aws.deployer import DeploymentBackend, StillDeploying, Superseded
from autorollback.aws.ecs import NO_DEPLOYMENTS, DeploymentPage
from autorollback.aws.refusals import is_refusal
from autorollback.decision.definition import Definition
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

ARN = "arn:aws:ecs:eu-central-1:111122223333"
ECR = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
KEPT = timedelta(days=90)
"""How long ECS keeps service deployments (service-deployment.html)."""

TAKES = timedelta(minutes=2)
"""How long a deployment or a rollback of one takes."""

ENDS_AS: Mapping[Status, Status] = {
    Status.PENDING: Status.SUCCESSFUL,
    Status.IN_PROGRESS: Status.SUCCESSFUL,
    Status.ROLLBACK_REQUESTED: Status.ROLLBACK_SUCCESSFUL,
    Status.ROLLBACK_IN_PROGRESS: Status.ROLLBACK_SUCCESSFUL,
}


def refused(code: str, operation: str, message: str = "no", status: int = 400) -> ClientError:
    """What AWS answers where it says no."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)


@dataclass
class Clock:
    """What the time is."""

    now: datetime


@dataclass
class FakeService:
    """A service and its past, oldest first.

    Attributes:
        ends_as: what becomes of deployments that are under way, where it is not what is usual.
        changed_at: when the status of each deployment last changed.
        incidents: of the deployments that CodeDeploy was asked for, by their ARNs.
        rollout: what DescribeServices says of the newest, where it is not what its status says.
        waits_at_hook: the newest waits at a pause hook, until somebody answers.
    """

    key: ServiceKey
    controller: Controller = Controller.ECS
    description: dict[str, Any] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    revisions: dict[str, Revision] = field(default_factory=dict)
    ends_as: dict[Status, Status] = field(default_factory=dict)
    changed_at: dict[str, datetime] = field(default_factory=dict)
    incidents: dict[str, str] = field(default_factory=dict)
    rollout: str | None = None
    waits_at_hook: bool = False

    @property
    def running(self) -> str | None:
        """ARN of the service revision that runs."""
        for deployment in reversed(self.deployments):
            if deployment.leaves:
                return deployment.leaves
        return None

    @property
    def arn(self) -> str:
        return f"{ARN}:service/{self.key}"

    def seen(self) -> Service:
        """As DescribeServices tells it."""
        newest = self.deployments[-1] if self.deployments else None
        shown = newest.target if newest else None
        if newest is not None and newest.status.is_rollback:
            shown = self.running
        set_to = self.revisions.get(shown or "")
        told: dict[str, Any] = {
            "deployments": (self._primary(newest),) if newest else (),
            "active": True,
            "status": "ACTIVE",
            "desired": 4,
            "running": 4,
            "task_definition": set_to.task_definition_arn if set_to else "",
            "target_groups": (f"{ARN}:targetgroup/{self.key.service}/1",),
            "current_revisions": (self.running,) if self.running else (),
        }
        return Service(arn=self.arn, controller=self.controller, **{**told, **self.description})

    def _primary(self, newest: Deployment) -> EcsDeployment:
        """The deployment that is to run, as DescribeServices lists it."""
        rollout = "IN_PROGRESS" if newest.status.in_progress else "FAILED"
        if newest.status is Status.SUCCESSFUL:
            rollout = "COMPLETED"
        number = len(self.deployments)
        told = self.rollout or rollout
        return EcsDeployment(f"ecs-svc/{number}", newest.created_at, True, told, 4)


@dataclass
class FakeEcs:
    """All services of an account, and who asks for what.

    Attributes:
        refuses: what AWS answers to a call, once for each that is told.
        acts: what was asked for, as `UpdateService auth:17`.
        dies_after: what kills the caller once a call was carried out.
        deploys_before_newest: what others do before the newest deployment is asked for.
        role_reaches: whether the function's role may ask for a service.
    """

    clock: Clock
    services: dict[ServiceKey, FakeService] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    refuses: dict[str, list[Exception]] = field(default_factory=dict)
    dies_after: dict[str, Exception] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)
    deploys_before_newest: Callable[[], object] | None = None
    page_size: int = 20
    role_reaches: Callable[[ServiceKey], bool] = lambda _: True

    def asked_for(self, key: ServiceKey, operation: str) -> None:
        """Refuse what the role of the function may not ask for."""
        if not self.role_reaches(key):
            raise refused("AccessDeniedException", operation, f"not authorized on {key}")

    def add(self, key: ServiceKey, controller: Controller = Controller.ECS) -> FakeService:
        self.services[key] = FakeService(key, controller)
        return self.services[key]

    def define(
        self, family: str, build: str, *, image: str | None = None, **more: Any
    ) -> Definition:
        """A definition of one container `app`, whose image is tagged with the build."""
        pinned = image or f"{ECR}/{family}:{build}"
        status, tags = more.pop("status", "ACTIVE"), more.pop("tags", {})
        containers = [{"name": "app", "image": pinned}]
        content = {"family": family, "containerDefinitions": containers, **more}
        arn = f"{ARN}:task-definition/{family}:{build}"
        self.definitions[arn] = Definition(arn, status, content, tags)
        return self.definitions[arn]

    def begin(
        self,
        key: ServiceKey,
        definition_arn: str,
        *,
        at: datetime | None = None,
        images: Mapping[str, str | None] | None = None,
        incident: str | None = None,
    ) -> Deployment:
        """A deployment begins; what is under way is stopped by it."""
        service, now = self.services[key], at or self.clock.now
        self._settle(service)
        for index, one in enumerate(service.deployments):
            if one.status.in_progress:
                stopped = replace(one, status=Status.STOPPED, finished_at=now)
                service.deployments[index] = stopped
        number = len(service.deployments) + 1
        running = service.running
        definition = self.definitions[definition_arn]
        content = definition.pinned({})
        revision = Revision(
            arn=f"{ARN}:service-revision/{key}/{number}",
            task_definition=definition.name,
            task_definition_arn=definition_arn,
            created_at=now,
            images=images or _digests(content),
        )
        service.revisions[revision.arn] = revision
        deployment = Deployment(
            arn=f"{ARN}:service-deployment/{key}/{number}",
            status=Status.IN_PROGRESS,
            created_at=now,
            started_at=now,
            target=revision.arn,
            sources=(running,) if running else (),
        )
        service.deployments.append(deployment)
        service.changed_at[deployment.arn] = now
        if incident:
            service.incidents[deployment.arn] = incident
        return deployment

    def roll_back(self, arn: str) -> None:
        """ECS, or CodeDeploy, begins to roll a deployment back."""
        for service in self.services.values():
            for index, one in enumerate(service.deployments):
                if one.arn == arn:
                    back = service.running
                    status = Status.ROLLBACK_REQUESTED
                    rolled_back = replace(one, status=status, rollback_revision=back)
                    service.deployments[index] = rolled_back
                    service.changed_at[arn] = self.clock.now

    def fail(self, operation: str) -> None:
        """Answer a call with what was told for it, if anything was."""
        told = self.refuses.get(operation, [])
        if told:
            raise told.pop(0)

    def die_after(self, operation: str) -> None:
        """The call was carried out, and the caller never hears of it."""
        death = self.dies_after.pop(operation, None)
        if death is not None:
            raise death

    def keeps(self, deployment: Deployment) -> bool:
        """Whether it is on record still."""
        return deployment.created_at > self.clock.now - KEPT

    def settled(self, key: ServiceKey) -> FakeService | None:
        """The service as it is by now."""
        service = self.services.get(key)
        if service is not None:
            self._settle(service)
        return service

    def _settle(self, service: FakeService) -> None:
        for index, one in enumerate(service.deployments):
            over = service.changed_at[one.arn] + TAKES
            if one == service.deployments[-1] and service.waits_at_hook:
                continue
            if one.status.in_progress and over <= self.clock.now:
                ends_as = service.ends_as.get(one.status, ENDS_AS.get(one.status, one.status))
                if ends_as.in_progress:
                    continue
                ended = replace(one, status=ends_as, finished_at=over)
                if not ends_as.is_rollback:
                    ended = replace(ended, rollback_revision=None)
                service.deployments[index] = ended


def _digests(content: Mapping[str, Any]) -> dict[str, str | None]:
    """The digest that each image has: that of its build."""
    digests: dict[str, str | None] = {}
    for container in content["containerDefinitions"]:
        repository, _, tag = str(container["image"]).rpartition(":")
        pinned = repository.endswith("@sha256")
        digests[container["name"]] = f"sha256:{tag}" if pinned or repository else None
    return digests


@dataclass
class FakeHistory:
    """A service's deployments as ECS has them on record."""

    ecs: FakeEcs

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:
        self.ecs.fail("ListServiceDeployments")
        self.ecs.asked_for(key, "ListServiceDeployments")
        service = self.ecs.settled(key)
        if service is None or service.controller is not Controller.ECS:
            return NO_DEPLOYMENTS
        on_record = [one for one in service.deployments if self.ecs.keeps(one)]
        return _page(on_record, self.ecs.page_size, after)

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        self.ecs.fail("DescribeServiceDeployments")
        found = []
        for service in self.ecs.services.values():
            self.ecs.settled(service.key)
            found += [one for one in service.deployments if one.arn in arns]
        found.sort(key=lambda one: (one.created_at, one.arn), reverse=True)
        return tuple(found)

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        found: dict[str, Revision] = {}
        for service in self.ecs.services.values():
            known = service.revisions.items()
            found.update((arn, revision) for arn, revision in known if arn in arns)
        return found


def _page(deployments: Sequence[Deployment], size: int, after: str | None) -> DeploymentPage:
    newest_first = deployments[::-1]
    start = int(after or 0)
    page = newest_first[start : start + size]
    if not page:
        return NO_DEPLOYMENTS
    goes_on = start + size < len(newest_first)
    return DeploymentPage(
        arns=tuple(one.arn for one in page),
        targets=tuple(one.target for one in page),
        next=str(start + size) if goes_on else None,
        newest_at=page[0].created_at,
    )


@dataclass
class FakeGroup(FakeHistory):
    """A deployment group of CodeDeploy: the history of one service, and what acts on it."""

    key: ServiceKey | None
    waits: timedelta = timedelta()
    refusal: str | None = None

    def refuses(self, task_sets: object) -> str | None:
        return self.refusal

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:
        service = self.ecs.settled(self.key) if self.key else None
        if service is None:
            raise UnknownGroup("CodeDeploy knows no such deployment group")
        return _page(service.deployments, self.ecs.page_size, after)

    def newest(self, key: ServiceKey) -> str | None:
        return next(iter(self.deployments_page(key).arns), None)

    def stop(self, deployment_id: str) -> bool:
        self.ecs.fail("StopDeployment")
        (deployment,) = self.deployments([deployment_id])
        if not deployment.status.in_progress:
            return False
        self.ecs.acts.append("StopDeployment")
        service = self.ecs.services[self.key or ServiceKey("", "")]
        index = service.deployments.index(deployment)
        stopped = replace(deployment, status=Status.STOPPED, finished_at=self.ecs.clock.now)
        service.deployments[index] = stopped
        return True

    def update(
        self, key: ServiceKey, task_definition_arn: str, incident_id: str, over: str | None
    ) -> str:
        self.ecs.fail("CreateDeployment")
        service = self.ecs.settled(key)
        assert service is not None
        newest = service.deployments[-1]
        if newest.status.in_progress:
            if over not in (None, newest.arn):
                raise Superseded(f"the deployment {newest.arn} began meanwhile")
            self.stop(newest.arn)
            raise StillDeploying(f"the deployment {newest.arn} has to be rolled back first")
        self.ecs.acts.append(f"CreateDeployment {task_definition_arn.rpartition('/')[2]}")
        begun = self.ecs.begin(key, task_definition_arn, incident=incident_id)
        self.ecs.die_after("CreateDeployment")
        return begun.arn


@dataclass
class FakeDeployer:
    """Acts on services that ECS deploys."""

    ecs: FakeEcs

    def newest(self, key: ServiceKey) -> str | None:
        self.ecs.fail("newest")
        if self.ecs.deploys_before_newest:
            self.ecs.deploys_before_newest()
        return next(iter(FakeHistory(self.ecs).deployments_page(key).arns), None)

    def stop(self, deployment_arn: str) -> bool:
        if self._rolled_back_from_hook(deployment_arn):
            return True
        self.ecs.fail("StopServiceDeployment")
        found = FakeHistory(self.ecs).deployments([deployment_arn])
        stoppable = (Status.PENDING, Status.IN_PROGRESS)
        if not any(one.status in stoppable for one in found):
            return False
        self.ecs.acts.append("StopServiceDeployment")
        self.ecs.roll_back(deployment_arn)
        self.ecs.die_after("StopServiceDeployment")
        return True

    def _rolled_back_from_hook(self, deployment_arn: str) -> bool:
        """Whether it waits at a hook, and is rolled back from there; not where that is refused."""
        for service in self.ecs.services.values():
            newest = service.deployments[-1] if service.deployments else None
            if newest is None or newest.arn != deployment_arn or not service.waits_at_hook:
                continue
            self.ecs.acts.append("ContinueServiceDeployment ROLLBACK")
            try:
                self.ecs.fail("ContinueServiceDeployment")
            except ClientError as error:
                if not is_refusal(error):
                    raise
                service.waits_at_hook = False
                return False
            service.waits_at_hook = False
            self.ecs.roll_back(deployment_arn)
            self.ecs.die_after("ContinueServiceDeployment")
            return True
        return False

    def update(
        self, key: ServiceKey, task_definition_arn: str, incident_id: str, over: str | None
    ) -> None:
        self.ecs.fail("UpdateService")
        service = self.ecs.settled(key)
        assert service is not None
        self.ecs.acts.append(f"UpdateService {task_definition_arn.rpartition('/')[2]}")
        if service.seen().task_definition != task_definition_arn:
            self.ecs.begin(key, task_definition_arn)
        self.ecs.die_after("UpdateService")


@dataclass
class FakeDeployments:
    """The deployments of all services; groups of CodeDeploy by `<application>/<deployment group>`."""

    ecs: FakeEcs
    groups: dict[str, FakeGroup] = field(default_factory=dict)

    def service(self, key: ServiceKey) -> Service | None:
        self.ecs.asked_for(key, "DescribeServices")
        service = self.ecs.settled(key)
        return service.seen() if service else None

    def newest_page(self, key: ServiceKey) -> DeploymentPage | ClientError:
        try:
            return FakeHistory(self.ecs).deployments_page(key)
        except ClientError as error:
            return error

    def history(self, code_deploy: str | None) -> FakeHistory:
        return self._group(code_deploy) if code_deploy else FakeHistory(self.ecs)

    def group_of(self, service: Service, code_deploy: str) -> FakeGroup:
        return self._group(code_deploy)

    def backend(self, code_deploy: str | None) -> DeploymentBackend:
        return self._group(code_deploy) if code_deploy else FakeDeployer(self.ecs)

    def newest_of(self, key: ServiceKey, code_deploy: Callable[[], str | None]) -> str:
        page = FakeHistory(self.ecs).deployments_page(key)
        if not page.arns:
            named = code_deploy()
            if not named:
                return ""
            try:
                page = self._group(named).deployments_page(key)
            except UnknownGroup:
                return ""
        return next(iter(page.arns), "")

    def traffic_of(self, code_deploy: str, deployment: str, key: ServiceKey) -> TrafficShift:
        """All traffic at once, when it began."""
        for one in self.ecs.services[key].deployments:
            if one.arn == deployment:
                return TrafficShift(Strategy.CODE_DEPLOY, weight=100.0, began_at=one.start)
        return TrafficShift(Strategy.CODE_DEPLOY)

    def carrying(
        self, code_deploy: str, deployments: Sequence[str], incident_id: str
    ) -> str | None:
        for service in self.ecs.services.values():
            for arn in deployments:
                if service.incidents.get(arn) == incident_id:
                    return arn
        return None

    def _group(self, code_deploy: str) -> FakeGroup:
        return self.groups.get(code_deploy, FakeGroup(self.ecs, None))


@dataclass
class FakeDefinitions:
    """Task definitions by ARN and by `family:revision`; each reference asked for is kept."""

    ecs: FakeEcs
    asked: list[str] = field(default_factory=list)
    cannot_restore: str | None = None

    def describe(self, reference: str) -> Definition:
        self.asked.append(reference)
        for arn, definition in self.ecs.definitions.items():
            if reference in (arn, definition.name):
                return definition
        raise UnknownDefinition(f"{reference}: Unable to describe task definition.")

    def restore(
        self, original: Definition, digests: Mapping[str, str | None], known: Sequence[str] = ()
    ) -> Definition:
        self.ecs.fail("RegisterTaskDefinition")
        if self.cannot_restore:
            raise CannotBeRestored(self.cannot_restore)
        content = original.pinned(digests)
        tags = {"auto-rollback:restored-from": original.arn}
        for definition in self.ecs.definitions.values():
            if definition.tags == tags and definition.content == content:
                return definition
        number = 100 + len(self.ecs.definitions)
        arn = f"{ARN}:task-definition/{original.family}:{number}"
        copy = Definition(arn, "ACTIVE", content, tags)
        self.ecs.definitions[arn] = copy
        self.ecs.acts.append(f"RegisterTaskDefinition {copy.name}")
        self.ecs.die_after("RegisterTaskDefinition")
        return copy


def task_set(of: str, at: datetime) -> TaskSet:
    """A task set that CodeDeploy made, and that serves."""
    return TaskSet("ecs-svc/1", of, at, primary=True, deployment="d-1")
