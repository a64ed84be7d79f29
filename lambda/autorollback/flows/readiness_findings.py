"""What the readiness audit finds in what was read, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from autorollback.aws.alarm_tree import LEVELS
from autorollback.aws.audit import Repository
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.decision.alarm_order import COARSEST
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Alarm, Controller, Facts, Revision, Untold
from autorollback.decision.formatting import span, unread_of
from autorollback.decision.image_lifecycle import expires_soon
from autorollback.decision.image_reference import Image
from autorollback.decision.lookups import role_path
from autorollback.decision.rules.service_inactive import can_be_rolled_back
from autorollback.decision.verdicts import Candidate, Check, CheckName, Hold, Reason
from autorollback.naming import ServiceKey
from autorollback.policy import Mode, Policy, PolicyError
from autorollback.results import FindingSeverity, ReadinessFinding

_ERROR = FindingSeverity.ERROR
_WARNING = FindingSeverity.WARNING
_INFO = FindingSeverity.INFO

SHOWN_CANDIDATES = 3
"""Candidates of which it is told why they are not stable."""

REMEDIES: Mapping[CheckName, str] = {
    CheckName.IMAGE_PRESENT: (
        "push the image again under the same digest, "
        "or raise the count or age in the repository's lifecycle policy"
    ),
    CheckName.SECRETS_PRESENT: (
        "restore the secret (aws secretsmanager restore-secret), "
        "or deploy a revision that does not need it"
    ),
    CheckName.ROLES_PRESENT: (
        "create the role again, and name it under task_roles in services.yaml"
    ),
    CheckName.FAMILY_GRANTED: "add the family to families in services.yaml and deploy",
    CheckName.DEFINITION_USABLE: (
        "deploy the newest version of this controller; "
        "where the definition is gone, let another revision prove itself"
    ),
    CheckName.SETTINGS_MATCH: (
        "deploy a revision that fits the service's load balancer, network mode and platform, "
        "and let it prove itself"
    ),
    CheckName.NEEDS: "make sure that what it names is there, and stays",
    CheckName.HAS_RUN_HERE: "name a revision that has run in this service",
    CheckName.PREFLIGHT: "ask without force, to have it checked",
}
"""What to do about a check that fails, for each."""

KEEP = (
    "keep more: a rule that expires tagged images by imageCountMoreThan, "
    "with a count of at least two months of pushes, and untagged ones not before 90 days "
    "(docs/readiness.md has it in full)"
)


def unprotected(key: ServiceKey) -> ReadinessFinding:
    """A name that no policy has."""
    remedy = "add the service to services.yaml and deploy"
    return ReadinessFinding(
        "protected",
        _ERROR,
        f"{key} has no policy parameter",
        remedy,
    )


def unreadable_policy(error: PolicyError) -> ReadinessFinding:
    """A policy that was edited by hand into nonsense."""
    remedy = "deploy the stack again: it writes the policy as services.yaml has it"
    return ReadinessFinding(
        "protected",
        _ERROR,
        f"its policy cannot be read: {error}",
        remedy,
    )


def unreadable_record(error: LedgerRecordError) -> ReadinessFinding:
    """A record of the ledger that cannot be read.

    The automatic does nothing for the service meanwhile.
    """
    return ReadinessFinding(
        "ledger_readable",
        _ERROR,
        str(error),
        "mend or delete this item; point-in-time recovery brings back what was lost",
    )


def unknown(key: ServiceKey) -> ReadinessFinding:
    """A policy of a service that is not there."""
    remedy = "correct cluster and service in services.yaml, or take the service out"
    return ReadinessFinding(
        "service_active",
        _ERROR,
        f"ECS knows no service {key}",
        remedy,
    )


def refused(why: str) -> ReadinessFinding:
    """What AWS refused to tell."""
    grant = "grant what the error names, or deploy the stack again"
    remedy = f"{grant}; a policy of the resource or the organization may deny it too"
    return ReadinessFinding(
        "can_be_read",
        _ERROR,
        why,
        remedy,
    )


def of_service(
    facts: Facts,
    policy: Policy,
    paused_until: datetime | None,
    now: datetime,
) -> Iterator[ReadinessFinding]:
    """Its state, its mode and its tags."""
    possible = can_be_rolled_back(facts)
    if isinstance(possible, Hold):
        yield _cannot_be_rolled_back(possible)
    if policy.mode is not Mode.ENFORCE:
        detail = f"its mode is {policy.mode.value}: nothing is rolled back by itself"
        remedy = "set mode: enforce in services.yaml once you trust its verdicts"
        yield ReadinessFinding(
            "mode",
            _WARNING,
            detail,
            remedy,
        )
    if paused_until and paused_until > now:
        detail = f"automatic rollbacks are paused until {paused_until:%Y-%m-%d %H:%M}Z"
        yield ReadinessFinding(
            "mode",
            _WARNING,
            detail,
            'invoke with {"action": "resume"}',
        )
    if facts.service and facts.service.irreversible:
        detail = "the service is tagged as irreversible"
        take_off = "take the tag auto-rollback:irreversible off the service"
        remedy = f"{take_off} once older code can live with its data again"
        yield ReadinessFinding(
            "irreversible_change",
            _ERROR,
            detail,
            remedy,
        )


def _cannot_be_rolled_back(hold: Hold) -> ReadinessFinding:
    remedy = "nothing can be rolled back as it is"
    if hold.reason is Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER:
        move = "move the service to the ECS deployment controller"
        remedy = f"do what it says, {move}, or take it out of services.yaml"
    return ReadinessFinding(
        "service_active",
        _ERROR,
        hold.detail,
        remedy,
    )


def no_stable_target(
    candidates: Sequence[Candidate],
    unread: Sequence[str],
    policy: Policy,
) -> ReadinessFinding:
    """No revision has proven itself, why not, and what was not read."""
    told: list[str] = []
    for candidate in candidates[:SHOWN_CANDIDATES]:
        told.append(f"{candidate.revision.task_definition}: {candidate.detail}")
    detail = "; ".join(told) or "AWS has no deployment of it on record"
    serve = f"let a revision serve {policy.stable_after_minutes} minutes"
    return ReadinessFinding(
        "stable_target",
        _ERROR,
        f"{detail}{unread_of(unread)}",
        f"{serve}, with requests and without alarm",
    )


def of_failed_checks(
    considered: Iterable[Candidate], *, is_fatal: bool
) -> tuple[ReadinessFinding, ...]:
    """Each check that a candidate fails; `is_fatal`: there is no other candidate.

    A family that is not granted is a slip in services.yaml, which would keep every newer build from being gone back to.
    """
    found: list[ReadinessFinding] = []
    for candidate in considered:
        for check in candidate.checks:
            if check.passed is False:
                detail = _of_candidate(candidate, check)
                remedy = REMEDIES[check.name]
                is_error = is_fatal or check.name is CheckName.FAMILY_GRANTED
                severity = _ERROR if is_error else _WARNING
                found.append(
                    ReadinessFinding(
                        check.name.value,
                        severity,
                        detail,
                        remedy,
                    )
                )
    return tuple(found)


def of_chosen(
    chosen: Candidate,
    definition: Definition,
    policy: Policy,
) -> Iterator[ReadinessFinding]:
    """What must be allowed or could not be checked of what would be taken."""
    for role in definition.roles:
        path = role_path(role)
        if not policy.allows_role(path):
            detail = f"the role {path} may not be passed to its tasks"
            remedy = f"add {path} to task_roles in services.yaml and deploy"
            yield ReadinessFinding(
                "role_granted",
                _ERROR,
                detail,
                remedy,
            )
    for check in chosen.checks:
        if check.passed is None:
            yield _not_checked(check)
        if check.changed_since_run:
            detail = _of_candidate(chosen, check)
            remedy = "make sure that the revision can work with the new value"
            yield ReadinessFinding(
                check.name.value,
                _WARNING,
                detail,
                remedy,
            )


def _not_checked(check: Check) -> ReadinessFinding:
    what = "image" if check.name is CheckName.IMAGE_PRESENT else "secret or parameter"
    remedy = f"keep the {what} where it is for as long as you want to be able to go back to it"
    severity = _INFO
    if check.denied:
        severity = _WARNING
        remedy = (
            "deploy the stack again; a policy of the resource or the organization may deny it too"
        )
    elif check.name is CheckName.NEEDS:
        remedy = REMEDIES[CheckName.NEEDS]
    return ReadinessFinding(
        check.name.value,
        severity,
        check.detail,
        remedy,
    )


def _of_candidate(candidate: Candidate, check: Check) -> str:
    return f"{candidate.revision.task_definition}: {check.detail}"


def of_definition(
    reference: str,
    running: Definition | None,
    policy: Policy,
) -> Iterator[ReadinessFinding]:
    """Whether the running definition is still there and ACTIVE."""
    if running is None:
        detail = f"{reference} cannot be described"
        remedy = "deploy a revision that exists, before the running tasks have to be replaced"
        yield ReadinessFinding(
            "definition_active",
            _ERROR,
            detail,
            remedy,
        )
    elif running.status != "ACTIVE":
        state = f"the running definition {running.name} is {running.status}"
        detail = f"{state}: a rollback to it registers a pinned copy"
        families = ", ".join(policy.families)
        nothing = f"nothing needs doing while its family is in families ({families})"
        keep = "set skip_destroy (Terraform) or RETAIN on replacement (CloudFormation)"
        remedy = f"{nothing}; to keep revisions, {keep}"
        yield ReadinessFinding(
            "definition_active",
            _WARNING,
            detail,
            remedy,
        )


def of_alarms(alarms: Mapping[str, bool | None]) -> Iterator[ReadinessFinding]:
    """Whether each alarm that should watch it is there, with its actions enabled."""
    if not alarms:
        detail = "no alarm watches this service: only its task failures are seen"
        remedy = "name alarms of your own under alarms in services.yaml"
        yield ReadinessFinding(
            "alarms_present",
            _WARNING,
            detail,
            remedy,
        )
    for name, enabled in alarms.items():
        if enabled is None:
            remedy = "deploy the stack again, or correct alarms in services.yaml"
            yield ReadinessFinding(
                "alarms_present",
                _ERROR,
                f"there is no alarm {name}",
                remedy,
            )
        elif not enabled:
            detail = f"the actions of the alarm {name} are disabled"
            remedy = f"aws cloudwatch enable-alarm-actions --alarm-names '{name}'"
            yield ReadinessFinding(
                "alarms_enabled",
                _WARNING,
                detail,
                remedy,
            )


def of_alarm_times(facts: Facts) -> Iterator[ReadinessFinding]:
    """Whether each alarm could tell whether its trouble began before a deployment."""
    for alarm in facts.alarms:
        why = _cannot_tell(alarm)
        if why is not None:
            remedy = (
                f"watch a metric alarm with a period of up to {span(COARSEST)}, "
                f"or composites of them, at most {LEVELS} levels deep"
            )
            yield ReadinessFinding(
                "alarm_times",
                _WARNING,
                f"{alarm.name} may convict no deployment: {why}",
                remedy,
            )


def _cannot_tell(alarm: Alarm) -> str | None:
    match alarm.untold:
        case Untold.UNREAD:
            return "of the alarms under it not all could be read, or they are too many"
        case Untold.NO_DATAPOINTS:
            return "it is, or has under it, an alarm without datapoints"
        case _:
            pass
    if alarm.period > COARSEST:
        return f"a datapoint of {span(alarm.period)} may hold a deployment's start"
    return None


def of_running_images(
    images: Mapping[str, Image],
    repositories: Mapping[str, Repository | None],
    controller: Controller,
) -> tuple[ReadinessFinding, ...]:
    """Whether a running image's repository is there, and whether its tag can be pushed over."""
    found: list[ReadinessFinding] = []
    for name, image in sorted(images.items()):
        repository = repositories[image.repository]
        if repository is None:
            detail = f"{name}: there is no repository {image.repository}"
            remedy = "restore the repository, or deploy from another"
            finding = ReadinessFinding(
                CheckName.IMAGE_PRESENT.value,
                _ERROR,
                detail,
                remedy,
            )
            found.append(finding)
        elif image.moving_tag and repository.can_move(image.moving_tag):
            found.append(_tag_can_move(name, image, controller))
    return tuple(found)


