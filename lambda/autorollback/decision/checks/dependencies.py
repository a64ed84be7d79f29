"""What is told of secrets, parameters and roles alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from autorollback.decision.formatting import clock, first_few
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.verdicts import Check, CheckName

NAMED = 5
"""Of a kind, as many are named; the rest is counted."""


def findings(
    check: CheckName,
    statuses: Mapping[str, DependencyStatus],
    ran_until: datetime | None,
) -> tuple[Check, ...]:
    """What is wrong, else how many were found; and what could not be looked for.

    By name, but of a kind no more than `NAMED`: a definition may name a thousand.
    """
    if not statuses:
        return (Check(check, passed=True, detail="none needed"),)

    unknown: list[str] = []
    wrong: list[str] = []
    fine: dict[str, DependencyStatus] = {}
    for name, status in sorted(statuses.items()):
        if status.wrong:
            wrong.append(f"{name}: {status.wrong}")
        elif status.unknown:
            unknown.append(f"{name}: {status.unknown}, not checked")
        else:
            fine[name] = status

    denied = any(status.denied for status in statuses.values())
    found = [replace(one, denied=denied) for one in _each(check, None, unknown)]
    if wrong:
        return (*found, *_each(check, False, wrong))
    if not fine:
        return tuple(found)
    return (*found, _all_found(check, fine, ran_until))


def _each(
    check: CheckName,
    passed: bool | None,  # noqa: FBT001 - the three answers of a check
    details: Sequence[str],
) -> list[Check]:
    """One finding for each, and one that counts the rest."""
    return [Check(check, passed, detail) for detail in first_few(details, NAMED)]


def _all_found(
    check: CheckName,
    fine: Mapping[str, DependencyStatus],
    ran_until: datetime | None,
) -> Check:
    """All are there; which of them changed after the candidate last ran."""
    changed: list[str] = []
    told: list[str] = []
    for name, status in fine.items():
        if ran_until and status.changed_at and status.changed_at > ran_until:
            changed.append(name)
            told.append(f"{name} changed at {clock(status.changed_at)}, after it last ran")
    detail = "; ".join([f"{len(fine)} found", *first_few(told, NAMED)])
    return Check(
        check,
        passed=True,
        detail=detail,
        changed_since_run=tuple(changed[:NAMED]),
    )
