"""What SNS, EventBridge, SQS and CloudWatch Logs ask the policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html and its sisters.
"""

from collections.abc import Iterator, Mapping

from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from localcloud.iam.needs.asked import Asked, Needs, of_resource
from localcloud.iam.requests import Need


def _publish(asked: Asked) -> Iterator[Need]:
    """To an encrypted topic its key is asked as well, in the publisher's name (SNS's sns-key-management.html)."""
    arn = asked.parameters.get("TopicArn") or asked.parameters["TargetArn"]
    yield asked.need(arn)
    topic = asked.backend(sns_backends).topics.get(arn)
    if topic is None or not topic.kms_master_key_id:
        return
    keys = asked.backend(kms_backends)
    key = keys.keys[keys.any_id_to_key_id(topic.kms_master_key_id)]
    yield Need("kms:Decrypt", key.arn)
    yield Need("kms:GenerateDataKey", key.arn)


def _put_events(asked: Asked) -> Iterator[Need]:
    for entry in asked.parameters["Entries"]:
        bus = entry.get("EventBusName") or "default"
        arn = bus if bus.startswith("arn:") else asked.arn("events", f"event-bus/{bus}")
        context = {
            "events:source": entry.get("Source"),
            "events:detail-type": entry.get("DetailType"),
        }
        yield asked.need(arn, context)


def _queue(asked: Asked) -> Iterator[Need]:
    name = asked.parameters.get("QueueName") or asked.parameters["QueueUrl"].rpartition("/")[2]
    yield asked.need(asked.arn("sqs", name))


def _log_groups(asked: Asked) -> Iterator[Need]:
    """By the prefix that is asked for; of the streams of one group, by its name."""
    name = asked.parameters.get("logGroupName") or asked.parameters.get("logGroupNamePrefix", "")
    yield asked.need(asked.arn("logs", f"log-group:{name}:log-stream:"))


NEEDS: Mapping[str, Needs] = {
    "events:PutEvents": _put_events,
    "logs:DescribeLogGroups": _log_groups,
    "logs:DescribeLogStreams": _log_groups,
    "sns:GetTopicAttributes": of_resource("sns", "TopicArn"),
    "sns:Publish": _publish,
    "sqs:GetQueueAttributes": _queue,
    "sqs:GetQueueUrl": _queue,
    "sqs:SendMessage": _queue,
}