def _tag_can_move(
    name: str,
    image: Image,
    controller: Controller,
) -> ReadinessFinding:
    effect = "a rollback pins the digest all the same"
    if controller is Controller.CODE_DEPLOY:
        not_gone_back_to = "a revision whose tag was pushed over is not gone back to"
        effect = f"CodeDeploy records no digest: {not_gone_back_to}"
    command = (
        f"aws ecr put-image-tag-mutability --repository-name {image.repository} "
        "--image-tag-mutability IMMUTABLE"
    )
    detail = f"{name}: {image.repository}:{image.tag} can be pushed over"
    return ReadinessFinding(
        "tag_mutable",
        _WARNING,
        detail,
        f"{effect}; to rule it out: {command}",
    )


def of_kept_images(
    images: Mapping[str, Image],
    repositories: Mapping[str, Repository | None],
    target: Revision,
    now: datetime,
) -> Iterator[ReadinessFinding]:
    """Whether a lifecycle policy will soon expire an image of the target."""
    for name, image in sorted(images.items()):
        repository, digest = repositories[image.repository], target.images.get(name)
        if repository is None or not repository.lifecycle or not digest:
            continue
        gone = expires_soon(
            repository.lifecycle,
            digest,
            repository.images,
            now,
        )
        if gone:
            detail = f"{name}: {image.repository}@{digest}: {gone}"
            yield ReadinessFinding(
                "image_kept",
                _WARNING,
                detail,
                KEEP,
            )
