"""A docstring begins with one short sentence: what follows it gives units, None and errors."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

LAMBDA = Path(__file__).resolve().parent.parent.parent / "lambda"
FILES = sorted(LAMBDA.rglob("*.py"))

LONGEST = 15
"""Words of a first sentence."""

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(node: ast.AST) -> Iterator[tuple[int, str]]:
    """The line and docstring of a module, and of all in it that is public."""
    if isinstance(node, Documented):
        docstring = ast.get_docstring(node)
        if docstring:
            yield node.body[0].lineno, docstring
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in ast.iter_child_nodes(node):
        is_private = str(getattr(child, "name", "")).startswith("_")
        if isinstance(child, Documented) and not is_private:
            yield from documented(child)


def first_sentence(docstring: str) -> str:
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=[.?!])\s", paragraph, maxsplit=1)[0]


def offenders(path: Path) -> list[str]:
    """The first sentences of a file that are too long, each with its line."""
    found = []
    for line, docstring in documented(ast.parse(path.read_text(encoding="utf-8"))):
        sentence = first_sentence(docstring)
        if len(sentence.split()) > LONGEST:
            found.append(f"{line}: {sentence}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LAMBDA).as_posix())
def test_a_first_sentence_is_short(path: Path) -> None:
    assert offenders(path) == []
