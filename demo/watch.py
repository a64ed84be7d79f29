"""What happens on the stage, as moments that can be told: from AWS's own events, the record of calls and the function's messages."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from demo.scenario import FUNCTION, Stage
from localcloud.functions import access_key

ACTS = ("UpdateService", "StopServiceDeployment")
TEAM, ECS, ALARM, CONTROLLER = "team", "ECS", "CloudWatch", FUNCTION


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline; `result` is the function's own account, where it gave one."""

    at: datetime
    who: str
    what: str
    detail: str = ""
    result: Mapping[str, Any] | None = None


class Watch:
    """Sees what comes after it was made."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._events: list[dict[str, Any]] = []
        self._calls = len(stage.cloud.recorder.calls())
        self._messages = len(stage.messages())
        deliver = stage.cloud.emit

        def emit(event: dict[str, Any]) -> None:
            self._events.append(event)
            deliver(event)

        stage.cloud.emit = emit

    def news(self) -> list[Moment]:
        """What has happened since this was asked last, in order."""
        events, self._events[:] = list(self._events), []
        moments = [moment for event in events if (moment := self._of_event(event))]
        calls = self._stage.cloud.recorder.calls()[self._calls :]
        self._calls += len(calls)
        moments += [
            Moment(
                call.at,
                who,
                "UpdateService",
                f"to {str(call.parameters['taskDefinition']).rpartition('/')[2]}",
            )
            for call in calls
            if (call.service, call.operation) == ("ecs", "UpdateService")
            and (who := {access_key(FUNCTION): CONTROLLER, "team": TEAM}.get(call.access_key))
        ]
        moments += [
            Moment(
                call.at,
                CONTROLLER,
                "claims the incident",
                "the intent is in the ledger before the act",
            )
            for call in calls
            if call.operation == "PutItem"
            and call.status == HTTPStatus.OK
            and _is_claim(call.parameters)
        ]
        moments += [
            Moment(
                call.at,
                CONTROLLER,
                "StopServiceDeployment",
                "ECS is to restore the revision before",
            )
            for call in calls
            if call.operation == "StopServiceDeployment" and call.access_key == access_key(FUNCTION)
        ]
        moments += self._of_messages(
            [
                c.at
                for c in calls
                if c.operation == "Publish" and c.access_key == access_key(FUNCTION)
            ]
        )
        return sorted(moments, key=lambda moment: moment.at)

    def _of_event(self, event: Mapping[str, Any]) -> Moment | None:
        detail = event["detail"]
        if event["detail-type"] == "CloudWatch Alarm State Change":
            signal = str(detail["alarmName"]).rpartition("/")[2]
            at = datetime.fromisoformat(detail["state"]["timestamp"]).astimezone(UTC)
            change = f"{detail['previousState']['value']} → {detail['state']['value']}"
            return Moment(at, ALARM, f"{signal}: {change}", _datapoints(detail["state"]))
        if event["detail-type"] == "ECS Deployment State Change":
            word = (
                str(detail["eventName"]).rpartition("_")[2].lower().replace("progress", "started")
            )
            at = datetime.fromisoformat(event["time"])
            return Moment(at, ECS, f"deployment {word}", self._stage.running_revision())
        return None

    def _of_messages(self, published: Sequence[datetime]) -> list[Moment]:
        messages = self._stage.messages()[self._messages :]
        self._messages += len(messages)
        results = [
            message for message in messages if message["result"]
        ]  # the others are of alarms, not the function's
        return [
            Moment(at, CONTROLLER, "tells people", message["subject"], message["result"])
            for at, message in zip(published, results, strict=True)
        ]


def _is_claim(write: Mapping[str, Any]) -> bool:
    """Whether it writes an incident that was not there."""
    is_incident = write["Item"]["sk"]["S"].startswith("incident#")
    return is_incident and write.get("ConditionExpression") == "attribute_not_exists(pk)"


def _datapoints(state: Mapping[str, Any]) -> str:
    """What made an alarm fire, without the length of CloudWatch's own sentence."""
    if state["value"] != "ALARM" or "reasonData" not in state:
        return ""
    data = json.loads(state["reasonData"])
    values = ", ".join(f"{value:.0f}" for value in reversed(data.get("recentDatapoints", [])))
    return f"{values} by the minute; the threshold is {data['threshold']:g}"
