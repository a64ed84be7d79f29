"""The adapters of services, definitions, alarms and policies, on the local cloud's AWS."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from autorollback.aws.alarms import Alarms
from autorollback.aws.clients import Clients
from autorollback.aws.definitions import Definitions
from autorollback.aws.dependencies import Dependencies
from autorollback.aws.deployments import Deployments
from autorollback.aws.policies import Policies
from autorollback.naming import Names
from autorollback.policy import ServicePolicy
from localcloud.ecs.world import World
from localcloud.recorder import Call
from localcloud.server import Cloud, running
from tests.contracts.aws import *  # noqa: F403 - the tests are the contract's
from tests.contracts.sites import KEY

NAMES = Names()


class SiteInTheCloud:
    """The adapters, and a service of the local cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud, self.world = cloud, World.of(cloud)
        clients = Clients(cloud.session("controller"))
        self.deployments = Deployments(clients, NAMES.prefix)
        self.definitions = Definitions(clients)
        self.alarms = Alarms(clients, NAMES)
        self.policies = Policies(clients, NAMES)
        self.dependencies = Dependencies(clients)
        self.digests: dict[str, str] = {}
        self.cloudwatch = self.world.session.client("cloudwatch")
        self.ecs = self.world.session.client("ecs")
        self.ssm = self.world.session.client("ssm")
        self.world.cluster(KEY.cluster)
        self.uri = self.world.repository("auth")
        self.world.service(KEY.cluster, KEY.service, self.define("v1"))
        self.passes(timedelta(minutes=4))

    @property
    def now(self) -> datetime:
        return self.cloud.clock.now()

    def passes(self, time: timedelta) -> None:
        self.cloud.clock.advance(time)

    def define(self, build: str) -> str:
        self.digests[build] = self.world.push("auth", build)
        return self.world.define("auth", {"app": f"{self.uri}:{build}"})

    def digest(self, build: str) -> str:
        return self.digests[build]

    def waits_at_hook(self, build: str) -> None:
        self.ecs.update_service(
            cluster=KEY.cluster,
            service=KEY.service,
            deploymentConfiguration={
                "strategy": "BLUE_GREEN",
                "bakeTimeInMinutes": 1,
                "lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}],
            },
        )
        self.world.deploy(KEY.cluster, KEY.service, self.define(build))
        self.passes(timedelta(minutes=2))

    def goes_on_meanwhile(self) -> None:
        def let_go(call: Call) -> None:
            if call.access_key == "controller":
                arn, hook = call.parameters["serviceDeploymentArn"], call.parameters["hookId"]
                self.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook)

        self.cloud.recorder.before("ecs", "ContinueServiceDeployment", let_go)

    def acts(self) -> list[str]:
        asked: list[str] = []
        for call in self.cloud.recorder.calls("ecs", access_key="controller"):
            if call.operation in ("ContinueServiceDeployment", "StopServiceDeployment"):
                asked.append(f"{call.operation} {call.parameters.get('action', '')}".strip())
        return asked

    def watch(self, signal: str) -> str:
        name = NAMES.alarm(KEY, signal)
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Test",
            MetricName=signal,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )
        self.turn(signal, red=False)
        return name

    def turn(self, signal: str, *, red: bool) -> None:
        self.cloudwatch.set_alarm_state(
            AlarmName=NAMES.alarm(KEY, signal),
            StateValue="ALARM" if red else "OK",
            StateReason="told",
        )

    def protect(self, policy: ServicePolicy) -> None:
        self.ssm.put_parameter(
            Name=NAMES.policy_parameter(policy.key),
            Value=json.dumps(policy.to_document()),
            Type="String",
        )


@pytest.fixture
def site() -> Iterator[SiteInTheCloud]:
    with running(datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) as cloud:
        yield SiteInTheCloud(cloud)
