"""Whether a claim that was read from the ledger is to be believed.

It is checked like an event, before it is acted on.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ecs import DeploymentPage, History
from autorollback.decision.definition import Definition, canonical, pinned_digest, short_name
from autorollback.decision.facts import Revision
from autorollback.decision.incident import Incident
from autorollback.flows.session import ProtectedService

PAGES = 10
"""Pages of deployments that are read at most to find what a claim goes back to."""


def objection_to(service: ProtectedService, claim: Incident) -> str | None:
    """Why a claim cannot be believed; None where nothing speaks against it.

    It must be this service's own, and go back to a definition of a family that the policy allows, one that ran here
    with just these images or that a person named.
    """
    objection = _of_names(service, claim)
    if objection is not None:
        return objection
    if claim.intent.pins and not claim.automatic:
        return None
    return _of_target(service, claim)


def _of_names(service: ProtectedService, claim: Incident) -> str | None:
    """What the record's own names say against it: nothing is asked of AWS."""
    intent, key = claim.intent, service.key
    if claim.written_for not in (None, key):
        return f"it names the service {claim.written_for}"
    group = service.configured.code_deploy if intent.method.through_code_deploy else None
    if intent.code_deploy != group:
        return f"it names the deployment group {intent.code_deploy}"
    if group is None and f":service-deployment/{key}/" not in claim.deployment:
        return f"it names the deployment {claim.deployment}"
    for arn in (intent.target, intent.deploy):
        family = short_name(arn).partition(":")[0]
        if not service.policy.allows_family(family):
            return f"the family {family} is none of those under families in services.yaml"
        if not _is_of_account(service, arn):
            return f"{arn} is of another account or Region"
    return None


def _is_of_account(service: ProtectedService, arn: str) -> bool:
    described = service.snapshot.service
    if described is None:
        return True
    return arn.startswith(f"{described.arn.partition(':service/')[0]}:task-definition/")


def _of_target(service: ProtectedService, claim: Incident) -> str | None:
    """What speaks against its target: that it never ran here, or ran otherwise than the claim says."""
    intent = claim.intent
    name = short_name(intent.target)
    found = (one for one in _ran_here(service) if one.task_definition_arn == intent.target)
    newest = next(found, None)
    if newest is None and _may_have_left_no_trace(service, claim):
        return None
    if newest is None:
        return f"{name} is no revision that ran in this service"
    if intent.needs_copy:
        return _of_copy(service, claim, chain([newest], found))
    return None if intent.deploy == intent.target else f"{intent.deploy} is no copy of {name}"


def _of_copy(
    service: ProtectedService,
    claim: Incident,
    ran: Iterable[Revision],
) -> str | None:
    """What speaks against a copy of the target: that the images or the content are not those that ran."""
    intent = claim.intent
    name = short_name(intent.target)
    try:
        original = service.session.definitions.describe(intent.target)
        deployed = service.session.definitions.describe(intent.deploy)
    except UnknownDefinition as unknown:
        return f"a task definition cannot be described: {unknown}"
    if not any(_ran_with(claim, original, revision) for revision in ran):
        return f"{name} did not run here with the images that it names"
    pinned = original.pinned(intent.digests)
    if intent.deploy != intent.target and canonical(deployed.content) != canonical(pinned):
        return f"{deployed.name} is no copy of {name}"
    return None


def _may_have_left_no_trace(service: ProtectedService, claim: Incident) -> bool:
    """Whether AWS may have no record of the target any more.

    CodeDeploy does not record what the first deployment of a group replaced, and the task set that told it is gone by
    the time that a second try is due. Before any other deployment something is on record.
    """
    intent = claim.intent
    if not intent.method.through_code_deploy or intent.again_at is None:
        return False
    listed: list[str] = []
    for page in _pages(service, _history(service)):
        listed += page.arns
    return listed[-1:] == [claim.deployment]


def _ran_with(
    claim: Incident,
    original: Definition,
    revision: Revision,
) -> bool:
    """Whether a revision ran with the digests that a claim wants back."""
    for container, digest in claim.intent.digests.items():
        pinned = pinned_digest(original.images.get(container, ""))
        if digest is not None and digest not in (revision.images.get(container), pinned):
            return False
    return True


def _ran_here(service: ProtectedService) -> Iterator[Revision]:
    """The service revisions that AWS has on record, the newest first, then what the ledger remembers as known good."""
    history = _history(service)
    for page in _pages(service, history):
        arns = list(page.targets)
        for deployment in history.deployments(page.arns):
            arns += deployment.sources
        yield from history.revisions(list(dict.fromkeys(arns))).values()
    for known in service.ledger_state.state.known_good:
        yield known.revision


def _history(service: ProtectedService) -> History:
    """The service's deployments; those of a group with the whole names of what they brought."""
    deployments = service.session.deployments
    described, named = service.snapshot.service, service.configured.code_deploy
    if described is None or named is None:
        return deployments.history(named)
    return deployments.group_of(described, named)


def _pages(service: ProtectedService, history: History) -> Iterator[DeploymentPage]:
    """The pages of its deployments, the newest first, at most `PAGES`."""
    after: str | None = None
    for _ in range(PAGES):
        page = history.deployments_page(service.key, after)
        yield page
        after = page.next
        if after is None:
            return
