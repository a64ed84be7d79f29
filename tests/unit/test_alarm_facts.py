"""What an alarm, as CloudWatch describes it, says of when the trouble began."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.stub import ANY, Stubber

from autorollback.aws.alarms import Alarms
from autorollback.aws.clients import Clients
from autorollback.decision.facts import Alarm
from autorollback.naming import Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from tests.fakes.sessions import session

FIRED = datetime(2026, 11, 22, 14, 10, 30, tzinfo=UTC)
KEY = ServiceKey("shop", "auth")
OURS, USERS = "auto-rollback/shop/auth/own-checkout", "checkout"
CHILD = {"arn": f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{USERS}"}


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2026-11-22T{clock}:00+00:00")


def alarm(name: str, reason: object = None, **described: Any) -> dict[str, Any]:
    told = (
        {}
        if reason is None
        else {"StateReasonData": reason if isinstance(reason, str) else json.dumps(reason)}
    )
    return {
        "AlarmName": name,
        "StateValue": "ALARM",
        "StateTransitionedTimestamp": FIRED,
        **told,
        **described,
    }


def composite(**state: str) -> dict[str, Any]:
    children = [
        CHILD | {"state": {"value": "ALARM", "timestamp": "2026-11-22T14:10:30.000+0000", **state}}
    ]
    return alarm(OURS, {"triggeringAlarms": children})


def read(**answer: list[dict[str, Any]]) -> Alarm:
    """The alarm that wraps a user's own, of what DescribeAlarms answers."""
    clients = Clients(session())
    stub = Stubber(clients.cloudwatch)
    stub.add_response(
        "describe_alarms",
        {"MetricAlarms": [], "CompositeAlarms": [], **answer},
        {
            "AlarmNames": ANY,
            "AlarmTypes": ["MetricAlarm", "CompositeAlarm", "LogAlarm"],
            "MaxRecords": 100,
        },
    )
    stub.activate()
    policy = Policy(families=("auth",), task_roles=("auth",))
    (found,) = Alarms(clients, Names()).of(ServicePolicy(KEY, policy, alarms=(USERS,)))
    return found


def log_alarm(schedule: str, results: int) -> dict[str, Any]:
    query: dict[str, Any] = {
        "QueryString": "fields @message",
        "ScheduledQueryRoleARN": "arn:aws:iam::123456789012:role/q",
    }
    query |= {"AggregationExpression": "count(*)", "LogGroupIdentifiers": ["auth"]}
    every = {"ScheduleExpression": schedule, "StartTimeOffset": 300}
    asked = {"ScheduledQueryConfiguration": {**query, "ScheduleConfiguration": every}}
    return alarm(USERS, "{not JSON", QueryResultsToEvaluate=results, **asked)


@pytest.mark.parametrize(
    ("children", "onset", "by_datapoint"),
    [
        pytest.param(
            {
                "MetricAlarms": [
                    alarm(
                        USERS,
                        {
                            "startDate": "2026-11-22T14:06:00.000+0000",
                            "period": 60,
                            "recentDatapoints": [1.0, 9.0, 9.0],
                        }
                        | {"threshold": 5.0},
                        ComparisonOperator="GreaterThanThreshold",
                        Period=60,
                        EvaluationPeriods=3,
                    )
                ]
            },
            at("14:07"),
            True,
            id="the datapoints of the alarm that it wraps",
        ),
        pytest.param(
            {"MetricAlarms": [alarm(USERS, Period=300, EvaluationPeriods=2)]},
            FIRED - timedelta(minutes=10),
            False,
            id="none: its change of state and its evaluation range",
        ),
        pytest.param(
            {"LogAlarms": [log_alarm("rate(5 minutes)", 3)]},
            FIRED - timedelta(minutes=15),
            False,
            id="a log alarm: all the results that it evaluates",
        ),
        pytest.param(
            {"LogAlarms": [log_alarm("cron(0 * * * ? *)", 1)]},
            FIRED - timedelta(days=1),
            False,
            id="a log alarm whose schedule is not understood",
        ),
        pytest.param({}, FIRED - timedelta(minutes=5), False, id="an alarm that is no more"),
    ],
)
def test_a_users_own_alarm_tells_when_the_trouble_began(
    children: Mapping[str, list[dict[str, Any]]], onset: datetime, *, by_datapoint: bool
) -> None:
    found = read(**{"CompositeAlarms": [composite()], **children})
    assert (found.onset, found.onset_is_datapoint) == (onset, by_datapoint)
