"""A scene on the local cloud: services that have served for days under the deployed stack, and a bad build that is ready to go out.

All of it is done through the API, as the team that owns the services would; only the days gone by are written at once.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from boto3.dynamodb.types import TypeDeserializer
from moto.cloudwatch.models import cloudwatch_backends
from moto.sns.models import sns_backends

from localcloud import cdk, functions
from localcloud.ecs.scheduler import TICK
from localcloud.ecs.world import World, termination_wait
from localcloud.traffic import Behaviour, Traffic

if TYPE_CHECKING:
    from localcloud.server import Cloud

PROJECT = Path(__file__).resolve().parent.parent
FUNCTION = "auto-rollback"
BAD = Behaviour(error_rate=0.4)
GOOD_REVISION, BAD_REVISION = 18, 19

_BUILDS = (
    (17, timedelta(days=2)),
    (GOOD_REVISION, timedelta(days=6)),
)  # what served, and for how long
_WARM_UP = timedelta(
    minutes=6
)  # until a deployment has completed and alarms have seen its first minutes
_HOUR, _MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Actor:
    """One service of the scene; `policy` are further keys of services.yaml.

    Its task definitions are of the family that its name says, its images in the ECR repository of that name. With the
    `controller` CODE_DEPLOY it has a second target group, and a deployment group whose old task set stays for
    `termination_wait_minutes`; `deployment_group_settings` are further parameters of CreateDeploymentGroup.
    """

    name: str = "auth-service"
    cluster: str = "my-cluster"
    requests_per_minute: float = 600
    load_balancer: str | None = "app/my-alb/50dc6c495c0c9188"
    target_group: str | None = "targetgroup/auth/943f017f100becff"
    desired: int = 4
    policy: Mapping[str, Any] = field(default_factory=dict)
    controller: str = "ECS"
    termination_wait_minutes: int = 5
    deployment_group_settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target_groups(self) -> tuple[str, ...]:
        """As CloudWatch's dimension names them: none, one, or the two that CodeDeploy swaps."""
        if self.target_group is None:
            return ()
        if self.controller != "CODE_DEPLOY":
            return (self.target_group,)
        _, name, number = self.target_group.split("/")
        return (self.target_group, f"targetgroup/{name}-2/{number[::-1]}")

    @property
    def deployment_group(self) -> tuple[str, str]:
        """The names of its CodeDeploy application and deployment group."""
        return (self.name, f"{self.name}-blue-green")

    def configured(self) -> dict[str, Any]:
        """As services.yaml has it."""
        groups = self.target_groups
        balanced = {
            "load_balancer": self.load_balancer,
            "target_group": groups[0] if len(groups) == 1 else list(groups),
        }
        rights = {"families": [self.name], "task_roles": [f"{self.name}-*"]}
        named = {"cluster": self.cluster, "service": self.name}
        by = (
            {"code_deploy": "/".join(self.deployment_group)}
            if self.controller == "CODE_DEPLOY"
            else {}
        )
        return (
            named
            | ({} if self.load_balancer is None else balanced)
            | rights
            | by
            | dict(self.policy)
        )


AUTH = Actor()
WORKER = Actor(name="mail-worker", load_balancer=None, target_group=None, desired=2)


def neighbour(number: int) -> Actor:
    """One of any number of services behind the same load balancer."""
    return Actor(
        name=f"neighbour-{number}", target_group=f"targetgroup/neighbour-{number}/{number:016x}"
    )


class SynthesisError(Exception):
    """`app.py` did not make a cloud assembly; the message is what it said."""


class StageError(Exception):
    """The scene did not become what it should be."""


