"""One call, and what its needs are worked out from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localcloud.iam.requests import Need
from localcloud.recorder import Call
from localcloud.shapes import ApiObject

if TYPE_CHECKING:
    from localcloud.base import Cloud

PREFIXES = {"elbv2": "elasticloadbalancing"}
"""IAM's prefix of a service, where boto3 calls the client otherwise."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A call to this cloud."""

    call: Call
    cloud: "Cloud"

    @property
    def action(self) -> str:
        """IAM's name of the operation."""
        return f"{PREFIXES.get(self.call.service, self.call.service)}:{self.call.operation}"

    @property
    def parameters(self) -> ApiObject:
        """Those of the call, under the names of the API."""
        return self.call.parameters

    def arn(self, service: str, resource: str, *, region: str | None = None) -> str:
        """Of a resource of the cloud's account, in the Region of the call."""
        where = self.call.region if region is None else region
        return f"arn:aws:{service}:{where}:{self.cloud.account}:{resource}"

    def backend(self, backends: Any, *, region: str | None = None) -> Any:
        """What moto keeps of a service for the cloud's account, in the Region of the call."""
        return backends[self.cloud.account][region or self.call.region]

    def need(self, resource: str, context: Mapping[str, str | None] | None = None) -> Need:
        """The call's own action on a resource, with condition keys of one value, or of none, each."""
        return Need(self.action, resource, texts(context or {}))


Needs = Callable[[Asked], Iterator[Need]]


def without_resource(asked: Asked) -> Iterator[Need]:
    """The action has no resource in the reference: only `*` allows it."""
    yield asked.need("*")


def of_resource(service: str, parameter: str, *, shape: str = "{}") -> Needs:
    """The action is on the resource that one parameter names, alone or in a list, by its name or its ARN."""

    def needs(asked: Asked) -> Iterator[Need]:
        for name in listed(asked.parameters[parameter]):
            known = name.startswith("arn:")
            yield asked.need(name if known else asked.arn(service, shape.format(name)))

    return needs


def listed(value: Any) -> list[Any]:
    """A list as it is, one thing as a list of one."""
    return value if isinstance(value, list) else [value]


def texts(values: Mapping[str, str | None]) -> dict[str, tuple[str, ...]]:
    """Condition keys of one value each; None is a key that AWS does not send."""
    return {key.lower(): () if text is None else (text,) for key, text in values.items()}
