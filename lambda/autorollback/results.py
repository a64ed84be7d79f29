"""The answers of an invocation, and how they become JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from autorollback import codec
from autorollback.decision.before_deployment import DeploymentFinding
from autorollback.decision.facts import Revision
from autorollback.decision.formatting import shortened
from autorollback.decision.result import (
    CandidateSummary,
    CheckSummary,
    FindingSummary,
    IncidentRecord,
    Outcome,
    RequestError,
    Result,
    RevisionSummary,
    Severity,
    TargetSummary,
)
from autorollback.decision.verdicts import (
    Candidate,
    CandidateVerdict,
    FindingVerdict,
    Reason,
    RuleFinding,
)
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest

CANDIDATES_TOLD = 10

TEXT_LIMIT = 1500
"""Characters of a sentence in a result: a person's reason may have 1,000."""

EVIDENCE_LIMIT = 6000
"""Characters of all evidence; where it has more, each rule that passed has `PASSED_LIMIT`."""

PASSED_LIMIT = 200

CHECK_LIMIT = 300
"""Characters of what one check found; a candidate's detail has twice as many."""

CANDIDATES_LIMIT = 6000
"""Characters of the checks of all candidates together: a definition may have 10 containers and hundreds of secrets."""

BESIDE_A_DETAIL = 60
"""Characters of a check beside its detail."""


@dataclass(frozen=True, slots=True)
class Done:
    """What is neither a judgement nor an error.

    Attributes:
        summary: for people, where they are told of it.
        goes_to: the contract's `to`, where it is about a revision.
        severity: how urgent it is, where people are told of it.
    """

    detail: str
    summary: str | None = None
    cluster: str | None = None
    service: str | None = None
    goes_to: RevisionSummary | None = None
    incident_id: str | None = None
    severity: Severity = Severity.INFO

    @property
    def outcome(self) -> Outcome:
        """Always `done`."""
        return Outcome.DONE


@dataclass(frozen=True, slots=True)
class HistoryAnswer:
    """Past incidents, newest first, and where the next page begins."""

    incidents: tuple[IncidentRecord, ...]
    next: str | None


class FindingSeverity(StrEnum):
    """How bad a finding of the readiness audit is.

    It stands in the way of a rollback, might, or is told.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class ReadinessFinding:
    """What the readiness audit found of a service, and what to do about it."""

    check: str
    severity: FindingSeverity
    detail: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ServiceReadiness:
    """Whether a service could be rolled back now, and what was found."""

    key: ServiceKey
    findings: tuple[ReadinessFinding, ...]

    @property
    def ready(self) -> bool:
        """No finding stands in the way."""
        return all(finding.severity is not FindingSeverity.ERROR for finding in self.findings)


@dataclass(frozen=True, slots=True)
class ReadinessAnswer:
    """The readiness of some services; `not_looked_at` are those that there was no time for."""

    summary: str
    services: tuple[ServiceReadiness, ...]
    not_looked_at: tuple[ServiceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedAs:
    """What came of a judgement, in the words of the contract."""

    outcome: Outcome
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A past verdict with all that it rested on.

    And how this version judges the same.

    Attributes:
        facts: as the ledger keeps them.
        evidence, candidates: of the judgement by this version.
    """

    incident_id: str
    facts: Mapping[str, object]
    evidence: tuple[FindingSummary, ...]
    candidates: tuple[CandidateSummary, ...]
    then: JudgedAs
    now: JudgedAs


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What runs in a service and how it stands.

    What could not be read is None.

    Attributes:
        task_definition: what runs, as `family:revision`.
        since: when it began to serve.
        last_stable: what a rollback of the next deployment would go back to.
        incident_id: of the rollback whose recovery is being watched.
        paused_until: until when automatic rollbacks of it rest.
    """

    task_definition: str | None = None
    since: datetime | None = None
    last_stable: str | None = None
    incident_id: str | None = None
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One service of `status`, and whether it could be rolled back now."""

    key: ServiceKey
    state: ServiceState
    ready: bool


