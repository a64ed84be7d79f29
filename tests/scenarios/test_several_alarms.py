"""Several alarms are red at once: which of them is asked, and what is told of the others."""

from autorollback.decision.verdicts import Hold
from tests.scenarios.history import bad_deployment, incident, minutes

BEFORE, AFTER = minutes(20), minutes(5)
"""Trouble that began before the deployment of eleven minutes ago, and after it."""


def test_the_alarm_that_fired_is_asked_first() -> None:
    story = bad_deployment(onset=minutes(6)).alarm("latency", onset=AFTER)
    assert story.judged().verdict.detail == "latency fired 6 min after the deployment"
    story.alarm("5xx-rate", onset=minutes(6))
    assert story.judged().verdict.detail == "5xx-rate fired 5 min after the deployment"


def test_another_that_convicts_is_told_with_what_the_first_said() -> None:
    story = bad_deployment(onset=AFTER).alarm("latency", onset=BEFORE)
    assert story.judged().verdict.detail == (
        "5xx-rate fired 6 min after the deployment; "
        "asked before: latency was in trouble 9 min before the deployment started"
    )


def test_where_none_convicts_the_first_that_was_asked_is_told() -> None:
    story = bad_deployment(onset=BEFORE).alarm("unhealthy-targets", onset=BEFORE)
    story.alarm("latency", onset=minutes(21))
    verdict = story.judged().verdict
    assert isinstance(verdict, Hold)
    assert verdict.detail == "latency was in trouble 10 min before the deployment started"


def test_one_that_is_calm_by_now_is_not_asked() -> None:
    story = incident().deployed("v1", ago=minutes(3000)).deployed("v2", ago=minutes(9))
    story.alarm("latency", onset=AFTER).alarm("5xx-rate", onset=BEFORE)
    story.watched_by("latency", since=minutes(1))
    assert story.reason() == "alarm_predates_deployment"
