"""The policies that hang on resources, as far as the cloud has them."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.ecr.models import ecr_backends
from moto.kms.models import kms_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.sns.models import sns_backends

from localcloud.iam.policies import Statement, statements


def policy_of(resource: str, region: str) -> tuple[Statement, ...]:
    """The policy of a resource, by its ARN. Most have none."""
    parts = resource.split(":", 5)
    if len(parts) != 6 or parts[2] not in _POLICIES:
        return ()
    backend_of, find = _POLICIES[parts[2]]
    backend = backend_of[parts[4]][parts[3] or region]
    found = find(backend, resource)
    if not found:
        return ()
    return statements(found if isinstance(found, str) else json.dumps(found))


def _of_topic(backend: Any, arn: str) -> Any:
    topic = backend.topics.get(arn)
    return topic and topic.policy


def _of_key(backend: Any, arn: str) -> Any:
    key = backend.keys.get(arn.rpartition("/")[2])
    return key and key.policy


def _of_repository(backend: Any, arn: str) -> Any:
    repository = backend.repositories.get(arn.partition(":repository/")[2])
    return repository and repository.policy


def _of_secret(backend: Any, arn: str) -> Any:
    for secret in backend.secrets.values():
        if secret.arn == arn:
            return secret.policy
    return None


_POLICIES: Mapping[str, tuple[Any, Callable[[Any, str], Any]]] = {
    "ecr": (ecr_backends, _of_repository),
    "kms": (kms_backends, _of_key),
    "secretsmanager": (secretsmanager_backends, _of_secret),
    "sns": (sns_backends, _of_topic),
}
