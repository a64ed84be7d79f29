"""Stacks, resources, parameters and change sets, as CloudFormation's answers show them."""

from typing import Any

from localcloud.cloudformation.changesets import ChangeSet
from localcloud.cloudformation.stack import Resource, Stack
from localcloud.cloudformation.template import Template

Answer = dict[str, Any]


def describe_stack(stack: Stack) -> Answer:
    """A stack of DescribeStacks, which serves ListStacks too."""
    description = stack.source.template.description
    return _known(
        {
            "StackId": stack.arn,
            "StackName": stack.name,
            "CreationTime": stack.created_at,
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason,
            "Description": description,
            "TemplateDescription": description,
            "LastUpdatedTime": stack.updated_at,
            "DeletionTime": stack.deleted_at,
            "Parameters": _stack_parameters(stack),
            "Outputs": stack.outputs,
            "Tags": stack.source.tags,
            "EnableTerminationProtection": stack.protected,
            "DisableRollback": False,
            "NotificationARNs": [],
            "Capabilities": [
                "CAPABILITY_IAM",
                "CAPABILITY_NAMED_IAM",
                "CAPABILITY_AUTO_EXPAND",
            ],
        }
    )


def _stack_parameters(stack: Stack) -> list[dict[str, str]]:
    parameters = []
    for key, declared in stack.source.template.parameters.items():
        default = str(declared.get("Default"))
        value = stack.source.parameters.get(key, default)
        parameters.append({"ParameterKey": key, "ParameterValue": value})
    return parameters


def describe_resource(stack: Stack, resource: Resource) -> Answer:
    """A resource of DescribeStackResources, which serves ListStackResources too."""
    return {
        "StackName": stack.name,
        "StackId": stack.arn,
        "LogicalResourceId": resource.logical,
        "PhysicalResourceId": resource.physical,
        "ResourceType": resource.type,
        "ResourceStatus": resource.status,
        "Timestamp": resource.changed_at,
        "LastUpdatedTimestamp": resource.changed_at,
    }


def summarize_template(template: Template) -> Answer:
    """Parameters and types, as GetTemplateSummary has them."""
    parameters = []
    for name, declared in template.parameters.items():
        parameters.append(_describe_parameter(name, declared))
    types = {declaration.type for declaration in template.resources.values()}
    return {
        "Description": template.description or "",
        "Parameters": parameters,
        "ResourceTypes": sorted(types),
        "Metadata": None,
    }


def _describe_parameter(name: str, declared: dict[str, Any]) -> Answer:
    default = declared.get("Default")
    if default is not None:
        default = str(default)
    return _known(
        {
            "ParameterKey": name,
            "ParameterType": declared["Type"],
            "DefaultValue": default,
            "Description": declared.get("Description"),
            "NoEcho": bool(declared.get("NoEcho")),
        }
    )


def summarize_change_set(change_set: ChangeSet) -> Answer:
    """A change set of ListChangeSets."""
    return _known(
        {
            "ChangeSetName": change_set.name,
            "ChangeSetId": change_set.arn,
            "StackId": change_set.stack.arn,
            "StackName": change_set.stack.name,
            "CreationTime": change_set.created_at,
            "Status": change_set.status,
            "StatusReason": change_set.reason,
            "ExecutionStatus": change_set.execution,
        }
    )


def describe_change_set(change_set: ChangeSet) -> Answer:
    """A change set of DescribeChangeSet: what it would do, and whether it can."""
    source = change_set.source
    answer = summarize_change_set(change_set)
    answer["Changes"] = change_set.changes
    answer["Tags"] = source.tags
    answer["Parameters"] = []
    for key, value in source.parameters.items():
        answer["Parameters"].append({"ParameterKey": key, "ParameterValue": value})
    return answer


def _known(answer: Answer) -> Answer:
    """Without what has no value."""
    return {key: value for key, value in answer.items() if value is not None}
