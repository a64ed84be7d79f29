"""Tells people (SNS) and machines (EventBridge) what was decided and done."""

import json
from collections.abc import Iterable, Mapping
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
MESSAGE_LIMIT = 250_000
"""Bytes of a message in all its forms. SNS takes 262,144, attributes included (API Publish, Message), and so does EventBridge of the entry of an event
(API PutEvents)."""

LETTER_LEFT = 20_000
"""Characters of a letter that had to be cut: each may take six bytes."""

TOO_LONG = "The whole result is too long for a message: see the action history."


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
        short = {name: value for name, value in document.items() if not isinstance(value, list)}
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=title,
            MessageStructure="json",
            Message=_in_all_forms(title, Letter(letter, letter), document, short),
        )

    def tell_people(self, message: Message) -> None:
        """Send the letter.

        Subscribers of a queue or function get the JSON alone. Message attributes let a subscription filter.
        """
        document = results.to_json(message)
        words = night_message(message, self.installation)
        letter = Letter(f"{words}\n\n{json.dumps(document, indent=2)}", words)
        title = subject(message)
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=title,
            MessageStructure="json",
            Message=_in_all_forms(title, letter, document, _short(document)),
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
        document = results.to_json(message)
        entry: PutEventsRequestEntryTypeDef = {
            "Source": self.source,
            "DetailType": DETAIL_TYPE,
            "Detail": _that_fits([document, _short(document)]),
            "Resources": [resource],
        }
        answer = self.clients.events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            refused = answer["Entries"][0]
            why = f"{refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
            raise EventNotTaken(f"EventBridge refused the event: {why}")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is mailed, whole or as far as it fits."""

    whole: str
    words: str

    @property
    def cut(self) -> str:
        """As much as always fits."""
        return f"{self.words[:LETTER_LEFT]}\n\n{TOO_LONG}"


def _in_all_forms(
    title: str,
    letter: Letter,
    document: Mapping[str, object],
    short: Mapping[str, object],
) -> str:
    """What each kind of subscriber gets.

    Of what is too long first the letter is cut, then the document.
    """
    alternatives = ((document, letter.whole), (document, letter.cut), (short, letter.cut))
    return _that_fits(
        {"default": json.dumps(shown), "email": mailed, "sms": title}
        for shown, mailed in alternatives
    )


def _short(document: Mapping[str, object]) -> dict[str, object]:
    """A result without what makes it long: the ledger has it whole."""
    return {**document, "evidence": [], "candidates": []}


def _that_fits(alternatives: Iterable[Mapping[str, object]]) -> str:
    """The first of several messages that is not too long; the last one is, else."""
    text = ""
    for alternative in alternatives:
        text = json.dumps(alternative)
        if len(text) <= MESSAGE_LIMIT:
            return text
    return text


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
