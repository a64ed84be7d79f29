"""The synthesized template holds what people and the function rely on."""

import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from cfnlint import ManualArgs, lint  # type: ignore[import-untyped]  # it ships no types

from autorollback.naming import SIGNALS, Names, ServiceKey
from autorollback.policy import parse_stored
from autorollback_cdk.services import load
from tests.infrastructure.synthesis import ROOT, Resource, Template, resolved, synthesize

pytestmark = pytest.mark.xdist_group("synth")

AUTH = ServiceKey("my-cluster", "auth-service")


def _names_in(template: Template) -> set[str]:
    rules, functions = (
        template.of_type("AWS::Events::Rule"),
        template.of_type("AWS::Lambda::Function"),
    )
    alarms = [
        *template.of_type("AWS::CloudWatch::Alarm"),
        *template.of_type("AWS::CloudWatch::CompositeAlarm"),
    ]
    return {
        *(rule["Name"] for rule in rules),
        *(function["FunctionName"] for function in functions),
        *(alarm["AlarmName"] for alarm in alarms),
        *(parameter["Name"] for parameter in template.of_type("AWS::SSM::Parameter")),
        template.only("AWS::SNS::Topic")["TopicName"],
    }


def _expected_names(names: Names) -> set[str]:
    return {
        names.prefix,
        names.sweep_rule,
        names.readiness_rule,
        *(names.alarm(AUTH, signal) for signal in (*SIGNALS, "own-auth-checkout-failures")),
        names.alarm(ServiceKey("my-cluster", "mail-worker"), "own-mail-worker-backlog"),
        names.policy_parameter(AUTH),
    }


def test_everything_has_the_name_that_others_rely_on(template: Template) -> None:
    assert _expected_names(Names()) <= _names_in(template)


def test_a_second_installation_shares_no_name_with_the_first(
    template: Template, tmp_path: Path
) -> None:
    stacks = synthesize(tmp_path, name="blue")
    assert list(stacks) == ["AutoRollback-blue"]
    blue = stacks["AutoRollback-blue"]
    assert _expected_names(Names("blue")) <= _names_in(blue)
    assert not _names_in(template) & _names_in(blue)
    environment = blue.only("AWS::Lambda::Function")["Environment"]["Variables"]
    assert environment["AUTO_ROLLBACK_NAME"] == "auto-rollback-blue"
    assert environment["POWERTOOLS_METRICS_NAMESPACE"] == "AutoRollback-blue"


def test_the_policy_parameter_reads_back_as_what_was_configured(template: Template) -> None:
    configured = load(ROOT / "services.yaml", Names()).services
    parameters = template.of_type("AWS::SSM::Parameter")
    assert (
        tuple(parse_stored(json.loads(parameter["Value"])) for parameter in parameters)
        == configured
    )


def test_the_controller_does_not_judge_the_alarms_on_itself(template: Template) -> None:
    own = [
        a
        for a in template.of_type("AWS::CloudWatch::Alarm")
        if not a["AlarmName"].startswith(Names().alarm_prefix)
    ]
    assert {alarm["AlarmName"].removeprefix("auto-rollback-") for alarm in own} == {
        "dead-letters",
        "dead-letters-age",
        "errors",
        "throttles",
        "rejected",
        "no-sweep",
        "unannounced",
    }
    assert all(alarm["AlarmActions"] for alarm in own)
    (no_sweep,) = (alarm for alarm in own if alarm["AlarmName"].endswith("no-sweep"))
    assert no_sweep["TreatMissingData"] == "breaching"


def test_every_rule_retries_for_hours_and_then_keeps_the_event(template: Template) -> None:
    for rule in template.of_type("AWS::Events::Rule"):
        (target,) = rule["Targets"]
        assert target["RetryPolicy"] == {
            "MaximumEventAgeInSeconds": 21600,
            "MaximumRetryAttempts": 185,
        }
        assert target["DeadLetterConfig"]["Arn"]
        assert len(json.dumps(rule.get("EventPattern", {}))) <= 2048
        if pattern := rule.get("EventPattern"):
            assert pattern["account"], "a bus may be sent the events of other accounts"
            assert pattern["region"]
    invoke = template.only("AWS::Lambda::EventInvokeConfig")
    assert (invoke["MaximumRetryAttempts"], invoke["MaximumEventAgeInSeconds"]) == (2, 21600)
    assert invoke["DestinationConfig"]["OnFailure"]["Destination"]


