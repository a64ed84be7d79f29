import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import server
from localcloud.alarms.evaluation import Point, evaluate_alarm
from localcloud.alarms.expressions import ExpressionError, Scope, Series, evaluate

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def cloud() -> Iterator[server.Cloud]:
    with server.running(at=START) as running:
        yield running


TABLES = [
    ("0-X-X", 3, ("OK", "OK", "OK", "OK")),
    ("0----", 3, ("OK", "OK", "OK", "OK")),
    ("-----", 3, ("INSUFFICIENT_DATA", None, "ALARM", "OK")),
    ("0XX-X", 3, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("--X--", 3, ("ALARM", None, "ALARM", "OK")),
    ("0-X-X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("00X0X", 2, ("ALARM", "ALARM", "ALARM", "ALARM")),
    ("0-X--", 2, ("OK", "OK", "ALARM", "OK")),
    ("----0", 2, ("OK", "OK", "ALARM", "OK")),
    ("---X-", 2, ("ALARM", None, "ALARM", "OK")),
]


@pytest.mark.parametrize(
    ("shown", "needed", "treatment", "expected"),
    [
        pytest.param(shown, needed, treatment, state, id=f"{shown} {needed} of 3, {treatment}")
        for shown, needed, states in TABLES
        for treatment, state in zip(
            ("missing", "ignore", "breaching", "notBreaching"), states, strict=True
        )
    ],
)
def test_missing_data_is_treated_as_documented(
    shown: str, needed: int, treatment: str, expected: str | None
) -> None:
    definition = {
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": needed,
        "ComparisonOperator": "GreaterThanThreshold",
        "Threshold": 5,
        "TreatMissingData": treatment,
    }
    values: dict[str, float | None] = {"0": 1.0, "X": 9.0, "-": None}
    points = [Point(START + index * MINUTE, values[sign]) for index, sign in enumerate(shown)]
    verdict = evaluate_alarm(definition, points, period=60, now=START + 5 * MINUTE, state="OK")
    assert (verdict and verdict.state) == expected


def of(*values: float | None) -> Series:
    return {
        START + index * MINUTE: float(value)
        for index, value in enumerate(values)
        if value is not None
    }


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(
            "2 + 3 * a",
            of(8, 14, 2),
            id="product before sum",
        ),
        pytest.param("100 * b / a", of(50, 100), id="division by zero drops the datapoint"),
        pytest.param("a + b", of(3, 8, 0, 7), id="the value that one series misses counts as 0"),
        pytest.param("FILL(b, 0)", of(1, 4, 0, 7), id="filled over the whole range"),
        pytest.param("FILL(b, REPEAT)", of(1, 4, 4, 7), id="filled with the last value"),
        pytest.param("FILL(b, LINEAR)", of(1, 4, 5.5, 7), id="filled between its neighbours"),
        pytest.param(
            "IF(FILL(a, 0) >= 2, b, 0 - 1)", of(1, 4, -1, -1), id="a branch for each datapoint"
        ),
        pytest.param("IF(a > 2, 1)", of(None, 1), id="without a third argument, dropped"),
        pytest.param("IF(a < 9, b)", of(1, 4, 0), id="a chosen branch without a datapoint is 0"),
        pytest.param("a > 1 AND b > 1 || a == 0", of(0, 1, 1, 0), id="AND before OR"),
        pytest.param("SUM([a, b])", of(3, 8, 0, 7), id="a sum of several series is a series"),
        pytest.param("MAX(METRICS())", of(2, 4, 0, 7), id="the greater of those there are"),
        pytest.param("a * SUM(b)", of(24, 48, 0), id="a sum of one series is a number"),
        pytest.param("TIME_SERIES(3) - -1", of(4, 4, 4, 4), id="a constant series"),
    ],
)
def test_metric_math(expression: str, expected: Series) -> None:
    series = {"a": of(2, 4, 0), "b": of(1, 4, None, 7)}
    scope = Scope(series, ["a", "b"], [START + index * MINUTE for index in range(4)], 60)
    assert evaluate(expression, scope) == expected


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        pytest.param(
            "ANOMALY_DETECTION_BAND(a)",
            "ANOMALY_DETECTION_BAND",
            id="a function that is not modelled",
        ),
        pytest.param("a + c", "'c'", id="an id that does not exist"),
        pytest.param("(a", "end of expression", id="a parenthesis left open"),
        pytest.param("SUM(a)", "yields a number", id="a number as the last result"),
    ],
)
def test_an_expression_that_cannot_be_judged_is_an_error(expression: str, named: str) -> None:
    with pytest.raises(ExpressionError, match=named):
        evaluate(expression, Scope({"a": of(1)}, ["a"], [START], 60))


