"""ECS of the local cloud, asked through boto3 as the controller asks it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecs.world import World
from localcloud.errors import NOT_MODELLED
from localcloud.server import Cloud, running
from localcloud.traffic import Behaviour

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
LOAD_BALANCER, TARGET_GROUP = "app/shop/50dc6c495c0c9188", "targetgroup/auth/943f017f100becff"


class Auth:
    """The service auth in the cluster shop, with version v1 deployed; what events ECS sent."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.world = cloud, World.of(cloud)
        self.ecs = self.world.session.client("ecs")
        self.events: list[dict[str, Any]] = []
        cloud.emit = self.events.append
        self.world.cluster("shop")
        self.uri = self.world.repository("auth")
        self.digest = self.world.push("auth", "v1")
        self.v1 = self.world.define("auth", {"app": f"{self.uri}:v1"})

    def start(self, **more: Any) -> "Auth":
        self.world.service("shop", "auth", self.v1, **more)
        self.passes(minutes=2)
        self.events.clear()
        return self

    def build(self, tag: str, behaviour: Behaviour) -> str:
        self.cloud.traffic.behaviour(self.world.push("auth", tag), behaviour)
        return self.world.define("auth", {"app": f"{self.uri}:{tag}"})

    def update(self, **parameters: Any) -> dict[str, Any]:
        return dict(
            self.ecs.update_service(cluster="shop", service="auth", **parameters)["service"]
        )

    def passes(self, **time: float) -> None:
        self.cloud.clock.advance(timedelta(**time))

    def history(self, **filters: Any) -> list[Any]:
        return list(
            self.ecs.list_service_deployments(cluster="shop", service="auth", **filters)[
                "serviceDeployments"
            ]
        )

    def newest(self) -> Any:
        arn = self.history()[0]["serviceDeploymentArn"]
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])[
            "serviceDeployments"
        ][0]

    def revision(self, arn: str) -> Any:
        return self.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]

    def now(self) -> Any:
        return self.ecs.describe_services(cluster="shop", services=["auth"])["services"][0]

    def event_names(self) -> list[str]:
        return [event["detail"]["eventName"] for event in self.events]


@pytest.fixture
def auth() -> Iterator[Auth]:
    with running(START) as cloud:
        yield Auth(cloud)


def test_a_deployment_goes_from_pending_over_mixed_tasks_to_successful(auth: Auth) -> None:
    v2 = auth.start().build("v2", Behaviour())
    shown = auth.update(taskDefinition="auth:2")
    assert shown["taskDefinition"] == v2
    assert auth.newest()["status"] == "PENDING"
    auth.passes(seconds=25)
    primary, old = auth.now()["deployments"]
    assert (primary["status"], primary["rolloutState"], primary["runningCount"]) == (
        "PRIMARY",
        "IN_PROGRESS",
        2,
    )
    assert (old["status"], old["taskDefinition"], old["runningCount"]) == ("ACTIVE", auth.v1, 2)
    auth.passes(minutes=1)
    done = auth.newest()
    assert (done["status"], done["finishedAt"] - done["startedAt"]) == (
        "SUCCESSFUL",
        timedelta(minutes=1),
    )
    assert [auth.revision(s["arn"])["taskDefinition"] for s in done["sourceServiceRevisions"]] == [
        auth.v1
    ]
    assert auth.now()["deployments"][0]["rolloutState"] == "COMPLETED"
    assert auth.event_names() == [
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        "SERVICE_DEPLOYMENT_COMPLETED",
        "SERVICE_STEADY_STATE",
    ]
    completed = auth.events[1]
    assert completed["resources"] == [auth.now()["serviceArn"]]
    assert completed["detail"]["deploymentId"] == auth.now()["deployments"][0]["id"]


def test_only_what_deploys_makes_a_deployment(auth: Auth) -> None:
    auth.start()
    auth.update(taskDefinition="auth")
    auth.update(desiredCount=6)
    auth.update(healthCheckGracePeriodSeconds=30)
    assert len(auth.history()) == 1
    assert auth.now()["runningCount"] == 6
    auth.update(forceNewDeployment=True)
    restart, first = auth.history()
    assert restart["targetServiceRevisionArn"] != first["targetServiceRevisionArn"]


