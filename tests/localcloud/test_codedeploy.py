"""CodeDeploy of the local cloud, asked through boto3 as the controller asks it."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import World, app_spec, termination_wait
from localcloud.errors import NOT_MODELLED
from localcloud.server import Cloud, running
from localcloud.traffic import Behaviour

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOAD_BALANCER = "app/shop/50dc6c495c0c9188"
BLUE, GREEN = "targetgroup/auth-1/943f017f100becff", "targetgroup/auth-2/ffceb001f710f349"
NAMES = ("auth", "auth-group")
GROUP = {"applicationName": NAMES[0], "deploymentGroupName": NAMES[1]}
CANARY = "CodeDeployDefault.ECSCanary10Percent5Minutes"


class Auth:
    """The service auth in the cluster shop, created with v1 and a deployment group; what CodeDeploy's events said."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.world = cloud, World.of(cloud)
        self.ecs = self.world.session.client("ecs")
        self.deploy: Any = self.world.session.client("codedeploy")
        self.events: list[dict[str, Any]] = []
        cloud.emit = self.events.append
        self.world.cluster("shop")
        self.uri = self.world.repository("auth")
        self.digests: dict[str, str] = {}
        self.v1, self.v2 = self.build("v1"), self.build("v2")

    def start(self, wait_minutes: int = 5, **more: Any) -> "Auth":
        prefix = f"arn:aws:elasticloadbalancing:{self.cloud.region}:{self.cloud.account}"
        balancer = {
            "targetGroupArn": f"{prefix}:{BLUE}",
            "containerName": "app",
            "containerPort": 80,
        }
        self.world.service(
            "shop",
            "auth",
            self.v1,
            deploymentController={"type": "CODE_DEPLOY"},
            loadBalancers=[balancer],
        )
        self.cloud.traffic.serve(
            "shop",
            "auth",
            load_balancer=LOAD_BALANCER,
            target_group=(BLUE, GREEN),
            requests_per_minute=600,
        )
        more.setdefault("blueGreenDeploymentConfiguration", termination_wait(minutes=wait_minutes))
        self.world.deployment_group(
            *NAMES, cluster="shop", service="auth", target_groups=("auth-1", "auth-2"), **more
        )
        return self

    def build(self, tag: str, behaviour: Behaviour | None = None) -> str:
        self.digests[tag] = self.world.push("auth", tag)
        self.cloud.traffic.behaviour(self.digests[tag], behaviour or Behaviour())
        return self.world.define("auth", {"app": f"{self.uri}:{tag}"})

    def begin(self, definition: str, **more: Any) -> str:
        return self.world.deploy_by_codedeploy(*NAMES, definition, **more)

    def passes(self, **time: float) -> None:
        self.cloud.clock.advance(timedelta(**time))

    def get(self, deployment_id: str) -> Any:
        return self.deploy.get_deployment(deploymentId=deployment_id)["deploymentInfo"]

    def listed(self, **filters: Any) -> list[str]:
        return list(self.deploy.list_deployments(**GROUP, **filters)["deployments"])

    def now(self) -> Any:
        return self.ecs.describe_services(cluster="shop", services=["auth"])["services"][0]

    def task_sets(self) -> list[tuple[str, str]]:
        return [(one["status"], one["taskDefinition"]) for one in self.now()["taskSets"]]

    def images(self, started_by: str) -> list[str]:
        arns = self.ecs.list_tasks(cluster="shop", startedBy=started_by)["taskArns"]
        tasks = self.ecs.describe_tasks(cluster="shop", tasks=arns)["tasks"]
        return [container["imageDigest"] for task in tasks for container in task["containers"]]

    def states(self) -> list[tuple[str, str]]:
        detail = [event["detail"] for event in self.events if event["source"] == "aws.codedeploy"]
        return [(one["deploymentId"], one["state"]) for one in detail]


@pytest.fixture
def auth() -> Iterator[Auth]:
    with running(START) as cloud:
        yield Auth(cloud)


