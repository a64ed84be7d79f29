"""Metric math: the part of CloudWatch's expression language that is modelled; the rest is an error that names it.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

Series = dict[datetime, float]
Value = float | Series | list[Series]


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
    """The one time series that the expression yields; a scalar or an array as the last result is an error, as in alarms."""
    value = _Parser(expression, scope).whole()
    if isinstance(value, list) and len(value) == 1:
        return value[0]
    if not isinstance(value, dict):
        kind = "a number" if isinstance(value, float) else "an array of time series"
        raise ExpressionError(f"{expression!r} yields {kind}; an expression must yield a single time series")
    return value


def check(expression: str, ids: Sequence[str]) -> None:
    """Raise ExpressionError where the expression could not be evaluated over queries of these ids."""
    evaluate(expression, Scope({name: {} for name in ids}, list(ids), [], 60))


_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<word>[A-Za-z_]\w*)|(?P<text>\"[^\"]*\"|'[^']*')"
    r"|(?P<sign><=|>=|==|!=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_END = ("end", "")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while expression[position:].strip():
        match = _TOKEN.match(expression, position)
        if match is None:
            raise ExpressionError(f"{expression!r}: {expression[position:].strip()[0]!r} is not part of metric math")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return found


class _Parser:
    """Recursive descent; each level binds tighter than the one above it."""

    def __init__(self, expression: str, scope: Scope) -> None:
        self._expression, self._scope = expression, scope
        self._tokens, self._next = _tokens(expression), 0

    def whole(self) -> Value:
        value = self._either()
        if self._peek() != _END:
            raise self._unexpected()
        return value

    def _either(self) -> Value:
        value = self._both()
        while self._take("OR", "||"):
            value = _pointwise(lambda a, b: float(bool(a) or bool(b)), value, self._both())
        return value

    def _both(self) -> Value:
        value = self._comparison()
        while self._take("AND", "&&"):
            value = _pointwise(lambda a, b: float(bool(a) and bool(b)), value, self._comparison())
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        while sign := self._take(*_COMPARISONS):
            value = _pointwise(_as_number(_COMPARISONS[sign]), value, self._sum())
        return value

    def _sum(self) -> Value:
        value = self._product()
        while sign := self._take("+", "-"):
            value = _pointwise(operator.add if sign == "+" else operator.sub, value, self._product())
        return value

    def _product(self) -> Value:
        value = self._power()
        while sign := self._take("*", "/"):
            value = _pointwise(operator.mul if sign == "*" else _quotient, value, self._power())
        return value

    def _power(self) -> Value:
        value = self._unary()
        while self._take("^"):
            value = _pointwise(operator.pow, value, self._unary())
        return value

    def _unary(self) -> Value:
        if self._take("-"):
            return _pointwise(operator.sub, 0.0, self._unary())
        return self._atom()

    def _atom(self) -> Value:
        kind, text = self._peek()
        if kind == "number":
            self._next += 1
            return float(text)
        if self._take("("):
            value = self._either()
            self._expect(")")
            return value
        if self._take("["):
            return [series for part in self._list("]") for series in _as_array(part)]
        if kind == "word":
            self._next += 1
            if self._peek()[1] == "(":
                return self._call(text)
            if text in self._scope.series:
                return dict(self._scope.series[text])
            raise ExpressionError(f"{self._expression!r} refers to {text!r}, which is no query of this request")
        raise self._unexpected()

    def _call(self, name: str) -> Value:
        self._expect("(")
        if name == "METRICS":
            return self._metrics()
        if name == "FILL":
            return self._fill()
        if name == "PERIOD":
            self._list(")")
            return float(self._scope.period)
        if name == "TIME_SERIES":
            (number,) = self._arguments(name, 1)
            if not isinstance(number, float):
                raise ExpressionError(f"{self._expression!r}: TIME_SERIES takes a number")
            return dict.fromkeys(self._scope.moments, number)
        if name == "IF":
            return self._if()
        if name in _REDUCTIONS:
            function, missing_is_zero = _REDUCTIONS[name]
            return _reduce(function, self._arguments(name, 1)[0], missing_is_zero=missing_is_zero)
        if name in _MAPPINGS:
            return _each(_MAPPINGS[name], self._arguments(name, 1)[0])
        raise ExpressionError(f"{self._expression!r}: the function {name} is not modelled")

    def _metrics(self) -> Value:
        kind, text = self._peek()
        wanted = ""
        if kind == "text":
            self._next += 1
            wanted = text[1:-1]
        self._expect(")")
        return [dict(self._scope.series[name]) for name in self._scope.metrics if wanted in name]

    def _fill(self) -> Value:
        target = self._either()
        self._expect(",")
        how = self._take("REPEAT", "LINEAR")
        filler = 0.0 if how else self._either()
        self._expect(")")
        if isinstance(filler, list):
            raise ExpressionError(f"{self._expression!r}: FILL takes a number, a time series, REPEAT or LINEAR")
        if how:
            return _each_series(lambda series: _filled_from_itself(series, self._scope.moments, how), target)
        return _each_series(lambda series: _filled(series, self._scope.moments, filler), target)

    def _if(self) -> Value:
        condition, *branches = self._list(")")
        if len(branches) not in (1, 2) or any(isinstance(part, list) for part in (condition, *branches)):
            raise ExpressionError(f"{self._expression!r}: IF takes a condition and one or two numbers or time series")
        if isinstance(condition, float):
            if condition:
                return branches[0]
            return branches[1] if len(branches) == 2 else {}
        return _chosen(_as_series(condition), branches)

    def _arguments(self, name: str, count: int) -> list[Value]:
        values = self._list(")")
        if len(values) != count:
            raise ExpressionError(f"{self._expression!r}: {name} takes {count} argument(s), not {len(values)}")
        return values

    def _list(self, end: str) -> list[Value]:
        values = [self._either()]
        while self._take(","):
            values.append(self._either())
        self._expect(end)
        return values

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self, *texts: str) -> str | None:
        kind, text = self._peek()
        if kind in ("word", "sign") and text in texts:
            self._next += 1
            return text
        return None

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected()

    def _unexpected(self) -> ExpressionError:
        return ExpressionError(f"{self._expression!r}: unexpected {self._peek()[1] or 'end of expression'!r}")


def _as_number(compare: Callable[[float, float], bool]) -> Callable[[float, float], float]:
    return lambda a, b: float(compare(a, b))


def _quotient(a: float, b: float) -> float:
    return a / b if b else math.nan  # "the data point is dropped"


def _pointwise(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Between two series the missing value of one counts as 0; where both are missing there is no result."""
    if isinstance(left, list):
        return [_as_series(_pointwise(function, one, right)) for one in left]
    if isinstance(right, list):
        return [_as_series(_pointwise(function, left, one)) for one in right]
    if isinstance(left, float) and isinstance(right, float):
        return function(left, right)
    moments = sorted({*(left if isinstance(left, dict) else ()), *(right if isinstance(right, dict) else ())})
    points = {moment: function(_at(left, moment), _at(right, moment)) for moment in moments}
    return {moment: value for moment, value in points.items() if not math.isnan(value)}


