"""The rule of a composite alarm: ALARM(x) AND NOT (OK(y) OR INSUFFICIENT_DATA("z")), TRUE, FALSE.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html (AlarmRule)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

StateOf = Callable[[str], str]
_TOKEN = re.compile(r'\s*(?:(?P<text>"[^"]*")|(?P<sign>[()])|(?P<word>[^\s()"]+))')
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")


class RuleError(ValueError):
    """The rule is malformed; the message says where."""


@dataclass(frozen=True)
class Rule:
    """A parsed rule: the alarms it names, in their order, and its truth for given states of theirs."""

    children: tuple[str, ...]
    holds: Callable[[StateOf], bool]


def parse(text: str) -> Rule:
    """Read a rule; alarms may be named, quoted, or given as an ARN."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [match[match.lastgroup or 0] for match in _TOKEN.finditer(text)]
        self._next = 0
        self._children: list[str] = []

    def whole(self) -> Rule:
        holds = self._either()
        if self._peek():
            raise self._unexpected()
        return Rule(tuple(dict.fromkeys(self._children)), holds)

    def _either(self) -> Callable[[StateOf], bool]:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return lambda state: any(part(state) for part in parts)

    def _both(self) -> Callable[[StateOf], bool]:
        parts = [self._one()]
        while self._take("AND"):
            parts.append(self._one())
        return lambda state: all(part(state) for part in parts)

    def _one(self) -> Callable[[StateOf], bool]:
        if self._take("NOT"):
            negated = self._one()
            return lambda state: not negated(state)
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        word = self._peek().upper()
        if word not in ("TRUE", "FALSE", *_STATES):
            raise self._unexpected()
        self._next += 1
        if word in ("TRUE", "FALSE"):
            return lambda _: word == "TRUE"
        self._expect("(")
        name = self._name()
        self._expect(")")
        return lambda state: state(name) == word

    def _name(self) -> str:
        token = self._peek()
        if token in ("", "(", ")"):
            raise self._unexpected()
        self._next += 1
        name = token.strip('"')
        name = name.split(":alarm:", 1)[-1] if name.startswith("arn:") else name
        self._children.append(name)
        return name

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, word: str) -> bool:
        if self._peek().upper() == word:
            self._next += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._unexpected()

    def _unexpected(self) -> RuleError:
        return RuleError(f"AlarmRule {self._text!r}: unexpected {self._peek() or 'end'!r}")
