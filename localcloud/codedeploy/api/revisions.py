"""The operation on application revisions."""

from moto.codedeploy.responses import CodeDeployResponse
from moto.core.responses import ActionResult

from localcloud.codedeploy.model import Deployment, Location
from localcloud.codedeploy.progress import Deployer
from localcloud.codedeploy.requests import parameters
from localcloud.codedeploy.revisions import Revisions


class RevisionOperations:
    """What deployments have been asked for."""

    def __init__(self, deployer: Deployer, revisions: Revisions) -> None:
        self._deployer = deployer
        self._revisions = revisions

    def get_application_revision(self, request: CodeDeployResponse) -> ActionResult:
        """Show a revision with the AppSpec's content, asked for by its sha256."""
        asked = parameters(request)
        application = asked["applicationName"]
        request.codedeploy_backend.get_application(application)
        location, registered_at = self._revisions.find(application, asked["revision"])

        uses = [one for one in self._deployer.newest_first() if _is_of(one, location)]
        info = {
            "deploymentGroups": self._groups_that_run(location, uses),
            "firstUsedTime": uses[-1].created_at,
            "lastUsedTime": uses[0].created_at,
            "registerTime": registered_at,
        }
        return ActionResult(
            {"applicationName": application, "revision": location.whole, "revisionInfo": info}
        )

    def _groups_that_run(self, location: Location, uses: list[Deployment]) -> list[str]:
        """Name the groups whose last deployment that succeeded was of the revision."""
        names: list[str] = []
        for group in dict.fromkeys(use.group for use in uses):
            target = self._deployer.last_location(group)
            if target is not None and target.shown == location.shown:
                names.append(group.deployment_group_name)
        return names


def _is_of(deployment: Deployment, location: Location) -> bool:
    own = deployment.location
    return own is not None and own.shown == location.shown
