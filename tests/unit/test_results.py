"""The result object: one shape, whoever asks and whatever comes of it."""

from autorollback import results
from autorollback.decision.result import Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest

SHAPE = {
    "outcome", "reason", "summary", "cluster", "service", "from", "to", "evidence", "candidates",
    "incident_id", "incident_state", "severity", "look_at",
}  # fmt: skip


def shape(result: Result) -> set[str]:
    return set(results.to_json(result))


def test_no_key_is_missing_from_any_result() -> None:
    key = ServiceKey("shop", "auth")
    assert shape(results.judged(Outcome.HELD, Reason.SHARED_CAUSE, "why", key)) == SHAPE
    assert shape(results.ignored(Reason.PAUSED, "why", key)) == SHAPE
    assert shape(results.ignored(Reason.UNPROTECTED_SERVICE, "why")) == SHAPE
    assert shape(results.rejected(BadRequest("revison", 18, "revision"))) == SHAPE | {"error"}


def test_what_was_ignored_before_any_fact_was_read_says_why_all_the_same() -> None:
    result = results.to_json(results.ignored(Reason.MUTED, "by a mute rule"))
    assert result["evidence"] == [
        {"rule": "muted", "verdict": "ignore", "detail": "by a mute rule"}
    ]
