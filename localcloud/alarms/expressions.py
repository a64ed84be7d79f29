"""Metric math, as far as it is modelled; the rest is an error that names it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import bisect
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

Series = dict[datetime, float]
Value = float | Series | list[Series]
BinaryOperation = Callable[[float, float], float]


class ExpressionError(ValueError):
    """The expression is malformed, or uses what is not modelled; the message names it."""


@dataclass(frozen=True)
class Scope:
    """What an expression can refer to.

    `series` holds the results by query id, `metrics` the ids that are metrics (METRICS() returns these), `moments` every
    timestamp of the range, ascending, and `period` its distance in seconds.
    """

    series: Mapping[str, Series]
    metrics: Sequence[str]
    moments: Sequence[datetime]
    period: int


def evaluate(expression: str, scope: Scope) -> Series:
    """The one time series that the expression yields.

    Raises:
        ExpressionError: it yields a number or an array instead, which alarms do not take either, or is malformed.
    """
    value = _Parser(expression, scope).parse()
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if not isinstance(value, dict):
        kind = "a number" if isinstance(value, float) else "an array of time series"
        message = f"{expression!r} yields {kind}; an expression must yield a single time series"
        raise ExpressionError(message)
    return value


def check(expression: str, ids: Sequence[str]) -> None:
    """Raise ExpressionError where the expression could not be evaluated over queries of these ids."""
    no_data: dict[str, Series] = {name: {} for name in ids}
    evaluate(
        expression,
        Scope(
            no_data,
            list(ids),
            [],
            60,
        ),
    )


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<word>[A-Za-z_]\w*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))"
)


@dataclass(frozen=True)
class _Token:
    """`kind` is the name of the group in the pattern of tokens."""

    kind: str
    text: str


_END = _Token("end", "")


def _tokens(expression: str) -> list[_Token]:
    found = []
    position = 0
    while expression[position:].strip():
        match = _TOKEN.match(expression, position)
        if match is None:
            stranger = expression[position:].strip()[0]
            raise ExpressionError(f"{expression!r}: {stranger!r} is not part of metric math")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match[kind]))
        position = match.end()
    return found


def _quotient(a: float, b: float) -> float:
    """Not a number where AWS has no result: "the data point is dropped"."""
    if b == 0:
        return math.nan
    return a / b


# each level binds tighter than the one above it
_LEVELS: tuple[Mapping[str, BinaryOperation], ...] = (
    {"OR": lambda a, b: bool(a or b), "||": lambda a, b: bool(a or b)},
    {"AND": lambda a, b: bool(a and b), "&&": lambda a, b: bool(a and b)},
    {
        "<": operator.lt,
        "<=": operator.le,
        ">": operator.gt,
        ">=": operator.ge,
        "==": operator.eq,
        "!=": operator.ne,
    },
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _quotient},
    {"^": operator.pow},
)


class _Parser:
    """Recursive descent, which evaluates what it reads at once."""

    def __init__(self, expression: str, scope: Scope) -> None:
        self._expression = expression
        self._scope = scope
        self._tokens = _tokens(expression)
        self._next = 0

    def parse(self) -> Value:
        value = self._operations()
        if self._peek() != _END:
            raise self._unexpected()
        return value

    def _operations(self, level: int = 0) -> Value:
        """Binary operations of this level and of those that bind tighter, from left to right."""
        if level == len(_LEVELS):
            return self._operand()
        operations = _LEVELS[level]
        value = self._operations(level + 1)
        sign = self._take(*operations)
        while sign:
            right = self._operations(level + 1)
            value = _pointwise(operations[sign], value, right)
            sign = self._take(*operations)
        return value

    def _operand(self) -> Value:
        if self._take("-"):
            return _pointwise(operator.sub, 0.0, self._operand())
        if self._take("("):
            value = self._operations()
            self._expect(")")
            return value
        if self._take("["):
            return self._array()

        token = self._peek()
        if token.kind not in ("number", "word"):
            raise self._unexpected()
        self._next += 1
        if token.kind == "number":
            return float(token.text)
        if self._take("("):
            return self._call(token.text)
        return self._reference(token.text)

    def _array(self) -> list[Series]:
        """Of time series; an array inside it counts as its members."""
        members = []
        for value in self._values("]"):
            if isinstance(value, list):
                members += value
            else:
                members.append(_as_series(value))
        return members

    def _reference(self, name: str) -> Series:
        if name not in self._scope.series:
            message = f"{self._expression!r} refers to {name!r}, which is no query of this request"
            raise ExpressionError(message)
        return dict(self._scope.series[name])

    def _call(self, name: str) -> Value:
        """A function, its opening parenthesis passed."""
        if name in _FUNCTIONS_OF_SCOPE:
            return _FUNCTIONS_OF_SCOPE[name](self)
        if name in _REDUCTIONS:
            return _reduced(_REDUCTIONS[name], self._only_argument(name))
        if name in _MAPPINGS:
            return _mapped(_MAPPINGS[name], self._only_argument(name))
        raise self._error(f"the function {name} is not modelled")

    def metrics(self) -> Value:
        """METRICS() or METRICS("part of an id")."""
        wanted = ""
        token = self._peek()
        if token.kind == "text":
            self._next += 1
            wanted = token.text[1:-1]
        self._expect(")")
        return [self._reference(name) for name in self._scope.metrics if wanted in name]

    def fill(self) -> Value:
        """FILL(value, number or time series or REPEAT or LINEAR)."""
        target = self._operations()
        self._expect(",")
        moments = self._scope.moments
        how = self._take("REPEAT", "LINEAR")
        if how:
            self._expect(")")
            return _each(lambda series: _filled_from_itself(series, moments, how), target)
        filler = self._operations()
        self._expect(")")
        if isinstance(filler, list):
            raise self._error("FILL takes a number, a time series, REPEAT or LINEAR")
        return _each(lambda series: _filled(series, moments, filler), target)

    def period(self) -> Value:
        """PERIOD(metric), in seconds; all metrics of a request share it."""
        self._values(")")
        return float(self._scope.period)

    def time_series(self) -> Value:
        """TIME_SERIES(number): the number at each moment."""
        number = self._only_argument("TIME_SERIES")
        if not isinstance(number, float):
            raise self._error("TIME_SERIES takes a number")
        return dict.fromkeys(self._scope.moments, number)

    def choice(self) -> Value:
        """IF(condition, value) or IF(condition, value, other)."""
        arguments = self._values(")")
        has_array = any(isinstance(argument, list) for argument in arguments)
        if len(arguments) not in (2, 3) or has_array:
            raise self._error("IF takes a condition and one or two numbers or time series")
        condition, value = arguments[:2]
        other: Value | None = None
        if len(arguments) == 3:
            other = arguments[2]
        if not isinstance(condition, float):
            return _chosen(_as_series(condition), value, other)
        if condition:
            return value
        return {} if other is None else other

    def _only_argument(self, name: str) -> Value:
        values = self._values(")")
        if len(values) != 1:
            raise self._error(f"{name} takes 1 argument(s), not {len(values)}")
        return values[0]

    def _values(self, end: str) -> list[Value]:
        values = [self._operations()]
        while self._take(","):
            values.append(self._operations())
        self._expect(end)
        return values

    def _peek(self) -> _Token:
        if self._next == len(self._tokens):
            return _END
        return self._tokens[self._next]

    def _take(self, *texts: str) -> str:
        """Pass over the next token if it is one of these, and return it.

        The result is empty where the next token is another.
        """
        token = self._peek()
        if token.kind not in ("word", "sign") or token.text not in texts:
            return ""
        self._next += 1
        return token.text

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected()

    def _unexpected(self) -> ExpressionError:
        found = self._peek().text or "end of expression"
        return self._error(f"unexpected {found!r}")

    def _error(self, what: str) -> ExpressionError:
        return ExpressionError(f"{self._expression!r}: {what}")


def _pointwise(operation: BinaryOperation, left: Value, right: Value) -> Value:
    """Between two series the missing value of one counts as 0.

    Where both are missing there is no result.
    """
    if isinstance(left, list):
        return [_as_series(_pointwise(operation, one, right)) for one in left]
    if isinstance(right, list):
        return [_as_series(_pointwise(operation, left, one)) for one in right]
    if isinstance(left, float) and isinstance(right, float):
        return float(operation(left, right))

    result = {}
    for moment in _moments_of(left, right):
        value = float(operation(_at(left, moment), _at(right, moment)))
        if not math.isnan(value):
            result[moment] = value
    return result


def _moments_of(*values: float | Series) -> list[datetime]:
    moments: set[datetime] = set()
    for value in values:
        if isinstance(value, dict):
            moments.update(value)
    return sorted(moments)


def _at(value: float | Series, moment: datetime) -> float:
    if isinstance(value, float):
        return value
    return value.get(moment, 0.0)


def _chosen(condition: Series, value: Value, other: Value | None) -> Series:
    """A branch without a datapoint where it is chosen counts as 0.

    Without `other` the datapoint is dropped.
    """
    result = {}
    for moment, is_true in condition.items():
        branch = value if is_true else other
        if isinstance(branch, float):
            result[moment] = branch
        elif branch is not None:
            result[moment] = _as_series(branch).get(moment, 0.0)
    return result


def _filled(series: Series, moments: Sequence[datetime], filler: float | Series) -> Series:
    """The series with the filler's values where it has none."""
    filled = {}
    for moment in moments:
        if moment in series:
            filled[moment] = series[moment]
        elif isinstance(filler, float):
            filled[moment] = filler
        elif moment in filler:
            filled[moment] = filler[moment]
    return filled


