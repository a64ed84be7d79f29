"""What a candidate needs to run is asked of AWS where this function may ask, and told as not checked where it may not."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from autorollback.aws.artifacts import Preflight
from autorollback.aws.definitions import Definition
from autorollback.decision.facts import Controller, Revision, Service
from autorollback.decision.verdicts import Candidate, Check

HERE, ACCOUNT = "eu-west-1", "123456789012"
RUNNING, WANTED = (f"arn:aws:ecs:{HERE}:{ACCOUNT}:task-definition/auth:{n}" for n in (19, 18))
RAN = datetime(2026, 3, 2, tzinfo=UTC)
CHANGED = datetime(2026, 3, 5, tzinfo=UTC)


class Missing(Exception):  # noqa: N818 - AWS's word is ResourceNotFoundException
    """There is no such secret."""


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "DescribeSecret")


def checks(
    name: str,
    wanted: dict[str, Any],
    *,
    running: dict[str, Any] | None = None,
    settings: dict[str, str] | None = None,
    secret: object = None,
    parameters: tuple[str, ...] = (),
) -> list[Check]:
    """The findings of one check on a candidate with such a definition."""
    clients = mock.Mock()
    secrets, ssm = clients.secretsmanager, clients.ssm
    secrets.exceptions.ResourceNotFoundException = Missing
    secrets.describe_secret.side_effect = [secret if secret else {"LastChangedDate": RAN}]
    ssm.get_paginator.return_value.paginate.side_effect = lambda ParameterFilters: [  # noqa: N803 - AWS's names
        {"Parameters": [{"LastModifiedDate": CHANGED} for n in ParameterFilters[0]["Values"] if n in parameters]}
    ]
    definitions = {
        WANTED: Definition(WANTED, "ACTIVE", {"family": "auth", **wanted}),
        RUNNING: Definition(RUNNING, "ACTIVE", {"family": "auth", **(wanted if running is None else running)}),
    }
    service = Service(
        f"arn:aws:ecs:{HERE}:{ACCOUNT}:service/shop/auth", active=True, status="ACTIVE", desired=1, running=1,
        controller=Controller.ECS, task_definition=RUNNING, ports=(("app", 8080),),
    )  # fmt: skip
    revision = Revision("revision", "auth:18", WANTED, RAN, {"app": None})
    now_runs = Revision("newer", "auth:19", RUNNING, RAN, settings=settings or {})
    preflight = Preflight(clients, service, mock.Mock(describe=definitions.__getitem__), now_runs)
    return [check for check in preflight.check(Candidate(revision, "stable", "", ran_until=RAN)) if check.check == name]


def container(**more: Any) -> dict[str, Any]:
    return {"containerDefinitions": [{"name": "app", "image": "nginx", **more}]}


def secret_arn(region: str = HERE, account: str = ACCOUNT, suffix: str = "") -> str:
    return f"arn:aws:secretsmanager:{region}:{account}:secret:token-AbCdEf{suffix}"


@pytest.mark.parametrize(
    ("value_from", "secret", "passed", "detail"),
    [
        pytest.param(secret_arn(), None, True, "1 found", id="a secret"),
        pytest.param(secret_arn(suffix=":key:AWSCURRENT:"), None, True, "1 found", id="a key and a version of it"),
        pytest.param(secret_arn(), {"LastChangedDate": CHANGED}, True, "changed at 2026-03-05", id="changed since"),
        pytest.param(secret_arn(), {"DeletedDate": RAN}, False, "scheduled for deletion", id="being deleted"),
        pytest.param(secret_arn(), Missing(), False, "no such secret", id="gone"),
        pytest.param(secret_arn(), refused("AccessDeniedException"), False, "is not allowed", id="nobody may ask"),
        pytest.param(secret_arn(region="us-east-1"), None, None, "us-east-1, not checked", id="in another region"),
        pytest.param(secret_arn(account="999999999999"), None, None, "999999999999", id="in another account"),
        pytest.param("/auth/key", None, True, "changed at 2026-03-05", id="a parameter by name"),
        pytest.param("/auth/gone", None, False, "no such parameter", id="a parameter that is gone"),
        pytest.param(f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/auth/key", None, True, "1 found", id="by ARN"),
        pytest.param(f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/plain", None, True, "1 found", id="without a slash"),
        pytest.param(f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/x", None, None, "not checked", id="elsewhere"),
    ],
)
def test_secrets_and_parameters_are_there(value_from: str, secret: object, *, passed: bool | None, detail: str) -> None:
    wanted = container(secrets=[{"name": "TOKEN", "valueFrom": value_from}])
    (found,) = checks("secrets_present", wanted, secret=secret, parameters=("/auth/key", "plain"))
    assert found.passed is passed
    assert detail in found.detail


def test_what_is_not_checked_is_told_beside_what_was_found() -> None:
    valued = [{"name": name, "valueFrom": arn} for name, arn in (("A", secret_arn()), ("B", secret_arn("us-east-1")))]
    found = checks("secrets_present", container(secrets=valued))
    assert [(check.passed, check.detail[:7]) for check in found] == [(None, "arn:aws"), (True, "1 found")]


def test_a_throttled_read_is_no_finding() -> None:
    with pytest.raises(ClientError, match="ThrottlingException"):
        checks(
            "secrets_present",
            container(secrets=[{"name": "A", "valueFrom": secret_arn()}]),
            secret=refused("ThrottlingException"),
        )


def test_the_credentials_of_a_registry_are_a_secret_by_arn_or_by_name() -> None:
    wanted = container(repositoryCredentials={"credentialsParameter": "registry-login"})
    assert [check.passed for check in checks("secrets_present", wanted)] == [True]
    assert [c.passed for c in checks("secrets_present", wanted, secret=Missing())] == [False]


PORT = {"portMappings": [{"containerPort": 8080}]}


@pytest.mark.parametrize(
    ("wanted", "running", "settings", "passed"),
    [
        pytest.param(container(**PORT), container(**PORT), {}, True, id="the same"),
        pytest.param(container(), container(**PORT), {}, False, id="without the port of the load balancer"),
        pytest.param({"networkMode": "awsvpc"}, {}, {}, False, id="another network mode"),
        pytest.param({}, {"networkMode": "bridge"}, {}, True, id="bridge is what none means"),
        pytest.param({}, {"requiresCompatibilities": ["FARGATE"]}, {}, False, id="not for Fargate"),
        pytest.param(
            {"requiresCompatibilities": ["EC2"]},
            {"requiresCompatibilities": ["EC2", "FARGATE"]},
            {"launchType": "EC2"},
            True,
            id="not for Fargate, but the service runs on EC2",
        ),
        pytest.param(
            {"requiresCompatibilities": ["FARGATE"]},
            {"requiresCompatibilities": ["EC2", "FARGATE"]},
            {"launchType": "EC2"},
            False,
            id="for Fargate alone, and the service runs on EC2",
        ),
        pytest.param({}, {"requiresCompatibilities": ["EC2"]}, {"launchType": "EC2"}, True, id="for none, on EC2"),
        pytest.param(
            {"requiresCompatibilities": ["EC2"]},
            {"requiresCompatibilities": ["EC2", "FARGATE"]},
            {"capacityProviderStrategy": "[{'capacityProvider': 'FARGATE_SPOT'}]"},
            False,
            id="not for Fargate, which the capacity provider is",
        ),
    ],
)
def test_a_definition_fits_the_service(
    wanted: dict[str, Any], running: dict[str, Any], settings: dict[str, str], *, passed: bool
) -> None:
    (found,) = checks("settings_match", wanted, running=running, settings=settings)
    assert found.passed is passed, found.detail
