"""Tells people (SNS) and machines (EventBridge) what was decided and done."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autorollback.aws.clients import together
from autorollback.naming import BASE

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

    from autorollback.aws.clients import Clients

DETAIL_TYPE = "Auto-Rollback Incident State Change"
SUBJECT_LIMIT = 99
"""Characters; SNS takes fewer than 100, ASCII, no line breaks (API Publish, Subject)."""


LETTER_LIMIT = 200_000
"""Characters of the message in all its forms; SNS takes 262,144 bytes (API Publish, Message)."""


class EventNotTaken(RuntimeError):  # noqa: N818 - says what happened
    """EventBridge answered, but refused the event."""


@dataclass(frozen=True, slots=True)
class Announcer:
    """Publishes one result object. It raises where it could not, so that the retry publishes."""

    clients: "Clients"
    topic_arn: str
    source: str

    def announce(self, result: Mapping[str, Any], resource: str) -> None:
        """Tell both at once; `resource` is the ARN of the service. Subscribers of a queue or function get the JSON alone.

        Message attributes let a subscription filter: `severity` is `critical` where people must look now.
        """
        together(
            {"people": lambda: self._tell_people(result), "machines": lambda: self._tell_machines(result, resource)}
        )

    def _tell_people(self, result: Mapping[str, Any]) -> None:
        text = json.dumps(result)
        installation = self.source.removeprefix(f"{BASE}-") if self.source != BASE else ""
        letter = f"{night_message(result, installation)}\n\n{json.dumps(result, indent=2)}"
        if len(text) + len(letter) > LETTER_LIMIT:
            letter = f"{night_message(result, installation)}\n\nThe whole result is too long for a letter: see the action history."
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": value}
            for name in ("cluster", "service", "outcome", "reason", "incident_state")
            if (value := str(result.get(name) or ""))
        }
        attributes["severity"] = {"DataType": "String", "StringValue": severity(result)}
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=subject(result),
            MessageStructure="json",
            Message=json.dumps({"default": text, "email": letter, "sms": subject(result)}),
            MessageAttributes=attributes,
        )

    def _tell_machines(self, result: Mapping[str, Any], resource: str) -> None:
        entry: PutEventsRequestEntryTypeDef = {
            "Source": self.source,
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps(result),
            "Resources": [resource],
        }
        answer = self.clients.events.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            refused = answer["Entries"][0]
            raise EventNotTaken(
                f"EventBridge refused the event: {refused.get('ErrorCode')}: {refused.get('ErrorMessage')}"
            )


def severity(result: Mapping[str, Any]) -> str:
    """`critical`: look now; `warning`: something was done or is to be decided; `info`: it is over."""
    if result.get("incident_state") == "not_recovered" or result.get("outcome") == "failed":
        return "critical"
    return "info" if result.get("incident_state") in ("recovered", "superseded") else "warning"


def subject(result: Mapping[str, Any]) -> str:
    """What a phone shows first."""
    what = str(result.get("reason") or "a build that was rolled back from runs again").replace("_", " ")
    text = f"[{_word(result)}] {result.get('cluster')}/{result.get('service')}: {what}"
    plain = text.encode("ascii", "replace").decode()
    return plain if len(plain) <= SUBJECT_LIMIT else f"{plain[: SUBJECT_LIMIT - 3]}..."


def night_message(result: Mapping[str, Any], installation: str = "") -> str:
    """What a person reads at night: what, from, to, why, is it better, what next, and the command to undo.

    `installation` is the name of this installation, which the commands have to name; empty for the first.
    """
    lines = [str(result.get("summary")), ""]
    came, went = result.get("from"), result.get("to")
    if came:
        lines.append(f"From:    {came['task_definition']}")
    if went:
        as_copy = f" (restored as {went['restored_as']})" if went.get("restored_as") else ""
        lines.append(f"To:      {went['task_definition']}{as_copy}")
    lines += [f"Why:     {e['detail']}" for e in result.get("evidence", []) if e["verdict"] != "passed"]
    lines += [f"{head + ':':<8} {text}" for head, text in _what_next(result, installation) if text]
    if result.get("incident_id"):
        lines += ["", f"Incident {result['incident_id']}"]
    return "\n".join(lines)


def _what_next(result: Mapping[str, Any], installation: str) -> Sequence[tuple[str, str]]:
    """Is it better, what next, and the command to undo."""
    command = f"./rollback.sh {result.get('service')}"
    where = f" --cluster {result.get('cluster')}{f' --name {installation}' if installation else ''}"
    came = str((result.get("from") or {}).get("task_definition", "")).rpartition(":")[2]
    undo = f"{command} {came}{where} --reason undo" if came else ""
    state, outcome = result.get("incident_state"), result.get("outcome")
    if outcome == "failed":
        return (
            ("Better", "no: the service runs what it ran before"),
            ("Next", "look at the error above; see what would happen now:"),
            ("", f"{command}{where} --plan"),
        )
    match state:
        case "not_recovered":
            return (
                ("Better", "NO. The rollback did not help, and nothing will be rolled back further"),
                ("Next", "look at the service now"),
                ("Undo", undo),
            )
        case "recovered":
            next_ = "nothing tonight; the build it came from stays quarantined until it is released"
            return (("Better", "yes"), ("Next", next_))
        case "superseded":
            return (("Better", "not known: somebody has deployed since"), ("Next", "watch that deployment"))
    if outcome == "rolled_back":
        return (
            ("Better", "too early to say; its recovery is being watched"),
            ("Next", "you will be told how it ended; nothing to do until then"),
            ("Undo", undo),
        )
    if outcome == "would_roll_back":
        return (("Better", "no: nothing was changed"), ("Next", "to do it:"), ("", f"{command}{where}"))
    if outcome == "done":
        return (("Next", "if nobody meant to deploy it, roll back:"), ("", f"{command}{where}"))
    return (
        ("Better", "no: nothing was changed"),
        ("Next", "a person decides; see what would happen:"),
        ("", f"{command}{where} --plan"),
    )


def _word(result: Mapping[str, Any]) -> str:
    state, outcome = str(result.get("incident_state")), str(result.get("outcome"))
    return _WORDS.get(state) or _WORDS.get(outcome, outcome)


_WORDS = {
    "rolled_back": "ROLLED BACK",
    "would_roll_back": "WOULD ROLL BACK",
    "held": "HELD",
    "failed": "FAILED",
    "recovered": "RECOVERED",
    "not_recovered": "NOT RECOVERED",
    "superseded": "SUPERSEDED",
    "done": "BACK FROM QUARANTINE",
}