def _filled_from_itself(series: Series, moments: Sequence[datetime], how: str) -> Series:
    """The series with its gaps filled: by the value before (REPEAT), or a line (LINEAR)."""
    known = sorted(series)
    filled = dict(series)
    for moment in moments:
        position = bisect.bisect_left(known, moment)
        if moment in series or position == 0:
            continue
        before = known[position - 1]
        if how == "REPEAT":
            filled[moment] = series[before]
        elif position < len(known):
            after = known[position]
            share = (moment - before) / (after - before)
            filled[moment] = series[before] + share * (series[after] - series[before])
    return dict(sorted(filled.items()))


@dataclass(frozen=True)
class _Reduction:
    """A function that makes one number of several.

    A missing one counts as 0, or not at all.
    """

    function: Callable[[Sequence[float]], float]
    missing_is_zero: bool

    def at(self, moment: datetime, array: Sequence[Series]) -> float:
        """The result over the values that the series have at one moment."""
        values = []
        for series in array:
            if moment in series:
                values.append(series[moment])
            elif self.missing_is_zero:
                values.append(0.0)
        return self.function(values)


def _reduced(reduction: _Reduction, value: Value) -> Value:
    """Reduce one series to a number.

    An array becomes one series, over the moments that any of its series has.
    """
    if isinstance(value, float):
        message = "a number cannot be summed up: a time series or an array of them is needed"
        raise ExpressionError(message)
    if isinstance(value, dict):
        if not value:
            return 0.0
        return reduction.function(list(value.values()))
    return {moment: reduction.at(moment, value) for moment in _moments_of(*value)}