def refusal(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_a_deployment_brings_a_task_set_that_takes_the_traffic_and_succeeds_when_the_old_one_has_ended(
    auth: Auth,
) -> None:
    deployment = auth.start(wait_minutes=5).begin(auth.v2)
    assert auth.get(deployment)["status"] == "Created"
    auth.passes(seconds=10)
    assert auth.get(deployment)["status"] == "InProgress"
    assert auth.task_sets() == [("PRIMARY", auth.v1), ("ACTIVE", auth.v2)]
    auth.passes(minutes=1)
    assert auth.task_sets() == [("ACTIVE", auth.v1), ("PRIMARY", auth.v2)]
    waiting, green = auth.get(deployment), auth.now()["taskSets"][1]
    assert (waiting["status"], waiting["instanceTerminationWaitTimeStarted"]) == (
        "InProgress",
        True,
    )
    assert (green["startedBy"], green["externalId"], green["stabilityStatus"]) == (
        "CODE_DEPLOY",
        deployment,
        "STEADY_STATE",
    )
    assert green["loadBalancers"][0]["targetGroupArn"].endswith(GREEN)
    auth.passes(minutes=6)
    done, service = auth.get(deployment), auth.now()
    assert (done["status"], done["creator"], done["computePlatform"]) == (
        "Succeeded",
        "user",
        "ECS",
    )
    assert done["completeTime"] - done["startTime"] == timedelta(minutes=6)
    assert auth.task_sets() == [("PRIMARY", auth.v2)]
    assert (service["taskDefinition"], service["runningCount"], service["deployments"]) == (
        auth.v2,
        4,
        [],
    )
    assert auth.states() == [(deployment, "START"), (deployment, "SUCCESS")]
    shown = auth.deploy.get_deployment_group(**GROUP)["deploymentGroupInfo"]
    assert shown["lastSuccessfulDeployment"]["deploymentId"] == deployment


def test_the_content_of_an_appspec_is_told_by_its_revision_only(auth: Auth) -> None:
    deployment = auth.start().begin(auth.v2)
    revision = auth.get(deployment)["revision"]
    content = app_spec(auth.v2)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    assert revision == {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}}
    told = auth.deploy.get_application_revision(applicationName="auth", revision=revision)
    assert told["revision"]["appSpecContent"] == {"content": content, "sha256": sha256}
    revision["appSpecContent"]["sha256"] = "0" * 64
    with pytest.raises(auth.deploy.exceptions.RevisionDoesNotExistException):
        auth.deploy.get_application_revision(applicationName="auth", revision=revision)


def test_an_appspec_may_be_yaml_or_lie_in_s3(auth: Auth) -> None:
    text = f"""
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "{auth.v2}"
        LoadBalancerInfo: {{ContainerName: app, ContainerPort: 80}}
        PlatformVersion: LATEST
"""
    s3: Any = auth.start(wait_minutes=0).world.session.client("s3")
    s3.create_bucket(
        Bucket="specs", CreateBucketConfiguration={"LocationConstraint": auth.cloud.region}
    )
    s3.put_object(Bucket="specs", Key="auth.yaml", Body=text.encode())
    location = {"bucket": "specs", "key": "auth.yaml", "bundleType": "YAML"}
    for revision in (
        {"revisionType": "AppSpecContent", "appSpecContent": {"content": text}},
        {"revisionType": "S3", "s3Location": location},
    ):
        deployment = auth.begin(auth.v2, revision=revision)
        auth.passes(minutes=2)
        assert auth.get(deployment)["status"] == "Succeeded"
        assert auth.now()["taskSets"][0]["platformVersion"] == "LATEST"
    assert auth.get(deployment)["revision"] == {"revisionType": "S3", "s3Location": location}


def test_traffic_and_tasks_follow_the_primary_task_set(auth: Auth) -> None:
    bad = auth.build("v3", Behaviour(error_rate=0.4))
    auth.start(wait_minutes=5, deploymentConfigName=CANARY).begin(bad)
    auth.passes(minutes=2)
    blue, green = auth.now()["taskSets"]
    assert (blue["status"], green["status"]) == ("PRIMARY", "ACTIVE")
    assert auth.images(blue["id"]) == [auth.digests["v1"]] * 4
    assert auth.images(green["id"]) == [auth.digests["v3"]] * 4
    auth.passes(minutes=3)
    assert _last_minute(auth, BLUE, "RequestCount") == pytest.approx(540, abs=2)
    assert _last_minute(auth, GREEN, "HTTPCode_Target_5XX_Count") == pytest.approx(24, abs=2)
    auth.passes(minutes=4)
    assert _last_minute(auth, BLUE, "RequestCount") == 0
    assert _last_minute(auth, GREEN, "HTTPCode_Target_5XX_Count") == pytest.approx(240, abs=2)
    auth.passes(minutes=5)
    assert auth.images(green["id"]) == [auth.digests["v3"]] * 4
    assert auth.ecs.list_tasks(cluster="shop", startedBy=blue["id"])["taskArns"] == []


