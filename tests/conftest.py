"""The tests run with the project's own commands, whatever else the machine has, from any shell, and reach nothing but loopback."""

import gc
from collections.abc import Iterator

import pytest

from tests import confinement

# models, tests and scenes stay: looking through all of them again and again took a tenth of the time
gc.set_threshold(50_000, 20, 20)

confinement.confine()  # before anything of boto3 or moto is imported: both read the environment as they are


@pytest.fixture(autouse=True)
def _nothing_but_loopback() -> Iterator[None]:
    """A test fails where it, or what it started, wanted to leave the machine; an error that was caught counts too."""
    yield
    assert confinement.refused() == [], "somebody wanted to leave this machine"
