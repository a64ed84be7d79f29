"""What a resource refers to, and the order in which resources can be made."""

import re
from collections.abc import Callable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from localcloud.cloudformation.functions import SUBSTITUTED, arguments_of_sub
from localcloud.cloudformation.template import Template
from localcloud.errors import Refusal

_PSEUDO_PARAMETER = re.compile(r"AWS::\w+")


def in_order(template: Template, wanted: set[str]) -> list[str]:
    """The wanted resources, each after those that it refers to or depends on.

    Raises:
        Refusal: a reference leads nowhere, or in a circle.
    """
    graph: dict[str, set[str]] = {}
    for name, declaration in template.resources.items():
        if name in wanted:
            referred = references(declaration.properties) | set(declaration.depends_on)
            _check_references(template, referred)
            graph[name] = referred & wanted
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        message = f"Circular dependency between resources: {error.args[1]}"
        raise Refusal("ValidationError", message) from error


def _check_references(template: Template, referred: set[str]) -> None:
    unknown = referred - set(template.resources) - set(template.parameters)
    lost = sorted(name for name in unknown if not _PSEUDO_PARAMETER.fullmatch(name))
    if lost:
        names = ", ".join(lost)
        message = f"Template format error: Unresolved resource dependencies [{names}] in the Resources block of the template"
        raise Refusal("ValidationError", message)


def references(node: Any) -> set[str]:
    """The logical names that a value refers to."""
    found: set[str] = set()
    if isinstance(node, list):
        for item in node:
            found |= references(item)
    elif isinstance(node, dict):
        for key, argument in node.items():
            referred = _REFERRING_FUNCTIONS.get(key, references)
            found |= referred(argument)
    return found


def _in_ref(argument: Any) -> set[str]:
    return {str(argument)}


def _in_get_att(argument: Any) -> set[str]:
    if isinstance(argument, str):
        return {argument.split(".", 1)[0]}
    return {argument[0]}


def _in_sub(argument: Any) -> set[str]:
    text, own = arguments_of_sub(argument)
    found = references(list(own.values()))
    for match in SUBSTITUTED.finditer(text):
        name = match["name"].strip()
        if not match["literal"] and name not in own:
            found.add(name.split(".", 1)[0])
    return found


_REFERRING_FUNCTIONS: dict[str, Callable[[Any], set[str]]] = {
    "Ref": _in_ref,
    "Fn::GetAtt": _in_get_att,
    "Fn::Sub": _in_sub,
}
