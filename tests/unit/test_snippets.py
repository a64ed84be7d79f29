"""What the texts show is true: commands run, payloads are understood, configurations load.

Commands run with an `aws` of the test's own, which writes down what it is asked, so that what they would send can be read by
the parsers that it is for.
"""

import ast
import importlib
import importlib.util
import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore import xform_name

from autorollback import requests
from autorollback.aws.ledger_items import packed, to_attributes
from autorollback.codec import record_of
from autorollback.decision.image_lifecycle import Pushed, expires_soon
from autorollback.naming import Names
from autorollback.results import ReadinessAnswer, StatusAnswer
from autorollback_cdk.services import ConfigurationError, load
from tests.fakes.sessions import model
from tests.markdown import PROJECT, Block, blocks, inline_code
from tests.scenarios.history import bad_deployment

NOT_RUN = {
    "make": "starts the whole of what it names; that the target exists is tested with the links",
}
"""Commands of the shell snippets that are replaced by nothing, and why."""

NOT_EXECUTED = {
    "docs/local-cloud.md": "needs the synthesized stack on a server, which the end-to-end tests have; its names are looked up",
    "README.md": "needs a stack, which takes Node: tests/infrastructure/test_construct_snippets.py executes it",
    "docs/configuration.md": "needs a stack, too, and is executed there",
}
"""Texts whose Python is not executed here, and why."""

LANGUAGES = {"bash", "python", "json", "yaml", "mermaid", "text"}

AWS = """#!{python} -IS
import json, sys
words = sys.argv[1:]
options = [word for word in words if word.startswith("--")]
said = {{"service": words[0], "operation": words[1], "options": options}}
if "--payload" in words:
    given = words[words.index("--payload") + 1]
    prefix, _, path = given.partition("://")
    said["payload"] = open(path).read() if prefix in ("file", "fileb") else given
with open({log!r}, "a") as log:
    log.write(json.dumps(said) + "\\n")
if words[:2] == ["lambda", "invoke"]:
    outfile = next(word for word in reversed(words) if word.endswith((".json", "/null", "/stdout")))
    outcome = "rolled_back" if '"action": "rollback"' in said.get("payload", "") else "would_roll_back"
    with open(outfile, "w") as answer:
        found = {{"rule": "shared_cause", "verdict": "passed", "detail": "nobody else"}}
        json.dump({{"outcome": outcome, "summary": "what came of it", "evidence": [found]}}, answer)
    print("None")
elif words[:2] == ["dynamodb", "query"]:
    print(open("stored.json").read())
elif words[:2] == ["lambda", "get-function-configuration"]:
    print("ledger")
else:
    sys.exit("another command of aws: say here what it answers")
"""

OF_THE_COMMAND_LINE = {
    "--cli-read-timeout",
    "--query",
    "--output",
    "--cli-binary-format",
    "--region",
    "--profile",
}
"""Options of `aws` itself, whatever the operation."""


