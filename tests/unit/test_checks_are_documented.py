"""Every check before a rollback has its file, its place in the order, its remedy and its row in the docs."""

import re
from pathlib import Path

from autorollback.decision import checks
from autorollback.decision.checks import CHECKS
from autorollback.decision.verdicts import CheckName

DOCS = Path(__file__, "../../../docs").resolve()
HELPERS = {"__init__", "dependencies"}
OF_NO_LIST = {
    CheckName.HAS_RUN_HERE,  # made where a person names a target
    CheckName.PREFLIGHT,  # says that the checks were skipped
}


def test_every_check_has_its_file_and_its_place_in_the_list() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names))
    assert set(names) == set(CheckName) - OF_NO_LIST
    files = {path.stem for path in Path(*checks.__path__).glob("*.py")}
    assert files - HELPERS == {name.value for name in names}


def test_every_check_has_a_row_in_the_docs_in_the_order_in_which_they_are_asked() -> None:
    text = (DOCS / "restoring.md").read_text(encoding="utf-8")
    section = text.partition("## What is checked first\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    assert sorted(rows) == sorted(CheckName)
    assert rows[: len(CHECKS)] == [check.name.value for check in CHECKS]


def test_the_audit_tells_of_every_check_that_can_fail() -> None:
    text = (DOCS / "readiness.md").read_text(encoding="utf-8")
    for check in CHECKS:
        assert f"`{check.name.value}`" in text
