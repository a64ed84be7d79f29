"""Which other services are in trouble, and whether a deployment of their own may explain it."""

# ruff: noqa: ARG002, N803 - a fake takes what the client of AWS takes

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autorollback.aws.neighbours import Neighbours
from autorollback.decision.facts import RedAlarm
from autorollback.decision.ledger_state import RollbackMark
from autorollback.naming import AlarmKey, Names, ServiceKey
from autorollback.policy import Policy, PolicyError, ServicePolicy

ONSET = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
OWN = ServiceKey("shop", "auth")
POLICY = Policy(families=("a*",), task_roles=("a*",))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def policy_of(key: ServiceKey, alarms: tuple[str, ...] = ()) -> ServicePolicy:
    return ServicePolicy(key, POLICY, "app/shop/1", ("targetgroup/1/2",), alarms)


class _RefusedError(Exception):
    pass


_EXCEPTIONS = SimpleNamespace(
    ClusterNotFoundException=_RefusedError,
    ServiceNotFoundException=_RefusedError,
    InvalidParameterException=_RefusedError,
    UnsupportedFeatureException=_RefusedError,
    ClientException=_RefusedError,
)


@dataclass
class Ecs:
    """Services with their deployments: when each began, and when it finished."""

    deployments: dict[str, list[tuple[datetime, datetime | None]]] = field(default_factory=dict)
    described: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    exceptions: Any = field(default_factory=lambda: _EXCEPTIONS)

    def describe_services(self, cluster: str, services: Sequence[str]) -> dict[str, Any]:
        self.described += services
        answer = []
        for name in services:
            newest = max(self.deployments[name])
            answer.append({"serviceName": name, "deployments": [{"createdAt": newest[0]}]})
        return {"services": answer}

    def list_service_deployments(
        self,
        cluster: str,
        service: str,
        maxResults: int,
    ) -> dict[str, Any]:
        self.listed.append(service)
        briefs = []
        for began, finished in self.deployments[service]:
            brief: dict[str, Any] = {
                "serviceDeploymentArn": f"{service}/{began:%H%M}",
                "createdAt": began,
                "startedAt": began,
                "status": "SUCCESSFUL" if finished else "IN_PROGRESS",
            }
            if finished:
                brief["finishedAt"] = finished
            briefs.append(brief)
        return {"serviceDeployments": briefs}


@dataclass
class Policies:
    known: dict[ServiceKey, ServicePolicy | PolicyError] = field(default_factory=dict)
    calls: int = 0

    def of_all(self, keys: Sequence[ServiceKey]) -> dict[ServiceKey, ServicePolicy | PolicyError]:
        assert len(keys) <= 10, "GetParameters takes ten names"
        self.calls += 1
        return {key: self.known[key] for key in keys if key in self.known}


@dataclass
class Ledger:
    rollbacks: dict[ServiceKey, tuple[RollbackMark, ...]] = field(default_factory=dict)

    def newest_rollbacks(self, key: ServiceKey) -> tuple[RollbackMark, ...]:
        return self.rollbacks.get(key, ())


class Fleet:
    """Protected services, told one by one; all were deployed days ago."""

    def __init__(self) -> None:
        self.ecs, self.policies, self.ledger = Ecs(), Policies(), Ledger()
        self.red: list[RedAlarm] = []
        self.protected_services = 20

    def ill(
        self,
        name: str,
        *,
        since: timedelta = timedelta(),
        signal: str = "5xx-rate",
        protected: bool = True,
    ) -> "Fleet":
        key = ServiceKey("shop", name)
        alarm_key = AlarmKey(key, signal)
        self.red.append(
            RedAlarm(alarm_key, Names().alarm(key, signal), ONSET + since, timedelta(minutes=1))
        )
        if protected:
            self.policies.known.setdefault(key, policy_of(key))
            self.ecs.deployments.setdefault(name, [(ONSET - timedelta(days=3),) * 2])
        return self

    def deployed(
        self, name: str, *, began: timedelta, took: timedelta = timedelta(minutes=2)
    ) -> "Fleet":
        at = ONSET + began
        self.ecs.deployments[name].append((at, at + took))
        return self

    def rolled_back(
        self,
        name: str,
        *,
        at: timedelta,
        deployment: str | None = None,
        left: timedelta | None = None,
    ) -> "Fleet":
        left_at = None if left is None else ONSET + left
        mark = RollbackMark(ONSET + at, deployment, left_at)
        self.ledger.rollbacks[ServiceKey("shop", name)] = (mark,)
        return self

    def found(self) -> dict[str, bool | None]:
        neighbours = Neighbours(
            cast(Any, SimpleNamespace(ecs=self.ecs)),
            Names(),
            cast(Any, self.ledger),
            cast(Any, self.policies),
            self.protected_services,
        )
        seen = neighbours.in_trouble(self.red, policy_of(OWN), ONSET, minutes(1))
        return {neighbour.key.service: neighbour.changed for neighbour in seen}


def three(*names: str) -> Fleet:
    fleet = Fleet()
    for name in names or ("cart", "mail", "shop"):
        fleet.ill(name)
    return fleet


def test_red_alarms_of_nobody_are_not_counted() -> None:
    """Three of a service that is not protected any more, and two that no policy knows."""
    fleet = three()
    for signal in ("5xx-rate", "latency", "unhealthy-targets"):
        fleet.ill("ghost", signal=signal, protected=False)
    fleet.ill("other", signal="x").ill("worker", signal="own-gone")
    assert fleet.found() == {"cart": False, "mail": False, "shop": False}
    assert set(fleet.ecs.described) == {"cart", "mail", "shop"}, "nobody asks ECS about a ghost"


