"""The stack of `cdk deploy`, and the construct for those who have a CDK app."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autorollback_cdk.auto_rollback import AutoRollback

__all__ = ["AutoRollback"]


def __getattr__(name: str) -> Any:
    """Load the construct when it is asked for.

    Reading `services.yaml` must not wait for the CDK's Node process.
    """
    if name != "AutoRollback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from autorollback_cdk.auto_rollback import AutoRollback

    return AutoRollback
