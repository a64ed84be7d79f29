"""The AppSpec of an ECS deployment by CodeDeploy: which task definition it deploys, and the same with another.

It is JSON or YAML (https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html).
Of YAML one line is read, the one that names the task definition, and nothing else is touched: hooks, network and comments stay
as they were written. What does not fit is not guessed at.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DEFINITION = re.compile(r"(?:arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition/)?[\w-]{1,255}:\d+", re.ASCII)
_KEY = re.compile(r"\btask_?definition\b", re.IGNORECASE)
_LINE = re.compile(
    rf"(?P<before>[ \t]*(?:-[ \t]+)?(?P<q>[\"']?)TaskDefinition(?P=q)[ \t]*:[ \t]+(?P<v>[\"']?))(?P<definition>{_DEFINITION.pattern})"
    r"(?P<after>(?P=v)[ \t]*(?:#.*)?)",
    re.IGNORECASE | re.ASCII,
)


class UnreadableAppSpec(ValueError):  # noqa: N818 - a finding, which the caller turns into a hold
    """It does not say in a way that is understood which one task definition it deploys."""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """An AppSpec whose one task definition is known.

    Attributes:
        task_definition: as it names it, by its ARN, which the reference asks for, or as `family:revision`, which ECS takes too.
        frame: the content with a placeholder in its place: what else it says, whatever it deploys.
    """

    task_definition: str
    frame: str

    @classmethod
    def read(cls, content: str) -> "AppSpec":
        """The AppSpec in this content.

        Raises:
            UnreadableAppSpec: saying why.
        """
        try:
            document = json.loads(content)
        except ValueError:
            return cls(*_of_lines(content))
        properties, key = _properties(document)
        definition = properties[key]
        if not isinstance(definition, str) or not _DEFINITION.fullmatch(definition):
            raise UnreadableAppSpec("its TaskDefinition names no one revision of a task definition")
        properties[key] = _PLACEHOLDER
        return cls(definition, json.dumps(document))

    def deploying(self, task_definition_arn: str) -> str:
        """The content that deploys this task definition and is the same in everything else."""
        return self.frame.replace(_PLACEHOLDER, task_definition_arn)

    @property
    def settings(self) -> Mapping[str, str]:
        """What it says besides, as one setting of the service: equal where nothing but the task definition differs."""
        return {"appSpec": hashlib.sha256(self.frame.encode()).hexdigest()[:12]}


_PLACEHOLDER = "<TASK_DEFINITION>"
"""As CodePipeline's templates have it; in an AppSpec that was deployed it cannot stand."""


def _of_lines(content: str) -> tuple[str, str]:
    lines = content.splitlines(keepends=True)
    found = [(i, match) for i, line in enumerate(lines) if (match := _LINE.fullmatch(line.rstrip("\r\n")))]
    mentions = [line for line in lines if _KEY.search(_DEFINITION.sub("", line))]
    if len(found) != 1 or len(mentions) != 1:
        raise UnreadableAppSpec("it is no JSON, and not exactly one line of it names a revision of a task definition")
    index, match = found[0]
    ending = lines[index][len(lines[index].rstrip("\r\n")) :]
    lines[index] = f"{match['before']}{_PLACEHOLDER}{match['after']}{ending}"
    return match["definition"], "".join(lines)


def _properties(document: object) -> tuple[dict[str, Any], str]:
    """The properties of the one ECS service that it names, and how they spell `TaskDefinition`."""
    resources = _member(document, "resources")
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], dict):
        raise UnreadableAppSpec("it does not name one resource")
    if len(resources[0]) != 1:
        raise UnreadableAppSpec("it does not name one resource")
    (service,) = resources[0].values()
    if _member(service, "type") != "AWS::ECS::Service":
        raise UnreadableAppSpec("its resource is no ECS service")
    properties = _member(service, "properties")
    keys = [key for key in properties if key.lower() == "taskdefinition"] if isinstance(properties, dict) else []
    if len(keys) != 1:
        raise UnreadableAppSpec("it names no task definition")
    return properties, keys[0]


def _member(document: object, name: str) -> Any:
    """A member by its name in any case: AWS's own tools find it so (aws-actions/amazon-ecs-deploy-task-definition, index.js)."""
    if not isinstance(document, dict):
        return None
    return next((value for key, value in document.items() if key.lower() == name), None)
