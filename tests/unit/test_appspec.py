"""Of an AppSpec the one task definition is read and replaced; everything else stays, and nothing is guessed."""

import json
from typing import Any

import pytest

from autorollback.aws.appspec import AppSpec, UnreadableAppSpec

OLD, NEW = (
    f"arn:aws:ecs:eu-central-1:111122223333:task-definition/auth-service:{number}"
    for number in (18, 17)
)
HOOKS = [{"BeforeAllowTraffic": "arn:aws:lambda:eu-central-1:111122223333:function:smoke-test"}]


def as_json(task_definition: object = OLD, **more: Any) -> dict[str, Any]:
    properties = {
        "TaskDefinition": task_definition,
        "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 8080},
        "PlatformVersion": "1.4.0",
    }
    service = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return {"version": 0.0, "Resources": [service], "Hooks": HOOKS} | more


YAML = f"""version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "{OLD}" # the build of today
        LoadBalancerInfo:
          ContainerName: "app"
          ContainerPort: 8080
Hooks:
  - BeforeAllowTraffic: "smoke-test"
"""


def test_in_json_only_the_task_definition_is_replaced() -> None:
    read = AppSpec.read(json.dumps(as_json()))
    assert read.task_definition == OLD
    assert json.loads(read.deploying(NEW)) == as_json(NEW)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(YAML, id="in double quotes, with a comment"),
        pytest.param(YAML.replace('"', ""), id="bare"),
        pytest.param(YAML.replace('"', "'"), id="in single quotes"),
        pytest.param(
            YAML.replace("        TaskDefinition", "        taskDefinition"), id="in lower case"
        ),
        pytest.param(YAML.replace("\n", "\r\n"), id="with the line ends of Windows"),
    ],
)
def test_in_yaml_only_the_line_of_the_task_definition_changes(text: str) -> None:
    read = AppSpec.read(text)
    assert read.task_definition == OLD
    assert read.deploying(NEW) == text.replace(OLD, NEW)


@pytest.mark.parametrize(
    "text", [json.dumps(as_json("auth-service:18")), YAML.replace(OLD, "auth-service:18")]
)
def test_a_revision_may_be_named_without_its_arn(text: str) -> None:
    read = AppSpec.read(text)
    assert read.task_definition == "auth-service:18"
    assert AppSpec.read(read.deploying(NEW)).task_definition == NEW


def test_what_else_it_says_is_a_setting_of_the_service() -> None:
    settings = AppSpec.read(json.dumps(as_json())).settings
    assert AppSpec.read(json.dumps(as_json(NEW))).settings == settings
    assert AppSpec.read(json.dumps(as_json(Hooks=[]))).settings != settings


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param("[]", id="a list"),
        pytest.param(json.dumps(as_json("<TASK_DEFINITION>")), id="a template"),
        pytest.param(
            json.dumps(as_json("auth-service")), id="a family, whose newest revision moves"
        ),
        pytest.param(json.dumps(as_json(None)), id="null"),
        pytest.param(json.dumps(as_json(Resources=[])), id="no resource"),
        pytest.param(json.dumps(as_json(Resources=as_json()["Resources"] * 2)), id="two resources"),
        pytest.param(
            json.dumps(as_json()).replace("ECS::Service", "Lambda::Function"),
            id="a Lambda function",
        ),
        pytest.param(YAML.replace(OLD, "auth-service"), id="YAML: a family"),
        pytest.param(YAML + f"# TaskDefinition: {NEW}\n", id="YAML: another in a comment"),
        pytest.param(YAML + f'        TaskDefinition: "{NEW}"\n', id="YAML: twice"),
        pytest.param(YAML.replace(f'"{OLD}"', "*today"), id="YAML: an alias"),
        pytest.param(
            f"Resources: [{{T: {{Properties: {{TaskDefinition: {OLD}}}}}}}]", id="YAML: in braces"
        ),
        pytest.param(
            YAML.replace(f'"{OLD}"', f">-\n          {OLD}"), id="YAML: on a line of its own"
        ),
    ],
)
def test_what_is_not_understood_is_refused(content: str) -> None:
    with pytest.raises(UnreadableAppSpec):
        AppSpec.read(content)