def test_one_that_is_stopped_with_a_rollback_returns_to_the_old_task_set_by_another_deployment(
    auth: Auth,
) -> None:
    good = auth.start(wait_minutes=5).begin(auth.v1)
    auth.passes(minutes=7)
    old = auth.now()["taskSets"][0]["id"]
    bad = auth.begin(auth.v2)
    auth.passes(minutes=2)
    assert auth.now()["taskDefinition"] == auth.v2
    answer = auth.deploy.stop_deployment(deploymentId=bad, autoRollbackEnabled=True)
    assert answer["status"] == "Pending"
    auth.passes(seconds=5)
    stopped = auth.get(bad)
    assert (stopped["status"], stopped["errorInformation"]["code"]) == ("Stopped", "MANUAL_STOP")
    rollback = stopped["rollbackInfo"]["rollbackDeploymentId"]
    assert auth.listed() == [rollback, bad, good]
    auth.passes(minutes=1)
    done = auth.get(rollback)
    assert (done["status"], done["creator"]) == ("Succeeded", "codeDeployRollback")
    assert done["rollbackInfo"]["rollbackTriggeringDeploymentId"] == bad
    assert done["revision"] == auth.get(good)["revision"]
    assert [(one["id"], one["status"], one["externalId"]) for one in auth.now()["taskSets"]] == [
        (old, "PRIMARY", good)
    ]
    assert auth.now()["taskDefinition"] == auth.v1
    assert auth.states()[2:] == [
        (bad, "START"),
        (bad, "STOP"),
        (rollback, "START"),
        (rollback, "SUCCESS"),
    ]


def test_one_that_is_stopped_without_a_rollback_stays_as_it_is(auth: Auth) -> None:
    bad = auth.start(wait_minutes=5).begin(auth.v2)
    auth.passes(minutes=2)
    auth.deploy.stop_deployment(deploymentId=bad, autoRollbackEnabled=False)
    auth.passes(minutes=10)
    assert (auth.get(bad)["status"], auth.listed()) == ("Stopped", [bad])
    assert auth.task_sets() == [("ACTIVE", auth.v1), ("PRIMARY", auth.v2)]
    auth.begin(auth.v1)
    auth.passes(minutes=8)
    assert auth.task_sets() == [("PRIMARY", auth.v1)]


def test_what_has_ended_or_never_was_cannot_be_stopped(auth: Auth) -> None:
    done = auth.start(wait_minutes=0).begin(auth.v2)
    auth.passes(minutes=2)
    with pytest.raises(auth.deploy.exceptions.DeploymentAlreadyCompletedException):
        auth.deploy.stop_deployment(deploymentId=done, autoRollbackEnabled=True)
    with pytest.raises(auth.deploy.exceptions.DeploymentDoesNotExistException):
        auth.deploy.stop_deployment(deploymentId="d-ABCDEFGHI")


def test_a_group_has_one_deployment_at_a_time(auth: Auth) -> None:
    first = auth.start().begin(auth.v2)
    with pytest.raises(auth.deploy.exceptions.DeploymentLimitExceededException, match=first):
        auth.begin(auth.v1)


def test_a_definition_that_cannot_be_used_fails_the_deployment_and_leaves_the_service(
    auth: Auth,
) -> None:
    auth.start(autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]})
    auth.ecs.deregister_task_definition(taskDefinition=auth.v2)
    failed = auth.begin(auth.v2)
    auth.passes(minutes=2)
    told = auth.get(failed)
    assert (told["status"], told["errorInformation"]["code"]) == ("Failed", "ECS_UPDATE_ERROR")
    assert "TaskDefinition is inactive" in told["errorInformation"]["message"]
    assert auth.task_sets() == [("PRIMARY", auth.v1)]
    assert (failed, "FAILURE") in auth.states()


def test_tasks_that_never_get_healthy_fail_the_deployment_after_an_hour(auth: Auth) -> None:
    failed = auth.start().begin(auth.build("v3", Behaviour(starts=False)))
    auth.passes(minutes=59)
    assert auth.get(failed)["status"] == "InProgress"
    auth.passes(minutes=2)
    assert auth.get(failed)["errorInformation"]["code"] == "TIMEOUT"
    assert auth.task_sets()[0] == ("PRIMARY", auth.v1)


