"""What speaks against a deployment that a pipeline is about to make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autorollback.decision.facts import (
    Deployment,
    Facts,
    PastRollback,
    Quarantine,
    Revision,
    Status,
)
from autorollback.decision.formatting import clock, first_few
from autorollback.decision.lineage import running_now
from autorollback.decision.quarantine import (
    known_bad_build,
    quarantined,
    with_its_images,
    words_of,
)
from autorollback.decision.question import Question

NAMED = 5
"""Alarms that are told by name."""


class DeploymentCheck(StrEnum):
    """What a pipeline asks before it deploys."""

    QUARANTINED = "quarantined"
    IN_ALARM = "in_alarm"
    ROLLBACK_IN_PROGRESS = "rollback_in_progress"


@dataclass(frozen=True, slots=True)
class DeploymentFinding:
    """What speaks against a deployment, or that nothing does."""

    check: DeploymentCheck
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Coming:
    """What is about to be deployed.

    Attributes:
        revision: as it would run.
        named_images: container to digest of the images that were given alone, without a task definition; empty with one.
        untold: containers whose image's digest cannot be told: its name stands in.
    """

    revision: Revision
    named_images: Mapping[str, str | None]
    untold: tuple[str, ...] = ()


def is_it_quarantined(coming: Coming, question: Question) -> DeploymentFinding:
    """Would it bring back what was rolled back from, as the judgement would see it?"""
    revision = coming.revision
    known = known_bad_build(question, revision, question.now)
    known = known or _by_its_images(coming, question) or _by_its_name(coming, question)
    if known is not None:
        detail = f"it brings back {words_of(known)}; release it if that is meant"
        return DeploymentFinding(DeploymentCheck.QUARANTINED, passed=False, detail=detail)

    detail = "it brings back nothing that was rolled back from"
    alike = with_its_images(question, revision)
    if alike is not None:
        detail = f"it brings the images of {words_of(alike)}, with other settings: a new build"
    if coming.untold:
        containers = ", ".join(coming.untold)
        detail = f"{detail}; compared by name, the digest is not known here: {containers}"
    return DeploymentFinding(DeploymentCheck.QUARANTINED, passed=True, detail=detail)


def _by_its_images(coming: Coming, question: Question) -> Quarantine | None:
    """The quarantined build that ran all the images that are given alone.

    With what settings they will run is not known then. What runs now is not held against it.
    """
    named = coming.named_images
    running = running_now(question.facts)
    if not named or None in named.values():
        return None
    if running is not None and _ran_all(named, running.images):
        return None
    ran = [one for one in quarantined(question).values() if _ran_all(named, one.images)]
    return max(ran, key=lambda one: (one.at, one.identity), default=None)


def _ran_all(named: Mapping[str, str | None], images: Mapping[str, str | None]) -> bool:
    return all(images.get(container) == digest for container, digest in named.items())


def _by_its_name(coming: Coming, question: Question) -> Quarantine | None:
    """The quarantined revision of the same number, where no digest tells what its tag brings now."""
    if not coming.untold or coming.named_images:
        return None
    name = coming.revision.task_definition
    named = [one for one in quarantined(question).values() if one.task_definition == name]
    return max(named, key=lambda one: one.at, default=None)


def is_it_red(facts: Facts) -> DeploymentFinding:
    """Is an alarm of the service in ALARM now? A deployment into trouble hides its own."""
    red = [alarm for alarm in facts.alarms if alarm.in_alarm]
    if not red:
        detail = "no alarm of the service is in ALARM"
        return DeploymentFinding(DeploymentCheck.IN_ALARM, passed=True, detail=detail)

    told: list[str] = []
    for alarm in red:
        since = f" since {clock(alarm.since)}" if alarm.since else ""
        told.append(f"{alarm.signal}{since}")
    detail = f"in ALARM: {', '.join(first_few(told, NAMED))}"
    return DeploymentFinding(DeploymentCheck.IN_ALARM, passed=False, detail=detail)


def is_it_rolled_back_now(
    newest: Deployment | None,
    unfinished: Sequence[PastRollback],
) -> DeploymentFinding:
    """Is the service being rolled back, or is it still open whether that helped?

    Args:
        newest: its newest deployment.
        unfinished: rollbacks of this controller that are claimed or open, newest first.
    """
    check = DeploymentCheck.ROLLBACK_IN_PROGRESS
    for rollback in unfinished:
        state = "is being watched" if rollback.is_open else "is being done"
        target = rollback.to_task_definition or rollback.deployed.rpartition("/")[2]
        detail = f"the rollback to {target} of {clock(rollback.at)} {state}: {rollback.incident_id}"
        return DeploymentFinding(check, passed=False, detail=detail)

    by_ecs = (Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS)
    if newest is not None and newest.status in by_ecs:
        detail = f"ECS is rolling back its deployment of {clock(newest.created_at)}"
        return DeploymentFinding(check, passed=False, detail=detail)
    return DeploymentFinding(check, passed=True, detail="no rollback is under way")
