"""Shorthand for what a test needs around a service: clusters, images that were really pushed, task definitions."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from localcloud.base import Cloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
CONFIG = "application/vnd.docker.container.image.v1+json"
LISTENER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/my-alb/50dc6c495c0c9188/f2f7dc8efc522ab2"


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

    def deployment_group(
        self, application: str, group: str, *, cluster: str, service: str, target_groups: tuple[str, str], **more: Any
    ) -> None:
        """Create the CodeDeploy application, and the group for a service with the controller CODE_DEPLOY; target groups by name.

        Unless `more` says otherwise: all traffic at once, no automatic rollback, no wait before the old task set is ended.
        """
        deploy = self.session.client("codedeploy")
        deploy.create_application(applicationName=application, computePlatform="ECS")
        pair = {
            "targetGroups": [{"name": name} for name in target_groups],
            "prodTrafficRoute": {"listenerArns": [LISTENER]},
        }
        asked: dict[str, Any] = {
            "applicationName": application,
            "deploymentGroupName": group,
            "serviceRoleArn": f"arn:aws:iam::{self.cloud.account}:role/codedeploy",
            "ecsServices": [{"clusterName": cluster, "serviceName": service}],
            "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "blueGreenDeploymentConfiguration": termination_wait(minutes=0),
        } | more
        deploy.create_deployment_group(**asked)

    def deploy_by_codedeploy(
        self, application: str, group: str, definition: str, *, container: str = "app", port: int = 80, **more: Any
    ) -> str:
        """CreateDeployment with an AppSpec for another task definition; answers the deployment's id."""
        asked: dict[str, Any] = {
            "applicationName": application,
            "deploymentGroupName": group,
            "revision": {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": app_spec(definition, container, port)},
            },
        } | more
        return self.session.client("codedeploy").create_deployment(**asked)["deploymentId"]


def app_spec(definition: str, container: str = "app", port: int = 80, **properties: Any) -> str:
    """CodeDeploy's file for an ECS service, as JSON; `properties` are further ones of the service."""
    balancer = {"ContainerName": container, "ContainerPort": port}
    said = {"TaskDefinition": definition, "LoadBalancerInfo": balancer} | properties
    target = {"Type": "AWS::ECS::Service", "Properties": said}
    return json.dumps({"version": 0.0, "Resources": [{"TargetService": target}]})


def termination_wait(*, minutes: int) -> dict[str, Any]:
    """A `blueGreenDeploymentConfiguration`: so long the old task set stays after all traffic has left it."""
    return {
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": minutes},
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
    }


def _sha256(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
