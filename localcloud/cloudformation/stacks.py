"""Stacks: created, changed, rolled back and deleted resource by resource, as the events of a stack tell it."""

import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloudformation.resources import INERT, TYPES, Aws, Properties, Type
from localcloud.cloudformation.template import Known, Resolver, in_order, parse
from localcloud.errors import Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

ACCESS_KEY = "cloudformation"
_STACK = "AWS::CloudFormation::Stack"
_INERT = Type(lambda _aws, name, _properties: name, lambda *_: None, lambda *_: None)


@dataclass
class Resource:
    """One resource that exists: what it was made from, and by which physical id AWS knows it."""

    logical: str
    kind: str
    physical: str
    properties: Properties
    retained: bool
    changed_at: datetime
    status: str = "CREATE_COMPLETE"


@dataclass
class Stack:
    """One stack; `parameters` are the values that were given, `resolved` those that count."""

    name: str
    arn: str
    created_at: datetime
    body: str = ""
    template: dict[str, Any] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    tags: list[dict[str, str]] = field(default_factory=list)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    protected: bool = False
    updated_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass
class Stacks:
    """All stacks of the cloud's account and region; one is worked on at a time."""

    cloud: "Cloud"
    all: list[Stack] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _clients: Aws | None = None

    @property
    def aws(self) -> Aws:
        """The clients with which resources are made; their calls carry an access key of their own in the record."""
        if self._clients is None:
            self._clients = Aws(self.cloud.session(ACCESS_KEY), self.cloud.account, self.cloud.region)
        return self._clients

    @property
    def exports(self) -> dict[str, str]:
        """The values that stacks export, by name."""
        return {o["ExportName"]: o["OutputValue"] for s in self.all for o in s.outputs if o.get("ExportName")}

    def find(self, name: str) -> Stack | None:
        """By name or ARN; one that was deleted is found by its ARN only."""
        for stack in reversed(self.all):
            if stack.arn == name or (stack.name == name and stack.status != "DELETE_COMPLETE"):
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
        now = self.cloud.clock.now()
        arn = f"arn:aws:cloudformation:{self.cloud.region}:{self.cloud.account}:stack/{name}/{uuid.uuid4()}"
        stack = Stack(name, arn, now)
        self.all.append(stack)
        return stack

    def check(self, stack: Stack, body: str, parameters: dict[str, str]) -> dict[str, Any]:
        """The template, if it can be resolved with these parameters; else Refusal, before anything is touched."""
        template = parse(body)
        resolver = self._resolver(stack, template, self._parameters(template, parameters), {})
        resolver.check_rules()
        in_order(template, _wanted(resolver))
        return template

    def deploy(self, stack: Stack, body: str, parameters: dict[str, str], tags: list[dict[str, str]] | None) -> None:
        """Make the stack what the template says; a resource that fails rolls all of it back."""
        with self._lock:
            template = self.check(stack, body, parameters)
            creating = stack.status == "REVIEW_IN_PROGRESS"
            verb = "CREATE" if creating else "UPDATE"
            before = (stack.body, stack.template, stack.parameters, stack.tags)
            stack.body, stack.template, stack.parameters = body, template, dict(parameters)
            stack.tags = stack.tags if tags is None else tags
            stack.updated_at = None if creating else self.cloud.clock.now()
            self._stack_event(stack, f"{verb}_IN_PROGRESS", "User Initiated")
            failure = self._apply(stack)
            if failure is None:
                self._stack_event(stack, f"{verb}_COMPLETE")
            elif creating:
                self._stack_event(stack, "ROLLBACK_IN_PROGRESS", failure)
                self._remove(stack, list(stack.resources), keep_retained=False)
                stack.outputs = []
                self._stack_event(stack, "ROLLBACK_COMPLETE")
            else:
                self._stack_event(stack, "UPDATE_ROLLBACK_IN_PROGRESS", failure)
                stack.body, stack.template, stack.parameters, stack.tags = before
                again = self._apply(stack)
                self._stack_event(stack, "UPDATE_ROLLBACK_FAILED" if again else "UPDATE_ROLLBACK_COMPLETE", again)

    def delete(self, stack: Stack) -> None:
        """Remove the resources, the last made first, except those that are to be retained."""
        with self._lock:
            if stack.protected:
                raise Refusal(
                    "ValidationError", f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
                )
            if stack.status == "DELETE_COMPLETE":
                return
            if users := self._importers(stack):
                raise Refusal("ValidationError", f"Export of {stack.name} cannot be deleted as it is in use by {users}")
            self._stack_event(stack, "DELETE_IN_PROGRESS", "User Initiated")
            failure = self._remove(stack, list(stack.resources), keep_retained=True)
            if failure is None:
                stack.deleted_at = self.cloud.clock.now()
                stack.outputs = []
            self._stack_event(stack, "DELETE_FAILED" if failure else "DELETE_COMPLETE", failure)

    def changes(self, stack: Stack, template: dict[str, Any], parameters: dict[str, str]) -> list[dict[str, Any]]:
        """What a change set would say: resources to add, modify and remove."""
        resolver = self._resolver(stack, template, self._parameters(template, parameters), stack.resources)
        wanted = _wanted(resolver)
        found = []
        for logical in in_order(template, wanted):
            resource = template["Resources"][logical]
            old = stack.resources.get(logical)
            if old is None:
                found.append(_change("Add", logical, resource["Type"]))
            elif self._differs(stack, resolver, logical, resource, old):
                found.append(_change("Modify", logical, old.kind, old.physical))
        found += [
            _change("Remove", r.logical, r.kind, r.physical)
            for r in stack.resources.values()
            if r.logical not in wanted
        ]
        return found

    def has_changes(
        self, stack: Stack, body: str, parameters: dict[str, str], tags: list[dict[str, str]] | None
    ) -> bool:
        """Whether an update has anything to do: resources, outputs or tags."""
        template = parse(body)
        same_outputs = template.get("Outputs") == stack.template.get("Outputs")
        return bool(self.changes(stack, template, parameters)) or not same_outputs or tags not in (None, stack.tags)

    def _importers(self, stack: Stack) -> list[str]:
        names = {output["ExportName"] for output in stack.outputs if output.get("ExportName")}
        text = [(s.name, json.dumps(s.template)) for s in self.all if s is not stack and s.deleted_at is None]
        return [
            name for name, template in text if any(f'"Fn::ImportValue": "{export}"' in template for export in names)
        ]

    def _differs(self, stack: Stack, resolver: Resolver, logical: str, resource: Properties, old: Resource) -> bool:
        before = stack.template["Resources"].get(logical, {})
        if before.get("Properties") != resource.get("Properties") or old.kind != resource["Type"]:
            return True
        try:
            return bool(resolver.value(resource.get("Properties") or {}) != old.properties)
        except Refusal:  # it refers to a resource that this change adds
            return True

    def _apply(self, stack: Stack) -> str | None:
        """Bring the resources to what the stack's template says; the reason if it failed."""
        try:
            stack.resolved = self._parameters(stack.template, stack.parameters)
            resolver = self._resolver(stack, stack.template, stack.resolved, stack.resources)
            wanted = _wanted(resolver)
            for logical in in_order(stack.template, wanted):
                failure = self._make(stack, resolver, logical)
                if failure is not None:
                    return failure
            failure = self._remove(stack, [name for name in stack.resources if name not in wanted], keep_retained=True)
            stack.outputs = self._outputs(stack, resolver)
        except Refusal as error:
            return str(error)
        return failure

    def _make(self, stack: Stack, resolver: Resolver, logical: str) -> str | None:
        """Create or change one resource; the reason if that failed."""
        raw = stack.template["Resources"][logical]
        kind = raw["Type"]
        old = stack.resources.get(logical)
        verb = "UPDATE" if old else "CREATE"
        try:
            handler = _type(kind)
            properties = resolver.value(raw.get("Properties") or {})
            retained = raw.get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")
            if old is not None and old.kind == kind and old.properties == properties:
                old.retained = retained
                return None
            self._event(stack, logical, old.physical if old else "", kind, f"{verb}_IN_PROGRESS")
            if old is None or old.kind != kind or handler.must_replace(old.properties, properties):
                made = self._replace(stack, logical, kind, properties, old)
            else:
                if handler.update is not None:
                    handler.update(self.aws, old.physical, old.properties, properties)
                made = Resource(
                    logical, kind, old.physical, properties, retained, self.cloud.clock.now(), "UPDATE_COMPLETE"
                )
        except (Refusal, ClientError, BotoCoreError, KeyError) as error:
            reason = f"Resource handler returned message: {error!r}" if isinstance(error, KeyError) else str(error)
            self._event(stack, logical, old.physical if old else "", kind, f"{verb}_FAILED", reason)
            return f"The following resource(s) failed to {verb.lower()}: [{logical}]. {reason}"
        made.retained = retained
        stack.resources[logical] = made
        self._event(stack, logical, made.physical, kind, f"{verb}_COMPLETE")
        return None

    def _replace(self, stack: Stack, logical: str, kind: str, properties: Properties, old: Resource | None) -> Resource:
        """A new resource, and then no old one: first the old one where both would have the same name."""
        handler = _type(kind)
        name = handler.name_for(stack.name, logical, properties)
        same_name = old is not None and (handler.name is None or old.physical.endswith(name))
        if old is not None and same_name:
            _type(old.kind).delete(self.aws, old.physical, old.properties)
        physical = handler.create(self.aws, name, properties)
        policy = stack.template["Resources"][logical].get("UpdateReplacePolicy")
        if old is not None and not same_name and policy != "Retain":
            _type(old.kind).delete(self.aws, old.physical, old.properties)
        return Resource(logical, kind, physical, properties, retained=False, changed_at=self.cloud.clock.now())

    def _remove(self, stack: Stack, names: list[str], *, keep_retained: bool) -> str | None:
        """Delete these resources, the last made first; the reasons of those that could not be."""
        failures = []
        order = [n for n in stack.resources if n in names]
        for logical in reversed(order):
            resource = stack.resources[logical]
            if keep_retained and resource.retained:
                self._event(stack, logical, resource.physical, resource.kind, "DELETE_SKIPPED")
                del stack.resources[logical]
                continue
            self._event(stack, logical, resource.physical, resource.kind, "DELETE_IN_PROGRESS")
            try:
                _type(resource.kind).delete(self.aws, resource.physical, resource.properties)
            except (Refusal, ClientError, BotoCoreError) as error:
                self._event(stack, logical, resource.physical, resource.kind, "DELETE_FAILED", str(error))
                failures.append(f"{logical}: {error}")
                continue
            self._event(stack, logical, resource.physical, resource.kind, "DELETE_COMPLETE")
            del stack.resources[logical]
        return f"The following resource(s) failed to delete: [{'; '.join(failures)}]" if failures else None

    def _outputs(self, stack: Stack, resolver: Resolver) -> list[dict[str, Any]]:
        outputs = []
        for name, output in (stack.template.get("Outputs") or {}).items():
            if resolver.is_wanted(output):
                entry = {"OutputKey": name, "OutputValue": str(resolver.value(output["Value"]))}
                if "Description" in output:
                    entry["Description"] = output["Description"]
                if "Export" in output:
                    entry["ExportName"] = resolver.value(output["Export"]["Name"])
                outputs.append(entry)
        return outputs

    def _parameters(self, template: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
        declared = template.get("Parameters") or {}
        if unknown := sorted(set(given) - set(declared)):
            raise Refusal("ValidationError", f"Parameters: {unknown} do not exist in the template")
        values: dict[str, Any] = {}
        for name, parameter in declared.items():
            value = given.get(name, parameter.get("Default"))
            if value is None:
                raise Refusal("ValidationError", f"Parameters: [{name}] must have values")
            allowed = [str(item) for item in parameter.get("AllowedValues", [])]
            if allowed and str(value) not in allowed:
                raise Refusal("ValidationError", f"Parameter '{name}' must be one of AllowedValues")
            values[name] = self._parameter(str(value), parameter["Type"])
        return values

    def _parameter(self, value: str, kind: str) -> Any:
        if kind.startswith("AWS::SSM::Parameter::Value"):
            try:
                value = self.aws("ssm").get_parameter(Name=value)["Parameter"]["Value"]
            except ClientError as error:
                raise Refusal(
                    "ValidationError", f"Unable to fetch parameters [{value}] from parameter store for this account."
                ) from error
        return (
            value.split(",")
            if kind.endswith(("CommaDelimitedList", "List<String>>")) or kind.startswith("List<")
            else value
        )

    def _resolver(
        self, stack: Stack, template: dict[str, Any], parameters: dict[str, Any], resources: dict[str, Resource]
    ) -> Resolver:
        pseudo = {
            "AWS::AccountId": self.cloud.account,
            "AWS::Region": self.cloud.region,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack.name,
            "AWS::StackId": stack.arn,
            "AWS::NotificationARNs": [],
        }
        refs = _Refs(pseudo | parameters, resources)

        def attribute(logical: str, name: str) -> str:
            if logical not in resources:
                raise Refusal(
                    "ValidationError", f"Template error: instance of Fn::GetAtt references undefined resource {logical}"
                )
            resource = resources[logical]
            facts = _type(resource.kind).attributes(self.aws, resource.physical, resource.properties)
            if name not in facts:
                raise Refusal(
                    "ValidationError",
                    f"Template error: resource {logical} does not support attribute type {name} in Fn::GetAtt",
                )
            return facts[name]

        return Resolver(template, Known(refs, attribute, self.exports))

    def _stack_event(self, stack: Stack, status: str, reason: str | None = None) -> None:
        stack.status, stack.reason = status, reason
        self._event(stack, stack.name, stack.arn, _STACK, status, reason)

    def _event(
        self, stack: Stack, logical: str, physical: str, kind: str, status: str, reason: str | None = None
    ) -> None:
        event = {
            "StackId": stack.arn,
            "StackName": stack.name,
            "EventId": str(uuid.uuid4()),
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "ResourceStatus": status,
            "Timestamp": self.cloud.clock.now(),
        }
        stack.events.append(event | ({"ResourceStatusReason": reason} if reason else {}))


class _Refs(dict[str, Any]):
    """Values of Ref: fixed ones, and resources as they come to be."""

    def __init__(self, fixed: dict[str, Any], resources: dict[str, Resource]) -> None:
        super().__init__(fixed)
        self._resources = resources

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._resources

    def __missing__(self, name: str) -> str:
        return self._resources[name].physical


def _type(kind: str) -> Type:
    if kind in INERT:
        return _INERT
    if kind not in TYPES:
        raise Refusal("ValidationError", f"the local cloud does not model the resource type {kind}")
    return TYPES[kind]


def _wanted(resolver: Resolver) -> set[str]:
    return {name for name, resource in resolver.template["Resources"].items() if resolver.is_wanted(resource)}


def _change(action: str, logical: str, kind: str, physical: str | None = None) -> dict[str, Any]:
    change: dict[str, Any] = {"Action": action, "LogicalResourceId": logical, "ResourceType": kind}
    if physical:
        change["PhysicalResourceId"] = physical
    if action == "Modify":
        change |= {"Replacement": "Conditional", "Scope": ["Properties"], "Details": []}
    return {"Type": "Resource", "ResourceChange": change}
