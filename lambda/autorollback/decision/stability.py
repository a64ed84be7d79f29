"""Which service revisions ran well? Evidence from stretches of service, never from revision numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.decision.model import Alarm, Candidate, Deployment, Facts, Revision, Status
from autorollback.decision.words import clock, span
from autorollback.policy import Policy

TAIL = timedelta(minutes=10)
"""Trouble this shortly before a stretch's end belongs to what came next: a migration that runs ahead of its deployment."""

UNWATCHED_COUNTS_FROM = timedelta(hours=24)
"""In service without any alarm looking on, a revision has proven itself only after this long."""

HISTORY_KEPT = timedelta(days=30)
"""How long CloudWatch keeps alarm history ("Alarm history is retained for 30 days", AlarmThatSendsEmail.html)."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one service revision served alone, from the deployment that brought it to the next one."""

    revision: str
    since: datetime
    until: datetime | None

    def end(self, now: datetime) -> datetime:
        """Its end; now, while it lasts."""
        return self.until or now


@dataclass(frozen=True, slots=True)
class Appraisal:
    """How a stretch went: whether it proves its revision, in words, and its calm part (the one that requests are asked for)."""

    stable: bool
    detail: str
    calm_since: datetime
    calm_until: datetime


def stretches(facts: Facts, before: Deployment | None = None) -> tuple[Stretch, ...]:
    """Every stretch that is evidence, newest first; with `before`, only those that ended by that deployment's start.

    A deployment that failed, was stopped or rolled back is no evidence for its target. A restart of the same identity
    does not interrupt its stretch.
    """
    oldest_first = sorted(facts.deployments, key=lambda d: (d.start, d.arn))
    found: list[Stretch] = []
    for index, deployment in enumerate(oldest_first):
        previous = oldest_first[index - 1] if index else None
        found.extend(_of_sources(facts, deployment, previous))
        if (revision := deployment.leaves) and deployment.finished_at:
            following = oldest_first[index + 1] if index + 1 < len(oldest_first) else None
            until = following.start if following else None
            found.append(Stretch(revision, min(deployment.finished_at, until or deployment.finished_at), until))
    merged = _merge_restarts(facts, sorted(found, key=lambda s: (s.since, s.revision)))
    limit = before.start if before else None
    return tuple(s for s in reversed(merged) if limit is None or (s.until is not None and s.until <= limit))


