"""Schedules of rules: rate(5 minutes) and cron(0 12 * * ? *).

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from localcloud.errors import NotModelled, Refusal

IsDue = Callable[[datetime], bool]
_UNITS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
# minute, hour, day of the month, month, day of the week (Sunday is 1), year
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (1, 7), (1970, 2199))
_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((.+)\)")
_PART = re.compile(r"(?:(?P<all>[*?])|(?P<low>\d+)(?:-(?P<high>\d+))?)(?:/(?P<step>\d+))?")


def parse(expression: str, anchor: datetime) -> IsDue:
    """What tells whether a minute is due; a rate counts from `anchor`.

    Raises:
        Refusal: the expression is malformed.
        NotModelled: it uses L, W or #.
    """
    rate = _RATE.fullmatch(expression)
    if rate:
        interval = int(rate[1]) * _UNITS[rate[2]]
        return _every(interval, anchor)
    cron = _CRON.fullmatch(expression)
    fields = cron[1].split() if cron else []
    if len(fields) != len(_BOUNDS):
        message = f"Parameter ScheduleExpression is not valid: {expression}"
        raise Refusal("ValidationException", message)
    return _cron(fields, expression)


def _every(interval: timedelta, anchor: datetime) -> IsDue:
    start = anchor.replace(second=0, microsecond=0)
    return lambda now: now > start and (now - start) % interval == timedelta()


def _cron(fields: list[str], expression: str) -> IsDue:
    allowed = []
    for text, (lowest, highest) in zip(fields, _BOUNDS, strict=True):
        allowed.append(
            _values(
                text,
                lowest,
                highest,
                expression,
            )
        )

    def is_due(now: datetime) -> bool:
        weekday = now.isoweekday() % 7 + 1
        moment = (now.minute, now.hour, now.day, now.month, weekday, now.year)
        return all(value in values for value, values in zip(moment, allowed, strict=True))

    return is_due


def _values(
    text: str,
    lowest: int,
    highest: int,
    expression: str,
) -> set[int]:
    """The values that one field of a cron expression allows."""
    values: set[int] = set()
    for part in _with_numbers(text).split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise NotModelled(f"{part!r} in the schedule {expression}")
        low = int(match["low"] or lowest)
        high = low
        if match["high"]:
            high = int(match["high"])
        elif match["all"] or match["step"]:
            high = highest
        step = int(match["step"] or 1)
        values.update(range(low, high + 1, step))
    return values


def _with_numbers(text: str) -> str:
    """The field with numbers in the place of the names of months and weekdays."""
    for names in (_MONTHS, _WEEKDAYS):
        for number, name in enumerate(names, 1):
            text = text.replace(name, str(number))
    return text
