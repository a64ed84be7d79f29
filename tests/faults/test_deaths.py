"""The process dies around each call of an incident, and someone else goes on: one rollback, on record, told, and closed."""

import pytest

from tests.faults.campaign import KINDS, Case, campaign, deaths, losses


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
            assert case.happened, f"{case}: it was to die, and did not"


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_of_any_write_may_be_lost_and_nothing_be_sent_for_an_hour(kind: str) -> None:
    with campaign() as here:
        (undisturbed,) = here.prepare(1)
        first = Case(kind, 0)
        here.run(first, undisturbed)
        cases = [*losses(kind, first.first.calls), Case(kind, 0, mail_fails=True)]
        assert len(cases) >= 6
        for case, service in zip(cases, here.prepare(len(cases)), strict=True):
            here.run(case, service)
            assert case.happened, f"{case}: it did not come to it"
