"""What the ledger keeps of a service.

No record of it grows without bound.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from autorollback.decision.facts import Alarm, Facts, LedgerState, Secret

KNOWN_GOOD_KEPT = 20
"""The newest records of what ran well ..."""

WEEKS_KEPT = 26
"""... and the newest of each of the last weeks."""

INCIDENTS_KEPT = timedelta(days=90)

NOTICES_KEPT = 50
"""The newest messages about no incident: an alarm that comes and goes makes one each time."""

OF_EACH = 40
"""Quarantines, rollbacks and secrets of a record that had to be cut ..."""

OF_EACH_FOR_A_DEPLOYMENT = 4
"""... and no more than so many for each deployment that is left."""

SEEN_AT_ONCE = 500
"""Records of which those to be kept are chosen at a time."""

_WEEK = timedelta(days=7)
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Kept:
    """Chooses, of records that are given one after another, those to be kept.

    Of as many as there may be, no more than a few hundred are held at a time.

    Attributes:
        surplus: names of those that are not kept.
    """

    now: datetime
    surplus: list[str] = field(default_factory=list)
    _seen: dict[str, datetime] = field(default_factory=dict)

    def add(self, name: str, until: datetime) -> None:
        """One record more, by its name, and until when it saw a revision run well."""
        self._seen[name] = until
        if len(self._seen) > SEEN_AT_ONCE:
            self._choose()

    def names(self) -> frozenset[str]:
        """Of all that were given, those to be kept."""
        self._choose()
        return frozenset(self._seen)

    def _choose(self) -> None:
        kept = kept_of(self._seen, self.now)
        self.surplus += [name for name in self._seen if name not in kept]
        self._seen = {name: until for name, until in self._seen.items() if name in kept}


def kept_of(seen: Mapping[str, datetime], now: datetime) -> frozenset[str]:
    """The newest records, and the newest of each of the last weeks.

    Weeks are those of the calendar: what was a week's newest stays it.
    """
    newest_first = sorted(seen, key=lambda name: (seen[name], name), reverse=True)
    kept = set(newest_first[:KNOWN_GOOD_KEPT])
    oldest = _week_of(now) - WEEKS_KEPT
    weeks: set[int] = set()
    for name in newest_first:
        week = _week_of(seen[name])
        if week > oldest and week not in weeks:
            weeks.add(week)
            kept.add(name)
    return frozenset(kept)


def _week_of(moment: datetime) -> int:
    return (moment - _MONDAY) // _WEEK


def is_past(closed_at: datetime | None, now: datetime) -> bool:
    """Whether an incident is closed for longer than incidents are kept."""
    return closed_at is not None and closed_at < now - INCIDENTS_KEPT


def cut_to(
    facts: Facts,
    deployments: int,
    spells: int,
) -> Facts:
    """The facts with the newest deployments alone, and what belongs to these.

    Of each alarm the newest times in ALARM are kept, and the newest of quarantines, rollbacks, records and secrets. What is left out is said to be unread.
    """
    kept = facts.deployments[:deployments]
    arns: set[str | None] = set()
    for deployment in kept:
        arns.update([deployment.target, deployment.rollback_revision, *deployment.sources])
    of_each = min(OF_EACH, OF_EACH_FOR_A_DEPLOYMENT * deployments)
    older = f"older than the newest {deployments} service deployments and {spells} times in ALARM"
    return replace(
        facts,
        deployments=kept,
        revisions={arn: one for arn, one in facts.revisions.items() if arn in arns},
        requests={arn: count for arn, count in facts.requests.items() if arn in arns},
        alarms=tuple(_cut_alarm(alarm, spells) for alarm in facts.alarms),
        secrets=_cut_secrets(facts.secrets, of_each),
        ledger=_cut_ledger(facts.ledger, of_each, OF_EACH_FOR_A_DEPLOYMENT * deployments),
        undescribed=facts.undescribed[:of_each],
        unread=(*facts.unread[:of_each], f"{older}: left out of this record"),
    )


def _cut_alarm(alarm: Alarm, spells: int) -> Alarm:
    """The alarm with its newest times in ALARM: its history reaches back no further then."""
    if alarm.spells is None or len(alarm.spells) <= spells:
        return alarm
    newest = alarm.spells[-spells:]
    return replace(alarm, spells=newest, history_from=newest[0].since)


def _cut_secrets(
    secrets: tuple[Secret, ...] | None,
    of_each: int,
) -> tuple[Secret, ...] | None:
    """Those that something is wrong with, and those that changed last."""
    if secrets is None or len(secrets) <= of_each:
        return secrets
    telling = sorted(secrets, key=_tells_most, reverse=True)
    return tuple(telling[:of_each])


def _tells_most(secret: Secret) -> tuple[bool, float]:
    changed_at = secret.changed_at.timestamp() if secret.changed_at else 0.0
    return secret.wrong is not None, changed_at


def _cut_ledger(
    ledger: LedgerState,
    of_each: int,
    records: int,
) -> LedgerState:
    quarantined = sorted(ledger.quarantined.values(), key=lambda one: one.at, reverse=True)
    rollbacks = sorted(ledger.rollbacks, key=lambda one: one.at, reverse=True)
    known_good = sorted(ledger.known_good, key=lambda one: one.until, reverse=True)
    return replace(
        ledger,
        quarantined={one.identity: one for one in quarantined[:of_each]},
        rollbacks=tuple(rollbacks[:of_each]),
        known_good=tuple(known_good[:records]),
    )
