"""The result of a judgement or a rollback.

Callers, the ledger, people and events get the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from autorollback.decision.verdicts import CandidateVerdict, CheckName, FindingVerdict, Reason


class Outcome(StrEnum):
    """What came of an invocation."""

    ROLLED_BACK = "rolled_back"
    WOULD_ROLL_BACK = "would_roll_back"
    HELD = "held"
    IGNORED = "ignored"
    REJECTED = "rejected"
    DONE = "done"
    FAILED = "failed"


class IncidentState(StrEnum):
    """Where an incident stands, as results tell it. A claim that has not acted has none."""

    OPEN = "open"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    SUPERSEDED = "superseded"


class Severity(StrEnum):
    """How urgent a message is.

    It burns and nobody acts, a person has to decide, or something is to be known.
    """

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class RevisionSummary:
    """A revision as people know it: `family:revision`, and the digests of its images.

    `images` maps containers to digests; None where AWS recorded none.
    """

    task_definition: str
    images: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """The revision that is gone back to. `restored_as` names the copy, where one was registered."""

    task_definition: str
    images: Mapping[str, str | None] = field(default_factory=dict)
    restored_as: str | None = None


@dataclass(frozen=True, slots=True)
class FindingSummary:
    """What one rule said."""

    rule: str
    verdict: FindingVerdict
    detail: str


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What one check of the preflight found.

    `passed` is None where it could not be asked.
    """

    check: CheckName
    passed: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class CandidateSummary:
    """A revision that was considered as the target.

    `detail` says why it was chosen or passed over.
    """

    task_definition: str
    verdict: CandidateVerdict
    detail: str
    checks: tuple[CheckSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class RequestError:
    """What was wrong with an input: the field, what was given, and what is allowed."""

    field: str
    given: object
    allowed: str


@dataclass(frozen=True, slots=True)
class LookAt:
    """Another protected service that was deployed shortly before the trouble, and what to.

    Attributes:
        at: when its deployment finished, or began where it has not.
        depends_on: whether the service of the result calls it.
    """

    cluster: str
    service: str
    task_definition: str
    at: datetime
    depends_on: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """The one result object.

    Of a judgement, of a person's rollback and of an incident's end.

    Attributes:
        came_from, goes_to: the contract's `from` and `to`.
        more_candidates: how many were considered beside those that are named.
        time_to_rollback_seconds: from the first breaching datapoint to the act, once acted.
        time_to_recover_seconds: from the rollback to the moment when all was calm, once recovered.
        look_at: other protected services that were deployed shortly before the trouble, of what is held.
        escalated: an alarm is red, and nobody acts. It is told by the severity alone.
        error: of a rejected input only.
        requested_by: what the person who asked says of himself; nobody has checked it.
    """

    outcome: Outcome
    reason: Reason | None
    summary: str
    cluster: str | None = None
    service: str | None = None
    came_from: RevisionSummary | None = None
    goes_to: TargetSummary | None = None
    evidence: tuple[FindingSummary, ...] = ()
    candidates: tuple[CandidateSummary, ...] = ()
    more_candidates: int = 0
    incident_id: str | None = None
    incident_state: IncidentState | None = None
    time_to_rollback_seconds: int | None = None
    time_to_recover_seconds: int | None = None
    error: RequestError | None = None
    requested_by: str | None = None
    look_at: tuple[LookAt, ...] = ()
    escalated: bool = False

    @property
    def severity(self) -> Severity:
        """How urgent it is: whether an alarm may still be red while nobody acts."""
        if self.escalated or self.outcome is Outcome.FAILED:
            return Severity.CRITICAL
        if self.incident_state is IncidentState.NOT_RECOVERED:
            return Severity.CRITICAL
        return Severity.WARNING if self.outcome is Outcome.HELD else Severity.INFO

    def restored_as(self, copy: str) -> "Result":
        """The result that names the pinned copy which is deployed in place of the target."""
        if self.goes_to is None:
            raise ValueError("a result without a target has no copy of it")
        return replace(self, goes_to=replace(self.goes_to, restored_as=copy))


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """A past incident, as `history` tells it."""

    result: Result
    opened_at: datetime
    closed_at: datetime | None
