"""The resource types that a template may have here: each made, changed and removed by the calls of its own service.

Properties go to the service's API under their own names, so that a property that the API lacks is an error of the SDK that names it.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

import io
import json
import secrets
import string
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3

from localcloud.errors import NotModelled

Properties = dict[str, Any]
# all that may stand in a template and do nothing here
INERT = frozenset({"AWS::CDK::Metadata"})


class Aws:
    """Clients by service, made once."""

    def __init__(self, session: boto3.Session, account: str, region: str) -> None:
        self._session, self.account, self.region = session, account, region

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        create: Any = self._session.client  # the session keeps what it has made
        return create(service)

    def arn(self, service: str, resource: str, *, regional: bool = True, accounted: bool = True) -> str:
        """An ARN of this account and region."""
        return f"arn:aws:{service}:{self.region if regional else ''}:{self.account if accounted else ''}:{resource}"


Create = Callable[[Aws, str, Properties], str]
Update = Callable[[Aws, str, Properties, Properties], None]
Delete = Callable[[Aws, str, Properties], None]
Attributes = Callable[[Aws, str, Properties], dict[str, str]]


@dataclass(frozen=True)
class Type:
    """How one resource type is handled.

    `create` gets the name and the properties and returns the physical id; `update` gets the physical id, the old and the new
    properties; a change of a property in `replaced_by` makes a new resource, and so does any change where `update` is None.
    """

    create: Create
    delete: Delete
    update: Update | None = None
    attributes: Attributes = lambda _aws, _physical, _properties: {}
    name: str | None = None
    longest_name: int = 255
    lower_case: bool = False
    replaced_by: frozenset[str] = frozenset()

    def name_for(self, stack: str, logical: str, properties: Properties) -> str:
        """The name that the properties give, or one made of stack, logical name and chance, as CloudFormation makes it."""
        if self.name and properties.get(self.name):
            return str(properties[self.name])
        chance = "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(12))
        head = f"{stack}-{logical}"[: self.longest_name - len(chance) - 1]
        return f"{head}-{chance}".lower() if self.lower_case else f"{head}-{chance}"

    def must_replace(self, old: Properties, new: Properties) -> bool:
        """Whether this change needs a new resource."""
        immutable = self.replaced_by | ({self.name} if self.name else set())
        return self.update is None or any(old.get(key) != new.get(key) for key in immutable)


def _only(kind: str, properties: Properties, *modelled: str) -> Properties:
    if unknown := sorted(set(properties) - set(modelled)):
        raise NotModelled(f"{kind}: {', '.join(unknown)}")
    return properties


def _given(properties: Properties, *keys: str) -> Properties:
    return {key: properties[key] for key in keys if key in properties}


def _without(properties: Properties, *keys: str) -> Properties:
    return {key: value for key, value in properties.items() if key not in keys}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else json.dumps(value)


def _tag_map(properties: Properties) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags") or []}


def _put_alarm(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_metric_alarm(**properties | {"AlarmName": name})
    return name


def _put_composite_alarm(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_composite_alarm(**properties | {"AlarmName": name})
    return name


def _delete_alarm(aws: Aws, physical: str, _properties: Properties) -> None:
    aws("cloudwatch").delete_alarms(AlarmNames=[physical])


def _alarm_attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {"Arn": aws.arn("cloudwatch", f"alarm:{physical}")}


def _put_dashboard(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_dashboard(**properties | {"DashboardName": name})
    return name


def _put_rule(aws: Aws, name: str, properties: Properties) -> str:
    rule = _without(properties, "Targets") | {"Name": name}
    if "EventPattern" in rule:
        rule["EventPattern"] = _text(rule["EventPattern"])
    aws("events").put_rule(**rule)
    if properties.get("Targets"):
        aws("events").put_targets(Rule=name, Targets=properties["Targets"])
    return name


def _update_rule(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    gone = {target["Id"] for target in old.get("Targets", [])} - {target["Id"] for target in new.get("Targets", [])}
    if gone:
        aws("events").remove_targets(Rule=physical, Ids=sorted(gone))
    _put_rule(aws, physical, new)


def _delete_rule(aws: Aws, physical: str, properties: Properties) -> None:
    if properties.get("Targets"):
        aws("events").remove_targets(Rule=physical, Ids=[target["Id"] for target in properties["Targets"]])
    aws("events").delete_rule(Name=physical)


def _create_function(aws: Aws, name: str, properties: Properties) -> str:
    function = _without(properties, "Tags", "ReservedConcurrentExecutions") | {"FunctionName": name}
    function["Code"] = _code(properties["Code"])
    aws("lambda").create_function(**function, Tags=_tag_map(properties))
    _reserve(aws, name, properties)
    return name


def _update_function(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    configuration = _without(new, "Tags", "ReservedConcurrentExecutions", "Code", "Architectures", "PackageType")
    aws("lambda").update_function_configuration(**configuration | {"FunctionName": physical})
    if old["Code"] != new["Code"]:
        aws("lambda").update_function_code(FunctionName=physical, **_code(new["Code"]))
    _reserve(aws, physical, new)


def _code(code: Properties) -> Properties:
    """Inline code becomes a zip with index.py, as the documentation of AWS::Lambda::Function says."""
    if "ZipFile" not in code:
        return code
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", code["ZipFile"])
    return {"ZipFile": packed.getvalue()}


def _reserve(aws: Aws, name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    if reserved is None:
        aws("lambda").delete_function_concurrency(FunctionName=name)
    else:
        aws("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(reserved))


def _put_invoke_config(aws: Aws, _name: str, properties: Properties) -> str:
    aws("lambda").put_function_event_invoke_config(**properties)
    return f"{properties['FunctionName']}|{properties['Qualifier']}"


def _add_permission(aws: Aws, name: str, properties: Properties) -> str:
    aws("lambda").add_permission(**properties, StatementId=name)
    return name


def _remove_permission(aws: Aws, physical: str, properties: Properties) -> None:
    aws("lambda").remove_permission(FunctionName=properties["FunctionName"], StatementId=physical)


_ROLE = ("RoleName", "AssumeRolePolicyDocument", "Description", "Path", "MaxSessionDuration", "PermissionsBoundary")
_ROLE_SETS = ("ManagedPolicyArns", "Policies", "Tags")


def _create_role(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::IAM::Role", properties, *_ROLE, *_ROLE_SETS)
    role = _given(properties, *_ROLE, "Tags") | {"RoleName": name}
    aws("iam").create_role(**role | {"AssumeRolePolicyDocument": _text(role["AssumeRolePolicyDocument"])})
    _fill_role(aws, name, {}, properties)
    return name


def _update_role(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    _only("AWS::IAM::Role", new, *_ROLE, *_ROLE_SETS)
    document = _text(new["AssumeRolePolicyDocument"])
    aws("iam").update_assume_role_policy(RoleName=physical, PolicyDocument=document)
    aws("iam").update_role(RoleName=physical, **_given(new, "Description", "MaxSessionDuration"))
    _fill_role(aws, physical, old, new)


def _fill_role(aws: Aws, name: str, old: Properties, new: Properties) -> None:
    for arn in set(old.get("ManagedPolicyArns", [])) - set(new.get("ManagedPolicyArns", [])):
        aws("iam").detach_role_policy(RoleName=name, PolicyArn=arn)
    for arn in new.get("ManagedPolicyArns", []):
        aws("iam").attach_role_policy(RoleName=name, PolicyArn=arn)
    inline = {policy["PolicyName"] for policy in new.get("Policies", [])}
    for policy in old.get("Policies", []):
        if policy["PolicyName"] not in inline:
            aws("iam").delete_role_policy(RoleName=name, PolicyName=policy["PolicyName"])
    for policy in new.get("Policies", []):
        document = _text(policy["PolicyDocument"])
        aws("iam").put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)


def _delete_role(aws: Aws, physical: str, properties: Properties) -> None:
    _fill_role(aws, physical, properties, {})
    aws("iam").delete_role(RoleName=physical)


def _put_policy(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::IAM::Policy", properties, "PolicyName", "PolicyDocument", "Roles")
    for role in properties["Roles"]:
        document = _text(properties["PolicyDocument"])
        aws("iam").put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    return name


def _update_policy(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    for role in set(old["Roles"]) - set(new["Roles"]):
        aws("iam").delete_role_policy(RoleName=role, PolicyName=physical)
    _put_policy(aws, physical, new)


def _delete_policy(aws: Aws, physical: str, properties: Properties) -> None:
    for role in properties["Roles"]:
        aws("iam").delete_role_policy(RoleName=role, PolicyName=physical)


_MANAGED = ("ManagedPolicyName", "PolicyDocument", "Description", "Path", "Roles")


def _create_managed_policy(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::IAM::ManagedPolicy", properties, *_MANAGED)
    document = _text(properties["PolicyDocument"])
    policy = aws("iam").create_policy(
        PolicyName=name, PolicyDocument=document, **_given(properties, "Description", "Path")
    )
    arn = str(policy["Policy"]["Arn"])
    for role in properties.get("Roles", []):
        aws("iam").attach_role_policy(RoleName=role, PolicyArn=arn)
    return arn


def _update_managed_policy(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    _only("AWS::IAM::ManagedPolicy", new, *_MANAGED)
    before, after = set(old.get("Roles", [])), set(new.get("Roles", []))
    for role in before - after:
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=physical)
    for role in after - before:
        aws("iam").attach_role_policy(RoleName=role, PolicyArn=physical)
    if old["PolicyDocument"] != new["PolicyDocument"]:
        document = _text(new["PolicyDocument"])
        aws("iam").create_policy_version(PolicyArn=physical, PolicyDocument=document, SetAsDefault=True)
        _drop_old_versions(aws, physical)


def _drop_old_versions(aws: Aws, arn: str) -> None:
    for version in aws("iam").list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            aws("iam").delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])


def _delete_managed_policy(aws: Aws, physical: str, properties: Properties) -> None:
    for role in properties.get("Roles", []):
        aws("iam").detach_role_policy(RoleName=role, PolicyArn=physical)
    _drop_old_versions(aws, physical)
    aws("iam").delete_policy(PolicyArn=physical)


def _role_attributes(aws: Aws, physical: str, properties: Properties) -> dict[str, str]:
    path = properties.get("Path", "/")
    role = aws("iam").get_role(RoleName=physical)["Role"]
    return {"Arn": aws.arn("iam", f"role{path}{physical}", regional=False), "RoleId": role["RoleId"]}


def _create_key(aws: Aws, _name: str, properties: Properties) -> str:
    _only(
        "AWS::KMS::Key",
        properties,
        *("Description", "KeyPolicy", "EnableKeyRotation", "KeySpec", "KeyUsage", "PendingWindowInDays"),
    )
    key = _given(properties, "Description", "KeySpec", "KeyUsage")
    created = aws("kms").create_key(**key, Policy=_text(properties["KeyPolicy"]))["KeyMetadata"]
    _rotate(aws, created["KeyId"], properties)
    return str(created["KeyId"])


def _update_key(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    aws("kms").put_key_policy(KeyId=physical, PolicyName="default", Policy=_text(new["KeyPolicy"]))
    aws("kms").update_key_description(KeyId=physical, Description=new.get("Description", ""))
    _rotate(aws, physical, new)


def _rotate(aws: Aws, key: str, properties: Properties) -> None:
    if properties.get("EnableKeyRotation"):
        aws("kms").enable_key_rotation(KeyId=key)


def _delete_key(aws: Aws, physical: str, properties: Properties) -> None:
    days = int(properties.get("PendingWindowInDays", 30))
    aws("kms").schedule_key_deletion(KeyId=physical, PendingWindowInDays=days)


def _create_alias(aws: Aws, _name: str, properties: Properties) -> str:
    aws("kms").create_alias(**properties)
    return str(properties["AliasName"])


_TOPIC = ("KmsMasterKeyId", "DisplayName", "SignatureVersion", "TracingConfig")


def _create_topic(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::SNS::Topic", properties, "TopicName", "Subscription", *_TOPIC)
    attributes = {key: _text(value) for key, value in _given(properties, *_TOPIC).items()}
    arn = str(aws("sns").create_topic(Name=name, Attributes=attributes)["TopicArn"])
    for subscription in properties.get("Subscription", []):
        aws("sns").subscribe(TopicArn=arn, **subscription)
    return arn


def _update_topic(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    _only("AWS::SNS::Topic", new, "TopicName", *_TOPIC)
    for key in _TOPIC:
        if old.get(key) != new.get(key):
            value = _text(new.get(key, ""))
            aws("sns").set_topic_attributes(TopicArn=physical, AttributeName=key, AttributeValue=value)


_SUBSCRIPTION = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "DeliveryPolicy", "RedrivePolicy")


def _subscribe(aws: Aws, _name: str, properties: Properties) -> str:
    _only("AWS::SNS::Subscription", properties, "TopicArn", "Protocol", "Endpoint", *_SUBSCRIPTION)
    answer = aws("sns").subscribe(
        **_given(properties, "TopicArn", "Protocol", "Endpoint"),
        Attributes={key: _text(value) for key, value in _given(properties, *_SUBSCRIPTION).items()},
        ReturnSubscriptionArn=True,
    )
    return str(answer["SubscriptionArn"])


def _put_topic_policy(aws: Aws, name: str, properties: Properties) -> str:
    for topic in properties["Topics"]:
        document = _text(properties["PolicyDocument"])
        aws("sns").set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=document)
    return name


def _keep_policy(_aws: Aws, _physical: str, _properties: Properties) -> None:
    """The policy goes with the topic or the queue: CloudFormation restores the default one, which nothing here asks for."""


def _create_queue(aws: Aws, name: str, properties: Properties) -> str:
    queue = aws("sqs").create_queue(QueueName=name, Attributes=_queue_attributes(properties), tags=_tag_map(properties))
    return str(queue["QueueUrl"])


def _update_queue(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    aws("sqs").set_queue_attributes(QueueUrl=physical, Attributes=_queue_attributes(new))


def _queue_attributes(properties: Properties) -> dict[str, str]:
    return {key: _text(value) for key, value in properties.items() if key not in ("QueueName", "Tags")}


def _queue_facts(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    name = physical.rsplit("/", 1)[-1]
    return {"Arn": aws.arn("sqs", name), "QueueName": name, "QueueUrl": physical}


def _put_queue_policy(aws: Aws, name: str, properties: Properties) -> str:
    for queue in properties["Queues"]:
        document = _text(properties["PolicyDocument"])
        aws("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": document})
    return name


def _put_parameter(aws: Aws, name: str, properties: Properties) -> str:
    tags = [{"Key": key, "Value": value} for key, value in (properties.get("Tags") or {}).items()]
    aws("ssm").put_parameter(**_without(properties, "Tags") | {"Name": name}, **({"Tags": tags} if tags else {}))
    return name


def _update_parameter(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    aws("ssm").put_parameter(**_without(new, "Tags") | {"Name": physical, "Overwrite": True})


_TABLE_AFTERWARDS = ("PointInTimeRecoverySpecification", "TimeToLiveSpecification")


def _create_table(aws: Aws, name: str, properties: Properties) -> str:
    aws("dynamodb").create_table(**_without(properties, *_TABLE_AFTERWARDS) | {"TableName": name})
    _refine_table(aws, name, properties)
    return name


def _update_table(aws: Aws, physical: str, old: Properties, new: Properties) -> None:
    fixed = _without(new, *_TABLE_AFTERWARDS)
    if fixed != _without(old, *_TABLE_AFTERWARDS):
        raise NotModelled(f"updates of the table {physical} other than recovery and time to live")
    _refine_table(aws, physical, new)


def _refine_table(aws: Aws, name: str, properties: Properties) -> None:
    if recovery := properties.get("PointInTimeRecoverySpecification"):
        aws("dynamodb").update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    if expiry := properties.get("TimeToLiveSpecification"):
        aws("dynamodb").update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def _create_log_group(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::Logs::LogGroup", properties, "LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass", "Tags")
    group = {"logGroupName": name, "tags": _tag_map(properties)}
    if properties.get("KmsKeyId"):
        group["kmsKeyId"] = properties["KmsKeyId"]
    aws("logs").create_log_group(**group)
    _retain(aws, name, {}, properties)
    return name


def _retain(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    if days := new.get("RetentionInDays"):
        aws("logs").put_retention_policy(logGroupName=physical, retentionInDays=int(days))


_BUCKET = (
    *("BucketName", "AccessControl", "BucketEncryption", "VersioningConfiguration"),
    *("PublicAccessBlockConfiguration", "LifecycleConfiguration"),
)


def _create_bucket(aws: Aws, name: str, properties: Properties) -> str:
    _only("AWS::S3::Bucket", properties, *_BUCKET)
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": aws.region})
    _configure_bucket(aws, name, {}, properties)
    return name


def _configure_bucket(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    _only("AWS::S3::Bucket", new, *_BUCKET)
    if versioning := new.get("VersioningConfiguration"):
        aws("s3").put_bucket_versioning(Bucket=physical, VersioningConfiguration=versioning)
    if block := new.get("PublicAccessBlockConfiguration"):
        aws("s3").put_public_access_block(Bucket=physical, PublicAccessBlockConfiguration=block)
    if encryption := new.get("BucketEncryption"):
        rules = [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        aws("s3").put_bucket_encryption(Bucket=physical, ServerSideEncryptionConfiguration={"Rules": rules})


def _delete_bucket(aws: Aws, physical: str, _properties: Properties) -> None:
    aws("s3").delete_bucket(Bucket=physical)


def _bucket_attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {
        "Arn": aws.arn("s3", physical, regional=False, accounted=False),
        "DomainName": f"{physical}.s3.amazonaws.com",
        "RegionalDomainName": f"{physical}.s3.{aws.region}.amazonaws.com",
    }


def _put_bucket_policy(aws: Aws, _name: str, properties: Properties) -> str:
    """Without the statements that forbid plain HTTP: that is what this cloud speaks."""
    document = properties["PolicyDocument"]
    kept = [s for s in document["Statement"] if s.get("Condition") != {"Bool": {"aws:SecureTransport": "false"}}]
    if kept:
        policy = json.dumps(document | {"Statement": kept})
        aws("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
    return str(properties["Bucket"])


def _create_repository(aws: Aws, name: str, properties: Properties) -> str:
    _only(
        "AWS::ECR::Repository",
        properties,
        *(
            "RepositoryName",
            "ImageTagMutability",
            "LifecyclePolicy",
            "RepositoryPolicyText",
            "ImageScanningConfiguration",
        ),
    )
    repository: Properties = {"repositoryName": name}
    if properties.get("ImageTagMutability"):
        repository["imageTagMutability"] = properties["ImageTagMutability"]
    aws("ecr").create_repository(**repository)
    _configure_repository(aws, name, {}, properties)
    return name


def _configure_repository(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
    if text := (new.get("LifecyclePolicy") or {}).get("LifecyclePolicyText"):
        aws("ecr").put_lifecycle_policy(repositoryName=physical, lifecyclePolicyText=_text(text))
    if policy := new.get("RepositoryPolicyText"):
        aws("ecr").set_repository_policy(repositoryName=physical, policyText=_text(policy))


def _arn(service: str, pattern: str) -> Attributes:
    return lambda aws, physical, _properties: {"Arn": aws.arn(service, pattern.format(physical))}


def _again(create: Create) -> Update:
    """For resources whose Put call overwrites them."""

    def update(aws: Aws, physical: str, _old: Properties, new: Properties) -> None:
        create(aws, physical, new)

    return update


def _by(service: str, operation: str, parameter: str, **more: Any) -> Delete:
    """Deletion by one call that names the resource."""

    def delete(aws: Aws, physical: str, _properties: Properties) -> None:
        getattr(aws(service), operation)(**{parameter: physical}, **more)

    return delete


def _delete_invoke_config(aws: Aws, _physical: str, properties: Properties) -> None:
    aws("lambda").delete_function_event_invoke_config(FunctionName=properties["FunctionName"])


def _topic_attributes(_aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {"TopicArn": physical, "TopicName": physical.rsplit(":", 1)[-1]}


TYPES: dict[str, Type] = {
    "AWS::CloudWatch::Alarm": Type(
        _put_alarm, _delete_alarm, _again(_put_alarm), attributes=_alarm_attributes, name="AlarmName"
    ),
    "AWS::CloudWatch::CompositeAlarm": Type(
        _put_composite_alarm,
        _delete_alarm,
        _again(_put_composite_alarm),
        attributes=_alarm_attributes,
        name="AlarmName",
    ),
    "AWS::CloudWatch::Dashboard": Type(
        _put_dashboard,
        lambda aws, physical, _: aws("cloudwatch").delete_dashboards(DashboardNames=[physical]),
        _again(_put_dashboard),
        name="DashboardName",
    ),
    "AWS::Events::Rule": Type(
        _put_rule, _delete_rule, _update_rule, attributes=_arn("events", "rule/{}"), name="Name", longest_name=64
    ),
    "AWS::Lambda::Function": Type(
        _create_function,
        _by("lambda", "delete_function", "FunctionName"),
        _update_function,
        attributes=_arn("lambda", "function:{}"),
        name="FunctionName",
        longest_name=64,
    ),
    "AWS::Lambda::EventInvokeConfig": Type(_put_invoke_config, _delete_invoke_config),
    "AWS::Lambda::Permission": Type(_add_permission, _remove_permission, longest_name=100),
    "AWS::IAM::Role": Type(
        _create_role, _delete_role, _update_role, attributes=_role_attributes, name="RoleName", longest_name=64
    ),
    "AWS::IAM::Policy": Type(_put_policy, _delete_policy, _update_policy, name="PolicyName", longest_name=128),
    "AWS::IAM::ManagedPolicy": Type(
        _create_managed_policy,
        _delete_managed_policy,
        _update_managed_policy,
        attributes=lambda _aws, physical, _: {"PolicyArn": physical},
        name="ManagedPolicyName",
        longest_name=128,
        replaced_by=frozenset({"Path", "Description"}),
    ),
    "AWS::KMS::Key": Type(
        _create_key,
        _delete_key,
        _update_key,
        attributes=lambda aws, physical, _: {"Arn": aws.arn("kms", f"key/{physical}"), "KeyId": physical},
    ),
    "AWS::KMS::Alias": Type(_create_alias, _by("kms", "delete_alias", "AliasName")),
    "AWS::SNS::Topic": Type(
        _create_topic,
        _by("sns", "delete_topic", "TopicArn"),
        _update_topic,
        attributes=_topic_attributes,
        name="TopicName",
        replaced_by=frozenset({"Subscription"}),
    ),
    "AWS::SNS::Subscription": Type(_subscribe, _by("sns", "unsubscribe", "SubscriptionArn")),
    "AWS::SNS::TopicPolicy": Type(_put_topic_policy, _keep_policy, _again(_put_topic_policy)),
    "AWS::SQS::Queue": Type(
        _create_queue,
        _by("sqs", "delete_queue", "QueueUrl"),
        _update_queue,
        attributes=_queue_facts,
        name="QueueName",
        longest_name=80,
    ),
    "AWS::SQS::QueuePolicy": Type(_put_queue_policy, _keep_policy, _again(_put_queue_policy)),
    "AWS::SSM::Parameter": Type(
        _put_parameter,
        _by("ssm", "delete_parameter", "Name"),
        _update_parameter,
        attributes=lambda _aws, _physical, properties: {"Type": properties["Type"], "Value": properties["Value"]},
        name="Name",
    ),
    "AWS::DynamoDB::Table": Type(
        _create_table,
        _by("dynamodb", "delete_table", "TableName"),
        _update_table,
        attributes=_arn("dynamodb", "table/{}"),
        name="TableName",
        replaced_by=frozenset({"KeySchema"}),
    ),
    "AWS::Logs::LogGroup": Type(
        _create_log_group,
        _by("logs", "delete_log_group", "logGroupName"),
        _retain,
        attributes=_arn("logs", "log-group:{}:*"),
        name="LogGroupName",
    ),
    "AWS::S3::Bucket": Type(
        _create_bucket,
        _delete_bucket,
        _configure_bucket,
        attributes=_bucket_attributes,
        name="BucketName",
        longest_name=63,
        lower_case=True,
    ),
    "AWS::S3::BucketPolicy": Type(
        _put_bucket_policy, _by("s3", "delete_bucket_policy", "Bucket"), _again(_put_bucket_policy)
    ),
    "AWS::ECR::Repository": Type(
        _create_repository,
        _by("ecr", "delete_repository", "repositoryName", force=True),
        _configure_repository,
        attributes=_arn("ecr", "repository/{}"),
        name="RepositoryName",
        lower_case=True,
    ),
}
