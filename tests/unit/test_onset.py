"""When the trouble began, from the datapoints of an alarm."""

from datetime import UTC, datetime, timedelta

import pytest

from autorollback.decision.facts import Datapoint
from autorollback.decision.onset import fallback, first_lasting_breach, last_breach

START = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
MEANING = {"X": True, "o": False, "-": None}


def minute(number: int) -> datetime:
    return START + timedelta(minutes=number)


def points(drawn: str) -> list[Datapoint]:
    """Breaching X, calm o, missing -; one a minute, given newest first."""
    return [Datapoint(minute(i), MEANING[sign]) for i, sign in enumerate(drawn)][::-1]


@pytest.mark.parametrize(
    ("drawn", "first"),
    [
        pytest.param("ooXXX", 2, id="the first of those that last"),
        pytest.param("XooXX", 3, id="a stray one before does not count"),
        pytest.param("oXoXX", 3, id="nor one among calm ones"),
        pytest.param("XoXoX", 0, id="if all stand alone, the first"),
        pytest.param("ooooX", 4, id="a single one"),
        pytest.param("oX-oX", 1, id="a missing neighbour is not a calm one"),
        pytest.param("XXXXX", 0, id="all of them"),
        pytest.param("oo-oo", None, id="none"),
        pytest.param("", None, id="no datapoint at all"),
    ],
)
def test_onset_is_the_first_breach_that_does_not_stand_alone(drawn: str, first: int | None) -> None:
    assert first_lasting_breach(points(drawn)) == (None if first is None else minute(first))


def test_the_last_breach_is_the_newest() -> None:
    assert last_breach(points("XoXo")) == minute(2)
    assert last_breach(points("o-")) is None


def test_without_datapoints_the_trouble_began_within_the_evaluation_range() -> None:
    assert fallback(minute(9), timedelta(minutes=5)) == minute(4)
