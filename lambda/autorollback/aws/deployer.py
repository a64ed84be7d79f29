"""The act: what changes a production service.

Nothing else in the project does, but for CodeDeploy's part in `deployment_group`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from autorollback.aws.asking import ask_once
from autorollback.aws.ecs import Ecs
from autorollback.aws.refusals import is_refusal
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

_NOT_NAMED = ""
"""UpdateService does not name the deployment that it begins."""


class StillDeploying(RuntimeError):  # noqa: N818 - says what is to be waited for
    """Another deployment, which has been asked to end, must end before the target follows."""


class Superseded(RuntimeError):  # noqa: N818 - says what happened
    """Somebody else's deployment is in the way: it is not this controller's to end."""


class DeploymentBackend(Protocol):
    """What acts on a service: ECS, or the CodeDeploy deployment group that deploys it."""

    def newest(self, key: ServiceKey) -> str | None:
        """The service's newest deployment at this moment."""

    def stop(self, deployment_arn: str, /) -> bool:
        """Have a deployment rolled back to what it came from.

        False where it has ended.
        """

    def update(
        self,
        key: ServiceKey,
        task_definition_arn: str,
        incident_id: str,
        over: str | None,
        /,
    ) -> str | None:
        """Deploy a task definition, and change nothing else.

        `over` is the deployment that it may take the place of; None for whichever is there.
        The answer is the deployment that was begun, where it is named at once.
        """


@dataclass(frozen=True, slots=True)
class Deployer:
    """Deploys a task definition to a service."""

    clients: "Clients"

    def newest(self, key: ServiceKey) -> str | None:
        """ARN of the service's newest deployment at this moment.

        None without one.
        """
        page = Ecs(self.clients).deployments_page(key)
        return page.arns[0] if page.arns else None

    def stop(self, deployment_arn: str) -> bool:
        """Have ECS roll a deployment back to the whole service revision before it.

        False where the deployment has just ended. One that waits at a pause hook is rolled back from
        there; where that is refused, because it has gone on meanwhile, it is stopped.

        StopServiceDeployment takes deployments that have not ended, and refuses others with
        ConflictException (API StopServiceDeployment, errors).
        """
        ecs = self.clients.ecs
        hook = self._waits_at(deployment_arn)
        if hook is not None and self._rolled_back_from(deployment_arn, hook):
            return True
        try:
            ecs.stop_service_deployment(
                serviceDeploymentArn=deployment_arn,
                stopType="ROLLBACK",
            )
        except (
            ecs.exceptions.ConflictException,
            ecs.exceptions.ServiceDeploymentNotFoundException,
        ):
            return False
        return True

    def _waits_at(self, deployment_arn: str) -> str | None:
        """The pause hook at which a deployment waits for an answer now.

        By botocore ecs/2014-11-13, DeploymentLifecycleHookDetail.
        """
        arns = [deployment_arn]
        answer = self.clients.ecs.describe_service_deployments(serviceDeploymentArns=arns)
        for deployment in answer["serviceDeployments"]:
            for hook in deployment.get("lifecycleHookDetails", []):
                is_waiting = hook.get("status") == "AWAITING_ACTION"
                if is_waiting and "hookId" in hook:
                    return hook["hookId"]
        return None

    def _rolled_back_from(
        self,
        deployment_arn: str,
        hook: str,
    ) -> bool:
        """Answer a pause hook with ROLLBACK; False where it is refused.

        Left out, the action would be CONTINUE (API ContinueServiceDeployment, action).
        """
        try:
            self.clients.ecs.continue_service_deployment(
                serviceDeploymentArn=deployment_arn,
                hookId=hook,
                action="ROLLBACK",
            )
        except ClientError as error:
            if not is_refusal(error):
                raise
            return False
        return True

    def update(
        self,
        key: ServiceKey,
        task_definition_arn: str,
        _incident_id: str,
        over: str | None,
    ) -> str | None:
        """Deploy a task definition, and change nothing else.

        `UpdateService` has neither an idempotency token nor a compare-and-set (botocore
        ecs/2014-11-13): the caller reads the newest deployment right before and holds the claim,
        and before it is asked for again that is read again. Omitted settings are kept. A deployment
        in progress is stopped by ECS. The answer is named only where ECS's own was lost.

        Raises:
            Superseded: somebody deployed before it was taken.
            ClientError: ECS refused.
        """

        def ask() -> str:
            self.clients.ecs_unretried.update_service(
                cluster=key.cluster,
                service=key.service,
                taskDefinition=task_definition_arn,
            )
            return _NOT_NAMED

        def look(may_be_done: bool) -> str | None:  # noqa: FBT001 - as it is called
            if over is None:
                return None
            brought = task_definition_arn if may_be_done else None
            return self._begun_since(key, over, brought)

        return ask_once(ask, look) or None

    def _begun_since(
        self,
        key: ServiceKey,
        over: str,
        task_definition_arn: str | None,
    ) -> str | None:
        """The first deployment of a definition since another one; None while that is the newest.

        Raises:
            Superseded: what was deployed since is somebody else's.
        """
        ecs = Ecs(self.clients)
        listed = ecs.deployments_page(key).arns
        if listed[:1] == (over,):
            return None
        since = listed[: listed.index(over)] if over in listed else listed
        deployments = ecs.deployments(since)
        revisions = ecs.revisions([deployment.target for deployment in deployments])
        for deployment in reversed(deployments):
            revision = revisions.get(deployment.target)
            if revision and revision.task_definition_arn == task_definition_arn:
                return deployment.arn
        raise Superseded(f"{key} was deployed before the rollback was taken")
