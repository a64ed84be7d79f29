"""A world that stories are told of: services, alarms, people, and the controller that answers events."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from autorollback import handler
from autorollback.aws import ports
from autorollback.aws.reader import FactsReader
from autorollback.decision.facts import Controller, Deployment, Status, Strategy, TrafficShift
from autorollback.decision.incident import Incident
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.decision.result import Result
from autorollback.flows.session import Invocation, Session
from autorollback.naming import SIGNALS, Names, ServiceKey
from autorollback.policy import Policy, ServicePolicy
from autorollback.requests import (
    Action,
    AlarmChanged,
    DeploymentBegan,
    DeploymentEnded,
    Manual,
    Request,
    Sweep,
    TasksCannotStart,
)
from autorollback.results import Answer
from tests.fakes.ecs import (
    Clock,
    FakeDefinitions,
    FakeDeployments,
    FakeEcs,
    FakeGroup,
    FakeService,
)
from tests.fakes.ledger import FakeLedger, Table
from tests.fakes.services import (
    FakeAnnouncer,
    FakeAudit,
    FakeDependencies,
    FakePolicies,
)
from tests.fakes.watch import FakeAlarms, FakeNeighbours, FakeTasks, FakeTraffic
from tests.scenarios.history import NOW, days, minutes

GROUP = "shop/auth-group"
_JUST_NOW = minutes(4)


@dataclass
class ServiceStory:
    """One service of the world; each call tells one thing more."""

    world: "World"
    fake: FakeService

    @property
    def key(self) -> ServiceKey:
        return self.fake.key

    @property
    def newest(self) -> Deployment:
        self.world.ecs.settled(self.key)
        return self.fake.deployments[-1]

    @property
    def runs(self) -> str:
        """The task definition that runs, or is to run."""
        newest = self.newest
        return self.fake.revisions[newest.leaves or newest.target].task_definition

    def deployed(
        self, build: str, *, ago: timedelta = timedelta(), **content: Any
    ) -> "ServiceStory":
        """A deployment that began `ago` before now, and ends after two minutes."""
        world = self.world
        definition = world.ecs.define(self.key.service, build, **content)
        world.dependencies.digests.add(f"sha256:{build}")
        world.dependencies.tags[build] = f"sha256:{build}"
        world.ecs.begin(self.key, definition.arn, at=world.now - ago)
        world.ecs.settled(self.key)
        return self

    def under(self, **policy: Any) -> "ServiceStory":
        """Protected by a policy that differs from the defaults."""
        known = self.world.policies.known
        configured = known[self.key]
        known[self.key] = replace(configured, policy=replace(configured.policy, **policy))
        return self

    @property
    def policy(self) -> ServicePolicy:
        return self.world.policies.known[self.key]

    def unprotected(self) -> "ServiceStory":
        del self.world.policies.known[self.key]
        return self

    def described(self, **seen: Any) -> "ServiceStory":
        """As DescribeServices tells it."""
        self.fake.description.update(seen)
        return self

    def shifts(self, weight: float | None, stage: str | None = None) -> "ServiceStory":
        """A blue/green service, and what ECS says of the traffic of its newest deployment, which stays under way."""
        self.described(shifts_traffic=True)
        traffic = TrafficShift(Strategy.BLUE_GREEN, weight, stage, minutes(10))
        self.fake.deployments[-1] = replace(self.newest, traffic=traffic)
        return self.stuck(Status.IN_PROGRESS)

    def stuck(self, *statuses: Status) -> "ServiceStory":
        """Deployments do not leave these states."""
        self.fake.ends_as.update({status: status for status in statuses})
        return self

    def waits_at_hook(self) -> "ServiceStory":
        """Whatever is deployed next waits at a pause hook."""
        self.fake.waits_at_hook = True
        return self

    def given_up(self) -> "ServiceStory":
        """ECS calls the newest deployment failed, and has not begun to roll it back."""
        self.fake.rollout = "FAILED"
        return self.stuck(Status.IN_PROGRESS)

    def becomes(self, status: Status) -> "ServiceStory":
        """What became of the newest deployment, by now."""
        finished_at = None if status.in_progress else self.world.now
        back = self.fake.running if status.is_rollback else None
        self.fake.deployments[-1] = replace(
            self.newest, status=status, finished_at=finished_at, rollback_revision=back
        )
        self.fake.changed_at[self.newest.arn] = self.world.now
        return self


@dataclass
class World:
    """Everything that the controller works with, in memory."""

    clock: Clock = field(default_factory=lambda: Clock(NOW))
    time_left: timedelta = timedelta(minutes=5)

    def __post_init__(self) -> None:
        self.table = Table()
        self.ecs = FakeEcs(self.clock)
        self.deployments = FakeDeployments(self.ecs)
        self.definitions = FakeDefinitions(self.ecs)
        self.alarms = FakeAlarms(self.clock)
        self.traffic = FakeTraffic()
        self.tasks = FakeTasks()
        self.neighbours = FakeNeighbours(self.alarms)
        self.policies = FakePolicies()
        self.ecs.role_reaches = self.policies.has
        self.dependencies = FakeDependencies()
        self.announcer = FakeAnnouncer()
        self.audit = FakeAudit()
        self.reported: list[Answer] = []
        self.failed: list[Exception] = []
        self.ids = itertools.count(1)
        self.stories: dict[str, ServiceStory] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now

    def passes(self, time: timedelta) -> None:
        """Time passes, and nobody asks."""
        self.clock.now += time

    # what is there

    def service(self, name: str, cluster: str = "shop", **more: Any) -> ServiceStory:
        """A protected service, with alarms that have been there for long."""
        key = ServiceKey(cluster, name)
        controller = more.pop("controller", Controller.ECS)
        story = ServiceStory(self, self.ecs.add(key, controller))
        policy = Policy(families=(f"{name}-*", name), task_roles=(f"{name}-*",))
        self.policies.known[key] = ServicePolicy(key, policy, "app/shop/1", ("tg/1",), **more)
        for signal in SIGNALS:
            self.alarms.add(key, signal, self.now - days(60))
        self.stories[name] = story
        return story

    def through_code_deploy(self, name: str) -> ServiceStory:
        """A service that CodeDeploy deploys."""
        story = self.service(name, controller=Controller.CODE_DEPLOY, code_deploy=GROUP)
        self.deployments.groups[GROUP] = FakeGroup(self.ecs, story.key)
        return story

    def bad_deployment(self, name: str = "auth") -> ServiceStory:
        """The plain case: v1 served for days, v2 came nine minutes ago."""
        return self.service(name).deployed("v1", ago=days(3)).deployed("v2", ago=minutes(9))

    # what happens

    def fire(self, name: str, *signals: str, onset: timedelta = _JUST_NOW) -> Answer:
        """Alarms go to ALARM, one event each; the answer to the last."""
        key = self.stories[name].key
        answers = []
        for signal in signals:
            self.alarms.named(key, signal).fire(self.now, self.now - onset)
        for signal in signals:
            answers.append(self.ask(self.alarm_event(name, signal)))
        return answers[-1]

    def turn_red(self, name: str, signal: str, *, onset: timedelta = _JUST_NOW) -> None:
        """An alarm goes to ALARM, and nobody hears of it."""
        self.alarms.named(self.stories[name].key, signal).fire(self.now, self.now - onset)

    def turn_calm(self, name: str, signal: str) -> None:
        """An alarm goes OK, and nobody hears of it."""
        self.alarms.named(self.stories[name].key, signal).calm(self.now)

    def calm(self, name: str, signal: str) -> Answer:
        """An alarm goes OK."""
        self.turn_calm(name, signal)
        return self.ask(self.alarm_event(name, signal, in_alarm=False))

    def alarm_event(
        self, name: str, signal: str, *, in_alarm: bool = True, muted: str | None = None
    ) -> AlarmChanged:
        key = self.stories[name].key
        alarm = self.alarms.named(key, signal)
        return AlarmChanged(alarm.name, key, signal, in_alarm, self.now, {}, muted)

    def began(self, name: str) -> Answer:
        """ECS says that a deployment is in progress."""
        return self.ask(DeploymentBegan(self.stories[name].key, self.now))

    def ended(self, name: str, *, completed: bool = True) -> Answer:
        """ECS says that a deployment completed or failed."""
        key = self.stories[name].key
        named = f"ecs-svc/{len(self.stories[name].fake.deployments)}"
        return self.ask(DeploymentEnded(key, self.now, named, completed=completed, detail=""))

    def cannot_start(self, name: str) -> Answer:
        """ECS says that tasks of a service cannot start."""
        return self.ask(TasksCannotStart(self.stories[name].key, self.now))

    def sweep(self) -> Answer:
        return self.ask(Sweep(self.now))

    def person(
        self, action: Action = Action.ROLLBACK, name: str | None = "auth", **more: Any
    ) -> Answer:
        """A person asks."""
        return self.ask(Manual(action, name, **more))

    def ask(self, request: Request, request_id: str | None = None) -> Answer:
        """One invocation; what it could not send is in `failed`."""
        session = self.session(request_id)
        answer = handler.dispatch(session, request)
        self.failed = list(session.unsent)
        return answer

    def session(self, request_id: str | None = None) -> Session:
        """The session of one invocation."""
        ledger: ports.Ledger = FakeLedger(self.table)
        reader = FactsReader(
            ledger=ledger,
            deployments=self.deployments,
            definitions=self.definitions,
            dependencies=self.dependencies,
            alarms=self.alarms,
            traffic=self.traffic,
            tasks=self.tasks,
            neighbours=self.neighbours,
        )
        invocation = Invocation(request_id or f"request-{next(self.ids)}", self.now, self.time_left)
        return Session(
            invocation=invocation,
            names=Names(),
            ledger=ledger,
            policies=self.policies,
            reader=reader,
            definitions=self.definitions,
            deployments=self.deployments,
            dependencies=self.dependencies,
            alarms=self.alarms,
            traffic=self.traffic,
            announcer=self.announcer,
            audit=self.audit,
            report=self.reported.append,
        )

    @contextmanager
    def judged_elsewhere(self, name: str) -> Iterator[None]:
        """Another invocation is at work on a service."""
        key, other = self.stories[name].key, FakeLedger(self.table)
        assert other.lease(key, "elsewhere", self.now, self.now + minutes(5))
        yield
        other.release_lease(key, "elsewhere")

    # what came of it

    def known(self, name: str) -> ServiceLedger:
        """What the ledger says of a service."""
        return FakeLedger(self.table).recall(self.stories[name].key, self.now)

    def incidents(self, name: str) -> tuple[Incident, ...]:
        return self.known(name).incidents

    def incident(self, name: str = "auth") -> Incident:
        """The one incident of a service."""
        (incident,) = self.incidents(name)
        return incident

    def rollbacks(self, name: str) -> list[str]:
        """The builds that a service was rolled back to, the first one first."""
        acted = [one for one in reversed(self.incidents(name)) if one.acted]
        return [one.intent.target.rpartition(":")[2] for one in acted]

    @property
    def told(self) -> list[str]:
        """What people were told, by outcome and the incident's state or the reason."""
        lines = []
        for message in self.announcer.messages:
            more = ""
            if isinstance(message, Result):
                more = str(message.incident_state or message.reason)
            lines.append(f"{message.outcome} {more}".strip())
        return lines


def reason_of(answer: Answer) -> str:
    """Why, in the word of the contract."""
    assert isinstance(answer, Result), answer
    assert answer.reason is not None, answer
    return answer.reason.value


def outcome_of(answer: Answer) -> str:
    """What came of it."""
    assert isinstance(answer, Result), answer
    return answer.outcome.value
