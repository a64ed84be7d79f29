"""How people are told of times and durations."""

from datetime import UTC, datetime, timedelta

import pytest

from autorollback.decision.formatting import clock, first_few, span, unread_of


@pytest.mark.parametrize(
    ("duration", "told"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=59, milliseconds=900), "59 s"),
        (timedelta(seconds=60), "1 min"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(hours=1, minutes=1), "1 h 1 min"),
        (timedelta(hours=23, minutes=59, seconds=59), "23 h 59 min"),
        (timedelta(hours=24), "1 d"),
        (timedelta(hours=25, minutes=59), "1 d 1 h"),
        (timedelta(hours=71, minutes=59), "2 d 23 h"),
        (timedelta(days=3, hours=5), "3 d"),
        (-timedelta(minutes=4), "4 min"),
    ],
)
def test_a_duration_is_told_in_its_one_or_two_largest_units(duration: timedelta, told: str) -> None:
    assert span(duration) == told


def test_a_moment_is_told_to_the_second_in_utc() -> None:
    assert clock(datetime(2026, 3, 2, 9, 5, 7, 900_000, tzinfo=UTC)) == "2026-03-02 09:05:07Z"


def test_of_many_the_first_are_told_and_how_many_more_there_are() -> None:
    assert first_few(["a", "b"], 2) == ["a", "b"]
    assert first_few(["a", "b", "c"], 2) == ["a", "b", "1 more"]


def test_of_what_could_not_be_read_three_things_are_told() -> None:
    told = unread_of([f"page {n}" for n in range(5)])
    assert told == "; could not be read: page 0, page 1, page 2, 2 more"
    assert not unread_of([])
