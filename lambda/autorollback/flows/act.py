"""From a verdict to a service that runs what ran well: claim, act, record, announce. Each step can be repeated."""

from dataclasses import replace
from datetime import timedelta

from botocore.exceptions import ClientError

from autorollback import codec, results
from autorollback.aws.clients import in_parallel
from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import CannotBeRestored
from autorollback.aws.deployer import DeploymentBackend, StillDeploying, Superseded
from autorollback.aws.ledger import Notice
from autorollback.aws.ledger_items import new_incident, packed
from autorollback.aws.refusals import explain, is_refusal
from autorollback.decision import plan as plans
from autorollback.decision.facts import Facts
from autorollback.decision.formatting import clock
from autorollback.decision.incident import Event, Incident, Intent, Phase
from autorollback.decision.ledger_state import verdict_marks
from autorollback.decision.lineage import carries_out, running_now
from autorollback.decision.plan import RollbackPlan, Target
from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.flows import announce
from autorollback.flows.session import ProtectedService, Session
from autorollback.results import Done

CLAIM_RESUMED_WITHIN = timedelta(hours=1)


class ActFailed(RuntimeError):  # noqa: N818 - says what happened
    """AWS refused the act; the invocation fails, and its retry resumes the claim."""


# --- what would be done -------------------------------------------------------------------------------------------


