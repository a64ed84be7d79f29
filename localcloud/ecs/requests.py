"""Checks of what the API of ECS is asked, and the parts that its answers have in common."""

from collections.abc import Collection
from datetime import UTC, datetime

from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

PAGE = 100


def parameters(request: EC2ContainerServiceResponse) -> ApiObject:
    """What a request asks for; moto's response class holds the request, too."""
    return dict(request._get_params())


def modelled_parameters(
    request: EC2ContainerServiceResponse, operation: str, known: Collection[str]
) -> ApiObject:
    """What a request asks for.

    Raises:
        NotModelled: it asks for something that is not known.
    """
    asked = parameters(request)
    refuse_unknown(f"ecs {operation}", asked, known)
    return asked


def refuse_unknown(where: str, asked: Settings, known: Collection[str]) -> None:
    """Refuse what is asked and not known, which is of `where`.

    Raises:
        NotModelled: there is something.
    """
    for name in asked:
        if name not in known:
            raise NotModelled(f"{where}: {name}")


def cluster_of(asked: Settings) -> str:
    """The cluster that is asked for, by its name or its ARN."""
    return str(asked.get("cluster", "default"))


def at_most(limit: int, asked: Settings, name: str) -> list[str]:
    """The items of a parameter, which must be there and no more than the limit.

    Raises:
        Refusal: there are none, or too many.
    """
    items: list[str] = asked.get(name, [])
    if not items:
        raise Refusal("InvalidParameterException", f"{name} can not be empty.")
    if len(items) > limit:
        raise Refusal("InvalidParameterException", f"{name} can have at most {limit} items.")
    return items


def page(items: list[str], asked: Settings) -> tuple[list[str], str | None]:
    """One page of the items, 100 unless told, and the token of the next if there is one."""
    start = int(asked.get("nextToken") or 0)
    end = start + asked.get("maxResults", PAGE)
    token = str(end) if end < len(items) else None
    return items[start:end], token


def missing(arns: list[str], known: Collection[str]) -> list[dict[str, str]]:
    """The `failures` for what is not known."""
    return [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]


def name_in(arn: str) -> str:
    """The last part of an ARN, or a name as it is."""
    return arn.rpartition("/")[2]


def in_utc(value: datetime | None) -> datetime | None:
    """Mark a time as UTC; moto parses times without a zone."""
    if value is None or value.tzinfo is not None:
        return value
    return value.replace(tzinfo=UTC)
