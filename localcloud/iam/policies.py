"""Policy documents, read once, and what they say of a request.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html and
reference_policies_elements.html.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localcloud.iam import patterns
from localcloud.iam.conditions import Condition, conditions_of
from localcloud.iam.requests import NotEvaluable, Request

_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_KEPT = 512


@dataclass(frozen=True, slots=True)
class Patterns:
    """Texts with wildcards, of which one must match; with `negated`, none may."""

    expressions: tuple[re.Pattern[str], ...]
    negated: bool = False

    def match(self, text: str) -> bool:
        """Whether the text is one of those that are meant."""
        return any(one.fullmatch(text) for one in self.expressions) != self.negated


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `doubt` says what of it cannot be read here.

    `principals` are those of a resource's policy, None in a role's. `resources` is None in policies
    whose resource is always the one that they hang on.
    """

    allows: bool
    actions: Patterns
    resources: Patterns
    conditions: tuple[Condition, ...]
    principals: tuple[str, ...] | None = None
    doubt: str = ""

    def covers(self, request: Request) -> bool:
        """Whether it speaks of the request.

        Raises:
            NotEvaluable: that cannot be told here.
        """
        if not self.actions.match(request.need.action):
            return False
        if self.doubt:
            raise NotEvaluable(self.doubt)
        if not self.resources.match(request.need.resource):
            return False
        return all(one.holds(request.values(one.key)) for one in self.conditions)


@lru_cache(_KEPT)
def statements(document: str) -> tuple[Statement, ...]:
    """Read a policy document, whose text is JSON.

    Raises:
        NotEvaluable: naming what is not known here.
    """
    found = json.loads(document)["Statement"]
    return tuple(map(_statement, _listed(found)))


def denies(policy: Iterable[Statement], request: Request) -> bool:
    """Whether a statement denies it. One that cannot be read might."""
    return any(not one.allows and one.covers(request) for one in policy)


def allows(policy: Iterable[Statement], request: Request) -> bool:
    """Whether a statement allows it. What cannot be read does not matter where another allows."""
    doubts: list[NotEvaluable] = []
    for statement in policy:
        try:
            if statement.allows and statement.covers(request):
                return True
        except NotEvaluable as doubt:
            doubts.append(doubt)
    if doubts:
        raise doubts[0]
    return False


def _statement(document: Mapping[str, Any]) -> Statement:
    if unknown := sorted(document.keys() - _ELEMENTS):
        raise NotEvaluable(f"a statement with {', '.join(unknown)}")
    resources = _texts(document, "Resource")
    variable = next((one for one in resources if "${" in one), None)
    return Statement(
        allows=document["Effect"] == "Allow",
        actions=_actions(document),
        resources=_resources(document),
        conditions=conditions_of(document.get("Condition", {})),
        principals=_principals(document),
        doubt=f"the policy variable in {variable}" if variable else "",
    )


def _actions(document: Mapping[str, Any]) -> Patterns:
    texts = _texts(document, "Action")
    expressions = tuple(patterns.glob(text, ignore_case=True) for text in texts)
    return Patterns(expressions, "NotAction" in document)


def _resources(document: Mapping[str, Any]) -> Patterns:
    """A bucket policy apart, a resource's own policy may leave them out."""
    texts = _texts(document, "Resource") or ["*"]
    return Patterns(tuple(map(patterns.resource, texts)), "NotResource" in document)


def _principals(document: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Accounts, roles and sessions as ARNs, `*` for anybody; services are never the caller here."""
    if "Principal" not in document:
        return None
    given = document["Principal"]
    if given == "*":
        return ("*",)
    return tuple(_listed(given.get("AWS", [])))


def _texts(document: Mapping[str, Any], element: str) -> Sequence[str]:
    """Of an element, or of its negation."""
    return [str(one) for one in _listed(document.get(element, document.get(f"Not{element}", [])))]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
