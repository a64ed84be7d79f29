"""A template as it was sent, JSON or YAML, read into its sections.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html
"""

import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from localcloud.errors import NotModelled, Refusal

Section = dict[str, Any]

_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    }
)
_RESOURCE_KEYS = frozenset(
    {
        "Type",
        "Properties",
        "Metadata",
        "DependsOn",
        "Condition",
        "DeletionPolicy",
        "UpdateReplacePolicy",
    }
)


@dataclass(frozen=True)
class Declaration:
    """One resource as the template declares it, its properties not yet resolved."""

    type: str
    properties: dict[str, Any]
    depends_on: list[str]
    condition: str | None
    deletion_policy: str | None
    replace_policy: str | None

    @property
    def is_retained(self) -> bool:
        """Whether the resource outlives its stack."""
        return self.deletion_policy in ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True)
class Template:
    """The sections of a template; `document` is the whole of it."""

    document: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Declaration] = field(default_factory=dict)

    @property
    def description(self) -> str | None:
        """The text that describes the stack."""
        return self.document.get("Description")

    @property
    def parameters(self) -> Section:
        """The parameters that are declared, by name."""
        return self._section("Parameters")

    @property
    def rules(self) -> Section:
        """The assertions on parameters, by name."""
        return self._section("Rules")

    @property
    def mappings(self) -> Section:
        """The tables of Fn::FindInMap, by name."""
        return self._section("Mappings")

    @property
    def conditions(self) -> Section:
        """The conditions, by name."""
        return self._section("Conditions")

    @property
    def outputs(self) -> Section:
        """The outputs, by name."""
        return self._section("Outputs")

    def _section(self, name: str) -> Section:
        return self.document.get(name) or {}


def parse(body: str) -> Template:
    """Read a template, JSON or YAML.

    Raises:
        Refusal: it is no template.
        NotModelled: it has a section or a resource key that is not modelled.
    """
    document = _read(body)
    if not isinstance(document, dict) or not document.get("Resources"):
        message = "Template format error: At least one Resources member must be defined."
        raise Refusal("ValidationError", message)
    unknown = sorted(set(document) - _SECTIONS)
    if unknown:
        raise NotModelled(f"template sections {unknown}")

    resources = {}
    for name, raw in document["Resources"].items():
        resources[name] = _declaration(name, raw)
    return Template(document, resources)


def _declaration(name: str, raw: dict[str, Any]) -> Declaration:
    unknown = sorted(set(raw) - _RESOURCE_KEYS)
    if unknown:
        raise NotModelled(f"{unknown} on the resource {name}")
    depends_on = raw.get("DependsOn") or []
    if isinstance(depends_on, str):
        depends_on = [depends_on]
    return Declaration(
        type=raw["Type"],
        properties=raw.get("Properties") or {},
        depends_on=depends_on,
        condition=raw.get("Condition"),
        deletion_policy=raw.get("DeletionPolicy"),
        replace_policy=raw.get("UpdateReplacePolicy"),
    )


def _read(body: str) -> Any:
    is_json = body.lstrip().startswith("{")
    try:
        if is_json:
            return json.loads(body)
        return yaml.load(body, Loader=_Loader)  # noqa: S506 - a safe loader
    except (ValueError, yaml.YAMLError) as error:
        raise Refusal("ValidationError", f"Template format error: {error}") from error


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, and dates left as the text that they are."""


def _resolvers_but_that_of_dates() -> dict[str, list[tuple[str, Any]]]:
    """What tells the types of plain values, by their first character."""
    kept = {}
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items():
        kept[first] = [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
    return kept


def _function_of_tag(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    """The long form of a short tag: `!Sub text` is `{"Fn::Sub": text}`."""
    argument: Any
    if isinstance(node, yaml.SequenceNode):
        argument = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        argument = loader.construct_mapping(node, deep=True)
    elif tag == "GetAtt":
        argument = node.value.split(".", 1)
    else:
        argument = node.value

    if tag in ("Ref", "Condition"):
        return {tag: argument}
    return {f"Fn::{tag}": argument}


_Loader.yaml_implicit_resolvers = _resolvers_but_that_of_dates()
_Loader.add_multi_constructor("!", _function_of_tag)
