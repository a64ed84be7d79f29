"""Lifecycle hooks at which a deployment waits.

Of the hooks of ECS only PAUSE is modelled: it waits until ContinueServiceDeployment, or until its
timeout (botocore's DeploymentLifecycleHook, ecs 2014-11-13; 24 hours and ROLLBACK unless told). The
event HOOK_AWAITING_ACTION is not sent.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from localcloud.ecs.model import Deployment, Hook, Phase
from localcloud.ecs.requests import refuse_unknown
from localcloud.errors import NotModelled, Refusal
from localcloud.shapes import ApiObject, Settings

AFTER_SHIFT = "POST_PRODUCTION_TRAFFIC_SHIFT"
STAGES_BEFORE = {
    Phase.LAUNCHING: ("PRE_SCALE_UP",),
    Phase.SETTLING: ("POST_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "PRE_PRODUCTION_TRAFFIC_SHIFT"),
    Phase.SHIFTING: ("PRE_PRODUCTION_TRAFFIC_SHIFT",),
}
"""The stages that a deployment passes before it leaves a phase; of SHIFTING, before each further step."""

PAUSE_STAGES = frozenset(
    {
        "PRE_SCALE_UP",
        "POST_SCALE_UP",
        "POST_TEST_TRAFFIC_SHIFT",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        AFTER_SHIFT,
    }
)
LAMBDA_STAGES = frozenset({"TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"})
PARAMETERS = frozenset({"targetType", "lifecycleStages", "timeoutConfiguration"})
LONGEST = timedelta(minutes=1440)


def check(configuration: Settings) -> None:
    """Refuse hooks that AWS would refuse, and those that are not modelled.

    Raises:
        NotModelled: one is no pause, or at a stage that this cloud does not pass through.
        Refusal: a pause where only Lambda hooks may be.
    """
    hooks = configuration.get("lifecycleHooks", [])
    if hooks and configuration.get("strategy", "ROLLING") == "ROLLING":
        raise NotModelled("ecs deploymentConfiguration.lifecycleHooks of a rolling deployment")
    for hook in hooks:
        if hook.get("targetType", "AWS_LAMBDA") != "PAUSE":
            raise NotModelled("ecs deploymentConfiguration.lifecycleHooks: AWS_LAMBDA")
        refuse_unknown("ecs deploymentConfiguration.lifecycleHooks", hook, PARAMETERS)
        for stage in hook.get("lifecycleStages", []):
            if stage in LAMBDA_STAGES:
                message = f"PAUSE hooks cannot be configured at the stage {stage}."
                raise Refusal("InvalidParameterException", message)
            if stage not in PAUSE_STAGES:
                raise NotModelled(f"ecs deploymentConfiguration.lifecycleHooks: {stage}")


def wait(deployment: Deployment, at: datetime) -> bool:
    """Let a deployment wait at the next hook before it goes on. False where there is none left."""
    for stage in STAGES_BEFORE.get(deployment.phase, ()):
        is_last = deployment.step + 1 == len(deployment.traffic_steps)
        if deployment.phase is Phase.SHIFTING and is_last:
            return False
        if _begin(deployment, stage, at):
            return True
    return False


def wait_after_shift(deployment: Deployment, at: datetime) -> None:
    """Let a deployment wait before it bakes, where a hook says so and all traffic is shifted."""
    if deployment.step + 1 == len(deployment.traffic_steps):
        _begin(deployment, AFTER_SHIFT, at)


def go_on(deployment: Deployment, now: datetime) -> None:
    """End the wait: what comes next is due now; the bake begins now."""
    hook = deployment.hook
    if hook is None:
        raise AssertionError("it waits at no hook")
    hook.status = "SUCCEEDED"
    deployment.hook = None
    deployment.resumed_at = now
    if hook.stage == AFTER_SHIFT:
        deployment.since = now


def shown(deployment: Deployment) -> list[ApiObject]:
    """Show `lifecycleHookDetails`."""
    return [
        {
            "hookId": hook.hook_id,
            "targetType": "PAUSE",
            "status": hook.status,
            "expiresAt": hook.expires_at,
            "timeoutAction": hook.timeout_action,
        }
        for hook in deployment.hooks
    ]


def _begin(deployment: Deployment, stage: str, at: datetime) -> bool:
    """Wait at a stage, once at each step of traffic. False where no hook is, or it is done."""
    done = {(hook.stage, hook.step) for hook in deployment.hooks}
    if (stage, _step(deployment)) in done:
        return False
    for configured in _configured(deployment, stage):
        timeout = configured.get("timeoutConfiguration", {})
        lasts = timeout.get("timeoutInMinutes")
        deployment.hook = Hook(
            hook_id=str(uuid.uuid4()),
            stage=stage,
            step=_step(deployment),
            expires_at=at + (timedelta(minutes=lasts) if lasts else LONGEST),
            timeout_action=timeout.get("action", "ROLLBACK"),
        )
        deployment.hooks.append(deployment.hook)
        deployment.updated_at = at
        return True
    return False


def _step(deployment: Deployment) -> int:
    """The step of traffic that is next; before the first shift none is done."""
    return deployment.step + 1 if deployment.phase is Phase.SHIFTING else 0


def _configured(deployment: Deployment, stage: str) -> Iterator[Settings]:
    for hook in deployment.configuration.get("lifecycleHooks", []):
        if stage in hook.get("lifecycleStages", []):
            yield hook
