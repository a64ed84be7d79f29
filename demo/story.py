"""The story: a good build serves, a bad one goes out, the deployed function rolls it back. Told while it happens."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from demo import scenario
from demo.plot import Mark, draw
from demo.scenario import AUTH, BAD_REVISION, FUNCTION, GOOD_REVISION, Stage
from demo.watch import ACTS, ALARM, CONTROLLER, ECS, TEAM, Moment, Watch
from localcloud.functions import access_key
from localcloud.server import Cloud

BEGIN = timedelta(minutes=10)
PATIENCE = timedelta(minutes=25)
_STEP = timedelta(seconds=10)
_COLOURS = {TEAM: "cyan", ECS: "blue", ALARM: "red", CONTROLLER: "green"}
_LIMIT = 5.0  # percent: the default of error_rate_percent


# a rule is named by what it would hold for; one that was passed reads better the other way round
PASSED = {
    "paused": "may act",
    "no_longer_in_alarm": "still in alarm",
    "handled_by_ecs": "ECS does nothing",
    "service_inactive": "service is up",
    "already_handled": "first to look",
    "no_recent_deployment": "deployed recently",
    "not_serving_yet": "users reach it",
    "alarm_predates_deployment": "calm before it",
    "alarm_is_flapping": "alarm is honest",
    "shared_cause": "alone in trouble",
    "irreversible_change": "can be undone",
    "rollback_limit_reached": "within the limit",
    "no_stable_revision": "one that ran well",
}


class StoryError(Exception):
    """The story did not come out as it should; the message says what is missing."""


class Story:
    """Tells one incident on a console."""

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._folder = folder
        self._told: list[Moment] = []

    def synthesize(self) -> Path:
        """The template and the zip, as `cdk deploy` would send them."""
        self._title("1  The stack")
        with self._console.status("Synthesizing app.py ..."):
            assembly = scenario.synthesize(self._folder)
        (zip_file,) = assembly.glob("asset.*.zip")
        template = json.loads((assembly / "AutoRollback.template.json").read_text(encoding="utf-8"))
        self._say(
            f"Synthesized: stack [bold]AutoRollback[/], {len(template['Resources'])} resources; the function's zip, SDK "
            f"included, has {zip_file.stat().st_size / 1e6:.1f} MB."
        )
        return assembly

    def set_scene(self, cloud: Cloud, assembly: Path) -> Stage:
        """A service with eight days behind it."""
        with self._console.status(
            "Deploying it to the local cloud, and letting eight days pass ..."
        ):
            scene = scenario.build(cloud, assembly)
        alarms = scene.client("cloudwatch").describe_alarms()["MetricAlarms"]
        self._say(
            f"Deployed by CloudFormation to the local cloud ({cloud.endpoint}; nothing of this touches AWS): function "
            f"[bold]{FUNCTION}[/], {len(alarms)} alarms, 5 EventBridge rules, the ledger."
        )
        self._title("2  A good build serves")
        scene.passes(timedelta(minutes=1))
        (tasks,) = scene.running().values()
        self._say(
            f"[bold]{AUTH.name}:{GOOD_REVISION}[/] runs {tasks} tasks behind the load balancer, "
            f"{AUTH.requests_per_minute:.0f} requests a minute, for six days. Alarm 5xx-rate: "
            f"{_state(scene.alarm_state())}."
        )
        return scene

    def play(self, scene: Stage) -> None:
        """From the bad deployment to the recovery.

        Raises:
            StoryError: naming what did not happen.
        """
        self._title("3  A bad build goes out")
        self._say(
            f"{AUTH.name}:{BAD_REVISION} answers 40 % of its requests with errors. The deployment itself succeeds."
        )
        watch = Watch(scene)
        scene.deploy_bad()
        self._follow(
            scene, watch, "the alarm 5xx-rate to fire", lambda: scene.alarm_state() == "ALARM"
        )
        self._follow(scene, watch, f"{FUNCTION} to roll back", lambda: bool(scene.incidents()))
        self._title("5  Did it help?")
        self._follow(
            scene,
            watch,
            "the incident to be closed",
            lambda: scene.incidents()[-1]["state"] not in ("claimed", "open"),
        )
        scene.passes(timedelta(minutes=3))
        self._tell(watch.news())

    def sum_up(self, scene: Stage) -> None:
        """The plot, the record, the message, what to try next; then what must be true is asserted.

        Raises:
            StoryError: the service does not run what it should, or not by one rollback.
        """
        self._title("The incident at a glance")
        self._plot(scene)
        (record,) = scene.incidents()
        self._title("The ledger's record")
        self._say_block(_record(record))
        self._title("What people got")
        for message in [m for m in scene.messages() if m["result"]]:
            self._say(f"[bold]{escape(message['subject'])}[/]")
            self._say_block(
                Padding(Text(message["email"].split("\n\n{")[0], style="dim"), (0, 0, 1, 2))
            )
        self._title("What to try next")
        self._say_block(_NEXT)
        self._conclude(scene, record)

    def _conclude(self, scene: Stage, record: dict[str, Any]) -> None:
        good = scene.digests[f"{AUTH.name}:v{GOOD_REVISION}"]
        running = scene.running()
        acts = [
            call
            for call in scene.cloud.recorder.calls("ecs", access_key=access_key(FUNCTION))
            if call.operation in ACTS
        ]
        if running != {good: AUTH.desired}:
            raise StoryError(
                f"{AUTH.name} should run {AUTH.desired} tasks of {good}, but runs {running}"
            )
        if record["state"] != "recovered":
            raise StoryError(f"the incident should be recovered, but is {record['state']}")
        if len(acts) != 1:
            raise StoryError(f"one rollback was asked for, {len(acts)} calls were made")
        fired = next(mark for mark in _marks(self._told) if mark.letter == "A")
        self._console.rule(style="green")
        self._say(
            f"[bold green]Rolled back, and recovered.[/] {AUTH.name} runs {AUTH.desired} tasks of the good build's image again "
            f"({good[:19]}..., the digest of v{GOOD_REVISION}), by one call of {acts[0].operation}, "
            f"{(acts[0].at - fired.at).total_seconds():.1f} s after the alarm."
        )

    def _follow(self, scene: Stage, watch: Watch, awaited: str, seen: Callable[[], bool]) -> None:
        with self._console.status("") as status:

            def look() -> bool:
                self._tell(watch.news())
                status.update(_now(scene))
                return seen()

            came = scene.until(look, within=PATIENCE, step=_STEP)
            self._tell(watch.news())
        if not came:
            failed = f"; the function failed: {errors[-1]}" if (errors := scene.errors()) else ""
            raise StoryError(
                f"waited {PATIENCE.seconds // 60} simulated minutes for {awaited}{failed}"
            )

    def _tell(self, moments: Sequence[Moment]) -> None:
        for moment in moments:
            self._told.append(moment)
            colour = _COLOURS[moment.who]
            line = Table.grid(padding=(0, 2))
            line.add_column(no_wrap=True, style="dim")
            line.add_column(no_wrap=True, min_width=13, style=colour)
            line.add_column()
            detail = f" [dim]- {escape(moment.detail)}[/]" if moment.detail else ""
            line.add_row(
                f"{moment.at:%H:%M:%S}", moment.who, f"[bold]{escape(moment.what)}[/]{detail}"
            )
            self._console.print(line)
            if moment.result and moment.result["incident_state"] == "open":
                self._title("4  Why: what the function checked before it acted")
                self._say_block(_reasons(moment.result))

    def _plot(self, scene: Stage) -> None:
        began = self._told[0].at
        rates = scene.error_rates(began - BEGIN)
        marks = _marks(self._told)
        for line in draw(rates, marks, width=min(self._console.width, 100), limit=_LIMIT):
            self._console.print(Text(line), no_wrap=True, overflow="crop", soft_wrap=False)
        key = "   ".join(f"{mark.letter} {mark.at:%H:%M:%S} {mark.what}" for mark in marks)
        self._say(
            f"[dim]5xx share of requests, per minute; the dotted line is the alarm's {_LIMIT:.0f} %.[/]"
        )
        self._say(key)

    def _title(self, text: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{text}", align="left", style="dim")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def _say_block(self, block: Any) -> None:
        self._console.print(block, highlight=False)


def _now(scene: Stage) -> str:
    now = scene.cloud.clock.now()
    rates = scene.error_rates(now - timedelta(minutes=3))
    rate = f"{rates[-1][1]:.0f} %" if rates else "-"
    return f"{now:%H:%M:%S}  errors {rate}  {scene.running_revision()}"


def _state(state: str) -> str:
    return f"[{'green' if state == 'OK' else 'red'}]{state}[/]"


def _reasons(result: Any) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for entry in {(e["rule"], e["detail"]): e for e in result["evidence"]}.values():
        passed = entry["verdict"] == "passed"
        sign = "[dim]✓[/]" if passed else "[green]→[/]"
        words = PASSED.get(entry["rule"]) if passed else None
        table.add_row(sign, words or entry["rule"].replace("_", " "), escape(entry["detail"]))
    for candidate in result["candidates"]:
        if candidate["verdict"] != "chosen":
            continue
        for check in candidate["checks"]:
            sign = {True: "[dim]✓[/]", False: "[red]✗[/]", None: "[dim]?[/]"}[check["passed"]]
            table.add_row(sign, check["check"].replace("_", " "), escape(_shorter(check["detail"])))
    return table


def _shorter(text: str) -> str:
    """Digests in full are for machines."""
    return re.sub(r"(sha256:[0-9a-f]{8})[0-9a-f]+", r"\1...", text)


def _marks(told: Sequence[Moment]) -> list[Mark]:
    def first(letter: str, what: str, moments: list[Moment]) -> Mark:
        if not moments:
            raise StoryError(f"no {what} is on record")
        return Mark(letter, moments[0].at, what)

    return [
        first("D", "bad deployment", [m for m in told if m.who == TEAM]),
        first("A", "alarm", [m for m in told if m.who == ALARM and m.what.endswith("→ ALARM")]),
        first("R", "rollback", [m for m in told if m.who == CONTROLLER and m.what in ACTS]),
        first(
            "✓",
            "recovery",
            [m for m in told if m.result and m.result["incident_state"] == "recovered"],
        ),
    ]


def _record(record: dict[str, Any]) -> Table:
    result = json.loads(record["result"])
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    rows = {
        "incident": record["incident_id"],
        "state": record["state"],
        "claimed": record["claimed_at"],
        "closed": record["closed_at"],
        "automatic": "yes" if record["automatic"] else "no",
        "reason": result["reason"],
        "from": _revision(result["from"]),
        "to": _revision(result["to"]),
    }
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    return table


def _revision(revision: dict[str, Any]) -> str:
    images = ", ".join(f"{name} {digest[:19]}..." for name, digest in revision["images"].items())
    return f"{revision['task_definition']}  ({images})"


_NEXT = Table.grid(padding=(0, 2))
_NEXT.add_column(no_wrap=True, style="bold")
_NEXT.add_row(
    "make cloud", "the same scene, left up: break it yourself, with aws, cdk and rollback.sh"
)
_NEXT.add_row("make synth", "the CloudFormation template, without credentials")
_NEXT.add_row(
    "make deploy", "into the account of your AWS credentials; services.yaml names your services"
)


def begins() -> datetime:
    """When the story begins: a fixed day, so that it reads the same each time."""
    return datetime.fromisoformat("2026-11-08T13:30:00+00:00")
