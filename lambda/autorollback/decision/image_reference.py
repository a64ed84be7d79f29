"""Image references of ECR repositories, taken apart."""

import re
from dataclasses import dataclass

from autorollback.naming import Home

_ECR = re.compile(
    r"(?P<registry>\d{12})\.(?:dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?|"
    r"dkr-ecr(?:-fips)?\.(?P<dual_stack>[a-z0-9-]+)\.on\.aws)/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?"
)
"""Registry hosts, those of FIPS endpoints among them.

ECR user guide, "Making requests to Amazon ECR registries".
"""

_DOCKERS_TAG = "latest"


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference of an ECR repository; `registry` is its account."""

    registry: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def home(self) -> Home:
        """Where its registry is."""
        return Home(self.registry, self.region)

    @property
    def moving_tag(self) -> str | None:
        """Its tag, where no digest says what that means."""
        return None if self.digest else self.tag


def parse_image(reference: str) -> Image | None:
    """The parts of an ECR image reference; None for other registries.

    Without tag and digest the tag is `latest`, as Docker has it.
    """
    found = _ECR.fullmatch(reference)
    if found is None:
        return None

    tag, digest = found["tag"], found["digest"]
    if tag is None and digest is None:
        tag = _DOCKERS_TAG
    region = found["region"] or found["dual_stack"]
    return Image(
        found["registry"],
        region,
        found["repository"],
        tag,
        digest,
    )


def own_image(reference: str, home: Home) -> Image | None:
    """The image, if it is in the ECR registry of this account and Region.

    No other registry is asked."""
    image = parse_image(reference)
    if image is None or image.home != home:
        return None
    return image
