"""A cloud on this machine: moto's server in this process, extended, on one simulated clock."""

import io
import logging
import os
import socket
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from localcloud import (
    alarms,
    base,
    cdk,
    cloudformation,
    codedeploy,
    dynamodb,
    ecr,
    ecs,
    elb,
    errors,
    events,
    functions,
    iam,
    limits,
    members,
    sns,
    traffic,
)
from localcloud.clock import Clock
from localcloud.ecs.registry import Ecs
from localcloud.errors import CRASHED, NotModelled, Refusal, error_response
from localcloud.iam import Iam
from localcloud.recorder import UNKNOWN, Call, Recorder, call_of
from localcloud.traffic import Traffic

# in the order in which they are installed: what comes later may ask for what came before
EXTENSIONS = (
    errors,
    members,
    dynamodb,
    ecs,
    ecr,
    elb,
    traffic,
    codedeploy,
    iam,
    alarms,
    events,
    sns,
    functions,
    cloudformation,
    cdk,
)

COLD = "LOCALCLOUD_COLD"
_OF_ONE_REGION = frozenset(
    {"cloudformation", "cloudwatch", "codedeploy", "ecs", "elbv2", "events", "lambda"}
)


class Cloud(base.Cloud):
    """The whole cloud, as those see it who use it."""

    @property
    def ecs(self) -> Ecs:
        """What goes on in ECS."""
        return self.service(Ecs)

    @property
    def traffic(self) -> Traffic:
        """The requests to the services."""
        return self.service(Traffic)


@contextmanager
def running(
    at: datetime | None = None, port: int = 0, *, cold: bool | None = None, held: bool = True
) -> Iterator[Cloud]:
    """An empty cloud, beginning at `at` (now, where it is None); one at a time in a process.

    With `held`, every call that a function makes is held to the policies of its role.
    With `cold`, or LOCALCLOUD_COLD in the environment, every invocation of a function is a fresh
    process. Otherwise they are forked from one that has imported the function's code, and that is
    kept until this program ends.
    """
    with ExitStack() as stack:
        clock = Clock()
        clock.start(at)
        stack.callback(clock.stop)
        moto_api_backend.reset()
        stack.callback(moto_api_backend.reset)
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        door = _Door(clock)
        server = make_server(
            "127.0.0.1",
            port,
            door,
            threaded=True,
            request_handler=_SilentHandler,
        )
        stack.callback(server.server_close)
        cloud = Cloud(
            clock,
            f"http://localhost:{server.server_port}",
            cold=bool(os.environ.get(COLD)) if cold is None else cold,
            recorder=door.recorder,
            _undo=stack.enter_context(ExitStack()),
        )
        for extension in EXTENSIONS:
            extension.install(cloud)
        if held:
            door.authorize = cloud.service(Iam).authorize
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield cloud


class _SilentHandler(MotoRequestHandler):
    """The recorder keeps the record; a terminal is for people."""

    def log_request(self, *_args: object, **_kwargs: object) -> None:
        """Say nothing."""


class _Dispatcher(DomainDispatcherApplication):
    """A service that moto lacks is an operation that it lacks, not a crash."""

    def __init__(self, create_app: Callable[[str], Any]) -> None:
        super().__init__(create_app)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        """Moto's answer, which lists its folders each time, is kept.

        Where it has none it prints a hint for its own developers, and goes on to fail with None.
        """
        if host not in self._backends:
            if host and "amazonaws.com" in host and not self._knows(host):
                raise NotImplementedError(host)
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]

    def _knows(self, host: str) -> bool:
        return any(pattern.match(f"http://{host}") for _, pattern in self.backend_url_patterns)


class _Door:
    """The WSGI application around moto's.

    It records each call, lets tests interfere, and gives every failure a name.
    """

    def __init__(self, clock: Clock) -> None:
        self.recorder = Recorder()
        self.authorize: Callable[[Call], None] = _anything
        self._clock = clock
        self._moto = _Dispatcher(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = _whole_body(environ)
        request = Request(environ | {"wsgi.input": io.BytesIO(body)})
        call = call_of(request, self._clock.now())
        response = self._answer(environ, request, call)
        answered = replace(call, status=response.status_code)
        self.recorder.add(answered)
        if self.recorder.loses(answered):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError("the answer is lost")
        return response(environ, start_response)

    def _check_region(self, call: Call) -> None:
        """What this cloud adds to moto is there in one Region: half a service elsewhere would answer wrongly."""
        if call.service in _OF_ONE_REGION and call.region != Cloud.region:
            raise NotModelled(
                f"{call.service} in {call.region}: it is there in {Cloud.region} alone"
            )

    def _answer(
        self,
        environ: dict[str, Any],
        request: Request,
        call: Call,
    ) -> Response:
        try:
            self._check_region(call)
            self.authorize(call)
            limits.check(call)
            self.recorder.interfere(call)
            response = Response.from_app(self._moto, environ, buffered=True)
        except ServiceException as refused:
            return error_response(
                request,
                call.service,
                call.operation,
                refused,
            )
        except NotImplementedError:
            return _not_modelled(request, call)
        except Exception as crash:  # noqa: BLE001 - it must reach the caller named, not as a 500 that clients retry
            traceback.print_exc()
            return _crashed(request, call, crash)
        if _is_unrouted(response, request):
            return _not_modelled(request, call)
        return response


def _anything(_call: Call) -> None:
    """Let every call pass."""


def _whole_body(environ: dict[str, Any]) -> bytes:
    """Read it once, for the record and for moto; werkzeug has undone the chunks of one without a length."""
    chunked = environ.pop("HTTP_TRANSFER_ENCODING", None) is not None
    stream = environ["wsgi.input"]
    body: bytes = stream.read() if chunked else stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(body), str(len(body))
    return body


def _is_unrouted(response: Response, request: Request) -> bool:
    """Flask's own 404 page, or moto's empty one for an operation that it cannot even name."""
    if response.status_code != 404 or request.method == "HEAD":
        return False
    page = response.get_data().strip().lower()
    return not page or page.startswith(b"<!doctype html")


def _not_modelled(request: Request, call: Call) -> Response:
    missing = NotModelled(f"{call.service} {call.operation} ({request.method} {request.path})")
    if call.service == UNKNOWN:
        return Response(str(missing), status=400)
    return error_response(
        request,
        call.service,
        call.operation,
        missing,
    )


def _crashed(request: Request, call: Call, crash: Exception) -> Response:
    error = Refusal(CRASHED, f"{call.service} {call.operation} crashed the local cloud: {crash!r}")
    if call.service == UNKNOWN:
        return Response(str(error), status=400)
    return error_response(
        request,
        call.service,
        call.operation,
        error,
    )
