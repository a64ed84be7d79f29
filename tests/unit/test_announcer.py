"""What people read at night, and what machines get."""

from dataclasses import replace
from typing import Any

import pytest

from autorollback.decision.result import (
    FindingSummary,
    IncidentState,
    Outcome,
    Result,
    RevisionSummary,
    TargetSummary,
)
from autorollback.decision.verdicts import FindingVerdict, Reason
from autorollback.message_text import SUBJECT_LIMIT, night_message, subject
from autorollback.results import Done

ROLLED_BACK = Result(
    Outcome.ROLLED_BACK,
    Reason.ALARM_AFTER_DEPLOYMENT,
    "auth-service rolled back from auth-service:19 to auth-service:18: 5xx-rate fired 4 min after the deployment; :18 served 6 d.",
    "my-cluster",
    "auth-service",
    came_from=RevisionSummary("auth-service:19"),
    goes_to=TargetSummary("auth-service:18", restored_as="auth-service:20"),
    evidence=(
        FindingSummary("paused", FindingVerdict.PASSED, "not paused"),
        FindingSummary(
            "alarm_after_deployment",
            FindingVerdict.ROLL_BACK,
            "5xx-rate fired 4 min after the deployment",
        ),
    ),
    incident_id="my-cluster/auth-service/2026-03-10/abc",
    incident_state=IncidentState.OPEN,
)


def test_the_night_message_says_what_from_to_why_whether_it_is_better_what_next_and_how_to_undo() -> (
    None
):
    assert night_message(ROLLED_BACK).splitlines() == [
        ROLLED_BACK.summary,
        "",
        "From:    auth-service:19",
        "To:      auth-service:18 (restored as auth-service:20)",
        "Why:     5xx-rate fired 4 min after the deployment",
        "Note:    auth-service:20 names its images by digest; a tool that rewrites image:tag",
        "         of what runs breaks on that. Deploy from your own definition.",
        "Better:  too early to say; its recovery is being watched",
        "Next:    you will be told how it ended; nothing to do until then",
        "Undo:    ./rollback.sh auth-service 19 --cluster my-cluster --reason undo",
        "",
        "Incident my-cluster/auth-service/2026-03-10/abc",
    ]


def test_the_commands_name_the_installation_that_speaks() -> None:
    assert "--cluster my-cluster --name blue --reason undo" in night_message(ROLLED_BACK, "blue")


def test_no_command_to_undo_names_a_number_of_another_family() -> None:
    """The script would take it for one of the family that runs then, and deploy that."""
    moved = replace(ROLLED_BACK, came_from=RevisionSummary("auth-v2:3"))
    lines = night_message(moved).splitlines()
    assert "Undo:    deploy auth-v2:3 yourself: it is of another family" in lines
    assert "rollback.sh" not in night_message(moved)


def test_where_aws_refused_the_next_step_is_another_revision() -> None:
    refused = replace(
        ROLLED_BACK,
        outcome=Outcome.HELD,
        reason=Reason.REFUSED_BY_AWS,
        incident_state=None,
        escalated=True,
    )
    letter = night_message(refused)
    assert subject(refused).startswith("[HELD] my-cluster/auth-service: refused by aws")
    assert "mend what AWS says above, or go to another revision:" in letter
    assert "./rollback.sh auth-service REVISION --cluster my-cluster" in letter
    assert "--plan" not in letter


@pytest.mark.parametrize(
    ("changed", "word", "how_grave", "says"),
    [
        pytest.param({}, "ROLLED BACK", "info", "being watched", id="rolled back"),
        pytest.param({"incident_state": IncidentState.RECOVERED}, "RECOVERED", "info", "nothing tonight", id="recovered"),
        pytest.param(
            {"incident_state": IncidentState.NOT_RECOVERED},
            "NOT RECOVERED",
            "critical",
            "nothing will be rolled back further",
            id="not recovered",
        ),
        pytest.param({"incident_state": IncidentState.SUPERSEDED}, "SUPERSEDED", "info", "somebody has deployed", id="superseded"),
        pytest.param(
            {"outcome": Outcome.HELD, "incident_state": None}, "HELD", "warning", "a person decides", id="held: a person decides"
        ),
        pytest.param(
            {"outcome": Outcome.WOULD_ROLL_BACK, "incident_state": None},
            "WOULD ROLL BACK",
            "info",
            "nothing was changed",
            id="observed",
        ),
        pytest.param(
            {"outcome": Outcome.FAILED, "incident_state": None},
            "FAILED",
            "critical",
            "runs what it ran before",
            id="failed",
        ),
        pytest.param(
            {"outcome": Outcome.HELD, "incident_state": None, "escalated": True},
            "STILL IN ALARM",
            "critical",
            "nobody acts",
            id="held, and red ever since",
        ),
        pytest.param(
            {"incident_state": IncidentState.SUPERSEDED, "escalated": True},
            "STILL IN ALARM",
            "critical",
            "nobody acts",
            id="superseded, and red ever since",
        ),
    ],
)  # fmt: skip
def test_subject_severity_and_advice_follow_what_happened(
    changed: dict[str, Any], word: str, how_grave: str, says: str
) -> None:
    result = replace(ROLLED_BACK, **changed)
    assert subject(result) == f"[{word}] my-cluster/auth-service: alarm after deployment"
    assert result.severity == how_grave
    assert says in night_message(result)


def test_a_subject_is_what_sns_takes() -> None:
    long = subject(replace(ROLLED_BACK, service="zahlungsdienst-für-überweisungen-" + "x" * 100))
    assert len(long) <= SUBJECT_LIMIT
    assert long.isascii()
    assert "\n" not in long


def test_the_return_of_a_quarantined_build_is_told_with_the_way_back() -> None:
    detail = "auth:19 runs in my-cluster/auth-service again"
    message = Done(detail, f"{detail}.", "my-cluster", "auth-service", RevisionSummary("auth:19"))
    assert subject(message).startswith(
        "[BACK FROM QUARANTINE] my-cluster/auth-service: a build that was rolled back from"
    )
    assert (
        night_message(message).splitlines()[-1].strip()
        == "./rollback.sh auth-service --cluster my-cluster"
    )
