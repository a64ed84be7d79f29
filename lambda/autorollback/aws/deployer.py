"""The act: what changes a production service. Nothing else in the project does."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from autorollback.aws.ecs import Ecs
from autorollback.decision.model import Deployment
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients


class Way(StrEnum):
    """How a rollback is done."""

    UPDATE_SERVICE = "UpdateService"


@dataclass(frozen=True, slots=True)
class Deployer:
    """Deploys a task definition to a service."""

    clients: "Clients"

    def newest(self, key: ServiceKey) -> Deployment | None:
        """The service's newest deployment as it is at this moment; None without one."""
        ecs = Ecs(self.clients)
        page = ecs.deployments_page(key)
        newest = ecs.deployments(page.arns[:1])
        return newest[0] if newest else None

    def update(self, key: ServiceKey, task_definition_arn: str) -> None:
        """Deploy a task definition, and change nothing else.

        `UpdateService` has neither an idempotency token nor a compare-and-set (botocore ecs/2014-11-13): the caller reads the
        newest deployment right before and holds the claim. Omitted settings are kept. A deployment in progress is stopped by
        ECS. Errors of ECS are raised as they are.
        """
        self.clients.ecs.update_service(cluster=key.cluster, service=key.service, taskDefinition=task_definition_arn)


def started_since(newest: Deployment, claimed: str, at: datetime) -> bool:
    """Whether the newest deployment is another than the claimed one, and came after the claim."""
    return newest.arn != claimed and newest.created_at >= at
