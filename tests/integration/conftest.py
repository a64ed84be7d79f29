"""A ledger on a real table of the local cloud."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from autorollback.aws.clients import Clients
from autorollback.aws.ledger import Ledger
from localcloud.server import Cloud, running


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def clients(cloud: Cloud) -> Clients:
    return Clients(cloud.session("test"))


@pytest.fixture
def ledger(clients: Clients) -> Iterator[Ledger]:
    names = ("pk", "sk", "unfinished", "due_at", "timeline", "at")
    clients.dynamodb.create_table(
        TableName="ledger",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index,
                "KeySchema": [
                    {"AttributeName": index, "KeyType": "HASH"},
                    {"AttributeName": order, "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
            for index, order in (("unfinished", "due_at"), ("timeline", "at"))
        ],
    )
    yield Ledger(clients, "ledger")
    clients.dynamodb.delete_table(TableName="ledger")
