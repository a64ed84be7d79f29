"""Tells people (SNS) and machines (EventBridge) what was decided and done."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

DETAIL_TYPE = "Auto-Rollback Incident State Change"
SUBJECT_LIMIT = 99
"""Characters; SNS takes fewer than 100, ASCII, no line breaks (API Publish, Subject)."""


class EventNotTaken(RuntimeError):  # noqa: N818 - says what happened
    """EventBridge answered, but refused the event."""


@dataclass(frozen=True, slots=True)
class Announcer:
    """Publishes one result object. It raises where it could not, so that the retry publishes."""

    clients: "Clients"
    topic_arn: str
    source: str

    def announce(self, result: Mapping[str, Any], resource: str) -> None:
        """Tell both; `resource` is the ARN of the service. Subscribers of a queue or function get the JSON alone."""
        text = json.dumps(result)
        letter = f"{night_message(result)}\n\n{json.dumps(result, indent=2)}"
        self.clients.sns.publish(
            TopicArn=self.topic_arn,
            Subject=subject(result),
            MessageStructure="json",
            Message=json.dumps({"default": text, "email": letter, "sms": subject(result)}),
        )
        answer = self.clients.events.put_events(
            Entries=[{"Source": self.source, "DetailType": DETAIL_TYPE, "Detail": text, "Resources": [resource]}]
        )
        if answer["FailedEntryCount"]:
            entry = answer["Entries"][0]
            raise EventNotTaken(f"EventBridge refused the event: {entry.get('ErrorCode')}: {entry.get('ErrorMessage')}")


def subject(result: Mapping[str, Any]) -> str:
    """What a phone shows first."""
    state = result.get("incident_state")
    word = _WORDS.get(state if state in _WORDS else str(result.get("outcome")), str(result.get("outcome")))
    text = f"[{word}] {result.get('cluster')}/{result.get('service')}: {str(result.get('reason')).replace('_', ' ')}"
    plain = text.encode("ascii", "replace").decode()
    return plain if len(plain) <= SUBJECT_LIMIT else f"{plain[: SUBJECT_LIMIT - 3]}..."


def night_message(result: Mapping[str, Any]) -> str:
    """What a person reads at night: what, from, to, why, is it better, what next, and the command to undo."""
    lines = [str(result.get("summary")), ""]
    came, went = result.get("from"), result.get("to")
    if came:
        lines.append(f"From:  {came['task_definition']}")
    if went:
        copy = f" (restored as {went['restored_as']})" if went.get("restored_as") else ""
        lines.append(f"To:    {went['task_definition']}{copy}")
    lines += [f"Why:   {e['detail']}" for e in result.get("evidence", []) if e["verdict"] != "passed"]
    lines += ["", _next_step(result)]
    return "\n".join(lines)


def _next_step(result: Mapping[str, Any]) -> str:
    service, cluster = result.get("service"), result.get("cluster")
    again = f"./rollback.sh {service} --cluster {cluster}"
    state, outcome = result.get("incident_state"), result.get("outcome")
    if state == "not_recovered":
        return "Next:  the rollback did not help, and nothing will be rolled back further. Look at the service now."
    if state == "recovered":
        return "Next:  nothing tonight. The build it came from is quarantined until you release it."
    if outcome == "rolled_back":
        came = (result.get("from") or {}).get("task_definition", "")
        undo = f"./rollback.sh {service} {came.partition(':')[2]} --cluster {cluster} --reason undo" if came else again
        return f"Next:  its recovery is being watched; you will be told.\nUndo:  {undo}"
    if outcome == "would_roll_back":
        return f"Next:  nothing was changed. To do it: {again}"
    if outcome == "failed":
        return f"Next:  look at the error, then: {again} --plan"
    return f"Next:  a person decides. See what would happen: {again} --plan"


_WORDS = {
    "rolled_back": "ROLLED BACK",
    "would_roll_back": "WOULD ROLL BACK",
    "held": "HELD",
    "failed": "FAILED",
    "recovered": "RECOVERED",
    "not_recovered": "NOT RECOVERED",
    "superseded": "SUPERSEDED",
}
