"""Which service revision served when? Told by the deployments that came and went."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest

from autorollback.decision.facts import Deployment, Facts, Status
from autorollback.decision.identity import same_identity


@dataclass(frozen=True, slots=True)
class ServingPeriod:
    """A time in which one service revision served alone.

    It lasts from the end of the deployment that brought the revision to the start of the next one.

    Attributes:
        until: None while it lasts.
        came: from when on an alarm may be its doing. A deployment that succeeds starts its tasks
            while what it replaces still serves.
        brought_by: ARN of the service deployment that succeeded in bringing it, where one did.
    """

    revision: str
    since: datetime
    until: datetime | None
    came: datetime
    brought_by: str | None = None

    def end(self, now: datetime) -> datetime:
        """Its end; now, while it lasts."""
        return self.until or now

    def ended_by(self, moment: datetime) -> bool:
        """Whether it was over at a moment."""
        return self.until is not None and self.until <= moment


def serving_periods(facts: Facts) -> tuple[ServingPeriod, ...]:
    """The serving periods that are evidence, newest first.

    A deployment that failed, was stopped or rolled back is no evidence for its target. A restart of
    the same identity does not interrupt the period that it falls into.
    """
    oldest_first = sorted(facts.deployments, key=lambda d: (d.start, d.arn))
    found: list[ServingPeriod] = []
    previous: Deployment | None = None
    for deployment, following in zip_longest(oldest_first, oldest_first[1:]):
        found.extend(_of_sources(facts, deployment, previous))
        found.extend(_left_by(deployment, following))
        previous = deployment

    found.sort(key=lambda period: (period.since, period.revision))
    return tuple(reversed(_across_restarts(facts, found)))


def _of_sources(
    facts: Facts,
    deployment: Deployment,
    previous: Deployment | None,
) -> Iterator[ServingPeriod]:
    """What a deployment replaced, where no deployment on record brought that."""
    for source in deployment.sources:
        since = _served_since(facts, source, previous)
        if since is not None:
            since = min(since, deployment.start)
            yield ServingPeriod(
                source,
                since,
                until=deployment.start,
                came=since,
            )


def _served_since(
    facts: Facts,
    source: str,
    previous: Deployment | None,
) -> datetime | None:
    """Since when a source is known to have served; None where that is not known.

    It ran on while the previous deployment failed, or before the oldest one that AWS still has.
    What the previous one brought has a period already, or is no evidence.
    """
    if previous is None:
        revision = facts.revision(source)
        return revision.created_at if revision else None
    if source in (previous.leaves, previous.target):
        return None
    return previous.finished_at or previous.start


def _left_by(deployment: Deployment, following: Deployment | None) -> Iterator[ServingPeriod]:
    """What ran once a deployment had finished, until the next one began."""
    revision = deployment.leaves
    finished = deployment.finished_at
    if revision is None or finished is None:
        return

    until = following.start if following else None
    since = min(finished, until or finished)
    period = ServingPeriod(
        revision,
        since,
        until,
        came=since,
    )
    if deployment.status is Status.SUCCESSFUL:
        period = replace(period, came=deployment.start, brought_by=deployment.arn)
    yield period


def _across_restarts(facts: Facts, oldest_first: Sequence[ServingPeriod]) -> list[ServingPeriod]:
    """The periods, each joined with the one before it where a restart alone lies between."""
    succeeded: dict[datetime | None, Deployment] = {}
    for deployment in facts.deployments:
        if deployment.status is Status.SUCCESSFUL:
            succeeded[deployment.start] = deployment

    joined: list[ServingPeriod] = []
    for period in oldest_first:
        between = succeeded.get(joined[-1].until) if joined else None
        if between and _was_restarted_by(
            between,
            joined[-1],
            period,
            facts,
        ):
            joined[-1] = replace(joined[-1], revision=period.revision, until=period.until)
        else:
            joined.append(period)
    return joined


def _was_restarted_by(
    between: Deployment,
    last: ServingPeriod,
    period: ServingPeriod,
    facts: Facts,
) -> bool:
    """Whether the deployment between two periods only restarted what served in the first."""
    brought_the_second = between.target == period.revision
    return brought_the_second and same_identity(facts, last.revision, period.revision)
