"""What an older record does not tell is taken as it was then: nothing new is read into it."""

from collections.abc import Mapping
from typing import Any

import pytest

from autorollback.codec import from_json, to_json
from autorollback.decision.facts import (
    Alarm,
    AlarmSource,
    EcsDeployment,
    Facts,
    Neighbour,
    Revision,
    Service,
    TaskSet,
    Trigger,
)
from autorollback.decision.incident import Intent, Told
from autorollback.decision.ledger_state import PendingCheck
from autorollback.decision.result import LookAt, Result
from tests.scenarios.history import NOW

AT = NOW.isoformat()
TRIGGER = {"kind": "alarm", "at": AT}
RESULT = {"outcome": "held", "reason": None, "summary": "held"}


@pytest.mark.parametrize(
    ("kind", "told", "taken"),
    [
        pytest.param(
            Service,
            {
                "arn": "s",
                "active": True,
                "status": "ACTIVE",
                "desired": 1,
                "running": 1,
                "controller": "ECS",
                "task_definition": "auth:1",
            },
            {"rolls_back_by_itself": False, "irreversible": False, "shifts_traffic": False},
            id="a service has no tag, no strategy and no rollback of its own",
        ),
        pytest.param(
            TaskSet,
            {"id": "ecs-svc/1", "task_definition": "auth:1", "created_at": AT},
            {"primary": False},
            id="a task set does not serve",
        ),
        pytest.param(
            EcsDeployment,
            {"id": "ecs-svc/1", "created_at": AT},
            {"primary": False, "running": 0, "failed_tasks": 0},
            id="a deployment of ECS is not the newest, and has no tasks",
        ),
        pytest.param(
            Revision,
            {
                "arn": "r",
                "task_definition": "auth:1",
                "task_definition_arn": "t",
                "created_at": AT,
            },
            {"irreversible": False},
            id="a definition has no tag",
        ),
        pytest.param(
            Alarm,
            {"name": "auto-rollback/shop/auth/latency", "signal": "latency", "in_alarm": True},
            {"period": 60, "evaluation_range": 300, "onset_is_datapoint": True},
            id="an alarm looks at five datapoints of a minute",
        ),
        pytest.param(
            AlarmSource,
            {"name": "auto-rollback/shop/auth/latency", "since": AT},
            {"period": 60, "evaluation_range": 300, "keeps_state": False},
            id="so does one under a composite, and missing data change it",
        ),
        pytest.param(Trigger, TRIGGER, {"overdue": False}, id="ECS had not had its time"),
        pytest.param(
            Neighbour,
            {"key": {"cluster": "shop", "service": "cart"}, "onset": AT},
            {"grain": 60},
            id="an onset was known to the minute",
        ),
        pytest.param(
            Facts,
            {"service": None, "trigger": TRIGGER},
            {"protected_services": 1},
            id="the service was the only one protected",
        ),
        pytest.param(
            Intent,
            {
                "method": "UpdateService",
                "target": "auth:1",
                "deploy": "auth:1",
                "digests": {},
                "needs_copy": False,
                "service_arn": "s",
                "result": RESULT,
            },
            {"pins": False, "forced": False, "stop_refused": False},
            id="nobody pinned or forced a rollback, and no stop was refused",
        ),
        pytest.param(Told, {}, {"people": 0, "machines": 0}, id="nobody was told"),
        pytest.param(
            PendingCheck,
            {"deployment": "d", "failed_at": AT, "due": AT},
            {"tasks": False},
            id="an event spoke of a deployment",
        ),
        pytest.param(
            LookAt,
            {"cluster": "shop", "service": "cart", "task_definition": "cart:1", "at": AT},
            {"depends_on": False},
            id="nothing is known to depend on another",
        ),
    ],
)
def test_what_an_older_record_does_not_tell_was_not_so(
    kind: type, told: Mapping[str, Any], taken: Mapping[str, Any]
) -> None:
    read = to_json(from_json(told, kind))
    assert {name: read[name] for name in taken} == taken


def test_a_result_that_names_no_more_candidates_had_none_and_was_not_escalated() -> None:
    read = from_json(RESULT, Result)
    assert (read.more_candidates, read.escalated) == (0, False)
