"""Is what was deployed after a rollback another build than what that restored?"""

from collections.abc import Iterator

from autorollback.decision.facts import Deployment, Facts, PastRollback, Revision
from autorollback.decision.lineage import deployment_of


def another_came(rollback: PastRollback, facts: Facts) -> bool:
    """Whether the newest deployment is known to bring another build than a rollback's own did.

    A pipeline may register what was restored again, and a definition may run other images than before: neither its
    number nor its ARN tells the build.
    """
    begun, newest = deployment_of(rollback, facts), facts.newest
    if begun is None or newest is None or newest == begun:
        return False
    restored = facts.revision(restored_by(begun))
    return _is_another(
        facts,
        newest,
        restored,
        rollback,
    )


def restored_by(begun: Deployment) -> str | None:
    """ARN of the service revision that a rollback's own deployment brings back."""
    return begun.rollback_revision if begun.status.is_rollback else begun.target


def told_apart_by_content(rollback: PastRollback, facts: Facts) -> Iterator[Revision]:
    """The revisions whose identity tells whether another build came, where their definitions do not."""
    begun, newest = deployment_of(rollback, facts), facts.newest
    if begun is None or newest is None:
        return
    restored = facts.revision(restored_by(begun))
    brought = facts.revision(newest.target)
    if brought is None or restored is None:
        return
    if brought.task_definition_arn != restored.task_definition_arn:
        yield brought
        yield restored


def _is_another(
    facts: Facts,
    newer: Deployment,
    restored: Revision | None,
    rollback: PastRollback,
) -> bool:
    """Whether a newer deployment is known to bring another build than was restored.

    ECS records the digests of a deployment's images once its first tasks have pulled them: until then what differs by
    their absence alone is waited for.
    """
    brought = facts.revision(newer.target)
    if brought is None:
        return True
    if restored is None:
        return brought.task_definition_arn != rollback.deployed
    if _run_other_images(brought, restored):
        return True
    if brought.task_definition_arn == restored.task_definition_arn:
        return False
    if None in (brought.identity, restored.identity):
        return set(brought.images) != set(restored.images)
    is_pulling = newer.status.in_progress and None in brought.images.values()
    return brought.identity != restored.identity and not is_pulling


def _run_other_images(one: Revision, other: Revision) -> bool:
    """Whether a container is known to run another digest in one revision than in the other."""
    for container, digest in one.images.items():
        before = other.images.get(container)
        if digest and before and digest != before:
            return True
    return False
