"""The checks before a rollback, one module each, in their order."""

from autorollback.decision.checks import (
    definition_usable,
    family_granted,
    image_present,
    needs,
    roles_present,
    secrets_present,
    settings_match,
)

CHECKS = (
    image_present.CHECK,
    secrets_present.CHECK,
    roles_present.CHECK,
    family_granted.CHECK,
    definition_usable.CHECK,
    settings_match.CHECK,
    needs.CHECK,
)
