"""A task definition: what it names, and the identity of what ran under it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autorollback.decision.build_stamps import is_build_stamp
from autorollback.decision.facts import Revision

IRREVERSIBLE_TAG = "auto-rollback:irreversible"

_UNSEEN = ("dockerLabels", "environment")
"""Of a container: what no process sees, and what is looked at one by one."""

Content = Mapping[str, Any]
"""A part of a task definition as boto3 gives and takes it."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A task definition revision.

    Attributes:
        content: what can be registered again. It may hold environment values: never log it.
        unknown_fields: paths that AWS sent and the SDK does not know; a copy would silently lose
            them.
    """

    arn: str
    status: str
    content: Content = field(repr=False)
    tags: Mapping[str, str] = field(default_factory=dict)
    unknown_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`family:revision`."""
        return short_name(self.arn)

    @property
    def family(self) -> str:
        """The family."""
        return self.name.partition(":")[0]

    @property
    def containers(self) -> Sequence[Content]:
        """Its container definitions."""
        containers: Sequence[Content] = self.content.get("containerDefinitions", [])
        return containers

    @property
    def images(self) -> dict[str, str]:
        """Container name to image, as the definition writes it."""
        images: dict[str, str] = {}
        for container in self.containers:
            if container.get("image"):
                images[str(container["name"])] = str(container["image"])
        return images

    @property
    def roles(self) -> tuple[str, ...]:
        """ARNs of the task and the execution role, each once."""
        task_role = self.content.get("taskRoleArn")
        execution_role = self.content.get("executionRoleArn")
        return _each_once(task_role, execution_role)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret and parameter that its tasks are given.

        Or that joins them to a domain. That is the `valueFrom` of its containers' secrets and log configurations, the credentials of FSx volumes, and
        credential specifications of gMSA in Parameter Store (botocore ecs/2014-11-13).
        """
        named: list[str] = []
        for container in self.containers:
            logging = container.get("logConfiguration", {})
            secrets = [
                *container.get("secrets", []),
                *logging.get("secretOptions", []),
            ]
            named += [str(secret["valueFrom"]) for secret in secrets]
        named += self._credentials_of_volumes
        named += [spec for spec in self.credential_specs if ":ssm:" in spec]
        return tuple(dict.fromkeys(named))

    @property
    def _credentials_of_volumes(self) -> list[str]:
        """ARNs of a secret or parameter each (FSxWindowsFileServerAuthorizationConfig)."""
        named: list[str] = []
        for volume in self.volumes:
            file_server = volume.get("fsxWindowsFileServerVolumeConfiguration", {})
            credentials = file_server.get("authorizationConfig", {}).get("credentialsParameter")
            if credentials:
                named.append(str(credentials))
        return named

    @property
    def credential_specs(self) -> tuple[str, ...]:
        """ARNs in Parameter Store or S3 of its containers' credential specifications (ContainerDefinition.credentialSpecs)."""
        named: list[str] = []
        for container in self.containers:
            options = [
                *container.get("credentialSpecs", []),
                *container.get("dockerSecurityOptions", []),
            ]
            for option in options:
                kind, _, arn = str(option).partition(":")
                if kind.startswith("credentialspec") and arn.startswith("arn:"):
                    named.append(arn)
        return tuple(dict.fromkeys(named))

    @property
    def volumes(self) -> Sequence[Content]:
        """Its volumes."""
        volumes: Sequence[Content] = self.content.get("volumes", [])
        return volumes

    @property
    def volumes_at_launch(self) -> frozenset[str]:
        """Names of the volumes that the service configures when it launches a task (Volume.configuredAtLaunch)."""
        return frozenset(
            str(volume.get("name")) for volume in self.volumes if volume.get("configuredAtLaunch")
        )

    @property
    def registry_credentials(self) -> tuple[str, ...]:
        """The secrets with which images of private registries are pulled.

        Each is an ARN or the name of a secret.
        """
        named: list[str | None] = []
        for container in self.containers:
            credentials = container.get("repositoryCredentials", {})
            named.append(credentials.get("credentialsParameter"))
        return _each_once(*named)

    @property
    def ports(self) -> frozenset[tuple[str, int]]:
        """Container and port of every port mapping."""
        ports: set[tuple[str, int]] = set()
        for container in self.containers:
            name = str(container.get("name"))
            for mapping in container.get("portMappings", []):
                if mapping.get("containerPort"):
                    ports.add((name, int(mapping["containerPort"])))
        return frozenset(ports)

    def listens_on(
        self,
        container: str,
        port: int,
    ) -> bool:
        """Whether a container has a port, by itself or in a range (PortMapping.containerPortRange)."""
        if (container, port) in self.ports:
            return True
        for one in self.containers:
            if str(one.get("name")) != container:
                continue
            for mapping in one.get("portMappings", []):
                first, _, last = str(mapping.get("containerPortRange", "")).partition("-")
                if first.isdecimal() and last.isdecimal() and int(first) <= port <= int(last):
                    return True
        return False

    @property
    def port_names(self) -> frozenset[str]:
        """The names of its port mappings, by which Service Connect and VPC Lattice find them."""
        names: set[str] = set()
        for container in self.containers:
            for mapping in container.get("portMappings", []):
                if mapping.get("name"):
                    names.add(str(mapping["name"]))
        return frozenset(names)

    @property
    def cpu_architecture(self) -> str | None:
        """X86_64 or ARM64; None where it names none (RuntimePlatform.cpuArchitecture)."""
        platform = self.content.get("runtimePlatform") or {}
        named = platform.get("cpuArchitecture")
        return str(named) if named else None

    @property
    def network_mode(self) -> str:
        """Its network mode.

        It is `bridge` where none is given (RegisterTaskDefinition, networkMode).
        """
        return str(self.content.get("networkMode", "bridge"))

    @property
    def compatibilities(self) -> tuple[str, ...]:
        """The launch types that it was registered for."""
        return tuple(self.content.get("requiresCompatibilities", ()))

    @property
    def irreversible(self) -> bool:
        """Whether it is tagged as a change that older code cannot live with."""
        return is_irreversible(self.tags)

    def identity(self, digests: Mapping[str, str | None]) -> str:
        """The identity of this content run with these image digests.

        Where there is none, the image's name stands in.
        """
        containers: list[Content] = []
        for container in self.containers:
            digest = digests.get(str(container.get("name")))
            containers.append({**container, "image": digest or container.get("image")})

        content = {**self.content, "containerDefinitions": containers}
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    def process_identity(self, digests: Mapping[str, str | None]) -> str:
        """The identity of what its processes can see of this content.

        Two that are equal here differ at most in docker labels, log options, and variables that name the build.
        """
        containers: list[Content] = []
        for container in self.containers:
            digest = digests.get(str(container.get("name")))
            seen = self._seen_in(container)
            containers.append({**seen, "image": digest or container.get("image")})

        content = {**self.content, "containerDefinitions": containers}
        return hashlib.sha256(canonical(content).encode()).hexdigest()

    def _seen_in(self, container: Content) -> Content:
        """A container without what its processes cannot see."""
        seen = {name: value for name, value in container.items() if name not in _UNSEEN}
        logging = container.get("logConfiguration")
        if logging:
            seen["logConfiguration"] = {
                name: value for name, value in logging.items() if name != "options"
            }

        owners = (self.family, str(container.get("name")))
        tag = tag_of(str(container.get("image", "")))
        environment: list[Content] = []
        for variable in container.get("environment", []):
            name, value = str(variable.get("name", "")), str(variable.get("value", ""))
            if not is_build_stamp(
                name,
                value,
                tag,
                owners,
            ):
                environment.append(variable)
        if environment:
            seen["environment"] = environment
        return seen

    def pinned(self, digests: Mapping[str, str | None]) -> dict[str, Any]:
        """The content with every image as `repository@digest`, where a digest is known."""
        containers: list[Content] = []
        for container in self.containers:
            digest = digests.get(str(container.get("name")))
            if digest:
                repository = without_version(container["image"])
                containers.append({**container, "image": f"{repository}@{digest}"})
            else:
                containers.append(container)
        return {**self.content, "containerDefinitions": containers}


