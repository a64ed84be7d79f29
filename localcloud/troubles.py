"""What went wrong with one of many, while the others went on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_log = logging.getLogger(__name__)


@dataclass
class Troubles:
    """The alarms, rules, services and deliveries that could not be served, each told once.

    They are for tests to see, and for people in the log.
    """

    found: list[str] = field(default_factory=list)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Go on after whatever goes wrong with one item of a loop: it must not end the others."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - that is what this is for
            trouble = f"{what}: {error!r}"
            if trouble not in self.found:
                self.found.append(trouble)
                _log.exception("%s could not be served; the others are", what)
