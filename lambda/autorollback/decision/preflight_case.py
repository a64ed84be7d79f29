"""What the checks of the preflight look at, and what a check is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from autorollback.decision.definition import Definition
from autorollback.decision.facts import Controller, Revision, Service
from autorollback.decision.image_reference import Image, own_image
from autorollback.decision.lookups import Answers, ImagesStored, Lookup, RepositoryImages
from autorollback.decision.verdicts import Check, CheckName
from autorollback.naming import Home
from autorollback.policy import Policy


@dataclass(frozen=True, slots=True)
class PreflightTarget:
    """A revision that is to be gone back to, and the definition that it ran.

    Attributes:
        now_runs: the service revision that runs now, or is being deployed.
        images: the definition's images in the service's own registry, by container.
        images_stored: what to ask of each repository, by its name.
    """

    service: Service
    revision: Revision
    definition: Definition
    now_runs: Revision | None
    images: Mapping[str, Image]
    images_stored: Mapping[str, ImagesStored]

    @classmethod
    def of(
        cls,
        service: Service,
        revision: Revision,
        definition: Definition,
        now_runs: Revision | None = None,
    ) -> "PreflightTarget":
        """With its images taken apart. Only the service's own account and Region are asked."""
        images = own_images(definition, Home.of_service(service.arn))
        stored = _images_stored(revision, images)
        return cls(
            service,
            revision,
            definition,
            now_runs,
            images,
            stored,
        )

    def digest_of(
        self,
        container: str,
        image: Image,
    ) -> str | None:
        """The digest that ran, or that the definition itself is pinned to."""
        return self.revision.images.get(container) or image.digest

    def tag_that_may_have_moved(
        self,
        container: str,
        image: Image,
    ) -> str | None:
        """The tag that may have been pushed over since.

        Only the time of its push tells. None where a digest tells what ran. CodeDeploy records no digests.
        """
        by_code_deploy = self.service.controller is Controller.CODE_DEPLOY
        if not by_code_deploy or self.digest_of(container, image) is not None:
            return None
        return image.tag

    def stored(
        self,
        image: Image,
        answers: Answers,
    ) -> RepositoryImages:
        """What the image's repository has of what was asked."""
        return answers.images[self.images_stored[image.repository]]


@dataclass(frozen=True, slots=True)
class PreflightCase:
    """One candidate in one service, with all that was asked about it.

    Attributes:
        running: the definition that the service has now.
        ran_until: when the candidate last ran, where that is known.
        restored_whole: ECS itself restores its service revision.
    """

    target: PreflightTarget
    running: Definition
    ran_until: datetime | None
    restored_whole: bool
    answers: Answers
    policy: Policy


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """One check: what it asks of AWS, and what it finds in the answers."""

    name: CheckName
    needs: Callable[[PreflightTarget], frozenset[Lookup]]
    find: Callable[[PreflightCase], tuple[Check, ...]]


def own_images(definition: Definition, home: Home) -> Mapping[str, Image]:
    """A definition's images in the registry of an account and Region, by container."""
    images: dict[str, Image] = {}
    for name, reference in definition.images.items():
        image = own_image(reference, home)
        if image is not None:
            images[name] = image
    return images


def restored_whole(found: Check) -> Check:
    """What ECS restores as a whole needs neither a copy nor the settings of now.

    A copy stays the way back if ECS cannot.
    """
    detail = "ECS restores the whole service revision, with its images and settings"
    return Check(
        found.name,
        passed=True,
        detail=detail,
        needs_copy=found.needs_copy,
    )


def _images_stored(revision: Revision, images: Mapping[str, Image]) -> Mapping[str, ImagesStored]:
    """Of each repository, the digests that ran, and what the tags are now."""
    digests: dict[str, set[str]] = {}
    tags: dict[str, set[str]] = {}
    for name, image in images.items():
        digest = revision.images.get(name) or image.digest
        digests.setdefault(image.repository, set())
        tags.setdefault(image.repository, set())
        if digest:
            digests[image.repository].add(digest)
        if image.moving_tag:
            tags[image.repository].add(image.moving_tag)

    stored: dict[str, ImagesStored] = {}
    for repository, wanted in digests.items():
        its_tags = frozenset(tags[repository])
        stored[repository] = ImagesStored(repository, frozenset(wanted), its_tags)
    return stored
