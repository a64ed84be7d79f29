"""What may be answered: verdicts with their reasons, and the findings they rest on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from autorollback.decision.facts import Deployment, Revision


class Reason(StrEnum):
    """The words that tests, metrics and runbooks rely on."""

    ALARM_AFTER_DEPLOYMENT = "alarm_after_deployment"
    TASKS_CANNOT_START = "tasks_cannot_start"
    DEPLOYMENT_FAILED = "deployment_failed"
    REQUESTED = "requested"

    NO_RECENT_DEPLOYMENT = "no_recent_deployment"
    ONLY_SETTINGS_CHANGED = "only_settings_changed"
    ALARM_PREDATES_DEPLOYMENT = "alarm_predates_deployment"
    ALARM_IS_FLAPPING = "alarm_is_flapping"
    SHARED_CAUSE = "shared_cause"
    DEPLOYMENT_IS_A_ROLLBACK = "deployment_is_a_rollback"
    PINNED_BY_HUMAN = "pinned_by_human"
    NO_STABLE_REVISION = "no_stable_revision"
    NO_CANDIDATE_PASSES_PREFLIGHT = "no_candidate_passes_preflight"
    IRREVERSIBLE_CHANGE = "irreversible_change"
    ROLLBACK_LIMIT_REACHED = "rollback_limit_reached"
    UNSUPPORTED_DEPLOYMENT_CONTROLLER = "unsupported_deployment_controller"
    SERVICE_INACTIVE = "service_inactive"
    STILL_SERVING = "still_serving"
    SLOW_START = "slow_start"
    NOT_SERVING_YET = "not_serving_yet"
    REFUSED_BY_AWS = "refused_by_aws"
    CAPACITY_LOST = "capacity_lost"

    NOT_IN_ALARM = "not_in_alarm"
    NO_LONGER_IN_ALARM = "no_longer_in_alarm"
    UNPROTECTED_SERVICE = "unprotected_service"
    MUTED = "muted"
    PAUSED = "paused"
    HANDLED_BY_ECS = "handled_by_ecs"
    ALREADY_HANDLED = "already_handled"
    ALREADY_RUNNING = "already_running"
    SUPERSEDED = "superseded"

    BAD_REQUEST = "bad_request"


NOT_ANNOUNCED = frozenset({Reason.SLOW_START, Reason.NOT_SERVING_YET})
"""Holds that people are not told of; the sweep asks again."""


class FindingVerdict(StrEnum):
    """What one rule said; `passed` is nothing to object."""

    PASSED = "passed"
    HOLD = "hold"
    IGNORE = "ignore"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule said, and on what grounds. `rule` is its name, of the rules or a reason."""

    rule: str
    verdict: FindingVerdict
    detail: str


class CheckName(StrEnum):
    """The checks of the preflight, by the names that results carry."""

    IMAGE_PRESENT = "image_present"
    HAS_RUN_HERE = "has_run_here"
    SECRETS_PRESENT = "secrets_present"
    ROLES_PRESENT = "roles_present"
    FAMILY_GRANTED = "family_granted"
    DEFINITION_USABLE = "definition_usable"
    SETTINGS_MATCH = "settings_match"
    NEEDS = "needs"
    PREFLIGHT = "preflight"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding of the preflight about a candidate.

    Attributes:
        passed: None where it could not be checked, which fails nobody.
        needs_copy: the candidate can only be brought back as a pinned copy.
        denied: it could not be checked because this function may not ask.
        changed_since_run: names of secrets or parameters that changed after the candidate last ran.
    """

    name: CheckName
    passed: bool | None
    detail: str
    needs_copy: bool = False
    changed_since_run: tuple[str, ...] = ()
    denied: bool = False


class CandidateVerdict(StrEnum):
    """What came of a revision that was considered as the target."""

    STABLE = "stable"
    CHOSEN = "chosen"
    PASSED_OVER = "passed_over"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A revision that was considered as the target.

    `detail` says why it is what it is.

    Attributes:
        between: the revisions deployed after it, up to the newest; None for one that could not be described.
        ran_until: when it last ran, where that is known.
    """

    revision: Revision
    verdict: CandidateVerdict
    detail: str
    checks: tuple[Check, ...] = ()
    between: tuple[Revision | None, ...] = ()
    ran_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RollBack:
    """The deployment is to blame, and there is somewhere to go.

    Attributes:
        suspect: the deployment that is blamed.
        newest: the service's newest deployment, by which the act is claimed.
        candidates: stable revisions, best first; the preflight takes the first that passes.
        onset: when the trouble began; None where a person asked.
        signal: of the alarm that convicted; None where none did.
    """

    reason: Reason
    detail: str
    suspect: Deployment
    newest: Deployment
    candidates: tuple[Candidate, ...]
    onset: datetime | None = None
    signal: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """Something is wrong and acting would not be right: a person decides.

    `suspect` is the deployment that it would have been about.

    Attributes:
        asks_again: nobody is told of it; the sweep asks again, when more is known.
        waiting: names of the red alarms that have no verdict of their own yet, for the same reason.
        long_ago: the deployment ended too long before the trouble to be suspect.
    """

    reason: Reason
    detail: str
    suspect: Deployment | None = None
    asks_again: bool = False
    waiting: tuple[str, ...] = ()
    long_ago: bool = False

    @property
    def is_announced(self) -> bool:
        """Whether people are told of it."""
        return not self.asks_again and self.reason not in NOT_ANNOUNCED


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing to do, and nobody need be told."""

    reason: Reason
    detail: str


Verdict = RollBack | Hold | Ignore


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and what it rests on.

    The findings of every rule that was asked, and every candidate looked at.
    """

    verdict: Verdict
    evidence: tuple[RuleFinding, ...] = ()
    candidates: tuple[Candidate, ...] = ()
