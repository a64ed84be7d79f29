"""CodeDeploy as AWS has it for ECS services, and moto does not: deployments whose task sets and traffic progress with the clock."""

from typing import TYPE_CHECKING

from localcloud.codedeploy.operations import CodeDeploy
from localcloud.codedeploy.progress import Deployer
from localcloud.ecs.operations import Ecs
from localcloud.traffic import Traffic

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Teach moto's CodeDeploy; its deployments go on as those of ECS do, tick by tick."""

    def target_group_arn(name: str) -> str | None:
        return cloud.service(Traffic).target_group_arn(name)

    ecs = cloud.service(Ecs)
    deployer = Deployer(ecs, target_group_arn)
    ecs.scheduler.code_deploy = deployer.progress
    CodeDeploy(cloud, deployer).install()
