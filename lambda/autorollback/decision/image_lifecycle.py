"""When ECR will expire an image by the lifecycle policy of its repository.

Rules, their order and what their selections mean: "Lifecycle policy properties in Amazon ECR",
https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html, and
"How lifecycle policies work",
https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import NotRequired, TypedDict

from autorollback.decision.formatting import clock

WEEK = timedelta(days=7)


class Selection(TypedDict):
    """Which images a rule takes, and when it acts on them."""

    tagStatus: str
    countType: str
    countNumber: int
    tagPatternList: NotRequired[list[str]]
    tagPrefixList: NotRequired[list[str]]
    storageClass: NotRequired[str]


class Action(TypedDict):
    """What a rule does to the images that it takes."""

    type: NotRequired[str]


class Rule(TypedDict):
    """A rule of a lifecycle policy.

    The lowest number is the first priority.
    """

    rulePriority: int
    selection: Selection
    action: NotRequired[Action]


@dataclass(frozen=True, slots=True)
class Pushed:
    """An image of a repository.

    Attributes:
        at: when it was pushed.
        pulled_at: when it was last pulled, where ECR has recorded that.
    """

    digest: str
    tags: tuple[str, ...]
    at: datetime
    pulled_at: datetime | None = None


def expires_soon(
    policy: str,
    digest: str,
    images: Sequence[Pushed],
    now: datetime,
) -> str | None:
    """Say how an image will be gone within a week.

    None where no rule says so. Only the first rule, by priority, whose selection takes the image
    can expire it. A rule by count is reckoned with as many pushes as the last week had, one by age
    since the last pull as if nobody pulled it again; ECR counts one that was never pulled from its
    push. What is archived cannot be pulled, so a transition counts like an expiry.
    """
    image = next((one for one in images if one.digest == digest), None)
    if image is None:
        return None

    rule = _first_that_takes(image, policy)
    if rule is None:
        return None

    name = f"rule {rule['rulePriority']} of the repository's lifecycle policy"
    foretold = _foretold(
        rule,
        image,
        images,
        now,
    )
    return f"{name} {foretold}" if foretold else None


def _first_that_takes(image: Pushed, policy: str) -> Rule | None:
    rules: list[Rule] = json.loads(policy)["rules"]
    by_priority = sorted(rules, key=lambda rule: int(rule["rulePriority"]))
    for rule in by_priority:
        if _takes(rule["selection"], image):
            return rule
    return None


def _foretold(
    rule: Rule,
    image: Pushed,
    images: Sequence[Pushed],
    now: datetime,
) -> str | None:
    selection = rule["selection"]
    kept = int(selection["countNumber"])

    match selection["countType"]:
        case "sinceImagePushed":
            end = image.at + timedelta(days=kept)
            condition = ""
        case "sinceImagePulled":
            end = (image.pulled_at or image.at) + timedelta(days=kept)
            condition = ", if it is not pulled before"
        case "imageCountMoreThan":
            return _crowded_out(
                image,
                selection,
                images,
                now,
            )
        case other:
            return f"counts by {other}, which this version cannot foretell"

    if end > now + WEEK:
        return None
    action = rule.get("action", {}).get("type")
    verb = "archives" if action == "transition" else "expires"
    return f"{verb} it at {clock(end)}{condition}"


def _crowded_out(
    image: Pushed,
    selection: Selection,
    images: Sequence[Pushed],
    now: datetime,
) -> str | None:
    """Say how newer images will leave no place for this one.

    None while there is one.
    """
    kept = int(selection["countNumber"])
    week_ago = now - WEEK

    newer = 0
    pushes = 0
    for other in images:
        if not _takes(selection, other):
            continue
        newer += other.at > image.at
        pushes += other.at > week_ago

    if newer + pushes < kept:
        return None
    return f"keeps {kept} images, {newer} are newer, and the last week had {pushes} pushes"


def _takes(selection: Selection, image: Pushed) -> bool:
    """Whether a rule takes an image.

    A rule for the archive takes none that runs. One for tagged images takes those that have a tag
    for each of its patterns or prefixes.
    """
    if selection.get("storageClass", "standard") != "standard":
        return False

    match selection["tagStatus"]:
        case "any":
            return True
        case "untagged":
            return not image.tags

    patterns = selection.get("tagPatternList", [])
    prefixes = selection.get("tagPrefixList", [])
    for pattern in (*patterns, *(f"{prefix}*" for prefix in prefixes)):
        if not any(fnmatchcase(tag, pattern) for tag in image.tags):
            return False
    return bool(image.tags)
