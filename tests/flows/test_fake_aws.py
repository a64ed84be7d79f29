"""Services, definitions, alarms and policies in memory do what those of AWS do."""

from datetime import datetime, timedelta

import pytest

from autorollback.policy import ServicePolicy
from tests.contracts.aws import *  # noqa: F403 - the tests are the contract's
from tests.contracts.sites import KEY
from tests.fakes.ecs import Clock, FakeDefinitions, FakeDeployments, FakeEcs, refused
from tests.fakes.services import FakeDependencies, FakePolicies
from tests.fakes.watch import FakeAlarms
from tests.scenarios.history import NOW


class SiteInMemory:
    """The fakes, and a service on them."""

    def __init__(self) -> None:
        self.clock = Clock(NOW)
        self.ecs = FakeEcs(self.clock)
        self.deployments = FakeDeployments(self.ecs)
        self.definitions = FakeDefinitions(self.ecs)
        self.alarms = FakeAlarms(self.clock)
        self.policies = FakePolicies()
        self.dependencies = FakeDependencies()
        self.ecs.add(KEY)
        self.ecs.begin(KEY, self.define("v1"))
        self.passes(timedelta(minutes=4))

    @property
    def now(self) -> datetime:
        return self.clock.now

    def passes(self, time: timedelta) -> None:
        self.clock.now += time

    def define(self, build: str) -> str:
        self.dependencies.digests.add(self.digest(build))
        self.dependencies.tags[build] = self.digest(build)
        return self.ecs.define("auth", build).arn

    def digest(self, build: str) -> str:
        return f"sha256:{build}"

    def waits_at_hook(self, build: str) -> None:
        self.ecs.begin(KEY, self.define(build))
        self.ecs.services[KEY].waits_at_hook = True

    def goes_on_meanwhile(self) -> None:
        operation, words = "ContinueServiceDeployment", "does not wait at the hook"
        self.ecs.refuses[operation] = [refused("InvalidParameterException", operation, words)]

    def acts(self) -> list[str]:
        return self.ecs.acts

    def watch(self, signal: str) -> str:
        return self.alarms.add(KEY, signal, self.now).name

    def turn(self, signal: str, *, red: bool) -> None:
        alarm = self.alarms.named(KEY, signal)
        if red:
            alarm.fire(self.now, self.now)
        else:
            alarm.calm(self.now)

    def protect(self, policy: ServicePolicy) -> None:
        self.policies.known[policy.key] = policy


@pytest.fixture
def site() -> SiteInMemory:
    return SiteInMemory()
