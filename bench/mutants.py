"""Which rules would nobody miss? Changes one place of the decision at a time, and sees whether a test notices.

    make mutants                          # 200 places, drawn by a seed
    python -m bench.mutants --number 50 --seed 7 --only stability

Each mutant runs the tests of the decision in a process of its own. A place is one comparison, condition, operand, number or
flag of `lambda/autorollback/decision`. Left out, because they cannot change a verdict: docstrings and other texts, annotations,
the arguments of decorators, and what a sentence says (f-strings).
"""

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import io
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

DECISION = Path(__file__).resolve().parent.parent / "lambda" / "autorollback" / "decision"
PACKAGE = "autorollback.decision"
TESTS = ("tests/scenarios", "tests/unit", "tests/flows")
SURVIVORS_ALLOWED = 0.03
LONGEST = 120
"""Seconds for one mutant; one that runs longer loops for ever, which is noticed too."""

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
class Mutant:
    """One changed place: the module, its whole changed source, and what was changed."""

    module: str
    source: str
    where: str


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of one file."""
    tree = ast.parse(path.read_text())
    module = _module_of(path)
    places = [node for node in _places(tree) if not isinstance(node, ast.JoinedStr)]
    for number, node in enumerate(places):
        for change in range(_changes_of(node)):
            changed = copy.deepcopy(tree)
            place = [n for n in _places(changed) if not isinstance(n, ast.JoinedStr)][number]
            before = ast.unparse(place)
            _change(place, change)
            after = ast.unparse(place)
            if before == after:
                continue
            where = f"{path.name}:{getattr(node, 'lineno', 0)}: {before}  ->  {after}"
            yield Mutant(module, ast.unparse(ast.fix_missing_locations(changed)), where)


def _module_of(path: Path) -> str:
    relative = path.relative_to(DECISION).with_suffix("")
    parts = [part for part in relative.parts if part != "__init__"]
    return ".".join([PACKAGE, *parts])


def _places(tree: ast.AST) -> Iterator[ast.AST]:
    """The expressions that can change what is decided."""
    for field, value in ast.iter_fields(tree):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        children = value if isinstance(value, list) else [value]
        for child in children:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr):
                continue
            yield child
            yield from _places(child)


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
    if isinstance(node, ast.BinOp):
        return int(isinstance(node.op, ast.Add | ast.Sub))
    return int(isinstance(node, ast.Continue))


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


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name: str, _path: object, _target: object = None) -> ModuleSpec | None:
        """Its own module, wherever that is asked for."""
        if name != self.mutant.module:
            return None
        spec = importlib.util.spec_from_loader(name, self)
        folder = DECISION / name.rpartition(".")[2]
        if spec and folder.is_dir():
            spec.submodule_search_locations = [str(folder)]
        return spec

    def exec_module(self, module: object) -> None:
        """Execute the changed source."""
        exec(compile(self.mutant.source, self.mutant.where, "exec"), vars(module))  # noqa: S102 - its purpose


def unchanged(path: Path) -> Mutant:
    """A module as it is: what no test may notice."""
    return Mutant(_module_of(path), path.read_text(encoding="utf-8"), "nothing")


def survives(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether no test notices a mutant; each runs in a process forked from this one."""
    child = os.fork()
    if child == 0:
        os._exit(_run(mutant, tests))
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        finished, status = os.waitpid(child, os.WNOHANG)
        if finished:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.05)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def _run(mutant: Mutant, tests: Sequence[str]) -> int:
    sys.meta_path.insert(0, _Changed(mutant))
    quiet = io.StringIO()
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly"]
    try:
        with redirect_stdout(quiet), redirect_stderr(quiet):
            return int(pytest.main([*options, *tests]))
    except BaseException:  # noqa: BLE001 - whatever it is, it was noticed
        return 1


def main() -> int:
    """Prints each survivor; fails where more survive than are allowed."""
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--number", type=int, default=200, help="how many mutants are drawn")
    arguments.add_argument("--seed", type=int, default=1, help="by which they are drawn")
    arguments.add_argument("--only", default="", help="only files whose name holds this")
    arguments.add_argument(
        "--at-once", type=int, default=os.cpu_count() or 1, help="how many run together"
    )
    asked = arguments.parse_args()
    files = [path for path in sorted(DECISION.rglob("*.py")) if asked.only in path.name]
    everything = [mutant for path in files for mutant in mutants_of(path)]
    drawn = random.Random(asked.seed).sample(everything, min(asked.number, len(everything)))  # noqa: S311 - a sample
    tests = [folder for folder in TESTS if Path(folder).exists()]
    print(f"{len(drawn)} of {len(everything)} mutants, seed {asked.seed}", flush=True)
    if not survives(unchanged(DECISION / "decide.py"), tests):
        print("The tests fail without any change: no mutant would tell anything", file=sys.stderr)
        return 2
    survivors: list[Mutant] = []
    with ThreadPoolExecutor(asked.at_once) as pool:
        for number, (mutant, survived) in enumerate(
            zip(drawn, pool.map(lambda m: survives(m, tests), drawn), strict=True), 1
        ):
            if survived:
                survivors.append(mutant)
                print(f"survives: {mutant.where}", flush=True)
            if number % 20 == 0:
                print(f"{number} looked at, {len(survivors)} survive", flush=True)
    share = len(survivors) / max(len(drawn), 1)
    print(f"{len(survivors)} of {len(drawn)} survive ({100 * share:.1f} %)")
    return int(share > SURVIVORS_ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
