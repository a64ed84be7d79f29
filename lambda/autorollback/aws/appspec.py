"""The AppSpec of an ECS deployment by CodeDeploy: which task definition it deploys.

It is JSON or YAML
(https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html).
Of YAML one line is read, the one that names the task definition, and nothing else is touched:
hooks, network and comments stay as they were written. What does not fit is not guessed at.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_DEFINITION = re.compile(
    r"(?:arn:[\w-]+:ecs:[\w-]+:\d{12}:task-definition/)?[\w-]{1,255}:\d+",
    re.ASCII,
)
_KEY = re.compile(r"\btask_?definition\b", re.IGNORECASE)
_LINE = re.compile(
    r"(?P<before>[ \t]*(?:-[ \t]+)?"
    r"(?P<q>[\"']?)TaskDefinition(?P=q)[ \t]*:[ \t]+"
    r"(?P<v>[\"']?))"
    rf"(?P<definition>{_DEFINITION.pattern})"
    r"(?P<after>(?P=v)[ \t]*(?:#.*)?)",
    re.IGNORECASE | re.ASCII,
)

_PLACEHOLDER = "<TASK_DEFINITION>"
"""As CodePipeline's templates have it.

In an AppSpec that was deployed it cannot stand.
"""


class UnreadableAppSpec(ValueError):  # noqa: N818 - a finding, which the caller turns into a hold
    """An AppSpec whose one task definition is not understood."""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """An AppSpec whose one task definition is known.

    Attributes:
        task_definition: as it names it, by its ARN, which the reference asks for, or as
            `family:revision`, which ECS takes too.
        frame: the content with a placeholder in its place: what else it says, whatever it deploys.
    """

    task_definition: str
    frame: str

    @classmethod
    def read(cls, content: str) -> "AppSpec":
        """Read the AppSpec in this content.

        Raises:
            UnreadableAppSpec: saying why.
        """
        try:
            document: object = json.loads(content)
        except ValueError:
            return cls._of_lines(content)
        return cls._of_json(document)

    @classmethod
    def _of_json(cls, document: object) -> "AppSpec":
        properties = _properties(document)
        keys = [key for key in properties if key.lower() == "taskdefinition"]
        if len(keys) != 1:
            raise UnreadableAppSpec("it names no task definition")

        (key,) = keys
        definition = properties[key]
        if not isinstance(definition, str) or not _DEFINITION.fullmatch(definition):
            raise UnreadableAppSpec("its TaskDefinition names no one revision of a task definition")

        properties[key] = _PLACEHOLDER
        return cls(
            task_definition=definition,
            frame=json.dumps(document),
        )

    @classmethod
    def _of_lines(cls, content: str) -> "AppSpec":
        lines = content.splitlines(keepends=True)
        found: list[tuple[int, re.Match[str]]] = []
        mentions = 0
        for index, line in enumerate(lines):
            match = _LINE.fullmatch(line.rstrip("\r\n"))
            if match:
                found.append((index, match))
            if _KEY.search(_DEFINITION.sub("", line)):
                mentions += 1

        if len(found) != 1 or mentions != 1:
            raise UnreadableAppSpec(
                "it is no JSON, and not exactly one line of it "
                "names a revision of a task definition"
            )

        ((index, match),) = found
        ending = lines[index].removeprefix(match.group())
        lines[index] = f"{match['before']}{_PLACEHOLDER}{match['after']}{ending}"
        return cls(
            task_definition=match["definition"],
            frame="".join(lines),
        )

    def deploying(self, task_definition_arn: str) -> str:
        """The content that deploys this task definition and is the same in everything else."""
        return self.frame.replace(_PLACEHOLDER, task_definition_arn)

    @property
    def settings(self) -> Mapping[str, str]:
        """What it says besides, as one setting of the service.

        It is equal where nothing but the task definition differs.
        """
        return {"appSpec": hashlib.sha256(self.frame.encode()).hexdigest()[:12]}


def _properties(document: object) -> dict[str, object]:
    """The properties of the one ECS service that a document names.

    Empty where it gives none.
    """
    match _member(document, "resources"):
        case [dict(resource)] if len(resource) == 1:
            (service,) = resource.values()
        case _:
            raise UnreadableAppSpec("it does not name one resource")

    if _member(service, "type") != "AWS::ECS::Service":
        raise UnreadableAppSpec("its resource is no ECS service")

    properties = _member(service, "properties")
    return properties if isinstance(properties, dict) else {}


def _member(document: object, name: str) -> object:
    """A member by its name in any case.

    AWS's own tools find it so (aws-actions/amazon-ecs-deploy-task-definition, index.js).
    """
    if not isinstance(document, dict):
        return None
    for key, value in document.items():
        if key.lower() == name:
            found: object = value
            return found
    return None
