"""Errors that name what the local cloud does not model.

Each is a plain 400, so that no client retries it.
"""

from typing import TYPE_CHECKING

import moto.core.errors
from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel
from moto.core.request import Request, determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from localcloud.base import Cloud

NOT_MODELLED = "NotModelledByLocalCloud"
CRASHED = "LocalCloudCrashed"


class Refusal(ServiceException):
    """Any error of a service, by its code: `raise Refusal("ThrottlingException", "Rate exceeded")`."""


class NotModelled(Refusal):
    """What is asked for is missing here; say it in words: "ecs UpdateService: volumeConfigurations"."""

    def __init__(self, what: str) -> None:
        super().__init__(NOT_MODELLED, f"the local cloud does not model {what}")


def install(cloud: "Cloud") -> None:
    """Silence moto's warnings of codes that a service's model does not list.

    Such codes are used here on purpose, and AWS uses them too.
    """
    cloud.replace(moto.core.errors, "warn", _no_warning)


def _no_warning(*_args: object, **_kwargs: object) -> None:
    """Say nothing."""


def error_response(
    request: Request,
    service: str,
    operation: str,
    error: ServiceException,
) -> Response:
    """The error in the service's own protocol.

    The HTTP status is what the service's model declares, or 400.
    """
    service_model = get_service_model(service)
    if operation in service_model.operation_names:
        operation_model = service_model.operation_model(operation)
    else:
        operation_model = OperationModel({}, service_model)

    protocol = determine_request_protocol(service_model, request.content_type)
    serializer = get_serializer_class(service, protocol)(operation_model=operation_model)
    answer = serializer.serialize(error)
    return Response(answer["body"], status=answer["status_code"], headers=answer["headers"])
