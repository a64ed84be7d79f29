"""Which image a reference means now: ECS resolves tags to digests once per deployment."""

import re
from collections.abc import Iterable, Mapping

from moto.ecr.exceptions import ImageNotFoundException, RepositoryNotFoundException
from moto.ecr.models import ecr_backends

from localcloud.shapes import Settings

_ECR_REFERENCE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def container_images(containers: Iterable[Settings], desired: int) -> tuple[dict[str, str], ...]:
    """Resolve a service revision's `containerImages`.

    They have no digests where no task is started, as AWS resolves them from the first one
    (deployment-type-ecs.html, "Container image resolution").
    """
    return tuple(_container_image(container, desired) for container in containers)


def _container_image(container: Settings, desired: int) -> dict[str, str]:
    reference = str(container["image"])
    image = {"containerName": str(container["name"]), "image": reference}
    is_resolved = desired > 0 and container.get("versionConsistency") != "disabled"
    digest = digest_of(reference)
    if is_resolved and digest is not None:
        image["imageDigest"] = digest
    return image


def digest_of(reference: str) -> str | None:
    """Find the digest that a reference is pinned to, or else its tag's in ECR.

    None where it has neither.
    """
    if "@" in reference:
        return reference.split("@", 1)[1]

    parts = _ECR_REFERENCE.fullmatch(reference)
    if parts is None:
        return None
    return _digest_in_ecr(parts)


def can_be_pulled(image: Mapping[str, str]) -> bool:
    """Whether a task can start with the image.

    An image of ECR must be there; other registries are taken to hold what is asked of them.
    """
    parts = _ECR_REFERENCE.fullmatch(image["image"])
    if parts is None:
        return True
    return _digest_in_ecr(parts, image.get("imageDigest")) is not None


def _digest_in_ecr(parts: re.Match[str], digest: str | None = None) -> str | None:
    """Look for `digest`, else for the digest or the tag of the reference."""
    image_id = {"imageTag": parts["tag"] or "latest"}
    wanted_digest = digest or parts["digest"]
    if wanted_digest:
        image_id = {"imageDigest": wanted_digest}

    backend = ecr_backends[parts["account"]][parts["region"]]
    try:
        (image,) = backend.describe_images(parts["repository"], image_ids=[image_id])
    except (ImageNotFoundException, RepositoryNotFoundException):
        return None
    return str(image.get_image_digest())
