"""Of the synthesized stack, what a campaign needs whose function runs in this process: role, ledger and topic."""

import json
from typing import Any

from demo.scenario import Actor
from localcloud.iam import Iam
from localcloud.server import Cloud
from tests.assemblies import assembly

STACK = "AutoRollback"
_TYPES = (
    "AWS::DynamoDB::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::KMS::Key",
    "AWS::Logs::LogGroup",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
)


def install(cloud: Cloud, cluster: str, table: str, access_keys: list[str]) -> None:
    """Create them, and have calls with these access keys be the function's.

    The services are `service-<number>` of the cluster, any number of them: the rights on one, with a wildcard for it.
    """
    actor = Actor("service-0", cluster, load_balancer=None, target_group=None)
    template = json.loads((assembly([actor]) / f"{STACK}.template.json").read_text())
    resources = {
        name: _as_needed(resource, table)
        for name, resource in template["Resources"].items()
        if resource["Type"] in _TYPES
    }
    body = json.dumps({"Resources": resources}).replace(actor.name, "service-*")
    cloudformation = cloud.session("cdk").client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=body)
    role = cloud.session().client("iam").get_role(RoleName=_role(cloudformation))["Role"]["Arn"]
    for key in access_keys:
        cloud.service(Iam).act_as(key, role, "auto-rollback")


def _as_needed(resource: dict[str, Any], table: str) -> dict[str, Any]:
    if resource["Type"] == "AWS::DynamoDB::Table":
        resource["Properties"]["TableName"] = table
    return resource


def _role(cloudformation: Any) -> str:
    """The function's, which is the stack's only one."""
    described = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    (role,) = [one for one in described if one["ResourceType"] == "AWS::IAM::Role"]
    return str(role["PhysicalResourceId"])
