"""From a verdict to a service that runs what ran well: preflight, claim, act, record, announce. Each step can be repeated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from autorollback import results
from autorollback.aws.artifacts import Preflight
from autorollback.aws.clients import together
from autorollback.aws.deployer import Way
from autorollback.aws.ecs import Ecs
from autorollback.aws.ledger import Incident, State, new_incident, past_rollback
from autorollback.decision import blame
from autorollback.decision.blame import carries_out
from autorollback.decision.model import Candidate, Check, Evidence, Facts, Reason, Revision, RollBack, Status
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.results import Result


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
    preflight = Preflight(desk.clients, facts.service, desk.definitions)
    looked_at: dict[str, Candidate] = {}
    chosen = None
    for candidate in asked.verdict.candidates:
        checks = (*candidate.checks, *(_skipped() if asked.forced else preflight.check(candidate, candidate.ran_until)))
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
) -> Result:
    """Claim the newest deployment, act once, record it, tell people."""
    key, newest = policy.key, asked.verdict.newest
    result = _result("rolled_back", "rolled back", key, facts, asked, chosen, considered)
    incident = new_incident(
        key,
        newest,
        call.now,
        automatic=asked.automatic,
        intent={
            "way": _way(facts, asked.verdict, chosen),
            "target": chosen.revision.task_definition_arn,
            "digests": dict(chosen.revision.images),
            "restore": any(check.restore for check in chosen.checks),
            "deploy": chosen.revision.task_definition_arn,
            "service_arn": facts.service.arn if facts.service else "",
            "pins": asked.pins,
            "words": asked.words,
            "request_id": call.request_id,
            "from": _identified(facts.revision(asked.verdict.suspect.target)),
        },
        forced_by=call.request_id if asked.forced else None,
    )
    result = result | {"incident_id": incident.incident_id, "incident_state": State.OPEN.value}
    incident = replace(incident, intent={**incident.intent, "result": result})
    seen = together({"claimed": lambda: desk.ledger.claim(incident), "newest": lambda: desk.deployer.newest(key)})
    if not seen["claimed"]:
        return results.ignored(Reason.ALREADY_HANDLED, "this deployment has been claimed by another rollback", key)
    if seen["newest"] != newest.arn and not asked.forced:
        desk.ledger.retract(incident)
        return results.ignored(Reason.SUPERSEDED, "another deployment has started meanwhile", key)
    return _act(desk, call, policy, incident)


def resume(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    """Go on with a claim that was left unfinished: by a crash, by a retry, by a message that could not be sent."""
    if incident.state is not State.CLAIMED:
        return _announce(desk, call, policy, incident)
    newest = desk.deployer.newest(incident.key)
    if newest == incident.deployment:
        return _act(desk, call, policy, incident)
    if newest is not None and _is_ours(desk, newest, incident):
        return _record(desk, call, policy, incident, newest)
    superseded = replace(incident, state=State.SUPERSEDED, closed_at=call.now, announced=True)
    desk.ledger.save(superseded, due=None)
    return results.ignored(Reason.SUPERSEDED, "another deployment started before the rollback did", incident.key)


def give_up(desk: Desk, call: Call, incident: Incident, why: str) -> Result:
    """Close a claim that cannot be finished, and tell people."""
    result = {**incident.intent["result"], "outcome": "failed", "summary": why, "incident_state": State.FAILED.value}
    failed = replace(incident, state=State.FAILED, result=result, closed_at=call.now, announced=True)
    desk.announcer.announce(result, str(incident.intent["service_arn"]))
    desk.ledger.save(failed, due=None)
    return result


def _act(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    try:
        if incident.intent["way"] == Way.STOP_DEPLOYMENT and desk.deployer.stop(incident.deployment):
            return _record(desk, call, policy, incident, incident.deployment)
        incident = _restored(desk, incident)
        desk.deployer.update(incident.key, str(incident.intent["deploy"]))
    except ClientError as error:
        told = explain(error, incident.key)
        if incident.automatic:
            raise ActFailed(told) from error
        return give_up(desk, call, incident, f"{incident.key} was not rolled back: {told}")
    return _record(desk, call, policy, incident, None)


def _restored(desk: Desk, incident: Incident) -> Incident:
    """The incident, its intent naming the pinned copy to deploy, where the target itself would not bring back what ran.

    The copy is written down before it is deployed, so that a retry knows the deployment of it for its own.
    """
    if not incident.intent["restore"] or incident.intent["deploy"] != incident.intent["target"]:
        return incident
    copy = desk.definitions.restore(
        desk.definitions.describe(str(incident.intent["target"])), incident.intent["digests"]
    )
    result = incident.intent["result"]
    result = {**result, "to": {**result["to"], "restored_as": copy.name}}
    restored = replace(incident, intent={**incident.intent, "deploy": copy.arn, "result": result})
    desk.ledger.save(restored, due=incident.claimed_at)
    return restored


def _record(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident, deployment: str | None) -> Result:
    done = replace(incident, state=State.OPEN, result=incident.intent["result"], rollback_deployment=deployment)
    writes: dict[str, Callable[[], Any]] = {
        "record": lambda: desk.ledger.save(done, due=call.now + policy.policy.confirm_within)
    }
    if left := incident.intent.get("from"):
        writes["quarantine"] = lambda: desk.ledger.quarantine(incident.key, left, call.now)
    together(writes)
    return _announce(desk, call, policy, done)


def _announce(desk: Desk, call: Call, policy: ServicePolicy, incident: Incident) -> Result:
    result = dict(incident.result or incident.intent["result"])
    desk.announcer.announce(result, str(incident.intent["service_arn"]))
    due = call.now + policy.policy.confirm_within if incident.state is State.OPEN else None
    desk.ledger.save(replace(incident, announced=True), due=due)
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
    left = facts.revision(asked.verdict.suspect.target)
    to = chosen.revision
    source = f" from {left.task_definition}" if left else ""
    why = asked.words or asked.verdict.detail
    return results.judged(
        outcome,
        asked.verdict.reason,
        f"{key.service} {done}{source} to {to.task_definition}: {why}; :{to.task_definition.rpartition(':')[2]} {chosen.detail}.",
        key,
        from_=left,
        to=to,
        evidence=asked.evidence,
        candidates=considered,
    )


def _way(facts: Facts, verdict: RollBack, chosen: Candidate) -> str:
    """A deployment in progress is stopped where ECS then restores the chosen target; everything else is an update."""
    newest = verdict.newest
    in_flight = newest.status in (Status.PENDING, Status.IN_PROGRESS)
    source = blame.running_before(facts, 0)
    returns = source is not None and source.identity == chosen.revision.identity and len(newest.sources) == 1
    return Way.STOP_DEPLOYMENT if in_flight and returns else Way.UPDATE_SERVICE


def _is_ours(desk: Desk, newest: str, incident: Incident) -> bool:
    ecs = Ecs(desk.clients)
    return any(
        carries_out(deployment, revision.task_definition_arn, past_rollback(incident))
        for deployment in ecs.deployments([newest])
        for revision in ecs.revisions([deployment.target]).values()
    )


def _identified(revision: Revision | None) -> Mapping[str, Any] | None:
    if revision is None or revision.identity is None:
        return None
    return {"identity": revision.identity, "task_definition": revision.task_definition, "images": dict(revision.images)}


def _skipped() -> tuple[Check, ...]:
    return (Check("preflight", None, "skipped: forced by a person"),)


def explain(error: ClientError, key: ServiceKey) -> str:
    """What AWS refused, and which key of the configuration grants it, where one does."""
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    hint = ""
    if code in ("AccessDenied", "AccessDeniedException"):
        grants = {"RegisterTaskDefinition": "families and task_roles", "UpdateService": "services and task_roles"}
        hint = f" (granted by {grants.get(error.operation_name, 'services')} in services.yaml, for {key})"
    return f"{error.operation_name}: {code}: {message}{hint}"
