"""The words in which the scenes are told."""

from datetime import timedelta
from typing import Any

from demo.scenario import FUNCTION, Stage
from localcloud.functions import access_key


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def last_verdict(stage: Stage) -> dict[str, Any]:
    """What people were told last."""
    told: list[dict[str, Any]] = [
        message["result"] for message in stage.messages() if message["result"]
    ]
    return told[-1]


def updates(stage: Stage) -> int:
    """How often the function called UpdateService."""
    return len(stage.cloud.recorder.calls("ecs", "UpdateService", access_key(FUNCTION)))
