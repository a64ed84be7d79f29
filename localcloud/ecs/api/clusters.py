"""The operations on clusters."""

from moto.core.responses import ActionResult
from moto.ecs.models import Cluster
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import parameters
from localcloud.errors import NotModelled
from localcloud.shapes import ApiObject

describe_by_moto = EC2ContainerServiceResponse.describe_clusters
INCLUDED = frozenset({"CONFIGURATIONS", "SETTINGS", "TAGS"})


class ClusterOperations:
    """Clusters with what runs in them."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def describe_clusters(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show them with the counts of their services' tasks, and of moto's own."""
        for name in parameters(request).get("include", []):
            if name not in INCLUDED:
                raise NotModelled(f"ecs DescribeClusters: include {name}")
        answer = describe_by_moto(request)
        services = [answers.service(one, tags=False) for one in self._ecs.services()]
        for cluster in answer.result["clusters"]:
            within = [one for one in services if one["clusterArn"] == cluster.arn]
            _count(cluster, within, _tasks_of_nobody(request, cluster))
        return answer


def _count(cluster: Cluster, services: list[ApiObject], others: list[str]) -> None:
    """The counts that DescribeClusters shows; `others` are the statuses of tasks without a service."""
    active = [one for one in services if one["status"] == "ACTIVE"]
    cluster.active_services_count = len(active)
    cluster.running_tasks_count = sum(one["runningCount"] for one in services)
    cluster.running_tasks_count += others.count("RUNNING")
    cluster.pending_tasks_count = sum(one["pendingCount"] for one in services)
    cluster.pending_tasks_count += others.count("PENDING")


def _tasks_of_nobody(request: EC2ContainerServiceResponse, cluster: Cluster) -> list[str]:
    tasks = request.ecs_backend.tasks.get(cluster.name, {}).values()
    return [str(task.last_status) for task in tasks]
