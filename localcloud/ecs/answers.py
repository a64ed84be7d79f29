"""How the API shows what `model` holds.

The shapes are those of botocore's model of ecs 2014-11-13.
"""

from datetime import datetime
from typing import Any

from localcloud.ecs import hooks
from localcloud.ecs.model import (
    Deployment,
    Phase,
    Revision,
    Service,
    ServiceTask,
    Status,
    Task,
    TaskSet,
)
from localcloud.ecs.scheduler import breaker_threshold
from localcloud.shapes import ApiObject

# of a revision's settings, those that one of `deployments` shows
DEPLOYMENT_SETTINGS = ("launchType", "platformVersion", "networkConfiguration")
UNDER_WAY = frozenset({Status.PENDING, Status.IN_PROGRESS, Status.STOP_REQUESTED})


def service(service: Service, *, tags: bool) -> ApiObject:
    """Show one of DescribeServices.

    `currentServiceDeployment` is there only while one is under way, as captured answers omit it
    otherwise. A service that CodeDeploy deploys has task sets and no `deployments`
    (aws/copilot-cli issue 1061); that it has no service revisions either is this cloud's guess.
    """
    revisions = _revisions_in_use(service)
    task_sets: list[Any] = [task_set(service, one) for one in service.task_sets]
    running = sum(service.running.values())
    for external in service.moto.task_sets:
        running += getattr(external, "running_count", 0)

    shown = {
        **service.settings,
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": running,
        "pendingCount": sum(service.pending.values()),
        "taskDefinition": service.task_definition,
        "deploymentController": {"type": service.controller},
        "taskSets": task_sets or service.moto.task_sets,
        "deployments": [_deployment_of(service, revision) for revision in revisions],
        "events": service.messages,
        "createdAt": service.created_at,
        "currentServiceRevisions": [_counted(service, revision) for revision in revisions],
    }
    newest = service.newest
    if newest is not None and not newest.finished:
        shown["currentServiceDeployment"] = newest.arn
    if tags:
        shown["tags"] = service.moto.tags
    return shown


def task_set(service: Service, of: TaskSet) -> ApiObject:
    """Show one of `taskSets`.

    CodeDeploy's say whose they are (botocore's documentation of TaskSet).
    """
    counts = service.counts_of(of.revision)
    shown = {
        **of.settings,
        "id": of.task_set_id,
        "taskSetArn": of.arn,
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "status": of.status,
        "taskDefinition": of.revision.task_definition,
        "computedDesiredCount": counts.requested,
        "runningCount": counts.running,
        "pendingCount": counts.pending,
        "createdAt": of.created_at,
        "updatedAt": of.updated_at,
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if of.stable else "STABILIZING",
        "stabilityStatusAt": of.stable_since,
        "tags": [],
    }
    if of.is_draining:
        shown["computedDesiredCount"] = 0
        shown["scale"] = {"value": 0.0, "unit": "PERCENT"}
        shown["stabilityStatus"] = "STABILIZING"
    if of.external_id:
        shown["startedBy"] = "CODE_DEPLOY"
        shown["externalId"] = of.external_id
    return shown


def task(service: Service, of: Task, within: TaskSet) -> ApiObject:
    """Show one of DescribeTasks, as far as this project may want to read it."""
    images = within.revision.images
    containers = [_container(of.arn, image, position) for position, image in enumerate(images)]
    return {
        "taskArn": of.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": within.revision.task_definition,
        "containers": containers,
        "group": f"service:{service.name}",
        "startedBy": within.task_set_id,
        "lastStatus": "RUNNING",
        "desiredStatus": desired_status(within),
        "healthStatus": "UNKNOWN",
        "launchType": within.settings.get("launchType", "EC2"),
        "createdAt": within.created_at,
        "startedAt": of.started_at,
        "version": 3,
        "tags": [],
    }


