"""The order of judgement: the first rule that speaks, wins, and every rule that was asked leaves its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NoReturn, TypeVar

from autorollback.decision import blame, stability
from autorollback.decision.blame import Passed, Suspicion
from autorollback.decision.model import (
    Candidate,
    Deployment,
    Evidence,
    Facts,
    Hold,
    Ignore,
    Judgement,
    Reason,
    Revision,
    RollBack,
    TriggerKind,
    Verdict,
)
from autorollback.policy import Policy

Answer = TypeVar("Answer", Passed, Suspicion)


@dataclass(slots=True)
class _Spoken(Exception):  # noqa: N818 - a verdict is not an error; it ends the hearing wherever it is spoken
    verdict: Verdict


@dataclass(slots=True)
class _Hearing:
    """Asks one rule after another, keeps what each said, and ends at the first verdict."""

    evidence: list[Evidence] = field(default_factory=list)

    def ask(self, rule: str, answer: Answer | Hold | Ignore) -> Answer:
        if isinstance(answer, Hold | Ignore):
            self.end(answer)
        self.evidence.append(Evidence(rule, "passed", answer.detail))
        return answer

    def end(self, verdict: Hold | Ignore) -> NoReturn:
        self.evidence.append(
            Evidence(verdict.reason, "hold" if isinstance(verdict, Hold) else "ignore", verdict.detail)
        )
        raise _Spoken(verdict)


def decide(facts: Facts, policy: Policy, now: datetime) -> Judgement:
    """Is the newest deployment to blame, and where to go back to? A pure function of its arguments.

    `policy.mode` observe changes nothing here: whether a verdict is acted on is the caller's.
    """
    hearing, considered = _Hearing(), tuple[Candidate, ...]()
    try:
        hearing.ask("paused", blame.asleep(facts, policy, now))
        hearing.ask("no_longer_in_alarm", blame.still_true(facts))
        hearing.ask("service_inactive", blame.can_be_rolled_back(facts))
        hearing.ask("already_handled", blame.not_handled(facts, policy, now))
        suspicion = hearing.ask("no_recent_deployment", blame.find_suspect(facts, policy, now))
        if facts.trigger.kind is TriggerKind.ALARM:
            suspicion = hearing.ask("alarm_predates_deployment", blame.convict(suspicion, facts, policy, now))
            hearing.ask("alarm_is_flapping", blame.calm_before(suspicion, policy))
        else:
            hearing.ask("still_serving", blame.still_serving(suspicion, facts))
        hearing.ask("shared_cause", blame.not_shared(suspicion, facts, policy))
        hearing.ask("irreversible_change", blame.reversible(suspicion, facts))
        newest = facts.deployments[0]
        hearing.ask("rollback_limit_reached", blame.within_limit(facts, policy, now, newest))
        considered = stability.candidates(
            facts, policy, now, suspicion.suspect, facts.revision(suspicion.suspect.target)
        )
        stable = _stable_or_hold(hearing, considered, suspicion.suspect)
        hearing.ask("irreversible_change", blame.reversible(suspicion, facts, stable[0].between))
    except _Spoken as spoken:
        return Judgement(spoken.verdict, tuple(hearing.evidence), considered)
    reason = _REASONS[facts.trigger.kind]
    hearing.evidence.append(Evidence(reason, "roll_back", suspicion.detail))
    verdict = RollBack(reason, suspicion.detail, suspicion.suspect, newest, stable, suspicion.onset)
    return Judgement(verdict, tuple(hearing.evidence), considered)


def choose_for_person(facts: Facts, policy: Policy, now: datetime) -> Judgement:
    """Where a person's rollback without a named revision goes: the last stable revision before what runs. Nobody is blamed."""
    hearing, considered = _Hearing(), tuple[Candidate, ...]()
    try:
        hearing.ask("service_inactive", blame.can_be_rolled_back(facts))
        undone = undone_by_person(facts)
        if undone is None:
            hearing.end(Hold(Reason.NO_STABLE_REVISION, "AWS has no deployment of this service on record"))
        deployment, running = undone
        considered = stability.candidates(facts, policy, now, deployment, running)
        stable = _stable_or_hold(hearing, considered, deployment)
    except _Spoken as spoken:
        return Judgement(spoken.verdict, tuple(hearing.evidence), considered)
    detail = "a person asked for it"
    hearing.evidence.append(Evidence(Reason.REQUESTED, "roll_back", detail))
    verdict = RollBack(Reason.REQUESTED, detail, deployment, facts.deployments[0], stable)
    return Judgement(verdict, tuple(hearing.evidence), considered)


def undone_by_person(facts: Facts) -> tuple[Deployment, Revision | None] | None:
    """The deployment that a person's rollback undoes, and what it brought: the one that made what runs now.

    Restarts of the same identity are passed over. None without a deployment on record.
    """
    chosen = blame.newest_deployment(facts)
    if chosen is None:
        return None
    running = facts.revision(chosen.leaves or chosen.target)
    for index, deployment in enumerate(facts.deployments):
        chosen, source = deployment, blame.running_before(facts, index)
        if source is None or running is None or source.identity != running.identity:
            break
    return chosen, running


def _stable_or_hold(hearing: _Hearing, considered: Sequence[Candidate], suspect: Deployment) -> tuple[Candidate, ...]:
    stable = tuple(c for c in considered if c.verdict == "stable")
    if not stable:
        looked_at = "; ".join(f"{c.revision.task_definition}: {c.detail}" for c in considered[:3])
        detail = f"no revision before this deployment is known to have run well{': ' if looked_at else ''}{looked_at}"
        hearing.end(Hold(Reason.NO_STABLE_REVISION, detail, suspect))
    hearing.ask("no_stable_revision", Passed(f"{stable[0].revision.task_definition}: {stable[0].detail}"))
    return stable


_REASONS = {
    TriggerKind.ALARM: Reason.ALARM_AFTER_DEPLOYMENT,
    TriggerKind.TASKS_CANNOT_START: Reason.TASKS_CANNOT_START,
    TriggerKind.DEPLOYMENT_FAILED: Reason.DEPLOYMENT_FAILED,
}
