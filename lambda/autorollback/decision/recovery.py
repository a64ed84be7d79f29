"""Did the rollback help? Pure, like the judgement."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, auto

from autorollback.decision.continuation import another_came
from autorollback.decision.facts import Alarm, Deployment, Facts, PastRollback, Status
from autorollback.decision.formatting import clock, span
from autorollback.decision.lineage import CLOCK_SKEW, deployment_of
from autorollback.decision.question import Question

DATAPOINTS_COME_AFTER = timedelta(minutes=2)
"""How long after its end a minute's datapoint has been evaluated, at the latest that is usual."""

UNFINISHED_FOR = timedelta(hours=2)
"""A rollback's deployment that has not finished after this long is a person's."""

BESIDE_THE_BAKE = timedelta(hours=1)
"""What a deployment is given beside the bake of the service, where the two take longer."""


class Progress(StrEnum):
    """Where a rollback stands."""

    OPEN = "open"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    SUPERSEDED = "superseded"


class Sight(StrEnum):
    """What tells where a rollback stands."""

    NOT_SHOWN_YET = auto()
    DEPLOYING = auto()
    UNDONE = auto()
    ANOTHER_CAME = auto()
    IN_ALARM = auto()
    NO_TARGET_HEALTHY = auto()
    OK_TOO_EARLY = auto()
    ALL_WELL = auto()


@dataclass(frozen=True, slots=True)
class Recovery:
    """Where a rollback stands, and what tells so.

    Attributes:
        runs: what runs now, in words.
        began: when the rollback did.
        seen_at: when it was looked at.
        status: of the rollback's deployment, where one is shown.
        finished: when that deployment did.
        signals: of the alarms that speak against recovery.
        healthy: how many targets are, where that was read.
        look_again: when to ask again, while it is open.
        calm_since: since when all is well, where it is.
    """

    progress: Progress
    sight: Sight
    runs: str
    began: datetime
    seen_at: datetime
    status: Status | None = None
    finished: datetime | None = None
    signals: tuple[str, ...] = ()
    healthy: int | None = None
    look_again: datetime | None = None
    calm_since: datetime | None = None

    @property
    def detail(self) -> str:
        """The same in words.

        A person who is needed is told what runs now, and where to look.
        """
        told = _SEEN[self.sight]
        if self.progress is Progress.NOT_RECOVERED:
            told = f"{told}{_FOR_A_PERSON[self.sight]}"
        return told.format_map(_words(self))


def assess(rollback: PastRollback, question: Question) -> Recovery:
    """Where does a rollback stand?

    Recovered is: its deployment has finished, no alarm of the service is in ALARM, and a target is
    healthy.
    """
    facts = question.facts
    newest = facts.deployments[0] if facts.deployments else None
    begun = deployment_of(rollback, facts)
    runs = _running(facts)
    seen = Recovery(
        Progress.OPEN,
        Sight.NOT_SHOWN_YET,
        runs,
        rollback.at,
        question.now,
    )

    if _another_came(
        newest,
        begun,
        rollback,
        facts,
    ):
        return replace(seen, progress=Progress.SUPERSEDED, sight=Sight.ANOTHER_CAME)
    if newest is None or begun is None:
        return _unfinished(seen, question)

    # the newest is the rollback's own deployment now, or a restart of what that brought back
    seen = replace(seen, status=newest.status)
    if _was_undone(newest, rollback):
        return replace(seen, progress=Progress.NOT_RECOVERED, sight=Sight.UNDONE)
    if newest.status.in_progress:
        return _unfinished(replace(seen, sight=Sight.DEPLOYING), question)
    finished = newest.finished_at or newest.start
    its_time_runs_from = finished
    if begun.status in (Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL):
        its_time_runs_from = begun.finished_at or begun.start
    return _after_deployment(
        seen,
        finished,
        its_time_runs_from + question.policy.confirm_within,
        question,
    )


def _another_came(
    newest: Deployment | None,
    begun: Deployment | None,
    rollback: PastRollback,
    facts: Facts,
) -> bool:
    """Whether somebody has deployed something else since the rollback began."""
    if newest is None:
        return False
    if begun is None:
        return newest.created_at > rollback.at + CLOCK_SKEW
    return another_came(rollback, facts)


def _was_undone(deployment: Deployment, rollback: PastRollback) -> bool:
    """Whether the rollback's own deployment was given up or rolled back itself."""
    if deployment.status in (Status.STOPPED, Status.ROLLBACK_FAILED):
        return True
    return deployment.status.is_rollback and not _was_stopped_by(rollback, deployment)


def _was_stopped_by(rollback: PastRollback, deployment: Deployment) -> bool:
    """Whether the rollback stopped a deployment that was there before it.

    ECS rolls that one back then, and its end is the rollback's.
    """
    if rollback.over is not None:
        return rollback.over == deployment.arn
    return deployment.created_at < rollback.at - CLOCK_SKEW


def _unfinished(seen: Recovery, question: Question) -> Recovery:
    """A deployment under way is waited for as long as it may take."""
    service = question.facts.service
    bake = service.bake if service else timedelta()
    limit = seen.began + max(UNFINISHED_FOR, bake + BESIDE_THE_BAKE)
    if question.now >= limit:
        return replace(seen, progress=Progress.NOT_RECOVERED)

    look_again = min(limit, question.now + question.policy.confirm_within)
    return replace(seen, look_again=look_again)


