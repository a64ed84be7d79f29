"""The result object: one shape, whoever asks and whatever comes of it."""

from autorollback import results
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest

SHAPE = {
    "outcome", "reason", "summary", "cluster", "service", "from", "to", "evidence", "candidates",
    "incident_id", "incident_state",
}  # fmt: skip


def test_no_key_is_missing_from_any_result() -> None:
    key = ServiceKey("shop", "auth")
    assert results.judged("held", Reason.SHARED_CAUSE, "why", key).keys() == SHAPE
    assert results.ignored(Reason.PAUSED, "why", key).keys() == SHAPE
    assert results.ignored(Reason.UNPROTECTED_SERVICE, "why").keys() == SHAPE
    assert results.rejected(BadRequest("revison", 18, "revision")).keys() == SHAPE | {"error"}


def test_what_was_ignored_before_any_fact_was_read_says_why_all_the_same() -> None:
    (evidence,) = results.ignored(Reason.MUTED, "by a mute rule")["evidence"]
    assert evidence == {"rule": "muted", "verdict": "ignore", "detail": "by a mute rule"}
