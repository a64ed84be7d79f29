"""Why a past verdict was what it was: its facts, judged again by this version."""

from dataclasses import replace
from typing import assert_never

from autorollback import codec, results
from autorollback.aws.ledger_items import unpacked
from autorollback.decision.decide import choose_for_person, decide
from autorollback.decision.incident import Incident
from autorollback.decision.result import Outcome
from autorollback.decision.verdicts import Hold, Ignore, RollBack, Verdict
from autorollback.flows.service_named import service_named
from autorollback.flows.session import Session
from autorollback.requests import BadRequest, Manual
from autorollback.results import Explanation, JudgedAs


def explain(session: Session, asked: Manual) -> Explanation:
    """The facts, the rules and the candidates of a past incident, judged again.

    Nothing is written.

    Raises:
        BadRequest: for an incident that is not on record, or whose facts were not kept.
    """
    incident = _incident(session, asked)
    if incident.facts is None:
        allowed = "an incident whose facts the ledger kept"
        raise BadRequest("incident_id", asked.incident_id, allowed)
    try:
        document = unpacked(incident.facts)
        facts, policy, then = codec.read_record(document)
    except ValueError as error:
        allowed = f"an incident whose facts can be read ({error})"
        raise BadRequest("incident_id", asked.incident_id, allowed) from error

    judge = decide if incident.automatic else choose_for_person
    judgement = judge(facts, policy, then)
    now = JudgedAs(_outcome_of(judgement.verdict), judgement.verdict.reason)
    told = results.judged(
        now.outcome,
        judgement.verdict.reason,
        judgement.verdict.detail,
        incident.key,
        judgement.evidence,
        judgement.candidates,
    )
    was = incident.intent.result
    return Explanation(
        incident.incident_id,
        document,
        told.evidence,
        told.candidates,
        JudgedAs(was.outcome, was.reason),
        now,
    )


def _incident(session: Session, asked: Manual) -> Incident:
    """The incident that a person names; its id says whose it is."""
    cluster, service, _ = str(asked.incident_id).split("/", 2)
    key = service_named(session, replace(asked, cluster=cluster, service=service))
    if asked.service not in (None, service) or asked.cluster not in (None, cluster):
        raise BadRequest("incident_id", asked.incident_id, f"an incident of {asked.service}")
    for incident in session.ledger.recall(key, session.now).incidents:
        if incident.incident_id == asked.incident_id:
            return incident
    allowed = f"an incident of {key} that is on record: `history` lists them"
    raise BadRequest("incident_id", asked.incident_id, allowed)


def _outcome_of(verdict: Verdict) -> Outcome:
    match verdict:
        case RollBack():
            return Outcome.ROLLED_BACK
        case Hold():
            return Outcome.HELD
        case Ignore():
            return Outcome.IGNORED
        case _:
            assert_never(verdict)
