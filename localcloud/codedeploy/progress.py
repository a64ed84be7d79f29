"""How CodeDeploy's deployments go on as time passes.

A replacement task set starts, traffic moves to it, and the original is ended. The pace is this
cloud's own: about a minute, and what the group says to wait. The order is AWS's
(https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html): the deployment
succeeds only when the original task set has been ended, after the termination wait time, through
which its status stays InProgress (the waiting is what aws-actions/amazon-ecs-deploy-task-definition
allows for; the status is a guess, botocore also knows Baking).

A rollback is a new deployment of the last successful revision, with an id of its own
(deployments-rollback-and-redeploy.html). That it takes the original task set where that still runs,
and makes no new one, is a guess too.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from moto.codedeploy.models import DeploymentGroup
from moto.core.exceptions import ServiceException

from localcloud.codedeploy.events import state_change
from localcloud.codedeploy.model import ROLLBACK_CREATOR, Deployment, Location, Phase, Status
from localcloud.ecs import task_sets
from localcloud.ecs.model import Service, TaskSet
from localcloud.ecs.registry import Ecs
from localcloud.ecs.scheduler import Fitness

BEGIN = timedelta(seconds=1)
LAUNCH = timedelta(seconds=20)
SETTLE = timedelta(seconds=20)
RETURN = timedelta(seconds=20)
DRAIN = timedelta(seconds=20)
DURATIONS = {
    Phase.LAUNCHING: LAUNCH,
    Phase.SETTLING: SETTLE,
    Phase.RETURNING: RETURN,
    Phase.DRAINING: DRAIN,
}
HEALTHY_WITHIN = timedelta(minutes=60)

# the texts for target groups and for refusals by ECS are guesses
NO_TARGET_GROUP = (
    "The ELB could not be updated: a target group of the deployment group does not exist."
)
TIMED_OUT = (
    "The deployment timed out while waiting for the replacement task set to become healthy. "
    "This time out period is 60 minutes."
)
ALARM_ACTIVE = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you "
    "selected, and the affected deployments have been stopped. Activated alarms: "
)
ECS_REFUSED = "The ECS service cannot be updated due to an unexpected error: "


@dataclass
class Deployer:
    """Moves all deployments on, at the moments when something falls due.

    Hold the lock of ECS around its methods. `target_group_arn` finds a target group by its name.
    """

    ecs: Ecs
    target_group_arn: Callable[[str], str | None]
    deployments: dict[str, Deployment] = field(default_factory=dict)

    def progress(self, service: Service, now: datetime) -> None:
        """Do what has fallen due for one service. A rollback may begin within it."""
        deployment = self.under_way(service)
        while deployment is not None and _due(deployment) <= now:
            self._step(deployment, _due(deployment))
            deployment = self.under_way(service)

        if deployment is not None:
            self._watch_alarms(deployment, now)

    def progress_all(self, now: datetime) -> None:
        """Do what has fallen due for all services that have been deployed."""
        services = dict.fromkeys(deployment.service for deployment in self.deployments.values())
        for service in services:
            with self.ecs.scheduler.troubles.of(f"the service {service.name}"):
                self.progress(service, now)

    def newest_first(self) -> list[Deployment]:
        """List all deployments."""
        return list(reversed(self.deployments.values()))

    def under_way(self, service: Service) -> Deployment | None:
        """Find the deployment that has not ended. There is one at most."""
        for deployment in self.newest_first():
            if deployment.service is service and not deployment.finished:
                return deployment
        return None

    def last_succeeded(self, group: DeploymentGroup) -> Deployment | None:
        """Find the newest deployment of a group that succeeded. Rollbacks count."""
        for deployment in self.newest_first():
            if deployment.group is group and deployment.status is Status.SUCCEEDED:
                return deployment
        return None

    def last_location(self, group: DeploymentGroup) -> Location | None:
        """Find what the last deployment of a group that succeeded has deployed."""
        last = self.last_succeeded(group)
        return last.location if last is not None else None

    def begin(self, deployment: Deployment) -> None:
        """Take over a deployment that is Created. What follows takes time."""
        deployment.previous = self.last_location(deployment.group)
        self.deployments[deployment.deployment_id] = deployment

    def _step(self, deployment: Deployment, at: datetime) -> None:
        if deployment.stop is not None:
            self._stop(deployment, at)
        elif deployment.status is Status.CREATED:
            self._start(deployment, at)
        else:
            self._go_on(deployment, at)

    def _start(self, deployment: Deployment, at: datetime) -> None:
        deployment.status = Status.IN_PROGRESS
        deployment.started_at = at
        deployment.since = at
        self._announce(deployment, "START", at)
        if deployment.original is not None:
            deployment.phase = Phase.RETURNING
            return

        service = deployment.service
        deployment.original = service.primary_task_set
        for one in list(service.task_sets):
            if one is not deployment.original:
                task_sets.remove(service, one)

        if deployment.location is None:
            raise AssertionError("only a return to a running task set does without a revision")
        self._launch(deployment, deployment.location, at)

    def _launch(
        self,
        deployment: Deployment,
        location: Location,
        at: datetime,
    ) -> None:
        target_group_arn = self._free_target_group_arn(deployment)
        if target_group_arn is None:
            self._fail(
                deployment,
                "ELASTIC_LOAD_BALANCING_INVALID",
                NO_TARGET_GROUP,
                at,
            )
            return

        spec = location.spec
        balancer = {
            "targetGroupArn": target_group_arn,
            "containerName": spec.container_name,
            "containerPort": spec.container_port,
        }
        settings = {**spec.settings, "loadBalancers": [balancer]}
        try:
            deployment.replacement = self.ecs.start_task_set(
                deployment.service,
                spec.task_definition,
                settings,
                deployment.deployment_id,
                at,
            )
        except ServiceException as refused:
            self._fail(
                deployment,
                "ECS_UPDATE_ERROR",
                f"{ECS_REFUSED}{refused.message}",
                at,
            )

    def _free_target_group_arn(self, deployment: Deployment) -> str | None:
        """Find the one of the group's pair that the original does not have.

        None where one of the pair does not exist.
        """
        (pair,) = deployment.group.load_balancer_info["targetGroupPairInfoList"]
        arns: list[str] = []
        for one in pair["targetGroups"]:
            arn = self.target_group_arn(one["name"])
            if arn is None:
                return None
            arns.append(arn)

        original = deployment.original
        taken = original.target_group if original is not None else None
        return next((arn for arn in arns if arn.rpartition(":")[2] != taken), None)

    def _go_on(self, deployment: Deployment, at: datetime) -> None:
        match deployment.phase:
            case Phase.LAUNCHING:
                self._wait_for_tasks(deployment, at)
            case Phase.SETTLING:
                _shift(deployment, at)
            case Phase.SHIFTING:
                deployment.step += 1
                _shift(deployment, at)
            case Phase.WAITING:
                _drain(deployment, deployment.original, at)
            case Phase.RETURNING:
                _return(deployment, at)
            case Phase.DRAINING:
                self._complete(deployment, at)

    def _wait_for_tasks(self, deployment: Deployment, at: datetime) -> None:
        service = deployment.service
        replacement = _replacement(deployment)
        fitness = Fitness()
        if service.desired:
            fitness = self.ecs.scheduler.can_run(replacement.revision)

        deployment.since = at
        if fitness.serves:
            task_sets.run(service, replacement, at)
            deployment.phase = Phase.SETTLING
        elif deployment.started_at is not None and at - deployment.started_at >= HEALTHY_WITHIN:
            self._fail(
                deployment,
                "TIMEOUT",
                TIMED_OUT,
                at,
            )

    def _complete(self, deployment: Deployment, at: datetime) -> None:
        service = deployment.service
        for one in list(service.task_sets):
            if one.is_draining:
                task_sets.remove(service, one)
        self._end(
            deployment,
            Status.SUCCEEDED,
            "SUCCESS",
            at,
        )

    def _watch_alarms(self, deployment: Deployment, now: datetime) -> None:
        """Stop what is in progress by an alarm of the group. Rollbacks go on.

        Source: deployments-rollback-and-redeploy.html.
        """
        if deployment.status is not Status.IN_PROGRESS:
            return
        in_alarm = self.ecs.scheduler.alarms_in_alarm(deployment.alarms)
        if not in_alarm:
            return

        names = ", ".join(in_alarm)
        deployment.error = {"code": "ALARM_ACTIVE", "message": f"{ALARM_ACTIVE}{names}"}
        self._end(
            deployment,
            Status.STOPPED,
            "STOP",
            now,
        )
        if "DEPLOYMENT_STOP_ON_ALARM" in deployment.rolls_back_on:
            self._roll_back(deployment, now)

    def _stop(self, deployment: Deployment, at: datetime) -> None:
        """Stop as a user asked.

        Without a rollback, tasks and traffic stay as they are; what is left over goes when the next
        deployment starts.
        """
        message = "The deployment was stopped by a user."
        deployment.error = {"code": "MANUAL_STOP", "message": message}
        self._end(
            deployment,
            Status.STOPPED,
            "STOP",
            at,
        )
        if deployment.stop_rolls_back:
            self._roll_back(deployment, at)

    def _fail(
        self,
        deployment: Deployment,
        code: str,
        message: str,
        at: datetime,
    ) -> None:
        deployment.error = {"code": code, "message": message}
        self._end(
            deployment,
            Status.FAILED,
            "FAILURE",
            at,
        )
        if "DEPLOYMENT_FAILURE" in deployment.rolls_back_on:
            self._roll_back(deployment, at)

    def _roll_back(self, deployment: Deployment, at: datetime) -> None:
        """Go back to the original task set where it still runs.

        Else it is a deployment like any other of the last successful revision.
        """
        if deployment.creator == ROLLBACK_CREATOR:
            return

        original = _original_that_runs(deployment)
        if original is None and self.last_succeeded(deployment.group) is None:
            message = "There is no successful deployment to roll back to."
            deployment.rollback_info["rollbackMessage"] = message
            return

        rollback = Deployment(
            deployment_id=new_id(),
            group=deployment.group,
            service=deployment.service,
            location=self.last_location(deployment.group),
            configuration=deployment.configuration,
            created_at=at,
            since=at,
            rolls_back_on=frozenset(),
            alarms=(),
            settings=deployment.settings,
            creator=ROLLBACK_CREATOR,
            original=original,
            returns_from=deployment if original is not None else None,
        )
        message = f"Rollback deployment {rollback.deployment_id} was created."
        deployment.rollback_info["rollbackDeploymentId"] = rollback.deployment_id
        deployment.rollback_info["rollbackMessage"] = message
        rollback.rollback_info["rollbackTriggeringDeploymentId"] = deployment.deployment_id
        self.begin(rollback)

    def _end(
        self,
        deployment: Deployment,
        status: Status,
        event: str,
        at: datetime,
    ) -> None:
        deployment.status = status
        deployment.completed_at = at
        self._announce(deployment, event, at)

    def _announce(
        self,
        deployment: Deployment,
        state: str,
        at: datetime,
    ) -> None:
        self.ecs.scheduler.post(state_change(deployment, state, at), at)


def new_id() -> str:
    """Make up a deployment id as AWS's look."""
    alphabet = string.ascii_uppercase + string.digits
    letters = "".join(secrets.choice(alphabet) for _ in range(9))
    return f"d-{letters}"


