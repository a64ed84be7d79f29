"""What the function may do. Reads are as wide as AWS makes them; writes reach only what the configuration names.

Which resource types and condition keys an action takes: the Service Authorization Reference,
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerservice.html and its
sisters for CloudWatch, ECR, Secrets Manager, Systems Manager, CodeDeploy and Elastic Load Balancing.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy

# A managed policy holds 6,144 characters and a role ten of them, as AWS sets its quotas
# (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
POLICY_LIMIT = 6144
POLICIES_PER_ROLE = 10
_UNKNOWN = re.compile(r"\$\{Token\[([A-Za-z.]+)[^]]*\]\}")
_LONGEST = {
    "AWS.Partition.": "aws-us-gov",
    "AWS.Region.": "ap-southeast-99",
    "AWS.AccountId.": "123456789012",
}
_SHOWN = {
    "AWS.Partition.": "<AWS::Partition>",
    "AWS.Region.": "<AWS::Region>",
    "AWS.AccountId.": "<AWS::AccountId>",
}
_STATEMENT_OVERHEAD = (
    330  # braces, effect, actions and a condition of one value, of the longest statement below
)
_DOCUMENT_OVERHEAD = 50


# These want the service's ARN beside the deployment's or the revision's.
_ON_DEPLOYMENTS = (
    "ecs:ContinueServiceDeployment",
    "ecs:DescribeServiceDeployments",
    "ecs:StopServiceDeployment",
)
_ON_REVISIONS = ("ecs:DescribeServiceRevisions",)

# Of services that CodeDeploy deploys. CreateDeployment asks for the rights to the revision and to the deployment
# configuration as well (https://docs.aws.amazon.com/codedeploy/latest/userguide/auth-and-access-control-permissions-reference.html),
# and, because it tells CodeDeploy not to look at the group's alarms, for UpdateDeploymentGroup, which the function never calls
# (CreateDeployment's overrideAlarmConfiguration, botocore codedeploy/2014-10-06). It asks for no iam:PassRole: CodeDeploy's own
# service role passes a definition's roles (AWSCodeDeployRoleForECS).
_ON_DEPLOYMENT_GROUPS = (
    "codedeploy:BatchGetDeploymentTargets",
    "codedeploy:BatchGetDeployments",
    "codedeploy:CreateDeployment",
    "codedeploy:GetDeployment",
    "codedeploy:ListDeployments",
    "codedeploy:UpdateDeploymentGroup",
)
_ON_APPLICATIONS = ("codedeploy:GetApplicationRevision", "codedeploy:RegisterApplicationRevision")
_ON_SERVICES = (
    "ecs:DescribeServices",
    "ecs:ListServiceDeployments",
    *_ON_DEPLOYMENTS,
    *_ON_REVISIONS,
)
_UPDATES = ("ecs:UpdateService",)
"""Bound by `ecs:task-definition` to a service's families.

AWS resolves a reference to its revision before it asks the policies (Service Authorization Reference of ECS).
"""

_Conditions = Mapping[str, Mapping[str, str | list[str]]]


@dataclass(frozen=True, slots=True)
class _Grant:
    """Actions on resources, under conditions."""

    actions: tuple[str, ...]
    resources: Sequence[str]
    conditions: _Conditions | None = None
    wildcards: str = "it stands for the deployments and revisions of a configured service, or for what services.yaml says"
    """Why its resources hold wildcards, where they do."""

    @property
    def overhead(self) -> int:
        """Characters of a statement beside its resources, at most."""
        values: list[str] = []
        for keys in (self.conditions or {}).values():
            for value in keys.values():
                values += [value] if isinstance(value, str) else value
        return _STATEMENT_OVERHEAD + sum(map(_length, values))

    def statement(self, resources: Sequence[str]) -> iam.PolicyStatement:
        return iam.PolicyStatement(
            actions=list(self.actions),
            resources=list(resources),
            conditions=dict(self.conditions or {}),
        )


class TooManyServicesError(ValueError):
    """The services' rights do not fit into the policies that a role can have."""


