"""The operations on deployments."""

from dataclasses import dataclass
from datetime import datetime

from moto.codedeploy.models import CodeDeployBackend, DeploymentGroup
from moto.codedeploy.responses import CodeDeployResponse
from moto.core.responses import ActionResult

from localcloud.codedeploy import answers
from localcloud.codedeploy.model import Deployment, Location
from localcloud.codedeploy.progress import Deployer, new_id
from localcloud.codedeploy.requests import (
    check_configuration,
    deployment_ids,
    in_utc,
    modelled_parameters,
    parameters,
)
from localcloud.codedeploy.revisions import Revisions
from localcloud.codedeploy.services import find_service
from localcloud.ecs.model import Service
from localcloud.errors import Refusal
from localcloud.shapes import ApiObject, Settings

PAGE = 100
CREATE_PARAMETERS = frozenset(
    {
        "applicationName",
        "deploymentGroupName",
        "revision",
        "deploymentConfigName",
        "description",
        "autoRollbackConfiguration",
        "overrideAlarmConfiguration",
    }
)
LIST_PARAMETERS = frozenset(
    {
        "applicationName",
        "deploymentGroupName",
        "includeOnlyStatuses",
        "createTimeRange",
        "nextToken",
    }
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which deployments ListDeployments asks for. What is None or empty asks for all."""

    group: DeploymentGroup | None
    statuses: list[str]
    start: datetime | None
    end: datetime | None

    def includes(self, deployment: Deployment) -> bool:
        """Tell whether it is asked for."""
        if self.group is not None and deployment.group is not self.group:
            return False
        if self.statuses and deployment.status not in self.statuses:
            return False
        if self.start is not None and deployment.created_at < self.start:
            return False
        return self.end is None or deployment.created_at <= self.end


class DeploymentOperations:
    """Deployments of ECS services."""

    def __init__(self, deployer: Deployer, revisions: Revisions) -> None:
        self._deployer = deployer
        self._revisions = revisions

    def create_deployment(self, request: CodeDeployResponse) -> ActionResult:
        """Create a deployment, one at a time in a group.

        The words for a second are those of CircleCI-Public/aws-ecs-orb issue 181. A definition that
        cannot be used is no reason to refuse: the deployment is created, and fails when CodeDeploy
        asks ECS for the task set. No source says so; CreateDeployment has no error for it.
        """
        asked = modelled_parameters(request, "CreateDeployment", CREATE_PARAMETERS)
        application = asked["applicationName"]
        if "deploymentGroupName" not in asked:
            message = "The deployment group name was not specified."
            raise Refusal("DeploymentGroupNameRequiredException", message)
        group = request.codedeploy_backend.get_deployment_group(
            application, asked["deploymentGroupName"]
        )
        check_configuration(asked.get("deploymentConfigName", group.deployment_config_name))
        if "revision" not in asked:
            message = "The revision ID was not specified."
            raise Refusal("RevisionRequiredException", message)

        service = find_service(self._deployer.ecs, group.ecs_services[0])
        self._refuse_second(group, service)
        location = self._revisions.read(asked["revision"])
        now = self._deployer.ecs.now()
        self._revisions.register(application, location, now)

        deployment = _deployment_of(
            asked,
            group,
            service,
            location,
            now,
        )
        self._deployer.begin(deployment)
        return ActionResult({"deploymentId": deployment.deployment_id})

    def get_deployment(self, request: CodeDeployResponse) -> ActionResult:
        """Show a deployment."""
        deployment = find_deployment(self._deployer, parameters(request)["deploymentId"])
        return ActionResult({"deploymentInfo": answers.deployment(deployment)})

    def batch_get_deployments(self, request: CodeDeployResponse) -> ActionResult:
        """Show at most 25. Those that are not there are left out."""
        known = self._deployer.deployments
        ids = deployment_ids(parameters(request))
        shown = [answers.deployment(known[one]) for one in ids if one in known]
        return ActionResult({"deploymentsInfo": shown})

    def list_deployments(self, request: CodeDeployResponse) -> ActionResult:
        """List the newest first, a hundred a page.

        AWS does not promise the order. A group and its application are given only together.
        """
        asked = modelled_parameters(request, "ListDeployments", LIST_PARAMETERS)
        wanted = _wanted(request.codedeploy_backend, asked)
        newest_first = self._deployer.newest_first()
        ids = [one.deployment_id for one in newest_first if wanted.includes(one)]

        first = 0
        token = asked.get("nextToken")
        if token is not None:
            if token not in ids:
                message = "The next token was specified in an invalid format."
                raise Refusal("InvalidNextTokenException", message)
            first = ids.index(token)

        end = first + PAGE
        answer: ApiObject = {"deployments": ids[first:end]}
        if end < len(ids):
            answer["nextToken"] = ids[end]
        return ActionResult(answer)

    def stop_deployment(self, request: CodeDeployResponse) -> ActionResult:
        """Have a deployment Stopped a moment later. Until then the stop is Pending.

        Without `autoRollbackEnabled`, what was configured counts. That a stop is not done at once
        is this cloud's choice of the two documented answers; the texts are its own.
        """
        asked = parameters(request)
        deployment = find_deployment(self._deployer, asked["deploymentId"])
        if deployment.finished:
            message = f"Deployment {deployment.deployment_id} has already completed."
            raise Refusal("DeploymentAlreadyCompletedException", message)

        configured = "DEPLOYMENT_STOP_ON_REQUEST" in deployment.rolls_back_on
        deployment.stop_rolls_back = bool(asked.get("autoRollbackEnabled", configured))
        if deployment.stop is None:
            deployment.stop = self._deployer.ecs.now()
        message = "The deployment is being stopped."
        return ActionResult({"status": "Pending", "statusMessage": message})

    def _refuse_second(self, group: DeploymentGroup, service: Service) -> None:
        active = self._deployer.under_way(service)
        if active is not None:
            name = group.deployment_group_name
            message = (
                f"The Deployment Group '{name}' already has an active Deployment "
                f"'{active.deployment_id}'"
            )
            raise Refusal("DeploymentLimitExceededException", message)


def find_deployment(deployer: Deployer, deployment_id: str) -> Deployment:
    """Find a deployment by its id.

    Raises:
        Refusal: there is none.
    """
    found = deployer.deployments.get(deployment_id)
    if found is None:
        message = f"The deployment {deployment_id} could not be found"
        raise Refusal("DeploymentDoesNotExistException", message)
    return found


def _deployment_of(
    asked: Settings,
    group: DeploymentGroup,
    service: Service,
    location: Location,
    now: datetime,
) -> Deployment:
    """Make the deployment that is asked for. What is not said is the group's."""
    rollback = asked.get("autoRollbackConfiguration", group.auto_rollback_configuration)
    alarms = asked.get("overrideAlarmConfiguration", group.alarm_configuration) or {}
    return Deployment(
        deployment_id=new_id(),
        group=group,
        service=service,
        location=location,
        configuration=asked.get("deploymentConfigName", group.deployment_config_name),
        created_at=now,
        since=now,
        rolls_back_on=_rollback_events(rollback),
        alarms=_alarm_names(alarms),
        settings={
            "deploymentStyle": group.deployment_style,
            "blueGreenDeploymentConfiguration": group.blue_green_deployment_configuration,
            "loadBalancerInfo": group.load_balancer_info,
            "autoRollbackConfiguration": rollback or {"enabled": False},
        },
        description=asked.get("description"),
    )


def _rollback_events(configuration: Settings) -> frozenset[str]:
    if not configuration.get("enabled"):
        return frozenset()
    return frozenset(configuration.get("events", ()))


def _alarm_names(configuration: Settings) -> tuple[str, ...]:
    if not configuration.get("enabled"):
        return ()
    return tuple(one["name"] for one in configuration.get("alarms", ()))


def _wanted(backend: CodeDeployBackend, asked: Settings) -> _Wanted:
    group = _asked_group(backend, asked)
    created = asked.get("createTimeRange", {})
    start = in_utc(created.get("start"))
    end = in_utc(created.get("end"))
    if start is not None and end is not None and start > end:
        message = "The specified time range was specified in an invalid format."
        raise Refusal("InvalidTimeRangeException", message)
    return _Wanted(
        group,
        asked.get("includeOnlyStatuses") or [],
        start,
        end,
    )


def _asked_group(backend: CodeDeployBackend, asked: Settings) -> DeploymentGroup | None:
    """Find the group that a request names with its application. None where it names neither."""
    application = asked.get("applicationName")
    name = asked.get("deploymentGroupName")
    if application is None and name is None:
        return None
    if application is None:
        message = "applicationName must be specified too."
        raise Refusal("ApplicationNameRequiredException", message)
    if name is None:
        message = "deploymentGroupName must be specified too."
        raise Refusal("DeploymentGroupNameRequiredException", message)
    return backend.get_deployment_group(application, name)
