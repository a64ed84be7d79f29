"""What SNS takes as a message, and when it takes none.

Source: Publish in botocore's model of sns 2010-03-31 (subject, message, errors), and the topic's MaximumMessageSize.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from moto.kms.models import kms_backends
from moto.sns.models import SNSBackend, Subscription, Topic

from localcloud.errors import Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

LARGEST_MESSAGE = 262_144
"""Bytes of body and attributes, where the topic does not say otherwise."""

LONGEST_SUBJECT = 100
"""Characters; "less than 100" in the documentation, which is off by one (https://github.com/getmoto/moto/issues/1503)."""


def install(cloud: "Cloud") -> None:
    """Extend moto's SNS: bounds, and a subscription that cannot be served is no matter of the others."""
    cloud.replace(Subscription, "publish", _by_itself(cloud, Subscription.publish))
    cloud.replace(Topic, "publish", _while_it_can(cloud, Topic.publish))
    cloud.replace(SNSBackend, "publish", _bounded(SNSBackend.publish))


def _by_itself(cloud: "Cloud", by_moto: Callable[..., None]) -> Callable[..., None]:
    def publish(subscription: Subscription, *args: Any, **kwargs: Any) -> None:
        with cloud.troubles.of(f"the subscription {subscription.endpoint}"):
            by_moto(subscription, *args, **kwargs)

    return publish


def _while_it_can(cloud: "Cloud", by_moto: Callable[..., str]) -> Callable[..., str]:
    """Refuse messages of whomever, of alarms and rules too, while SNS or the topic's key is down."""

    def publish(topic: Topic, *args: Any, **kwargs: Any) -> str:
        if cloud.outages.hit("sns"):
            raise Refusal("InternalError", "We encountered an internal error. Please try again.")
        if topic.kms_master_key_id and not _is_enabled(topic):
            raise Refusal("KMSDisabled", f"{topic.kms_master_key_id} is disabled.")
        return by_moto(topic, *args, **kwargs)

    return publish


def _is_enabled(topic: Topic) -> bool:
    backend = kms_backends[topic.account_id][topic.arn.split(":")[3]]
    key = backend.keys[backend.get_key_id(topic.kms_master_key_id)]
    return bool(key.enabled)


def _bounded(by_moto: Callable[..., str]) -> Callable[..., str]:
    def publish(
        backend: SNSBackend,
        message: str,
        *args: Any,
        subject: str | None = None,
        message_attributes: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> str:
        if subject is not None:
            _check_subject(subject)
        size = len(message.encode()) + _size_of_attributes(message_attributes or {})
        if size > LARGEST_MESSAGE:
            raise Refusal("InvalidParameter", "Invalid parameter: Message too long")
        return by_moto(
            backend,
            message,
            *args,
            subject=subject,
            message_attributes=message_attributes,
            **kwargs,
        )

    return publish


def _check_subject(subject: str) -> None:
    has_control = any(ord(character) < 32 or ord(character) == 127 for character in subject)
    if not subject or len(subject) > LONGEST_SUBJECT or has_control:
        raise Refusal("InvalidParameter", "Invalid parameter: Subject")


def _size_of_attributes(attributes: Mapping[str, Any]) -> int:
    """Names, types and values."""
    total = 0
    for name, attribute in attributes.items():
        total += len(name.encode())
        for part in attribute.values():
            total += len(str(part).encode())
    return total
