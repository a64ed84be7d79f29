"""The one clock of the local cloud: simulated time, with work that recurs as it passes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import time_machine

Work = Callable[[datetime], None]


@dataclass(slots=True)
class _Recurring:
    interval: timedelta
    work: Work
    due: datetime


@dataclass
class Clock:
    """Moves the time of this process, all its threads included.

    Real seconds keep passing between the jumps. `advance` passes through time: whatever recurs is done
    at its moment, in order. `jump` leaves out what lies between.
    """

    _recurring: list[_Recurring] = field(default_factory=list)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _travel: time_machine.travel | None = None
    _traveller: time_machine.Traveller | None = None

    def start(self, at: datetime | None = None) -> None:
        """Take over the time of this process; `at` is aware, and the present where it is None."""
        beginning = at or datetime.now(UTC)  # noqa: TID251 - this is the clock
        self._travel = time_machine.travel(beginning, tick=True)
        self._traveller = self._travel.start()

    def stop(self) -> None:
        """Give the time back."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._traveller = None

    def now(self) -> datetime:
        """Simulated time, aware UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock

    def every(self, interval: timedelta, work: Work) -> None:
        """Do the work at each whole multiple of the interval since 1970.

        Ties are in the order of registration.
        """
        with self._lock:
            due = _next_multiple(self.now(), interval)
            self._recurring.append(_Recurring(interval, work, due))

    def advance(self, by: timedelta) -> None:
        """Let simulated time pass, doing what falls due at its moment."""
        with self._lock:
            end = self.now() + by
            while self._recurring:
                first = min(self._recurring, key=lambda recurring: recurring.due)
                if first.due > end:
                    break
                self._move_to(first.due)
                self._do(first)
            self._move_to(end)

    def jump(self, to: datetime) -> None:
        """Be at a later moment at once; nothing that would have fallen due before is done."""
        with self._lock:
            self._move_to(to)
            for recurring in self._recurring:
                recurring.due = _next_multiple(self.now(), recurring.interval)

    def _move_to(self, moment: datetime) -> None:
        if self._traveller is None:
            raise RuntimeError("the clock has not been started")
        if moment > self.now():
            self._traveller.shift(moment - self.now())

    def _do(self, recurring: _Recurring) -> None:
        moment = recurring.due
        recurring.due = moment + recurring.interval
        recurring.work(moment)


def _next_multiple(now: datetime, interval: timedelta) -> datetime:
    epoch = datetime(
        1970,
        1,
        1,
        tzinfo=UTC,
    )
    return epoch + ((now - epoch) // interval + 1) * interval
