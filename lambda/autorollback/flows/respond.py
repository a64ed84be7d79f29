"""The automatic: an alarm or an ECS event is judged.

Perhaps the service is rolled back.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from functools import partial

from autorollback import results
from autorollback.aws.ledger import Notice
from autorollback.aws.ledger_items import packed_facts
from autorollback.decision.alarm_order import trouble_began
from autorollback.decision.decide import decide, decide_without_facts, irreversible_target
from autorollback.decision.facts import Facts, Trigger, TriggerKind
from autorollback.decision.incident import Incident
from autorollback.decision.ledger_state import PendingCheck, verdict_marks
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.result import Outcome, Result
from autorollback.decision.rules import paused
from autorollback.decision.traffic_shift import is_watched
from autorollback.decision.verdicts import (
    Candidate,
    FindingVerdict,
    Hold,
    Ignore,
    Judgement,
    Reason,
    RollBack,
    RuleFinding,
)
from autorollback.flows import (
    act,
    announce,
    intent,
    known_bad,
    look_at,
    preflight,
    settle,
    still_red,
    traffic_watch,
)
from autorollback.flows.session import (
    ProtectedService,
    Session,
    already_being_judged,
    unprotected,
)
from autorollback.policy import Mode
from autorollback.requests import AlarmChanged, DeploymentEnded, TasksCannotStart
from autorollback.results import Answer, Done

Cause = AlarmChanged | TasksCannotStart | DeploymentEnded


def respond(session: Session, cause: AlarmChanged | TasksCannotStart) -> Answer:
    """Judge a service, one judgement at a time, and act on the verdict."""
    key, trigger = cause.service, trigger_of(cause)
    is_muted = paused.muted(trigger)
    if is_muted:
        return _leave_alone(session, cause, is_muted)
    is_alarm = isinstance(cause, AlarmChanged)
    if not is_alarm and session.policy_of(key) is None:
        return unprotected(session, key)  # ECS speaks of every service; alarms of ours are of ours

    with session.lease(key) as leased:
        if not leased:
            _leave_to_the_sweep(session, cause)
            return already_being_judged(key)
        service = settle.take_up(session, key)
        if not isinstance(service, ProtectedService):
            _leave_to_the_sweep(session, cause)
            return service
        return judge(service, trigger, cause if isinstance(cause, AlarmChanged) else None)


def _leave_alone(
    session: Session,
    cause: AlarmChanged | TasksCannotStart,
    muted: Ignore,
) -> Answer:
    """Remember that an alarm spoke while it was muted, so that the sweep leaves it alone too."""
    key = cause.service
    if session.policy_of(key) is None:
        return unprotected(session, key)
    if isinstance(cause, AlarmChanged):
        session.ledger.record_muted(key, cause.alarm, cause.at)
    return results.ignored(muted.reason, muted.detail, key)


def _leave_to_the_sweep(session: Session, cause: AlarmChanged | TasksCannotStart) -> None:
    """Nothing promises that ECS says again that tasks cannot start: the sweep asks later."""
    if isinstance(cause, TasksCannotStart):
        check = PendingCheck(
            "",
            cause.at,
            session.now,
            tasks=True,
        )
        session.ledger.add_pending_check(cause.service, check)


def judge_turned_away(service: ProtectedService, check: PendingCheck) -> Result | Done:
    """Judge that tasks cannot start, now that the service is free.

    ECS said so while the service was being judged.
    """
    trigger = Trigger(TriggerKind.TASKS_CANNOT_START, check.failed_at)
    result = judge(service, trigger)
    service.session.ledger.remove_pending_check(service.key, check)
    return result


def trigger_of(cause: Cause) -> Trigger:
    """What asks for a judgement, in the terms of the judgement."""
    match cause:
        case AlarmChanged():
            return Trigger(
                TriggerKind.ALARM,
                cause.at,
                cause.alarm,
                cause.muted,
            )
        case TasksCannotStart():
            return Trigger(TriggerKind.TASKS_CANNOT_START, cause.at)
        case DeploymentEnded():
            deployment = cause.deployment_id
            return Trigger(TriggerKind.DEPLOYMENT_FAILED, cause.at, deployment=deployment)


def judge(
    service: ProtectedService,
    trigger: Trigger,
    event: AlarmChanged | None = None,
) -> Result | Done:
    """Gather the facts, decide, and act on the verdict. The caller holds the service's lease."""
    ledger = service.ledger_state.state
    early = decide_without_facts(
        trigger,
        ledger,
        service.policy,
        service.now,
    )
    if early is not None:
        return results.ignored(early.reason, early.detail, service.key)
    facts = service.session.reader.facts(
        service.snapshot,
        trigger,
        service.now,
        event,
    )
    result = act_on(service, facts, decide(facts, service.policy, service.now))
    known_bad.tell_of_its_coming(service, facts)
    return result


def judge_red(
    service: ProtectedService,
    facts: Facts,
    at: datetime,
) -> Result | Done | None:
    """Judge a service of which an alarm is red; None where all are calm."""
    red = [alarm for alarm in facts.alarms if alarm.in_alarm]
    if not red:
        return None
    first = min(red, key=lambda alarm: (alarm.onset or at, alarm.name))
    trigger = Trigger(TriggerKind.ALARM, at, first.name)
    facts = service.session.reader.facts_for(
        facts,
        service.snapshot,
        trigger,
        service.now,
    )
    return act_on(service, facts, decide(facts, service.policy, service.now))


