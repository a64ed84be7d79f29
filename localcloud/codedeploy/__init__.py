"""CodeDeploy as AWS has it for ECS services, and moto does not.

Task sets and traffic of its deployments progress with the clock.
"""

from typing import TYPE_CHECKING

from localcloud.codedeploy import api
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.revisions import Revisions
from localcloud.ecs.registry import Ecs
from localcloud.traffic import Traffic

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Extend moto's CodeDeploy. Its deployments go on as those of ECS do, tick by tick."""
    ecs = cloud.service(Ecs)
    traffic = cloud.service(Traffic)
    deployer = Deployer(ecs, traffic.target_group_arn)
    ecs.scheduler.code_deploy = deployer.progress
    cloud.add(deployer)
    api.install(deployer, Revisions(cloud.account), cloud.replace)
