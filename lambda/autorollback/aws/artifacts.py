"""What a task definition needs to run: images, secrets, parameters and roles. Whether they are there; values are never read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import Definition, Definitions, UnknownDefinition
from autorollback.decision.facts import Controller, Revision, Secret, Service
from autorollback.decision.formatting import clock
from autorollback.decision.verdicts import Candidate, Check

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

FARGATE = "FARGATE"

TAGS_LOOKED_AT, TAGS_TOLD = 1000, 5
"""Of a repository's tags, to tell those that are nearest to one that is not there."""

_ECR = re.compile(
    r"(?P<registry>\d{12})\.(?:dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|"
    r"dkr-ecr\.(?P<dual_stack>[a-z0-9-]+)\.on\.aws)/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
"""Registry hosts: ECR user guide, "Making requests to Amazon ECR registries"."""

_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[^:]+):(?P<account>[^:]+):")
_SECRET = re.compile(r"arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+")
_PARAMETER_ARN = re.compile(r"arn:[^:]+:ssm:[^:]+:[^:]+:parameter(?P<name>/[^:]+)")


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference of an ECR repository, taken apart."""

    registry: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """What ECR has of one repository, of what was asked: digests, and the digest that each tag has now."""

    digests: frozenset[str] = frozenset()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needed:
    """One secret, parameter or role: what is wrong with it, if anything, and when it last changed, where that is told.

    `unknown` says why it could not be looked for, which is nothing wrong.
    """

    wrong: str | None = None
    changed_at: datetime | None = None
    unknown: str | None = None


def parse_image(reference: str) -> Image | None:
    """The parts of an ECR image reference; None for other registries. Without tag and digest the tag is `latest`, as Docker has it."""
    found = _ECR.fullmatch(reference)
    if found is None:
        return None
    tag = found["tag"] or (None if found["digest"] else "latest")
    return Image(
        found["registry"],
        found["region"] or found["dual_stack"],
        found["repository"],
        tag,
        found["digest"],
    )


@dataclass(frozen=True, slots=True)
class Registry:
    """The ECR registry of a service's own account and region; images elsewhere are reported as not checked."""

    clients: "Clients"
    service_arn: str

    def own_image(self, reference: str) -> Image | None:
        """The image, if it is in this registry."""
        _, _, _, region, account, _ = self.service_arn.split(":", 5)
        image = parse_image(reference)
        return image if image and (image.registry, image.region) == (account, region) else None

    def stored(self, repository: str, ids: Mapping[str, dict[str, str]]) -> Stored:
        """What is there of some images. BatchGetImage reports a missing one in `failures` (botocore ecr/2015-09-21)."""
        ecr = self.clients.ecr
        try:
            answer = ecr.batch_get_image(repositoryName=repository, imageIds=list(ids.values()))  # type: ignore[arg-type]  # one of its two keys each
        except ecr.exceptions.RepositoryNotFoundException:
            return Stored()
        found = [image["imageId"] for image in answer["images"]]
        return Stored(
            frozenset(i["imageDigest"] for i in found),
            {i["imageTag"]: i["imageDigest"] for i in found if "imageTag" in i},
        )

    def digest_of(self, repository: str, tag: str) -> str | None:
        """The digest that a tag has now; None without such a tag or repository."""
        return self.stored(repository, {tag: {"imageTag": tag}}).tags.get(tag)

    def pushed_at(self, repository: str, tag: str) -> datetime | None:
        """When the image that a tag has now was pushed; None without such a tag or repository."""
        ecr = self.clients.ecr
        try:
            answer = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            return None
        return next((image.get("imagePushedAt") for image in answer["imageDetails"]), None)

    def tags_like(self, repository: str, tag: str) -> list[str]:
        """Existing tags that are nearest to one that is not there."""
        ecr = self.clients.ecr
        pages = ecr.get_paginator("describe_images").paginate(
            repositoryName=repository,
            filter={"tagStatus": "TAGGED"},
            PaginationConfig={"MaxItems": TAGS_LOOKED_AT},
        )
        try:
            tags = [
                tag
                for page in pages
                for image in page["imageDetails"]
                for tag in image.get("imageTags", [])
            ]
        except ecr.exceptions.RepositoryNotFoundException:
            return []
        return sorted(get_close_matches(tag, tags, n=TAGS_TOLD, cutoff=0))


