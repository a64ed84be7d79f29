"""Whoever subscribes to results can rely on a schema: it is made from the types, and every field is explained."""

from pathlib import Path

import jsonschema
import pytest

from autorollback import results
from autorollback.decision.result import Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey
from autorollback.requests import BadRequest
from tests.result_schema import as_text, result_schema
from tests.unit.test_announcer import ROLLED_BACK

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


def test_the_schema_in_the_docs_is_the_one_of_the_types() -> None:
    assert (DOCS / "result.schema.json").read_text() == as_text(), (
        "run: python -m tests.result_schema > docs/result.schema.json"
    )


@pytest.mark.parametrize(
    "result",
    [
        pytest.param(ROLLED_BACK, id="a rollback"),
        pytest.param(
            results.ignored(Reason.PAUSED, "why", ServiceKey("shop", "auth")), id="ignored"
        ),
        pytest.param(results.rejected(BadRequest("revision", 18, "a revision")), id="rejected"),
        pytest.param(Result(Outcome.HELD, Reason.SHARED_CAUSE, "why"), id="held"),
    ],
)
def test_every_result_is_as_the_schema_says(result: Result) -> None:
    jsonschema.validate(results.to_json(result), result_schema())


@pytest.mark.parametrize("field", sorted(result_schema()["properties"]))
def test_every_field_is_explained_to_a_subscriber(field: str) -> None:
    assert f"| `{field}` |" in (DOCS / "result.md").read_text()
