"""The tasks of a service that have stopped, as facts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from autorollback.decision.facts import StoppedTask
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import TaskTypeDef

    from autorollback.aws.clients import Clients

PAGE = 100
"""Tasks that ListTasks names and DescribeTasks takes at once (botocore ecs/2014-11-13)."""

REASON_KEPT = 250
"""Characters of a reason: what tells why a task stopped stands at its beginning."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Reads stopped tasks: one page, which tells enough."""

    clients: "Clients"

    def stopped(self, key: ServiceKey) -> tuple[str, ...]:
        """ARNs of tasks that stopped lately, one page of them.

        ECS keeps them for an hour or so, and may leave out some (ListTasks, botocore
        ecs/2014-11-13). None of a service that is not there.
        """
        ecs = self.clients.ecs
        try:
            answer = ecs.list_tasks(
                cluster=key.cluster,
                serviceName=key.service,
                desiredStatus="STOPPED",
                maxResults=PAGE,
            )
        except (
            ecs.exceptions.ServiceNotFoundException,
            ecs.exceptions.ClusterNotFoundException,
        ):
            return ()
        return tuple(answer.get("taskArns", []))

    def described(
        self,
        key: ServiceKey,
        arns: Sequence[str],
    ) -> tuple[StoppedTask, ...]:
        """When and why tasks stopped.

        Without those that still run, or that ECS does not know any more.
        """
        answer = self.clients.ecs.describe_tasks(cluster=key.cluster, tasks=list(arns[:PAGE]))
        stopped = (_stopped(described) for described in answer.get("tasks", []))
        return tuple(task for task in stopped if task is not None)


def _stopped(described: "TaskTypeDef") -> StoppedTask | None:
    at = described.get("stoppedAt") or described.get("stoppingAt")
    if at is None:
        return None
    return StoppedTask(
        code=described.get("stopCode", ""),
        reason=described.get("stoppedReason", "")[:REASON_KEPT],
        at=at.astimezone(UTC),
        definition=described.get("taskDefinitionArn", ""),
        created_at=_utc(described.get("createdAt")),
    )


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
