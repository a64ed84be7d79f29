"""Would AWS have allowed it? Every recorded call of the function against the policies that the synthesized role has.

moto judges nearly every call against the resource `*`. Here each call is judged on the resources and with the condition keys
that the Service Authorization Reference gives for its action
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from demo.scenario import FUNCTION, Actor, Stage
from localcloud import functions
from localcloud.recorder import Call
from tests.e2e.conftest import Scene

PREFIXES = {"elbv2": "elasticloadbalancing"}
"""IAM's prefix of a service, where boto3 calls the client otherwise."""

TASKS = "ecs-tasks.amazonaws.com"


@pytest.fixture(name="scene")
def watched_scene(scene: Scene) -> Iterator[Scene]:
    """Whatever the function does in these scenes, its role must grant it."""
    stages: list[Stage] = []

    def build(*actors: Actor) -> Stage:
        stages.append(scene(*actors))
        return stages[-1]

    yield build
    for stage in stages:
        assert denied(stage) == []


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that must be allowed: an action on one resource, with the condition keys that AWS sends along."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict)


class NotDescribed(NotImplementedError):  # noqa: N818 - says what is missing
    """This check does not know what AWS asks for here: add it, from the reference."""


def denied(stage: Stage) -> list[str]:
    """What the function asked for and its role does not grant, in words; empty when all is granted."""
    statements = role_statements(stage)
    calls = stage.cloud.recorder.calls(access_key=functions.access_key(FUNCTION))
    needs = {
        (need.action, need.resource, tuple(sorted(need.context.items())))
        for c in calls
        for need in needs_of(c, stage)
    }
    return [
        f"{action} on {resource} with {dict(context)}"
        for action, resource, context in sorted(needs)
        if not allows(statements, Need(action, resource, dict(context)))
    ]


def role_statements(stage: Stage) -> list[dict[str, Any]]:
    """The statements of all policies of the deployed function's role, its names resolved by CloudFormation."""
    iam = stage.client("iam")
    role = (
        stage.client("lambda")
        .get_function_configuration(FunctionName=FUNCTION)["Role"]
        .rpartition("/")[2]
    )
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


def allows(statements: Sequence[Mapping[str, Any]], need: Need) -> bool:
    """Whether a statement allows it: IAM's `Allow` with action, resource and conditions matching."""
    for statement in statements:
        if statement["Effect"] != "Allow" or "NotAction" in statement or "NotResource" in statement:
            raise NotDescribed(f"a statement with {sorted(statement)}")
    return any(
        any(
            _matches(pattern, need.action, ignore_case=True)
            for pattern in _listed(statement["Action"])
        )
        and any(_matches(pattern, need.resource) for pattern in _listed(statement["Resource"]))
        and _holds(statement.get("Condition", {}), need.context)
        for statement in statements
    )


def granted_without_need(statements: Sequence[Mapping[str, Any]]) -> set[str]:
    """Actions that the role has and no call of the function is known to need."""
    granted = {str(action) for statement in statements for action in _listed(statement["Action"])}
    return granted - {*_WITHOUT_RESOURCE, *_DESCRIBED, *_BESIDE}


def granted_everywhere(statements: Sequence[Mapping[str, Any]]) -> set[str]:
    """Actions that the role has on every resource, though AWS lets them be bound to some."""
    everywhere = (s for s in statements if "*" in _listed(s["Resource"]))
    return {
        str(action) for statement in everywhere for action in _listed(statement["Action"])
    } - _WITHOUT_RESOURCE


