"""docs/configuration.md says of every key what the code does."""

import re
from dataclasses import MISSING, Field, fields

import pytest

from autorollback.policy import KEY_RULES, Policy
from autorollback_cdk.bundling import LAMBDA

ROWS = {
    found[1]: (found[2].strip("`"), found[3])
    for found in re.finditer(
        r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$",
        (LAMBDA.parent / "docs/configuration.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
}


def test_every_key_of_a_policy_is_in_the_table_and_no_other() -> None:
    assert list(ROWS) == [field.name for field in fields(Policy)]


@pytest.mark.parametrize("field", fields(Policy), ids=lambda field: field.name)
def test_default_and_bounds_are_those_of_the_code(field: Field[object]) -> None:
    default, allowed = ROWS[field.name]
    assert allowed == KEY_RULES[field.name].allowed
    if field.default is MISSING:
        assert default == "required"
    else:
        shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert default == shown.lower()