class ServicePermissions(Construct):
    """The rights to act on the protected services, in customer-managed policies."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        role: iam.IRole,
    ) -> None:
        super().__init__(scope, construct_id)
        self._role = role
        self._policies: list[iam.ManagedPolicy] = []
        self._free = 0  # characters in the newest policy

    def allow(self, services: Sequence[ServicePolicy]) -> None:
        """Let the role act on these services, their families and roles alone.

        Every ARN is exact while that fits into half of what a role can hold, and each service may be given definitions
        of its own families alone. Beyond it the same services are named in fewer characters: the cluster once, as a
        condition, and the families of all together; where not even these fit, the function alone holds to them.

        Raises:
            TooManyServicesError: not even that fits.
        """
        shared = [
            *self._families_and_roles(services),
            *self._code_deploy(services),
            *self._tasks(services),
        ]
        exact = shared + list(self._services_exactly(services))
        if _policies_for(exact) <= POLICIES_PER_ROLE // 2:
            self._attach(exact)
            return
        families = self._family_arns(services)
        short = [*shared, *self._services_by_cluster(services, families)]
        if len(self._policies) + _policies_for(short) > POLICIES_PER_ROLE:
            short = [*shared, *self._services_by_cluster(services, [])]
        if len(self._policies) + _policies_for(short) > POLICIES_PER_ROLE:
            raise TooManyServicesError(
                f"the rights on {len(services)} services, with their families and task_roles, do not fit into the "
                f"{POLICIES_PER_ROLE} policies that a role can have; let services share families and task_roles "
                "(wildcards are allowed), or deploy a second installation with -c name=<name> -c services=<another file>"
            )
        self._attach(short)

    def _families_and_roles(self, services: Sequence[ServicePolicy]) -> Iterator[_Grant]:
        stack = cdk.Stack.of(self)
        roles: set[str] = set()
        for service in services:
            roles.update(service.policy.task_roles)
        definitions = self._family_arns(services)
        role_arns = [
            _arn(
                stack,
                "iam",
                f"role/{name}",
                region="",
            )
            for name in sorted(roles)
        ]

        only_on_registration = {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}
        only_to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        yield _Grant(("ecs:RegisterTaskDefinition",), definitions)
        yield _Grant(("ecs:TagResource",), definitions, only_on_registration)
        yield _Grant(("iam:PassRole",), role_arns, only_to_tasks)
        yield _Grant(("iam:GetRole",), role_arns)

    def _family_arns(self, services: Iterable[ServicePolicy]) -> list[str]:
        """The definitions of the services' families, each family once."""
        stack = cdk.Stack.of(self)
        families: set[str] = set()
        for service in services:
            families.update(service.policy.families)
        return [_arn(stack, "ecs", f"task-definition/{name}:*") for name in sorted(families)]

    def _code_deploy(self, services: Sequence[ServicePolicy]) -> Iterator[_Grant]:
        """Only where a service names its deployment group.

        StopDeployment takes no resource, and no condition key.
        """
        stack = cdk.Stack.of(self)
        groups: set[str] = set()
        applications: set[str] = set()
        for service in services:
            if service.code_deploy is not None:
                application, _, _ = service.code_deploy.rpartition("/")
                groups.add(service.code_deploy)
                applications.add(application)
        if not groups:
            return

        def arns(kind: str, names: Iterable[str]) -> list[str]:
            return [_arn(stack, "codedeploy", f"{kind}:{name}") for name in sorted(names)]

        yield _Grant(_ON_DEPLOYMENT_GROUPS, arns("deploymentgroup", groups))
        yield _Grant(_ON_APPLICATIONS, arns("application", applications))
        yield _Grant(
            ("codedeploy:GetDeploymentConfig",),
            [_arn(stack, "codedeploy", "deploymentconfig:*")],
            wildcards="a deployment names its configuration, and each may name another; a read only",
        )
        yield _Grant(
            ("codedeploy:StopDeployment",),
            ["*"],
            wildcards="StopDeployment takes no resource; it is there only where a configured service uses CodeDeploy",
        )

    def _tasks(self, services: Sequence[ServicePolicy]) -> Iterator[_Grant]:
        """Why tasks of these clusters stopped; neither action can be bound to a service.

        ListTasks takes a container instance as its resource, and is asked by none.
        """
        stack = cdk.Stack.of(self)
        for cluster in sorted({service.key.cluster for service in services}):
            in_cluster = {"ArnEquals": {"ecs:cluster": _arn(stack, "ecs", f"cluster/{cluster}")}}
            yield _Grant(
                ("ecs:ListTasks",),
                ["*"],
                in_cluster,
                wildcards="ListTasks of a service takes no resource; the condition binds it to its cluster",
            )
            yield _Grant(
                ("ecs:DescribeTasks",),
                [_arn(stack, "ecs", f"task/{cluster}/*")],
                wildcards="tasks have no names that are known before; a read only",
            )

    def _services_exactly(self, services: Sequence[ServicePolicy]) -> Iterator[_Grant]:
        stack = cdk.Stack.of(self)

        def arns(kind: str, suffix: str = "") -> list[str]:
            paths = [f"{service.key.cluster}/{service.key.service}" for service in services]
            return [_arn(stack, "ecs", f"{kind}/{path}{suffix}") for path in paths]

        yield _Grant(_ON_SERVICES, arns("service"))
        alike: dict[tuple[str, ...], list[ServicePolicy]] = {}
        for service in services:
            alike.setdefault(tuple(sorted(service.policy.families)), []).append(service)
        for ones in alike.values():
            paths = [f"service/{one.key.cluster}/{one.key.service}" for one in ones]
            of_families = {"ArnLike": {"ecs:task-definition": self._family_arns(ones)}}
            yield _Grant(_UPDATES, [_arn(stack, "ecs", path) for path in paths], of_families)
        yield _Grant(_ON_DEPLOYMENTS, arns("service-deployment", "/*"))
        yield _Grant(_ON_REVISIONS, arns("service-revision", "/*"))

    def _services_by_cluster(
        self,
        services: Sequence[ServicePolicy],
        families: list[str],
    ) -> Iterator[_Grant]:
        # An action on a deployment or revision needs its service's ARN allowed as well ("service*" beside
        # "service-deployment*" in the reference), so the lists of services bound these too.
        # None of these actions takes anything else that ends in the service's name.
        stack = cdk.Stack.of(self)
        clusters: dict[str, list[ServiceKey]] = {}
        for service in services:
            clusters.setdefault(service.key.cluster, []).append(service.key)
        for cluster, keys in clusters.items():
            by_name = [f"arn:{cdk.Aws.PARTITION}:ecs:*:*:*/{key.service}" for key in keys]
            in_cluster: dict[str, Mapping[str, str | list[str]]] = {
                "ArnEquals": {"ecs:cluster": _arn(stack, "ecs", f"cluster/{cluster}")}
            }
            if families:  # of these actions only UpdateService has the key
                in_cluster["ArnLikeIfExists"] = {"ecs:task-definition": families}
            yield _Grant((*_ON_SERVICES, *_UPDATES), by_name, in_cluster)
            yield _Grant(_ON_DEPLOYMENTS, [_arn(stack, "ecs", f"service-deployment/{cluster}/*")])
            yield _Grant(_ON_REVISIONS, [_arn(stack, "ecs", f"service-revision/{cluster}/*")])

    def _attach(self, grants: Iterable[_Grant]) -> None:
        """Fill policies one after another; the resources of one grant may go over several."""
        for grant in grants:
            rest = grant.resources
            while rest:
                if self._free < grant.overhead + _length(rest[0]):
                    self._begin_policy()
                taken = max(1, _fitting(rest, self._free - grant.overhead))
                fitting = rest[:taken]
                policy = self._policies[-1]
                policy.add_statements(grant.statement(fitting))
                _acknowledge_wildcards(policy, fitting, grant.wildcards)
                self._free -= grant.overhead + sum(map(_length, fitting))
                rest = rest[taken:]

    def _begin_policy(self) -> None:
        number = len(self._policies)
        self._policies.append(iam.ManagedPolicy(self, f"Policy{number}", roles=[self._role]))
        self._free = POLICY_LIMIT - _DOCUMENT_OVERHEAD


