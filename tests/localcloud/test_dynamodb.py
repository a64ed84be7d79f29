"""DynamoDB: who repeats a transaction, writes at the same time, writes too much, or asks an index."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.dynamodb.transactions import Transactions
from localcloud.server import Cloud, running

TABLE = "ledger"
KEY = {"pk": {"S": "a"}}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with running(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as cloud:
        yield cloud


@pytest.fixture
def dynamodb(cloud: Cloud) -> Any:
    client: Any = cloud.session().client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "open", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "open",
                "KeySchema": [{"AttributeName": "open", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    return client


def count_up(dynamodb: Any, token: str, by: str = "1") -> None:
    update = {
        "TableName": TABLE,
        "Key": KEY,
        "UpdateExpression": "ADD n :n",
        "ExpressionAttributeValues": {":n": {"N": by}},
    }
    dynamodb.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=token)


def item(dynamodb: Any) -> dict[str, Any]:
    found: dict[str, Any] = dynamodb.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True)
    return dict(found.get("Item", {}))


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_transaction_with_the_same_token_is_carried_out_once_in_ten_minutes(
    cloud: Cloud, dynamodb: Any
) -> None:
    for _ in range(3):
        count_up(dynamodb, "first")
    assert item(dynamodb)["n"] == {"N": "1"}
    with pytest.raises(ClientError) as other:
        count_up(dynamodb, "first", by="2")
    assert refused(other) == "IdempotentParameterMismatchException"
    count_up(dynamodb, "second")
    cloud.clock.advance(timedelta(minutes=11))
    count_up(dynamodb, "first")
    assert item(dynamodb)["n"] == {"N": "3"}


def test_a_transaction_that_was_cancelled_is_tried_anew_with_its_token(dynamodb: Any) -> None:
    put = {"TableName": TABLE, "Item": KEY, "ConditionExpression": "attribute_exists(pk)"}
    for _ in range(2):
        with pytest.raises(ClientError) as cancelled:
            dynamodb.transact_write_items(
                TransactItems=[{"Put": put}], ClientRequestToken="the same"
            )
        assert refused(cancelled) == "TransactionCanceledException"
        dynamodb.put_item(TableName=TABLE, Item=KEY)
        put["ConditionExpression"] = "attribute_not_exists(pk)"


@pytest.mark.parametrize("names", [("pk",), ("pk", "sk")], ids=["one key", "two keys"])
def test_a_cancelled_transaction_leaves_every_item_as_it_was(
    cloud: Cloud, names: tuple[str, ...]
) -> None:
    client: Any = cloud.session().client("dynamodb")
    client.create_table(
        TableName="all",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        KeySchema=[
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=False)
        ],
    )

    def of(item: str, **more: Any) -> dict[str, Any]:
        key = {name: {"S": item} for name in names}
        return (
            {"TableName": "all", "Item": key | more} if more else {"TableName": "all", "Key": key}
        )

    def items() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.scan(TableName="all")["Items"]
        return sorted(found, key=lambda one: str(one["pk"]))

    deep = {"M": {"count": {"N": "1"}}}
    for name in ("changed", "deleted", "put over", "untouched"):
        client.put_item(**of(name, n=deep))
    before = items()
    update = of("changed") | {
        "UpdateExpression": "SET n.#c = :two",
        "ExpressionAttributeNames": {"#c": "count"},
        "ExpressionAttributeValues": {":two": {"N": "2"}},
    }
    writes: list[dict[str, Any]] = [
        {"Put": of("new", n=deep)},
        {"Update": update},
        {"Delete": of("deleted")},
        {"Put": of("put over", n={"N": "2"})},
    ]
    fails = {"ConditionCheck": of("nothing") | {"ConditionExpression": "attribute_exists(pk)"}}
    for _ in range(2):
        with pytest.raises(ClientError) as cancelled:
            client.transact_write_items(TransactItems=[*writes, fails])
        assert refused(cancelled) == "TransactionCanceledException"
        assert items() == before

    client.transact_write_items(TransactItems=writes)
    assert [one["pk"]["S"] for one in items()] == ["changed", "new", "put over", "untouched"]
    assert items()[0]["n"] == {"M": {"count": {"N": "2"}}}


def test_an_item_of_an_ongoing_transaction_is_written_by_nobody_else(
    cloud: Cloud, dynamodb: Any
) -> None:
    other: dict[str, Any] = {"Put": {"TableName": TABLE, "Item": {"pk": {"S": "b"}}}}
    mine: dict[str, Any] = {"Delete": {"TableName": TABLE, "Key": KEY}}
    of_mine = {"TableName": TABLE, "Key": KEY}
    with cloud.service(Transactions).ongoing(TABLE, KEY):
        for write, parameters in (
            (dynamodb.put_item, {"TableName": TABLE, "Item": KEY}),
            (dynamodb.delete_item, of_mine),
            (dynamodb.update_item, of_mine | {"UpdateExpression": "REMOVE n"}),
        ):
            with pytest.raises(ClientError) as conflict:
                write(**parameters)
            assert refused(conflict) == "TransactionConflictException"
        with pytest.raises(ClientError) as cancelled:
            dynamodb.transact_write_items(TransactItems=[other, mine])
        response: Any = cancelled.value.response
        codes = [reason["Code"] for reason in response["CancellationReasons"]]
        assert codes == ["None", "TransactionConflict"]
        dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "c"}})
    dynamodb.transact_write_items(TransactItems=[other, mine])


def test_an_item_of_more_than_400_kilobytes_is_refused_and_leaves_what_was_there(
    dynamodb: Any,
) -> None:
    fits, too_long = "x" * (400 * 1024 - 10), "x" * (400 * 1024)
    dynamodb.put_item(TableName=TABLE, Item=KEY | {"text": {"S": fits}})
    before = item(dynamodb)
    values = {":t": {"S": too_long}}
    update = {"TableName": TABLE, "Key": KEY, "UpdateExpression": "SET more = :t"}
    put = {"TableName": TABLE, "Item": KEY | {"text": {"S": too_long}}}
    with pytest.raises(ClientError) as by_put:
        dynamodb.put_item(**put)
    with pytest.raises(ClientError) as by_update:
        dynamodb.update_item(**update, ExpressionAttributeValues=values)
    assert (refused(by_put), refused(by_update)) == ("ValidationException",) * 2
    with pytest.raises(ClientError) as cancelled:
        dynamodb.transact_write_items(TransactItems=[{"Put": put}])
    response: Any = cancelled.value.response
    (reason,) = response["CancellationReasons"]
    assert reason["Code"] == "ValidationError"
    assert reason["Message"] == "Item size has exceeded the maximum allowed size"
    assert item(dynamodb) == before


def test_an_index_follows_its_table_after_the_lag(cloud: Cloud, dynamodb: Any) -> None:
    def found() -> list[str]:
        answer = dynamodb.query(
            TableName=TABLE,
            IndexName="open",
            KeyConditionExpression="#o = :yes",
            ExpressionAttributeNames={"#o": "open"},
            ExpressionAttributeValues={":yes": {"S": "yes"}},
        )
        return [one["pk"]["S"] for one in answer["Items"]]

    dynamodb.put_item(TableName=TABLE, Item=KEY | {"open": {"S": "yes"}})
    assert found() == ["a"]
    cloud.lag = timedelta(seconds=30)
    dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": "b"}, "open": {"S": "yes"}})
    dynamodb.update_item(TableName=TABLE, Key=KEY, UpdateExpression="REMOVE #o", ExpressionAttributeNames={"#o": "open"})  # fmt: skip
    assert found() == ["a"]
    assert "open" not in item(dynamodb), "the table itself does not lag"
    cloud.clock.advance(timedelta(seconds=31))
    assert found() == ["b"]
