"""Writes made atomic, and items bounded, as they are in AWS.

Moto checks a condition and writes in two steps, between which another thread may write.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

from localcloud.dynamodb.indexes import Indexes, as_they_are

if TYPE_CHECKING:
    from localcloud.base import Cloud

LARGEST_ITEM = 400 * 1024
"""Bytes, the names of the attributes included (developer guide, "Constraints": item size)."""

TOO_LARGE = "Item size has exceeded the maximum allowed size"
TOO_LARGE_TO_UPDATE = "Item size to update has exceeded the maximum allowed size"

Write = Callable[..., Any]


class ValidationError(Exception):
    """What a transaction says of an item that is too large: its reason has this name as its code."""


class Writes:
    """Lets one thread write at a time, in all tables.

    Without this a test of exactly-once would see two winners.
    """

    def __init__(self, indexes: Indexes, lock: threading.RLock) -> None:
        self._lock = lock
        self._indexes = indexes
        self._in_transaction = False

    def install(self, cloud: "Cloud") -> None:
        """Take the place of moto's writers, and of its own bound, which is a guess."""
        cloud.replace(LimitedSizeDict, "__setitem__", dict.__setitem__)
        for name, bounded in (
            ("put_item", self._bounded_put),
            ("update_item", self._bounded_update),
            ("delete_item", self._as_it_is),
            ("transact_write_items", self._transaction),
        ):
            by_moto = getattr(DynamoDBBackend, name)
            cloud.replace(DynamoDBBackend, name, self._one_at_a_time(bounded(by_moto)))

    def _one_at_a_time(self, write: Write) -> Write:
        def locked(backend: DynamoDBBackend, *args: Any, **kwargs: Any) -> Any:
            with self._lock:
                self._indexes.changes(backend)
                answer = write(backend, *args, **kwargs)
                self._indexes.changed(backend)
                return answer

        return locked

    def _as_it_is(self, write: Write) -> Write:
        return write

    def _transaction(self, write: Write) -> Write:
        def transact(backend: DynamoDBBackend, items: Any) -> Any:
            self._in_transaction = True
            try:
                with _kept(backend, items):
                    return write(backend, items)
            finally:
                self._in_transaction = False

        return transact

    def _bounded_put(self, write: Write) -> Write:
        def put_item(backend: DynamoDBBackend, table: str, item: Any, *args: Any, **kw: Any) -> Any:
            if size_of(item) > LARGEST_ITEM:
                raise self._too_large(TOO_LARGE)
            return write(backend, table, item, *args, **kw)

        return put_item

    def _bounded_update(self, write: Write) -> Write:
        def update_item(
            backend: DynamoDBBackend, table: str, key: Any, *args: Any, **kw: Any
        ) -> Any:
            items, before = backend.get_table(table).items, backend.get_item(table, key)
            if before is not None:
                # moto changes it in place; who has it already keeps what it was
                _put(items, copy.deepcopy(before))
            item = write(backend, table, key, *args, **kw)
            if item.size() > LARGEST_ITEM:
                backend.delete_item(table, key)
                if before is not None:
                    _put(items, before)
                raise self._too_large(TOO_LARGE_TO_UPDATE)
            return item

        return update_item

    def _too_large(self, message: str) -> Exception:
        if self._in_transaction:
            return ValidationError(message)
        refusal: Exception = MockValidationException(message)
        return refusal


@contextmanager
def _kept(backend: DynamoDBBackend, items: Sequence[Mapping[str, Any]]) -> Iterator[None]:
    """What a cancelled transaction goes back to, made once for each table.

    Moto copies the whole table for every item of every transaction: most of a test's time, where a
    table is large.
    """
    names = {what.get("TableName") for item in items for what in item.values()}
    tables = [backend.tables[name] for name in names if name in backend.tables]
    without_stream = [table for table in tables if table.stream_shard is None]
    for table in without_stream:
        before = copy.copy(table)
        before.items = as_they_are(table.items)
        vars(table)["__deepcopy__"] = lambda _memo, before=before: before
    try:
        yield
    finally:
        for table in without_stream:
            del vars(table)["__deepcopy__"]


def _put(items: Any, item: Item) -> None:
    """Keep an item in a table, in the place of the one with its key."""
    if item.range_key is None:
        items[item.hash_key] = item
    else:
        items[item.hash_key][item.range_key] = item


def size_of(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them: names and values."""
    return sum(bytesize(name) + DynamoType(value).size() for name, value in item.items())
