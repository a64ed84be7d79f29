"""Rule 4: did the trouble start after the deployment? The alarm that fired is asked first, then the other red ones."""

from dataclasses import replace
from datetime import datetime

from autorollback.decision.alarm_order import after_words, before_words, began_before, predates
from autorollback.decision.case import Case, Rule, Suspicion
from autorollback.decision.changes import is_restart, is_return, name_of, not_described
from autorollback.decision.facts import Alarm, Deployment, Facts, Status
from autorollback.decision.quarantine import words_of
from autorollback.decision.question import Question
from autorollback.decision.rules.capacity_lost import capacity_lost
from autorollback.decision.rules.slow_start import UNHEALTHY_TARGETS, slow_start
from autorollback.decision.verdicts import Hold, Reason
from autorollback.decision.window import within_window


def convict(suspicion: Suspicion, question: Question) -> Suspicion | Hold:
    """The suspicion of the first alarm that convicts.

    Where none does, the hold of the first that was asked.
    """
    first_refusal: Hold | None = None
    for alarm in _asked_in_order(question.facts):
        answer = _convict_known_bad(alarm, suspicion, question)
        answer = answer or _convict_by(alarm, suspicion.suspect, question)
        if isinstance(answer, Suspicion):
            if first_refusal is None:
                return answer
            asked_before = f"asked before: {first_refusal.detail}"
            return replace(answer, detail=f"{answer.detail}; {asked_before}")
        first_refusal = first_refusal or answer
    if first_refusal:
        return first_refusal
    detail = "no datapoint says when the trouble began"
    return Hold(Reason.ALARM_PREDATES_DEPLOYMENT, detail, suspicion.suspect)


def _asked_in_order(facts: Facts) -> list[Alarm]:
    fired = facts.trigger.alarm
    red = [alarm for alarm in facts.alarms if alarm.in_alarm]
    return sorted(red, key=lambda alarm: (alarm.name != fired, alarm.name))


def _convict_known_bad(
    alarm: Alarm,
    suspicion: Suspicion,
    question: Question,
) -> Suspicion | Hold | None:
    """A build that was rolled back from is convicted by the signal of then, whenever the trouble began.

    Any other alarm convicts it if its trouble does not precede it. None where the usual order of times is asked.
    """
    known, suspect = suspicion.known_bad, suspicion.suspect
    if known is None or _is_late(alarm, suspect, question):
        return None
    if alarm.signal not in known.signals and began_before(alarm, suspect.start):
        return None

    onset = alarm.onset or alarm.since or question.now
    excused = _excused(
        alarm,
        suspect,
        onset,
        question,
    )
    if excused:
        return excused
    detail = f"{alarm.signal} is in ALARM, and the deployment brings back {words_of(known)}"
    return replace(suspicion, onset=onset, detail=detail, alarm=alarm)


def _convict_by(
    alarm: Alarm,
    suspect: Deployment,
    question: Question,
) -> Suspicion | Hold:
    if alarm.onset is None:
        detail = f"when {alarm.signal} began is not known"
        return Hold(Reason.ALARM_PREDATES_DEPLOYMENT, detail, suspect)
    if predates(alarm, suspect):
        return _convict_chain(alarm, suspect, question)
    excused = _excused(
        alarm,
        suspect,
        alarm.onset,
        question,
    )
    if excused:
        return excused
    if _is_late(alarm, suspect, question):
        detail = f"{alarm.signal} began long after the deployment"
        return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, suspect)
    return Suspicion(
        suspect,
        alarm.onset,
        after_words(alarm, suspect),
        alarm,
    )


def _excused(
    alarm: Alarm,
    suspect: Deployment,
    onset: datetime,
    question: Question,
) -> Hold | None:
    """Whether unhealthy targets are tasks that still start, or are missing because their capacity was taken away."""
    if alarm.signal != UNHEALTHY_TARGETS:
        return None
    facts, now = question.facts, question.now
    starting = slow_start(
        alarm,
        suspect,
        facts,
        now,
    )
    lost = capacity_lost(
        suspect,
        onset,
        facts,
        now,
    )
    return starting or lost


def _is_late(
    alarm: Alarm,
    suspect: Deployment,
    question: Question,
) -> bool:
    """Whether the trouble began too long after the suspect had finished."""
    if alarm.onset is None or suspect.status.in_progress:
        return False
    finished = suspect.finished_at or suspect.start
    return alarm.onset - finished > question.policy.window


def _convict_chain(
    alarm: Alarm,
    suspect: Deployment,
    question: Question,
) -> Suspicion | Hold:
    """The trouble began before the newest deployment: is an earlier one to blame, replaced before it had proven itself?

    Every deployment from that one on is suspect, and the target lies before it. A restart proves nothing and replaces
    nothing. The chain ends at a rollback: what is deployed into a red alarm to mend it is not blamed for it.
    """
    facts = question.facts
    acquitted = Hold(Reason.ALARM_PREDATES_DEPLOYMENT, before_words(alarm, suspect), suspect)
    replaced_at = _took_over(suspect)
    first_older = facts.deployments.index(suspect) + 1
    for index in range(first_older, len(facts.deployments)):
        earlier = facts.deployments[index]
        if not_described(facts, index) or is_return(question, index):
            return acquitted
        if is_restart(facts, index):
            continue
        served = replaced_at - (earlier.finished_at or earlier.start)
        has_served = served >= question.policy.stable_after
        if earlier.status is Status.SUCCESSFUL and has_served:
            return acquitted
        if not predates(alarm, earlier):
            return _blame_earlier(alarm, earlier, question) or acquitted
        replaced_at = _took_over(earlier)
    return acquitted


def _took_over(deployment: Deployment) -> datetime:
    """When it took the place of what ran before, as far as is known."""
    return deployment.may_serve_from or deployment.start


def _blame_earlier(
    alarm: Alarm,
    earlier: Deployment,
    question: Question,
) -> Suspicion | Hold | None:
    facts = question.facts
    if alarm.onset is None:
        return None
    if isinstance(
        within_window(
            earlier,
            facts,
            alarm.onset,
            question.policy,
        ),
        Hold,
    ):
        return None
    excused = _excused(
        alarm,
        earlier,
        alarm.onset,
        question,
    )
    if excused:
        return excused
    name = name_of(facts.revision(earlier.target))
    replaced = "which was replaced before it had proven itself"
    detail = f"{after_words(alarm, earlier)} of {name}, {replaced}"
    return Suspicion(
        earlier,
        alarm.onset,
        detail,
        alarm,
    )


def _ask(case: Case) -> Suspicion | Hold:
    return convict(case.blamed, case.question)


RULE = Rule("alarm_predates_deployment", _ask)
