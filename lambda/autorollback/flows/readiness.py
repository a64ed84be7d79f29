"""Could each protected service be rolled back, if its next deployment turned out bad? Asked before the incident.

The same evidence, rules of stability and preflight as of a judgement, with a deployment that has not happened yet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import partial
from time import monotonic

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import ClientError

from autorollback.aws.artifacts import Registry, role_path
from autorollback.aws.audit import Audit, Remembered, Repository
from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import Definition, UnknownDefinition
from autorollback.aws.evidence import FirstLook, described_as
from autorollback.aws.traffic import Traffic
from autorollback.decision import blame, stability, targets
from autorollback.decision.facts import (
    Controller,
    Deployment,
    Facts,
    KnownGood,
    Revision,
    Service,
    Status,
    Trigger,
    TriggerKind,
)
from autorollback.decision.image_lifecycle import expires_soon
from autorollback.decision.question import Question
from autorollback.decision.serving import ServingPeriod, serving_periods
from autorollback.decision.verdicts import Candidate, Hold, Reason, RollBack
from autorollback.flows import rollback
from autorollback.flows.desk import Call, Desk
from autorollback.flows.rollback import Asked
from autorollback.naming import ServiceKey
from autorollback.policy import Mode, PolicyError, ServicePolicy
from autorollback.results import Result

NEXT = "the next deployment"
ENOUGH = timedelta(seconds=30)
"""Time that the function must have left to look at further services."""

AT_ONCE = 4
"""Services that are looked at together: the audit leaves AWS's rates to what cannot wait."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands in the way of a rollback (`error`), or might (`warning`), and what to do about it."""

    check: str
    severity: str
    detail: str
    remedy: str

    @property
    def mark(self) -> str:
        """What is compared from one audit to the next: the details may hold times and counts."""
        return f"{self.check} {self.severity}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a service could be rolled back now, and what was found; `good` is what has run well until now, if it has."""

    key: ServiceKey
    findings: tuple[Finding, ...]
    good: KnownGood | None = None

    @property
    def ready(self) -> bool:
        """No finding that stands in the way."""
        return not any(finding.severity == "error" for finding in self.findings)

    def told(self) -> Result:
        """In the shape of the contract."""
        findings = [
            {"check": f.check, "severity": f.severity, "detail": f.detail, "remedy": f.remedy}
            for f in self.findings
        ]
        return {
            "cluster": self.key.cluster,
            "service": self.key.service,
            "ready": self.ready,
            "findings": findings,
        }


def ask(desk: Desk, call: Call, key: ServiceKey | None) -> Result:
    """A person asks: of one service, or of all. Nothing is written."""
    found, left = _in_time(desk, call, [key] if key else list(desk.evidence.policies.keys()))
    return _result(desk, found, left)


def daily(desk: Desk, call: Call) -> Result:
    """Every protected service, those first that were looked at longest ago; people are told once of what has changed.

    What runs well is remembered as known good, for the day when AWS has forgotten its deployment. What there is no time for comes first the next day.
    """
    audit = _audit(desk)
    before = audit.remembered()
    by_age = sorted(
        desk.evidence.policies.keys(), key=lambda k: before[str(k)].at if str(k) in before else ""
    )
    found, left = _in_time(desk, call, by_age)
    changed = [one for one in found if _is_news(one, before.get(str(one.key)))]
    result = _result(desk, found, left)
    for one in found:
        if one.good:
            desk.ledger.keep_good(one.key, one.good)
    if changed:
        audit.tell(
            _subject(found),
            _letter(changed),
            result | {"services": [one.told() for one in changed]},
        )
    for one in found:
        audit.remember(one.key, one.ready, sorted(f.mark for f in one.findings), call.now)
    return result


def _in_time(
    desk: Desk, call: Call, keys: list[ServiceKey]
) -> tuple[list[Readiness], list[ServiceKey]]:
    """As many services as the function's time suffices for, a few at once; and those that are left."""
    found, left, until = (
        list[Readiness](),
        keys,
        monotonic() + (call.time_left - ENOUGH).total_seconds(),
    )
    while left and (not found or monotonic() < until):
        seen = in_parallel({str(key): partial(look_at, desk, call, key) for key in left[:AT_ONCE]})
        found, left = [*found, *seen.values()], left[AT_ONCE:]
    return found, left


def look_at(desk: Desk, call: Call, key: ServiceKey) -> Readiness:
    """One service: its state, its target, its alarms and its images. What AWS refuses to tell is a finding, of this one alone."""
    try:
        return _looked_at(desk, call, key)
    except ClientError as error:
        if not rollback.is_refusal(error):
            raise
        remedy = "grant what the error names, or deploy the stack again; a policy of the resource or the organization may deny it too"
        return Readiness(
            key, (Finding("can_be_read", "error", rollback.explain(error, key), remedy),)
        )


