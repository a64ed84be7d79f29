"""The page of red alarms of the other services, which one invocation reads for others in a storm."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest

from autorollback.aws import neighbours
from autorollback.aws.clients import Clients
from autorollback.aws.ledger import Ledger
from autorollback.aws.neighbours import FRESH, Neighbours
from autorollback.aws.policies import Policies
from autorollback.naming import Names
from autorollback.policy import Policy
from localcloud.errors import Refusal
from localcloud.recorder import Call
from localcloud.server import Cloud

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
POLICY = Policy(families=("*",), task_roles=("*",))


class Throttle:
    """CloudWatch, which refuses as many calls as it is told to."""

    def __init__(self) -> None:
        self.refusals, self.asked = 0, 0

    def __call__(self, _call: Call) -> None:
        self.asked += 1
        if self.refusals:
            self.refusals -= 1
            raise Refusal("ThrottlingException", "Rate exceeded")


@pytest.fixture
def throttle(cloud: Cloud) -> Iterator[Throttle]:
    cloud.session("team").client("cloudwatch").put_metric_alarm(
        AlarmName="auto-rollback/prod/mail/latency", MetricName="m", Namespace="n", Statistic="Sum", Period=60,
        EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloud.session("team").client("cloudwatch").set_alarm_state(
        AlarmName="auto-rollback/prod/mail/latency", StateValue="ALARM", StateReason="-"
    )
    throttle = Throttle()
    leave = cloud.recorder.before("cloudwatch", "DescribeAlarms", throttle)
    with mock.patch.object(neighbours, "sleep"):
        yield throttle
    leave()


def invocation(clients: Clients, ledger: Ledger, services: int = 1000) -> Neighbours:
    return Neighbours(clients, Names(), ledger, Policies(clients, Names()), services)


def test_in_a_storm_the_page_that_one_invocation_has_read_serves_the_others(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    throttle.refusals = 2
    read = invocation(clients, ledger).red(POLICY, NOW)
    assert [alarm.name for alarm in read] == ["auto-rollback/prod/mail/latency"]
    throttle.refusals, throttle.asked = 100, 0
    assert invocation(clients, ledger).red(POLICY, NOW + FRESH - SECOND) == read
    assert throttle.asked == 1, "who is refused asks the ledger, not CloudWatch again"
    throttle.refusals, throttle.asked = 2, 0
    assert invocation(clients, ledger).red(POLICY, NOW + FRESH + 2 * SECOND) == read
    assert throttle.asked == 3, "an old page is no answer"


def test_the_waits_of_whoever_is_refused_come_from_the_given_jitter(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    throttle.refusals = 3
    with mock.patch.object(neighbours, "sleep") as sleep:
        assert replace(invocation(clients, ledger), jitter=lambda: 0.5).red(
            POLICY, NOW + timedelta(hours=1)
        )
    assert [call.args[0] for call in sleep.call_args_list] == [0.5, 1.0, 2.0]


def test_where_nothing_throttles_nothing_is_shared(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    assert invocation(clients, ledger).red(POLICY, NOW)
    assert ledger.shared_red(NOW - FRESH) is None


def test_nobody_asks_about_neighbours_where_a_shared_cause_cannot_show(
    clients: Clients, ledger: Ledger, throttle: Throttle
) -> None:
    assert invocation(clients, ledger, services=2).red(POLICY, NOW) == ()
    assert throttle.asked == 0
    assert (
        len(
            invocation(clients, ledger, services=2).red(
                replace(POLICY, shared_cause_services=1), NOW
            )
        )
        == 1
    )