def _holds(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, wanted in conditions.items():
        if operator not in ("StringEquals", "ArnEquals"):
            raise NotDescribed(f"the condition operator {operator}")
        for key, values in wanted.items():
            if not any(_same(operator, str(value), context.get(key)) for value in _listed(values)):
                return False
    return True


def _same(operator: str, wanted: str, given: str | None) -> bool:
    """`ArnEquals` takes wildcards, `StringEquals` none; a key that the request lacks is not equal to anything."""
    if given is None:
        return False
    return _matches(wanted, given) if operator == "ArnEquals" else wanted == given


def _matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    expression = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return (
        re.fullmatch(expression, text, re.IGNORECASE | re.DOTALL if ignore_case else re.DOTALL)
        is not None
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def needs_of(call: Call, stage: Stage) -> Iterator[Need]:
    """What AWS asks the policies for one call.

    Raises:
        NotDescribed: naming the operation.
    """
    action = f"{PREFIXES.get(call.service, call.service)}:{call.operation}"
    if action in _WITHOUT_RESOURCE:
        yield Need(action, "*")
    elif action in _DESCRIBED:
        yield from _DESCRIBED[action](action, call.parameters, stage)
    else:
        raise NotDescribed(action)


# No resource in the reference, or of composite alarms only "*" (DescribeAlarms, botocore cloudwatch/2010-08-01).
_WITHOUT_RESOURCE = frozenset(
    {
        "cloudwatch:DescribeAlarmHistory",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetMetricData",
        "codedeploy:StopDeployment",
        "ecs:DescribeTaskDefinition",
        "elasticloadbalancing:DescribeTargetHealth",
        "ssm:DescribeParameters",
    }
)
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
Parameters = Mapping[str, Any]


def _arn(stage: Stage, service: str, resource: str, *, region: bool = True) -> str:
    return (
        f"arn:aws:{service}:{stage.cloud.region if region else ''}:{stage.cloud.account}:{resource}"
    )


def _on_service(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    cluster = str(asked["cluster"])
    context = {"ecs:cluster": _arn(stage, "ecs", f"cluster/{cluster}")}
    for name in _listed(asked.get("services") or asked["service"]):
        yield Need(action, _arn(stage, "ecs", f"service/{cluster}/{name}"), context)


def _update_service(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """The reference lists iam:PassRole as a dependent action; whether a mere change of revision asks for it is not said."""
    yield from _on_service(action, asked, stage)
    definition = stage.client("ecs").describe_task_definition(
        taskDefinition=asked["taskDefinition"]
    )["taskDefinition"]
    yield from _pass_roles(definition)


def _on_part(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """Service deployments and revisions: the reference wants the service's ARN as well."""
    names = ("serviceDeploymentArns", "serviceDeploymentArn", "serviceRevisionArns")
    for arn in _listed(next(asked[name] for name in names if name in asked)):
        cluster, service = arn.split("/")[1:3]
        of_service = _arn(stage, "ecs", f"service/{cluster}/{service}")
        context = {
            "ecs:cluster": _arn(stage, "ecs", f"cluster/{cluster}"),
            "ecs:service": of_service,
        }
        yield Need(action, arn, context)
        yield Need(action, of_service, context)


def _register(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    resource = _arn(stage, "ecs", f"task-definition/{asked['family']}:*")
    yield Need(action, resource)
    if asked.get("tags"):
        yield Need("ecs:TagResource", resource, {"ecs:CreateAction": "RegisterTaskDefinition"})
    yield from _pass_roles(asked)


def _pass_roles(definition: Parameters) -> Iterator[Need]:
    for key in ("taskRoleArn", "executionRoleArn"):
        if key in definition:
            yield Need("iam:PassRole", definition[key], {"iam:PassedToService": TASKS})


def _on_deployments(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """A CodeDeploy deployment is judged by its deployment group; one that does not exist, by none."""
    client = stage.client("codedeploy")
    for deployment_id in asked.get("deploymentIds") or [asked["deploymentId"]]:
        try:
            found = client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        except client.exceptions.DeploymentDoesNotExistException:
            continue
        yield from _on_group(action, found, stage)


def _on_group(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    group = f"{asked['applicationName']}/{asked['deploymentGroupName']}"
    yield Need(action, _arn(stage, "codedeploy", f"deploymentgroup:{group}"))


def _on_application(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    yield Need(action, _arn(stage, "codedeploy", f"application:{asked['applicationName']}"))


def _create_deployment(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """With the revision, the configuration and, over the group's alarms, the group itself (CodeDeploy's permissions reference)."""
    yield from _on_group(action, asked, stage)
    for beside in ("codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision"):
        yield from _on_application(beside, asked, stage)
    configuration = asked.get("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
    yield Need(
        "codedeploy:GetDeploymentConfig",
        _arn(stage, "codedeploy", f"deploymentconfig:{configuration}"),
    )
    if "overrideAlarmConfiguration" in asked:
        yield from _on_group("codedeploy:UpdateDeploymentGroup", asked, stage)


def _on_table(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    table = _arn(stage, "dynamodb", f"table/{asked['TableName'].rpartition('/')[2]}")
    yield Need(action, f"{table}/index/{asked['IndexName']}" if "IndexName" in asked else table)


def _transaction(_action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """Allowed by the rights of what it does (the developer guide's "IAM policies for DynamoDB transactions")."""
    rights = {
        "Put": "PutItem",
        "Update": "UpdateItem",
        "Delete": "DeleteItem",
        "ConditionCheck": "ConditionCheckItem",
    }
    for item in asked["TransactItems"]:
        for kind, what in item.items():
            yield from _on_table(f"dynamodb:{rights[kind]}", what, stage)


def _parameter(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    for name in asked.get("Names") or [asked.get("Name") or asked["Path"]]:
        yield Need(action, _arn(stage, "ssm", f"parameter/{name.lstrip('/')}"))


def _repository(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    for name in asked.get("repositoryNames") or [asked["repositoryName"]]:
        yield Need(action, _arn(stage, "ecr", f"repository/{name}"))


def _secret(action: str, asked: Parameters, _stage: Stage) -> Iterator[Need]:
    yield Need(action, asked["SecretId"])


def _role(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    yield Need(action, stage.client("iam").get_role(RoleName=asked["RoleName"])["Role"]["Arn"])


def _publish(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    """To an encrypted topic its key is asked as well, in the publisher's name (sns-key-management.html)."""
    yield Need(action, asked["TopicArn"])
    attributes = stage.client("sns").get_topic_attributes(TopicArn=asked["TopicArn"])["Attributes"]
    if key := attributes.get("KmsMasterKeyId"):
        arn = stage.client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"]
        yield Need("kms:Decrypt", arn)
        yield Need("kms:GenerateDataKey", arn)


def _put_events(action: str, asked: Parameters, stage: Stage) -> Iterator[Need]:
    for entry in asked["Entries"]:
        context = {"events:source": entry["Source"], "events:detail-type": entry["DetailType"]}
        yield Need(
            action,
            _arn(stage, "events", f"event-bus/{entry.get('EventBusName', 'default')}"),
            context,
        )


_DESCRIBED: Mapping[str, Callable[[str, Parameters, Stage], Iterator[Need]]] = {
    "ecs:DescribeServices": _on_service,
    "ecs:ListServiceDeployments": _on_service,
    "ecs:UpdateService": _update_service,
    "ecs:DescribeServiceDeployments": _on_part,
    "ecs:DescribeServiceRevisions": _on_part,
    "ecs:StopServiceDeployment": _on_part,
    "ecs:RegisterTaskDefinition": _register,
    "codedeploy:BatchGetDeployments": _on_deployments,
    "codedeploy:CreateDeployment": _create_deployment,
    "codedeploy:GetApplicationRevision": _on_application,
    "codedeploy:GetDeployment": _on_deployments,
    "codedeploy:ListDeployments": _on_group,
    "dynamodb:DeleteItem": _on_table,
    "dynamodb:GetItem": _on_table,
    "dynamodb:PutItem": _on_table,
    "dynamodb:Query": _on_table,
    "dynamodb:UpdateItem": _on_table,
    "dynamodb:TransactWriteItems": _transaction,
    "ssm:GetParameter": _parameter,
    "ssm:GetParameters": _parameter,
    "ssm:GetParametersByPath": _parameter,
    "ecr:BatchGetImage": _repository,
    "ecr:DescribeImages": _repository,
    "ecr:DescribeRepositories": _repository,
    "ecr:GetLifecyclePolicy": _repository,
    "secretsmanager:DescribeSecret": _secret,
    "iam:GetRole": _role,
    "sns:Publish": _publish,
    "events:PutEvents": _put_events,
}
