"""What a task definition needs to run: images, secrets, parameters and roles. Whether they are there; values are never read."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from autorollback.aws.clients import together
from autorollback.aws.definitions import Definition, Definitions, UnknownDefinition
from autorollback.decision.model import Candidate, Check, Revision

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

_ECR = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
_SECRET = re.compile(r"arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+")
_PARAMETER_ARN = re.compile(r"arn:[^:]+:ssm:[^:]+:[^:]+:parameter(?P<name>/.+)")


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference of an ECR repository, taken apart."""

    registry: str
    region: str
    repository: str
    tag: str | None
    digest: str | None


def parse_image(reference: str) -> Image | None:
    """The parts of an ECR image reference; None for other registries. Without tag and digest the tag is `latest`, as Docker reads it."""
    found = _ECR.fullmatch(reference)
    if found is None:
        return None
    digest = found["digest"]
    return Image(
        found["registry"], found["region"], found["repository"], found["tag"] or (None if digest else "latest"), digest
    )


@dataclass(slots=True)
class Preflight:
    """Checks candidates; what two of them share is asked once."""

    clients: "Clients"
    account: str
    region: str
    definitions: Definitions
    _answers: dict[str, Any] = field(default_factory=dict)

    def check(self, candidate: Candidate) -> tuple[Check, ...]:
        """Every finding about a candidate, all asked at once."""
        revision = candidate.revision
        try:
            definition = self.definitions.describe(revision.task_definition_arn)
        except UnknownDefinition as error:
            return (Check("definition_usable", False, f"its task definition cannot be described: {error}"),)
        asked: dict[str, Callable[[], Any]] = {}
        for name, reference in definition.images.items():
            image = parse_image(reference)
            if image and image.registry == self.account and image.region == self.region:
                wanted = revision.images.get(name) or image.digest
                if wanted:
                    asked[f"{image.repository}@{wanted}"] = partial(
                        self._digest, image.repository, {"imageDigest": wanted}
                    )
                if image.tag and not image.digest:
                    asked[f"{image.repository}:{image.tag}"] = partial(
                        self._digest, image.repository, {"imageTag": image.tag}
                    )
        for secret in definition.secrets:
            asked[f"secret {secret}"] = partial(self._secret, secret)
        for role in definition.roles:
            asked[f"role {role}"] = partial(self._role, role)
        fresh = {name: ask for name, ask in asked.items() if name not in self._answers}
        self._answers |= together(fresh)
        answers = {name: self._answers[name] for name in asked}
        images = self._images(definition, revision, answers)
        return (
            *images,
            *_present("secrets_present", "secret ", answers, "no secrets"),
            *_present("roles_present", "role ", answers, "no roles"),
            _usable(definition, revision, answers),
        )

    def _images(self, definition: Definition, revision: Revision, answers: Mapping[str, Any]) -> list[Check]:
        checks = []
        for name, reference in sorted(definition.images.items()):
            image = parse_image(reference)
            if image is None or image.registry != self.account or image.region != self.region:
                checks.append(Check("image_present", None, f"{name}: {reference} is in another registry, not checked"))
                continue
            digest = revision.images.get(name) or image.digest
            spot = f"{image.repository}@{digest}" if digest else f"{image.repository}:{image.tag}"
            found = answers[spot]
            known = "" if digest else " (AWS recorded no digest; the tag stands in)"
            checks.append(
                Check("image_present", found is not None, f"{name}: {spot} is {'in' if found else 'not in'} ECR{known}")
            )
        return checks

    def _digest(self, repository: str, image_id: dict[str, str]) -> str | None:
        """The digest of an image in ECR; None where it is not there. BatchGetImage reports a missing one in `failures`."""
        ecr = self.clients.ecr
        try:
            answer = ecr.batch_get_image(repositoryName=repository, imageIds=[image_id])  # type: ignore[list-item]  # one of its two keys
        except ecr.exceptions.RepositoryNotFoundException:
            return None
        return answer["images"][0]["imageId"]["imageDigest"] if answer["images"] else None

    def _secret(self, value_from: str) -> str | None:
        """None where the secret or parameter is there; else what is wrong with it."""
        if found := _SECRET.match(value_from):
            return self._secrets_manager(found[0])
        named = _PARAMETER_ARN.fullmatch(value_from)
        name = named["name"] if named else value_from
        # A parameter's ARN has a slash before the name, whether or not the name begins with one.
        names = [name, name.removeprefix("/")] if named and name.count("/") == 1 else [name]
        answer = self.clients.ssm.describe_parameters(
            ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": names}]
        )
        return None if answer["Parameters"] else "there is no such parameter"

    def _secrets_manager(self, arn: str) -> str | None:
        client = self.clients.secretsmanager
        try:
            answer = client.describe_secret(SecretId=arn)
        except client.exceptions.ResourceNotFoundException:
            return "there is no such secret"
        return "it is scheduled for deletion" if answer.get("DeletedDate") else None

    def _role(self, arn: str) -> str | None:
        iam = self.clients.iam
        try:
            iam.get_role(RoleName=arn.rpartition("/")[2])
        except iam.exceptions.NoSuchEntityException:
            return "there is no such role"
        except ClientError as error:
            if error.response["Error"].get("Code") != "AccessDenied":
                raise
            return "not allowed to look: add its name to task_roles"
        return None


def _present(check: str, prefix: str, answers: Mapping[str, Any], none: str) -> list[Check]:
    wrong = {name.removeprefix(prefix): answer for name, answer in answers.items() if name.startswith(prefix)}
    if not wrong:
        return [Check(check, True, none)]
    found = [Check(check, False, f"{name}: {answer}") for name, answer in sorted(wrong.items()) if answer]
    return found or [Check(check, True, f"{len(wrong)} found")]


def _usable(definition: Definition, revision: Revision, answers: Mapping[str, Any]) -> Check:
    if definition.status != "ACTIVE":
        return Check(
            "definition_usable", False, f"{definition.name} is {definition.status}: UpdateService does not take it"
        )
    moved = []
    for name, reference in sorted(definition.images.items()):
        image, ran = parse_image(reference), revision.images.get(name)
        tagged = f"{image.repository}:{image.tag}" if image and image.tag and not image.digest else None
        if tagged is not None and tagged in answers and ran and answers[tagged] != ran:
            moved.append(f"{name}: {tagged} is now {str(answers[tagged])[:19]}, {ran[:19]} ran")
    if moved:
        return Check("definition_usable", False, f"a tag has moved since it ran: {'; '.join(moved)}")
    return Check("definition_usable", True, f"{definition.name} is ACTIVE, and its images resolve to what ran")
