"""What AWS refused, and what can be done about it.

A retry may help, another candidate may be taken, or a key of the configuration grants what is missing.
"""

import re
from enum import Enum, auto

from botocore.exceptions import ClientError

from autorollback.aws.clients import is_throttle
from autorollback.naming import ServiceKey

_FAMILIES = "families (the definition's family)"
_TASK_ROLES = "task_roles (the definition's roles)"
_GRANTED_BY = {
    "ecs:RegisterTaskDefinition": _FAMILIES,
    "ecs:TagResource": _FAMILIES,
    "iam:PassRole": _TASK_ROLES,
    "iam:GetRole": _TASK_ROLES,
    "RegisterTaskDefinition": f"{_FAMILIES} and {_TASK_ROLES}",
    "UpdateService": f"services, {_FAMILIES} and {_TASK_ROLES}",
    "CreateDeployment": "code_deploy",
    "StopDeployment": "code_deploy",
    "GetRole": _TASK_ROLES,
}
"""By the action that AWS names as denied; by the operation, which may need several, where it names none."""

_DENIED = ("AccessDenied", "AccessDeniedException")
_DENIED_ACTION = re.compile(r"perform: ([\w-]+:\w+)")


class RefusalKind(Enum):
    """What a refusal is about, which says what may help."""

    PASSING = auto()
    """AWS may take the same later."""
    CANDIDATE = auto()
    """Another revision may be taken."""
    SERVICE = auto()
    """It is the service, or the caller: no other revision would fare better."""


_PASSING_CODES = frozenset(
    {
        "DeploymentLimitExceededException",
        "UpdateInProgressException",
        "ServerException",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceError",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "InvalidSignatureException",
    }
)
"""Codes of what passes by itself, whatever HTTP status they come with.

ServerException is a fault in botocore ecs/2014-11-13; expired and not yet valid signatures are among AWS's common errors
(API, "Common Error Types").
"""

_OF_CANDIDATE = ("PlatformTaskDefinitionIncompatibilityException", "PlatformUnknownException")
_BY_ITS_WORDS = ("InvalidParameterException", "ClientException")
"""Codes of nearly all else that ECS refuses: only the words tell what is meant (botocore ecs/2014-11-13)."""

_ON_LEDGER = (
    "GetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "TransactWriteItems",
)

_TOO_MUCH_AT_ONCE = re.compile(r"too many concurrent", re.IGNORECASE)
"""How a ClientException speaks where a retry does help.

See hashicorp/terraform-provider-aws issue 9777.
"""
_NOT_FOUND_YET = re.compile(
    r"task ?definition\b.*\b(not found|does not exist|not exist)|unable to describe task definition",
    re.IGNORECASE,
)
_SPEAKS_OF_SERVICE = re.compile(
    r"deployment controller|deployments? exist|active deployments?|too many (active )?deployments"
    r"|not authorized|service.linked role|capacity provider",
    re.IGNORECASE,
)
"""Words of the service or the caller, which win over those of the definition.

"5 active deployments exist, unable to create new deployment." (aws/containers-roadmap issue 2836); "Unable to update task
definition on services with a CODE_DEPLOY deployment controller" (aws/aws-cdk issue 23564).
"""
_SPEAKS_OF_CANDIDATE = re.compile(
    r"task ?definition|\bcontainers?\b(?! instance)|\bport|\bvolume|configuredAtLaunch"
    r"|compatibilit|compatible|network ?mode|launch.?type|\bfamily\b",
    re.IGNORECASE,
)
"""Words of the definition, its ports and volumes.

"Volume configuration provided but no matching configuredAtLaunch volume found in task definition." (go-to-k/cdkd pull
request 811).
"""


def kind_of(error: ClientError, *, just_registered: bool = False) -> RefusalKind:
    """What a refusal is about.

    Of a definition that was `just_registered`, not to be found passes: ECS is eventually consistent.
    """
    code = error.response["Error"].get("Code", "")
    words = error.response["Error"].get("Message", "")
    if not is_refusal(error) or code in _PASSING_CODES:
        return RefusalKind.PASSING
    if code in _OF_CANDIDATE:
        return RefusalKind.CANDIDATE
    if code not in _BY_ITS_WORDS:
        return RefusalKind.SERVICE
    if _TOO_MUCH_AT_ONCE.search(words):
        return RefusalKind.PASSING
    if just_registered and _NOT_FOUND_YET.search(words):
        return RefusalKind.PASSING
    return _by_its_words(error.operation_name, words)


def _by_its_words(operation: str, words: str) -> RefusalKind:
    """Whether words speak of the definition. Words that are not known speak of the service: nobody guesses."""
    if _SPEAKS_OF_SERVICE.search(words):
        return RefusalKind.SERVICE
    if operation == "RegisterTaskDefinition" or _SPEAKS_OF_CANDIDATE.search(words):
        return RefusalKind.CANDIDATE
    return RefusalKind.SERVICE


def is_refusal(error: ClientError) -> bool:
    """Whether AWS understood and said no. A throttle, or a failure of its own, may pass."""
    return was_not_done(error) and not is_throttle(error)


def was_not_done(error: ClientError) -> bool:
    """Whether AWS said that it did nothing. Of a failure of its own that is not known."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= status < 500


def may_pass_at_once(error: ClientError) -> bool:
    """Whether the same may be taken within seconds.

    It was too much at once, or AWS failed.
    """
    words = error.response["Error"].get("Message", "")
    return not is_refusal(error) or _TOO_MUCH_AT_ONCE.search(words) is not None


def is_of_ledger(error: ClientError) -> bool:
    """Whether it is the ledger that refused, which says nothing of the act."""
    return error.operation_name in _ON_LEDGER


def is_denied(error: ClientError) -> bool:
    """Whether the caller has no right to what it asked."""
    return error.response["Error"].get("Code") in _DENIED


def explain(error: ClientError, key: ServiceKey) -> str:
    """What AWS refused, and which key of the configuration grants it, where one does."""
    code = error.response["Error"].get("Code", "")
    message = error.response["Error"].get("Message", "")
    told = f"{error.operation_name}: {code}: {message}"
    if not is_denied(error):
        return told
    denied = _DENIED_ACTION.search(message)
    action = denied[1] if denied else error.operation_name
    granted_by = _GRANTED_BY.get(action, "services")
    return f"{told} (granted by {granted_by} in services.yaml, for {key})"