@dataclass(frozen=True, slots=True)
class StatusAnswer:
    """How services stand; `not_looked_at` are those that there was no time for."""

    services: tuple[StatusLine, ...]
    not_looked_at: tuple[ServiceKey, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """Whether a deployment may go ahead, as far as this controller knows."""

    findings: tuple[DeploymentFinding, ...]

    @property
    def clear(self) -> bool:
        """Nothing speaks against it."""
        return all(finding.passed for finding in self.findings)


Answer = Explanation | Result | Done | HistoryAnswer | ReadinessAnswer | StatusAnswer | CheckAnswer
Message = Result | Done
"""What people and machines are told of."""


def judged(
    outcome: Outcome,
    reason: Reason,
    summary: str,
    key: ServiceKey | None,
    evidence: Iterable[RuleFinding] = (),
    candidates: Iterable[Candidate] = (),
) -> Result:
    """The result of a judgement.

    It names the newest candidates, and says how many more there were.
    """
    considered = tuple(candidates)
    told = summaries_of(considered)
    return Result(
        outcome=outcome,
        reason=reason,
        summary=shortened(summary, TEXT_LIMIT),
        cluster=(key.cluster or None) if key else None,
        service=key.service if key else None,
        evidence=_evidence(tuple(evidence)),
        candidates=told,
        more_candidates=len(considered) - len(told),
    )


def _evidence(findings: Sequence[RuleFinding]) -> tuple[FindingSummary, ...]:
    """What the rules said; what spoke is told at length."""
    is_long = sum(len(finding.detail) for finding in findings) > EVIDENCE_LIMIT
    told: list[FindingSummary] = []
    for finding in findings:
        is_cut = is_long and finding.verdict is FindingVerdict.PASSED
        detail = shortened(finding.detail, PASSED_LIMIT if is_cut else TEXT_LIMIT)
        told.append(FindingSummary(finding.rule, finding.verdict, detail))
    return tuple(told)


def summaries_of(considered: Sequence[Candidate]) -> tuple[CandidateSummary, ...]:
    """The newest candidates, and what was chosen however far back.

    Where all of their checks would be too long, the oldest that were passed over lose theirs: why they were is in their detail.
    """
    told = list(considered[:CANDIDATES_TOLD])
    for candidate in considered[CANDIDATES_TOLD:]:
        if candidate.verdict is CandidateVerdict.CHOSEN:
            told[-1] = candidate

    summaries = [candidate_summary(candidate) for candidate in told]
    too_long = sum(map(_length, summaries)) - CANDIDATES_LIMIT
    for index in reversed(range(len(summaries))):
        summary = summaries[index]
        if too_long > 0 and summary.verdict is not CandidateVerdict.CHOSEN:
            summaries[index] = replace(summary, checks=())
            too_long -= _length(summary)
    return tuple(summaries)


def _length(summary: CandidateSummary) -> int:
    """Characters of its checks."""
    return sum(len(check.detail) + BESIDE_A_DETAIL for check in summary.checks)


def ignored(
    reason: Reason,
    detail: str,
    key: ServiceKey | None = None,
) -> Result:
    """Nothing to do, decided before any facts were read."""
    finding = RuleFinding(reason.value, FindingVerdict.IGNORE, detail)
    return judged(
        Outcome.IGNORED,
        reason,
        detail,
        key,
        (finding,),
    )


def rejected(error: BadRequest) -> Result:
    """The refusal of an input: a retry cannot help."""
    given = RequestError(error.field, error.given, error.allowed)
    return Result(
        Outcome.REJECTED,
        Reason.BAD_REQUEST,
        str(error),
        error=given,
    )


def revision_summary(revision: Revision | None) -> RevisionSummary | None:
    """A revision as people know it; None of none."""
    if revision is None:
        return None
    return RevisionSummary(revision.task_definition, dict(revision.images))


def target_summary(revision: Revision) -> TargetSummary:
    """The revision that is gone back to, as people know it."""
    return TargetSummary(revision.task_definition, dict(revision.images))


def to_json(answer: Answer) -> dict[str, object]:
    """An answer as the JSON object that the caller gets."""
    match answer:
        case Result():
            return codec.to_json(answer)
        case Done():
            return _done_json(answer)
        case HistoryAnswer():
            incidents = [_incident_json(incident) for incident in answer.incidents]
            return {"outcome": Outcome.DONE.value, "incidents": incidents, "next": answer.next}
        case ReadinessAnswer():
            return _readiness_json(answer)
        case Explanation():
            return _explanation_json(answer)
        case StatusAnswer():
            return _status_json(answer)
        case CheckAnswer():
            findings = [codec.to_json(finding) for finding in answer.findings]
            done = Outcome.DONE.value
            return {"outcome": done, "clear": answer.clear, "findings": findings}


def read_message(document: Mapping[str, object]) -> Message:
    """What people are told of, from its JSON.

    Raises:
        UnreadableValue: it is no result that `to_json` writes.
    """
    if document.get("outcome") != Outcome.DONE:
        return codec.from_json(document, Result)
    known = {
        name: value for name, value in document.items() if name not in ("outcome", "from", "to")
    }
    goes_to = document.get("to")
    if goes_to is not None:
        known["goes_to"] = goes_to
    return codec.from_json(known, Done)


def _done_json(done: Done) -> dict[str, object]:
    """Only what is known: most of these answers have a detail and nothing else."""
    written: dict[str, object] = {"outcome": Outcome.DONE.value, "detail": done.detail}
    known: Mapping[str, object | None] = {
        "summary": done.summary,
        "cluster": done.cluster,
        "service": done.service,
        "incident_id": done.incident_id,
        "severity": done.severity.value if done.summary else None,
    }
    for name, value in known.items():
        if value is not None:
            written[name] = value
    if done.goes_to is not None:
        written["from"] = None
        written["to"] = codec.to_json(done.goes_to)
    return written


def _incident_json(incident: IncidentRecord) -> dict[str, object]:
    closed_at = incident.closed_at.isoformat() if incident.closed_at else None
    written = codec.to_json(incident.result)
    written["opened_at"] = incident.opened_at.isoformat()
    written["closed_at"] = closed_at
    return written


def _readiness_json(answer: ReadinessAnswer) -> dict[str, object]:
    written: dict[str, object] = {
        "outcome": Outcome.DONE.value,
        "summary": answer.summary,
        "services": [readiness_json(service) for service in answer.services],
    }
    return _with_not_looked_at(written, answer.not_looked_at)


def _with_not_looked_at(
    written: dict[str, object],
    left: Sequence[ServiceKey],
) -> dict[str, object]:
    """The answer that says which services there was no time for, where there are such."""
    if left:
        written["not_looked_at"] = [str(key) for key in left]
    return written


def _status_json(answer: StatusAnswer) -> dict[str, object]:
    services: list[object] = []
    for line in answer.services:
        state = codec.to_json(line.state)
        key = line.key
        services.append(
            {"cluster": key.cluster, "service": key.service, **state, "ready": line.ready}
        )
    written: dict[str, object] = {"outcome": Outcome.DONE.value, "services": services}
    return _with_not_looked_at(written, answer.not_looked_at)


def readiness_json(service: ServiceReadiness) -> dict[str, object]:
    """The readiness of one service, in the shape of the contract."""
    return {
        "cluster": service.key.cluster,
        "service": service.key.service,
        "ready": service.ready,
        "findings": [codec.to_json(finding) for finding in service.findings],
    }


def _explanation_json(explanation: Explanation) -> dict[str, object]:
    return {
        "outcome": Outcome.DONE.value,
        "incident_id": explanation.incident_id,
        "facts": dict(explanation.facts),
        "evidence": [codec.to_json(finding) for finding in explanation.evidence],
        "candidates": [codec.to_json(candidate) for candidate in explanation.candidates],
        "then": codec.to_json(explanation.then),
        "now": codec.to_json(explanation.now),
        "alike": explanation.then == explanation.now,
    }


def candidate_summary(candidate: Candidate) -> CandidateSummary:
    """A candidate as results tell it."""
    checks: list[CheckSummary] = []
    for check in candidate.checks:
        detail = shortened(check.detail, CHECK_LIMIT)
        checks.append(CheckSummary(check.name, check.passed, detail))
    return CandidateSummary(
        candidate.revision.task_definition,
        candidate.verdict,
        shortened(candidate.detail, 2 * CHECK_LIMIT),
        tuple(checks),
    )