def service_task(service: Service, of: ServiceTask) -> ApiObject:
    """Show one of DescribeTasks, of a service that ECS deploys."""
    status = "RUNNING" if of.stop is None else "STOPPED"
    shown = {
        "taskArn": of.arn,
        "clusterArn": service.cluster_arn,
        "taskDefinitionArn": of.revision.task_definition,
        "containers": [
            _container(of.arn, image, position) for position, image in enumerate(of.revision.images)
        ],
        "group": f"service:{service.name}",
        "startedBy": of.revision.deployment_id,
        "lastStatus": status,
        "desiredStatus": status,
        "healthStatus": "UNKNOWN",
        "launchType": of.revision.settings.get("launchType", "EC2"),
        "createdAt": of.created_at,
        "startedAt": of.started_at,
        "version": 3,
        "tags": [],
    }
    if of.stop is not None:
        shown |= {
            "stopCode": of.stop.code,
            "stoppedReason": of.stop.reason,
            "stoppingAt": of.stopped_at,
            "stoppedAt": of.stopped_at,
        }
    return shown


def desired_status(of: TaskSet) -> str:
    """The `desiredStatus` of the tasks of a task set."""
    return "STOPPED" if of.is_draining else "RUNNING"


def _container(task_arn: str, image: dict[str, str], position: int) -> dict[str, str]:
    task_id = task_arn.rpartition("/")[2]
    container_arn = task_arn.replace(":task/", ":container/")
    shown = {
        "containerArn": f"{container_arn}/{position}",
        "taskArn": task_arn,
        "name": image["containerName"],
        "image": image["image"],
        "lastStatus": "RUNNING",
        "healthStatus": "UNKNOWN",
        "runtimeId": f"{task_id}-{position}",
    }
    if "imageDigest" in image:
        shown["imageDigest"] = image["imageDigest"]
    return shown


def deployment(service: Service, of: Deployment) -> ApiObject:
    """Show one of DescribeServiceDeployments.

    The record of an ended one keeps the counts that it ended with.
    """
    counts = of.counts or service.counts_of(of.target)
    shown = brief(service, of)
    del shown["targetServiceRevisionArn"]
    shown |= {
        "updatedAt": of.updated_at,
        "stoppedAt": of.stopped_at,
        "sourceServiceRevisions": [
            _revision_with_counts(
                revision,
                requested=count,
                running=count,
                pending=0,
            )
            for revision, count in of.sources.items()
        ],
        "targetServiceRevision": _revision_with_counts(of.target, **counts._asdict()),
        "deploymentConfiguration": of.configuration,
        "deploymentCircuitBreaker": _breaker(service, of),
        "alarms": _alarms(of),
    }
    if not of.is_rolling:
        _show_traffic(shown, of)
    if of.rollback is not None:
        shown["rollback"] = {
            "reason": of.rollback.reason,
            "startedAt": of.rollback.started_at,
            "serviceRevisionArn": of.rollback.revision.arn,
        }
    return shown


def _show_traffic(shown: ApiObject, of: Deployment) -> None:
    """Add the stage of a deployment under way, and the production traffic that each revision is asked for.

    The weights are percent (botocore's ServiceRevisionSummary). What several sources would have is
    this cloud's guess: each the rest.
    """
    weight = 100.0 * of.target_weight
    shown["targetServiceRevision"]["requestedProductionTrafficWeight"] = weight
    for source in shown["sourceServiceRevisions"]:
        source["requestedProductionTrafficWeight"] = 100.0 - weight
    if of.status is Status.IN_PROGRESS:
        shown["lifecycleStage"] = _lifecycle_stage(of)
    if of.hooks:
        shown["lifecycleHookDetails"] = hooks.shown(of)


def brief(service: Service, of: Deployment) -> ApiObject:
    """Show one of ListServiceDeployments."""
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


def revision(service: Service, of: Revision) -> ApiObject:
    """Show one of DescribeServiceRevisions."""
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


def _breaker(service: Service, of: Deployment) -> ApiObject:
    enabled = bool(of.breaker.get("enable"))
    return {
        "status": _monitor_status(of, enabled=enabled, triggered=of.breaker_triggered),
        "failureCount": of.failed_tasks,
        "threshold": breaker_threshold(service.desired),
    }


