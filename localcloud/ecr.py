"""Images of ECR as AWS has them.

An image's digest is the SHA-256 of its manifest. A tag that moves leaves the image it came from untagged, and an image
answers to what was asked.
"""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.ecr.models import ECRBackend, Image, Repository
from moto.ecr.responses import ECRResponse

from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

if TYPE_CHECKING:
    from localcloud.base import Cloud

_DIGEST = re.compile(r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]{64}")

GET_PARAMETERS = frozenset({"repositoryName", "registryId", "imageIds", "acceptedMediaTypes"})


def install(cloud: "Cloud") -> None:
    """Mend faults of moto.

    It makes digests of the layers alone, deletes the image that a tag moves away from, tells the newest tag of an
    image whatever was asked, and knows nothing of indexes.
    """
    put_image = _with_true_digest(_leaving_untagged(ECRBackend.put_image))
    cloud.replace(ECRBackend, "put_image", put_image)
    delete_images = _keeping_parts_of_indexes(ECRBackend.batch_delete_image)
    cloud.replace(ECRBackend, "batch_delete_image", delete_images)
    cloud.replace(ECRResponse, "batch_get_image", _batch_get_image)


def _with_true_digest(put: Callable[..., Image]) -> Callable[..., Image]:
    """The digest of an image is that of its manifest, byte for byte; an index names images that are there.

    Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests, and the errors of PutImage in
    botocore's model of ecr 2015-09-21.
    """

    def put_image(
        backend: ECRBackend,
        repository_name: str,
        image_manifest: str,
        image_tag: str | None = None,
        media_type: str | None = None,
        digest: str | None = None,
    ) -> Image:
        found = f"sha256:{hashlib.sha256(image_manifest.encode()).hexdigest()}"
        if digest not in (None, found):
            message = (
                f"The image digest {digest} does not match the digest {found} of the manifest."
            )
            raise Refusal("ImageDigestDoesNotMatchException", message)
        repository = backend.repositories.get(repository_name)
        if repository is not None:
            _check_parts(repository, image_manifest)
        return put(
            backend,
            repository_name,
            image_manifest,
            image_tag,
            media_type,
            found,
        )

    return put_image


def _parts(image_manifest: str) -> list[str]:
    """The digests of the images that an index names."""
    manifests = json.loads(image_manifest).get("manifests", [])
    return [str(one["digest"]) for one in manifests]


def _check_parts(repository: Repository, image_manifest: str) -> None:
    there = {image.get_image_digest() for image in repository.images}
    missing = [digest for digest in _parts(image_manifest) if digest not in there]
    if missing:
        message = f"The manifest list references images that do not exist: {', '.join(missing)}"
        raise Refusal("ReferencedImagesNotFoundException", message)


def _keeping_parts_of_indexes(by_moto: Callable[..., Any]) -> Callable[..., Any]:
    """An image that an index names stays as long as the index does (ImageReferencedByManifestList)."""

    def batch_delete_image(
        backend: ECRBackend,
        repository_name: str,
        registry_id: str | None = None,
        image_ids: Sequence[Settings] | None = None,
    ) -> Any:
        parts = _parts_of_all(backend.repositories.get(repository_name))
        wanted: list[Settings] = []
        failures: list[ApiObject] = []
        for one in image_ids or ():
            if one.get("imageDigest") in parts:
                failures.append(_part_of_index(one))
            else:
                wanted.append(one)
        if failures and not wanted:
            return {"imageIds": [], "failures": failures}
        answer = by_moto(backend, repository_name, registry_id, wanted)
        answer["failures"] += failures
        return answer

    return batch_delete_image


def _part_of_index(image_id: Settings) -> ApiObject:
    words = "The image is part of an index"
    return _failure(image_id, "ImageReferencedByManifestList", words)


def _parts_of_all(repository: Repository | None) -> set[str]:
    parts: set[str] = set()
    if repository is None:
        return parts
    for image in repository.images:
        parts.update(_parts(image.image_manifest))
    return parts


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
        malformed = _malformed(image_id)
        if malformed is not None:
            failures.append(malformed)
            continue
        answer = request.ecr_backend.batch_get_image(
            asked["repositoryName"], asked.get("registryId"), [image_id]
        )
        found = [image for image in answer["images"] if _answers_to(image, image_id)]
        if found:
            _check_accepted(found[0], asked.get("acceptedMediaTypes"))
            shown.append(_shown(found[0], asked["repositoryName"], image_id))
        elif answer["images"]:
            reason = "The tag is not of the image with this digest"
            failures.append(_failure(image_id, "ImageTagDoesNotMatchDigest", reason))
        else:
            failures.append(_failure(image_id, "ImageNotFound", "Requested image not found"))
    return ActionResult({"images": shown, "failures": failures})


def _shown(image: Image, repository: str, image_id: Settings) -> ApiObject:
    return {
        "registryId": image.registry_id,
        "repositoryName": repository,
        "imageId": {**image_id, "imageDigest": image.get_image_digest()},
        "imageManifest": image.image_manifest,
        "imageManifestMediaType": image.image_manifest_media_type,
    }


def _failure(image_id: Settings, code: str, reason: str) -> ApiObject:
    """One of botocore's ImageFailureCode."""
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def _malformed(image_id: Settings) -> ApiObject | None:
    if "imageDigest" not in image_id and "imageTag" not in image_id:
        reason = "Invalid request parameters: both tag and digest cannot be null"
        return _failure(image_id, "MissingDigestAndTag", reason)
    digest = image_id.get("imageDigest")
    if digest is not None and _DIGEST.fullmatch(digest) is None:
        reason = (
            f"Invalid request parameters: image digest should satisfy the regex '{_DIGEST.pattern}'"
        )
        return _failure(image_id, "InvalidImageDigest", reason)
    return None


def _answers_to(image: Image, image_id: Settings) -> bool:
    """Whether tag and digest, where both are given, are of the same image."""
    tag, digest = image_id.get("imageTag"), image_id.get("imageDigest")
    has_tag = tag is None or tag in image.image_tags
    return has_tag and digest in (None, image.get_image_digest())


def _check_accepted(image: Image, accepted: Sequence[str] | None) -> None:
    """What AWS answers where none of the types is the image's own is not published."""
    if accepted and image.image_manifest_media_type not in accepted:
        media_type = image.image_manifest_media_type
        raise NotModelled(f"ecr BatchGetImage: acceptedMediaTypes without {media_type}")
