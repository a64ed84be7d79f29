"""What people are told of the readiness of services, however many there are."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from autorollback import results
from autorollback.decision.formatting import shortened
from autorollback.results import FindingSeverity, ReadinessFinding, ServiceReadiness

IN_FULL = 100_000
"""Characters of a message for the services that are told with all their findings ..."""

IN_ALL = 200_000
"""... and with those that are named alone; the rest is counted."""

DETAIL = 1000
"""Characters of a finding's detail, and of its remedy."""

ASK = "ask the action readiness"


@dataclass(frozen=True, slots=True)
class Report:
    """The services that a message names, those that are not ready first.

    Attributes:
        in_full: with all their findings.
        by_name: that there was no room for; their findings are left out.
        more: how many others have changed.
    """

    in_full: tuple[ServiceReadiness, ...]
    by_name: tuple[ServiceReadiness, ...] = ()
    more: int = 0

    @property
    def services(self) -> tuple[ServiceReadiness, ...]:
        """All that are named; what is left out of one is said in its place."""
        without = [replace(one, findings=(_left_out(one),)) for one in self.by_name]
        return (*self.in_full, *without)

    @property
    def letter(self) -> str:
        """The same, service by service, as people read it."""
        lines: list[str] = []
        for one in self.in_full:
            lines.append(_headline(one))
            for finding in one.findings:
                lines.append(f"  {finding.severity}: {finding.check}: {finding.detail}")
                lines.append(f"    {finding.remedy}")
            lines.append("")
        if self.by_name:
            lines.append(f"Without their findings, for which there is no room here ({ASK}):")
            lines += map(_headline, self.by_name)
        if self.more:
            lines.append(f"And {self.more} more: {ASK}.")
        return "\n".join(lines)


def report_of(changed: Sequence[ServiceReadiness]) -> Report:
    """What has changed since the last audit, as far as a message holds it."""
    worst_first = sorted(changed, key=lambda one: one.ready)
    in_full: list[ServiceReadiness] = []
    by_name: list[ServiceReadiness] = []
    written = 0
    for service in map(_shortened, worst_first):
        in_letter_and_document = 2 * _length(service)
        if not by_name and written + in_letter_and_document <= IN_FULL:
            in_full.append(service)
            written += in_letter_and_document
            continue
        written += 2 * _length(replace(service, findings=(_left_out(service),)))
        if written > IN_ALL:
            break
        by_name.append(service)
    more = len(changed) - len(in_full) - len(by_name)
    return Report(tuple(in_full), tuple(by_name), more)


def _headline(service: ServiceReadiness) -> str:
    could = "could be rolled back" if service.ready else "could NOT be rolled back"
    return f"{service.key}: {could}"


def _shortened(service: ServiceReadiness) -> ServiceReadiness:
    findings: list[ReadinessFinding] = []
    for finding in service.findings:
        detail, remedy = shortened(finding.detail, DETAIL), shortened(finding.remedy, DETAIL)
        findings.append(replace(finding, detail=detail, remedy=remedy))
    return replace(service, findings=tuple(findings))


def _length(service: ServiceReadiness) -> int:
    """Characters of a service as JSON, in which one may become twelve."""
    return len(json.dumps(results.readiness_json(service)))


def _left_out(service: ServiceReadiness) -> ReadinessFinding:
    """What stands for findings, and leaves the service as ready as it is."""
    severity = FindingSeverity.INFO if service.ready else FindingSeverity.ERROR
    return ReadinessFinding("left_out", severity, "no room for its findings", ASK)
