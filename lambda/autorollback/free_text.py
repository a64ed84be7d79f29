"""What may stand in a text that people write for others.

A text with a line break can pretend to be a line of the message; one with formatting characters
can be shown otherwise than it is (Unicode Technical Report 36, "Bidirectional Text Spoofing").
"""

import json
import unicodedata

SHOWN_CHARACTERS = 300
"""Of what was given, in an error."""

ALLOWED = "without control, formatting and line-break characters"

_CONTROLS = {
    0x00: "NULL",
    0x07: "BELL",
    0x08: "BACKSPACE",
    0x09: "TABULATION",
    0x0A: "LINE FEED",
    0x0B: "LINE TABULATION",
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
    0x9B: "CONTROL SEQUENCE INTRODUCER",
}
"""Controls have no names in `unicodedata`; these are their aliases (Unicode NameAliases.txt)."""

_KINDS = {
    "Cc": "CONTROL CHARACTER",
    "Cf": "FORMATTING CHARACTER",
    "Cs": "HALF OF A SURROGATE PAIR",
    "Zl": "LINE SEPARATOR",
    "Zp": "PARAGRAPH SEPARATOR",
}
"""What is refused, by Unicode's general category. A surrogate alone cannot be written as UTF-8."""

_JOINER = "\N{ZERO WIDTH JOINER}"
_EMOJI_STYLE = "\N{VARIATION SELECTOR-16}"
_ARROWS_OF_EMOJI = "\N{LEFT RIGHT ARROW}\N{UP DOWN ARROW}"


def refused_character(text: str) -> str | None:
    """The first character that may not stand in a text, by its name.

    None where all of them may. A joiner may stand between two emoji, which it makes one of
    (Unicode Technical Standard 51, "Emoji ZWJ Sequences").
    """
    for index, character in enumerate(text):
        kind = _KINDS.get(unicodedata.category(character))
        if kind is None or _joins_emoji(text, index):
            continue
        name = unicodedata.name(character, "") or _CONTROLS.get(ord(character), kind)
        return f"character {index + 1} is U+{ord(character):04X} {name}"
    return None


def writable(text: str) -> str:
    """The text as UTF-8 can write it.

    Half of a surrogate pair becomes a question mark.
    """
    return text.encode(errors="replace").decode()


def presentable(given: object) -> object:
    """What was given, as it can be shown: whole, if it is short and harmless.

    Else its beginning, as JSON in ASCII.
    """
    try:
        shown = json.dumps(given, default=str, allow_nan=False)
    except (ValueError, RecursionError):  # no number of JSON, or it holds itself
        return f"a value of the type {type(given).__name__}"
    if len(shown) > SHOWN_CHARACTERS:
        return f"{shown[:SHOWN_CHARACTERS]}..."
    return shown if _holds_refused(given) else given


def _holds_refused(given: object) -> bool:
    if isinstance(given, str):
        return refused_character(given) is not None
    if isinstance(given, dict):
        return any(_holds_refused(part) for pair in given.items() for part in pair)
    if isinstance(given, list | tuple):
        return any(_holds_refused(part) for part in given)
    return False


def _joins_emoji(text: str, index: int) -> bool:
    """Whether a joiner stands between two emoji."""
    if text[index] != _JOINER:
        return False
    before = text[:index].rstrip(_EMOJI_STYLE)
    if before and unicodedata.category(before[-1]) == "Sk":  # a skin tone
        before = before[:-1]
    return _is_emoji(before[-1:]) and _is_emoji(text[index + 1 : index + 2])


def _is_emoji(character: str) -> bool:
    """Whether a character may be an emoji; the empty text is none."""
    if not character:
        return False
    return unicodedata.category(character) == "So" or character in _ARROWS_OF_EMOJI
