"""Do two service revisions run the same build? Told by their identity, never by their number.

One that could not be described has no identity: it is like nothing else, but it may be like anything.
"""

from autorollback.decision.model import Facts, Revision


def same_identity(facts: Facts, one: str, other: str) -> bool:
    """Whether two service revisions, given by ARN, are known to be the same build."""
    if one == other:
        return True

    first = facts.revision(one)
    second = facts.revision(other)
    if first is None or second is None or first.identity is None:
        return False
    return first.identity == second.identity


def has_identity_of(facts: Facts, arn: str, wanted: Revision) -> bool:
    """Whether the service revision of an ARN is known to be the same build as another."""
    if arn == wanted.arn:
        return True

    found = facts.revision(arn)
    if found is None or found.identity is None:
        return False
    return found.identity == wanted.identity


def may_have_identity_of(facts: Facts, arn: str, wanted: Revision) -> bool:
    """Whether the service revision of an ARN could be the same build as another.

    What was not described is told apart by its images, where they are on record.
    """
    found = facts.revision(arn)
    if found is None:
        return True
    if found.identity is not None and wanted.identity is not None:
        return found.identity == wanted.identity
    if not found.images:
        return True
    return dict(found.images) == dict(wanted.images)
