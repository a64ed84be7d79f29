"""What the ledger keeps of a judgement can be judged again, by one command."""

import io
import json
from pathlib import Path

import pytest

from autorollback import replay
from autorollback.aws.ledger_items import packed, to_attributes
from autorollback.codec import record_of
from tests.scenarios.history import NOW, History, bad_deployment, minutes


def stored(story: History) -> str:
    """The attribute `facts`, as the ledger has it."""
    return packed(record_of(story.facts(), story.policy, NOW))


def late() -> History:
    """The alarm came 100 minutes after the deployment: outside the window of an hour."""
    return bad_deployment(ago=minutes(100))


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert replay.main(arguments) == 0
    return capsys.readouterr().out.splitlines()


def test_a_record_is_judged_as_then_and_under_another_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facts"
    file.write_text(stored(late()) + "\n")
    place, then, now = told(capsys, str(file), "--set", "window_minutes=120")
    assert place == "shop/auth at 2026-11-22 14:00:00Z"
    assert then.startswith("then  hold, no_recent_deployment: ")
    assert now.startswith("now   roll back to auth:v1, alarm_after_deployment: ")


def test_items_are_read_as_dynamodb_answers_them(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {
        "pk": "p",
        "sk": "told#1",
        "facts": stored(late()),
        "result": json.dumps({"outcome": "held", "reason": "r"}),
    }
    by_hand = {"pk": "p", "sk": "incident#1", "facts": stored(late()), "automatic": False}
    items = [to_attributes(item) for item in (held, by_hand, {"pk": "p", "sk": "lease"})]
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"Items": items, "Count": 3})))
    lines = told(capsys, "-")
    assert [line[:5].strip() for line in lines] == [
        "shop/",
        "told",
        "then",
        "now",
        "shop/",
        "then",
        "now",
    ]
    assert lines[1] == "told  held, r"
    assert lines[2].removeprefix("then  ") == lines[3].removeprefix("now   ")
    assert lines[5].startswith("then  roll back to auth:v1, requested: "), (
        "a person's is asked as a person's"
    )


@pytest.mark.parametrize(
    ("text", "setting", "error"),
    [
        pytest.param("nonsense!", "mode=off", "not a packed record", id="no record"),
        pytest.param('{"Item": {}}', "mode=off", "no item with an attribute `facts`", id="no item"),
        pytest.param("{broken", "mode=off", "nor JSON", id="half a file"),
        pytest.param(packed({"version": 9}), "mode=off", "version 9", id="a newer version"),
        pytest.param(None, "window=5", "window", id="an unknown key"),
        pytest.param(None, "window_minutes=soon", "a whole number of minutes", id="a wrong value"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    text: str | None, setting: str, error: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "facts"
    file.write_text(stored(bad_deployment()) if text is None else text)
    assert replay.main([str(file), "--set", setting]) == 1
    assert error in capsys.readouterr().err


def test_a_file_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay.main([str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err
