"""Python imports this as it starts, where the folder is on PYTHONPATH: sockets connect to this machine only."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any


class NotLoopbackError(RuntimeError):
    """No OSError: nobody shall take it for a network that is down, and try again."""


def confine(report: str) -> None:
    """Refuse all other addresses and names, and write them down in the file `report`."""

    def check(host: object) -> None:
        if is_loopback(host):
            return
        with Path(report).open("a", encoding="utf-8") as file:
            file.write(f"{host}\n")
        raise NotLoopbackError(f"{host} is not this machine; tests reach nothing else")

    def by_address(method: str) -> None:
        whole: Callable[..., Any] = getattr(socket.socket, method)

        def confined(self: socket.socket, *arguments: Any) -> Any:
            address = arguments[-1]  # sendto may have flags before it
            if self.family in (socket.AF_INET, socket.AF_INET6):
                check(address[0])
            return whole(self, *arguments)

        setattr(socket.socket, method, confined)

    def by_name(function: str) -> None:
        whole: Callable[..., Any] = getattr(socket, function)

        def confined(host: Any, *arguments: Any, **named: Any) -> Any:
            check(host)
            return whole(host, *arguments, **named)

        setattr(socket, function, confined)

    for method in ("connect", "connect_ex", "sendto"):
        by_address(method)
    for function in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
        by_name(function)


def is_loopback(host: object) -> bool:
    """Of a name or an address; none at all is this machine too."""
    name = host.decode() if isinstance(host, bytes) else host
    return name in (None, "", "localhost", "::1", "0.0.0.0") or str(name).startswith("127.")  # noqa: S104 - compared, not bound


# the tests' own process is confined by their conftest, which imports this as a module of a package
if __name__ == "sitecustomize" and "LOOPBACK_ONLY" in os.environ:
    confine(os.environ["LOOPBACK_ONLY"])
