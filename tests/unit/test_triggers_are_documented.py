"""Every event that is understood has its row in the docs."""

import re
from pathlib import Path

from autorollback.requests import READERS

TEXT = Path(__file__, "../../../docs/operations.md").resolve().read_text(encoding="utf-8")


def test_every_event_that_is_understood_has_a_row_in_the_docs() -> None:
    section = TEXT.partition("## What comes in\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|", section, flags=re.MULTILINE)
    assert rows == list(READERS)
