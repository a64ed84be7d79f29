import base64
import io
import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import server
from localcloud.functions import access_key, of

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)

CODE = """
import datetime, json, os, sys, time, urllib.request

def report(event, context):
    print("hello from the function")
    return {
        "now": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "name": context.function_name,
        "remaining": context.get_remaining_time_in_millis(),
        "greeting": os.environ["GREETING"],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "key": os.environ["AWS_ACCESS_KEY_ID"],
        "foreign": [name for name in ("boto3", "moto") if __import__("importlib.util").util.find_spec(name)],
    }

def fail(event, context):
    raise ValueError(f"attempt {context.aws_request_id}")

def sleep(event, context):
    time.sleep(30)

def leave(event, context):
    urllib.request.urlopen(event["url"], timeout=1)

def die(event, context):
    os._exit(3)

def measure(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [
            {"Namespace": "Own", "Dimensions": [["service"]], "Metrics": [{"Name": "Rejected", "Unit": "Count"}]}]},
        "service": "auth", "Rejected": [1.0]}))
"""


@pytest.fixture(scope="module", params=["fresh processes", "forked processes"])
def cloud(request: pytest.FixtureRequest) -> Iterator[server.Cloud]:
    with server.running(at=START, cold=request.param == "fresh processes") as running:
        yield running


@pytest.fixture(scope="module")
def client(cloud: server.Cloud) -> Any:
    return cloud.session().client("lambda")


