"""All stacks of the cloud: found by name or ARN, deployed, rolled back and deleted."""

import json
import threading
import uuid
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from localcloud.cloudformation.dependencies import in_order
from localcloud.cloudformation.deployment import Deployment
from localcloud.cloudformation.functions import Known, Resolver
from localcloud.cloudformation.resolution import Refs, attribute_of, parameter_values
from localcloud.cloudformation.resources import Aws
from localcloud.cloudformation.stack import (
    DELETED,
    IN_REVIEW,
    Resource,
    Source,
    Stack,
    Subject,
)
from localcloud.cloudformation.template import Declaration
from localcloud.errors import Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

ACCESS_KEY = "cloudformation"
Change = dict[str, Any]


@dataclass
class Stacks:
    """All stacks of the cloud's account and region; one is worked on at a time."""

    cloud: "Cloud"
    all: list[Stack] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _clients: Aws | None = None

    @property
    def aws(self) -> Aws:
        """The clients with which resources are made.

        Their calls carry an access key of their own in the record.
        """
        if self._clients is None:
            session = self.cloud.session(ACCESS_KEY)
            self._clients = Aws(session, self.cloud.account, self.cloud.region)
        return self._clients

    @property
    def exports(self) -> dict[str, str]:
        """The values that stacks export, by name."""
        exports: dict[str, str] = {}
        for stack in self.all:
            exports |= stack.exports
        return exports

    def find(self, name: str) -> Stack | None:
        """A stack by name or ARN.

        One that was deleted is found by its ARN only.
        """
        for stack in reversed(self.all):
            has_name = stack.name == name and stack.status != DELETED
            if has_name or stack.arn == name:
                return stack
        return None

    def get(self, name: str) -> Stack:
        """Raise Refusal where there is none, in the words that the CDK looks for."""
        stack = self.find(name)
        if stack is None:
            raise Refusal("ValidationError", f"Stack with id {name} does not exist")
        return stack

    def begin(self, name: str) -> Stack:
        """A stack without resources, in review."""
        path = f"stack/{name}/{uuid.uuid4()}"
        arn = f"arn:aws:cloudformation:{self.cloud.region}:{self.cloud.account}:{path}"
        stack = Stack(name, arn, self.cloud.clock.now())
        self.all.append(stack)
        return stack

    def check(self, stack: Stack, source: Source) -> None:
        """Raise Refusal if the source cannot be resolved, before anything is touched."""
        resolver = self._resolver(stack, source, {})
        resolver.check_rules()
        in_order(source.template, resolver.wanted_resources())

    def deploy(self, stack: Stack, source: Source) -> None:
        """Make the stack what the source says.

        A resource that fails rolls all of it back.
        """
        with self._lock:
            self.check(stack, source)
            if stack.status == IN_REVIEW:
                self._create(stack, source)
            else:
                self._update(stack, source)

    def _create(self, stack: Stack, source: Source) -> None:
        stack.source = source
        self._turn(stack, "CREATE_IN_PROGRESS", "User Initiated")
        failure = self._apply(stack)
        if failure is None:
            self._turn(stack, "CREATE_COMPLETE")
            return
        self._turn(stack, "ROLLBACK_IN_PROGRESS", failure)
        self._deployment(stack).remove(stack.resources, keep_retained=False)
        stack.outputs = []
        self._turn(stack, "ROLLBACK_COMPLETE")

    def _update(self, stack: Stack, source: Source) -> None:
        before = stack.source
        stack.source = source
        stack.updated_at = self.cloud.clock.now()
        self._turn(stack, "UPDATE_IN_PROGRESS", "User Initiated")
        failure = self._apply(stack)
        if failure is None:
            self._turn(stack, "UPDATE_COMPLETE")
            return
        self._turn(stack, "UPDATE_ROLLBACK_IN_PROGRESS", failure)
        stack.source = before
        second_failure = self._apply(stack)
        if second_failure is None:
            self._turn(stack, "UPDATE_ROLLBACK_COMPLETE")
        else:
            self._turn(stack, "UPDATE_ROLLBACK_FAILED", second_failure)

    def _apply(self, stack: Stack) -> str | None:
        """Bring the stack to what its source says; the reason if that failed."""
        try:
            resolver = self._resolver(stack, stack.source, stack.resources)
            return self._deployment(stack).apply(resolver)
        except Refusal as error:
            return str(error)

    def delete(self, stack: Stack) -> None:
        """Remove the resources, the last made first, except those that are to be retained."""
        with self._lock:
            if stack.protected:
                message = (
                    f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
                raise Refusal("ValidationError", message)
            if stack.status == DELETED:
                return
            users = self._importers(stack)
            if users:
                message = f"Export of {stack.name} cannot be deleted as it is in use by {users}"
                raise Refusal("ValidationError", message)

            self._turn(stack, "DELETE_IN_PROGRESS", "User Initiated")
            failure = self._deployment(stack).remove(stack.resources, keep_retained=True)
            if failure is not None:
                self._turn(stack, "DELETE_FAILED", failure)
                return
            stack.deleted_at = self.cloud.clock.now()
            stack.outputs = []
            self._turn(stack, DELETED)

    def changes(self, stack: Stack, source: Source) -> list[Change]:
        """What a change set would say: resources to add, modify and remove."""
        resolver = self._resolver(stack, source, stack.resources)
        wanted = resolver.wanted_resources()
        changes = []
        for logical in in_order(source.template, wanted):
            declaration = source.template.resources[logical]
            old = stack.resources.get(logical)
            if old is None:
                changes.append(_addition(logical, declaration))
            elif _differs(
                stack,
                resolver,
                declaration,
                old,
            ):
                changes.append(_modification(old))
        superfluous = [old for name, old in stack.resources.items() if name not in wanted]
        changes += [_removal(old) for old in superfluous]
        return changes

    def has_changes(self, stack: Stack, source: Source) -> bool:
        """Whether an update has anything to do: resources, outputs or tags."""
        before = stack.source
        if source.tags != before.tags or source.template.outputs != before.template.outputs:
            return True
        return bool(self.changes(stack, source))

    def _importers(self, stack: Stack) -> list[str]:
        """The names of the stacks that import what this one exports."""
        others = [other for other in self.all if other is not stack and other.deleted_at is None]
        return [other.name for other in others if _imports_from(other, stack)]

    def _deployment(self, stack: Stack) -> Deployment:
        return Deployment(stack, self.aws, self.cloud.clock)

    def _resolver(
        self,
        stack: Stack,
        source: Source,
        resources: dict[str, Resource],
    ) -> Resolver:
        pseudo_parameters: dict[str, Any] = {
            "AWS::AccountId": self.cloud.account,
            "AWS::Region": self.cloud.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack.name,
            "AWS::StackId": stack.arn,
            "AWS::NotificationARNs": [],
        }
        parameters = parameter_values(self.aws, source.template, source.parameters)
        refs = Refs(pseudo_parameters | parameters, resources)
        attribute = partial(attribute_of, self.aws, resources)
        return Resolver(source.template, Known(refs, attribute, self.exports))

    def _turn(
        self,
        stack: Stack,
        status: str,
        reason: str | None = None,
    ) -> None:
        stack.turn(status, reason, self.cloud.clock.now())


def _imports_from(other: Stack, stack: Stack) -> bool:
    text = json.dumps(other.source.template.document)
    return any(f'"Fn::ImportValue": "{export}"' in text for export in stack.exports)


def _differs(
    stack: Stack,
    resolver: Resolver,
    declaration: Declaration,
    old: Resource,
) -> bool:
    """Whether the declaration, or what it resolves to, is another than before."""
    before = stack.source.template.resources.get(old.logical)
    if before is None or before.properties != declaration.properties:
        return True
    if old.type != declaration.type:
        return True
    try:
        return bool(resolver.value(declaration.properties) != old.properties)
    except Refusal:  # it refers to a resource that this change adds
        return True


def _addition(logical: str, declaration: Declaration) -> Change:
    return _change("Add", Subject(logical, declaration.type))


def _modification(old: Resource) -> Change:
    change = _change("Modify", old.subject)
    change["ResourceChange"] |= {
        "Replacement": "Conditional",
        "Scope": ["Properties"],
        "Details": [],
    }
    return change


def _removal(old: Resource) -> Change:
    return _change("Remove", old.subject)


def _change(action: str, subject: Subject) -> Change:
    change = {
        "Action": action,
        "LogicalResourceId": subject.logical,
        "ResourceType": subject.type,
    }
    if subject.physical:
        change["PhysicalResourceId"] = subject.physical
    return {"Type": "Resource", "ResourceChange": change}