def test_a_revision_remembers_the_digest_that_its_tag_had(auth: Auth) -> None:
    auth.start()
    moved = auth.world.push("auth", "v1", content="rebuilt")
    auth.update(forceNewDeployment=True)
    digests = [
        auth.revision(d["targetServiceRevisionArn"])["containerImages"][0]["imageDigest"]
        for d in auth.history()
    ]
    assert digests == [moved, auth.digest]


@pytest.mark.parametrize("strategy", ["ROLLING", "BLUE_GREEN"])
def test_a_deployment_stays_in_progress_through_its_bake(auth: Auth, strategy: str) -> None:
    auth.start(deploymentConfiguration={"strategy": strategy, "bakeTimeInMinutes": 5})
    auth.passes(minutes=5)
    auth.update(taskDefinition=auth.build("v2", Behaviour()))
    auth.passes(minutes=5)
    assert auth.newest()["status"] == "IN_PROGRESS"
    assert auth.now()["runningCount"] == (8 if strategy == "BLUE_GREEN" else 4)
    auth.passes(minutes=1, seconds=5)
    assert auth.newest()["status"] == "SUCCESSFUL"
    assert auth.now()["runningCount"] == 4


def test_a_new_deployment_stops_the_one_under_way(auth: Auth) -> None:
    auth.start()
    auth.update(taskDefinition=auth.build("v2", Behaviour()))
    auth.passes(seconds=25)
    auth.update(taskDefinition=auth.v1)
    assert [d["status"] for d in auth.history()[:2]] == ["PENDING", "STOP_REQUESTED"]
    auth.passes(minutes=2)
    assert [d["status"] for d in auth.history()[:2]] == ["SUCCESSFUL", "STOPPED"]
    assert [d["taskDefinition"] for d in auth.now()["deployments"]] == [auth.v1]


def test_stopping_a_deployment_returns_to_what_ran_well(auth: Auth) -> None:
    auth.start()
    ran_well = auth.history()[0]["targetServiceRevisionArn"]
    auth.update(taskDefinition=auth.build("v2", Behaviour()))
    auth.passes(seconds=25)
    stopped = auth.newest()["serviceDeploymentArn"]
    auth.ecs.stop_service_deployment(serviceDeploymentArn=stopped, stopType="ROLLBACK")
    assert auth.newest()["status"] == "ROLLBACK_REQUESTED"
    auth.passes(seconds=10)
    assert auth.newest()["status"] == "ROLLBACK_IN_PROGRESS"
    auth.passes(minutes=1)
    done = auth.newest()
    assert (done["status"], done["rollback"]["serviceRevisionArn"]) == (
        "ROLLBACK_SUCCESSFUL",
        ran_well,
    )
    assert auth.revision(done["targetServiceRevision"]["arn"])["taskDefinition"] != auth.v1
    assert auth.now()["taskDefinition"] == auth.v1
    assert "rollback" not in auth.history()[0]
    with pytest.raises(auth.ecs.exceptions.ConflictException):
        auth.ecs.stop_service_deployment(serviceDeploymentArn=stopped, stopType="ROLLBACK")
    with pytest.raises(auth.ecs.exceptions.ServiceDeploymentNotFoundException):
        auth.ecs.stop_service_deployment(serviceDeploymentArn=stopped + "x", stopType="ROLLBACK")
    with pytest.raises(auth.ecs.exceptions.InvalidParameterException):
        auth.ecs.stop_service_deployment(serviceDeploymentArn=stopped, stopType="ABORT")


@pytest.mark.parametrize(
    "ill", [Behaviour(starts=False), Behaviour(healthy=False)], ids=["never runs", "never healthy"]
)
def test_the_circuit_breaker_rolls_back_what_does_not_come_up(auth: Auth, ill: Behaviour) -> None:
    auth.start(deploymentConfiguration=BREAKER)
    auth.update(taskDefinition=auth.build("v2", ill))
    auth.passes(minutes=3)
    done = auth.newest()
    assert (done["status"], done["deploymentCircuitBreaker"]["status"]) == (
        "ROLLBACK_SUCCESSFUL",
        "TRIGGERED",
    )
    assert (
        done["statusReason"]
        == "Service deployment rolled back because the circuit breaker threshold was exceeded."
    )
    assert auth.now()["deployments"][0]["taskDefinition"] == auth.v1
    assert auth.event_names() == [
        "SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_TASK_START_IMPAIRED", "SERVICE_DEPLOYMENT_FAILED",
        "SERVICE_DEPLOYMENT_IN_PROGRESS", "SERVICE_DEPLOYMENT_COMPLETED", "SERVICE_STEADY_STATE",
    ]  # fmt: skip