def function(cloud: server.Cloud, handler: str, **more: Any) -> str:
    """Deploy a function that runs this handler of CODE; its name, which is the handler's."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("code_under_test.py", CODE)
    role = (
        cloud.session()
        .client("iam")
        .create_role(RoleName=handler, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    )
    cloud.session().client("lambda").create_function(
        FunctionName=handler,
        Runtime="python3.13",
        Role=role,
        Handler=f"code_under_test.{handler}",
        Code={"ZipFile": archive.getvalue()},
        **more,
    )
    return handler


def test_a_function_runs_alone_with_its_environment_at_simulated_time(
    cloud: server.Cloud, client: Any
) -> None:
    function(
        cloud,
        "report",
        Environment={"Variables": {"GREETING": "hi"}},
        LoggingConfig={"LogGroup": "/own/group"},
    )
    answer = client.invoke(FunctionName="report", Payload="{}", LogType="Tail")
    result = json.load(answer["Payload"])
    assert timedelta() <= datetime.fromisoformat(result["now"]) - START < timedelta(minutes=1)
    assert (result["name"], result["greeting"], result["endpoint"]) == (
        "report",
        "hi",
        cloud.endpoint,
    )
    assert result["key"] == access_key("report")
    assert 0 < result["remaining"] <= 3000
    assert result["foreign"] == [], "only the zip and the standard library"
    assert "hello from the function" in base64.b64decode(answer["LogResult"]).decode()
    events = cloud.session().client("logs").filter_log_events(logGroupName="/own/group")["events"]
    assert "hello from the function" in [event["message"] for event in events]


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        pytest.param("fail", "ValueError", "attempt", id="an exception"),
        pytest.param(
            "sleep", "Sandbox.Timedout", "Task timed out after 1.00 seconds", id="too slow"
        ),
        pytest.param("die", "Runtime.ExitError", "exited", id="the process ends"),
        pytest.param("nothing", "Runtime.HandlerNotFound", "nothing", id="no such handler"),
    ],
)
def test_a_failure_is_reported_as_the_runtime_does(
    cloud: server.Cloud, client: Any, handler: str, error_type: str, message: str
) -> None:
    function(cloud, handler, Timeout=1 if handler == "sleep" else 3)
    answer = client.invoke(FunctionName=handler)
    payload = json.load(answer["Payload"])
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]


def test_a_function_reaches_nothing_but_this_machine(cloud: server.Cloud, client: Any) -> None:
    function(cloud, "leave")
    for host in ("sts.amazonaws.com", "192.0.2.1"):
        event = json.dumps({"url": f"http://{host}/"})
        answer = client.invoke(FunctionName="leave", Payload=event)
        assert "reaches nothing else" in json.load(answer["Payload"])["errorMessage"]


def test_a_failing_event_is_tried_three_times_and_then_sent_to_the_destination(
    cloud: server.Cloud, client: Any
) -> None:
    sqs = cloud.session().client("sqs")
    url = sqs.create_queue(QueueName="failed")["QueueUrl"]
    if "fail" not in [f["FunctionName"] for f in client.list_functions()["Functions"]]:
        function(cloud, "fail")
    arn = f"arn:aws:sqs:{cloud.region}:{cloud.account}:failed"
    client.put_function_event_invoke_config(
        FunctionName="fail", DestinationConfig={"OnFailure": {"Destination": arn}}
    )
    before = len(log_lines(cloud, "/aws/lambda/fail", "START"))

    assert (
        client.invoke(FunctionName="fail", InvocationType="Event", Payload='{"n": 1}')["StatusCode"]
        == 202
    )
    cloud.clock.advance(timedelta(seconds=50))
    assert len(log_lines(cloud, "/aws/lambda/fail", "START")) == before + 1
    cloud.clock.advance(timedelta(seconds=30))
    assert len(log_lines(cloud, "/aws/lambda/fail", "START")) == before + 2
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    cloud.clock.advance(timedelta(minutes=3))

    starts = log_lines(cloud, "/aws/lambda/fail", "START")[before:]
    assert len(starts) == 3
    assert len({line.split()[2] for line in starts}) == 1, "one request id for all tries"
    record = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    assert record["requestPayload"] == {"n": 1}
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"]["errorType"] == "ValueError"


def log_lines(cloud: server.Cloud, group: str, beginning: str) -> list[str]:
    logs = cloud.session().client("logs")
    try:
        events = logs.filter_log_events(logGroupName=group)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in events if event["message"].startswith(beginning)]


def test_printed_and_own_metrics_are_in_cloudwatch(cloud: server.Cloud, client: Any) -> None:
    function(cloud, "measure")
    client.invoke(FunctionName="measure")

    def total(namespace: str, name: str, dimension: tuple[str, str]) -> float:
        metric: Any = {
            "Namespace": namespace,
            "MetricName": name,
            "Dimensions": [dict(zip(("Name", "Value"), dimension, strict=True))],
        }
        (result,) = (
            cloud.session()
            .client("cloudwatch")
            .get_metric_data(
                StartTime=START,
                EndTime=START + timedelta(hours=1),
                MetricDataQueries=[
                    {"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Sum"}}
                ],
            )["MetricDataResults"]
        )
        return sum(result["Values"])

    assert total("Own", "Rejected", ("service", "auth")) == 1
    assert total("AWS/Lambda", "Invocations", ("FunctionName", "measure")) == 1
    assert total("AWS/Lambda", "Errors", ("FunctionName", "measure")) == 0


def test_what_is_not_modelled_is_an_error_that_names_it(cloud: server.Cloud, client: Any) -> None:
    with pytest.raises(ClientError, match="does not model lambda CreateFunction: VpcConfig"):
        function(cloud, "vpc", VpcConfig={"SubnetIds": ["subnet-1"], "SecurityGroupIds": []})
    with pytest.raises(ClientError, match="event source mappings"):
        client.create_event_source_mapping(
            FunctionName="measure", EventSourceArn="arn:aws:sqs:eu-west-1:123456789012:q"
        )


def test_a_destination_that_does_not_exist_is_not_passed_over(
    cloud: server.Cloud, client: Any
) -> None:
    if "fail" not in [f["FunctionName"] for f in client.list_functions()["Functions"]]:
        function(cloud, "fail")
    nowhere = {"OnFailure": {"Destination": f"arn:aws:sqs:{cloud.region}:{cloud.account}:nowhere"}}
    client.put_function_event_invoke_config(
        FunctionName="fail", MaximumRetryAttempts=0, DestinationConfig=nowhere
    )
    client.invoke(FunctionName="fail", InvocationType="Event", Payload="{}")
    with pytest.raises(RuntimeError, match="could not be handled"):
        of(cloud).drain()
