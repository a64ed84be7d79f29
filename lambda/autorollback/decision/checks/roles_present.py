"""Are its task role and its execution role there?"""

from dataclasses import replace

from autorollback.decision.checks.dependencies import findings
from autorollback.decision.lookups import DependencyStatus, Lookup, RoleLookup
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName
from autorollback.policy import Policy


def needs(target: PreflightTarget) -> frozenset[Lookup]:
    """Each of its roles."""
    return frozenset(map(RoleLookup, target.definition.roles))


def find(case: PreflightCase) -> tuple[Check, ...]:
    """What is wrong, else how many were found."""
    statuses: dict[str, DependencyStatus] = {}
    for arn in case.target.definition.roles:
        role = RoleLookup(arn)
        statuses[arn] = _unless_never_granted(role, case.answers.roles[role], case.policy)
    return findings(CheckName.ROLES_PRESENT, statuses, case.ran_until)


def _unless_never_granted(
    role: RoleLookup,
    status: DependencyStatus,
    policy: Policy,
) -> DependencyStatus:
    """A role that may not be asked for is not known, but one that the policy does not name cannot be passed either."""
    if policy.allows_role(role.path) or not status.denied:
        return status
    return replace(status, wrong=f"it is none of the task_roles: add {role.path} to them")


CHECK = PreflightCheck(CheckName.ROLES_PRESENT, needs, find)
