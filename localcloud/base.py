"""What each service of the cloud knows of the whole: its clock, its address, its record, and the other services."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import boto3
import botocore.session
from botocore.config import Config

from localcloud.clock import Clock
from localcloud.recorder import Recorder

Service = TypeVar("Service")

_MISSING = object()


@dataclass
class Cloud:
    """One running cloud. `emit` delivers a whole AWS event to the rules of the default bus, and does nothing until rules exist."""

    account: ClassVar[str] = "123456789012"
    region: ClassVar[str] = "eu-west-1"

    clock: Clock
    endpoint: str
    recorder: Recorder = field(default_factory=Recorder)
    emit: Callable[[dict[str, Any]], None] = lambda _event: None
    _services: dict[type[Any], Any] = field(default_factory=dict)
    _undo: ExitStack = field(default_factory=ExitStack)

    def add(self, service: object) -> None:
        """Have a service found by its class, by those that are installed after it."""
        self._services[type(service)] = service

    def service(self, kind: type[Service]) -> Service:
        """The service of this class that was added."""
        found: Service = self._services[kind]
        return found

    def environment(self, access_key: str = "local") -> dict[str, str]:
        """What makes any AWS tool or SDK talk to this cloud; the access key tells callers apart in the record."""
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
        """A session whose clients talk to this cloud, whatever the environment and the files of the user say."""
        core = _LocalSession()
        core.endpoint = self.endpoint
        core.set_config_variable("config_file", "/dev/null")
        core.set_config_variable("credentials_file", "/dev/null")
        core.set_default_client_config(Config(proxies={}, s3={"addressing_style": "path"}))
        return boto3.Session(
            aws_access_key_id=access_key, aws_secret_access_key="local", region_name=self.region, botocore_session=core
        )

    def replace(self, owner: object, name: str, value: object) -> None:
        """Put something of ours in the place of something of moto's, for as long as this cloud runs."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        self._undo.callback(*((delattr, owner, name) if before is _MISSING else (setattr, owner, name, before)))

    def close(self, release: Callable[[], None]) -> None:
        """Have something released when this cloud stops."""
        self._undo.callback(release)


class _LocalSession(botocore.session.Session):
    """Clients of this session need not be told the endpoint."""

    endpoint = ""

    def create_client(self, *args: Any, **kwargs: Any) -> Any:
        """The endpoint of the cloud, unless another is asked for."""
        return super().create_client(*args, **kwargs | {"endpoint_url": kwargs.get("endpoint_url") or self.endpoint})
