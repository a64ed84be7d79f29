"""The process dies around each call of an incident, and someone else goes on: one rollback, on record, told, and closed."""

import pytest

from tests.faults.campaign import KINDS, Case, campaign, deaths


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_may_die_around_any_call(kind: str) -> None:
    with campaign() as here:
        (undisturbed,) = here.prepare(1)
        first = Case(kind, 0)
        here.run(first, undisturbed)
        cases = list(deaths(kind, first.first.calls, 0, all_of_them=False))
        assert len(cases) >= 15
        for case, service in zip(cases, here.prepare(len(cases)), strict=True):
            here.run(case, service)
            assert case.first.dead, f"{case}: it was to die, and did not"
