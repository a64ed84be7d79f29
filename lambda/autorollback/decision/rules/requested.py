"""A person asked for a rollback: what it undoes. Nobody is blamed."""

from autorollback.decision.case import Case, Rule, Suspicion
from autorollback.decision.facts import Deployment, Facts
from autorollback.decision.lineage import running_before, running_now
from autorollback.decision.verdicts import Hold, Reason


def undone_by_person(facts: Facts) -> Deployment | None:
    """The deployment that made what runs now; None without one on record. Restarts are passed over."""
    running = running_now(facts)
    undone = None
    for index, deployment in enumerate(facts.deployments):
        undone = deployment
        source = running_before(facts, index)
        if source is None or running is None or source.identity != running.identity:
            break
    return undone


def _ask(case: Case) -> Suspicion | Hold:
    undone = undone_by_person(case.facts)
    if undone is None:
        detail = "AWS has no deployment of this service on record"
        return Hold(Reason.NO_STABLE_REVISION, detail)
    return Suspicion(undone, case.now, "a person asked for it")


RULE = Rule("requested", _ask)