def grant_reads(role: iam.IRole, stack: cdk.Stack) -> None:
    """Grant the reads whose resources are not known, or which take none.

    Secrets and parameters are looked for, their values never read.
    """
    role.add_to_principal_policy(
        iam.PolicyStatement(
            sid="ReadWhatHasNoResource",
            actions=[
                # composite alarms need Resource "*" (DescribeAlarms, botocore cloudwatch/2010-08-01)
                "cloudwatch:DescribeAlarms",
                "cloudwatch:DescribeAlarmHistory",
                "cloudwatch:GetMetricData",
                "ecs:DescribeTaskDefinition",
                "elasticloadbalancing:DescribeTargetHealth",
                "ssm:DescribeParameters",
            ],
            resources=["*"],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            sid="ReadImages",
            actions=[
                "ecr:BatchGetImage",
                "ecr:DescribeImages",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
            ],
            resources=[f"arn:{cdk.Aws.PARTITION}:ecr:*:{stack.account}:repository/*"],
        )
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            sid="SeeThatSecretsExist",
            actions=["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"],
            resources=[f"arn:{cdk.Aws.PARTITION}:secretsmanager:*:{stack.account}:secret:*"],
        )
    )


def _arn(
    stack: cdk.Stack,
    service: str,
    resource: str,
    *,
    region: str | None = None,
) -> str:
    """An ARN of the stack's account, and of its region unless another is given."""
    if region is None:
        region = stack.region
    return f"arn:{stack.partition}:{service}:{region}:{stack.account}:{resource}"


