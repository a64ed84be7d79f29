"""Shorthand for what a test or the demo needs around a service: clusters, images that were really pushed, task definitions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from localcloud.server import Cloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class World:
    """Does everything through the API, as a person of the team would."""

    cloud: "Cloud"
    session: boto3.Session

    @classmethod
    def of(cls, cloud: "Cloud") -> "World":
        """By someone whose calls can be told apart in the record: their access key is "team"."""
        return cls(cloud, cloud.session("team"))

    def cluster(self, name: str) -> str:
        """Create it; answers its ARN."""
        return self.session.client("ecs").create_cluster(clusterName=name)["cluster"]["clusterArn"]

    def repository(self, name: str) -> str:
        """Create it; answers the name that images are pulled by."""
        return self.session.client("ecr").create_repository(repositoryName=name)["repository"]["repositoryUri"]

    def push(self, repository: str, tag: str, content: str | None = None) -> str:
        """Push an image whose digest depends on the content (the tag, where none is given) and move the tag to it; answers the digest."""
        made_of = content if content is not None else tag
        layer = {"mediaType": LAYER, "size": 32_654, "digest": _sha256(f"layer of {made_of}")}
        config = {"mediaType": CONFIG, "size": 7_023, "digest": _sha256(f"config of {repository} {made_of}")}
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]})
        pushed = self.session.client("ecr").put_image(
            repositoryName=repository,
            imageManifest=manifest,
            imageManifestMediaType=MANIFEST,
            imageTag=tag,
            imageDigest=_sha256(manifest),
        )
        return pushed["image"]["imageId"]["imageDigest"]

    def define(self, family: str, images: Mapping[str, str], **more: Any) -> str:
        """Register a task definition with a container for each image (container name to image); answers its ARN."""
        containers = [
            {"name": name, "image": image, "memory": 128, "essential": True} for name, image in images.items()
        ]
        asked: dict[str, Any] = {"family": family, "containerDefinitions": containers} | more
        return self.session.client("ecs").register_task_definition(**asked)["taskDefinition"]["taskDefinitionArn"]

    def service(self, cluster: str, name: str, definition: str, desired: int = 4, **more: Any) -> str:
        """Create it; answers its ARN. Its first deployment still has to complete."""
        asked: dict[str, Any] = {
            "cluster": cluster, "serviceName": name, "taskDefinition": definition, "desiredCount": desired
        } | more  # fmt: skip
        return self.session.client("ecs").create_service(**asked)["service"]["serviceArn"]

    def deploy(self, cluster: str, name: str, definition: str) -> None:
        """Deploy another task definition."""
        self.session.client("ecs").update_service(cluster=cluster, service=name, taskDefinition=definition)


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
