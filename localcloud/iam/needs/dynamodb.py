"""What DynamoDB asks the policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html.
"""

from collections.abc import Iterator, Mapping

from localcloud.iam.needs.asked import Asked, Needs
from localcloud.iam.requests import Need

# by what it does (DynamoDB developer guide, "IAM policies for DynamoDB transactions")
_IN_TRANSACTION = {
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
    "Delete": "dynamodb:DeleteItem",
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Get": "dynamodb:GetItem",
}


def _table(asked: Asked, name: str) -> str:
    return name if name.startswith("arn:") else asked.arn("dynamodb", f"table/{name}")


def _on_table(asked: Asked) -> Iterator[Need]:
    table = _table(asked, asked.parameters["TableName"])
    index = asked.parameters.get("IndexName")
    yield asked.need(table if index is None else f"{table}/index/{index}")


def _transaction(asked: Asked) -> Iterator[Need]:
    for item in asked.parameters["TransactItems"]:
        for kind, what in item.items():
            yield Need(_IN_TRANSACTION[kind], _table(asked, what["TableName"]))


def _batch(asked: Asked) -> Iterator[Need]:
    for name in asked.parameters["RequestItems"]:
        yield asked.need(_table(asked, name))


NEEDS: Mapping[str, Needs] = {
    "dynamodb:BatchGetItem": _batch,
    "dynamodb:BatchWriteItem": _batch,
    "dynamodb:DeleteItem": _on_table,
    "dynamodb:DescribeTable": _on_table,
    "dynamodb:GetItem": _on_table,
    "dynamodb:PutItem": _on_table,
    "dynamodb:Query": _on_table,
    "dynamodb:Scan": _on_table,
    "dynamodb:TransactGetItems": _transaction,
    "dynamodb:TransactWriteItems": _transaction,
    "dynamodb:UpdateItem": _on_table,
}