def test_a_red_alarm_of_the_group_stops_its_deployment_unless_the_deployment_says_otherwise(
    auth: Auth,
) -> None:
    alarms = {"enabled": True, "alarms": [{"name": "auth-red"}]}
    auth.start(wait_minutes=0, alarmConfiguration=alarms)
    cloudwatch = auth.world.session.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="auth-red", Namespace="Shop", MetricName="red", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=10, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="auth-red", StateValue="ALARM", StateReason="a test")
    stopped = auth.begin(auth.v2)
    auth.passes(seconds=10)
    assert (auth.get(stopped)["status"], auth.get(stopped)["errorInformation"]["code"]) == (
        "Stopped",
        "ALARM_ACTIVE",
    )
    through = auth.begin(auth.v2, overrideAlarmConfiguration={"enabled": False, "alarms": []})
    auth.passes(minutes=2)
    assert auth.get(through)["status"] == "Succeeded"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        pytest.param(
            {"applicationName": "other"}, "ApplicationDoesNotExistException", id="application"
        ),
        pytest.param(
            {"deploymentGroupName": "other"}, "DeploymentGroupDoesNotExistException", id="group"
        ),
        pytest.param(
            {"revision": {"revisionType": "String"}},
            "InvalidRevisionException",
            id="a revision for Lambda",
        ),
        pytest.param(
            {
                "revision": {
                    "revisionType": "AppSpecContent",
                    "appSpecContent": {"content": "version: 0.0"},
                }
            },
            "InvalidRevisionException",
            id="no service in the AppSpec",
        ),
        pytest.param(
            {"targetInstances": {"tagFilters": []}}, NOT_MODELLED, id="a parameter for servers"
        ),
    ],
)
def test_a_deployment_of_what_is_not_there_is_refused(
    auth: Auth, changed: dict[str, Any], code: str
) -> None:
    auth.start()
    with pytest.raises(ClientError) as refused:
        auth.begin(auth.v2, **changed)
    assert refusal(refused) == code
    assert auth.listed() == []


def test_deployments_are_listed_newest_first_by_status_and_time_and_page(auth: Auth) -> None:
    auth.start(wait_minutes=0)
    made: list[str] = []
    for _ in range(101):
        made.insert(0, auth.begin(auth.v1, revision=_spec_of_nothing()))
        auth.passes(seconds=5)
    first = auth.deploy.list_deployments(**GROUP)
    rest = auth.deploy.list_deployments(**GROUP, nextToken=first["nextToken"])
    assert first["deployments"] + rest["deployments"] == made
    assert auth.listed(includeOnlyStatuses=["Succeeded"]) == []
    between = {"start": START, "end": START + timedelta(seconds=4)}
    assert auth.listed(createTimeRange=between) == made[-1:]
    with pytest.raises(auth.deploy.exceptions.BatchLimitExceededException):
        auth.deploy.batch_get_deployments(deploymentIds=made[:26])
    infos = auth.deploy.batch_get_deployments(deploymentIds=made[:25])["deploymentsInfo"]
    assert [info["deploymentId"] for info in infos] == made[:25]


def test_the_target_of_a_deployment_is_the_service_with_its_task_sets(auth: Auth) -> None:
    deployment = auth.start().begin(auth.v2)
    auth.passes(minutes=2)
    (target_id,) = auth.deploy.list_deployment_targets(deploymentId=deployment)["targetIds"]
    (target,) = auth.deploy.batch_get_deployment_targets(
        deploymentId=deployment, targetIds=[target_id]
    )["deploymentTargets"]
    sets = target["ecsTarget"]["taskSetsInfo"]
    assert target_id == "shop:auth"
    assert [(one["taskSetLabel"], one["status"], one["trafficWeight"]) for one in sets] == [
        ("Blue", "ACTIVE", 0.0),
        ("Green", "PRIMARY", 100.0),
    ]


def _spec_of_nothing() -> dict[str, Any]:
    return {"revisionType": "AppSpecContent", "appSpecContent": {"content": app_spec("auth:99")}}


def _last_minute(auth: Auth, target_group: str, metric: str) -> float:
    end = auth.cloud.clock.now().replace(second=0, microsecond=0)
    points = auth.world.session.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/ApplicationELB", MetricName=metric, StartTime=end - timedelta(minutes=1), EndTime=end, Period=60,
        Dimensions=[{"Name": "LoadBalancer", "Value": LOAD_BALANCER}, {"Name": "TargetGroup", "Value": target_group}],
        Statistics=["Sum"],
    )["Datapoints"]  # fmt: skip
    return sum(point["Sum"] for point in points)
