"""Which service revisions ran well? Evidence from serving periods, never from revision numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision.formatting import clock, span
from autorollback.decision.lineage import deployment_of, running_before, something_ran_before
from autorollback.decision.model import Alarm, Candidate, Deployment, Facts, KnownGood, Revision, Status
from autorollback.policy import Policy

TAIL = timedelta(minutes=10)
"""Trouble this shortly before a serving period's end belongs to what came next: a migration that runs ahead of its deployment."""

UNWATCHED_COUNTS_FROM = timedelta(hours=24)
"""In service without any alarm looking on, a revision has proven itself only after this long."""

HISTORY_KEPT = timedelta(days=30)
"""How long CloudWatch keeps alarm history ("Alarm history is retained for 30 days", AlarmThatSendsEmail.html)."""


@dataclass(frozen=True, slots=True)
class ServingPeriod:
    """A time in which one service revision served alone, from the deployment that brought it to the next one.

    `brought_by` is the ARN of the service deployment that succeeded in bringing it, where one did; `begun` is when that
    one started, while what it replaces still served.
    """

    revision: str
    since: datetime
    until: datetime | None
    brought_by: str | None = None
    begun: datetime | None = None

    @property
    def came(self) -> datetime:
        """From when on an alarm may be its doing."""
        return self.begun or self.since

    def end(self, now: datetime) -> datetime:
        """Its end; now, while it lasts."""
        return self.until or now


@dataclass(frozen=True, slots=True)
class StabilityAssessment:
    """How a serving period went: whether it proves its revision, in words, and its calm part (the one that requests are asked for).

    `unread` says that it was not stable only because something could not be read.
    """

    stable: bool
    detail: str
    calm_since: datetime
    calm_until: datetime
    unread: bool = False


def serving_periods(facts: Facts, before: Deployment | None = None) -> tuple[ServingPeriod, ...]:
    """Every period that is evidence, newest first; with `before`, only those that ended by that deployment's start.

    A deployment that failed, was stopped or rolled back is no evidence for its target. A restart of the same identity
    does not interrupt its period.
    """
    oldest_first = sorted(facts.deployments, key=lambda d: (d.start, d.arn))
    found: list[ServingPeriod] = []
    for index, deployment in enumerate(oldest_first):
        previous = oldest_first[index - 1] if index else None
        found.extend(_of_sources(facts, deployment, previous))
        if (revision := deployment.leaves) and deployment.finished_at:
            following = oldest_first[index + 1] if index + 1 < len(oldest_first) else None
            until = following.start if following else None
            since = min(deployment.finished_at, until or deployment.finished_at)
            succeeded = deployment.status is Status.SUCCESSFUL
            brought_by, begun = (deployment.arn, deployment.start) if succeeded else (None, None)
            found.append(ServingPeriod(revision, since, until, brought_by, begun))
    merged = _merge_restarts(facts, sorted(found, key=lambda s: (s.since, s.revision)))
    limit = before.start if before else None
    return tuple(s for s in reversed(merged) if limit is None or (s.until is not None and s.until <= limit))


def assess(period: ServingPeriod, facts: Facts, policy: Policy, now: datetime) -> StabilityAssessment:
    """Did the revision serve long enough without any of the service's alarms, to the end of its period?

    An alarm that was in ALARM already before it came says nothing against it; one that fired while it was being deployed does.
    """
    since, end = period.since, period.end(now)
    spells = [
        (max(spell.since, since), min(spell.until or end, end), alarm.signal)
        for alarm in facts.alarms
        for spell in alarm.spells or ()
        if period.came <= spell.since < end and (spell.until is None or spell.until > since)
    ]
    calm_until = min([end, *(start for start, _, _ in spells if start >= end - TAIL)])
    earlier = [spell for spell in spells if spell[0] < calm_until]
    calm_since = max([since, *(min(until, calm_until) for _, until, _ in earlier)])
    calm = calm_until - calm_since

    def unproven(detail: str, *, unread: bool = False) -> StabilityAssessment:
        return StabilityAssessment(False, detail, calm_since, calm_until, unread)

    if earlier and calm < policy.stable_after:
        last = max(earlier, key=lambda spell: (spell[1], spell[2]))
        return unproven(f"{last[2]} was in ALARM at {clock(last[0])}, {span(calm_until - last[0])} before its end")
    if calm < policy.stable_after:
        return unproven(f"served only {span(calm)} without alarm, {policy.stable_after_minutes} min are asked")
    if unread := sorted(alarm.signal for alarm in facts.alarms if not _history_covers(alarm, period, now)):
        if record := attested(period, facts, policy, now):
            detail = f"served {span(record.until - record.since)} without alarm until {clock(record.until)}"
            return StabilityAssessment(True, f"{detail} (the ledger's record)", record.since, record.until)
        return unproven(f"the history of {', '.join(unread)} was not read", unread=True)
    watched = calm_until - max(calm_since, watched_from(facts, now))
    if watched < policy.stable_after and calm < max(UNWATCHED_COUNTS_FROM, policy.stable_after):
        return unproven(f"served {span(calm)}, but no alarm watched: that counts from 24 h on")
    unwatched = "" if watched >= policy.stable_after else " (no alarm watched then)"
    detail = f"served {span(calm)} without alarm until {clock(calm_until)}{unwatched}"
    return StabilityAssessment(True, detail, calm_since, calm_until)


