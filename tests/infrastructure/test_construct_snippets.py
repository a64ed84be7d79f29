"""The construct is used in somebody's own app as README.md and docs/configuration.md show it."""

from pathlib import Path

import aws_cdk as cdk
import pytest
from aws_cdk import assertions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2

from tests.markdown import Block, blocks

pytestmark = pytest.mark.xdist_group("synth")

SHOWN = [block for block in blocks("python") if "AutoRollback" in block.code]


def test_both_texts_show_it() -> None:
    assert [block.place.partition(":")[0] for block in SHOWN] == [
        "README.md",
        "docs/configuration.md",
    ]


@pytest.mark.parametrize("block", SHOWN, ids=str)
def test_the_snippet_protects_a_service(block: Block, tmp_path: Path) -> None:
    stack = cdk.Stack(cdk.App(outdir=str(tmp_path)), "Shop")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2, nat_gateways=0)
    balancer = elbv2.ApplicationLoadBalancer(stack, "Balancer", vpc=vpc)
    groups = [
        elbv2.ApplicationTargetGroup(stack, name, vpc=vpc, port=80) for name in ("Blue", "Green")
    ]
    balancer.add_listener("Http", port=80, default_target_groups=groups)
    service = ecs.FargateService.from_fargate_service_attributes(
        stack, "Service", cluster=ecs.Cluster(stack, "Cluster", vpc=vpc), service_name="shop"
    )
    given = {"stack": stack, "service": service, "balancer": balancer, "load_balancer": balancer}
    exec(  # noqa: S102 - the project's own documentation
        compile(block.code, block.place, "exec"),
        given | {"group": groups[0], "blue": groups[0], "green": groups[1]},
    )
    template = assertions.Template.from_stack(stack)
    assert len(template.find_resources("AWS::SSM::Parameter")) == 1
    assert len(template.find_resources("AWS::CloudWatch::Alarm")) > 3
