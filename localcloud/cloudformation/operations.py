"""CloudFormation's operations, in the place of moto's: what the CDK's command line, the AWS command line and SDKs call."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.cloudformation.stacks import Resource, Stack, Stacks
from localcloud.cloudformation.template import parse
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

Parameters = dict[str, Any]
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


@dataclass
class ChangeSet:
    """A template that waits to be executed on its stack."""

    name: str
    arn: str
    stack: Stack
    body: str
    parameters: dict[str, str]
    tags: list[dict[str, str]] | None
    changes: list[dict[str, Any]]
    created_at: datetime
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution: str = "AVAILABLE"


@dataclass
class Operations:
    """Each method that `install` names answers one operation."""

    cloud: "Cloud"
    stacks: Stacks
    change_sets: list[ChangeSet] = field(default_factory=list)

    def install(self) -> None:
        """Put these in moto's place."""
        answers: dict[str, Callable[[Parameters], dict[str, Any] | None]] = {
            "create_stack": self.create_stack,
            "update_stack": self.update_stack,
            "delete_stack": self.delete_stack,
            "describe_stacks": self.describe_stacks,
            "list_stacks": self.list_stacks,
            "describe_stack_events": self.describe_stack_events,
            "describe_stack_resources": self.describe_stack_resources,
            "describe_stack_resource": self.describe_stack_resource,
            "list_stack_resources": self.list_stack_resources,
            "get_template": self.get_template,
            "get_template_summary": self.get_template_summary,
            "validate_template": self.get_template_summary,
            "create_change_set": self.create_change_set,
            "describe_change_set": self.describe_change_set,
            "list_change_sets": self.list_change_sets,
            "execute_change_set": self.execute_change_set,
            "delete_change_set": self.delete_change_set,
            "list_exports": self.list_exports,
            "update_termination_protection": self.update_termination_protection,
            "create_stack_set": _no_stack_sets,
        }
        # moto reshapes the answers of its own models; these have their final shape
        self.cloud.replace(CloudFormationResponse, "RESPONSE_KEY_PATH_TO_TRANSFORMER", {})
        for name, answer in answers.items():
            self.cloud.replace(CloudFormationResponse, name, _operation(answer))

    def create_stack(self, parameters: Parameters) -> dict[str, Any]:
        """Synchronous: the stack is complete, or rolled back, when the call returns."""
        _refuse(parameters, "ResourceTypes", "ImportExistingResources")
        name = parameters["StackName"]
        if self.stacks.find(name) is not None:
            raise Refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        stack = self.stacks.begin(name)
        try:
            body = self._body(parameters)
            self.stacks.check(stack, body, _values(parameters, stack))
        except Refusal:
            self.stacks.all.remove(stack)
            raise
        stack.protected = bool(parameters.get("EnableTerminationProtection"))
        self.stacks.deploy(stack, body, _values(parameters, stack), parameters.get("Tags") or [])
        return {"StackId": stack.arn}

    def update_stack(self, parameters: Parameters) -> dict[str, Any]:
        """Raise Refusal where there is nothing to do."""
        stack = self.stacks.get(parameters["StackName"])
        if not stack.status.endswith("_COMPLETE") or stack.status in ("ROLLBACK_COMPLETE", "DELETE_COMPLETE"):
            raise Refusal("ValidationError", f"Stack:{stack.arn} is in {stack.status} state and can not be updated.")
        body = stack.body if parameters.get("UsePreviousTemplate") else self._body(parameters)
        values = _values(parameters, stack)
        self.stacks.check(stack, body, values)
        if not self.stacks.has_changes(stack, body, values, parameters.get("Tags")):
            raise Refusal("ValidationError", "No updates are to be performed.")
        self.stacks.deploy(stack, body, values, parameters.get("Tags"))
        return {"StackId": stack.arn}

    def delete_stack(self, parameters: Parameters) -> None:
        """Deleting what does not exist succeeds, as in AWS."""
        _refuse(parameters, "RetainResources", "DeletionMode")
        stack = self.stacks.find(parameters["StackName"])
        if stack is not None:
            self.stacks.delete(stack)

    def describe_stacks(self, parameters: Parameters) -> dict[str, Any]:
        """One by name or ARN, or all that are not deleted."""
        if name := parameters.get("StackName"):
            return {"Stacks": [_described(self.stacks.get(name))]}
        return {"Stacks": [_described(stack) for stack in self.stacks.all if stack.deleted_at is None]}

    def list_stacks(self, parameters: Parameters) -> dict[str, Any]:
        """All, the deleted too, or those in the given states."""
        wanted = parameters.get("StackStatusFilter")
        return {"StackSummaries": [_described(s) for s in self.stacks.all if not wanted or s.status in wanted]}

    def describe_stack_events(self, parameters: Parameters) -> dict[str, Any]:
        """Newest first."""
        return {"StackEvents": self.stacks.get(parameters["StackName"]).events[::-1]}

    def describe_stack_resources(self, parameters: Parameters) -> dict[str, Any]:
        """All resources of a stack, or the one that is named."""
        stack = self.stacks.get(parameters["StackName"])
        wanted = parameters.get("LogicalResourceId")
        found = [_resource(stack, r) for r in stack.resources.values() if wanted in (None, r.logical)]
        return {"StackResources": found}

    def describe_stack_resource(self, parameters: Parameters) -> dict[str, Any]:
        """The one that is named."""
        stack, logical = self.stacks.get(parameters["StackName"]), parameters["LogicalResourceId"]
        if logical not in stack.resources:
            raise Refusal("ValidationError", f"Resource {logical} does not exist for stack {stack.name}")
        return {"StackResourceDetail": _resource(stack, stack.resources[logical])}

    def list_stack_resources(self, parameters: Parameters) -> dict[str, Any]:
        """All resources of a stack."""
        stack = self.stacks.get(parameters["StackName"])
        return {"StackResourceSummaries": [_resource(stack, r) for r in stack.resources.values()]}

    def get_template(self, parameters: Parameters) -> dict[str, Any]:
        """The template as it was sent."""
        name = parameters.get("ChangeSetName")
        body = self._change_set(parameters).body if name else self.stacks.get(parameters["StackName"]).body
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, parameters: Parameters) -> dict[str, Any]:
        """Parameters and types of a template or of a stack's."""
        name = parameters.get("StackName")
        template = parse(self.stacks.get(name).body if name else self._body(parameters))
        declared = template.get("Parameters") or {}
        return {
            "Description": template.get("Description", ""),
            "Parameters": [_declared(name, parameter) for name, parameter in declared.items()],
            "ResourceTypes": sorted({resource["Type"] for resource in template["Resources"].values()}),
            "Metadata": None,
        }

    def create_change_set(self, parameters: Parameters) -> dict[str, Any]:
        """Of a new stack (which is then in review) or of one that exists."""
        kind = parameters.get("ChangeSetType") or "UPDATE"
        if kind not in ("CREATE", "UPDATE"):
            raise NotModelled(f"change sets of the type {kind}")
        stack = self.stacks.find(parameters["StackName"])
        if kind == "CREATE" and stack is None:
            stack = self.stacks.begin(parameters["StackName"])
        if stack is None:
            raise Refusal("ValidationError", f"Stack [{parameters['StackName']}] does not exist")
        body = stack.body if parameters.get("UsePreviousTemplate") else self._body(parameters)
        values = _values(parameters, stack)
        template = self.stacks.check(stack, body, values)
        arn = self._change_set_arn(parameters["ChangeSetName"])
        made = ChangeSet(
            parameters["ChangeSetName"],
            arn,
            stack,
            body,
            values,
            parameters.get("Tags"),
            self.stacks.changes(stack, template, values),
            self.cloud.clock.now(),
        )
        if kind == "UPDATE" and not self.stacks.has_changes(stack, body, values, made.tags):
            made.status, made.reason, made.execution = "FAILED", _NO_CHANGES, "UNAVAILABLE"
        self.change_sets.append(made)
        return {"Id": arn, "StackId": stack.arn}

    def describe_change_set(self, parameters: Parameters) -> dict[str, Any]:
        """What it would do, and whether it can."""
        found = self._change_set(parameters)
        return _change_set_summary(found) | {
            "Changes": found.changes,
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in found.parameters.items()],
            "Tags": found.tags or [],
        }

    def list_change_sets(self, parameters: Parameters) -> dict[str, Any]:
        """Of one stack."""
        stack = self.stacks.get(parameters["StackName"])
        return {"Summaries": [_change_set_summary(c) for c in self.change_sets if c.stack is stack]}

    def execute_change_set(self, parameters: Parameters) -> None:
        """Synchronous, like CreateStack; the stack's other change sets are void then."""
        found = self._change_set(parameters)
        if found.execution != "AVAILABLE":
            raise Refusal(
                "InvalidChangeSetStatus",
                f"ChangeSet [{found.arn}] cannot be executed in its current status of [{found.status}]",
            )
        self.change_sets = [c for c in self.change_sets if c.stack is not found.stack]
        self.stacks.deploy(found.stack, found.body, found.parameters, found.tags)

    def delete_change_set(self, parameters: Parameters) -> None:
        """One that is gone already is no error, as in AWS."""
        name = parameters["ChangeSetName"]
        stack = self.stacks.find(parameters.get("StackName") or "")
        self.change_sets = [c for c in self.change_sets if not (c.arn == name or (c.name == name and c.stack is stack))]

    def list_exports(self, _parameters: Parameters) -> dict[str, Any]:
        """All exported outputs."""
        return {
            "Exports": [
                {"ExportingStackId": stack.arn, "Name": output["ExportName"], "Value": output["OutputValue"]}
                for stack in self.stacks.all
                for output in stack.outputs
                if output.get("ExportName")
            ]
        }

    def update_termination_protection(self, parameters: Parameters) -> dict[str, Any]:
        """On or off."""
        stack = self.stacks.get(parameters["StackName"])
        stack.protected = bool(parameters["EnableTerminationProtection"])
        return {"StackId": stack.arn}

    def _change_set(self, parameters: Parameters) -> ChangeSet:
        name, stack = parameters["ChangeSetName"], self.stacks.find(parameters.get("StackName") or "")
        for found in reversed(self.change_sets):
            if found.arn == name or (found.name == name and found.stack is stack):
                return found
        raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")

    def _change_set_arn(self, name: str) -> str:
        return f"arn:aws:cloudformation:{self.cloud.region}:{self.cloud.account}:changeSet/{name}/{uuid.uuid4()}"

    def _body(self, parameters: Parameters) -> str:
        if parameters.get("TemplateBody"):
            return str(parameters["TemplateBody"])
        if not parameters.get("TemplateURL"):
            raise Refusal("ValidationError", "Either Template URL or Template Body must be specified.")
        bucket, key = _bucket_and_key(parameters["TemplateURL"])
        return str(self.stacks.aws("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def _bucket_and_key(url: str) -> tuple[str, str]:
    """Of a URL with the bucket in its path, or in its host name."""
    parts = urlparse(url)
    host, path = parts.netloc, parts.path.lstrip("/")
    if host.startswith(("localhost", "127.0.0.1", "s3.", "s3-")):
        bucket, _, key = path.partition("/")
        return bucket, key
    return host.split(".s3", 1)[0], path


def _operation(
    answer: Callable[[Parameters], dict[str, Any] | None],
) -> Callable[[CloudFormationResponse], ActionResult]:
    def operation(self: CloudFormationResponse) -> ActionResult:
        result = answer(dict(self._get_params()))
        return EmptyResult() if result is None else ActionResult(result)

    return operation


def _values(parameters: Parameters, stack: Stack) -> dict[str, str]:
    """The values given, and the stack's own where it says UsePreviousValue."""
    values = {}
    for parameter in parameters.get("Parameters") or []:
        key = parameter["ParameterKey"]
        if not parameter.get("UsePreviousValue"):
            values[key] = parameter["ParameterValue"]
        elif key in stack.parameters:
            values[key] = stack.parameters[key]
    return values


def _described(stack: Stack) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "StackId": stack.arn,
        "StackName": stack.name,
        "CreationTime": stack.created_at,
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "Description": stack.template.get("Description"),
        "TemplateDescription": stack.template.get("Description"),
        "LastUpdatedTime": stack.updated_at,
        "DeletionTime": stack.deleted_at,
        "Parameters": [
            {"ParameterKey": k, "ParameterValue": stack.parameters.get(k, str(p.get("Default")))}
            for k, p in (stack.template.get("Parameters") or {}).items()
        ],
        "Outputs": stack.outputs,
        "Tags": stack.tags,
        "EnableTerminationProtection": stack.protected,
        "DisableRollback": False,
        "NotificationARNs": [],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    return {key: value for key, value in answer.items() if value is not None}


def _resource(stack: Stack, resource: Resource) -> dict[str, Any]:
    return {
        "StackName": stack.name,
        "StackId": stack.arn,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.kind,
        "ResourceStatus": resource.status,
        "Timestamp": resource.changed_at,
        "LastUpdatedTimestamp": resource.changed_at,
    }


def _declared(name: str, parameter: dict[str, Any]) -> dict[str, Any]:
    known = {
        "ParameterKey": name,
        "ParameterType": parameter["Type"],
        "DefaultValue": None if parameter.get("Default") is None else str(parameter["Default"]),
        "Description": parameter.get("Description"),
        "NoEcho": bool(parameter.get("NoEcho")),
    }
    return {key: value for key, value in known.items() if value is not None}


def _change_set_summary(found: ChangeSet) -> dict[str, Any]:
    answer = {
        "ChangeSetName": found.name,
        "ChangeSetId": found.arn,
        "StackId": found.stack.arn,
        "StackName": found.stack.name,
        "CreationTime": found.created_at,
        "Status": found.status,
        "StatusReason": found.reason,
        "ExecutionStatus": found.execution,
    }
    return {key: value for key, value in answer.items() if value is not None}


def _refuse(parameters: Parameters, *names: str) -> None:
    if asked := [name for name in names if parameters.get(name)]:
        raise NotModelled(f"cloudformation: {', '.join(asked)}")


def _no_stack_sets(_parameters: Parameters) -> None:
    raise NotModelled("stack sets")
