"""The process in which the zip of a function runs, started as `python -I -S`.

So only the zip and the standard library are there, and nothing of this project: the function's own
code finds what it would find in Lambda. It answers one request, read as JSON from standard input, to
the file descriptor that its argument names. With `--warm` it imports the handler once, and forks a
process for each request that comes through a socket.
"""

import gc
import importlib
import json
import os
import shutil
import socket
import sys
import threading
import time
import traceback
from typing import Any, NoReturn, TextIO


class Context:
    """The context object of the Python runtime.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.
    """

    identity = None
    client_context = None

    def __init__(self, facts: dict[str, Any], deadline: float) -> None:
        self.aws_request_id = facts["request_id"]
        self.function_name = facts["name"]
        self.function_version = facts["version"]
        self.invoked_function_arn = facts["arn"]
        self.memory_limit_in_mb = facts["memory"]
        self.log_group_name = facts["log_group"]
        self.log_stream_name = facts["log_stream"]
        self._deadline = deadline

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is killed."""
        now = time.time()  # noqa: TID251 - the process's own, simulated time
        return max(0, int((self._deadline - now) * 1000))


def main() -> None:
    """Answer one request, or fork for many."""
    sys.addaudithook(_stay_on_this_machine)
    if sys.argv[1] == "--warm":
        serve(int(sys.argv[2]), json.loads(sys.argv[3]))
        return
    request = json.load(sys.stdin)
    _set_time(request)
    sys.path.insert(0, request["task_root"])
    answer(request, os.fdopen(int(sys.argv[1]), "w"))


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse a function what is not of the local cloud: it must never reach a real one.

    Source of the events: https://docs.python.org/3/library/audit_events.html.
    """
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else "localhost"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name not in (None, "", "localhost", "::1") and not str(name).startswith("127."):
        raise RuntimeError(
            f"{name} is not this machine: a function of the local cloud reaches nothing else"
        )


def answer(request: dict[str, Any], answer_to: TextIO) -> None:
    """Run the handler for one request, whose time has been set."""
    deadline = time.time() + request["timeout"]  # noqa: TID251 - the process's own, simulated time
    handler = _handler(request["handler"], answer_to, request["context"]["request_id"])
    context = Context(request["context"], deadline)
    try:
        value = handler(request["event"], context)
    except Exception as error:  # noqa: BLE001 - whatever the function raises is its answer, as in the runtime
        _fail(answer_to, error, context.aws_request_id)
        return
    try:
        text = json.dumps(value)
    except TypeError as error:
        message = f"Unable to marshal response: {error}"
        _answer(answer_to, {"errorMessage": message, "errorType": "Runtime.MarshalError"})
        return
    json.dump({"payload": text}, answer_to)
    answer_to.close()


def serve(descriptor: int, setting: dict[str, Any]) -> None:
    """Import the handler, then fork for each request until the other side closes the socket."""
    door = socket.socket(fileno=descriptor)
    try:
        if _imports(setting):
            door.sendall(b"+")
            _fork_for_each_request(door)
    finally:
        shutil.rmtree(setting["task_root"], ignore_errors=True)


def _imports(setting: dict[str, Any]) -> bool:
    """Whether the handler is there, and has begun no thread: a fork would lose it."""
    travel = _set_time(setting)
    sys.path.insert(0, setting["task_root"])
    module = setting["handler"].rpartition(".")[0]
    try:
        importlib.import_module(module.replace("/", "."))
    except BaseException:  # noqa: BLE001 - a fresh process will import it again, and tell
        return False
    finally:
        travel.stop()
    return threading.active_count() == 1


def _fork_for_each_request(door: socket.socket) -> None:
    models = Models()
    gc.collect()
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(door, 1, 4)
        _reap()
        if not message:
            return
        models.learn()
        gc.freeze()  # what is there already no fork has to look through, and so to copy
        pid = os.fork()
        if pid == 0:
            door.close()
            _be_the_invocation(*descriptors)
        for one in descriptors:
            os.close(one)
        door.sendall(pid.to_bytes(8, "big"))


