"""What ./rollback.sh makes of an answer: its words and its exit code, whatever the answer has."""

import json
import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__, "../../../rollback.sh").resolve()
AWS = """#!/bin/sh
for last; do :; done
printf '%s' "$ANSWER" > "$last"
echo None
"""


def answered(tmp_path: Path, answer: object) -> tuple[int, str]:
    """What the script says, and how it ends, where the function answers so."""
    command = tmp_path / "aws"
    command.write_text(AWS, encoding="utf-8")
    command.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "ANSWER": json.dumps(answer),
    }
    ran = subprocess.run(
        [SCRIPT, "auth-service", "--yes"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"outcome": "rolled_back", "summary": "to :18"}, 0, "Rolled back: to :18\n"),
        ({"outcome": "rolled_back", "summary": "to :18", "evidence": []}, 0, "Rolled back: "),
        ({"outcome": "held", "summary": "not now"}, 2, "Held: not now\n"),
        ({"outcome": "ignored", "reason": None, "summary": "no"}, 2, "Not rolled back: no\n"),
        ({"outcome": "done"}, 0, "Begun: \n"),
        ({"unheard": "of"}, 1, "The function answered what this script does not understand"),
        ("neither", 1, "The function answered what this script does not understand"),
    ],
)
def test_an_answer_without_evidence_or_reason_is_told_all_the_same(
    tmp_path: Path, answer: object, code: int, said: str
) -> None:
    assert answered(tmp_path, answer)[0] == code
    assert said in answered(tmp_path, answer)[1]
