"""What a person names instead of leaving the choice: a revision of the family, or a tag of an image."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from autorollback.aws.artifacts import Registry
from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import Definition, UnknownDefinition
from autorollback.aws.evidence import FirstLook, described_as
from autorollback.decision import stability
from autorollback.decision.facts import Facts, Revision, Service
from autorollback.decision.formatting import clock
from autorollback.decision.question import Question
from autorollback.decision.serving import serving_periods
from autorollback.decision.verdicts import Candidate, Check
from autorollback.flows.desk import Call, Desk
from autorollback.policy import ServicePolicy
from autorollback.requests import BadRequest

PAGES = 20
"""Further pages of 20 service deployments that are read to find when a named revision ran."""


def revision_named(desk: Desk, running: str, wanted: str) -> Definition:
    """The definition that a person named: a revision number of the service's family, `family:18`, or an ARN.

    Raises:
        BadRequest: where it is of another family, or there is none.
    """
    family = running.rpartition("/")[2].partition(":")[0]
    reference = f"{family}:{wanted}" if wanted.isdecimal() else wanted
    if reference.rpartition("/")[2].partition(":")[0] != family:
        raise BadRequest("revision", wanted, f"a revision of the service's family {family}")
    try:
        return desk.definitions.describe(reference)
    except UnknownDefinition as error:
        raise BadRequest(
            "revision", wanted, f"an existing revision of {family} ({error})"
        ) from error


def as_it_ran(
    desk: Desk,
    call: Call,
    policy: ServicePolicy,
    look: FirstLook,
    facts: Facts,
    definition: Definition,
) -> Candidate:
    """A definition that a person named, with the digests that it ran with here: those of its best run, else of its newest.

    AWS is asked for as much of the service's past as that needs; then the ledger. What never ran here is told as such, and
    is no failure: a person decided.
    """
    facts = _with_runs_of(policy, look, facts, definition)
    runs = [
        described_as(r, definition)
        for r in facts.revisions.values()
        if r.task_definition_arn == definition.arn
    ]
    if runs:
        facts = replace(facts, revisions={**facts.revisions, **{run.arn: run for run in runs}})
        facts = _with_histories(desk, call, facts, runs)
        return _best_run(facts, policy, call, runs)
    for known in facts.ledger.known_good:
        if known.revision.task_definition_arn == definition.arn:
            detail = f"was named by a person; the ledger saw it serve until {clock(known.until)}"
            ran = described_as(known.revision, definition)
            return Candidate(ran, "stable", detail, (_ran(detail),), ran_until=known.until)
    images = {name: text.partition("@")[2] or None for name, text in definition.images.items()}
    detail = "was named by a person; no run of it in this service is on record"
    never = _as_revision(definition, images, call)
    return Candidate(never, "stable", detail, (Check("has_run_here", None, detail),))


def tagged(
    desk: Desk, call: Call, service: Service, facts: Facts, tag: str, container: str | None
) -> Candidate:
    """The definition that the service runs now, with a tag of the same repository resolved to its digest.

    Raises:
        BadRequest: where the definition, the container, its repository or the tag cannot be told, with what there is.
    """
    registry = Registry(desk.clients, service.arn)
    try:
        definition = desk.definitions.describe(service.task_definition)
    except UnknownDefinition as error:
        allowed = f"a revision instead: the definition that the service runs cannot be described ({error})"
        raise BadRequest("image_tag", tag, allowed) from error
    named = {
        name: image
        for name, text in definition.images.items()
        if (image := registry.own_image(text))
    }
    if container is not None and container not in named:
        raise BadRequest(
            "container",
            container,
            f"a container with an image in this account's ECR: {_list(named)}",
        )
    repositories = {i.repository for name, i in named.items() if container in (None, name)}
    if len(repositories) != 1:
        several = f"the container whose image has this tag: {_list(named)}"
        raise BadRequest(
            "container",
            container,
            several if named else "no container has an image in this account's ECR",
        )
    (repository,) = repositories
    digest = registry.digest_of(repository, tag)
    if digest is None:
        existing = ", ".join(registry.tags_like(repository, tag)) or "it has none"
        raise BadRequest(
            "image_tag", tag, f"a tag of the repository {repository}; the nearest: {existing}"
        )
    newest = facts.deployments[0]
    runs = facts.revision(newest.leaves or newest.target)
    now = dict(runs.images) if runs and runs.task_definition_arn == definition.arn else {}
    taken = {
        name
        for name, image in named.items()
        if image.repository == repository and container in (None, name)
    }
    images = {name: digest if name in taken else now.get(name) for name in definition.images}
    detail = f"is to run {repository}:{tag} ({digest[:19]}) in {', '.join(sorted(taken))}"
    return Candidate(_as_revision(definition, images, call), "stable", detail)


def _with_runs_of(
    policy: ServicePolicy, look: FirstLook, facts: Facts, definition: Definition
) -> Facts:
    """The facts with further pages of deployments, until one brings the definition or nothing is left to read."""
    history, after = look.history, look.page.next
    for _ in range(PAGES):
        if after is None or any(
            r.task_definition_arn == definition.arn for r in facts.revisions.values()
        ):
            break
        page = history.deployments_page(policy.key, after)
        known = {deployment.arn for deployment in facts.deployments}
        seen = in_parallel(
            {
                "deployments": partial(
                    history.deployments, [arn for arn in page.arns if arn not in known]
                ),
                "revisions": partial(
                    history.revisions, [arn for arn in page.targets if arn not in facts.revisions]
                ),
            }
        )
        facts = replace(
            facts,
            deployments=(*facts.deployments, *seen["deployments"]),
            revisions={**facts.revisions, **seen["revisions"]},
        )
        after = page.next
    return facts


def _with_histories(desk: Desk, call: Call, facts: Facts, runs: Iterable[Revision]) -> Facts:
    """The facts with the alarms' histories as far back as these runs, or as CloudWatch keeps them."""
    arns = {run.arn for run in runs}
    since = min((s.came for s in serving_periods(facts) if s.revision in arns), default=call.now)
    return desk.evidence.with_histories(facts, since, call.now)


def _best_run(facts: Facts, policy: ServicePolicy, call: Call, runs: list[Revision]) -> Candidate:
    """A run that was stable before one that was not, then one that nobody rolled back from, then the newest."""
    periods = {s.revision: s for s in reversed(serving_periods(facts))}
    assessed = {
        run.arn: stability.assess(periods[run.arn], Question(facts, policy.policy, call.now))
        for run in runs
        if run.arn in periods
    }

    def worth(run: Revision) -> tuple[bool, bool, float]:
        stable = run.arn in assessed and assessed[run.arn].stable
        return stable, run.identity not in facts.ledger.quarantined, run.created_at.timestamp()

    best = max(runs, key=worth)
    fared = assessed[best.arn].detail if best.arn in assessed else "it never completed a deployment"
    detail = f"was named by a person; it came to this service at {clock(best.created_at)}: {fared}"
    until = periods[best.arn].until if best.arn in periods else None
    return Candidate(best, "stable", detail, (_ran(detail),), ran_until=until)


def _ran(detail: str) -> Check:
    return Check("has_run_here", True, detail)


def _as_revision(definition: Definition, images: dict[str, str | None], call: Call) -> Revision:
    return Revision(
        arn=definition.arn,
        task_definition=definition.name,
        task_definition_arn=definition.arn,
        created_at=call.now,
        images=images,
        identity=definition.identity(images),
        irreversible=definition.irreversible,
    )


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "there is none"
