"""The stack of `cdk deploy`, and the construct for those who have a CDK app."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infrastructure.auto_rollback import AutoRollback

__all__ = ["AutoRollback"]

_LAMBDA = str(Path(__file__).resolve().parent.parent / "lambda")
# the names and the policy are shared with the function and live beside it
if _LAMBDA not in sys.path:
    sys.path.insert(0, _LAMBDA)


def __getattr__(name: str) -> Any:
    """Load the construct when it is asked for.

    Reading `services.yaml` must not wait for the CDK's Node process.
    """
    if name != "AutoRollback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from infrastructure.auto_rollback import AutoRollback

    return AutoRollback
