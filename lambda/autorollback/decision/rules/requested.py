"""A person asked for a rollback: what it undoes. Nobody is blamed."""

from dataclasses import dataclass

from autorollback.decision.case import Case, Rule, Suspicion
from autorollback.decision.facts import Deployment, Facts, Revision
from autorollback.decision.lineage import running_before
from autorollback.decision.verdicts import Hold, Reason


@dataclass(frozen=True, slots=True)
class Undone:
    """The deployment that a person's rollback undoes, and what runs now, where that was described."""

    deployment: Deployment
    running: Revision | None


def undone_by_person(facts: Facts) -> Undone | None:
    """The deployment that made what runs now; None without one on record. Restarts are passed over."""
    newest = facts.newest
    if newest is None:
        return None
    running = facts.revision(newest.leaves or newest.target)
    chosen = newest
    for index, deployment in enumerate(facts.deployments):
        chosen = deployment
        source = running_before(facts, index)
        if source is None or running is None or source.identity != running.identity:
            break
    return Undone(chosen, running)


def _ask(case: Case) -> Suspicion | Hold:
    undone = undone_by_person(case.facts)
    if undone is None:
        detail = "AWS has no deployment of this service on record"
        return Hold(Reason.NO_STABLE_REVISION, detail)
    return Suspicion(undone.deployment, case.now, "a person asked for it")


RULE = Rule("requested", _ask)
