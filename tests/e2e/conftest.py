"""Scenes on the local cloud with the deployed stack: the template is synthesized once, and each test has a cloud of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demo import scenario
from localcloud.server import running

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Scene = Callable[..., scenario.Stage]


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[scenario.Actor]], Path]:
    made: dict[tuple[str, ...], Path] = {}

    def assembly(actors: Sequence[scenario.Actor]) -> Path:
        key = tuple(str(actor.configured()) for actor in actors)
        if key not in made:
            made[key] = scenario.synthesize(tmp_path_factory.mktemp("assembly"), actors)
        return made[key]

    return assembly


@pytest.fixture
def scene(assemblies: Callable[[Sequence[scenario.Actor]], Path]) -> Iterator[Scene]:
    """Sets the scene for some services: they have run revision 17 for two days and 18 for six; 19 is ready, and bad."""
    with ExitStack() as stack:

        def build(*actors: scenario.Actor) -> scenario.Stage:
            cast = actors or (scenario.AUTH,)
            return scenario.build(stack.enter_context(running(START)), assemblies(cast), cast)

        yield build
