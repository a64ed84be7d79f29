"""CodeDeploy's deployments as the judgement knows deployments: what came of each, and what ran before it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autorollback.aws.codedeploy import CodeDeployDeployment
from autorollback.aws.deployment_group import as_deployments
from autorollback.decision.facts import Deployment, Status, TaskSet

NINE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
FIRST = TaskSet("ecs-svc/1", "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth:1", NINE)


def at(minute: int) -> datetime:
    return NINE + timedelta(minutes=minute)


def deployed(number: int, status: Status, **more: Any) -> CodeDeployDeployment:
    """The deployment `d-<number>`, begun ten minutes after the one before it; it took five."""
    finished = None if status.in_progress else at(10 * number + 5)
    return CodeDeployDeployment(
        f"d-{number}", status, at(10 * number), finished_at=finished, **more
    )


def seen(
    *deployments: CodeDeployDeployment, original: TaskSet | None = None, more: bool = False
) -> dict[str, Deployment]:
    found = as_deployments({d.deployment_id: d for d in deployments}, original, more=more)
    assert list(found) == sorted(found, key=lambda d: d.created_at, reverse=True)
    return {d.arn: d for d in found}


GOOD = deployed(1, Status.SUCCESSFUL)


@pytest.mark.parametrize(
    ("bad", "back", "status", "finished"),
    [
        pytest.param(Status.PENDING, None, Status.PENDING, None, id="created"),
        pytest.param(Status.IN_PROGRESS, None, Status.IN_PROGRESS, None, id="in progress"),
        pytest.param(Status.SUCCESSFUL, None, Status.SUCCESSFUL, at(25), id="succeeded"),
        pytest.param(
            Status.STOPPED, None, Status.STOPPED, at(25), id="stopped or failed, and left so"
        ),
        pytest.param(
            Status.STOPPED,
            Status.PENDING,
            Status.ROLLBACK_IN_PROGRESS,
            None,
            id="its rollback was created",
        ),
        pytest.param(
            Status.STOPPED,
            Status.IN_PROGRESS,
            Status.ROLLBACK_IN_PROGRESS,
            None,
            id="is being rolled back",
        ),
        pytest.param(
            Status.STOPPED, Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL, at(35), id="rolled back"
        ),
        pytest.param(
            Status.STOPPED, Status.STOPPED, Status.ROLLBACK_FAILED, at(35), id="its rollback failed"
        ),
    ],
)
def test_a_rollback_by_codedeploy_is_the_end_of_the_deployment_that_it_rolls_back(
    bad: Status, back: Status | None, status: Status, finished: datetime | None
) -> None:
    rollback = [deployed(3, back, rolls_back="d-2")] if back else []
    found = seen(GOOD, deployed(2, bad, rolled_back_by="d-3" if back else None), *rollback)
    assert list(found) == ["d-2", "d-1"]
    blamed = found["d-2"]
    assert (blamed.status, blamed.finished_at, blamed.target, blamed.sources) == (
        status,
        finished,
        "d-2",
        ("d-1",),
    )
    assert blamed.rollback_revision == ("d-1" if status.is_rollback else None)


def test_what_ran_before_is_what_the_last_success_left() -> None:
    found = seen(
        GOOD,
        deployed(2, Status.STOPPED, rolled_back_by="d-3"),
        deployed(3, Status.SUCCESSFUL, rolls_back="d-2"),
        deployed(4, Status.STOPPED),
        deployed(5, Status.SUCCESSFUL),
        deployed(6, Status.IN_PROGRESS),
    )
    assert {arn: d.sources for arn, d in found.items()} == {
        "d-6": ("d-5",), "d-5": ("d-1",), "d-4": ("d-1",), "d-2": ("d-1",), "d-1": (),
    }  # fmt: skip


def test_before_the_oldest_is_what_came_with_the_service_or_what_codedeploy_calls_its_previous_revision() -> (
    None
):
    previous = {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": "1f"}}
    oldest = deployed(1, Status.SUCCESSFUL, previous=previous)
    assert seen(GOOD, original=FIRST)["d-1"].sources == ("ecs-svc/1",)
    assert seen(oldest, original=FIRST, more=True)["d-1"].sources == ("d-1:previous",)
    assert seen(GOOD)["d-1"].sources == ()
