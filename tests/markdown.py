"""The texts of this project, as tests read them: links, headings and what stands in code blocks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
NOT_OURS = {"node_modules", "cdk.out"}

_BLOCK = re.compile(r"^```(?P<language>[a-z]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<target>[^)\s]+)\)")


def _texts() -> Iterator[Path]:
    for path in sorted(PROJECT.rglob("*.md")):
        parts = path.relative_to(PROJECT).parts
        if not NOT_OURS.intersection(parts) and not any(part.startswith(".") for part in parts):
            yield path


TEXTS = tuple(_texts())


@dataclass(frozen=True)
class Block:
    """A code block; `place` is where it begins, as an editor opens it."""

    place: str
    language: str
    code: str

    def __str__(self) -> str:
        return self.place


def name_of(path: Path) -> str:
    """A text as people call it: by its path in the project."""
    return path.relative_to(PROJECT).as_posix()


def prose(path: Path) -> str:
    """A text without its code blocks."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))


def blocks(*languages: str) -> list[Block]:
    """The code blocks of all texts in these languages; of none, all."""
    found = []
    for path in TEXTS:
        text = path.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            if not languages or match["language"] in languages:
                line = text.count("\n", 0, match.start()) + 1
                found.append(Block(f"{name_of(path)}:{line}", match["language"], match["code"]))
    return found


def inline_code() -> list[tuple[str, str]]:
    """What stands between backticks, with the text it stands in."""
    return [
        (name_of(path), code) for path in TEXTS for code in re.findall(r"`([^`\n]+)`", prose(path))
    ]


def links(path: Path) -> list[str]:
    """The relative links of a text, as they are written."""
    return [match["target"] for match in _LINK.finditer(prose(path))]


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a text."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchor, again = plain, 0
        while anchor in found:
            again += 1
            anchor = f"{plain}-{again}"
        found.add(anchor)
    return found
