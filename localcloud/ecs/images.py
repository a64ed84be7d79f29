"""Which image a reference means now: ECS resolves tags to digests once per deployment."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.ecr.exceptions import ImageNotFoundException, RepositoryNotFoundException
from moto.ecr.models import ecr_backends

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<repository>[^:@]+)"
    r"(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def container_images(containers: Iterable[Mapping[str, Any]], desired: int) -> tuple[dict[str, str], ...]:
    """A service revision's `containerImages`; without digests where no task is started, as AWS resolves them from the first one.

    Source: deployment-type-ecs.html, "Container image resolution".
    """
    return tuple(_container_image(container, desired) for container in containers)


def _container_image(container: Mapping[str, Any], desired: int) -> dict[str, str]:
    image = {"containerName": str(container["name"]), "image": str(container["image"])}
    digest = digest_of(image["image"])
    if digest is None or desired == 0 or container.get("versionConsistency") == "disabled":
        return image
    return image | {"imageDigest": digest}


def digest_of(reference: str) -> str | None:
    """The digest that it is pinned to, or that its tag has in ECR now; None for what is neither."""
    if "@" in reference:
        return reference.split("@", 1)[1]
    if (found := _ECR.fullmatch(reference)) is None:
        return None
    return _in_ecr(found)


def can_be_pulled(image: Mapping[str, str]) -> bool:
    """Whether a task can start with it: an image of ECR must be there, other registries are taken to hold what is asked of them."""
    found = _ECR.fullmatch(image["image"])
    return found is None or _in_ecr(found, image.get("imageDigest")) is not None


def _in_ecr(found: re.Match[str], digest: str | None = None) -> str | None:
    backend = ecr_backends[found["account"]][found["region"]]
    digest = digest or found["digest"]
    image_id = {"imageDigest": digest} if digest else {"imageTag": found["tag"] or "latest"}
    try:
        (image,) = backend.describe_images(found["repository"], image_ids=[image_id])
    except (ImageNotFoundException, RepositoryNotFoundException):
        return None
    return str(image.get_image_digest())
