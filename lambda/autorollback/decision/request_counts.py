"""How many requests reached a service, by the periods that they were counted in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

Count = tuple[datetime, timedelta, int]
"""Requests of one datapoint, with the start and the length of its period."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests over time."""

    counts: tuple[Count, ...]

    def between(
        self,
        since: datetime,
        until: datetime,
    ) -> int:
        """The requests of every period that lies wholly within a time."""
        requests = 0
        for start, period, count in self.counts:
            if start >= since and start + period <= until:
                requests += count
        return requests
