"""What the references of a template lead to: parameters, and resources of the stack."""

from typing import Any

from botocore.exceptions import ClientError

from localcloud.cloudformation.resources import Aws, type_of
from localcloud.cloudformation.stack import Resource
from localcloud.cloudformation.template import Template
from localcloud.errors import Refusal

ParameterValue = str | list[str]


class Refs(dict[str, Any]):
    """Values of Ref: fixed ones, and resources as they come to be."""

    def __init__(self, fixed: dict[str, Any], resources: dict[str, Resource]) -> None:
        super().__init__(fixed)
        self._resources = resources

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._resources

    def __missing__(self, name: str) -> str:
        return self._resources[name].physical


def attribute_of(
    aws: Aws,
    resources: dict[str, Resource],
    logical: str,
    name: str,
) -> str:
    """The value of Fn::GetAtt."""
    if logical not in resources:
        message = f"Template error: instance of Fn::GetAtt references undefined resource {logical}"
        raise Refusal("ValidationError", message)
    resource = resources[logical]
    attributes = type_of(resource.type).attributes(aws, resource.physical, resource.properties)
    if name not in attributes:
        message = f"Template error: resource {logical} does not support attribute type {name} in Fn::GetAtt"
        raise Refusal("ValidationError", message)
    return attributes[name]


def parameter_values(
    aws: Aws, template: Template, given: dict[str, str]
) -> dict[str, ParameterValue]:
    """The values that count: those that were given, or the defaults.

    Raises:
        Refusal: a parameter has no value, or one that it must not have.
    """
    declared = template.parameters
    unknown = sorted(set(given) - set(declared))
    if unknown:
        message = f"Parameters: {unknown} do not exist in the template"
        raise Refusal("ValidationError", message)

    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.get("Default"))
        if value is None:
            raise Refusal("ValidationError", f"Parameters: [{name}] must have values")
        allowed = [str(item) for item in parameter.get("AllowedValues", [])]
        if allowed and str(value) not in allowed:
            message = f"Parameter '{name}' must be one of AllowedValues"
            raise Refusal("ValidationError", message)
        values[name] = _typed(aws, str(value), parameter["Type"])
    return values


def _typed(aws: Aws, value: str, parameter_type: str) -> ParameterValue:
    """The value as its type has it, from the parameter store or as a list."""
    if parameter_type.startswith("AWS::SSM::Parameter::Value"):
        value = _stored(aws, value)
    is_list = parameter_type.startswith("List<") or parameter_type.endswith(
        ("CommaDelimitedList", "List<String>>")
    )
    if is_list:
        return value.split(",")
    return value


def _stored(aws: Aws, name: str) -> str:
    try:
        answer = aws("ssm").get_parameter(Name=name)
    except ClientError as error:
        message = f"Unable to fetch parameters [{name}] from parameter store for this account."
        raise Refusal("ValidationError", message) from error
    return str(answer["Parameter"]["Value"])
