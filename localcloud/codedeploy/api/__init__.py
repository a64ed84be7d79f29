"""The operations of CodeDeploy for ECS services. Applications of other platforms are refused.

Each is a method that is given moto's instance of its response class, which holds the request.
"""

from collections.abc import Callable

from moto.codedeploy.responses import CodeDeployResponse
from moto.core.responses import ActionResult

from localcloud.codedeploy.api.deployments import DeploymentOperations
from localcloud.codedeploy.api.groups import GroupOperations
from localcloud.codedeploy.api.revisions import RevisionOperations
from localcloud.codedeploy.api.targets import TargetOperations
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.revisions import Revisions

Operation = Callable[[CodeDeployResponse], ActionResult]
Replace = Callable[[object, str, object], None]


def install(deployer: Deployer, revisions: Revisions, replace: Replace) -> None:
    """Put the operations in the place of moto's, by `replace`."""
    groups = GroupOperations(deployer)
    deployments = DeploymentOperations(deployer, revisions)
    targets = TargetOperations(deployer)
    operations: tuple[Operation, ...] = (
        groups.create_application,
        groups.create_deployment_group,
        groups.get_deployment_group,
        groups.batch_get_deployment_groups,
        deployments.create_deployment,
        deployments.get_deployment,
        deployments.batch_get_deployments,
        deployments.list_deployments,
        deployments.stop_deployment,
        RevisionOperations(deployer, revisions).get_application_revision,
        targets.list_deployment_targets,
        targets.get_deployment_target,
        targets.batch_get_deployment_targets,
    )
    for operation in operations:
        replace(CodeDeployResponse, operation.__name__, _up_to_date(deployer, operation))


def _up_to_date(deployer: Deployer, operation: Operation) -> Operation:
    """Do first what has fallen due. Moto dispatches to plain functions of the class only."""

    def answer(request: CodeDeployResponse) -> ActionResult:
        with deployer.ecs.lock:
            deployer.progress_all(deployer.ecs.now())
            return operation(request)

    return answer
