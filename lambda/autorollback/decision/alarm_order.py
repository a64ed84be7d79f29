"""Did an alarm's trouble begin before a deployment, or after it?"""

from datetime import datetime

from autorollback.decision.facts import Alarm, AlarmPeriod, Deployment, Facts
from autorollback.decision.formatting import clock, span


def trouble_began(facts: Facts) -> datetime:
    """The onset that the trigger speaks of; of an ECS event, its time."""
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm and alarm.onset:
        return alarm.onset
    return facts.trigger.at


def predates(alarm: Alarm, deployment: Deployment) -> bool:
    """Whether the trouble was there before a deployment began to serve.

    Also where that is not known.
    """
    start = deployment.may_serve_from
    return start is None or began_before(alarm, start)


def began_before(alarm: Alarm, start: datetime) -> bool:
    """Whether the trouble was there before a moment; also where that is not known."""
    if alarm.onset is None or alarm.since is None:
        return True
    if was_red(alarm, start):
        return True
    if alarm.onset_is_datapoint:
        return alarm.onset + alarm.period <= start
    return alarm.onset < start


def was_red(alarm: Alarm, moment: datetime) -> bool:
    """Whether an alarm was in ALARM at a moment.

    It may have been calm since, and have come again.
    """
    periods = list(alarm.spells or ())
    if alarm.in_alarm and alarm.since:
        periods.append(AlarmPeriod(alarm.since))
    return any(_covers(period, moment) for period in periods)


def after_words(alarm: Alarm, deployment: Deployment) -> str:
    """How long after a deployment an alarm's trouble began."""
    start = deployment.may_serve_from or deployment.start
    what = "the shift of traffic" if deployment.traffic.strategy.shifts else "the deployment"
    if alarm.onset is None or alarm.onset < start:
        return f"{alarm.signal} fired in the minute of {what}"
    return f"{alarm.signal} fired {span(alarm.onset - start)} after {what}"


def before_words(alarm: Alarm, deployment: Deployment) -> str:
    """How long before a deployment an alarm's trouble was there."""
    start = deployment.may_serve_from
    if start is None:
        return f"when traffic reached the deployment of {clock(deployment.start)} is not known yet"
    started = "the deployment started"
    if deployment.traffic.strategy.shifts:
        started = "traffic can have reached the deployment"
    if alarm.since and alarm.since > start and was_red(alarm, start):
        then = f"when {started} at {clock(start)}, calmed and came again"
        return f"{alarm.signal} was in ALARM {then}"
    began = min(alarm.onset or start, alarm.since or start)
    return f"{alarm.signal} was in trouble {span(start - began)} before {started}"


def _covers(period: AlarmPeriod, moment: datetime) -> bool:
    return period.since <= moment and (period.until is None or moment < period.until)
