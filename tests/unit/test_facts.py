"""What is told by several facts together: when a deployment begins, may serve, and who deploys a service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autorollback.decision.facts import Controller, Deployment, Status, Strategy, TrafficShift
from tests.scenarios.history import incident

CREATED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
STARTED, ENDED = CREATED + timedelta(minutes=1), CREATED + timedelta(minutes=30)
BAKE = timedelta(minutes=10)


def deployment(**told: object) -> Deployment:
    plain = Deployment("arn", Status.SUCCESSFUL, CREATED, "revision", STARTED, ENDED)
    return replace(plain, **told)  # type: ignore[arg-type] # the keys are Deployment's own


def test_a_deployment_begins_when_it_was_started_or_else_when_it_was_created() -> None:
    assert deployment().start == STARTED
    assert deployment(started_at=None).start == CREATED


class TestWhenUsersMayHaveReachedIt:
    def may_serve_from(self, strategy: Strategy, **told: object) -> datetime | None:
        traffic = TrafficShift(strategy, bake=BAKE)
        return deployment(**{"traffic": traffic, **told}).may_serve_from

    def test_a_rolling_one_serves_from_its_start(self) -> None:
        assert self.may_serve_from(Strategy.ROLLING) == STARTED

    def test_blue_green_has_baked_since(self) -> None:
        assert self.may_serve_from(Strategy.BLUE_GREEN) == ENDED - BAKE
        assert self.may_serve_from(Strategy.BLUE_GREEN, finished_at=None) is None

    @pytest.mark.parametrize("status", [Status.STOPPED, Status.ROLLBACK_SUCCESSFUL])
    def test_unless_it_did_not_succeed(self, status: Status) -> None:
        assert self.may_serve_from(Strategy.BLUE_GREEN, status=status) == ENDED

    @pytest.mark.parametrize("strategy", [Strategy.LINEAR, Strategy.CANARY, Strategy.OTHER])
    def test_of_others_nothing_is_known_before_their_end(self, strategy: Strategy) -> None:
        assert self.may_serve_from(strategy) == ENDED
        under_way = self.may_serve_from(strategy, finished_at=None, status=Status.IN_PROGRESS)
        assert under_way is None

    def test_what_was_seen_of_the_shift_tells_it_better(self) -> None:
        seen = CREATED + timedelta(minutes=5)
        unserved = TrafficShift(Strategy.CANARY, unserved_at=seen)
        assert self.may_serve_from(Strategy.CANARY, traffic=unserved) == seen
        baking = TrafficShift(Strategy.CANARY, baking_at=seen)
        assert self.may_serve_from(Strategy.CANARY, traffic=baking) == seen
        before_it_began = TrafficShift(Strategy.CANARY, unserved_at=CREATED)
        assert self.may_serve_from(Strategy.CANARY, traffic=before_it_began) == STARTED
        began = TrafficShift(Strategy.CODE_DEPLOY, began_at=seen)
        assert self.may_serve_from(Strategy.CODE_DEPLOY, traffic=began) == seen


@pytest.mark.parametrize(
    ("controller", "out_of_reach", "within"),
    [
        (Controller.ECS, None, True),
        (Controller.CODE_DEPLOY, None, True),
        (Controller.CODE_DEPLOY, "add code_deploy", False),
        (Controller.EXTERNAL, None, False),
    ],
)
def test_whose_deployments_can_be_worked_with(
    controller: Controller, out_of_reach: str | None, *, within: bool
) -> None:
    service = incident().service
    told = replace(service, controller=controller, out_of_reach=out_of_reach)
    assert told.within_reach is within
