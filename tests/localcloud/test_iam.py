"""A role's session may do what its policies allow when it calls, as IAM words it."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import World
from localcloud.iam import Iam
from localcloud.iam.conditions import conditions_of
from localcloud.iam.patterns import resource
from localcloud.iam.policies import allows, denies, statements
from localcloud.iam.requests import Need, NotEvaluable, Request, Session
from localcloud.server import Cloud, running

START = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ACCOUNT = "123456789012"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:"


def document(*found: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(found)})


def statement(**more: Any) -> dict[str, Any]:
    """One that allows everything but for what is said."""
    return {"Effect": "Allow", "Action": "*", "Resource": "*"} | more


def request(action: str = "sqs:SendMessage", arn: str = f"{QUEUE}jobs", **context: Any) -> Request:
    keys = {key.replace("_", ":"): values for key, values in context.items()}
    session = Session(f"arn:aws:iam::{ACCOUNT}:role/worker", "me")
    return Request(Need(action, arn, keys), session, "eu-west-1", START)


@pytest.mark.parametrize(
    ("condition", "values", "holds"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, ("b",), True),
        ({"StringEquals": {"k": "a*"}}, ("ab",), False),
        ({"StringEquals": {"k": "a"}}, (), False),
        ({"StringEqualsIfExists": {"k": "a"}}, (), True),
        ({"StringEqualsIfExists": {"k": "a"}}, ("b",), False),
        ({"StringEqualsIgnoreCase": {"k": "A"}}, ("a",), True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, ("b",), False),
        ({"StringNotEquals": {"k": "a"}}, (), True),
        ({"StringLike": {"k": "a?c*"}}, ("abcd",), True),
        ({"StringLike": {"k": "A*"}}, ("abcd",), False),
        ({"StringNotLike": {"k": "a*"}}, ("abcd",), False),
        ({"ArnLike": {"k": "arn:aws:ecs:*:1:cluster/*"}}, ("arn:aws:ecs:x:1:cluster/a:b",), True),
        ({"ArnEquals": {"k": "arn:*"}}, ("arn:aws:ecs:x:1:cluster/a",), False),
        ({"ArnNotLike": {"k": "arn:aws:ecs:*:1:*"}}, ("arn:aws:ecs:x:1:cluster/a",), False),
        ({"Bool": {"k": True}}, ("true",), True),
        ({"Bool": {"k": "true"}}, (), False),
        ({"BoolIfExists": {"k": "true"}}, (), True),
        ({"Null": {"k": "true"}}, (), True),
        ({"Null": {"k": "false"}}, (), False),
        ({"Null": {"k": "false"}}, ("a",), True),
        ({"NumericLessThan": {"k": "10"}}, ("9",), True),
        ({"NumericGreaterThanEquals": {"k": "10"}}, ("9",), False),
        ({"DateLessThan": {"k": "2026-12-01T00:00:00Z"}}, ("2026-11-30T00:00:00+00:00",), True),
        ({"ForAnyValue:StringEquals": {"k": ["a", "b"]}}, ("c", "a"), True),
        ({"ForAnyValue:StringEquals": {"k": "a"}}, (), False),
        ({"ForAnyValue:StringNotEquals": {"k": "a"}}, ("a", "b"), True),
        ({"ForAllValues:StringLike": {"k": ["a*", "b"]}}, ("ab", "b"), True),
        ({"ForAllValues:StringLike": {"k": ["a*", "b"]}}, ("ab", "c"), False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, (), True),
        ({"StringEquals": {"k": "a"}, "Bool": {"l": "true"}}, ("a",), False),
    ],
)
def test_a_condition_holds(
    condition: Mapping[str, Any], values: tuple[str, ...], *, holds: bool
) -> None:
    given = {"k": values}
    assert all(one.holds(given.get(one.key, ())) for one in conditions_of(condition)) is holds


@pytest.mark.parametrize(
    "condition",
    [
        {"IpAddress": {"k": "10.0.0.0/8"}},
        {"StringEquals": {"k": "${aws:username}"}},
        {"ForSomeValues:StringEquals": {"k": "a"}},
        {"NumericEquals": {"k": "ten"}},
        {"Bool": {"k": "yes"}, "Null": {"k": "yes"}},
    ],
)
def test_a_condition_that_is_not_known_here_is_no_answer(condition: Mapping[str, Any]) -> None:
    with pytest.raises(NotEvaluable):
        assert [one.holds(("a",)) for one in conditions_of(condition)] == []


@pytest.mark.parametrize(
    ("pattern", "arn", "matches"),
    [
        ("*", "*", True),
        ("arn:aws:ecs:*:1:*/auth", "arn:aws:ecs:eu-west-1:1:service/shop/auth", True),
        ("arn:aws:ecs:*:1:service/*/auth", "arn:aws:ecs:x:1:service/shop/other", False),
        ("arn:aws:ecs:x:1:task-definition/auth:*", "arn:aws:ecs:x:1:task-definition/auth:7", True),
        ("arn:aws:iam::1:role/auth-*", "arn:aws:iam::1:role/auth-task", True),
        ("arn:aws:iam::1:role/auth-*", "arn:aws:iam::1:role/team/auth-task", False),
        ("arn:aws:sqs:x:1:a*z", "arn:aws:sqs:x:1:a:z", False),
        ("arn:aws:sqs:x:1:job?", "arn:aws:sqs:x:1:jobs", True),
        ("arn:aws:sqs:x:1:*", "*", False),
    ],
)
def test_a_resource_matches(pattern: str, arn: str, *, matches: bool) -> None:
    assert (resource(pattern).fullmatch(arn) is not None) is matches


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (statement(), True),
        (statement(Action="SQS:send*"), True),
        (statement(Action=["sqs:Get*", "sqs:List*"]), False),
        (statement(Resource=[f"{QUEUE}other", f"{QUEUE}jo*"]), True),
        (statement(Resource=f"{QUEUE}other"), False),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, True),
        ({"Effect": "Allow", "NotAction": "sqs:*", "Resource": "*"}, False),
        ({"Effect": "Allow", "Action": "*", "NotResource": f"{QUEUE}jobs"}, False),
        (statement(Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}), True),
        (statement(Condition={"Bool": {"aws:SecureTransport": "false"}}), False),
        (statement(Condition={"StringEquals": {"ecs:cluster": "another service's key"}}), False),
        (statement(Effect="Deny"), False),
    ],
)
def test_a_statement_allows(policy: Mapping[str, Any], *, allowed: bool) -> None:
    assert allows(statements(document(policy)), request()) is allowed


def test_what_cannot_be_told_matters_only_where_nothing_else_decides() -> None:
    unknown = statement(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
    with pytest.raises(NotEvaluable, match="aws:sourcevpc"):
        allows(statements(document(unknown)), request())
    assert allows(statements(document(unknown, statement())), request())
    with pytest.raises(NotEvaluable, match="aws:sourcevpc"):
        denies(statements(document(unknown | {"Effect": "Deny"}, statement())), request())
    elsewhere = statement(Resource=f"{QUEUE}${{aws:username}}", Action="sns:*")
    assert not allows(statements(document(elsewhere)), request())
    own_key = statement(Condition={"StringEquals": {"sqs:unheard": "of"}})
    with pytest.raises(NotEvaluable, match="sqs:unheard"):
        allows(statements(document(own_key)), request())


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with running(START) as cloud:
        world = World.of(cloud)
        world.cluster("shop")
        repository = world.repository("auth")
        world.push("auth", "v1")
        world.define("auth", {"app": f"{repository}:v1"}, taskRoleArn="auth-task")
        world.service("shop", "auth", "auth:1")
        yield cloud


@dataclass(frozen=True)
class Worker:
    """Makes clients of a role that has these statements, inline and managed."""

    cloud: Cloud
    role: str

    def __call__(self, service: str, *inline: Mapping[str, Any], managed: Any = None) -> Any:
        iam = self.cloud.session().client("iam")
        if inline:
            text = document(*inline)
            iam.put_role_policy(RoleName=self.role, PolicyName="inline", PolicyDocument=text)
        if managed is not None:
            made = iam.create_policy(PolicyName=self.role, PolicyDocument=document(managed))
            iam.attach_role_policy(RoleName=self.role, PolicyArn=made["Policy"]["Arn"])
        session: Any = self.cloud.session(self.role)
        return session.client(service)


@pytest.fixture
def worker(cloud: Cloud) -> Iterator[Worker]:
    iam = cloud.session().client("iam")
    name = f"worker-{len(iam.list_roles()['Roles'])}"
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    cloud.service(Iam).act_as(name, made["Role"]["Arn"], "job")
    yield Worker(cloud, name)
    cloud.service(Iam).denials.clear()
    cloud.service(Iam).not_evaluated.clear()


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call()
    error = refused.value.response["Error"]
    return str(error["Code"]), str(error["Message"])


def test_a_call_is_denied_in_the_words_of_aws_and_has_no_effect(
    cloud: Cloud, worker: Worker
) -> None:
    ecs = worker("ecs", statement(Action="ecs:DescribeServices"))
    ecs.describe_services(cluster="shop", services=["auth"])
    code, message = refusal(
        lambda: ecs.update_service(cluster="shop", service="auth", desiredCount=9)
    )
    assert code == "AccessDeniedException"
    assert message.startswith(f"User: arn:aws:sts::{ACCOUNT}:assumed-role/worker-")
    assert message.endswith(
        "/job is not authorized to perform: ecs:UpdateService on resource: "
        f"arn:aws:ecs:eu-west-1:{ACCOUNT}:service/shop/auth because no identity-based policy allows "
        "the ecs:UpdateService action"
    )
    team = cloud.session().client("ecs")
    assert (
        team.describe_services(cluster="shop", services=["auth"])["services"][0]["desiredCount"]
        != 9
    )
    assert [denial.message for denial in cloud.service(Iam).denials] == [message]


def test_policies_count_as_they_are_when_the_call_is_made(worker: Worker) -> None:
    ecs = worker("ecs", statement(Action="ecs:Describe*"))
    ecs.describe_services(cluster="shop", services=["auth"])
    worker("ecs", statement(Action="ecs:List*"))
    assert refusal(lambda: ecs.describe_services(cluster="shop", services=["auth"]))[0]
    worker("ecs", managed=statement(Action="ecs:DescribeServices"))
    ecs.describe_services(cluster="shop", services=["auth"])
    worker("ecs", statement(), statement(Effect="Deny", Action="ecs:DescribeServices"))
    denied = refusal(lambda: ecs.describe_services(cluster="shop", services=["auth"]))[1]
    assert denied.endswith("with an explicit deny in an identity-based policy")


def test_roles_are_passed_only_where_that_is_allowed(worker: Worker) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/auth-task"
    passing = statement(
        Action="iam:PassRole",
        Resource=role,
        Condition={"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    )
    container = {"name": "app", "image": "auth", "memory": 128}

    def register(ecs: Any) -> Any:
        return ecs.register_task_definition(
            family="auth", taskRoleArn="auth-task", containerDefinitions=[container]
        )

    ecs = worker("ecs", statement(Action="ecs:*"))
    assert f"iam:PassRole on resource: {role}" in refusal(lambda: register(ecs))[1]
    again = refusal(
        lambda: ecs.update_service(cluster="shop", service="auth", taskDefinition="auth")
    )
    assert f"iam:PassRole on resource: {role}" in again[1]
    elsewhere = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    worker("ecs", statement(Action="ecs:*"), passing | {"Condition": elsewhere})
    assert f"iam:PassRole on resource: {role}" in refusal(lambda: register(ecs))[1]
    worker("ecs", statement(Action="ecs:*"), passing)
    assert register(ecs)["taskDefinition"]["taskRoleArn"] == "auth-task"


def test_a_definition_is_resolved_before_it_is_judged(worker: Worker) -> None:
    first = f"arn:aws:ecs:eu-west-1:{ACCOUNT}:task-definition/auth:1"
    bound = {"ArnEquals": {"ecs:task-definition": first}}
    ecs = worker(
        "ecs",
        statement(Action="ecs:UpdateService", Condition=bound),
        statement(Action="iam:PassRole"),
    )
    ecs.update_service(cluster="shop", service="auth", taskDefinition="auth:1")
    assert refusal(lambda: ecs.update_service(cluster="shop", service="auth", desiredCount=2))


@pytest.mark.parametrize(
    ("service", "call", "code", "words"),
    [
        ("ecs", lambda c: c.list_tasks(cluster="shop"), "AccessDeniedException", "ecs:ListTasks on resource: *"),
        ("cloudwatch", lambda c: c.describe_alarms(), "AccessDenied", "cloudwatch:DescribeAlarms on resource: *"),
        ("elbv2", lambda c: c.describe_rules(), "AccessDenied", "elasticloadbalancing:DescribeRules on resource: *"),
        ("iam", lambda c: c.get_role(RoleName="x"), "AccessDenied", f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/x"),
        ("ssm", lambda c: c.get_parameters_by_path(Path="/a"), "AccessDeniedException", ":parameter/a"),
        ("events", lambda c: c.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}"}]), "AccessDeniedException", ":event-bus/default"),
        ("secretsmanager", lambda c: c.describe_secret(SecretId="none"), "AccessDeniedException", "on resource: none"),
        ("sns", lambda c: c.publish(TopicArn=f"arn:aws:sns:eu-west-1:{ACCOUNT}:t", Message="m"), "AuthorizationError", ":t"),
        ("dynamodb", lambda c: c.query(TableName="t", IndexName="index", KeyConditionExpression="a = b"), "AccessDeniedException", ":table/t/index/index"),
    ],
)  # fmt: skip
def test_each_service_denies_in_its_own_way(
    worker: Worker, service: str, call: Callable[[Any], object], code: str, words: str
) -> None:
    client = worker(service, statement(Resource=f"{QUEUE}none"))
    refused = refusal(lambda: call(client))
    assert refused[0] == code
    assert words in refused[1]


def test_who_publishes_to_an_encrypted_topic_needs_its_key(cloud: Cloud, worker: Worker) -> None:
    team = cloud.session()
    key = team.client("kms").create_key()["KeyMetadata"]["Arn"]
    topic = team.client("sns").create_topic(Name="secret", Attributes={"KmsMasterKeyId": key})
    sns = worker("sns", statement(Action="sns:Publish"))
    code, message = refusal(lambda: sns.publish(TopicArn=topic["TopicArn"], Message="m"))
    assert code == "KMSAccessDenied"
    assert f"kms:Decrypt on resource: {key}" in message
    worker("sns", statement(Action=["sns:Publish", "kms:Decrypt", "kms:GenerateDataKey*"]))
    sns.publish(TopicArn=topic["TopicArn"], Message="m")
    text = document(statement(Principal="*", Effect="Deny", Action="sns:Publish"))
    team.client("sns").set_topic_attributes(
        TopicArn=topic["TopicArn"], AttributeName="Policy", AttributeValue=text
    )
    denied = refusal(lambda: sns.publish(TopicArn=topic["TopicArn"], Message="m"))[1]
    assert denied.endswith("with an explicit deny in a resource-based policy")


def test_a_boundary_takes_away(cloud: Cloud, worker: Worker) -> None:
    iam = cloud.session().client("iam")
    ecs = worker("ecs", statement())
    ecs.list_tasks(cluster="shop")
    narrow = iam.create_policy(
        PolicyName="boundary", PolicyDocument=document(statement(Action="sqs:*"))
    )
    arn = narrow["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=worker.role, PermissionsBoundary=arn)
    denied = refusal(lambda: ecs.list_tasks(cluster="shop"))[1]
    assert denied.endswith("because no permissions boundary allows the ecs:ListTasks action")


def test_what_the_local_iam_cannot_judge_is_refused_by_name(cloud: Cloud, worker: Worker) -> None:
    ecs = worker("ecs", statement())
    code, message = refusal(lambda: ecs.list_clusters())
    assert (code, "ecs:ListClusters" in message) == ("NotModelledByLocalCloud", True)
    tagged = {"StringEquals": {"aws:ResourceTag/team": "shop"}}
    worker("ecs", statement(Condition=tagged))
    code, message = refusal(lambda: ecs.list_tasks(cluster="shop"))
    assert (code, "aws:resourcetag/team" in message) == ("NotModelledByLocalCloud", True)
    assert len(cloud.service(Iam).not_evaluated) == 2
