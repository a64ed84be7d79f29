"""What a copy of a task definition carries: everything that the API takes, by botocore's model and not by a list of ours."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.stub import Stubber

from autorollback.aws.clients import Clients
from autorollback.aws.definitions import (
    RESTORED_TAG,
    CannotBeRestored,
    Definitions,
    tags_of_copy,
    unknown_fields,
)
from autorollback.decision.definition import Definition, is_irreversible, without_version
from tests.fakes.sessions import model, session

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/auth:18"
DIGEST = f"sha256:{'a' * 64}"
ONLY_DESCRIBED = {
    "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt", "registeredBy",
    "deregisteredAt", "deleteRequestedAt",
}  # fmt: skip


def sample(shape: Shape, path: tuple[str, ...] = ()) -> Any:
    """A value with every member of a shape, so that nothing of the model is missed; a recursive shape is cut."""
    if shape.name in path:
        return None
    if isinstance(shape, StructureShape):
        members = {
            name: sample(member, (*path, shape.name)) for name, member in shape.members.items()
        }
        return {name: value for name, value in members.items() if value is not None}
    if isinstance(shape, ListShape):
        return [sample(shape.member, (*path, shape.name))]
    if isinstance(shape, MapShape):
        return {"key": sample(shape.value, (*path, shape.name))}
    if enum := getattr(shape, "enum", None):
        return enum[0]
    return {
        "boolean": True,
        "integer": 7,
        "long": 7,
        "double": 7.0,
        "float": 7.0,
        "timestamp": 1.7e9,
    }.get(shape.type_name, "text")


class Described(Clients):
    """Clients whose ECS answers DescribeTaskDefinition as told, and refuses or takes what is registered."""

    def __init__(self) -> None:
        super().__init__(session())
        self.stub = Stubber(self.ecs)
        self.raw: dict[str, Any] = {}
        self.stub.activate()

    @property
    def ecs_unretried(self) -> Any:
        return self.ecs

    def answers(self, definition: dict[str, Any], tags: list[dict[str, str]] | None = None) -> None:
        self.raw = definition
        self.stub.add_response(
            "describe_task_definition", {"taskDefinition": definition, "tags": tags or []}
        )

    def raw_answer(self) -> dict[str, Any]:
        return {"taskDefinition": self.raw}


def test_every_member_that_can_be_registered_is_carried_and_every_other_dropped() -> None:
    clients = Described()
    described = sample(model("ecs").shape_for("TaskDefinition"))
    described |= {"taskDefinitionArn": ARN, "status": "INACTIVE"}
    clients.answers(described)
    content = Definitions(clients).describe(ARN).content
    register = model("ecs").operation_model("RegisterTaskDefinition").input_shape
    assert register
    takes = set(register.members)
    assert set(content) == takes - {"tags"}
    assert set(described) - set(content) == ONLY_DESCRIBED
    assert {name: described[name] for name in content} == dict(content)


def test_what_is_registered_differs_from_what_was_described_in_the_images_alone() -> None:
    clients = Described()
    described = sample(model("ecs").shape_for("TaskDefinition")) | {
        "taskDefinitionArn": ARN,
        "status": "INACTIVE",
        "family": "auth",
    }
    (container,) = described["containerDefinitions"]
    container |= {"name": "app", "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/auth:v18"}
    clients.answers(
        described,
        [{"key": "team", "value": "auth"}, {"key": "aws:cloudformation:stack-name", "value": "x"}],
    )
    definitions = Definitions(clients)
    original = definitions.describe(ARN)
    clients.stub.add_client_error(
        "describe_task_definition", "ClientException", "Unable to describe task definition."
    )
    wanted = {name: described[name] for name in original.content}
    image = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/auth@{DIGEST}"
    wanted["containerDefinitions"] = [container | {"image": image}]
    tags = [{"key": "team", "value": "auth"}, {"key": RESTORED_TAG, "value": ARN}]
    copy = ARN.replace(":18", ":20")
    clients.stub.add_response(
        "register_task_definition",
        {"taskDefinition": {"taskDefinitionArn": copy, "status": "ACTIVE"}},
        wanted | {"tags": tags},
    )
    assert definitions.restore(original, {"app": DIGEST}).arn == copy
    clients.stub.assert_no_pending_responses()


def test_a_copy_described_in_another_order_is_still_the_same() -> None:
    clients = Described()
    variables = [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
    content = {
        "family": "auth",
        "containerDefinitions": [{"name": "app", "image": "auth:v18", "environment": variables}],
    }
    original = Definition(ARN, "INACTIVE", content)
    copied = original.pinned({"app": DIGEST})
    (container,) = copied["containerDefinitions"]
    shuffled = copied | {"containerDefinitions": [container | {"environment": variables[::-1]}]}
    copy = ARN.replace(":18", ":20")
    clients.answers(
        shuffled | {"taskDefinitionArn": copy, "status": "ACTIVE"},
        [{"key": RESTORED_TAG, "value": ARN}],
    )
    assert Definitions(clients).restore(original, {"app": DIGEST}).arn == copy


@pytest.mark.parametrize(("status", "used"), [("ACTIVE", True), ("INACTIVE", False)])
def test_a_copy_that_ran_here_is_used_again_though_the_family_went_on(
    status: str,
    used: bool,  # noqa: FBT001 - a table
) -> None:
    clients = Described()
    content = {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:v18"}]}
    original, copy = Definition(ARN, "INACTIVE", content), ARN.replace(":18", ":20")
    clients.answers(content | {"taskDefinitionArn": ARN.replace(":18", ":21"), "status": "ACTIVE"})
    copied = original.pinned({"app": DIGEST}) | {"taskDefinitionArn": copy, "status": status}
    clients.answers(copied, [{"key": RESTORED_TAG, "value": ARN}])
    found = Definitions(clients).copy_of(original, {"app": DIGEST}, [copy])
    assert (found is not None and found.arn == copy) is used


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"command": ["serve", "--slow"]}, id="another command"),
        pytest.param({"image": f"auth@sha256:{'b' * 64}"}, id="another digest"),
    ],
)
def test_a_copy_with_other_content_is_not_used_again(changed: dict[str, Any]) -> None:
    clients = Described()
    original = Definition(
        ARN,
        "INACTIVE",
        {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:v18"}]},
    )
    (container,) = original.pinned({"app": DIGEST})["containerDefinitions"]
    other = {
        "family": "auth",
        "containerDefinitions": [container | changed],
        "taskDefinitionArn": f"{ARN}9",
        "status": "ACTIVE",
    }
    clients.answers(other, [{"key": RESTORED_TAG, "value": ARN}])
    assert Definitions(clients).copy_of(original, {"app": DIGEST}) is None


OWN = {
    "auto-rollback:restored-from": "an older one",
    "auto-rollback:deployed-for": "an incident",
    "auto-rollback:irreversible": "true",
}


def tagged(number: int, **more: str) -> Definition:
    tags = {f"team-{index}": "shop" for index in range(number)} | more
    return Definition(ARN, "INACTIVE", {"family": "auth", "containerDefinitions": []}, tags)


@pytest.mark.parametrize(
    ("number", "sent", "restored_from"),
    [
        pytest.param(0, 1, True, id="none"),
        pytest.param(49, 50, True, id="one is free"),
        pytest.param(50, 50, False, id="the limit: restored-from gives way"),
    ],
)
def test_a_copy_has_no_more_tags_than_aws_takes(
    number: int, sent: int, *, restored_from: bool
) -> None:
    tags = tags_of_copy(tagged(number))
    assert len(tags) == sent
    assert (tags.get(RESTORED_TAG) == ARN) is restored_from


def test_this_controllers_tags_are_not_carried_on_but_that_a_change_is_irreversible() -> None:
    assert tags_of_copy(tagged(1, **OWN)) == {
        "team-0": "shop",
        "auto-rollback:irreversible": "true",
        RESTORED_TAG: ARN,
    }


def test_a_copy_that_had_no_room_for_its_tag_is_found_again() -> None:
    clients = Described()
    original = Definition(
        ARN,
        "INACTIVE",
        {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:v18"}]},
        tagged(50).tags,
    )
    copied = original.pinned({"app": DIGEST}) | {"taskDefinitionArn": f"{ARN}9", "status": "ACTIVE"}
    listed = [{"key": key, "value": value} for key, value in original.tags.items()]
    clients.answers(copied, listed)
    found = Definitions(clients).copy_of(original, {"app": DIGEST})
    assert found is not None
    assert found.arn == f"{ARN}9"


def test_a_copy_whose_registration_was_answered_to_nobody_is_found_and_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("autorollback.aws.asking.sleep", lambda _: None)
    clients = Described()
    content = {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:v18"}]}
    original = Definition(ARN, "INACTIVE", content)
    clients.answers({**content, "taskDefinitionArn": ARN.replace(":18", ":19"), "status": "ACTIVE"})
    clients.stub.add_client_error(
        "register_task_definition", "ServerException", http_status_code=500
    )
    copy = original.pinned({"app": DIGEST}) | {"taskDefinitionArn": f"{ARN}9", "status": "ACTIVE"}
    clients.answers(copy, [{"key": RESTORED_TAG, "value": ARN}])
    assert Definitions(clients).restore(original, {"app": DIGEST}).arn == f"{ARN}9"
    clients.stub.assert_no_pending_responses()


def test_what_ecs_refuses_to_register_is_not_asked_for_again() -> None:
    clients = Described()
    content = {"family": "auth", "containerDefinitions": [{"name": "app", "image": "auth:v18"}]}
    clients.answers({**content, "taskDefinitionArn": f"{ARN}1", "status": "ACTIVE"})
    clients.stub.add_client_error("register_task_definition", "ClientException", "too big")
    with pytest.raises(ClientError, match="too big"):
        Definitions(clients).restore(Definition(ARN, "INACTIVE", content), {"app": DIGEST})


def test_fields_that_the_sdk_does_not_know_are_named_and_never_lost_in_a_copy() -> None:
    raw = {
        "family": "auth",
        "fromTheFuture": {"a": 1},
        "gone": None,
        "containerDefinitions": [{"name": "app", "gpu2": 1}],
    }
    parsed = {"family": "auth", "containerDefinitions": [{"name": "app"}]}
    unknown = tuple(unknown_fields(raw, parsed))
    assert unknown == ("fromTheFuture", "containerDefinitions[0].gpu2")
    clients = Described()
    clients.stub.add_client_error(
        "describe_task_definition", "ClientException", "Unable to describe task definition."
    )
    original = Definition(ARN, "INACTIVE", parsed, unknown_fields=unknown)
    with pytest.raises(CannotBeRestored, match=r"fromTheFuture, containerDefinitions\[0\].gpu2"):
        Definitions(clients).restore(original, {})


@pytest.mark.parametrize(
    ("reference", "bare"),
    [
        ("nginx", "nginx"),
        ("nginx:1.27", "nginx"),
        ("registry.example.com:5000/team/auth", "registry.example.com:5000/team/auth"),
        ("registry.example.com:5000/team/auth:v1", "registry.example.com:5000/team/auth"),
        (f"public.ecr.aws/nginx/nginx:1@{DIGEST}", "public.ecr.aws/nginx/nginx"),
    ],
)
def test_a_registrys_port_is_no_tag(reference: str, bare: str) -> None:
    assert without_version(reference) == bare


@pytest.mark.parametrize(
    ("tags", "irreversible"),
    [
        ({}, False),
        ({"auto-rollback:irreversible": "false"}, False),
        ({"auto-rollback:irreversible": "true"}, True),
        ({"auto-rollback:irreversible": ""}, True),
        ({"auto-rollback:irreversible": "False"}, True),
        ({"auto-rollback:irreversible": " false "}, True),
        ({"Auto-Rollback:Irreversible": "true"}, False),
    ],
)
def test_any_value_but_false_says_irreversible(tags: dict[str, str], *, irreversible: bool) -> None:
    assert is_irreversible(tags) is irreversible