class Models:
    """Service models of botocore that an earlier invocation has read: those after it find them in memory.

    Reading them is most of what making a client costs. Nothing else changes for the function.
    """

    def __init__(self) -> None:
        self._read: dict[str, Any] = {}
        self._told, self._tell = os.pipe()
        os.set_blocking(self._told, False)
        loaders: Any = sys.modules.get("botocore.loaders")
        if loaders is not None:
            self._files = loaders.JSONFileLoader()
            self._load = loaders.JSONFileLoader.load_file
            loaders.JSONFileLoader.load_file = lambda _files, path: self.load(path)

    def load(self, path: str) -> Any:
        """In place of botocore's: from memory, or from the file, which is told to the parent."""
        if path in self._read:
            return self._read[path]
        model = self._load(self._files, path)
        if model is not None:
            os.write(self._tell, f"{path}\n".encode())
        return model

    def learn(self) -> None:
        """Read what invocations have asked for since."""
        try:
            told = os.read(self._told, 65536).decode()
        except BlockingIOError:
            return
        for path in told.split("\n"):
            if path and path not in self._read:
                self._read[path] = self._load(self._files, path)


def _reap() -> None:
    """Take note of the processes that have ended."""
    ended = -1
    while ended:
        try:
            ended, _status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return


def _be_the_invocation(
    request_from: int,
    print_to: int,
    answer_to: int,
    _lifeline: int,
) -> NoReturn:
    """Be what a fresh process would be; the lifeline stays open until the end."""
    os.dup2(print_to, 1)
    os.dup2(print_to, 2)
    try:
        with os.fdopen(request_from) as read:
            request = json.load(read)
        os.environ.clear()
        os.environ.update(request["environment"])
        _set_time(request)
        answer(request, os.fdopen(answer_to, "w"))
    except SystemExit:
        pass
    except BaseException:  # noqa: BLE001 - as the interpreter does with what nobody catches
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # Lambda, too, freezes the process where the handler ends


def _set_time(request: dict[str, Any]) -> Any:
    """Simulated time, by a library that is out of the path again before the function is imported."""
    if "clock_path" in request:
        sys.path.insert(0, request["clock_path"])
    import time_machine

    if "clock_path" in request:
        sys.path.remove(request["clock_path"])
    travel = time_machine.travel(request["now"], tick=True)
    travel.start()
    return travel


def _handler(path: str, answer_to: TextIO, request_id: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module.replace("/", ".")), name)
    except ImportError as error:
        message = f"Unable to import module '{module}': {error}"
        _refuse(
            answer_to,
            "Runtime.ImportModuleError",
            message,
            request_id,
        )
    except AttributeError:
        message = f"Handler '{name}' missing on module '{module}'"
        _refuse(
            answer_to,
            "Runtime.HandlerNotFound",
            message,
            request_id,
        )
    except Exception as error:  # noqa: BLE001 - a failing import is the function's answer, as in the runtime
        _fail(answer_to, error, request_id)
    sys.exit(0)


def _refuse(
    answer_to: TextIO,
    kind: str,
    message: str,
    request_id: str,
) -> None:
    error = {"errorMessage": message, "errorType": kind, "requestId": request_id}
    _answer(answer_to, error)


def _fail(answer_to: TextIO, error: Exception, request_id: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    report = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }
    sys.stdout.flush()
    sys.stderr.write(f"[ERROR] {report['errorType']}: {report['errorMessage']}\n")
    sys.stderr.write("".join(report["stackTrace"]))
    _answer(answer_to, report)


def _answer(answer_to: TextIO, error: dict[str, Any]) -> None:
    json.dump({"error": error}, answer_to)
    answer_to.close()


if __name__ == "__main__":
    main()
