"""Documents that something went wrong with, at random: a seed makes each again."""

import copy
import json
import random
from collections.abc import Iterator, MutableMapping, Sequence
from decimal import Decimal
from typing import Any

JUNK: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 10**30, 1.5, float("nan"), float("inf"),
    "", " ", "x" * 3000, "\u202e", "\ud800", "a\nb", "1", "{", "[]", "service-0:1", "auth:1",
    [], [[]], ["x"], {}, {"a": 1}, {"a": {"a": []}},
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2036-01-01",
    "2036-01-01T00:00:00Z", "arn:aws:ecs:us-east-1:999999999999:service/shop/auth",
)  # fmt: skip
"""What JSON may hold."""

JUNK_OF_ITEMS = (*JUNK, Decimal("1E+400"), Decimal("0.5"), b"?", {"a", "b"}, {Decimal(1)})
"""What an item of DynamoDB may hold besides."""

Place = tuple[MutableMapping[Any, Any] | list[Any], Any]


def mutated(document: Any, seed: int, junk: Sequence[Any] = JUNK) -> Any:
    """The document with one or two things changed, lost or added, also inside of JSON texts."""
    chance = random.Random(seed)  # noqa: S311 - the seed makes the document again
    changed = copy.deepcopy(document)
    for _ in range(chance.randint(1, 2)):
        _mutate(changed, chance, junk)
    return changed


def _mutate(document: Any, chance: random.Random, junk: Sequence[Any]) -> None:
    places = list(_places(document))
    if not places:
        return
    holder, key = chance.choice(places)
    value = holder[key]
    inner = _inside(value)
    if inner is not None and chance.random() < 0.7:
        _mutate(inner, chance, JUNK)
        holder[key] = json.dumps(inner, default=str)
        return
    match chance.randint(0, 4):
        case 0:
            del holder[key]
        case 1 | 2:
            holder[key] = copy.deepcopy(chance.choice(junk))
        case 3 if isinstance(value, str):
            holder[key] = value[: chance.randint(0, len(value))]
        case 3:
            holder[key] = [value]
        case _ if isinstance(holder, list):
            holder.append(copy.deepcopy(chance.choice(junk)))
        case _:
            holder[chance.choice(["nonsense", "force", "deployment", "mutedByArn"])] = (
                copy.deepcopy(chance.choice(junk))
            )


def _inside(value: Any) -> Any:
    """The object or list that a JSON text holds."""
    if not isinstance(value, str):
        return None
    try:
        inner = json.loads(value)
    except ValueError:
        return None
    return inner if isinstance(inner, dict | list) else None


def _places(document: Any) -> Iterator[Place]:
    """Every place of a document that holds something, however deep."""
    if isinstance(document, dict):
        keys: list[Any] = list(document)
    elif isinstance(document, list):
        keys = list(range(len(document)))
    else:
        return
    for key in keys:
        yield document, key
        yield from _places(document[key])
