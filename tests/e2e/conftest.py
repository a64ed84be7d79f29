"""Scenes on the local cloud with the deployed stack: each is built once, and every test has a copy in a cloud of its own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from demo import scenario
from localcloud.ecs.world import World
from localcloud.iam import Iam
from localcloud.server import Cloud, running
from localcloud.snapshot import Copier, Snapshot
from tests.assemblies import assembly

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Scene = Callable[..., scenario.Stage]


@dataclass
class Scenes:
    """The scenes that this process has built, by their actors."""

    _built: dict[str, tuple[Snapshot, Mapping[str, str]]] = field(default_factory=dict)

    def set_in(self, cloud: Cloud, actors: tuple[scenario.Actor, ...]) -> scenario.Stage:
        """Set the scene in an empty cloud."""
        copier = Copier(cloud)
        key = str(actors)
        if key in self._built:
            snapshot, digests = self._built[key]
            copier.give(snapshot)
            return scenario.Stage(cloud, World.of(cloud), actors, digests)
        scene = scenario.build(cloud, assembly(actors), actors)
        self._built[key] = copier.take(), scene.digests
        return scene


@pytest.fixture(scope="session")
def scenes() -> Scenes:
    return Scenes()


@pytest.fixture
def scene(scenes: Scenes) -> Iterator[Scene]:
    """Sets the scene for some services: they have run revision 17 for two days and 18 for six; 19 is ready, and bad.

    Whatever the function does in it, its role must grant it; a test that means a denial asks `rights.denied` for it.
    """
    clouds: list[Cloud] = []
    with ExitStack() as stack:

        def build(*actors: scenario.Actor) -> scenario.Stage:
            cloud = stack.enter_context(running(START))
            clouds.append(cloud)
            return scenes.set_in(cloud, actors or (scenario.AUTH,))

        yield build
        for cloud in clouds:
            assert cloud.troubles.found == []
            role = cloud.service(Iam)
            assert role.not_evaluated == []
            assert [denial.message for denial in role.denials] == []
