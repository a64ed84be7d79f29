"""What a person asks for: a rollback, a plan of one, or what the ledger knows."""

from dataclasses import replace
from typing import assert_never

from autorollback import results
from autorollback.aws.evidence import FirstLook
from autorollback.decision.blame import rollback_behind
from autorollback.decision.decide import choose_for_person, undone_by_person
from autorollback.decision.model import (
    Candidate,
    Evidence,
    Facts,
    Hold,
    Ignore,
    Judgement,
    Reason,
    Revision,
    RollBack,
    Service,
    Status,
    Trigger,
    TriggerKind,
)
from autorollback.flows import readiness, records, respond, rollback
from autorollback.flows.desk import Call, Desk
from autorollback.flows.named import as_it_ran, revision_named, tagged
from autorollback.flows.rollback import Asked
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.requests import Action, BadRequest, Manual
from autorollback.results import Result


def answer(desk: Desk, call: Call, asked: Manual) -> Result:
    """Do what a person asked for.

    Raises:
        BadRequest: for what cannot be done as asked, naming the field.
    """
    match asked.action:
        case Action.HISTORY:
            return records.history(desk, asked, _maybe_named(desk, asked))
        case Action.PAUSE:
            return records.pause(desk, call, asked, _maybe_named(desk, asked))
        case Action.RESUME:
            return records.resume(desk, _maybe_named(desk, asked))
        case Action.RELEASE:
            return records.release(desk, call, asked, service_named(desk, asked))
        case Action.READINESS:
            return readiness.ask(desk, call, _maybe_named(desk, asked))
        case Action.ROLLBACK | Action.PLAN:
            return _rollback_or_plan(desk, call, asked)
        case _:
            assert_never(asked.action)


def _maybe_named(desk: Desk, asked: Manual) -> ServiceKey | None:
    return service_named(desk, asked) if asked.service else None


def _rollback_or_plan(desk: Desk, call: Call, asked: Manual) -> Result:
    key = service_named(desk, asked)
    if asked.action is Action.PLAN or asked.dry_run:
        return _rolled_back(desk, call, key, asked, plan=True)
    if not desk.ledger.lease(key, call.request_id, call.now, call.lease_until) and not asked.force:
        return results.ignored(Reason.ALREADY_HANDLED, "the service is being judged at this moment: ask again", key)
    try:
        return _rolled_back(desk, call, key, asked, plan=False)
    finally:
        desk.ledger.give_back(key, call.request_id)


def service_named(desk: Desk, asked: Manual) -> ServiceKey:
    """The one protected service that a person means.

    Raises:
        BadRequest: where clusters share the name and none is given.
    """
    if asked.service is None:
        raise BadRequest("service", None, "the name of a protected service")
    if asked.cluster:
        return ServiceKey(asked.cluster, asked.service)
    found = desk.evidence.policies.named(asked.service)
    if len(found) > 1:
        clusters = ", ".join(key.cluster for key in found)
        raise BadRequest(
            "cluster", None, f"one of {clusters}: {len(found)} protected services are named {asked.service}"
        )
    return found[0] if found else ServiceKey("", asked.service)


def _rolled_back(desk: Desk, call: Call, key: ServiceKey, asked: Manual, *, plan: bool) -> Result:
    if not key.cluster:
        return respond.unprotected(key, desk)
    look, finished = desk.evidence.first_look(key, call.now), None
    if not plan and not asked.force:
        look, finished = respond.settle(desk, call, look)
    if finished or look.policy is None:
        return finished or respond.unprotected(key, desk)
    policy = look.policy
    facts = desk.evidence.facts(look, Trigger(TriggerKind.ALARM, call.now), call.now)
    judgement = _requested(desk, call, policy, look, facts, asked)
    if plan:
        judgement = replace(judgement, evidence=(*judgement.evidence, *_automatic(desk, call, policy, facts)))
    match judgement.verdict:
        case Ignore(reason, detail):
            return results.judged("ignored", reason, detail, key, evidence=judgement.evidence)
        case Hold() as hold:
            return respond.held(policy, facts, judgement, hold)
        case RollBack() as verdict:
            wanted = Asked(
                verdict,
                judgement.evidence,
                judgement.candidates,
                automatic=False,
                pins=asked.force or asked.revision is not None or asked.image_tag is not None,
                forced=asked.force,
                words=asked.reason,
            )
    chosen, considered = rollback.choose(desk, facts, wanted)
    if chosen is None:
        hold = respond.no_candidate(wanted, considered)
        return respond.held(policy, facts, replace(judgement, candidates=considered), hold)
    if plan:
        return rollback.would_roll_back(key, facts, wanted, chosen, considered)
    return rollback.carry_out(desk, call, policy, facts, wanted, chosen, considered, look.recollection.incidents)