def test_without_a_circuit_breaker_it_tries_forever_and_the_old_tasks_serve(auth: Auth) -> None:
    auth.start()
    auth.update(taskDefinition=auth.build("v2", Behaviour(starts=False)))
    auth.passes(minutes=12)
    assert auth.newest()["status"] == "IN_PROGRESS"
    assert [(d["runningCount"], d["pendingCount"]) for d in auth.now()["deployments"]] == [
        (0, 4),
        (4, 0),
    ]
    assert auth.event_names() == [
        "SERVICE_DEPLOYMENT_IN_PROGRESS",
        *["SERVICE_TASK_START_IMPAIRED"] * 3,
    ]


def test_the_first_deployment_has_nothing_to_roll_back_to(auth: Auth) -> None:
    auth.cloud.traffic.behaviour(auth.digest, Behaviour(starts=False))
    auth.start(deploymentConfiguration=BREAKER)
    assert (auth.newest()["status"], auth.newest()["statusReason"]) == (
        "ROLLBACK_FAILED", "No rollback candidate was found to run the rollback.",
    )  # fmt: skip


def test_deployment_alarms_roll_back_unless_they_were_red_at_the_start(auth: Auth) -> None:
    cloudwatch = auth.world.session.client("cloudwatch")
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    auth.start(deploymentConfiguration={"alarms": alarms, "bakeTimeInMinutes": 5})
    auth.passes(minutes=6)
    cloudwatch.put_metric_alarm(
        AlarmName="errors", Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    auth.update(taskDefinition=auth.build("v2", Behaviour()))
    auth.passes(seconds=80)
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    auth.passes(seconds=10)
    failed = auth.newest()
    assert (failed["status"], failed["alarms"]["triggeredAlarmNames"]) == (
        "ROLLBACK_IN_PROGRESS",
        ["errors"],
    )
    auth.passes(seconds=45)
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    auth.update(taskDefinition=auth.build("v3", Behaviour()))
    auth.passes(seconds=20)
    assert (auth.newest()["status"], auth.newest()["alarms"]["status"]) == (
        "IN_PROGRESS",
        "DISABLED",
    )


def test_an_inactive_task_definition_is_described_but_not_deployed(auth: Auth) -> None:
    auth.start()
    v2 = auth.build("v2", Behaviour())
    auth.ecs.deregister_task_definition(taskDefinition=v2)
    described = auth.ecs.describe_task_definition(taskDefinition=v2, include=["TAGS"])
    assert (described["taskDefinition"]["status"], described["tags"]) == ("INACTIVE", [])
    assert (
        auth.ecs.describe_task_definition(taskDefinition="auth")["taskDefinition"]["revision"] == 1
    )
    with pytest.raises(auth.ecs.exceptions.ClientException, match="TaskDefinition is inactive"):
        auth.update(taskDefinition=v2)
    with pytest.raises(auth.ecs.exceptions.ClientException):
        auth.update(taskDefinition="auth:99")
    assert len(auth.history()) == 1


def test_the_history_is_paged_and_filtered(auth: Auth) -> None:
    auth.start()
    for _ in range(4):
        auth.update(forceNewDeployment=True)
        auth.passes(minutes=2)
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        asked: Any = {"cluster": "shop", "service": "auth", "maxResults": 2, **token}
        page = auth.ecs.list_service_deployments(**asked)
        seen += [d["serviceDeploymentArn"] for d in page["serviceDeployments"]]
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    everything = auth.history()
    assert seen == [d["serviceDeploymentArn"] for d in everything]
    assert len(seen) == 5
    assert auth.history(status=["STOPPED"]) == []
    newer = auth.history(createdAt={"after": everything[2]["createdAt"] + timedelta(seconds=1)})
    assert newer == everything[:2]
    missing = auth.ecs.describe_service_deployments(serviceDeploymentArns=[seen[0] + "x"])
    assert missing["failures"] == [{"arn": seen[0] + "x", "reason": "MISSING"}]


def test_time_that_is_jumped_over_still_completes_a_deployment_but_sends_no_stale_events(
    auth: Auth,
) -> None:
    auth.world.service("shop", "auth", auth.v1)
    auth.cloud.clock.jump(START + timedelta(days=3))
    auth.passes(seconds=10)
    assert auth.newest()["status"] == "SUCCESSFUL"
    assert auth.newest()["finishedAt"] < START + timedelta(minutes=3)
    assert auth.events == []


def test_codedeploy_owns_the_task_definition_of_its_services(auth: Auth) -> None:
    auth.world.service("shop", "auth", auth.v1, deploymentController={"type": "CODE_DEPLOY"})
    v2 = auth.build("v2", Behaviour())
    with pytest.raises(
        auth.ecs.exceptions.InvalidParameterException, match="CODE_DEPLOY deployment controller"
    ):
        auth.update(taskDefinition=v2)
    auth.update(desiredCount=2)
    (task_set,) = auth.now()["taskSets"]
    assert (task_set["status"], task_set["runningCount"], auth.now()["runningCount"]) == (
        "PRIMARY",
        2,
        2,
    )
    assert auth.history() == []


def test_a_parameter_that_is_not_modelled_is_named(auth: Auth) -> None:
    auth.start()
    with pytest.raises(ClientError, match="ecs UpdateService: monitoring") as refused:
        auth.update(
            monitoring={
                "metricConfigurations": [
                    {"metricNames": ["CPUUtilization"], "resolutionSeconds": 20}
                ]
            }
        )
    assert refused.value.response["Error"]["Code"] == NOT_MODELLED


class TestTraffic:
    """What the load balancer's metrics say of a deployment."""

    @pytest.fixture
    def auth(self, auth: Auth) -> Auth:
        auth.start()
        auth.cloud.traffic.serve(
            "shop",
            "auth",
            load_balancer=LOAD_BALANCER,
            target_group=TARGET_GROUP,
            requests_per_minute=600,
        )
        auth.passes(minutes=3)
        return auth

    def metric(
        self, auth: Auth, name: str, statistic: Any, *, of_target_group: bool = True
    ) -> list[float]:
        dimensions = [{"Name": "LoadBalancer", "Value": LOAD_BALANCER}]
        if of_target_group:
            dimensions.append({"Name": "TargetGroup", "Value": TARGET_GROUP})
        points: list[Any] = auth.world.session.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/ApplicationELB", MetricName=name, Dimensions=dimensions, Period=60, Statistics=[statistic],  # type: ignore[arg-type] # plain dictionaries
            StartTime=START, EndTime=START + timedelta(hours=1),
        )["Datapoints"]  # fmt: skip
        return [point[statistic] for point in sorted(points, key=lambda p: p["Timestamp"])]

    def test_errors_and_latency_rise_as_the_bad_tasks_take_over(self, auth: Auth) -> None:
        auth.update(taskDefinition=auth.build("v2", Behaviour(error_rate=0.5, latency_seconds=3)))
        auth.passes(minutes=4)
        errors = self.metric(auth, "HTTPCode_Target_5XX_Count", "Sum")
        assert 0 < errors[0] < 300
        assert errors[1:] == [300, 300, 300]
        assert set(self.metric(auth, "RequestCount", "Sum")[1:]) == {600}
        assert self.metric(auth, "TargetResponseTime", "Maximum")[-1] == 3

    def test_blue_green_moves_the_traffic_to_the_other_target_group(self, auth: Auth) -> None:
        configuration = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 2}
        auth.world.service("shop", "shop", auth.v1, deploymentConfiguration=configuration)
        auth.passes(minutes=4)
        groups = ["targetgroup/blue/1", "targetgroup/green/2"]
        auth.cloud.traffic.serve(
            "shop", "shop", load_balancer=LOAD_BALANCER, target_group=groups, requests_per_minute=60
        )
        auth.passes(minutes=2)
        auth.world.deploy("shop", "shop", auth.build("v2", Behaviour()))
        auth.passes(minutes=1, seconds=30)
        assert [len(auth.cloud.traffic.targets(group) or []) for group in groups] == [4, 4]
        auth.passes(minutes=4)
        assert [len(auth.cloud.traffic.targets(group) or []) for group in groups] == [0, 4]

    def test_a_total_outage_silences_the_targets_and_speaks_through_the_load_balancer(
        self, auth: Auth
    ) -> None:
        requests = len(self.metric(auth, "RequestCount", "Sum"))
        auth.cloud.traffic.behaviour(auth.digest, Behaviour(healthy=False))
        auth.passes(minutes=2)
        assert len(self.metric(auth, "RequestCount", "Sum")) == requests
        assert self.metric(auth, "HTTPCode_Target_5XX_Count", "Sum") == []
        assert self.metric(auth, "HTTPCode_ELB_5XX_Count", "Sum", of_target_group=False) == [
            600,
            600,
        ]
        assert self.metric(auth, "HealthyHostCount", "Maximum")[-2:] == [0, 0]
        arn = f"arn:aws:elasticloadbalancing:eu-west-1:123456789012:{TARGET_GROUP}"
        health = auth.world.session.client("elbv2").describe_target_health(TargetGroupArn=arn)
        assert [t["TargetHealth"]["State"] for t in health["TargetHealthDescriptions"]] == [
            "unhealthy"
        ] * 4


