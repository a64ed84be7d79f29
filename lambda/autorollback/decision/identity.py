"""Do two service revisions run the same build? Told by their identity, never by their number.

One that could not be described has no identity: it is like nothing else, but may be like anything.
"""

from autorollback.decision.facts import Facts, Revision


def identity_of(facts: Facts, arn: str) -> str | None:
    """The identity of a service revision, where it could be described."""
    revision = facts.revision(arn)
    return revision.identity if revision else None


def same_identity(
    facts: Facts,
    one: str,
    other: str,
) -> bool:
    """Whether two service revisions, given by ARN, are known to be the same build."""
    if one == other:
        return True

    identity = identity_of(facts, one)
    return identity is not None and identity == identity_of(facts, other)


def has_identity_of(
    facts: Facts,
    arn: str,
    wanted: Revision,
) -> bool:
    """Whether a service revision is known to be the same build as another.

    It is given by its ARN.
    """
    if arn == wanted.arn:
        return True

    identity = identity_of(facts, arn)
    return identity is not None and identity == wanted.identity


def may_have_identity_of(
    facts: Facts,
    arn: str,
    wanted: Revision,
) -> bool:
    """Whether a service revision, given by ARN, could be the same build as another.

    What was not described is told apart by its images, where they are on record.
    """
    found = facts.revision(arn)
    if found is None:
        return True
    if None not in (found.identity, wanted.identity):
        return found.identity == wanted.identity

    same_images = dict(found.images) == dict(wanted.images)
    return not found.images or same_images
