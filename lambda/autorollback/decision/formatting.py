"""How times and durations are told to people."""

from datetime import datetime, timedelta


def span(duration: timedelta) -> str:
    """A duration in its one or two largest units: `6 d`, `3 h 20 min`, `4 min`, `40 s`."""
    seconds = int(abs(duration).total_seconds())
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3_600, seconds % 3_600 // 60
    if days:
        return f"{days} d {hours} h" if hours and days < 3 else f"{days} d"
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{seconds} s"


def clock(moment: datetime) -> str:
    """A moment to the second, in UTC: `2026-11-22 14:03:07Z`."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"
