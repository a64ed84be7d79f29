"""The ledger in memory does what the ledger does."""

import pytest

from tests.contracts.ledger import *  # noqa: F403 - the tests are the contract's
from tests.fakes.ledger import FakeLedger


@pytest.fixture
def ledger() -> FakeLedger:
    return FakeLedger()


@pytest.fixture
def another(ledger: FakeLedger) -> FakeLedger:
    return FakeLedger(ledger.table)
