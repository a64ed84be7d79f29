"""One session of the SDK for all clients that a test stubs: a session reads a service's model once, which takes longest."""

from functools import cache

import boto3
import botocore.session
from botocore.model import ServiceModel

REGION = "eu-west-1"


@cache
def _core() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def session() -> boto3.Session:
    """Of nobody's credentials; what is registered on a client stays with that client."""
    return boto3.Session(
        aws_access_key_id="a",
        aws_secret_access_key="b",
        region_name=REGION,
        botocore_session=_core(),
    )


def model(service: str) -> ServiceModel:
    """What the SDK knows of a service's operations and shapes."""
    return _core().get_service_model(service)
