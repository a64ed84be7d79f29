"""One operation at a time, and answers that nobody changes while they are sent.

Moto reads its dictionaries while it checks a condition, copies an item or writes an answer; another
thread that writes meanwhile ends that with "dictionary changed size during iteration".
"""

import copy
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore import xform_name
from moto.core.responses import ActionResult
from moto.core.utils import get_service_model
from moto.dynamodb.responses import DynamoHandler

if TYPE_CHECKING:
    from localcloud.base import Cloud

Operation = Callable[[DynamoHandler], ActionResult]


def install(cloud: "Cloud", lock: threading.RLock) -> None:
    """Hold the lock in every operation of DynamoDB that moto has."""
    for name in map(xform_name, get_service_model("dynamodb").operation_names):
        by_moto = getattr(DynamoHandler, name, None)
        if by_moto is not None:
            cloud.replace(DynamoHandler, name, _alone(by_moto, lock))


def _alone(by_moto: Operation, lock: threading.RLock) -> Operation:
    def operation(request: DynamoHandler) -> ActionResult:
        with lock:
            answer = by_moto(request)
            return ActionResult(copy.deepcopy(answer.result))

    return operation
