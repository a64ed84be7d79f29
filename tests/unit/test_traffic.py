"""How many requests reached a serving period: asked of CloudWatch in datapoints that its calm part can be counted in."""

from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from autorollback.aws.traffic import Traffic
from autorollback.decision.request_counts import Requests
from autorollback.naming import ServiceKey
from autorollback.policy import Policy, ServicePolicy

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
POLICY = ServicePolicy(
    ServiceKey("shop", "auth"),
    Policy(families=("*",), task_roles=("*",)),
    "app/alb/1",
    ("targetgroup/auth/1",),
)


def one_a_minute(**asked: Any) -> list[dict[str, Any]]:
    """A page with the datapoints of one request a minute, in the period that was asked for."""
    period = timedelta(seconds=asked["MetricDataQueries"][0]["MetricStat"]["Period"])
    first = datetime.min.replace(tzinfo=UTC)
    start = first + -(-(asked["StartTime"] - first) // period) * period
    times = [start + n * period for n in range((asked["EndTime"] - start) // period)]
    values = [period / timedelta(minutes=1)] * len(times)
    return [{"MetricDataResults": [{"Timestamps": times, "Values": values}]}]


def test_only_periods_that_lie_wholly_within_a_time_are_counted() -> None:
    minute = timedelta(minutes=1)
    counted = Requests(((NOW - 2 * minute, minute, 3), (NOW - minute, minute, 5), (NOW, minute, 7)))
    assert counted.between(NOW - 2 * minute, NOW) == 8
    assert counted.between(NOW - 2 * minute, NOW - timedelta(seconds=1)) == 3
    assert counted.between(NOW - minute - timedelta(seconds=59), NOW) == 5


@pytest.mark.parametrize(
    ("began", "ended", "asked"),
    [
        pytest.param(timedelta(hours=12), timedelta(0), [60], id="half a day: each minute"),
        pytest.param(timedelta(hours=13), timedelta(0), [300], id="longer: every five minutes"),
        pytest.param(
            timedelta(days=62), timedelta(0), [300], id="for as long as CloudWatch keeps these"
        ),
        pytest.param(timedelta(days=70), timedelta(0), [3600, 300], id="before that, hours"),
        pytest.param(timedelta(days=70), timedelta(days=65), [3600], id="only hours are left"),
    ],
)
def test_requests_are_counted_in_the_finest_datapoints_that_are_kept(
    began: timedelta, ended: timedelta, asked: list[int]
) -> None:
    cloudwatch = mock.Mock()
    paginate = cloudwatch.get_paginator.return_value.paginate
    paginate.side_effect = one_a_minute
    since, until = NOW - began, NOW - ended
    counted = Traffic(mock.Mock(cloudwatch=cloudwatch)).requests(POLICY, since, until, NOW)
    assert [
        c.kwargs["MetricDataQueries"][0]["MetricStat"]["Period"] for c in paginate.call_args_list
    ] == asked
    assert counted.between(since, until) == (until - since) / timedelta(minutes=1)
    if asked[-1] < 3600:
        assert counted.between(until - timedelta(minutes=30), until) == 30, (
            "a calm part of half an hour is told"
        )


def test_a_revision_that_was_replaced_at_once_had_no_requests() -> None:
    cloudwatch = mock.Mock()
    counted = Traffic(mock.Mock(cloudwatch=cloudwatch)).requests(POLICY, NOW, NOW, NOW)
    assert counted.between(NOW, NOW) == 0
    cloudwatch.get_paginator.assert_not_called()