def test_the_ledger_outlives_the_stack_and_has_no_name_to_clash(template: Template) -> None:
    (table,) = (
        r for r in template.body["Resources"].values() if r["Type"] == "AWS::DynamoDB::Table"
    )
    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert "TableName" not in table["Properties"]
    assert (
        table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
        is True
    )
    assert table["Properties"]["TimeToLiveSpecification"]["AttributeName"] == "expires_at"
    assert {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in table["Properties"]["GlobalSecondaryIndexes"]
    } == {"unfinished": ["unfinished", "due_at"], "timeline": ["timeline", "at"]}


def test_cloudwatch_may_use_the_key_of_the_topic(template: Template) -> None:
    statements = template.only("AWS::KMS::Key")["KeyPolicy"]["Statement"]
    services = [
        s["Principal"].get("Service") for s in statements if "kms:GenerateDataKey*" in s["Action"]
    ]
    assert services == [["cloudwatch.amazonaws.com", "events.amazonaws.com"]]


READS = ("Describe", "List", "Get", "BatchGetImage", "Query", "ConditionCheckItem")


def families_of(statement: Resource) -> list[str]:
    """The definitions that a statement lets services be given."""
    values = statement["Condition"]["ArnLike"]["ecs:task-definition"]
    listed = values if isinstance(values, list) else [values]
    return [str(resolved(value)) for value in listed]


def test_writes_reach_only_what_the_configuration_names(template: Template) -> None:
    """Each write action with exactly the resources that it may touch; whatever is not in this table is a finding."""
    here = "arn:aws:ecs:eu-central-1:123456789012"
    services = {f"{here}:service/my-cluster/{name}" for name in ("auth-service", "mail-worker")}
    deployments = {
        f"{here}:service-deployment/my-cluster/{name}/*" for name in ("auth-service", "mail-worker")
    }
    families = {f"{here}:task-definition/{family}:*" for family in ("auth-*", "mail-worker")}
    roles = {f"arn:aws:iam::123456789012:role/{role}" for role in ("auth-*", "mail-worker-*")}
    allowed = {
        "ecs:UpdateService": services,
        "ecs:StopServiceDeployment": services | deployments,
        "ecs:ContinueServiceDeployment": services | deployments,
        "ecs:RegisterTaskDefinition": families,
        "ecs:TagResource": families,
        "iam:PassRole": roles,
        "events:PutEvents": {"arn:aws:events:eu-central-1:123456789012:event-bus/default"},
    }
    ours = {
        "dynamodb": "Ledger",
        "sns": "Topic",
        "sqs": "DeadLetters",
        "kms": "Key",
        "logs": "Logs",
    }
    for statement in template.statements():
        for action in statement["Action"]:
            service, operation = action.split(":")
            if operation.startswith(READS) and service not in ours:
                continue
            for resource in statement["Resource"]:
                if action in allowed:
                    assert resource in allowed[action], action
                else:
                    assert fnmatchcase(resource, f"Controller{ours[service]}*"), action
    updates = [s for s in template.statements() if "ecs:UpdateService" in s["Action"]]
    only_to = [set(families_of(s)) for s in updates]
    assert only_to == [families], "to definitions of the families alone"
    conditions = {a: s.get("Condition") for s in template.statements() for a in s["Action"]}
    assert conditions["iam:PassRole"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }
    assert conditions["ecs:TagResource"] == {
        "StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}
    }
    assert conditions["events:PutEvents"] == {"StringEquals": {"events:source": "auto-rollback"}}


