"""Services that are not to be had for a while, for tests to begin and to end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Outages:
    """Which services are down, by boto3's names of their clients: `sns` and `events`.

    A key that is disabled needs no outage: KMS's own DisableKey does it.
    """

    _down: set[str] = field(default_factory=set)

    @contextmanager
    def of(self, service: str) -> Iterator[None]:
        """Let a service fail as long as this lasts."""
        self._down.add(service)
        try:
            yield
        finally:
            self._down.discard(service)

    def hit(self, service: str) -> bool:
        """Whether a service is down."""
        return service in self._down
