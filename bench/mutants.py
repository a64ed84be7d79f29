"""Which rules would nobody miss? Changes one place of the decision at a time, and sees whether a test notices.

    make mutants                          # 200 places, drawn by a seed
    python -m bench.mutants --number 50 --seed 7 --only stability
    python -m bench.mutants --skip 120    # a run goes on where it was ended

Each mutant runs the tests that reach it in a process of its own, those first that are most likely to notice. A place is one
comparison, condition, operand, number or flag of `lambda/autorollback/decision`. Left out, because they cannot change a
verdict: docstrings and other texts, annotations, the arguments of decorators, and what a sentence says (f-strings).
"""

import argparse
import ast
import gc
import importlib.abc
import importlib.util
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from bench import mutant_tests

DECISION = Path(__file__).resolve().parent.parent / "lambda" / "autorollback" / "decision"
PACKAGE = "autorollback.decision"
SURVIVORS_ALLOWED = 0.03

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True)
class Place:
    """One change that can be made: the `number`th place of a file, in the `change`th of its ways."""

    path: Path
    number: int
    change: int


@dataclass(frozen=True)
class Mutant:
    """One changed place.

    Attributes:
        tree: the whole changed module.
        function: the lines of the function that it lies in; none where it is executed as the module is imported.
        what: what was changed into what.
    """

    path: Path
    tree: ast.Module
    line: int
    function: range
    what: str

    @property
    def where(self) -> str:
        """The change, for people."""
        return f"{self.path.name}:{self.line}: {self.what}"


def places_of(path: Path) -> Iterator[Place]:
    """Every change that can be made in one file."""
    for number, (node, _) in enumerate(_places(ast.parse(path.read_text()))):
        for change in range(_changes_of(node)):
            yield Place(path, number, change)


def mutant_of(place: Place) -> Mutant:
    """A file with one place changed."""
    tree = ast.parse(place.path.read_text())
    node, function = list(_places(tree))[place.number]
    before, line = ast.unparse(node), getattr(node, "lineno", 0)
    _change(node, place.change)
    what = f"{before}  ->  {ast.unparse(node)}"
    return Mutant(place.path, ast.fix_missing_locations(tree), line, function, what)


def _module_of(path: Path) -> str:
    relative = path.relative_to(DECISION).with_suffix("")
    parts = [part for part in relative.parts if part != "__init__"]
    return ".".join([PACKAGE, *parts])


def _places(tree: ast.AST, function: range = range(0)) -> Iterator[tuple[ast.AST, range]]:
    """The expressions that can change what is decided, and the lines of the outermost function around each."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        around = function
        if isinstance(tree, ast.FunctionDef) and field == "body" and not function:
            around = range(tree.body[0].lineno, (tree.end_lineno or tree.lineno) + 1)
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child, around
                yield from _places(child, around)


def _changes_of(node: ast.AST) -> int:
    """How many ways there are to change a place."""
    if isinstance(node, ast.Compare):
        return int(type(node.ops[0]) in _OPPOSITE)
    if isinstance(node, ast.BoolOp):
        return 1 + len(node.values)
    if isinstance(node, ast.UnaryOp):
        return int(isinstance(node.op, ast.Not))
    if isinstance(node, ast.If | ast.IfExp):
        return 1
    if isinstance(node, ast.Call):
        return int(isinstance(node.func, ast.Name) and node.func.id in _OTHER_FUNCTION)
    if isinstance(node, ast.Constant):
        return int(isinstance(node.value, bool | int))
    return int(isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub))


def _change(node: ast.AST, change: int) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _OPPOSITE[type(node.ops[0])]()
    elif isinstance(node, ast.BoolOp) and change == 0:
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.BoolOp):
        _drop_operand(node, change - 1)
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.If | ast.IfExp):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        node.func.id = _OTHER_FUNCTION[node.func.id]
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        node.value += 1
    elif isinstance(node, ast.BinOp):
        node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()


def _drop_operand(node: ast.BoolOp, index: int) -> None:
    """`a and b` without one of the two; the neutral value takes the place of what is dropped."""
    node.values[index] = ast.Constant(value=isinstance(node.op, ast.And))


def put_in_place(mutant: Mutant, functions: Sequence[FunctionType]) -> None:
    """Change the functions of a module that is imported already, wherever they have been handed on."""
    changed = {}
    for code in _codes(compile(mutant.tree, str(mutant.path), "exec")):
        changed[code.co_qualname, code.co_firstlineno] = code
    for function in functions:
        code = function.__code__
        if Path(code.co_filename) == mutant.path:
            function.__code__ = changed[code.co_qualname, code.co_firstlineno]


def functions_of(sources: Path) -> list[FunctionType]:
    """Every function of a folder that is alive."""
    found = []
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and sources in Path(thing.__code__.co_filename).parents:
            found.append(thing)
    return found


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = _module_of(mutant.path)

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Its own module, wherever that is asked for."""
        if name != self.name:
            return None
        spec = importlib.util.spec_from_loader(name, self)
        folder = DECISION / name.rpartition(".")[2]
        if spec and folder.is_dir():
            spec.submodule_search_locations = [str(folder)]
        return spec

    def exec_module(self, module: object) -> None:
        """Execute the changed source."""
        exec(compile(self.mutant.tree, str(self.mutant.path), "exec"), vars(module))  # noqa: S102 - its purpose