def synthesize(
    folder: Path, actors: Sequence[Actor] = (AUTH,), emails: Sequence[str] = ("oncall@example.com",)
) -> Path:
    """Run `app.py` as the CDK's command line does, on a services.yaml with these services; answers the cloud assembly.

    Everything is written below `folder`, what the process itself wants to keep for a while included.

    Raises:
        SynthesisError: with the words of `app.py`.
    """
    assembly, scratch, services = folder / "cdk.out", folder / "tmp", folder / "services.yaml"
    scratch.mkdir(parents=True, exist_ok=True)
    configuration = {
        "notifications": {"emails": list(emails)},
        "services": [actor.configured() for actor in actors],
    }
    services.write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")
    context = json.loads((PROJECT / "cdk.json").read_text(encoding="utf-8"))["context"]
    bin_folder = str(Path(sys.executable).parent)
    environment = os.environ | {
        "CDK_OUTDIR": str(assembly),
        "CDK_CONTEXT_JSON": json.dumps(context | {"services": str(services), "name": ""}),
        "PATH": os.pathsep.join([bin_folder, os.environ.get("PATH", os.defpath)]),
        "TMPDIR": str(scratch),
    }
    with subprocess.Popen(
        [sys.executable, str(PROJECT / "app.py")],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # Node.js runs below it
            raise
    if process.returncode:
        raise SynthesisError(said.strip() or f"app.py ended with {process.returncode}")
    return assembly


@dataclass(frozen=True)
class Stage:
    """What a story or a test does in the scene, and what can be seen there. Times are simulated."""

    cloud: "Cloud"
    world: World
    actors: tuple[Actor, ...]
    digests: Mapping[str, str]  # of images, by `service:tag`
    _clients: dict[str, Any] = field(default_factory=dict)

    @property
    def actor(self) -> Actor:
        """The service that the story is about."""
        return self.actors[0]

    def deploy(self, revision: int | str, actor: Actor | None = None) -> None:
        """Deploy a revision of the service's family, by CodeDeploy where that is its controller."""
        which = actor or self.actor
        if which.controller == "CODE_DEPLOY":
            self.world.deploy_by_codedeploy(*which.deployment_group, f"{which.name}:{revision}")
            return
        self.world.deploy(which.cluster, which.name, f"{which.name}:{revision}")

    def deploy_bad(self, actor: Actor | None = None) -> str:
        """Send the bad build out; its name, as `auth-service:19`."""
        self.deploy(BAD_REVISION, actor)
        return f"{(actor or self.actor).name}:{BAD_REVISION}"

    def codedeploy_deployments(self, actor: Actor | None = None) -> list[dict[str, Any]]:
        """What GetDeployment says of each of the service's CodeDeploy deployments, newest first."""
        application, group = (actor or self.actor).deployment_group
        client = self.client("codedeploy")
        ids = client.list_deployments(applicationName=application, deploymentGroupName=group)[
            "deployments"
        ]
        return [client.get_deployment(deploymentId=one)["deploymentInfo"] for one in ids]

    def passes(self, time: timedelta) -> None:
        """Let time pass, and what it sets off come to its end."""
        self.cloud.clock.advance(time)
        functions.of(self.cloud).drain()

    def until(
        self,
        seen: Callable[[], bool],
        *,
        within: timedelta,
        step: timedelta = timedelta(seconds=15),
    ) -> bool:
        """Let time pass until something is seen; False where it is not, within the time given."""
        end = self.cloud.clock.now() + within
        while not seen():
            if self.cloud.clock.now() >= end:
                return False
            self.passes(step)
        return True

    def invoke(self, payload: object) -> dict[str, Any]:
        """Lambda's Invoke, as the AWS command line does it; the function's answer.

        Raises:
            StageError: the function failed.
        """
        answer = self.client("lambda").invoke(FunctionName=FUNCTION, Payload=json.dumps(payload))
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise StageError(f"{FUNCTION}: {result}")
        return result

    def alarm_state(self, signal: str = "5xx-rate", actor: Actor | None = None) -> str:
        """OK, ALARM or INSUFFICIENT_DATA.

        Raises:
            StageError: the service has no such alarm.
        """
        which = actor or self.actor
        name = f"{FUNCTION}/{which.cluster}/{which.name}/{signal}"
        found = self.client("cloudwatch").describe_alarms(
            AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        alarms: list[dict[str, Any]] = [*found["MetricAlarms"], *found["CompositeAlarms"]]
        if not alarms:
            raise StageError(f"there is no alarm {name}")
        return str(alarms[0]["StateValue"])

    def running(self, actor: Actor | None = None) -> dict[str, int]:
        """How many tasks run of each image, by its digest."""
        which, ecs = actor or self.actor, self.client("ecs")
        if which.controller == "CODE_DEPLOY":
            return self._running_tasks(which)
        (service,) = ecs.describe_services(cluster=which.cluster, services=[which.name])["services"]
        tallies = {
            tally["arn"]: tally["runningTaskCount"] for tally in service["currentServiceRevisions"]
        }
        found = (
            ecs.describe_service_revisions(serviceRevisionArns=list(tallies))["serviceRevisions"]
            if tallies
            else []
        )
        counts: dict[str, int] = {}
        for revision in found:
            for image in revision["containerImages"]:
                running = tallies[revision["serviceRevisionArn"]]
                digest = image.get("imageDigest", image["image"])
                counts[digest] = counts.get(digest, 0) + running
        return {digest: count for digest, count in counts.items() if count}

    def _running_tasks(self, actor: Actor) -> dict[str, int]:
        ecs, counts = self.client("ecs"), dict[str, int]()
        for status in ("RUNNING", "STOPPED"):
            arns = ecs.list_tasks(
                cluster=actor.cluster, serviceName=actor.name, desiredStatus=status
            )["taskArns"]
            for task in (
                ecs.describe_tasks(cluster=actor.cluster, tasks=arns)["tasks"] if arns else []
            ):
                for container in task["containers"]:
                    digest = container.get("imageDigest", container["image"])
                    counts[digest] = counts.get(digest, 0) + 1
        return counts

    def running_revision(self, actor: Actor | None = None) -> str:
        """The task definition that the service is set to run, as `auth-service:18`.

        Raises:
            StageError: there is no such service.
        """
        which = actor or self.actor
        found = self.client("ecs").describe_services(cluster=which.cluster, services=[which.name])[
            "services"
        ]
        if not found:
            raise StageError(f"there is no service {which.name}")
        return str(found[0]["taskDefinition"]).rpartition("/")[2]

    def error_rates(
        self, since: datetime, actor: Actor | None = None
    ) -> list[tuple[datetime, float]]:
        """The 5xx share of requests in percent, by minute, of the minutes that have requests."""
        which = actor or self.actor
        queries = [
            {"Id": f"{key}{position}", "MetricStat": {"Metric": {"Namespace": "AWS/ApplicationELB", "MetricName": name,
             "Dimensions": [{"Name": "LoadBalancer", "Value": which.load_balancer}, {"Name": "TargetGroup", "Value": group}]},
             "Period": 60, "Stat": "Sum"}}
            for key, name in (("requests", "RequestCount"), ("errors", "HTTPCode_Target_5XX_Count"))
            for position, group in enumerate(which.target_groups)
        ]  # fmt: skip
        answer = self.client("cloudwatch").get_metric_data(
            MetricDataQueries=queries,
            StartTime=since,
            EndTime=self.cloud.clock.now(),
            ScanBy="TimestampAscending",
        )
        series: dict[str, dict[datetime, float]] = {"requests": {}, "errors": {}}
        for found in answer["MetricDataResults"]:
            minutes = series[found["Id"].rstrip("01")]
            for at, value in zip(found["Timestamps"], found["Values"], strict=True):
                minutes[at] = minutes.get(at, 0.0) + value
        errors = series["errors"]
        return [
            (at.astimezone(UTC), 100 * errors.get(at, 0.0) / total)
            for at, total in sorted(series["requests"].items())
            if total
        ]

    def incidents(self) -> list[dict[str, Any]]:
        """The records of the ledger about rollbacks, oldest first."""
        records = [record for record in self.ledger() if str(record["sk"]).startswith("incident#")]
        return sorted(records, key=lambda record: str(record["claimed_at"]))

    def ledger(self) -> list[dict[str, Any]]:
        """Every record of the ledger, as plain values; results and intents stay JSON text."""
        environment = self.client("lambda").get_function_configuration(FunctionName=FUNCTION)[
            "Environment"
        ]["Variables"]
        read = TypeDeserializer().deserialize
        pages = (
            self.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=environment["LEDGER_TABLE"])
        )
        return [
            {key: read(value) for key, value in item.items()}
            for page in pages
            for item in page["Items"]
        ]

    def errors(self) -> list[str]:
        """What the function's log says of the invocations that failed, oldest first."""
        pages = (
            self.client("logs")
            .get_paginator("filter_log_events")
            .paginate(logGroupName=f"/aws/lambda/{FUNCTION}")
        )
        return [
            e["message"]
            for page in pages
            for e in page["events"]
            if e["message"].startswith("[ERROR]")
        ]

    def messages(self) -> list[dict[str, Any]]:
        """What was published to the topic, oldest first: `subject`, `email` (the letter) and `result` where it has one."""
        topic = sns_backends[self.cloud.account][self.cloud.region].topics[self._topic_arn]
        return [_message(subject, text) for _, text, subject, *_ in topic.sent_notifications]

    @property
    def _topic_arn(self) -> str:
        return f"arn:aws:sns:{self.cloud.region}:{self.cloud.account}:{FUNCTION}"

    def client(self, service: str) -> Any:
        """A client for looking around; its calls are told apart by the access key "stage"."""
        if service not in self._clients:  # a client takes a quarter of a second to make
            session: Any = self.cloud.session("stage")
            self._clients[service] = session.client(service)
        return self._clients[service]


def build(
    cloud: "Cloud", assembly: Path, actors: Sequence[Actor] = (AUTH,), until: datetime | None = None
) -> Stage:
    """Set the scene: for two days each service ran revision 17, since then 18; 19 is registered, and bad.

    A service that CodeDeploy deploys has had both by CodeDeploy, in two deployments that succeeded.

    It takes some eight days, and a minute more; with `until`, that minute begins there.

    Raises:
        DeploymentFailedError: the stack could not be deployed.
        StageError: the good build did not come to serve.
    """
    world = World.of(cloud)
    for cluster in dict.fromkeys(actor.cluster for actor in actors):
        world.cluster(cluster)
    digests: dict[str, str] = {}
    for actor in actors:
        digests |= _prepare(world, actor)
    for actor in actors:
        _create(world, actor)
    stage = Stage(cloud, world, tuple(actors), digests)
    stage.passes(_WARM_UP)
    cdk.deploy(cloud, assembly)
    _set_schedules(
        cloud, enabled=False
    )  # nothing sweeps in the past, whose sweeps are written at once
    waits = [
        actor.termination_wait_minutes for actor in actors if actor.controller == "CODE_DEPLOY"
    ]
    for position, (revision, served) in enumerate(_BUILDS):
        for actor in actors:
            if (
                position or actor.controller == "CODE_DEPLOY"
            ):  # the first tasks of a service are CreateService's own
                stage.deploy(revision, actor)
        stage.passes(_WARM_UP + timedelta(minutes=max(waits, default=0)))
        last = position == len(_BUILDS) - 1
        _live_through(stage, until if last and until else cloud.clock.now() + served)
    _set_schedules(cloud, enabled=True)
    stage.passes(_MINUTE)
    for actor in actors:
        if stage.running_revision(actor) != f"{actor.name}:{GOOD_REVISION}":
            raise StageError(
                f"{actor.name} runs {stage.running_revision(actor)}, not revision {GOOD_REVISION}"
            )
    return stage


def _set_schedules(cloud: "Cloud", *, enabled: bool) -> None:
    """All rules that go by the time, and no others."""
    events = cloud.session("stage").client("events")
    switch = events.enable_rule if enabled else events.disable_rule
    for rule in events.list_rules()["Rules"]:
        if "ScheduleExpression" in rule:
            switch(Name=rule["Name"])


def _prepare(world: World, actor: Actor) -> dict[str, str]:
    """Roles, a secret, images and all task definitions up to the bad one."""
    iam, secrets = world.session.client("iam"), world.session.client("secretsmanager")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})  # fmt: skip
    roles = {
        key: iam.create_role(RoleName=f"{actor.name}-{kind}", AssumeRolePolicyDocument=trust)[
            "Role"
        ]["Arn"]
        for key, kind in (("taskRoleArn", "task"), ("executionRoleArn", "execution"))
    }
    secret = secrets.create_secret(Name=f"{actor.name}/database", SecretString="unread")["ARN"]
    repository = world.repository(actor.name)
    digests: dict[str, str] = {}
    for number in range(1, BAD_REVISION + 1):
        tag = f"v{number}"
        if number >= _BUILDS[0][0]:  # older ones have been cleaned away long since
            digests[f"{actor.name}:{tag}"] = world.push(actor.name, tag)
        container = {
            "name": "app",
            "image": f"{repository}:{tag}",
            "memory": 512,
            "essential": True,
            "portMappings": [{"containerPort": 80}],
            "secrets": [{"name": "DATABASE", "valueFrom": secret}],
        }
        world.define(actor.name, {}, containerDefinitions=[container], **roles)
    world.cloud.service(Traffic).behaviour(digests[f"{actor.name}:v{BAD_REVISION}"], BAD)
    return digests


