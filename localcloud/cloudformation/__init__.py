"""CloudFormation that makes what a template says by the services' own calls."""

from typing import TYPE_CHECKING

from localcloud.cloudformation.changesets import ChangeSets
from localcloud.cloudformation.operations import Operations
from localcloud.cloudformation.stacks import Stacks

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Answer CloudFormation's operations with stacks of our own.

    Moto's skip types, and lose updates and failures.
    """
    stacks = Stacks(cloud)
    change_sets = ChangeSets(cloud, stacks)
    Operations(cloud, stacks, change_sets).install()