def _after_deployment(
    seen: Recovery,
    finished: datetime,
    limit: datetime,
    question: Question,
) -> Recovery:
    """Once the deployment has finished, the alarms and the targets tell.

    What restarts it meanwhile begins its time no second time.
    """
    alarms = question.facts.alarms
    service = question.facts.service
    healthy = service.healthy if service else None
    seen = replace(seen, finished=finished, healthy=healthy)

    red = _signals(alarm for alarm in alarms if alarm.in_alarm)
    if red:
        not_well = replace(seen, sight=Sight.IN_ALARM, signals=red)
        return _given_time(not_well, limit)
    if healthy == 0:
        not_well = replace(seen, sight=Sight.NO_TARGET_HEALTHY)
        return _given_time(not_well, limit)

    stale = [alarm for alarm in alarms if not _speaks_of_now(alarm, seen, finished)]
    if stale:
        sure_at = max(_sure_at(alarm, finished) for alarm in stale)
        early = _signals(stale)
        return replace(
            seen,
            sight=Sight.OK_TOO_EARLY,
            signals=early,
            look_again=sure_at,
        )

    calm_since = _calm_since(alarms, finished)
    return replace(
        seen,
        progress=Progress.RECOVERED,
        sight=Sight.ALL_WELL,
        calm_since=calm_since,
    )


def _given_time(not_well: Recovery, limit: datetime) -> Recovery:
    """What is not well has its time to recover."""
    if not_well.seen_at < limit:
        return replace(not_well, look_again=limit)
    return replace(not_well, progress=Progress.NOT_RECOVERED)


def _speaks_of_now(
    alarm: Alarm,
    seen: Recovery,
    finished: datetime,
) -> bool:
    """Whether an alarm's OK rests on datapoints of what the rollback brought back.

    One that was calm all through the incident need not: it never missed the trouble. CloudWatch
    evaluates a calm alarm on, without saying so: once its whole range lies after the cut-over, its
    OK is fresh.
    """
    since = alarm.since
    if since is None or since <= seen.began - CLOCK_SKEW:
        return True
    changed_after_it_finished = since >= finished + alarm.period
    return changed_after_it_finished or seen.seen_at >= _sure_at(alarm, finished)


def _sure_at(alarm: Alarm, finished: datetime) -> datetime:
    """From when on any OK speaks of what the rollback brought back."""
    return finished + alarm.evaluation_range + DATAPOINTS_COME_AFTER


def _calm_since(alarms: Iterable[Alarm], finished: datetime) -> datetime:
    """When the deployment had finished and the last alarm of the incident was calm."""
    changes = [alarm.since for alarm in alarms if alarm.since is not None]
    return max([finished, *changes])


def _running(facts: Facts) -> str:
    """What the newest deployment left running, else what the service is set to run."""
    if facts.deployments:
        left = facts.revision(facts.deployments[0].leaves)
        if left is not None:
            return left.task_definition
    if facts.service is None:
        return "nothing: the service is gone"
    return facts.service.task_definition.rpartition("/")[2]


def _signals(alarms: Iterable[Alarm]) -> tuple[str, ...]:
    return tuple(sorted(alarm.signal for alarm in alarms))


_SEEN = {
    Sight.NOT_SHOWN_YET: "ECS has not shown the rollback's deployment yet",
    Sight.DEPLOYING: "the rollback's deployment is {status}",
    Sight.UNDONE: "the rollback's own deployment ended {status}",
    Sight.ANOTHER_CAME: "another deployment has come since: {runs}",
    Sight.IN_ALARM: "still in ALARM: {signals}",
    Sight.NO_TARGET_HEALTHY: "no target is healthy",
    Sight.OK_TOO_EARLY: "{signals} went OK before the rollback's deployment had finished",
    Sight.ALL_WELL: "every alarm is OK{targets}, {took} after the rollback began",
}
"""What was seen, as a person is told."""

_LOOK_AT_TASKS = "{runs} runs now; look at the events and stopped tasks of the service"
_LOOK_AROUND = (
    "{runs} runs now; look at what the service depends on: "
    "its secrets, its database, the services it calls"
)
_TOO_LONG = ", {since_begun} after it began; "
_TIME_IS_OVER = ", {since_finished} after the rollback's deployment finished at {finished}; "

_FOR_A_PERSON = {
    Sight.NOT_SHOWN_YET: f"{_TOO_LONG}{_LOOK_AT_TASKS}",
    Sight.DEPLOYING: f"{_TOO_LONG}{_LOOK_AT_TASKS}",
    Sight.UNDONE: f"; {_LOOK_AT_TASKS}",
    Sight.IN_ALARM: f"{_TIME_IS_OVER}{_LOOK_AROUND}",
    Sight.NO_TARGET_HEALTHY: f"{_TIME_IS_OVER}{_LOOK_AROUND}",
}
"""What is added where the rollback has not helped: since when, what runs now and where to look."""


def _words(recovery: Recovery) -> dict[str, str]:
    """The words that the sentences name."""
    targets = ""
    if recovery.healthy is not None:
        targets = f", {recovery.healthy} targets are healthy"

    now = recovery.seen_at
    finished = recovery.finished or now
    calm_since = recovery.calm_since or now
    return {
        "status": str(recovery.status),
        "runs": recovery.runs,
        "signals": ", ".join(recovery.signals),
        "targets": targets,
        "took": span(calm_since - recovery.began),
        "since_begun": span(now - recovery.began),
        "since_finished": span(now - finished),
        "finished": clock(finished),
    }
