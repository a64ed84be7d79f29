"""Whether what a task definition needs to run is there: images, secrets, parameters, roles."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, assert_never

from botocore.exceptions import ClientError

from autorollback.aws.clients import in_parallel
from autorollback.aws.refusals import is_denied, is_refusal
from autorollback.decision.checks.secrets_present import secrets_of
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Secret
from autorollback.decision.lookups import (
    Answers,
    DependencyStatus,
    ImagesStored,
    Lookup,
    RepositoryImages,
    RoleLookup,
    SecretLookup,
    TagPushed,
)
from autorollback.naming import Home

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef
    from mypy_boto3_secretsmanager.type_defs import ListSecretVersionIdsRequestTypeDef

    from autorollback.aws.clients import Clients

TAGS_LOOKED_AT = 1000
"""Of a repository, to tell those that are nearest to one that is not there."""

TAGS_TOLD = 5

VERSIONS_KEPT = 100
"""Of a parameter (Systems Manager guide, "Working with parameter versions")."""

_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[^:]+):(?P<account>[^:]+):")
_SECRET = re.compile(
    r"(?P<secret>arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+)"
    r"(?::[^:]*(?::(?P<stage>[^:]*)(?::(?P<version>[^:]*))?)?)?"
)
"""After the ARN a JSON key, a stage and a version id may follow (specifying-sensitive-data-secrets.html)."""

_PARAMETER_ARN = re.compile(r"arn:[^:]+:ssm:[^:]+:[^:]+:parameter(?P<name>/[^:]+)")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was answered so far."""

    images: dict[ImagesStored, RepositoryImages] = field(default_factory=dict)
    pushed: dict[TagPushed, datetime | None] = field(default_factory=dict)
    secrets: dict[SecretLookup, DependencyStatus] = field(default_factory=dict)
    roles: dict[RoleLookup, DependencyStatus] = field(default_factory=dict)

    def has(self, lookup: Lookup) -> bool:
        """Whether it was answered."""
        known = (self.images, self.pushed, self.secrets, self.roles)
        return any(lookup in answers for answers in known)

    def as_answers(self) -> Answers:
        """All of it, as it is now."""
        return Answers(
            dict(self.images),
            dict(self.pushed),
            dict(self.secrets),
            dict(self.roles),
        )


