"""Whether a role's session may do something: its policies, its boundary, and the policy of the resource.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html.
Policies of organizations and of sessions are not here: nothing in this cloud sets them.
"""

from collections.abc import Iterator

from moto.iam.models import IAMBackend, Role

from localcloud.iam.policies import Statement, allows, denies, statements
from localcloud.iam.requests import NotEvaluable, Request, Session
from localcloud.iam.resource_policies import policy_of

_KMS = "kms"


def reason_to_deny(iam: IAMBackend, request: Request) -> str | None:
    """In AWS's words, why the request is denied; None where it is allowed.

    Source of the words: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html.

    Raises:
        NotEvaluable: that cannot be told here.
    """
    role = _role(iam, request.session)
    identity = tuple(_identity_statements(role))
    resource = policy_of(request.need.resource, request.region)
    to_session = _those_that_name(resource, request.session)
    if denies(identity, request):
        return "with an explicit deny in an identity-based policy"
    if denies(to_session, request):
        return "with an explicit deny in a resource-based policy"
    action = request.need.action
    if _by_resource(to_session, request):
        return None
    if action.startswith(f"{_KMS}:") and not _delegates(resource, request):
        return f"because no resource-based policy allows the {action} action"
    if not allows(identity, request):
        return f"because no identity-based policy allows the {action} action"
    return _beyond_boundary(_boundary(iam, role), request)


def _beyond_boundary(boundary: tuple[Statement, ...] | None, request: Request) -> str | None:
    """Why a role's boundary keeps it from what its policies allow; None where it does not."""
    if boundary is None:
        return None
    if denies(boundary, request):
        return "with an explicit deny in a permissions boundary"
    if not allows(boundary, request):
        return f"because no permissions boundary allows the {request.need.action} action"
    return None


def _role(iam: IAMBackend, session: Session) -> Role:
    for role in iam.roles.values():
        if role.arn == session.role_arn:
            return role
    raise NotEvaluable(f"the role {session.role_arn}, which does not exist")


def _identity_statements(role: Role) -> Iterator[Statement]:
    """Of inline policies and of managed ones in their default version."""
    for document in role.policies.values():
        yield from statements(document)
    for policy in role.managed_policies.values():
        yield from statements(_default_version(policy))


def _default_version(policy: object) -> str:
    versions = getattr(policy, "versions", ())
    return next(str(one.document) for one in versions if one.is_default)


def _boundary(iam: IAMBackend, role: Role) -> tuple[Statement, ...] | None:
    arn = role.permissions_boundary_arn
    if not arn:
        return None
    return statements(_default_version(iam.managed_policies[arn]))


def _those_that_name(policy: tuple[Statement, ...], session: Session) -> tuple[Statement, ...]:
    """Statements whose principal is the session, its role, its account or anybody."""
    names = {"*", session.arn, session.role_arn, *_account_names(session)}
    return tuple(one for one in policy if names.intersection(one.principals or ()))


def _by_resource(policy: tuple[Statement, ...], request: Request) -> bool:
    """An account's name only hands the question to its own policies."""
    session = request.session
    names = {"*", session.arn, session.role_arn}
    directly = tuple(one for one in policy if names.intersection(one.principals or ()))
    return allows(directly, request)


def _delegates(policy: tuple[Statement, ...], request: Request) -> bool:
    """Whether a key's policy lets the policies of its account decide.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html.
    """
    names = set(_account_names(request.session))
    to_account = tuple(one for one in policy if names.intersection(one.principals or ()))
    return allows(to_account, request)


def _account_names(session: Session) -> tuple[str, str]:
    partition = session.role_arn.split(":")[1]
    return session.account, f"arn:{partition}:iam::{session.account}:root"
