"""CodeDeploy's deployment group of a service: its history as facts of the judgement, and the acts on it.

A service of the deployment controller CODE_DEPLOY has no service deployments and no service revisions in ECS. Here a
deployment of its group stands for a service deployment, and what its AppSpec deployed for the service revision; both go by
the deployment's id. CodeDeploy's own rollback is a deployment too, and is told as the end of the one that it rolls back.

Nobody records the digests that ran: task sets have none. So the image's name stands in wherever a definition does not pin it,
also where tasks run whose digests could be asked for: an identity must be the same today and when its tasks are gone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from autorollback.aws.appspec import AppSpec, UnreadableAppSpec
from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import CannotBeRestored, short_name
from autorollback.aws.deployer import StillDeploying, Superseded
from autorollback.aws.ecs import DeploymentPage, Ecs, History
from autorollback.decision.model import Deployment, Revision, Status, TaskSet
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_codedeploy.type_defs import RevisionLocationTypeDef

    from autorollback.aws.clients import Clients

BATCH = 25
"""Deployments that BatchGetDeployments takes at once (botocore codedeploy/2014-10-06)."""

PAGE = 10
"""Deployments that are looked at together: the AppSpec of each is one call of GetApplicationRevision."""

LISTED = 5
"""Pages of ListDeployments, of a hundred or so, that are read at most."""

_STATUS: Mapping[str, Status] = {
    "Created": Status.PENDING,
    "Queued": Status.PENDING,
    "InProgress": Status.IN_PROGRESS,
    "Baking": Status.IN_PROGRESS,
    "Ready": Status.IN_PROGRESS,
    "Succeeded": Status.SUCCESSFUL,
    "Failed": Status.STOPPED,
    "Stopped": Status.STOPPED,
}
_ROLLED_BACK: Mapping[Status, Status] = {
    Status.SUCCESSFUL: Status.ROLLBACK_SUCCESSFUL,
    Status.STOPPED: Status.ROLLBACK_FAILED,
}
_PREVIOUS = ":previous"


@dataclass(frozen=True, slots=True)
class CodeDeployDeployment:
    """A deployment as CodeDeploy tells it.

    Attributes:
        revision, previous: where its AppSpec is kept, and that of what was deployed before it.
        rolled_back_by: the deployment that rolls it back, once CodeDeploy has begun one.
        rolls_back: the deployment that it rolls back, where CodeDeploy created it for that.
        waits: how long it keeps what ran before, after the traffic has moved; it is in progress until then.
    """

    deployment_id: str
    status: Status
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    revision: Mapping[str, Any] = field(default_factory=dict)
    previous: Mapping[str, Any] = field(default_factory=dict)
    rolled_back_by: str | None = None
    rolls_back: str | None = None
    configuration: str | None = None
    description: str = ""
    waits: timedelta = timedelta()


def as_deployments(
    told: Mapping[str, CodeDeployDeployment], original: TaskSet | None = None, *, more: bool
) -> tuple[Deployment, ...]:
    """CodeDeploy's deployments of a group as the judgement knows deployments, newest first.

    What ran before one is what the last one before it left. Before the oldest, that is `original`, the task set that came with
    the service, or with `more` deployments that are not told, what CodeDeploy calls its previous revision.
    """
    oldest_first = sorted(told.values(), key=lambda d: (d.created_at, d.deployment_id))
    ran = original.id if original and not more else None
    found = []
    for one in oldest_first:
        if one.rolls_back in told:
            continue
        source = ran or (f"{one.deployment_id}{_PREVIOUS}" if one.previous else None)
        back = told.get(one.rolled_back_by) if one.rolled_back_by else None
        status = one.status
        if status is Status.STOPPED and one.rolled_back_by:
            status = _ROLLED_BACK.get(back.status if back else Status.PENDING, Status.ROLLBACK_IN_PROGRESS)
        last = back or one
        found.append(
            Deployment(
                arn=one.deployment_id,
                status=status,
                created_at=one.created_at,
                started_at=one.started_at,
                finished_at=None if status.in_progress else last.finished_at or last.created_at,
                target=one.deployment_id,
                sources=(source,) if source else (),
                rollback_revision=source if status.is_rollback else None,
            )
        )
        ran = one.deployment_id if status is Status.SUCCESSFUL else ran
    return tuple(reversed(found))


@dataclass(slots=True)
class DeploymentGroup:
    """The deployment group of one service. What is read once is true for one invocation, as elsewhere.

    Attributes:
        application, name: as `code_deploy` in the service's policy names them.
        service_arn: of the service, where its history is read: an AppSpec may name a definition without region and account.
        original: the task set that came with the service, while it is there.
        mark: what the descriptions of the deployments begin with that are created here.
    """

    clients: "Clients"
    application: str
    name: str
    mark: str
    service_arn: str = ""
    original: TaskSet | None = None
    _ids: list[str] = field(default_factory=list)
    _told: dict[str, CodeDeployDeployment] = field(default_factory=dict)
    _unlisted: bool = False
    _specs: dict[str, AppSpec | None] = field(default_factory=dict)

    @classmethod
    def of(cls, clients: "Clients", code_deploy: str, mark: str) -> "DeploymentGroup":
        """The group that a policy's `code_deploy` names, `<application>/<deployment group>`."""
        application, _, name = code_deploy.partition("/")
        return cls(clients, application, name, mark)

    def refuses(self, task_sets: Iterable[TaskSet]) -> str | None:
        """Why the service cannot be deployed through this group, in words: another deployed its task sets; None where it can.

        A task set that CodeDeploy made has the deployment's id as its external id (botocore ecs/2014-11-13, TaskSet); the one
        that came with the service has none. Only of deployments that the group has not listed, CodeDeploy is asked whose they
        are. Read a page first.
        """
        configured = f"{self.application}/{self.name}"
        for deployment_id in dict.fromkeys(s.deployment for s in task_sets if s.deployment):
            if deployment_id in self._ids:
                continue
            try:
                told = self.clients.codedeploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
            except ClientError as error:
                code = error.response["Error"].get("Code")
                if code not in ("AccessDeniedException", "AccessDenied", "DeploymentDoesNotExistException"):
                    raise
                return (
                    f"its tasks were deployed by CodeDeploy's deployment {deployment_id}, which is none of {configured} or "
                    "cannot be read: correct code_deploy of this service in services.yaml and deploy"
                )
            actual = f"{told.get('applicationName')}/{told.get('deploymentGroupName')}"
            if actual != configured:
                return (
                    f"its tasks were deployed by {actual}, and code_deploy names {configured}: "
                    "correct it in services.yaml and deploy"
                )
        return None

    def deployments_page(self, key: ServiceKey, after: str | None = None) -> DeploymentPage:  # noqa: ARG002 - as of ECS
        """Up to ten deployments, newest first; those that CodeDeploy made to roll another back are part of that one.

        Raises:
            UnknownGroup: CodeDeploy knows no such application or deployment group.
        """
        if after is None:
            self._list()
        start = int(after) if after else 0
        self._read(self._ids[: start + BATCH])
        newest_first = self._as_deployments()
        page = newest_first[start : start + PAGE]
        more = start + len(page) < len(newest_first) or self._unread
        arns = tuple(deployment.arn for deployment in page)
        return DeploymentPage(arns, arns, str(start + len(page)) if more and page else None)

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        """These deployments, newest first."""
        self._read([arn for arn in arns if arn not in self._told])
        return tuple(d for d in self._as_deployments() if d.arn in arns)

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """What these deployments brought, without identity. One whose AppSpec cannot be read is not there."""
        if self.original and self.original.id in arns:
            found = {self.original.id: self._revision(self.original.id, self.original.created_at, None, self.original)}
        else:
            found = {}
        self._read(
            [arn for arn in (a.removesuffix(_PREVIOUS) for a in arns) if arn not in self._told and arn[:2] == "d-"]
        )
        wanted = {arn: self._location(arn) for arn in arns}
        self._read_specs(location for location in wanted.values() if location)
        for arn, location in wanted.items():
            spec = self._specs.get(_address(location)) if location else None
            if spec:
                told = self._told[arn.removesuffix(_PREVIOUS)]
                found[arn] = self._revision(arn, told.created_at, spec, None)
        return found

    @property
    def waits(self) -> timedelta:
        """How long its newest deployment keeps what ran before."""
        newest = max(self._told.values(), key=lambda d: d.created_at, default=None)
        return newest.waits if newest else timedelta()

    def carrying(self, deployment_ids: Sequence[str], incident_id: str) -> str | None:
        """Which of these deployments was created for an incident: its description says so."""
        self._read([i for i in deployment_ids if i not in self._told])
        wanted = self._description(incident_id)
        return next((i for i in deployment_ids if i in self._told and self._told[i].description == wanted), None)

    def newest(self, key: ServiceKey) -> str | None:
        """Id of the group's newest deployment at this moment; None without one."""
        self._told.clear()
        return next(iter(self.deployments_page(key).arns), None)

    def stop(self, deployment_id: str) -> bool:
        """Have CodeDeploy stop a deployment and give the traffic back to what ran before; False where it has just ended."""
        codedeploy = self.clients.codedeploy
        try:
            codedeploy.stop_deployment(deploymentId=deployment_id, autoRollbackEnabled=True)
        except (
            codedeploy.exceptions.DeploymentAlreadyCompletedException,
            codedeploy.exceptions.DeploymentDoesNotExistException,
        ):
            return False
        return True

    def update(self, key: ServiceKey, task_definition_arn: str, incident_id: str, over: str | None) -> str:
        """Deploy a task definition as the last successful deployment was deployed, and change nothing else; the new one's id.

        CreateDeployment has no idempotency token, and takes one deployment of a group at a time. The one that it may go `over`
        is stopped, and gives back what ran before it; the target follows once that has ended. The alarms of the group are not
        asked: they are red because of what is rolled back, and would stop the rollback (CreateDeployment's
        overrideAlarmConfiguration, botocore codedeploy/2014-10-06).

        Raises:
            StillDeploying: that deployment has to end first.
            Superseded: another one is under way.
            CannotBeRestored: no deployment succeeded whose AppSpec could be used again.
        """
        last, spec = self._last_successful()
        codedeploy = self.clients.codedeploy
        configuration: dict[str, Any] = {"deploymentConfigName": last.configuration} if last.configuration else {}
        try:
            created = codedeploy.create_deployment(
                applicationName=self.application,
                deploymentGroupName=self.name,
                revision={
                    "revisionType": "AppSpecContent",
                    "appSpecContent": {"content": spec.deploying(task_definition_arn)},
                },
                description=self._description(incident_id),
                overrideAlarmConfiguration={"enabled": False, "alarms": []},
                **configuration,
            )
        except codedeploy.exceptions.DeploymentLimitExceededException as error:
            return self._in_the_way(key, incident_id, over, error)
        return str(created["deploymentId"])

    def _in_the_way(self, key: ServiceKey, incident_id: str, over: str | None, error: ClientError) -> str:
        newest_id = self.newest(key)
        newest = self._told.get(newest_id or "")
        if newest is None:
            raise StillDeploying(f"{self.application}/{self.name} takes no deployment now") from error
        if newest.description == self._description(incident_id) and newest.status.in_progress:
            return newest.deployment_id  # an answer was lost, and the client asked again
        if over not in (None, newest.deployment_id):
            raise Superseded(f"the deployment {newest.deployment_id} began meanwhile") from error
        if newest.status.in_progress:
            self.stop(newest.deployment_id)
        raise StillDeploying(f"the deployment {newest.deployment_id} has to be rolled back first") from error

    def _last_successful(self) -> tuple[CodeDeployDeployment, AppSpec]:
        if not self._ids:
            self._list()
        for read in range(BATCH, len(self._ids) + BATCH, BATCH):
            self._read(self._ids[:read])
            last = next((d for d in self._as_deployments() if d.status is Status.SUCCESSFUL), None)
            if last is None:
                continue
            told = self._told[last.arn]
            self._read_specs([told.revision])
            if spec := self._specs.get(_address(told.revision)):
                return told, spec
            raise CannotBeRestored(f"the AppSpec of the last successful deployment, {last.arn}, cannot be read")
        raise CannotBeRestored(f"no successful deployment of {self.application}/{self.name} is on record")

    def _list(self) -> None:
        """The ids of the group's deployments. That the newest come first is usual, not promised: if they do not, all are read."""
        self._ids = []
        token: str | None = None
        for number in count(1):
            ids, token = self._listed(token)
            self._ids += ids
            if number == 1:
                self._read(self._ids[:BATCH])
                told = [self._told[i].created_at for i in self._ids if i in self._told]
                ordered = told == sorted(told, reverse=True)
            if token is None or number == LISTED or (ordered and number == 1):
                break
        self._unlisted = token is not None
        if not ordered:
            self._read(self._ids)

    def _listed(self, token: str | None) -> tuple[list[str], str | None]:
        codedeploy = self.clients.codedeploy
        more: dict[str, Any] = {"nextToken": token} if token else {}
        try:
            answer = codedeploy.list_deployments(
                applicationName=self.application, deploymentGroupName=self.name, **more
            )
        except (
            codedeploy.exceptions.ApplicationDoesNotExistException,
            codedeploy.exceptions.DeploymentGroupDoesNotExistException,
        ) as error:
            raise UnknownGroup(f"CodeDeploy knows no deployment group {self.application}/{self.name}") from error
        return list(answer.get("deployments", [])), answer.get("nextToken")

    def _read(self, ids: Sequence[str]) -> None:
        """Read deployments that have not been, and those that roll them back or that they roll back."""
        missing, asked = [i for i in dict.fromkeys(ids) if i not in self._told], set[str]()
        while missing:
            asked |= {*missing}
            batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
            for batch in batches:
                answer = self.clients.codedeploy.batch_get_deployments(deploymentIds=batch)
                self._told |= {t.deployment_id: t for t in map(_told, answer.get("deploymentsInfo", []))}
            related = {r for t in self._told.values() for r in (t.rolled_back_by, t.rolls_back) if r}
            missing = sorted(r for r in related if r not in self._told and r not in asked)

    def _as_deployments(self) -> tuple[Deployment, ...]:
        return as_deployments(self._told, self.original, more=self._unread)

    @property
    def _unread(self) -> bool:
        """Whether there are deployments that have not been read."""
        return self._unlisted or any(i not in self._told for i in self._ids)

    def _location(self, arn: str) -> Mapping[str, Any]:
        told = self._told.get(arn.removesuffix(_PREVIOUS))
        if told is None:
            return {}
        return told.previous if arn.endswith(_PREVIOUS) else told.revision

    def _read_specs(self, locations: Iterable[Mapping[str, Any]]) -> None:
        unread = {_address(location): location for location in locations if _address(location) not in self._specs}
        self._specs |= in_parallel({name: partial(self._spec, location) for name, location in unread.items()})

    def _spec(self, location: Mapping[str, Any]) -> AppSpec | None:
        """The AppSpec, by its hash: GetDeployment never has its content (botocore codedeploy/2014-10-06, GetDeployment)."""
        codedeploy = self.clients.codedeploy
        if location.get("revisionType") != "AppSpecContent":
            return None  # in S3: the bucket is not this function's to read
        asked: RevisionLocationTypeDef = {
            "revisionType": "AppSpecContent",
            "appSpecContent": {"sha256": location["appSpecContent"]["sha256"]},
        }
        try:
            answer = codedeploy.get_application_revision(applicationName=self.application, revision=asked)
            return AppSpec.read(answer["revision"]["appSpecContent"].get("content") or "")
        except (codedeploy.exceptions.RevisionDoesNotExistException, UnreadableAppSpec):
            return None

    def _revision(self, arn: str, at: datetime, spec: AppSpec | None, task_set: TaskSet | None) -> Revision:
        definition = spec.task_definition if spec else task_set.task_definition if task_set else ""
        if not definition.startswith("arn:"):
            definition = f"{self.service_arn.partition(':service/')[0]}:task-definition/{definition}"
        settings = spec.settings if spec else {}
        return Revision(arn, short_name(definition), definition, at, settings=settings)

    def _description(self, incident_id: str) -> str:
        """What says that a deployment is the rollback of an incident: without cluster and service, whose names may be long."""
        return f"{self.mark}: incident {'/'.join(incident_id.split('/')[2:])}"