class TestTasks:
    """Those of services that ECS deploys: which run, which stopped, and why."""

    def tasks(self, auth: Auth, status: Any = "STOPPED", **filters: Any) -> list[Any]:
        asked = filters or {"serviceName": "auth"}
        arns = auth.ecs.list_tasks(cluster="shop", desiredStatus=status, **asked)["taskArns"]
        return list(auth.ecs.describe_tasks(cluster="shop", tasks=arns)["tasks"]) if arns else []

    def test_as_many_run_as_are_counted(self, auth: Auth) -> None:
        auth.start(desired=3)
        running = self.tasks(auth, "RUNNING")
        assert len(running) == 3
        (task, *_) = running
        assert (task["taskDefinitionArn"], task["lastStatus"]) == (auth.v1, "RUNNING")
        assert task["startedBy"] == auth.now()["deployments"][0]["id"]
        assert task["containers"][0]["imageDigest"] == auth.digest
        assert self.tasks(auth) == []

    def test_what_a_deployment_replaced_was_stopped_by_it(self, auth: Auth) -> None:
        auth.start().update(taskDefinition=auth.build("v2", Behaviour()))
        auth.passes(minutes=3)
        stopped = self.tasks(auth)
        number = auth.now()["deployments"][0]["id"]
        assert {(t["taskDefinitionArn"], t["stopCode"], t["stoppedReason"]) for t in stopped} == {
            (
                auth.v1,
                "ServiceSchedulerInitiated",
                f"Scaling activity initiated by (deployment {number})",
            )
        }
        assert len(stopped) == 4
        assert all(t["createdAt"] < t["stoppedAt"] <= auth.cloud.clock.now() for t in stopped)

    @pytest.mark.parametrize(
        ("behaviour", "code"),
        [
            pytest.param(Behaviour(starts=False), "EssentialContainerExited", id="exit"),
            pytest.param(Behaviour(healthy=False), "ServiceSchedulerInitiated", id="unhealthy"),
        ],
    )
    def test_those_that_fail_say_how(self, auth: Auth, behaviour: Behaviour, code: str) -> None:
        bad = auth.start().build("v2", behaviour)
        auth.update(taskDefinition=bad)
        auth.passes(minutes=1)
        failed = [t for t in self.tasks(auth) if t["taskDefinitionArn"] == bad]
        assert {task["stopCode"] for task in failed} == {code}
        assert len(failed) == auth.now()["deployments"][0]["failedTasks"]

    def test_those_whose_image_is_gone_never_started(self, auth: Auth) -> None:
        auth.start().update(
            taskDefinition=auth.world.define("auth", {"app": f"{auth.uri}:never-pushed"})
        )
        auth.passes(minutes=1)
        assert {task["stopCode"] for task in self.tasks(auth)} == {"TaskFailedToStart"}

    def test_capacity_that_is_lost_stays_lost_until_the_service_changes(self, auth: Auth) -> None:
        auth.start().world.loses_capacity("shop", "auth", 3)
        auth.passes(minutes=5)
        assert {task["stopCode"] for task in self.tasks(auth)} == {"SpotInterruption"}
        assert (auth.now()["runningCount"], len(self.tasks(auth, "RUNNING"))) == (1, 1)
        auth.update(desiredCount=4)
        assert auth.now()["runningCount"] == 4

    def test_they_are_listed_by_family_and_by_who_started_them(self, auth: Auth) -> None:
        auth.start()
        number = auth.now()["deployments"][0]["id"]
        assert len(self.tasks(auth, "RUNNING", family="auth")) == 4
        assert self.tasks(auth, "RUNNING", family="cart") == []
        assert len(self.tasks(auth, "RUNNING", startedBy=number)) == 4
        assert self.tasks(auth, "RUNNING", startedBy="ecs-svc/1") == []

    def test_what_stopped_is_forgotten_after_an_hour(self, auth: Auth) -> None:
        auth.start().world.loses_capacity("shop", "auth", 1)
        (gone,) = self.tasks(auth)
        auth.passes(minutes=59)
        assert len(self.tasks(auth)) == 1
        auth.passes(minutes=2)
        assert self.tasks(auth) == []
        answer = auth.ecs.describe_tasks(cluster="shop", tasks=[gone["taskArn"]])
        assert answer["failures"] == [{"arn": gone["taskArn"], "reason": "MISSING"}]


