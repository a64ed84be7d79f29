"""Are the secrets and parameters there that its containers and its images' registries need?"""

from autorollback.decision.checks.dependencies import findings
from autorollback.decision.definition import Definition
from autorollback.decision.lookups import DependencyStatus, Lookup, SecretLookup
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName


def secrets_of(definition: Definition) -> tuple[SecretLookup, ...]:
    """All that a definition names: what its containers are given, then registries' credentials."""
    lookups = list(map(SecretLookup, definition.secrets))
    for name in definition.registry_credentials:
        lookups.append(SecretLookup(name, of_registry=True))
    return tuple(lookups)


def needs(target: PreflightTarget) -> frozenset[Lookup]:
    """Each of its secrets and parameters."""
    return frozenset(secrets_of(target.definition))


def find(case: PreflightCase) -> tuple[Check, ...]:
    """What is wrong, else how many were found, and which changed since it last ran."""
    statuses: dict[str, DependencyStatus] = {}
    for secret in secrets_of(case.target.definition):
        name = secret.value_from
        if secret.of_registry:
            name = f"of registry {name}"
        statuses[name] = case.answers.secrets[secret]
    return findings(CheckName.SECRETS_PRESENT, statuses, case.ran_until)


CHECK = PreflightCheck(CheckName.SECRETS_PRESENT, needs, find)
