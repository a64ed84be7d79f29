"""The processes in which functions run: fresh ones, or forked from one that has imported the zip.

A forked process is as much on its own as a fresh one: its environment, its time and its memory are
not seen by others. The process that it comes from is kept until this program ends, for every cloud
that runs the same code with the same settings.
"""

import atexit
import importlib.util
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

RUNNER = Path(__file__).with_name("function_runner.py")
# what differs between invocations of one function; a process that was forked is told
_OF_AN_INVOCATION = frozenset(
    {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT"}
)
_KEPT = 6  # warm processes; the oldest goes first


@dataclass(frozen=True, slots=True)
class Job:
    """One invocation: `request` as the runner reads it, `timeout` in real seconds."""

    code: bytes
    code_hash: str
    handler: str
    request: dict[str, Any]
    environment: dict[str, str]
    timeout: float
    printed: IO[bytes]
    answered: IO[bytes]


@dataclass
class Processes:
    """Those of one cloud; with `cold`, each invocation has a fresh one.

    That is how the first invocation of an environment is in Lambda.
    """

    files: Path
    cold: bool
    _running: dict[int, Callable[[], None]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, job: Job) -> bool:
        """Run it to its end; whether it had to be killed at its timeout."""
        warm = None if self.cold else _warm(job, self._clock_path())
        if warm is not None:
            with suppress(OSError):  # the warm process has died: a fresh one will do
                invocation = warm.fork(job)
                with self._known(invocation.pid, invocation.kill):
                    return invocation.outlives(job.timeout)
        return self._run_fresh(job)

    def close(self) -> None:
        """Kill what runs."""
        with self._lock:
            for kill in self._running.values():
                kill()

    def _run_fresh(self, job: Job) -> bool:
        root = self._unpacked(job)
        request = job.request | {"clock_path": self._clock_path(), "task_root": str(root)}
        answered = job.answered.fileno()
        with (
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(RUNNER), str(answered)],
                stdin=subprocess.PIPE,
                stdout=job.printed,
                stderr=subprocess.STDOUT,
                pass_fds=(answered,),
                cwd=root,
                env=job.environment | {"LAMBDA_TASK_ROOT": str(root)},
            ) as process,
            self._known(process.pid, process.kill),
        ):
            try:
                process.communicate(json.dumps(request).encode(), timeout=job.timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                return True
        return False

    @contextmanager
    def _known(self, pid: int, kill: Callable[[], None]) -> Iterator[None]:
        """While it runs, it can be killed from outside."""
        with self._lock:
            self._running[pid] = kill
        try:
            yield
        finally:
            with self._lock:
                del self._running[pid]

    def _unpacked(self, job: Job) -> Path:
        """The zip's files, written once for each content."""
        root = self.files / "code" / _file_name(job.code_hash)
        with self._lock:
            if not root.exists():
                _unpack(job.code, root)
        return root

    def _clock_path(self) -> str:
        """A folder that holds the clock's library and nothing else of this environment."""
        folder = self.files / "clock"
        with self._lock:
            if not folder.exists():
                _link_clock(folder)
        return str(folder)


@dataclass(frozen=True, slots=True)
class _Invocation:
    """A forked process; its end of the lifeline closes when it ends."""

    pid: int
    lifeline: int

    def outlives(self, seconds: float) -> bool:
        """Wait for its end; where it takes longer, it is killed and the answer is True."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self.lifeline, selectors.EVENT_READ)
                ended = bool(selector.select(seconds))
            if not ended:
                self.kill()
            return not ended
        finally:
            os.close(self.lifeline)

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


class _WarmProcess:
    """A process that has imported the handler and forks for each invocation.

    It ends, and removes its files, when this program or `end` closes the socket between them.
    """

    def __init__(self, job: Job, clock_path: str) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="function-"))
        _unpack(job.code, self.root)
        ours, theirs = socket.socketpair()
        setting = {
            "clock_path": clock_path,
            "now": job.request["now"],
            "task_root": str(self.root),
            "handler": job.handler,
        }
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(RUNNER),
                "--warm",
                str(theirs.fileno()),
                json.dumps(setting),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            cwd=self.root,
            env=job.environment | {"LAMBDA_TASK_ROOT": str(self.root)},
        )
        theirs.close()
        self._socket = ours
        self._lock = threading.Lock()
        self.is_ready = ours.recv(1) == b"+"

    def fork(self, job: Job) -> _Invocation:
        """Begin an invocation.

        Raises:
            OSError: the process is gone.
        """
        environment = job.environment | {"LAMBDA_TASK_ROOT": str(self.root)}
        request = job.request | {"environment": environment}
        lifeline, its_end = os.pipe()
        with tempfile.TemporaryFile() as written:
            written.write(json.dumps(request).encode())
            written.seek(0)
            descriptors = [written.fileno(), job.printed.fileno(), job.answered.fileno(), its_end]
            try:
                with self._lock:
                    socket.send_fds(self._socket, [b"!"], descriptors)
                    pid = int.from_bytes(self._socket.recv(8), "big")
                if not pid:
                    raise BrokenPipeError("the warm process has ended")
            except OSError:
                os.close(lifeline)
                raise
            finally:
                os.close(its_end)
        return _Invocation(pid, lifeline)

    def end(self) -> None:
        """Have it end; what it has forked goes on."""
        self._socket.close()
        self._process.wait()


_warm_processes: dict[object, _WarmProcess] = {}
_starting = threading.Lock()


@atexit.register
def _end_all() -> None:
    for process in _warm_processes.values():
        process.end()


def _warm(job: Job, clock_path: str) -> _WarmProcess | None:
    """The warm process for this code and settings; None where the import fails.

    A fresh one fails alike, and tells why.
    """
    key = (job.code_hash, job.handler, _lasting(job.environment))
    with _starting:
        process = _warm_processes.get(key)
        if process is None:
            process = _WarmProcess(job, clock_path)
            _warm_processes[key] = process
            while len(_warm_processes) > _KEPT:
                _warm_processes.pop(next(iter(_warm_processes))).end()
    return process if process.is_ready else None


def _lasting(environment: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name, value) for name, value in environment.items() if name not in _OF_AN_INVOCATION
    )


def _unpack(code: bytes, root: Path) -> None:
    with zipfile.ZipFile(BytesIO(code)) as archive:
        archive.extractall(root)


def _file_name(code_hash: str) -> str:
    return code_hash.replace("/", "_").replace("=", "")


def _link_clock(folder: Path) -> None:
    folder.mkdir()
    for name in ("time_machine", "_time_machine"):
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(name)
        source = Path(spec.origin)
        if source.name == "__init__.py":
            source = source.parent
        (folder / source.name).symlink_to(source)
