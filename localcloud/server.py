"""A cloud on this machine: moto's server in this process, extended, on one simulated clock."""

import importlib
import io
import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader
from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.moto_api._internal import moto_api_backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from localcloud.clock import Clock
from localcloud.errors import CRASHED, NotModelled, Refusal, error_response
from localcloud.recorder import UNKNOWN, Call, Recorder, call_of

if TYPE_CHECKING:
    from localcloud.ecs.operations import Ecs
    from localcloud.traffic import Traffic

EXTENSIONS = (
    "localcloud.errors",
    "localcloud.locks",
    "localcloud.ecs",
    "localcloud.ecr",
    "localcloud.elb",
    "localcloud.traffic",
    "localcloud.codedeploy",
    "localcloud.alarms",
    "localcloud.events",
    "localcloud.functions",
    "localcloud.cloudformation",
    "localcloud.cdk",
)

COLD = "LOCALCLOUD_COLD"
_MISSING = object()


@dataclass
class Cloud:
    """One running cloud.

    `emit` delivers a whole AWS event to the rules of the default bus; it does nothing until rules
    exist. `replaced` is what stands in the place of something of moto's.
    """

    account: ClassVar[str] = "123456789012"
    region: ClassVar[str] = "eu-west-1"

    clock: Clock
    endpoint: str
    cold: bool = False
    recorder: Recorder = field(default_factory=Recorder)
    emit: Callable[[dict[str, Any]], None] = lambda _event: None
    ecs: "Ecs" = field(init=False)
    traffic: "Traffic" = field(init=False)
    replaced: list[object] = field(default_factory=list)
    _sessions: dict[str, boto3.Session] = field(default_factory=dict)
    _undo: ExitStack = field(default_factory=ExitStack)

    def environment(self, access_key: str = "local") -> dict[str, str]:
        """What makes any AWS tool or SDK talk to this cloud.

        The access key tells callers apart in the record.
        """
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "localhost",
        }

    def session(self, access_key: str = "local") -> boto3.Session:
        """A session whose clients talk to this cloud, one for each access key.

        Whatever the environment and the files of the user say.
        """
        if access_key not in self._sessions:
            self._sessions[access_key] = boto3.Session(
                aws_access_key_id=access_key,
                aws_secret_access_key="local",
                region_name=self.region,
                botocore_session=_LocalSession(self.endpoint),
            )
        return self._sessions[access_key]

    def replace(self, owner: object, name: str, value: object) -> None:
        """Put something in the place of something of moto's, as long as this cloud runs."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        self.replaced.append(value)
        if before is _MISSING:
            self._undo.callback(delattr, owner, name)
        else:
            self._undo.callback(setattr, owner, name, before)

    def close(self, release: Callable[[], None]) -> None:
        """Have something released when this cloud stops."""
        self._undo.callback(release)


@contextmanager
def running(at: datetime | None = None, port: int = 0, *, cold: bool | None = None) -> Iterator[Cloud]:
    """An empty cloud, beginning at `at` (now, where it is None); one at a time in a process.

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
        server = make_server("127.0.0.1", port, door, threaded=True, request_handler=_SilentHandler)
        stack.callback(server.server_close)
        cloud = Cloud(
            clock,
            f"http://localhost:{server.server_port}",
            cold=bool(os.environ.get(COLD)) if cold is None else cold,
            recorder=door.recorder,
            _undo=stack.enter_context(ExitStack()),
        )
        for name in EXTENSIONS:
            importlib.import_module(name).install(cloud)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield cloud


class _LocalSession(botocore.session.Session):
    """Clients of this session need not be told the endpoint, and are made once: it takes a while."""

    _models: ClassVar[Loader] = Loader()

    def __init__(self, endpoint: str) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._made: dict[object, Any] = {}
        self.register_component("data_loader", self._models)
        self.set_config_variable("config_file", "/dev/null")
        self.set_config_variable("credentials_file", "/dev/null")
        self.set_default_client_config(Config(proxies={}, s3={"addressing_style": "path"}))

    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        """The endpoint of the cloud, unless another is asked for."""
        asked = (args, tuple(sorted(kwargs.items())))
        if asked not in self._made:
            kwargs["endpoint_url"] = kwargs.get("endpoint_url") or self._endpoint
            self._made[asked] = super().create_client(*args, **kwargs)
        return self._made[asked]


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
        self._clock = clock
        self._moto = _Dispatcher(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = _whole_body(environ)
        request = Request(environ | {"wsgi.input": io.BytesIO(body)})
        call = call_of(request, self._clock.now())
        response = self._answer(environ, request, call)
        self.recorder.add(replace(call, status=response.status_code))
        return response(environ, start_response)

    def _answer(self, environ: dict[str, Any], request: Request, call: Call) -> Response:
        try:
            self.recorder.interfere(call)
            response = Response.from_app(self._moto, environ, buffered=True)
        except ServiceException as refused:
            return error_response(request, call.service, call.operation, refused)
        except NotImplementedError:
            return _not_modelled(request, call)
        except Exception as crash:  # noqa: BLE001 - it must reach the caller named, not as a 500 that clients retry
            traceback.print_exc()
            return _crashed(request, call, crash)
        if _is_unrouted(response, request):
            return _not_modelled(request, call)
        return response


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
    return error_response(request, call.service, call.operation, missing)


def _crashed(request: Request, call: Call, crash: Exception) -> Response:
    error = Refusal(CRASHED, f"{call.service} {call.operation} crashed the local cloud: {crash!r}")
    if call.service == UNKNOWN:
        return Response(str(error), status=400)
    return error_response(request, call.service, call.operation, error)
