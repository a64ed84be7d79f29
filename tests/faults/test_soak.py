"""What `make soak` says of its seeds: every kind is played, and the seed draws what is."""

import itertools

from tests.faults.campaign import KINDS, Case, Faults
from tests.faults.soak import drawn, summary

DEATHS = {
    kind: [
        Case(kind, 0, Faults(dies_at=call, after_effect=after))
        for call in range(20)
        for after in (False, True)
    ]
    for kind in KINDS
}
A_PASS = 2 * len(KINDS)


def cases(seed: int, number: int) -> list[Case]:
    return list(itertools.islice(drawn(DEATHS, seed), number))


def test_a_short_run_plays_a_death_and_a_random_case_of_every_kind() -> None:
    first = cases(1, A_PASS)
    assert [case.kind for case in first if case.random_faults] == list(KINDS)
    assert [case.kind for case in first if not case.random_faults] == list(KINDS)


def test_a_seed_gives_the_same_cases_and_another_gives_others() -> None:
    told = [str(case) for case in cases(1, 40)]
    assert told == [str(case) for case in cases(1, 40)]
    assert len(set(told) & {str(case) for case in cases(5000, 40)}) < 20


def test_every_death_is_played_before_one_is_played_again() -> None:
    played = cases(1, 40 * A_PASS)
    for line in summary(played, DEATHS):
        assert (
            ": 40 of 40 deaths, 0 of 0 lost answers, 0 without messages, 40 random cases, seeds "
            in line
        )
    died = [str(case) for case in played if not case.random_faults]
    assert len(died) == len(set(died))


def test_what_a_case_did_is_not_carried_into_its_next_turn() -> None:
    (again,) = (case for case in itertools.islice(drawn({"copy": DEATHS["copy"][:1]}, 1), 2, 3))
    assert (again.first.calls, again.first.dead) == ([], False)
