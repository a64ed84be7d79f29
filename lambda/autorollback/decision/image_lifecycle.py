"""When ECR will expire an image: the lifecycle policy of its repository, read as ECR reads it.

Rules, their order and what their selections mean: "Lifecycle policy properties in Amazon ECR",
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html, and "How lifecycle policies work",
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from autorollback.decision.words import clock

WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image of a repository, its tags, when it was pushed, and when it was last pulled, where ECR has recorded that."""

    digest: str
    tags: tuple[str, ...]
    at: datetime
    pulled_at: datetime | None = None


def expires_soon(policy: str, digest: str, images: Sequence[Pushed], now: datetime) -> str | None:
    """How an image will be gone within a week, in words; None where no rule says so.

    Only the first rule, by priority, whose selection takes the image can expire it. A rule by count is reckoned with as
    many pushes as the last week had, one by age since the last pull as if nobody pulled it again; ECR counts one that was
    never pulled from its push. What is archived cannot be pulled, so a transition counts like an expiry.
    """
    image = next((i for i in images if i.digest == digest), None)
    rules = sorted(json.loads(policy)["rules"], key=lambda rule: int(rule["rulePriority"]))
    rule = next((r for r in rules if image and _takes(r["selection"], image)), None)
    if image is None or rule is None:
        return None
    does = "archives" if rule.get("action", {}).get("type") == "transition" else "expires"
    selection, name = rule["selection"], f"rule {rule['rulePriority']} of the repository's lifecycle policy"
    number = int(selection["countNumber"])
    match selection["countType"]:
        case "sinceImagePushed":
            at = image.at + timedelta(days=number)
            return f"{name} {does} it at {clock(at)}" if at <= now + WEEK else None
        case "sinceImagePulled":
            at = (image.pulled_at or image.at) + timedelta(days=number)
            return f"{name} {does} it at {clock(at)}, if it is not pulled before" if at <= now + WEEK else None
        case "imageCountMoreThan":
            taken = [i for i in images if _takes(selection, i)]
            newer = sum(i.at > image.at for i in taken)
            pushes = sum(i.at > now - WEEK for i in taken)
            if newer + pushes < number:
                return None
            return f"{name} keeps {number} images, {newer} are newer, and the last week had {pushes} pushes"
        case other:
            return f"{name} counts by {other}, which this version cannot foretell"


def _takes(selection: Mapping[str, Any], image: Pushed) -> bool:
    """Tagged selections take images that have tags for all their patterns or prefixes; those of the archive none that runs."""
    if selection.get("storageClass", "standard") != "standard":
        return False
    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not image.tags
    patterns = [*selection.get("tagPatternList", []), *(f"{prefix}*" for prefix in selection.get("tagPrefixList", []))]
    return bool(image.tags) and all(any(fnmatchcase(tag, pattern) for tag in image.tags) for pattern in patterns)