PAUSE = {"targetType": "PAUSE", "timeoutConfiguration": {"timeoutInMinutes": 600}}


def paused(stage: str, strategy: str = "BLUE_GREEN", **timeout: Any) -> Any:
    """A deployment configuration that waits for a person at one stage."""
    hook = {**PAUSE, "lifecycleStages": [stage]}
    if timeout:
        hook["timeoutConfiguration"] = timeout
    return {"strategy": strategy, "bakeTimeInMinutes": 5, "lifecycleHooks": [hook]}


class TestHooksThatWait:
    """A deployment stays at a stage until a person answers, or time runs out."""

    def begin(self, auth: Auth, configuration: Any) -> None:
        auth.start(deploymentConfiguration=configuration)
        self.answer(auth)  # of its first deployment
        auth.passes(minutes=40)
        self.answer(auth)
        auth.passes(minutes=40)
        auth.update(taskDefinition=auth.build("v2", Behaviour()))

    def answer(self, auth: Auth, **action: Any) -> None:
        newest = auth.newest()
        for hook in newest.get("lifecycleHookDetails", []):
            if hook["status"] == "AWAITING_ACTION":
                arn = newest["serviceDeploymentArn"]
                auth.ecs.continue_service_deployment(
                    serviceDeploymentArn=arn, hookId=hook["hookId"], **action
                )

    def seen(self, auth: Auth) -> tuple[str, str, float]:
        newest = auth.newest()
        weight = newest["targetServiceRevision"]["requestedProductionTrafficWeight"]
        return newest["status"], newest.get("lifecycleStage", ""), weight

    @pytest.mark.parametrize(
        ("stage", "weight"),
        [
            ("PRE_SCALE_UP", 0.0),
            ("POST_SCALE_UP", 0.0),
            ("PRE_PRODUCTION_TRAFFIC_SHIFT", 0.0),
            ("POST_PRODUCTION_TRAFFIC_SHIFT", 100.0),
        ],
    )
    def test_it_waits_for_hours_and_goes_on(self, auth: Auth, stage: str, weight: float) -> None:
        self.begin(auth, paused(stage))
        auth.passes(hours=3)
        assert self.seen(auth) == ("IN_PROGRESS", stage, weight)
        self.answer(auth)
        auth.passes(minutes=2)
        assert self.seen(auth) == ("IN_PROGRESS", "BAKE_TIME", 100.0)
        auth.passes(minutes=5)
        assert self.seen(auth) == ("SUCCESSFUL", "", 100.0)

    def test_a_canary_waits_before_every_shift(self, auth: Auth) -> None:
        self.begin(auth, paused("PRE_PRODUCTION_TRAFFIC_SHIFT", "CANARY"))
        auth.passes(hours=1)
        assert self.seen(auth) == ("IN_PROGRESS", "PRE_PRODUCTION_TRAFFIC_SHIFT", 0.0)
        self.answer(auth)
        auth.passes(minutes=1)
        assert self.seen(auth) == ("IN_PROGRESS", "PRODUCTION_TRAFFIC_SHIFT", 5.0)
        auth.passes(minutes=10)
        assert self.seen(auth) == ("IN_PROGRESS", "PRE_PRODUCTION_TRAFFIC_SHIFT", 5.0)
        self.answer(auth)
        auth.passes(minutes=1)
        assert self.seen(auth) == ("IN_PROGRESS", "BAKE_TIME", 100.0)

    def test_a_person_rolls_back_at_it(self, auth: Auth) -> None:
        self.begin(auth, paused("POST_SCALE_UP"))
        auth.passes(hours=1)
        self.answer(auth, action="ROLLBACK")
        auth.passes(minutes=2)
        assert self.seen(auth)[0] == "ROLLBACK_SUCCESSFUL"

    @pytest.mark.parametrize(
        ("action", "status"), [("CONTINUE", "IN_PROGRESS"), ("ROLLBACK", "ROLLBACK_SUCCESSFUL")]
    )
    def test_when_time_runs_out_it_does_as_configured(
        self, auth: Auth, action: str, status: str
    ) -> None:
        self.begin(auth, paused("POST_SCALE_UP", timeoutInMinutes=30, action=action))
        auth.passes(minutes=33)
        assert self.seen(auth)[0] == status

    def test_what_it_does_not_wait_at_cannot_be_answered(self, auth: Auth) -> None:
        self.begin(auth, paused("POST_SCALE_UP"))
        arn = auth.newest()["serviceDeploymentArn"]
        with pytest.raises(ClientError, match="does not wait"):
            auth.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId="none")

    def test_a_pause_in_the_middle_of_a_shift_is_refused(self, auth: Auth) -> None:
        with pytest.raises(ClientError, match="PAUSE hooks cannot"):
            auth.start(deploymentConfiguration=paused("PRODUCTION_TRAFFIC_SHIFT"))


