"""`make demo` as it runs without a terminal, in a hostile environment; and Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from autorollback.decision.facts import TriggerKind
from autorollback.decision.rules import rules_for
from demo.story import PASSED

PROJECT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.xdist_group("demo")


def demo(home: Path) -> "subprocess.Popen[str]":
    """With settings that would lead to the real AWS, or nowhere, if any of them were heeded."""
    (home / ".aws").mkdir()
    (home / ".aws" / "config").write_text(
        "[default]\nregion = us-east-1\nendpoint_url = http://192.0.2.1\n"
    )
    (home / "tmp").mkdir()
    environment = os.environ | {
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "AWS_PROFILE": "production",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://192.0.2.1",
        "HTTP_PROXY": "http://192.0.2.1:1",
        "NO_PROXY": "",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=PROJECT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # a shell that runs the tests in the background has its children ignore what Ctrl-C sends
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def members(group: int) -> list[str]:
    """The processes of a process group, and those of sessions that it began."""
    listed = subprocess.run(
        ["ps", "-eo", "pgid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [line for line in listed.splitlines() if str(group) in line.split()[:2]]


def timeline_of_the_readme() -> list[str]:
    """Who did what, as the README shows it, without when."""
    told = (PROJECT / "README.md").read_text(encoding="utf-8").partition("```text\n")[2]
    shown = told.partition("4  Why")[0]
    return [
        f"{who} {what}"
        for who, what in re.findall(r"^[\d:]{8}  (\S+) +(.+?)(?: - |$)", shown, re.M)
    ]


def test_what_a_rule_found_is_told_by_what_is_well() -> None:
    """A tick beside "not serving yet" would say the opposite."""
    asked = {rule.name for rule in rules_for(TriggerKind.ALARM)}
    assert asked - PASSED.keys() == set()


def test_the_story_comes_out(tmp_path: Path) -> None:
    process = demo(tmp_path)
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert (
        "Rolled back, and recovered. auth-service runs 4 tasks of the good build's image"
        in " ".join(said.split())
    )
    for line in timeline_of_the_readme():
        assert line in " ".join(said.split())
    assert "\x1b" not in said, "no escape codes without a terminal"
    assert "Warning" not in said
    assert "Traceback" not in said
    assert list((tmp_path / "tmp").iterdir()) == []
    assert members(process.pid) == []


@pytest.mark.parametrize(
    "line", ["1  The stack", "auth-service:19 answers"], ids=["while synthesizing", "mid-incident"]
)
def test_ctrl_c_leaves_nothing(tmp_path: Path, line: str) -> None:
    process = demo(tmp_path)
    assert process.stdout is not None
    while line not in (said := process.stdout.readline()):
        assert said, "it ended before"
    time.sleep(1)  # into the work that follows the line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=120)
    assert process.returncode == 130, rest
    assert "Stopped." in rest
    assert "Traceback" not in rest
    assert list((tmp_path / "tmp").iterdir()) == []
    assert members(process.pid) == []