@dataclass(slots=True)
class Preflight:
    """Checks candidates for one service; what two of them share is asked once.

    `now_runs` is the service revision that runs now, or is being deployed.
    """

    clients: "Clients"
    service: Service
    definitions: Definitions
    now_runs: Revision | None = None
    _answers: dict[str, Any] = field(default_factory=dict)

    @property
    def _registry(self) -> Registry:
        return Registry(self.clients, self.service.arn)

    def check(self, candidate: Candidate, *, whole: bool = False) -> tuple[Check, ...]:
        """Every finding about a candidate, all asked at once; `whole` says that ECS itself restores its service revision."""
        revision = candidate.revision
        try:
            definition = self.definitions.describe(revision.task_definition_arn)
            running = self.definitions.describe(self.service.task_definition)
        except UnknownDefinition as error:
            return (
                Check(
                    "definition_usable", False, f"a task definition cannot be described: {error}"
                ),
            )
        images = {
            name: image
            for name, text in definition.images.items()
            if (image := self._registry.own_image(text))
        }
        wanted = _image_ids(images, revision)
        asked: dict[str, Callable[[], Any]] = {
            f"repository {repository} {sorted(ids)}": partial(
                self._registry.stored, repository, ids
            )
            for repository, ids in wanted.items()
        }
        asked |= {
            f"pushed {image.repository}:{image.tag}": partial(
                self._registry.pushed_at, image.repository, image.tag
            )
            for name, image in images.items()
            if image.tag and self._may_have_moved(name, image, revision)
        }
        asked |= {
            f"secret {secret}": partial(self._secret, secret) for secret in definition.secrets
        }
        asked |= {
            f"secret of registry {s}": partial(self._secret, s, of_registry=True)
            for s in definition.registry_credentials
        }
        asked |= {f"role {role}": partial(self._role, role) for role in definition.roles}
        self._answers |= in_parallel(
            {name: ask for name, ask in asked.items() if name not in self._answers}
        )
        answers = {name: self._answers[name] for name in asked}
        stored = {
            name.split()[1]: answer
            for name, answer in answers.items()
            if name.startswith("repository ")
        }
        usable = self._usable(definition, images, revision, stored)
        present = self.now_runs.settings if self.now_runs else {}
        settings = _settings(
            definition, running, self.service, present, self._other_settings(revision, present)
        )
        return (
            *(
                self._moved(name, images.get(name), revision, answers) or check
                for name, check in _images(definition, images, revision, stored)
            ),
            *_needs("secrets_present", "secret ", answers, candidate.ran_until),
            *_needs("roles_present", "role ", answers, candidate.ran_until),
            *((_as_a_whole(usable), _as_a_whole(settings)) if whole else (usable, settings)),
        )

    def secrets(self) -> tuple[Secret, ...]:
        """What the tasks that run were given when they started, and when each last changed; the values are never read."""
        try:
            running = self.definitions.describe(self.service.task_definition)
        except UnknownDefinition:
            return ()
        asked: dict[str, Callable[[], Needed]] = {
            name: partial(self._secret, name) for name in running.secrets
        }
        asked |= {
            name: partial(self._secret, name, of_registry=True)
            for name in running.registry_credentials
        }
        answers = in_parallel(asked)
        return tuple(
            Secret(n, answers[n].changed_at, answers[n].wrong or answers[n].unknown)
            for n in sorted(answers)
        )

    def _may_have_moved(self, name: str, image: Image, revision: Revision) -> bool:
        """CodeDeploy records no digests: whether a tag still means what ran then is told only by when its image was pushed."""
        unrecorded = not revision.images.get(name) and not image.digest
        return unrecorded and self.service.controller is Controller.CODE_DEPLOY

    def _moved(
        self, name: str, image: Image | None, revision: Revision, answers: Mapping[str, Any]
    ) -> Check | None:
        """Whether the tag has been pushed over since the revision came: then nobody can tell what ran, and it is no target."""
        if image is None or not self._may_have_moved(name, image, revision):
            return None
        pushed = answers.get(f"pushed {image.repository}:{image.tag}")
        if pushed is None or pushed <= revision.created_at:
            return None
        detail = (
            f"{name}: {image.repository}:{image.tag} was pushed over at {clock(pushed)}, after this came to the service, and "
            "CodeDeploy records no digest: what ran cannot be told"
        )
        return Check("image_present", False, detail)

    def restoring(self, candidate: Candidate) -> Check:
        """Whether a candidate can only be brought back as a pinned copy; this finding refuses nobody."""
        revision = candidate.revision
        try:
            definition = self.definitions.describe(revision.task_definition_arn)
        except UnknownDefinition as error:
            return Check("definition_usable", None, f"it cannot be described: {error}")
        images = {
            name: image
            for name, text in definition.images.items()
            if (image := self._registry.own_image(text))
        }
        asked = {
            repository: partial(self._registry.stored, repository, ids)
            for repository, ids in _image_ids(images, revision).items()
        }
        found = self._usable(definition, images, revision, in_parallel(asked))
        return found if found.passed else replace(found, passed=None)

    def _usable(
        self,
        definition: Definition,
        images: Mapping[str, Image],
        revision: Revision,
        stored: Mapping[str, Stored],
    ) -> Check:
        """Does the definition bring back what ran, as it is or as a copy?

        UpdateService with the definition that the service has already deploys nothing unless it is forced to (botocore
        ecs/2014-11-13, forceNewDeployment): what ran under it with other images comes back by a copy.
        """
        why = reasons_to_restore(definition, images, revision, stored)
        deployed, now = definition.arn == self.service.task_definition, self.now_runs
        if not why and deployed and now is not None and now.identity != revision.identity:
            why = [f"{definition.name} is deployed already, with other images"]
        return _usable(definition, why)

    def _other_settings(self, revision: Revision, present: Mapping[str, str]) -> list[str]:
        """Names of the service settings under which it ran otherwise; they stay as the service has them now."""
        if not revision.settings or not present:
            return []
        return sorted(
            n for n in {*revision.settings, *present} if revision.settings.get(n) != present.get(n)
        )

    def _secret(self, value_from: str, *, of_registry: bool = False) -> Needed:
        """Whether a secret or parameter is there, where that can be asked: in the service's own account and region.

        A parameter of the same region may be given by its name, one of another only by its ARN (botocore ecs/2014-11-13,
        Secret.valueFrom); a name among the credentials of a registry is that of a secret (RepositoryCredentials).
        """
        _, _, _, region, account, _ = self.service.arn.split(":", 5)
        if (arn := _ARN.match(value_from)) and (arn["region"], arn["account"]) != (region, account):
            return Needed(unknown=f"it is in {arn['account']}, {arn['region']}")
        try:
            if (found := _SECRET.match(value_from)) or of_registry:
                return self._secrets_manager(found[0] if found else value_from)
            return self._parameter(value_from)
        except ClientError as error:
            if error.response["Error"].get("Code") not in ("AccessDenied", "AccessDeniedException"):
                raise
            return Needed(
                f"{error.operation_name} is not allowed, so that nobody can tell whether it is there"
            )

    def _parameter(self, value_from: str) -> Needed:
        """Whether a parameter is there; a version or label may follow its name (botocore ssm/2014-11-06, GetParameters)."""
        named = _PARAMETER_ARN.match(value_from)
        name = named["name"] if named else value_from.partition(":")[0]
        # A parameter's ARN has a slash before the name, whether or not the name begins with one.
        names = [name, name.removeprefix("/")] if named and name.count("/") == 1 else [name]
        # A page may be empty though more follow (botocore ssm/2014-11-06, DescribeParameters).
        pages = self.clients.ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": names}]
        )
        found = next((parameter for page in pages for parameter in page["Parameters"]), None)
        return (
            Needed(changed_at=found.get("LastModifiedDate"))
            if found
            else Needed("there is no such parameter")
        )

    def _secrets_manager(self, secret: str) -> Needed:
        client = self.clients.secretsmanager
        try:
            answer = client.describe_secret(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            return Needed("there is no such secret")
        return Needed(
            "it is scheduled for deletion" if answer.get("DeletedDate") else None,
            answer.get("LastChangedDate"),
        )

    def _role(self, arn: str) -> Needed:
        iam = self.clients.iam
        try:
            iam.get_role(RoleName=arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            return Needed("there is no such role")
        except ClientError as error:
            if error.response["Error"].get("Code") != "AccessDenied":
                raise
            return Needed(f"iam:GetRole is not allowed: add {role_path(arn)} to task_roles")
        return Needed()


def role_path(role: str) -> str:
    """A role's name with its path, as `task_roles` names it; a definition gives its ARN or its name (TaskDefinition.taskRoleArn)."""
    return role.partition(":role/")[2] or role


def _image_ids(
    images: Mapping[str, Image], revision: Revision
) -> dict[str, dict[str, dict[str, str]]]:
    """What to ask of each repository: the digests that ran, and what the tags are now."""
    wanted: dict[str, dict[str, dict[str, str]]] = {}
    for name, image in images.items():
        ids = wanted.setdefault(image.repository, {})
        if digest := revision.images.get(name) or image.digest:
            ids[digest] = {"imageDigest": digest}
        if image.tag and not image.digest:
            ids[image.tag] = {"imageTag": image.tag}
    return wanted


def _images(
    definition: Definition,
    images: Mapping[str, Image],
    revision: Revision,
    stored: Mapping[str, Stored],
) -> list[tuple[str, Check]]:
    """Of each container, whether its image is there."""
    checks = []
    for name, reference in sorted(definition.images.items()):
        image = images.get(name)
        if image is None:
            unasked = f"{name}: {reference} is not in this registry, not checked"
            checks.append((name, Check("image_present", None, unasked)))
            continue
        have, digest = stored[image.repository], revision.images.get(name) or image.digest
        if digest:
            there, what = digest in have.digests, f"{image.repository}@{digest}"
        else:
            there, what = (
                image.tag in have.tags,
                f"{image.repository}:{image.tag} (no digest was recorded)",
            )
        checks.append(
            (
                name,
                Check("image_present", there, f"{name}: {what} is {'' if there else 'not '}in ECR"),
            )
        )
    return checks


def _needs(
    check: str, prefix: str, answers: Mapping[str, Needed], ran_until: datetime | None
) -> list[Check]:
    needed = {
        name.removeprefix(prefix): answer
        for name, answer in sorted(answers.items())
        if name.startswith(prefix)
    }
    if not needed:
        return [Check(check, True, "none needed")]
    unknown = [
        Check(check, None, f"{name}: {a.unknown}, not checked")
        for name, a in needed.items()
        if a.unknown
    ]
    needed = {name: answer for name, answer in needed.items() if not answer.unknown}
    if wrong := [
        Check(check, False, f"{name}: {answer.wrong}")
        for name, answer in needed.items()
        if answer.wrong
    ]:
        return [*unknown, *wrong]
    if not needed:
        return unknown
    changed = [
        f"{name} changed at {clock(answer.changed_at)}, after it last ran"
        for name, answer in needed.items()
        if ran_until and answer.changed_at and answer.changed_at > ran_until
    ]
    return [
        *unknown,
        Check(check, True, f"{len(needed)} found{'; ' if changed else ''}{'; '.join(changed)}"),
    ]


def _as_a_whole(found: Check) -> Check:
    """What ECS restores as a whole needs neither a copy nor the settings of now; a copy stays the way back if it cannot."""
    detail = "ECS restores the whole service revision, with its images and settings"
    return replace(found, passed=True, detail=detail)


def _usable(definition: Definition, why: Sequence[str]) -> Check:
    if not why:
        return Check(
            "definition_usable",
            True,
            f"{definition.name} is ACTIVE, and its images resolve to what ran",
        )
    if definition.unknown_fields:
        fields = ", ".join(definition.unknown_fields)
        detail = f"{'; '.join(why)}; it cannot be copied: this version does not know its fields {fields}. Update the controller"
        return Check("definition_usable", False, detail, restore=True)
    return Check(
        "definition_usable",
        True,
        f"{'; '.join(why)}: will be restored as a pinned copy",
        restore=True,
    )


def reasons_to_restore(
    definition: Definition,
    images: Mapping[str, Image],
    revision: Revision,
    stored: Mapping[str, Stored],
) -> list[str]:
    """Why the definition itself might not bring back what ran: it is deregistered, a tag has moved, or nobody can tell."""
    why = [] if definition.status == "ACTIVE" else [f"{definition.name} is {definition.status}"]
    for name, reference in sorted(definition.images.items()):
        wanted, pinned_to = revision.images.get(name), reference.partition("@")[2]
        if wanted is None or wanted == pinned_to:
            continue
        image = images.get(name)
        if image is None:
            why.append(
                f"{name}: whether {reference} still means {wanted[:19]} cannot be asked of its registry"
            )
        elif pinned_to:
            why.append(f"{name}: it is pinned to {pinned_to[:19]}, {wanted[:19]} is wanted")
        elif image.tag and (now := stored[image.repository].tags.get(image.tag)) != wanted:
            moved = f"is now {now[:19]}" if now else "is gone"
            why.append(f"{name}: {image.repository}:{image.tag} {moved}, {wanted[:19]} ran")
    return why


def _settings(
    definition: Definition,
    running: Definition,
    service: Service,
    settings: Mapping[str, str],
    other: Sequence[str],
) -> Check:
    """Is there still what the service's load balancer and network need of the definition, and the running one has?"""
    for place in service.ports:
        if place in running.ports and place not in definition.ports:
            detail = f"the load balancer or a service registry sends to {place[0]}:{place[1]}, which {definition.name} does not have"
            return Check("settings_match", False, detail)
    if definition.network_mode != running.network_mode:
        detail = f"its network mode is {definition.network_mode}, the service runs with {running.network_mode}"
        return Check("settings_match", False, detail)
    platform, registered_for = _platform(running, settings), definition.compatibilities
    fits = platform in registered_for or (platform != FARGATE and not registered_for)
    if platform in running.compatibilities and not fits:
        detail = f"the service runs on {platform}, {definition.name} was not registered for it"
        return Check("settings_match", False, detail)
    if other:
        detail = f"it fits, but ran under other settings of the service, which stay as they are now: {', '.join(other)}"
        return Check("settings_match", True, detail)
    return Check("settings_match", True, "load balancer, network mode and platform fit the service")


def _platform(running: Definition, settings: Mapping[str, str]) -> str | None:
    """What the service's tasks are launched on, by its launch type or its capacity providers; else Fargate, if that may be."""
    if launch_type := settings.get("launchType"):
        return launch_type
    providers = settings.get("capacityProviderStrategy")
    return (
        FARGATE
        if FARGATE in (running.compatibilities if providers is None else providers)
        else None
    )
