"""The operations on service deployments and service revisions."""

from moto.core.responses import ActionResult
from moto.ecs.responses import EC2ContainerServiceResponse

from localcloud.ecs import answers, hooks
from localcloud.ecs.model import Deployment, Revision, Service, Status
from localcloud.ecs.registry import Ecs
from localcloud.ecs.requests import at_most, in_utc, missing, parameters
from localcloud.errors import Refusal
from localcloud.shapes import Settings

DESCRIBED_AT_ONCE = 20
PAGE = 20
LARGEST_PAGE = 100


class DeploymentOperations:
    """What moto lacks: service deployments and service revisions."""

    def __init__(self, ecs: Ecs) -> None:
        self._ecs = ecs

    def list_service_deployments(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """List the newest first. 20 a page unless told, 100 at most.

        There are none where CodeDeploy deploys: a service deployment is what ECS's own controller
        makes (service-deployment.html); that the list is then empty, and no error, is this cloud's
        guess.
        """
        asked = parameters(request)
        service = self._ecs.asked_service(request.ecs_backend, asked)
        size = asked.get("maxResults", PAGE)
        if not 1 <= size <= LARGEST_PAGE:
            message = "maxResults must be between 1 and 100."
            raise Refusal("InvalidParameterException", message)

        newest_first = reversed(service.deployments)
        wanted = [
            one
            for one in newest_first
            if _matches(one, asked) and self._ecs.is_listed(one.created_at)
        ]
        start = _position(wanted, asked.get("nextToken"))
        end = start + size
        shown = [answers.brief(service, one) for one in wanted[start:end]]
        token = wanted[end].arn if end < len(wanted) else None
        return ActionResult({"serviceDeployments": shown, "nextToken": token})

    def describe_service_deployments(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show at most 20. Those that are not there are failures, reason MISSING."""
        arns = at_most(DESCRIBED_AT_ONCE, parameters(request), "serviceDeploymentArns")
        known = self._deployments_by_arn()
        shown = [answers.deployment(*known[arn]) for arn in arns if arn in known]
        return ActionResult({"serviceDeployments": shown, "failures": missing(arns, known)})

    def describe_service_revisions(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Show at most 20. Those that are not there are failures, reason MISSING."""
        arns = at_most(DESCRIBED_AT_ONCE, parameters(request), "serviceRevisionArns")
        known = self._revisions_by_arn()
        shown = [answers.revision(*known[arn]) for arn in arns if arn in known]
        return ActionResult({"serviceRevisions": shown, "failures": missing(arns, known)})

    def stop_service_deployment(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Start a rollback of a deployment that is pending or in progress.

        One that is stopping or rolling back goes on; one that has ended conflicts. Source:
        stop-service-deployment.html. The texts of the errors are this cloud's own.
        """
        asked = parameters(request)
        stop_type = asked.get("stopType", "ROLLBACK")
        if stop_type != "ROLLBACK":
            message = f"The stop type {stop_type} is not valid. The valid value is ROLLBACK."
            raise Refusal("InvalidParameterException", message)

        arn = asked["serviceDeploymentArn"]
        found = self._deployments_by_arn().get(arn)
        if found is None:
            message = f"The service deployment {arn} was not found."
            raise Refusal("ServiceDeploymentNotFoundException", message)

        service, deployment = found
        if deployment.finished:
            message = (
                f"The service deployment is in state {deployment.status} and cannot be stopped."
            )
            raise Refusal("ConflictException", message)
        if deployment.status in {Status.PENDING, Status.IN_PROGRESS}:
            self._ecs.scheduler.request_rollback(service, deployment, self._ecs.now())
        return ActionResult({"serviceDeploymentArn": arn})

    def continue_service_deployment(self, request: EC2ContainerServiceResponse) -> ActionResult:
        """Let a deployment go on from the hook that it waits at, or roll it back.

        The texts of the errors are this cloud's own; that a hook at which it does not wait (any
        more) is an InvalidParameterException is inferred: the operation knows no other that fits.
        """
        asked = parameters(request)
        arn = asked["serviceDeploymentArn"]
        found = self._deployments_by_arn().get(arn)
        if found is None:
            message = f"The service deployment {arn} was not found."
            raise Refusal("ServiceDeploymentNotFoundException", message)

        service, deployment = found
        hook = deployment.hook
        is_waiting = deployment.status is Status.IN_PROGRESS and hook is not None
        if hook is None or not is_waiting or hook.hook_id != asked["hookId"]:
            message = f"The service deployment does not wait at the hook {asked['hookId']}."
            raise Refusal("InvalidParameterException", message)
        now = self._ecs.now()
        if asked.get("action", "CONTINUE") == "CONTINUE":
            hooks.go_on(deployment, now)
        else:
            hook.status = "FAILED"
            self._ecs.scheduler.request_rollback(service, deployment, now)
        return ActionResult({"serviceDeploymentArn": arn})

    def _deployments_by_arn(self) -> dict[str, tuple[Service, Deployment]]:
        known: dict[str, tuple[Service, Deployment]] = {}
        for service in self._ecs.services():
            for deployment in service.deployments:
                known[deployment.arn] = (service, deployment)
        return known

    def _revisions_by_arn(self) -> dict[str, tuple[Service, Revision]]:
        known: dict[str, tuple[Service, Revision]] = {}
        for service in self._ecs.services():
            for arn, revision in service.revisions.items():
                known[arn] = (service, revision)
        return known


def _matches(deployment: Deployment, asked: Settings) -> bool:
    """Tell whether ListServiceDeployments asks for it."""
    statuses = asked.get("status")
    if statuses and deployment.status not in statuses:
        return False

    created = asked.get("createdAt", {})
    after = in_utc(created.get("after"))
    if after is not None and deployment.created_at <= after:
        return False

    before = in_utc(created.get("before"))
    return before is None or deployment.created_at < before


def _position(deployments: list[Deployment], token: str | None) -> int:
    """Find where the page of a token begins.

    A token names the first of the next page, so that a page is not lost when a deployment is added
    in between.
    """
    if token is None:
        return 0
    for position, deployment in enumerate(deployments):
        if deployment.arn == token:
            return position
    raise Refusal("InvalidParameterException", "Invalid token.")
