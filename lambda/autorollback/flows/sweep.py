"""Every five minutes: what events alone would lose. When all is calm it costs one query and one DescribeAlarms."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic

from autorollback import metrics
from autorollback.decision.facts import RedAlarm, Trigger, TriggerKind
from autorollback.decision.incident import Phase
from autorollback.decision.ledger_state import ServiceLedger, verdict_marks
from autorollback.flows import (
    announce,
    confirm,
    left_behind,
    respond,
    settle,
    still_red,
    traffic_watch,
)
from autorollback.flows.session import ProtectedService, Session, already_being_judged
from autorollback.naming import ServiceKey
from autorollback.results import Answer, Done

FOR_ONE_SERVICE = timedelta(seconds=30)
"""What must be left of the function's time to begin with another service."""


def sweep(session: Session) -> Done:
    """Look after all that is due and all that is red. What fails for one service stops no other.

    Raises:
        ExceptionGroup: of what failed, once the rest has been done.
    """
    due = session.ledger.due(session.now)
    red = _by_service(session.alarms.red())
    keys = _fairly(session, list(dict.fromkeys([*due, *red])))
    looked_at, failures = _look_after_all(
        session,
        keys,
        due,
        red,
    )
    failures += _send_kept(session, due)
    metrics.count_sweep(session.names.metric_namespace)
    if failures:
        told = f"the sweep could not look after {len(failures)} of {len(keys)} service(s)"
        raise ExceptionGroup(told, failures)
    rest = len(keys) - looked_at
    left = f", {rest} left to the next sweep" if rest else ""
    return Done(f"{looked_at} service(s) looked after{left}")


def _by_service(red: Iterable[RedAlarm]) -> dict[ServiceKey, list[RedAlarm]]:
    alarms: dict[ServiceKey, list[RedAlarm]] = {}
    for alarm in red:
        alarms.setdefault(alarm.key.service, []).append(alarm)
    return alarms


def _fairly(session: Session, keys: list[ServiceKey]) -> list[ServiceKey]:
    """Each sweep begins elsewhere: where time does not suffice for all, everyone's turn comes."""
    if not keys:
        return keys
    start = int(session.now.timestamp()) // 60 % len(keys)
    return keys[start:] + keys[:start]


def _look_after_all(
    session: Session,
    keys: Sequence[ServiceKey],
    due: Sequence[ServiceKey],
    red: dict[ServiceKey, list[RedAlarm]],
) -> tuple[int, list[Exception]]:
    """As many services as there is time for; how many, and what failed."""
    ends = monotonic() + (session.invocation.time_left - FOR_ONE_SERVICE).total_seconds()
    looked_at = 0
    failures: list[Exception] = []
    for key in keys:
        if monotonic() > ends:
            break
        alarms = red.get(key, [])
        try:
            if key in due and session.policy_of(key) is None:
                session.report(_end_what_is_left(session, key))
            elif key in due or _has_news(session, key, alarms):
                session.report(_look_after(session, key, alarms))
        except Exception as error:  # noqa: BLE001 - kept, and raised by the caller: it must not stop the others
            error.add_note(str(key))
            failures.append(error)
        looked_at += 1
    return looked_at, failures


def _send_kept(session: Session, due: Iterable[ServiceKey]) -> list[Exception]:
    """Send what could not be sent, once all else is done; what failed otherwise than by the message."""
    failures: list[Exception] = []
    for key in due:
        try:
            announce.send_kept(session, key)
        except Exception as error:  # noqa: BLE001 - kept, and raised by the caller
            error.add_note(str(key))
            failures.append(error)
    return failures


def _end_what_is_left(session: Session, key: ServiceKey) -> Answer:
    with session.lease(key) as leased:
        if not leased:
            return already_being_judged(key)
        return left_behind.look_after(session, key)


def _look_after(
    session: Session,
    key: ServiceKey,
    red: Sequence[RedAlarm],
) -> Answer:
    with session.lease(key) as leased:
        if not leased:
            return already_being_judged(key)
        service = settle.take_up(session, key)
        if not isinstance(service, ProtectedService):
            return service
        return still_red.look_after(service, _next_step(service, red))


def _has_news(
    session: Session,
    key: ServiceKey,
    red: Sequence[RedAlarm],
) -> bool:
    """Whether a red alarm has no verdict of its own on the newest deployment, nor was heard muted.

    An alarm may be named like those of a service, and be of none that is protected: of such a
    service nothing is read, and the answer says so.
    """
    if session.policy_of(key) is None:
        return True
    known = session.ledger.recall(key, session.now)
    if known.unfinished_claim or known.pending_checks:
        return True
    newest = session.deployments.newest_of(key, partial(_code_deploy, session, key))
    return any(_unjudged(alarm, newest, known) for alarm in red)


def _code_deploy(session: Session, key: ServiceKey) -> str | None:
    """The deployment group of CodeDeploy that the service's policy names."""
    policy = session.policy_of(key)
    return policy.code_deploy if policy else None


def _unjudged(
    alarm: RedAlarm,
    newest: str,
    known: ServiceLedger,
) -> bool:
    muted_at = known.muted.get(alarm.name)
    if muted_at is not None and alarm.onset <= muted_at:
        return False
    for incident in known.incidents:
        was_given_up = incident.phase in (Phase.FAILED, Phase.NOT_RECOVERED)
        if was_given_up and newest in (incident.deployment, incident.rollback_deployment):
            return False  # people have been told to look
    return not known.judged.issuperset(verdict_marks(newest, (alarm.name,)))


def _next_step(looked_at: ProtectedService, red: Sequence[RedAlarm]) -> Answer:
    """What is to be done for one service: the first that applies."""
    traffic_watch.look_again(looked_at)
    service = confirm.follow_first(looked_at)
    if not isinstance(service, ProtectedService):
        return service
    known, newest = service.ledger_state, service.newest_deployment
    for check in known.pending_checks:
        if check.due <= service.now:
            if check.tasks:
                return respond.judge_turned_away(service, check)
            return confirm.look_into(service, check)
    for alarm in red:
        if _unjudged(alarm, newest, known):
            trigger = Trigger(TriggerKind.ALARM, service.now, alarm.name)
            return respond.judge(service, trigger)
    return Done("nothing of this service wants looking after")
