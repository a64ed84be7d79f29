"""How the API shows deployments.

The shapes are those of botocore's model of codedeploy 2014-10-06.
"""

from collections.abc import Sequence

from moto.codedeploy.models import DeploymentGroup

from localcloud.codedeploy.model import Deployment, Location, Phase, Status
from localcloud.ecs.model import TaskSet
from localcloud.shapes import ApiObject

OVERVIEW_NAMES = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")
# of the one target, which is also the name that it is counted under in the overview
TARGET_STATUS = {
    Status.CREATED: "Pending",
    Status.IN_PROGRESS: "InProgress",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Skipped",
}

# The lifecycle events that are no hooks, in their order, and how many of them are done in a phase
# (reference-appspec-file-structure-hooks.html#appspec-hooks-ecs).
LIFECYCLE_EVENTS = ("Install", "AllowTraffic")
EVENTS_DONE = {
    Phase.LAUNCHING: 0,
    Phase.SETTLING: 1,
    Phase.SHIFTING: 1,
    Phase.RETURNING: 1,
    Phase.WAITING: 2,
    Phase.DRAINING: 2,
}


def deployment(of: Deployment) -> ApiObject:
    """Show one of GetDeployment.

    The content of an AppSpec is never in it (botocore's documentation of GetDeployment); what does
    not apply is left out.
    """
    overview = dict.fromkeys(OVERVIEW_NAMES, 0)
    overview[TARGET_STATUS[of.status]] = 1
    shown = {
        "applicationName": of.group.application.application_name,
        "deploymentGroupName": of.group.deployment_group_name,
        "deploymentConfigName": of.configuration,
        "deploymentId": of.deployment_id,
        "status": str(of.status),
        "createTime": of.created_at,
        "deploymentOverview": overview,
        "creator": of.creator,
        "ignoreApplicationStopFailures": False,
        "updateOutdatedInstancesOnly": False,
        "instanceTerminationWaitTimeStarted": of.waits,
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
        **of.settings,
    }

    optional = {
        "revision": _shown(of.location),
        "previousRevision": _shown(of.previous),
        "startTime": of.started_at,
        "completeTime": of.completed_at,
        "errorInformation": of.error,
        "rollbackInfo": of.rollback_info or None,
        "description": of.description,
    }
    return shown | {name: value for name, value in optional.items() if value is not None}


def group(
    of: DeploymentGroup,
    by_moto: ApiObject,
    target: Location | None,
    newest_first: Sequence[Deployment],
) -> ApiObject:
    """Show one of GetDeploymentGroup. `newest_first` are its deployments."""
    shown = dict(by_moto)
    for name in ("targetRevision", "lastAttemptedDeployment", "lastSuccessfulDeployment"):
        shown.pop(name, None)

    shown["deploymentConfigName"] = of.deployment_config_name
    shown["alarmConfiguration"] = of.alarm_configuration or {"enabled": False}
    if target is not None:
        shown["targetRevision"] = target.shown
    if newest_first:
        shown["lastAttemptedDeployment"] = _last(newest_first[0])
    succeeded = [one for one in newest_first if one.status is Status.SUCCEEDED]
    if succeeded:
        shown["lastSuccessfulDeployment"] = _last(succeeded[0])
    return shown


def target(of: Deployment) -> ApiObject:
    """Show one of BatchGetDeploymentTargets.

    It is the service, with the task sets of the deployment that still are.
    """
    _, _, _, region, account, _ = of.service.arn.split(":", 5)
    name = target_id(of)
    task_sets: list[ApiObject] = []
    for one, label in ((of.original, "Blue"), (of.replacement, "Green")):
        if one is not None and one in of.service.task_sets:
            task_sets.append(_task_set(of, one, label))

    shown = {
        "deploymentId": of.deployment_id,
        "targetId": name,
        "targetArn": (
            f"arn:aws:codedeploy:{region}:{account}:deployment:{of.deployment_id}/{name}"
        ),
        "lastUpdatedAt": of.completed_at or of.since,
        "lifecycleEvents": _lifecycle(of),
        "status": TARGET_STATUS[of.status],
        "taskSetsInfo": task_sets,
    }
    return {"deploymentTargetType": "ECSTarget", "ecsTarget": shown}


def target_id(of: Deployment) -> str:
    """Name the one target, by cluster and service."""
    cluster = of.service.cluster_arn.rpartition("/")[2]
    return f"{cluster}:{of.service.name}"


def _shown(location: Location | None) -> ApiObject | None:
    if location is None:
        return None
    return dict(location.shown)


def _last(of: Deployment) -> ApiObject:
    shown = {
        "deploymentId": of.deployment_id,
        "status": str(of.status),
        "createTime": of.created_at,
    }
    if of.completed_at is not None:
        shown["endTime"] = of.completed_at
    return shown


def _task_set(of: Deployment, one: TaskSet, label: str) -> ApiObject:
    counts = of.service.counts_of(one.revision)
    shown = {
        "identifer": one.task_set_id,  # so spelt in the API
        "desiredCount": 0 if one.is_draining else counts.requested,
        "pendingCount": counts.pending,
        "runningCount": counts.running,
        "status": one.status,
        "trafficWeight": 100 * one.weight,
        "taskSetLabel": label,
    }
    if one.target_group:
        shown["targetGroup"] = {"name": one.target_group.split("/")[1]}
    return shown


def _lifecycle(of: Deployment) -> list[ApiObject]:
    """Show the lifecycle events, with no times but the start of the shift of traffic."""
    done = EVENTS_DONE[of.phase]
    if of.status is Status.SUCCEEDED:
        done = len(LIFECYCLE_EVENTS)

    shown: list[ApiObject] = []
    for number, name in enumerate(LIFECYCLE_EVENTS):
        status = "Pending"
        if number < done:
            status = "Succeeded"
        elif number == done:
            status = TARGET_STATUS[of.status]
        event: ApiObject = {"lifecycleEventName": name, "status": status}
        if name == "AllowTraffic" and of.shift_began_at is not None:
            event["startTime"] = of.shift_began_at
        shown.append(event)
    return shown
