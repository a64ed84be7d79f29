"""What the services that are mostly read ask the policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html and its sisters for
Elastic Load Balancing, ECR, Secrets Manager, Systems Manager, Lambda and IAM.
"""

from collections.abc import Iterator, Mapping

from moto.iam.models import iam_backends
from moto.secretsmanager.models import secretsmanager_backends

from localcloud.iam.needs.asked import Asked, Needs, of_resource, without_resource
from localcloud.iam.requests import Need


def _parameter(asked: Asked) -> Iterator[Need]:
    """GetParametersByPath is asked of the path itself."""
    names = asked.parameters.get("Names")
    for name in names or [asked.parameters.get("Name") or asked.parameters["Path"]]:
        known = name.startswith("arn:")
        yield asked.need(name if known else asked.arn("ssm", f"parameter/{name.strip('/')}"))


def _repository(asked: Asked) -> Iterator[Need]:
    """Another registry is another account's."""
    names = asked.parameters.get("repositoryNames")
    for name in names or [asked.parameters.get("repositoryName", "*")]:
        registry = asked.parameters.get("registryId", asked.cloud.account)
        yield asked.need(f"arn:aws:ecr:{asked.call.region}:{registry}:repository/{name}")


def _secret(asked: Asked) -> Iterator[Need]:
    """A secret that exists is judged by its whole ARN; of another its name, as it was given."""
    given = asked.parameters["SecretId"]
    secrets = asked.backend(secretsmanager_backends).secrets
    resource = secrets[given].arn if given in secrets else given
    yield asked.need(resource, {"secretsmanager:SecretId": given})


def _role(asked: Asked) -> Iterator[Need]:
    name = asked.parameters["RoleName"]
    for role in asked.backend(iam_backends, region="aws").roles.values():
        if role.name == name:
            yield asked.need(role.arn)
            return
    yield asked.need(asked.arn("iam", f"role/{name}", region=""))


def _put_metrics(asked: Asked) -> Iterator[Need]:
    yield asked.need("*", {"cloudwatch:namespace": asked.parameters["Namespace"]})


def _nothing(_asked: Asked) -> Iterator[Need]:
    """Nobody needs a right to ask who they are."""
    yield from ()


# DescribeAlarms shows composite alarms only where `*` is granted (botocore cloudwatch/2010-08-01)
NEEDS: Mapping[str, Needs] = {
    "cloudwatch:DescribeAlarmHistory": without_resource,
    "cloudwatch:DescribeAlarms": without_resource,
    "cloudwatch:DescribeAlarmsForMetric": without_resource,
    "cloudwatch:GetMetricData": without_resource,
    "cloudwatch:GetMetricStatistics": without_resource,
    "cloudwatch:ListMetrics": without_resource,
    "cloudwatch:PutMetricData": _put_metrics,
    "ecr:BatchGetImage": _repository,
    "ecr:DescribeImages": _repository,
    "ecr:DescribeRepositories": _repository,
    "ecr:GetLifecyclePolicy": _repository,
    "ecr:ListImages": _repository,
    "elasticloadbalancing:DescribeListeners": without_resource,
    "elasticloadbalancing:DescribeLoadBalancers": without_resource,
    "elasticloadbalancing:DescribeRules": without_resource,
    "elasticloadbalancing:DescribeTargetGroups": without_resource,
    "elasticloadbalancing:DescribeTargetHealth": without_resource,
    "iam:GetRole": _role,
    "lambda:GetFunction": of_resource("lambda", "FunctionName", shape="function:{}"),
    "lambda:InvokeFunction": of_resource("lambda", "FunctionName", shape="function:{}"),
    "secretsmanager:DescribeSecret": _secret,
    "secretsmanager:GetSecretValue": _secret,
    "secretsmanager:ListSecretVersionIds": _secret,
    "ssm:DescribeParameters": without_resource,
    "ssm:GetParameter": _parameter,
    "ssm:GetParameters": _parameter,
    "ssm:GetParametersByPath": _parameter,
    "sts:GetCallerIdentity": _nothing,
}
