"""Every five minutes: what events alone would lose. When all is calm it costs one ledger query and one DescribeAlarms."""

from datetime import timedelta
from functools import partial
from time import monotonic

from autorollback import metrics, results
from autorollback.aws.alarms import Alarms, RedAlarm
from autorollback.aws.deployment_group import newest_of
from autorollback.aws.evidence import FirstLook
from autorollback.aws.items import Recollection, State, judged_of
from autorollback.decision.model import Trigger, TriggerKind
from autorollback.flows import confirm, respond
from autorollback.flows.desk import Call, Desk
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from autorollback.results import Result

FOR_ONE_SERVICE = timedelta(seconds=30)
"""What must be left of the function's time to begin with another service; who comes too late is the next sweep's."""


def sweep(desk: Desk, call: Call) -> Result:
    """Look after all that is due and all that is red. What fails for one service does not keep the others waiting.

    Raises:
        ExceptionGroup: of what failed, once the rest has been done.
    """
    due, red = desk.ledger.due(call.now), Alarms(desk.clients, desk.names).red()
    alarms: dict[ServiceKey, list[RedAlarm]] = {key: [] for key in due}
    for alarm in red:
        alarms.setdefault(alarm.key.service, []).append(alarm)
    ends = monotonic() + (call.time_left - FOR_ONE_SERVICE).total_seconds()
    looked_at, failures = 0, list[Exception]()
    for key in _fairly(list(alarms), call):
        if monotonic() > ends:
            break
        try:
            if key in due or _has_news(desk, call, key, alarms[key]):
                desk.report(respond.under_lease(desk, call, key, partial(_next_step, desk, call, alarms[key])))
        except Exception as error:  # noqa: BLE001 - kept, and raised below: one broken policy must not stop the sweep of all
            error.add_note(str(key))
            failures.append(error)
        looked_at += 1
    metrics.count_sweep(desk.names.metric_namespace)
    if failures:
        raise ExceptionGroup(f"the sweep could not look after {len(failures)} of {len(alarms)} service(s)", failures)
    rest = len(alarms) - looked_at
    return results.done(f"{looked_at} service(s) looked after{f', {rest} left to the next sweep' if rest else ''}")


def _fairly(keys: list[ServiceKey], call: Call) -> list[ServiceKey]:
    """Each sweep begins elsewhere: where time does not suffice for all, everyone's turn comes."""
    start = int(call.now.timestamp()) // 60 % len(keys) if keys else 0
    return keys[start:] + keys[:start]


def _has_news(desk: Desk, call: Call, key: ServiceKey, red: list[RedAlarm]) -> bool:
    """Whether a red alarm has no verdict of its own on the service's newest deployment, nor was heard muted."""
    known = desk.ledger.recall(key, call.now)
    if known.unfinished or known.watched:
        return True
    _, page = newest_of(desk.clients, key, partial(_code_deploy, desk, key), desk.names.prefix)
    newest = next(iter(page.arns), "")
    return any(_unjudged(alarm, newest, known) for alarm in red)


def _code_deploy(desk: Desk, key: ServiceKey) -> str | None:
    """The deployment group of CodeDeploy that the service's policy names."""
    policy = desk.evidence.policies.of(key)
    return policy.code_deploy if policy else None


def _unjudged(alarm: RedAlarm, newest: str, known: Recollection) -> bool:
    muted = known.muted.get(alarm.name)
    if muted is not None and alarm.onset <= muted:
        return False
    given_up = (i for i in known.incidents if i.state in (State.FAILED, State.NOT_RECOVERED))
    if any(newest in (i.deployment, i.rollback_deployment) for i in given_up):
        return False  # people have been told to look
    return not known.judged.issuperset(judged_of(newest, [alarm.name]))


def _next_step(desk: Desk, call: Call, red: list[RedAlarm], look: FirstLook, policy: ServicePolicy) -> Result:
    """What is to be done for one service: the first that applies."""
    known, newest = look.recollection, next(iter(look.page.arns), "")
    if known.open_incidents:
        return confirm.follow(desk, call, look, policy)
    if late := next((watched for watched in known.watched if watched.due <= call.now), None):
        look_after = respond.turned_away if late.tasks else confirm.left_to_ecs
        return look_after(desk, call, look, policy, late)
    if alarm := next((a for a in red if _unjudged(a, newest, known)), None):
        return respond.judge(desk, call, look, policy, Trigger(TriggerKind.ALARM, call.now, alarm.name))
    return results.done("nothing of this service wants looking after")