def attested(period: ServingPeriod, facts: Facts, policy: Policy, now: datetime) -> KnownGood | None:
    """What the ledger recorded of a serving period when it ended: then CloudWatch need not be asked for it again.

    The record was made by `assess`, when everything could be read. It holds for the serving period of the very same service
    revision, if it reaches to the end of it, and by today's policy; behind a load balancer, if requests are recorded.
    """
    end = period.end(now)
    return next(
        (
            record
            for record in facts.memory.known_good
            if record.revision.arn == period.revision
            and period.since <= record.since
            and end - TAIL <= record.until <= end
            and record.until - record.since >= policy.stable_after
            and (record.requests or not (facts.service and facts.service.behind_load_balancer))
        ),
        None,
    )


def proven(period: ServingPeriod, facts: Facts, policy: Policy, now: datetime) -> KnownGood | None:
    """What a serving period has proven by now, to be remembered longer than AWS does; None where it has proven nothing."""
    revision, assessment = facts.revision(period.revision), assess(period, facts, policy, now)
    if revision is None or revision.identity is None or not assessment.stable:
        return None
    requests = facts.requests.get(revision.arn)
    if not requests and facts.service and facts.service.behind_load_balancer:
        return None
    return KnownGood(revision, assessment.calm_since, assessment.calm_until, requests)


def watched_from(facts: Facts, now: datetime) -> datetime:
    """From when on the service's alarms can speak for it: their oldest trace, at most as far back as their history is kept."""
    traces = [alarm.first_trace for alarm in facts.alarms if alarm.first_trace is not None]
    return max(min(traces, default=now), now - HISTORY_KEPT)


def candidates(
    facts: Facts, policy: Policy, now: datetime, before: Deployment, avoid: Revision | None
) -> tuple[Candidate, ...]:
    """Every revision that ran before a deployment, newest first, each either `stable` or `passed_over` with the reason.

    Args:
        before: the deployment that is blamed, or that a person wants undone.
        avoid: the revision that it brought; its identity is no target. A deployment in progress that changed only
            settings of the service can be undone without another identity: then its own source is the one candidate.
    """
    kept_out = quarantined(facts, policy, now)
    dated: list[tuple[datetime, Candidate]] = []
    for period in serving_periods(facts, before):
        revision = facts.revision(period.revision)
        if revision is not None:
            candidate = _candidate(period, revision, facts, policy, now, kept_out, avoid)
            dated.append((period.end(now), candidate))
    dated += [
        (record.until, _recorded(record, facts, kept_out, avoid))
        for record in facts.memory.known_good
        if record.until <= before.start and _is_of_this_service(facts, before) and not _overtaken(record, facts, now)
    ]
    newest_first = sorted(dated, key=lambda d: (d[0], d[1].verdict == "stable", d[1].revision.arn), reverse=True)
    return _each_once(candidate for _, candidate in newest_first)


def source_candidates(facts: Facts, policy: Policy, now: datetime, settings: Deployment) -> tuple[Candidate, ...]:
    """The source of a deployment in progress that changes only settings of the service: to stop it brings all of it back."""
    found = candidates(facts, policy, now, settings, None)
    return tuple(candidate for candidate in found if candidate.revision.arn in settings.sources)


