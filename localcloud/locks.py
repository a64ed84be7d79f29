"""DynamoDB's writes made atomic, as they are in AWS.

Moto checks a condition and writes in two steps, between which another thread may write.
"""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from moto.dynamodb.models import DynamoDBBackend

if TYPE_CHECKING:
    from localcloud.base import Cloud

WRITERS = ("put_item", "update_item", "delete_item", "transact_write_items")
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


def install(cloud: "Cloud") -> None:
    """Let one thread write at a time, in all tables.

    Without this a test of exactly-once would see two winners.
    """
    lock = threading.RLock()  # a transaction calls the other writers
    for name in WRITERS:
        write = getattr(DynamoDBBackend, name)
        cloud.replace(DynamoDBBackend, name, _one_at_a_time(write, lock))


def _one_at_a_time(
    write: Callable[Arguments, Answer], lock: threading.RLock
) -> Callable[Arguments, Answer]:
    def locked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        with lock:
            return write(*args, **kwargs)

    return locked
