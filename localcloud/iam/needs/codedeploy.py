"""What CodeDeploy asks the policies.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscodedeploy.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/auth-and-access-control-permissions-reference.html. It lists no
iam:PassRole under CreateDeployment: the roles of a task definition are passed by CodeDeploy's own service role.
"""

from collections.abc import Iterator, Mapping

from localcloud.codedeploy.progress import Deployer
from localcloud.iam.needs.asked import Asked, Needs, listed, without_resource
from localcloud.iam.requests import Need


def _on_deployments(asked: Asked) -> Iterator[Need]:
    """A deployment is judged by its deployment group; one that does not exist, by none."""
    known = asked.cloud.service(Deployer).deployments
    named = asked.parameters.get("deploymentIds") or asked.parameters["deploymentId"]
    for deployment_id in listed(named):
        if deployment_id in known:
            group = known[deployment_id].group
            names = (group.application.application_name, group.deployment_group_name)
            yield asked.need(_group_arn(asked, *names))


def _group_arn(asked: Asked, application: str, group: str) -> str:
    return asked.arn("codedeploy", f"deploymentgroup:{application}/{group}")


def _on_group(asked: Asked) -> Iterator[Need]:
    """ListDeployments may leave both out, and then is on all."""
    application = asked.parameters.get("applicationName", "*")
    names = asked.parameters.get("deploymentGroupNames")
    for group in names or [asked.parameters.get("deploymentGroupName", "*")]:
        yield asked.need(_group_arn(asked, application, group))


def _on_application(asked: Asked) -> Iterator[Need]:
    yield asked.need(asked.arn("codedeploy", f"application:{asked.parameters['applicationName']}"))


def _on_configuration(asked: Asked) -> Iterator[Need]:
    yield _configuration(asked, asked.parameters["deploymentConfigName"])


def _configuration(asked: Asked, name: str) -> Need:
    arn = asked.arn("codedeploy", f"deploymentconfig:{name}")
    return Need("codedeploy:GetDeploymentConfig", arn)


def _create_deployment(asked: Asked) -> Iterator[Need]:
    """With the revision, the configuration and, over the group's alarms, the group itself."""
    yield from _on_group(asked)
    application = asked.arn("codedeploy", f"application:{asked.parameters['applicationName']}")
    yield Need("codedeploy:GetApplicationRevision", application)
    yield Need("codedeploy:RegisterApplicationRevision", application)
    name = asked.parameters.get("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
    yield _configuration(asked, name)
    if "overrideAlarmConfiguration" in asked.parameters:
        for need in _on_group(asked):
            yield Need("codedeploy:UpdateDeploymentGroup", need.resource)


NEEDS: Mapping[str, Needs] = {
    "codedeploy:BatchGetDeployments": _on_deployments,
    "codedeploy:BatchGetDeploymentTargets": _on_deployments,
    "codedeploy:CreateDeployment": _create_deployment,
    "codedeploy:GetApplicationRevision": _on_application,
    "codedeploy:GetDeployment": _on_deployments,
    "codedeploy:GetDeploymentConfig": _on_configuration,
    "codedeploy:GetDeploymentGroup": _on_group,
    "codedeploy:GetDeploymentTarget": _on_deployments,
    "codedeploy:ListDeployments": _on_group,
    "codedeploy:ListDeploymentTargets": _on_deployments,
    "codedeploy:StopDeployment": without_resource,
}