@dataclass(frozen=True, slots=True)
class Dependencies:
    """Answers lookups in an account and Region, each asked once; values are never read."""

    clients: "Clients"
    _known: _Known = field(default_factory=_Known)

    def answers(
        self,
        home: Home,
        lookups: Iterable[Lookup],
    ) -> Answers:
        """The answers to some lookups, all asked at once; `home` is where the service is."""
        reads: dict[Lookup, Callable[[], None]] = {}
        for lookup in lookups:
            if not self._known.has(lookup):
                reads[lookup] = partial(self._answer, home, lookup)
        in_parallel(reads)
        return self._known.as_answers()

    def secrets_of(
        self,
        service_arn: str,
        definition: Definition,
    ) -> tuple[Secret, ...]:
        """What tasks of a definition are given when they start, and when each last changed."""
        lookups = secrets_of(definition)
        answers = self.answers(Home.of_service(service_arn), lookups)
        secrets: dict[str, Secret] = {}
        for lookup in lookups:
            name, status = lookup.value_from, answers.secrets[lookup]
            secrets[name] = Secret(name, status.changed_at, status.wrong or status.unknown)
        return tuple(secrets[name] for name in sorted(secrets))

    def digest_of(
        self,
        repository: str,
        tag: str,
    ) -> str | None:
        """The digest that a tag has now.

        None without such a tag or repository, or where the image cannot be pulled.
        """
        ecr = self.clients.ecr
        try:
            stored = self._described(ImagesStored(repository, tags=frozenset({tag})))
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            return None
        digest = stored.tags.get(tag)
        return None if digest in stored.inactive else digest

    def tags_like(
        self,
        repository: str,
        tag: str,
    ) -> list[str]:
        """Existing tags that are nearest to one that is not there."""
        ecr = self.clients.ecr
        pages = ecr.get_paginator("describe_images").paginate(
            repositoryName=repository,
            filter={"tagStatus": "TAGGED"},
            PaginationConfig={"MaxItems": TAGS_LOOKED_AT},
        )
        tags: list[str] = []
        try:
            for page in pages:
                for image in page["imageDetails"]:
                    tags += image.get("imageTags", [])
        except ecr.exceptions.RepositoryNotFoundException:
            return []
        return sorted(
            get_close_matches(
                tag,
                tags,
                n=TAGS_TOLD,
                cutoff=0,
            )
        )

    def _answer(
        self,
        home: Home,
        lookup: Lookup,
    ) -> None:
        known = self._known
        match lookup:
            case ImagesStored():
                known.images[lookup] = self._stored(lookup)
            case TagPushed():
                known.pushed[lookup] = self._pushed_at(lookup)
            case SecretLookup():
                known.secrets[lookup] = self._secret(home, lookup)
            case RoleLookup():
                known.roles[lookup] = self._role(lookup)
            case _:
                assert_never(lookup)

    def _stored(self, lookup: ImagesStored) -> RepositoryImages:
        """What is there of some images, in one call where all are.

        DescribeImages tells their status and fails as a whole where one is missing; left out,
        `filter` would hide those that are not ACTIVE. Only then BatchGetImage tells which one.
        """
        if not lookup.digests and not lookup.tags:
            return RepositoryImages()
        ecr = self.clients.ecr
        try:
            return self._described(lookup)
        except ecr.exceptions.RepositoryNotFoundException:
            return RepositoryImages()
        except ecr.exceptions.ImageNotFoundException:
            pass
        except ClientError as error:
            return RepositoryImages(refused=_why_unknown(error))

        try:
            return self._one_by_one(lookup)
        except ecr.exceptions.RepositoryNotFoundException:
            return RepositoryImages()
        except ClientError as error:
            return RepositoryImages(refused=_why_unknown(error))

    def _described(self, lookup: ImagesStored) -> RepositoryImages:
        """What DescribeImages tells of images that are all there, ARCHIVED ones among them."""
        answer = self.clients.ecr.describe_images(
            repositoryName=lookup.repository,
            imageIds=_image_ids(lookup.digests, lookup.tags),
            filter={"imageStatus": "ANY"},
        )
        digests: set[str] = set()
        tags: dict[str, str] = {}
        inactive: dict[str, str] = {}
        for image in answer["imageDetails"]:
            digest = image["imageDigest"]
            digests.add(digest)
            for tag in image.get("imageTags", []):
                if tag in lookup.tags:
                    tags[tag] = digest
            status = image.get("imageStatus", "ACTIVE")
            if status != "ACTIVE":
                inactive[digest] = status
        return RepositoryImages(frozenset(digests), tags, inactive)

    def _one_by_one(self, lookup: ImagesStored) -> RepositoryImages:
        """What BatchGetImage tells of images of which one is missing, and the status of the others.

        Of its failures `ImageNotFound` alone is absence: the others say why it cannot be told, as
        `UpstreamUnavailable` of a pull-through cache (botocore ecr/2015-09-21, ImageFailureCode).
        """
        answer = self.clients.ecr.batch_get_image(
            repositoryName=lookup.repository,
            imageIds=_image_ids(lookup.digests, lookup.tags),
        )
        unknown: dict[str, str] = {}
        for failure in answer.get("failures", []):
            code = failure.get("failureCode", "")
            identifier = failure.get("imageId", {})
            wanted = identifier.get("imageDigest") or identifier.get("imageTag")
            if wanted and code != "ImageNotFound":
                unknown[wanted] = code

        digests: set[str] = set()
        tags: dict[str, str] = {}
        for image in answer["images"]:
            found = image["imageId"]
            digests.add(found["imageDigest"])
            if "imageTag" in found:
                tags[found["imageTag"]] = found["imageDigest"]

        inactive: Mapping[str, str] = {}
        if digests:
            there = ImagesStored(lookup.repository, frozenset(digests))
            inactive = self._described(there).inactive
        return RepositoryImages(frozenset(digests), tags, inactive, unknown)

    def _pushed_at(self, lookup: TagPushed) -> datetime | None:
        """When the image that a tag has now was pushed.

        None without such a tag or repository, or where ECR does not tell it: then the image itself
        is not known either.
        """
        ecr = self.clients.ecr
        try:
            answer = ecr.describe_images(
                repositoryName=lookup.repository,
                imageIds=[{"imageTag": lookup.tag}],
            )
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
            return None
        except ClientError as error:
            if not is_refusal(error):
                raise
            return None
        for image in answer["imageDetails"]:
            return image.get("imagePushedAt")
        return None

    def _secret(
        self,
        home: Home,
        lookup: SecretLookup,
    ) -> DependencyStatus:
        """Whether a secret or parameter is there, where that can be asked.

        A parameter of the same Region may be given by its name, one of another only by its ARN
        (botocore ecs/2014-11-13, Secret.valueFrom); a name among the credentials of a registry is
        that of a secret (RepositoryCredentials).
        """
        arn = _ARN.match(lookup.value_from)
        if arn and Home(arn["account"], arn["region"]) != home:
            return DependencyStatus(unknown=f"it is in {arn['account']}, {arn['region']}")

        secret = _SECRET.match(lookup.value_from)
        try:
            if secret:
                return self._secret_version(secret)
            if lookup.of_registry:
                return self._secrets_manager(lookup.value_from, _Version())
            return self._parameter(lookup.value_from)
        except ClientError as error:
            return _not_told(error)

    def _parameter(self, value_from: str) -> DependencyStatus:
        """Whether a parameter is there.

        A version or label may follow its name (botocore ssm/2014-11-06, GetParameters). A page may
        be empty though more follow (DescribeParameters).
        """
        names, selector = _parameter_names(value_from)
        if names[0].startswith("/aws/"):
            return DependencyStatus(unknown="it is one of AWS's own, which are not listed")
        pages = self.clients.ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": names}]
        )
        for page in pages:
            for parameter in page["Parameters"]:
                return _of_selector(
                    selector,
                    parameter.get("Version"),
                    parameter.get("LastModifiedDate"),
                )
        return DependencyStatus(wrong="there is no such parameter")

    def _secret_version(self, named: re.Match[str]) -> DependencyStatus:
        """The secret that an ARN names, with the version or stage that follows it."""
        version = _Version(named["stage"] or "", named["version"] or "")
        return self._secrets_manager(named["secret"], version)

    def _secrets_manager(self, secret: str, version: "_Version") -> DependencyStatus:
        """Whether a secret and its version are there.

        DescribeSecret lists the versions that have a stage; another may still exist, until Secrets
        Manager deletes it (botocore secretsmanager/2017-10-17, VersionIdsToStages).
        """
        client = self.clients.secretsmanager
        try:
            answer = client.describe_secret(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            return DependencyStatus(wrong="there is no such secret")

        changed_at = answer.get("LastChangedDate")
        if answer.get("DeletedDate"):
            return DependencyStatus("it is scheduled for deletion", changed_at)
        stages = answer.get("VersionIdsToStages")
        if version.id and stages is not None and version.id not in stages:
            return self._without_stage(secret, version, changed_at)
        return DependencyStatus(version.objection(stages), changed_at)

    def _without_stage(
        self,
        secret: str,
        version: "_Version",
        changed_at: datetime | None,
    ) -> DependencyStatus:
        """Whether a version that has no stage is there still."""
        asked: ListSecretVersionIdsRequestTypeDef = {"SecretId": secret, "IncludeDeprecated": True}
        while not version.stage:
            answer = self.clients.secretsmanager.list_secret_version_ids(**asked)
            if any(known.get("VersionId") == version.id for known in answer.get("Versions", [])):
                return DependencyStatus(changed_at=changed_at)
            if not answer.get("NextToken"):
                break
            asked["NextToken"] = answer["NextToken"]
        return DependencyStatus(f"it has no version {version.id}", changed_at)

    def _role(self, lookup: RoleLookup) -> DependencyStatus:
        iam = self.clients.iam
        try:
            iam.get_role(RoleName=lookup.arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            return DependencyStatus(wrong="there is no such role")
        except ClientError as error:
            return _not_told(error)
        return DependencyStatus()


def _image_ids(digests: Iterable[str], tags: Iterable[str]) -> "list[ImageIdentifierTypeDef]":
    ids: list[ImageIdentifierTypeDef] = []
    for digest in sorted(digests):
        ids.append({"imageDigest": digest})
    for tag in sorted(tags):
        ids.append({"imageTag": tag})
    return ids


def _why_unknown(error: ClientError) -> str:
    """AWS's code and words where it refuses to tell: what it does not tell is not absent.

    A throttle, or a failure of AWS's own, may pass, and is raised.
    """
    if not is_refusal(error):
        raise error
    told = error.response["Error"]
    return f"{told.get('Code')}: {told.get('Message', '')}".rstrip(": ")


def _not_told(error: ClientError) -> DependencyStatus:
    """What a refusal says of a secret, parameter or role: nothing is known of it."""
    why = _why_unknown(error)
    if not is_denied(error):
        return DependencyStatus(unknown=f"{error.operation_name} tells nothing of it: {why}")
    return DependencyStatus(unknown=f"{error.operation_name} is not allowed", denied=True)


@dataclass(frozen=True, slots=True)
class _Version:
    """The version of a secret that a definition names: by stage, by id, or both; AWSCURRENT where by none."""

    stage: str = ""
    id: str = ""

    def objection(self, stages: Mapping[str, list[str]] | None) -> str | None:
        """Why there is no such version; None where there is, or nobody said which there are."""
        if stages is None:
            return None
        if self.id:
            if self.stage and self.stage not in stages[self.id]:
                return f"its version {self.id} is not {self.stage}"
            return None
        wanted = self.stage or "AWSCURRENT"
        if any(wanted in held for held in stages.values()):
            return None
        return f"it has no version {wanted}"


def _of_selector(
    selector: str,
    newest: int | None,
    changed_at: datetime | None,
) -> DependencyStatus:
    """A parameter by its version or label.

    Of its versions Parameter Store keeps the last `VERSIONS_KEPT`. Labels are told only together with
    values, which are never read.
    """
    if not selector or newest is None:
        return DependencyStatus(changed_at=changed_at)
    if not selector.isdecimal():
        return DependencyStatus(unknown=f"which version is labelled {selector} is not told")
    version = int(selector)
    if version > newest or version <= newest - VERSIONS_KEPT:
        return DependencyStatus(f"it has no version {version}", changed_at)
    return DependencyStatus()


def _parameter_names(value_from: str) -> tuple[list[str], str]:
    """The names that a parameter may have, and the version or label that follows.

    Its ARN has a slash before the name, whether or not the name begins with one.
    """
    arn = _PARAMETER_ARN.match(value_from)
    if arn is None:
        name, _, selector = value_from.partition(":")
        return [name], selector

    name, selector = arn["name"], value_from[arn.end() :].removeprefix(":")
    if name.count("/") == 1:
        return [name, name.removeprefix("/")], selector
    return [name], selector
