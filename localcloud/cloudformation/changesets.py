"""Change sets: sources that wait to be executed on their stacks."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from localcloud.cloudformation.stack import Source, Stack
from localcloud.cloudformation.stacks import Change, Stacks
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

_CREATE = "CREATE"
_UPDATE = "UPDATE"
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@dataclass
class ChangeSet:
    """One change set, as DescribeChangeSet tells of it."""

    name: str
    arn: str
    stack: Stack
    source: Source
    changes: list[Change]
    created_at: datetime
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution: str = "AVAILABLE"


@dataclass
class ChangeSets:
    """All change sets of the cloud's account and region."""

    cloud: "Cloud"
    stacks: Stacks
    _all: list[ChangeSet] = field(default_factory=list)

    def stack_for(self, name: str, kind: str) -> Stack:
        """The stack that a change set of this kind is for.

        A new one is begun, and then in review.
        """
        if kind not in (_CREATE, _UPDATE):
            raise NotModelled(f"change sets of the type {kind}")
        stack = self.stacks.find(name)
        if stack is None and kind == _CREATE:
            return self.stacks.begin(name)
        if stack is None:
            raise Refusal("ValidationError", f"Stack [{name}] does not exist")
        return stack

    def create(
        self,
        name: str,
        kind: str,
        stack: Stack,
        source: Source,
    ) -> ChangeSet:
        """Keep a change set; one that would change nothing cannot be executed."""
        self.stacks.check(stack, source)
        path = f"changeSet/{name}/{uuid.uuid4()}"
        created = ChangeSet(
            name=name,
            arn=f"arn:aws:cloudformation:{self.cloud.region}:{self.cloud.account}:{path}",
            stack=stack,
            source=source,
            changes=self.stacks.changes(stack, source),
            created_at=self.cloud.clock.now(),
        )
        if kind == _UPDATE and not self.stacks.has_changes(stack, source):
            created.status = "FAILED"
            created.reason = _NO_CHANGES
            created.execution = "UNAVAILABLE"
        self._all.append(created)
        return created

    def execute(self, change_set: ChangeSet) -> None:
        """Deploy it; the stack's other change sets are void then."""
        if change_set.execution != "AVAILABLE":
            message = f"ChangeSet [{change_set.arn}] cannot be executed in its current status of [{change_set.status}]"
            raise Refusal("InvalidChangeSetStatus", message)
        self._all = [other for other in self._all if other.stack is not change_set.stack]
        self.stacks.deploy(change_set.stack, change_set.source)

    def delete(self, name: str, stack_name: str | None) -> None:
        """Forget it; one that is gone already is no error, as in AWS."""
        for change_set in self._find(name, stack_name):
            self._all.remove(change_set)

    def of(self, stack: Stack) -> list[ChangeSet]:
        """Those of one stack, the oldest first."""
        return [change_set for change_set in self._all if change_set.stack is stack]

    def get(self, name: str, stack_name: str | None) -> ChangeSet:
        """The newest of this name; Refusal where there is none."""
        found = self._find(name, stack_name)
        if not found:
            raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return found[-1]

    def _find(self, name: str, stack_name: str | None) -> list[ChangeSet]:
        """Those that have this ARN, or this name on the stack that is named."""
        stack = self.stacks.find(stack_name or "")
        found = []
        for change_set in self._all:
            has_name = change_set.name == name and change_set.stack is stack
            if has_name or change_set.arn == name:
                found.append(change_set)
        return found
