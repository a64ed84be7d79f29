"""What the texts promise is there: linked files and headings, make targets, words that the runbook has to know, decisions."""

import re
from pathlib import Path

import pytest

from autorollback.decision.verdicts import Reason
from tests.markdown import PROJECT, TEXTS, anchors, blocks, inline_code, links, name_of

DECISIONS = PROJECT / "docs" / "decisions"

ROOTS = (
    PROJECT,
    PROJECT / "lambda" / "autorollback",
    PROJECT / "infrastructure",
    PROJECT / "infrastructure" / "autorollback_cdk",
)
"""Where a path that a text names begins."""

NO_PATHS = {
    "decision/rules/deployed_on_friday.py": "an example of a rule to write",
    "decision/checks/log_groups_present.py": "an example of a check to write",
    "infrastructure/cdk-cli/node_modules": "there once it is installed",
    "path/name": "how a role with a path is named",
}


@pytest.mark.parametrize("text", TEXTS, ids=name_of)
def test_linked_files_and_headings_exist(text: Path) -> None:
    broken = []
    for link in links(text):
        file, _, anchor = link.partition("#")
        target = (text.parent / file).resolve() if file else text
        is_there = target.is_relative_to(PROJECT) and target.exists()
        if not is_there or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_make_targets_exist() -> None:
    targets = set(
        re.findall(
            r"^([a-z][a-z-]*):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    commands = [code for _, code in inline_code()] + [block.code for block in blocks("bash")]
    named = {
        name
        for command in commands
        for name in re.findall(r"(?:^|[A-Z]=\S+ )make ([a-z-]+)", command, re.MULTILINE)
    }
    assert len(named) > 8
    assert named <= targets


def test_the_runbook_explains_every_reason() -> None:
    runbook = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \|", runbook, re.MULTILINE)) == {
        reason.value for reason in Reason
    }


def test_every_decision_is_in_the_index_and_has_the_same_four_headings() -> None:
    pages = {page.name for page in DECISIONS.glob("*.md")} - {"README.md"}
    assert set(links(DECISIONS / "README.md")) - {"../architecture.md"} == pages
    for page in pages:
        headings = re.findall(
            r"^## (.+)$", (DECISIONS / page).read_text(encoding="utf-8"), re.MULTILINE
        )
        assert headings == ["What was decided", "Why", "What it costs", "When to think again"], page


def test_the_map_links_every_decision() -> None:
    linked = {
        link.removeprefix("decisions/") for link in links(PROJECT / "docs" / "architecture.md")
    }
    assert {page.name for page in DECISIONS.glob("*.md")} <= linked


def test_paths_that_the_texts_name_exist() -> None:
    missing = []
    for text, code in inline_code():
        is_path = re.fullmatch(
            r"[a-z_]+(/[\w-]+)*(/|/[\w-]+|\.(py|md|yaml|sh|json|toml|txt))(\.\w+)?", code
        )
        begins = code.partition("/")[0]
        is_ours = code.endswith((".py", ".md")) or any((root / begins).is_dir() for root in ROOTS)
        if is_path and is_ours and code not in NO_PATHS and not _exists(code):
            missing.append(f"{text}: {code}")
    assert missing == []


def _exists(code: str) -> bool:
    """Whether a path is there: a file, a folder, or a name in a module (`flows/act.carry_out`)."""
    module, _, _ = code.rpartition(".")
    candidates = (code, f"{code}.py", f"{module}.py" if module else code)
    return any((root / candidate).exists() for root in ROOTS for candidate in candidates)
