"""What each service of the cloud knows of the whole: its clock, its address, its record, and the other services."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, TypeVar

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

from localcloud.clock import Clock
from localcloud.outages import Outages
from localcloud.recorder import Recorder
from localcloud.troubles import Troubles

Service = TypeVar("Service")

_MISSING = object()


@dataclass
class Cloud:
    """One running cloud.

    `troubles` are the single items that its loops could not serve. `lag` is how far behind the lists of AWS are that are only eventually consistent.

    `emit` delivers a whole AWS event to the rules of the default bus; it does nothing until rules
    exist. `replaced` is what stands in the place of something of moto's, `services` what
    was added, by its class.
    """

    account: ClassVar[str] = "123456789012"
    region: ClassVar[str] = "eu-west-1"

    clock: Clock
    endpoint: str
    cold: bool = False
    lag: timedelta = timedelta()
    recorder: Recorder = field(default_factory=Recorder)
    outages: Outages = field(default_factory=Outages)
    troubles: Troubles = field(default_factory=Troubles)
    emit: Callable[[dict[str, Any]], None] = lambda _event: None
    replaced: list[object] = field(default_factory=list)
    services: dict[type[Any], Any] = field(default_factory=dict)
    _sessions: dict[str, boto3.Session] = field(default_factory=dict)
    _undo: ExitStack = field(default_factory=ExitStack)

    def add(self, service: object) -> None:
        """Have a service found by its class, by those that are installed after it."""
        self.services[type(service)] = service

    def service(self, kind: type[Service]) -> Service:
        """The service of this class that was added."""
        found: Service = self.services[kind]
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

    def replace(
        self,
        owner: object,
        name: str,
        value: object,
    ) -> None:
        """Put something in the place of something of moto's, as long as this cloud runs."""
        before = vars(owner).get(name, _MISSING)
        setattr(owner, name, value)
        self.replaced.append(value)
        if before is _MISSING:
            self._undo.callback(delattr, owner, name)
        else:
            self._undo.callback(
                setattr,
                owner,
                name,
                before,
            )

    def close(self, release: Callable[[], None]) -> None:
        """Have something released when this cloud stops."""
        self._undo.callback(release)


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
