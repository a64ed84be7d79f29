"""Deliveries at the same time, twice and out of order, with deaths and throttles at random: one rollback all the same."""

import pytest

from tests.faults.campaign import KINDS, Case, campaign

CASES = 60


@pytest.mark.parametrize("part", range(2))
def test_whatever_happens_one_bad_deployment_is_one_rollback(part: int) -> None:
    with campaign() as here:
        seeds = range(part, CASES, 2)
        for seed, service in zip(seeds, here.prepare(len(seeds)), strict=True):
            here.run(Case(KINDS[seed % len(KINDS)], seed, random_faults=True), service)
