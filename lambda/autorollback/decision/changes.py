"""What did a deployment change, and did it go back to what ran before?"""

from autorollback.decision.facts import Deployment, Facts, Revision, Status
from autorollback.decision.formatting import clock
from autorollback.decision.lineage import (
    is_rollback,
    rollback_behind,
    running_before,
    something_ran_before,
)
from autorollback.decision.question import Question
from autorollback.decision.stability import may_have_been_stable


def is_restart(facts: Facts, index: int) -> bool:
    """Whether a deployment brings what ran already.

    One that takes the place of another build's unfinished one goes back, and is no restart.
    """
    target = facts.revision(facts.deployments[index].target)
    source = running_before(facts, index)
    if target is None or source is None or target.identity is None:
        return False
    if target.identity != source.identity:
        return False

    aborted = _unfinished_before(facts, index)
    brought = facts.revision(aborted.target) if aborted else None
    return brought is None or brought.identity in (None, target.identity)


def is_return(question: Question, index: int) -> bool:
    """Whether a deployment went back to what had run before.

    It was ECS, this controller, or a person who returned to what had been stable.
    """
    facts = question.facts
    deployment = facts.deployments[index]
    if is_rollback(deployment, facts):
        return True

    target = facts.revision(deployment.target)
    if target is None or is_restart(facts, index) or not something_ran_before(facts, index):
        return False
    if _was_recorded_good(facts, target, deployment):
        return True
    return may_have_been_stable(question, target, deployment.start) is not None


def changed_settings(facts: Facts, index: int) -> list[str]:
    """Names of the service settings that a deployment changed."""
    before = _settings(running_before(facts, index))
    after = _settings(facts.revision(facts.deployments[index].target))
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def only_settings_in_progress(facts: Facts, suspect: Deployment) -> bool:
    """Whether a suspect in progress changes nothing but settings: stopped, it brings them back."""
    index = facts.deployments.index(suspect)
    if not suspect.status.in_progress or not is_restart(facts, index):
        return False
    return bool(changed_settings(facts, index))


def newest_but_restarts(facts: Facts) -> Deployment | None:
    """The newest deployment that is no restart of what ran.

    A rollback of this controller is none.
    """
    for index, deployment in enumerate(facts.deployments):
        if rollback_behind(deployment, facts) or not is_restart(facts, index):
            return deployment
    return facts.newest


def not_described(facts: Facts, index: int) -> str | None:
    """What of a deployment could not be described.

    Then nobody can tell what it changed; None if all was.
    """
    deployment = facts.deployments[index]
    if not _has_identity(facts.revision(deployment.target)):
        return f"what the deployment of {clock(deployment.start)} brought"

    aborted = _unfinished_before(facts, index)
    if aborted and not _has_identity(facts.revision(aborted.target)):
        return f"what the unfinished deployment of {clock(aborted.start)} brought"

    if something_ran_before(facts, index) and not _has_identity(running_before(facts, index)):
        return f"what ran before the deployment of {clock(deployment.start)}"
    return None


def name_of(revision: Revision | None) -> str:
    """A revision as people know it, also where it could not be described."""
    return revision.task_definition if revision else "an unknown revision"


def _has_identity(revision: Revision | None) -> bool:
    return revision is not None and revision.identity is not None


def _settings(revision: Revision | None) -> dict[str, str]:
    return dict(revision.settings) if revision else {}


def _was_recorded_good(
    facts: Facts,
    target: Revision,
    deployment: Deployment,
) -> bool:
    """Whether the ledger saw what a deployment brings run well before that."""
    for good in facts.ledger.known_good:
        if good.until <= deployment.start and good.revision.identity == target.identity:
            return True
    return False


def _unfinished_before(facts: Facts, index: int) -> Deployment | None:
    """The deployment that one took the place of before it had finished, where nobody rolled it back."""
    if index + 1 >= len(facts.deployments):
        return None
    before = facts.deployments[index + 1]
    if before.status is Status.SUCCESSFUL or before.status.is_rollback:
        return None
    return before
