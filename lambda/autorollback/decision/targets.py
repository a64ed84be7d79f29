"""Where to go back to? Every revision that ran before, and what speaks for or against it.

Two sources tell: the serving periods that AWS still knows, and what the ledger recorded of older
ones.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from autorollback.decision import stability
from autorollback.decision.facts import Deployment, Facts, KnownGood, Quarantine, Revision
from autorollback.decision.formatting import clock
from autorollback.decision.identity import has_identity_of, identity_of
from autorollback.decision.lineage import something_ran_before
from autorollback.decision.quarantine import quarantined
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod
from autorollback.decision.verdicts import Candidate, CandidateVerdict

_STABLE = CandidateVerdict.STABLE
_PASSED_OVER = CandidateVerdict.PASSED_OVER


@dataclass(frozen=True, slots=True)
class _Excluded:
    """What can be no target however well it ran.

    Attributes:
        quarantined: identities that were rolled back from, and when.
        avoid: the revision that runs in the blamed deployment.
        undescribed: ARNs of the task definitions that AWS cannot describe any more.
    """

    quarantined: Mapping[str, Quarantine]
    avoid: Revision | None
    undescribed: Collection[str]

    def objection(self, revision: Revision) -> str | None:
        """Why a revision can be no target; None where nothing speaks against it."""
        identity = revision.identity
        if identity is None and revision.task_definition_arn in self.undescribed:
            return "its task definition can no longer be described"
        if identity is None:
            return "not looked into: its task definition was not read"
        if self.avoid is not None and identity == self.avoid.identity:
            return "it is what runs in the blamed deployment: the same content and image digests"
        if identity in self.quarantined:
            return f"quarantined: rolled back from at {clock(self.quarantined[identity].at)}"
        return None


@dataclass(frozen=True, slots=True)
class _Dated:
    """A candidate and the end of what speaks for or against it."""

    until: datetime
    candidate: Candidate

    @property
    def rank(self) -> tuple[datetime, bool, str]:
        """The newest evidence ranks highest; of two equally new ones, what is stable does."""
        return self.until, self.candidate.verdict == _STABLE, self.candidate.revision.arn


def candidates(
    question: Question,
    before: Deployment,
    avoid: Revision | None,
) -> tuple[Candidate, ...]:
    """Every revision that ran before a deployment, newest first, each `stable` or `passed_over`.

    Args:
        before: the deployment that is blamed, or that a person wants undone.
        avoid: the revision that it brought; its identity is no target.
    """
    undescribed = question.facts.undescribed
    excluded = _Excluded(quarantined(question), avoid, undescribed)
    dated = [
        *_known_to_aws(question, before, excluded),
        *_known_to_the_ledger(question, before, excluded),
    ]
    newest_first = sorted(dated, key=lambda one: one.rank, reverse=True)
    return _each_once(one.candidate for one in newest_first)


def source_candidates(question: Question, settings: Deployment) -> tuple[Candidate, ...]:
    """The source of a deployment in progress that changes only settings of the service.

    To stop that deployment brings its source back with all its settings: no other identity is
    needed.
    """
    found = candidates(question, settings, avoid=None)
    return tuple(candidate for candidate in found if candidate.revision.arn in settings.sources)


def _known_to_aws(
    question: Question,
    before: Deployment,
    excluded: _Excluded,
) -> Iterator[_Dated]:
    for period in question.periods:
        revision = question.facts.revision(period.revision)
        if revision is not None and period.ended_by(before.start):
            candidate = _of_period(
                period,
                revision,
                question,
                excluded,
            )
            yield _Dated(period.end(question.now), candidate)


def _known_to_the_ledger(
    question: Question,
    before: Deployment,
    excluded: _Excluded,
) -> Iterator[_Dated]:
    if not _is_of_this_service(question.facts, before):
        return
    for record in question.facts.ledger.known_good:
        if record.until <= before.start and not _overtaken(record, question):
            yield _Dated(record.until, _of_record(record, question, excluded))


def _of_period(
    period: ServingPeriod,
    revision: Revision,
    question: Question,
    excluded: _Excluded,
) -> Candidate:
    """What a serving period says of its revision."""

    def passed_over(why: str) -> Candidate:
        return Candidate(
            revision,
            _PASSED_OVER,
            why,
            ran_until=period.until,
        )

    objection = excluded.objection(revision)
    if objection is not None:
        return passed_over(objection)

    assessment = stability.assess(period, question)
    if not assessment.stable:
        return passed_over(assessment.detail)

    detail = assessment.detail
    if question.behind_load_balancer:
        requests = _requests(period, question)
        if requests is None:
            return passed_over(f"{detail}, but its requests could not be read")
        if requests <= 0:
            return passed_over(f"{detail}, but no request reached it")
        detail = f"{detail}, {requests:,} requests"

    detail = f"{detail}{assessment.aside}{_without_digest(revision)}"
    between = deployed_since(question.facts, period.end(question.now))
    return Candidate(
        revision,
        _STABLE,
        detail,
        between=between,
        ran_until=period.until,
    )


def _of_record(
    record: KnownGood,
    question: Question,
    excluded: _Excluded,
) -> Candidate:
    """What the ledger says of a revision, perhaps older than what AWS keeps."""

    def passed_over(why: str) -> Candidate:
        return Candidate(
            record.revision,
            _PASSED_OVER,
            why,
            ran_until=record.until,
        )

    objection = excluded.objection(record.revision)
    if objection is not None:
        return passed_over(objection)

    served = f"from {clock(record.since)} to {clock(record.ran_calm_until)}"
    detail = f"the ledger saw it serve without alarm {served}"
    if question.behind_load_balancer:
        if not record.requests:
            why = f"{detail}, but no request is recorded"
            return passed_over(why)
        detail = f"{detail}, {record.requests:,} requests"

    between = deployed_since(question.facts, record.until)
    if not reaches_back_to(question.facts, record):
        between = (None, *between)
    return Candidate(
        record.revision,
        _STABLE,
        detail,
        between=between,
        ran_until=record.until,
    )


def _requests(period: ServingPeriod, question: Question) -> int | None:
    """How many requests reached a serving period, as counted now or recorded when it ended."""
    counted = question.facts.requests.get(period.revision)
    if counted is not None:
        return counted
    record = stability.attested(period, question)
    return record.requests if record else None


def _without_digest(revision: Revision) -> str:
    """What is said of images that AWS recorded no digest of."""
    containers = [name for name, digest in revision.images.items() if digest is None]
    if not containers:
        return ""
    names = ", ".join(sorted(containers))
    return f"; AWS recorded no image digest of {names}, the image's name stands in"


def _each_once(newest_first: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Each identity is told of until one of its serving periods has proven it."""
    proven: set[str | None] = set()
    found: list[Candidate] = []
    for candidate in newest_first:
        identity = candidate.revision.identity
        if identity not in proven:
            found.append(candidate)
        if candidate.verdict == _STABLE:
            proven.add(identity)
    return tuple(found)


