"""Does its definition bring back what ran, as it is or as a copy?"""

from collections.abc import Sequence

from autorollback.decision.definition import Definition
from autorollback.decision.lookups import Answers, Lookup
from autorollback.decision.preflight_case import (
    PreflightCase,
    PreflightCheck,
    PreflightTarget,
    restored_whole,
)
from autorollback.decision.verdicts import Check, CheckName

SHOWN = 19
"""Characters of a digest, enough to tell two apart."""


def needs(target: PreflightTarget) -> frozenset[Lookup]:
    """The images in ECR, and what their tags are now."""
    return frozenset(target.images_stored.values())


def find(case: PreflightCase) -> tuple[Check, ...]:
    """One finding: it is usable, needs a copy, or can be neither."""
    found = usable(case.target, case.answers)
    if case.restored_whole:
        found = restored_whole(found)
    return (found,)


def usable(target: PreflightTarget, answers: Answers) -> Check:
    """Whether the definition brings back what ran, as it is or as a copy.

    UpdateService with the definition that the service has already deploys nothing unless it is
    forced to (botocore ecs/2014-11-13, forceNewDeployment): what ran under it with other images
    comes back by a copy.
    """
    why = reasons_to_restore(target, answers)
    now, definition = target.now_runs, target.definition.arn
    is_deployed = now is not None and now.task_definition_arn == definition
    stays = is_deployed and target.service.task_definition == definition
    if not why and stays and now and now.identity != target.revision.identity:
        why = [f"{target.definition.name} is deployed already, with other images"]
    return _as_it_is_or_as_copy(target.definition, why)


def reasons_to_restore(target: PreflightTarget, answers: Answers) -> list[str]:
    """Why the definition itself might not bring back what ran.

    It is deregistered, a tag has moved, or nobody can tell.
    """
    definition = target.definition
    why: list[str] = []
    if definition.status != "ACTIVE":
        why.append(f"{definition.name} is {definition.status}")
    for name, reference in sorted(definition.images.items()):
        reason = _no_longer_means(
            name,
            reference,
            target,
            answers,
        )
        if reason:
            why.append(reason)
    return why


def _no_longer_means(
    name: str,
    reference: str,
    target: PreflightTarget,
    answers: Answers,
) -> str | None:
    """Why an image reference may not mean the digest that ran; None where it does.

    Or where AWS recorded no digest: then there is nothing to pin.
    """
    ran = target.revision.images.get(name)
    pinned_to = reference.partition("@")[2]
    if ran is None or ran == pinned_to:
        return None

    wanted = ran[:SHOWN]
    image = target.images.get(name)
    if image is None:
        return f"{name}: whether {reference} still means {wanted} cannot be asked of its registry"
    if pinned_to:
        return f"{name}: it is pinned to {pinned_to[:SHOWN]}, {wanted} is wanted"
    if not image.tag:
        return None

    stored = target.stored(image, answers)
    unknown = stored.unknown_of(image.tag)
    if unknown:
        told = f"whether {image.repository}:{image.tag} still means {wanted} is not known"
        return f"{name}: {told} ({unknown})"
    means_now = stored.tags.get(image.tag)
    if means_now == ran:
        return None
    moved = "is gone"
    if means_now:
        moved = f"is now {means_now[:SHOWN]}"
    return f"{name}: {image.repository}:{image.tag} {moved}, {wanted} ran"


def _as_it_is_or_as_copy(definition: Definition, why: Sequence[str]) -> Check:
    if not why:
        detail = f"{definition.name} is ACTIVE, and its images resolve to what ran"
        return Check(CheckName.DEFINITION_USABLE, passed=True, detail=detail)

    reasons = "; ".join(why)
    if not definition.unknown_fields:
        detail = f"{reasons}: will be restored as a pinned copy"
        return Check(
            CheckName.DEFINITION_USABLE,
            passed=True,
            detail=detail,
            needs_copy=True,
        )

    fields = ", ".join(definition.unknown_fields)
    cannot = f"it cannot be copied: this version does not know its fields {fields}"
    detail = f"{reasons}; {cannot}. Update the controller"
    return Check(
        CheckName.DEFINITION_USABLE,
        passed=False,
        detail=detail,
        needs_copy=True,
    )


CHECK = PreflightCheck(CheckName.DEFINITION_USABLE, needs, find)
