"""Checks of requests to ECS, and what its answers have in common."""

from collections.abc import Collection
from datetime import UTC, datetime

from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

PAGE = 100


def parameters(request: EC2ContainerServiceResponse) -> ApiObject:
    """Read what a request asks for. Moto's response class holds the request, too."""
    return dict(request._get_params())


def modelled_parameters(
    request: EC2ContainerServiceResponse, operation: str, known: Collection[str]
) -> ApiObject:
    """Read what a request asks for.

    Raises:
        NotModelled: it asks for something that is not known.
    """
    asked = parameters(request)
    refuse_unknown(f"ecs {operation}", asked, known)
    return asked


def refuse_unknown(where: str, asked: Settings, known: Collection[str]) -> None:
    """Refuse what is asked and not known. `where` says of what it is a part.

    Raises:
        NotModelled: there is something.
    """
    for name in asked:
        if name not in known:
            raise NotModelled(f"{where}: {name}")


def cluster_of(asked: Settings) -> str:
    """Read the name or the ARN of the cluster that is asked for."""
    return str(asked.get("cluster", "default"))


def at_most(limit: int, asked: Settings, name: str) -> list[str]:
    """Read the items of a parameter, of which there may be only so many.

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
    """Cut out one page, and make the token of the next.

    A page has 100 items unless told. The token is None on the last.
    """
    start = int(asked.get("nextToken") or 0)
    end = start + asked.get("maxResults", PAGE)
    token = str(end) if end < len(items) else None
    return items[start:end], token


def missing(arns: list[str], known: Collection[str]) -> list[dict[str, str]]:
    """List the `failures` for what is not known."""
    return [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]


def name_in(arn: str) -> str:
    """Take the last part of an ARN, or a name as it is."""
    return arn.rpartition("/")[2]


def in_utc(value: datetime | None) -> datetime | None:
    """Mark a time as UTC. Moto parses times without a zone."""
    if value is None or value.tzinfo is not None:
        return value
    return value.replace(tzinfo=UTC)
