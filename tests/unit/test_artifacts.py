"""What a candidate needs is looked for; and when its definition would not bring back what ran, a copy of it has to."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from autorollback.aws.artifacts import Image, Preflight, Stored, parse_image, reasons_to_restore
from autorollback.aws.clients import Clients
from autorollback.aws.definitions import Definition, Definitions
from autorollback.decision.facts import Controller, Revision, Service
from autorollback.decision.verdicts import Candidate, Check

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
        ("123456789012.dkr-ecr.eu-west-1.on.aws/auth:v1", Image("123456789012", "eu-west-1", "auth", "v1", None)),
        ("public.ecr.aws/nginx/nginx:1", None),
        ("nginx", None),
    ],
)  # fmt: skip
def test_an_image_of_ecr_is_taken_apart_and_no_other(reference: str, parsed: Image | None) -> None:
    assert parse_image(reference) == parsed


class Described(Definitions):
    """Definitions that are known without asking AWS."""

    def __init__(self, *known: Definition) -> None:
        super().__init__(Clients(), {definition.arn: definition for definition in known})


def revision(arn: str, images: Mapping[str, str | None], content: Definition, **settings: str) -> Revision:
    return Revision(
        arn, content.name, content.arn, datetime(2026, 3, 2, tzinfo=UTC), images, content.identity(images), settings
    )


def service(definition: str, **more: Any) -> Service:
    arn = "arn:aws:ecs:eu-west-1:123456789012:service/my-cluster/auth"
    return Service(arn, True, "ACTIVE", 4, 4, Controller.ECS, definition, **more)


def container(image: str = f"nginx@{RAN}", **more: Any) -> dict[str, Any]:
    return {"family": "auth", "containerDefinitions": [{"name": "app", "image": image} | more]}


def test_a_definition_that_is_deployed_already_brings_back_other_images_only_as_a_copy() -> None:
    """UpdateService with it would start nothing, and a deployment is never forced."""
    definition = Definition(ARN, "ACTIVE", container("nginx:latest"))
    ran = revision("before", {"app": None}, definition)
    runs = revision("now", {"app": OTHER}, definition)
    definitions = Described(definition)
    (usable,) = named("definition_usable", Preflight(Clients(), service(ARN), definitions, runs).check(stable(ran)))
    assert (usable.passed, usable.restore) == (True, True)
    (itself,) = named("definition_usable", Preflight(Clients(), service(ARN), definitions, ran).check(stable(ran)))
    assert not itself.restore, "what runs now, asked about by the readiness audit"


def test_what_ecs_restores_as_a_whole_needs_neither_a_copy_nor_the_settings_of_now() -> None:
    """The deployment in progress moved the load balancer to another port; its source has the one of before."""
    mappings = [{"containerPort": 8080}]
    new = ARN.replace("18", "19")
    old = Definition(ARN, "INACTIVE", container(portMappings=[]), unknown_fields=("fromTheFuture",))
    running = Definition(new, "ACTIVE", container(portMappings=mappings))
    preflight = Preflight(Clients(), service(new, ports=(("app", 8080),)), Described(running, old))
    source = stable(revision("before", {"app": RAN}, old))
    failed = {check.check for check in preflight.check(source) if check.passed is False}
    assert failed == {"definition_usable", "settings_match"}
    whole = preflight.check(source, whole=True)
    assert all(check.passed is not False for check in whole)
    assert any(check.restore for check in whole), "if ECS cannot any more, its definition alone would not bring it back"


class Vault(Clients):
    """Clients whose Secrets Manager and Systems Manager answer as told."""

    def __init__(self) -> None:
        super().__init__(boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-west-1"))
        self.secrets, self.parameters = Stubber(self.secretsmanager), Stubber(self.ssm)
        self.secrets.activate()
        self.parameters.activate()


HOME = "eu-west-1:123456789012"


def needs(clients: Clients, **container_needs: Any) -> list[tuple[bool | None, str]]:
    """What is found of the secrets of a definition's one container."""
    definition = Definition(ARN, "ACTIVE", container(**container_needs))
    preflight = Preflight(clients, service(ARN), Described(definition))
    return [
        (c.passed, c.detail)
        for c in named("secrets_present", preflight.check(stable(revision("r", {"app": RAN}, definition))))
    ]


@pytest.mark.parametrize(
    "value_from",
    [
        "arn:aws:ssm:us-east-1:123456789012:parameter/auth/key",
        "arn:aws:ssm:eu-west-1:999999999999:parameter/auth/key",
        "arn:aws:secretsmanager:eu-west-1:999999999999:secret:auth/key-AbCdEf:password::",
    ],
)
def test_a_secret_of_another_account_or_region_is_not_checked_and_fails_nobody(value_from: str) -> None:
    (found,) = needs(Vault(), secrets=[{"name": "KEY", "valueFrom": value_from}])
    assert found[0] is None
    assert found[1].startswith(f"{value_from}: it is in ")


@pytest.mark.parametrize(
    ("value_from", "looked_for"),
    [
        ("key", ["key"]),
        ("/auth/key:3", ["/auth/key"]),
        (f"arn:aws:ssm:{HOME}:parameter/auth/key", ["/auth/key"]),
        (f"arn:aws:ssm:{HOME}:parameter/key:3", ["/key", "key"]),
    ],
)
def test_a_parameter_is_looked_for_by_its_name(value_from: str, looked_for: list[str]) -> None:
    clients = Vault()
    asked = {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": looked_for}]}
    clients.parameters.add_response("describe_parameters", {"Parameters": []}, asked)
    (found,) = needs(clients, secrets=[{"name": "KEY", "valueFrom": value_from}])
    assert found == (False, f"{value_from}: there is no such parameter")


@pytest.mark.parametrize("name", ["registry/login", f"arn:aws:secretsmanager:{HOME}:secret:registry/login-AbCdEf"])
def test_the_credentials_of_a_registry_are_a_secret_by_name_or_arn(name: str) -> None:
    clients = Vault()
    clients.secrets.add_response(
        "describe_secret", {"DeletedDate": datetime(2026, 3, 2, tzinfo=UTC)}, {"SecretId": name}
    )
    (found,) = needs(clients, repositoryCredentials={"credentialsParameter": name})
    assert found == (False, f"of registry {name}: it is scheduled for deletion")


def stable(revision: Revision) -> Candidate:
    return Candidate(revision, "stable", "served 6 d without alarm")


def named(check: str, checks: tuple[Check, ...]) -> list[Check]:
    return [found for found in checks if found.check == check]
