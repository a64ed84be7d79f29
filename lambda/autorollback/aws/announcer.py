"""Tells people (SNS) and machines (EventBridge) what was decided and done."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autorollback import results
from autorollback.decision.result import Result
from autorollback.message_text import night_message, subject
from autorollback.results import Message

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

    from autorollback.aws.clients import Clients

DETAIL_TYPE = "Auto-Rollback Incident State Change"
LETTER_LIMIT = 200_000
"""Characters of a message in all its forms; SNS takes 262,144 bytes (API Publish, Message)."""


class EventNotTaken(RuntimeError):  # noqa: N818 - says what happened
    """EventBridge answered, but refused the event."""


@dataclass(frozen=True, slots=True)
class Announcer:
    """Publishes results; it raises where it could not, so that they are sent again.

    Attributes:
        source: of the events.
        installation: the name of this installation; empty for the first.
    """

    clients: "Clients"
    topic_arn: str
    source: str
    installation: str = ""

    def publish(
        self,
        title: str,
        letter: str,
        document: dict[str, object],
    ) -> None:
        """One message to people that is about no incident."""
        forms = {"default": json.dumps(document), "email": letter, "sms": title}
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=title,
            MessageStructure="json",
            Message=json.dumps(forms),
        )

    def tell_people(self, message: Message) -> None:
        """Send the letter.

        Subscribers of a queue or function get the JSON alone. Message attributes let a subscription filter.
        """
        document = results.to_json(message)
        text = json.dumps(document)
        words = night_message(message, self.installation)
        letter = f"{words}\n\n{json.dumps(document, indent=2)}"
        if len(text) + len(letter) > LETTER_LIMIT:
            letter = (
                f"{words}\n\nThe whole result is too long for a letter: see the action history."
            )
        title = subject(message)
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=title,
            MessageStructure="json",
            Message=json.dumps({"default": text, "email": letter, "sms": title}),
            MessageAttributes=_attributes(message),
        )

    def tell_machines(
        self,
        message: Message,
        resource: str,
    ) -> None:
        """Send the event; `resource` is the ARN of the service.

        Raises:
            EventNotTaken: EventBridge answered, but refused it.
        """
        entry: PutEventsRequestEntryTypeDef = {
            "Source": self.source,
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps(results.to_json(message)),
            "Resources": [resource],
        }
        answer = self.clients.events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            refused = answer["Entries"][0]
            why = f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
            raise EventNotTaken(f"EventBridge refused the event: {why}")


def _attributes(message: Message) -> dict[str, "MessageAttributeValueTypeDef"]:
    """What a subscription's filter policy can ask for."""
    values: dict[str, str | None] = {
        "cluster": message.cluster,
        "service": message.service,
        "outcome": message.outcome.value,
        "severity": message.severity.value,
    }
    if isinstance(message, Result):
        values["reason"] = message.reason
        values["incident_state"] = message.incident_state
    attributes: dict[str, MessageAttributeValueTypeDef] = {}
    for name, value in values.items():
        if value:
            attributes[name] = {"DataType": "String", "StringValue": str(value)}
    return attributes
