"""Killed at any step, an invocation leaves what its retry or the sweep brings to the same end."""

from typing import Any

import pytest

from autorollback.decision.facts import Status
from autorollback.decision.incident import Phase
from tests.fakes.ecs import FakeDefinitions, FakeDeployer
from tests.fakes.ledger import FakeLedger
from tests.fakes.services import FakeAnnouncer
from tests.flows.stories import World
from tests.scenarios.history import days, minutes

STEPS = [
    pytest.param(FakeLedger, "lease", id="lease"),
    pytest.param(FakeLedger, "claim", id="claim"),
    pytest.param(FakeDeployer, "newest", id="look at the newest deployment"),
    pytest.param(FakeDefinitions, "restore", id="register the copy"),
    pytest.param(FakeLedger, "save", id="write the copy down"),
    pytest.param(FakeDeployer, "update", id="deploy"),
    pytest.param(FakeAnnouncer, "tell_people", id="tell people"),
    pytest.param(FakeLedger, "finish", id="write what was done"),
]
STEPS_OF_A_STOP = [
    pytest.param(FakeLedger, "claim", id="claim"),
    pytest.param(FakeDeployer, "stop", id="stop"),
    pytest.param(FakeAnnouncer, "tell_people", id="tell people"),
    pytest.param(FakeLedger, "finish", id="write what was done"),
]
MOMENTS = pytest.mark.parametrize("moment", ["before", "after"])
NEXT = pytest.mark.parametrize("by", ["retry", "sweep"])


class Killed(BaseException):
    """The function's time is over, or its environment gone: nothing of it runs any more."""


class Killer:
    """Kills the first invocation that comes to a step; the next ones live."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.dead = False

    def waits_at(self, port: type[Any], step: str, moment: str) -> None:
        original, release = getattr(port, step), FakeLedger.release_lease

        def deadly(*given: Any, **named: Any) -> Any:
            if moment == "before":
                self._kill(port, step, original)
            answer = original(*given, **named)
            self._kill(port, step, original)
            return answer

        def release_lease(*given: Any) -> None:
            if self.dead:
                raise Killed
            release(*given)

        self.monkeypatch.setattr(port, step, deadly)
        self.monkeypatch.setattr(FakeLedger, "release_lease", release_lease)

    def _kill(self, port: type[Any], step: str, original: Any) -> None:
        self.dead = True
        self.monkeypatch.setattr(port, step, original)
        raise Killed

    def bury(self) -> None:
        """The next invocation is another process."""
        assert self.dead
        self.dead = False


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    return Killer(monkeypatch)


def killed_then_ended(world: World, killer: Killer, by: str) -> None:
    """An alarm is answered by an invocation that is killed, and then by another one."""
    world.turn_red("auth", "5xx-rate")
    event = world.alarm_event("auth", "5xx-rate")
    with pytest.raises(Killed):
        world.ask(event, "first")
    killer.bury()
    if by == "retry":
        world.passes(minutes(1))
        world.ask(event, "first")
    else:
        world.passes(minutes(6))
        world.sweep()


@NEXT
@MOMENTS
@pytest.mark.parametrize(("port", "step"), STEPS)
def test_a_rollback_that_was_killed_happens_once(
    killer: Killer, port: type[Any], step: str, moment: str, by: str
) -> None:
    world = World()
    world.bad_deployment()
    world.dependencies.tags["v1"] = "sha256:moved"
    killer.waits_at(port, step, moment)
    killed_then_ended(world, killer, by)
    registered, deployed = world.ecs.acts
    assert registered.startswith("RegisterTaskDefinition ")
    assert deployed == registered.replace("RegisterTaskDefinition", "UpdateService")
    assert world.rollbacks("auth") == ["v1"]
    assert world.incident().phase is Phase.OPEN
    assert world.incident().announced
    assert set(world.told) == {"rolled_back open"}
    assert len(world.known("auth").state.quarantined) == 1


@NEXT
@MOMENTS
@pytest.mark.parametrize(("port", "step"), STEPS_OF_A_STOP)
def test_a_stop_that_was_killed_happens_once(
    killer: Killer, port: type[Any], step: str, moment: str, by: str
) -> None:
    world = World()
    story = world.service("auth").deployed("v1", ago=days(3)).stuck(Status.IN_PROGRESS)
    story.deployed("v2", ago=minutes(9))
    killer.waits_at(port, step, moment)
    killed_then_ended(world, killer, by)
    assert world.ecs.acts == ["StopServiceDeployment"]
    assert world.incident().phase in (Phase.OPEN, Phase.RECOVERED)
    assert world.incident().rollback_deployment == story.newest.arn
    assert set(world.told) == {"rolled_back open"}


@MOMENTS
@pytest.mark.parametrize(
    ("port", "step"),
    [
        pytest.param(FakeLedger, "save", id="write the end down"),
        pytest.param(FakeAnnouncer, "tell_people", id="tell people"),
        pytest.param(FakeLedger, "finish", id="write that they know"),
    ],
)
def test_an_end_that_was_killed_is_told_by_the_sweep(
    killer: Killer, port: type[Any], step: str, moment: str
) -> None:
    world = World()
    world.bad_deployment()
    world.fire("auth", "5xx-rate")
    world.passes(minutes(4))
    world.announcer.messages.clear()
    killer.waits_at(port, step, moment)
    with pytest.raises(Killed):
        world.calm("auth", "5xx-rate")
    killer.bury()
    world.passes(minutes(16))
    world.sweep()
    assert world.incident().phase is Phase.RECOVERED
    assert world.incident().announced
    assert set(world.told) == {"rolled_back recovered"}