def _looked_at(desk: Desk, call: Call, key: ServiceKey) -> Readiness:
    try:
        look = desk.evidence.first_look(key, call.now)
    except PolicyError as error:
        remedy = "deploy the stack again: it writes the policy as services.yaml has it"
        return Readiness(
            key, (Finding("protected", "error", f"its policy cannot be read: {error}", remedy),)
        )
    if look.policy is None:
        remedy = "add the service to services.yaml and deploy"
        return Readiness(
            key, (Finding("protected", "error", f"{key} has no policy parameter", remedy),)
        )
    policy, audit = look.policy, _audit(desk)
    if look.service is None:
        remedy = "correct cluster and service in services.yaml, or take the service out"
        return Readiness(
            key, (Finding("service_active", "error", f"ECS knows no service {key}", remedy),)
        )
    trigger = Trigger(TriggerKind.ALARM, call.now)
    facts = _with_the_present(desk, call, policy, desk.evidence.facts(look, trigger, call.now))
    chosen, of_target = _of_target(desk, call, policy, facts)
    findings = [
        *_of_service(facts, policy, look, call),
        *of_target,
        *_of_definition(desk, policy, look.service),
        *_of_alarms(audit.alarms(policy)),
        *_of_images(desk, audit, call, look.service, chosen),
    ]
    return Readiness(key, tuple(findings), _runs_well(facts, policy, call))


def _runs_well(facts: Facts, policy: ServicePolicy, call: Call) -> KnownGood | None:
    serving = _serving(facts, call)
    return stability.proven(serving, Question(facts, policy.policy, call.now)) if serving else None


def _serving(facts: Facts, call: Call) -> ServingPeriod | None:
    """The serving period that lasts until now, when the next deployment is thought to begin."""
    return next((s for s in serving_periods(facts) if s.until == call.now), None)


def _audit(desk: Desk) -> Audit:
    return Audit(desk.clients, desk.names, desk.ledger.table, desk.announcer.topic_arn)


def _with_the_present(desk: Desk, call: Call, policy: ServicePolicy, facts: Facts) -> Facts:
    """The facts with what is known of the revision that serves now, as if another deployment began at this moment."""
    coming = Deployment(arn=NEXT, status=Status.PENDING, created_at=call.now, target="")
    facts = replace(facts, deployments=(coming, *facts.deployments))
    serving = _serving(facts, call)
    running = facts.revision(serving.revision) if serving else None
    if serving is None or running is None:
        return facts
    if running.identity is None:
        facts = replace(
            facts, revisions={**facts.revisions, running.arn: _described(desk, running)}
        )
    facts = desk.evidence.with_histories(facts, serving.came, call.now)
    if not policy.load_balancer:
        return facts
    requests = Traffic(desk.clients).requests(policy, serving.since, call.now, call.now)
    assessment = stability.assess(serving, Question(facts, policy.policy, call.now))
    counted = requests.between(assessment.calm_since, assessment.calm_until)
    return replace(facts, requests={**facts.requests, running.arn: counted})


def _described(desk: Desk, revision: Revision) -> Revision:
    try:
        return described_as(revision, desk.definitions.describe(revision.task_definition_arn))
    except UnknownDefinition:
        return revision


def _of_service(
    facts: Facts, policy: ServicePolicy, look: FirstLook, call: Call
) -> Iterator[Finding]:
    possible = blame.can_be_rolled_back(facts)
    if isinstance(possible, Hold):
        remedy = "nothing can be rolled back as it is"
        if possible.reason is Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER:
            remedy = "do what it says, move the service to the ECS deployment controller, or take it out of services.yaml"
        yield Finding("service_active", "error", possible.detail, remedy)
    if policy.policy.mode is not Mode.ENFORCE:
        remedy = "set mode: enforce in services.yaml once you trust its verdicts"
        yield Finding(
            "mode",
            "warning",
            f"its mode is {policy.policy.mode.value}: nothing is rolled back by itself",
            remedy,
        )
    if (until := look.recollection.ledger.paused_until) and until > call.now:
        remedy = 'invoke with {"action": "resume"}'
        yield Finding(
            "mode",
            "warning",
            f"automatic rollbacks are paused until {until:%Y-%m-%d %H:%M}Z",
            remedy,
        )
    if facts.service and facts.service.irreversible:
        remedy = "take the tag auto-rollback:irreversible off the service once older code can live with its data again"
        yield Finding(
            "irreversible_change", "error", "the service is tagged as irreversible", remedy
        )


