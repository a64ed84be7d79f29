"""DynamoDB's tables, S3's buckets, and parameters of Systems Manager."""

import json

from localcloud.cloudformation.resources.base import (
    Aws,
    Properties,
    Type,
    arn_of,
    delete_by,
    overwrite_by,
    refuse_unknown,
    without,
)
from localcloud.errors import NotModelled

# what a table gets by calls of their own, once it is there
_TABLE_SETTINGS = ("PointInTimeRecoverySpecification", "TimeToLiveSpecification")
_BUCKET = frozenset(
    {
        "BucketName",
        "AccessControl",
        "BucketEncryption",
        "VersioningConfiguration",
        "PublicAccessBlockConfiguration",
        "LifecycleConfiguration",
    }
)


def _put_parameter(aws: Aws, name: str, properties: Properties) -> str:
    parameter = without(properties, "Tags") | {"Name": name}
    tags = properties.get("Tags") or {}
    if tags:
        parameter["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    aws("ssm").put_parameter(**parameter)
    return name


def _update_parameter(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    parameter = without(new, "Tags") | {"Name": physical, "Overwrite": True}
    aws("ssm").put_parameter(**parameter)


def _parameter_attributes(_aws: Aws, _physical: str, properties: Properties) -> dict[str, str]:
    return {"Type": properties["Type"], "Value": properties["Value"]}


def _create_table(aws: Aws, name: str, properties: Properties) -> str:
    table = without(properties, *_TABLE_SETTINGS) | {"TableName": name}
    aws("dynamodb").create_table(**table)
    _set_up_table(aws, name, properties)
    return name


def _update_table(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    if without(new, *_TABLE_SETTINGS) != without(old, *_TABLE_SETTINGS):
        raise NotModelled(f"updates of the table {physical} other than recovery and time to live")
    _set_up_table(aws, physical, new)


def _set_up_table(aws: Aws, name: str, properties: Properties) -> None:
    recovery = properties.get("PointInTimeRecoverySpecification")
    if recovery:
        aws("dynamodb").update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=recovery
        )
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        aws("dynamodb").update_time_to_live(TableName=name, TimeToLiveSpecification=expiry)


def _create_bucket(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::S3::Bucket", properties, _BUCKET)
    location = {"LocationConstraint": aws.region}
    aws("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    _configure_bucket(
        aws,
        name,
        {},
        properties,
    )
    return name


def _configure_bucket(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    refuse_unknown("AWS::S3::Bucket", new, _BUCKET)
    versioning = new.get("VersioningConfiguration")
    if versioning:
        aws("s3").put_bucket_versioning(Bucket=physical, VersioningConfiguration=versioning)
    block = new.get("PublicAccessBlockConfiguration")
    if block:
        aws("s3").put_public_access_block(Bucket=physical, PublicAccessBlockConfiguration=block)
    encryption = new.get("BucketEncryption")
    if encryption:
        _encrypt_bucket(aws, physical, encryption["ServerSideEncryptionConfiguration"])


def _encrypt_bucket(aws: Aws, name: str, rules: list[Properties]) -> None:
    """The API has another name than the template for what a rule sets."""
    translated = [
        {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
        for rule in rules
    ]
    configuration = {"Rules": translated}
    aws("s3").put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration=configuration)


def _delete_bucket(aws: Aws, physical: str, _properties: Properties) -> None:
    aws("s3").delete_bucket(Bucket=physical)


def _bucket_attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    return {
        "Arn": f"arn:aws:s3:::{physical}",
        "DomainName": f"{physical}.s3.amazonaws.com",
        "RegionalDomainName": f"{physical}.s3.{aws.region}.amazonaws.com",
    }


def _put_bucket_policy(aws: Aws, _name: str, properties: Properties) -> str:
    """Leave out the statements that forbid plain HTTP: that is what this cloud speaks."""
    plain_http = {"Bool": {"aws:SecureTransport": "false"}}
    document = properties["PolicyDocument"]
    kept = [one for one in document["Statement"] if one.get("Condition") != plain_http]
    if kept:
        policy = json.dumps(document | {"Statement": kept})
        aws("s3").put_bucket_policy(Bucket=properties["Bucket"], Policy=policy)
    return str(properties["Bucket"])


TYPES: dict[str, Type] = {
    "AWS::SSM::Parameter": Type(
        create=_put_parameter,
        delete=delete_by("ssm", "delete_parameter", "Name"),
        update=_update_parameter,
        attributes=_parameter_attributes,
        name="Name",
    ),
    "AWS::DynamoDB::Table": Type(
        create=_create_table,
        delete=delete_by("dynamodb", "delete_table", "TableName"),
        update=_update_table,
        attributes=arn_of("dynamodb", "table/{}"),
        name="TableName",
        replaced_by=frozenset({"KeySchema"}),
    ),
    "AWS::S3::Bucket": Type(
        create=_create_bucket,
        delete=_delete_bucket,
        update=_configure_bucket,
        attributes=_bucket_attributes,
        name="BucketName",
        longest_name=63,
        lower_case=True,
    ),
    "AWS::S3::BucketPolicy": Type(
        create=_put_bucket_policy,
        delete=delete_by("s3", "delete_bucket_policy", "Bucket"),
        update=overwrite_by(_put_bucket_policy),
    ),
}
