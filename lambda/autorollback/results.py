"""The result object: what a caller gets back, the ledger keeps, and people and events are told. Always the same one."""

from collections.abc import Sequence
from typing import Any

from autorollback.decision.model import Candidate, Evidence, Reason, Revision
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest

Result = dict[str, Any]


def judged(
    outcome: str,
    reason: Reason,
    summary: str,
    key: ServiceKey | None,
    *,
    from_: Revision | None = None,
    to: Revision | None = None,
    restored_as: str | None = None,
    evidence: Sequence[Evidence] = (),
    candidates: Sequence[Candidate] = (),
    incident_id: str | None = None,
    incident_state: str | None = None,
) -> Result:
    """The result of a judgement, or of a person's rollback, in the shape of the contract: no key is ever missing."""
    return {
        "outcome": outcome,
        "reason": reason.value,
        "summary": summary,
        "cluster": (key.cluster or None) if key else None,
        "service": key.service if key else None,
        "from": revision(from_),
        "to": {**target, "restored_as": restored_as} if (target := revision(to)) else None,
        "evidence": [{"rule": str(e.rule), "verdict": e.verdict, "detail": e.detail} for e in evidence],
        "candidates": [_candidate(c) for c in candidates],
        "incident_id": incident_id,
        "incident_state": incident_state,
    }


def revision(given: Revision | None) -> Result | None:
    """A revision as people know it: `family:revision` and the digests of its images."""
    return None if given is None else {"task_definition": given.task_definition, "images": dict(given.images)}


def rejected(error: BadRequest) -> Result:
    """The refusal of an input: a retry cannot help."""
    refusal = {"field": error.field, "given": error.given, "allowed": error.allowed}
    return {**judged("rejected", Reason.BAD_REQUEST, str(error), None), "error": refusal}


def ignored(reason: Reason, detail: str, key: ServiceKey | None = None) -> Result:
    """Nothing to do, decided before any facts were read."""
    return judged("ignored", reason, detail, key, evidence=(Evidence(reason, "ignore", detail),))


def done(detail: str, **more: Any) -> Result:
    """What is neither a judgement nor an error."""
    return {"outcome": "done", "detail": detail, **more}


def _candidate(candidate: Candidate) -> Result:
    return {
        "task_definition": candidate.revision.task_definition,
        "verdict": candidate.verdict,
        "detail": candidate.detail,
        "checks": [{"check": c.check, "passed": c.passed, "detail": c.detail} for c in candidate.checks],
    }
