"""The automatic: an alarm or an ECS event is judged, and perhaps the service rolled back."""

from collections.abc import Callable
from dataclasses import replace

from autorollback import results
from autorollback.aws.artifacts import Preflight
from autorollback.aws.evidence import FirstLook
from autorollback.aws.items import Watched, judged_of, packed
from autorollback.decision import blame, record
from autorollback.decision.blame import Passed
from autorollback.decision.decide import decide
from autorollback.decision.model import (
    Evidence,
    Facts,
    Hold,
    Ignore,
    Judgement,
    Reason,
    RollBack,
    Trigger,
    TriggerKind,
)
from autorollback.flows import messages, rollback
from autorollback.flows.desk import Call, Desk
from autorollback.flows.rollback import Asked
from autorollback.naming import ServiceKey
from autorollback.policy import Mode, ServicePolicy
from autorollback.requests import AlarmChanged, DeploymentEnded, TasksCannotStart
from autorollback.results import Result

Cause = AlarmChanged | TasksCannotStart | DeploymentEnded


def respond(desk: Desk, call: Call, cause: Cause) -> Result:
    """Judge a service, one judgement at a time, and act on the verdict.

    Nothing promises that ECS says again that tasks cannot start: where another invocation is judging the service, the sweep asks later.
    """
    key, trigger = cause.service, trigger_of(cause)
    if trigger.muted:
        desk.ledger.heard_muted(key, trigger.alarm or "", trigger.at)
        return results.ignored(Reason.MUTED, f"the alarm's actions are muted: {trigger.muted}", key)
    if not isinstance(cause, AlarmChanged) and desk.evidence.policies.of(key) is None:
        return unprotected(key, desk)  # ECS speaks of every service of the account; alarms of ours are of ours
    event = cause if isinstance(cause, AlarmChanged) else None

    def leave_to_the_sweep() -> None:
        if isinstance(cause, TasksCannotStart):
            desk.ledger.watch(key, Watched("", cause.at, call.now, tasks=True))

    def look_at(look: FirstLook, policy: ServicePolicy) -> Result:
        return judge(desk, call, look, policy, trigger, event)

    return under_lease(desk, call, key, look_at, leave_to_the_sweep)


def turned_away(desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, watched: Watched) -> Result:
    """ECS said that tasks cannot start while the service was being judged: now that is judged too."""
    result = judge(desk, call, look, policy, Trigger(TriggerKind.TASKS_CANNOT_START, watched.failed_at))
    desk.ledger.watch_no_more(policy.key, watched)
    return result


def under_lease(
    desk: Desk,
    call: Call,
    key: ServiceKey,
    then: Callable[[FirstLook, ServicePolicy], Result],
    turned_away: Callable[[], None] = lambda: None,
) -> Result:
    """Take the one judgement of a service, finish what was left unfinished, else go on; and give the lease back in any case.

    `turned_away` is what to do, beside saying so, while another invocation has it.
    """
    if not desk.ledger.lease(key, call.request_id, call.now, call.lease_until):
        turned_away()
        return _taken(key)
    try:
        look, finished = settle(desk, call, desk.evidence.first_look(key, call.now))
        if finished or look.policy is None:
            return finished or unprotected(key, desk)
        return then(look, look.policy)
    finally:
        desk.ledger.give_back(key, call.request_id)


def trigger_of(cause: Cause) -> Trigger:
    """What asks for a judgement, in the terms of the judgement."""
    if isinstance(cause, AlarmChanged):
        return Trigger(TriggerKind.ALARM, cause.at, cause.alarm, cause.muted)
    if isinstance(cause, TasksCannotStart):
        return Trigger(TriggerKind.TASKS_CANNOT_START, cause.at)
    return Trigger(TriggerKind.DEPLOYMENT_FAILED, cause.at, deployment=cause.deployment_id)


def judge(
    desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, trigger: Trigger, event: AlarmChanged | None = None
) -> Result:
    """Gather the facts, decide, and act on the verdict. The caller holds the lease of the service."""
    awake = blame.asleep(Facts(None, trigger, memory=look.recollection.memory), policy.policy, call.now)
    if not isinstance(awake, Passed):
        return results.ignored(awake.reason, awake.detail, policy.key)
    facts, judgement = decided(desk, call, policy, desk.evidence.facts(look, trigger, call.now, event))
    return act_on(desk, call, look, policy, facts, judgement)


def decided(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts) -> tuple[Facts, Judgement]:
    """The judgement, and what it rests on: after a restart it names the secrets and parameters that changed, which are asked now."""
    judgement = decide(facts, policy.policy, call.now)
    if judgement.verdict.reason is not Reason.ONLY_SETTINGS_CHANGED or facts.service is None:
        return facts, judgement
    facts = replace(facts, secrets=Preflight(desk.clients, facts.service, desk.definitions).secrets())
    return facts, decide(facts, policy.policy, call.now)


def unprotected(key: ServiceKey, desk: Desk) -> Result:
    """A service that has no policy is nobody's business here. Its cluster is empty where a person named none."""
    detail = f"{key} has no policy parameter {desk.names.policy_parameter(key)}"
    if not key.cluster:
        detail = f"{key.service} has no policy parameter under {desk.names.parameter_prefix}"
    return results.ignored(Reason.UNPROTECTED_SERVICE, detail, key)


