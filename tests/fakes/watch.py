"""What watches services in memory: alarms with their past, traffic, and the other services."""

# ruff: noqa: ARG002 - a fake takes what its port takes

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from autorollback.decision.facts import Alarm, AlarmPeriod, Neighbour, RedAlarm, StoppedTask
from autorollback.decision.request_counts import Requests
from autorollback.naming import AlarmKey, Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from autorollback.requests import AlarmChanged
from tests.fakes.ecs import Clock


@dataclass
class FakeAlarm:
    """One alarm: when it went to ALARM, with the onset of each, and when it was calm again."""

    key: AlarmKey
    name: str
    exists_since: datetime
    reds: list[AlarmPeriod] = field(default_factory=list)
    onsets: list[datetime] = field(default_factory=list)

    @property
    def red(self) -> bool:
        return bool(self.reds) and self.reds[-1].until is None

    def fire(self, at: datetime, onset: datetime) -> None:
        if not self.red:
            self.reds.append(AlarmPeriod(at))
            self.onsets.append(onset)

    def calm(self, at: datetime) -> None:
        if self.red:
            self.reds[-1] = replace(self.reds[-1], until=at)

    def seen(self, now: datetime) -> Alarm:
        changed_at = self.exists_since
        if self.reds:
            changed_at = self.reds[-1].until or self.reds[-1].since
        return Alarm(
            self.name,
            self.key.signal,
            in_alarm=self.red,
            since=changed_at,
            onset=self.onsets[-1] if self.red else None,
            last_breach=now - timedelta(minutes=1) if self.red else None,
            first_trace=self.exists_since,
        )


@dataclass(frozen=True)
class Past:
    """What an alarm's history holds since a moment."""

    alarm: FakeAlarm
    since: datetime

    def told_to(self, alarm: Alarm) -> Alarm:
        spells = []
        for red in self.alarm.reds:
            if red.until is None or red.until >= self.since:
                spells.append(replace(red, since=max(red.since, self.since)))
        return replace(alarm, spells=tuple(spells), history_from=self.since)


@dataclass
class FakeAlarms:
    """All alarms of this installation, by their names."""

    clock: Clock
    names: Names = field(default_factory=Names)
    known: dict[str, FakeAlarm] = field(default_factory=dict)
    under: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, key: ServiceKey, signal: str, since: datetime) -> FakeAlarm:
        name = self.names.alarm(key, signal)
        self.known[name] = FakeAlarm(AlarmKey(key, signal), name, since)
        return self.known[name]

    def named(self, key: ServiceKey, signal: str) -> FakeAlarm:
        return self.known[self.names.alarm(key, signal)]

    def of(
        self,
        policy: ServicePolicy,
        event: AlarmChanged | None = None,
        trees: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> tuple[Alarm, ...]:
        own = [alarm for alarm in self.known.values() if alarm.key.service == policy.key]
        return tuple(alarm.seen(self.clock.now) for alarm in own)

    def trees(self, policy: ServicePolicy) -> Mapping[str, tuple[str, ...]]:
        return {name: under for name, under in self.under.items() if name in policy.alarms}

    def red(self) -> tuple[RedAlarm, ...]:
        found = []
        for alarm in self.known.values():
            if alarm.red:
                found.append(
                    RedAlarm(alarm.key, alarm.name, alarm.onsets[-1], timedelta(minutes=1))
                )
        return tuple(found)

    def history(self, name: str, since: datetime) -> Past:
        nobodys = FakeAlarm(
            AlarmKey(ServiceKey("", ""), ""), name, since
        )  # CloudWatch tells nothing of it
        return Past(self.known.get(name, nobodys), since)


@dataclass
class FakeTraffic:
    """Requests of one minute, in the middle of what is asked; as many healthy targets for each service."""

    count: int = 5000
    healthy: int = 4

    def requests(
        self, policy: ServicePolicy, since: datetime, until: datetime, now: datetime
    ) -> Requests:
        middle = until - (until - since) / 2
        return Requests(((middle, timedelta(minutes=1), self.count),))

    def healthy_targets(self, target_group_arns: Sequence[str]) -> int:
        return self.healthy


@dataclass
class FakeTasks:
    """The tasks of all services that have stopped, by service."""

    known: dict[ServiceKey, tuple[StoppedTask, ...]] = field(default_factory=dict)

    def stopped(self, key: ServiceKey) -> tuple[str, ...]:
        return tuple(f"task/{number}" for number, _ in enumerate(self.known.get(key, ())))

    def described(self, key: ServiceKey, arns: Sequence[str]) -> tuple[StoppedTask, ...]:
        return self.known[key][: len(arns)]


@dataclass
class FakeNeighbours:
    """The other services: those whose alarms are red, none of them deployed unless it is told."""

    alarms: FakeAlarms
    protected_services: int = 20
    deployed: set[ServiceKey] = field(default_factory=set)

    def red(self, policy: Policy, now: datetime) -> tuple[RedAlarm, ...]:
        return self.alarms.red()

    def in_trouble(
        self,
        red: Sequence[RedAlarm],
        policy: ServicePolicy,
        onset: datetime,
        grain: timedelta,
    ) -> tuple[Neighbour, ...]:
        others = []
        for alarm in red:
            key = alarm.key.service
            if key != policy.key:
                others.append(Neighbour(key, alarm.onset, key in self.deployed))
        return tuple(others)
