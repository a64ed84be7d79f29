"""The process in which the zip of a function runs: started with `python -I -S`, so that only the zip and the standard library are there.

Reads one request as JSON from standard input and writes one answer to the file descriptor that its argument names. It imports
nothing of this project: the function's own code finds what it would find in Lambda.
"""

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any, TextIO


class Context:
    """The context object of the Python runtime: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html."""

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
        return max(0, int((self._deadline - time.time()) * 1000))  # noqa: TID251 - the process's own, simulated time


def main() -> None:
    """Answer the one request."""
    request = json.load(sys.stdin)
    answer_to = os.fdopen(int(sys.argv[1]), "w")
    _set_time(request)
    deadline = time.time() + request["timeout"]  # noqa: TID251 - the process's own, simulated time
    sys.path.insert(0, request["task_root"])
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
        _answer(
            answer_to, {"errorMessage": f"Unable to marshal response: {error}", "errorType": "Runtime.MarshalError"}
        )
        return
    json.dump({"payload": text}, answer_to)
    answer_to.close()


def _set_time(request: dict[str, Any]) -> None:
    """Simulated time, by a library that is taken out of the path again before the function is imported."""
    sys.path.insert(0, request["clock_path"])
    import time_machine

    sys.path.remove(request["clock_path"])
    time_machine.travel(request["now"], tick=True).start()


def _handler(path: str, answer_to: TextIO, request_id: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module.replace("/", ".")), name)
    except ImportError as error:
        message = f"Unable to import module '{module}': {error}"
        _answer(answer_to, {"errorMessage": message, "errorType": "Runtime.ImportModuleError", "requestId": request_id})
    except AttributeError:
        message = f"Handler '{name}' missing on module '{module}'"
        _answer(answer_to, {"errorMessage": message, "errorType": "Runtime.HandlerNotFound", "requestId": request_id})
    except Exception as error:  # noqa: BLE001 - a failing import is the function's answer, as in the runtime
        _fail(answer_to, error, request_id)
    sys.exit(0)


def _fail(answer_to: TextIO, error: Exception, request_id: str) -> None:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    report = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": traceback.format_list(frames),
    }
    sys.stdout.flush()
    sys.stderr.write(f"[ERROR] {report['errorType']}: {report['errorMessage']}\n" + "".join(report["stackTrace"]))
    _answer(answer_to, report)


def _answer(answer_to: TextIO, error: dict[str, Any]) -> None:
    json.dump({"error": error}, answer_to)
    answer_to.close()


if __name__ == "__main__":
    main()
