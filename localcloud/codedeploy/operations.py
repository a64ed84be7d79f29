"""The operations of CodeDeploy for ECS services, put in the place of moto's; applications of other platforms are refused."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from moto.codedeploy.models import codedeploy_backends
from moto.codedeploy.responses import CodeDeployResponse, _deployment_group_info
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.s3.models import s3_backends

from localcloud.codedeploy import answers
from localcloud.codedeploy.model import CONFIGURATIONS, AppSpec, Deployment, Location, parse
from localcloud.codedeploy.progress import Deployer, new_id
from localcloud.ecs.model import Service
from localcloud.ecs.operations import Ecs
from localcloud.errors import NotModelled, Refusal

if TYPE_CHECKING:
    from localcloud.base import Cloud

PAGE = 100
GROUP = {
    "applicationName", "deploymentGroupName", "deploymentConfigName", "serviceRoleArn", "alarmConfiguration",
    "autoRollbackConfiguration", "deploymentStyle", "blueGreenDeploymentConfiguration", "loadBalancerInfo", "ecsServices", "tags",
}  # fmt: skip
CREATE = {
    "applicationName", "deploymentGroupName", "revision", "deploymentConfigName", "description", "autoRollbackConfiguration",
    "overrideAlarmConfiguration",
}  # fmt: skip

Operation = Callable[[Any], Any]


class CodeDeploy:
    """Answers for moto's response class; what each method is given is that class's instance of the request."""

    def __init__(self, cloud: "Cloud", deployer: Deployer) -> None:
        self._cloud = cloud
        self._deployer = deployer
        self._locations: dict[tuple[str, str], tuple[Location, datetime]] = {}  # by application and sha256 or address

    def install(self) -> None:
        """Put them in place for as long as the cloud runs."""
        for operation in (
            self.create_application, self.create_deployment_group, self.get_deployment_group, self.batch_get_deployment_groups,
            self.create_deployment, self.get_deployment, self.batch_get_deployments, self.list_deployments, self.stop_deployment,
            self.get_application_revision, self.list_deployment_targets, self.get_deployment_target,
            self.batch_get_deployment_targets,
        ):  # fmt: skip
            self._cloud.replace(CodeDeployResponse, operation.__name__, self._locked(operation))

    def _locked(self, operation: Operation) -> Operation:
        """moto dispatches to plain functions of the class only; what has fallen due is done first."""

        def answer(response: Any) -> Any:
            with self._cloud.service(Ecs).lock:
                for service in {id(d.service): d.service for d in self._deployer.deployments.values()}.values():
                    self._deployer.progress(service, self._now())
                return operation(response)

        return answer

    def create_application(self, response: Any) -> ActionResult:
        """Of the platform ECS."""
        asked = _asked(response)
        if asked.get("computePlatform", "Server") != "ECS":
            raise NotModelled(f"codedeploy applications for {asked.get('computePlatform', 'Server')}")
        made = response.codedeploy_backend.create_application(asked["applicationName"], "ECS", asked.get("tags", []))
        return ActionResult({"applicationId": made})

    def create_deployment_group(self, response: Any) -> ActionResult:
        """For one ECS service with the controller CODE_DEPLOY that no other group has, and one pair of target groups.

        The texts of the errors are this cloud's own.
        """
        asked = _modelled(response, "CreateDeploymentGroup", GROUP)
        backend = response.codedeploy_backend
        style = asked.get("deploymentStyle", {})
        if (style.get("deploymentType"), style.get("deploymentOption")) != ("BLUE_GREEN", "WITH_TRAFFIC_CONTROL"):
            raise Refusal("InvalidDeploymentStyleException", "ECS needs BLUE_GREEN and WITH_TRAFFIC_CONTROL.")
        configuration = asked.get("deploymentConfigName", "CodeDeployDefault.ECSAllAtOnce")
        _known_configuration(configuration)
        _check_blue_green(asked.get("blueGreenDeploymentConfiguration"))
        _check_load_balancer(asked.get("loadBalancerInfo", {}))
        self._service_for_group(asked.get("ecsServices", []))
        made = backend.create_deployment_group(
            asked["applicationName"], asked["deploymentGroupName"], configuration, None, None, None, asked["serviceRoleArn"],
            alarm_configuration=asked.get("alarmConfiguration"), auto_rollback_configuration=asked.get("autoRollbackConfiguration"),
            deployment_style=style, blue_green_deployment_configuration=asked["blueGreenDeploymentConfiguration"],
            load_balancer_info=asked["loadBalancerInfo"], ecs_services=asked["ecsServices"], tags=asked.get("tags"),
        )  # fmt: skip
        return ActionResult({"deploymentGroupId": made})

    def get_deployment_group(self, response: Any) -> ActionResult:
        """With its last deployments, and the revision of the last that succeeded as its target."""
        asked = _asked(response)
        group = response.codedeploy_backend.get_deployment_group(asked["applicationName"], asked["deploymentGroupName"])
        return ActionResult({"deploymentGroupInfo": self._shown_group(group)})

    def batch_get_deployment_groups(self, response: Any) -> ActionResult:
        """Those that are there; the others are named in `errorMessage`."""
        asked = _asked(response)
        backend, application = response.codedeploy_backend, asked["applicationName"]
        backend.get_application(application)
        known = backend.deployment_groups.get(application, {})
        missing = [name for name in asked["deploymentGroupNames"] if name not in known]
        shown: dict[str, Any] = {
            "deploymentGroupsInfo": [
                self._shown_group(known[name]) for name in asked["deploymentGroupNames"] if name in known
            ]
        }
        return ActionResult(shown | ({"errorMessage": f"Not found: {', '.join(missing)}"} if missing else {}))

    def create_deployment(self, response: Any) -> ActionResult:
        """One at a time in a group (the words for a second: CircleCI-Public/aws-ecs-orb issue 181).

        A definition that cannot be used is no reason to refuse: the deployment is created, and fails when CodeDeploy asks ECS
        for the task set. No source says so; CreateDeployment has no error for it.
        """
        asked = _modelled(response, "CreateDeployment", CREATE)
        backend, application = response.codedeploy_backend, asked["applicationName"]
        if "deploymentGroupName" not in asked:
            raise Refusal("DeploymentGroupNameRequiredException", "The deployment group name was not specified.")
        group = backend.get_deployment_group(application, asked["deploymentGroupName"])
        configuration = asked.get("deploymentConfigName", group.deployment_config_name)
        _known_configuration(configuration)
        if "revision" not in asked:
            raise Refusal("RevisionRequiredException", "The revision ID was not specified.")
        service = self._service_of(group)
        active = self._deployer.under_way(service)
        if active is not None:
            name = group.deployment_group_name
            message = f"The Deployment Group '{name}' already has an active Deployment '{active.deployment_id}'"
            raise Refusal("DeploymentLimitExceededException", message)
        location = self._location(asked["revision"])
        self._locations.setdefault((application, _address(location.shown)), (location, self._now()))
        rollback = asked.get("autoRollbackConfiguration", group.auto_rollback_configuration)
        alarms = asked.get("overrideAlarmConfiguration", group.alarm_configuration) or {}
        deployment = Deployment(
            deployment_id=new_id(),
            group=group,
            service=service,
            location=location,
            configuration=configuration,
            created_at=self._now(),
            since=self._now(),
            rolls_back_on=frozenset(rollback.get("events", ()) if rollback.get("enabled") else ()),
            alarms=tuple(one["name"] for one in alarms.get("alarms", ())) if alarms.get("enabled") else (),
            settings={
                "deploymentStyle": group.deployment_style,
                "blueGreenDeploymentConfiguration": group.blue_green_deployment_configuration,
                "loadBalancerInfo": group.load_balancer_info,
                "autoRollbackConfiguration": rollback or {"enabled": False},
            },
            description=asked.get("description"),
        )
        self._deployer.begin(deployment)
        return ActionResult({"deploymentId": deployment.deployment_id})

    def get_deployment(self, response: Any) -> ActionResult:
        """One of them."""
        return ActionResult({"deploymentInfo": answers.deployment(self._deployment(_asked(response)["deploymentId"]))})

    def batch_get_deployments(self, response: Any) -> ActionResult:
        """At most 25; those that are not there are left out."""
        ids = _at_most_25(_asked(response).get("deploymentIds", []))
        known = self._deployer.deployments
        return ActionResult({"deploymentsInfo": [answers.deployment(known[one]) for one in ids if one in known]})

    def list_deployments(self, response: Any) -> ActionResult:
        """Newest first, which AWS does not promise, a hundred a page; a group and its application only together."""
        asked = _modelled(response, "ListDeployments", {
            "applicationName", "deploymentGroupName", "includeOnlyStatuses", "createTimeRange", "nextToken"})  # fmt: skip
        group = None
        if "applicationName" in asked or "deploymentGroupName" in asked:
            for name in ("applicationName", "deploymentGroupName"):
                if name not in asked:
                    raise Refusal(f"{name[0].upper()}{name[1:]}RequiredException", f"{name} must be specified too.")
            group = response.codedeploy_backend.get_deployment_group(
                asked["applicationName"], asked["deploymentGroupName"]
            )
        statuses, between = asked.get("includeOnlyStatuses"), asked.get("createTimeRange", {})
        start, end = _moment(between.get("start")), _moment(between.get("end"))
        if start is not None and end is not None and start > end:
            raise Refusal("InvalidTimeRangeException", "The specified time range was specified in an invalid format.")
        ids = [
            d.deployment_id
            for d in self._newest_first()
            if (group is None or d.group is group)
            and (not statuses or d.status in statuses)
            and (start is None or d.created_at >= start)
            and (end is None or d.created_at <= end)
        ]
        token = asked.get("nextToken")
        if token is not None and token not in ids:
            raise Refusal("InvalidNextTokenException", "The next token was specified in an invalid format.")
        first = ids.index(token) if token is not None else 0
        more = ids[first + PAGE : first + PAGE + 1]
        return ActionResult({"deployments": ids[first : first + PAGE]} | ({"nextToken": more[0]} if more else {}))

    def stop_deployment(self, response: Any) -> ActionResult:
        """It is Pending, and the deployment Stopped a moment later; without `autoRollbackEnabled`, what was configured counts.

        That a stop is not done at once is this cloud's choice of the two documented answers; the texts are its own.
        """
        asked = _asked(response)
        deployment = self._deployment(asked["deploymentId"])
        if deployment.finished:
            message = f"Deployment {deployment.deployment_id} has already completed."
            raise Refusal("DeploymentAlreadyCompletedException", message)
        configured = "DEPLOYMENT_STOP_ON_REQUEST" in deployment.rolls_back_on
        deployment.stop = deployment.stop or self._now()
        deployment.stop_rolls_back = bool(asked.get("autoRollbackEnabled", configured))
        return ActionResult({"status": "Pending", "statusMessage": "The deployment is being stopped."})

    def get_application_revision(self, response: Any) -> ActionResult:
        """With the AppSpec's content, asked for by its sha256."""
        asked = _asked(response)
        application = asked["applicationName"]
        response.codedeploy_backend.get_application(application)
        found = self._locations.get((application, _address(asked["revision"])))
        if found is None:
            raise Refusal("RevisionDoesNotExistException", "The named revision does not exist.")
        location, registered_at = found
        uses = [d for d in self._newest_first() if d.location is not None and _same(d.location, location)]
        groups = {id(d.group): d.group for d in uses}.values()
        current = [g.deployment_group_name for g in groups if (t := self._target(g)) is not None and _same(t, location)]
        info = {
            "deploymentGroups": current,
            "firstUsedTime": uses[-1].created_at,
            "lastUsedTime": uses[0].created_at,
            "registerTime": registered_at,
        }
        return ActionResult({"applicationName": application, "revision": location.whole, "revisionInfo": info})

    def list_deployment_targets(self, response: Any) -> ActionResult:
        """The one service."""
        asked = _modelled(response, "ListDeploymentTargets", {"deploymentId"})
        return ActionResult({"targetIds": [self._target_of(asked["deploymentId"])["ecsTarget"]["targetId"]]})

    def get_deployment_target(self, response: Any) -> ActionResult:
        """The one service, by its id."""
        asked = _asked(response)
        return ActionResult({"deploymentTarget": self._only(asked["deploymentId"], [asked["targetId"]])})

    def batch_get_deployment_targets(self, response: Any) -> ActionResult:
        """The one service, by its id."""
        asked = _asked(response)
        return ActionResult({"deploymentTargets": [self._only(asked["deploymentId"], asked.get("targetIds", []))]})

    def _only(self, deployment_id: str, target_ids: list[str]) -> dict[str, Any]:
        target = self._target_of(deployment_id)
        if not target_ids:
            raise Refusal("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
        if target_ids != [target["ecsTarget"]["targetId"]]:
            message = "The provided target ID does not belong to the attempted deployment."
            raise Refusal("DeploymentTargetDoesNotExistException", message)
        return target

    def _target_of(self, deployment_id: str) -> dict[str, Any]:
        deployment = self._deployment(deployment_id)
        if deployment.started_at is None:
            raise Refusal("DeploymentNotStartedException", "The specified deployment has not started.")
        return answers.target(deployment)

    def _deployment(self, deployment_id: str) -> Deployment:
        found = self._deployer.deployments.get(deployment_id)
        if found is None:
            raise Refusal("DeploymentDoesNotExistException", f"The deployment {deployment_id} could not be found")
        return found

    def _newest_first(self) -> list[Deployment]:
        return list(reversed(self._deployer.deployments.values()))

    def _shown_group(self, group: Any) -> dict[str, Any]:
        mine = [d for d in self._newest_first() if d.group is group]
        return answers.group(group, _deployment_group_info(group), self._target(group), mine)

    def _target(self, group: Any) -> Location | None:
        last = self._deployer.last_succeeded(group)
        return last.location if last else None

    def _service_for_group(self, services: list[dict[str, str]]) -> Service:
        if len(services) != 1:
            raise Refusal("InvalidECSServiceException", "The deployment group must have one ECS service.")
        backend = codedeploy_backends[self._cloud.account][self._cloud.region]
        others = [group for groups in backend.deployment_groups.values() for group in groups.values()]
        if any(group.ecs_services == services for group in others):
            message = "The Amazon ECS service is associated with more than one deployment groups."
            raise Refusal("ECSServiceMappingLimitExceededException", message)
        return self._ecs_service(services[0])

    def _service_of(self, group: Any) -> Service:
        return self._ecs_service(group.ecs_services[0])

    def _ecs_service(self, named: Mapping[str, str]) -> Service:
        try:
            service = self._cloud.service(Ecs).find(named["clusterName"], named["serviceName"])
        except ServiceException as missing:
            raise Refusal("InvalidECSServiceException", "The Amazon ECS service identifier is not valid.") from missing
        if service.controller != "CODE_DEPLOY" or service.status != "ACTIVE":
            message = "Deployment group's ECS service must be configured for a CODE_DEPLOY deployment controller."
            raise Refusal("InvalidECSServiceException", message)
        return service

    def _location(self, revision: Mapping[str, Any]) -> Location:
        """String is for Lambda (botocore's documentation of RevisionLocation); GitHub for servers."""
        match revision.get("revisionType"):
            case "AppSpecContent":
                given = revision.get("appSpecContent", {})
                if "content" not in given:
                    raise Refusal("InvalidRevisionException", "The AppSpec has no content.")
                spec = parse(given["content"])
                if given.get("sha256", spec.sha256) != spec.sha256:
                    raise Refusal("InvalidRevisionException", "The sha256 is not that of the content.")
                shown: dict[str, Any] = {"sha256": spec.sha256}
                whole = shown | {"content": spec.content}
                kind = {"revisionType": "AppSpecContent"}
                return Location(spec, kind | {"appSpecContent": shown}, kind | {"appSpecContent": whole})
            case "S3":
                place = dict(revision.get("s3Location", {}))
                shown = {"revisionType": "S3", "s3Location": place}
                return Location(self._in_s3(place), shown, shown)
            case other:
                raise Refusal("InvalidRevisionException", f"{other} is no revision type for ECS.")

    def _in_s3(self, place: Mapping[str, str]) -> AppSpec:
        if place.get("bundleType") not in {"YAML", "JSON"}:
            raise Refusal("InvalidRevisionException", "BundleType must be either YAML or JSON")
        for name in set(place) - {"bucket", "key", "bundleType"}:
            raise NotModelled(f"codedeploy s3Location: {name}")
        backend = s3_backends[self._cloud.account]["aws"]
        bucket = backend.buckets.get(place.get("bucket"))
        found = bucket.keys.get(place.get("key")) if bucket is not None else None
        if found is None:
            raise Refusal("RevisionDoesNotExistException", "The named revision does not exist.")
        return parse(found.value.decode())

    def _now(self) -> datetime:
        return self._cloud.clock.now()


def _asked(response: Any) -> dict[str, Any]:
    return dict(response._get_params())


def _modelled(response: Any, operation: str, known: Iterable[str]) -> dict[str, Any]:
    asked = _asked(response)
    for name in asked:
        if name not in known:
            raise NotModelled(f"codedeploy {operation}: {name}")
    return asked


def _known_configuration(name: str) -> None:
    if name not in CONFIGURATIONS:
        message = f"No deployment configuration found for name: {name}"
        raise Refusal("DeploymentConfigDoesNotExistException", message)


def _check_blue_green(given: Mapping[str, Any] | None) -> None:
    """The original is ended after a wait; waiting for ContinueDeployment is not modelled."""
    if not given or "terminateBlueInstancesOnDeploymentSuccess" not in given:
        message = "ECS needs terminateBlueInstancesOnDeploymentSuccess."
        raise Refusal("InvalidBlueGreenDeploymentConfigurationException", message)
    if given["terminateBlueInstancesOnDeploymentSuccess"].get("action", "TERMINATE") != "TERMINATE":
        raise NotModelled("codedeploy terminateBlueInstancesOnDeploymentSuccess: KEEP_ALIVE")
    if given.get("deploymentReadyOption", {}).get("actionOnTimeout", "CONTINUE_DEPLOYMENT") != "CONTINUE_DEPLOYMENT":
        raise NotModelled("codedeploy deploymentReadyOption: STOP_DEPLOYMENT")
    if "greenFleetProvisioningOption" in given:
        raise NotModelled("codedeploy greenFleetProvisioningOption")


def _check_load_balancer(given: Mapping[str, Any]) -> None:
    pairs = given.get("targetGroupPairInfoList", [])
    if set(given) != {"targetGroupPairInfoList"} or len(pairs) != 1 or len(pairs[0].get("targetGroups", [])) != 2:
        raise Refusal("InvalidLoadBalancerInfoException", "ECS needs one pair of target groups.")
    if "testTrafficRoute" in pairs[0]:
        raise NotModelled("codedeploy targetGroupPairInfoList: testTrafficRoute")


def _address(revision: Mapping[str, Any]) -> str:
    if revision.get("revisionType") == "AppSpecContent":
        return str(revision.get("appSpecContent", {}).get("sha256"))
    return json.dumps(revision.get("s3Location", {}), sort_keys=True)


def _same(one: Location, other: Location) -> bool:
    return one.shown == other.shown


def _moment(value: datetime | str | float | None) -> datetime | None:
    """As moto hands it over: parsed, without a zone, which is UTC."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _at_most_25(ids: list[str]) -> list[str]:
    if not ids:
        raise Refusal("DeploymentIdRequiredException", "At least one deployment ID must be specified.")
    if len(ids) > 25:
        raise Refusal(
            "BatchLimitExceededException",
            "The maximum number of names or IDs allowed for this request (25) was exceeded.",
        )
    return ids
