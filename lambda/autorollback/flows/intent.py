"""What would be done, and the claim that holds it.

From a verdict to an intent that can be acted on again.
"""

from dataclasses import replace

from autorollback import results
from autorollback.aws.ledger_items import new_incident, packed_facts, size_once_ended
from autorollback.decision import plan as plans
from autorollback.decision.facts import Facts
from autorollback.decision.incident import Event, Incident, Intent, Phase
from autorollback.decision.lineage import running_now
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.flows.session import ProtectedService


def would_roll_back(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Result:
    """What would be done, and why: the same object as of a rollback that was."""
    result = result_of(
        service,
        facts,
        plan,
        target,
    )
    words = plans.summary_of(
        service.key.service,
        facts,
        plan,
        target.chosen,
        "would be rolled back",
    )
    return replace(result, outcome=Outcome.WOULD_ROLL_BACK, summary=words)


def result_of(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Result:
    """The result of a rollback, as it will be once done."""
    verdict, chosen = plan.verdict, target.chosen
    words = plans.summary_of(
        service.key.service,
        facts,
        plan,
        chosen,
        "rolled back",
    )
    result = results.judged(
        Outcome.ROLLED_BACK,
        verdict.reason,
        words,
        service.key,
        plan.evidence,
        target.considered,
    )
    left = running_now(facts)
    return replace(
        result,
        came_from=results.revision_summary(left),
        goes_to=results.target_summary(chosen.revision),
        requested_by=plan.requested_by,
    )


def claim_of(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
    instead_of: Incident | None = None,
) -> Incident:
    """The claim, with all that is needed to act on it again.

    Where nothing stands between the claim and the call, it says at once that AWS is being asked.
    """
    session, newest = service.session, plan.verdict.newest
    incident = new_incident(
        service.key,
        newest,
        session.now,
        intent_of(
            service,
            facts,
            plan,
            target,
        ),
        automatic=plan.automatic,
        suffix=_suffix(
            service,
            newest.arn,
            plan,
            instead_of,
        ),
    )
    claim = incident.with_result(opened_result(incident, incident.intent.result))
    rested_on = packed_facts(
        facts,
        service.policy,
        session.now,
        beside=size_once_ended(claim),
    )
    return asked_unless_copied(replace(claim, facts=rested_on))


def opened_result(incident: Incident, result: Result) -> Result:
    """A result as it will be once the incident is open."""
    return replace(
        result,
        incident_id=incident.incident_id,
        incident_state=IncidentState.OPEN,
    )


def asked_unless_copied(claim: Incident) -> Incident:
    """The claim in the phase in which it is written.

    A copy has to be registered before AWS is asked to act.
    """
    if claim.intent.copy_is_missing and not claim.intent.method.stops:
        return claim
    return claim.after(Event.ASKED)


def _suffix(
    service: ProtectedService,
    newest: str,
    plan: RollbackPlan,
    instead_of: Incident | None,
) -> str:
    """What lets the claim stand beside others on the same deployment."""
    if plan.forced:
        return f"forced-{service.session.request_id}"
    ended = 1 if instead_of else 0
    for incident in service.ledger_state.incidents:
        if incident.deployment == newest and incident.phase is Phase.FAILED:
            ended += 1
    return f"again-{ended}" if ended else ""


def intent_of(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Intent:
    """What is to be done, written down before the act."""
    chosen, verdict = target.chosen, plan.verdict
    method = plans.method_of(facts, verdict, chosen)
    definition = chosen.revision.task_definition_arn
    return Intent(
        method=method,
        target=definition,
        deploy=definition,
        digests=dict(chosen.revision.images),
        needs_copy=any(check.needs_copy for check in chosen.checks),
        service_arn=facts.service.arn if facts.service else "",
        result=result_of(
            service,
            facts,
            plan,
            target,
        ),
        code_deploy=service.configured.code_deploy if method.through_code_deploy else None,
        copies=plans.possible_copies(facts, chosen),
        pins=plan.pins,
        forced=plan.forced,
        words=plan.words,
        request_id=service.session.request_id,
        red=tuple(alarm.name for alarm in facts.alarms if alarm.in_alarm),
        onset=verdict.onset,
        left=plans.left_behind(facts, verdict, chosen),
    )
