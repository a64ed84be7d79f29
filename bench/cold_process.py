"""A whole rollback by a process that has just started, over `aws ecs update-service` alone, in the same run.

    make cold-process

The deployed zip judges and rolls back on the local cloud, each time in a new Python process, as in a cold start; the AWS command
line deploys a definition by one call. They take turns; the ratio is that of each pair. The first pair compiles modules and is not counted.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from demo import scenario
from localcloud.server import running

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PAIRS = 6
RULES = ("alarms", "tasks", "deployments", "sweep")
QUARTER, HOUR = timedelta(seconds=15), timedelta(hours=1)


def measure() -> list[tuple[float, float]]:
    """Seconds of a rollback, and of the command line's UpdateService, pair by pair."""
    actors = tuple(scenario.neighbour(number) for number in range(PAIRS))
    with tempfile.TemporaryDirectory() as folder, running(START, cold=True) as cloud:
        scene = scenario.build(cloud, scenario.synthesize(Path(folder), actors), actors)
        for rule in RULES:  # what is measured is asked for here, one after the other
            scene.client("events").disable_rule(Name=f"{scenario.FUNCTION}-{rule}")
        for actor in actors:
            scene.deploy_bad(actor)
        red = scene.until(
            lambda: all(scene.alarm_state(actor=a) == "ALARM" for a in actors),
            within=HOUR,
            step=QUARTER,
        )
        if not red:
            raise RuntimeError("the alarms did not fire")
        environment = {**os.environ, **cloud.environment("team")}
        return [
            (
                _seconds(lambda a=actor: _roll_back(scene, a)),  # type: ignore[misc]  # the loop's value, bound now
                _seconds(lambda a=actor: _by_command_line(a, environment)),  # type: ignore[misc]  # bound now
            )
            for actor in actors
        ][1:]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _roll_back(scene: scenario.Stage, actor: scenario.Actor) -> None:
    result = scene.invoke(_alarm(scene, actor))
    if result["outcome"] != "rolled_back":
        raise RuntimeError(
            f"{actor.name}: {result['outcome']} {result['reason']}: {result['summary']}"
        )


def _by_command_line(actor: scenario.Actor, environment: dict[str, str]) -> None:
    words = ["ecs", "update-service", "--cluster", actor.cluster, "--service", actor.name]
    words += ["--task-definition", f"{actor.name}:{scenario.GOOD_REVISION}"]
    command = [str(Path(sys.executable).parent / "aws"), *words]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _alarm(scene: scenario.Stage, actor: scenario.Actor) -> dict[str, Any]:
    """The event of the service's 5xx alarm, as CloudWatch sent it."""
    name = f"{scenario.FUNCTION}/{actor.cluster}/{actor.name}/5xx-rate"
    (alarm,) = scene.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    at = alarm["StateTransitionedTimestamp"].isoformat()
    state = {"value": "ALARM", "timestamp": at, "reasonData": alarm["StateReasonData"]}
    return {
        "version": "0", "id": actor.name, "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change",
        "time": at, "resources": [alarm["AlarmArn"]], "detail": {"alarmName": name, "state": state},
    }  # fmt: skip


def main() -> None:
    """Print the table."""
    pairs = measure()
    table = Table("pair", "whole rollback, s", "aws ecs update-service, s", "ratio")
    for number, (rollback, command_line) in enumerate(pairs, 1):
        table.add_row(
            str(number), f"{rollback:.2f}", f"{command_line:.2f}", f"{rollback / command_line:.2f}"
        )
    ratios = sorted(rollback / command_line for rollback, command_line in pairs)
    table.add_row("median", "", "", f"{median(ratios):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