def _mapped(function: Callable[[float], float], value: Value) -> Value:
    def mapped(series: Series) -> Series:
        return {moment: float(function(point)) for moment, point in series.items()}

    return _each(mapped, value)


def _each(function: Callable[[Series], Series], value: Value) -> Value:
    if isinstance(value, list):
        return [function(series) for series in value]
    return function(_as_series(value))


def _as_series(value: Value) -> Series:
    if not isinstance(value, dict):
        message = "a time series is needed where the expression has a number or an array"
        raise ExpressionError(message)
    return value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_FUNCTIONS_OF_SCOPE: Mapping[str, Callable[[_Parser], Value]] = {
    "METRICS": _Parser.metrics,
    "FILL": _Parser.fill,
    "PERIOD": _Parser.period,
    "TIME_SERIES": _Parser.time_series,
    "IF": _Parser.choice,
}
_REDUCTIONS: Mapping[str, _Reduction] = {
    "SUM": _Reduction(sum, missing_is_zero=True),
    "AVG": _Reduction(_mean, missing_is_zero=True),
    "MAX": _Reduction(max, missing_is_zero=False),
    "MIN": _Reduction(min, missing_is_zero=False),
}
_MAPPINGS: Mapping[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": math.ceil,
    "FLOOR": math.floor,
}
