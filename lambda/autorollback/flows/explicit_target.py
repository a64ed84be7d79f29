"""What a person names: a revision, or a tag of an image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import UnknownDefinition
from autorollback.aws.ecs import DeploymentPage
from autorollback.decision import stability, targets
from autorollback.decision.definition import Definition, described_as, pinned_digest
from autorollback.decision.facts import Facts, Revision, Service
from autorollback.decision.formatting import clock
from autorollback.decision.image_reference import Image
from autorollback.decision.lineage import running_now
from autorollback.decision.preflight_case import own_images
from autorollback.decision.question import Question
from autorollback.decision.reads import OLDER_PAGES
from autorollback.decision.stability import StabilityAssessment
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Check, CheckName
from autorollback.flows.session import ProtectedService
from autorollback.naming import Home
from autorollback.requests import BadRequest, Manual

SHOWN = 19
"""Characters of a digest, enough to tell two apart."""


def revision_named(
    service: ProtectedService,
    facts: Facts,
    wanted: str,
) -> Candidate:
    """A revision that a person named, with the digests that it ran with here.

    They are those of its best run, else of its newest. AWS is asked for as much of the service's
    past as that needs; then the ledger. What never ran here is told as such, and is no failure: a
    person decided.

    Raises:
        BadRequest: where it is of another family, or there is none.
    """
    running = _known_service(facts).task_definition
    definition = definition_named(
        service,
        running,
        wanted,
        "revision",
    )
    facts = _with_runs_of(service, facts, definition)
    runs = _runs_of(facts, definition)
    if runs:
        facts = replace(facts, revisions={**facts.revisions, **runs})
        facts = _with_histories(service, facts, runs)
        return _best_run(service, facts, runs)
    return _seen_by_ledger(facts, definition) or _not_known_to_have_run(service, facts, definition)


def tagged(
    service: ProtectedService,
    facts: Facts,
    asked: Manual,
) -> Candidate:
    """The definition that the service runs now, with a tag resolved to its digest.

    Raises:
        BadRequest: where the definition, the container, its repository or the tag cannot be told,
            with what there is.
    """
    ecs_service, tag = _known_service(facts), str(asked.image_tag)
    definition = _definition_that_runs(service, ecs_service, tag)
    own = own_images(definition, Home.of_service(ecs_service.arn))
    named = _containers_named(own, asked.container)
    repository = _repository_of(named, own, asked.container)
    digest = _digest_of(service, repository, tag)

    runs = running_now(facts)
    images: dict[str, str | None] = dict.fromkeys(definition.images)
    if runs and runs.task_definition_arn == definition.arn:
        images.update((name, runs.images.get(name)) for name in definition.images)
    images.update(dict.fromkeys(named, digest))

    what = f"{repository}:{tag} ({digest[:SHOWN]})"
    detail = f"is to run {what} in {', '.join(sorted(named))}"
    revision = _as_revision(service, definition, images)
    return Candidate(revision, CandidateVerdict.STABLE, detail)


# --- a revision ------------------------------------------------------------------------------


def definition_named(
    service: ProtectedService,
    running: str,
    wanted: str,
    field: str,
) -> Definition:
    """The definition that a field of the payload names.

    By its number in the family that runs, as `family:18`, or by its ARN.

    Raises:
        BadRequest: where it is of another family, or there is none.
    """
    family = _family(running)
    reference = f"{family}:{wanted}" if wanted.isdecimal() else wanted
    if _family(reference) != family:
        raise BadRequest(field, wanted, f"a revision of the service's family {family}")
    try:
        return service.session.definitions.describe(reference)
    except UnknownDefinition as error:
        allowed = f"an existing revision of {family} ({error})"
        raise BadRequest(field, wanted, allowed) from error


def _family(reference: str) -> str:
    return reference.rpartition("/")[2].partition(":")[0]


def _with_runs_of(
    service: ProtectedService,
    facts: Facts,
    definition: Definition,
) -> Facts:
    """The facts with further pages of deployments, until one brings the definition.

    Or until nothing is left to read.
    """
    history = service.snapshot.history
    after = service.snapshot.page.next
    for _ in range(OLDER_PAGES):
        if after is None or _runs_of(facts, definition):
            break
        page = history.deployments_page(service.key, after)
        facts = _with_page(service, facts, page)
        after = page.next
    return replace(facts, so_far=replace(facts.so_far, next_page=after))


def _with_page(
    service: ProtectedService,
    facts: Facts,
    page: DeploymentPage,
) -> Facts:
    history = service.snapshot.history
    known = {deployment.arn for deployment in facts.deployments}
    deployments = [arn for arn in page.arns if arn not in known]
    revisions = [arn for arn in page.targets if arn not in facts.revisions]
    seen = in_parallel(
        {
            "deployments": partial(history.deployments, deployments),
            "revisions": partial(history.revisions, revisions),
        }
    )
    return replace(
        facts,
        deployments=(*facts.deployments, *seen["deployments"]),
        revisions={**facts.revisions, **seen["revisions"]},
    )


def _runs_of(facts: Facts, definition: Definition) -> dict[str, Revision]:
    """The service revisions that ran it, by ARN, each with its identity."""
    runs: dict[str, Revision] = {}
    for arn, revision in facts.revisions.items():
        if revision.task_definition_arn == definition.arn:
            runs[arn] = described_as(revision, definition)
    return runs


def _with_histories(
    service: ProtectedService,
    facts: Facts,
    runs: Mapping[str, Revision],
) -> Facts:
    """The facts with the alarms' histories since these runs, or as CloudWatch keeps them."""
    question = Question(facts, service.policy, service.now)
    periods = [period for period in question.periods if period.revision in runs]
    return service.session.reader.with_histories(question, periods)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of what was named; it has no assessment where no deployment of it completed."""

    revision: Revision
    quarantined: bool
    assessment: StabilityAssessment | None = None
    until: datetime | None = None

    @property
    def worth(self) -> tuple[bool, bool, float]:
        """Stable before not, then what nobody rolled back from, then the newest."""
        stable = self.assessment is not None and self.assessment.stable
        return stable, not self.quarantined, self.revision.created_at.timestamp()

    @property
    def detail(self) -> str:
        """How it fared, in words."""
        fared = "it never completed a deployment"
        if self.assessment is not None:
            fared = f"{self.assessment.detail}{self.assessment.aside}"
        came = clock(self.revision.created_at)
        return f"was named by a person; it came to this service at {came}: {fared}"


def _best_run(
    service: ProtectedService,
    facts: Facts,
    runs: Mapping[str, Revision],
) -> Candidate:
    assessed: dict[str, _Run] = {}
    for arn, revision in runs.items():
        quarantined = revision.identity in facts.ledger.quarantined
        assessed[arn] = _Run(revision, quarantined)

    question = Question(facts, service.policy, service.now)
    for period in reversed(question.periods):  # of several, the newest stands
        run = assessed.get(period.revision)
        if run:
            assessment = stability.assess(period, question)
            assessed[period.revision] = replace(run, assessment=assessment, until=period.until)

    best = max(assessed.values(), key=lambda run: run.worth)
    stable = CandidateVerdict.STABLE
    checks = (_ran(best.detail),)
    return Candidate(
        best.revision,
        stable,
        best.detail,
        checks,
        between=_deployed_after(facts, best),
        ran_until=best.until,
    )


def _deployed_after(facts: Facts, run: _Run) -> tuple[Revision | None, ...]:
    """What was deployed after a run, or since it was tried where no deployment of it completed."""
    since = targets.deployed_since(facts, run.until or run.revision.created_at)
    return tuple(one for one in since if one is None or one.identity != run.revision.identity)


def _seen_by_ledger(facts: Facts, definition: Definition) -> Candidate | None:
    for known in facts.ledger.known_good:
        if known.revision.task_definition_arn == definition.arn:
            seen = f"the ledger saw it serve until {clock(known.until)}"
            detail = f"was named by a person; {seen}"
            revision = described_as(known.revision, definition)
            between = targets.deployed_since(facts, known.until)
            if not targets.reaches_back_to(facts, known):
                between = (None, *between)
            return Candidate(
                revision,
                CandidateVerdict.STABLE,
                detail,
                (_ran(detail),),
                between=between,
                ran_until=known.until,
            )
    return None


def _not_known_to_have_run(
    service: ProtectedService,
    facts: Facts,
    definition: Definition,
) -> Candidate:
    """What no deployment that was read has brought.

    Where older ones were not read, it is not known either what came after it.
    """
    images = {name: pinned_digest(image) for name, image in definition.images.items()}
    detail = "was named by a person; no run of it in this service is on record"
    between: tuple[None, ...] = ()
    if facts.so_far.next_page is not None:
        newest = len(facts.deployments)
        detail = f"{detail} in the newest {newest:,} deployments, and no older ones were read"
        between = (None,)
    revision = _as_revision(service, definition, images)
    check = Check(CheckName.HAS_RUN_HERE, None, detail)
    return Candidate(
        revision,
        CandidateVerdict.STABLE,
        detail,
        (check,),
        between=between,
    )


def _ran(detail: str) -> Check:
    return Check(CheckName.HAS_RUN_HERE, passed=True, detail=detail)


# --- a tag -----------------------------------------------------------------------------------


def _definition_that_runs(
    service: ProtectedService,
    ecs_service: Service,
    tag: str,
) -> Definition:
    try:
        return service.session.definitions.describe(ecs_service.task_definition)
    except UnknownDefinition as error:
        undescribed = "the definition that the service runs cannot be described"
        allowed = f"a revision instead: {undescribed} ({error})"
        raise BadRequest("image_tag", tag, allowed) from error


def _containers_named(own: Mapping[str, Image], container: str | None) -> Mapping[str, Image]:
    """The one container that a person named, or all, with their images."""
    if container is None:
        return own
    if container not in own:
        allowed = f"a container with an image in this account's ECR: {_list(own)}"
        raise BadRequest("container", container, allowed)
    return {container: own[container]}


def _repository_of(
    named: Mapping[str, Image],
    own: Mapping[str, Image],
    container: str | None,
) -> str:
    """The one repository of their images."""
    repositories = {image.repository for image in named.values()}
    if len(repositories) != 1:
        allowed = "no container has an image in this account's ECR"
        if own:
            allowed = f"the container whose image has this tag: {_list(own)}"
        raise BadRequest("container", container, allowed)
    return repositories.pop()


def _digest_of(
    service: ProtectedService,
    repository: str,
    tag: str,
) -> str:
    dependencies = service.session.dependencies
    digest = dependencies.digest_of(repository, tag)
    if digest is None:
        existing = ", ".join(dependencies.tags_like(repository, tag)) or "it has none"
        allowed = f"a tag of the repository {repository}; the nearest: {existing}"
        raise BadRequest("image_tag", tag, allowed)
    return digest


def _as_revision(
    service: ProtectedService,
    definition: Definition,
    images: Mapping[str, str | None],
) -> Revision:
    return Revision(
        arn=definition.arn,
        task_definition=definition.name,
        task_definition_arn=definition.arn,
        created_at=service.now,
        images=images,
        identity=definition.identity(images),
        irreversible=definition.irreversible,
    )


def _known_service(facts: Facts) -> Service:
    if facts.service is None:
        raise ValueError("a target is named only in a service that ECS knows")
    return facts.service


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "there is none"