def _replacement(deployment: Deployment) -> TaskSet:
    if deployment.replacement is None:
        raise AssertionError(f"{deployment.deployment_id} has no task set of its own")
    return deployment.replacement


def _original_that_runs(deployment: Deployment) -> TaskSet | None:
    """Find the task set that a rollback can go back to at once.

    None where it is gone or going.
    """
    service = deployment.service
    original = deployment.original or service.primary_task_set
    if original is None or original.is_draining:
        return None
    return original if original in service.task_sets else None


def _shift(deployment: Deployment, at: datetime) -> None:
    """Move traffic to the replacement as the configuration has it."""
    replacement = _replacement(deployment)
    weight = deployment.traffic_step.weight
    deployment.since = at
    deployment.shift_began_at = deployment.shift_began_at or at
    if weight < 1:
        deployment.phase = Phase.SHIFTING
        task_sets.shift(
            deployment.service,
            replacement,
            weight,
            at,
        )
    else:
        task_sets.make_primary(deployment.service, replacement, at)
        deployment.phase = Phase.WAITING
        deployment.waits = True


def _return(deployment: Deployment, at: datetime) -> None:
    """Move traffic back to the original."""
    if deployment.original is None or deployment.returns_from is None:
        raise AssertionError("a return has a task set and a deployment that it is between")
    task_sets.make_primary(deployment.service, deployment.original, at)
    _drain(deployment, deployment.returns_from.replacement, at)


def _drain(deployment: Deployment, task_set: TaskSet | None, at: datetime) -> None:
    if task_set is not None:
        task_sets.drain(task_set, at)
    deployment.phase = Phase.DRAINING
    deployment.since = at


def _due(deployment: Deployment) -> datetime:
    """Tell when the next step of a deployment under way is due."""
    if deployment.stop is not None:
        return deployment.stop + BEGIN
    if deployment.status is Status.CREATED:
        return deployment.since + BEGIN
    return deployment.since + _duration(deployment)


def _duration(deployment: Deployment) -> timedelta:
    """Tell how long the phase of a deployment in progress lasts."""
    if deployment.phase is Phase.SHIFTING:
        return timedelta(minutes=deployment.traffic_step.minutes)
    if deployment.phase is Phase.WAITING:
        return timedelta(minutes=_wait_minutes(deployment.group))
    return DURATIONS[deployment.phase]


def _wait_minutes(group: DeploymentGroup) -> int:
    configuration = group.blue_green_deployment_configuration
    termination = configuration.get("terminateBlueInstancesOnDeploymentSuccess", {})
    return int(termination.get("terminationWaitTimeInMinutes", 0))
