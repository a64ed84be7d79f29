"""When a definition itself would not bring back what ran, and a copy of it has to."""

from datetime import UTC, datetime

import pytest

from autorollback.aws.artifacts import Image, Stored, parse_image, reasons_to_restore
from autorollback.aws.definitions import Definition
from autorollback.decision.model import Revision

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/auth:18"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
RAN, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


@pytest.mark.parametrize(
    ("image", "ran", "tag_now", "status", "why"),
    [
        pytest.param(f"{ECR}/auth:v1", RAN, RAN, "ACTIVE", [], id="the tag is where it was"),
        pytest.param(f"{ECR}/auth:v1", RAN, OTHER, "ACTIVE", ["is now sha256:bbb"], id="the tag has moved"),
        pytest.param(f"{ECR}/auth:v1", RAN, None, "ACTIVE", ["is gone"], id="the tag is gone"),
        pytest.param(f"{ECR}/auth", RAN, OTHER, "ACTIVE", ["auth:latest is now"], id="no tag means latest"),
        pytest.param(f"{ECR}/auth@{RAN}", RAN, None, "ACTIVE", [], id="pinned"),
        pytest.param(f"{ECR}/auth@{OTHER}", RAN, None, "ACTIVE", ["is pinned to sha256:bbb"], id="pinned to another"),
        pytest.param(f"{ECR}/auth:v1", None, OTHER, "ACTIVE", [], id="AWS recorded no digest: there is nothing to pin"),
        pytest.param("nginx:1", RAN, None, "ACTIVE", ["cannot be asked of its registry"], id="a registry that is not asked"),
        pytest.param(f"nginx@{RAN}", RAN, None, "ACTIVE", [], id="pinned in another registry"),
        pytest.param(f"{ECR}/auth:v1", RAN, RAN, "INACTIVE", ["auth:18 is INACTIVE"], id="deregistered"),
        pytest.param(f"{ECR}/auth:v1", RAN, RAN, "DELETE_IN_PROGRESS", ["DELETE_IN_PROGRESS"], id="being deleted"),
    ],
)  # fmt: skip
def test_a_copy_is_needed_where_the_definition_does_not_mean_what_ran(
    image: str, ran: str | None, tag_now: str | None, status: str, why: list[str]
) -> None:
    definition = Definition(ARN, status, {"family": "auth", "containerDefinitions": [{"name": "app", "image": image}]})
    revision = Revision("revision", "auth:18", ARN, datetime(2026, 3, 2, tzinfo=UTC), {"app": ran})
    parsed = parse_image(image)
    tags = {parsed.tag: tag_now} if parsed and parsed.tag and tag_now else {}
    found = reasons_to_restore(
        definition, {"app": parsed} if parsed else {}, revision, {"auth": Stored(frozenset(), tags)}
    )
    assert len(found) == len(why)
    assert all(part in text for part, text in zip(why, found, strict=True))


@pytest.mark.parametrize(
    ("reference", "parsed"),
    [
        (f"{ECR}/team/auth:v1", Image("123456789012", "eu-west-1", "team/auth", "v1", None)),
        (f"{ECR}/auth:v1@{RAN}", Image("123456789012", "eu-west-1", "auth", "v1", RAN)),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/auth", Image("123456789012", "cn-north-1", "auth", "latest", None)),
        ("public.ecr.aws/nginx/nginx:1", None),
        ("nginx", None),
    ],
)  # fmt: skip
def test_an_image_of_ecr_is_taken_apart_and_no_other(reference: str, parsed: Image | None) -> None:
    assert parse_image(reference) == parsed
