"""The policy of one service: its defaults, its bounds, and what is refused."""

import json
from datetime import timedelta
from typing import Any

import pytest

from autorollback.policy import Mode, PolicyError, parse_service, parse_stored, parse_tunables

REQUIRED = {"cluster": "shop", "service": "auth", "families": ["auth-*"], "task_roles": ["auth-*"]}
BALANCED = {
    "load_balancer": "app/my-alb/50dc6c495c0c9188",
    "target_group": [
        "targetgroup/auth-blue/943f017f100becff",
        "targetgroup/auth-green/943f017f100becfe",
    ],
}


def test_the_defaults_of_the_contract() -> None:
    policy = parse_service(REQUIRED).policy
    assert policy.mode is Mode.ENFORCE
    assert (policy.window, policy.stable_after) == (timedelta(hours=1), timedelta(minutes=30))
    assert policy.confirm_within == timedelta(minutes=15)
    assert (policy.flap_limit, policy.shared_cause_services, policy.max_rollbacks_per_day) == (
        2,
        3,
        3,
    )
    assert (policy.error_rate_percent, policy.latency_p99_seconds, policy.unhealthy_targets) == (
        5,
        2,
        2,
    )
    assert (policy.minimum_requests, policy.minimum_errors) == (20, 5)
    assert (policy.datapoints_to_alarm, policy.evaluation_periods) == (3, 5)


def test_what_the_stack_writes_the_function_reads_back_equal() -> None:
    given = parse_service(
        {
            **REQUIRED,
            **BALANCED,
            "alarms": ["checkout"],
            "mode": "observe",
            "flap_limit": 0,
            "code_deploy": "shop/auth",
        }
    )
    assert parse_stored(json.loads(json.dumps(given.to_document()))) == given
    plain = parse_service(REQUIRED)
    assert parse_stored(json.loads(json.dumps(plain.to_document()))) == plain


@pytest.mark.parametrize("lost", sorted(parse_service(REQUIRED).to_document()))
def test_a_stored_policy_that_lost_a_key_is_none(lost: str) -> None:
    document = parse_service(REQUIRED).to_document()
    del document[lost]
    with pytest.raises(PolicyError) as refused:
        parse_stored(document, "parameter /auto-rollback/shop/auth")
    assert refused.value.field == f"parameter /auto-rollback/shop/auth.{lost}"
    assert refused.value.shown is None


@pytest.mark.parametrize(
    "name", ["cluster", "mode", "alarms", "families", "load_balancer", "code_deploy"]
)
def test_null_is_no_value_of_a_stored_policy(name: str) -> None:
    document = parse_service(REQUIRED).to_document() | {name: None}
    with pytest.raises(PolicyError) as refused:
        parse_stored(document)
    assert refused.value.field == name


def test_a_stored_policy_with_half_a_load_balancer_is_none() -> None:
    document = parse_service({**REQUIRED, **BALANCED}).to_document() | {"target_group": []}
    with pytest.raises(PolicyError, match="target_group: missing"):
        parse_stored(document)


def test_what_a_service_says_overrides_the_defaults() -> None:
    defaults = parse_tunables({"window_minutes": 90, "flap_limit": 5})
    policy = parse_service({**REQUIRED, "window_minutes": 30}, defaults=defaults).policy
    assert (policy.window_minutes, policy.flap_limit) == (30, 5)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        pytest.param({"window_minutes": "soon"}, "window_minutes", id="a word for minutes"),
        pytest.param({"window_minutes": 0}, "window_minutes", id="no window"),
        pytest.param({"window_minutes": 60.5}, "window_minutes", id="a fraction of a minute"),
        pytest.param({"window_minutes": None}, "window_minutes", id="null"),
        pytest.param({"flap_limit": True}, "flap_limit", id="a flag for a number"),
        pytest.param({"error_rate_percent": 101}, "error_rate_percent", id="more than everything"),
        pytest.param({"latency_p99_seconds": float("nan")}, "latency_p99_seconds", id="no number"),
        pytest.param({"mode": "dry"}, "mode", id="a mode that is none"),
        pytest.param({"mode": False}, "mode", id="off, as YAML 1.1 reads it"),
        pytest.param(
            {"dedicated_load_balancer": "yes"}, "dedicated_load_balancer", id="a word for a flag"
        ),
        pytest.param({"families": []}, "families", id="no family"),
        pytest.param({"families": ["a", "a"]}, "families", id="a family twice"),
        pytest.param(
            {"task_roles": ["arn:aws:iam::111122223333:role/a"]},
            "task_roles",
            id="an ARN for a name",
        ),
        pytest.param(
            {"datapoints_to_alarm": 6}, "datapoints_to_alarm", id="more datapoints than periods"
        ),
        pytest.param({"windows": 60}, "windows", id="a key that is none"),
        pytest.param({"cluster": "a/b"}, "cluster", id="a name that ECS does not take"),
        pytest.param(
            {"load_balancer": BALANCED["load_balancer"]}, "target_group", id="no target group"
        ),
        pytest.param(
            {"target_group": BALANCED["target_group"]}, "load_balancer", id="no load balancer"
        ),
        pytest.param(
            {**BALANCED, "load_balancer": "my-alb"}, "load_balancer", id="no dimension value"
        ),
        pytest.param(
            {"code_deploy": "shop"}, "code_deploy", id="an application without its deployment group"
        ),
        pytest.param(
            {"code_deploy": "shop/auth/blue"}, "code_deploy", id="more than application and group"
        ),
        pytest.param({"code_deploy": ["shop", "auth"]}, "code_deploy", id="a list for a text"),
    ],
)
def test_what_is_refused_by_its_path(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_service({**REQUIRED, **changed}, "services[2]")
    assert refused.value.field == f"services[2].{field}"
    assert refused.value.allowed


@pytest.mark.parametrize("missing", ["cluster", "service", "families", "task_roles"])
def test_what_is_required(missing: str) -> None:
    document = {key: value for key, value in REQUIRED.items() if key != missing}
    with pytest.raises(PolicyError, match=f"services\\[0\\].{missing}: missing"):
        parse_service(document, "services[0]")
