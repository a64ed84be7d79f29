import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import server
from localcloud.functions import of

START = datetime(2026, 11, 2, 11, 58, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def cloud() -> Iterator[server.Cloud]:
    with server.running(at=START) as running:
        yield running


def queue_target(cloud: server.Cloud, name: str, **rule: Any) -> str:
    """A rule of this name whose target is a queue of this name; the queue's URL."""
    sqs, events = cloud.session().client("sqs"), cloud.session().client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.put_rule(Name=name, **rule)
    events.put_targets(
        Rule=name,
        Targets=[{"Id": "queue", "Arn": f"arn:aws:sqs:{cloud.region}:{cloud.account}:{name}"}],
    )
    return url


def received(cloud: server.Cloud, url: str) -> list[Any]:
    answer = cloud.session().client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def test_events_of_aws_and_of_put_events_reach_the_targets_of_matching_rules(
    cloud: server.Cloud,
) -> None:
    pattern = {"source": ["test"], "detail": {"name": [{"prefix": "auto-"}]}}
    url = queue_target(cloud, "matching", EventPattern=json.dumps(pattern))
    cloud.emit({"source": "test", "detail-type": "Aws", "detail": {"name": "auto-1"}})
    cloud.emit({"source": "test", "detail-type": "Aws", "detail": {"name": "manual"}})
    cloud.session().client("events").put_events(
        Entries=[{"Source": "test", "DetailType": "Own", "Detail": json.dumps({"name": "auto-2"})}]
    )
    events = received(cloud, url)
    assert [(event["detail-type"], event["detail"]["name"]) for event in events] == [
        ("Aws", "auto-1"),
        ("Own", "auto-2"),
    ]
    assert all(
        datetime.fromisoformat(event["time"]) - START < timedelta(minutes=2) for event in events
    )
    assert {event["account"] for event in events} == {cloud.account}


def test_a_disabled_rule_fires_nothing(cloud: server.Cloud) -> None:
    url = queue_target(cloud, "disabled", EventPattern='{"source": ["off"]}', State="DISABLED")
    cloud.emit({"source": "off", "detail-type": "x", "detail": {}})
    assert received(cloud, url) == []
    cloud.session().client("events").enable_rule(Name="disabled")
    cloud.emit({"source": "off", "detail-type": "x", "detail": {}})
    assert len(received(cloud, url)) == 1


def test_schedules_fire_on_simulated_time(cloud: server.Cloud) -> None:
    rate = queue_target(cloud, "rate", ScheduleExpression="rate(5 minutes)")
    daily = queue_target(cloud, "daily", ScheduleExpression="cron(0 12 * * ? *)")
    cloud.clock.advance(timedelta(minutes=11))
    assert len(received(cloud, rate)) == 2
    (event,) = received(cloud, daily)
    assert event["time"] == "2026-11-02T12:00:00Z"
    assert (event["source"], event["detail-type"], event["detail"]) == (
        "aws.events",
        "Scheduled Event",
        {},
    )
    assert event["resources"] == [f"arn:aws:events:{cloud.region}:{cloud.account}:rule/daily"]


def test_an_event_for_a_function_that_is_gone_goes_to_the_dead_letter_queue(
    cloud: server.Cloud,
) -> None:
    sqs, events = cloud.session().client("sqs"), cloud.session().client("events")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    target = f"arn:aws:lambda:{cloud.region}:{cloud.account}:function:gone"
    queue = f"arn:aws:sqs:{cloud.region}:{cloud.account}:dead"
    events.put_rule(Name="orphan", EventPattern='{"source": ["orphan"]}')
    events.put_targets(
        Rule="orphan", Targets=[{"Id": "f", "Arn": target, "DeadLetterConfig": {"Arn": queue}}]
    )
    cloud.emit({"source": "orphan", "detail-type": "x", "detail": {"n": 1}})
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "RESOURCE_NOT_FOUND"
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == target


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        pytest.param(
            {"ScheduleExpression": "cron(0 12 L * ? *)"}, "'L'", id="the last day of a month"
        ),
        pytest.param(
            {"EventPattern": '{"source": [{"regex": "x"}]}'},
            "regex",
            id="a filter that does not exist",
        ),
    ],
)
def test_what_is_not_modelled_is_an_error_that_names_it(
    cloud: server.Cloud, rule: dict[str, Any], named: str
) -> None:
    with pytest.raises(ClientError, match=named):
        cloud.session().client("events").put_rule(Name="unknown", **rule)


