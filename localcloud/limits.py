"""How much one request may hold: names, queries, characters and bytes.

What a service's own model bounds is refused as its server does; other bounds are those of its documentation.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, OperationNotFoundError, Shape, StructureShape
from moto.core.utils import get_service_model

from localcloud.errors import Refusal
from localcloud.recorder import Call

_DEEPEST = 5
_ITEM = "[]"

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Bound:
    """The longest that a list or a text may be, or the greatest that a number may be."""

    path: Path
    most: int


# their errors are those of the query protocol, in CloudWatch's newer protocols as well
_OF_QUERY_PROTOCOL = frozenset({"cloudwatch", "elbv2", "iam", "sns", "sts"})

# (service, operation, parameter) -> items, and what the service says
_DOCUMENTED: Mapping[tuple[str, str, str], tuple[int, str]] = {
    # "up to 10 services", "up to 100 tasks" and so on: botocore ecs/2014-11-13
    ("ecs", "DescribeServices", "services"): (10, "InvalidParameterException"),
    ("ecs", "DescribeTasks", "tasks"): (100, "InvalidParameterException"),
    ("ecs", "DescribeClusters", "clusters"): (100, "InvalidParameterException"),
    ("cloudwatch", "GetMetricData", "MetricDataQueries"): (500, "ValidationError"),
    ("cloudwatch", "PutMetricData", "MetricData"): (1000, "ValidationError"),
    # https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_BatchGetDeployments.html
    ("codedeploy", "BatchGetDeployments", "deploymentIds"): (25, "BatchLimitExceededException"),
    ("codedeploy", "BatchGetDeploymentTargets", "targetIds"): (
        25,
        "DeploymentTargetListSizeExceededException",
    ),
}


def check(call: Call) -> None:
    """Let pass what AWS would take.

    Raises:
        Refusal: something in the request is too long or too great.
    """
    for name in call.parameters:
        documented = _DOCUMENTED.get((call.service, call.operation, name))
        if documented is not None and len(call.parameters[name]) > documented[0]:
            message = f"{name} can have at most {documented[0]} items."
            raise Refusal(documented[1], message)
    for bound in _bounds(call.service, call.operation):
        for found in _found(call.parameters, bound.path):
            if _size(found) > bound.most:
                raise _refusal(call.service, bound, found)


@cache
def _bounds(service: str, operation: str) -> tuple[_Bound, ...]:
    """Those of the operation's model."""
    try:
        shape = get_service_model(service).operation_model(operation).input_shape
    except (OperationNotFoundError, UnknownServiceError, ValueError, FileNotFoundError):
        return ()
    if shape is None:
        return ()
    return tuple(_bounds_of(shape, ()))


def _bounds_of(shape: Shape, path: Path) -> Iterator[_Bound]:
    most = shape.metadata.get("max")
    if most is not None and path:
        yield _Bound(path, int(most))
    if len(path) >= _DEEPEST:
        return
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            yield from _bounds_of(member, (*path, name))
    elif isinstance(shape, ListShape):
        yield from _bounds_of(shape.member, (*path, _ITEM))
    elif isinstance(shape, MapShape):
        yield from _bounds_of(shape.value, (*path, _ITEM))


def _found(value: Any, path: Path) -> Iterator[Any]:
    """What a request has at a path."""
    if not path:
        yield value
        return
    step, rest = path[0], path[1:]
    if step != _ITEM:
        if isinstance(value, Mapping) and value.get(step) is not None:
            yield from _found(value[step], rest)
        return
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(items, str):
        return
    for item in items:
        yield from _found(item, rest)


def _size(value: Any) -> float:
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return value
    return len(value) if hasattr(value, "__len__") else 0


def _refusal(service: str, bound: _Bound, found: object) -> Refusal:
    """In the words of the service's protocol."""
    name = bound.path[0]
    what = "value" if isinstance(found, int | float) else "length"
    constraint = f"Member must have {what} less than or equal to {bound.most}"
    if service == "ecr":
        message = f"Invalid parameter at '{name}' failed to satisfy constraint: '{constraint}'"
        return Refusal("InvalidParameterException", message)
    message = (
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {constraint}"
    )
    code = "ValidationError" if service in _OF_QUERY_PROTOCOL else "ValidationException"
    return Refusal(code, message)
