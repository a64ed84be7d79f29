"""How CodeDeploy's deployments go on as time passes: a replacement task set, traffic that moves to it, the end of the original.

The pace is this cloud's own: about a minute, and what the group says to wait. The order is AWS's
(https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-ecs.html): the deployment succeeds only when the
original task set has been ended, after the termination wait time, through which its status stays InProgress (the waiting is
what aws-actions/amazon-ecs-deploy-task-definition allows for; the status is a guess, botocore also knows Baking).

A rollback is a new deployment of the last successful revision, with an id of its own (deployments-rollback-and-redeploy.html).
That it takes the original task set where that still runs, and makes no new one, is a guess too.
"""

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from moto.core.exceptions import ServiceException

from localcloud.codedeploy.events import state_change
from localcloud.codedeploy.model import CONFIGURATIONS, Deployment, Location, Stage, Status
from localcloud.ecs import task_sets
from localcloud.ecs.model import Service, TaskSet
from localcloud.ecs.scheduler import Fitness

if TYPE_CHECKING:
    from localcloud.ecs.registry import Ecs

BEGIN = timedelta(seconds=1)
LAUNCH = timedelta(seconds=20)
SETTLE = timedelta(seconds=20)
RETURN = timedelta(seconds=20)
DRAIN = timedelta(seconds=20)
HEALTHY_WITHIN = timedelta(minutes=60)


