"""The policies of the protected services, one SSM parameter each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autorollback.naming import Names, ServiceKey
from autorollback.policy import PolicyError, ServicePolicy, parse_stored

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients


@dataclass(frozen=True, slots=True)
class Policies:
    """Reads policies.

    What was edited by hand into nonsense raises PolicyError that names the parameter and the key.
    """

    clients: "Clients"
    names: Names

    def of(self, key: ServiceKey) -> ServicePolicy | None:
        """The policy of one service; None where it is not protected."""
        name = self.names.policy_parameter(key)
        try:
            answer = self.clients.ssm.get_parameter(Name=name)
        except self.clients.ssm.exceptions.ParameterNotFound:
            return None
        return parse_policy(name, key, answer["Parameter"]["Value"])

    def of_all(self, keys: Sequence[ServiceKey]) -> dict[ServiceKey, ServicePolicy | PolicyError]:
        """The policies of up to 10 services that have one, in one call.

        One that cannot be read says so in its place, and spoils no other.
        """
        keys_by_name = {self.names.policy_parameter(key): key for key in keys}
        answer = self.clients.ssm.get_parameters(Names=list(keys_by_name))

        policies: dict[ServiceKey, ServicePolicy | PolicyError] = {}
        for parameter in answer["Parameters"]:
            name = parameter["Name"]
            key = keys_by_name[name]
            try:
                policies[key] = parse_policy(name, key, parameter["Value"])
            except PolicyError as error:
                policies[key] = error
        return policies

    def keys(self) -> tuple[ServiceKey, ...]:
        """Every protected service, by the names of the parameters."""
        pages = self.clients.ssm.get_paginator("get_parameters_by_path").paginate(
            Path=self.names.parameter_prefix.rstrip("/"), Recursive=True
        )
        keys: list[ServiceKey] = []
        for page in pages:
            for parameter in page["Parameters"]:
                key = self.names.parse_policy_parameter(parameter["Name"])
                if key is not None:
                    keys.append(key)
        return tuple(sorted(keys, key=str))

    def named(
        self,
        service: str,
        cluster: str | None = None,
    ) -> tuple[ServiceKey, ...]:
        """The protected services of a name.

        More than one only where clusters share it and none is given.
        """
        if cluster is None:
            return tuple(key for key in self.keys() if key.service == service)

        key = ServiceKey(cluster, service)
        if self.of(key) is None:
            return ()
        return (key,)


def parse_policy(
    parameter: str,
    key: ServiceKey,
    text: str,
) -> ServicePolicy:
    """The policy that a parameter holds.

    Raises:
        PolicyError: naming the parameter, and the key where one is wrong.
    """
    where = f"parameter {parameter}"
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PolicyError(where, text[:200], f"a JSON object ({error})") from None

    policy = parse_stored(document, where)
    if policy.key != key:
        allowed = f"the policy of the service that its name says, {key}"
        raise PolicyError(where, str(policy.key), allowed)
    return policy