def _of_target(
    desk: Desk, call: Call, policy: ServicePolicy, facts: Facts
) -> tuple[Candidate | None, list[Finding]]:
    """Is there a stable revision, and would one pass the preflight now?"""
    coming = facts.deployments[0]
    candidates = targets.candidates(Question(facts, policy.policy, call.now), coming, None)
    stable = tuple(c for c in candidates if c.verdict == "stable")
    if not stable:
        why = "; ".join(f"{c.revision.task_definition}: {c.detail}" for c in candidates[:3])
        remedy = f"let a revision serve {policy.policy.stable_after_minutes} minutes, with requests and without alarm"
        return None, [
            Finding(
                "stable_target", "error", why or "AWS has no deployment of it on record", remedy
            )
        ]
    verdict = RollBack(Reason.REQUESTED, "the readiness audit", coming, _newest(facts), stable)
    chosen, considered = rollback.choose(desk, facts, Asked(verdict, (), stable, automatic=False))
    failed = [
        Finding(
            check.check,
            "warning" if chosen else "error",
            f"{candidate.revision.task_definition}: {check.detail}",
            _REMEDIES[check.check],
        )
        for candidate in considered
        for check in candidate.checks
        if check.passed is False
    ]
    return chosen, [*failed, *(_of_chosen(desk, policy, chosen) if chosen else ())]


def _of_chosen(desk: Desk, policy: ServicePolicy, chosen: Candidate) -> Iterator[Finding]:
    """What the role of this function must allow, and what could not be checked of the revision that would be taken."""
    definition = desk.definitions.describe(chosen.revision.task_definition_arn)
    if not any(fnmatchcase(definition.family, pattern) for pattern in policy.policy.families):
        needed = any(check.restore for check in chosen.checks)
        detail = f"copies of the family {definition.family} may not be registered{', and one is needed' if needed else ''}"
        remedy = f"add {definition.family} to families in services.yaml and deploy"
        yield Finding("family_granted", "error" if needed else "warning", detail, remedy)
    for role in definition.roles:
        path = role_path(role)
        if not any(fnmatchcase(path, pattern) for pattern in policy.policy.task_roles):
            remedy = f"add {path} to task_roles in services.yaml and deploy"
            yield Finding(
                "role_granted", "error", f"the role {path} may not be passed to its tasks", remedy
            )
    for check in chosen.checks:
        if check.passed is None:
            what = "image" if check.check == "image_present" else "secret or parameter"
            remedy = (
                f"keep the {what} where it is for as long as you want to be able to go back to it"
            )
            yield Finding(check.check, "info", check.detail, remedy)
        if "after it last ran" in check.detail:
            remedy = "make sure that the revision can work with the new value"
            yield Finding(
                check.check, "warning", f"{chosen.revision.task_definition}: {check.detail}", remedy
            )


def _of_definition(desk: Desk, policy: ServicePolicy, service: Service) -> Iterator[Finding]:
    definition = _running(desk, service)
    if definition is None:
        remedy = "deploy a revision that exists, before the running tasks have to be replaced"
        yield Finding(
            "definition_active", "error", f"{service.task_definition} cannot be described", remedy
        )
    elif definition.status != "ACTIVE":
        families = ", ".join(policy.policy.families)
        detail = f"the running definition {definition.name} is {definition.status}: a rollback to it registers a pinned copy"
        remedy = f"nothing needs doing while its family is in families ({families}); to keep revisions, set skip_destroy (Terraform) or RETAIN on replacement (CloudFormation)"
        yield Finding("definition_active", "warning", detail, remedy)


def _of_alarms(alarms: dict[str, bool | None]) -> Iterator[Finding]:
    if not alarms:
        remedy = "name alarms of your own under alarms in services.yaml"
        yield Finding(
            "alarms_present",
            "warning",
            "no alarm watches this service: only its task failures are seen",
            remedy,
        )
    for name, enabled in alarms.items():
        if enabled is None:
            remedy = "deploy the stack again, or correct alarms in services.yaml"
            yield Finding("alarms_present", "error", f"there is no alarm {name}", remedy)
        elif not enabled:
            remedy = f"aws cloudwatch enable-alarm-actions --alarm-names '{name}'"
            yield Finding(
                "alarms_enabled", "warning", f"the actions of the alarm {name} are disabled", remedy
            )


