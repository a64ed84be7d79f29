"""The policies of the protected services, one SSM parameter each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autorollback.naming import Names, ServiceKey
from autorollback.policy import PolicyError, ServicePolicy, parse_service

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients


@dataclass(frozen=True, slots=True)
class Policies:
    """Reads policies. What was edited by hand into nonsense raises PolicyError that names the parameter and the key."""

    clients: "Clients"
    names: Names

    def of(self, key: ServiceKey) -> ServicePolicy | None:
        """The policy of one service; None where it has none, which means that it is not protected."""
        name = self.names.policy_parameter(key)
        try:
            answer = self.clients.ssm.get_parameter(Name=name)
        except self.clients.ssm.exceptions.ParameterNotFound:
            return None
        return _parse(name, key, answer["Parameter"]["Value"])

    def of_all(self, keys: Sequence[ServiceKey]) -> dict[ServiceKey, ServicePolicy]:
        """The policies of up to 10 services, in one call; those that have none are not there."""
        names = {self.names.policy_parameter(key): key for key in keys}
        answer = self.clients.ssm.get_parameters(Names=list(names))
        return {names[p["Name"]]: _parse(p["Name"], names[p["Name"]], p["Value"]) for p in answer["Parameters"]}

    def keys(self) -> tuple[ServiceKey, ...]:
        """Every protected service, by the names of the parameters."""
        pages = self.clients.ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self.names.parameter_prefix.rstrip("/"), Recursive=True
        )
        keys = (self.names.parse_policy_parameter(p["Name"]) for page in pages for p in page["Parameters"])
        return tuple(sorted((key for key in keys if key), key=str))

    def named(self, service: str, cluster: str | None = None) -> tuple[ServiceKey, ...]:
        """The protected services of a name; more than one only where clusters share it and none is given."""
        if cluster is not None:
            key = ServiceKey(cluster, service)
            return (key,) if self.of(key) else ()
        return tuple(key for key in self.keys() if key.service == service)


def _parse(parameter: str, key: ServiceKey, text: str) -> ServicePolicy:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PolicyError(f"parameter {parameter}", text[:200], f"a JSON object ({error})") from None
    policy = parse_service(document, f"parameter {parameter}")
    if policy.key != key:
        raise PolicyError(
            f"parameter {parameter}", str(policy.key), f"the policy of the service that its name says, {key}"
        )
    return policy