def _create(world: World, actor: Actor) -> None:
    account = f"{world.cloud.region}:{world.cloud.account}"
    balancers = [
        {
            "targetGroupArn": f"arn:aws:elasticloadbalancing:{account}:{actor.target_group}",
            "containerName": "app",
            "containerPort": 80,
        }
    ]
    behind: dict[str, Any] = {"loadBalancers": balancers} if actor.load_balancer else {}
    if actor.controller != "ECS":
        behind["deploymentController"] = {"type": actor.controller}
    world.service(
        actor.cluster, actor.name, f"{actor.name}:{_BUILDS[0][0]}", desired=actor.desired, **behind
    )
    if actor.load_balancer and actor.target_group:
        world.cloud.service(Traffic).serve(
            actor.cluster,
            actor.name,
            load_balancer=actor.load_balancer,
            target_group=actor.target_groups,
            requests_per_minute=actor.requests_per_minute,
        )
    if actor.controller == "CODE_DEPLOY":
        _create_deployment_group(world, actor)


def _create_deployment_group(world: World, actor: Actor) -> None:
    blue, green = (group.split("/")[1] for group in actor.target_groups)
    application, group = actor.deployment_group
    settings = {
        "blueGreenDeploymentConfiguration": termination_wait(minutes=actor.termination_wait_minutes)
    }
    world.deployment_group(
        application,
        group,
        cluster=actor.cluster,
        service=actor.name,
        target_groups=(blue, green),
        **settings | dict(actor.deployment_group_settings),
    )


