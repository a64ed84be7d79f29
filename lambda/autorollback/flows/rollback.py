"""From a verdict to a service that runs what ran well: preflight, claim, act, record, announce. Each step can be repeated."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from autorollback import results
from autorollback.aws.artifacts import Preflight
from autorollback.aws.clients import in_parallel, is_throttle
from autorollback.aws.codedeploy import UnknownGroup
from autorollback.aws.definitions import CannotBeRestored
from autorollback.aws.deployer import DeploymentBackend, RollbackMethod, StillDeploying, Superseded
from autorollback.aws.ecs import Ecs, History
from autorollback.aws.items import Incident, State, judged_of, new_incident, packed, past_rollback
from autorollback.decision import blame, record
from autorollback.decision.blame import carries_out
from autorollback.decision.model import (
    Candidate,
    Check,
    Controller,
    Deployment,
    Evidence,
    Facts,
    Reason,
    Revision,
    RollBack,
    Status,
)
from autorollback.decision.words import clock, span
from autorollback.flows import messages
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.results import Result

CLAIM_RESUMED_WITHIN = timedelta(hours=1)


class ActFailed(RuntimeError):  # noqa: N818 - says what happened
    """AWS refused the act; the invocation fails, and its retry resumes the claim."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A rollback that is to be done, by the automatic or by a person.

    Attributes:
        pins: a person named the target or forced it.
        forced: skips the preflight, and acts over a claim that is held.
    """

    verdict: RollBack
    evidence: tuple[Evidence, ...]
    considered: tuple[Candidate, ...]
    automatic: bool
    pins: bool = False
    forced: bool = False
    words: str | None = None


def choose(desk: Desk, facts: Facts, asked: Asked) -> tuple[Candidate | None, tuple[Candidate, ...]]:
    """The first stable candidate that passes the preflight, and every candidate with what was found about it."""
    if facts.service is None:
        return None, asked.considered
    newest = asked.verdict.newest
    now_runs = facts.revision(newest.leaves or newest.target)
    preflight = Preflight(desk.clients, facts.service, desk.definitions, now_runs)
    looked_at: dict[str, Candidate] = {}
    chosen = None
    for candidate in asked.verdict.candidates:
        whole = _method(facts, asked.verdict, candidate) == RollbackMethod.STOP_DEPLOYMENT
        found = _skipped(preflight, candidate) if asked.forced else preflight.check(candidate, whole=whole)
        checks = (*candidate.checks, *found)
        failed = [check for check in checks if check.passed is False]
        verdict = "passed_over" if failed else "chosen"
        detail = "; ".join(f"{c.check}: {c.detail}" for c in failed) if failed else candidate.detail
        looked_at[candidate.revision.arn] = replace(candidate, verdict=verdict, detail=detail, checks=checks)
        if not failed:
            chosen = looked_at[candidate.revision.arn]
            break
    considered = asked.considered or asked.verdict.candidates
    return chosen, tuple(looked_at.get(c.revision.arn, c) for c in considered)


def would_roll_back(
    key: ServiceKey, facts: Facts, asked: Asked, chosen: Candidate, considered: Sequence[Candidate]
) -> Result:
    """What would be done, and why: the same object as of a rollback that was."""
    return _result("would_roll_back", "would be rolled back", key, facts, asked, chosen, considered)


def carry_out(
    desk: Desk,
    call: Call,
    policy: ServicePolicy,
    facts: Facts,
    asked: Asked,
    chosen: Candidate,
    considered: Sequence[Candidate],
    incidents: Sequence[Incident] = (),
) -> Result:
    """Claim the newest deployment, act once, record it, tell people. `incidents` are the service's, newest first."""
    key, newest, suspect = policy.key, asked.verdict.newest, asked.verdict.suspect
    same = [i for i in incidents if i.deployment == newest.arn]
    method = _method(facts, asked.verdict, chosen)
    code_deploy = policy.code_deploy if method.through_code_deploy else None
    incident = new_incident(
        key,
        newest,
        call.now,
        automatic=asked.automatic,
        intent={
            "way": method,
            "code_deploy": code_deploy,
            "target": chosen.revision.task_definition_arn,
            "digests": dict(chosen.revision.images),
            "restore": any(check.restore for check in chosen.checks),
            "deploy": chosen.revision.task_definition_arn,
            "copies": _copies(facts, chosen),
            "service_arn": facts.service.arn if facts.service else "",
            "pins": asked.pins,
            "forced": asked.forced,
            "words": asked.words,
            "request_id": call.request_id,
            "red": [alarm.name for alarm in facts.alarms if alarm.in_alarm],
            "onset": asked.verdict.onset.isoformat() if asked.verdict.onset else None,
            "left": [_identified(r) for r in _left(facts, suspect, chosen)],
            "result": _result("rolled_back", "rolled back", key, facts, asked, chosen, considered),
        },
        forced_by=call.request_id if asked.forced else None,
        failed_before=sum(i.state is State.FAILED for i in same),
        facts=packed(record.to_json(facts, policy.policy, call.now)),
    )
    incident = incident.says(incident_id=incident.incident_id, incident_state=State.OPEN.value)
    held = next((i for i in incidents if i.state is State.CLAIMED), None) if asked.forced else None
    backend = desk.backend(code_deploy)
    seen = in_parallel({"claimed": lambda: desk.ledger.claim(incident, held), "newest": lambda: backend.newest(key)})
    if not seen["claimed"]:
        return results.ignored(Reason.ALREADY_HANDLED, "this deployment has been claimed by another rollback", key)
    if seen["newest"] != newest.arn and not asked.forced:
        return _came_to_nothing(desk, call, incident)
    return _act(desk, call, policy, incident)


