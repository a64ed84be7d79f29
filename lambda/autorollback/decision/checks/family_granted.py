"""May definitions of its family be deployed at all?"""

from autorollback.decision.lookups import Lookup
from autorollback.decision.preflight_case import PreflightCase, PreflightCheck, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName


def needs(_target: PreflightTarget) -> frozenset[Lookup]:
    """Nothing: the policy tells."""
    return frozenset()


def find(case: PreflightCase) -> tuple[Check, ...]:
    """One finding, whichever way the rollback takes.

    ECS's own restore needs no right, but where a stop comes too late the target is deployed.
    """
    family = case.target.definition.family
    if case.policy.allows_family(family):
        detail = f"{family} is one of those under families"
        return (Check(CheckName.FAMILY_GRANTED, passed=True, detail=detail),)
    allowed = ", ".join(case.policy.families)
    detail = f"{family} is none of those under families in services.yaml ({allowed})"
    return (Check(CheckName.FAMILY_GRANTED, passed=False, detail=detail),)


CHECK = PreflightCheck(CheckName.FAMILY_GRANTED, needs, find)
