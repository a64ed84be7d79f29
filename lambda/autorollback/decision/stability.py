"""Did a service revision run well? Each of its serving periods is assessed by itself."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision import calm
from autorollback.decision.calm import Run, SpellsOfAlarm
from autorollback.decision.facts import Alarm, AlarmSpell, Facts, KnownGood, Revision
from autorollback.decision.formatting import clock, span
from autorollback.decision.identity import may_have_identity_of
from autorollback.decision.question import Question
from autorollback.decision.request_counts import Requests
from autorollback.decision.serving import ServingPeriod
from autorollback.policy import Policy

TAIL = calm.TAIL

UNWATCHED_COUNTS_FROM = timedelta(hours=24)
"""In service without any alarm looking on, a revision has proven itself only after this long."""

HISTORY_KEPT = timedelta(days=30)
"""How long CloudWatch keeps alarm history: "Alarm history is retained for 30 days"
(AlarmThatSendsEmail.html)."""

SPELLS_KEPT = 5
"""Of a period, the newest spells that a record holds."""


@dataclass(frozen=True, slots=True)
class StabilityAssessment:
    """How a serving period went, and whether it proves its revision.

    Attributes:
        detail: the same in words.
        runs: its times without alarm that are long enough, oldest first; requests are asked for in them.
        calm_until: its end, or the beginning of trouble that ran ahead of what came next.
        spells: the times in ALARM that do not speak against it.
        unread: it was not stable only because something could not be read.
    """

    stable: bool
    detail: str
    runs: tuple[Run, ...] = ()
    calm_until: datetime | None = None
    spells: tuple[AlarmSpell, ...] = ()
    unread: bool = False

    def requests_in(self, requests: Requests) -> int:
        """How many requests reached it in its runs.

        None did where it was not stable.
        """
        if not self.stable:
            return 0
        return sum(requests.between(run.since, run.until) for run in self.runs)

    @property
    def aside(self) -> str:
        """The end of a sentence with the spells that do not speak against it.

        Empty without any.
        """
        return f"; {calm.told(self.spells)}" if self.spells else ""


@dataclass(frozen=True, slots=True)
class HistoryNeeded:
    """An alarm whose past is not known far enough back.

    `since` is from when on it matters.
    """

    alarm: Alarm
    since: datetime


def assess(period: ServingPeriod, question: Question) -> StabilityAssessment:
    """Did the revision serve long enough without an alarm, calm to its end?

    It needs one run that is long enough, and to have been calm when it was replaced. An alarm that was in ALARM already before it came says nothing against it; one that fired while
    it was being deployed does.
    """
    policy, now = question.policy, question.now
    served = period.end(now) - period.since
    if served < policy.stable_after:
        return _unproven(_too_short(served, policy))

    needed = histories_needed(period, question)
    if needed:
        return _by_the_record(period, question, needed)

    of_alarms = calm.spells_under(period, question.facts.alarms, now)
    objection = calm.not_calm_at_its_end(period, of_alarms, policy, now)
    if objection is not None:
        return _unproven(objection)
    return _by_its_runs(period, question, of_alarms)


def histories_needed(
    period: ServingPeriod,
    question: Question,
) -> tuple[HistoryNeeded, ...]:
    """The pasts of alarms without which a serving period cannot be assessed.

    The one answer for whoever judges, reads, or audits. Of an alarm that spoke under it the day
    before it came matters too.
    """
    since_before = period.came - calm.LAST_DAY
    needed: list[HistoryNeeded] = []
    spoke = {of.alarm.name for of in calm.spells_under(period, question.facts.alarms, question.now)}
    for alarm in question.facts.alarms:
        known = past_is_known(alarm, period.came, question.now)
        if known and alarm.name in spoke:
            known = past_is_known(alarm, since_before, question.now)
        if not known:
            needed.append(HistoryNeeded(alarm, since_before))
    return tuple(needed)


def attested(period: ServingPeriod, question: Question) -> KnownGood | None:
    """What the ledger recorded of a serving period when it ended.

    The record was made by `assess`, when everything could be read: CloudWatch need not be asked
    again.
    """
    for record in question.facts.ledger.known_good:
        if _attests(record, period, question):
            return record
    return None


def proven(period: ServingPeriod, question: Question) -> KnownGood | None:
    """What a serving period has proven by now, for the ledger to keep."""
    facts = question.facts
    revision = facts.revision(period.revision)
    if revision is None or revision.identity is None:
        return None

    requests = facts.requests.get(revision.arn)
    if question.behind_load_balancer and not requests:
        return None

    assessment = assess(period, question)
    if not assessment.stable:
        return None
    newest_run = assessment.runs[-1]
    until = assessment.calm_until or period.end(question.now)
    return KnownGood(
        revision=revision,
        since=newest_run.since,
        until=until,
        requests=requests,
        calm_until=newest_run.until if newest_run.until != until else None,
        spells=assessment.spells[-SPELLS_KEPT:],
    )


def may_have_been_stable(
    question: Question,
    revision: Revision,
    before: datetime,
) -> StabilityAssessment | None:
    """How a build fared when it last was, or may have been, stable.

    Only what served before a moment counts.

    Whoever asks this holds on a yes, so what could not be read counts as one. Requests are not
    asked. None is a no.
    """
    facts = question.facts
    for period in question.periods:
        served_before = period.since < before
        if served_before and may_have_identity_of(facts, period.revision, revision):
            end = min(period.end(question.now), before)
            assessment = assess(replace(period, until=end), question)
            if assessment.stable or assessment.unread:
                return assessment
    return None


def past_is_known(
    alarm: Alarm,
    since: datetime,
    now: datetime,
) -> bool:
    """Whether all of an alarm's times in ALARM since a moment are known.

    They are by its history, or by a calm that began before. CloudWatch keeps history for `HISTORY_KEPT`. What lies further
    back cannot be read by anybody: it counts as unwatched.
    """
    oldest = max(since, now - HISTORY_KEPT)
    if alarm.spells is not None and alarm.history_from is not None and alarm.history_from <= oldest:
        return True
    return not alarm.in_alarm and alarm.since is not None and alarm.since <= oldest


def watched_from(facts: Facts, now: datetime) -> datetime:
    """From when on the service's alarms can speak for it.

    That is their oldest trace, at most as far back as their history is kept.
    """
    traces = [alarm.first_trace for alarm in facts.alarms if alarm.first_trace is not None]
    oldest = min(traces, default=now)
    return max(oldest, now - HISTORY_KEPT)


def _by_its_runs(
    period: ServingPeriod,
    question: Question,
    of_alarms: Sequence[SpellsOfAlarm],
) -> StabilityAssessment:
    """It needs one run that is long enough.

    Where an alarm came and went as it did before, the runs go on through its spells.
    """
    now = question.now
    every = calm.all_spells(of_alarms)
    new = calm.all_spells(one for one in of_alarms if not one.as_before)
    assessment = _unproven("")
    for spells in (every, new):
        found = calm.runs(period, spells, now)
        assessment = _of_runs(found, question, every)
        if assessment.stable:
            return replace(
                assessment,
                calm_until=calm.calm_end(period, of_alarms, now),
                spells=tuple(every[-SPELLS_KEPT:]),
            )
    return assessment


def _of_runs(
    found: Sequence[Run],
    question: Question,
    spells: Sequence[AlarmSpell],
) -> StabilityAssessment:
    policy = question.policy
    long_enough = [run for run in found if run.length >= policy.stable_after]
    if not long_enough:
        longest = max((run.length for run in found), default=timedelta())
        return _unproven(f"{_too_short(longest, policy)}: {calm.told(spells)}")

    watched_since = watched_from(question.facts, question.now)
    watched: list[Run] = []
    unwatched: list[Run] = []
    for run in long_enough:
        if run.until - max(run.since, watched_since) >= policy.stable_after:
            watched.append(run)
        elif run.length >= UNWATCHED_COUNTS_FROM:
            unwatched.append(run)
    if watched:
        return _proven([*unwatched, *watched])
    if unwatched:
        return _proven(unwatched, remark=" (no alarm watched then)")

    hours = UNWATCHED_COUNTS_FROM // timedelta(hours=1)
    served = f"served {span(long_enough[-1].length)}"
    return _unproven(f"{served}, but no alarm watched: {hours} h required")


def _attests(
    record: KnownGood,
    period: ServingPeriod,
    question: Question,
) -> bool:
    """Whether a record stands for a serving period of the very same service revision.

    It does if it reaches to the end of it and is long enough by today's policy; behind a load
    balancer, if requests are recorded.
    """
    if record.revision.arn != period.revision:
        return False
    if question.behind_load_balancer and not record.requests:
        return False

    end = period.end(question.now)
    begins_in_it = period.since <= record.since
    reaches_its_end = end - TAIL <= record.until <= end
    calm_until = record.ran_calm_until
    long_enough = calm_until - record.since >= question.policy.stable_after
    return begins_in_it and reaches_its_end and long_enough


def _by_the_record(
    period: ServingPeriod,
    question: Question,
    needed: Sequence[HistoryNeeded],
) -> StabilityAssessment:
    """The ledger's record tells what was not read, where it has one."""
    record = attested(period, question)
    if record is None:
        names = ", ".join(sorted(one.alarm.signal for one in needed))
        unproven = _unproven(f"the history of {names} was not read")
        return replace(unproven, unread=True)

    run = Run(record.since, record.ran_calm_until)
    proven = _proven([run], remark=" (the ledger's record)")
    return replace(proven, calm_until=record.until, spells=record.spells)


def _proven(found: Iterable[Run], remark: str = "") -> StabilityAssessment:
    proving = tuple(found)
    newest = proving[-1]
    served = f"served {span(newest.length)} without alarm until {clock(newest.until)}"
    return StabilityAssessment(
        stable=True,
        detail=f"{served}{remark}",
        runs=proving,
    )


def _unproven(detail: str) -> StabilityAssessment:
    return StabilityAssessment(stable=False, detail=detail)


def _too_short(served: timedelta, policy: Policy) -> str:
    required = f"{policy.stable_after_minutes} min required"
    return f"served only {span(served)} without alarm, {required}"
