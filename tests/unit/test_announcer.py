"""What people read at night, and what machines get."""

from collections.abc import Mapping
from typing import Any

import pytest

from autorollback.aws.announcer import SUBJECT_LIMIT, night_message, severity, subject

ROLLED_BACK: Mapping[str, Any] = {
    "outcome": "rolled_back",
    "reason": "alarm_after_deployment",
    "summary": "auth-service rolled back from auth-service:19 to auth-service:18: 5xx-rate fired 4 min after the deployment; :18 served 6 d.",
    "cluster": "my-cluster",
    "service": "auth-service",
    "from": {"task_definition": "auth-service:19", "images": {}},
    "to": {"task_definition": "auth-service:18", "images": {}, "restored_as": "auth-service:20"},
    "evidence": [
        {"rule": "paused", "verdict": "passed", "detail": "not paused"},
        {"rule": "alarm_after_deployment", "verdict": "roll_back", "detail": "5xx-rate fired 4 min after the deployment"},
    ],
    "candidates": [],
    "incident_id": "my-cluster/auth-service/2026-03-10/abc",
    "incident_state": "open",
}  # fmt: skip


def test_the_night_message_says_what_from_to_why_whether_it_is_better_what_next_and_how_to_undo() -> None:
    assert night_message(ROLLED_BACK).splitlines() == [
        ROLLED_BACK["summary"],
        "",
        "From:    auth-service:19",
        "To:      auth-service:18 (restored as auth-service:20)",
        "Why:     5xx-rate fired 4 min after the deployment",
        "Better:  too early to say; its recovery is being watched",
        "Next:    you will be told how it ended; nothing to do until then",
        "Undo:    ./rollback.sh auth-service 19 --cluster my-cluster --reason undo",
        "",
        "Incident my-cluster/auth-service/2026-03-10/abc",
    ]


def test_the_commands_name_the_installation_that_speaks() -> None:
    assert "--cluster my-cluster --name blue --reason undo" in night_message(ROLLED_BACK, "blue")


@pytest.mark.parametrize(
    ("changed", "word", "how_grave", "says"),
    [
        pytest.param({}, "ROLLED BACK", "warning", "being watched", id="rolled back"),
        pytest.param({"incident_state": "recovered"}, "RECOVERED", "info", "nothing tonight", id="recovered"),
        pytest.param(
            {"incident_state": "not_recovered"},
            "NOT RECOVERED",
            "critical",
            "nothing will be rolled back further",
            id="not recovered",
        ),
        pytest.param({"incident_state": "superseded"}, "SUPERSEDED", "info", "somebody has deployed", id="superseded"),
        pytest.param(
            {"outcome": "held", "incident_state": None}, "HELD", "warning", "a person decides", id="held: a person decides"
        ),
        pytest.param(
            {"outcome": "would_roll_back", "incident_state": None},
            "WOULD ROLL BACK",
            "warning",
            "nothing was changed",
            id="observed",
        ),
        pytest.param(
            {"outcome": "failed", "incident_state": "failed"},
            "FAILED",
            "critical",
            "runs what it ran before",
            id="failed",
        ),
    ],
)  # fmt: skip
def test_subject_severity_and_advice_follow_what_happened(
    changed: Mapping[str, Any], word: str, how_grave: str, says: str
) -> None:
    result = {**ROLLED_BACK, **changed}
    assert subject(result) == f"[{word}] my-cluster/auth-service: alarm after deployment"
    assert severity(result) == how_grave
    assert says in night_message(result)


def test_a_subject_is_what_sns_takes() -> None:
    long = subject({**ROLLED_BACK, "service": "zahlungsdienst-für-überweisungen-" + "x" * 100})
    assert len(long) <= SUBJECT_LIMIT
    assert long.isascii()
    assert "\n" not in long
