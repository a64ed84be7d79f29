"""Types of what the APIs of AWS are given and answer."""

from collections.abc import Mapping
from typing import Any

# parameters or an answer, under the names that the API gives them
ApiObject = dict[str, Any]
# the same, to be read only
Settings = Mapping[str, Any]
