"""Did a service revision run well? Each of its serving periods is assessed by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision.formatting import clock, span
from autorollback.decision.identity import may_have_identity_of
from autorollback.decision.model import Alarm, AlarmPeriod, Facts, KnownGood, Revision
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod, serving_periods
from autorollback.policy import Policy

TAIL = timedelta(minutes=10)
"""Trouble this shortly before a serving period's end belongs to what came next: a migration that runs ahead of it."""

UNWATCHED_COUNTS_FROM = timedelta(hours=24)
"""In service without any alarm looking on, a revision has proven itself only after this long."""

HISTORY_KEPT = timedelta(days=30)
"""How long CloudWatch keeps alarm history ("Alarm history is retained for 30 days", AlarmThatSendsEmail.html)."""


@dataclass(frozen=True, slots=True)
class StabilityAssessment:
    """How a serving period went, and whether it proves its revision.

    Attributes:
        detail: the same in words.
        calm_since: start of its calm part, the one that requests are asked for.
        calm_until: end of its calm part.
        unread: it was not stable only because something could not be read.
    """

    stable: bool
    detail: str
    calm_since: datetime
    calm_until: datetime
    unread: bool = False


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A time that an alarm spent in ALARM, cut to the serving period."""

    since: datetime
    until: datetime
    signal: str


@dataclass(frozen=True, slots=True)
class _CalmPart:
    """The part of a serving period without trouble, at its end; `broken_by` is the last trouble before it."""

    since: datetime
    until: datetime
    broken_by: _Trouble | None

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def assess(period: ServingPeriod, question: Question) -> StabilityAssessment:
    """Did the revision serve long enough without an alarm, to the end of its period?

    An alarm that was in ALARM already before it came says nothing against it; one that fired while it was being deployed
    does.
    """
    facts, policy, now = question.facts, question.policy, question.now
    calm = _calm_part(period, facts.alarms, now)
    if calm.length < policy.stable_after:
        return _unproven(calm, _too_short(calm, policy))

    unread = _alarms_not_read(period, facts.alarms, now)
    if unread:
        record = attested(period, question)
        if record is not None:
            return _proven_by(record)
        detail = f"the history of {', '.join(unread)} was not read"
        return replace(_unproven(calm, detail), unread=True)

    watched = calm.until - max(calm.since, watched_from(facts, now))
    detail = f"served {span(calm.length)} without alarm until {clock(calm.until)}"
    if watched < policy.stable_after:
        if calm.length < UNWATCHED_COUNTS_FROM:
            short = f"served {span(calm.length)}, but no alarm watched: that counts from 24 h on"
            return _unproven(calm, short)
        detail = f"{detail} (no alarm watched then)"
    return StabilityAssessment(True, detail, calm.since, calm.until)


def attested(period: ServingPeriod, question: Question) -> KnownGood | None:
    """What the ledger recorded of a serving period when it ended: CloudWatch need not be asked again.

    The record was made by `assess`, when everything could be read.
    """
    for record in question.facts.memory.known_good:
        if _attests(record, period, question):
            return record
    return None


def proven(period: ServingPeriod, question: Question) -> KnownGood | None:
    """What a serving period has proven by now, to be remembered longer than AWS does."""
    assessment = assess(period, question)
    revision = question.facts.revision(period.revision)
    if revision is None or revision.identity is None or not assessment.stable:
        return None

    requests = question.facts.requests.get(revision.arn)
    if question.behind_load_balancer and not requests:
        return None
    return KnownGood(revision, assessment.calm_since, assessment.calm_until, requests)


def may_have_been_stable(
    question: Question, revision: Revision, before: datetime
) -> StabilityAssessment | None:
    """The newest serving period of an identity that was stable by `before`, or may have been.

    Whoever asks this holds on a yes, so what could not be read counts as one. Requests are not asked. None is a no.
    """
    for period in serving_periods(question.facts):
        if period.since >= before:
            continue
        if not may_have_identity_of(question.facts, period.revision, revision):
            continue
        until_then = replace(period, until=min(period.end(question.now), before))
        assessment = assess(until_then, question)
        if assessment.stable or assessment.unread:
            return assessment
    return None


def watched_from(facts: Facts, now: datetime) -> datetime:
    """From when on the service's alarms can speak for it.

    That is their oldest trace, at most as far back as their history is kept.
    """
    traces = [alarm.first_trace for alarm in facts.alarms if alarm.first_trace is not None]
    oldest = min(traces, default=now)
    return max(oldest, now - HISTORY_KEPT)


def _calm_part(period: ServingPeriod, alarms: Sequence[Alarm], now: datetime) -> _CalmPart:
    troubles = _troubles(period, alarms, now)
    end = period.end(now)
    calm_until = end
    for trouble in troubles:
        if trouble.since >= end - TAIL:
            calm_until = min(calm_until, trouble.since)

    earlier = [trouble for trouble in troubles if trouble.since < calm_until]
    if not earlier:
        return _CalmPart(period.since, calm_until, broken_by=None)

    last = max(earlier, key=lambda trouble: (trouble.until, trouble.signal))
    return _CalmPart(min(last.until, calm_until), calm_until, broken_by=last)


def _troubles(period: ServingPeriod, alarms: Sequence[Alarm], now: datetime) -> list[_Trouble]:
    """What counts against a serving period: every time in ALARM that began once it came."""
    end = period.end(now)
    found: list[_Trouble] = []
    for alarm in alarms:
        for red in alarm.spells or ():
            if _falls_into(red, period, end):
                since = max(red.since, period.since)
                until = min(red.until or end, end)
                found.append(_Trouble(since, until, alarm.signal))
    return found


def _falls_into(red: AlarmPeriod, period: ServingPeriod, end: datetime) -> bool:
    began_with_it = period.came <= red.since < end
    lasted_into_it = red.until is None or red.until > period.since
    return began_with_it and lasted_into_it


def _alarms_not_read(
    period: ServingPeriod, alarms: Sequence[Alarm], now: datetime
) -> tuple[str, ...]:
    """The signals of the alarms whose past in a serving period is not known."""
    unread = [alarm.signal for alarm in alarms if not _history_covers(alarm, period, now)]
    return tuple(sorted(unread))


def _attests(record: KnownGood, period: ServingPeriod, question: Question) -> bool:
    """Whether a record stands for a serving period of the very same service revision.

    It does if it reaches to the end of it, by today's policy, and behind a load balancer if requests are recorded.
    """
    if record.revision.arn != period.revision:
        return False
    if question.behind_load_balancer and not record.requests:
        return False

    end = period.end(question.now)
    begins_in_it = period.since <= record.since
    reaches_its_end = end - TAIL <= record.until <= end
    long_enough = record.until - record.since >= question.policy.stable_after
    return begins_in_it and reaches_its_end and long_enough


def _proven_by(record: KnownGood) -> StabilityAssessment:
    served = f"served {span(record.until - record.since)} without alarm until {clock(record.until)}"
    detail = f"{served} (the ledger's record)"
    return StabilityAssessment(True, detail, record.since, record.until)


def _unproven(calm: _CalmPart, detail: str) -> StabilityAssessment:
    return StabilityAssessment(False, detail, calm.since, calm.until)


def _too_short(calm: _CalmPart, policy: Policy) -> str:
    """Why a calm part is too short: an alarm broke it, or the period itself was."""
    last = calm.broken_by
    if last is None:
        asked = f"{policy.stable_after_minutes} min are asked"
        return f"served only {span(calm.length)} without alarm, {asked}"
    before_its_end = span(calm.until - last.since)
    return f"{last.signal} was in ALARM at {clock(last.since)}, {before_its_end} before its end"


def _history_covers(alarm: Alarm, period: ServingPeriod, now: datetime) -> bool:
    """Whether what is known of an alarm tells all its times in ALARM in a serving period.

    By its history, or by a calm that began before. Nothing is older than CloudWatch keeps history: such time counts as
    unwatched, not as unread.
    """
    calm_since_then = not alarm.in_alarm and alarm.since is not None and alarm.since <= period.since
    oldest_kept = max(period.came, now - HISTORY_KEPT)
    reaches = alarm.history_from is not None and alarm.history_from <= oldest_kept
    return calm_since_then or (alarm.spells is not None and reaches)
