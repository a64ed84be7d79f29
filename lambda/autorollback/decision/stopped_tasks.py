"""Did tasks fail, was their capacity taken away, or were they replaced?

The codes are those of botocore ecs/2014-11-13, TaskStopCode. What they leave open the reason tells: ECS stops tasks that
fail their health checks under the same code as those that are scaled in. Reasons: the developer guide's
stopped-task-errors.html, api_failures_messages.html and service-event-messages-list.html.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum, auto

from autorollback.decision.facts import Deployment, Facts, StoppedTask


class StopCause(Enum):
    """Who or what stopped a task."""

    FAILED = auto()
    TAKEN_AWAY = auto()
    REPLACED = auto()


_TAKEN_AWAY = frozenset({"SpotInterruption", "TerminationNotice", "InfrastructureHealth"})

_REPLACED_BY = "Scaling activity initiated by"
"""Begins the reason of what a deployment or a change of the desired count stopped."""

_LOST_HOST = (
    "container instance is in DRAINING state",
    "instance draining",
    "Host EC2 (instance",
    "Container instance deregistration",
    "Your Spot Task was interrupted",
    "maintenance on the underlying infrastructure",
)

_NO_CAPACITY = (
    "Capacity is unavailable",
    "RESOURCE:",
    "TaskFailedToStart: AGENT",
    "NO ACTIVE INSTANCES",
    "EMPTY CAPACITY PROVIDER",
    "No Container Instances were found",
)
"""Reasons of tasks that failed to start for want of something to run on."""


def cause_of(task: StoppedTask) -> StopCause:
    """Why a task stopped.

    What is not known to be anybody else's doing is its own failure.
    """
    if task.code in _TAKEN_AWAY or _says(task, _LOST_HOST):
        return StopCause.TAKEN_AWAY
    if task.code == "TaskFailedToStart" and _says(task, _NO_CAPACITY):
        return StopCause.TAKEN_AWAY
    if task.reason.startswith(_REPLACED_BY):
        return StopCause.REPLACED
    return StopCause.FAILED


def stops_since(
    moment: datetime,
    suspect: Deployment,
    facts: Facts,
) -> list[StopCause]:
    """Why the tasks of a deployment, or of a later one, stopped since a moment.

    Without those of an older one, and those that a deployment or a scaling stopped.
    """
    causes: list[StopCause] = []
    for task in _own(suspect, facts):
        cause = cause_of(task)
        if task.at >= moment and cause is not StopCause.REPLACED:
            causes.append(cause)
    return causes


def _own(suspect: Deployment, facts: Facts) -> Iterable[StoppedTask]:
    """Those that ran what it or a later one brought, and were asked to start since."""
    since = facts.deployments[: facts.deployments.index(suspect) + 1]
    revisions = [facts.revision(deployment.target) for deployment in since]
    definitions = {revision.task_definition_arn for revision in revisions if revision}
    for task in facts.stopped or ():
        is_older = task.created_at is not None and task.created_at < suspect.created_at
        if task.definition in definitions and not is_older:
            yield task


def _says(task: StoppedTask, words: Iterable[str]) -> bool:
    return any(word in task.reason for word in words)