def _requested(
    desk: Desk, call: Call, policy: ServicePolicy, look: FirstLook, facts: Facts, asked: Manual
) -> Judgement:
    named = None
    if facts.service is not None and facts.deployments and facts.service.within_reach:
        named = _what_was_named(desk, call, policy, look, facts, facts.service, asked)
    if named and _runs_already(facts, named.revision):
        detail = f"{named.revision.task_definition} is what the service runs"
        evidence = Evidence(Reason.ALREADY_RUNNING, "ignore", detail)
        return Judgement(Ignore(Reason.ALREADY_RUNNING, detail), (evidence,))
    if (hold := _rollback_under_way(facts)) and not asked.force:
        return Judgement(hold, (Evidence(hold.reason, "hold", hold.detail),))
    if named is None:
        return choose_for_person(facts, policy.policy, call.now)
    newest, what = facts.deployments[0], asked.image_tag or named.revision.task_definition
    undone = undone_by_person(facts)
    suspect = undone[0] if undone else newest
    verdict = RollBack(Reason.REQUESTED, "a person asked for it", suspect, newest, (named,))
    return Judgement(verdict, (Evidence(Reason.REQUESTED, "roll_back", f"a person named {what}"),), (named,))


def _what_was_named(
    desk: Desk, call: Call, policy: ServicePolicy, look: FirstLook, facts: Facts, service: Service, asked: Manual
) -> Candidate | None:
    if asked.image_tag is not None:
        return tagged(desk, call, service, facts, asked.image_tag, asked.container)
    if asked.revision is not None:
        definition = revision_named(desk, service.task_definition, asked.revision)
        return as_it_ran(desk, call, policy, look, facts, definition)
    return None


def _runs_already(facts: Facts, named: Revision) -> bool:
    """By what runs, not by its number: a copy of it may run, or its own number with a tag that has moved."""
    newest = facts.deployments[0]
    runs = facts.revision(newest.leaves or newest.target)
    if runs is None or runs.identity is None:
        return facts.service is not None and facts.service.task_definition == named.task_definition_arn
    return runs.identity == named.identity


def _rollback_under_way(facts: Facts) -> Hold | None:
    newest = facts.deployments[0] if facts.deployments else None
    if newest is None or not newest.status.in_progress:
        return None
    ours = rollback_behind(newest, facts)
    if newest.status in (Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS) or ours:
        whose = f"to {ours.to_task_definition}" if ours else "by ECS"
        return Hold(
            Reason.DEPLOYMENT_IS_A_ROLLBACK, f"a rollback {whose} is under way; force acts all the same", newest
        )
    return None


def _automatic(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts) -> tuple[Evidence, ...]:
    """What the automatic judgement says of the alarms as they are now."""
    red = sorted((a for a in facts.alarms if a.in_alarm), key=lambda a: a.onset or call.now)
    if not red:
        return (
            Evidence(
                Reason.NOT_IN_ALARM, "ignore", "no alarm of this service is in ALARM: the automatic would do nothing"
            ),
        )
    trigger = Trigger(TriggerKind.ALARM, red[0].since or call.now, red[0].name)
    return respond.decided(desk, call, policy, replace(facts, trigger=trigger))[1].evidence