def newest_of(
    clients: "Clients", key: ServiceKey, code_deploy: Callable[[], str | None], mark: str
) -> tuple[History, DeploymentPage]:
    """Where a service's deployments are on record, and the newest: in ECS, else in the group that `code_deploy` names.

    The group is asked for only where ECS tells none; an empty page where neither does.
    """
    ecs = Ecs(clients)
    page = ecs.newest_page(key)
    if isinstance(page, DeploymentPage) and page.arns:
        return ecs, page
    if named := code_deploy():
        group = DeploymentGroup.of(clients, named, mark)
        try:
            return group, group.deployments_page(key)
        except UnknownGroup:
            pass
    return ecs, DeploymentPage((), (), None)


class UnknownGroup(LookupError):  # noqa: N818 - a finding, which the caller turns into a hold
    """There is no such application or deployment group."""


def _address(location: Mapping[str, Any]) -> str:
    return str(location.get("appSpecContent", {}).get("sha256") or location)


def _told(described: Mapping[str, Any]) -> CodeDeployDeployment:
    rollback = described.get("rollbackInfo") or {}
    blue_green = described.get("blueGreenDeploymentConfiguration") or {}
    ends = blue_green.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    finished = _utc(described.get("completeTime"))
    started = _utc(described.get("startTime"))
    return CodeDeployDeployment(
        deployment_id=str(described["deploymentId"]),
        status=_STATUS[described["status"]],
        created_at=described["createTime"].astimezone(UTC),
        # the clocks of CodeDeploy's own servers may differ (botocore codedeploy/2014-10-06, DeploymentInfo startTime)
        started_at=min(started, finished) if started and finished else started,
        finished_at=finished,
        revision=described.get("revision") or {},
        previous=described.get("previousRevision") or {},
        rolled_back_by=rollback.get("rollbackDeploymentId") or None,
        rolls_back=rollback.get("rollbackTriggeringDeploymentId") or None
        if described.get("creator") == "codeDeployRollback"
        else None,
        configuration=described.get("deploymentConfigName"),
        description=str(described.get("description") or ""),
        waits=timedelta(minutes=ends.get("terminationWaitTimeInMinutes") or 0),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
