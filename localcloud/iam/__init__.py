"""IAM: every call of a role's session is held to the role's policies, as they are when it is made."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moto.iam.models import IAMBackend, iam_backends

from localcloud.errors import NotModelled, Refusal
from localcloud.iam.needs import needs_of
from localcloud.iam.needs.asked import Asked
from localcloud.iam.requests import Need, NotEvaluable, Request, Session
from localcloud.iam.verdicts import reason_to_deny
from localcloud.recorder import Call

if TYPE_CHECKING:
    from localcloud.base import Cloud

# what a service calls a call that is denied, in botocore's models and in what users report
_CODES = {
    "cloudwatch": "AccessDenied",
    "elbv2": "AccessDenied",
    "iam": "AccessDenied",
    "sns": "AuthorizationError",
    "sts": "AccessDenied",
}
_USUAL_CODE = "AccessDeniedException"
_KEY_CODE = "KMSAccessDenied"  # what SNS says where a topic's key is not to be used


def install(cloud: "Cloud") -> None:
    """Have it found by its class. Who signs with which role is said to it."""
    cloud.add(Iam(cloud))


@dataclass(frozen=True, slots=True)
class Denial:
    """One call that was denied, by what was missing; `message` is what the caller was told."""

    need: Need
    message: str


@dataclass
class Iam:
    """Who calls as which role, and what was denied.

    `not_evaluated` names what the policies were asked and the local IAM could not answer: such a
    call is refused as not modelled, and a test that sees one cannot be trusted.
    """

    cloud: "Cloud"
    denials: list[Denial] = field(default_factory=list)
    not_evaluated: list[str] = field(default_factory=list)
    _sessions: dict[str, Session] = field(default_factory=dict)

    def act_as(self, access_key: str, role_arn: str, name: str) -> None:
        """Calls that are signed with this access key are those of a session of the role, from now on."""
        self._sessions[access_key] = Session(role_arn, name)

    def authorize(self, call: Call) -> None:
        """Let a call pass that the caller's role allows. Others have every right.

        Raises:
            Refusal: denied, in AWS's words.
            NotModelled: what AWS would answer cannot be told.
        """
        session = self._sessions.get(call.access_key)
        if session is None:
            return
        for denial in self._denials_of(call, session):
            self.denials.append(denial)
            raise Refusal(_code(call, denial.need), denial.message)

    def allows(self, role_arn: str, need: Need) -> bool:
        """Whether a role may do something, as its policies are now.

        Raises:
            NotEvaluable: that cannot be told here.
        """
        session = Session(role_arn, "asked")
        return self._reason(need, session, self.cloud.region) is None

    def _denials_of(self, call: Call, session: Session) -> Iterator[Denial]:
        try:
            for need in needs_of(Asked(call, self.cloud)):
                reason = self._reason(need, session, call.region)
                if reason is not None:
                    yield Denial(need, _message(session, need, reason))
        except NotEvaluable as doubt:
            self.not_evaluated.append(str(doubt))
            raise NotModelled(f"iam: {doubt}") from doubt

    def _reason(self, need: Need, session: Session, region: str) -> str | None:
        request = Request(need, session, region, self.cloud.clock.now())
        return reason_to_deny(self._backend(session), request)

    def _backend(self, session: Session) -> IAMBackend:
        backend: IAMBackend = iam_backends[session.account]["aws"]
        return backend


def _code(call: Call, need: Need) -> str:
    if call.service == "sns" and need.action.startswith("kms:"):
        return _KEY_CODE
    return _CODES.get(call.service, _USUAL_CODE)


def _message(session: Session, need: Need, reason: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html."""
    what = f"perform: {need.action} on resource: {need.resource}"
    return f"User: {session.arn} is not authorized to {what} {reason}"
