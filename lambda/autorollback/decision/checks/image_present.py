"""Is each image still there, and is it known to be what ran?

Absent, there and not known are three answers; only absent fails.
"""

from autorollback.decision.formatting import clock
from autorollback.decision.image_reference import Image
from autorollback.decision.lookups import Lookup, TagPushed
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName


def needs(target: PreflightTarget) -> frozenset[Lookup]:
    """The images in ECR, and when the tags were pushed that nothing else tells of."""
    lookups: set[Lookup] = set(target.images_stored.values())
    for name, image in target.images.items():
        tag = target.tag_that_may_have_moved(name, image)
        if tag:
            lookups.add(TagPushed(image.repository, tag))
    return frozenset(lookups)


def find(case: PreflightCase) -> tuple[Check, ...]:
    """One finding for each container."""
    images = case.target.images
    found: list[Check] = []
    for name, reference in sorted(case.target.definition.images.items()):
        image = images.get(name)
        if image is None:
            detail = f"{name}: {reference} is not in this registry, not checked"
            found.append(Check(CheckName.IMAGE_PRESENT, None, detail))
        else:
            found.append(_pushed_over(case, name, image) or _present(case, name, image))
    return tuple(found)


def _pushed_over(
    case: PreflightCase,
    name: str,
    image: Image,
) -> Check | None:
    """A tag that was pushed over since the revision came: nobody can tell what ran."""
    tag = case.target.tag_that_may_have_moved(name, image)
    if tag is None:
        return None
    pushed = case.answers.pushed[TagPushed(image.repository, tag)]
    if pushed is None or pushed <= case.target.revision.created_at:
        return None

    when = f"was pushed over at {clock(pushed)}, after this came to the service"
    why = "CodeDeploy records no digest: what ran cannot be told"
    detail = f"{name}: {image.repository}:{tag} {when}, and {why}"
    return Check(CheckName.IMAGE_PRESENT, passed=False, detail=detail)


def _present(
    case: PreflightCase,
    name: str,
    image: Image,
) -> Check:
    stored = case.target.stored(image, case.answers)
    digest = case.target.digest_of(name, image)
    if digest:
        what = f"{name}: {image.repository}@{digest}"
        unknown = stored.unknown_of(digest)
        found = digest if digest in stored.digests else None
    else:
        tag = image.tag or ""
        what = f"{name}: {image.repository}:{tag} (no digest was recorded)"
        unknown = stored.unknown_of(tag)
        found = stored.tags.get(tag)

    if unknown:
        detail = f"{what}: not known whether it is in ECR ({unknown}), not checked"
        denied = stored.refused is not None
        return Check(CheckName.IMAGE_PRESENT, None, detail, denied=denied)
    if found is None:
        return Check(CheckName.IMAGE_PRESENT, passed=False, detail=f"{what} is not in ECR")
    status = stored.inactive.get(found)
    if status:
        detail = f"{what} is {status} in ECR: it cannot be pulled"
        return Check(CheckName.IMAGE_PRESENT, passed=False, detail=detail)
    return Check(CheckName.IMAGE_PRESENT, passed=True, detail=f"{what} is in ECR")


CHECK = PreflightCheck(CheckName.IMAGE_PRESENT, needs, find)