def test_a_rule_invokes_a_function_that_permits_it(cloud: server.Cloud) -> None:
    session = cloud.session()
    functions, events, sqs = (
        session.client("lambda"),
        session.client("events"),
        session.client("sqs"),
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(
            "index.py", "def handle(event, context):\n    print('GOT', event['detail']['n'])\n"
        )
    role = (
        cloud.session()
        .client("iam")
        .create_role(RoleName="echo", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    )
    function = functions.create_function(
        FunctionName="echo",
        Runtime="python3.13",
        Role=role,
        Handler="index.handle",
        Code={"ZipFile": archive.getvalue()},
    )["FunctionArn"]
    url = sqs.create_queue(QueueName="refused")["QueueUrl"]
    queue = f"arn:aws:sqs:{cloud.region}:{cloud.account}:refused"
    rule = events.put_rule(Name="echo", EventPattern='{"source": ["echo"]}')["RuleArn"]
    events.put_targets(
        Rule="echo", Targets=[{"Id": "f", "Arn": function, "DeadLetterConfig": {"Arn": queue}}]
    )

    cloud.emit({"source": "echo", "detail-type": "x", "detail": {"n": 1}})
    (message,) = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert message["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"

    functions.add_permission(
        FunctionName="echo",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    cloud.emit({"source": "echo", "detail-type": "x", "detail": {"n": 2}})
    of(cloud).drain()
    log = (
        cloud.session().client("logs").filter_log_events(logGroupName="/aws/lambda/echo")["events"]
    )
    assert [event["message"] for event in log if event["message"].startswith("GOT")] == ["GOT 2"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param({"Input": '{"action": "sweep"}'}, {"action": "sweep"}, id="a constant"),
        pytest.param({"InputPath": "$.detail"}, {"n": 1}, id="a part of the event"),
        pytest.param(
            {
                "InputTransformer": {
                    "InputPathsMap": {"n": "$.detail.n"},
                    "InputTemplate": '{"number": <n>}',
                }
            },
            {"number": 1},
            id="a template",
        ),
    ],
)
def test_a_target_may_be_given_something_else_than_the_event(
    cloud: server.Cloud, target: dict[str, Any], expected: Any
) -> None:
    url = queue_target(cloud, "shaped", EventPattern='{"source": ["shaped"]}')
    arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:shaped"
    shaped: Any = [{"Id": "queue", "Arn": arn} | target]
    cloud.session().client("events").put_targets(Rule="shaped", Targets=shaped)
    cloud.emit({"source": "shaped", "detail-type": "x", "detail": {"n": 1}})
    assert received(cloud, url) == [expected]


def test_nobody_but_aws_sends_events_of_aws(cloud: server.Cloud) -> None:
    events = cloud.session().client("events")
    url = queue_target(cloud, "of-aws", EventPattern=json.dumps({"source": ["aws.ecs", "mine"]}))
    entries: list[Any] = []
    for source in ("aws.ecs", "mine"):
        entries.append({"Source": source, "DetailType": "anything", "Detail": "{}"})
    answer = events.put_events(Entries=entries)
    assert answer["FailedEntryCount"] == 1
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert [event["source"] for event in received(cloud, url)] == ["mine"]


def test_while_eventbridge_is_down_entries_fail(cloud: server.Cloud) -> None:
    events = cloud.session().client("events")
    entry: Any = {"Source": "mine", "DetailType": "x", "Detail": "{}"}
    with cloud.outages.of("events"):
        answer = events.put_events(Entries=[entry])
    assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, "InternalFailure")
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_while_sns_or_the_key_of_a_topic_is_down_nothing_is_published(cloud: server.Cloud) -> None:
    sns, kms = cloud.session().client("sns"), cloud.session().client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    topic = sns.create_topic(Name="told", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    kms.disable_key(KeyId=key)
    with pytest.raises(ClientError, match="KMSDisabled"):
        sns.publish(TopicArn=topic, Message="hello")
    kms.enable_key(KeyId=key)
    sns.publish(TopicArn=topic, Message="hello")
    with cloud.outages.of("sns"), pytest.raises(ClientError, match="InternalError"):
        sns.publish(TopicArn=topic, Message="hello")
