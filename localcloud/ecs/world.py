"""Shorthand for what a test or a story needs around a service.

It makes clusters, images that are really pushed, task definitions, services and deployment groups.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from localcloud.ecs.model import Stop
from localcloud.ecs.registry import Ecs
from localcloud.ecs.service_tasks import SPOT
from localcloud.shapes import ApiObject

if TYPE_CHECKING:
    from localcloud.base import Cloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"
LISTENER = (
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
    "listener/app/my-alb/50dc6c495c0c9188/f2f7dc8efc522ab2"
)


@dataclass(frozen=True)
class World:
    """Does everything through the API, as a person of the team would."""

    cloud: "Cloud"
    session: boto3.Session

    @classmethod
    def of(cls, cloud: "Cloud") -> "World":
        """Act as someone whose calls can be told apart: their access key is "team"."""
        return cls(cloud, cloud.session("team"))

    def cluster(self, name: str) -> str:
        """Create a cluster. Returns its ARN."""
        ecs = self.session.client("ecs")
        return ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"]

    def repository(self, name: str) -> str:
        """Create a repository. Returns the name that images are pulled by."""
        ecr = self.session.client("ecr")
        return ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]

    def push(
        self,
        repository: str,
        tag: str,
        content: str | None = None,
    ) -> str:
        """Push an image and move the tag to it. Returns its digest.

        The digest depends on the content (the tag, where none is given).
        """
        if content is None:
            content = tag
        manifest = _manifest(repository, content)
        pushed = self.session.client("ecr").put_image(
            repositoryName=repository,
            imageManifest=manifest,
            imageManifestMediaType=MANIFEST,
            imageTag=tag,
        )
        return pushed["image"]["imageId"]["imageDigest"]

    def push_for(
        self,
        repository: str,
        tag: str,
        platforms: Sequence[str],
    ) -> str:
        """Push an image for each platform (`linux/arm64`) and an index of them, which has the tag. Returns its digest."""
        ecr = self.session.client("ecr")
        parts: list[ApiObject] = []
        for platform in platforms:
            manifest = _manifest(repository, f"{tag} for {platform}")
            pushed = ecr.put_image(
                repositoryName=repository, imageManifest=manifest, imageManifestMediaType=MANIFEST
            )
            system, architecture = platform.split("/")
            part = {
                "mediaType": MANIFEST,
                "digest": pushed["image"]["imageId"]["imageDigest"],
                "size": len(manifest),
                "platform": {"os": system, "architecture": architecture},
            }
            parts.append(part)
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts})
        tagged = ecr.put_image(
            repositoryName=repository,
            imageManifest=index,
            imageManifestMediaType=INDEX,
            imageTag=tag,
        )
        return tagged["image"]["imageId"]["imageDigest"]

    def define(self, family: str, images: Mapping[str, str], **more: Any) -> str:
        """Register a task definition. Returns its ARN.

        It has a container for each image (container name to image).
        """
        containers: list[ApiObject] = []
        for name, image in images.items():
            containers.append({"name": name, "image": image, "memory": 128, "essential": True})

        asked: ApiObject = {"family": family, "containerDefinitions": containers}
        asked.update(more)
        registered = self.session.client("ecs").register_task_definition(**asked)
        return registered["taskDefinition"]["taskDefinitionArn"]

    def service(
        self, cluster: str, name: str, definition: str, desired: int = 4, **more: Any
    ) -> str:
        """Create a service. Returns its ARN. Its first deployment still has to complete."""
        asked: ApiObject = {
            "cluster": cluster,
            "serviceName": name,
            "taskDefinition": definition,
            "desiredCount": desired,
        }
        asked.update(more)
        created = self.session.client("ecs").create_service(**asked)
        return created["service"]["serviceArn"]

    def deploy(
        self,
        cluster: str,
        name: str,
        definition: str,
    ) -> None:
        """Deploy another task definition."""
        ecs = self.session.client("ecs")
        ecs.update_service(cluster=cluster, service=name, taskDefinition=definition)

    def loses_capacity(
        self,
        cluster: str,
        name: str,
        tasks: int,
        stop: Stop = SPOT,
    ) -> None:
        """Have so many running tasks of a service taken away, by Spot unless told.

        Nothing replaces them until its next deployment or change of the desired count.
        """
        ecs = self.cloud.service(Ecs)
        with ecs.lock:
            service = ecs.find(cluster, name)
            ecs.scheduler.take_away(
                service,
                tasks,
                stop,
                ecs.now(),
            )

    def deployment_group(
        self,
        application: str,
        group: str,
        *,
        cluster: str,
        service: str,
        target_groups: tuple[str, str],
        **more: Any,
    ) -> None:
        """Create a CodeDeploy application, and the group for a service.

        The service's controller is CODE_DEPLOY; `target_groups` are names. Unless `more` says
        otherwise: all traffic at once, no automatic rollback, no wait before the old task set is
        ended.
        """
        codedeploy = self.session.client("codedeploy")
        codedeploy.create_application(applicationName=application, computePlatform="ECS")

        pair = {
            "targetGroups": [{"name": name} for name in target_groups],
            "prodTrafficRoute": {"listenerArns": [LISTENER]},
        }
        asked: ApiObject = {
            "applicationName": application,
            "deploymentGroupName": group,
            "serviceRoleArn": f"arn:aws:iam::{self.cloud.account}:role/codedeploy",
            "ecsServices": [{"clusterName": cluster, "serviceName": service}],
            "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
            "deploymentStyle": {
                "deploymentType": "BLUE_GREEN",
                "deploymentOption": "WITH_TRAFFIC_CONTROL",
            },
            "blueGreenDeploymentConfiguration": termination_wait(minutes=0),
        }
        asked.update(more)
        codedeploy.create_deployment_group(**asked)

    def deploy_by_codedeploy(
        self,
        application: str,
        group: str,
        definition: str,
        *,
        container: str = "app",
        port: int = 80,
        **more: Any,
    ) -> str:
        """Deploy another task definition by an AppSpec. Returns the deployment's id."""
        content = app_spec(definition, container, port)
        asked: ApiObject = {
            "applicationName": application,
            "deploymentGroupName": group,
            "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}},
        }
        asked.update(more)
        return self.session.client("codedeploy").create_deployment(**asked)["deploymentId"]


def app_spec(definition: str, container: str = "app", port: int = 80, **properties: Any) -> str:
    """Write CodeDeploy's file for an ECS service, as JSON.

    `properties` are further ones of the service.
    """
    of_service: ApiObject = {
        "TaskDefinition": definition,
        "LoadBalancerInfo": {"ContainerName": container, "ContainerPort": port},
    }
    of_service.update(properties)
    target = {"Type": "AWS::ECS::Service", "Properties": of_service}
    return json.dumps({"version": 0.0, "Resources": [{"TargetService": target}]})


def termination_wait(*, minutes: int) -> ApiObject:
    """A `blueGreenDeploymentConfiguration` in which the old task set stays for a time.

    The time counts from when all traffic has left it.
    """
    return {
        "terminateBlueInstancesOnDeploymentSuccess": {
            "action": "TERMINATE",
            "terminationWaitTimeInMinutes": minutes,
        },
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
    }


def _manifest(repository: str, content: str) -> str:
    layer = {"mediaType": LAYER, "size": 32_654, "digest": _sha256(f"layer of {content}")}
    config_digest = _sha256(f"config of {repository} {content}")
    config = {"mediaType": CONFIG, "size": 7_023, "digest": config_digest}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    return json.dumps(manifest)


def _sha256(text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"sha256:{digest}"
