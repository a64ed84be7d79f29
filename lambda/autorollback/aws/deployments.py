"""Where a service's deployments are on record, and who acts on it.

That is ECS, or CodeDeploy's deployment group.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from autorollback.aws.deployer import Deployer, DeploymentBackend
from autorollback.aws.deployment_group import DeploymentGroup, newest_of
from autorollback.aws.ecs import DeploymentPage, Ecs, History
from autorollback.decision.facts import Service, TrafficShift
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients


@dataclass(frozen=True, slots=True)
class Deployments:
    """The deployments of all services. `mark` begins the descriptions of what is created in CodeDeploy.

    A `code_deploy` is `<application>/<deployment group>`; None is for services that ECS itself deploys.
    """

    clients: "Clients"
    mark: str

    def service(self, key: ServiceKey) -> Service | None:
        """The service as it is now; None where ECS knows none of that name."""
        return Ecs(self.clients).service(key)

    def newest_page(self, key: ServiceKey) -> DeploymentPage | ClientError:
        """The newest service deployments in ECS, or why it tells none."""
        return Ecs(self.clients).newest_page(key)

    def history(self, code_deploy: str | None) -> History:
        """Where the deployments of a service are on record; read anew."""
        if code_deploy:
            return self._group(code_deploy)
        return Ecs(self.clients)

    def group_of(
        self,
        service: Service,
        code_deploy: str,
    ) -> DeploymentGroup:
        """The history of a service that CodeDeploy deploys; read anew.

        It begins with the task set that came with the service, while that is there.
        """
        group = self._group(code_deploy)
        group.service_arn = service.arn
        for task_set in service.task_sets:
            if task_set.deployment is None:
                group.original = task_set
                break
        return group

    def backend(self, code_deploy: str | None) -> DeploymentBackend:
        """What acts on a service."""
        if code_deploy:
            return self._group(code_deploy)
        return Deployer(self.clients)

    def newest_of(
        self,
        key: ServiceKey,
        code_deploy: Callable[[], str | None],
    ) -> str:
        """ARN of a service's newest deployment; empty without one.

        The deployment group is asked for only where ECS tells no deployment.
        """
        _, page = newest_of(
            self.clients,
            key,
            code_deploy,
            self.mark,
        )
        return next(iter(page.arns), "")

    def carrying(
        self,
        code_deploy: str,
        deployments: Sequence[str],
        incident_id: str,
    ) -> str | None:
        """Which of CodeDeploy's deployments was created for an incident, if one was."""
        return self._group(code_deploy).carrying(deployments, incident_id)

    def traffic_of(
        self,
        code_deploy: str,
        deployment: str,
        key: ServiceKey,
    ) -> TrafficShift:
        """How a deployment of CodeDeploy shifts traffic."""
        return self._group(code_deploy).codedeploy.traffic_of(deployment, key)

    def _group(self, code_deploy: str) -> DeploymentGroup:
        return DeploymentGroup.of(self.clients, code_deploy, self.mark)
