"""Tests that a fake and its adapter both pass."""

import pytest

pytest.register_assert_rewrite("tests.contracts.aws", "tests.contracts.ledger")
