"""The stack: what `cdk deploy` creates, and the construct `AutoRollback` for people who have a CDK app already."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autorollback_cdk.auto_rollback import AutoRollback

__all__ = ["AutoRollback"]


def __getattr__(name: str) -> Any:
    """Loads the construct when it is asked for: reading `services.yaml` must not wait for the CDK's Node process."""
    if name != "AutoRollback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from autorollback_cdk.auto_rollback import AutoRollback

    return AutoRollback