def settle(desk: Desk, call: Call, look: FirstLook) -> tuple[FirstLook, Result | None]:
    """A claim that was left unfinished comes before everything else, and a request that was answered gets its answer again.

    A message that could not be sent comes before nothing: the sweep sends it, or the retry of the request that it is of.

    The answer is None where there is nothing of both, or where the claim had to be given up: then the look is a new one.
    """
    incident = look.recollection.unfinished
    if look.policy is None:
        return look, None
    if incident is None:
        return look, _answered(desk, call, look)
    result = rollback.resume(desk, call, look.policy, incident)
    if result["outcome"] != "failed":
        return look, result
    desk.report(result)
    again = look_again(desk, call, look.policy.key)
    return (again, None) if again else (look, _taken(look.policy.key))


def _answered(desk: Desk, call: Call, look: FirstLook) -> Result | None:
    """What this very request was answered before, which is told now where it could not be told then."""
    mine = (i for i in look.recollection.incidents if i.intent.get("request_id") == call.request_id)
    answered = next((i for i in mine if i.result), None)
    if answered is None or answered.result is None:
        return None
    messages.send_of(desk, call, answered)
    return dict(answered.result)


def look_again(desk: Desk, call: Call, key: ServiceKey) -> FirstLook | None:
    """Go on with a service after an incident of it was closed, which gave the lease back and changed what the ledger says.

    None where another invocation has taken the lease meanwhile.
    """
    leased = desk.ledger.lease(key, call.request_id, call.now, call.lease_until)
    return desk.evidence.first_look(key, call.now) if leased else None


def _taken(key: ServiceKey) -> Result:
    return results.ignored(Reason.ALREADY_HANDLED, "the service is being judged by another invocation", key)


def act_on(
    desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, facts: Facts, judgement: Judgement
) -> Result:
    """Carry out a verdict: roll back, report what would be rolled back, tell people that it holds, or do nothing."""
    match judgement.verdict:
        case Ignore(reason, detail):
            return results.judged("ignored", reason, detail, policy.key, evidence=judgement.evidence)
        case Hold() as hold:
            return _hold(desk, call, policy, facts, judgement, hold)
        case RollBack() as verdict:
            asked = Asked(verdict, judgement.evidence, judgement.candidates, automatic=True)
            return _roll_back(desk, call, look, policy, facts, judgement, asked)


def _roll_back(
    desk: Desk, call: Call, look: FirstLook, policy: ServicePolicy, facts: Facts, judgement: Judgement, asked: Asked
) -> Result:
    chosen, considered = rollback.choose(desk, facts, asked)
    if chosen is None:
        hold = no_candidate(asked, considered)
        told = Judgement(hold, (*judgement.evidence, Evidence(hold.reason, "hold", hold.detail)), considered)
        return _hold(desk, call, policy, facts, told, hold)
    irreversible = blame.reversible(blame.Suspicion(asked.verdict.suspect, call.now, ""), facts, chosen.between)
    if isinstance(irreversible, Hold):
        told = Judgement(
            irreversible, (*judgement.evidence, Evidence(irreversible.reason, "hold", irreversible.detail)), considered
        )
        return _hold(desk, call, policy, facts, told, irreversible)
    if policy.policy.mode is Mode.OBSERVE:
        result = rollback.would_roll_back(policy.key, facts, asked, chosen, considered)
        _tell_once(desk, call, policy, facts, asked.verdict.suspect.arn, result)
        return result
    return rollback.carry_out(desk, call, policy, facts, asked, chosen, considered, look.recollection.incidents)


def no_candidate(asked: Asked, considered: tuple[object, ...]) -> Hold:
    """Stable revisions there are, but none could run."""
    detail = f"{len(asked.verdict.candidates)} stable revision(s) looked at, none passes the preflight"
    return Hold(Reason.NO_CANDIDATE_PASSES_PREFLIGHT, detail if considered else "no candidate", asked.verdict.suspect)


def held(policy: ServicePolicy, facts: Facts, judgement: Judgement, hold: Hold) -> Result:
    """The result of a verdict that a person has to decide on."""
    return results.judged(
        "held",
        hold.reason,
        f"{policy.key.service} is not rolled back: {hold.detail}.",
        policy.key,
        from_=facts.revision(hold.suspect.target) if hold.suspect else None,
        evidence=judgement.evidence,
        candidates=judgement.candidates,
    )


def _hold(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts, judgement: Judgement, hold: Hold) -> Result:
    result = held(policy, facts, judgement, hold)
    if hold.reason is not Reason.SLOW_START:
        about = hold.suspect or (facts.deployments[0] if facts.deployments else None)
        _tell_once(desk, call, policy, facts, about.arn if about else "none", result)
    return result


def _tell_once(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts, deployment: str, result: Result) -> None:
    """People are told once for each suspect deployment and reason, not once for each alarm."""
    red = [alarm.name for alarm in facts.alarms if alarm.in_alarm]
    newest = facts.deployments[0].arn if facts.deployments else ""
    rested_on = packed(record.to_json(facts, policy.policy, call.now))
    arn = facts.service.arn if facts.service else None
    judged = judged_of(newest, red)
    messages.tell_once(desk, call, policy.key, deployment, result, resource=arn, judged=judged, facts=rested_on)
