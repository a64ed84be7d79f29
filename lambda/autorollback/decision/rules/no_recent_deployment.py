"""Rule 3: a deployment that is recent enough is suspect.

It is the newest service deployment that changed what runs.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from autorollback.decision.alarm_order import predates, trouble_began
from autorollback.decision.case import Case, Rule, Suspicion
from autorollback.decision.changes import (
    changed_settings,
    is_restart,
    is_return,
    name_of,
    not_described,
)
from autorollback.decision.facts import (
    Controller,
    Deployment,
    Facts,
    Quarantine,
    Secret,
    TriggerKind,
)
from autorollback.decision.formatting import clock, first_few
from autorollback.decision.lineage import SAME_MOMENT, is_rollback, running_before
from autorollback.decision.quarantine import known_bad, words_of
from autorollback.decision.question import Question
from autorollback.decision.stability import may_have_been_stable
from autorollback.decision.verdicts import Hold, Ignore, Reason
from autorollback.decision.window import within_window

SECRETS_TOLD = 5
"""Secrets and parameters that changed, of which as many are named."""


def find_suspect(question: Question) -> Suspicion | Hold | Ignore:
    """The deployment that is suspect; restarts that nothing followed are passed over.

    That it went back, or changed settings alone, is said however long ago it was.
    """
    onsets = _onsets(question.facts)
    for index, deployment in enumerate(question.facts.deployments):
        recent = _recent(question, deployment, onsets)
        answer = _of_deployment(question, index, recent)
        if answer:
            return answer
    return Hold(Reason.NO_RECENT_DEPLOYMENT, "no deployment on record changed what runs")


def _onsets(facts: Facts) -> list[datetime]:
    """When the trouble began: the trigger's own first, then that of each other alarm that is red, earliest first."""
    others: list[datetime] = []
    if facts.trigger.kind is TriggerKind.ALARM:
        others = sorted(one.onset for one in facts.alarms if one.in_alarm and one.onset)
    return [trouble_began(facts), *others]


def _recent(
    question: Question,
    deployment: Deployment,
    onsets: Sequence[datetime],
) -> Suspicion | Hold:
    """Whether a deployment is recent enough for one of the alarms to convict it; what the first says where it is not."""
    answers = [
        within_window(
            deployment,
            question.facts,
            onset,
            question.policy,
        )
        for onset in onsets
        if onset is onsets[0] or onset >= deployment.start
    ]
    suspicions = (one for one in answers if isinstance(one, Suspicion))
    return next(suspicions, answers[0])


def _of_deployment(
    question: Question,
    index: int,
    recent: Suspicion | Hold,
) -> Suspicion | Hold | Ignore | None:
    """What is to be said of one deployment; None where it is passed over."""
    facts = question.facts
    known = known_bad(question, index)
    restarts = is_restart(facts, index)
    if known and not restarts:
        return _of_known_bad(facts, recent, known)
    if is_rollback(facts.deployments[index], facts):
        return _goes_back(facts, index, recent)
    unread = not_described(facts, index)
    if unread:
        return _of_undescribed(unread, recent)
    if restarts:
        return _of_restart(question, index, recent, known)
    if is_return(question, index):
        return _goes_back(facts, index, recent)
    return _of_change(facts, recent)


def _of_known_bad(
    facts: Facts,
    recent: Suspicion | Hold,
    known: Quarantine,
) -> Suspicion | Hold | Ignore:
    if isinstance(recent, Hold):
        return recent
    detail = f"{recent.detail}, and brings back {words_of(known)}"
    comes_back = replace(recent, known_bad=known, detail=detail)
    return _of_an_older_one(facts, recent) or comes_back


def _of_undescribed(unread: str, recent: Suspicion | Hold) -> Hold:
    """What could not be described is neither blamed nor acquitted."""
    if isinstance(recent, Hold):
        return recent
    detail = f"{unread} could not be described: what that deployment changed is not known"
    return Hold(Reason.NO_RECENT_DEPLOYMENT, detail, recent.suspect)


def _of_change(facts: Facts, recent: Suspicion | Hold) -> Suspicion | Hold | Ignore:
    if isinstance(recent, Hold):
        return recent
    return _of_an_older_one(facts, recent) or recent


def _of_restart(
    question: Question,
    index: int,
    recent: Suspicion | Hold,
    known: Quarantine | None,
) -> Suspicion | Hold | Ignore | None:
    """What is to be said of a deployment that brought what ran already; None where it is passed over."""
    facts = question.facts
    changed = changed_settings(facts, index)
    if isinstance(recent, Hold):
        return _only_settings(facts.deployments[index], changed, recent) if changed else None
    suspect = recent.suspect
    began_before = _began_before(facts, suspect, recent.onset)
    if changed and (suspect.status.in_progress or not began_before):
        return _of_an_older_one(facts, recent) or _only_settings(suspect, changed, recent)
    if began_before or known:
        return None
    return _only_restarted(question, index)