def described_as(revision: Revision, definition: Definition) -> Revision:
    """The service revision with the identity that its task definition gives it."""
    images: dict[str, str | None] = {}
    for name, image in definition.images.items():
        images[name] = revision.images.get(name) or pinned_digest(image)

    return replace(
        revision,
        images=images,
        identity=definition.identity(images),
        process_identity=definition.process_identity(images),
        irreversible=definition.irreversible,
    )


def pinned_digest(image: str) -> str | None:
    """The digest that an image reference names, where it does."""
    digest = image.partition("@")[2]
    return digest if digest.startswith("sha256:") else None


def _each_once(*names: str | None) -> tuple[str, ...]:
    """The names that are given, each once, in their order; None is no name."""
    return tuple(dict.fromkeys(name for name in names if name))


def canonical(content: object) -> str:
    """The content as text in which the order of named things does not count.

    Named things are keys, containers, variables, mounts: AWS does not promise to describe them in
    the order in which they were registered. Lists of words, such as a command, keep theirs.
    """
    return _as_text(_ordered(content))


def _ordered(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _ordered(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value

    items = [_ordered(item) for item in value]
    if all(isinstance(item, dict) for item in items):
        items.sort(key=_as_text)
    return items


def _as_text(value: object) -> str:
    return json.dumps(
        value,
        sort_keys=True,
        default=str,
        separators=(",", ":"),
    )


def without_version(image: str) -> str:
    """An image reference without tag and digest.

    A registry's port stays.
    """
    name = image.partition("@")[0]
    path, slash, last = name.rpartition("/")
    repository = last.partition(":")[0]
    return f"{path}{slash}{repository}"


def tag_of(image: str) -> str:
    """The tag that an image reference names; empty without one."""
    last = image.partition("@")[0].rpartition("/")[2]
    return last.partition(":")[2]


def short_name(arn: str) -> str:
    """`family:revision` of a task definition's ARN."""
    return arn.rpartition("/")[2]


def is_irreversible(tags: Mapping[str, str]) -> bool:
    """Whether the tag stands there with any value but `false`, to the letter.

    Who writes another is not guessed at.
    """
    return tags.get(IRREVERSIBLE_TAG, "false") != "false"
