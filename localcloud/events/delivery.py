"""One delivery to a target, and what becomes of a failed one.

Sources: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html and eb-rule-dlq.html.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

Event = dict[str, Any]
Target = dict[str, Any]


@dataclass
class Delivery:
    """A body for one target of a rule.

    `error` is EventBridge's code and the message of the last failure.
    """

    rule: Rule
    target: Target
    body: str
    first: datetime
    due: datetime
    tries: int = 0
    error: tuple[str, str] = ("", "")


class UndeliverableError(Exception):
    """Not worth a retry; `code` is EventBridge's word for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def body_for(target: Target, event: Event) -> str:
    """What the target gets of the event."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        return json.dumps(_at_path(event, target["InputPath"]))
    if target.get("InputTransformer"):
        return _transformed(event, target["InputTransformer"])
    return json.dumps(event)


def _at_path(event: Event, path: str) -> Any:
    value: Any = event
    for step in path.removeprefix("$").strip(".").split("."):
        if step and isinstance(value, dict):
            value = value.get(step)
    return value


def _transformed(event: Event, transformer: dict[str, Any]) -> str:
    parsed = EventTemplateParser.parse(
        input_template=transformer["InputTemplate"],
        input_paths_map=transformer.get("InputPathsMap", {}),
        event=event | {"ingestion-time": event["time"]},
    )
    if isinstance(parsed, str):
        return parsed
    return json.dumps(parsed)


def send(delivery: Delivery) -> None:
    """Call the target's service.

    Raises:
        UndeliverableError: the target is gone or must not be called.
        ServiceException: the service refuses.
    """
    arn = delivery.target["Arn"]
    _, _, service, region, account, name = arn.split(":", 5)
    if service == "lambda":
        _invoke(delivery, account, region)
    elif service == "sns":
        topic = sns_backends[account][region].topics.get(arn)
        if topic is None:
            raise UndeliverableError("RESOURCE_NOT_FOUND", f"the topic {arn} does not exist")
        topic.publish(delivery.body)
    else:
        backend = sqs_backends[account][region]
        if name not in backend.queues:
            raise UndeliverableError("RESOURCE_NOT_FOUND", f"the queue {arn} does not exist")
        backend.send_message(name, delivery.body)


def _invoke(delivery: Delivery, account: str, region: str) -> None:
    arn = delivery.target["Arn"]
    rule_arn = delivery.rule.arn
    backend = lambda_backends[account][region]
    function = backend._lambdas.get_arn(arn)
    if function is None:
        raise UndeliverableError("RESOURCE_NOT_FOUND", f"the function {arn} does not exist")
    statements = function.policy.statements
    if not any(_allows(statement, rule_arn) for statement in statements):
        message = f"the policy of {arn} does not let {rule_arn} invoke it"
        raise UndeliverableError("NO_PERMISSIONS", message)
    backend.invoke(
        arn,
        None,
        delivery.body,
        {"X-Amz-Invocation-Type": "Event"},
        {},
    )


def _allows(statement: dict[str, Any], rule_arn: str) -> bool:
    """Whether a statement of the function's resource policy lets EventBridge invoke it for this rule."""
    principal = statement.get("Principal")
    if isinstance(principal, dict):
        principal = principal.get("Service")
    if statement.get("Effect", "Allow") != "Allow":
        return False
    if principal not in ("events.amazonaws.com", "*"):
        return False
    if statement.get("Action") not in ("lambda:InvokeFunction", "lambda:*", "*"):
        return False
    patterns = [re.escape(arn).replace(r"\*", ".*") for arn in _source_arns(statement)]
    return all(re.fullmatch(pattern, rule_arn) for pattern in patterns)


def _source_arns(statement: dict[str, Any]) -> list[str]:
    """The ARNs that its conditions name for the caller, with wildcards."""
    arns = []
    conditions = statement.get("Condition") or {}
    for condition in conditions.values():
        for key, value in condition.items():
            if key.lower() == "aws:sourcearn":
                arns.append(value)
    return arns


def bury(delivery: Delivery, exhausted: str = "") -> None:
    """Put the event into the target's dead-letter queue.

    Without a queue it is lost, as in AWS.

    `exhausted` names the setting of the retry policy that ended the tries, and is empty where there was nothing to retry.
    """
    dead_letters = delivery.target.get("DeadLetterConfig") or {}
    queue = dead_letters.get("Arn")
    if not queue:
        return
    code, message = delivery.error
    attributes = {
        "RULE_ARN": delivery.rule.arn,
        "TARGET_ARN": delivery.target["Arn"],
        "ERROR_CODE": code,
        "ERROR_MESSAGE": message,
        "RETRY_ATTEMPTS": str(delivery.tries - 1),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }
    message_attributes = {}
    for key, value in attributes.items():
        if value:
            message_attributes[key] = {"DataType": "String", "StringValue": value}
    _, _, _, region, account, name = queue.split(":", 5)
    sqs_backends[account][region].send_message(
        name, delivery.body, message_attributes=message_attributes
    )
