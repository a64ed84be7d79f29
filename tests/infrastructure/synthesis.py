"""Synthesizes as `cdk synth` would, and reads what came out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from autorollback.naming import Names
from autorollback_cdk.rollback_stack import RollbackStack
from autorollback_cdk.services import load

ROOT = Path(__file__).resolve().parent.parent.parent

Resource = Mapping[str, Any]

KNOWN = {
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::AccountId": "123456789012",
}


@dataclass(frozen=True)
class Template:
    """A synthesized template, with what CloudFormation would fill in filled in."""

    body: Mapping[str, Any]
    path: Path

    def of_type(self, kind: str) -> list[Resource]:
        return [
            resource["Properties"]
            for resource in self.body["Resources"].values()
            if resource["Type"] == kind
        ]

    def only(self, kind: str) -> Resource:
        (resource,) = self.of_type(kind)
        return resource

    def statements(self) -> list[Resource]:
        """All that the function's role may do, resolved."""
        policies = [*self.of_type("AWS::IAM::Policy"), *self.of_type("AWS::IAM::ManagedPolicy")]
        return [
            {
                key: _listed(resolved(value)) if key in ("Action", "Resource") else value
                for key, value in entry.items()
            }
            for policy in policies
            for entry in policy["PolicyDocument"]["Statement"]
        ]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resolved(value: Any) -> Any:
    if isinstance(value, list):
        return [resolved(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return separator.join(str(resolved(part)) for part in parts)
    if "Ref" in value:
        return KNOWN.get(value["Ref"], value["Ref"])
    if "Fn::GetAtt" in value:
        return ".".join(value["Fn::GetAtt"])
    return {key: resolved(item) for key, item in value.items()}


def synthesize(
    folder: Path, services: Path = ROOT / "services.yaml", name: str = "", *, checked: bool = False
) -> dict[str, Template]:
    """All templates by the names of their stacks; `checked` by cdk-nag, whose findings make it raise."""

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    app = cdk.App(outdir=str(folder), context=context)
    names = Names(name)
    RollbackStack(app, names=names, configuration=load(services, names))
    if checked:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    assembly = app.synth()
    return {
        stack.stack_name: Template(
            json.loads(Path(stack.template_full_path).read_text()), Path(stack.template_full_path)
        )
        for stack in assembly.stacks
    }
