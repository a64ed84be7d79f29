"""The error rate over an incident, drawn with characters: one column a minute, marks below it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_MINUTE = timedelta(minutes=1)
_AXIS = 7  # characters left of the first column


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a moment; the letter stands under its minute."""

    letter: str
    at: datetime
    what: str


def draw(
    rates: Sequence[tuple[datetime, float]],
    marks: Sequence[Mark],
    *,
    width: int,
    height: int = 8,
    limit: float | None = None,
) -> list[str]:
    """Lines of at most `width` characters; `rates` are percent by minute, in order, `limit` is drawn as a dotted line.

    The oldest minutes are left out where the width does not hold them all.
    """
    column = 3 if _AXIS + 3 * len(rates) <= width else 2 if _AXIS + 2 * len(rates) <= width else 1
    shown = list(rates)[-max(1, (width - _AXIS) // column) :]
    top = max([10.0, *(rate for _, rate in shown)])
    lines = []
    for row in reversed(range(height)):
        low, high = top * row / height, top * (row + 1) / height
        label = f"{high:4.0f} % " if row in (height - 1, height // 2 - 1) else " " * _AXIS
        dotted = limit is not None and low <= limit < high
        lines.append(
            f"{label}{''.join(_cell(rate, low, high, column, dotted=dotted) for _, rate in shown)}".rstrip()
        )
    lines.append(f"{'0 % ':>{_AXIS}}{'─' * column * len(shown)}")
    lines.append(
        (" " * _AXIS + "".join(_letters(moment, marks, column) for moment, _ in shown)).rstrip()
    )
    lines.append((" " * _AXIS + _times([moment for moment, _ in shown], column))[:width].rstrip())
    return lines


def _cell(rate: float, low: float, high: float, column: int, *, dotted: bool) -> str:
    filled = min(1.0, max(0.0, (rate - low) / (high - low)))
    if not filled:
        return "·".ljust(column) if dotted else " " * column
    block = _EIGHTHS[max(1, round(filled * 8))]
    return block * (column - 1) + " " if column > 1 else block


def _letters(moment: datetime, marks: Sequence[Mark], column: int) -> str:
    here = "".join(mark.letter for mark in marks if moment <= mark.at < moment + _MINUTE)
    return here[:column].ljust(column)


def _times(moments: Sequence[datetime], column: int) -> str:
    """A time under each fifth minute, as far as it fits."""
    text = ""
    for position, moment in enumerate(moments):
        text = text.ljust(position * column)
        if moment.minute % 5 == 0 and len(text) == position * column:
            text += f"{moment:%H:%M} "
    return text
