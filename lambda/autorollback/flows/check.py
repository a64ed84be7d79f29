"""A pipeline asks: would a deployment bring back trouble, or come into it?"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from autorollback.aws.clients import in_parallel
from autorollback.aws.definitions import UnknownDefinition
from autorollback.decision import before_deployment
from autorollback.decision.before_deployment import Coming
from autorollback.decision.definition import (
    Content,
    Definition,
    described_as,
    pinned_digest,
    without_version,
)
from autorollback.decision.facts import Facts, Revision, Trigger, TriggerKind
from autorollback.decision.lineage import running_now
from autorollback.decision.preflight_case import own_images
from autorollback.decision.question import Question
from autorollback.flows.explicit_target import definition_named
from autorollback.flows.service_named import service_named
from autorollback.flows.session import ProtectedService, Session, unprotected
from autorollback.naming import Home
from autorollback.requests import BadRequest, Manual
from autorollback.results import Answer, CheckAnswer


def check(session: Session, asked: Manual) -> Answer:
    """What speaks against a deployment. Nothing is written.

    Raises:
        BadRequest: for a task definition or an image that there is not, or of another family.
    """
    key = service_named(session, asked)
    service = session.look_at(key)
    if service is None:
        return unprotected(session, key)
    if service.snapshot.service is None:
        raise BadRequest("service", key.service, f"a service that ECS knows in {key.cluster}")

    trigger = Trigger(TriggerKind.ALARM, session.now)
    facts = session.reader.facts_of_next(service.snapshot, trigger, session.now)
    running = service.snapshot.service.task_definition
    coming = _coming(
        service,
        facts,
        asked,
        _definition(service, running, asked),
    )
    question = Question(facts, service.policy, session.now)
    unfinished = [
        incident.as_past_rollback()
        for incident in service.ledger_state.incidents
        if incident.is_under_way
    ]
    newest = next(iter(facts.deployments[1:]), None)
    return CheckAnswer(
        (
            before_deployment.is_it_quarantined(coming, question),
            before_deployment.is_it_red(facts),
            before_deployment.is_it_rolled_back_now(newest, unfinished),
        )
    )


def _coming(
    service: ProtectedService,
    facts: Facts,
    asked: Manual,
    definition: Definition,
) -> Coming:
    """What is to be deployed: the definition with the images that are given, each by its digest."""
    named = asked.images or {}
    unknown = [container for container in named if container not in definition.images]
    if unknown:
        containers = ", ".join(sorted(definition.images)) or "there is none"
        allowed = f"images of the containers of {definition.name}: {containers}"
        raise BadRequest("images", dict(named), allowed)

    definition = _with_images(definition, named)
    digests = _digests(
        service,
        facts,
        definition,
        asked,
    )
    revision = Revision(
        arn=definition.arn,
        task_definition=definition.name,
        task_definition_arn=definition.arn,
        created_at=service.now,
        images=digests,
    )
    alone = {} if asked.task_definition else {one: digests[one] for one in named}
    untold = tuple(sorted(name for name, digest in digests.items() if digest is None))
    return Coming(described_as(revision, definition), alone, untold)


def _definition(
    service: ProtectedService,
    running: str,
    asked: Manual,
) -> Definition:
    """The definition that is named, else the one that the service is set to run."""
    if asked.task_definition is not None:
        return definition_named(
            service,
            running,
            asked.task_definition,
            "task_definition",
        )
    try:
        return service.session.definitions.describe(running)
    except UnknownDefinition as error:
        allowed = f"task_definition beside: what runs cannot be described ({error})"
        raise BadRequest("images", dict(asked.images or {}), allowed) from error


def _with_images(definition: Definition, named: Mapping[str, str]) -> Definition:
    """The definition in which the images that are given stand. A digest alone is of the same repository."""
    containers: list[Content] = []
    for container in definition.containers:
        image = named.get(str(container.get("name")))
        if image is None:
            containers.append(container)
            continue
        if image.startswith("sha256:"):
            image = f"{without_version(str(container.get('image')))}@{image}"
        containers.append({**container, "image": image})
    return replace(definition, content={**definition.content, "containerDefinitions": containers})


def _digests(
    service: ProtectedService,
    facts: Facts,
    definition: Definition,
    asked: Manual,
) -> dict[str, str | None]:
    """Container to the digest that would run; None where only another registry can tell."""
    digests = _known_digests(facts, definition, asked)
    tags = _tags_to_resolve(definition, digests)
    dependencies = service.session.dependencies
    places = set(tags.values())
    found = in_parallel({place: partial(dependencies.digest_of, *place) for place in places})
    for container, place in tags.items():
        digests[container] = found[place]
        if found[place] is None and container in (asked.images or {}):
            raise _no_such_tag(service, asked, *place)
    return digests


def _known_digests(
    facts: Facts,
    definition: Definition,
    asked: Manual,
) -> dict[str, str | None]:
    """The digests that the definition names; of images given alone, the other containers stay as they run."""
    named = asked.images or {}
    digests = {name: pinned_digest(image) for name, image in definition.images.items()}
    running = running_now(facts)
    if asked.task_definition is None and running is not None:
        digests.update((name, running.images.get(name)) for name in digests if name not in named)
    return digests


def _tags_to_resolve(
    definition: Definition,
    digests: Mapping[str, str | None],
) -> dict[str, tuple[str, str]]:
    """Repository and tag of each container whose digest this account's ECR can tell."""
    tags: dict[str, tuple[str, str]] = {}
    home = Home.of_arn(definition.arn)
    if home is None:
        return tags
    for container, image in own_images(definition, home).items():
        if digests[container] is None and image.tag is not None:
            tags[container] = (image.repository, image.tag)
    return tags


def _no_such_tag(
    service: ProtectedService,
    asked: Manual,
    repository: str,
    tag: str,
) -> BadRequest:
    existing = ", ".join(service.session.dependencies.tags_like(repository, tag)) or "it has none"
    allowed = f"a tag of the repository {repository}, not {tag}; the nearest: {existing}"
    return BadRequest("images", dict(asked.images or {}), allowed)
