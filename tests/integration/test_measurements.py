"""What is measured by hand goes on working: each measurement is played once, as small as it may be."""

import pytest

from bench import alarm_way, round_trips, storm

SERVICES = 20


@pytest.mark.parametrize("inactive", [False, True], ids=["targets active", "targets inactive"])
def test_a_small_alarm_storm_rolls_every_service_back_once(*, inactive: bool) -> None:
    """Of so many services each has neighbours that are red, and is read beside them."""
    cloud, function = storm.storm(SERVICES, inactive=inactive, seed=1)
    assert len(cloud.rolled_back) == SERVICES
    assert set(cloud.acts.values()) == {1}
    assert (function.lost, dict(function.failures)) == (0, {})


def test_the_plain_alarm_asks_twenty_two_times_before_the_act() -> None:
    spans, result = round_trips.measure(3, 3)
    assert (result["outcome"], result["to"]["task_definition"]) == ("rolled_back", "auth-service:2")
    acted = next(span.ended for span in spans if span.operation == "UpdateService")
    assert len([span for span in spans if span.ended <= acted]) <= 22


def test_one_alarm_is_followed_through_every_layer() -> None:
    way = alarm_way.walked()
    assert way.outcome == "rolled_back"
    assert {function.layer for function in way.entered} == set(alarm_way.LAYERS)
    assert way.opened().total() < way.changes.total()
