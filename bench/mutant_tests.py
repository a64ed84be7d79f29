"""The tests that mutants are tried on: collected once, and asked in the order in which they are likely to notice.

A test that does not reach a changed function cannot notice the change, and is not asked. What is executed as a module is
imported is reached by all of them.
"""

import importlib
import io
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import coverage
import pytest

from tests import confinement

T = TypeVar("T")

FOLDERS = ("tests/scenarios", "tests/unit", "tests/flows")
SAY_NOTHING_OF_IT = (
    "test_announcer",
    "test_appspec",
    "test_checks_are_documented",
    "test_docstrings",
    "test_judgement_is_documented",
    "test_links",
    "test_naming",
    "test_result_schema",
    "test_snippets",
    "test_triggers_are_documented",
)
"""Files of tests about texts, names and documents: none holds what is decided."""

IMPORTED_BEFORE = ("aws_lambda_powertools", "boto3", "cattrs", "hypothesis", "yaml")
"""What tests import that is not the project's own: once for all mutants."""

LONGEST = 120
"""Seconds of the processor for one process; a mutant that takes longer loops for ever, which is noticed too."""

_ALL_OF_THEM = 20 * LONGEST
"""The same for all tests while it is taken down what they reach."""

_QUIET = [
    *("-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly"),
    # what is imported before is no test, and nobody reads its assertions
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),
]


@dataclass(frozen=True)
class Reached:
    """Which tests reach each line of a file, and how long each of them took.

    `processor` is what all of them took of the processor, with the taking down.
    """

    passed: bool = False
    lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    processor: float = 0.0

    @property
    def longest(self) -> int:
        """Seconds of the processor after which a mutant loops for ever: twice what all tests take."""
        return max(LONGEST, int(2 * self.processor))

    def likely_first(
        self,
        items: Sequence[pytest.Item],
        path: Path,
        function: range,
        line: int,
    ) -> list[pytest.Item]:
        """The tests that reach a function; those first that reach the line, and the quickest of them first of all."""
        of_file = self.lines.get(str(path), {})
        of_line = of_file.get(line, set())
        of_function = set().union(*(of_file.get(number, set()) for number in function))

        def rank(item: pytest.Item) -> tuple[bool, float]:
            return (item.nodeid not in of_line, self.seconds.get(item.nodeid, 0.0))

        return sorted((item for item in items if item.nodeid in of_function), key=rank)


def prepare() -> None:
    """Import once what every process needs, confined as the tests themselves are."""
    confinement.confine()
    for name in IMPORTED_BEFORE:
        importlib.import_module(name)


def with_collected(work: Callable[[pytest.Session], int]) -> int:
    """Collect the tests, and do something with them in the place of running them: its exit code, else pytest's."""
    instead = _Instead(work)
    quiet = io.StringIO()
    left_out = [f"--ignore-glob=*/{name}.py" for name in SAY_NOTHING_OF_IT]
    with redirect_stdout(quiet), redirect_stderr(quiet):
        code = int(pytest.main([*_QUIET, *left_out, *FOLDERS], plugins=[instead]))
    return code if instead.code is None else instead.code


def run(session: pytest.Session, items: Sequence[pytest.Item]) -> int:
    """Run tests up to the first that fails; 0 where none does."""
    hook = session.config.hook
    for item, following in zip(items, [*items[1:], None], strict=True):
        hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


def reached_by(session: pytest.Session, sources: Path) -> Reached:
    """Which tests reach which lines of a folder: one run of all, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "reached.json"
        list(tried([report], 1, lambda said: _measure(session, sources, said), _ALL_OF_THEM))
        said = json.loads(report.read_text(encoding="utf-8"))
    lines: dict[str, dict[int, set[str]]] = {}
    for path, of_file in said["lines"].items():
        lines[path] = {int(line): set(tests) for line, tests in of_file.items()}
    return Reached(said["passed"], lines, said["seconds"], said["processor"])


def tried(
    things: Sequence[T],
    at_once: int,
    child: Callable[[T], int],
    longest: int = LONGEST,
) -> Iterator[tuple[T, bool]]:
    """Each thing, and whether its own process ended well; in the order in which they end.

    A process ends after `longest` seconds of the processor.
    """
    waiting = list(reversed(things))
    running: dict[int, T] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            thing = waiting.pop()
            running[_forked(child, thing, longest)] = thing
        ended, status = os.wait()
        yield running.pop(ended), os.waitstatus_to_exitcode(status) == 0


def _forked(child: Callable[[T], int], thing: T, longest: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (longest, longest))
        code = child(thing)
    finally:
        os._exit(code)


class _Instead:
    """A plugin of pytest: does something else where the tests would run."""

    def __init__(self, work: Callable[[pytest.Session], int]) -> None:
        self.work = work
        self.code: int | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Called once everything is collected; to answer is to have done it."""
        if not session.testsfailed:
            self.code = self.work(session)
        return True


class _Watch:
    """A plugin of pytest: takes down which lines each test reaches, and how long it takes."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """What is reached from now on, this test reaches."""
        self.measured.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Set-up, call and tear-down."""
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration


def _measure(session: pytest.Session, sources: Path, report: Path) -> int:
    measured = coverage.Coverage(data_file=None, config_file=False, include=[f"{sources}/*"])
    watch = _Watch(measured)
    session.config.pluginmanager.register(watch)
    measured.start()
    code = run(session, session.items)
    measured.stop()
    data = measured.get_data()
    lines = {path: data.contexts_by_lineno(path) for path in data.measured_files()}
    said = {
        "passed": code == 0,
        "lines": lines,
        "seconds": watch.seconds,
        "processor": time.process_time(),
    }
    report.write_text(json.dumps(said), encoding="utf-8")
    return code
