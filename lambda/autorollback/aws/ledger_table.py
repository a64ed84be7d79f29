"""The ledger's DynamoDB table: conditional writes whose answer says who lost, and strongly consistent reads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autorollback.aws.ledger_items import Item, from_attributes, to_attribute, to_attributes

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from autorollback.aws.clients import Clients

CONFLICTS = 3
"""How often a transaction that met another one is tried again at once."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for a write, as DynamoDB's condition expression.

    Attributes:
        names: placeholders of attribute names that DynamoDB reserves.
        values: placeholders of values, plain.
    """

    expression: str
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, object] = field(default_factory=dict)

    def parameters(self) -> dict[str, Any]:
        """The condition as parameters of an operation; DynamoDB refuses empty mappings."""
        parameters: dict[str, Any] = {}
        if self.expression:
            parameters["ConditionExpression"] = self.expression
        if self.names:
            parameters["ExpressionAttributeNames"] = dict(self.names)
        if self.values:
            parameters["ExpressionAttributeValues"] = to_attributes(self.values)
        return parameters


IS_NEW = Condition("attribute_not_exists(pk)")


@dataclass(frozen=True, slots=True)
class LedgerTable:
    """One table of DynamoDB."""

    clients: "Clients"
    name: str

    def get(
        self,
        pk: str,
        sk: str,
        *,
        consistent: bool = True,
    ) -> Item | None:
        """One item; None where there is none."""
        dynamodb = self.clients.dynamodb
        answer = dynamodb.get_item(TableName=self.name, Key=_key(pk, sk), ConsistentRead=consistent)
        attributes = answer.get("Item")
        return from_attributes(attributes) if attributes else None

    def query(
        self,
        pk: str,
        prefix: str = "",
    ) -> Iterator[Item]:
        """All items of a partition, or those whose sort key begins so; strongly consistent.

        One after another, page by page.
        """
        expression, values = "pk = :pk", {":pk": pk}
        if prefix:
            expression, values = (
                f"{expression} AND begins_with(sk, :prefix)",
                {**values, ":prefix": prefix},
            )
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.name,
            ConsistentRead=True,
            KeyConditionExpression=expression,
            ExpressionAttributeValues=to_attributes(values),
        )
        for page in pages:
            for attributes in page["Items"]:
                yield from_attributes(attributes)

    def put(
        self,
        item: Item,
        condition: Condition | None = None,
    ) -> bool:
        """Write an item; False where the condition does not hold.

        An item that is being written in somebody's transaction is somebody's (API PutItem, TransactionConflictException).
        """
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.put_item(**self._put_parameters(item, condition))
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        except dynamodb.exceptions.TransactionConflictException:
            if condition is None:
                raise
            return False
        return True

    def put_or_same(
        self,
        item: Item,
        condition: Condition,
    ) -> bool:
        """Write an item under a condition; also True where the very same is there already.

        A write whose answer was lost, and that the client repeated, is its writer's own.
        """
        dynamodb = self.clients.dynamodb
        parameters = self._put_parameters(item, condition)
        try:
            dynamodb.put_item(**parameters, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            response: Mapping[str, Any] = error.response
            there = response.get("Item")
            return there is not None and from_attributes(there) == from_attributes(
                parameters["Item"]
            )
        except dynamodb.exceptions.TransactionConflictException:
            return False
        return True

    def update(
        self,
        pk: str,
        sk: str,
        expression: str,
        condition: Condition,
    ) -> Item | None:
        """Update an item, and answer it as it now stands.

        None where the condition does not hold. Where the condition has no expression, its names and values alone are used.
        """
        dynamodb = self.clients.dynamodb
        try:
            answer = dynamodb.update_item(
                TableName=self.name,
                Key=_key(pk, sk),
                UpdateExpression=expression,
                ReturnValues="ALL_NEW",
                **condition.parameters(),
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return from_attributes(answer["Attributes"])

    def delete(
        self,
        pk: str,
        sk: str,
        condition: Condition | None = None,
    ) -> bool:
        """Remove an item; False where the condition does not hold."""
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.delete_item(**self._delete_parameters(pk, sk, condition))
        except (
            dynamodb.exceptions.ConditionalCheckFailedException,
            dynamodb.exceptions.TransactionConflictException,
        ):
            if condition is None:
                raise
            return False
        return True

    def transact(self, writes: Sequence["TransactWriteItemTypeDef"]) -> bool:
        """All of the writes or none; False where a condition was not met.

        Two transactions on one item cancel one of them, which goes again (API TransactWriteItems, TransactionConflict).
        """
        dynamodb = self.clients.dynamodb
        for attempt in range(1, CONFLICTS + 1):
            try:
                dynamodb.transact_write_items(TransactItems=writes)
            except dynamodb.exceptions.TransactionCanceledException as error:
                reasons: Any = error.response.get("CancellationReasons", [])
                codes = {reason.get("Code") for reason in reasons}
                if "ConditionalCheckFailed" in codes:
                    return False
                if "TransactionConflict" not in codes or attempt == CONFLICTS:
                    raise
            else:
                return True
        raise AssertionError("the last attempt answers or raises")

    def put_write(
        self,
        item: Item,
        condition: Condition | None = None,
    ) -> "TransactWriteItemTypeDef":
        """A put, as a transaction takes it."""
        return {"Put": self._put_parameters(item, condition)}

    def delete_write(
        self,
        pk: str,
        sk: str,
        condition: Condition | None = None,
    ) -> "TransactWriteItemTypeDef":
        """A delete, as a transaction takes it."""
        return {"Delete": self._delete_parameters(pk, sk, condition)}

    def _put_parameters(
        self,
        item: Item,
        condition: Condition | None,
    ) -> Any:
        parameters: dict[str, Any] = {"TableName": self.name, "Item": to_attributes(item)}
        if condition:
            parameters.update(condition.parameters())
        return parameters

    def _delete_parameters(
        self,
        pk: str,
        sk: str,
        condition: Condition | None,
    ) -> Any:
        parameters: dict[str, Any] = {"TableName": self.name, "Key": _key(pk, sk)}
        if condition:
            parameters.update(condition.parameters())
        return parameters


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": to_attribute(pk), "sk": to_attribute(sk)}
