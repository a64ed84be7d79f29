"""CloudFormation's operations, in the place of moto's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult, EmptyResult

from localcloud.cloudformation import descriptions
from localcloud.cloudformation.changesets import ChangeSet, ChangeSets
from localcloud.cloudformation.stack import DELETED, Source, Stack
from localcloud.cloudformation.stacks import Stacks
from localcloud.cloudformation.template import parse
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

Parameters = dict[str, Any]
Answer = dict[str, Any]
Operation = Callable[[Parameters], Answer | None]


@dataclass
class Operations:
    """Each method that `install` names answers one operation."""

    cloud: "Cloud"
    stacks: Stacks
    change_sets: ChangeSets

    def install(self) -> None:
        """Put these in moto's place."""
        operations: dict[str, Operation] = {
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
        for name, operation in operations.items():
            self.cloud.replace(CloudFormationResponse, name, _method(operation))

    def create_stack(self, parameters: Parameters) -> Answer:
        """Synchronous: the stack is complete, or rolled back, when the call returns."""
        _refuse(parameters, "ResourceTypes", "ImportExistingResources")
        name = parameters["StackName"]
        if self.stacks.find(name) is not None:
            raise Refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        stack = self.stacks.begin(name)
        try:
            source = self._source(parameters, stack)
            self.stacks.check(stack, source)
        except Refusal:
            self.stacks.all.remove(stack)
            raise
        stack.protected = bool(parameters.get("EnableTerminationProtection"))
        self.stacks.deploy(stack, source)
        return {"StackId": stack.arn}

    def update_stack(self, parameters: Parameters) -> Answer:
        """Raise Refusal where there is nothing to do."""
        stack = self.stacks.get(parameters["StackName"])
        has_settled = stack.status.endswith("_COMPLETE")
        if not has_settled or stack.status in ("ROLLBACK_COMPLETE", DELETED):
            message = f"Stack:{stack.arn} is in {stack.status} state and can not be updated."
            raise Refusal("ValidationError", message)
        source = self._source(parameters, stack)
        self.stacks.check(stack, source)
        if not self.stacks.has_changes(stack, source):
            raise Refusal("ValidationError", "No updates are to be performed.")
        self.stacks.deploy(stack, source)
        return {"StackId": stack.arn}

    def delete_stack(self, parameters: Parameters) -> None:
        """Deleting what does not exist succeeds, as in AWS."""
        _refuse(parameters, "RetainResources", "DeletionMode")
        stack = self.stacks.find(parameters["StackName"])
        if stack is not None:
            self.stacks.delete(stack)

    def describe_stacks(self, parameters: Parameters) -> Answer:
        """One by name or ARN, or all that are not deleted."""
        name = parameters.get("StackName")
        if name:
            return {"Stacks": [descriptions.describe_stack(self.stacks.get(name))]}
        found = [stack for stack in self.stacks.all if stack.deleted_at is None]
        return {"Stacks": [descriptions.describe_stack(stack) for stack in found]}

    def list_stacks(self, parameters: Parameters) -> Answer:
        """All, the deleted too, or those in the given states."""
        wanted = parameters.get("StackStatusFilter")
        found = self.stacks.all
        if wanted:
            found = [stack for stack in found if stack.status in wanted]
        return {"StackSummaries": [descriptions.describe_stack(stack) for stack in found]}

    def describe_stack_events(self, parameters: Parameters) -> Answer:
        """Newest first."""
        events = self.stacks.get(parameters["StackName"]).events
        return {"StackEvents": events[::-1]}

    def describe_stack_resources(self, parameters: Parameters) -> Answer:
        """All resources of a stack, or the one that is named."""
        resources = self._resources(parameters)
        wanted = parameters.get("LogicalResourceId")
        if wanted is not None:
            resources = [one for one in resources if one["LogicalResourceId"] == wanted]
        return {"StackResources": resources}

    def describe_stack_resource(self, parameters: Parameters) -> Answer:
        """The one that is named."""
        stack = self.stacks.get(parameters["StackName"])
        logical = parameters["LogicalResourceId"]
        if logical not in stack.resources:
            message = f"Resource {logical} does not exist for stack {stack.name}"
            raise Refusal("ValidationError", message)
        resource = stack.resources[logical]
        return {"StackResourceDetail": descriptions.describe_resource(stack, resource)}

    def list_stack_resources(self, parameters: Parameters) -> Answer:
        """All resources of a stack."""
        return {"StackResourceSummaries": self._resources(parameters)}

    def get_template(self, parameters: Parameters) -> Answer:
        """The template as it was sent."""
        if parameters.get("ChangeSetName"):
            body = self._change_set(parameters).source.body
        else:
            body = self.stacks.get(parameters["StackName"]).source.body
        return {"TemplateBody": body, "StagesAvailable": ["Original", "Processed"]}

    def get_template_summary(self, parameters: Parameters) -> Answer:
        """Parameters and types of a template or of a stack's."""
        name = parameters.get("StackName")
        if not name:
            return descriptions.summarize_template(parse(self._body(parameters)))
        stack = self.stacks.get(name)
        return descriptions.summarize_template(parse(stack.source.body))

    def create_change_set(self, parameters: Parameters) -> Answer:
        """Of a new stack (which is then in review) or of one that exists."""
        kind = parameters.get("ChangeSetType") or "UPDATE"
        stack = self.change_sets.stack_for(parameters["StackName"], kind)
        source = self._source(parameters, stack)
        created = self.change_sets.create(
            parameters["ChangeSetName"],
            kind,
            stack,
            source,
        )
        return {"Id": created.arn, "StackId": stack.arn}

    def describe_change_set(self, parameters: Parameters) -> Answer:
        """What it would do, and whether it can."""
        return descriptions.describe_change_set(self._change_set(parameters))

    def list_change_sets(self, parameters: Parameters) -> Answer:
        """Those of one stack."""
        stack = self.stacks.get(parameters["StackName"])
        found = self.change_sets.of(stack)
        return {"Summaries": [descriptions.summarize_change_set(one) for one in found]}

    def execute_change_set(self, parameters: Parameters) -> None:
        """Synchronous, like CreateStack."""
        self.change_sets.execute(self._change_set(parameters))

    def delete_change_set(self, parameters: Parameters) -> None:
        """One that is gone already is no error, as in AWS."""
        self.change_sets.delete(parameters["ChangeSetName"], parameters.get("StackName"))

    def list_exports(self, _parameters: Parameters) -> Answer:
        """All exported outputs."""
        exports = []
        for stack in self.stacks.all:
            for name, value in stack.exports.items():
                exports.append({"ExportingStackId": stack.arn, "Name": name, "Value": value})
        return {"Exports": exports}

    def update_termination_protection(self, parameters: Parameters) -> Answer:
        """On or off."""
        stack = self.stacks.get(parameters["StackName"])
        stack.protected = bool(parameters["EnableTerminationProtection"])
        return {"StackId": stack.arn}

    def _change_set(self, parameters: Parameters) -> ChangeSet:
        return self.change_sets.get(parameters["ChangeSetName"], parameters.get("StackName"))

    def _resources(self, parameters: Parameters) -> list[Answer]:
        stack = self.stacks.get(parameters["StackName"])
        resources = stack.resources.values()
        return [descriptions.describe_resource(stack, resource) for resource in resources]

    def _source(self, parameters: Parameters, stack: Stack) -> Source:
        """What the stack is to be made from.

        The stack keeps its template and its tags where that is asked for.
        """
        body = stack.source.body
        if not parameters.get("UsePreviousTemplate"):
            body = self._body(parameters)
        tags = parameters.get("Tags")
        if tags is None:
            tags = stack.source.tags
        return Source(
            body,
            parse(body),
            _values(parameters, stack),
            tags,
        )

    def _body(self, parameters: Parameters) -> str:
        if parameters.get("TemplateBody"):
            return str(parameters["TemplateBody"])
        if not parameters.get("TemplateURL"):
            message = "Either Template URL or Template Body must be specified."
            raise Refusal("ValidationError", message)
        bucket, key = _bucket_and_key(parameters["TemplateURL"])
        answer = self.stacks.aws("s3").get_object(Bucket=bucket, Key=key)
        return str(answer["Body"].read().decode())


def _bucket_and_key(url: str) -> tuple[str, str]:
    """Of a URL with the bucket in its path, or in its host name."""
    parts = urlparse(url)
    path = parts.path.lstrip("/")
    if parts.netloc.startswith(("localhost", "127.0.0.1", "s3.", "s3-")):
        bucket, _, key = path.partition("/")
        return bucket, key
    bucket, _, _ = parts.netloc.partition(".s3")
    return bucket, path


def _method(operation: Operation) -> Callable[[CloudFormationResponse], ActionResult]:
    """The operation as a method of moto's class."""

    def method(self: CloudFormationResponse) -> ActionResult:
        answer = operation(dict(self._get_params()))
        if answer is None:
            return EmptyResult()
        return ActionResult(answer)

    return method


def _values(parameters: Parameters, stack: Stack) -> dict[str, str]:
    """The values given, and the stack's own where it says UsePreviousValue."""
    values = {}
    for parameter in parameters.get("Parameters") or []:
        key = parameter["ParameterKey"]
        if not parameter.get("UsePreviousValue"):
            values[key] = parameter["ParameterValue"]
        elif key in stack.source.parameters:
            values[key] = stack.source.parameters[key]
    return values


def _refuse(parameters: Parameters, *names: str) -> None:
    """Raise NotModelled if one of these is asked for."""
    asked = [name for name in names if parameters.get(name)]
    if asked:
        raise NotModelled(f"cloudformation: {', '.join(asked)}")


def _no_stack_sets(_parameters: Parameters) -> None:
    raise NotModelled("stack sets")