def act_on(
    service: ProtectedService,
    facts: Facts,
    judgement: Judgement,
) -> Result | Done:
    """Carry out a verdict.

    Roll back, say what would be rolled back, tell people that it holds, or nothing.
    """
    match judgement.verdict:
        case Ignore(reason, detail):
            return results.judged(
                Outcome.IGNORED,
                reason,
                detail,
                service.key,
                judgement.evidence,
            )
        case Hold() as hold:
            return _hold(
                service,
                facts,
                judgement,
                hold,
            )
        case RollBack() as verdict:
            plan = RollbackPlan(
                verdict,
                judgement.evidence,
                judgement.candidates,
                automatic=True,
            )
            return _roll_back(
                service,
                facts,
                judgement,
                plan,
            )


def _roll_back(
    service: ProtectedService,
    facts: Facts,
    judgement: Judgement,
    plan: RollbackPlan,
) -> Result | Done:
    refused = service.ledger_state.refusal_of(plan.verdict.newest.arn)
    if refused is not None:
        hold = _refused_before(refused, plan)
        return held(
            service,
            facts,
            holding(judgement, hold, judgement.candidates),
            hold,
        )
    judge = partial(decide, policy=service.policy, now=service.now)
    choice = preflight.choose(
        service,
        facts,
        plan,
        judge,
    )
    facts, plan, considered = choice.facts, choice.plan, choice.considered
    if choice.turned is not None:
        return act_on(service, facts, choice.turned)
    judgement = replace(judgement, evidence=plan.evidence)
    chosen = choice.chosen
    if chosen is None:
        hold = no_candidate(plan, considered)
        return _hold(
            service,
            facts,
            holding(judgement, hold, considered),
            hold,
        )
    irreversible = irreversible_target(facts, plan.verdict, chosen)
    if irreversible:
        return _hold(
            service,
            facts,
            holding(judgement, irreversible, considered),
            irreversible,
        )
    target = Target(chosen, considered)
    if service.policy.mode is Mode.OBSERVE:
        result = intent.would_roll_back(
            service,
            facts,
            plan,
            target,
        )
        about = plan.verdict.suspect.arn
        still_red.watch_hold(
            service,
            facts,
            about,
            result,
        )
        _tell_once(
            service,
            facts,
            about,
            result,
        )
        return result
    return act.carry_out(
        service,
        facts,
        plan,
        target,
    )


def _refused_before(refused: Incident, plan: RollbackPlan) -> Hold:
    """AWS refused this already; people were told then, and nobody has asked again."""
    words = "; ".join(one.words for one in refused.intent.refused)
    return Hold(Reason.REFUSED_BY_AWS, f"AWS refused it already: {words}", plan.verdict.suspect)


def holding(
    judgement: Judgement,
    hold: Hold,
    considered: tuple[Candidate, ...],
) -> Judgement:
    """The judgement with a hold that was found after it."""
    finding = RuleFinding(hold.reason.value, FindingVerdict.HOLD, hold.detail)
    return Judgement(hold, (*judgement.evidence, finding), considered)


def no_candidate(plan: RollbackPlan, considered: tuple[Candidate, ...]) -> Hold:
    """Stable revisions there are, but none could run."""
    detail = "no candidate"
    if considered:
        looked_at = len(plan.verdict.candidates)
        detail = f"{looked_at} stable revision(s) looked at, none passes the preflight"
    return Hold(Reason.NO_CANDIDATE_PASSES_PREFLIGHT, detail, plan.verdict.suspect)


def held(
    service: ProtectedService,
    facts: Facts,
    judgement: Judgement,
    hold: Hold,
) -> Result:
    """The result of a verdict that a person has to decide on."""
    words = f"{service.key.service} is not rolled back: {hold.detail}."
    result = results.judged(
        Outcome.HELD,
        hold.reason,
        words,
        service.key,
        judgement.evidence,
        judgement.candidates,
    )
    suspect = facts.revision(hold.suspect.target) if hold.suspect else None
    result = replace(result, came_from=results.revision_summary(suspect))
    return look_at.told_where(service, result, trouble_began(facts))


def _hold(
    service: ProtectedService,
    facts: Facts,
    judgement: Judgement,
    hold: Hold,
) -> Result:
    result = held(
        service,
        facts,
        judgement,
        hold,
    )
    if hold.suspect and hold.reason is Reason.NOT_SERVING_YET and is_watched(hold.suspect):
        traffic_watch.keep(
            service.session,
            service.key,
            service.policy,
            hold.suspect,
        )
    about = still_red.subject_of(facts, hold)
    still_red.watch_hold(
        service,
        facts,
        about,
        result,
    )
    if not hold.is_announced:
        return result
    _tell_once(
        service,
        facts,
        about,
        result,
        hold.waiting,
    )
    return result


def _tell_once(
    service: ProtectedService,
    facts: Facts,
    deployment: str,
    result: Result,
    waiting: Collection[str] = (),
) -> None:
    """People are told once for each suspect deployment and reason, not once for each alarm.

    Alarms that are `waiting` have no verdict of their own yet.
    """
    red = [alarm.name for alarm in facts.alarms if alarm.in_alarm]
    judged = tuple(name for name in red if name not in waiting)
    newest = facts.newest.arn if facts.newest else ""
    notice = Notice(
        about=deployment,
        reason=result.reason.value if result.reason else "none",
        message=result,
        resource=facts.service.arn if facts.service else str(service.key),
        judged=verdict_marks(newest, judged),
        facts=packed_facts(facts, service.policy, service.now),
    )
    announce.tell_once(service.session, service.key, notice)
