"""What is asked of the policies: who wants to do what, to which resource, and what AWS sends along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

Values = tuple[str, ...]
"""Those of a condition key; none where the request lacks it."""


class NotEvaluable(Exception):  # noqa: N818 - says what is missing
    """What AWS would answer cannot be told here; the message says of what."""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who has assumed a role."""

    role_arn: str
    name: str

    @property
    def account(self) -> str:
        """The role's account."""
        return self.role_arn.split(":")[4]

    @property
    def role(self) -> str:
        """The role's name, without its path."""
        return self.role_arn.rpartition("/")[2]

    @property
    def arn(self) -> str:
        """As AWS names the session in its refusals."""
        partition = self.role_arn.split(":")[1]
        return f"arn:{partition}:sts::{self.account}:assumed-role/{self.role}/{self.name}"


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that must be allowed: an action on one resource.

    `context` are the condition keys of the action, in lower case; a key with no values is one
    that AWS does not send with this request.
    """

    action: str
    resource: str
    context: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A need of somebody, at a moment, in a Region."""

    need: Need
    session: Session
    region: str
    at: datetime

    def values(self, key: str) -> Values:
        """The values of a condition key, given in lower case.

        Raises:
            NotEvaluable: it is not known here whether AWS sends it.
        """
        if key in self.need.context:
            return self.need.context[key]
        if key in _GLOBAL:
            return _GLOBAL[key](self)
        prefix = key.partition(":")[0]
        if key.startswith(_REQUEST_TAG):
            return ()  # actions that take tags have theirs in the context
        if prefix == "aws" or prefix == self.need.action.partition(":")[0]:
            raise NotEvaluable(f"the condition key {key} of {self.need.action}")
        return ()  # another service's key is never sent


def _nothing(_request: Request) -> Values:
    return ()


def _resource_account(request: Request) -> Values:
    parts = request.need.resource.split(":")
    return (parts[4],) if len(parts) > 4 and parts[4] else (request.session.account,)


_REQUEST_TAG = "aws:requesttag/"
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html; a role's session that
# calls by itself has neither a user's name nor a second factor, and no service calls for it
_GLOBAL: Mapping[str, Callable[[Request], Values]] = {
    "aws:principalarn": lambda request: (request.session.role_arn,),
    "aws:principalaccount": lambda request: (request.session.account,),
    "aws:principaltype": lambda _: ("AssumedRole",),
    "aws:principalisawsservice": lambda _: ("false",),
    "aws:resourceaccount": _resource_account,
    "aws:requestedregion": lambda request: (request.region,),
    "aws:currenttime": lambda request: (request.at.isoformat(),),
    "aws:epochtime": lambda request: (str(int(request.at.timestamp())),),
    "aws:securetransport": lambda _: ("true",),
    "aws:viaawsservice": lambda _: ("false",),
    "aws:calledvia": _nothing,
    "aws:calledviafirst": _nothing,
    "aws:calledvialast": _nothing,
    "aws:multifactorauthpresent": _nothing,
    "aws:multifactorauthage": _nothing,
    "aws:sourceaccount": _nothing,
    "aws:sourcearn": _nothing,
    "aws:sourceowner": _nothing,
    "aws:tagkeys": _nothing,
    "aws:username": _nothing,
}