def test_each_service_is_given_definitions_of_its_own_families_alone(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text(
        "defaults: {task_roles: [shop]}\nservices:\n"
        "  - {cluster: shop, service: cart, families: [cart-*], alarms: [cart]}\n"
        "  - {cluster: shop, service: mail, families: [mail], alarms: [mail]}\n"
    )
    main = synthesize(tmp_path / "cdk.out", tmp_path / "services.yaml")["AutoRollback"]
    pairs = {
        (str(resource).rpartition("/")[2], family.rpartition("/")[2])
        for statement in main.statements()
        if "ecs:UpdateService" in statement["Action"]
        for resource in statement["Resource"]
        for family in families_of(statement)
    }
    assert pairs == {("cart", "cart-*:*"), ("mail", "mail:*")}


def test_codedeploy_may_be_asked_only_for_the_groups_that_services_name(
    template: Template, tmp_path: Path
) -> None:
    def granted(of: Template) -> dict[str, set[str]]:
        rights = [
            (a, s["Resource"])
            for s in of.statements()
            for a in s["Action"]
            if a.startswith("codedeploy:")
        ]
        return {
            action: {r for a, resources in rights if a == action for r in resources}
            for action, _ in rights
        }

    assert granted(template) == {}, "no configured service is deployed by CodeDeploy"
    (tmp_path / "services.yaml").write_text(
        "defaults: {families: [shop], task_roles: [shop]}\nservices:\n"
        "  - {cluster: main, service: shop, code_deploy: shop/blue-green}\n  - {cluster: main, service: mail}\n"
    )
    stack = synthesize(tmp_path / "cdk.out", tmp_path / "services.yaml", checked=True)[
        "AutoRollback"
    ]
    here = "arn:aws:codedeploy:eu-central-1:123456789012"
    on_group = (
        "BatchGetDeploymentTargets",
        "BatchGetDeployments",
        "CreateDeployment",
        "GetDeployment",
        "ListDeployments",
        "UpdateDeploymentGroup",
    )
    assert granted(stack) == {
        **{
            f"codedeploy:{action}": {f"{here}:deploymentgroup:shop/blue-green"}
            for action in on_group
        },
        "codedeploy:GetApplicationRevision": {f"{here}:application:shop"},
        "codedeploy:RegisterApplicationRevision": {f"{here}:application:shop"},
        "codedeploy:GetDeploymentConfig": {f"{here}:deploymentconfig:*"},
        "codedeploy:StopDeployment": {"*"},
    }


def test_cfn_lint_finds_nothing(template: Template) -> None:
    # W3005: the CDK lets the function wait for its role twice
    ignored = ManualArgs(ignore_checks=["W3005"])
    assert lint(template.path.read_text(), config=ignored) == []


def test_a_thousand_services_fit_into_stacks_and_policies(tmp_path: Path) -> None:
    entries = [
        f"  - {{cluster: production, service: shop-service-{number:04}, load_balancer: app/shop/50dc6c495c0c9188, "
        f"target_group: targetgroup/shop-{number:04}/943f017f100b{number:04x}}}"
        for number in range(1000)
    ]
    (tmp_path / "services.yaml").write_text(
        "\n".join(["defaults: {families: [shop-*], task_roles: [shop-*]}", "services:", *entries])
    )
    stacks = synthesize(tmp_path / "cdk.out", tmp_path / "services.yaml")
    assert next(iter(stacks)) == "AutoRollback"
    assert all(len(stack.body["Resources"]) <= 500 for stack in stacks.values())
    assert all(stack.path.stat().st_size < 1_000_000 for stack in stacks.values())
    assert sum(len(stack.of_type("AWS::SSM::Parameter")) for stack in stacks.values()) == 1000
    main = stacks["AutoRollback"]
    assert len(main.of_type("AWS::IAM::ManagedPolicy")) <= 10
    updatable = {
        (statement["Condition"]["ArnEquals"]["ecs:cluster"]["Fn::Join"][1][-1], resource)
        for statement in main.statements()
        if "ecs:UpdateService" in statement["Action"]
        for resource in statement["Resource"]
    }
    assert {resource.rpartition("/")[2] for _, resource in updatable} == {
        f"shop-service-{n:04}" for n in range(1000)
    }
    assert {cluster for cluster, _ in updatable} == {":cluster/production"}
