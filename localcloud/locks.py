"""DynamoDB's writes are atomic in AWS; moto checks a condition and writes in two steps, between which another thread may write."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import DynamoDBBackend

if TYPE_CHECKING:
    from localcloud.base import Cloud

WRITERS = ("put_item", "update_item", "delete_item", "transact_write_items")


def install(cloud: "Cloud") -> None:
    """One writer at a time, in all tables: without this a test of exactly-once would see two winners."""
    lock = threading.RLock()  # a transaction calls the other writers
    for name in WRITERS:
        cloud.replace(DynamoDBBackend, name, _one_at_a_time(getattr(DynamoDBBackend, name), lock))


def _one_at_a_time(write: Callable[..., Any], lock: threading.RLock) -> Callable[..., Any]:
    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return write(*args, **kwargs)

    return locked
