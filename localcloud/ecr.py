"""Tags of ECR as AWS has them.

A tag that moves leaves the image it came from untagged, and an image answers to what was asked.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, Image, Repository
from moto.ecr.responses import ECRResponse

from localcloud.errors import NotModelled
from localcloud.shapes import ApiObject, Settings

if TYPE_CHECKING:
    from localcloud.base import Cloud

GET_PARAMETERS = frozenset({"repositoryName", "registryId", "imageIds", "acceptedMediaTypes"})


def install(cloud: "Cloud") -> None:
    """Mend two faults of moto.

    It deletes the image that a tag moves away from, and tells the newest tag of an image whatever
    was asked.
    """
    cloud.replace(ECRBackend, "put_image", _leaving_untagged(ECRBackend.put_image))
    cloud.replace(ECRResponse, "batch_get_image", _batch_get_image)


def _leaving_untagged(by_moto: Callable[..., Image]) -> Callable[..., Image]:
    """Let a mutable tag move, while its image stays by its digest.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push.html.
    """

    def put_image(
        backend: ECRBackend, repository_name: str, image_manifest: str, image_tag: str, *more: Any
    ) -> Image:
        repository = backend.repositories.get(repository_name)
        if repository is not None and repository.image_tag_mutability == "MUTABLE":
            _take_tag_from_others(repository, image_manifest, image_tag)
        return by_moto(
            backend,
            repository_name,
            image_manifest,
            image_tag,
            *more,
        )

    return put_image


def _take_tag_from_others(repository: Repository, image_manifest: str, image_tag: str) -> None:
    for image in repository.images:
        if image_tag in image.image_tags and image.image_manifest != image_manifest:
            image.remove_tag(image_tag)
            image.image_tag = image.image_tags[-1] if image.image_tags else None


def _batch_get_image(request: ECRResponse) -> ActionResult:
    """Show each image under the id that was asked for. What is not there is a failure.

    Source: botocore's model of ecr 2015-09-21, BatchGetImage.
    """
    asked = json.loads(request.body)
    for name in asked:
        if name not in GET_PARAMETERS:
            raise NotModelled(f"ecr BatchGetImage: {name}")

    shown: list[ApiObject] = []
    failures: list[ApiObject] = []
    for image_id in asked["imageIds"]:
        answer = request.ecr_backend.batch_get_image(
            asked["repositoryName"], asked.get("registryId"), [image_id]
        )
        if answer["images"]:
            shown.append(_shown(answer["images"][0], asked["repositoryName"], image_id))
        else:
            failures.append(_not_found(image_id))
    return ActionResult({"images": shown, "failures": failures})


def _shown(image: Image, repository: str, image_id: Settings) -> ApiObject:
    return {
        "registryId": image.registry_id,
        "repositoryName": repository,
        "imageId": {**image_id, "imageDigest": image.get_image_digest()},
        "imageManifest": image.image_manifest,
        "imageManifestMediaType": image.image_manifest_media_type,
    }


def _not_found(image_id: Settings) -> ApiObject:
    return {
        "imageId": image_id,
        "failureCode": "ImageNotFound",
        "failureReason": "Requested image not found",
    }