def put_rate_alarm(cloud: server.Cloud, name: str = "rate", **more: Any) -> None:
    def metric(query: str, metric_name: str) -> Any:
        stat = {
            "Metric": {"Namespace": "Shop", "MetricName": metric_name},
            "Period": 60,
            "Stat": "Sum",
        }
        return {"Id": query, "MetricStat": stat, "ReturnData": False}

    rate: Any = {
        "Id": "rate",
        "Expression": "IF(FILL(req, 0) >= 20, 100 * FILL(err, 0) / req, 0)",
        "ReturnData": True,
    }
    cloud.session().client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Metrics=[rate, metric("req", "Requests"), metric("err", "Errors")],
        Threshold=5,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        EvaluationPeriods=5,
        DatapointsToAlarm=3,
        TreatMissingData="notBreaching",
        **more,
    )


def serve(cloud: server.Cloud, minutes: int, requests: int, errors: int) -> None:
    """Let minutes pass, each with so many requests and errors."""
    for _ in range(minutes):
        moment = cloud.clock.now().replace(second=0, microsecond=0)
        data: Any = [{"MetricName": "Requests", "Value": requests, "Timestamp": moment}]
        if errors:
            data.append({"MetricName": "Errors", "Value": errors, "Timestamp": moment})
        cloud.session().client("cloudwatch").put_metric_data(Namespace="Shop", MetricData=data)
        cloud.clock.advance(MINUTE)


def alarm(cloud: server.Cloud, name: str = "rate") -> Any:
    return (
        cloud.session().client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    )


def events_of(cloud: server.Cloud) -> str:
    """A queue that receives every alarm event."""
    sqs, events = cloud.session().client("sqs"), cloud.session().client("events")
    url = sqs.create_queue(QueueName="events")["QueueUrl"]
    events.put_rule(
        Name="alarms", EventPattern='{"detail-type": ["CloudWatch Alarm State Change"]}'
    )
    arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:events"
    events.put_targets(Rule="alarms", Targets=[{"Id": "queue", "Arn": arn}])
    return url


