"""From a verdict to a service that runs what ran well: claim, act, record, announce. Each step can be repeated."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from botocore.exceptions import ClientError

from autorollback import results
from autorollback.aws.clients import in_parallel
from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import CannotBeRestored
from autorollback.aws.deployer import StillDeploying, Superseded
from autorollback.aws.ledger import RecordChanged
from autorollback.aws.refusals import RefusalKind, explain, is_of_ledger, kind_of, was_not_done
from autorollback.decision.decide import choose_for_person, decide
from autorollback.decision.facts import Facts
from autorollback.decision.formatting import clock
from autorollback.decision.incident import Event, Incident, Phase, RefusedTarget
from autorollback.decision.lineage import carries_out
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.result import Result
from autorollback.decision.verdicts import Candidate, Reason
from autorollback.flows import endings
from autorollback.flows.attempt import Attempt, is_rolled_back
from autorollback.flows.believed import objection_to
from autorollback.flows.intent import claim_of
from autorollback.flows.next_target import Judged, next_target
from autorollback.flows.preflight import Judge
from autorollback.flows.session import ProtectedService, Session
from autorollback.results import Done

CLAIM_RESUMED_WITHIN = timedelta(hours=1)

TOLD_BEFORE = timedelta(hours=1)
"""After which a claim whose act is found done is no crash any more, which a sweep would have found.

Its record is lost or was restored from a backup: people may have been told then.
"""

JUST_REGISTERED = timedelta(minutes=5)
"""How long ECS may not find a definition that it has registered."""


class ActFailed(RuntimeError):  # noqa: N818 - says what happened
    """AWS could not act now; the invocation fails, and its retry resumes the claim."""


# --- claim --------------------------------------------------------------------------------------------------------


def carry_out(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
    instead_of: Incident | None = None,
) -> Result | Done:
    """Claim the newest deployment, act once, record it, tell people.

    It takes the place of another claim, `instead_of` that, which has not acted and never will.
    """
    session, newest = service.session, plan.verdict.newest
    incident = claim_of(
        service,
        facts,
        plan,
        target,
        instead_of,
    )
    backend = session.deployments.backend(incident.intent.code_deploy)
    seen = in_parallel(
        {
            "claimed": lambda: session.ledger.claim(incident, instead_of),
            "newest": lambda: backend.newest(service.key),
        }
    )
    if not seen["claimed"]:
        detail = "this deployment has been claimed by another rollback"
        return results.ignored(Reason.ALREADY_HANDLED, detail, service.key)
    if seen["newest"] != newest.arn and not plan.forced:
        return endings.came_to_nothing(session, incident)
    return _act(service, incident, Judged(facts, plan, _judge_of(service, plan)))


def _judge_of(service: ProtectedService, plan: RollbackPlan) -> Judge | None:
    """What judges anew, should more of the past be read; None where a person named the target or forced it."""
    if plan.pins:
        return None
    judge = decide if plan.automatic else choose_for_person
    return partial(judge, policy=service.policy, now=service.now)


# --- resume -------------------------------------------------------------------------------------------------------


def resume(service: ProtectedService, incident: Incident) -> Result | Done:
    """Go on with a claim that was left unfinished, by a crash or a retry.

    What ECS shows tells how far it got. An act that was not done is done only while the claim is young: later, people
    decide.
    """
    session = service.session
    try:
        objection = objection_to(service, incident)
        if objection is not None:
            return endings.not_believed(session, incident, objection)
        seen = seen_of(session, incident)
    except UnknownGroup as unknown:
        why = f"{incident.key}: the rollback cannot be finished: {unknown}"
        return endings.give_up(session, incident, why)
    if seen.carried_out_by is not None:
        if session.now - incident.attempted_at > TOLD_BEFORE:
            return endings.record_quietly(service, incident, seen.carried_out_by)
        return endings.record(service, incident, seen.carried_out_by)
    if seen.overtaken:
        return endings.came_to_nothing(session, incident)
    if session.now - incident.attempted_at > CLAIM_RESUMED_WITHIN:
        age = f"the rollback claimed at {clock(incident.attempted_at)} was never finished"
        return endings.give_up(session, incident, f"{incident.key}: {age}, and is too old to be")
    return _act(service, incident, None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What ECS or CodeDeploy shows of a claim's act.

    Attributes:
        carried_out_by: the deployment that does it; None where there is none.
        overtaken: somebody else has deployed since.
    """

    carried_out_by: str | None = None
    overtaken: bool = False


def seen_of(session: Session, incident: Incident) -> Seen:
    """What is seen of a claim's act; nothing of it where it was not done.

    Raises:
        UnknownGroup: CodeDeploy knows the group no more.
    """
    history = session.deployments.history(incident.intent.code_deploy)
    since = _since_claim(history.deployments_page(incident.key).arns, incident)
    if since:
        ours = _carrying_out(session, since, incident)
        return Seen(ours, overtaken=ours is None)
    if _was_to_be_stopped(incident) and is_rolled_back(session, incident):
        return Seen(incident.deployment)
    return Seen()


def try_again(service: ProtectedService, incident: Incident) -> Result | Done:
    """Deploy the target, once, where ECS could not finish its own rollback.

    The claim stays the same.
    """
    intent, session = incident.intent, service.session
    failed = f"{intent.controller}'s own rollback failed; the target is deployed instead."
    claimed = incident.after(Event.STOP_FAILED)
    result = replace(intent.result, summary=f"{intent.result.summary} {failed}")
    again = replace(
        claimed.intent,
        method=intent.method.instead,
        again_at=session.now,
        result=result,
    )
    claim = replace(
        claimed,
        intent=again,
        result=None,
        rollback_deployment=None,
    )
    saved = session.ledger.save(claim, due=session.now)
    return resume(service, saved)


