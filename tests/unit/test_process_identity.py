"""Which changes of a task definition does a process see, and which only name the build?"""

from typing import Any

import pytest

from autorollback.decision.build_stamps import is_build_stamp
from autorollback.decision.definition import Definition

ARN = "arn:aws:ecs:eu-central-1:111122223333:task-definition/auth-service:7"
DIGESTS = {"app": "sha256:1"}


def seen(**changed: Any) -> str:
    """What its processes see of a definition of one container, which differs from the plain one."""
    container = {
        "name": "app",
        "image": "111122223333.dkr.ecr.eu-central-1.amazonaws.com/auth:3f2a9c1",
        "environment": [{"name": "MODE", "value": "live"}],
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/auth"}},
        "portMappings": [{"containerPort": 8080}],
        "secrets": [{"name": "PASSWORD", "valueFrom": "auth/database"}],
        "cpu": 256,
    }
    content = {"family": "auth-service", "containerDefinitions": [{**container, **changed}]}
    return Definition(ARN, "ACTIVE", content).process_identity(DIGESTS)


def with_variables(**variables: str) -> str:
    named = [{"name": name, "value": value} for name, value in variables.items()]
    return seen(environment=[{"name": "MODE", "value": "live"}, *named])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"image": "auth:latest"}, id="another tag of the same digest"),
        pytest.param({"image": "auth@sha256:1"}, id="pinned"),
        pytest.param({"dockerLabels": {"commit": "9b1c44e"}}, id="a label"),
        pytest.param(
            {"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/new"}}},
            id="log options",
        ),
    ],
)
def test_no_process_sees(changed: dict[str, Any]) -> None:
    assert seen(**changed) == seen()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"environment": [{"name": "MODE", "value": "test"}]}, id="environment"),
        pytest.param({"environment": []}, id="a variable less"),
        pytest.param(
            {"secrets": [{"name": "PASSWORD", "valueFrom": "auth/other"}]}, id="secrets"
        ),
        pytest.param({"command": ["serve"]}, id="command"),
        pytest.param({"portMappings": [{"containerPort": 9090}]}, id="ports"),
        pytest.param({"cpu": 512}, id="resources"),
        pytest.param({"logConfiguration": {"logDriver": "fluentd"}}, id="another log driver"),
    ],
)  # fmt: skip
def test_a_process_sees(changed: dict[str, Any]) -> None:
    assert seen(**changed) != seen()


def test_other_images_are_another_build_whatever_else_is_the_same() -> None:
    content = {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:1"}]}
    definition = Definition(ARN, "ACTIVE", content)
    other = definition.process_identity({"app": "sha256:2"})
    assert definition.process_identity(DIGESTS) != other


def test_the_order_of_variables_is_no_difference() -> None:
    assert with_variables(A="1", B="2") == with_variables(B="2", A="1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GIT_COMMIT", "9b1c44e"),
        ("GIT_COMMIT", "9314407"),
        ("IMAGE_SHA", "defaced"),
        ("GIT_SHA", "3f2a9c1d5e6f708192a3b4c5d6e7f80912345678"),
        ("CI_COMMIT_SHORT_SHA", "9b1c44e0"),
        ("GITHUB_SHA", "3f2a9c1d5e6f708192a3b4c5d6e7f80912345678"),
        ("commitSha", "9b1c44e"),
        ("APP_VERSION", "main-9b1c44e"),
        ("DD_VERSION", "9b1c44e"),
        ("SENTRY_RELEASE", "auth@9b1c44e"),
        ("VERSION", "v1.4.2-12-g9b1c44e"),
        ("APP_VERSION", "1.4.3"),
        ("CODEBUILD_RESOLVED_SOURCE_VERSION", "3f2a9c1d5e6f708192a3b4c5d6e7f80912345678"),
        ("BUILD_NUMBER", "413"),
        ("BUILDNUMBER", "20261130.2"),
        ("CI_PIPELINE_IID", "77"),
        ("GITHUB_RUN_ID", "9999999999"),
        ("CIRCLE_BUILD_NUM", "412"),
        ("CODEBUILD_BUILD_ID", "auth:0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"),
        ("CODEBUILD_BUILD_ID", "auth:0f1e2d3c-4b5a-6978-8796-123456789012"),
        ("APP_BUILD", "412"),
        ("BUILD_TIME", "2026-11-30T10:00:00Z"),
        ("BUILD_DATE", "Mon Nov 30 20:04:35 UTC 2026"),
        ("BUILT_AT", "1796000000"),
        ("DEPLOYED_AT", "2026-11-30 10:00:00+00:00"),
        ("RELEASE_TIMESTAMP", "20261130100000"),
        ("AUTH_SERVICE_COMMIT", "9b1c44e"),
        ("WHATEVER", "3f2a9c1"),
    ],
)
def test_a_variable_that_only_names_the_build_is_none_that_a_process_heeds(
    name: str, value: str
) -> None:
    assert with_variables(**{name: value}) == seen()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CONNECTIONS", "20"),
        ("LOG_LEVEL", "debug"),
        ("API_KEY", "3f2a9c1d5e6f708192a3b4c5d6e7f809"),
        ("STRIPE_API_VERSION", "2024-06-20"),
        ("SCHEMA_VERSION", "42"),
        ("API_VERSION", "2"),
        ("VERSION", "2"),
        ("MODEL_COMMIT", "9b1c44e"),
        ("CUTOFF_DATE", "2026-11-30"),
        ("BUILD_TIMEOUT", "300"),
        ("BUILD_DATE", "413"),
        ("JOB_ID", "413"),
        ("DEPLOYMENT", "1.4.3"),
        ("MIN_SUPPORTED_BUILD", "400"),
        ("FEATURE_RELEASE_DATE", "2026-11-30"),
        ("CACHE_EPOCH", "1796000000"),
        ("RELEASE", "blue"),
        ("GIT_BRANCH", "main"),
        ("BUILD_NUMBER", "off"),
        ("COMMIT", "true"),
        ("COMMIT", "123456"),
        ("RELEASE", "defaced"),
        ("WORKERS", "3f2a9c2"),
        ("WORKERS", "3"),
        ("", "9b1c44e"),
    ],
)
def test_any_other_variable_is_a_setting(name: str, value: str) -> None:
    assert with_variables(**{name: value}) != seen()


def test_a_small_number_that_happens_to_be_the_images_tag_is_a_setting() -> None:
    assert not is_build_stamp("WORKERS", "12", "12")
    assert is_build_stamp("VERSION", "12", "12")


@pytest.mark.parametrize(
    ("tag", "names_the_build"),
    [
        pytest.param("production", False, id="a word"),
        pytest.param("9b1c44e", True, id="a commit"),
        pytest.param("20261130-1000", True, id="a time"),
        pytest.param("1234567", True, id="a long number"),
        pytest.param("123456", False, id="a shorter one"),
    ],
)
def test_what_equals_the_images_tag_names_the_build_where_it_looks_so(
    tag: str, *, names_the_build: bool
) -> None:
    assert is_build_stamp("WHATEVER", tag, tag) is names_the_build
    assert not is_build_stamp("WHATEVER", tag, "other"), "whatever else it equals"


def test_no_value_can_be_read_from_it() -> None:
    told = with_variables(PASSWORD="canary-7f3a")
    assert "canary" not in told