def test_a_users_own_alarm_that_the_policy_names_is_known() -> None:
    fleet = three("cart", "mail").ill("worker", signal="own-backlog")
    key = ServiceKey("shop", "worker")
    fleet.policies.known[key] = ServicePolicy(key, POLICY, alarms=("backlog",))
    assert fleet.found() == {"cart": False, "mail": False, "worker": False}


def test_ghosts_do_not_crowd_out_those_that_are_protected() -> None:
    fleet = Fleet()
    for number in range(12):
        fleet.ill(f"ghost-{number:02}", protected=False)
    for number in range(11):
        fleet.ill(f"service-{number:02}", since=minutes(-2))
    assert len(fleet.found()) == 11
    assert len(fleet.ecs.described) == 10


def test_a_policy_that_cannot_be_read_spoils_nothing() -> None:
    """The service is protected; which alarms it knows, nobody can tell."""
    fleet = three()
    fleet.policies.known[ServiceKey("shop", "mail")] = PolicyError("parameter", "x", "y")
    assert fleet.found() == {"cart": False, "mail": False, "shop": False}


def test_too_few_to_matter_are_not_asked_about() -> None:
    fleet = three("cart", "mail")
    assert fleet.found() == {"cart": None, "mail": None}
    assert (fleet.policies.calls, fleet.ecs.described) == (0, [])


class TestTheTenNearest:
    def fleet(self) -> Fleet:
        """Ten fell ill with this one, and two of them a while before it."""
        fleet = Fleet()
        for number in range(10):
            fleet.ill(f"near-{number}", since=minutes(1))
        return fleet.ill("far-1", since=minutes(-8)).ill("far-2", since=minutes(-8))

    def test_those_beyond_are_not_read_but_counted_where_none_was_deployed(self) -> None:
        found = self.fleet().found()
        assert (found["far-1"], found["far-2"]) == (None, None)

    def test_only_if_they_are_protected(self) -> None:
        fleet = self.fleet().ill("ghost", since=minutes(-9), protected=False)
        assert "ghost" not in fleet.found()

    def test_where_one_was_deployed_they_count_as_deployed(self) -> None:
        fleet = self.fleet().deployed("near-3", began=minutes(-2))
        found = fleet.found()
        assert found["near-3"] is True
        assert "far-1" not in found


class TestDeployments:
    @pytest.mark.parametrize(
        ("began", "took", "changed", "listed"),
        [
            pytest.param(minutes(-5), minutes(2), True, False, id="created minutes before"),
            pytest.param(minutes(-11), minutes(2), True, True, id="finished 9 min before"),
            pytest.param(minutes(-13), minutes(2), False, True, id="finished 11 min before"),
            pytest.param(minutes(1), minutes(2), False, True, id="begun after it"),
        ],
    )
    def test_a_deployment_excuses_only_the_trouble_that_follows_it(
        self, began: timedelta, took: timedelta, *, changed: bool, listed: bool
    ) -> None:
        fleet = three().deployed("mail", began=began, took=took)
        assert fleet.found()["mail"] is changed
        assert fleet.ecs.listed == (["mail"] if listed else [])

    def test_in_a_train_of_bad_releases_one_rollback_does_not_excuse_the_rest(self) -> None:
        """`mail` was deployed, fell ill, and was rolled back since: its bad release explains it."""
        fleet = three().deployed("mail", began=minutes(-4)).deployed("mail", began=minutes(3))
        assert fleet.rolled_back("mail", at=minutes(2.9)).found()["mail"] is True

    def test_of_what_was_rolled_back_the_ledger_tells_what_it_left(self) -> None:
        """In an alarm storm the same few neighbours would be asked by every other service."""
        fleet = three().deployed("mail", began=minutes(-4)).deployed("mail", began=minutes(3))
        fleet.rolled_back("mail", at=minutes(2.9), left=minutes(-4))
        assert fleet.found()["mail"] is True
        assert fleet.ecs.listed == []

    def test_what_was_left_long_before_explains_nothing(self) -> None:
        fleet = three().deployed("mail", began=minutes(-60)).deployed("mail", began=minutes(-8))
        fleet.rolled_back("mail", at=minutes(-8.1), left=minutes(-60))
        assert fleet.found()["mail"] is False

    @pytest.mark.parametrize("named", [True, False], ids=["known by its ARN", "by its time"])
    def test_a_rollback_is_no_deployment_of_its_own(self, *, named: bool) -> None:
        """Rolled back ten minutes ago and calm, it is ill again: its last release was an hour ago."""
        fleet = three().deployed("mail", began=minutes(-60)).deployed("mail", began=minutes(-8))
        arn = f"mail/{ONSET + minutes(-8):%H%M}" if named else None
        fleet.rolled_back("mail", at=minutes(-8.1), deployment=arn)
        assert fleet.found()["mail"] is False

    def test_what_was_deployed_after_a_rollback_is_one(self) -> None:
        fleet = three().deployed("mail", began=minutes(-30)).deployed("mail", began=minutes(-20))
        fleet.rolled_back("mail", at=minutes(-20.1)).deployed("mail", began=minutes(-6))
        assert fleet.found()["mail"] is True

    def test_a_service_with_several_alarms_is_judged_by_the_earliest(self) -> None:
        fleet = three().ill("mail", since=minutes(-6), signal="latency")
        assert fleet.deployed("mail", began=minutes(-4)).found()["mail"] is False


def names(found: Iterable[str]) -> list[str]:
    return sorted(found)


def test_what_lies_more_than_ten_minutes_away_is_none_of_this() -> None:
    fleet = three().ill("early", since=minutes(-10.1)).ill("late", since=minutes(10.1))
    assert names(fleet.found()) == ["cart", "mail", "shop"]
