"""Tasks that start slowly are not failing.

An unhealthy target convicts only where none is healthy, or afterwards.
"""

from datetime import datetime

from autorollback.decision.facts import Alarm, Deployment, Facts
from autorollback.decision.formatting import clock
from autorollback.decision.verdicts import Hold, Reason

UNHEALTHY_TARGETS = "unhealthy-targets"


def slow_start(
    alarm: Alarm,
    suspect: Deployment,
    facts: Facts,
    now: datetime,
) -> Hold | None:
    """The hold where unhealthy targets may be tasks that still start, whenever the trouble began.

    None where they are not.
    """
    if suspect.status.in_progress:
        return _while_in_progress(suspect, facts)
    if suspect.finished_at is None:
        detail = "when the deployment finished could not be read"
        return Hold(Reason.SLOW_START, detail, suspect)

    has_lasted = now >= suspect.finished_at + alarm.evaluation_range
    breached_since = alarm.last_breach and alarm.last_breach >= suspect.finished_at
    if has_lasted or breached_since:
        return None
    finished = f"the deployment finished at {clock(suspect.finished_at)}"
    detail = f"{alarm.signal} has no breaching datapoint since {finished}"
    return Hold(Reason.SLOW_START, detail, suspect)


def _while_in_progress(suspect: Deployment, facts: Facts) -> Hold | None:
    healthy = facts.service.healthy if facts.service else None
    if healthy == 0:
        return None
    seen = f"{healthy} targets are healthy"
    if healthy is None:
        seen = "how many targets are healthy could not be read"
    why = "tasks that start slowly are not failing"
    detail = f"the deployment is in progress and {seen}: {why}"
    return Hold(Reason.SLOW_START, detail, suspect)
