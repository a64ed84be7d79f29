"""CloudFormation that makes what a template says by the services' own calls, and fails by name where it cannot."""

from typing import TYPE_CHECKING

from localcloud.cloudformation.operations import Operations
from localcloud.cloudformation.stacks import Stacks

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Answer CloudFormation's operations with stacks of our own: moto's skip types, and lose updates and failures."""
    Operations(cloud, Stacks(cloud)).install()