@dataclass(frozen=True)
class Ran:
    """What came of a snippet: its exit code, what it said, and what it asked of AWS."""

    code: int
    said: str
    asked: list[dict[str, object]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder like the project's, as far as snippets see it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for command, text in (
        ("bin/aws", AWS.format(python=sys.executable, log=str(tmp_path / "asked"))),
        ("bin/make", "#!/bin/sh\n"),
        (".venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'),
    ):
        (tmp_path / command).write_text(text, encoding="utf-8")
        (tmp_path / command).chmod(0o755)
    (tmp_path / "rollback.sh").symlink_to(PROJECT / "rollback.sh")
    (tmp_path / "event.json").write_text(json.dumps({"action": "readiness"}), encoding="utf-8")
    story = bad_deployment()
    item = {
        "pk": "service#my-cluster/auth-service",
        "facts": packed(record_of(story.facts(), story.policy, story.now)),
    }
    (tmp_path / "stored.json").write_text(
        json.dumps({"Items": [to_attributes(item)]}), encoding="utf-8"
    )
    return tmp_path


def run(folder: Path, code: str) -> Ran:
    """Run a snippet at a terminal on which somebody says yes."""
    path = os.pathsep.join([str(folder / "bin"), os.defpath])
    environment = {
        "PATH": path,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    ours, theirs = pty.openpty()
    os.write(ours, b"y\ny\ny\n")
    done = subprocess.run(
        ["bash", "-u", "-o", "pipefail", "-c", code],
        cwd=folder,
        env=environment,
        stdin=theirs,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    os.close(ours)
    os.close(theirs)
    log = folder / "asked"
    asked = (
        [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        if log.exists()
        else []
    )
    return Ran(done.returncode, done.stdout + done.stderr, asked)


def is_understood(payload: str) -> None:
    requests.parse(json.loads(payload), Names())


def test_every_block_says_its_language() -> None:
    assert [block.place for block in blocks() if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("block", blocks("bash"), ids=str)
def test_shell_snippets_run_and_send_what_is_understood(block: Block, folder: Path) -> None:
    ran = run(folder, block.code)
    assert ran.code == 0, ran.said
    commands = set(re.findall(r"^(?:\w+=\$\()?(\.?[\w./]+) ", block.code, re.MULTILINE)) - {"#"}
    if commands <= set(NOT_RUN):
        return
    for call in ran.asked:
        if "payload" in call:
            is_understood(str(call["payload"]))
        operation = str(call["operation"])
        service = model(str(call["service"]))
        (asked_of,) = (
            service.operation_model(n)
            for n in service.operation_names
            if xform_name(n, "-") == operation
        )
        members = asked_of.input_shape.members if asked_of.input_shape else {}
        known = {f"--{xform_name(member, '-')}" for member in members}
        assert set(call["options"]) <= known | OF_THE_COMMAND_LINE  # type: ignore[call-overload]  # a list of texts
    assert ran.asked, "it asked AWS nothing"


def test_a_stored_judgement_is_judged_again_by_the_command_that_is_shown(folder: Path) -> None:
    (shown,) = (block for block in blocks("bash") if "autorollback.replay" in block.code)
    said = run(folder, shown.code).said.splitlines()
    assert [line[:6] for line in said] == ["shop/a", "then  ", "now   "]


Definitions = dict[str, ast.FunctionDef | ast.ClassDef]


def defined_in(module: str) -> Definitions:
    """The classes and functions of a module by its source: to import the local cloud takes longer than all snippets."""
    spec = importlib.util.find_spec(module)
    assert spec
    assert spec.origin
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    return {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def parts_of(definition: ast.FunctionDef | ast.ClassDef) -> set[str]:
    """The parameters of a function; the fields and methods of a class."""
    if isinstance(definition, ast.FunctionDef):
        return {argument.arg for argument in definition.args.args + definition.args.kwonlyargs}
    methods = {node.name for node in definition.body if isinstance(node, ast.FunctionDef)}
    fields = [node.target for node in definition.body if isinstance(node, ast.AnnAssign)]
    return methods | {ast.unparse(field) for field in fields}


def names_of(module: str) -> set[str]:
    """What can be imported from it."""
    if module.startswith("demo."):
        return set(defined_in(module))
    imported = importlib.import_module(module)
    return set(getattr(imported, "__all__", dir(imported)))


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_snippets_import_what_is_there(block: Block) -> None:
    """What is not executed says so with a reason; what it imports has to be there all the same."""
    tree = ast.parse(block.code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert {alias.name for alias in node.names} <= names_of(node.module)
    if block.place.partition(":")[0] not in NOT_EXECUTED:
        exec(compile(tree, block.place, "exec"), {})  # noqa: S102 - the project's own documentation


def test_the_scene_that_is_told_uses_what_a_stage_has() -> None:
    (told,) = (block for block in blocks("python") if block.place.startswith("docs/local-cloud.md"))
    tree = ast.parse(told.code)
    (imported,) = (
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and len(node.names) == 2
    )
    there = defined_in(str(imported.module))
    build = there["build"]
    assert isinstance(build, ast.FunctionDef)
    assert build.returns
    stage = parts_of(there[ast.unparse(build.returns)])
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "stage"
        ):
            assert node.attr in stage
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "timedelta":
                timedelta(**{str(keyword.arg): 1 for keyword in node.keywords})
                continue
            called = parts_of(there[node.func.id])
            assert {str(keyword.arg) for keyword in node.keywords} <= called


@pytest.mark.parametrize(
    "name", sorted({code for _, code in inline_code() if code.startswith('{"')})
)
def test_payloads_in_sentences_are_understood(name: str) -> None:
    is_understood(name)


def test_a_payload_with_a_typo_is_not_understood() -> None:
    with pytest.raises(requests.BadRequest):
        is_understood('{"action": "rollback", "servise": "auth-service"}')


def test_the_fields_of_the_payload_are_those_that_are_told() -> None:
    manual = (PROJECT / "docs" / "manual.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+) \|$", manual, re.MULTILINE)
    told = {name for names, _ in rows for name in re.findall(r"`(\w+)`", names)}
    (actions,) = (meaning for names, meaning in rows if names == "`action`")
    taken: set[str] = set()
    for action in re.findall(r"`([a-z]+)`(?= \(|,|$)", actions):
        with pytest.raises(requests.BadRequest, match="nonsense") as refused:
            requests.parse({"action": action, "service": "auth-service", "nonsense": 1}, Names())
        taken |= set(
            re.findall(r"\w+", refused.value.allowed.partition("fields ")[2].partition(" for ")[0])
        )
    assert taken == told


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_configurations_load(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "services.yaml"
    file.write_text(block.code, encoding="utf-8")
    assert load(file, Names()).services


def test_the_error_that_is_shown_is_what_a_wrong_configuration_gives(tmp_path: Path) -> None:
    (shown,) = (block for block in blocks("text") if block.code.startswith("services.yaml: "))
    file = tmp_path / "services.yaml"
    example = (PROJECT / "services.yaml").read_text(encoding="utf-8")
    file.write_text(f"{example}    window_minutes: soon\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as error:
        load(file, Names())
    assert str(error.value).partition("services.yaml: ")[2] == shown.code.strip().removeprefix(
        "services.yaml: "
    )


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_what_it_is_shown_as(block: Block) -> None:
    document = json.loads(block.code)
    if "rules" in document:
        now = datetime(2026, 3, 2, tzinfo=UTC)
        image = Pushed("sha256:1", ("v1",), now)
        assert expires_soon(block.code, image.digest, [image], now) is None
        return
    told = set(document) - {"outcome"}
    answers = [{"clear", "findings"}]
    for answer in (ReadinessAnswer, StatusAnswer):
        answers.append({field.name for field in fields(answer)})
    assert any(told <= known for known in answers)


def test_options_of_rollback_sh_are_those_of_its_usage() -> None:
    usage = subprocess.run(
        [PROJECT / "rollback.sh", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"--[a-z]+", usage))
    shown = [code for _, code in inline_code()] + [block.code for block in blocks("bash", "text")]
    lines = [
        line
        for code in shown
        for line in code.splitlines()
        if line.lstrip().startswith("./rollback.sh")
    ]
    assert len(lines) > 5
    for line in lines:
        assert set(re.findall(r"(?<![\w-])--[a-z-]+", line.partition("#")[0])) <= known, line
    (synopsis,) = (line for line in lines if "[REVISION]" in line)
    assert set(re.findall(r"--[a-z]+", synopsis)) == known - {"--help"}


def test_modules_that_are_run_exist() -> None:
    texts = [code for _, code in inline_code()] + [block.code for block in blocks("bash")]
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    named = {
        name for text in (*texts, makefile) for name in re.findall(r"python -m ([\w.]+)", text)
    }
    assert {"autorollback.replay", "bench.storm"} <= named
    for name in named:
        assert importlib.util.find_spec(name), name