def appraise(stretch: Stretch, facts: Facts, policy: Policy, now: datetime) -> Appraisal:
    """Did the revision serve long enough without any of the service's alarms, to the end of its stretch?"""
    since, end = stretch.since, stretch.end(now)
    spells = [
        (max(spell.since, since), min(spell.until or end, end), alarm.signal)
        for alarm in facts.alarms
        for spell in alarm.spells or ()
        if since <= spell.since < end
    ]
    calm_until = min([end, *(start for start, _, _ in spells if start >= end - TAIL)])
    earlier = [spell for spell in spells if spell[0] < calm_until]
    calm_since = max([since, *(min(until, calm_until) for _, until, _ in earlier)])
    calm = calm_until - calm_since

    unread = [alarm.signal for alarm in facts.alarms if not _history_covers(alarm, since)]
    if unread:
        return Appraisal(False, f"the history of {', '.join(unread)} was not read", calm_since, calm_until)
    if earlier and calm < policy.stable_after:
        last = max(earlier, key=lambda spell: spell[1])
        return Appraisal(
            False,
            f"{last[2]} was in ALARM at {clock(last[0])}, {span(calm_until - last[0])} before its end",
            calm_since,
            calm_until,
        )
    if calm < policy.stable_after:
        return Appraisal(
            False,
            f"served only {span(calm)} without alarm, {policy.stable_after_minutes} min are asked",
            calm_since,
            calm_until,
        )
    watched = calm_until - max(calm_since, watched_from(facts, now))
    if watched < policy.stable_after and calm < max(UNWATCHED_COUNTS_FROM, policy.stable_after):
        return Appraisal(
            False, f"served {span(calm)}, but no alarm watched: that counts from 24 h on", calm_since, calm_until
        )
    unwatched = "" if watched >= policy.stable_after else " (no alarm watched then)"
    return Appraisal(
        True, f"served {span(calm)} without alarm until {clock(calm_until)}{unwatched}", calm_since, calm_until
    )


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
        avoid: the revision that it brought; its identity is no target.
    """
    seen: set[str] = set()
    found = []
    for stretch in stretches(facts, before):
        revision = facts.revision(stretch.revision)
        if revision is None or (revision.identity or revision.arn) in seen:
            continue
        candidate = _candidate(stretch, revision, facts, policy, now, before, avoid)
        if candidate.verdict == "stable":
            seen.add(revision.identity or revision.arn)
        found.append(candidate)
    found.extend(_known_good(facts, seen, avoid))
    return tuple(found)


def was_stable(facts: Facts, policy: Policy, now: datetime, identity: str, before: datetime) -> Appraisal | None:
    """The newest stretch of an identity that ended by `before` and was stable; None without one. Requests are not asked."""
    for stretch in stretches(facts):
        revision = facts.revision(stretch.revision)
        if revision and revision.identity == identity and stretch.until and stretch.until <= before:
            appraisal = appraise(stretch, facts, policy, now)
            if appraisal.stable:
                return appraisal
    return None


def _candidate(
    stretch: Stretch,
    revision: Revision,
    facts: Facts,
    policy: Policy,
    now: datetime,
    before: Deployment,
    avoid: Revision | None,
) -> Candidate:
    def passed_over(why: str) -> Candidate:
        return Candidate(revision, "passed_over", why)

    if revision.identity is None:
        return passed_over("its task definition can no longer be described")
    if avoid and revision.identity == avoid.identity:
        return passed_over("it is what runs in the blamed deployment: the same content and image digests")
    if revision.identity in facts.memory.quarantined:
        return passed_over(f"quarantined: rolled back from at {clock(facts.memory.quarantined[revision.identity])}")
    appraisal = appraise(stretch, facts, policy, now)
    if not appraisal.stable:
        return passed_over(appraisal.detail)
    requests = facts.requests.get(revision.arn)
    detail = appraisal.detail
    if facts.service and facts.service.behind_load_balancer:
        if requests is None:
            return passed_over(f"{detail}, but how many requests reached it could not be read")
        if requests <= 0:
            return passed_over(f"{detail}, but no request reached it: a quiet time proves nothing")
        detail = f"{detail}, {requests:,} requests"
    if undigested := sorted(name for name, digest in revision.images.items() if digest is None):
        detail = f"{detail}; AWS recorded no image digest of {', '.join(undigested)}, the image's name stands in"
    return Candidate(revision, "stable", detail, between=_between(facts, stretch, before), ran_until=stretch.until)


def _between(facts: Facts, stretch: Stretch, before: Deployment) -> tuple[Revision, ...]:
    end = stretch.until or before.start
    arns = {d.target: None for d in facts.deployments if end <= d.start < before.start}
    return tuple(revision for arn in arns if (revision := facts.revision(arn)))


def _known_good(facts: Facts, seen: set[str], avoid: Revision | None) -> Iterator[Candidate]:
    for record in sorted(facts.memory.known_good, key=lambda r: r.until, reverse=True):
        identity = record.revision.identity
        if identity is None or identity in seen or (avoid and identity == avoid.identity):
            continue
        if identity in facts.memory.quarantined:
            continue
        seen.add(identity)
        requests = "" if record.requests is None else f", {record.requests:,} requests"
        detail = f"the ledger saw it serve without alarm from {clock(record.since)} to {clock(record.until)}{requests}"
        yield Candidate(record.revision, "stable", detail)


def _of_sources(facts: Facts, deployment: Deployment, previous: Deployment | None) -> Iterator[Stretch]:
    for source in deployment.sources:
        revision = facts.revision(source)
        if revision is None:
            continue
        if previous is None:
            yield Stretch(source, min(revision.created_at, deployment.start), deployment.start)
        elif source not in (previous.leaves, previous.target):
            ended = previous.finished_at or previous.start
            yield Stretch(source, min(ended, deployment.start), deployment.start)


def _merge_restarts(facts: Facts, oldest_first: Sequence[Stretch]) -> list[Stretch]:
    restarts = {d.start: d for d in facts.deployments if d.status is Status.SUCCESSFUL}
    merged: list[Stretch] = []
    for stretch in oldest_first:
        last = merged[-1] if merged else None
        if (
            last
            and last.until in restarts
            and restarts[last.until].target == stretch.revision
            and _same_identity(facts, last.revision, stretch.revision)
        ):
            merged[-1] = Stretch(stretch.revision, last.since, stretch.until)
        else:
            merged.append(stretch)
    return merged


def _same_identity(facts: Facts, one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = facts.revision(one), facts.revision(other)
    return bool(first and second and first.identity and first.identity == second.identity)


def _history_covers(alarm: Alarm, since: datetime) -> bool:
    """Whether what is known of an alarm tells all its times in ALARM after a moment: its history, or a calm that began before.

    Before `history_from` its history was not asked, because none is kept that long: such time counts as unwatched.
    """
    return alarm.spells is not None or (not alarm.in_alarm and alarm.since is not None and alarm.since <= since)
