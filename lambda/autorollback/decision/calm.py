"""Was a serving period calm? Its runs without alarm, and the times in ALARM between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.decision.facts import Alarm, AlarmSpell
from autorollback.decision.formatting import clock, span
from autorollback.decision.serving import ServingPeriod
from autorollback.policy import Policy

TAIL = timedelta(minutes=10)
"""Trouble that begins this shortly before a period's end belongs to what came next.

A migration ran ahead of its deployment.
"""

LAST_DAY = timedelta(hours=24)
"""The part of a serving period in which spells are counted, and of the time before it came."""

SPELLS_TOLD = 3
SHARE = 10
"""One part in so many of its last day may have been spent in ALARM."""


@dataclass(frozen=True, slots=True)
class Run:
    """A time in one piece without an alarm of the service in ALARM."""

    since: datetime
    until: datetime

    @property
    def length(self) -> timedelta:
        """How long it lasted."""
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class SpellsOfAlarm:
    """One alarm's spells of ALARM that began under a serving period, cut to it.

    Attributes:
        in_last_day: those that reach into the last day of its time, but began before its tail.
        still_red: it was in ALARM when the tail began, and still at the end.
        times_before: how often it was in ALARM in the day before the period.
        came_as_often: in the day before the period it had as many spells.
        as_before: and was in ALARM as long: what it says is nothing new.
    """

    alarm: Alarm
    spells: tuple[AlarmSpell, ...]
    in_last_day: tuple[AlarmSpell, ...]
    still_red: bool
    times_before: int
    came_as_often: bool
    as_before: bool


def spells_under(
    period: ServingPeriod,
    alarms: Iterable[Alarm],
    now: datetime,
) -> tuple[SpellsOfAlarm, ...]:
    """What each alarm did in a serving period; those that did nothing are left out."""
    found: list[SpellsOfAlarm] = []
    for alarm in alarms:
        spells = _begun_under(alarm, period, now)
        if spells:
            found.append(_of_alarm(alarm, spells, period, now))
    return tuple(found)


def runs(
    period: ServingPeriod,
    spells: Iterable[AlarmSpell],
    now: datetime,
) -> list[Run]:
    """The times between spells, oldest first."""
    end = period.end(now)
    found: list[Run] = []
    since = period.since
    for spell in sorted(spells, key=lambda one: one.since):
        if spell.since > since:
            found.append(Run(since, spell.since))
        since = max(since, spell.until)
    if end > since:
        found.append(Run(since, end))
    return found


def calm_end(
    period: ServingPeriod,
    of_alarms: Iterable[SpellsOfAlarm],
    now: datetime,
) -> datetime:
    """Its end, or the beginning of trouble in its tail."""
    end = period.end(now)
    in_tail = [spell.since for spell in all_spells(of_alarms) if spell.since >= end - TAIL]
    return min(in_tail, default=end)


def not_calm_at_its_end(
    period: ServingPeriod,
    of_alarms: Sequence[SpellsOfAlarm],
    policy: Policy,
    now: datetime,
) -> str | None:
    """Why a period was not calm when it was replaced, in words.

    None where it was. It was not where an alarm was in ALARM from before its tail to beyond its end;
    where there were more spells in its last day than `flap_limit`; or where they took together more
    than a tenth of that time.
    """
    return (
        _still_red(period, of_alarms, policy, now)
        or _too_often(of_alarms, policy)
        or _too_long(period, of_alarms, now)
    )


def _still_red(
    period: ServingPeriod,
    of_alarms: Iterable[SpellsOfAlarm],
    policy: Policy,
    now: datetime,
) -> str | None:
    """What lasted beyond its end; an alarm that flaps is as likely red then as at any time."""
    for one in of_alarms:
        flaps_as_before = one.as_before and one.times_before > policy.flap_limit
        if one.still_red and not flaps_as_before:
            red = max(one.in_last_day, key=lambda spell: spell.until)
            before_its_end = span(period.end(now) - red.since)
            was_red = f"{red.signal} was in ALARM at {clock(red.since)}, {before_its_end} before"
            return f"{was_red} its end, and still then"
    return None


def _too_often(of_alarms: Iterable[SpellsOfAlarm], policy: Policy) -> str | None:
    spells: list[AlarmSpell] = []
    for one in of_alarms:
        if not one.came_as_often:
            spells += one.in_last_day
    times = len(_merged(spells))
    if times <= policy.flap_limit:
        return None
    came = f"{times} times in ALARM in its last 24 h, limit {policy.flap_limit}"
    return f"{came}: {told(spells)}"


def _too_long(
    period: ServingPeriod,
    of_alarms: Iterable[SpellsOfAlarm],
    now: datetime,
) -> str | None:
    spells: list[AlarmSpell] = []
    for one in of_alarms:
        if not one.as_before:
            spells += one.in_last_day
    red_for = sum((run.length for run in _merged(spells)), timedelta())
    last_day = min(LAST_DAY, period.end(now) - period.since)
    if red_for * SHARE <= last_day:
        return None
    share = f"more than a tenth of its last {span(last_day)}"
    return f"in ALARM for {span(red_for)}, {share}: {told(spells)}"


def all_spells(of_alarms: Iterable[SpellsOfAlarm]) -> list[AlarmSpell]:
    """The spells of several alarms, oldest first."""
    found = [spell for one in of_alarms for spell in one.spells]
    return sorted(found, key=lambda spell: (spell.since, spell.signal))


def told(spells: Sequence[AlarmSpell]) -> str:
    """The newest spells in words, and how many more there were."""
    newest_first = sorted(spells, key=lambda spell: (spell.since, spell.signal), reverse=True)
    words: list[str] = []
    for spell in newest_first[:SPELLS_TOLD]:
        lasted = span(spell.until - spell.since)
        words.append(f"{spell.signal} was in ALARM at {clock(spell.since)} for {lasted}")
    more = len(newest_first) - SPELLS_TOLD
    if more > 0:
        words.append(f"{more} more")
    return ", ".join(words)


def _begun_under(
    alarm: Alarm,
    period: ServingPeriod,
    now: datetime,
) -> tuple[AlarmSpell, ...]:
    """Its times in ALARM that began once the revision came, cut to the period.

    What was there before it came says nothing against it.
    """
    end = period.end(now)
    found: list[AlarmSpell] = []
    for red in alarm.spells or ():
        began_under_it = period.came <= red.since < end
        lasted_into_it = red.until is None or red.until > period.since
        if began_under_it and lasted_into_it:
            since = max(red.since, period.since)
            until = min(red.until or end, end)
            found.append(AlarmSpell(alarm.signal, since, until))
    return tuple(found)


def _of_alarm(
    alarm: Alarm,
    spells: tuple[AlarmSpell, ...],
    period: ServingPeriod,
    now: datetime,
) -> SpellsOfAlarm:
    end = period.end(now)
    last_day: list[AlarmSpell] = []
    for spell in spells:
        reaches_into_it = spell.until > end - LAST_DAY
        if reaches_into_it and spell.since < end - TAIL:
            since = max(spell.since, end - LAST_DAY)
            last_day.append(AlarmSpell(spell.signal, since, spell.until))

    before = _in_day_before(alarm, period.came)
    as_often = len(before) >= len(last_day)
    as_long = _red_for(before) >= _red_for(last_day)
    return SpellsOfAlarm(
        alarm=alarm,
        spells=spells,
        in_last_day=tuple(last_day),
        still_red=_is_red_from_before_tail(alarm, period, end),
        times_before=len(before),
        came_as_often=as_often,
        as_before=as_often and as_long,
    )


def _in_day_before(alarm: Alarm, came: datetime) -> list[AlarmSpell]:
    """Its spells in the day before a moment, cut to that."""
    found: list[AlarmSpell] = []
    for red in alarm.spells or ():
        since = max(red.since, came - LAST_DAY)
        until = min(red.until or came, came)
        if since < until:
            found.append(AlarmSpell(alarm.signal, since, until))
    return found


def _is_red_from_before_tail(
    alarm: Alarm,
    period: ServingPeriod,
    end: datetime,
) -> bool:
    """Whether a spell that began under it, before its tail, lasts beyond its end."""
    for red in alarm.spells or ():
        began_before_tail = period.came <= red.since < end - TAIL
        if began_before_tail and (red.until is None or red.until > end):
            return True
    return False


def _red_for(spells: Iterable[AlarmSpell]) -> timedelta:
    return sum((spell.until - spell.since for spell in spells), timedelta())


def _merged(spells: Iterable[AlarmSpell]) -> list[Run]:
    """The times in which any of the alarms was in ALARM: several that overlap are one trouble."""
    merged: list[Run] = []
    for spell in sorted(spells, key=lambda one: one.since):
        if merged and spell.since <= merged[-1].until:
            until = max(merged[-1].until, spell.until)
            merged[-1] = Run(merged[-1].since, until)
        else:
            merged.append(Run(spell.since, spell.until))
    return merged
