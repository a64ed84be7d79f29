"""The construct: everything that rolls back, and `protect` for each service it should look after."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from autorollback.naming import Names, ServiceKey
from autorollback.policy import (
    PolicyError,
    ServicePolicy,
    build_policy,
    parse_code_deploy,
    parse_load_balancing,
    parse_tunables,
)
from autorollback_cdk.bundling import write_zip
from autorollback_cdk.permissions import ServicePermissions, grant_reads
from autorollback_cdk.service_alarms import ServiceAlarms
from autorollback_cdk.services import check_own_alarms

# Lambda and EventBridge try for 6 hours (the longest that Lambda's queue keeps an event); the function judges a late
# event by when the trouble began, and what is older than that is for people.
EVENT_AGE = cdk.Duration.hours(6)
STANDARD_PARAMETER_LIMIT = 4096
"""Characters; the value of an SSM parameter of the standard tier, which costs nothing."""

LoadBalancer = elbv2.IApplicationLoadBalancer | str
TargetGroup = elbv2.IApplicationTargetGroup | str


@dataclass(frozen=True, slots=True)
class _OwnAlarm:
    """An alarm on the controller itself; `metric` has its period and statistic.

    It speaks where `enough` of the `periods` breach, or all where that is not said.
    """

    name: str
    description: str
    metric: cloudwatch.IMetric
    threshold: float = 1
    operator: cloudwatch.ComparisonOperator = (
        cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
    )
    periods: int = 1
    enough: int | None = None
    missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING


class AutoRollback(Construct):
    """Rolls its services back when their newest deployment is to blame for an alarm.

    Attributes:
        function: the Lambda function, to invoke by hand or to grant the right to.
        topic: where people are told.
        ledger: the record of every rollback; it outlives the stack.
        dead_letters: events that could not be processed.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str = "",
        emails: Sequence[str] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self.names = Names(name)
        self._protected = 0
        self.ledger = self._build_ledger()
        self.dead_letters = self._build_dead_letters()
        self.topic = self._build_topic(emails)
        self.function = self._build_function()
        self._grant()
        self._permissions = ServicePermissions(self, "Permissions", role=self._role)
        self._send_events()
        self._watch_itself()
        self._acknowledge_findings()

    def protect(
        self,
        service: ecs.IBaseService,
        *,
        target_group: elbv2.IApplicationTargetGroup
        | str
        | Sequence[elbv2.IApplicationTargetGroup | str] = (),
        load_balancer: elbv2.IApplicationLoadBalancer | str | None = None,
        alarms: Sequence[cloudwatch.IAlarm | str] = (),
        code_deploy: codedeploy.IEcsDeploymentGroup | str | None = None,
        **policy: Any,
    ) -> None:
        """Protect a service of this CDK app.

        `policy` takes the keys that may stand under `defaults` in `services.yaml`.
        Load balancer and target groups are constructs, or the values of their CloudWatch dimensions. `code_deploy` is the
        deployment group of a service that CodeDeploy deploys, or `<application>/<deployment group>`.

        Raises:
            PolicyError: naming the key that is missing, unknown or wrong.
        """
        balancer_name, group_names = _load_balancing(load_balancer, target_group)
        protected = ServicePolicy(
            ServiceKey(service.cluster.cluster_name, service.service_name),
            build_policy(parse_tunables(policy)),
            balancer_name,
            group_names,
            tuple(_alarm_name(alarm) for alarm in alarms),
            _deployment_group(code_deploy),
        )
        _check(protected)
        construct_id = f"AutoRollback-{cdk.Names.node_unique_id(service.node)}"
        self._watch(cdk.Stack.of(service), construct_id, protected)
        self._allow([protected])

    def protect_named(
        self, services: Sequence[ServicePolicy], *, scopes: Sequence[Construct] | None = None
    ) -> None:
        """Protect services that exist already, by their names.

        `scopes` are the stacks that take their alarms, one a service.
        """
        for number, protected in enumerate(services):
            scope = self if scopes is None else scopes[number]
            self._watch(scope, f"{protected.key.cluster}--{protected.key.service}", protected)
        self._allow(services)

    def _allow(self, services: Sequence[ServicePolicy]) -> None:
        self._permissions.allow(services)
        # how many are a shared cause depends on how many there are
        self._protected += len(services)
        self.function.add_environment("PROTECTED_SERVICES", str(self._protected))

    def _watch(
        self,
        scope: Construct,
        construct_id: str,
        protected: ServicePolicy,
    ) -> None:
        watched = ServiceAlarms(
            scope,
            construct_id,
            names=self.names,
            protected=protected,
        )
        document = protected.to_document()
        tier = "Standard"
        if len(json.dumps(document)) > STANDARD_PARAMETER_LIMIT:
            tier = "Advanced"
        ssm.CfnParameter(
            watched,
            "Policy",
            name=self.names.policy_parameter(protected.key),
            type="String",
            tier=tier,
            description=f"How {self.names.prefix} judges {protected.key}",
            value=cdk.Stack.of(watched).to_json_string(document),
        )

    def _build_ledger(self) -> dynamodb.Table:
        def text(name: str) -> dynamodb.Attribute:
            return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)

        # without a name of its own: the table stays when the stack goes, and must not be in the way of the next one
        recovery = dynamodb.PointInTimeRecoverySpecification(point_in_time_recovery_enabled=True)
        table = dynamodb.Table(
            self,
            "Ledger",
            partition_key=text("pk"),
            sort_key=text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="expires_at",
            point_in_time_recovery_specification=recovery,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        for name, order in (("unfinished", "due_at"), ("timeline", "at")):
            table.add_global_secondary_index(
                index_name=name, partition_key=text(name), sort_key=text(order)
            )
        return table

    def _build_dead_letters(self) -> sqs.Queue:
        return sqs.Queue(
            self,
            "DeadLetters",
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
        )

    def _build_topic(self, emails: Sequence[str]) -> sns.Topic:
        # CloudWatch cannot publish to a topic that is encrypted with the key that AWS manages: its policy is not ours
        # (https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html).
        self._key = kms.Key(
            self,
            "Key",
            description=f"Encrypts the notifications of {self.names.prefix}",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        topic = sns.Topic(
            self,
            "Topic",
            topic_name=self.names.prefix,
            master_key=self._key,
            enforce_ssl=True,
        )
        for service in ("cloudwatch", "events"):
            publisher = iam.ServicePrincipal(
                f"{service}.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
            self._key.grant(publisher, "kms:Decrypt", "kms:GenerateDataKey*")
            topic.grant_publish(publisher)
        for email in emails:
            topic.add_subscription(subscriptions.EmailSubscription(email))
        return topic

    def _build_function(self) -> lambda_.Function:
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self.names.prefix}",
            retention=logs.RetentionDays.SIX_MONTHS,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        # a role without AWSLambdaBasicExecutionRole, which may write to every log group
        self._role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        log_group.grant_write(self._role)
        with TemporaryDirectory() as folder:
            code = write_zip(Path(folder) / "auto-rollback.zip")
            return lambda_.Function(
                self,
                "Function",
                function_name=self.names.prefix,
                description="Rolls an ECS service back when its newest deployment is to blame for an alarm",
                runtime=lambda_.Runtime.PYTHON_3_13,
                architecture=lambda_.Architecture.ARM_64,
                handler="autorollback.handler.handle",
                code=lambda_.Code.from_asset(str(code)),
                role=self._role,
                log_group=log_group,
                # an alarm storm waits for AWS's rate limits, with back-off; a usual rollback needs a second or two
                timeout=cdk.Duration.seconds(300),
                # CPU grows with memory, and importing the SDK is what a cold start waits for; the function itself
                # would do with a quarter of it
                memory_size=512,
                environment={
                    "AUTO_ROLLBACK_NAME": self.names.prefix,
                    "LEDGER_TABLE": self.ledger.table_name,
                    "TOPIC_ARN": self.topic.topic_arn,
                    "POWERTOOLS_SERVICE_NAME": self.names.prefix,
                    "POWERTOOLS_METRICS_NAMESPACE": self.names.metric_namespace,
                    "POWERTOOLS_LOG_LEVEL": "INFO",
                },
                retry_attempts=2,
                max_event_age=EVENT_AGE,
                on_failure=destinations.SqsDestination(self.dead_letters),
            )

    def _grant(self) -> None:
        stack = cdk.Stack.of(self)
        grant_reads(self._role, stack)
        self.ledger.grant(
            self._role,
            "dynamodb:ConditionCheckItem",
            "dynamodb:DeleteItem",
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            "dynamodb:UpdateItem",
        )
        self.topic.grant_publish(self._role)
        # GetParametersByPath is asked of the path itself
        parameters = (self.names.prefix, f"{self.names.prefix}/*")
        self._role.add_to_principal_policy(
            iam.PolicyStatement(
                sid="ReadPolicies",
                actions=["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
                resources=[
                    stack.format_arn(service="ssm", resource="parameter", resource_name=name)
                    for name in parameters
                ],
            )
        )
        bus = stack.format_arn(service="events", resource="event-bus", resource_name="default")
        self._role.add_to_principal_policy(
            iam.PolicyStatement(
                sid="TellOthers",
                actions=["events:PutEvents"],
                resources=[bus],
                conditions={"StringEquals": {"events:source": self.names.prefix}},
            )
        )

    def _send_events(self) -> None:
        """Add rules for events of the stack's own account and Region.

        A bus may be sent those of others.
        """
        prefix, stack = self.names.prefix, cdk.Stack.of(self)
        here: dict[str, list[str]] = {"account": [stack.account], "region": [stack.region]}
        self._rule(
            f"{prefix}-alarms",
            pattern=events.EventPattern(
                **here,
                source=["aws.cloudwatch"],
                detail_type=["CloudWatch Alarm State Change"],
                detail={
                    "alarmName": [{"prefix": self.names.alarm_prefix}],
                    "state": {"value": ["ALARM", "OK"]},
                },
            ),
        )
        self._rule(
            f"{prefix}-tasks",
            pattern=events.EventPattern(
                **here,
                source=["aws.ecs"],
                detail_type=["ECS Service Action"],
                detail={"eventName": ["SERVICE_TASK_START_IMPAIRED"]},
            ),
        )
        self._rule(
            f"{prefix}-deployments",
            pattern=events.EventPattern(
                **here,
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                detail={
                    "eventName": [
                        "SERVICE_DEPLOYMENT_IN_PROGRESS",
                        "SERVICE_DEPLOYMENT_COMPLETED",
                        "SERVICE_DEPLOYMENT_FAILED",
                    ]
                },
            ),
        )
        self._rule(self.names.sweep_rule, schedule=events.Schedule.rate(cdk.Duration.minutes(5)))
        self._rule(self.names.readiness_rule, schedule=events.Schedule.rate(cdk.Duration.days(1)))

    def _rule(
        self,
        name: str,
        *,
        pattern: events.EventPattern | None = None,
        schedule: events.Schedule | None = None,
    ) -> None:
        target = targets.LambdaFunction(
            self.function,
            dead_letter_queue=self.dead_letters,
            max_event_age=EVENT_AGE,
            retry_attempts=185,
        )
        events.Rule(
            self,
            f"Rule{name.removeprefix(self.names.prefix)}",
            rule_name=name,
            event_pattern=pattern,
            schedule=schedule,
            targets=[target],
        )

    def _watch_itself(self) -> None:
        """Add alarms on the controller, to the same people.

        Their names lie outside `<prefix>/`, or it would judge them.
        """
        for alarm in self._own_alarms():
            self._alarm(alarm)

    def _own_alarms(self) -> Iterator[_OwnAlarm]:
        minute = cdk.Duration.minutes(1)
        five_minutes = cdk.Duration.minutes(5)
        waiting = self.dead_letters.metric_approximate_number_of_messages_visible
        age = self.dead_letters.metric_approximate_age_of_oldest_message
        yield _OwnAlarm(
            "dead-letters",
            "events could not be processed",
            waiting(period=minute, statistic="Maximum"),
        )
        yield _OwnAlarm(
            "dead-letters-age",
            "unprocessed events are lost in four days",
            age(period=five_minutes, statistic="Maximum"),
            threshold=cdk.Duration.days(10).to_seconds(),
        )
        yield _OwnAlarm(
            "errors",
            "the function fails",
            self.function.metric_errors(period=five_minutes),
        )
        yield _OwnAlarm(
            "throttles",
            "the function is throttled",
            self.function.metric_throttles(period=five_minutes),
        )
        yield _OwnAlarm(
            "rejected",
            "somebody or something sends what cannot be understood; the log says what",
            self._own_metric("Rejected"),
        )
        # it shows on the dashboard of alarms, and its change is an event, whatever becomes of the topic
        yield _OwnAlarm(
            "unannounced",
            "people or machines could not be told of something; look at the topic and its key",
            self._own_metric("Unannounced"),
            periods=2,
            enough=1,
        )
        # not the function's invocations: alarms and events of ECS start it too, and would hide that the sweep rests
        yield _OwnAlarm(
            "no-sweep",
            "no sweep has ended for 20 minutes, though a rule starts one every 5",
            self._own_metric("Sweep"),
            operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            periods=4,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )

    def _own_metric(self, name: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace=self.names.metric_namespace,
            metric_name=name,
            dimensions_map={"service": self.names.prefix},
            period=cdk.Duration.minutes(5),
            statistic="Sum",
        )

    def _alarm(self, alarm: _OwnAlarm) -> None:
        made = cloudwatch.Alarm(
            self,
            f"Alarm-{alarm.name}",
            alarm_name=f"{self.names.prefix}-{alarm.name}",
            alarm_description=f"{self.names.prefix}: {alarm.description}.",
            metric=alarm.metric,
            threshold=alarm.threshold,
            comparison_operator=alarm.operator,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.enough,
            treat_missing_data=alarm.missing,
        )
        made.add_alarm_action(cloudwatch_actions.SnsAction(self.topic))

    def _acknowledge_findings(self) -> None:
        """What cdk-nag's AwsSolutions checks remark, and why it is meant so."""
        stack = cdk.Stack.of(self)
        ledger = stack.get_logical_id(cast(cdk.CfnElement, self.ledger.node.default_child))
        here = "<AWS::Region>:<AWS::AccountId>"
        findings: tuple[tuple[Construct, str, str], ...] = (
            (
                self.dead_letters,
                "SQS3",
                "it is the dead-letter queue, of the function and of the rules",
            ),
            (
                self.function,
                "L1",
                "Lambda supports Python 3.13 until June 2029; a newer one is a change to be tested",
            ),
            (
                self._role,
                "IAM5[Resource::*]",
                "these reads take no resource, or of composite alarms only *",
            ),
            (
                self._role,
                "IAM5[Resource::arn:<AWS::Partition>:ecr:*:<AWS::AccountId>:repository/*]",
                "only the task definitions of the day name the images; reads only",
            ),
            (
                self._role,
                "IAM5[Resource::arn:<AWS::Partition>:secretsmanager:*:<AWS::AccountId>:secret:*]",
                "only the task definitions of the day name the secrets; that they exist is read, never their values",
            ),
            (self._role, f"IAM5[Resource::<{ledger}.Arn>/index/*]", "the ledger's own indexes"),
            (
                self._role,
                "IAM5[Action::kms:GenerateDataKey*]",
                "what SNS asks for when it publishes to an encrypted topic",
            ),
            (
                self._role,
                f"IAM5[Resource::arn:<AWS::Partition>:ssm:{here}:parameter/{self.names.prefix}/*]",
                "the policies of the services, which this app writes",
            ),
        )
        for construct, finding, reason in findings:
            acknowledgment = cdk.Acknowledgment(id=f"AwsSolutions-{finding}", reason=reason)
            cdk.Validations.of(construct).acknowledge(acknowledgment)


def _check(protected: ServicePolicy) -> None:
    """Check what is known at synthesis as the function will.

    What only CloudFormation knows cannot be looked at.

    Raises:
        PolicyError: naming the key.
    """
    if protected.load_balancer is not None:
        _check_load_balancing(protected.load_balancer, protected.target_groups)
    check_own_alarms(protected.alarms)


def _check_load_balancing(load_balancer: str, target_groups: Sequence[str]) -> None:
    names = (load_balancer, *target_groups)
    if not any(cdk.Token.is_unresolved(name) for name in names):
        parse_load_balancing({"load_balancer": load_balancer, "target_group": target_groups})


def _load_balancing(
    load_balancer: LoadBalancer | None, target_group: TargetGroup | Sequence[TargetGroup]
) -> tuple[str | None, tuple[str, ...]]:
    """The values of the CloudWatch dimensions of the load balancer and of its target groups."""
    groups = _as_list(target_group)
    has_balancer = load_balancer is not None
    if bool(groups) != has_balancer or len(groups) > 2:
        allowed = "one or two beside a load_balancer, none without"
        raise PolicyError("target_group", len(groups), allowed)
    if not has_balancer:
        return None, ()
    names = tuple(_full_name(group, "target_group_full_name") for group in groups)
    return _full_name(load_balancer, "load_balancer_full_name"), names


def _as_list(target_group: TargetGroup | Sequence[TargetGroup]) -> Sequence[TargetGroup]:
    if isinstance(target_group, str) or not isinstance(target_group, Sequence):
        return [target_group]
    return target_group


def _alarm_name(alarm: cloudwatch.IAlarm | str) -> str:
    if isinstance(alarm, str):
        return alarm
    return alarm.alarm_name


def _full_name(resource: Any, attribute: str) -> str:
    """The CloudWatch dimension value of a load balancer or target group."""
    if isinstance(resource, str):
        return resource
    name = getattr(resource, attribute, None)
    if not isinstance(name, str):
        allowed = "a construct that knows its full name, or that name as text"
        raise PolicyError(attribute, str(resource), allowed)
    return name


def _deployment_group(given: codedeploy.IEcsDeploymentGroup | str | None) -> str | None:
    """`<application>/<deployment group>`; the names of a construct may be known only when it is deployed."""
    if given is None:
        return None
    if isinstance(given, str):
        return parse_code_deploy(given)
    return f"{given.application.application_name}/{given.deployment_group_name}"