def quarantined(facts: Facts, policy: Policy, now: datetime) -> dict[str, datetime]:
    """Identities that were rolled back from, and when; without those that a person deployed again and that became stable."""
    deployed_by_persons = _deployed_by_persons(facts)
    proven_again = {
        (revision.identity, deployed_by_persons[period.brought_by])
        for period in serving_periods(facts)
        if period.brought_by in deployed_by_persons
        and (revision := facts.revision(period.revision))
        and assess(period, facts, policy, now).stable
        and _served_requests(facts, policy, now, period)
    }
    return {
        identity: at
        for identity, at in facts.memory.quarantined.items()
        if not any(proven == identity and deployed_at > at for proven, deployed_at in proven_again)
    }


def may_have_been_stable(
    facts: Facts, policy: Policy, now: datetime, revision: Revision, before: datetime
) -> StabilityAssessment | None:
    """The newest period of an identity that was stable by `before`, or cannot be told not to have been.

    Whoever asks this holds on a yes, so what could not be read counts as one. Requests are not asked. None is a no.
    """
    for period in serving_periods(facts):
        if period.since < before and _may_be(facts, period.revision, revision):
            until_then = replace(period, until=min(period.end(now), before))
            assessment = assess(until_then, facts, policy, now)
            if assessment.stable or assessment.unread:
                return assessment
    return None


def _candidate(
    period: ServingPeriod,
    revision: Revision,
    facts: Facts,
    policy: Policy,
    now: datetime,
    kept_out: dict[str, datetime],
    avoid: Revision | None,
) -> Candidate:
    def passed_over(why: str) -> Candidate:
        return Candidate(revision, "passed_over", why, ran_until=period.until)

    if refusal := _refused(revision, kept_out, avoid):
        return passed_over(refusal)
    assessment = assess(period, facts, policy, now)
    if not assessment.stable:
        return passed_over(assessment.detail)
    requests, detail = facts.requests.get(revision.arn), assessment.detail
    if requests is None and (record := attested(period, facts, policy, now)):
        requests = record.requests
    if facts.service and facts.service.behind_load_balancer:
        if requests is None:
            return passed_over(f"{detail}, but how many requests reached it could not be read")
        if requests <= 0:
            return passed_over(f"{detail}, but no request reached it: a quiet time proves nothing")
        detail = f"{detail}, {requests:,} requests"
    if undigested := sorted(name for name, digest in revision.images.items() if digest is None):
        detail = f"{detail}; AWS recorded no image digest of {', '.join(undigested)}, the image's name stands in"
    between = _deployed_since(facts, period.end(now))
    return Candidate(revision, "stable", detail, between=between, ran_until=period.until)


def _served_requests(facts: Facts, policy: Policy, now: datetime, period: ServingPeriod) -> bool:
    """Whether requests reached a serving period, where there is a load balancer to tell; what was not read proves nothing."""
    if facts.service is None or not facts.service.behind_load_balancer:
        return True
    return bool(facts.requests.get(period.revision)) or attested(period, facts, policy, now) is not None


def _recorded(record: KnownGood, facts: Facts, kept_out: dict[str, datetime], avoid: Revision | None) -> Candidate:
    """What the ledger says of a revision, older than what AWS keeps perhaps."""
    revision = record.revision
    if refusal := _refused(revision, kept_out, avoid):
        return Candidate(revision, "passed_over", refusal, ran_until=record.until)
    detail = f"the ledger saw it serve without alarm from {clock(record.since)} to {clock(record.until)}"
    if facts.service and facts.service.behind_load_balancer:
        if not record.requests:
            why = f"{detail}, but no request is recorded: a quiet time proves nothing"
            return Candidate(revision, "passed_over", why, ran_until=record.until)
        detail = f"{detail}, {record.requests:,} requests"
    between = _deployed_since(facts, record.until)
    if not _reaches_back_to(facts, record):
        between = (None, *between)
    return Candidate(revision, "stable", detail, between=between, ran_until=record.until)


def _refused(revision: Revision, kept_out: dict[str, datetime], avoid: Revision | None) -> str | None:
    """Why a revision can be no target however well it ran."""
    if revision.identity is None:
        return "its task definition can no longer be described"
    if avoid and revision.identity == avoid.identity:
        return "it is what runs in the blamed deployment: the same content and image digests"
    if revision.identity in kept_out:
        return f"quarantined: rolled back from at {clock(kept_out[revision.identity])}"
    return None


def _each_once(newest_first: Iterator[Candidate]) -> tuple[Candidate, ...]:
    """Nothing more is said of an identity once a serving period of it has proven it."""
    proven: set[str | None] = set()
    found = []
    for candidate in newest_first:
        if candidate.revision.identity is None or candidate.revision.identity not in proven:
            found.append(candidate)
        if candidate.verdict == "stable":
            proven.add(candidate.revision.identity)
    return tuple(found)


