"""How the API shows what `model` holds, in the shapes of botocore's model of ecs 2014-11-13."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from localcloud.ecs.model import Deployment, Revision, Service, Stage, Status, Task, TaskSet, shifts
from localcloud.ecs.scheduler import breaker_threshold


def service(service: Service, *, tags: bool) -> dict[str, Any]:
    """One of DescribeServices; `currentServiceDeployment` only while one is under way, as captured answers omit it otherwise.

    A service that CodeDeploy deploys has task sets and no `deployments` (aws/copilot-cli issue 1061); that it has no
    service revisions either is this cloud's guess.
    """
    newest = service.newest
    shown = {
        **service.settings,
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(service.running.values())
        + sum(getattr(t, "running_count", 0) for t in service.moto.task_sets),
        "pendingCount": sum(service.pending.values()),
        "taskDefinition": service.task_definition,
        "deploymentController": {"type": service.controller},
        "taskSets": [task_set(service, one) for one in service.task_sets] or service.moto.task_sets,
        "deployments": _deployments(service),
        "events": service.messages,
        "createdAt": service.created_at,
        "currentServiceRevisions": [_tally(service, revision) for revision in _alive(service)],
    }
    if newest is not None and not newest.finished:
        shown["currentServiceDeployment"] = newest.arn
    if tags:
        shown["tags"] = service.moto.tags
    return shown


def task_set(service: Service, of: TaskSet) -> dict[str, Any]:
    """One of `taskSets`; CodeDeploy's say whose they are (botocore's documentation of TaskSet)."""
    shown = {
        **of.settings,
        "id": of.task_set_id,
        "taskSetArn": of.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "status": of.status,
        "taskDefinition": of.revision.task_definition,
        "computedDesiredCount": 0 if of.status == "DRAINING" else service.desired,
        "runningCount": service.running.get(of.revision, 0),
        "pendingCount": service.pending.get(of.revision, 0),
        "createdAt": of.created_at,
        "updatedAt": of.updated_at,
        "scale": {"value": 0.0 if of.status == "DRAINING" else 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if of.stable and of.status != "DRAINING" else "STABILIZING",
        "stabilityStatusAt": of.stable_since,
        "tags": [],
    }
    return shown | ({"startedBy": "CODE_DEPLOY", "externalId": of.external_id} if of.external_id else {})


def task(service: Service, of: Task, within: TaskSet) -> dict[str, Any]:
    """One of DescribeTasks, as far as this project may want to read it."""
    number = of.arn.rpartition("/")[2]
    containers = [
        {
            "containerArn": of.arn.replace(":task/", ":container/") + f"/{position}",
            "taskArn": of.arn,
            "name": image["containerName"],
            "lastStatus": "RUNNING",
            "healthStatus": "UNKNOWN",
            "runtimeId": f"{number}-{position}",
            **{key: image[key] for key in ("image", "imageDigest") if key in image},
        }
        for position, image in enumerate(within.revision.images)
    ]
    return {
        "taskArn": of.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": within.revision.task_definition,
        "containers": containers,
        "group": f"service:{service.name}",
        "startedBy": within.task_set_id,
        "lastStatus": "RUNNING",
        "desiredStatus": "STOPPED" if within.status == "DRAINING" else "RUNNING",
        "healthStatus": "UNKNOWN",
        "launchType": within.settings.get("launchType", "EC2"),
        "createdAt": within.created_at,
        "startedAt": of.started_at,
        "version": 3,
        "tags": [],
    }


def deployment(service: Service, of: Deployment) -> dict[str, Any]:
    """One of DescribeServiceDeployments; the record of an ended one keeps the counts that it ended with."""
    requested, running, pending = of.counts or (
        service.desired,
        service.running.get(of.target, 0),
        service.pending.get(of.target, 0),
    )
    breaker = of.configuration.get("deploymentCircuitBreaker", {})
    alarms = of.configuration.get("alarms", {})
    shown = brief(service, of) | {
        "updatedAt": of.updated_at,
        "stoppedAt": of.stopped_at,
        "sourceServiceRevisions": [
            {"arn": revision.arn, "requestedTaskCount": count, "runningTaskCount": count, "pendingTaskCount": 0}
            for revision, count in of.sources.items()
        ],
        "targetServiceRevision": {
            "arn": of.target.arn,
            "requestedTaskCount": requested,
            "runningTaskCount": running,
            "pendingTaskCount": pending,
        },
        "deploymentConfiguration": of.configuration,
        "deploymentCircuitBreaker": {
            "status": _monitor(of, enabled=bool(breaker.get("enable")), triggered=of.breaker_triggered),
            "failureCount": of.failed_tasks,
            "threshold": breaker_threshold(service.desired),
        },
        "alarms": {
            "status": _monitor(
                of, enabled=bool(alarms.get("enable")) and not of.ignores_alarms, triggered=bool(of.triggered_alarms)
            ),
            "alarmNames": alarms.get("alarmNames", []),
            "triggeredAlarmNames": list(of.triggered_alarms),
        },
    }
    del shown["targetServiceRevisionArn"]
    if of.strategy != "ROLLING" and of.status is Status.IN_PROGRESS:
        shown["lifecycleStage"] = _lifecycle_stage(of)
    if of.rollback is not None:
        shown["rollback"] = {
            "reason": of.rollback.reason,
            "startedAt": of.rollback.started_at,
            "serviceRevisionArn": of.rollback.revision.arn,
        }
    return shown


def brief(service: Service, of: Deployment) -> dict[str, Any]:
    """One of ListServiceDeployments."""
    return {
        "serviceDeploymentArn": of.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "createdAt": of.created_at,
        "startedAt": of.started_at,
        "finishedAt": of.finished_at,
        "targetServiceRevisionArn": of.target.arn,
        "status": str(of.status),
        "statusReason": of.status_reason,
    }


def revision(service: Service, of: Revision) -> dict[str, Any]:
    """One of DescribeServiceRevisions."""
    return {
        **of.settings,
        "serviceRevisionArn": of.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinition": of.task_definition,
        "containerImages": list(of.images),
        "guardDutyEnabled": False,
        "createdAt": of.created_at,
    }


def _deployments(service: Service) -> list[dict[str, Any]]:
    """The primary one, and those that still have tasks."""
    shown = []
    for one in _alive(service):
        state, reason = _rollout(service, one)
        shown.append(
            {
                "id": one.deployment_id,
                "status": "PRIMARY" if one is service.primary else "ACTIVE",
                "taskDefinition": one.task_definition,
                "desiredCount": service.desired if one is service.primary else service.running.get(one, 0),
                "runningCount": service.running.get(one, 0),
                "pendingCount": service.pending.get(one, 0),
                "failedTasks": max((d.failed_tasks for d in service.deployments if d.target is one), default=0),
                "createdAt": one.created_at,
                "updatedAt": _updated(service, one),
                "rolloutState": state,
                "rolloutStateReason": reason,
                **{
                    k: v
                    for k, v in one.settings.items()
                    if k in ("launchType", "platformVersion", "networkConfiguration")
                },
            }
        )
    return shown


def _rollout(service: Service, one: Revision) -> tuple[str, str]:
    newest = service.newest
    returning = newest is not None and newest.rollback is not None and newest.rollback.revision is one
    own = next(d for d in service.deployments if d.target is one)
    if returning and newest is not None and newest.status is Status.ROLLBACK_IN_PROGRESS:
        return "IN_PROGRESS", f"ECS deployment {one.deployment_id} in progress."
    if own.status in {Status.SUCCESSFUL} or returning:
        return "COMPLETED", f"ECS deployment {one.deployment_id} completed."
    if own.status in {Status.PENDING, Status.IN_PROGRESS, Status.STOP_REQUESTED}:
        return "IN_PROGRESS", f"ECS deployment {one.deployment_id} in progress."
    return "FAILED", own.status_reason or f"ECS deployment {one.deployment_id} failed."


def _updated(service: Service, one: Revision) -> datetime:
    return max(d.updated_at for d in service.deployments if d.target is one)


def _alive(service: Service) -> list[Revision]:
    if service.task_sets:
        return []
    alive = [service.primary] if service.primary is not None else []
    others = [r for r in (service.running | service.pending) if r is not service.primary]
    return alive + [r for r in others if service.running.get(r, 0) or service.pending.get(r, 0)]


def _tally(service: Service, one: Revision) -> Mapping[str, Any]:
    running, pending = service.running.get(one, 0), service.pending.get(one, 0)
    return {
        "arn": one.arn,
        "requestedTaskCount": running + pending,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }


def _monitor(of: Deployment, *, enabled: bool, triggered: bool) -> str:
    if not enabled:
        return "DISABLED"
    if triggered:
        return "TRIGGERED"
    return "MONITORING_COMPLETE" if of.finished else "MONITORING"


def _lifecycle_stage(of: Deployment) -> str:
    """The stages that this cloud passes through; hooks and test traffic are not modelled."""
    match of.stage:
        case Stage.LAUNCHING | Stage.REPLACING:
            return "SCALE_UP"
        case Stage.SETTLING:
            return "POST_SCALE_UP"
        case _:
            return "BAKE_TIME" if of.step + 1 == len(shifts(of.configuration)) else "PRODUCTION_TRAFFIC_SHIFT"