def _of_images(
    desk: Desk, audit: Audit, call: Call, service: Service, chosen: Candidate | None
) -> Iterator[Finding]:
    """Can a running tag be pushed over, and will a lifecycle policy soon expire what would be gone back to?"""
    registry, running = Registry(desk.clients, service.arn), _running(desk, service)
    target = desk.definitions.describe(chosen.revision.task_definition_arn) if chosen else None
    runs, kept = (
        {n: i for n, text in (d.images if d else {}).items() if (i := registry.own_image(text))}
        for d in (running, target)
    )
    names = {image.repository for image in (*runs.values(), *kept.values())}
    repositories: dict[str, Repository | None] = in_parallel(
        {name: partial(audit.repository, name) for name in names}
    )
    for name, image in sorted(runs.items()):
        repository = repositories[image.repository]
        if repository is None:
            remedy = "restore the repository, or deploy from another"
            yield Finding(
                "image_present",
                "error",
                f"{name}: there is no repository {image.repository}",
                remedy,
            )
        elif image.tag and not image.digest and repository.can_move(image.tag):
            effect = "a rollback pins the digest all the same"
            if service.controller is Controller.CODE_DEPLOY:
                effect = "CodeDeploy records no digest: a revision whose tag was pushed over is not gone back to"
            remedy = f"{effect}; to rule it out: aws ecr put-image-tag-mutability --repository-name {image.repository} --image-tag-mutability IMMUTABLE"
            yield Finding(
                "tag_mutable",
                "warning",
                f"{name}: {image.repository}:{image.tag} can be pushed over",
                remedy,
            )
    for name, image in sorted(kept.items()):
        repository, digest = (
            repositories[image.repository],
            chosen.revision.images.get(name) if chosen else None,
        )
        gone = (
            expires_soon(repository.lifecycle, digest, repository.images, call.now)
            if repository and repository.lifecycle and digest
            else None
        )
        if gone:
            yield Finding(
                "image_kept", "warning", f"{name}: {image.repository}@{digest}: {gone}", KEEP
            )


KEEP = (
    "keep more: a rule that expires tagged images by imageCountMoreThan, with a count of at least two months of pushes, and "
    "untagged ones not before 90 days (docs/readiness.md has it in full)"
)
_REMEDIES = {
    "image_present": "push the image again under the same digest, or raise the count or age in the repository's lifecycle policy",
    "secrets_present": "restore the secret (aws secretsmanager restore-secret), or deploy a revision that does not need it",
    "roles_present": "create the role again, and name it under task_roles in services.yaml",
    "definition_usable": "deploy the newest version of this controller; where the definition is gone, let another revision prove itself",
    "settings_match": "deploy a revision that fits the service's load balancer, network mode and platform, and let it prove itself",
}


def _running(desk: Desk, service: Service) -> Definition | None:
    try:
        return desk.definitions.describe(service.task_definition)
    except UnknownDefinition:
        return None


def _newest(facts: Facts) -> Deployment:
    """The service's newest deployment that has happened."""
    return facts.deployments[1] if len(facts.deployments) > 1 else facts.deployments[0]


def _is_news(now: Readiness, before: Remembered | None) -> bool:
    """Of a service that is seen for the first time, only trouble is news."""
    if before is None:
        return not now.ready
    return (now.ready, {f.mark for f in now.findings}) != (before.ready, set(before.findings))


def _result(desk: Desk, found: Sequence[Readiness], left: Sequence[ServiceKey]) -> Result:
    for one in (
        one for one in found if one.key.cluster
    ):  # a name that a person mistyped is no protected service
        metrics = Metrics(namespace=desk.names.metric_namespace)
        metrics.add_dimension("cluster", one.key.cluster)
        metrics.add_dimension("service", one.key.service)
        metrics.add_metric("RollbackReady", MetricUnit.Count, int(one.ready))
        metrics.flush_metrics()
    more = {"not_looked_at": [str(key) for key in left]} if left else {}
    return {
        "outcome": "done",
        "summary": _subject(found),
        "services": [one.told() for one in found],
        **more,
    }


def _subject(found: Sequence[Readiness]) -> str:
    bad = sum(not one.ready for one in found)
    return f"[READINESS] {len(found) - bad} of {len(found)} services could be rolled back now"


def _letter(changed: Sequence[Readiness]) -> str:
    """What has changed since the last audit, service by service."""
    lines = []
    for one in changed:
        lines.append(
            f"{one.key}: {'could be rolled back' if one.ready else 'could NOT be rolled back'}"
        )
        for finding in one.findings:
            lines += [
                f"  {finding.severity}: {finding.check}: {finding.detail}",
                f"    {finding.remedy}",
            ]
        lines.append("")
    return "\n".join(lines)
