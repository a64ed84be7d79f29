"""Keeps the local cloud with its scene up in real time, to be tried by hand with aws, cdk and rollback.sh."""

import errno
import shlex
import signal
import socket
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from demo import scenario
from demo.scenario import (
    AUTH,
    BAD_REVISION,
    GOOD_REVISION,
    Stage,
    StageError,
    SynthesisError,
)
from localcloud import functions
from localcloud.cdk import DeploymentFailedError
from localcloud.server import Cloud, running

_PAST = timedelta(days=8, minutes=30)  # what the scene needs, and a little more
_BEAT = 0.5  # seconds


def keep_up(port: int, speed: int) -> int:
    """Until Ctrl-C; the exit code."""
    if taken := _taken(port):
        click.echo(taken, err=True)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="auto-rollback-cloud-", ignore_cleanup_errors=True) as folder:
            _serve(port, speed, Path(folder))
    except KeyboardInterrupt:
        click.echo("\nStopped. Nothing is left running.")
    except (StageError, SynthesisError, DeploymentFailedError) as error:
        click.echo(f"The cloud could not be set up: {error}", err=True)
        return 1
    return 0


def _serve(port: int, speed: int, folder: Path) -> None:
    click.echo("Synthesizing the stack ...")
    assembly = scenario.synthesize(folder)
    began, present = time.monotonic(), datetime.now(UTC)  # noqa: TID251 - the cloud's time shall be the real one
    with running(present - _PAST, port) as cloud:
        try:
            click.echo("Deploying it, and letting eight days pass ...")
            _alarms_of_the_example(cloud)
            scene = scenario.build(cloud, assembly, until=present - timedelta(minutes=1))
            scene.passes(present + timedelta(seconds=time.monotonic() - began) - cloud.clock.now())
            click.echo(_greeting(cloud))
            _keep_up(scene, speed)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            functions.of(cloud).drain()


def _keep_up(scene: Stage, speed: int) -> None:
    """Let time pass, and say when an alarm or the service changes."""
    known = ""
    while True:
        time.sleep(_BEAT)
        scene.cloud.clock.advance(timedelta(seconds=_BEAT * (speed - 1)))
        now = _seen(scene)
        if now != known:
            click.echo(f"{scene.cloud.clock.now():%H:%M:%S}  {now}")
            known = now


def _seen(scene: Stage) -> str:
    """In words; whoever tries things may have deleted the service or the stack."""
    try:
        return f"{AUTH.name} runs {scene.running_revision()}, alarm 5xx-rate {scene.alarm_state()}"
    except StageError as gone:
        return str(gone)


def _alarms_of_the_example(cloud: Cloud) -> None:
    """The project's own services.yaml names these two; composite alarms around them need them to exist."""
    for name in ("auth-checkout-failures", "mail-worker-backlog"):
        cloud.session("team").client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName=name,
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=10,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )


def _taken(port: int) -> str | None:
    """Why the port cannot be listened on; None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            why = "is taken (another make cloud?)" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
            return f"Port {port} {why}. Choose another: python -m demo.cloud --port {port + 1}"
    return None


def _greeting(cloud: Cloud) -> str:
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in cloud.environment().items())
    where = f"--cluster {AUTH.cluster}"
    return f"""
The local cloud is up at {cloud.endpoint}, in real time. {AUTH.name}:{GOOD_REVISION} has served for six days.

In another terminal, in this folder:

  export PATH="$PWD/.venv/bin:$PWD/infrastructure/cdk-cli/node_modules/.bin:$PATH"
{exports}

Break it, then watch (the alarm needs some three minutes; this window tells):

  aws ecs update-service {where} --service {AUTH.name} --task-definition {AUTH.name}:{BAD_REVISION} --query service.taskDefinition
  aws cloudwatch describe-alarms --state-value ALARM --query 'MetricAlarms[].AlarmName'
  aws logs filter-log-events --log-group-name /aws/lambda/auto-rollback --output text --query "events[?contains(message, 'summary')].message"

By hand:

  ./rollback.sh {AUTH.name} --plan
  ./rollback.sh {AUTH.name} {GOOD_REVISION}
  aws lambda invoke --function-name auto-rollback --payload fileb://<(echo '{{"action": "history"}}') /tmp/answer.json && cat /tmp/answer.json
  cdk deploy --require-approval never

Ctrl-C ends it.
"""
