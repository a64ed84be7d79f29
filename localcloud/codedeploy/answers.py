"""How the API shows deployments, in the shapes of botocore's model of codedeploy 2014-10-06."""

from typing import Any

from localcloud.codedeploy.model import Deployment, Location, Stage, Status
from localcloud.ecs.model import TaskSet


def deployment(of: Deployment) -> dict[str, Any]:
    """The content of an AppSpec is never in it (botocore's documentation of GetDeployment); what does not apply is left out."""
    counted = {
        Status.CREATED: "Pending",
        Status.IN_PROGRESS: "InProgress",
        Status.SUCCEEDED: "Succeeded",
        Status.FAILED: "Failed",
        Status.STOPPED: "Skipped",
    }
    overview = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
    optional = {
        "revision": of.location.shown if of.location else None,
        "previousRevision": of.previous.shown if of.previous else None,
        "startTime": of.started_at,
        "completeTime": of.completed_at,
        "errorInformation": of.error,
        "rollbackInfo": of.rollback_info or None,
        "description": of.description,
    }
    return {
        "applicationName": of.group.application.application_name,
        "deploymentGroupName": of.group.deployment_group_name,
        "deploymentConfigName": of.configuration,
        "deploymentId": of.deployment_id,
        "status": str(of.status),
        "createTime": of.created_at,
        "deploymentOverview": overview | {counted[of.status]: 1},
        "creator": of.creator,
        "ignoreApplicationStopFailures": False,
        "updateOutdatedInstancesOnly": False,
        "instanceTerminationWaitTimeStarted": of.waits,
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
        **of.settings,
        **{key: value for key, value in optional.items() if value is not None},
    }


def group(of: Any, by_moto: dict[str, Any], target: Location | None, newest: list[Deployment]) -> dict[str, Any]:
    """One of GetDeploymentGroup; `newest` are its deployments, the newest first."""
    last = {
        "lastAttemptedDeployment": next(iter(newest), None),
        "lastSuccessfulDeployment": next((d for d in newest if d.status is Status.SUCCEEDED), None),
    }
    shown = {key: value for key, value in by_moto.items() if key not in {*last, "targetRevision"}}
    shown["deploymentConfigName"] = of.deployment_config_name
    shown["alarmConfiguration"] = of.alarm_configuration or {"enabled": False}
    if target is not None:
        shown["targetRevision"] = target.shown
    return shown | {key: _last(one) for key, one in last.items() if one is not None}


def target(of: Deployment) -> dict[str, Any]:
    """One of BatchGetDeploymentTargets: the service, with the task sets of the deployment that still are."""
    service = of.service
    cluster = service.cluster_arn.rpartition("/")[2]
    _, _, _, region, account, _ = service.arn.split(":", 5)
    sets = [(one, label) for one, label in ((of.original, "Blue"), (of.replacement, "Green")) if one is not None]
    return {
        "deploymentTargetType": "ECSTarget",
        "ecsTarget": {
            "deploymentId": of.deployment_id,
            "targetId": f"{cluster}:{service.name}",
            "targetArn": f"arn:aws:codedeploy:{region}:{account}:deployment:{of.deployment_id}/{cluster}:{service.name}",
            "lastUpdatedAt": of.completed_at or of.since,
            "lifecycleEvents": _lifecycle(of),
            "status": _target_status(of),
            "taskSetsInfo": [_task_set(of, one, label) for one, label in sets if one in service.task_sets],
        },
    }


def _last(of: Deployment) -> dict[str, Any]:
    shown = {"deploymentId": of.deployment_id, "status": str(of.status), "createTime": of.created_at}
    return shown if of.completed_at is None else shown | {"endTime": of.completed_at}


def _task_set(of: Deployment, one: TaskSet, label: str) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "identifer": one.task_set_id,  # so spelt in the API
        "desiredCount": 0 if one.status == "DRAINING" else of.service.desired,
        "pendingCount": of.service.pending.get(one.revision, 0),
        "runningCount": of.service.running.get(one.revision, 0),
        "status": one.status,
        "trafficWeight": 100 * one.weight,
        "taskSetLabel": label,
    }
    return shown | ({"targetGroup": {"name": one.target_group.split("/")[1]}} if one.target_group else {})


def _target_status(of: Deployment) -> str:
    return {Status.CREATED: "Pending", Status.STOPPED: "Skipped"}.get(of.status, str(of.status))


def _lifecycle(of: Deployment) -> list[dict[str, Any]]:
    """The events that are no hooks (reference-appspec-file-structure-hooks.html#appspec-hooks-ecs), without their times."""
    done = {
        Stage.LAUNCHING: 0,
        Stage.SETTLING: 1,
        Stage.SHIFTING: 1,
        Stage.RETURNING: 1,
        Stage.WAITING: 2,
        Stage.DRAINING: 2,
    }
    reached = 2 if of.status is Status.SUCCEEDED else done[of.stage]
    rest = {Status.FAILED: "Failed", Status.STOPPED: "Skipped", Status.CREATED: "Pending"}.get(of.status, "InProgress")
    states = ["Succeeded"] * reached + [rest, "Pending"]
    return [
        {"lifecycleEventName": name, "status": state}
        for name, state in zip(("Install", "AllowTraffic"), states, strict=False)
    ]
