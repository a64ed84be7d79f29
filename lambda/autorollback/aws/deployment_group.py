"""CodeDeploy's deployment group of a service: its history as facts, and the acts on it.

A service of the deployment controller CODE_DEPLOY has no service deployments and no service
revisions in ECS. Here a deployment of its group stands for a service deployment, and what its
AppSpec deployed for the service revision; both go by the deployment's id. CodeDeploy's own rollback
is a deployment too, and becomes the end of the one that it rolls back.

Nobody records the digests that ran: task sets have none. So the image's name stands in wherever a
definition does not pin it, also where tasks run whose digests could be asked for: an identity must
be the same today and when its tasks are gone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from autorollback.aws.appspec import AppSpec
from autorollback.aws.asking import ask_once
from autorollback.aws.clients import each_once
from autorollback.aws.codedeploy import BATCH, CodeDeploy, CodeDeployDeployment, UnknownGroup
from autorollback.aws.definitions import CannotBeRestored
from autorollback.aws.deployer import StillDeploying, Superseded
from autorollback.aws.ecs import NO_DEPLOYMENTS, DeploymentPage, Ecs, History
from autorollback.decision.definition import short_name
from autorollback.decision.facts import (
    Deployment,
    Revision,
    Status,
    Strategy,
    TaskSet,
    TrafficShift,
)
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_codedeploy.type_defs import (
        CreateDeploymentInputTypeDef,
        RevisionLocationTypeDef,
    )

    from autorollback.aws.clients import Clients

PAGE = 10
"""Deployments of one page: the AppSpec of each is one call of GetApplicationRevision."""

_ROLLED_BACK: Mapping[Status, Status] = {
    Status.SUCCESSFUL: Status.ROLLBACK_SUCCESSFUL,
    Status.STOPPED: Status.ROLLBACK_FAILED,
}
"""What became of a deployment, by the status of the deployment that rolls it back."""

_PREVIOUS = ":previous"
"""Ends the name of what ran before a deployment, where only that deployment knows of it."""


@dataclass(slots=True)
class DeploymentGroup:
    """The deployment group of one service.

    Attributes:
        mark: what the descriptions of the deployments begin with that are created here.
        service_arn: of the service, where its history is read: an AppSpec may name a definition
            without Region and account.
        original: the task set that came with the service, while it is there.
    """

    codedeploy: CodeDeploy
    mark: str
    service_arn: str = ""
    original: TaskSet | None = None

    @classmethod
    def of(
        cls,
        clients: "Clients",
        code_deploy: str,
        mark: str,
    ) -> "DeploymentGroup":
        """The group that a policy's `code_deploy` names, `<application>/<deployment group>`."""
        application, _, group = code_deploy.partition("/")
        return cls(CodeDeploy(clients, application, group), mark)

    def refuses(self, task_sets: Iterable[TaskSet]) -> str | None:
        """Say why the service cannot be deployed through this group.

        None where it can. Else another group deployed its task sets. A task set that CodeDeploy
        made has the deployment's id as its external id (botocore ecs/2014-11-13, TaskSet); the one
        that came with the service has none. Only of deployments that the group has not listed,
        CodeDeploy is asked whose they are. Read a page first.
        """
        configured = self.codedeploy.name
        for deployment_id in each_once(one.deployment for one in task_sets):
            if deployment_id in self.codedeploy.ids:
                continue

            actual = self.codedeploy.group_of(deployment_id)
            if actual is None:
                return (
                    f"its tasks were deployed by CodeDeploy's deployment {deployment_id}, "
                    f"which is none of {configured} or cannot be read: "
                    "correct code_deploy of this service in services.yaml and deploy"
                )
            if actual != configured:
                return (
                    f"its tasks were deployed by {actual}, and code_deploy names {configured}: "
                    "correct it in services.yaml and deploy"
                )
        return None

    def deployments_page(
        self,
        key: ServiceKey,  # noqa: ARG002 - as of ECS
        after: str | None = None,
    ) -> DeploymentPage:
        """Up to ten deployments, newest first.

        Those that CodeDeploy made to roll another back are part of that one.

        Raises:
            UnknownGroup: CodeDeploy knows no such application or deployment group.
        """
        if after is None:
            self.codedeploy.list_deployments()

        start = int(after or 0)
        self.codedeploy.read(self.codedeploy.ids[: start + BATCH])
        newest_first = self._all_known()

        arns = tuple(deployment.arn for deployment in newest_first[start : start + PAGE])
        end = start + len(arns)
        goes_on = end < len(newest_first) or self.codedeploy.has_more
        return DeploymentPage(
            arns=arns,
            targets=arns,
            next=str(end) if goes_on and arns else None,
        )

    def deployments(self, arns: Sequence[str]) -> tuple[Deployment, ...]:
        """These deployments, newest first."""
        self.codedeploy.read(arns)
        return tuple(deployment for deployment in self._all_known() if deployment.arn in arns)

    def _all_known(self) -> tuple[Deployment, ...]:
        return as_deployments(
            self.codedeploy.known,
            self.original,
            more=self.codedeploy.has_more,
        )

    def revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """What these deployments brought, without identity.

        One whose AppSpec cannot be read is not there.
        """
        found: dict[str, Revision] = {}
        original = self.original
        if original and original.id in arns:
            found[original.id] = Revision(
                arn=original.id,
                task_definition=short_name(original.task_definition),
                task_definition_arn=self._full_arn(original.task_definition),
                created_at=original.created_at,
            )

        ids = [arn.removesuffix(_PREVIOUS) for arn in arns]
        self.codedeploy.read(one for one in ids if one.startswith("d-"))
        for arn, spec in self.codedeploy.app_specs(self._locations(arns)).items():
            deployment = self.codedeploy.known[arn.removesuffix(_PREVIOUS)]
            found[arn] = Revision(
                arn=arn,
                task_definition=short_name(spec.task_definition),
                task_definition_arn=self._full_arn(spec.task_definition),
                created_at=deployment.created_at,
                settings=spec.settings,
            )
        return found

    def _locations(self, arns: Sequence[str]) -> "dict[str, RevisionLocationTypeDef]":
        """Where the AppSpecs of deployments, or of what ran before them, are kept."""
        locations: dict[str, RevisionLocationTypeDef] = {}
        for arn in arns:
            deployment = self.codedeploy.known.get(arn.removesuffix(_PREVIOUS))
            if deployment is None:
                continue
            location = deployment.previous if arn.endswith(_PREVIOUS) else deployment.revision
            if location:
                locations[arn] = location
        return locations

    def _full_arn(self, task_definition: str) -> str:
        if task_definition.startswith("arn:"):
            return task_definition
        of_account = self.service_arn.partition(":service/")[0]
        return f"{of_account}:task-definition/{task_definition}"

    @property
    def waits(self) -> timedelta:
        """How long its newest deployment keeps what ran before."""
        known = self.codedeploy.known.values()
        newest = max(known, key=lambda deployment: deployment.created_at, default=None)
        return newest.waits if newest else timedelta()

    def carrying(
        self,
        deployment_ids: Sequence[str],
        incident_id: str,
    ) -> str | None:
        """Which of these deployments was created for an incident: its description says so."""
        self.codedeploy.read(deployment_ids)
        wanted = self._description(incident_id)
        for deployment_id in deployment_ids:
            deployment = self.codedeploy.known.get(deployment_id)
            if deployment and deployment.description == wanted:
                return deployment_id
        return None

    def newest(self, key: ServiceKey) -> str | None:
        """Id of the group's newest deployment at this moment.

        None without one.
        """
        self.codedeploy.known.clear()
        page = self.deployments_page(key)
        return page.arns[0] if page.arns else None

    def stop(self, deployment_id: str) -> bool:
        """Have CodeDeploy stop a deployment and give the traffic back to what ran before.

        False where the deployment has just ended.
        """
        client = self.codedeploy.clients.codedeploy
        try:
            client.stop_deployment(
                deploymentId=deployment_id,
                autoRollbackEnabled=True,
            )
        except (
            client.exceptions.DeploymentAlreadyCompletedException,
            client.exceptions.DeploymentDoesNotExistException,
        ):
            return False
        return True

    def update(
        self,
        key: ServiceKey,
        task_definition_arn: str,
        incident_id: str,
        over: str | None,
    ) -> str:
        """Deploy a task definition as the last successful deployment was.

        The answer is the new deployment's id. Nothing else changes. CreateDeployment has no
        idempotency token, and takes one deployment of a group at a time. The one that it may go
        `over` is stopped, and gives back what ran before it; the target follows once that has
        ended. The alarms of the group are not asked: they are red because of what is rolled back,
        and would stop the rollback (CreateDeployment's overrideAlarmConfiguration, botocore
        codedeploy/2014-10-06).

        Raises:
            StillDeploying: that deployment has to end first.
            Superseded: another one is under way.
            CannotBeRestored: no deployment succeeded whose AppSpec could be used again.
        """
        last, spec = self._last_successful()
        asked: CreateDeploymentInputTypeDef = {
            "applicationName": self.codedeploy.application,
            "deploymentGroupName": self.codedeploy.group,
            "revision": {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": spec.deploying(task_definition_arn)},
            },
            "description": self._description(incident_id),
            "overrideAlarmConfiguration": {"enabled": False, "alarms": []},
        }
        if last.configuration:
            asked["deploymentConfigName"] = last.configuration

        client = self.codedeploy.clients.codedeploy_unretried

        def ask() -> str:
            return client.create_deployment(**asked)["deploymentId"]

        try:
            return ask_once(ask, lambda _: self._made_for(incident_id, over, key))
        except client.exceptions.DeploymentLimitExceededException as error:
            return self._in_the_way(
                key,
                incident_id,
                over,
                error,
            )

    def _made_for(
        self,
        incident_id: str,
        over: str | None,
        key: ServiceKey,
    ) -> str | None:
        """The deployment that was created for an incident though no answer came.

        None where there is none.

        Raises:
            Superseded: somebody else has deployed meanwhile.
        """
        newest = self.newest(key)
        if newest is not None and self.carrying([newest], incident_id):
            return newest
        if over not in (None, newest):
            raise Superseded(f"the deployment {newest} began meanwhile")
        return None

    def _in_the_way(
        self,
        key: ServiceKey,
        incident_id: str,
        over: str | None,
        error: ClientError,
    ) -> str:
        """Judge the deployment because of which the group takes no other.

        Its id is the answer where it is this incident's own: an answer of CodeDeploy was lost, and
        the client asked again.
        """
        newest_id = self.newest(key)
        newest = self.codedeploy.known.get(newest_id or "")
        if newest is None:
            raise StillDeploying(f"{self.codedeploy.name} takes no deployment now") from error

        in_progress = newest.status.in_progress
        if in_progress and newest.description == self._description(incident_id):
            return newest.deployment_id
        if over not in (None, newest.deployment_id):
            raise Superseded(f"the deployment {newest.deployment_id} began meanwhile") from error

        if in_progress:
            self.stop(newest.deployment_id)
        raise StillDeploying(
            f"the deployment {newest.deployment_id} has to be rolled back first"
        ) from error

    def _last_successful(self) -> tuple[CodeDeployDeployment, AppSpec]:
        codedeploy = self.codedeploy
        if not codedeploy.ids:
            codedeploy.list_deployments()

        for start in range(0, len(codedeploy.ids), BATCH):
            codedeploy.read(codedeploy.ids[: start + BATCH])
            for deployment in self._all_known():
                if deployment.status is Status.SUCCESSFUL:
                    return self._with_spec(deployment.arn)
        raise CannotBeRestored(f"no successful deployment of {codedeploy.name} is on record")

    def _with_spec(self, deployment_id: str) -> tuple[CodeDeployDeployment, AppSpec]:
        specs = self.codedeploy.app_specs(self._locations([deployment_id]))
        if deployment_id not in specs:
            raise CannotBeRestored(
                f"the AppSpec of the last successful deployment, {deployment_id}, cannot be read"
            )
        return self.codedeploy.known[deployment_id], specs[deployment_id]

    def _description(self, incident_id: str) -> str:
        """What says that a deployment is the rollback of an incident.

        It is without cluster and service, whose names may be long.
        """
        without_service = "/".join(incident_id.split("/")[2:])
        return f"{self.mark}: incident {without_service}"