def would_roll_back(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Result:
    """What would be done, and why: the same object as of a rollback that was."""
    result = _result_of(
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


def _result_of(
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


# --- claim --------------------------------------------------------------------------------------------------------


def carry_out(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Result | Done:
    """Claim the newest deployment, act once, record it, tell people."""
    session, newest = service.session, plan.verdict.newest
    incident = _claim_of(
        service,
        facts,
        plan,
        target,
    )
    displaced = service.ledger_state.unfinished_claim if plan.forced else None
    backend = session.deployments.backend(incident.intent.code_deploy)
    seen = in_parallel(
        {
            "claimed": lambda: session.ledger.claim(incident, displaced),
            "newest": lambda: backend.newest(service.key),
        }
    )
    if not seen["claimed"]:
        detail = "this deployment has been claimed by another rollback"
        return results.ignored(Reason.ALREADY_HANDLED, detail, service.key)
    if seen["newest"] != newest.arn and not plan.forced:
        return _came_to_nothing(session, incident)
    return _act(service, incident)


def _claim_of(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Incident:
    """The claim, with all that is needed to act on it again."""
    session, newest = service.session, plan.verdict.newest
    incident = new_incident(
        service.key,
        newest,
        session.now,
        _intent_of(
            service,
            facts,
            plan,
            target,
        ),
        automatic=plan.automatic,
        suffix=_suffix(service, newest.arn, plan),
    )
    rested_on = packed(codec.record_of(facts, service.policy, session.now))
    result = replace(
        incident.intent.result,
        incident_id=incident.incident_id,
        incident_state=IncidentState.OPEN,
    )
    return replace(incident.with_result(result), facts=rested_on)


def _suffix(
    service: ProtectedService,
    newest: str,
    plan: RollbackPlan,
) -> str:
    """What lets the claim stand beside others on the same deployment."""
    if plan.forced:
        return f"forced-{service.session.request_id}"
    given_up = 0
    for incident in service.ledger_state.incidents:
        if incident.deployment == newest and incident.phase is Phase.FAILED:
            given_up += 1
    return f"again-{given_up}" if given_up else ""


def _intent_of(
    service: ProtectedService,
    facts: Facts,
    plan: RollbackPlan,
    target: Target,
) -> Intent:
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
        result=_result_of(
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


# --- resume -------------------------------------------------------------------------------------------------------


def resume(service: ProtectedService, incident: Incident) -> Result | Done:
    """Go on with a claim that was left unfinished, by a crash or a retry.

    What ECS shows tells how far it got. An act that was not done is done only while the claim is young: later, people
    decide.
    """
    session = service.session
    history = session.deployments.history(incident.intent.code_deploy)
    try:
        listed = history.deployments_page(incident.key).arns
    except UnknownGroup as unknown:
        why = f"{incident.key}: the rollback cannot be finished: {unknown}"
        return _give_up(session, incident, why)
    since = _since_claim(listed, incident)
    if since:
        ours = _carrying_out(session, since, incident)
        if ours:
            return _record(service, incident, ours)
        return _came_to_nothing(session, incident)
    if _was_to_be_stopped(incident) and _is_rolled_back(session, incident):
        return _record(service, incident, incident.deployment)
    if session.now - incident.attempted_at > CLAIM_RESUMED_WITHIN:
        age = f"the rollback claimed at {clock(incident.attempted_at)} was never finished"
        return _give_up(session, incident, f"{incident.key}: {age}, and is too old to be")
    return _act(service, incident)


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


def _is_rolled_back(session: Session, incident: Incident) -> bool:
    """Whether the deployment is being rolled back already, or has been: then no stop is needed."""
    history = session.deployments.history(incident.intent.code_deploy)
    deployments = history.deployments([incident.deployment])
    return any(deployment.status.is_rollback for deployment in deployments)


# --- act ----------------------------------------------------------------------------------------------------------


def _act(service: ProtectedService, incident: Incident) -> Result | Done:
    session = service.session
    attempt = _Attempt(session, incident)
    try:
        begun = attempt.go()
    except Superseded:
        return _came_to_nothing(session, attempt.incident)
    except StillDeploying as why:
        return _follows(attempt.incident, str(why))
    except CannotBeRestored as why:
        return _cannot_be_restored(session, attempt.incident, str(why))
    except ClientError as error:
        return _refused(session, attempt.incident, error)
    return _record(service, attempt.incident, begun)


class _Attempt:
    """One attempt at the act. `incident` is the record as it stands, also where the attempt fails."""

    def __init__(
        self,
        session: Session,
        incident: Incident,
    ) -> None:
        self.session = session
        self.incident = incident
        self.backend: DeploymentBackend = session.deployments.backend(incident.intent.code_deploy)

    def go(self) -> str | None:
        """Stop the newest deployment or deploy the target; the deployment that does it, where that is told.

        Raises:
            Superseded: somebody deployed meanwhile.
            StillDeploying: another deployment has to end first.
            CannotBeRestored: the target cannot be registered again as it was.
            ClientError: AWS refused.
        """
        if self.incident.intent.method.stops:
            if self._stopped():
                return self.incident.deployment
            self._deploy_instead()
        newest = self._register_copy()
        if not self.incident.intent.forced:
            self._only_over(newest)
        return self._deploy()

    def _stopped(self) -> bool:
        stopped = self.backend.stop(self.incident.deployment)
        return stopped or _is_rolled_back(self.session, self.incident)

    def _deploy_instead(self) -> None:
        """The deployment has just finished: deploy the target, under the same claim."""
        self._only_over(self.backend.newest(self.incident.key))
        intent = self.incident.intent
        instead = replace(intent, method=intent.method.instead, stop_refused=True)
        changed = self.incident.with_intent(instead)
        self.incident = self.session.ledger.save(changed, due=self.incident.claimed_at)

    def _register_copy(self) -> str | None:
        """Register the pinned copy, where the target itself would not bring back what ran; the newest deployment then.

        The copy is written down before it is deployed, so that a retry knows the deployment of it for its own.
        Registering takes its time, at most one a second in a storm: the newest deployment is read again beside it.
        """
        incident = self.incident
        if not incident.intent.copy_is_missing:
            return incident.deployment
        definitions, intent = self.session.definitions, incident.intent
        original = definitions.describe(intent.target)
        copy = definitions.restore(original, intent.digests, intent.copies)
        result = intent.result.restored_as(copy.name)
        restored = incident.with_intent(replace(intent, deploy=copy.arn, result=result))
        seen = in_parallel(
            {
                "saved": lambda: self.session.ledger.save(restored, due=incident.claimed_at),
                "newest": lambda: self.backend.newest(incident.key),
            }
        )
        self.incident = seen["saved"]
        newest: str | None = seen["newest"]
        return newest

    def _deploy(self) -> str | None:
        incident = self.incident
        over = None if incident.intent.forced else incident.deployment
        return self.backend.update(
            incident.key,
            incident.intent.deploy,
            incident.incident_id,
            over,
        )

    def _only_over(self, newest: str | None) -> None:
        if newest != self.incident.deployment:
            raise Superseded(f"the newest deployment is {newest}")


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


def _cannot_be_restored(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    if incident.intent.again_at is not None:
        return _escalate(session, incident, why)
    return _held_back(session, incident, why)


def _refused(
    session: Session,
    incident: Incident,
    error: ClientError,
) -> Result:
    """AWS said no: the retry goes on, or it is given up and people are told.

    Raises:
        ActFailed: it may be otherwise the next time.
    """
    told = explain(error, incident.key)
    intent = incident.intent
    if not is_refusal(error):
        raise ActFailed(told) from error
    if intent.again_at is not None:
        return _escalate(session, incident, told)
    if incident.automatic and not intent.stop_refused:
        raise ActFailed(told) from error
    return _give_up(session, incident, f"{incident.key} was not rolled back: {told}")


# --- record -------------------------------------------------------------------------------------------------------


def _record(
    service: ProtectedService,
    incident: Incident,
    deployment: str | None,
) -> Result:
    """The act is done: tell people, and write it down, whether they could be told or not.

    One write is enough: until then the intent stands, from which a retry finds the act that was done. What people could
    not be told of is the next sweep's to send.
    """
    session, intent = service.session, incident.intent
    result = intent.result
    if intent.onset is not None:
        elapsed = round((session.now - intent.onset).total_seconds())
        result = replace(result, time_to_rollback_seconds=max(0, elapsed))
    opened = replace(incident.after(Event.ACTED), result=result, rollback_deployment=deployment)
    told = announce.tell_of_incident(session, opened, is_own=_is_own(session, incident))
    due = session.now
    if told.announced:
        due = session.now + service.policy.confirm_within
    session.ledger.finish(
        told,
        due,
        session.request_id,
        intent.left,
        session.now,
    )
    return result


def _is_own(session: Session, incident: Incident) -> bool:
    """Whether an incident was claimed by this very invocation, or by the one that it retries."""
    return incident.intent.request_id == session.request_id


def _came_to_nothing(session: Session, incident: Incident) -> Result:
    """Somebody deployed before the rollback did: nothing was done, so nothing stays of the claim.

    Before the second try of a rollback that is on record, that record stays, and says so.
    """
    if incident.intent.again_at is not None:
        why = "another deployment started before the rollback was tried again"
        words = f"{incident.key.service}: superseded: {why}."
        result = replace(
            incident.intent.result, summary=words, incident_state=IncidentState.SUPERSEDED
        )
        return _close(
            session,
            incident,
            Event.DISPLACED,
            result,
        )
    session.ledger.retract(incident)
    detail = "another deployment started before the rollback did"
    return results.ignored(Reason.SUPERSEDED, detail, incident.key)


def _held_back(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """The target cannot be registered again as it was, and a changed one would not be what ran: a person decides."""
    intent = incident.intent
    result = replace(
        intent.result,
        outcome=Outcome.HELD,
        reason=Reason.NO_CANDIDATE_PASSES_PREFLIGHT,
        summary=f"{incident.key.service} is not rolled back: {why}.",
        incident_id=None,
        incident_state=None,
    )
    session.ledger.retract(incident)
    if incident.automatic:
        notice = Notice(
            about=incident.deployment,
            reason=Reason.NO_CANDIDATE_PASSES_PREFLIGHT,
            message=result,
            resource=intent.service_arn,
            judged=verdict_marks(incident.deployment, intent.red),
        )
        announce.tell_once(session, incident.key, notice)
    return result


def _give_up(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """Close a claim that cannot be finished, and tell people."""
    result = replace(
        incident.intent.result,
        outcome=Outcome.FAILED,
        summary=why,
        incident_state=IncidentState.FAILED,
    )
    return _close(
        session,
        incident,
        Event.GIVEN_UP,
        result,
    )


def _escalate(
    session: Session,
    incident: Incident,
    why: str,
) -> Result:
    """The rollback that was asked for failed, and so did the second try: people must look now."""
    service = session.deployments.service(incident.key)
    runs = "nothing: the service is gone"
    if service:
        runs = service.task_definition.rpartition("/")[2]
    first = f"{incident.intent.controller}'s own rollback failed, and deploying the target did too"
    look = f"{runs} is what the service is set to run now; look at its events and stopped tasks"
    result = replace(
        incident.intent.result,
        summary=f"{incident.key.service}: not recovered: {first}: {why}; {look}.",
        incident_state=IncidentState.NOT_RECOVERED,
    )
    return _close(
        session,
        incident,
        Event.SECOND_TRY_FAILED,
        result,
    )


def _close(
    session: Session,
    incident: Incident,
    event: Event,
    result: Result,
) -> Result:
    closed = incident.closed(event, result, session.now)
    told = announce.tell_of_incident(session, closed, is_own=_is_own(session, incident))
    due = None if told.announced else session.now
    session.ledger.finish(told, due, session.request_id)
    return result