def _at(value: float | Series, moment: datetime) -> float:
    return value if isinstance(value, float) else value.get(moment, 0.0)


def _chosen(condition: Series, branches: list[Value]) -> Series:
    """A branch that has no datapoint where it is chosen counts as 0; without a third argument the datapoint is dropped."""
    result = {}
    for moment, true in condition.items():
        if true or len(branches) == 2:
            branch = branches[0] if true else branches[1]
            result[moment] = branch if isinstance(branch, float) else _as_series(branch).get(moment, 0.0)
    return result


def _filled(series: Series, moments: Sequence[datetime], filler: float | Series) -> Series:
    spare = dict.fromkeys(moments, filler) if isinstance(filler, float) else filler
    return {m: series.get(m, spare.get(m, 0.0)) for m in moments if m in series or m in spare}


def _filled_from_itself(series: Series, moments: Sequence[datetime], how: str) -> Series:
    known = sorted(series)
    result = dict(series)
    for moment in moments:
        before = max((k for k in known if k < moment), default=None)
        after = min((k for k in known if k > moment), default=None)
        if moment in series or before is None:
            continue
        if how == "REPEAT":
            result[moment] = series[before]
        elif after is not None:
            share = (moment - before) / (after - before)
            result[moment] = series[before] + share * (series[after] - series[before])
    return dict(sorted(result.items()))


def _reduce(function: Callable[[Sequence[float]], float], value: Value, *, missing_is_zero: bool) -> Value:
    """Of one series a number; of an array one series, over the moments that any of its series has."""
    if isinstance(value, float):
        raise ExpressionError("a number cannot be summed up: a time series or an array of them is needed")
    if isinstance(value, dict):
        return function(list(value.values())) if value else 0.0
    moments = sorted({moment for series in value for moment in series})
    if missing_is_zero:
        return {moment: function([series.get(moment, 0.0) for series in value]) for moment in moments}
    return {moment: function([series[moment] for series in value if moment in series]) for moment in moments}


def _each(function: Callable[[float], float], value: Value) -> Value:
    return _each_series(lambda series: {moment: function(point) for moment, point in series.items()}, value)


def _each_series(function: Callable[[Series], Series], value: Value) -> Value:
    if isinstance(value, list):
        return [function(series) for series in value]
    return function(_as_series(value))


def _as_series(value: Value) -> Series:
    if not isinstance(value, dict):
        raise ExpressionError("a time series is needed where the expression has a number or an array")
    return value


def _as_array(value: Value) -> list[Series]:
    return value if isinstance(value, list) else [_as_series(value)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


_REDUCTIONS: dict[str, tuple[Callable[[Sequence[float]], float], bool]] = {
    "SUM": (sum, True),
    "AVG": (_mean, True),
    "MAX": (max, False),
    "MIN": (min, False),
}
_MAPPINGS: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
}
