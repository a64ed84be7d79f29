"""Keeps the tests, and what they start, on this machine: nothing but loopback is reached, whatever the machine has.

A program is kept in by what it heeds: Python by `sitecustomize.py`, Node.js by `confine.cjs`, and anything else that speaks
HTTP by proxies that are not there. What was refused is written down, for a caller may catch the error and go on.
"""

import os
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent.parent
NOWHERE = "http://127.0.0.1:9"
"""A port of this machine that nobody listens on: the discard service's."""

_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
_REPORT = Path(tempfile.gettempdir()).resolve() / f"auto-rollback-tests-refused-{os.getpid()}"


def commands() -> str:
    """A PATH on which the project's own aws, cdk and node come before those that the machine may have."""
    own = [sysconfig.get_path("scripts"), str(PROJECT / "infrastructure/cdk-cli/node_modules/.bin")]
    return os.pathsep.join([*own, os.defpath])


def environment() -> Mapping[str, str]:
    """What a process of the tests is started with; a test that builds an environment of its own begins with it."""
    return {
        "PATH": commands(),
        "LOOPBACK_ONLY": str(_REPORT),
        "PYTHONPATH": str(FOLDER),
        "NODE_OPTIONS": f'--require "{FOLDER / "confine.cjs"}"',
        "DOCKER_HOST": NOWHERE.replace("http:", "tcp:"),
        "NO_PROXY": "localhost,127.0.0.1,::1",
        "no_proxy": "localhost,127.0.0.1,::1",
        **dict.fromkeys(_PROXIES, NOWHERE),
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def confine() -> None:
    """Confine this process and all that it starts."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "JSII_", "NODE_"))]:
        del os.environ[name]
    os.environ.update(environment())

    from tests.confinement import sitecustomize

    sitecustomize.confine(os.environ["LOOPBACK_ONLY"])


def refused() -> list[str]:
    """Where this process or one of its children wanted to go since this was asked last."""
    if not _REPORT.exists():
        return []
    wanted = _REPORT.read_text(encoding="utf-8").splitlines()
    _REPORT.unlink()
    return wanted