def resume(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    """Go on with a claim that was left unfinished: by a crash, or by a retry.

    What ECS shows tells how far it got. An act that was not done is done only while the claim is young: later, people
    decide.
    """
    history = desk.history(code_deploy_of(incident))
    try:
        listed = history.deployments_page(incident.key).arns
    except UnknownGroup as unknown:
        return _give_up(desk, call, incident, f"{incident.key}: the rollback cannot be finished: {unknown}")
    since = listed[: listed.index(incident.deployment)] if incident.deployment in listed else listed
    if since:
        ours = _ours(desk, history, since, incident)
        return _record(desk, call, policy, incident, ours) if ours else _came_to_nothing(desk, call, incident)
    if _was_to_be_stopped(incident) and _is_rolled_back(desk, incident):
        return _record(desk, call, policy, incident, incident.deployment)
    if call.now - incident.attempted_at > CLAIM_RESUMED_WITHIN:
        why = f"the rollback claimed at {clock(incident.attempted_at)} was never finished, and is too old to be"
        return _give_up(desk, call, incident, f"{incident.key}: {why}")
    return _act(desk, call, policy, incident)


def act_again(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    """ECS could not finish the rollback that it was asked for: deploy the target, once, under the same claim."""
    summary = f"{incident.intent['result']['summary']} {_whose(incident)}'s own rollback failed; the target is deployed instead."
    again = replace(
        incident.leaves_untold().says(summary=summary), state=State.CLAIMED, result=None, rollback_deployment=None
    )
    method = RollbackMethod.CREATE_DEPLOYMENT if code_deploy_of(incident) else RollbackMethod.UPDATE_SERVICE
    intent = {**again.intent, "way": method, "again_at": call.now.isoformat()}
    saved = desk.ledger.save(replace(again, intent=intent), due=call.now)
    return resume(desk, call, policy, saved)


def _act(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    backend = desk.backend(code_deploy_of(incident))
    try:
        stops = RollbackMethod(incident.intent["way"]).stops
        if stops and (backend.stop(incident.deployment) or _is_rolled_back(desk, incident)):
            begun: str | None = incident.deployment
        else:
            if stops:
                _only_over(incident, backend.newest(incident.key))
                method = (
                    RollbackMethod.CREATE_DEPLOYMENT
                    if RollbackMethod(incident.intent["way"]).through_code_deploy
                    else RollbackMethod.UPDATE_SERVICE
                )
                instead = {**incident.intent, "way": method, "stop_refused": True}
                incident = desk.ledger.save(replace(incident, intent=instead), due=incident.claimed_at)
            incident, newest = _restored(desk, backend, incident)
            if not incident.intent.get("forced"):
                _only_over(incident, newest)
            over = None if incident.intent.get("forced") else incident.deployment
            begun = backend.update(incident.key, str(incident.intent["deploy"]), incident.incident_id, over)
    except Superseded:
        return _came_to_nothing(desk, call, incident)
    except StillDeploying as why:
        return _follows(incident, str(why))
    except CannotBeRestored as why:
        decide = _escalate if "again_at" in incident.intent else _held_back
        return decide(desk, call, incident, str(why))
    except ClientError as error:
        told = explain(error, incident.key)
        if not is_refusal(error):
            raise ActFailed(told) from error
        if "again_at" in incident.intent:
            return _escalate(desk, call, incident, told)
        if incident.automatic and "stop_refused" not in incident.intent:
            raise ActFailed(told) from error
        return _give_up(desk, call, incident, f"{incident.key} was not rolled back: {told}")
    return _record(desk, call, policy, incident, begun)


def _only_over(incident: Incident, newest: str | None) -> None:
    if newest != incident.deployment:
        raise Superseded(f"the newest deployment is {newest}")


def _follows(incident: Incident, why: str) -> Result:
    """The claim stays, and whoever comes next resumes it: the sweep, within five minutes."""
    detail = f"{incident.key} goes back to {incident.intent['result']['to']['task_definition']} within minutes: {why}"
    return results.done(
        detail,
        summary=detail,
        cluster=incident.key.cluster,
        service=incident.key.service,
        incident_id=incident.incident_id,
    )


def _restored(desk: Desk, backend: DeploymentBackend, incident: Incident) -> tuple[Incident, str | None]:
    """The incident, its intent naming the pinned copy to deploy, where the target itself would not bring back what ran.

    The copy is written down before it is deployed, so that a retry knows the deployment of it for its own. Registering it
    takes its time, at most one a second in a storm: the service's newest deployment is read again beside that.
    """
    if not incident.intent["restore"] or incident.intent["deploy"] != incident.intent["target"]:
        return incident, incident.deployment
    copy = desk.definitions.restore(
        desk.definitions.describe(str(incident.intent["target"])),
        incident.intent["digests"],
        incident.intent.get("copies", ()),
    )
    restored = incident.says(to={**incident.intent["result"]["to"], "restored_as": copy.name})
    restored = replace(restored, intent={**restored.intent, "deploy": copy.arn})
    seen = in_parallel(
        {
            "saved": lambda: desk.ledger.save(restored, due=incident.claimed_at),
            "newest": lambda: backend.newest(incident.key),
        }
    )
    return seen["saved"], seen["newest"]


def _record(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident, deployment: str | None) -> Result:
    """The act is done: tell people, and write it down, whether they could be told or not.

    One write is enough: until then the intent stands, from which a retry finds the act that was done. What people could not
    be told of is the next sweep's to send.
    """
    result = dict(incident.intent["result"])
    if onset := incident.intent.get("onset"):
        took = call.now - datetime.fromisoformat(onset)
        result["time_to_rollback_seconds"] = max(0, round(took.total_seconds()))
    done = replace(incident, state=State.OPEN, result=result, rollback_deployment=deployment)
    told = messages.tell(desk, done, own=_is_of(call, incident))
    left = [what for what in incident.intent.get("left", []) if what]
    due = call.now + policy.policy.confirm_within if told.announced else call.now
    desk.ledger.finish(told, due, call.request_id, left, call.now)
    return result


def _is_of(call: Call, incident: Incident) -> bool:
    """Whether an incident was claimed by this very invocation, or by the one that it retries."""
    return incident.intent.get("request_id") == call.request_id


def _came_to_nothing(desk: Desk, call: Call, incident: Incident) -> Result:
    """Somebody deployed before the rollback did: nothing was done, so nothing stays of the claim.

    Before the second try of a rollback that is on record, that record stays, and says so.
    """
    if "again_at" in incident.intent:
        summary = f"{incident.key.service}: superseded: another deployment started before the rollback was tried again."
        result = {**incident.intent["result"], "summary": summary, "incident_state": State.SUPERSEDED.value}
        return _closed(desk, call, incident, State.SUPERSEDED, result)
    desk.ledger.retract(incident)
    return results.ignored(Reason.SUPERSEDED, "another deployment started before the rollback did", incident.key)


def _held_back(desk: Desk, call: Call, incident: Incident, why: str) -> Result:
    """The target cannot be registered again as it was, and a changed definition would not be what ran: a person decides."""
    reason = Reason.NO_CANDIDATE_PASSES_PREFLIGHT.value
    result = {
        **incident.intent["result"],
        "outcome": "held",
        "reason": reason,
        "summary": f"{incident.key.service} is not rolled back: {why}.",
        "incident_id": None,
        "incident_state": None,
    }
    desk.ledger.retract(incident)
    judged = judged_of(incident.deployment, incident.intent.get("red", []))
    if incident.automatic:
        arn = str(incident.intent["service_arn"])
        messages.tell_once(desk, call, incident.key, incident.deployment, result, resource=arn, judged=judged)
    return result


def _give_up(desk: Desk, call: Call, incident: Incident, why: str) -> Result:
    """Close a claim that cannot be finished, and tell people."""
    result = {**incident.intent["result"], "outcome": "failed", "summary": why, "incident_state": State.FAILED.value}
    return _closed(desk, call, incident, State.FAILED, result)


def _escalate(desk: Desk, call: Call, incident: Incident, why: str) -> Result:
    """The rollback that was asked for failed, and so did the second try: people must look now."""
    state, service = State.NOT_RECOVERED, Ecs(desk.clients).service(incident.key)
    runs = service.task_definition.rpartition("/")[2] if service else "nothing: the service is gone"
    summary = (
        f"{incident.key.service}: not recovered: {_whose(incident)}'s own rollback failed, and deploying the target did too: {why}; "
        f"{runs} is what the service is set to run now; look at its events and stopped tasks."
    )
    result = {**incident.intent["result"], "summary": summary, "incident_state": state.value}
    return _closed(desk, call, incident, state, result)


def _closed(desk: Desk, call: Call, incident: Incident, state: State, result: Result) -> Result:
    closed = replace(incident, state=state, result=result, closed_at=call.now)
    told = messages.tell(desk, closed, own=_is_of(call, incident))
    desk.ledger.finish(told, None if told.announced else call.now, call.request_id)
    return result


def _result(
    outcome: str,
    done: str,
    key: ServiceKey,
    facts: Facts,
    asked: Asked,
    chosen: Candidate,
    considered: Sequence[Candidate],
) -> Result:
    left = facts.revision(asked.verdict.newest.leaves or asked.verdict.newest.target)
    to = chosen.revision
    source = f" from {left.task_definition}" if left else ""
    why = asked.words or asked.verdict.detail
    bake = facts.service.bake if facts.service else timedelta()
    slowly = bool(bake) and not _method(facts, asked.verdict, chosen).stops
    baking = f" The service's own deployment strategy bakes it for {span(bake)}." if slowly else ""
    return results.judged(
        outcome,
        asked.verdict.reason,
        f"{key.service} {done}{source} to {to.task_definition}: {why}; :{to.task_definition.rpartition(':')[2]} {chosen.detail}.{baking}",
        key,
        from_=left,
        to=to,
        evidence=asked.evidence,
        candidates=considered,
    )


def _copies(facts: Facts, chosen: Candidate) -> list[str]:
    """Other definitions that ran here with the content and the images of the target, newest first: one may be its copy."""
    same = [r for r in facts.revisions.values() if r.identity is not None and r.identity == chosen.revision.identity]
    newest_first = (r.task_definition_arn for r in sorted(same, key=lambda r: r.created_at, reverse=True))
    return [arn for arn in dict.fromkeys(newest_first) if arn != chosen.revision.task_definition_arn]


def _left(facts: Facts, suspect: Deployment, chosen: Candidate) -> list[Revision]:
    """What the blamed deployment and those after it brought: all that the rollback leaves behind."""
    arns = [deployment.arn for deployment in facts.deployments]
    brought = (facts.revision(d.target) for d in facts.deployments[: arns.index(suspect.arn) + 1])
    return [revision for revision in brought if revision and revision.identity != chosen.revision.identity]


def _method(facts: Facts, verdict: RollBack, chosen: Candidate) -> RollbackMethod:
    """A deployment in progress is stopped where the chosen target then comes back; everything else is a new deployment."""
    newest = verdict.newest
    in_flight = newest.status in (Status.PENDING, Status.IN_PROGRESS) and newest == blame.newest_deployment(facts)
    source = blame.running_before(facts, 0)
    returns = source is not None and source.identity == chosen.revision.identity and len(newest.sources) == 1
    stops = in_flight and returns
    if facts.service and facts.service.controller is Controller.CODE_DEPLOY:
        return RollbackMethod.STOP_CODE_DEPLOY if stops else RollbackMethod.CREATE_DEPLOYMENT
    return RollbackMethod.STOP_DEPLOYMENT if stops else RollbackMethod.UPDATE_SERVICE


def code_deploy_of(incident: Incident) -> str | None:
    """The deployment group of CodeDeploy that an incident is handled through; None where ECS itself deploys."""
    named = incident.intent.get("code_deploy")
    return str(named) if named else None


def _whose(incident: Incident) -> str:
    """Who was asked to roll back."""
    return "CodeDeploy" if code_deploy_of(incident) else "ECS"


def _ours(desk: Desk, history: History, since: Sequence[str], incident: Incident) -> str | None:
    """Which of the deployments since the claim carries its rollback out: the first, if one does."""
    if code_deploy := code_deploy_of(incident):
        return desk.carrying(code_deploy, since, incident.incident_id)
    deployments = history.deployments(since)
    revisions = history.revisions([d.target for d in deployments])
    for deployment in reversed(deployments):
        target = revisions.get(deployment.target)
        if target and carries_out(deployment, target.task_definition_arn, past_rollback(incident)):
            return deployment.arn
    return None


def _was_to_be_stopped(incident: Incident) -> bool:
    """Whether the deployment was to be rolled back by itself. CodeDeploy may yet begin that when it seems that it will not."""
    late = code_deploy_of(incident) is not None and bool({"stop_refused", "again_at"} & incident.intent.keys())
    return RollbackMethod(incident.intent["way"]).stops or late


def _is_rolled_back(desk: Desk, incident: Incident) -> bool:
    """Whether the deployment is being rolled back already, or has been: then a stop that was refused is not needed."""
    deployments = desk.history(code_deploy_of(incident)).deployments([incident.deployment])
    return any(d.status.is_rollback for d in deployments)


def is_refusal(error: ClientError) -> bool:
    """Whether AWS understood and said no. A throttle, or a failure of its own, may be otherwise the next time."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= status < 500 and not is_throttle(error)


def _identified(revision: Revision | None) -> Mapping[str, Any] | None:
    if revision is None or revision.identity is None:
        return None
    return {"identity": revision.identity, "task_definition": revision.task_definition, "images": dict(revision.images)}


def _skipped(preflight: Preflight, candidate: Candidate) -> tuple[Check, ...]:
    """Force skips what could refuse, not what brings back exactly what ran: whether a copy is needed is asked all the same."""
    return (Check("preflight", None, "skipped: forced by a person"), preflight.restoring(candidate))


_FAMILIES, _TASK_ROLES = "families (the definition's family)", "task_roles (the definition's roles)"
_GRANTS = {
    "ecs:RegisterTaskDefinition": _FAMILIES,
    "ecs:TagResource": _FAMILIES,
    "iam:PassRole": _TASK_ROLES,
    "iam:GetRole": _TASK_ROLES,
    "RegisterTaskDefinition": f"{_FAMILIES} and {_TASK_ROLES}",
    "UpdateService": f"services and {_TASK_ROLES}",
    "CreateDeployment": "code_deploy",
    "StopDeployment": "code_deploy",
    "GetRole": _TASK_ROLES,
}
"""By the action that AWS names as denied; by the operation, which may need several, where it names none."""


def explain(error: ClientError, key: ServiceKey) -> str:
    """What AWS refused, and which key of the configuration grants it, where one does."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    hint = ""
    if code in ("AccessDenied", "AccessDeniedException"):
        denied = re.search(r"perform: ([\w-]+:\w+)", message)
        granted_by = _GRANTS.get(denied[1] if denied else error.operation_name, "services")
        hint = f" (granted by {granted_by} in services.yaml, for {key})"
    return f"{error.operation_name}: {code}: {message}{hint}"
