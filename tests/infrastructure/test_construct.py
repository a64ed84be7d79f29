"""`AutoRollback` in somebody's own CDK app, where names are known only when CloudFormation runs."""

import json
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from cdk_nag import AwsSolutionsChecks

from autorollback.policy import PolicyError
from autorollback_cdk import AutoRollback
from tests.infrastructure.synthesis import Template

pytestmark = pytest.mark.xdist_group("synth")


def test_a_service_of_the_same_app_is_protected_by_its_constructs(tmp_path: Path) -> None:
    app = cdk.App(outdir=str(tmp_path))
    stack = cdk.Stack(app, "Shop")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0)
    cluster = ecs.Cluster(stack, "Cluster", vpc=vpc)
    definition = ecs.FargateTaskDefinition(stack, "Task", family="shop")
    definition.add_container(
        "web",
        image=ecs.ContainerImage.from_registry("nginx"),
        port_mappings=[ecs.PortMapping(container_port=80)],
    )
    service = ecs.FargateService(
        stack, "Service", cluster=cluster, task_definition=definition, assign_public_ip=True
    )
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc)
    group = balancer.add_listener("Http", port=80).add_targets(
        "Service", port=80, targets=[service]
    )
    rollback = AutoRollback(stack, "AutoRollback")
    rollback.protect(
        service,
        load_balancer=balancer,
        target_group=group,
        families=["shop"],
        task_roles=["Shop-*"],
    )
    imported = ecs.FargateService.from_fargate_service_attributes(
        stack, "Imported", cluster=cluster, service_name="billing"
    )
    by_codedeploy = codedeploy.EcsDeploymentGroup.from_ecs_deployment_group_attributes(
        stack,
        "Group",
        application=codedeploy.EcsApplication.from_ecs_application_name(
            stack, "Billing", "billing"
        ),
        deployment_group_name="blue-green",
    )
    rollback.protect(
        imported,
        alarms=["billing-queue"],
        code_deploy=by_codedeploy,
        families=["billing"],
        task_roles=["billing-*"],
        mode="observe",
    )
    with pytest.raises(PolicyError, match="code_deploy: "):
        rollback.protect(imported, families=["a"], task_roles=["b"], code_deploy="billing")
    with pytest.raises(PolicyError, match="window_minutes: 0 given"):
        rollback.protect(imported, families=["a"], task_roles=["b"], window_minutes=0)
    grants: dict[str, Any] = {"families": ["a"], "task_roles": ["b"]}
    arn = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/a/0123456789abcdef"
    with pytest.raises(
        PolicyError, match=r"target_group: .*arn:aws.*; allowed: the CloudWatch dimension value"
    ):
        rollback.protect(
            imported, load_balancer="app/a/0123456789abcdef", target_group=arn, **grants
        )
    with pytest.raises(PolicyError, match=r"alarms\[1\]: .*each alarm once"):
        rollback.protect(imported, alarms=["queue", "queue"], **grants)

    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    cdk.Validations.of(stack).acknowledge(
        *(
            cdk.Acknowledgment(
                id=f"AwsSolutions-{finding}", reason="the shop itself is not under test"
            )
            for finding in ("VPC7", "ECS4", "ECS7", "ELB2", "EC23")
        )
    )
    stack_artifact = app.synth().get_stack_by_name("Shop")
    template = Template(stack_artifact.template, Path(stack_artifact.template_full_path))
    text = json.dumps(template.body)
    alarms = [
        a for a in template.of_type("AWS::CloudWatch::Alarm") if isinstance(a["AlarmName"], dict)
    ]
    name = {
        "Fn::GetAtt": [
            next(
                k for k, v in template.body["Resources"].items() if v["Type"] == "AWS::ECS::Service"
            ),
            "Name",
        ]
    }
    assert [alarm["AlarmName"]["Fn::Join"][1][-2:] for alarm in alarms] == [
        [name, f"/{signal}"] for signal in ("5xx-rate", "latency", "unhealthy-targets")
    ]
    assert '{"Fn::GetAtt": ["' in json.dumps(
        alarms[0]["Metrics"][0]["MetricStat"]["Metric"]["Dimensions"]
    )
    assert len(template.of_type("AWS::SSM::Parameter")) == 2
    assert "${Token" not in text
    assert (
        template.only("AWS::Lambda::Function")["Environment"]["Variables"]["PROTECTED_SERVICES"]
        == "2"
    )
    assert "deploymentgroup:billing/blue-green" in text
