"""What the rules are given, and what they may answer."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.decision.facts import Alarm, Deployment, Facts, Quarantine
from autorollback.decision.question import Question
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Hold, Ignore, RuleFinding
from autorollback.policy import Policy


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule has nothing to object.

    `detail` is what it looked at, in words.
    """

    detail: str


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The deployment that may be to blame, and since when there is trouble.

    Attributes:
        alarm: the one that says so, where one does.
        known_bad: the quarantined build that the suspect brings back, where it does.
        grain: how finely the onset is known.
    """

    suspect: Deployment
    onset: datetime
    detail: str
    alarm: Alarm | None = None
    known_bad: Quarantine | None = None
    grain: timedelta = timedelta()


@dataclass(frozen=True, slots=True)
class Considered:
    """What was looked at as the target.

    `detail` names the first that is stable, or says why none is.
    """

    candidates: tuple[Candidate, ...]
    detail: str


Answer = Passed | Suspicion | Considered | Hold | Ignore


@dataclass(frozen=True, slots=True)
class Case:
    """One question to the judgement, and what the rules have found so far."""

    question: Question
    suspicion: Suspicion | None = None
    considered: tuple[Candidate, ...] = ()
    evidence: tuple[RuleFinding, ...] = ()

    @property
    def facts(self) -> Facts:
        """What is known."""
        return self.question.facts

    @property
    def policy(self) -> Policy:
        """How the service is judged."""
        return self.question.policy

    @property
    def now(self) -> datetime:
        """The moment of the judgement."""
        return self.question.now

    @property
    def blamed(self) -> Suspicion:
        """The suspicion, for the rules that come after it."""
        if self.suspicion is None:
            raise ValueError("this rule is asked only of a suspect")
        return self.suspicion

    @property
    def stable(self) -> tuple[Candidate, ...]:
        """The candidates that ran well, best first."""
        return tuple(c for c in self.considered if c.verdict is CandidateVerdict.STABLE)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of judgement: the name that evidence carries, and the question it asks.

    `ask` answers `Passed` or what it found, or the verdict that it speaks.
    """

    name: str
    ask: Callable[[Case], Answer]
