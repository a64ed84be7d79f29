"""CodeDeploy's deployments of one group and their AppSpecs, as CodeDeploy describes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from autorollback.aws.appspec import AppSpec, UnreadableAppSpec
from autorollback.aws.clients import each_once, in_batches, in_parallel
from autorollback.decision.facts import Status, Strategy, TrafficShift
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_codedeploy.type_defs import (
        DeploymentInfoTypeDef,
        ECSTargetTypeDef,
        ListDeploymentsInputTypeDef,
        RevisionLocationTypeDef,
    )

    from autorollback.aws.clients import Clients

BATCH = 25
"""Deployments that BatchGetDeployments takes at once (botocore codedeploy/2014-10-06)."""

PAGES = 5
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

_CANNOT_BE_READ = (
    "AccessDeniedException",
    "AccessDenied",
    "DeploymentDoesNotExistException",
)


class UnknownGroup(LookupError):  # noqa: N818 - a finding, which the caller turns into a hold
    """There is no such application or deployment group."""


@dataclass(frozen=True, slots=True)
class CodeDeployDeployment:
    """A deployment as CodeDeploy describes it.

    Attributes:
        revision: where its AppSpec is kept.
        previous: where that of what was deployed before it is kept.
        rolled_back_by: the deployment that rolls it back, once CodeDeploy has begun one.
        rolls_back: the deployment that it rolls back, where CodeDeploy created it for that.
        waits: how long it keeps what ran before, after the traffic has moved; it is in progress
            until then.
    """

    deployment_id: str
    status: Status
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    revision: "RevisionLocationTypeDef | None" = None
    previous: "RevisionLocationTypeDef | None" = None
    rolled_back_by: str | None = None
    rolls_back: str | None = None
    configuration: str | None = None
    description: str = ""
    waits: timedelta = timedelta()


@dataclass(slots=True)
class CodeDeploy:
    """Reads one deployment group.

    What is read once is true for one invocation.

    Attributes:
        ids: the deployments that have been listed, most often the newest first.
        known: the deployments that have been read, by id.
    """

    clients: "Clients"
    application: str
    group: str
    ids: list[str] = field(default_factory=list)
    known: dict[str, CodeDeployDeployment] = field(default_factory=dict)
    _lists_more: bool = False
    _specs: dict[str, AppSpec | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """`<application>/<deployment group>`."""
        return f"{self.application}/{self.group}"

    @property
    def has_more(self) -> bool:
        """Whether there are deployments that have not been read."""
        return self._lists_more or not self.known.keys() >= set(self.ids)

    def list_deployments(self) -> None:
        """List the ids of the group's deployments, anew.

        That the newest come first is usual, not promised: if they do not, all are read.

        Raises:
            UnknownGroup: CodeDeploy knows no such application or deployment group.
        """
        self.ids, token = self._page(None)
        self.read(self.ids[:BATCH])
        created = [self.known[one].created_at for one in self.ids if one in self.known]
        newest_first = created == sorted(created, reverse=True)

        pages = 1
        while token is not None and not newest_first and pages < PAGES:
            ids, token = self._page(token)
            self.ids += ids
            pages += 1

        self._lists_more = token is not None
        if not newest_first:
            self.read(self.ids)

    def _page(self, token: str | None) -> tuple[list[str], str | None]:
        codedeploy = self.clients.codedeploy
        asked: ListDeploymentsInputTypeDef = {
            "applicationName": self.application,
            "deploymentGroupName": self.group,
        }
        if token:
            asked["nextToken"] = token

        try:
            answer = codedeploy.list_deployments(**asked)
        except (
            codedeploy.exceptions.ApplicationDoesNotExistException,
            codedeploy.exceptions.DeploymentGroupDoesNotExistException,
        ) as error:
            raise UnknownGroup(f"CodeDeploy knows no deployment group {self.name}") from error
        return list(answer.get("deployments", [])), answer.get("nextToken")

    def read(self, ids: Iterable[str]) -> None:
        """Read deployments that have not been read yet, and those that they are related to.

        Those that roll them back, and those that they roll back.
        """
        asked: set[str] = set()
        missing = [one for one in dict.fromkeys(ids) if one not in self.known]
        while missing:
            asked.update(missing)
            for batch in in_batches(missing, BATCH):
                answer = self.clients.codedeploy.batch_get_deployments(deploymentIds=batch)
                for described in answer.get("deploymentsInfo", []):
                    deployment = _deployment(described)
                    self.known[deployment.deployment_id] = deployment
            missing = sorted(self._related() - self.known.keys() - asked)

    def _related(self) -> set[str]:
        related: list[str | None] = []
        for deployment in self.known.values():
            related += (deployment.rolled_back_by, deployment.rolls_back)
        return set(each_once(related))

    def group_of(self, deployment_id: str) -> str | None:
        """`<application>/<deployment group>` of any deployment.

        None where there is no such deployment, or where it may not be read.
        """
        try:
            answer = self.clients.codedeploy.get_deployment(deploymentId=deployment_id)
        except ClientError as error:
            if error.response["Error"].get("Code") in _CANNOT_BE_READ:
                return None
            raise
        described = answer["deploymentInfo"]
        return f"{described.get('applicationName')}/{described.get('deploymentGroupName')}"

    def traffic_of(self, deployment_id: str, key: ServiceKey) -> TrafficShift:
        """How a deployment shifts traffic to its task set.

        Its one target is the service, as `<cluster>:<service>` (botocore codedeploy/2014-10-06,
        BatchGetDeploymentTargetsInput). Nothing is known of one that has not begun, or that has no
        such target.
        """
        codedeploy = self.clients.codedeploy
        unknown = TrafficShift(Strategy.CODE_DEPLOY)
        try:
            answer = codedeploy.batch_get_deployment_targets(
                deploymentId=deployment_id,
                targetIds=[f"{key.cluster}:{key.service}"],
            )
        except (
            codedeploy.exceptions.DeploymentNotStartedException,
            codedeploy.exceptions.DeploymentTargetDoesNotExistException,
            codedeploy.exceptions.InvalidDeploymentTargetIdException,
        ):
            return unknown
        for target in answer.get("deploymentTargets", []):
            if "ecsTarget" in target:
                return _shift(target["ecsTarget"])
        return unknown

    def app_specs(self, locations: "Mapping[str, RevisionLocationTypeDef]") -> dict[str, AppSpec]:
        """The AppSpecs that are kept in these places.

        One that cannot be read is not there.
        """
        unread = {
            _address(location): partial(self._app_spec, location)
            for location in locations.values()
            if _address(location) not in self._specs
        }
        self._specs |= in_parallel(unread)

        found: dict[str, AppSpec] = {}
        for name, location in locations.items():
            spec = self._specs[_address(location)]
            if spec:
                found[name] = spec
        return found

    def _app_spec(self, location: "RevisionLocationTypeDef") -> AppSpec | None:
        """An AppSpec by its hash.

        GetDeployment never has its content (botocore codedeploy/2014-10-06, GetDeployment).
        """
        codedeploy = self.clients.codedeploy
        if location.get("revisionType") != "AppSpecContent":
            return None  # in S3: the bucket is not this function's to read

        asked: RevisionLocationTypeDef = {
            "revisionType": "AppSpecContent",
            "appSpecContent": {"sha256": location["appSpecContent"]["sha256"]},
        }
        try:
            answer = codedeploy.get_application_revision(
                applicationName=self.application,
                revision=asked,
            )
            content = answer["revision"]["appSpecContent"].get("content", "")
            return AppSpec.read(content)
        except (codedeploy.exceptions.RevisionDoesNotExistException, UnreadableAppSpec):
            return None


def _address(location: "RevisionLocationTypeDef") -> str:
    return location.get("appSpecContent", {}).get("sha256") or str(location)


def _deployment(described: "DeploymentInfoTypeDef") -> CodeDeployDeployment:
    started = _utc(described.get("startTime"))
    finished = _utc(described.get("completeTime"))
    if started and finished:
        # CodeDeploy's own servers may differ in time
        # (botocore codedeploy/2014-10-06, DeploymentInfo startTime)
        started = min(started, finished)

    rollback = described.get("rollbackInfo", {})
    made_to_roll_back = described.get("creator") == "codeDeployRollback"
    rolls_back = rollback.get("rollbackTriggeringDeploymentId") if made_to_roll_back else None

    blue_green = described.get("blueGreenDeploymentConfiguration", {})
    ends = blue_green.get("terminateBlueInstancesOnDeploymentSuccess", {})
    waits = timedelta(minutes=ends.get("terminationWaitTimeInMinutes", 0))

    return CodeDeployDeployment(
        deployment_id=described["deploymentId"],
        status=_STATUS[described["status"]],
        created_at=described["createTime"].astimezone(UTC),
        started_at=started,
        finished_at=finished,
        revision=described.get("revision"),
        previous=described.get("previousRevision"),
        rolled_back_by=rollback.get("rollbackDeploymentId"),
        rolls_back=rolls_back,
        configuration=described.get("deploymentConfigName"),
        description=described.get("description", ""),
        waits=waits,
    )


def _shift(target: "ECSTargetTypeDef") -> TrafficShift:
    """By botocore codedeploy/2014-10-06, ECSTaskSet and LifecycleEvent. Without a green task set nothing has come of it yet."""
    weight = 0.0
    for task_set in target.get("taskSetsInfo", []):
        if str(task_set.get("taskSetLabel")).upper() == "GREEN":
            weight = task_set.get("trafficWeight", 0.0)

    began_at: datetime | None = None
    for event in target.get("lifecycleEvents", []):
        if event.get("lifecycleEventName") == "AllowTraffic":
            began_at = _utc(event.get("startTime"))
    return TrafficShift(
        Strategy.CODE_DEPLOY,
        weight=weight,
        began_at=began_at,
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