def deployed_since(facts: Facts, moment: datetime) -> tuple[Revision | None, ...]:
    """The revisions that were deployed since a moment; None for what was not described."""
    revisions: dict[str, Revision | None] = {}
    for deployment in facts.deployments:
        if deployment.start >= moment:
            revisions[deployment.target] = facts.revision(deployment.target)
    return tuple(revisions.values())


def reaches_back_to(facts: Facts, record: KnownGood) -> bool:
    """Whether every deployment since a record is known: AWS forgets them after 90 days."""
    if not facts.deployments:
        return False

    oldest = min(facts.deployments, key=lambda d: (d.start, d.arn))
    if oldest.start <= record.until:
        return True
    return _took_over_from(oldest, record, facts)


def _took_over_from(
    deployment: Deployment,
    record: KnownGood,
    facts: Facts,
) -> bool:
    """Whether a deployment replaced what was recorded: then none is missing between."""
    replaced = {identity_of(facts, arn) for arn in deployment.sources}
    return replaced == {record.revision.identity}


def _overtaken(record: KnownGood, question: Question) -> bool:
    """Whether a record was made while its build still served.

    How it went on to its end is told by the serving period itself.
    """
    for period in question.periods:
        almost_ended = period.end(question.now) - stability.TAIL
        made_on_the_way = period.since <= record.until < almost_ended
        if made_on_the_way and has_identity_of(question.facts, period.revision, record.revision):
            return True
    return False


def _is_of_this_service(facts: Facts, before: Deployment) -> bool:
    """Whether the ledger's records are of this service, not of an earlier namesake.

    Nothing ran before the first deployment of a service.
    """
    if before not in facts.deployments:
        return True
    return something_ran_before(facts, facts.deployments.index(before))
