"""Moto's answers, written without looking up again under which names a member may be kept."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.core.model import Shape
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker

if TYPE_CHECKING:
    from localcloud.base import Cloud

_names: dict[tuple[Shape, str], tuple[str, ...]] = {}


def install(cloud: "Cloud") -> None:
    """Keep the names of each member of a dictionary: they depend on the service's model alone.

    Finding them anew for every member of every item was most of what writing an answer took.
    """
    by_moto = XFormedAttributePicker.get_possible_keys

    def names(picker: XFormedAttributePicker, context: AttributePickerContext) -> Iterable[str]:
        if type(context.obj) is not dict:
            of_a_model: Iterable[str] = by_moto(picker, context)
            return of_a_model
        member = (context.shape, context.key)
        if member not in _names:
            _names[member] = tuple(by_moto(picker, context))
        return _names[member]

    cloud.replace(XFormedAttributePicker, "get_possible_keys", names)
