"""Did a service revision run well? Each of its serving periods is assessed by itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision.facts import Alarm, AlarmPeriod, Facts, KnownGood, Revision
from autorollback.decision.formatting import clock, span
from autorollback.decision.identity import may_have_identity_of
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod
from autorollback.policy import Policy

TAIL = timedelta(minutes=10)
"""Trouble this shortly before a period's end belongs to what came next: a migration ran ahead."""

UNWATCHED_COUNTS_FROM = timedelta(hours=24)
"""In service without any alarm looking on, a revision has proven itself only after this long."""

HISTORY_KEPT = timedelta(days=30)
"""How long CloudWatch keeps alarm history: "Alarm history is retained for 30 days"
(AlarmThatSendsEmail.html)."""


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
    """The part of a serving period without trouble, up to its end or shortly before.

    Attributes:
        broken_by: the last trouble before it, where there was any.
    """

    since: datetime
    until: datetime
    broken_by: _Trouble | None

    @property
    def length(self) -> timedelta:
        return self.until - self.since


def assess(period: ServingPeriod, question: Question) -> StabilityAssessment:
    """Did the revision serve long enough without an alarm, to the end of its period?

    An alarm that was in ALARM already before it came says nothing against it; one that fired while
    it was being deployed does.
    """
    facts, policy, now = question.facts, question.policy, question.now
    calm = _calm_part(period, facts.alarms, now)
    if calm.length < policy.stable_after:
        return _unproven(calm, _too_short(calm, policy))

    unread = _alarms_not_read(period, facts.alarms, now)
    if unread:
        return _by_the_record(
            period,
            question,
            calm,
            unread,
        )

    watched = calm.until - max(calm.since, watched_from(facts, now))
    if watched >= policy.stable_after:
        return _proven(calm)
    if calm.length >= UNWATCHED_COUNTS_FROM:
        return _proven(calm, remark=" (no alarm watched then)")

    hours = UNWATCHED_COUNTS_FROM // timedelta(hours=1)
    served = f"served {span(calm.length)}"
    return _unproven(calm, f"{served}, but no alarm watched: {hours} h required")


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
    return KnownGood(
        revision=revision,
        since=assessment.calm_since,
        until=assessment.calm_until,
        requests=requests,
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


def _calm_part(
    period: ServingPeriod,
    alarms: Sequence[Alarm],
    now: datetime,
) -> _CalmPart:
    """From the last trouble to the end, or to trouble shortly before it."""
    troubles = _troubles(period, alarms, now)
    end = period.end(now)
    in_the_tail = [trouble.since for trouble in troubles if trouble.since >= end - TAIL]
    calm_until = min(in_the_tail, default=end)

    earlier = [trouble for trouble in troubles if trouble.since < calm_until]
    if not earlier:
        return _CalmPart(period.since, calm_until, broken_by=None)

    last = max(earlier, key=lambda trouble: (trouble.until, trouble.signal))
    return _CalmPart(min(last.until, calm_until), calm_until, broken_by=last)


def _troubles(
    period: ServingPeriod,
    alarms: Sequence[Alarm],
    now: datetime,
) -> list[_Trouble]:
    """What counts against a serving period: every time in ALARM that began once it came."""
    end = period.end(now)
    found: list[_Trouble] = []
    for alarm in alarms:
        for red in alarm.spells or ():
            if _falls_into(red, period, end):
                trouble = _Trouble(
                    since=max(red.since, period.since),
                    until=min(red.until or end, end),
                    signal=alarm.signal,
                )
                found.append(trouble)
    return found


def _falls_into(
    red: AlarmPeriod,
    period: ServingPeriod,
    end: datetime,
) -> bool:
    began_with_it = period.came <= red.since < end
    lasted_into_it = red.until is None or red.until > period.since
    return began_with_it and lasted_into_it


def _alarms_not_read(
    period: ServingPeriod,
    alarms: Sequence[Alarm],
    now: datetime,
) -> tuple[str, ...]:
    """The signals of the alarms whose past in a serving period is not known."""
    unread = [alarm.signal for alarm in alarms if not past_is_known(alarm, period.came, now)]
    return tuple(sorted(unread))


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
    long_enough = record.until - record.since >= question.policy.stable_after
    return begins_in_it and reaches_its_end and long_enough


def _by_the_record(
    period: ServingPeriod,
    question: Question,
    calm: _CalmPart,
    unread: Sequence[str],
) -> StabilityAssessment:
    """The ledger's record tells what was not read, where it has one."""
    record = attested(period, question)
    if record is None:
        names = ", ".join(unread)
        unproven = _unproven(calm, f"the history of {names} was not read")
        return replace(unproven, unread=True)

    recorded = _CalmPart(record.since, record.until, broken_by=None)
    return _proven(recorded, remark=" (the ledger's record)")


def _proven(calm: _CalmPart, remark: str = "") -> StabilityAssessment:
    served = f"served {span(calm.length)} without alarm until {clock(calm.until)}"
    return StabilityAssessment(
        stable=True,
        detail=f"{served}{remark}",
        calm_since=calm.since,
        calm_until=calm.until,
    )


def _unproven(calm: _CalmPart, detail: str) -> StabilityAssessment:
    return StabilityAssessment(
        stable=False,
        detail=detail,
        calm_since=calm.since,
        calm_until=calm.until,
    )


def _too_short(calm: _CalmPart, policy: Policy) -> str:
    """Why a calm part is too short: an alarm broke it, or the period was."""
    last = calm.broken_by
    if last is None:
        required = f"{policy.stable_after_minutes} min required"
        return f"served only {span(calm.length)} without alarm, {required}"
    before_its_end = span(calm.until - last.since)
    return f"{last.signal} was in ALARM at {clock(last.since)}, {before_its_end} before its end"
