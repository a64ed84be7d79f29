"""What the texts promise is there: linked files, make targets, and words that the runbook has to know."""

import re
from pathlib import Path

import pytest

from autorollback.decision.verdicts import Reason

PROJECT = Path(__file__).resolve().parent.parent.parent
TEXTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_linked_files_exist(text: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text.read_text(encoding="utf-8"))
    assert [link for link in links if not (text.parent / link).exists()] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_make_targets_exist(text: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", text.read_text(encoding="utf-8"), re.MULTILINE))
    assert named <= targets


def test_the_runbook_explains_every_reason() -> None:
    runbook = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \|", runbook, re.MULTILINE)) == {reason.value for reason in Reason}
