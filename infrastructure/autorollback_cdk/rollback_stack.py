"""The stack of `app.py`: the construct, the services of `services.yaml`, and further stacks when one cannot hold them."""

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

_RESERVED_FOR_THE_CONTROLLER = 100  # it has some 50, and each address and each policy of its role is one more


class RollbackStack(cdk.Stack):
    """Everything in one stack; beyond its limit the alarms of further services go to `<stack>-services-<n>`."""

    def __init__(self, scope: Construct, *, names: Names, configuration: Configuration) -> None:
        super().__init__(
            scope,
            names.stack,
            stack_name=names.stack,
            description="Rolls ECS services back when their newest deployment is to blame for an alarm",
            suppress_template_indentation=len(configuration.services) > MANY_SERVICES,
        )
        controller = AutoRollback(self, "Controller", name=names.copy, emails=configuration.emails)
        further = self._further_stacks(scope, names)
        room = RESOURCES_PER_STACK - _RESERVED_FOR_THE_CONTROLLER - len(configuration.emails)
        scopes: list[Construct] = []
        stack: cdk.Stack = self
        for service in configuration.services:
            room -= resources_of(service)
            if room < 0:
                stack = next(further)
                room = RESOURCES_PER_STACK - resources_of(service)
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
    return (3 if service.load_balancer is not None else 0) + len(service.alarms) + 1
