"""Which builds were rolled back from, and have not proven themselves since?"""

from datetime import datetime

from autorollback.decision import stability
from autorollback.decision.facts import Facts
from autorollback.decision.identity import same_identity
from autorollback.decision.lineage import deployment_of, running_before
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod


def quarantined(question: Question) -> dict[str, datetime]:
    """Identities that were rolled back from, and when.

    One leaves quarantine where a person deployed it again afterwards and it became stable.
    """
    proven_again = _proven_by_persons(question)
    kept: dict[str, datetime] = {}
    for identity, rolled_back_at in question.facts.ledger.quarantined.items():
        deployed_again_at = proven_again.get(identity)
        if deployed_again_at is None or deployed_again_at <= rolled_back_at:
            kept[identity] = rolled_back_at
    return kept


def _proven_by_persons(question: Question) -> dict[str | None, datetime]:
    """The identities that became stable where a person deployed them, and when that began last."""
    facts = question.facts
    begun_by_persons = _deployed_by_persons(facts)
    found: dict[str | None, datetime] = {}
    for period in question.periods:
        begun = begun_by_persons.get(period.brought_by)
        revision = facts.revision(period.revision)
        if begun is None or revision is None:
            continue
        if _has_proven_itself(period, question):
            latest = found.get(revision.identity, begun)
            found[revision.identity] = max(latest, begun)
    return found


def _has_proven_itself(period: ServingPeriod, question: Question) -> bool:
    """Whether a serving period was stable, with requests where a load balancer counts them."""
    if not stability.assess(period, question).stable:
        return False
    if not question.behind_load_balancer or question.facts.requests.get(period.revision):
        return True
    return stability.attested(period, question) is not None


def _deployed_by_persons(facts: Facts) -> dict[str | None, datetime]:
    """When each deployment of another build began that this controller did not start by itself."""
    automatic = _automatic_rollbacks(facts)
    found: dict[str | None, datetime] = {}
    for index, deployment in enumerate(facts.deployments):
        source = running_before(facts, index)
        if deployment.arn in automatic or source is None or source.identity is None:
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