def _acknowledge_wildcards(policy: iam.ManagedPolicy, arns: Sequence[str], reason: str) -> None:
    """Answer cdk-nag's rule IAM5, which wants evidence for each wildcard, written as it shows them."""
    stack = cdk.Stack.of(policy)
    acknowledgments = []
    for arn in arns:
        if "*" in arn:
            finding = f"AwsSolutions-IAM5[Resource::{_as_nag_shows(stack, arn)}]"
            acknowledgments.append(cdk.Acknowledgment(id=finding, reason=reason))
    cdk.Validations.of(policy).acknowledge(*acknowledgments)


def _as_nag_shows(stack: cdk.Stack, arn: str) -> str:
    shown = _UNKNOWN.sub(lambda found: _SHOWN.get(found[1], found[0]), arn)
    if not cdk.Token.is_unresolved(shown):
        return shown
    # names that CloudFormation makes
    parts = stack.resolve(shown)["Fn::Join"][1]
    return "".join(_part_as_nag_shows(part) for part in parts)


def _part_as_nag_shows(part: str | Mapping[str, Any]) -> str:
    """Text as it is, and a reference to another resource in angle brackets."""
    if isinstance(part, str):
        return part
    if "Fn::GetAtt" in part:
        return f"<{'.'.join(part['Fn::GetAtt'])}>"
    (name,) = part.values()
    return f"<{name}>"


def _length(arn: str) -> int:
    """Characters in the deployed policy, at most: partition, region and account are not known yet."""
    longest = _UNKNOWN.sub(lambda found: _LONGEST.get(found[1], "?" * 64), arn)
    return len(longest) + len('"",')


def _policies_for(grants: Iterable[_Grant]) -> int:
    """How many policies the grants need, at most; more than a role can have where one statement fits into none."""
    characters = 0.0
    for grant in grants:
        resources = sum(map(_length, grant.resources))
        longest = max(map(_length, grant.resources), default=0)
        room = POLICY_LIMIT - _DOCUMENT_OVERHEAD - grant.overhead
        if room < longest:
            return POLICIES_PER_ROLE + 1
        statements = math.ceil(resources / max(1, room - longest))
        characters += statements * grant.overhead + resources
    # a policy is never filled to its last character: the next ARN or statement does not fit any more
    usable = POLICY_LIMIT - _DOCUMENT_OVERHEAD - _STATEMENT_OVERHEAD
    return math.ceil(characters / usable)


def _fitting(arns: Sequence[str], characters: int) -> int:
    """How many of the ARNs, from the first on, fit into so many characters."""
    taken = 0
    for arn in arns:
        characters -= _length(arn)
        if characters < 0:
            break
        taken += 1
    return taken
