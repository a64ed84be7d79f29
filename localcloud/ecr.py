"""Tags of ECR as AWS has them: one that moves leaves the image it came from untagged, and an image answers to what was asked."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend
from moto.ecr.responses import ECRResponse

from localcloud.errors import NotModelled

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """moto deletes the image that a tag moves away from, and tells the newest tag of an image whatever was asked."""
    cloud.replace(ECRBackend, "put_image", _leaving_untagged(ECRBackend.put_image))
    cloud.replace(ECRResponse, "batch_get_image", _batch_get_image)


def _leaving_untagged(by_moto: Callable[..., Any]) -> Callable[..., Any]:
    """A tag that is mutable moves; its image stays, by its digest (https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push.html)."""

    def put_image(backend: Any, repository_name: str, image_manifest: str, image_tag: str, *more: Any) -> Any:
        repository = backend.repositories.get(repository_name)
        if repository is not None and repository.image_tag_mutability == "MUTABLE":
            for image in repository.images:
                if image_tag in image.image_tags and image.image_manifest != image_manifest:
                    image.remove_tag(image_tag)
                    image.image_tag = image.image_tags[-1] if image.image_tags else None
        return by_moto(backend, repository_name, image_manifest, image_tag, *more)

    return put_image


def _batch_get_image(response: Any) -> ActionResult:
    """Each image under the id that was asked for; what is not there is a failure (botocore ecr/2015-09-21, BatchGetImage)."""
    asked = json.loads(response.body)
    for name in asked:
        if name not in {"repositoryName", "registryId", "imageIds", "acceptedMediaTypes"}:
            raise NotModelled(f"ecr BatchGetImage: {name}")
    backend, repository = response.ecr_backend, asked["repositoryName"]
    found: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    for wanted in asked["imageIds"]:
        answer = backend.batch_get_image(repository, asked.get("registryId"), [wanted])
        if not answer["images"]:
            reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
            failures.append({"imageId": wanted, **reason})
            continue
        image = answer["images"][0]
        found.append(
            {
                "registryId": image.registry_id,
                "repositoryName": repository,
                "imageId": wanted | {"imageDigest": image.get_image_digest()},
                "imageManifest": image.image_manifest,
                "imageManifestMediaType": image.image_manifest_media_type,
            }
        )
    return ActionResult({"images": found, "failures": failures})
