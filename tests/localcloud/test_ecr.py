"""Digests of images, and images for several platforms."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import INDEX, MANIFEST, World
from localcloud.server import Cloud, running

LAYER = {"mediaType": "layer", "size": 1, "digest": "sha256:" + "1" * 64}


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as cloud:
        World.of(cloud).cluster("shop")
        yield cloud


@pytest.fixture(scope="module")
def ecr(cloud: Cloud) -> Any:
    session: Any = cloud.session()
    made = session.client("ecr")
    made.create_repository(repositoryName="app")
    return made


def manifest(config: str) -> str:
    described = {"mediaType": "config", "size": 1, "digest": f"sha256:{config * 64}"}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": [LAYER]})  # fmt: skip


def sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def put(ecr: Any, text: str, **more: str) -> str:
    pushed = ecr.put_image(repositoryName="app", imageManifest=text, **more)
    return str(pushed["image"]["imageId"]["imageDigest"])


def failures(answer: dict[str, Any]) -> list[str]:
    return [failure["failureCode"] for failure in answer["failures"]]


def test_two_manifests_that_differ_only_in_their_config_are_two_images(ecr: Any) -> None:
    first, second = manifest("a"), manifest("b")
    assert put(ecr, first, imageTag="one") == sha256(first)
    assert put(ecr, second, imageTag="two") == sha256(second)
    (found,) = ecr.describe_images(repositoryName="app", imageIds=[{"imageTag": "two"}])[
        "imageDetails"
    ]
    assert found["imageDigest"] == sha256(second)
    with pytest.raises(ClientError, match="ImageDigestDoesNotMatchException"):
        put(ecr, manifest("c"), imageTag="three", imageDigest=sha256("else"))


def test_what_an_image_is_asked_by_must_be_its_own(ecr: Any) -> None:
    put(ecr, manifest("d"), imageTag="four")
    put(ecr, manifest("e"), imageTag="five")
    ids = [
        {"imageTag": "four", "imageDigest": sha256(manifest("e"))},
        {"imageTag": "none"},
        {"imageDigest": "sha256:short"},
        {},
    ]
    answer = ecr.batch_get_image(repositoryName="app", imageIds=ids)
    assert failures(answer) == ["ImageTagDoesNotMatchDigest", "ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag"]  # fmt: skip
    both = {"imageTag": "four", "imageDigest": sha256(manifest("d"))}
    assert failures(ecr.batch_get_image(repositoryName="app", imageIds=[both])) == []


def test_an_index_has_a_digest_of_its_own_and_keeps_its_images(cloud: Cloud, ecr: Any) -> None:
    world = World.of(cloud)
    digest = world.push_for("app", "both", ["linux/amd64", "linux/arm64"])
    (image,) = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageTag": "both"}])["images"]
    assert image["imageManifestMediaType"] == INDEX
    assert digest == sha256(image["imageManifest"]) == image["imageId"]["imageDigest"]
    parts = [one["digest"] for one in json.loads(image["imageManifest"])["manifests"]]
    assert len(set(parts)) == 2
    answer = ecr.batch_delete_image(
        repositoryName="app", imageIds=[{"imageDigest": part} for part in parts]
    )
    assert failures(answer) == ["ImageReferencedByManifestList"] * 2
    orphan = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"mediaType": MANIFEST, "digest": sha256("none"), "size": 1}]})  # fmt: skip
    with pytest.raises(ClientError, match="ReferencedImagesNotFoundException"):
        put(ecr, orphan, imageTag="orphan")
    repository = ecr.describe_repositories(repositoryNames=["app"])["repositories"][0]
    world.define("app", {"app": f"{repository['repositoryUri']}:both"})
    world.service("shop", "app", "app:1")
    found = cloud.ecs.find("shop", "app").newest
    assert found is not None
    assert [one["imageDigest"] for one in found.target.images] == [digest]
    ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageTag": "both"}])
    ecr.batch_delete_image(repositoryName="app", imageIds=[{"imageDigest": parts[0]}])
    answer = ecr.batch_get_image(repositoryName="app", imageIds=[{"imageDigest": parts[0]}])
    assert failures(answer) == ["ImageNotFound"]
