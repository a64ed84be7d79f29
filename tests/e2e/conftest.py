"""Scenes on the local cloud with the deployed stack: each is built once, and every test has a copy in a cloud of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from localcloud import stage
from localcloud.ecs.world import World
from localcloud.server import Cloud, running
from localcloud.snapshot import Copier, Snapshot

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Scene = Callable[..., stage.Stage]
Assemblies = Callable[[Sequence[stage.Actor]], Path]


@dataclass
class Scenes:
    """The scenes that this process has built, by their actors."""

    assemblies: Assemblies
    _built: dict[str, tuple[Snapshot, Mapping[str, str]]] = field(default_factory=dict)

    def set_in(self, cloud: Cloud, actors: tuple[stage.Actor, ...]) -> stage.Stage:
        """Set the scene in an empty cloud."""
        copier = Copier(cloud)
        key = str(actors)
        if key in self._built:
            snapshot, digests = self._built[key]
            copier.give(snapshot)
            return stage.Stage(cloud, World.of(cloud), actors, digests)
        scene = stage.build(cloud, self.assemblies(actors), actors)
        self._built[key] = copier.take(), scene.digests
        return scene


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Assemblies:
    made: dict[tuple[str, ...], Path] = {}

    def assembly(actors: Sequence[stage.Actor]) -> Path:
        key = tuple(str(actor.configured()) for actor in actors)
        if key not in made:
            made[key] = stage.synthesize(tmp_path_factory.mktemp("assembly"), actors)
        return made[key]

    return assembly


@pytest.fixture(scope="session")
def scenes(assemblies: Assemblies) -> Scenes:
    return Scenes(assemblies)


@pytest.fixture
def scene(scenes: Scenes) -> Iterator[Scene]:
    """Sets the scene for some services: they have run revision 17 for two days and 18 for six; 19 is ready, and bad."""
    with ExitStack() as stack:

        def build(*actors: stage.Actor) -> stage.Stage:
            cloud = stack.enter_context(running(START))
            return scenes.set_in(cloud, actors or (stage.AUTH,))

        yield build
