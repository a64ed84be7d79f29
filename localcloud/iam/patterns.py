"""The wildcards of policies: `*` stands for any characters, `?` for one."""

import re
from functools import lru_cache

_ARN_PARTS = 6
_MANY = 4096


@lru_cache(_MANY)
def glob(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """The pattern as a regular expression, to be matched against a whole text."""
    parts = []
    for character in pattern:
        parts.append({"*": ".*", "?": "."}.get(character, re.escape(character)))
    flags = re.DOTALL | re.IGNORECASE if ignore_case else re.DOTALL
    return re.compile("".join(parts), flags)


@lru_cache(_MANY)
def resource(pattern: str) -> re.Pattern[str]:
    """A `Resource`: a wildcard goes beyond a colon only where it is the last of its segment.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html.
    """
    parts = []
    for position, character in enumerate(pattern):
        ends_segment = pattern[position + 1 : position + 2] in ("", ":")
        if character == "*":
            parts.append(".*" if ends_segment else "[^:]*")
        elif character == "?":
            parts.append("[^:]")
        else:
            parts.append(re.escape(character))
    return re.compile("".join(parts), re.DOTALL)


def arn_like(pattern: str, arn: str) -> bool:
    """ArnLike and ArnEquals, which are the same: each of the six parts is matched by itself."""
    wanted = pattern.split(":", _ARN_PARTS - 1)
    given = arn.split(":", _ARN_PARTS - 1)
    if len(wanted) != len(given):
        return False
    parts = zip(wanted, given, strict=True)
    return all(glob(part).fullmatch(text) for part, text in parts)
