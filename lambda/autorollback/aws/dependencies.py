"""Whether what a task definition needs to run is there: images, secrets, parameters, roles."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, assert_never

from botocore.exceptions import ClientError

from autorollback.aws.clients import in_parallel
from autorollback.aws.refusals import is_denied
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

    from autorollback.aws.clients import Clients

TAGS_LOOKED_AT = 1000
"""Of a repository, to tell those that are nearest to one that is not there."""

TAGS_TOLD = 5

_ARN = re.compile(r"arn:[^:]+:[^:]+:(?P<region>[^:]+):(?P<account>[^:]+):")
_SECRET = re.compile(r"arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+")
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
        """The digest that a tag has now; None without such a tag or repository."""
        stored = self._stored(ImagesStored(repository, tags=frozenset({tag})))
        return stored.tags.get(tag)

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
        """What is there of some images.

        BatchGetImage reports a missing one in `failures` (botocore ecr/2015-09-21).
        """
        ids: list[ImageIdentifierTypeDef] = []
        for digest in sorted(lookup.digests):
            ids.append({"imageDigest": digest})
        for tag in sorted(lookup.tags):
            ids.append({"imageTag": tag})

        ecr = self.clients.ecr
        try:
            answer = ecr.batch_get_image(repositoryName=lookup.repository, imageIds=ids)
        except ecr.exceptions.RepositoryNotFoundException:
            return RepositoryImages()

        digests: set[str] = set()
        tags: dict[str, str] = {}
        for image in answer["images"]:
            found = image["imageId"]
            digests.add(found["imageDigest"])
            if "imageTag" in found:
                tags[found["imageTag"]] = found["imageDigest"]
        return RepositoryImages(frozenset(digests), tags)

    def _pushed_at(self, lookup: TagPushed) -> datetime | None:
        """When the image that a tag has now was pushed; None without such a tag or repository."""
        ecr = self.clients.ecr
        try:
            answer = ecr.describe_images(
                repositoryName=lookup.repository,
                imageIds=[{"imageTag": lookup.tag}],
            )
        except (ecr.exceptions.ImageNotFoundException, ecr.exceptions.RepositoryNotFoundException):
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
                return self._secrets_manager(secret[0])
            if lookup.of_registry:
                return self._secrets_manager(lookup.value_from)
            return self._parameter(lookup.value_from)
        except ClientError as error:
            if not is_denied(error):
                raise
            nobody = "so that nobody can tell whether it is there"
            return DependencyStatus(wrong=f"{error.operation_name} is not allowed, {nobody}")

    def _parameter(self, value_from: str) -> DependencyStatus:
        """Whether a parameter is there.

        A version or label may follow its name (botocore ssm/2014-11-06, GetParameters). A page may
        be empty though more follow (DescribeParameters).
        """
        pages = self.clients.ssm.get_paginator("describe_parameters").paginate(
            ParameterFilters=[
                {"Key": "Name", "Option": "Equals", "Values": _parameter_names(value_from)}
            ]
        )
        for page in pages:
            for parameter in page["Parameters"]:
                return DependencyStatus(changed_at=parameter.get("LastModifiedDate"))
        return DependencyStatus(wrong="there is no such parameter")

    def _secrets_manager(self, secret: str) -> DependencyStatus:
        client = self.clients.secretsmanager
        try:
            answer = client.describe_secret(SecretId=secret)
        except client.exceptions.ResourceNotFoundException:
            return DependencyStatus(wrong="there is no such secret")

        is_going = bool(answer.get("DeletedDate"))
        wrong = "it is scheduled for deletion" if is_going else None
        return DependencyStatus(wrong, answer.get("LastChangedDate"))

    def _role(self, lookup: RoleLookup) -> DependencyStatus:
        iam = self.clients.iam
        try:
            iam.get_role(RoleName=lookup.arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            return DependencyStatus(wrong="there is no such role")
        except ClientError as error:
            if not is_denied(error):
                raise
            remedy = f"add {lookup.path} to task_roles"
            return DependencyStatus(wrong=f"iam:GetRole is not allowed: {remedy}")
        return DependencyStatus()


def _parameter_names(value_from: str) -> list[str]:
    """The names that a parameter may have.

    Its ARN has a slash before the name, whether or not the name begins with one.
    """
    arn = _PARAMETER_ARN.match(value_from)
    if arn is None:
        return [value_from.partition(":")[0]]

    name = arn["name"]
    if name.count("/") == 1:
        return [name, name.removeprefix("/")]
    return [name]
