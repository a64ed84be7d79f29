"""The conditions of a policy's statement, against the keys that a request carries.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html and
reference_policies_condition-single-vs-multi-valued-context-keys.html.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from localcloud.iam.patterns import arn_like, glob
from localcloud.iam.requests import NotEvaluable, Values

_EACH, _ANY = "ForAllValues", "ForAnyValue"
_IF_EXISTS = "IfExists"
_NULL = "null"

Test = Callable[[str, str], bool]
"""Of a value in the policy and one in the request."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key, with the values that the policy lists."""

    operator: str
    key: str
    wanted: tuple[str, ...]

    def holds(self, given: Values) -> bool:
        """Whether it holds for the key's values in the request. A key that is missing has none.

        Raises:
            NotEvaluable: the operator, or how the values are written, is not known here.
        """
        name, quantifier, if_exists = _taken_apart(self.operator)
        if name == _NULL:
            return any((not given) == _is_true(value) for value in self.wanted)
        test, negated = self._test(name)
        if not given:
            return _holds_without(quantifier, if_exists=if_exists, negated=negated)
        if quantifier is None and len(given) > 1:
            raise NotEvaluable(f"{self.operator} on {self.key}, which has several values")
        held = (self._matches(test, value) != negated for value in given)
        return any(held) if quantifier == _ANY else all(held)

    def _test(self, name: str) -> tuple[Test, bool]:
        """How two values are compared, and whether the outcome is turned round."""
        if name not in _OPERATORS:
            raise NotEvaluable(f"the condition operator {self.operator}")
        if any("${" in value for value in self.wanted):
            raise NotEvaluable(f"a policy variable in a condition on {self.key}")
        return _OPERATORS[name]

    def _matches(self, test: Test, given: str) -> bool:
        try:
            return any(test(wanted, given) for wanted in self.wanted)
        except (ValueError, InvalidOperation) as unreadable:
            what = f"{self.operator} on {self.key}: {unreadable}"
            raise NotEvaluable(what) from unreadable


def conditions_of(document: Mapping[str, Mapping[str, Any]]) -> tuple[Condition, ...]:
    """Read the `Condition` of a statement: all must hold."""
    found = []
    for operator, keys in document.items():
        for key, wanted in keys.items():
            values = wanted if isinstance(wanted, list) else [wanted]
            found.append(Condition(operator, key.lower(), tuple(map(_as_text, values))))
    return tuple(found)


def _as_text(value: object) -> str:
    """JSON's true is the policy's "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _taken_apart(operator: str) -> tuple[str, str | None, bool]:
    """The plain operator in lower case, how it goes over several values, and whether the key may be missing."""
    quantifier, colon, name = operator.rpartition(":")
    if colon and quantifier not in (_EACH, _ANY):
        raise NotEvaluable(f"the condition operator {operator}")
    if_exists = name.endswith(_IF_EXISTS)
    plain = name.removesuffix(_IF_EXISTS).lower()
    return plain, quantifier or None, if_exists


def _holds_without(quantifier: str | None, *, if_exists: bool, negated: bool) -> bool:
    """What an operator says of a key that the request lacks."""
    if quantifier == _ANY:
        return if_exists
    return if_exists or negated or quantifier == _EACH


def _is_true(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise NotEvaluable(f"{value!r} where true or false belongs")
    return value.lower() == "true"


def _number(text: str) -> Decimal:
    return Decimal(text)


def _moment(text: str) -> datetime:
    """ISO 8601, or seconds since 1970."""
    if text.isdigit():
        return datetime.fromtimestamp(int(text), UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _equal(wanted: str, given: str) -> bool:
    return wanted == given


def _equal_ignoring_case(wanted: str, given: str) -> bool:
    return wanted.lower() == given.lower()


def _like(wanted: str, given: str) -> bool:
    return glob(wanted).fullmatch(given) is not None


def _arn_like(wanted: str, given: str) -> bool:
    return arn_like(wanted, given)


def _ordered(read: Callable[[str], Any]) -> Mapping[str, tuple[Test, bool]]:
    """The six comparisons of numbers or of times."""

    def same(wanted: str, given: str) -> bool:
        return bool(read(given) == read(wanted))

    def less(wanted: str, given: str) -> bool:
        return bool(read(given) < read(wanted))

    def less_or_same(wanted: str, given: str) -> bool:
        return bool(read(given) <= read(wanted))

    def greater(wanted: str, given: str) -> bool:
        return bool(read(given) > read(wanted))

    def greater_or_same(wanted: str, given: str) -> bool:
        return bool(read(given) >= read(wanted))

    return {
        "equals": (same, False),
        "notequals": (same, True),
        "lessthan": (less, False),
        "lessthanequals": (less_or_same, False),
        "greaterthan": (greater, False),
        "greaterthanequals": (greater_or_same, False),
    }


_OPERATORS: dict[str, tuple[Test, bool]] = {
    "stringequals": (_equal, False),
    "stringnotequals": (_equal, True),
    "stringequalsignorecase": (_equal_ignoring_case, False),
    "stringnotequalsignorecase": (_equal_ignoring_case, True),
    "stringlike": (_like, False),
    "stringnotlike": (_like, True),
    "arnequals": (_arn_like, False),
    "arnlike": (_arn_like, False),
    "arnnotequals": (_arn_like, True),
    "arnnotlike": (_arn_like, True),
    "bool": (_equal_ignoring_case, False),
    **{f"numeric{name}": test for name, test in _ordered(_number).items()},
    **{f"date{name}": test for name, test in _ordered(_moment).items()},
}
