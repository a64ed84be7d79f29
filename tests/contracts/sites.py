"""Where the contracts of the AWS ports are tried: the same acts in the local cloud and in memory."""

from datetime import datetime, timedelta
from typing import Protocol

from autorollback.aws import ports
from autorollback.naming import ServiceKey
from autorollback.policy import Policy, ServicePolicy

KEY = ServiceKey("shop", "auth")
NOBODY = ServiceKey("shop", "nobody")
POLICY = ServicePolicy(
    KEY,
    Policy(families=("auth*",), task_roles=("auth*",)),
    "app/shop/50dc6c495c0c9188",
    ("targetgroup/auth/943f017f100becff",),
)


class Site(Protocol):
    """A place with an ECS service `auth` in the cluster `shop`, whose first deployment has completed."""

    deployments: ports.Deployments
    definitions: ports.Definitions
    alarms: ports.Alarms
    policies: ports.Policies
    dependencies: ports.Dependencies

    @property
    def now(self) -> datetime:
        """What the time is there."""

    def passes(self, time: timedelta) -> None:
        """Time passes."""

    def define(self, build: str) -> str:
        """Push a build and register its definition; answers its ARN."""

    def digest(self, build: str) -> str:
        """The digest of a build's image."""

    def waits_at_hook(self, build: str) -> None:
        """Deploy a build, which comes to wait at a pause hook."""

    def goes_on_meanwhile(self) -> None:
        """A person lets it go on, right before an adapter's answer to the hook arrives."""

    def acts(self) -> list[str]:
        """What the adapters asked ECS to change in deployments, in order, each by its operation."""

    def watch(self, signal: str) -> str:
        """Create an alarm of the service, calm; answers its name."""

    def turn(self, signal: str, *, red: bool) -> None:
        """An alarm changes its state."""

    def protect(self, policy: ServicePolicy) -> None:
        """Write a policy."""
