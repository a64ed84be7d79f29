"""A template read and resolved: parameters, rules, conditions, and the intrinsic functions as the CDK writes them.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

import yaml

from localcloud.errors import NotModelled, Refusal

PSEUDO = re.compile(r"AWS::\w+")
_SUBSTITUTED = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^}]+)\}")
_SECTIONS = frozenset(
    {"AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions"}
    | {"Resources", "Outputs"}
)
_RESOURCE_KEYS = frozenset(
    {"Type", "Properties", "Metadata", "DependsOn", "Condition", "DeletionPolicy", "UpdateReplacePolicy"}
)
_ABSENT = object()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, and dates left as the text that they are."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _tagged(loader: _Loader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value.split(".", 1) if tag == "GetAtt" else node.value
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _tagged)


def parse(body: str) -> dict[str, Any]:
    """Read a template, JSON or YAML.

    Raises:
        Refusal: it is no template.
        NotModelled: it has a section or a resource key that is not modelled.
    """
    try:
        template = yaml.load(body, Loader=_Loader) if not body.lstrip().startswith("{") else json.loads(body)  # noqa: S506 - a safe loader
    except (ValueError, yaml.YAMLError) as error:
        raise Refusal("ValidationError", f"Template format error: {error}") from error
    if not isinstance(template, dict) or not template.get("Resources"):
        raise Refusal("ValidationError", "Template format error: At least one Resources member must be defined.")
    if unknown := sorted(set(template) - _SECTIONS):
        raise NotModelled(f"template sections {unknown}")
    for name, resource in template["Resources"].items():
        if unknown := sorted(set(resource) - _RESOURCE_KEYS):
            raise NotModelled(f"{unknown} on the resource {name}")
    return template


@dataclass(frozen=True)
class Known:
    """What references resolve to: values of Ref by name, and a look-up of attributes of resources."""

    refs: Mapping[str, Any]
    attribute: Callable[[str, str], Any]
    exports: Mapping[str, str]


@dataclass(frozen=True)
class Resolver:
    """Evaluates the values of one template."""

    template: dict[str, Any]
    known: Known

    def value(self, node: Any) -> Any:
        """The node with all functions evaluated, and without what resolves to AWS::NoValue."""
        if isinstance(node, list):
            return [value for value in (self.value(item) for item in node) if value is not _ABSENT]
        if not isinstance(node, dict):
            if isinstance(node, str) and "{{resolve:" in node:
                raise NotModelled(f"dynamic references: {node}")
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if name.startswith("Fn::"):
                raise NotModelled(f"the intrinsic function {name}")
        values = ((key, self.value(inner)) for key, inner in node.items())
        return {key: value for key, value in values if value is not _ABSENT}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        conditions = self.template.get("Conditions") or {}
        if name not in conditions:
            raise Refusal("ValidationError", f"Template format error: Unresolved condition dependency {name}")
        return bool(self.value(conditions[name]))

    def is_wanted(self, entry: dict[str, Any]) -> bool:
        """Whether the condition of a resource or an output holds, or it has none."""
        return "Condition" not in entry or self.condition(entry["Condition"])

    def check_rules(self) -> None:
        """Raise Refusal for the first assertion of the template's rules that does not hold."""
        for name, rule in (self.template.get("Rules") or {}).items():
            if "RuleCondition" in rule and not self.value(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.value(assertion["Assert"]):
                    why = assertion.get("AssertDescription", "an assertion failed")
                    raise Refusal("ValidationError", f"Template error: rule {name}: {why}")

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name in self.known.refs:
            return self.known.refs[name]
        raise Refusal("ValidationError", f"Template format error: Unresolved resource dependencies [{name}]")

    def _get_att(self, argument: Any) -> Any:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        return self.known.attribute(name, self.value(attribute))

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(str(part) for part in self.value(parts))

    def _sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def substituted(match: re.Match[str]) -> str:
            name = match["name"].strip()
            if match["literal"]:
                return f"${{{name}}}"
            if name in own:
                return str(self.value(own[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return _SUBSTITUTED.sub(substituted, text)

    def _if(self, argument: Any) -> Any:
        name, true, false = argument
        return self.value(true if self.condition(name) else false)

    def _select(self, argument: Any) -> Any:
        index, values = argument
        return self.value(values)[int(self.value(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = (self.value(part) for part in argument)
        try:
            return self.template["Mappings"][name][first][second]
        except KeyError as error:
            raise Refusal(
                "ValidationError", f"Template error: Unable to get mapping for {name}::{first}::{second}"
            ) from error

    def _import(self, argument: Any) -> str:
        name = self.value(argument)
        if name not in self.known.exports:
            raise Refusal("ValidationError", f"No export named {name} found.")
        return self.known.exports[name]

    def _contains(self, argument: Any) -> bool:
        values, value = argument
        return self.value(value) in self.value(values)

    def _equals(self, argument: Any) -> bool:
        left, right = (self.value(part) for part in argument)
        return str(left) == str(right)


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Ref": Resolver._ref,
    "Condition": lambda resolver, name: resolver.condition(name),
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Join": Resolver._join,
    "Fn::Sub": Resolver._sub,
    "Fn::If": Resolver._if,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::ImportValue": Resolver._import,
    "Fn::Contains": Resolver._contains,
    "Fn::Equals": Resolver._equals,
    "Fn::Not": lambda resolver, argument: not resolver.value(argument[0]),
    "Fn::And": lambda resolver, argument: all(resolver.value(argument)),
    "Fn::Or": lambda resolver, argument: any(resolver.value(argument)),
    "Fn::Base64": lambda resolver, argument: base64.b64encode(str(resolver.value(argument)).encode()).decode(),
    "Fn::ToJsonString": lambda resolver, argument: json.dumps(resolver.value(argument), separators=(",", ":")),
}


def in_order(template: dict[str, Any], wanted: set[str]) -> list[str]:
    """The wanted resources, each after those that it refers to or depends on.

    Raises:
        Refusal: a reference leads nowhere, or in a circle.
    """
    names = set(template["Resources"]) | set(template.get("Parameters") or {})
    graph: dict[str, set[str]] = {}
    for name in template["Resources"]:
        if name not in wanted:
            continue
        resource = template["Resources"][name]
        depends = resource.get("DependsOn") or []
        referred = {*references(resource.get("Properties")), *([depends] if isinstance(depends, str) else depends)}
        if lost := sorted(r for r in referred - names if not PSEUDO.fullmatch(r)):
            raise Refusal(
                "ValidationError",
                f"Template format error: Unresolved resource dependencies [{', '.join(lost)}] in the Resources block of the template",
            )
        graph[name] = referred & wanted
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise Refusal("ValidationError", f"Circular dependency between resources: {error.args[1]}") from error


def references(node: Any) -> Iterator[str]:
    """The logical names that a value refers to."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    if not isinstance(node, dict):
        return
    for key, inner in node.items():
        if key == "Ref":
            yield str(inner)
        elif key == "Fn::GetAtt":
            yield inner.split(".", 1)[0] if isinstance(inner, str) else inner[0]
        elif key == "Fn::Sub":
            text, own = (inner, {}) if isinstance(inner, str) else inner
            yield from (
                match["name"].strip().split(".", 1)[0]
                for match in _SUBSTITUTED.finditer(text)
                if not match["literal"] and match["name"].strip() not in own
            )
            yield from references(list(own.values()))
        else:
            yield from references(inner)
