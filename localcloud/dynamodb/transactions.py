"""Transactions: the same request is carried out once, and two at a time on one item are a conflict.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html ("Idempotency", "Transaction
conflict handling") and botocore's model of dynamodb 2012-08-10.
"""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.dynamodb.exceptions import TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.responses import DynamoHandler

from localcloud.errors import Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

TOKEN_KEPT = timedelta(minutes=10)
"""After the first request that used it was carried out."""

CONFLICT = "Transaction is ongoing for the item"

Operation = Callable[[DynamoHandler], ActionResult]
Key = tuple[str, str]
"""The name of a table, and the key of an item as JSON."""


@dataclass(frozen=True, slots=True)
class _Done:
    """A transaction that was carried out."""

    request: str
    at: datetime


@dataclass
class Transactions:
    """The items that are being written, and the tokens of what was carried out."""

    cloud: "Cloud"
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _done: dict[str, _Done] = field(default_factory=dict)
    _under_way: set[str] = field(default_factory=set)
    _in_transactions: Counter[Key] = field(default_factory=Counter)
    _in_writes: Counter[Key] = field(default_factory=Counter)

    def install(self) -> None:
        """Take the place of moto's operations that write."""
        transact = DynamoHandler.transact_write_items
        replace = self.cloud.replace
        replace(DynamoHandler, "transact_write_items", self._transaction(transact))
        for name, key_of in (
            ("put_item", _key_of_put),
            ("update_item", _key_given),
            ("delete_item", _key_given),
        ):
            replace(DynamoHandler, name, self._write(getattr(DynamoHandler, name), key_of))

    @contextmanager
    def ongoing(self, table: str, key: Mapping[str, Any]) -> Iterator[None]:
        """An item is part of somebody's transaction for a while: whoever writes it meets a conflict."""
        item = (table, _as_text(key))
        with self._counted(self._in_transactions, [item]):
            yield

    def _write(
        self, by_moto: Operation, key_of: Callable[[DynamoHandler, Any], Key | None]
    ) -> Operation:
        def write(request: DynamoHandler) -> ActionResult:
            key = key_of(request, request.body)
            if key is None:
                return by_moto(request)
            with self._lock:
                if self._in_transactions[key]:
                    raise Refusal("TransactionConflictException", CONFLICT)
                self._in_writes[key] += 1
            try:
                return by_moto(request)
            finally:
                self._end(self._in_writes, [key])

        return write

    def _transaction(self, by_moto: Operation) -> Operation:
        def transact(request: DynamoHandler) -> ActionResult:
            token = request.body.get("ClientRequestToken")
            with self._once(token, _as_text(request.body["TransactItems"])) as is_new:
                if not is_new:
                    return ActionResult({})
                keys = _keys_of_transaction(request, request.body["TransactItems"])
                with self._without_conflict(keys):
                    return by_moto(request)

        return transact

    @contextmanager
    def _once(self, token: str | None, request: str) -> Iterator[bool]:
        """Whether the transaction is to be carried out; where that succeeds, its token is remembered.

        Raises:
            Refusal: the token was used for another request, or is in use.
        """
        if token is None:
            yield True
            return
        is_new = self._begin(token, request)
        try:
            yield is_new
            self._done[token] = _Done(request, self.cloud.clock.now())
        finally:
            self._under_way.discard(token)

    def _begin(self, token: str, request: str) -> bool:
        with self._lock:
            done = self._done.get(token)
            if done is not None and self.cloud.clock.now() - done.at > TOKEN_KEPT:
                del self._done[token]
                done = None
            if done is not None and done.request != request:
                message = "The request uses the same client token as a previous, but non-identical request."
                raise Refusal("IdempotentParameterMismatchException", message)
            if token in self._under_way:
                message = "The transaction with the given request token is already in progress."
                raise Refusal("TransactionInProgressException", message)
            self._under_way.add(token)
            return done is None

    @contextmanager
    def _without_conflict(self, keys: Sequence[Key | None]) -> Iterator[None]:
        """Hold the items; one of a write or transaction that is going on cancels this one."""
        named = [key for key in keys if key is not None]
        with self._lock:
            busy = {key for key in named if self._in_transactions[key] or self._in_writes[key]}
            if busy:
                raise TransactionCanceledException([_reason(key in busy) for key in keys])
            self._in_transactions.update(named)
        try:
            yield
        finally:
            self._end(self._in_transactions, named)

    @contextmanager
    def _counted(self, counter: Counter[Key], keys: Sequence[Key]) -> Iterator[None]:
        with self._lock:
            counter.update(keys)
        try:
            yield
        finally:
            self._end(counter, keys)

    def _end(self, counter: Counter[Key], keys: Sequence[Key]) -> None:
        with self._lock:
            counter.subtract(keys)
            for key in keys:
                if not counter[key]:
                    del counter[key]


def _reason(conflicts: bool) -> tuple[str | None, str | None, None]:  # noqa: FBT001 - moto's three values of a reason
    return ("TransactionConflict", CONFLICT, None) if conflicts else (None, None, None)


def _keys_of_transaction(
    request: DynamoHandler, items: Sequence[Mapping[str, Any]]
) -> list[Key | None]:
    """Of each of its operations; None where moto will refuse it."""
    keys: list[Key | None] = []
    for item in items:
        for kind, what in item.items():
            key_of = _key_of_put if kind == "Put" else _key_given
            keys.append(key_of(request, what))
    return keys


def _key_given(_request: DynamoHandler, what: Mapping[str, Any]) -> Key | None:
    return (_table(what), _as_text(what["Key"]))


def _key_of_put(request: DynamoHandler, what: Mapping[str, Any]) -> Key | None:
    backend: DynamoDBBackend = request.dynamodb_backend
    table = backend.tables.get(_table(what))
    if table is None:
        return None
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name]
    key = {name: what["Item"].get(name) for name in names}
    return (_table(what), _as_text(key))


def _table(what: Mapping[str, Any]) -> str:
    return str(what["TableName"]).rpartition("/")[2]


def _as_text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
