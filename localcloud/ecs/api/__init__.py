"""The operations of ECS that moto lacks, or answers differently from AWS.

Each is a method that is given moto's instance of its response class, which holds the request.
"""

from collections.abc import Callable

from moto.core.responses import ActionResult
from moto.ecs.models import EC2ContainerServiceBackend
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs.api.clusters import ClusterOperations
from localcloud.ecs.api.definitions import DefinitionOperations
from localcloud.ecs.api.deployments import DeploymentOperations
from localcloud.ecs.api.services import ServiceOperations
from localcloud.ecs.api.tasks import TaskOperations
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import parameters
from localcloud.errors import NotModelled

Operation = Callable[[EC2ContainerServiceResponse], ActionResult]
Replace = Callable[[object, str, object], None]

# moto's own, for services that CodeDeploy does not deploy
TASK_SET_OPERATIONS = (
    "create_task_set",
    "update_task_set",
    "delete_task_set",
    "update_service_primary_task_set",
)


def install(ecs: Ecs, replace: Replace) -> None:
    """Put the operations in the place of moto's, by `replace`."""
    services = ServiceOperations(ecs)
    deployments = DeploymentOperations(ecs)
    definitions = DefinitionOperations(ecs)
    tasks = TaskOperations(ecs)
    operations: tuple[Operation, ...] = (
        services.create_service,
        services.update_service,
        services.delete_service,
        services.describe_services,
        ClusterOperations(ecs).describe_clusters,
        deployments.list_service_deployments,
        deployments.describe_service_deployments,
        deployments.describe_service_revisions,
        deployments.stop_service_deployment,
        deployments.continue_service_deployment,
        definitions.register_task_definition,
        definitions.deregister_task_definition,
        definitions.describe_task_definition,
        definitions.list_task_definitions,
        tasks.list_tasks,
        tasks.describe_tasks,
        tasks.describe_task_sets,
    )
    for operation in operations:
        replace(EC2ContainerServiceResponse, operation.__name__, _locked(ecs, operation))

    for name in TASK_SET_OPERATIONS:
        by_moto = getattr(EC2ContainerServiceResponse, name)
        guarded = _unless_code_deployed(ecs, by_moto)
        replace(EC2ContainerServiceResponse, name, _locked(ecs, guarded))

    replace(EC2ContainerServiceBackend, "update_service", _refuse_update_by_cloudformation)


def _locked(ecs: Ecs, operation: Operation) -> Operation:
    """Hold the lock meanwhile. Moto dispatches to plain functions of the class only."""

    def answer(request: EC2ContainerServiceResponse) -> ActionResult:
        with ecs.lock:
            return operation(request)

    return answer


def _unless_code_deployed(ecs: Ecs, by_moto: Operation) -> Operation:
    def answer(request: EC2ContainerServiceResponse) -> ActionResult:
        service = ecs.asked_service(request.ecs_backend, parameters(request))
        if service.is_code_deployed:
            action = request._get_action()
            raise NotModelled(f"ecs {action} of a service that CodeDeploy deploys")
        return by_moto(request)

    return answer


def _refuse_update_by_cloudformation(_backend: object, _properties: object) -> None:
    raise NotModelled("updates of AWS::ECS::Service through CloudFormation")