def _goes_back(
    facts: Facts,
    index: int,
    recent: Suspicion | Hold,
) -> Hold:
    deployment = facts.deployments[index]
    name = name_of(facts.revision(deployment.target))
    detail = f"the deployment of {clock(deployment.start)} is itself a rollback, to {name}"
    if deployment.status.is_rollback:
        status = f"the deployment of {name} ({deployment.status})"
        detail = f"{_deployer(facts)} has rolled back, or is rolling back, {status}"
    return _held(
        Reason.DEPLOYMENT_IS_A_ROLLBACK,
        detail,
        deployment,
        recent,
    )


def _held(
    reason: Reason,
    detail: str,
    deployment: Deployment,
    recent: Suspicion | Hold,
) -> Hold:
    """A hold about a deployment, which is no suspect if it ended too long before the trouble."""
    if isinstance(recent, Suspicion):
        return Hold(reason, detail, deployment)
    return Hold(
        reason,
        f"{detail}; {recent.detail}",
        deployment,
        long_ago=True,
    )


def _deployer(facts: Facts) -> str:
    through_code_deploy = facts.service and facts.service.controller is Controller.CODE_DEPLOY
    return "CodeDeploy" if through_code_deploy else "ECS"


def _of_an_older_one(facts: Facts, suspicion: Suspicion) -> Ignore | None:
    """What ECS said before a deployment began, it said of an older one; of this one it will speak again."""
    deployment, onset = suspicion.suspect, suspicion.onset
    if facts.trigger.kind is TriggerKind.ALARM or onset >= deployment.start - SAME_MOMENT:
        return None
    event = f"the event of {clock(onset)} is older than the deployment of"
    detail = f"{event} {clock(deployment.start)}: somebody deployed meanwhile"
    return Ignore(Reason.SUPERSEDED, detail)


def _began_before(
    facts: Facts,
    deployment: Deployment,
    onset: datetime,
) -> bool:
    """Whether the trouble that the trigger speaks of was there before a deployment began."""
    alarm = facts.alarm(facts.trigger.alarm)
    if alarm and alarm.onset:
        return predates(alarm, deployment)
    return onset < deployment.start


def _only_settings(
    deployment: Deployment,
    changed: Sequence[str],
    recent: Suspicion | Hold,
) -> Suspicion | Hold:
    """One that has completed is a person's; one in progress can be stopped, which brings its settings back."""
    names = ", ".join(changed)
    if isinstance(recent, Suspicion) and deployment.status.in_progress:
        detail = f"{recent.detail} and changes only settings of the service: {names}"
        return Suspicion(deployment, recent.onset, detail)
    what = f"the deployment of {clock(deployment.start)} changed only settings of the service"
    return _held(
        Reason.ONLY_SETTINGS_CHANGED,
        f"{what}: {names}",
        deployment,
        recent,
    )


def _only_restarted(question: Question, index: int) -> Hold | None:
    """A restart of what had been stable, which the trouble followed. Any other restart is passed over."""
    facts = question.facts
    restart = facts.deployments[index]
    target = facts.revision(restart.target)
    if target is None or may_have_been_stable(question, target, restart.start) is None:
        return None
    what = f"the deployment of {clock(restart.start)} restarted what had been stable before"
    unchanged = "nothing that a rollback restores has changed"
    detail = f"{what}: {unchanged}; {_new_to_its_tasks(facts, index)}"
    return Hold(Reason.ONLY_SETTINGS_CHANGED, detail, restart)


def _new_to_its_tasks(facts: Facts, index: int) -> str:
    """Which secrets and parameters a restart may have brought anew.

    They are those that changed since what it restarted had started.
    """
    if facts.secrets is None:
        return "look at secrets, parameters and what the service depends on"
    since = _restarted_since(facts, index)
    told = [f"{secret.name}: {secret.wrong}" for secret in facts.secrets if secret.wrong]
    for secret in facts.secrets:
        if secret.changed_at and secret.changed_at > since:
            told.append(f"{secret.name} changed at {clock(secret.changed_at)}")
    if told:
        return f"of its secrets and parameters, though: {'; '.join(first_few(told, SECRETS_TOLD))}"
    return f"{_none_changed(facts.secrets, since)}: look at what the service depends on"


def _none_changed(secrets: Sequence[Secret], since: datetime) -> str:
    if not secrets:
        return "it is given no secrets or parameters"
    return f"none of its {len(secrets)} secrets and parameters has changed since {clock(since)}"


def _restarted_since(facts: Facts, index: int) -> datetime:
    """Since when what a deployment restarted had run."""
    older = facts.deployments[index + 1 :]
    if older:
        return older[0].start
    source = running_before(facts, index)
    return source.created_at if source else facts.deployments[index].start


def _ask(case: Case) -> Suspicion | Hold | Ignore:
    return find_suspect(case.question)


RULE = Rule("no_recent_deployment", _ask)
