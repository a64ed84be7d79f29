"""Every AWS call that the local cloud answered, for tests to count and to judge; and a place to interfere before one is answered."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationNotFoundError
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

UNKNOWN = "?"
_CREDENTIAL = re.compile(r"Credential=(?P<access_key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<signing_name>[^/]+)/aws4_request")
# a signing name is the service's prefix in IAM; where boto3 calls the client otherwise, this is its name
_CLIENT_OF_SIGNING_NAME = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `service` is boto3's name of the client, `operation` the API's ("UpdateService"), `at` simulated time."""

    service: str
    operation: str
    parameters: dict[str, Any]
    access_key: str
    region: str
    at: datetime
    status: int | None = None


Interference = Callable[[Call], None]


@dataclass
class Recorder:
    """The calls in the order of their answers."""

    _calls: list[Call] = field(default_factory=list)
    _interferences: dict[tuple[str, str], list[Interference]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def calls(
        self, service: str | None = None, operation: str | None = None, access_key: str | None = None
    ) -> list[Call]:
        """Those that match all that is given."""
        with self._lock:
            return [
                call
                for call in self._calls
                if (service is None or call.service == service)
                and (operation is None or call.operation == operation)
                and (access_key is None or call.access_key == access_key)
            ]

    def clear(self) -> None:
        """Forget the calls; interferences stay."""
        with self._lock:
            self._calls.clear()

    def before(self, service: str, operation: str, interference: Interference) -> Callable[[], None]:
        """Run something before each such call is answered; raise a `localcloud.errors.Refusal` in it to refuse the call. Answers its removal."""
        with self._lock:
            self._interferences.setdefault((service, operation), []).append(interference)

        def remove() -> None:
            with self._lock:
                self._interferences[(service, operation)].remove(interference)

        return remove

    def interfere(self, call: Call) -> None:
        """Run what `before` asked for, outside the lock: it may call AWS itself."""
        with self._lock:
            interferences = tuple(self._interferences.get((call.service, call.operation), ()))
        for interference in interferences:
            interference(call)

    def add(self, call: Call) -> None:
        """Keep an answered call."""
        with self._lock:
            self._calls.append(call)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls())


def call_of(request: Request, at: datetime) -> Call:
    """Who asks for what: exact where botocore's model knows the request, else with what can be told marked "?"."""
    service, region, access_key = signature_of(request)
    operation, uri_parameters = _operation_of(request, service)
    return Call(service, operation, _parameters_of(request, service, operation, uri_parameters), access_key, region, at)


def signature_of(request: Request) -> tuple[str, str, str]:
    """Service, region and access key of a version 4 signature, in the header or in the query."""
    credential = request.headers.get("Authorization", "")
    if not credential and "X-Amz-Credential" in request.args:
        credential = f"Credential={request.args['X-Amz-Credential']}"
    found = _CREDENTIAL.search(credential)
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    signing_name = found["signing_name"]
    return _CLIENT_OF_SIGNING_NAME.get(signing_name, signing_name), found["region"], found["access_key"]


def _operation_of(request: Request, service: str) -> tuple[str, dict[str, Any]]:
    if target := request.headers.get("X-Amz-Target"):
        return str(target).rsplit(".", 1)[-1], {}
    if action := request.values.get("Action"):
        return str(action), {}
    try:
        operation, uri_parameters = get_service_router(service).match(request)
    except (HTTPException, UnknownServiceError, ValueError, FileNotFoundError):
        return UNKNOWN, {}
    return str(operation.name), dict(uri_parameters)


def _parameters_of(request: Request, service: str, operation: str, uri_parameters: dict[str, Any]) -> dict[str, Any]:
    try:
        model = get_service_model(service)
        parser = PROTOCOL_PARSERS[determine_request_protocol(model, request.content_type)](
            model.operation_model(operation)
        )
        parsed = parser.parse(
            {
                "method": request.method,
                "values": request.values,
                "headers": request.headers,
                "body": request.get_data(),
                "url_path": request.path,
                "url_params": uri_parameters,
            }
        )
    except (OperationNotFoundError, UnknownServiceError, ValueError, KeyError, FileNotFoundError):
        return dict(uri_parameters)
    return dict(uri_parameters) | dict(parsed)
