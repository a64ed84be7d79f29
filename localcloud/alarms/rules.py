"""The rule of a composite alarm: ALARM(x) AND NOT (OK(y) OR INSUFFICIENT_DATA("z")), TRUE, FALSE.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html (AlarmRule)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

StateOf = Callable[[str], str]
Condition = Callable[[StateOf], bool]
_TOKEN = re.compile(r'\s*("[^"]*"|[()]|[^\s()"]+)')
_CONSTANTS = {"TRUE": True, "FALSE": False}
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")


class RuleError(ValueError):
    """The rule is malformed; the message says where."""


@dataclass(frozen=True)
class Rule:
    """The alarms that a rule names, in their order, and its truth for given states."""

    children: tuple[str, ...]
    holds: Condition


NO_RULE = Rule((), lambda _state_of: False)


def parse(text: str) -> Rule:
    """Read a rule; alarms may be named, quoted, or given as an ARN."""
    return _Parser(text).parse()


class _Parser:
    """Recursive descent; each level binds tighter than the one above it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = _TOKEN.findall(text)
        self._next = 0
        self._children: list[str] = []

    def parse(self) -> Rule:
        holds = self._disjunction()
        if self._peek():
            raise self._unexpected()
        unique = dict.fromkeys(self._children)
        return Rule(tuple(unique), holds)

    def _disjunction(self) -> Condition:
        parts = [self._conjunction()]
        while self._take("OR"):
            parts.append(self._conjunction())
        return _any_of(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._term()]
        while self._take("AND"):
            parts.append(self._term())
        return _all_of(tuple(parts))

    def _term(self) -> Condition:
        if self._take("NOT"):
            negated = self._term()
            return lambda state_of: not negated(state_of)
        if self._take("("):
            inner = self._disjunction()
            self._expect(")")
            return inner
        return self._constant_or_state()

    def _constant_or_state(self) -> Condition:
        word = self._peek().upper()
        if self._take(*_CONSTANTS):
            return lambda _state_of: _CONSTANTS[word]
        if not self._take(*_STATES):
            raise self._unexpected()
        self._expect("(")
        name = self._name()
        self._expect(")")
        return lambda state_of: state_of(name) == word

    def _name(self) -> str:
        token = self._peek()
        if token in ("", "(", ")"):
            raise self._unexpected()
        self._next += 1
        name = token.strip('"')
        if name.startswith("arn:"):
            name = name.split(":alarm:", 1)[-1]
        self._children.append(name)
        return name

    def _peek(self) -> str:
        """The next token, empty at the end."""
        if self._next == len(self._tokens):
            return ""
        return self._tokens[self._next]

    def _take(self, *words: str) -> bool:
        """Pass over the next token if it is one of these."""
        if self._peek().upper() not in words:
            return False
        self._next += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected()

    def _unexpected(self) -> RuleError:
        found = self._peek() or "end"
        return RuleError(f"AlarmRule {self._text!r}: unexpected {found!r}")


def _any_of(parts: tuple[Condition, ...]) -> Condition:
    return lambda state_of: any(part(state_of) for part in parts)


def _all_of(parts: tuple[Condition, ...]) -> Condition:
    return lambda state_of: all(part(state_of) for part in parts)
