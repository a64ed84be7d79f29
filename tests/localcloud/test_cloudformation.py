import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import cdk, server


@pytest.fixture(scope="module")
def cloud() -> Iterator[server.Cloud]:
    with server.running() as running:
        yield running


@pytest.fixture(scope="module")
def client(cloud: server.Cloud) -> Any:
    return cloud.session().client("cloudformation")


def body(resources: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Resources": resources, **more})


def parameter(value: Any, **more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": value, **more}}


def status(client: Any, name: str) -> str:
    return str(client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"])


def reasons(client: Any, name: str) -> list[str]:
    events = client.describe_stack_events(StackName=name)["StackEvents"]
    return [
        event["ResourceStatusReason"]
        for event in events
        if event["ResourceStatus"].endswith("_FAILED")
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"Ref": "Text"}, "given", id="a parameter"),
        pytest.param(
            {"Fn::Join": ["-", ["a", {"Ref": "AWS::Partition"}, {"Ref": "AWS::Region"}]]},
            "a-aws-eu-west-1",
            id="join",
        ),
        pytest.param(
            {"Fn::Sub": "${AWS::StackName}/${!Literal}/${Text}"},
            "functions/${Literal}/given",
            id="sub",
        ),
        pytest.param(
            {"Fn::Sub": ["${own}.${AWS::URLSuffix}", {"own": {"Ref": "Text"}}]},
            "given.amazonaws.com",
            id="sub with a map",
        ),
        pytest.param(
            {"Fn::GetAtt": ["Queue", "Arn"]},
            "arn:aws:sqs:eu-west-1:123456789012:work",
            id="an attribute",
        ),
        pytest.param({"Fn::If": ["IsGiven", "yes", "no"]}, "yes", id="a condition"),
        pytest.param(
            {"Fn::Select": [1, {"Fn::Split": ["|", "a|b|c"]}]}, "b", id="select and split"
        ),
        pytest.param(
            {"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "size"]}, "big", id="a mapping"
        ),
    ],
)
def test_intrinsic_functions(cloud: server.Cloud, client: Any, value: Any, expected: str) -> None:
    template = body(
        {
            "Result": parameter(value, Name="/result"),
            "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "work"}},
            "Unwanted": {"Condition": "IsNotGiven"} | parameter("x", Name="/unwanted"),
        },
        Parameters={"Text": {"Type": "String"}},
        Conditions={
            "IsGiven": {"Fn::Equals": [{"Ref": "Text"}, "given"]},
            "IsNotGiven": {"Fn::Not": [{"Condition": "IsGiven"}]},
        },
        Mappings={"Sizes": {"eu-west-1": {"size": "big"}}},
    )
    client.create_stack(
        StackName="functions",
        TemplateBody=template,
        Parameters=[{"ParameterKey": "Text", "ParameterValue": "given"}],
    )
    ssm = cloud.session().client("ssm")
    try:
        assert ssm.get_parameter(Name="/result")["Parameter"]["Value"] == expected
        assert ssm.get_parameters(Names=["/unwanted"])["Parameters"] == []
    finally:
        client.delete_stack(StackName="functions")
    assert ssm.get_parameters(Names=["/result"])["Parameters"] == []


def test_an_unknown_type_fails_the_stack_by_name_and_rolls_it_back(
    cloud: server.Cloud, client: Any
) -> None:
    template = body(
        {
            "First": parameter("x", Name="/first"),
            "Pipe": {"Type": "AWS::Pipes::Pipe", "DependsOn": "First"},
        }
    )
    client.create_stack(StackName="unknown", TemplateBody=template)
    assert status(client, "unknown") == "ROLLBACK_COMPLETE"
    assert "does not model the resource type AWS::Pipes::Pipe" in reasons(client, "unknown")[0]
    assert cloud.session().client("ssm").get_parameters(Names=["/first"])["Parameters"] == []


def test_a_property_that_the_service_does_not_have_fails_the_stack(client: Any) -> None:
    client.create_stack(StackName="misspelt", TemplateBody=body({"P": parameter("x", Valeu="y")}))
    assert status(client, "misspelt") == "ROLLBACK_COMPLETE"
    assert "Valeu" in reasons(client, "misspelt")[0]


def test_a_reference_to_nothing_is_refused(client: Any) -> None:
    with pytest.raises(ClientError, match=r"Unresolved resource dependencies \[Nowhere\]"):
        client.create_stack(
            StackName="lost", TemplateBody=body({"P": parameter({"Ref": "Nowhere"})})
        )
    with pytest.raises(ClientError, match="does not exist"):
        client.describe_stacks(StackName="lost")


def test_an_update_changes_adds_removes_and_a_failed_one_is_undone(
    cloud: server.Cloud, client: Any
) -> None:
    ssm = cloud.session().client("ssm")

    def values() -> dict[str, str]:
        found = ssm.get_parameters(Names=["/a", "/b", "/c"])["Parameters"]
        return {entry["Name"]: entry["Value"] for entry in found}

    def update(resources: dict[str, Any]) -> None:
        client.update_stack(StackName="changing", TemplateBody=body(resources))

    client.create_stack(
        StackName="changing",
        TemplateBody=body({"A": parameter("1", Name="/a"), "B": parameter("1", Name="/b")}),
    )
    after = {"A": parameter("2", Name="/a"), "C": parameter("1", Name="/c")}
    update(after)
    assert values() == {"/a": "2", "/c": "1"}
    with pytest.raises(ClientError, match="No updates are to be performed"):
        update(after)
    update(
        after
        | {"A": parameter("3", Name="/a"), "D": {"Type": "AWS::Pipes::Pipe", "DependsOn": "A"}}
    )
    assert status(client, "changing") == "UPDATE_ROLLBACK_COMPLETE"
    assert values() == {"/a": "2", "/c": "1"}


def test_a_change_set_says_what_it_will_do(client: Any) -> None:
    def change_set(name: str, kind: str, resources: dict[str, Any]) -> Any:
        client.create_change_set(
            StackName="reviewed",
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=body(resources),
        )
        return client.describe_change_set(StackName="reviewed", ChangeSetName=name)

    change_set("first", "CREATE", {"A": parameter("1", Name="/reviewed")})
    assert status(client, "reviewed") == "REVIEW_IN_PROGRESS"
    client.execute_change_set(StackName="reviewed", ChangeSetName="first")
    assert status(client, "reviewed") == "CREATE_COMPLETE"

    described = change_set(
        "second", "UPDATE", {"A": parameter("2", Name="/reviewed"), "B": parameter("1")}
    )
    changes = {
        c["ResourceChange"]["LogicalResourceId"]: c["ResourceChange"]["Action"]
        for c in described["Changes"]
    }
    assert changes == {"A": "Modify", "B": "Add"}
    client.execute_change_set(StackName="reviewed", ChangeSetName="second")
    assert status(client, "reviewed") == "UPDATE_COMPLETE"

    empty = change_set(
        "third", "UPDATE", {"A": parameter("2", Name="/reviewed"), "B": parameter("1")}
    )
    assert (empty["Status"], empty["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in empty["StatusReason"]


def test_what_is_to_be_retained_outlives_the_stack(cloud: server.Cloud, client: Any) -> None:
    table = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "Properties": {
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "BillingMode": "PAY_PER_REQUEST",
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True},
        },
    }
    client.create_stack(StackName="kept", TemplateBody=body({"Table": table}))
    name = client.describe_stack_resource(StackName="kept", LogicalResourceId="Table")[
        "StackResourceDetail"
    ]
    client.delete_stack(StackName="kept")
    dynamodb = cloud.session().client("dynamodb")
    expiry = dynamodb.describe_time_to_live(TableName=name["PhysicalResourceId"])[
        "TimeToLiveDescription"
    ]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires")


def test_a_cloud_assembly_is_deployed_with_its_assets_and_then_updated(
    cloud: server.Cloud, tmp_path: Path
) -> None:
    bucket = f"cdk-hnb659fds-assets-{cloud.account}-{cloud.region}"
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text(
        "def handle(event, context):\n    return 'deployed'\n"
    )
    asset = {
        "source": {"path": "code", "packaging": "zip"},
        "destinations": {
            "here": {
                "bucketName": bucket.replace(cloud.account, "${AWS::AccountId}"),
                "objectKey": "1.zip",
            }
        },
    }
    (tmp_path / "assets.json").write_text(json.dumps({"files": {"1": asset}}))
    artifacts = {
        "App.assets": {"type": "cdk:asset-manifest", "properties": {"file": "assets.json"}},
        "App": {"type": "aws:cloudformation:stack", "properties": {"templateFile": "app.json"}},
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": artifacts}))
    trust = {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ]
    }

    def deploy(timeout: int) -> None:
        function = {
            "FunctionName": "assembled",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Runtime": "python3.13",
            "Handler": "index.handle",
            "Timeout": timeout,
            "Code": {"S3Bucket": bucket, "S3Key": "1.zip"},
        }
        role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust}}
        template = body(
            {"Role": role, "Function": {"Type": "AWS::Lambda::Function", "Properties": function}}
        )
        (tmp_path / "app.json").write_text(template)
        cdk.deploy(cloud, tmp_path)

    deploy(timeout=3)
    functions = cloud.session().client("lambda")
    assert json.load(functions.invoke(FunctionName="assembled")["Payload"]) == "deployed"
    deploy(timeout=9)
    deploy(timeout=9)  # nothing to do
    assert functions.get_function_configuration(FunctionName="assembled")["Timeout"] == 9


def test_a_deployment_that_fails_says_why(cloud: server.Cloud, tmp_path: Path) -> None:
    stack = {"type": "aws:cloudformation:stack", "properties": {"templateFile": "app.json"}}
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": {"Broken": stack}}))
    (tmp_path / "app.json").write_text(body({"X": {"Type": "AWS::Pipes::Pipe"}}))
    with pytest.raises(
        cdk.DeploymentFailedError, match=r"Broken is ROLLBACK_COMPLETE: X .*AWS::Pipes::Pipe"
    ):
        cdk.deploy(cloud, tmp_path)
