"""The intrinsic functions, as the CDK writes them.

Conditions and rules are made of these too.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.cloudformation.template import Template
from localcloud.errors import NotModelled, Refusal

SUBSTITUTED = re.compile(r"\$\{(?P<literal>!)?(?P<name>[^}]+)\}")
_ABSENT = object()  # the value of AWS::NoValue


@dataclass(frozen=True)
class Known:
    """What references resolve to: values by name, and a look-up of attributes."""

    refs: Mapping[str, Any]
    attribute: Callable[[str, str], Any]
    exports: Mapping[str, str]


@dataclass(frozen=True)
class Resolver:
    """Evaluates the values of one template."""

    template: Template
    known: Known

    def value(self, node: Any) -> Any:
        """The node with all functions evaluated, and without what resolves to AWS::NoValue."""
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value is not _ABSENT]
        if isinstance(node, dict):
            return self._mapping(node)
        if isinstance(node, str) and "{{resolve:" in node:
            raise NotModelled(f"dynamic references: {node}")
        return node

    def _mapping(self, node: dict[str, Any]) -> Any:
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if name.startswith("Fn::"):
                raise NotModelled(f"the intrinsic function {name}")

        values = {}
        for key, inner in node.items():
            value = self.value(inner)
            if value is not _ABSENT:
                values[key] = value
        return values

    def wanted_resources(self) -> set[str]:
        """The logical names of the resources whose condition holds, or that have none."""
        declared = self.template.resources.items()
        return {name for name, declaration in declared if self.holds(declaration.condition)}

    def holds(self, condition: str | None) -> bool:
        """Whether a condition of the template holds; where there is none, it does."""
        return condition is None or self._condition(condition)

    def check_rules(self) -> None:
        """Raise Refusal for the first assertion of the template's rules that does not hold."""
        for name, rule in self.template.rules.items():
            applies = self.value(rule.get("RuleCondition", True))
            if applies:
                self._check_assertions(name, rule["Assertions"])

    def _check_assertions(self, rule: str, assertions: list[dict[str, Any]]) -> None:
        for assertion in assertions:
            if not self.value(assertion["Assert"]):
                why = assertion.get("AssertDescription", "an assertion failed")
                raise Refusal("ValidationError", f"Template error: rule {rule}: {why}")

    def _condition(self, name: str) -> bool:
        conditions = self.template.conditions
        if name not in conditions:
            message = f"Template format error: Unresolved condition dependency {name}"
            raise Refusal("ValidationError", message)
        return bool(self.value(conditions[name]))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _ABSENT
        if name not in self.known.refs:
            message = f"Template format error: Unresolved resource dependencies [{name}]"
            raise Refusal("ValidationError", message)
        return self.known.refs[name]

    def _get_att(self, argument: Any) -> Any:
        if isinstance(argument, str):
            name, attribute = argument.split(".", 1)
        else:
            name, attribute = argument
        return self.known.attribute(name, self.value(attribute))

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        texts = [str(part) for part in self.value(parts)]
        return str(separator).join(texts)

    def _sub(self, argument: Any) -> str:
        text, own = arguments_of_sub(argument)
        return SUBSTITUTED.sub(lambda match: self._substituted(match, own), text)

    def _substituted(self, match: re.Match[str], own: dict[str, Any]) -> str:
        name = match["name"].strip()
        if match["literal"]:
            return f"${{{name}}}"
        if name in own:
            value = self.value(own[name])
        elif "." in name:
            value = self._get_att(name)
        else:
            value = self._ref(name)
        return str(value)

    def _if(self, argument: Any) -> Any:
        name, then, otherwise = argument
        if self._condition(name):
            return self.value(then)
        return self.value(otherwise)

    def _select(self, argument: Any) -> Any:
        index, values = argument
        return self.value(values)[int(self.value(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.value(text)).split(separator)

    def _find_in_map(self, argument: Any) -> Any:
        name, first, second = self.value(argument)
        try:
            return self.template.mappings[name][first][second]
        except KeyError as error:
            message = f"Template error: Unable to get mapping for {name}::{first}::{second}"
            raise Refusal("ValidationError", message) from error

    def _import_value(self, argument: Any) -> str:
        name = self.value(argument)
        if name not in self.known.exports:
            raise Refusal("ValidationError", f"No export named {name} found.")
        return self.known.exports[name]

    def _contains(self, argument: Any) -> bool:
        values, value = argument
        return self.value(value) in self.value(values)

    def _equals(self, argument: Any) -> bool:
        left, right = argument
        return str(self.value(left)) == str(self.value(right))

    def _not(self, argument: Any) -> bool:
        return not self.value(argument[0])

    def _base64(self, argument: Any) -> str:
        text = str(self.value(argument))
        return base64.b64encode(text.encode()).decode()

    def _to_json_string(self, argument: Any) -> str:
        return json.dumps(self.value(argument), separators=(",", ":"))


def arguments_of_sub(argument: Any) -> tuple[str, dict[str, Any]]:
    """The text, and the variables of its own, of which the short form has none."""
    if isinstance(argument, str):
        return argument, {}
    text, own = argument
    return text, own


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Condition": Resolver._condition,
    "Ref": Resolver._ref,
    "Fn::And": lambda resolver, argument: all(resolver.value(argument)),
    "Fn::Base64": Resolver._base64,
    "Fn::Contains": Resolver._contains,
    "Fn::Equals": Resolver._equals,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::GetAtt": Resolver._get_att,
    "Fn::If": Resolver._if,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::Join": Resolver._join,
    "Fn::Not": Resolver._not,
    "Fn::Or": lambda resolver, argument: any(resolver.value(argument)),
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::Sub": Resolver._sub,
    "Fn::ToJsonString": Resolver._to_json_string,
}
