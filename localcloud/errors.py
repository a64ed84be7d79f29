"""What the local cloud does not model is an error that names it: a plain 400, so that no client retries it."""

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
    """Raise it with what is missing, in words: "ecs UpdateService: volumeConfigurations"."""

    def __init__(self, what: str) -> None:
        super().__init__(NOT_MODELLED, f"the local cloud does not model {what}")


def install(cloud: "Cloud") -> None:
    """moto warns of codes that a service's model does not list; such codes are used here on purpose, and AWS uses them too."""
    cloud.replace(moto.core.errors, "warn", lambda *_args, **_kwargs: None)


def error_response(request: Request, service: str, operation: str, error: ServiceException) -> Response:
    """The error in the service's own protocol, with the HTTP status that its model declares (400 where it declares none)."""
    model = get_service_model(service)
    known = operation in model.operation_names
    operation_model = model.operation_model(operation) if known else OperationModel({}, model)
    serializer = get_serializer_class(service, determine_request_protocol(model, request.content_type))
    answer = serializer(operation_model=operation_model).serialize(error)
    return Response(answer["body"], status=answer["status_code"], headers=answer["headers"])
