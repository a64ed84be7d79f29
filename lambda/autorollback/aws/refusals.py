"""What AWS refused, and what can be done about it.

A retry may help, or a key of the configuration grants what is missing.
"""

import re

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
    "UpdateService": f"services and {_TASK_ROLES}",
    "CreateDeployment": "code_deploy",
    "StopDeployment": "code_deploy",
    "GetRole": _TASK_ROLES,
}
"""By the action that AWS names as denied; by the operation, which may need several, where it names none."""

_DENIED = ("AccessDenied", "AccessDeniedException")
_DENIED_ACTION = re.compile(r"perform: ([\w-]+:\w+)")


def is_refusal(error: ClientError) -> bool:
    """Whether AWS understood and said no. A throttle, or a failure of its own, may pass."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return 400 <= status < 500 and not is_throttle(error)


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
