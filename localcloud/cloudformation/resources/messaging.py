"""SNS's topics and SQS's queues."""

from localcloud.cloudformation.resources.base import (
    Aws,
    Properties,
    Type,
    as_text,
    as_texts,
    delete_by,
    given,
    keep,
    overwrite_by,
    refuse_unknown,
    tag_map,
    without,
)

_TOPIC_ATTRIBUTES = ("KmsMasterKeyId", "DisplayName", "SignatureVersion", "TracingConfig")
_TOPIC_TO_UPDATE = frozenset({"TopicName", *_TOPIC_ATTRIBUTES})
_TOPIC = _TOPIC_TO_UPDATE | {"Subscription"}
_SUBSCRIPTION_ATTRIBUTES = (
    "FilterPolicy",
    "FilterPolicyScope",
    "RawMessageDelivery",
    "DeliveryPolicy",
    "RedrivePolicy",
)
_SUBSCRIPTION = frozenset({"TopicArn", "Protocol", "Endpoint", *_SUBSCRIPTION_ATTRIBUTES})


def _create_topic(aws: Aws, name: str, properties: Properties) -> str:
    refuse_unknown("AWS::SNS::Topic", properties, _TOPIC)
    attributes = as_texts(given(properties, *_TOPIC_ATTRIBUTES))
    answer = aws("sns").create_topic(Name=name, Attributes=attributes)
    arn = str(answer["TopicArn"])
    for subscription in properties.get("Subscription", []):
        aws("sns").subscribe(TopicArn=arn, **subscription)
    return arn


def _update_topic(
    aws: Aws,
    physical: str,
    old: Properties,
    new: Properties,
) -> None:
    refuse_unknown("AWS::SNS::Topic", new, _TOPIC_TO_UPDATE)
    for key in _TOPIC_ATTRIBUTES:
        if old.get(key) != new.get(key):
            value = as_text(new.get(key, ""))
            aws("sns").set_topic_attributes(
                TopicArn=physical, AttributeName=key, AttributeValue=value
            )


def _topic_attributes(_aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    name = physical.rsplit(":", 1)[-1]
    return {"TopicArn": physical, "TopicName": name}


def _subscribe(aws: Aws, _name: str, properties: Properties) -> str:
    refuse_unknown("AWS::SNS::Subscription", properties, _SUBSCRIPTION)
    subscription = given(
        properties,
        "TopicArn",
        "Protocol",
        "Endpoint",
    )
    attributes = as_texts(given(properties, *_SUBSCRIPTION_ATTRIBUTES))
    answer = aws("sns").subscribe(**subscription, Attributes=attributes, ReturnSubscriptionArn=True)
    return str(answer["SubscriptionArn"])


def _put_topic_policy(aws: Aws, name: str, properties: Properties) -> str:
    document = as_text(properties["PolicyDocument"])
    for topic in properties["Topics"]:
        aws("sns").set_topic_attributes(
            TopicArn=topic, AttributeName="Policy", AttributeValue=document
        )
    return name


def _create_queue(aws: Aws, name: str, properties: Properties) -> str:
    attributes = _queue_settings(properties)
    tags = tag_map(properties)
    answer = aws("sqs").create_queue(QueueName=name, Attributes=attributes, tags=tags)
    return str(answer["QueueUrl"])


def _update_queue(
    aws: Aws,
    physical: str,
    _old: Properties,
    new: Properties,
) -> None:
    aws("sqs").set_queue_attributes(QueueUrl=physical, Attributes=_queue_settings(new))


def _queue_settings(properties: Properties) -> dict[str, str]:
    return as_texts(without(properties, "QueueName", "Tags"))


def _queue_attributes(aws: Aws, physical: str, _properties: Properties) -> dict[str, str]:
    name = physical.rsplit("/", 1)[-1]
    return {"Arn": aws.arn("sqs", name), "QueueName": name, "QueueUrl": physical}


def _put_queue_policy(aws: Aws, name: str, properties: Properties) -> str:
    document = as_text(properties["PolicyDocument"])
    for queue in properties["Queues"]:
        aws("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": document})
    return name


# a policy goes with its topic or queue: CloudFormation restores the default one, which nothing here asks for
TYPES: dict[str, Type] = {
    "AWS::SNS::Topic": Type(
        create=_create_topic,
        delete=delete_by("sns", "delete_topic", "TopicArn"),
        update=_update_topic,
        attributes=_topic_attributes,
        name="TopicName",
        replaced_by=frozenset({"Subscription"}),
    ),
    "AWS::SNS::Subscription": Type(
        create=_subscribe,
        delete=delete_by("sns", "unsubscribe", "SubscriptionArn"),
    ),
    "AWS::SNS::TopicPolicy": Type(
        create=_put_topic_policy,
        delete=keep,
        update=overwrite_by(_put_topic_policy),
    ),
    "AWS::SQS::Queue": Type(
        create=_create_queue,
        delete=delete_by("sqs", "delete_queue", "QueueUrl"),
        update=_update_queue,
        attributes=_queue_attributes,
        name="QueueName",
        longest_name=80,
    ),
    "AWS::SQS::QueuePolicy": Type(
        create=_put_queue_policy,
        delete=keep,
        update=overwrite_by(_put_queue_policy),
    ),
}
