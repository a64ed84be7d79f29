"""A hold is told once more, if an alarm stays red and nobody acts."""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from autorollback.aws.ledger import Notice
from autorollback.decision.facts import Alarm, Facts
from autorollback.decision.formatting import clock
from autorollback.decision.incident import Incident, Phase
from autorollback.decision.ledger_state import RedWatch
from autorollback.decision.result import Outcome, Result
from autorollback.decision.verdicts import Hold, Reason
from autorollback.flows import announce
from autorollback.flows.session import ProtectedService, Session
from autorollback.policy import Mode
from autorollback.results import Answer

_WITHOUT_SUSPECT = frozenset(
    {
        Reason.NO_RECENT_DEPLOYMENT,
        Reason.SERVICE_INACTIVE,
        Reason.UNSUPPORTED_DEPLOYMENT_CONTROLLER,
    }
)
"""Holds that blame no deployment, though they may name one."""

_NEVER = frozenset(
    {
        Reason.NO_RECENT_DEPLOYMENT,
        Reason.ALARM_IS_FLAPPING,
        Reason.SERVICE_INACTIVE,
        Reason.REFUSED_BY_AWS,
    }
)
"""Other tools page for alarms; that AWS refused is critical from the first."""

_ONLY_OF_SUSPECT = frozenset(
    {
        Reason.ALARM_PREDATES_DEPLOYMENT,
        Reason.DEPLOYMENT_IS_A_ROLLBACK,
        Reason.ONLY_SETTINGS_CHANGED,
    }
)
"""Trouble long after whatever was deployed is an alarm like any other, for which other tools page."""

_CLOCKS_DIFFER = timedelta(seconds=60)
"""CloudWatch's and the function's: nothing is concluded from less between the two."""

_ESCALATED = "escalated"


def subject_of(facts: Facts, hold: Hold) -> str:
    """What a hold is about: the suspect's ARN; without one, when the trouble began.

    It is the earliest onset of the alarms that are red, to the minute.
    """
    blames_nobody = hold.long_ago or hold.reason in _WITHOUT_SUSPECT
    if hold.suspect and not blames_nobody:
        return hold.suspect.arn
    onsets = [alarm.onset for alarm in facts.alarms if alarm.in_alarm and alarm.onset]
    began = min(onsets, default=facts.trigger.at)
    return f"onset-{began:%Y-%m-%dT%H:%M}"


def watch_hold(
    service: ProtectedService,
    facts: Facts,
    about: str,
    result: Result,
) -> None:
    """Have the sweep look whether an alarm that is red now stays so."""
    red = _red(facts.alarms)
    blames_nobody = result.reason in _ONLY_OF_SUSPECT and "/" not in about
    if result.reason in _NEVER or blames_nobody or not red:
        return
    resource = facts.service.arn if facts.service else str(service.key)
    watch = RedWatch(
        about,
        service.now,
        red,
        result,
        resource,
    )
    service.session.ledger.watch_red(service.key, watch)


def watch_held_back(
    session: Session,
    incident: Incident,
    result: Result,
) -> None:
    """The same of a claim that came to nothing.

    Its target cannot be brought back as it was.
    """
    intent = incident.intent
    if not intent.red:
        return
    watch = RedWatch(
        incident.deployment,
        session.now,
        intent.red,
        result,
        intent.service_arn,
    )
    session.ledger.watch_red(incident.key, watch)


def watch_superseded(
    session: Session,
    incident: Incident,
    red: Collection[str],
    result: Result,
) -> None:
    """The same of an incident that another deployment ended while alarms were red."""
    if not red:
        return
    deployment_id = incident.deployment.rpartition("/")[2]
    watch = RedWatch(
        f"superseded-{deployment_id}",
        session.now,
        tuple(red),
        result,
        incident.intent.service_arn,
    )
    session.ledger.watch_red(incident.key, watch)


def look_after(service: ProtectedService, answer: Answer) -> Answer:
    """Tell people of what is due, where an alarm is red still and nobody acts.

    Answers that, or what was answered before.
    """
    due = [watch for watch in service.ledger_state.red_watches if watch.due <= service.now]
    if not due:
        return answer
    has_just_acted = isinstance(answer, Result) and answer.outcome is Outcome.ROLLED_BACK
    alarms: tuple[Alarm, ...] = ()
    if not has_just_acted and not _is_silent(service):
        alarms = service.session.alarms.of(service.configured)
    for watch in due:
        escalated = _escalated(service, watch, alarms)
        answer = escalated or answer
        service.session.ledger.end_red_watch(
            service.key,
            watch,
            service.now,
            told=escalated is not None,
        )
    return answer


def _escalated(
    service: ProtectedService,
    watch: RedWatch,
    alarms: Collection[Alarm],
) -> Result | None:
    """What people are told of one hold, where its alarms have been red since and nobody acts."""
    red = [alarm for alarm in alarms if _has_been_red(alarm, watch)]
    if not red or _acts(service, watch):
        return None
    signals = ", ".join(sorted(alarm.signal for alarm in red))
    since = min(alarm.since or watch.since for alarm in red)
    burns = f"{signals} in ALARM since {clock(since)}, and nobody acts"
    summary = f"{service.key.service}: {burns}: {watch.message.summary}"
    result = replace(watch.message, summary=summary, escalated=True)
    notice = Notice(
        about=watch.about,
        reason=_ESCALATED,
        message=result,
        resource=watch.resource,
    )
    announce.tell_once(service.session, service.key, notice)
    return result


def _red(alarms: Collection[Alarm]) -> tuple[str, ...]:
    return tuple(alarm.name for alarm in alarms if alarm.in_alarm)


def _has_been_red(alarm: Alarm, watch: RedWatch) -> bool:
    """Whether an alarm that was red when the watch began has been red ever since."""
    if alarm.name not in watch.red or not alarm.in_alarm or alarm.since is None:
        return False
    return alarm.since <= watch.since + _CLOCKS_DIFFER


def _is_silent(service: ProtectedService) -> bool:
    """Whether a person has switched the automatic off, and knows."""
    paused_until = service.ledger_state.state.paused_until
    is_paused = paused_until is not None and paused_until > service.now
    return service.policy.mode is Mode.OFF or is_paused


def _acts(service: ProtectedService, watch: RedWatch) -> bool:
    """Whether a rollback is under way, or was begun since: how it ends is told for itself."""
    for incident in service.ledger_state.incidents:
        if incident.phase in (Phase.CLAIMED, Phase.OPEN):
            return True
        if incident.acted and incident.claimed_at >= watch.since:
            return True
    return False
