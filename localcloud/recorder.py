"""Every AWS call that the local cloud answered, for tests to count and to judge.

Tests may also interfere before a call is answered.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from localcloud.shapes import ApiObject

UNKNOWN = "?"

_CREDENTIAL = re.compile(
    r"Credential=(?P<access_key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<signing_name>[^/]+)/aws4_request"
)
# A signing name is the service's prefix in IAM. Where boto3 calls the client otherwise, this is its
# name.
_CLIENT_OF_SIGNING_NAME = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    `service` is boto3's name of the client, `operation` the API's ("UpdateService"), `at` simulated
    time; `status` is that of the answer over HTTP, None until there is one.
    """

    service: str
    operation: str
    parameters: ApiObject
    access_key: str
    region: str
    at: datetime
    status: int | None = None


Interference = Callable[[Call], None]
Loss = Callable[[Call], bool]


@dataclass
class Recorder:
    """The calls in the order of their answers."""

    _calls: list[Call] = field(default_factory=list)
    _interferences: dict[tuple[str, str], list[Interference]] = field(default_factory=dict)
    _losses: list[Loss] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def calls(
        self,
        service: str | None = None,
        operation: str | None = None,
        access_key: str | None = None,
    ) -> list[Call]:
        """List the calls that match all that is given."""
        with self._lock:
            found = list(self._calls)
        if service is not None:
            found = [call for call in found if call.service == service]
        if operation is not None:
            found = [call for call in found if call.operation == operation]
        if access_key is not None:
            found = [call for call in found if call.access_key == access_key]
        return found

    def clear(self) -> None:
        """Forget the calls. Interferences stay."""
        with self._lock:
            self._calls.clear()

    def before(
        self,
        service: str,
        operation: str,
        interference: Interference,
    ) -> Callable[[], None]:
        """Run something before each such call is answered. Returns what removes it.

        Raise a `localcloud.errors.Refusal` in it to refuse the call.
        """
        key = (service, operation)
        with self._lock:
            self._interferences.setdefault(key, []).append(interference)

        def remove() -> None:
            with self._lock:
                self._interferences[key].remove(interference)

        return remove

    def lose(self, loss: Loss) -> Callable[[], None]:
        """Lose the answer of each call for which this is true, after its effect. Returns what removes it.

        The connection ends without a word, as it does where a network fails: a client that retries asks again.
        """
        with self._lock:
            self._losses.append(loss)

        def remove() -> None:
            with self._lock:
                self._losses.remove(loss)

        return remove

    def loses(self, call: Call) -> bool:
        """Whether the answer of a call is to be lost."""
        with self._lock:
            losses = tuple(self._losses)
        return any(loss(call) for loss in losses)

    def interfere(self, call: Call) -> None:
        """Run what `before` asked for, outside the lock. It may call AWS itself."""
        key = (call.service, call.operation)
        with self._lock:
            interferences = tuple(self._interferences.get(key, ()))
        for interference in interferences:
            interference(call)

    def add(self, call: Call) -> None:
        """Keep an answered call."""
        with self._lock:
            self._calls.append(call)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls())


class Signature(NamedTuple):
    """What a signature tells. `service` is boto3's name of the client."""

    service: str
    region: str
    access_key: str


class _Operation(NamedTuple):
    """An operation by the API's name, and the parameters in the path of the URL."""

    name: str
    path_parameters: ApiObject


def call_of(request: Request, at: datetime) -> Call:
    """Say who asks for what.

    It is exact where botocore's model knows the request; else what cannot be told is "?".
    """
    signature = signature_of(request)
    operation = _operation_of(request, signature.service)
    return Call(
        service=signature.service,
        operation=operation.name,
        parameters=_parameters_of(request, signature.service, operation),
        access_key=signature.access_key,
        region=signature.region,
        at=at,
    )


def signature_of(request: Request) -> Signature:
    """Read a version 4 signature, in the header or in the query."""
    credential = request.headers.get("Authorization", "")
    if not credential and "X-Amz-Credential" in request.args:
        credential = f"Credential={request.args['X-Amz-Credential']}"

    found = _CREDENTIAL.search(credential)
    if found is None:
        return Signature(UNKNOWN, UNKNOWN, UNKNOWN)
    signing_name = found["signing_name"]
    service = _CLIENT_OF_SIGNING_NAME.get(signing_name, signing_name)
    return Signature(service, found["region"], found["access_key"])


def _operation_of(request: Request, service: str) -> _Operation:
    target = request.headers.get("X-Amz-Target")
    if target:
        return _Operation(str(target).rsplit(".", 1)[-1], {})

    action = request.values.get("Action")
    if action:
        return _Operation(str(action), {})

    try:
        operation, path_parameters = get_service_router(service).match(request)
    except (HTTPException, UnknownServiceError, ValueError, FileNotFoundError):
        return _Operation(UNKNOWN, {})
    return _Operation(str(operation.name), dict(path_parameters))


def _parameters_of(request: Request, service: str, operation: _Operation) -> ApiObject:
    parameters = dict(operation.path_parameters)
    try:
        parameters |= _parsed_parameters(request, service, operation)
    except (OperationNotFoundError, UnknownServiceError, ValueError, KeyError, FileNotFoundError):
        return parameters
    return parameters


def _parsed_parameters(request: Request, service: str, operation: _Operation) -> ApiObject:
    model = get_service_model(service)
    protocol = determine_request_protocol(model, request.content_type)
    parser = PROTOCOL_PARSERS[protocol](model.operation_model(operation.name))
    parsed = parser.parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.get_data(),
            "url_path": request.path,
            "url_params": operation.path_parameters,
        }
    )
    return dict(parsed)
