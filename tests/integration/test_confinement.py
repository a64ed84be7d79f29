"""No test reaches anything but this machine: neither the tests' own process, nor what they start."""

import socket
import subprocess
import sys
import urllib.request

import pytest

from tests import confinement
from tests.confinement.sitecustomize import NotLoopbackError

ELSEWHERE = "192.0.2.1"
"""Reserved for documentation: nobody is there."""


@pytest.mark.parametrize("host", [ELSEWHERE, "2001:db8::1", "sts.amazonaws.com"])
def test_the_process_of_the_tests_stays_here(host: str) -> None:
    with pytest.raises(NotLoopbackError, match=host):
        socket.create_connection((host, 80), timeout=1)
    assert confinement.refused() == [host]


def test_a_socket_without_a_name_stays_here_too() -> None:
    with socket.socket() as stream, pytest.raises(NotLoopbackError):
        stream.connect((ELSEWHERE, 80))
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams, pytest.raises(NotLoopbackError):
        datagrams.sendto(b"", (ELSEWHERE, 53))
    assert confinement.refused() == [ELSEWHERE, ELSEWHERE]


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5).close()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(
            [
                sys.executable,
                "-c",
                f"import socket; socket.create_connection(('{ELSEWHERE}', 80), 1)",
            ],
            id="Python",
        ),
        pytest.param(["node", "-e", f"require('net').connect(80, '{ELSEWHERE}')"], id="Node.js"),
        pytest.param(["node", "-e", f"fetch('http://{ELSEWHERE}')"], id="Node.js's fetch"),
        pytest.param(
            [
                "aws",
                "s3api",
                "list-buckets",
                "--region",
                "eu-west-1",
                "--endpoint-url",
                f"http://{ELSEWHERE}",
            ],
            id="a command line whose endpoint is elsewhere",
        ),
    ],
)
def test_what_the_tests_start_stays_here(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode != 0
    assert f"{ELSEWHERE} is not this machine" in ran.stderr or confinement.NOWHERE in ran.stderr
    assert set(confinement.refused()) <= {ELSEWHERE}


def test_what_heeds_proxies_alone_finds_none() -> None:
    """Such as an aws command line that brings a Python of its own, and heeds no AWS_ENDPOINT_URL."""
    assert urllib.request.getproxies()["https"] == confinement.NOWHERE
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 9), timeout=5)
