"""Could a candidate run now? Decided on what was answered, without asking anybody."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from autorollback.decision import preflight
from autorollback.decision.checks import CHECKS
from autorollback.decision.checks.definition_usable import reasons_to_restore
from autorollback.decision.checks.dependencies import findings
from autorollback.decision.definition import Definition
from autorollback.decision.facts import Controller, Revision, Service
from autorollback.decision.image_reference import Image, own_image, parse_image
from autorollback.decision.lookups import (
    Answers,
    DependencyStatus,
    ImagesStored,
    RepositoryImages,
    RoleLookup,
    SecretLookup,
    TagPushed,
)
from autorollback.decision.preflight_case import PreflightCase, PreflightTarget
from autorollback.decision.verdicts import Candidate, CandidateVerdict, Check, CheckName
from autorollback.naming import Home
from autorollback.policy import Policy

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/auth:18"
NEWER = ARN.replace("18", "19")
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
RAN, OTHER = (f"sha256:{letter * 64}" for letter in "ab")
CAME = datetime(2026, 3, 2, tzinfo=UTC)
LATER = datetime(2026, 3, 5, tzinfo=UTC)


def container(image: str = f"nginx@{RAN}", **more: Any) -> dict[str, Any]:
    return {"family": "auth", "containerDefinitions": [{"name": "app", "image": image} | more]}


def service(definition: str = NEWER, **more: Any) -> Service:
    arn = "arn:aws:ecs:eu-west-1:123456789012:service/my-cluster/auth"
    told = {"controller": Controller.ECS, **more}
    return Service(arn, True, "ACTIVE", 4, 4, task_definition=definition, **told)


def revision(
    arn: str, images: Mapping[str, str | None], content: Definition, **settings: str
) -> Revision:
    identity = content.identity(images)
    return Revision(arn, content.name, content.arn, CAME, images, identity, settings)


def case(
    target: PreflightTarget,
    running: Definition,
    *,
    whole: bool = False,
    answers: Answers | None = None,
    families: tuple[str, ...] = ("auth*",),
) -> PreflightCase:
    policy = Policy(families=families, task_roles=("auth-*",))
    return PreflightCase(target, running, CAME, whole, answers or Answers(), policy)


def named(check: CheckName, checks: tuple[Check, ...]) -> list[Check]:
    return [found for found in checks if found.name is check]


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
    definition = Definition(ARN, status, container(image))
    ran_here = Revision("revision", "auth:18", ARN, CAME, {"app": ran})
    target = PreflightTarget.of(service(), ran_here, definition)
    parsed = parse_image(image)
    tags = {parsed.tag: tag_now} if parsed and parsed.tag and tag_now else {}
    stored = dict.fromkeys(target.images_stored.values(), RepositoryImages(frozenset(), tags))
    found = reasons_to_restore(target, Answers(images=stored))
    assert len(found) == len(why)
    assert all(part in text for part, text in zip(why, found, strict=True))


@pytest.mark.parametrize(
    ("reference", "parsed"),
    [
        (f"{ECR}/team/auth:v1", Image("123456789012", "eu-west-1", "team/auth", "v1", None)),
        (f"{ECR}/auth:v1@{RAN}", Image("123456789012", "eu-west-1", "auth", "v1", RAN)),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/auth", Image("123456789012", "cn-north-1", "auth", "latest", None)),
        ("123456789012.dkr-ecr.eu-west-1.on.aws/auth:v1", Image("123456789012", "eu-west-1", "auth", "v1", None)),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/auth:v1", Image("123456789012", "us-east-1", "auth", "v1", None)),
        ("123456789012.dkr-ecr-fips.us-east-1.on.aws/auth:v1", Image("123456789012", "us-east-1", "auth", "v1", None)),
        (f"{ECR}/auth@{RAN}", Image("123456789012", "eu-west-1", "auth", None, RAN)),
        ("public.ecr.aws/nginx/nginx:1", None),
        ("nginx", None),
    ],
)  # fmt: skip
def test_an_image_of_ecr_is_taken_apart_and_no_other(reference: str, parsed: Image | None) -> None:
    assert parse_image(reference) == parsed


def test_an_image_of_another_account_or_region_is_not_ours() -> None:
    image = f"{ECR}/auth:v1"
    assert own_image(image, Home("123456789012", "eu-west-1")) == parse_image(image)
    assert own_image(image, Home("123456789012", "us-east-1")) is None
    assert own_image(image, Home("999999999999", "eu-west-1")) is None


def test_what_two_checks_share_is_needed_once() -> None:
    more = {
        "secrets": [{"name": "KEY", "valueFrom": "/auth/key"}],
        "repositoryCredentials": {"credentialsParameter": "login"},
    }
    roles = {"taskRoleArn": "task", "executionRoleArn": "execution"}
    definition = Definition(ARN, "ACTIVE", {**container(f"{ECR}/auth:v1", **more), **roles})
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, definition), definition)
    assert preflight.needed(target) == {
        ImagesStored("auth", frozenset({RAN}), frozenset({"v1"})),
        SecretLookup("/auth/key"),
        SecretLookup("login", of_registry=True),
        RoleLookup("task"),
        RoleLookup("execution"),
    }
    assert preflight.needed_when_forced(target) == {
        ImagesStored("auth", frozenset({RAN}), frozenset({"v1"}))
    }


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("arn:aws:iam::123456789012:role/service/auth-task", "service/auth-task"),
        ("auth-task", "auth-task"),
    ],
    ids=["by ARN", "by name"],
)
def test_a_role_is_known_by_its_name_with_its_path(given: str, path: str) -> None:
    assert RoleLookup(given).path == path


@pytest.mark.parametrize(
    ("pushed", "passed"),
    [
        pytest.param(LATER, False, id="pushed over since"),
        pytest.param(CAME, True, id="pushed before it came"),
        pytest.param(None, True, id="nobody knows when"),
    ],
)
def test_with_codedeploy_a_tag_that_was_pushed_over_is_no_target(
    pushed: datetime | None, *, passed: bool
) -> None:
    definition = Definition(ARN, "ACTIVE", container(f"{ECR}/auth:v1"))
    by_code_deploy = service(controller=Controller.CODE_DEPLOY)
    ran = revision("r", {"app": None}, definition)
    target = PreflightTarget.of(by_code_deploy, ran, definition)
    asked = TagPushed("auth", "v1")
    assert asked in preflight.needed(target)
    by_ecs = PreflightTarget.of(service(), ran, definition)
    assert asked not in preflight.needed(by_ecs), "ECS records digests"
    stored = {ImagesStored("auth", tags=frozenset({"v1"})): RepositoryImages(tags={"v1": OTHER})}
    answers = Answers(images=stored, pushed={asked: pushed})
    checks = preflight.checks(case(target, definition, answers=answers))
    (found,) = named(CheckName.IMAGE_PRESENT, checks)
    assert found.passed is passed
    assert ("what ran cannot be told" in found.detail) is not passed


@pytest.mark.parametrize(
    ("image", "ran", "passed", "detail"),
    [
        pytest.param(f"{ECR}/auth:v1", RAN, True, f"app: auth@{RAN} is in ECR", id="there"),
        pytest.param(
            f"{ECR}/auth:v1", OTHER, False, f"app: auth@{OTHER} is not in ECR", id="expired"
        ),
        pytest.param(
            f"{ECR}/auth:v1",
            None,
            True,
            "app: auth:v1 (no digest was recorded) is in ECR",
            id="by its tag",
        ),
        pytest.param(
            f"{ECR}/auth:v2",
            None,
            False,
            "app: auth:v2 (no digest was recorded) is not in ECR",
            id="by a tag that is gone",
        ),
        pytest.param(
            "nginx:1",
            RAN,
            None,
            "app: nginx:1 is not in this registry, not checked",
            id="elsewhere",
        ),
    ],
)
def test_an_image_is_looked_for_by_what_ran(
    image: str, ran: str | None, *, passed: bool | None, detail: str
) -> None:
    definition = Definition(ARN, "ACTIVE", container(image))
    target = PreflightTarget.of(service(), revision("r", {"app": ran}, definition), definition)
    have = RepositoryImages(frozenset({RAN}), {"v1": RAN})
    answers = Answers(images=dict.fromkeys(target.images_stored.values(), have))
    checks = preflight.checks(case(target, definition, answers=answers))
    assert named(CheckName.IMAGE_PRESENT, checks) == [
        Check(CheckName.IMAGE_PRESENT, passed, detail)
    ]


def test_a_definition_that_is_deployed_already_brings_back_other_images_only_as_a_copy() -> None:
    """UpdateService with it would start nothing, and a deployment is never forced."""
    definition = Definition(ARN, "ACTIVE", container("nginx:latest"))
    ran = revision("before", {"app": None}, definition)
    runs = revision("now", {"app": OTHER}, definition)
    target = PreflightTarget.of(service(ARN), ran, definition, runs)
    (usable,) = named(CheckName.DEFINITION_USABLE, preflight.checks(case(target, definition)))
    assert (usable.passed, usable.needs_copy) == (True, True)
    itself = PreflightTarget.of(service(ARN), ran, definition, ran)
    (usable,) = named(CheckName.DEFINITION_USABLE, preflight.checks(case(itself, definition)))
    assert not usable.needs_copy, "what runs now, asked about by the readiness audit"


def test_what_is_wrong_with_the_definition_itself_is_told_first() -> None:
    definition = Definition(ARN, "INACTIVE", container("nginx:latest"))
    ran, runs = (revision(arn, {"app": arn}, definition) for arn in ("before", "now"))
    target = PreflightTarget.of(service(ARN), ran, definition, runs)
    (usable,) = named(CheckName.DEFINITION_USABLE, preflight.checks(case(target, definition)))
    assert usable.detail.startswith("auth:18 is INACTIVE; app: whether nginx:latest still means")
    assert "is deployed already" not in usable.detail


@pytest.mark.parametrize(
    ("changed", "ran_until", "told"),
    [
        pytest.param(LATER, CAME, ("/auth/key",), id="after it last ran"),
        pytest.param(CAME, CAME, (), id="when it last ran"),
        pytest.param(LATER, None, (), id="nobody knows when it last ran"),
        pytest.param(None, CAME, (), id="nobody knows when it changed"),
    ],
)
def test_secrets_that_changed_since_a_candidate_last_ran_are_told(
    changed: datetime | None, ran_until: datetime | None, told: tuple[str, ...]
) -> None:
    statuses = {"/auth/key": DependencyStatus(changed_at=changed), "/auth/salt": DependencyStatus()}
    (found,) = findings(CheckName.SECRETS_PRESENT, statuses, ran_until)
    assert (found.passed, found.changed_since_run) == (True, told)
    when = "; /auth/key changed at 2026-03-05 00:00:00Z, after it last ran" if told else ""
    assert found.detail == f"2 found{when}"


def test_what_is_wrong_or_could_not_be_looked_for_is_told_by_name() -> None:
    gone, unasked = DependencyStatus(wrong="is gone"), DependencyStatus(unknown="not allowed")
    fine = DependencyStatus()
    roles = CheckName.ROLES_PRESENT

    def told(**statuses: DependencyStatus) -> list[tuple[bool | None, str]]:
        return [(one.passed, one.detail) for one in findings(roles, statuses, None)]

    assert told() == [(True, "none needed")]
    assert told(a=fine, b=fine) == [(True, "2 found")]
    assert told(b=unasked) == [(None, "b: not allowed, not checked")]
    assert told(a=fine, b=unasked) == [(None, "b: not allowed, not checked"), (True, "1 found")]
    assert told(c=gone, a=fine, b=unasked) == [
        (None, "b: not allowed, not checked"),
        (False, "c: is gone"),
    ]


def test_what_ecs_restores_as_a_whole_needs_neither_a_copy_nor_the_settings_of_now() -> None:
    """The deployment in progress moved the load balancer; its source has the port of before."""
    mappings = [{"containerPort": 8080}]
    unknown = ("fromTheFuture",)
    old = Definition(ARN, "INACTIVE", container(portMappings=[]), unknown_fields=unknown)
    running = Definition(NEWER, "ACTIVE", container(portMappings=mappings))
    moved = service(ports=(("app", 8080),))
    target = PreflightTarget.of(moved, revision("before", {"app": RAN}, old), old)
    found = preflight.checks(case(target, running))
    failed = {check.name for check in found if check.passed is False}
    assert failed == {CheckName.DEFINITION_USABLE, CheckName.SETTINGS_MATCH}
    whole = preflight.checks(case(target, running, whole=True))
    assert all(check.passed is not False for check in whole)
    assert any(check.needs_copy for check in whole), (
        "if ECS cannot any more, its definition alone would not bring it back"
    )


def test_force_skips_what_could_refuse_and_still_tells_of_a_copy() -> None:
    lost = Definition(ARN, "INACTIVE", container(), unknown_fields=("fromTheFuture",))
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, lost), lost)
    skipped, usable = preflight.checks_when_forced(target, Answers())
    assert skipped == preflight.SKIPPED
    assert (usable.passed, usable.needs_copy) == (None, True)
    kept = Definition(ARN, "ACTIVE", container())
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, kept), kept)
    _, usable = preflight.checks_when_forced(target, Answers())
    assert (usable.passed, usable.needs_copy) == (True, False)


def test_a_candidate_that_fails_a_check_is_passed_over_and_says_why() -> None:
    definition = Definition(ARN, "ACTIVE", container())
    stable = Candidate(revision("r", {}, definition), CandidateVerdict.STABLE, "served 6 d")
    fine = Check(CheckName.ROLES_PRESENT, passed=True, detail="1 found")
    unknown = Check(CheckName.IMAGE_PRESENT, None, "not checked")
    bad = Check(CheckName.SECRETS_PRESENT, passed=False, detail="gone")
    chosen = preflight.assessed(stable, (fine, unknown))
    assert (chosen.verdict, chosen.detail) == (CandidateVerdict.CHOSEN, "served 6 d")
    passed_over = preflight.assessed(replace(stable, checks=(unknown,)), (fine, bad))
    assert passed_over.verdict is CandidateVerdict.PASSED_OVER
    assert passed_over.detail == "secrets_present: gone"
    assert passed_over.checks == (unknown, fine, bad)


PORT = {"portMappings": [{"containerPort": 8080}]}


def plain(**more: Any) -> dict[str, Any]:
    return {"containerDefinitions": [{"name": "app", "image": "nginx", **more}]}


@pytest.mark.parametrize(
    ("wanted", "running", "settings", "passed"),
    [
        pytest.param(plain(**PORT), plain(**PORT), {}, True, id="the same"),
        pytest.param(plain(), plain(**PORT), {}, False, id="without the port of the load balancer"),
        pytest.param(
            {**plain(**PORT), "networkMode": "awsvpc"}, {}, {}, False, id="another network mode"
        ),
        pytest.param(
            plain(**PORT),
            {**plain(**PORT), "networkMode": "bridge"},
            {},
            True,
            id="bridge is what none means",
        ),
        pytest.param(
            plain(portMappings=[{"containerPortRange": "8000-8100"}]),
            plain(**PORT),
            {},
            True,
            id="with the port in a range",
        ),
        pytest.param(
            plain(**PORT), {"requiresCompatibilities": ["FARGATE"]}, {}, False, id="not for Fargate"
        ),
        pytest.param(
            {**plain(**PORT), "requiresCompatibilities": ["EC2"]},
            {"requiresCompatibilities": ["EC2", "FARGATE"]},
            {"launchType": "EC2"},
            True,
            id="not for Fargate, but the service runs on EC2",
        ),
        pytest.param(
            {**plain(**PORT), "requiresCompatibilities": ["FARGATE"]},
            {"requiresCompatibilities": ["EC2", "FARGATE"]},
            {"launchType": "EC2"},
            False,
            id="for Fargate alone, and the service runs on EC2",
        ),
        pytest.param(
            plain(**PORT),
            {"requiresCompatibilities": ["EC2"]},
            {"launchType": "EC2"},
            True,
            id="for none, on EC2",
        ),
        pytest.param(
            {**plain(**PORT), "requiresCompatibilities": ["EC2"]},
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
    definition = Definition(ARN, "ACTIVE", {"family": "auth", **wanted})
    runs = Definition(NEWER, "ACTIVE", {"family": "auth", **running})
    candidate = Revision("revision", "auth:18", ARN, CAME, {"app": None})
    now_runs = Revision("newer", "auth:19", NEWER, CAME, settings=settings)
    with_port = service(ports=(("app", 8080),))
    target = PreflightTarget.of(with_port, candidate, definition, now_runs)
    (found,) = named(CheckName.SETTINGS_MATCH, preflight.checks(case(target, runs)))
    assert found.passed is passed, found.detail


def settings_match(
    wanted: dict[str, Any], running: dict[str, Any], ecs_service: Service, **settings: str
) -> Check:
    definition, runs = Definition(ARN, "ACTIVE", wanted), Definition(NEWER, "ACTIVE", running)
    candidate = Revision("revision", "auth:18", ARN, CAME, {"app": None})
    now_runs = Revision("newer", "auth:19", NEWER, CAME, settings=settings)
    target = PreflightTarget.of(ecs_service, candidate, definition, now_runs)
    (found,) = named(CheckName.SETTINGS_MATCH, preflight.checks(case(target, runs)))
    return found


AT_LAUNCH = {"volumes": [{"name": "data", "configuredAtLaunch": True}]}


@pytest.mark.parametrize(
    ("wanted", "configured", "told"),
    [
        pytest.param(AT_LAUNCH, ("data",), None, id="both have it"),
        pytest.param({}, (), None, id="neither has one"),
        pytest.param(
            {"volumes": [{"name": "data"}]}, (), None, id="one that is no matter of launch"
        ),
        pytest.param(
            {}, ("data",), "the service configures the volume data", id="the service alone has it"
        ),
        pytest.param(
            {"volumes": [{"name": "data"}]},
            ("data",),
            "the service configures the volume data",
            id="of that name, but not configured at launch",
        ),
        pytest.param(
            AT_LAUNCH,
            (),
            "needs its volume data configured at launch",
            id="the target alone has it",
        ),
        pytest.param(AT_LAUNCH, ("other",), "the volume other", id="another name"),
    ],
)
def test_volumes_configured_at_launch_fit_in_both_directions(
    wanted: dict[str, Any], configured: tuple[str, ...], told: str | None
) -> None:
    found = settings_match(wanted, AT_LAUNCH, service(volumes=configured))
    assert found.passed is (told is None)
    assert told is None or told in found.detail


@pytest.mark.parametrize(("name", "passed"), [("http", True), ("grpc", False)])
def test_the_port_names_of_service_connect_and_vpc_lattice_are_there(
    name: str, *, passed: bool
) -> None:
    wanted = plain(portMappings=[{"containerPort": 8080, "name": "http"}])
    found = settings_match(wanted, {}, service(port_names=(name,)))
    assert found.passed is passed


ARM = {"runtimePlatform": {"cpuArchitecture": "ARM64"}}
X86 = {"runtimePlatform": {"cpuArchitecture": "X86_64"}}


@pytest.mark.parametrize(
    ("wanted", "running", "settings", "passed"),
    [
        pytest.param(ARM, X86, {"launchType": "FARGATE"}, True, id="on Fargate never"),
        pytest.param(
            ARM,
            X86,
            {"capacityProviderStrategy": '[{"capacityProvider":"FARGATE_SPOT"}]'},
            True,
            id="on Fargate by its capacity provider neither",
        ),
        pytest.param(ARM, X86, {"launchType": "EC2"}, False, id="on EC2"),
        pytest.param(
            ARM,
            X86,
            {"capacityProviderStrategy": '[{"capacityProvider":"own"}]'},
            False,
            id="on instances of one's own",
        ),
        pytest.param(ARM, ARM, {"launchType": "EC2"}, True, id="the same"),
        pytest.param({}, ARM, {"launchType": "EC2"}, True, id="one that names none"),
    ],
)
def test_another_processor_fails_on_instances_of_ones_own_alone(
    wanted: dict[str, Any], running: dict[str, Any], settings: dict[str, str], *, passed: bool
) -> None:
    fargate = {"requiresCompatibilities": ["EC2", "FARGATE"]}
    found = settings_match({**wanted, **fargate}, {**running, **fargate}, service(), **settings)
    assert found.passed is passed, found.detail


def test_what_nobody_looks_for_is_named() -> None:
    container = {
        "name": "app",
        "image": "nginx",
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/auth"}},
        "environmentFiles": [{"value": "arn:aws:s3:::files/auth.env", "type": "s3"}],
    }
    volume = {"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}
    content = {"containerDefinitions": [container], "volumes": [volume]}
    definition = Definition(ARN, "ACTIVE", content)
    target = PreflightTarget.of(service(), revision("r", {}, definition), definition)
    (found,) = named(CheckName.NEEDS, preflight.checks(case(target, definition)))
    assert found.passed is None
    assert found.detail == (
        "not checked: log group /ecs/auth, environment file arn:aws:s3:::files/auth.env, "
        "EFS file system fs-1"
    )
    options = container["logConfiguration"]["options"]  # type: ignore[index] # a nested literal
    options["awslogs-create-group"] = "true"
    (found,) = named(CheckName.NEEDS, preflight.checks(case(target, definition)))
    assert "log group" not in found.detail
    container["environmentFiles"] = [{"value": f"f{n}"} for n in range(20)]
    (found,) = named(CheckName.NEEDS, preflight.checks(case(target, definition)))
    assert found.detail.count("environment file") == 8
    assert found.detail.endswith(", 13 more")
    del container["environmentFiles"]
    options.clear()
    (found,) = named(CheckName.NEEDS, preflight.checks(case(target, definition)))
    assert "log group" not in found.detail, "none is named"


@pytest.mark.parametrize(
    ("stored", "passed", "told"),
    [
        pytest.param(RepositoryImages(), False, "is not in ECR", id="absent"),
        pytest.param(
            RepositoryImages(frozenset({RAN}), {}, {RAN: "ARCHIVED"}),
            False,
            "is ARCHIVED in ECR: it cannot be pulled",
            id="archived",
        ),
        pytest.param(
            RepositoryImages(unknown={RAN: "UpstreamUnavailable"}),
            None,
            "not known whether it is in ECR (UpstreamUnavailable)",
            id="not known",
        ),
        pytest.param(RepositoryImages(frozenset({RAN})), True, "is in ECR", id="there"),
    ],
)
def test_absent_there_and_not_known_are_three_answers(
    stored: RepositoryImages, *, passed: bool | None, told: str
) -> None:
    definition = Definition(ARN, "ACTIVE", container(image=f"{ECR}/auth@{RAN}"))
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, definition), definition)
    (lookup,) = target.images_stored.values()
    answers = Answers(images={lookup: stored})
    found = preflight.checks(case(target, definition, answers=answers))
    (image,) = named(CheckName.IMAGE_PRESENT, found)
    assert image.passed is passed
    assert told in image.detail


def test_other_settings_of_the_service_are_named_and_fail_nobody() -> None:
    definition = Definition(ARN, "ACTIVE", container())
    ran = revision("r", {"app": RAN}, definition, subnets="a", platformVersion="1.4.0")
    runs = revision("now", {"app": RAN}, definition, subnets="b", platformVersion="1.4.0")
    target = PreflightTarget.of(service(), ran, definition, runs)
    (found,) = named(CheckName.SETTINGS_MATCH, preflight.checks(case(target, definition)))
    assert found.passed is True
    assert found.detail.endswith("which stay as they are now: subnets")


@pytest.mark.parametrize(
    ("then", "now"),
    [
        pytest.param({}, {"subnets": "b"}, id="which it ran under"),
        pytest.param({"subnets": "a"}, {}, id="which stand now"),
    ],
)
def test_of_settings_that_nobody_recorded_no_difference_is_told(
    then: dict[str, str], now: dict[str, str]
) -> None:
    definition = Definition(ARN, "ACTIVE", container())
    ran = revision("r", {"app": RAN}, definition, **then)
    runs = revision("now", {"app": RAN}, definition, **now)
    target = PreflightTarget.of(service(), ran, definition, runs)
    (found,) = named(CheckName.SETTINGS_MATCH, preflight.checks(case(target, definition)))
    assert found.detail == "ports, volumes, network mode and platform fit the service"


@pytest.mark.parametrize("whole", [False, True], ids=["deployed", "restored by ECS"])
@pytest.mark.parametrize(
    ("families", "passed"),
    [
        pytest.param(("auth",), True, id="by its name"),
        pytest.param(("billing", "au?h*"), True, id="by a pattern among others"),
        pytest.param(("auth-*",), False, id="by a pattern that needs more"),
        pytest.param(("AUTH",), False, id="in other letters"),
        pytest.param(("billing",), False, id="another"),
    ],
)
def test_only_a_family_that_the_configuration_names_may_be_gone_back_to(
    families: tuple[str, ...],
    *,
    passed: bool,
    whole: bool,
) -> None:
    """A stop by ECS needs no right in it, but what follows where it comes too late does."""
    definition = Definition(ARN, "ACTIVE", container())
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, definition), definition)
    asked = case(target, definition, whole=whole, families=families)
    (found,) = named(CheckName.FAMILY_GRANTED, preflight.checks(asked))
    assert found.passed is passed
    if not passed:
        named_so = f"auth is none of those under families in services.yaml ({families[0]})"
        assert found.detail == named_so


def test_the_findings_stand_in_the_order_of_the_checks() -> None:
    definition = Definition(ARN, "ACTIVE", container())
    target = PreflightTarget.of(service(), revision("r", {"app": RAN}, definition), definition)
    names = [check.name for check in preflight.checks(case(target, definition))]
    assert names == [check.name for check in CHECKS if check.name is not CheckName.NEEDS]
