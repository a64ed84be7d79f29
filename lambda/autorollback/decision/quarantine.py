"""Which builds were rolled back from, and have not proven themselves since?"""

from collections.abc import Mapping
from datetime import datetime

from autorollback.decision import stability
from autorollback.decision.facts import Facts, Quarantine, Revision
from autorollback.decision.formatting import clock
from autorollback.decision.identity import same_identity
from autorollback.decision.lineage import (
    deployment_of,
    is_rollback,
    running_before,
    something_ran_before,
)
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod


def quarantined(question: Question) -> dict[str, Quarantine]:
    """What was rolled back from, by identity.

    A build leaves quarantine where a person deployed it again afterwards and it became stable: itself, or another of
    which a process sees no difference.
    """
    recorded = question.facts.ledger.quarantined
    if not recorded:
        return {}
    proven_again = _proven_by_persons(question)
    kept: dict[str, Quarantine] = {}
    for identity, quarantine in recorded.items():
        begun = [at for revision, at in proven_again if same_to_its_processes(revision, quarantine)]
        deployed_again_at = max(begun, default=None)
        if deployed_again_at is None or deployed_again_at <= quarantine.at:
            kept[identity] = quarantine
    return kept


def same_to_its_processes(revision: Revision, quarantine: Quarantine) -> bool:
    """Whether a revision is the quarantined build, as far as its processes can see."""
    if revision.identity is None:
        return False
    if revision.identity == quarantine.identity:
        return True
    seen = revision.process_identity
    return seen is not None and seen == quarantine.process_identity


def known_bad(question: Question, index: int) -> Quarantine | None:
    """The quarantined build that a deployment brings back; None where it brings another.

    What ECS, this controller or a person through it went back to is theirs to answer for. A build that was stable here
    itself is its own witness: it is known as bad by its identity alone, not by what it has in common with another.
    """
    facts = question.facts
    deployment = facts.deployments[index]
    brought = facts.revision(deployment.target)
    if brought is None or is_rollback(deployment, facts):
        return None

    return known_bad_build(question, brought, deployment.start)


def known_bad_build(
    question: Question,
    brought: Revision,
    start: datetime,
) -> Quarantine | None:
    """The quarantined build that a revision is, if it were deployed at a moment."""
    kept = quarantined(question)
    if brought.identity in kept:
        return kept[brought.identity]
    alike = [one for one in kept.values() if same_to_its_processes(brought, one)]
    if not alike or stability.may_have_been_stable(question, brought, start):
        return None
    return max(alike, key=lambda one: (one.at, one.identity))


def words_of(quarantine: Quarantine) -> str:
    """A quarantined build, as people are told of it."""
    name = quarantine.task_definition or "a build"
    return f"{name}, which was rolled back from at {clock(quarantine.at)}"


def with_its_images(question: Question, revision: Revision) -> Quarantine | None:
    """The quarantined build whose images a revision runs under other settings; None without one."""
    images = _digests(revision.images)
    if not images:
        return None
    alike = [one for one in quarantined(question).values() if _digests(one.images) == images]
    return max(alike, key=lambda one: (one.at, one.identity), default=None)


def _digests(images: Mapping[str, str | None]) -> list[str]:
    """The digests that run, whatever the containers are called; none where one is not known."""
    known = [digest for digest in images.values() if digest]
    return sorted(known) if len(known) == len(images) else []


def _proven_by_persons(question: Question) -> list[tuple[Revision, datetime]]:
    """What became stable where a person deployed it, and when that began."""
    facts = question.facts
    begun_by_persons = _deployed_by_persons(facts)
    found: list[tuple[Revision, datetime]] = []
    for period in question.periods:
        begun = begun_by_persons.get(period.brought_by)
        revision = facts.revision(period.revision)
        if begun is None or revision is None:
            continue
        if _has_proven_itself(period, question):
            found.append((revision, begun))
    return found


def _has_proven_itself(period: ServingPeriod, question: Question) -> bool:
    """Whether a serving period was stable, with requests where a load balancer counts them."""
    if not stability.assess(period, question).stable:
        return False
    if not question.behind_load_balancer or question.facts.requests.get(period.revision):
        return True
    return stability.attested(period, question) is not None


def _deployed_by_persons(facts: Facts) -> dict[str | None, datetime]:
    """When each deployment of another build began that this controller did not start by itself.

    The first one of a service is one of them.
    """
    automatic = _automatic_rollbacks(facts)
    found: dict[str | None, datetime] = {}
    for index, deployment in enumerate(facts.deployments):
        if deployment.arn in automatic:
            continue
        if not something_ran_before(facts, index):
            found[deployment.arn] = deployment.start
            continue
        source = running_before(facts, index)
        if source is None or source.identity is None:
            continue
        if not same_identity(facts, source.arn, deployment.target):
            found[deployment.arn] = deployment.start
    return found


def _automatic_rollbacks(facts: Facts) -> set[str]:
    """The service deployments that carried out what nobody had asked for."""
    found: set[str] = set()
    for rollback in facts.ledger.rollbacks:
        if not rollback.automatic:
            continue
        deployment = deployment_of(rollback, facts)
        if deployment is not None:
            found.add(deployment.arn)
    return found