def is_untouched(session: Session, claim: Incident) -> bool:
    """Whether nothing is seen of a claim's act, and nobody else has deployed."""
    try:
        return seen_of(session, claim) == Seen()
    except UnknownGroup:
        return False


def _since_claim(listed: tuple[str, ...], incident: Incident) -> tuple[str, ...]:
    """The deployments that are newer than the one that was claimed; `listed` is newest first."""
    if incident.deployment not in listed:
        return listed
    return listed[: listed.index(incident.deployment)]


def _carrying_out(
    session: Session,
    since: tuple[str, ...],
    incident: Incident,
) -> str | None:
    """Which of the deployments since the claim carries its rollback out: the first, if one does."""
    intent = incident.intent
    if intent.code_deploy:
        return session.deployments.carrying(intent.code_deploy, since, incident.incident_id)
    history = session.deployments.history(None)
    deployments = history.deployments(since)
    revisions = history.revisions([deployment.target for deployment in deployments])
    rollback = incident.as_past_rollback()
    for deployment in reversed(deployments):
        target = revisions.get(deployment.target)
        if target and carries_out(deployment, target.task_definition_arn, rollback):
            return deployment.arn
    return None


def _was_to_be_stopped(incident: Incident) -> bool:
    """Whether the deployment was to be rolled back by itself.

    CodeDeploy may yet begin that when it seems that it will not.
    """
    intent = incident.intent
    tried_otherwise = intent.stop_refused or intent.again_at is not None
    return intent.method.stops or (intent.code_deploy is not None and tried_otherwise)


# --- act ----------------------------------------------------------------------------------------------------------


def _act(
    service: ProtectedService,
    incident: Incident,
    judged: Judged | None,
) -> Result | Done:
    """Act; where AWS refuses the target for good, on the next one, under the same claim.

    What was `judged` in this invocation is at hand; of a resumed claim it is in its record.
    """
    resumed = judged is None
    while True:
        attempt = Attempt(service.session, incident, resumed=resumed)
        ended = _attempt(service, attempt)
        if not isinstance(ended, ClientError):
            return ended
        words = explain(ended, incident.key)
        refused = _with_refusal(attempt.incident, words)
        following = None
        considered: tuple[Candidate, ...] = ()
        if _kind_of(service.session, attempt.incident, ended) is RefusalKind.CANDIDATE:
            following, considered = next_target(service, refused, judged)
        if following is None:
            return endings.refused(service.session, refused, considered)
        incident, resumed = following, False


def _attempt(service: ProtectedService, attempt: Attempt) -> Result | Done | ClientError:
    """One attempt: what came of it, or AWS's refusal for good of what has not been asked for twice.

    Raises:
        ActFailed: it may be otherwise the next time.
    """
    session = service.session
    try:
        begun = attempt.go()
    except Superseded:
        return endings.came_to_nothing(session, attempt.incident)
    except StillDeploying as why:
        return _follows(_put_off(session, attempt.incident), str(why))
    except CannotBeRestored as why:
        return endings.cannot_be_restored(session, attempt.incident, str(why))
    except RecordChanged:
        detail = "another request has taken the place of this rollback"
        return results.ignored(Reason.ALREADY_HANDLED, detail, service.key)
    except ClientError as error:
        return _refusal(session, attempt.incident, error)
    return endings.record(service, attempt.incident, begun)


def _refusal(
    session: Session,
    incident: Incident,
    error: ClientError,
) -> Result | ClientError:
    """AWS said no: the retry goes on, or another target does, or people are told.

    Raises:
        ActFailed: it may be otherwise the next time.
        ClientError: it is the ledger that could not be written.
    """
    if is_of_ledger(error):
        raise error
    told = explain(error, incident.key)
    if _kind_of(session, incident, error) is RefusalKind.PASSING:
        if was_not_done(error):
            _put_off(session, incident)
        raise ActFailed(told) from error
    if incident.intent.again_at is not None:
        return endings.escalate(session, incident, told)
    return error


def _kind_of(
    session: Session,
    incident: Incident,
    error: ClientError,
) -> RefusalKind:
    copied_at = incident.intent.copied_at
    is_new = copied_at is not None and session.now - copied_at < JUST_REGISTERED
    return kind_of(error, just_registered=is_new)


def _with_refusal(incident: Incident, words: str) -> Incident:
    intent = incident.intent
    refused = (*intent.refused, RefusedTarget(intent.target, words))
    return incident.with_intent(replace(intent, refused=refused))


def _put_off(session: Session, incident: Incident) -> Incident:
    """AWS did not act: until it is asked again, a person's request may take the place of the claim."""
    if incident.phase is not Phase.ACTING:
        return incident
    return session.ledger.save(incident.after(Event.PUT_OFF), due=incident.claimed_at)


def _follows(incident: Incident, why: str) -> Done:
    """The claim stays, and whoever comes next resumes it: the sweep, within five minutes."""
    target = incident.intent.result.goes_to
    name = target.task_definition if target else "its target"
    detail = f"{incident.key} goes back to {name} within minutes: {why}"
    key = incident.key
    return Done(
        detail,
        detail,
        key.cluster,
        key.service,
        incident_id=incident.incident_id,
    )
