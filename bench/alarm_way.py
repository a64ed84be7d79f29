"""The way of one alarm through the code: which functions and files a reader meets, by layer.

    python -m bench.alarm_way

Plays the rollback of `make round-trips` (a past of three revisions) in this process, and notes every function of
`autorollback` that is entered. What can be read at once is read in turn here, so that the figures are the same every time.

A function counts once, a property and a generator too; what Python makes of a comprehension or a lambda does not. A change of
file is an entry into a function of another file than that of the last one entered. A program goes in and out of a property
for every deployment of the past; a reader opens it once. So changes are counted twice: as the program makes them, and with
each function at its first entry alone.
"""

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

import autorollback
from autorollback.aws import clients
from bench import round_trips

ROOT = Path(str(autorollback.__file__)).parent
REVISIONS = DEPLOYMENTS = 3
SHOWN = 12
"""Of the functions that are entered most, and of the changes of file that are made most."""

LAYERS = (
    "handler, requests, results",
    "flows",
    "aws",
    "decision",
    "decision/rules",
    "decision/checks",
)


@dataclass(frozen=True)
class Function:
    """A function of the controller: its file below the package, and its name in it."""

    file: str
    name: str

    @property
    def layer(self) -> str:
        """The package that it lies in."""
        package = self.file.rpartition("/")[0]
        return package or LAYERS[0]


@dataclass
class Way:
    """What one alarm went through.

    Attributes:
        entered: how often each function was, in the order of their first entries.
        changes: how often the program went from one file to another.
        outcome: what the function answered.
    """

    entered: Counter[Function] = field(default_factory=Counter)
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcome: str = ""
    _known: dict[CodeType, Function | None] = field(default_factory=dict)
    _last: str = ""

    @contextmanager
    def noted(self) -> Iterator[None]:
        """All that is entered meanwhile, in this thread and in those that it starts."""
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def opened(self) -> Counter[tuple[str, str]]:
        """Changes of file of a reader who opens each function once, in the order of the program."""
        files = [function.file for function in self.entered]
        steps = pairwise(files)
        return Counter((before, after) for before, after in steps if before != after)

    def _note(
        self,
        frame: FrameType,
        event: str,
        _: Any,
    ) -> None:
        if event != "call":
            return
        code = frame.f_code
        if code not in self._known:
            self._known[code] = _function_of(code)
        function = self._known[code]
        if function is None:
            return
        self.entered[function] += 1
        if self._last and self._last != function.file:
            self.changes[self._last, function.file] += 1
        self._last = function.file


def _function_of(code: CodeType) -> Function | None:
    """The function of the controller that this is, if it is one that somebody has written."""
    path = Path(code.co_filename)
    if not path.is_relative_to(ROOT) or code.co_name.startswith("<"):
        return None
    return Function(path.relative_to(ROOT).as_posix(), code.co_qualname)


def walked() -> Way:
    """The way of one alarm whose deployment is rolled back."""
    way = Way()
    in_turn = mock.patch.object(clients, "AT_ONCE", 1)
    with round_trips.rehearsed(REVISIONS, DEPLOYMENTS, delay=0) as rehearsal, in_turn, way.noted():
        way.outcome = str(rehearsal.answer(rehearsal.alarm)["outcome"])
    return way


def table_of(way: Way) -> Table:
    """One row a layer, and one of all."""
    table = Table(
        "layer",
        "functions",
        "files",
        "changes of file, each function once",
        "changes of file in all",
    )
    opened = way.opened()
    for layer in LAYERS:
        functions = [function for function in way.entered if function.layer == layer]
        files = {function.file for function in functions}
        table.add_row(
            layer,
            str(len(functions)),
            str(len(files)),
            str(_into(files, opened)),
            str(_into(files, way.changes)),
        )
    every = {function.file for function in way.entered}
    sums = (len(way.entered), len(every), opened.total(), way.changes.total())
    table.add_row("all", *(str(one) for one in sums))
    return table


def _into(files: set[str], changes: Counter[tuple[str, str]]) -> int:
    return sum(count for (_, into), count in changes.items() if into in files)


def main() -> None:
    """Print the table, and where most of it comes from."""
    way = walked()
    Console(width=140).print(table_of(way))
    for function, count in way.entered.most_common(SHOWN):
        print(f"{count:5} times {function.file} {function.name}")
    for (before, after), count in way.changes.most_common(SHOWN):
        print(f"{count:5} times from {before} to {after}")


if __name__ == "__main__":
    main()