def as_deployments(
    known: Mapping[str, CodeDeployDeployment],
    original: TaskSet | None = None,
    *,
    more: bool,
) -> tuple[Deployment, ...]:
    """CodeDeploy's deployments of a group as the decision knows deployments, newest first.

    What ran before one is what the last one before it left. Before the oldest, that is `original`,
    the task set that came with the service, or with `more` deployments that are not known, what
    CodeDeploy calls its previous revision.
    """
    oldest_first = sorted(known.values(), key=lambda one: (one.created_at, one.deployment_id))
    runs = original.id if original and not more else None

    found: list[Deployment] = []
    for one in oldest_first:
        if one.rolls_back in known:
            continue

        before = runs
        if before is None and one.previous:
            before = f"{one.deployment_id}{_PREVIOUS}"
        rollback = known.get(one.rolled_back_by or "")
        found.append(_as_deployment(one, rollback, before))

        if one.status is Status.SUCCESSFUL:
            runs = one.deployment_id
    return tuple(reversed(found))


def _as_deployment(
    one: CodeDeployDeployment,
    rollback: CodeDeployDeployment | None,
    before: str | None,
) -> Deployment:
    status = one.status
    if status is Status.STOPPED and one.rolled_back_by:
        begun = rollback.status if rollback else Status.PENDING
        status = _ROLLED_BACK.get(begun, Status.ROLLBACK_IN_PROGRESS)

    finished_at: datetime | None = None
    if not status.in_progress:
        last = rollback or one
        finished_at = last.finished_at or last.created_at

    return Deployment(
        arn=one.deployment_id,
        status=status,
        created_at=one.created_at,
        started_at=one.started_at,
        finished_at=finished_at,
        target=one.deployment_id,
        sources=(before,) if before else (),
        rollback_revision=before if status.is_rollback else None,
        traffic=TrafficShift(Strategy.CODE_DEPLOY),
    )


def newest_of(
    clients: "Clients",
    key: ServiceKey,
    code_deploy: Callable[[], str | None],
    mark: str,
) -> tuple[History, DeploymentPage]:
    """Where a service's deployments are on record, and the newest.

    They are in ECS, else in the group that `code_deploy` names, which is asked for only where ECS
    tells none; the page is empty where neither does.
    """
    ecs = Ecs(clients)
    page = ecs.newest_page(key)
    if isinstance(page, DeploymentPage) and page.arns:
        return ecs, page

    named = code_deploy()
    if not named:
        return ecs, NO_DEPLOYMENTS

    group = DeploymentGroup.of(clients, named, mark)
    try:
        return group, group.deployments_page(key)
    except UnknownGroup:
        return ecs, NO_DEPLOYMENTS
