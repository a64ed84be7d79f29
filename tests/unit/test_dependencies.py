"""What a candidate needs to run is asked of AWS where this function may ask, and told as not checked where it may not."""

from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from autorollback.aws.clients import Clients
from autorollback.aws.dependencies import Dependencies
from autorollback.decision.checks import secrets_present
from autorollback.decision.checks.dependencies import findings
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Controller, Revision, Secret, Service
from autorollback.decision.lookups import (
    DependencyStatus,
    ImagesStored,
    RepositoryImages,
    RoleLookup,
    SecretLookup,
    TagPushed,
)
from autorollback.decision.preflight_case import PreflightCase, PreflightTarget
from autorollback.decision.verdicts import Check, CheckName
from autorollback.naming import Home
from autorollback.policy import Policy
from tests.fakes.sessions import session

HERE, ACCOUNT = "eu-west-1", "123456789012"
HOME = Home(ACCOUNT, HERE)
SERVICE_ARN = f"arn:aws:ecs:{HERE}:{ACCOUNT}:service/shop/auth"
ARN = f"arn:aws:ecs:{HERE}:{ACCOUNT}:task-definition/auth:18"
RAN = datetime(2026, 3, 2, tzinfo=UTC)
CHANGED = datetime(2026, 3, 5, tzinfo=UTC)
ANY_STATUS = {"imageStatus": "ANY"}
ONE, OTHER = (f"sha256:{letter * 64}" for letter in "ab")


class Missing(Exception):  # noqa: N818 - AWS's word is ResourceNotFoundException
    """There is no such secret."""


def refused(code: str) -> ClientError:
    told: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(told, "DescribeSecret")


def secrets_check(dependencies: Dependencies, **container_needs: Any) -> tuple[Check, ...]:
    """What is found of the secrets of a definition's one container."""
    container = {"name": "app", "image": "nginx", **container_needs}
    definition = Definition(ARN, "ACTIVE", {"family": "auth", "containerDefinitions": [container]})
    service = Service(SERVICE_ARN, True, "ACTIVE", 1, 1, Controller.ECS, ARN)
    revision = Revision("revision", "auth:18", ARN, RAN, {"app": None})
    target = PreflightTarget.of(service, revision, definition)
    answers = dependencies.answers(HOME, secrets_present.needs(target))
    policy = Policy(families=("auth",), task_roles=("auth-*",))
    return secrets_present.find(PreflightCase(target, definition, RAN, False, answers, policy))


