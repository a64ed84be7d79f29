"""CloudWatch's alarms and dashboards, and log groups."""

from localcloud.cloudformation.resources.base import (
    Aws,
    Properties,
    Type,
    arn_of,
    delete_by,
    overwrite_by,
    refuse_unknown,
    tag_map,
)

_LOG_GROUP = frozenset({"LogGroupName", "RetentionInDays", "KmsKeyId", "LogGroupClass", "Tags"})


def _put_alarm(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_metric_alarm(**properties | {"AlarmName": name})
    return name


def _put_composite_alarm(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_composite_alarm(**properties | {"AlarmName": name})
    return name


def _delete_alarm(aws: Aws, physical: str, _properties: Properties) -> None:
    aws("cloudwatch").delete_alarms(AlarmNames=[physical])


def _put_dashboard(aws: Aws, name: str, properties: Properties) -> str:
    aws("cloudwatch").put_dashboard(**properties | {"DashboardName": name})
    return name


def _delete_dashboard(aws: Aws, physical: str, _properties: Properties) -> None:
    aws("cloudwatch").delete_dashboards(DashboardNames=[physical])


def _create_log_group(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::Logs::LogGroup", properties, _LOG_GROUP)
    group = {"logGroupName": name, "tags": tag_map(properties)}
    if properties.get("KmsKeyId"):
        group["kmsKeyId"] = properties["KmsKeyId"]
    aws("logs").create_log_group(**group)
    _set_retention(
        aws,
        name,
        {},
        properties,
    )
    return name


def _set_retention(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    days = new.get("RetentionInDays")
    if days:
        aws("logs").put_retention_policy(logGroupName=physical, retentionInDays=int(days))


TYPES: dict[str, Type] = {
    "AWS::CloudWatch::Alarm": Type(
        create=_put_alarm,
        delete=_delete_alarm,
        update=overwrite_by(_put_alarm),
        attributes=arn_of("cloudwatch", "alarm:{}"),
        name="AlarmName",
    ),
    "AWS::CloudWatch::CompositeAlarm": Type(
        create=_put_composite_alarm,
        delete=_delete_alarm,
        update=overwrite_by(_put_composite_alarm),
        attributes=arn_of("cloudwatch", "alarm:{}"),
        name="AlarmName",
    ),
    "AWS::CloudWatch::Dashboard": Type(
        create=_put_dashboard,
        delete=_delete_dashboard,
        update=overwrite_by(_put_dashboard),
        name="DashboardName",
    ),
    "AWS::Logs::LogGroup": Type(
        create=_create_log_group,
        delete=delete_by("logs", "delete_log_group", "logGroupName"),
        update=_set_retention,
        attributes=arn_of("logs", "log-group:{}:*"),
        name="LogGroupName",
    ),
}
