"""The rights of the deployed function's role: what it has beyond what its calls need."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from demo.scenario import FUNCTION, Stage
from localcloud.iam import Iam
from localcloud.iam.needs import NEEDS
from localcloud.iam.needs.asked import without_resource
from localcloud.iam.requests import Need

# What other calls ask for as well, and what Lambda itself does in the role's name: logs, and letters to the dead-letter queue.
_BESIDE = frozenset(
    {
        "codedeploy:GetDeploymentConfig",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:UpdateDeploymentGroup",
        "dynamodb:ConditionCheckItem",
        "ecs:TagResource",
        "iam:PassRole",
        "kms:Decrypt",
        "kms:GenerateDataKey*",  # as the CDK grants to publish to an encrypted topic
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:SendMessage",
    }
)


def role_of(stage: Stage) -> str:
    """The ARN of the deployed function's role."""
    configuration = stage.client("lambda").get_function_configuration(FunctionName=FUNCTION)
    return str(configuration["Role"])


def role_statements(stage: Stage) -> list[dict[str, Any]]:
    """The statements of all policies of the role, its names resolved by CloudFormation."""
    iam = stage.client("iam")
    role = role_of(stage).rpartition("/")[2]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        policy = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]
        version = iam.get_policy_version(
            PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"]
        )
        documents.append(version["PolicyVersion"]["Document"])
    return [statement for document in documents for statement in _listed(document["Statement"])]


def allows(stage: Stage, need: Need) -> bool:
    """Whether the role may do it."""
    return stage.cloud.service(Iam).allows(role_of(stage), need)


def denied(stage: Stage) -> list[str]:
    """What the function was denied so far, in AWS's words. Whoever asks has expected it."""
    iam = stage.cloud.service(Iam)
    words = [denial.message for denial in iam.denials]
    iam.denials.clear()
    return words


def deny(stage: Stage, action: str) -> Callable[[], None]:
    """Have the role denied an action from now on; what is answered undoes it."""
    iam, role = stage.client("iam"), role_of(stage).rpartition("/")[2]
    statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_role_policy(RoleName=role, PolicyName="denied", PolicyDocument=text)
    return lambda: iam.delete_role_policy(RoleName=role, PolicyName="denied")


def granted_without_need(statements: Sequence[Mapping[str, Any]]) -> set[str]:
    """Actions that the role has and no call is known to need."""
    granted = {str(action) for statement in statements for action in _listed(statement["Action"])}
    return granted - {*NEEDS, *_BESIDE}


def granted_everywhere(statements: Sequence[Mapping[str, Any]]) -> set[str]:
    """Actions that the role has on every resource and under no condition, though AWS lets them be bound."""
    everywhere = (s for s in statements if "*" in _listed(s["Resource"]) and not s.get("Condition"))
    granted = {str(action) for statement in everywhere for action in _listed(statement["Action"])}
    return {action for action in granted if NEEDS.get(action) is not without_resource}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
