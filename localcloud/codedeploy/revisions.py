"""The application revisions that deployments are asked for: AppSpecs, given or in S3."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from moto.s3.models import s3_backends

from localcloud.codedeploy.app_spec import AppSpec, parse
from localcloud.codedeploy.model import Location
from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

BUNDLE_TYPES = frozenset({"YAML", "JSON"})
S3_PARAMETERS = frozenset({"bucket", "key", "bundleType"})


class RegisteredRevision(NamedTuple):
    """A revision, and when it was first asked for."""

    location: Location
    registered_at: datetime


@dataclass
class Revisions:
    """Reads revisions, and remembers those of each application."""

    account: str
    _known: dict[tuple[str, str], RegisteredRevision] = field(default_factory=dict)

    def register(
        self,
        application: str,
        location: Location,
        now: datetime,
    ) -> None:
        """Remember a revision. The first time counts."""
        key = (application, _address(location.shown))
        self._known.setdefault(key, RegisteredRevision(location, now))

    def find(self, application: str, revision: Settings) -> RegisteredRevision:
        """Find a revision by its sha256 or its place in S3.

        Raises:
            Refusal: the application has none such.
        """
        found = self._known.get((application, _address(revision)))
        if found is None:
            message = "The named revision does not exist."
            raise Refusal("RevisionDoesNotExistException", message)
        return found

    def read(self, revision: Settings) -> Location:
        """Read what CreateDeployment is given.

        String is for Lambda (botocore's documentation of RevisionLocation); GitHub for servers.

        Raises:
            Refusal: it is no revision for ECS, or is not there.
        """
        revision_type = revision.get("revisionType")
        if revision_type == "AppSpecContent":
            return _given_location(revision.get("appSpecContent", {}))
        if revision_type == "S3":
            place = dict(revision.get("s3Location", {}))
            shown = {"revisionType": "S3", "s3Location": place}
            return Location(self._spec_in_s3(place), shown, shown)

        message = f"{revision_type} is no revision type for ECS."
        raise Refusal("InvalidRevisionException", message)

    def _spec_in_s3(self, place: dict[str, str]) -> AppSpec:
        if place.get("bundleType") not in BUNDLE_TYPES:
            message = "BundleType must be either YAML or JSON"
            raise Refusal("InvalidRevisionException", message)
        for name in place:
            if name not in S3_PARAMETERS:
                raise NotModelled(f"codedeploy s3Location: {name}")

        bucket = s3_backends[self.account]["aws"].buckets.get(place.get("bucket"))
        found = None
        if bucket is not None:
            found = bucket.keys.get(place.get("key"))
        if found is None:
            message = "The named revision does not exist."
            raise Refusal("RevisionDoesNotExistException", message)
        return parse(found.value.decode())


def _given_location(given: Settings) -> Location:
    if "content" not in given:
        raise Refusal("InvalidRevisionException", "The AppSpec has no content.")
    spec = parse(given["content"])
    if given.get("sha256", spec.sha256) != spec.sha256:
        message = "The sha256 is not that of the content."
        raise Refusal("InvalidRevisionException", message)

    without_content = {"sha256": spec.sha256}
    with_content = {"sha256": spec.sha256, "content": spec.content}
    return Location(spec, _app_spec_content(without_content), _app_spec_content(with_content))


def _app_spec_content(content: dict[str, str]) -> ApiObject:
    return {"revisionType": "AppSpecContent", "appSpecContent": content}


def _address(revision: Settings) -> str:
    """Take what a revision is known by: its sha256, or its place in S3."""
    if revision.get("revisionType") == "AppSpecContent":
        return str(revision.get("appSpecContent", {}).get("sha256"))
    return json.dumps(revision.get("s3Location", {}), sort_keys=True)