def vault(secret: object = None, parameters: tuple[str, ...] = ()) -> Dependencies:
    """A Secrets Manager with one answer, and a Systems Manager with some parameters."""
    clients = mock.Mock()
    secrets, ssm = clients.secretsmanager, clients.ssm
    secrets.exceptions.ResourceNotFoundException = Missing
    secrets.describe_secret.side_effect = [secret if secret else {"LastChangedDate": RAN}]
    ssm.get_paginator.return_value.paginate.side_effect = lambda ParameterFilters: [  # noqa: N803 - AWS's names
        {
            "Parameters": [
                {"LastModifiedDate": CHANGED}
                for name in ParameterFilters[0]["Values"]
                if name in parameters
            ]
        }
    ]
    return Dependencies(clients)


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
        pytest.param(secret_arn(), refused("AccessDeniedException"), None, "is not allowed", id="nobody may ask"),
        pytest.param(secret_arn(), refused("InvalidRequestException"), None, "tells nothing of it", id="refused otherwise"),
        pytest.param(secret_arn(region="us-east-1"), None, None, "us-east-1, not checked", id="in another region"),
        pytest.param(secret_arn(account="999999999999"), None, None, "999999999999", id="in another account"),
        pytest.param("/auth/key", None, True, "changed at 2026-03-05", id="a parameter by name"),
        pytest.param("/auth/gone", None, False, "no such parameter", id="a parameter that is gone"),
        pytest.param(f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/auth/key", None, True, "1 found", id="by ARN"),
        pytest.param(f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/plain", None, True, "1 found", id="without a slash"),
        pytest.param(f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/x", None, None, "not checked", id="elsewhere"),
    ],
)  # fmt: skip
def test_secrets_and_parameters_are_there(
    value_from: str, secret: object, *, passed: bool | None, detail: str
) -> None:
    secrets = [{"name": "TOKEN", "valueFrom": value_from}]
    (found,) = secrets_check(vault(secret, parameters=("/auth/key", "plain")), secrets=secrets)
    assert found.passed is passed
    assert detail in found.detail
    changed = (value_from,) if "changed at" in found.detail else ()
    assert found.changed_since_run == changed


def test_what_is_not_checked_is_told_beside_what_was_found() -> None:
    secrets = [
        {"name": "A", "valueFrom": secret_arn()},
        {"name": "B", "valueFrom": secret_arn("us-east-1")},
    ]
    found = secrets_check(vault(), secrets=secrets)
    assert [(check.passed, check.detail[:7]) for check in found] == [
        (None, "arn:aws"),
        (True, "1 found"),
    ]


def test_that_this_function_may_not_ask_is_told_though_the_rest_was_found() -> None:
    statuses = {
        "a": DependencyStatus(unknown="secretsmanager:DescribeSecret is not allowed", denied=True),
        "b": DependencyStatus(),
    }
    not_asked, rest = findings(CheckName.SECRETS_PRESENT, statuses, RAN)
    assert (not_asked.passed, not_asked.denied) == (None, True)
    assert (rest.passed, rest.denied) == (True, False)


def test_a_throttled_read_is_no_finding() -> None:
    throttled = vault(refused("ThrottlingException"))
    with pytest.raises(ClientError, match="ThrottlingException"):
        secrets_check(throttled, secrets=[{"name": "A", "valueFrom": secret_arn()}])


def test_the_credentials_of_a_registry_are_a_secret_by_its_bare_name_too() -> None:
    login = {"credentialsParameter": "registry-login"}
    found = secrets_check(vault(), repositoryCredentials=login)
    assert [check.passed for check in found] == [True]
    found = secrets_check(vault(Missing()), repositoryCredentials=login)
    assert [check.passed for check in found] == [False]


class Stubbed(Clients):
    """Clients that answer as told, and only what is asked as told."""

    def __init__(self) -> None:
        super().__init__(session())
        self.secrets = Stubber(self.secretsmanager)
        self.parameters = Stubber(self.ssm)
        self.images = Stubber(self.ecr)
        self.roles = Stubber(self.iam)
        for stub in (self.secrets, self.parameters, self.images, self.roles):
            stub.activate()


@pytest.mark.parametrize(
    "value_from",
    [
        "arn:aws:ssm:us-east-1:123456789012:parameter/auth/key",
        "arn:aws:ssm:eu-west-1:999999999999:parameter/auth/key",
        "arn:aws:secretsmanager:eu-west-1:999999999999:secret:auth/key-AbCdEf:password::",
    ],
)
def test_a_secret_of_another_account_or_region_is_not_checked_and_fails_nobody(
    value_from: str,
) -> None:
    secrets = [{"name": "KEY", "valueFrom": value_from}]
    (found,) = secrets_check(Dependencies(Stubbed()), secrets=secrets)
    assert found.passed is None
    assert found.detail.startswith(f"{value_from}: it is in ")


@pytest.mark.parametrize(
    ("value_from", "looked_for"),
    [
        ("key", ["key"]),
        ("/auth/key:3", ["/auth/key"]),
        (f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/auth/key", ["/auth/key"]),
        (f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/key:3", ["/key", "key"]),
    ],
)
def test_a_parameter_is_looked_for_by_its_name(value_from: str, looked_for: list[str]) -> None:
    clients = Stubbed()
    asked = {"ParameterFilters": [{"Key": "Name", "Option": "Equals", "Values": looked_for}]}
    clients.parameters.add_response("describe_parameters", {"Parameters": []}, asked)
    secrets = [{"name": "KEY", "valueFrom": value_from}]
    (found,) = secrets_check(Dependencies(clients), secrets=secrets)
    assert (found.passed, found.detail) == (False, f"{value_from}: there is no such parameter")


@pytest.mark.parametrize(
    "name",
    ["registry/login", f"arn:aws:secretsmanager:{HERE}:{ACCOUNT}:secret:registry/login-AbCdEf"],
)
def test_the_credentials_of_a_registry_are_a_secret_by_name_or_arn(name: str) -> None:
    clients = Stubbed()
    clients.secrets.add_response("describe_secret", {"DeletedDate": RAN}, {"SecretId": name})
    login = {"credentialsParameter": name}
    (found,) = secrets_check(Dependencies(clients), repositoryCredentials=login)
    told = f"of registry {name}: it is scheduled for deletion"
    assert (found.passed, found.detail) == (False, told)


def test_an_answer_is_asked_for_once() -> None:
    clients = Stubbed()
    lookup = ImagesStored("auth", frozenset({ONE}), frozenset({"v1"}))
    ids = [{"imageDigest": ONE}, {"imageTag": "v1"}]
    images = [{"imageDigest": ONE}, {"imageDigest": OTHER, "imageTags": ["v1", "v2"]}]
    asked = {"repositoryName": "auth", "imageIds": ids, "filter": ANY_STATUS}
    clients.images.add_response("describe_images", {"imageDetails": images}, asked)
    dependencies = Dependencies(clients)
    for _ in range(2):
        answers = dependencies.answers(HOME, {lookup})
        assert answers.images[lookup] == RepositoryImages(frozenset({ONE, OTHER}), {"v1": OTHER})


def test_a_repository_that_is_gone_has_no_image() -> None:
    clients = Stubbed()
    for _ in range(4):
        clients.images.add_client_error("describe_images", "RepositoryNotFoundException")
    dependencies = Dependencies(clients)
    assert dependencies.digest_of("auth", "v1") is None
    assert dependencies.tags_like("auth", "v1") == []
    pushed = TagPushed("auth", "v1")
    assert dependencies.answers(HOME, {pushed}).pushed == {pushed: None}
    stored = ImagesStored("auth", frozenset({ONE}))
    assert dependencies.answers(HOME, {stored}).images[stored] == RepositoryImages()


def test_a_tag_tells_its_digest_and_when_it_was_pushed() -> None:
    clients = Stubbed()
    found = {"imageDetails": [{"imageDigest": ONE, "imageTags": ["v1"]}]}
    clients.images.add_response("describe_images", found)
    asked = {"repositoryName": "auth", "imageIds": [{"imageTag": "v1"}]}
    details = {"imageDetails": [{"imagePushedAt": RAN}]}
    clients.images.add_response("describe_images", details, asked)
    dependencies = Dependencies(clients)
    assert dependencies.digest_of("auth", "v1") == ONE
    pushed = TagPushed("auth", "v1")
    assert dependencies.answers(HOME, {pushed}).pushed[pushed] == RAN


def images_of(clients: Stubbed, *digests: str, tags: tuple[str, ...] = ()) -> RepositoryImages:
    """What is answered about some images of one repository."""
    lookup = ImagesStored("auth", frozenset(digests), frozenset(tags))
    return Dependencies(clients).answers(HOME, {lookup}).images[lookup]


@pytest.mark.parametrize("status", ["ARCHIVED", "ACTIVATING"])
def test_an_image_that_is_archived_is_there_and_cannot_be_pulled(status: str) -> None:
    clients = Stubbed()
    details = [{"imageDigest": ONE, "imageStatus": status}]
    clients.images.add_response("describe_images", {"imageDetails": details})
    assert images_of(clients, ONE).inactive == {ONE: status}


@pytest.mark.parametrize(
    ("code", "unknown"),
    [
        ("ImageNotFound", {}),
        ("UpstreamUnavailable", {OTHER: "UpstreamUnavailable"}),
        ("UpstreamTooManyRequests", {OTHER: "UpstreamTooManyRequests"}),
        ("KmsError", {OTHER: "KmsError"}),
        ("ImageInaccessible", {OTHER: "ImageInaccessible"}),
        ("of the future", {OTHER: "of the future"}),
    ],
)
def test_only_an_image_that_is_not_found_is_absent(code: str, unknown: dict[str, str]) -> None:
    clients = Stubbed()
    clients.images.add_client_error("describe_images", "ImageNotFoundException")
    failure = {"imageId": {"imageDigest": OTHER}, "failureCode": code}
    answer = {"images": [{"imageId": {"imageDigest": ONE}}], "failures": [failure]}
    clients.images.add_response("batch_get_image", answer)
    details = [{"imageDigest": ONE, "imageStatus": "ARCHIVED"}]
    clients.images.add_response("describe_images", {"imageDetails": details})
    found = images_of(clients, ONE, OTHER)
    assert found == RepositoryImages(frozenset({ONE}), {}, {ONE: "ARCHIVED"}, unknown)


@pytest.mark.parametrize(
    "code",
    ["AccessDeniedException", "InvalidParameterException", "KmsException", "of the future"],
)
def test_what_ecr_refuses_to_tell_is_not_known(code: str) -> None:
    clients = Stubbed()
    clients.images.add_client_error("describe_images", code, "not yours")
    found = images_of(clients, ONE)
    assert found.unknown_of(ONE) == f"{code}: not yours"
    assert found.digests == frozenset()


def test_a_failure_of_ecr_itself_is_no_answer() -> None:
    clients = Stubbed()
    clients.images.add_client_error("describe_images", "ServerException", http_status_code=500)
    with pytest.raises(ClientError, match="ServerException"):
        images_of(clients, ONE)


def test_of_the_tags_the_nearest_are_told() -> None:
    clients = Stubbed()
    details = [{"imageTags": ["v1", "v2"]}, {"imageTags": ["v3", "v4", "v5", "latest"]}, {}]
    clients.images.add_response("describe_images", {"imageDetails": details})
    assert Dependencies(clients).tags_like("auth", "v9") == ["v1", "v2", "v3", "v4", "v5"]


NOT_ALLOWED = DependencyStatus(unknown="GetRole is not allowed", denied=True)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("NoSuchEntity", DependencyStatus("there is no such role")),
        ("AccessDenied", NOT_ALLOWED),
        (
            "InvalidInput",
            DependencyStatus(unknown="GetRole tells nothing of it: InvalidInput: not so"),
        ),
    ],
)
def test_a_role_that_is_gone_is_wrong_and_one_that_nobody_tells_of_is_not_known(
    code: str, status: DependencyStatus
) -> None:
    clients = Stubbed()
    asked = {"RoleName": "auth-task"}
    clients.roles.add_client_error("get_role", code, "not so", expected_params=asked)
    role = RoleLookup(f"arn:aws:iam::{ACCOUNT}:role/service/auth-task")
    answers = Dependencies(clients).answers(HOME, {role})
    assert answers.roles == {role: status}


def test_what_running_tasks_were_given_is_told_by_name() -> None:
    container = {
        "name": "app",
        "image": "nginx",
        "secrets": [
            {"name": "KEY", "valueFrom": "/auth/key"},
            {"name": "TOKEN", "valueFrom": secret_arn("us-east-1")},
        ],
        "repositoryCredentials": {"credentialsParameter": "login"},
    }
    definition = Definition(ARN, "ACTIVE", {"containerDefinitions": [container]})
    dependencies = vault({"LastChangedDate": CHANGED}, parameters=())
    assert dependencies.secrets_of(SERVICE_ARN, definition) == (
        Secret("/auth/key", None, "there is no such parameter"),
        Secret(secret_arn("us-east-1"), None, f"it is in {ACCOUNT}, us-east-1"),
        Secret("login", CHANGED, None),
    )


def test_a_name_alone_and_one_of_a_registry_are_two_lookups() -> None:
    assert SecretLookup("login") != SecretLookup("login", of_registry=True)


CURRENT, PREVIOUS, BARE, DELETED = (letter * 32 for letter in "abcd")


@pytest.mark.parametrize(
    ("suffix", "passed", "detail"),
    [
        pytest.param("", True, "1 found", id="the current one"),
        pytest.param(":::", True, "1 found", id="the current one, spelled out"),
        pytest.param(":key:AWSPREVIOUS:", True, "1 found", id="a stage"),
        pytest.param(":key:blue:", False, "it has no version blue", id="a stage that none has"),
        pytest.param(f":key::{CURRENT}", True, "1 found", id="an id that has a stage"),
        pytest.param(f":::{BARE}", True, "1 found", id="an id that is there without a stage"),
        pytest.param(
            f":::{DELETED}", False, f"it has no version {DELETED}", id="an id that is gone"
        ),
        pytest.param(f"::AWSCURRENT:{CURRENT}", True, "1 found", id="an id with its stage"),
        pytest.param(
            f"::AWSPREVIOUS:{CURRENT}",
            False,
            f"{CURRENT} is not AWSPREVIOUS",
            id="an id with another stage",
        ),
    ],
)
def test_the_version_of_a_secret_that_is_named_is_there(
    suffix: str, *, passed: bool, detail: str
) -> None:
    """One has lost its stages, and one is deleted."""
    clients = Stubbed()
    stages = {CURRENT: ["AWSCURRENT"], PREVIOUS: ["AWSPREVIOUS"]}
    asked = {"SecretId": secret_arn()}
    clients.secrets.add_response("describe_secret", {"VersionIdsToStages": stages}, asked)
    asked_for_all = {**asked, "IncludeDeprecated": True}
    first = {"Versions": [{"VersionId": CURRENT}], "NextToken": "more"}
    clients.secrets.add_response("list_secret_version_ids", first, asked_for_all)
    more = {**asked_for_all, "NextToken": "more"}
    last = {"Versions": [{"VersionId": BARE}]}
    clients.secrets.add_response("list_secret_version_ids", last, more)
    secrets = [{"name": "TOKEN", "valueFrom": secret_arn(suffix=suffix)}]
    (found,) = secrets_check(Dependencies(clients), secrets=secrets)
    assert found.passed is passed, found.detail
    assert detail in found.detail


def test_a_secret_without_a_value_has_no_current_version() -> None:
    clients = Stubbed()
    clients.secrets.add_response("describe_secret", {"VersionIdsToStages": {}})
    secrets = [{"name": "TOKEN", "valueFrom": secret_arn()}]
    (found,) = secrets_check(Dependencies(clients), secrets=secrets)
    assert (found.passed, found.detail.rpartition(": ")[2]) == (
        False,
        "it has no version AWSCURRENT",
    )


@pytest.mark.parametrize(
    ("selector", "passed", "detail"),
    [
        ("", True, "1 found"),
        (":250", True, "1 found"),
        (":151", True, "1 found"),
        (":150", False, "it has no version 150"),
        (":251", False, "it has no version 251"),
        (":blue", None, "which version is labelled blue is not told"),
    ],
)
def test_the_version_of_a_parameter_that_is_named_is_there(
    selector: str, *, passed: bool | None, detail: str
) -> None:
    clients = Stubbed()
    clients.parameters.add_response("describe_parameters", {"Parameters": [{"Version": 250}]})
    secrets = [{"name": "TOKEN", "valueFrom": f"/auth/key{selector}"}]
    (found,) = secrets_check(Dependencies(clients), secrets=secrets)
    assert found.passed is passed
    assert detail in found.detail


def test_a_parameter_of_aws_itself_is_not_listed_and_fails_nobody() -> None:
    name = "/aws/reference/secretsmanager/token"
    secrets = [{"name": "TOKEN", "valueFrom": name}]
    (found,) = secrets_check(Dependencies(Stubbed()), secrets=secrets)
    assert found.passed is None


def test_credentials_of_windows_file_servers_and_domains_are_looked_for() -> None:
    file_server = {"authorizationConfig": {"credentialsParameter": secret_arn(), "domain": "d"}}
    spec = f"arn:aws:ssm:{HERE}:{ACCOUNT}:parameter/domain"
    container = {"name": "app", "credentialSpecs": [f"credentialspecdomainless:{spec}"]}
    volume = {"name": "share", "fsxWindowsFileServerVolumeConfiguration": file_server}
    content = {"containerDefinitions": [container], "volumes": [volume]}
    assert Definition(ARN, "ACTIVE", content).secrets == (secret_arn(), spec)


def test_of_a_thousand_secrets_that_are_gone_a_few_are_named() -> None:
    secrets = [{"name": f"N{n}", "valueFrom": f"/gone/{n:04}"} for n in range(1000)]
    found = secrets_check(vault(), secrets=secrets)
    assert [check.passed for check in found] == [False] * 6
    assert found[-1].detail == "995 more"
