"""The facts as if another deployment began at this moment.

Readiness asks the judgement about them.
"""

from dataclasses import replace
from datetime import datetime

from autorollback.decision.facts import Deployment, Facts, Revision, Status
from autorollback.decision.lineage import running_now

NEXT = "the next deployment"


def with_next_deployment(facts: Facts, now: datetime) -> Facts:
    """The facts with a deployment that began just now, and brings what never ran here.

    It changes no setting of the service. Where AWS has no deployment on record any more (it keeps 90 days), what runs is its source, as it
    would be of a real one.
    """
    runs = running_now(facts)
    brought = Revision(
        arn=NEXT,
        task_definition=NEXT,
        task_definition_arn=NEXT,
        created_at=now,
        identity=NEXT,
        settings=runs.settings if runs else {},
    )
    sources: tuple[str, ...] = ()
    if facts.service and not facts.deployments:
        sources = facts.service.current_revisions
    coming = Deployment(
        arn=NEXT,
        status=Status.PENDING,
        created_at=now,
        target=NEXT,
        sources=sources,
    )
    return replace(
        facts,
        deployments=(coming, *facts.deployments),
        revisions={**facts.revisions, NEXT: brought},
    )
