"""CodeDeploy as AWS has it for ECS services, and moto does not.

Task sets and traffic of its deployments progress with the clock.
"""

from typing import TYPE_CHECKING

from localcloud.codedeploy import api
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.revisions import Revisions

if TYPE_CHECKING:
    from localcloud.server import Cloud


def install(cloud: "Cloud") -> None:
    """Extend moto's CodeDeploy. Its deployments go on as those of ECS do, tick by tick."""
    deployer = Deployer(cloud.ecs, lambda name: cloud.traffic.target_group_arn(name))
    cloud.ecs.scheduler.code_deploy = deployer.progress
    api.install(deployer, Revisions(cloud.account), cloud.replace)