def _deployed_since(facts: Facts, moment: datetime) -> tuple[Revision | None, ...]:
    arns = dict.fromkeys(d.target for d in facts.deployments if d.start >= moment)
    return tuple(facts.revision(arn) for arn in arns)


def _reaches_back_to(facts: Facts, record: KnownGood) -> bool:
    """Whether every deployment since a record is known: AWS forgets them after 90 days."""
    if not facts.deployments:
        return False
    oldest = min(facts.deployments, key=lambda d: (d.start, d.arn))
    sources = [facts.revision(arn) for arn in oldest.sources]
    took_over = bool(sources) and all(s is not None and s.identity == record.revision.identity for s in sources)
    return oldest.start <= record.until or took_over


def _overtaken(record: KnownGood, facts: Facts, now: datetime) -> bool:
    """Whether a record was made while its build still served: how it went on to its end is told by the serving period itself."""
    return any(
        _is(facts, period.revision, record.revision) and period.since <= record.until < period.end(now) - TAIL
        for period in serving_periods(facts)
    )


def _is(facts: Facts, arn: str, wanted: Revision) -> bool:
    found = facts.revision(arn)
    return arn == wanted.arn or (found is not None and found.identity is not None and found.identity == wanted.identity)


def _is_of_this_service(facts: Facts, before: Deployment) -> bool:
    """What the ledger remembers from before the first deployment is of an earlier service of the same name."""
    return before not in facts.deployments or something_ran_before(facts, facts.deployments.index(before))


def _deployed_by_persons(facts: Facts) -> dict[str | None, datetime]:
    """When each service deployment began that brought another identity and that this controller did not start by itself."""
    automatic = {d.arn for r in facts.memory.rollbacks if r.automatic and (d := deployment_of(r, facts))}
    return {
        d.arn: d.start
        for index, d in enumerate(facts.deployments)
        if d.arn not in automatic
        and (source := running_before(facts, index))
        and source.identity is not None
        and not _same_identity(facts, source.arn, d.target)
    }


def _may_be(facts: Facts, arn: str, wanted: Revision) -> bool:
    """Whether a service revision has an identity, or could have it: it was not described, and no images tell it apart."""
    revision = facts.revision(arn)
    if revision is None:
        return True
    if revision.identity is not None and wanted.identity is not None:
        return revision.identity == wanted.identity
    return not revision.images or dict(revision.images) == dict(wanted.images)


def _of_sources(facts: Facts, deployment: Deployment, previous: Deployment | None) -> Iterator[ServingPeriod]:
    """What ran on while a deployment failed, and what ran before the oldest deployment that AWS still has."""
    for source in deployment.sources:
        revision = facts.revision(source)
        if previous is None:
            if revision is not None:
                yield ServingPeriod(source, min(revision.created_at, deployment.start), deployment.start)
        elif source not in (previous.leaves, previous.target):
            ended = previous.finished_at or previous.start
            yield ServingPeriod(source, min(ended, deployment.start), deployment.start)


def _merge_restarts(facts: Facts, oldest_first: Sequence[ServingPeriod]) -> list[ServingPeriod]:
    restarts = {d.start: d for d in facts.deployments if d.status is Status.SUCCESSFUL}
    merged: list[ServingPeriod] = []
    for period in oldest_first:
        last = merged[-1] if merged else None
        if (
            last
            and last.until in restarts
            and restarts[last.until].target == period.revision
            and _same_identity(facts, last.revision, period.revision)
        ):
            merged[-1] = replace(last, revision=period.revision, until=period.until)
        else:
            merged.append(period)
    return merged


def _same_identity(facts: Facts, one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = facts.revision(one), facts.revision(other)
    return bool(first and second and first.identity and first.identity == second.identity)


def _history_covers(alarm: Alarm, period: ServingPeriod, now: datetime) -> bool:
    """Whether what is known of an alarm tells all its times in ALARM in a serving period: its history, or a calm that began before.

    Nothing is older than CloudWatch keeps history: such time counts as unwatched, not as unread.
    """
    calm_since_then = not alarm.in_alarm and alarm.since is not None and alarm.since <= period.since
    oldest_kept = max(period.came, now - HISTORY_KEPT)
    reaches = alarm.history_from is not None and alarm.history_from <= oldest_kept
    return calm_since_then or (alarm.spells is not None and reaches)