def _alarms(of: Deployment) -> ApiObject:
    configured = of.configuration.get("alarms", {})
    enabled = bool(configured.get("enable")) and not of.ignores_alarms
    return {
        "status": _monitor_status(of, enabled=enabled, triggered=bool(of.triggered_alarms)),
        "alarmNames": configured.get("alarmNames", []),
        "triggeredAlarmNames": list(of.triggered_alarms),
    }


def _monitor_status(of: Deployment, *, enabled: bool, triggered: bool) -> str:
    if not enabled:
        return "DISABLED"
    if triggered:
        return "TRIGGERED"
    if of.finished:
        return "MONITORING_COMPLETE"
    return "MONITORING"


def _lifecycle_stage(of: Deployment) -> str:
    """The stages that this cloud passes through. Test traffic is not modelled."""
    if of.hook is not None:
        return of.hook.stage
    if of.phase in {Phase.LAUNCHING, Phase.REPLACING}:
        return "SCALE_UP"
    if of.phase is Phase.SETTLING:
        return "POST_SCALE_UP"
    is_last_step = of.step + 1 == len(of.traffic_steps)
    return "BAKE_TIME" if is_last_step else "PRODUCTION_TRAFFIC_SHIFT"


def _revisions_in_use(service: Service) -> list[Revision]:
    """The primary one, and those that still have tasks. None where CodeDeploy deploys."""
    if service.task_sets:
        return []

    in_use: list[Revision] = []
    if service.primary is not None:
        in_use.append(service.primary)
    for one in service.running | service.pending:
        counts = service.counts_of(one)
        has_tasks = counts.running > 0 or counts.pending > 0
        if has_tasks and one is not service.primary:
            in_use.append(one)
    return in_use


def _deployment_of(service: Service, one: Revision) -> ApiObject:
    """Show one of `deployments`."""
    counts = service.counts_of(one)
    is_primary = one is service.primary
    state, reason = _rollout(service, one)
    shown = {
        "id": one.deployment_id,
        "status": "PRIMARY" if is_primary else "ACTIVE",
        "taskDefinition": one.task_definition,
        "desiredCount": counts.requested if is_primary else counts.running,
        "runningCount": counts.running,
        "pendingCount": counts.pending,
        "failedTasks": max(own.failed_tasks for own in _deployments_to(service, one)),
        "createdAt": one.created_at,
        "updatedAt": _updated_at(service, one),
        "rolloutState": state,
        "rolloutStateReason": reason,
    }
    for name in DEPLOYMENT_SETTINGS:
        if name in one.settings:
            shown[name] = one.settings[name]
    return shown


def _rollout(service: Service, one: Revision) -> tuple[str, str]:
    """The rollout's state and its reason."""
    in_progress = ("IN_PROGRESS", f"ECS deployment {one.deployment_id} in progress.")
    completed = ("COMPLETED", f"ECS deployment {one.deployment_id} completed.")

    newest = service.newest
    rollback = newest.rollback if newest is not None else None
    if newest is not None and rollback is not None and rollback.revision is one:
        is_returning = newest.status is Status.ROLLBACK_IN_PROGRESS
        return in_progress if is_returning else completed

    own = _deployments_to(service, one)[0]
    if own.status is Status.SUCCESSFUL:
        return completed
    if own.status in UNDER_WAY:
        return in_progress
    return "FAILED", own.status_reason or f"ECS deployment {one.deployment_id} failed."


def _updated_at(service: Service, one: Revision) -> datetime:
    return max(own.updated_at for own in _deployments_to(service, one))


def _deployments_to(service: Service, target: Revision) -> list[Deployment]:
    return [one for one in service.deployments if one.target is target]


def _counted(service: Service, one: Revision) -> ApiObject:
    """Show one of `currentServiceRevisions`, whose tasks are those that it has."""
    counts = service.counts_of(one)
    has = counts.running + counts.pending
    return _revision_with_counts(
        one,
        requested=has,
        running=counts.running,
        pending=counts.pending,
    )


def _revision_with_counts(
    one: Revision,
    *,
    requested: int,
    running: int,
    pending: int,
) -> ApiObject:
    return {
        "arn": one.arn,
        "requestedTaskCount": requested,
        "runningTaskCount": running,
        "pendingTaskCount": pending,
    }