@dataclass
class Deployer:
    """Moves all deployments on, at the moments when something falls due; hold the lock of ECS around its methods.

    `target_group_arn` finds a target group by its name.
    """

    ecs: "Ecs"
    target_group_arn: Callable[[str], str | None]
    deployments: dict[str, Deployment] = field(default_factory=dict)

    def progress(self, service: Service, now: datetime) -> None:
        """Do what has fallen due for one service; a rollback may begin within it."""
        while (deployment := self.under_way(service)) is not None and (due := _due(deployment)) <= now:
            self._step(deployment, due)
        if deployment is not None:
            self._watch_alarms(deployment, now)

    def under_way(self, service: Service) -> Deployment | None:
        """The deployment that has not ended; there is one at most."""
        mine = [d for d in self.deployments.values() if d.service is service and not d.finished]
        return mine[-1] if mine else None

    def last_succeeded(self, group: object) -> Deployment | None:
        """The newest of a deployment group that did; rollbacks count."""
        done = [d for d in self.deployments.values() if d.group is group and d.status is Status.SUCCEEDED]
        return done[-1] if done else None

    def begin(self, deployment: Deployment) -> None:
        """It is Created; what follows takes time."""
        last = self.last_succeeded(deployment.group)
        deployment.previous = last.location if last else None
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
        deployment.started_at = deployment.since = at
        self._announce(deployment, "START", at)
        service = deployment.service
        if deployment.original is not None:
            deployment.stage = Stage.RETURNING
            return
        deployment.original = service.primary_task_set
        for left_over in [one for one in service.task_sets if one is not deployment.original]:
            task_sets.remove(service, left_over)
        if deployment.location is None:
            raise AssertionError("only a return to a running task set does without a revision")
        self._launch(deployment, deployment.location, at)

    def _launch(self, deployment: Deployment, location: Location, at: datetime) -> None:
        spec, group = location.spec, self._free_target_group(deployment)
        if group is None:
            message = "The ELB could not be updated: a target group of the deployment group does not exist."  # a guess
            self._fail(deployment, "ELASTIC_LOAD_BALANCING_INVALID", message, at)
            return
        balancer = {
            "targetGroupArn": group,
            "containerName": spec.container_name,
            "containerPort": spec.container_port,
        }
        settings = {**spec.settings, "loadBalancers": [balancer]}
        try:
            deployment.replacement = self.ecs.start_task_set(
                deployment.service, spec.task_definition, settings, deployment.deployment_id, at
            )
        except ServiceException as refused:
            # the words are a guess
            message = f"The ECS service cannot be updated due to an unexpected error: {refused.message}"
            self._fail(deployment, "ECS_UPDATE_ERROR", message, at)

    def _free_target_group(self, deployment: Deployment) -> str | None:
        """The ARN of the one of the group's pair that the original does not have; None where one of the pair does not exist."""
        (pair,) = deployment.group.load_balancer_info["targetGroupPairInfoList"]
        arns = [self.target_group_arn(one["name"]) for one in pair["targetGroups"]]
        taken = deployment.original.target_group if deployment.original else None
        return next((arn for arn in arns if arn and arn.rpartition(":")[2] != taken), None) if all(arns) else None

    def _go_on(self, deployment: Deployment, at: datetime) -> None:
        match deployment.stage:
            case Stage.LAUNCHING:
                self._wait_for_tasks(deployment, at)
            case Stage.SETTLING:
                self._shift(deployment, at)
            case Stage.SHIFTING:
                deployment.step += 1
                self._shift(deployment, at)
            case Stage.WAITING:
                self._drain(deployment, deployment.original, at)
            case Stage.RETURNING:
                self._return(deployment, at)
            case Stage.DRAINING:
                for one in [one for one in deployment.service.task_sets if one.status == "DRAINING"]:
                    task_sets.remove(deployment.service, one)
                self._end(deployment, Status.SUCCEEDED, "SUCCESS", at)

    def _wait_for_tasks(self, deployment: Deployment, at: datetime) -> None:
        service, replacement = deployment.service, _own(deployment)
        fitness = self.ecs.scheduler.can_run(replacement.revision) if service.desired else Fitness()
        deployment.since = at
        if fitness.starts and fitness.healthy:
            task_sets.run(service, replacement, at)
            deployment.stage = Stage.SETTLING
        elif deployment.started_at is not None and at - deployment.started_at >= HEALTHY_WITHIN:
            message = "The deployment timed out while waiting for the replacement task set to become healthy. This time out period is 60 minutes."
            self._fail(deployment, "TIMEOUT", message, at)

    def _shift(self, deployment: Deployment, at: datetime) -> None:
        weight, _ = CONFIGURATIONS[deployment.configuration][deployment.step]
        deployment.since = at
        if weight < 1:
            deployment.stage = Stage.SHIFTING
            task_sets.shift(deployment.service, _own(deployment), weight, at)
            return
        task_sets.make_primary(deployment.service, _own(deployment), at)
        deployment.stage, deployment.waits = Stage.WAITING, True

    def _return(self, deployment: Deployment, at: datetime) -> None:
        if deployment.original is None or deployment.returns_from is None:
            raise AssertionError("a return has a task set to go back to, and a deployment to go back from")
        task_sets.make_primary(deployment.service, deployment.original, at)
        self._drain(deployment, deployment.returns_from.replacement, at)

    def _drain(self, deployment: Deployment, task_set: TaskSet | None, at: datetime) -> None:
        if task_set is not None:
            task_sets.drain(task_set, at)
        deployment.stage, deployment.since = Stage.DRAINING, at

    def _watch_alarms(self, deployment: Deployment, now: datetime) -> None:
        """A red alarm of the group stops what is in progress (deployments-rollback-and-redeploy.html); rollbacks go on."""
        if deployment.status is not Status.IN_PROGRESS:
            return
        if red := self.ecs.scheduler.alarms_in_alarm(deployment.alarms):
            deployment.error = {
                "code": "ALARM_ACTIVE",
                "message": "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, "
                f"and the affected deployments have been stopped. Activated alarms: {', '.join(red)}",
            }
            self._end(deployment, Status.STOPPED, "STOP", now)
            if "DEPLOYMENT_STOP_ON_ALARM" in deployment.rolls_back_on:
                self._roll_back(deployment, now)

    def _stop(self, deployment: Deployment, at: datetime) -> None:
        """Without a rollback, tasks and traffic stay as they are; what is left over goes when the next deployment starts."""
        deployment.error = {"code": "MANUAL_STOP", "message": "The deployment was stopped by a user."}
        self._end(deployment, Status.STOPPED, "STOP", at)
        if deployment.stop_rolls_back:
            self._roll_back(deployment, at)

    def _fail(self, deployment: Deployment, code: str, message: str, at: datetime) -> None:
        deployment.error = {"code": code, "message": message}
        self._end(deployment, Status.FAILED, "FAILURE", at)
        if "DEPLOYMENT_FAILURE" in deployment.rolls_back_on:
            self._roll_back(deployment, at)

    def _roll_back(self, deployment: Deployment, at: datetime) -> None:
        """To the original task set where it still runs; else a deployment like any other of the last successful revision."""
        if deployment.creator == "codeDeployRollback":
            return
        last = self.last_succeeded(deployment.group)
        original = deployment.original or deployment.service.primary_task_set
        returns = original in deployment.service.task_sets and original is not None and original.status != "DRAINING"
        if not returns and last is None:
            deployment.rollback_info["rollbackMessage"] = "There is no successful deployment to roll back to."
            return
        rollback = Deployment(
            deployment_id=new_id(),
            group=deployment.group,
            service=deployment.service,
            location=last.location if last else None,
            configuration=deployment.configuration,
            created_at=at,
            since=at,
            rolls_back_on=frozenset(),
            alarms=(),
            settings=deployment.settings,
            creator="codeDeployRollback",
            original=original if returns else None,
            returns_from=deployment if returns else None,
        )
        deployment.rollback_info["rollbackDeploymentId"] = rollback.deployment_id
        deployment.rollback_info["rollbackMessage"] = f"Rollback deployment {rollback.deployment_id} was created."
        rollback.rollback_info["rollbackTriggeringDeploymentId"] = deployment.deployment_id
        self.begin(rollback)

    def _end(self, deployment: Deployment, status: Status, event: str, at: datetime) -> None:
        deployment.status, deployment.completed_at = status, at
        self._announce(deployment, event, at)

    def _announce(self, deployment: Deployment, state: str, at: datetime) -> None:
        self.ecs.scheduler.post(state_change(deployment, state, at), at)


def new_id() -> str:
    """As AWS's look."""
    return "d-" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(9))


def _own(deployment: Deployment) -> TaskSet:
    if deployment.replacement is None:
        raise AssertionError(f"{deployment.deployment_id} has no task set of its own")
    return deployment.replacement


def _due(deployment: Deployment) -> datetime:
    if deployment.stop is not None:
        return deployment.stop + BEGIN
    if deployment.status is Status.CREATED:
        return deployment.since + BEGIN
    match deployment.stage:
        case Stage.LAUNCHING:
            return deployment.since + LAUNCH
        case Stage.SETTLING:
            return deployment.since + SETTLE
        case Stage.SHIFTING:
            return deployment.since + timedelta(minutes=CONFIGURATIONS[deployment.configuration][deployment.step][1])
        case Stage.WAITING:
            return deployment.since + timedelta(minutes=_wait_minutes(deployment))
        case Stage.RETURNING:
            return deployment.since + RETURN
        case Stage.DRAINING:
            return deployment.since + DRAIN


def _wait_minutes(deployment: Deployment) -> int:
    termination = deployment.group.blue_green_deployment_configuration.get(
        "terminateBlueInstancesOnDeploymentSuccess", {}
    )
    return int(termination.get("terminationWaitTimeInMinutes", 0))
