"""The resource types that a template may have here.

Each is made, changed and removed by the calls of its own service.

Properties go to the service's API under their own names, so that a property that the API lacks is an error of the SDK that names it.
Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html
"""

from localcloud.cloudformation.resources import compute, iam, messaging, monitoring, storage
from localcloud.cloudformation.resources.base import Aws, Properties, Type, keep
from localcloud.errors import Refusal

__all__ = ["Aws", "Properties", "Type", "type_of"]


def _name_alone(_aws: Aws, name: str, _properties: Properties) -> str:
    return name


def _no_update(
    _aws: Aws,
    _physical: str,
    _old: Properties,
    _new: Properties,
) -> None:
    """Nothing to do."""


_WITHOUT_EFFECT = {"AWS::CDK::Metadata": Type(_name_alone, keep, _no_update)}
_TYPES: dict[str, Type] = {
    **compute.TYPES,
    **iam.TYPES,
    **messaging.TYPES,
    **monitoring.TYPES,
    **storage.TYPES,
    **_WITHOUT_EFFECT,
}


def type_of(resource_type: str) -> Type:
    """How resources of this type are handled; Refusal for a type that is not modelled."""
    if resource_type not in _TYPES:
        message = f"the local cloud does not model the resource type {resource_type}"
        raise Refusal("ValidationError", message)
    return _TYPES[resource_type]
