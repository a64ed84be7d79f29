"""How times and durations are told to people."""

from collections.abc import Sequence
from datetime import datetime, timedelta

UNREAD_TOLD = 3

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


def span(duration: timedelta) -> str:
    """A duration in its one or two largest units.

    `6 d`, `3 h 20 min`, `4 min`, `40 s`.
    """
    seconds = int(abs(duration).total_seconds())
    days, within_day = divmod(seconds, _DAY)
    hours, within_hour = divmod(within_day, _HOUR)
    minutes = within_hour // _MINUTE

    if days >= 3:
        return f"{days} d"
    if days:
        return _two_units(f"{days} d", hours, "h")
    if hours:
        return _two_units(f"{hours} h", minutes, "min")
    if minutes:
        return f"{minutes} min"
    return f"{seconds} s"


def clock(moment: datetime) -> str:
    """A moment to the second, in UTC: `2026-11-22 14:03:07Z`."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def first_few(words: Sequence[str], limit: int) -> list[str]:
    """The first of many, and how many more there are."""
    told = list(words[:limit])
    more = len(words) - limit
    if more > 0:
        told.append(f"{more} more")
    return told


def unread_of(what: Sequence[str]) -> str:
    """The end of a sentence with what was not read.

    Empty where all was.
    """
    if not what:
        return ""
    return f"; could not be read: {', '.join(first_few(what, UNREAD_TOLD))}"


def shortened(text: str, limit: int) -> str:
    """A text of no more than so many characters; what is left out is marked."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - 3]}..."


def _two_units(
    larger: str,
    rest: int,
    unit: str,
) -> str:
    if rest == 0:
        return larger
    return f"{larger} {rest} {unit}"