def _live_through(stage: Stage, until: datetime) -> None:
    """Be at a later moment, with the metrics of the time between: hourly, and by the minute where alarms still look.

    Nothing else happened meanwhile; the rules and alarms of the cloud do not run.
    """
    traffic, now = stage.cloud.traffic, stage.cloud.clock.now()
    recent = until - _HOUR
    moment = now.replace(minute=0, second=0, microsecond=0) + _HOUR
    while moment < recent:
        _flow(stage, _HOUR / TICK)  # one look at the tasks stands for the whole hour
        traffic.sample(moment)
        traffic.publish(moment)
        moment += _HOUR
    _flow(stage, 1)
    moment = max(recent, now).replace(second=0, microsecond=0) + _MINUTE
    while moment < until:
        for _ in range(_MINUTE // TICK):
            traffic.sample(moment)
        traffic.publish(moment)
        _swept(stage, moment)
        moment += _MINUTE
    stage.cloud.clock.jump(until)


def _flow(stage: Stage, factor: float) -> None:
    for actor in stage.actors:
        if actor.load_balancer and actor.target_group:
            stage.cloud.traffic.serve(
                actor.cluster,
                actor.name,
                load_balancer=actor.load_balancer,
                target_group=actor.target_groups,
                requests_per_minute=actor.requests_per_minute * factor,
            )


def _swept(stage: Stage, moment: datetime) -> None:
    """The trace that the function's five-minute sweep leaves, for the alarm that watches it."""
    if moment.minute % 5:
        return
    dimensions = [{"Name": "service", "Value": FUNCTION}]
    # moto keeps times without their zone, which is UTC
    datum = {
        "MetricName": "Sweep",
        "Value": 1.0,
        "Timestamp": moment.replace(tzinfo=None),
        "Dimensions": dimensions,
    }
    cloudwatch_backends[stage.cloud.account][stage.cloud.region].put_metric_data(
        "AutoRollback", [datum]
    )


def _message(subject: str | None, text: str) -> dict[str, Any]:
    try:
        parts = json.loads(text)
    except ValueError:
        parts = {}
    letter = parts.get("email") if isinstance(parts, dict) else None
    result = json.loads(parts["default"]) if letter else None
    return {"subject": subject or "", "email": letter or text, "result": result}
