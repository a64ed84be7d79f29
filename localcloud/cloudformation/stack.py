"""A stack: what it was made from, its resources, and its events."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from localcloud.cloudformation.resources import Properties
from localcloud.cloudformation.template import Template

IN_REVIEW = "REVIEW_IN_PROGRESS"
DELETED = "DELETE_COMPLETE"
Tags = list[dict[str, str]]


@dataclass(frozen=True)
class Subject:
    """What an event of a stack is about: a resource, or the stack itself."""

    logical: str
    type: str
    physical: str = ""


@dataclass
class Resource:
    """One resource that exists: what it was made from, and its physical id."""

    logical: str
    type: str
    physical: str
    properties: Properties
    retained: bool
    changed_at: datetime
    status: str = "CREATE_COMPLETE"

    @property
    def subject(self) -> Subject:
        """The resource as the subject of an event."""
        return Subject(self.logical, self.type, self.physical)


@dataclass(frozen=True)
class Source:
    """What a stack is made from: a template, the values given to its parameters, and tags."""

    body: str = ""
    template: Template = field(default_factory=Template)
    parameters: dict[str, str] = field(default_factory=dict)
    tags: Tags = field(default_factory=list)


@dataclass
class Stack:
    """One stack; its events stand oldest first."""

    name: str
    arn: str
    created_at: datetime
    source: Source = field(default_factory=Source)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = IN_REVIEW
    reason: str | None = None
    protected: bool = False
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def exports(self) -> dict[str, str]:
        """The outputs that other stacks may import, by the names of their exports."""
        exports = {}
        for output in self.outputs:
            if "ExportName" in output:
                exports[output["ExportName"]] = output["OutputValue"]
        return exports

    def turn(
        self,
        status: str,
        reason: str | None,
        now: datetime,
    ) -> None:
        """Take on a status, which is an event too."""
        self.status = status
        self.reason = reason
        itself = Subject(self.name, "AWS::CloudFormation::Stack", self.arn)
        self.record(
            itself,
            status,
            reason,
            now,
        )

    def record(
        self,
        subject: Subject,
        status: str,
        reason: str | None,
        now: datetime,
    ) -> None:
        """Add an event."""
        event = {
            "StackId": self.arn,
            "StackName": self.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": subject.logical,
            "PhysicalResourceId": subject.physical,
            "ResourceType": subject.type,
            "ResourceStatus": status,
            "Timestamp": now,
        }
        if reason:
            event["ResourceStatusReason"] = reason
        self.events.append(event)
