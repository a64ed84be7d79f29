"""Can what a person wants to leave be undone? Asked of the tags of all that lies between."""

from dataclasses import replace
from functools import partial

from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import UnknownDefinition
from autorollback.decision.decide import irreversible_target
from autorollback.decision.definition import Definition, described_as
from autorollback.decision.facts import Facts, Revision
from autorollback.decision.verdicts import Candidate, Hold, RollBack
from autorollback.flows.session import ProtectedService

READ = 100
"""Definitions that are described for this at most; of those left the tags are not known."""


def irreversible(
    service: ProtectedService,
    facts: Facts,
    verdict: RollBack,
    chosen: Candidate,
) -> Hold | None:
    """Why a person is asked to confirm; None where nothing forbids to go back.

    The judgement of alarms reads no further back than it needs, so what lies between a named target
    and the present may not have been described yet.
    """
    suspect = facts.revision(verdict.suspect.target)
    asked_about = [one for one in (suspect, *chosen.between) if one is not None]
    definitions = _described(service, asked_about)

    def known(revision: Revision) -> Revision:
        definition = definitions.get(revision.task_definition_arn)
        return described_as(revision, definition) if definition else revision

    revisions = {**facts.revisions, **{one.arn: known(one) for one in asked_about}}
    between = tuple(known(one) if one else None for one in chosen.between)
    hold = irreversible_target(
        replace(facts, revisions=revisions), verdict, replace(chosen, between=between)
    )
    if hold is None:
        return None
    return replace(hold, detail=f"{hold.detail}; force acts all the same")


def _described(
    service: ProtectedService, revisions: list[Revision]
) -> dict[str, Definition | None]:
    """The definitions of revisions that nobody has described yet, by ARN."""
    unread = {one.task_definition_arn: None for one in revisions if one.identity is None}
    reads = {arn: partial(_definition, service, arn) for arn in list(unread)[:READ]}
    return in_parallel(reads)


def _definition(service: ProtectedService, arn: str) -> Definition | None:
    try:
        return service.session.definitions.describe(arn)
    except UnknownDefinition:
        return None
