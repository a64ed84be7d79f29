"""DynamoDB where moto is more lenient than AWS: writes at the same time, transactions, sizes, indexes that lag."""

import threading
from typing import TYPE_CHECKING

from localcloud.dynamodb import one_at_a_time
from localcloud.dynamodb.indexes import Indexes
from localcloud.dynamodb.transactions import Transactions
from localcloud.dynamodb.writes import Writes

if TYPE_CHECKING:
    from localcloud.base import Cloud


def install(cloud: "Cloud") -> None:
    """Extend moto's DynamoDB."""
    lock = threading.RLock()  # a transaction calls the other writers
    indexes = Indexes(cloud, lock)
    transactions = Transactions(cloud)
    one_at_a_time.install(cloud, lock)
    Writes(indexes, lock).install(cloud)
    transactions.install()
    indexes.install()
    cloud.add(transactions)
