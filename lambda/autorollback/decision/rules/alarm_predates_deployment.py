"""Rule 4: did the trouble start after the deployment? Each red alarm is asked, and whether it flaps, earliest onset first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autorollback.decision.alarm_order import (
    Order,
    Timing,
    after_words,
    before_words,
    began_before,
    predates,
    timing,
)
from autorollback.decision.case import Case, Passed, Rule, Suspicion
from autorollback.decision.changes import is_restart, is_return, name_of, not_described
from autorollback.decision.facts import Alarm, Deployment, Facts, Status
from autorollback.decision.quarantine import words_of
from autorollback.decision.question import Question
from autorollback.decision.rules.alarm_is_flapping import came_and_went
from autorollback.decision.rules.capacity_lost import capacity_lost
from autorollback.decision.rules.slow_start import UNHEALTHY_TARGETS, slow_start
from autorollback.decision.verdicts import Hold, Reason
from autorollback.decision.window import within_window


@dataclass(frozen=True, slots=True)
class Testimony:
    """What one red alarm says of a suspect, by when its trouble began."""

    alarm: Alarm
    answer: Suspicion | Hold


def convict(suspicion: Suspicion, question: Question) -> Suspicion | Hold:
    """The suspicion of the first alarm that convicts, earliest onset first.

    One whose times convict, but that flaps, does not. Where none does, the hold of the earliest.
    """
    refusals: list[Testimony] = []
    for testimony in testimonies(suspicion, question):
        answer = _unless_it_flaps(testimony, question)
        if isinstance(answer, Suspicion):
            return _with_refusals(answer, refusals)
        refusals.append(Testimony(testimony.alarm, answer))
    return _hold_of_the_earliest(refusals, suspicion)


def testimonies(suspicion: Suspicion, question: Question) -> list[Testimony]:
    """What each red alarm says of the suspect by its times alone, earliest onset first."""
    told: list[Testimony] = []
    for alarm in _earliest_first(question.facts):
        answer = _convict_known_bad(alarm, suspicion, question)
        answer = answer or _convict_by(alarm, suspicion.suspect, question)
        told.append(Testimony(alarm, answer))
    return told


def _earliest_first(facts: Facts) -> list[Alarm]:
    """The alarms that are red; those of which no onset is known come last."""
    red = [alarm for alarm in facts.alarms if alarm.in_alarm]
    known = [alarm for alarm in red if alarm.onset is not None]
    known.sort(key=lambda alarm: (alarm.onset, alarm.name))
    unknown = [alarm for alarm in red if alarm.onset is None]
    unknown.sort(key=lambda alarm: alarm.name)
    return [*known, *unknown]


def _unless_it_flaps(testimony: Testimony, question: Question) -> Suspicion | Hold:
    """Rule 5, asked of each alarm whose times convict."""
    answer = testimony.answer
    if isinstance(answer, Hold) or answer.known_bad:
        return answer
    flaps = came_and_went(testimony.alarm, answer.suspect, question)
    return answer if isinstance(flaps, Passed) else flaps


def _with_refusals(answer: Suspicion, refusals: Sequence[Testimony]) -> Suspicion:
    if not refusals:
        return answer
    first = refusals[0].answer.detail
    return replace(answer, detail=f"{answer.detail}; asked before: {first}")


def _hold_of_the_earliest(refusals: Sequence[Testimony], suspicion: Suspicion) -> Hold:
    """The hold that is told, and which alarms are to be asked again."""
    holds: dict[str, Hold] = {}
    for refusal in refusals:
        if isinstance(refusal.answer, Hold):
            holds[refusal.alarm.name] = refusal.answer
    if not holds:
        detail = "no datapoint says when the trouble began"
        return Hold(Reason.ALARM_PREDATES_DEPLOYMENT, detail, suspicion.suspect)
    waiting = tuple(name for name, hold in holds.items() if not hold.is_announced)
    earliest = next(iter(holds.values()))
    return replace(earliest, waiting=waiting)


def _convict_known_bad(
    alarm: Alarm,
    suspicion: Suspicion,
    question: Question,
) -> Suspicion | Hold | None:
    """A build that was rolled back from is convicted by the signal of then, whenever the trouble began.

    Any other alarm convicts it if its trouble does not precede it. None where the usual order of times is asked.
    """
    known, suspect = suspicion.known_bad, suspicion.suspect
    if known is None or _is_late(alarm.onset, suspect, question):
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
    return replace(
        suspicion,
        onset=onset,
        detail=detail,
        alarm=alarm,
        grain=alarm.grain,
    )


def _convict_by(
    alarm: Alarm,
    suspect: Deployment,
    question: Question,
) -> Suspicion | Hold:
    told = timing(alarm, suspect, question.now)
    if told is None:
        return _acquitted(alarm, suspect, told)
    if told.order is Order.BEFORE:
        return _convict_chain(alarm, suspect, told, question)
    if told.order is Order.UNTOLD:
        return _acquitted(alarm, suspect, told)
    excused = _excused(
        alarm,
        suspect,
        told.onset,
        question,
    )
    if excused:
        return excused
    if told.order is Order.STRADDLES:
        return _acquitted(alarm, suspect, told)
    if _is_late(told.onset, suspect, question):
        detail = f"{alarm.signal} began long after the deployment"
        return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, suspect)
    return _suspicion(
        alarm,
        suspect,
        told,
        after_words(alarm, suspect, told),
    )


def _acquitted(
    alarm: Alarm,
    suspect: Deployment,
    told: Timing | None,
) -> Hold:
    """The hold where an alarm says nothing against a deployment.

    What straddles its start is asked about again, and told to nobody until then.
    """
    straddles = told is not None and told.order is Order.STRADDLES
    return Hold(
        Reason.ALARM_PREDATES_DEPLOYMENT,
        before_words(alarm, suspect, told),
        suspect,
        asks_again=straddles,
    )


def _suspicion(
    alarm: Alarm,
    suspect: Deployment,
    told: Timing,
    detail: str,
) -> Suspicion:
    return Suspicion(
        suspect,
        told.onset,
        detail,
        alarm,
        grain=told.grain,
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
    onset: datetime | None,
    suspect: Deployment,
    question: Question,
) -> bool:
    """Whether the trouble began too long after the suspect had finished."""
    if onset is None or suspect.status.in_progress:
        return False
    finished = suspect.finished_at or suspect.start
    return onset - finished > question.policy.window


def _convict_chain(
    alarm: Alarm,
    suspect: Deployment,
    told: Timing,
    question: Question,
) -> Suspicion | Hold:
    """The trouble began before the newest deployment: is an earlier one to blame, replaced before it had proven itself?

    Every deployment from that one on is suspect, and the target lies before it. A restart proves nothing and replaces
    nothing. The chain ends at a rollback: what is deployed into a red alarm to mend it is not blamed for it.
    """
    facts = question.facts
    acquitted = _acquitted(alarm, suspect, told)
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
    """What an alarm says of an earlier deployment, which its trouble followed; None where that is too old."""
    facts = question.facts
    told = timing(alarm, earlier, question.now)
    if told is None:
        return None
    if told.order is Order.STRADDLES:
        return _acquitted(alarm, earlier, told)
    recent = within_window(
        earlier,
        facts,
        told.onset,
        question.policy,
    )
    if isinstance(recent, Hold):
        return None
    excused = _excused(
        alarm,
        earlier,
        told.onset,
        question,
    )
    if excused:
        return excused
    name = name_of(facts.revision(earlier.target))
    replaced = "which was replaced before it had proven itself"
    detail = f"{after_words(alarm, earlier, told)} of {name}, {replaced}"
    return _suspicion(
        alarm,
        earlier,
        told,
        detail,
    )


def _ask(case: Case) -> Suspicion | Hold:
    return convict(case.blamed, case.question)


RULE = Rule("alarm_predates_deployment", _ask)