def test_a_rate_alarm_goes_into_alarm_and_back_with_history_event_and_notification(
    cloud: server.Cloud,
) -> None:
    sqs, sns = cloud.session().client("sqs"), cloud.session().client("sns")
    topic = sns.create_topic(Name="people")["TopicArn"]
    inbox = sqs.create_queue(QueueName="inbox")["QueueUrl"]
    sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{cloud.region}:{cloud.account}:inbox"
    )
    url = events_of(cloud)
    put_rate_alarm(cloud, AlarmActions=[topic])
    assert alarm(cloud)["StateValue"] == "INSUFFICIENT_DATA"

    serve(cloud, minutes=6, requests=100, errors=0)
    assert alarm(cloud)["StateValue"] == "OK"
    serve(cloud, minutes=2, requests=100, errors=10)
    assert alarm(cloud)["StateValue"] == "OK", "two of five are not enough"
    serve(cloud, minutes=1, requests=100, errors=20)
    red = alarm(cloud)
    assert red["StateValue"] == "ALARM"
    assert red["StateReason"] == (
        "Threshold Crossed: 3 out of the last 5 datapoints [20.0 (02/11/26 12:08:00), 10.0 (02/11/26 12:07:00), "
        "10.0 (02/11/26 12:06:00)] were greater than or equal to the threshold (5.0) "
        "(minimum 3 datapoints for OK -> ALARM transition)."
    )
    data = json.loads(red["StateReasonData"])
    assert data["recentDatapoints"] == [0.0, 0.0, 10.0, 10.0, 20.0]
    assert data["startDate"] == "2026-11-02T12:04:00.000+0000"
    assert data["evaluatedDatapoints"][0] == {
        "timestamp": "2026-11-02T12:08:00.000+0000",
        "value": 20.0,
    }
    assert red["StateTransitionedTimestamp"] - START < timedelta(minutes=9, seconds=10)

    serve(cloud, minutes=3, requests=100, errors=0)
    assert alarm(cloud)["StateValue"] == "OK"

    bodies = [
        json.loads(m["Body"])
        for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]
    turns = [(b["detail"]["previousState"]["value"], b["detail"]["state"]["value"]) for b in bodies]
    assert turns == [("INSUFFICIENT_DATA", "OK"), ("OK", "ALARM"), ("ALARM", "OK")]
    assert bodies[1]["resources"] == [red["AlarmArn"]]
    metrics = {m["id"]: m for m in bodies[1]["detail"]["configuration"]["metrics"]}
    assert metrics["req"]["metricStat"]["metric"] == {
        "namespace": "Shop",
        "name": "Requests",
        "dimensions": {},
    }

    (message,) = sqs.receive_message(QueueUrl=inbox, MaxNumberOfMessages=10)["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["NewStateValue"] == "ALARM"

    pages = cloud.session().client("cloudwatch").get_paginator("describe_alarm_history")
    items = [
        item
        for page in pages.paginate(AlarmName="rate", PaginationConfig={"PageSize": 2})
        for item in page["AlarmHistoryItems"]
    ]
    assert [item["HistorySummary"] for item in items] == [
        "Alarm updated from ALARM to OK",
        f"Successfully executed action {topic}",
        "Alarm updated from OK to ALARM",
        "Alarm updated from INSUFFICIENT_DATA to OK",
        'Alarm "rate" created',
    ]
    assert json.loads(items[2]["HistoryData"])["newState"]["stateReasonData"]["threshold"] == 5.0


def test_an_alarm_that_cannot_be_evaluated_is_reported_once_and_the_others_go_on(
    cloud: server.Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    queries: Any = [
        {
            "Id": "m",
            "MetricStat": {
                "Metric": {"Namespace": "Shop", "MetricName": "Requests"},
                "Period": 60,
                "Stat": "Sum",
            },
            "ReturnData": False,
        },
        {"Id": "e", "Expression": "m ^ -1"},
    ]
    cloud.session().client("cloudwatch").put_metric_alarm(
        AlarmName="a division by zero",
        Metrics=queries,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
    )
    put_rate_alarm(cloud)
    serve(cloud, minutes=3, requests=0, errors=0)
    assert alarm(cloud)["StateValue"] == "OK"
    assert alarm(cloud, "a division by zero")["StateValue"] == "INSUFFICIENT_DATA"
    (reported,) = (record for record in caplog.records if record.name.startswith("localcloud"))
    assert "a division by zero" in reported.getMessage()


def test_one_error_among_few_requests_is_no_alarm(cloud: server.Cloud) -> None:
    put_rate_alarm(cloud)
    serve(cloud, minutes=6, requests=2, errors=1)
    assert alarm(cloud)["StateValue"] == "OK"


def test_a_percentile_alarm_and_get_metric_data_see_the_same(cloud: server.Cloud) -> None:
    client = cloud.session().client("cloudwatch")
    client.put_metric_alarm(
        AlarmName="slow",
        Namespace="Shop",
        MetricName="Latency",
        ExtendedStatistic="p90",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    values = [float(n) for n in range(11)]
    client.put_metric_data(
        Namespace="Shop",
        MetricData=[{"MetricName": "Latency", "Values": values, "Timestamp": START}],
    )
    cloud.clock.advance(MINUTE)
    assert alarm(cloud, "slow")["StateValue"] == "ALARM"
    (result,) = client.get_metric_data(
        StartTime=START,
        EndTime=START + 2 * MINUTE,
        MetricDataQueries=[
            {
                "Id": "p",
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {"Namespace": "Shop", "MetricName": "Latency"},
                    "Period": 60,
                    "Stat": "p90",
                },
            },
            {"Id": "e", "Expression": "p * 2"},
        ],
    )["MetricDataResults"]
    assert (result["Id"], result["Values"], result["Timestamps"][0]) == ("e", [18.0], START)


def test_a_composite_alarm_follows_its_children_and_names_the_guilty(cloud: server.Cloud) -> None:
    client = cloud.session().client("cloudwatch")
    put_rate_alarm(cloud, "one")
    put_rate_alarm(cloud, "two")
    client.put_composite_alarm(
        AlarmName="both", AlarmRule='ALARM("one") OR (ALARM(two) AND NOT OK("one"))'
    )
    assert client.describe_alarms(AlarmNames=["both"])["MetricAlarms"] == []
    assert client.describe_alarms(AlarmNames=["both"])["CompositeAlarms"] == []

    client.set_alarm_state(AlarmName="one", StateValue="ALARM", StateReason="testing")
    (composite,) = client.describe_alarms(AlarmTypes=["CompositeAlarm"], StateValue="ALARM")[
        "CompositeAlarms"
    ]
    (guilty,) = json.loads(composite["StateReasonData"])["triggeringAlarms"]
    assert guilty["arn"].endswith(":alarm:one")
    with pytest.raises(ClientError, match="composite alarm"):
        client.delete_alarms(AlarmNames=["one"])
    client.set_alarm_state(AlarmName="one", StateValue="OK", StateReason="testing")
    assert (
        client.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]["StateValue"]
        == "OK"
    )


def test_alarms_are_found_by_prefix_and_paged(cloud: server.Cloud) -> None:
    for name in ("a/1", "a/2", "a/3", "b/1"):
        put_rate_alarm(cloud, name)
    client = cloud.session().client("cloudwatch")
    first = client.describe_alarms(AlarmNamePrefix="a/", MaxRecords=2)
    second = client.describe_alarms(
        AlarmNamePrefix="a/", MaxRecords=2, NextToken=first["NextToken"]
    )
    assert [a["AlarmName"] for a in first["MetricAlarms"] + second["MetricAlarms"]] == [
        "a/1",
        "a/2",
        "a/3",
    ]
    assert "NextToken" not in second
    client.delete_alarms(AlarmNames=["a/1"])
    assert len(client.describe_alarms(AlarmNamePrefix="a/")["MetricAlarms"]) == 2


def test_an_alarm_that_could_not_be_judged_is_refused(cloud: server.Cloud) -> None:
    client = cloud.session().client("cloudwatch")
    with pytest.raises(
        ClientError, match="does not model cloudwatch PutCompositeAlarm: ActionsSuppressor"
    ):
        client.put_composite_alarm(AlarmName="x", AlarmRule="TRUE", ActionsSuppressor="y")
    with pytest.raises(ClientError, match=r"alarms \[missing\] in the alarm rule do not exist"):
        client.put_composite_alarm(AlarmName="x", AlarmRule="ALARM(missing)")
    with pytest.raises(ClientError, match="RUNNING_SUM is not modelled"):
        client.put_metric_alarm(
            AlarmName="x",
            Metrics=[{"Id": "e", "Expression": "RUNNING_SUM(m)", "Period": 60}],
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods=1,
        )


def test_a_message_in_a_queue_turns_its_alarm_red(cloud: server.Cloud) -> None:
    cloud.session().client("cloudwatch").put_metric_alarm(
        AlarmName="dead letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "dead"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    sqs = cloud.session().client("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    cloud.clock.advance(MINUTE)
    assert alarm(cloud, "dead letters")["StateValue"] == "OK"
    sqs.send_message(QueueUrl=url, MessageBody="x")
    cloud.clock.advance(MINUTE)
    assert alarm(cloud, "dead letters")["StateValue"] == "ALARM"