EBS = {"managedEBSVolume": {"roleArn": "arn:aws:iam::123456789012:role/ebs", "sizeInGiB": 1}}


def refused(auth: Auth, **parameters: Any) -> str:
    """The words with which ECS refuses to update the service."""
    with pytest.raises(ClientError) as error:
        auth.update(**parameters)
    told = error.value.response["Error"]
    assert told["Code"] == "InvalidParameterException"
    return told["Message"]


def variant(auth: Auth, **content: Any) -> str:
    return auth.world.define("auth", {"app": f"{auth.uri}:v1"}, **content)


def test_a_volume_configured_at_launch_must_be_in_both_service_and_definition(auth: Auth) -> None:
    auth.start()
    attached = variant(auth, volumes=[{"name": "data", "configuredAtLaunch": True}])
    assert "configuredAtLaunch volume data" in refused(auth, taskDefinition=attached)
    volumes = [{"name": "data", **EBS}]
    auth.update(taskDefinition=attached, volumeConfigurations=volumes)
    message = "no matching configuredAtLaunch volume found in task definition"
    assert message in refused(auth, taskDefinition=auth.v1)


def test_a_port_of_service_connect_must_be_named_in_the_definition(auth: Auth) -> None:
    auth.start()
    connect = {"enabled": True, "services": [{"portName": "http"}]}
    words = refused(auth, taskDefinition=variant(auth), serviceConnectConfiguration=connect)
    assert "portName http" in words


def test_a_definition_must_have_been_registered_for_the_launch_type(auth: Auth) -> None:
    auth.start()
    other = variant(auth, requiresCompatibilities=["EXTERNAL"])
    launch_type = auth.ecs.describe_services(cluster="shop", services=["auth"])["services"][0]
    assert "does not support launch_type" in refused(auth, taskDefinition=other), launch_type


def test_a_sixth_deployment_has_to_wait_until_one_of_five_is_gone(auth: Auth) -> None:
    auth.start()
    service = auth.cloud.ecs.find("shop", "auth")
    (running,) = service.running
    for number in range(4):
        service.running[replace(running, number=str(number))] = 1
    words = refused(auth, taskDefinition=variant(auth))
    assert words == "5 active deployments exist, unable to create new deployment."


def test_a_definition_has_at_most_fifty_tags(auth: Auth) -> None:
    tags = [{"key": f"team-{number}", "value": "shop"} for number in range(51)]
    variant(auth, tags=tags[:50])
    with pytest.raises(ClientError, match="less than or equal to 50"):
        variant(auth, tags=tags)
