"""Which service revisions ran well? Evidence from stretches of service, never from revision numbers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from autorollback.decision.lineage import deployment_of, running_before, something_ran_before
from autorollback.decision.model import Alarm, Candidate, Deployment, Facts, KnownGood, Revision, Status
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
class Appraisal:
    """How a stretch went: whether it proves its revision, in words, and its calm part (the one that requests are asked for).

    `unread` says that it was not stable only because something could not be read.
    """

    stable: bool
    detail: str
    calm_since: datetime
    calm_until: datetime
    unread: bool = False


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
            since = min(deployment.finished_at, until or deployment.finished_at)
            succeeded = deployment.status is Status.SUCCESSFUL
            brought_by, begun = (deployment.arn, deployment.start) if succeeded else (None, None)
            found.append(Stretch(revision, since, until, brought_by, begun))
    merged = _merge_restarts(facts, sorted(found, key=lambda s: (s.since, s.revision)))
    limit = before.start if before else None
    return tuple(s for s in reversed(merged) if limit is None or (s.until is not None and s.until <= limit))


def appraise(stretch: Stretch, facts: Facts, policy: Policy, now: datetime) -> Appraisal:
    """Did the revision serve long enough without any of the service's alarms, to the end of its stretch?

    An alarm that was in ALARM already before it came says nothing against it; one that fired while it was being deployed does.
    """
    since, end = stretch.since, stretch.end(now)
    spells = [
        (max(spell.since, since), min(spell.until or end, end), alarm.signal)
        for alarm in facts.alarms
        for spell in alarm.spells or ()
        if stretch.came <= spell.since < end and (spell.until is None or spell.until > since)
    ]
    calm_until = min([end, *(start for start, _, _ in spells if start >= end - TAIL)])
    earlier = [spell for spell in spells if spell[0] < calm_until]
    calm_since = max([since, *(min(until, calm_until) for _, until, _ in earlier)])
    calm = calm_until - calm_since

    def unproven(detail: str, *, unread: bool = False) -> Appraisal:
        return Appraisal(False, detail, calm_since, calm_until, unread)

    if earlier and calm < policy.stable_after:
        last = max(earlier, key=lambda spell: (spell[1], spell[2]))
        return unproven(f"{last[2]} was in ALARM at {clock(last[0])}, {span(calm_until - last[0])} before its end")
    if calm < policy.stable_after:
        return unproven(f"served only {span(calm)} without alarm, {policy.stable_after_minutes} min are asked")
    if unread := sorted(alarm.signal for alarm in facts.alarms if not past_is_known(alarm, stretch.came, now)):
        if record := attested(stretch, facts, policy, now):
            detail = f"served {span(record.until - record.since)} without alarm until {clock(record.until)}"
            return Appraisal(True, f"{detail} (the ledger's record)", record.since, record.until)
        return unproven(f"the history of {', '.join(unread)} was not read", unread=True)
    watched = calm_until - max(calm_since, watched_from(facts, now))
    if watched < policy.stable_after and calm < max(UNWATCHED_COUNTS_FROM, policy.stable_after):
        return unproven(f"served {span(calm)}, but no alarm watched: that counts from 24 h on")
    unwatched = "" if watched >= policy.stable_after else " (no alarm watched then)"
    detail = f"served {span(calm)} without alarm until {clock(calm_until)}{unwatched}"
    return Appraisal(True, detail, calm_since, calm_until)


def attested(stretch: Stretch, facts: Facts, policy: Policy, now: datetime) -> KnownGood | None:
    """What the ledger recorded of a stretch when it ended: then CloudWatch need not be asked for it again.

    The record was made by `appraise`, when everything could be read. It holds for the stretch of the very same service
    revision, if it reaches to the end of it, and by today's policy; behind a load balancer, if requests are recorded.
    """
    end = stretch.end(now)
    return next(
        (
            record
            for record in facts.memory.known_good
            if record.revision.arn == stretch.revision
            and stretch.since <= record.since
            and end - TAIL <= record.until <= end
            and record.until - record.since >= policy.stable_after
            and (record.requests or not (facts.service and facts.service.behind_load_balancer))
        ),
        None,
    )


def proven(stretch: Stretch, facts: Facts, policy: Policy, now: datetime) -> KnownGood | None:
    """What a stretch has proven by now, to be remembered longer than AWS does; None where it has proven nothing."""
    revision, appraisal = facts.revision(stretch.revision), appraise(stretch, facts, policy, now)
    if revision is None or revision.identity is None or not appraisal.stable:
        return None
    requests = facts.requests.get(revision.arn)
    if not requests and facts.service and facts.service.behind_load_balancer:
        return None
    return KnownGood(revision, appraisal.calm_since, appraisal.calm_until, requests)


def past_is_known(alarm: Alarm, since: datetime, now: datetime) -> bool:
    """Whether all of an alarm's times in ALARM since a moment are known: by its history, or by a calm that began before.

    CloudWatch keeps history for `HISTORY_KEPT`. What lies further back cannot be read by anybody: it counts as unwatched.
    """
    oldest = max(since, now - HISTORY_KEPT)
    history_reaches = alarm.spells is not None and alarm.history_from is not None and alarm.history_from <= oldest
    calm_since_then = not alarm.in_alarm and alarm.since is not None and alarm.since <= oldest
    return history_reaches or calm_since_then


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
    for stretch in stretches(facts, before):
        revision = facts.revision(stretch.revision)
        if revision is not None:
            candidate = _candidate(stretch, revision, facts, policy, now, kept_out, avoid)
            dated.append((stretch.end(now), candidate))
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
        (revision.identity, deployed_by_persons[stretch.brought_by])
        for stretch in stretches(facts)
        if stretch.brought_by in deployed_by_persons
        and (revision := facts.revision(stretch.revision))
        and appraise(stretch, facts, policy, now).stable
        and _served_requests(facts, policy, now, stretch)
    }
    return {
        identity: at
        for identity, at in facts.memory.quarantined.items()
        if not any(proven == identity and deployed_at > at for proven, deployed_at in proven_again)
    }


def may_have_been_stable(
    facts: Facts, policy: Policy, now: datetime, revision: Revision, before: datetime
) -> Appraisal | None:
    """The newest stretch of an identity that was stable by `before`, or cannot be told not to have been.

    Whoever asks this holds on a yes, so what could not be read counts as one. Requests are not asked. None is a no.
    """
    for stretch in stretches(facts):
        if stretch.since < before and _may_be(facts, stretch.revision, revision):
            until_then = replace(stretch, until=min(stretch.end(now), before))
            appraisal = appraise(until_then, facts, policy, now)
            if appraisal.stable or appraisal.unread:
                return appraisal
    return None


def _candidate(
    stretch: Stretch,
    revision: Revision,
    facts: Facts,
    policy: Policy,
    now: datetime,
    kept_out: dict[str, datetime],
    avoid: Revision | None,
) -> Candidate:
    def passed_over(why: str) -> Candidate:
        return Candidate(revision, "passed_over", why, ran_until=stretch.until)

    if refusal := _refused(revision, kept_out, avoid):
        return passed_over(refusal)
    appraisal = appraise(stretch, facts, policy, now)
    if not appraisal.stable:
        return passed_over(appraisal.detail)
    requests, detail = facts.requests.get(revision.arn), appraisal.detail
    if requests is None and (record := attested(stretch, facts, policy, now)):
        requests = record.requests
    if facts.service and facts.service.behind_load_balancer:
        if requests is None:
            return passed_over(f"{detail}, but how many requests reached it could not be read")
        if requests <= 0:
            return passed_over(f"{detail}, but no request reached it: a quiet time proves nothing")
        detail = f"{detail}, {requests:,} requests"
    if undigested := sorted(name for name, digest in revision.images.items() if digest is None):
        detail = f"{detail}; AWS recorded no image digest of {', '.join(undigested)}, the image's name stands in"
    between = _deployed_since(facts, stretch.end(now))
    return Candidate(revision, "stable", detail, between=between, ran_until=stretch.until)


def _served_requests(facts: Facts, policy: Policy, now: datetime, stretch: Stretch) -> bool:
    """Whether requests reached a stretch, where there is a load balancer to tell; what was not read proves nothing."""
    if facts.service is None or not facts.service.behind_load_balancer:
        return True
    return bool(facts.requests.get(stretch.revision)) or attested(stretch, facts, policy, now) is not None


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
    """Nothing more is said of an identity once a stretch of it has proven it."""
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
    """Whether a record was made while its build still served: how it went on to its end is told by the stretch itself."""
    return any(
        _is(facts, stretch.revision, record.revision) and stretch.since <= record.until < stretch.end(now) - TAIL
        for stretch in stretches(facts)
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


def _of_sources(facts: Facts, deployment: Deployment, previous: Deployment | None) -> Iterator[Stretch]:
    """What ran on while a deployment failed, and what ran before the oldest deployment that AWS still has."""
    for source in deployment.sources:
        revision = facts.revision(source)
        if previous is None:
            if revision is not None:
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
            merged[-1] = replace(last, revision=stretch.revision, until=stretch.until)
        else:
            merged.append(stretch)
    return merged


def _same_identity(facts: Facts, one: str, other: str) -> bool:
    if one == other:
        return True
    first, second = facts.revision(one), facts.revision(other)
    return bool(first and second and first.identity and first.identity == second.identity)
