"""The stack of `app.py`, and further ones when it cannot hold all services."""

from collections.abc import Iterator

import aws_cdk as cdk
from constructs import Construct

from autorollback.naming import Names
from autorollback.policy import ServicePolicy
from autorollback_cdk.auto_rollback import AutoRollback
from autorollback_cdk.services import Configuration

RESOURCES_PER_STACK = 500
"""CloudFormation's limit (https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html)."""

MANY_SERVICES = 50
"""Beyond it nobody reads the template, and its indentation would come near the 1 MB that CloudFormation takes."""

ALARMS_OF_A_LOAD_BALANCER = 3
_RESERVED_FOR_THE_CONTROLLER = (
    100  # it has some 50, and each address and each policy of its role is one more
)


class RollbackStack(cdk.Stack):
    """Everything in one stack; beyond its limit the alarms of further services go to `<stack>-services-<n>`."""

    def __init__(
        self,
        scope: Construct,
        *,
        names: Names,
        configuration: Configuration,
    ) -> None:
        super().__init__(
            scope,
            names.stack,
            stack_name=names.stack,
            description="Rolls ECS services back when their newest deployment is to blame for an alarm",
            suppress_template_indentation=len(configuration.services) > MANY_SERVICES,
        )
        controller = AutoRollback(
            self,
            "Controller",
            name=names.installation,
            emails=configuration.emails,
        )
        further = self._further_stacks(scope, names)
        free = RESOURCES_PER_STACK - _RESERVED_FOR_THE_CONTROLLER - len(configuration.emails)
        scopes: list[Construct] = []
        stack: cdk.Stack = self
        for service in configuration.services:
            needed = resources_of(service)
            if needed > free:
                stack = next(further)
                free = RESOURCES_PER_STACK
            free -= needed
            scopes.append(stack)
        controller.protect_named(configuration.services, scopes=scopes)

    def _further_stacks(self, scope: Construct, names: Names) -> Iterator[cdk.Stack]:
        number = 0
        while True:
            number += 1
            name = f"{names.stack}-services-{number}"
            stack = cdk.Stack(
                scope,
                name,
                stack_name=name,
                description=f"Alarms and policies of services that {names.stack} protects",
                suppress_template_indentation=True,
            )
            # a service is watched only once there is someone to act
            stack.add_stack_dependency(self)
            yield stack


def resources_of(service: ServicePolicy) -> int:
    """How many resources a service adds to its stack: the alarms and the policy."""
    policy = 1
    own_alarms = len(service.alarms)
    if service.load_balancer is None:
        return own_alarms + policy
    return ALARMS_OF_A_LOAD_BALANCER + own_alarms + policy
