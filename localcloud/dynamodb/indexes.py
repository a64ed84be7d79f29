"""Global secondary indexes, which follow their table a little later.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html ("eventually consistent").
"""

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.dynamodb.models import DynamoDBBackend

if TYPE_CHECKING:
    from localcloud.base import Cloud

Items = dict[str, Any]
"""All items of each table."""

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass
class Indexes:
    """What queries of an index see: the tables as they were `cloud.lag` ago.

    Nothing is kept while there is no lag. `lock` is the one of all writes.
    """

    cloud: "Cloud"
    lock: threading.RLock
    _past: list[tuple[datetime, Items]] = field(default_factory=list)

    def install(self) -> None:
        """Take the place of moto's query."""
        by_moto = DynamoDBBackend.query

        def query(backend: DynamoDBBackend, table_name: str, *args: Any, **kwargs: Any) -> Any:
            if not kwargs.get("index_name") or not self.cloud.lag:
                return by_moto(backend, table_name, *args, **kwargs)
            with self.lock:
                table = backend.get_table(table_name)
                now = table.items
                table.items = self._seen(table_name, now)
                try:
                    return by_moto(backend, table_name, *args, **kwargs)
                finally:
                    table.items = now

        self.cloud.replace(DynamoDBBackend, "query", query)

    def changes(self, backend: DynamoDBBackend) -> None:
        """A write is about to be made."""
        if not self.cloud.lag:
            self._past.clear()
        elif not self._past:
            self._keep(backend, _BEFORE_ALL)

    def changed(self, backend: DynamoDBBackend) -> None:
        """A write has been made."""
        if self.cloud.lag:
            self._keep(backend, self.cloud.clock.now())

    def _keep(self, backend: DynamoDBBackend, moment: datetime) -> None:
        items = {name: as_they_are(table.items) for name, table in backend.tables.items()}
        self._past.append((moment, items))
        self._forget()

    def _forget(self) -> None:
        """What nobody can see any more: what is older than the newest that is as old as the lag."""
        visible = self.cloud.clock.now() - self.cloud.lag
        while len(self._past) > 1 and self._past[1][0] <= visible:
            self._past.pop(0)

    def _seen(self, table: str, now: Any) -> Any:
        """The items of a table as its indexes have them."""
        self._forget()
        return self._past[0][1].get(table, {}) if self._past else now


def as_they_are(items: Any) -> Any:
    """The items of a table, for later: none of them is changed, a write puts another in its place."""
    kept: Any = defaultdict(dict)
    for partition, held in items.items():
        kept[partition] = dict(held) if isinstance(held, dict) else held
    return kept
