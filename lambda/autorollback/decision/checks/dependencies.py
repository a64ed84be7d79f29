"""What is told of secrets, parameters and roles alike."""

from collections.abc import Mapping
from datetime import datetime

from autorollback.decision.formatting import clock
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.verdicts import Check, CheckName


def findings(
    check: CheckName,
    statuses: Mapping[str, DependencyStatus],
    ran_until: datetime | None,
) -> tuple[Check, ...]:
    """What is wrong, else how many were found; and what could not be looked for. By name."""
    if not statuses:
        return (Check(check, passed=True, detail="none needed"),)

    unknown: list[Check] = []
    wrong: list[Check] = []
    fine: dict[str, DependencyStatus] = {}
    for name, status in sorted(statuses.items()):
        if status.unknown:
            unknown.append(Check(check, None, f"{name}: {status.unknown}, not checked"))
        elif status.wrong:
            wrong.append(Check(check, passed=False, detail=f"{name}: {status.wrong}"))
        else:
            fine[name] = status

    if wrong:
        return (*unknown, *wrong)
    if not fine:
        return tuple(unknown)
    return (*unknown, _all_found(check, fine, ran_until))


def _all_found(
    check: CheckName,
    fine: Mapping[str, DependencyStatus],
    ran_until: datetime | None,
) -> Check:
    """All are there; which of them changed after the candidate last ran."""
    told = [f"{len(fine)} found"]
    changed: list[str] = []
    for name, status in fine.items():
        if ran_until and status.changed_at and status.changed_at > ran_until:
            changed.append(name)
            told.append(f"{name} changed at {clock(status.changed_at)}, after it last ran")
    detail = "; ".join(told)
    return Check(
        check,
        passed=True,
        detail=detail,
        changed_since_run=tuple(changed),
    )