def run_imported(mutant: Mutant) -> int:
    """Run the tests with a mutant that comes with its module: 0 where none notices."""
    sys.meta_path.insert(0, _Changed(mutant))
    return mutant_tests.with_collected(lambda session: mutant_tests.run(session, session.items))


class Tally:
    """Counts and prints, while pytest keeps what else is said to itself."""

    def __init__(self, looked_at: int) -> None:
        self.looked_at = looked_at
        self.tried = 0
        self.survivors = 0
        self.began = time.monotonic()
        self.out = sys.stdout

    def add(self, mutant: Mutant, *, survives: bool) -> None:
        """One more mutant was tried."""
        self.tried += 1
        self.looked_at += 1
        if survives:
            self.survivors += 1
            self.say(f"survives: {mutant.where}")
        if self.tried % 20 == 0:
            took = time.monotonic() - self.began
            self.say(f"{self.looked_at} looked at, {self.survivors} survive, {took:.0f} s")

    def say(self, line: str) -> None:
        """Print at once."""
        print(line, file=self.out, flush=True)

    @property
    def share(self) -> float:
        """How many of those tried survive."""
        return self.survivors / max(self.tried, 1)


def _try_in_place(
    session: pytest.Session,
    mutants: Sequence[Mutant],
    at_once: int,
    tally: Tally,
) -> int:
    reached = mutant_tests.reached_by(session, DECISION)
    if not reached.passed:
        return 2
    functions = functions_of(DECISION)
    gc.freeze()  # what is there already, no fork has to look through

    def run(mutant: Mutant) -> int:
        put_in_place(mutant, functions)
        in_order = reached.likely_first(session.items, mutant.path, mutant.function, mutant.line)
        return mutant_tests.run(session, in_order)

    for mutant, lives in mutant_tests.tried(mutants, at_once, run, reached.longest):
        tally.add(mutant, survives=lives)
    return 0


def _asked() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--number", type=int, default=200, help="how many mutants are drawn")
    arguments.add_argument("--seed", type=int, default=1, help="by which they are drawn")
    arguments.add_argument("--only", default="", help="only files whose name holds this")
    arguments.add_argument("--skip", type=int, default=0, help="how many were looked at before")
    arguments.add_argument(
        "--at-once", type=int, default=os.cpu_count() or 1, help="how many run together"
    )
    return arguments.parse_args()


def _drawn(asked: argparse.Namespace) -> list[Place]:
    files = [path for path in sorted(DECISION.rglob("*.py")) if asked.only in path.name]
    everything = [place for path in files for place in places_of(path)]
    drawn = random.Random(asked.seed).sample(everything, min(asked.number, len(everything)))  # noqa: S311 - a sample
    print(f"{len(drawn)} of {len(everything)} mutants, seed {asked.seed}", flush=True)
    return drawn[asked.skip :]


def main() -> int:
    """Prints each survivor; fails where more survive than are allowed."""
    asked = _asked()
    mutants = [mutant_of(place) for place in _drawn(asked)]
    mutant_tests.prepare()
    tally = Tally(asked.skip)
    with_module = [mutant for mutant in mutants if not mutant.function]
    for mutant, lives in mutant_tests.tried(with_module, asked.at_once, run_imported):
        tally.add(mutant, survives=lives)

    in_place = [mutant for mutant in mutants if mutant.function]
    code = mutant_tests.with_collected(
        lambda session: _try_in_place(session, in_place, asked.at_once, tally)
    )
    if code:
        print("The tests fail without any change: no mutant would tell anything", file=sys.stderr)
        return 2
    print(f"{tally.survivors} of {tally.tried} survive ({100 * tally.share:.1f} %)")
    return int(tally.share > SURVIVORS_ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
