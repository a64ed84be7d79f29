"""Are its task role and its execution role there?"""

from autorollback.decision.checks.dependencies import findings
from autorollback.decision.lookups import DependencyStatus, Lookup, RoleLookup
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName


def needs(target: PreflightTarget) -> frozenset[Lookup]:
    """Each of its roles."""
    return frozenset(map(RoleLookup, target.definition.roles))


def find(case: PreflightCase) -> tuple[Check, ...]:
    """What is wrong, else how many were found."""
    statuses: dict[str, DependencyStatus] = {}
    for arn in case.target.definition.roles:
        statuses[arn] = case.answers.roles[RoleLookup(arn)]
    return findings(CheckName.ROLES_PRESENT, statuses, case.ran_until)


CHECK = PreflightCheck(CheckName.ROLES_PRESENT, needs, find)
