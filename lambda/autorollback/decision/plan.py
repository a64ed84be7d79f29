"""From a verdict to an intent.

How the rollback is done, what it leaves behind, and what the result says.
"""

from dataclasses import dataclass
from datetime import timedelta

from autorollback.decision.facts import Controller, Facts, Status
from autorollback.decision.formatting import span
from autorollback.decision.incident import LeftRevision, RollbackMethod
from autorollback.decision.lineage import running_before, running_now
from autorollback.decision.verdicts import Candidate, RollBack, RuleFinding

LEFT_KEPT = 20
COPIES_KEPT = 10
"""An intent is kept in one item, and its record written in one transaction: both have an end."""


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """A rollback that is to be done, by the automatic or by a person.

    Attributes:
        considered: every candidate that was looked at.
        pins: a person named the target or forced it.
        forced: skips the preflight, and acts over a claim that is held.
        words: a person's reason.
        requested_by: what that person says of himself.
    """

    verdict: RollBack
    evidence: tuple[RuleFinding, ...]
    considered: tuple[Candidate, ...]
    automatic: bool
    pins: bool = False
    forced: bool = False
    words: str | None = None
    requested_by: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """The candidate that is gone back to, among all that were considered."""

    chosen: Candidate
    considered: tuple[Candidate, ...]


def method_of(
    facts: Facts,
    verdict: RollBack,
    candidate: Candidate,
) -> RollbackMethod:
    """How to go back to a candidate.

    A deployment in progress is stopped where the target then comes back by itself.
    """
    service = facts.service
    through_code_deploy = service is not None and service.controller is Controller.CODE_DEPLOY
    stops = _stop_brings_back(facts, verdict, candidate)
    if through_code_deploy:
        return RollbackMethod.STOP_CODE_DEPLOY if stops else RollbackMethod.CREATE_DEPLOYMENT
    return RollbackMethod.STOP_DEPLOYMENT if stops else RollbackMethod.UPDATE_SERVICE


def _stop_brings_back(
    facts: Facts,
    verdict: RollBack,
    candidate: Candidate,
) -> bool:
    newest = verdict.newest
    if newest.status not in (Status.PENDING, Status.IN_PROGRESS):
        return False
    if not facts.deployments or facts.deployments[0] != newest:
        return False
    source = running_before(facts, 0)
    if source is None or len(newest.sources) != 1:
        return False
    return source.identity == candidate.revision.identity


def left_behind(
    facts: Facts,
    verdict: RollBack,
    chosen: Candidate,
) -> tuple[LeftRevision, ...]:
    """What the blamed deployment and those after it brought: all that the rollback leaves behind.

    Each build once; of a long chain the newest, and what the blamed one brought.
    """
    left: dict[str, LeftRevision] = {}
    for deployment in facts.deployments:
        brought = facts.revision(deployment.target)
        if brought and brought.identity and brought.identity != chosen.revision.identity:
            revision = LeftRevision(
                brought.identity,
                brought.task_definition,
                dict(brought.images),
                brought.process_identity,
                _signals_of(facts, brought.identity, verdict.signal),
            )
            left.pop(brought.identity, None)
            left[brought.identity] = revision
        if deployment.arn == verdict.suspect.arn:
            break
    found = list(left.values())
    return (*found[: LEFT_KEPT - 1], *found[LEFT_KEPT - 1 :][-1:])


def _signals_of(
    facts: Facts,
    identity: str,
    signal: str | None,
) -> tuple[str, ...]:
    """The signals that a build is quarantined for, from before and now."""
    before = facts.ledger.quarantined.get(identity)
    signals = set(before.signals) if before else set()
    if signal:
        signals.add(signal)
    return tuple(sorted(signals))


def possible_copies(facts: Facts, chosen: Candidate) -> tuple[str, ...]:
    """Other definitions that ran here with the content and images of the target, newest first.

    One of them may be its pinned copy. They are ARNs.
    """
    target = chosen.revision
    same = [
        revision
        for revision in facts.revisions.values()
        if revision.identity is not None and revision.identity == target.identity
    ]
    same.sort(key=lambda revision: revision.created_at, reverse=True)
    arns = dict.fromkeys(revision.task_definition_arn for revision in same)
    return tuple(arn for arn in arns if arn != target.task_definition_arn)[:COPIES_KEPT]


def summary_of(
    service_name: str,
    facts: Facts,
    plan: RollbackPlan,
    chosen: Candidate,
    done: str,
) -> str:
    """The result in one sentence; `done` says what happened to the service."""
    verdict, target = plan.verdict, chosen.revision
    left = running_now(facts)
    source = f" from {left.task_definition}" if left else ""
    why = plan.words or verdict.detail
    number = target.task_definition.rpartition(":")[2]
    went = f"{service_name} {done}{source} to {target.task_definition}"
    return f"{went}: {why}; :{number} {chosen.detail}.{_baking(facts, plan, chosen)}"


def _baking(
    facts: Facts,
    plan: RollbackPlan,
    chosen: Candidate,
) -> str:
    bake = facts.service.bake if facts.service else timedelta()
    if not bake or method_of(facts, plan.verdict, chosen).stops:
        return ""
    return f" The service's own deployment strategy bakes it for {span(bake)}."
