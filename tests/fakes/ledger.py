"""A ledger in memory: the same conditional writes as of the table, and the same answers."""

# ruff: noqa: ARG002 - a fake takes what its port takes

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from autorollback.aws.ledger import HistoryPage, Notice, RecordChanged, UnsentNotice
from autorollback.decision.facts import KnownGood, LedgerState, Quarantine, TrafficReading
from autorollback.decision.incident import Incident, LeftRevision
from autorollback.decision.ledger_state import (
    PendingCheck,
    RecentDeployment,
    RedWatch,
    ServiceLedger,
)
from autorollback.decision.retention import kept_of
from autorollback.naming import ServiceKey


@dataclass
class Record:
    """An incident as it stands, and when the sweep has to look after it."""

    incident: Incident
    due: datetime | None


@dataclass
class Told:
    """A notice: its first message, and whether people have it."""

    unsent: UnsentNotice
    due: datetime
    judged: set[str] = field(default_factory=set)
    announced: bool = False


@dataclass
class Partition:
    """All that is kept of one service."""

    lease: tuple[str, datetime] | None = None
    pause: datetime | None = None
    records: dict[str, Record] = field(default_factory=dict)
    copies: dict[str, Record] = field(default_factory=dict)
    quarantines: dict[str, Quarantine] = field(default_factory=dict)
    good: dict[str, KnownGood] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    muted: dict[str, datetime] = field(default_factory=dict)
    checks: dict[str, PendingCheck] = field(default_factory=dict)
    red_watches: dict[str, RedWatch] = field(default_factory=dict)
    looked_at: set[str] = field(default_factory=set)
    traffic: dict[str, TrafficReading] = field(default_factory=dict)
    watched: dict[str, datetime] = field(default_factory=dict)
    released: list[tuple[Quarantine, str | None]] = field(default_factory=list)
    alarm_trees: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Table:
    """What all invocations share."""

    services: dict[ServiceKey, Partition] = field(default_factory=dict)
    pause_of_all: datetime | None = None
    deployed: list[RecentDeployment] = field(default_factory=list)

    def of(self, key: ServiceKey) -> Partition:
        return self.services.setdefault(key, Partition())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is kept of any service."""
        kept = [partition for partition in self.services.values() if partition != Partition()]
        return kept == [] and self.pause_of_all is None


@dataclass
class FakeLedger:
    """The ledger of one invocation, on the table of all."""

    table: Table = field(default_factory=Table)
    _leased: set[ServiceKey] = field(default_factory=set)

    # one judgement of a service at a time

    def lease(self, key: ServiceKey, owner: str, now: datetime, until: datetime) -> bool:
        partition = self.table.of(key)
        if partition.lease is not None:
            other, runs_until = partition.lease
            if other != owner and runs_until >= now:
                return False
        partition.lease = (owner, until)
        self._leased.add(key)
        return True

    def release_lease(self, key: ServiceKey, owner: str) -> None:
        if key not in self._leased:
            return
        self._leased.discard(key)
        partition = self.table.of(key)
        if partition.lease is not None and partition.lease[0] == owner:
            partition.lease = None

    # what is known

    def recall(self, key: ServiceKey, now: datetime) -> ServiceLedger:
        partition = self.table.of(key)
        incidents = [record.incident for record in partition.records.values()]
        lost = [
            replace(copy.incident, was_lost=True)
            for name, copy in partition.copies.items()
            if name not in partition.records
        ]
        incidents += lost
        incidents.sort(key=lambda incident: incident.claimed_at, reverse=True)
        kept = kept_of({name: good.until for name, good in partition.good.items()}, now)
        judged: set[str] = set()
        for told in partition.told.values():
            judged |= told.judged
        is_paused = partition.pause is not None and partition.pause > now
        state = LedgerState(
            paused_until=partition.pause if is_paused else None,
            quarantined=dict(partition.quarantines),
            rollbacks=tuple(one.as_past_rollback() for one in incidents if one.acted),
            known_good=tuple(good for name, good in partition.good.items() if name in kept),
            traffic=tuple(partition.traffic.values()),
        )
        return ServiceLedger(
            state=state,
            incidents=tuple(incidents),
            judged=frozenset(judged),
            muted=dict(partition.muted),
            pending_checks=tuple(partition.checks.values()),
            red_watches=tuple(partition.red_watches.values()),
            unsent=tuple(key for key, told in partition.told.items() if not told.announced),
            watched=tuple(partition.watched),
            alarm_trees=dict(partition.alarm_trees),
            lost=tuple(lost),
            surplus=tuple(f"good#{name}" for name in partition.good if name not in kept),
        )

    def pause_of_all(self) -> datetime | None:
        return self.table.pause_of_all

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        wants: list[tuple[datetime, ServiceKey]] = []
        for key, partition in self.table.services.items():
            records = (*partition.records.values(), *partition.copies.values())
            times = [record.due for record in records if record.due]
            times += [told.due for told in partition.told.values() if not told.announced]
            times += [check.due for check in partition.checks.values()]
            times += [watch.due for watch in partition.red_watches.values()]
            times += partition.watched.values()
            wants += [(at, key) for at in times if at <= now]
        wants.sort(key=lambda want: want[0])
        return tuple(dict.fromkeys(key for _, key in wants))

    def history(self, key: ServiceKey | None, limit: int, after: str | None) -> HistoryPage:
        listed: list[tuple[str, Incident]] = []
        for owner, partition in self.table.services.items():
            if key in (None, owner):
                for sort_key, record in partition.records.items():
                    order = sort_key if key else record.incident.claimed_at.isoformat()
                    listed.append((order, record.incident))
        listed.sort(key=lambda one: one[0], reverse=True)
        incidents = [incident for _, incident in listed]
        start = _place(after, key) if after else 0
        page = tuple(incidents[start : start + limit])
        goes_on = start + limit < len(incidents)
        return HistoryPage(page, f"{key}|{start + limit}" if goes_on else None)

    # pauses, quarantines and known-good records

    def pause(
        self,
        key: ServiceKey | None,
        until: datetime,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        if key is None:
            self.table.pause_of_all = until
        else:
            self.table.of(key).pause = until

    def resume(self, key: ServiceKey | None) -> None:
        if key is None:
            self.table.pause_of_all = None
        else:
            self.table.of(key).pause = None

    def quarantines(self, key: ServiceKey) -> tuple[Quarantine, ...]:
        return tuple(self.table.of(key).quarantines.values())

    def release(
        self,
        key: ServiceKey,
        lifted: Quarantine,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        partition = self.table.of(key)
        partition.quarantines.pop(lifted.identity, None)
        partition.released.append((lifted, words))

    def save_known_good(self, key: ServiceKey, good: KnownGood) -> None:
        kept = self.table.of(key).good
        identity = str(good.revision.identity)
        if identity not in kept or kept[identity].until < good.until:
            kept[identity] = good

    def trim(self, key: ServiceKey, surplus: Sequence[str], now: datetime) -> None:
        for name in surplus:
            self.table.of(key).good.pop(name.removeprefix("good#"), None)

    # incidents

    def claim(self, incident: Incident, over: Incident | None = None) -> bool:
        records = self.table.of(incident.key).records
        there = records.get(incident.sort_key)
        if there is not None:
            return over is None and there.incident == incident
        if over is not None:
            if not self._is_at(over):
                return False
            self._write(over.replaced(incident.claimed_at), None)
        records[incident.sort_key] = Record(incident, incident.claimed_at)
        return True

    def save(self, incident: Incident, due: datetime | None) -> Incident:
        self._must_be_at(incident)
        return self._write(incident, due)

    def finish(
        self,
        incident: Incident,
        due: datetime | None,
        owner: str,
        left: Sequence[LeftRevision] = (),
        at: datetime | None = None,
    ) -> Incident:
        self._must_be_at(incident)
        quarantines = self.table.of(incident.key).quarantines
        for one in left:
            quarantines[one.identity] = one.quarantined_at(at or incident.claimed_at)
        self.release_lease(incident.key, owner)
        return self._write(incident, due)

    def retract(self, incident: Incident) -> None:
        records = self.table.of(incident.key).records
        if incident.sort_key not in records:
            return
        self._must_be_at(incident)
        if not records[incident.sort_key].incident.is_unfinished_claim:
            raise RecordChanged(incident.incident_id)
        del records[incident.sort_key]

    def _is_at(self, incident: Incident) -> bool:
        there = self.table.of(incident.key).records.get(incident.sort_key)
        return there is not None and there.incident.step == incident.step

    def _must_be_at(self, incident: Incident) -> None:
        if not self._is_at(incident):
            raise RecordChanged(incident.incident_id)

    def _write(self, incident: Incident, due: datetime | None) -> Incident:
        written = replace(incident, step=incident.step + 1)
        partition = self.table.of(incident.key)
        partition.records[incident.sort_key] = Record(written, due)
        partition.copies.pop(incident.sort_key, None)
        if written.has_copy:
            without_facts = replace(written, facts=None)
            partition.copies[incident.sort_key] = Record(without_facts, due)
        return written

    def put_back(self, incident: Incident) -> None:
        records = self.table.of(incident.key).records
        records.setdefault(incident.sort_key, Record(incident, incident.claimed_at))

    # what people were told

    def should_notify(self, key: ServiceKey, notice: Notice, now: datetime) -> UnsentNotice | None:
        kept = self.table.of(key).told
        unsent = UnsentNotice(notice.sort_key, notice.message, notice.resource)
        told = kept.setdefault(notice.sort_key, Told(unsent, now))
        told.judged |= set(notice.judged)
        return None if told.announced else told.unsent

    def notified(self, key: ServiceKey, notice: UnsentNotice) -> None:
        told = self.table.of(key).told[notice.sort_key]
        told.unsent = notice
        told.announced = notice.people_told and notice.machines_told

    def unsent_notice(self, key: ServiceKey, sort_key: str) -> UnsentNotice | None:
        told = self.table.of(key).told.get(sort_key)
        return None if told is None or told.announced else told.unsent

    def save_alarm_trees(self, key: ServiceKey, trees: Mapping[str, tuple[str, ...]]) -> None:
        self.table.of(key).alarm_trees = dict(trees)

    # what the sweep has to know

    def record_muted(self, key: ServiceKey, alarm: str, at: datetime) -> None:
        self.table.of(key).muted[alarm] = at

    def watch_red(self, key: ServiceKey, watch: RedWatch) -> None:
        partition = self.table.of(key)
        if watch.sort_key in partition.looked_at:
            return
        first = partition.red_watches.setdefault(watch.sort_key, watch)
        partition.red_watches[watch.sort_key] = replace(first, message=watch.message)

    def end_red_watch(self, key: ServiceKey, watch: RedWatch, at: datetime, *, told: bool) -> None:
        partition = self.table.of(key)
        partition.red_watches.pop(watch.sort_key, None)
        if told:
            partition.looked_at.add(watch.sort_key)

    def save_deployment(self, deployed: RecentDeployment) -> None:
        self.table.deployed.append(deployed)

    def deployed_between(self, since: datetime, until: datetime) -> tuple[RecentDeployment, ...]:
        found = [one for one in self.table.deployed if since <= one.at <= until]
        found.sort(key=lambda one: (one.at, str(one.key)), reverse=True)
        return tuple(found)

    def add_pending_check(self, key: ServiceKey, check: PendingCheck) -> None:
        self.table.of(key).checks[_about(check)] = check

    def keep_traffic(
        self,
        key: ServiceKey,
        reading: TrafficReading,
        kept_until: datetime,
        due: datetime | None,
    ) -> None:
        partition = self.table.of(key)
        before = partition.traffic.get(reading.deployment, reading)
        partition.traffic[reading.deployment] = replace(
            reading,
            unserved_at=reading.unserved_at or before.unserved_at,
            baking_at=before.baking_at or reading.baking_at,
        )
        partition.watched.pop(reading.deployment, None)
        if due is not None:
            partition.watched[reading.deployment] = due

    def remove_pending_check(self, key: ServiceKey, check: PendingCheck) -> None:
        self.table.of(key).checks.pop(_about(check), None)


def _about(check: PendingCheck) -> str:
    return "tasks" if check.tasks else (check.deployment or check.named)


def _place(after: str, key: ServiceKey | None) -> int:
    owner, _, start = after.partition("|")
    if not start.isdecimal():
        raise ValueError(f"{after!r} is a place in no list of these records")
    if owner != str(key):
        raise ValueError(f"{after!r} is a place in another service's list")
    return int(start)
