"""Keeps the local cloud up in real time, with services under the deployed stack.

It is there to be tried by hand with aws, cdk and rollback.sh.
"""

import errno
import shlex
import signal
import socket
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from botocore.exceptions import ClientError

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

_PAST = timedelta(days=8, minutes=30)  # what the scenario needs, and a little more
_INTERVAL_SECONDS = 0.5
_COMMAND = "python -m demo.cloud"
_PREFIX = "auto-rollback-cloud-"

# the project's own services.yaml names these two
_EXAMPLE_ALARMS = ("auth-checkout-failures", "mail-worker-backlog")


def keep_up(port: int, speed: int) -> int:
    """Keep it up until Ctrl-C. Returns the exit code."""
    problem = _port_problem(port)
    if problem is not None:
        click.echo(f"Port {port} {problem}. Choose another: {_COMMAND} --port {port + 1}", err=True)
        return 1

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as folder:
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
    began = time.monotonic()
    present = datetime.now(UTC)  # noqa: TID251 - the cloud's time shall be the real one
    with running(present - _PAST, port) as cloud:
        try:
            click.echo("Deploying it, and letting eight days pass ...")
            _create_example_alarms(cloud)
            prepared = scenario.build(cloud, assembly, until=present - timedelta(minutes=1))
            took = timedelta(seconds=time.monotonic() - began)
            prepared.passes(present + took - cloud.clock.now())
            click.echo(_greeting(cloud))
            _let_time_pass(prepared, speed)
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            functions.of(cloud).drain()


def _let_time_pass(prepared: Stage, speed: int) -> None:
    """Let time pass, and say when an alarm or the service changes."""
    clock = prepared.cloud.clock
    seconds_ahead = _INTERVAL_SECONDS * (speed - 1)
    last_state = ""
    while True:
        time.sleep(_INTERVAL_SECONDS)
        clock.advance(timedelta(seconds=seconds_ahead))
        state = _state(prepared)
        if state != last_state:
            click.echo(f"{clock.now():%H:%M:%S}  {state}")
            last_state = state


def _state(prepared: Stage) -> str:
    """Say it in words. Whoever tries things may have deleted the service or the stack."""
    try:
        revision = prepared.running_revision()
        return f"{AUTH.name} runs {revision}, alarm 5xx-rate {prepared.alarm_state()}"
    except (StageError, ClientError) as gone:
        return str(gone)


def _create_example_alarms(cloud: Cloud) -> None:
    """Create the alarms that composite alarms of the example need to exist."""
    for name in _EXAMPLE_ALARMS:
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


def _port_problem(port: int) -> str | None:
    """Tell why the port cannot be listened on. None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "is taken (another make cloud?)"
            return f"cannot be used: {error}"
    return None


def _greeting(cloud: Cloud) -> str:
    variables = cloud.environment().items()
    exports = "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in variables)
    service = f"--cluster {AUTH.cluster} --service {AUTH.name}"
    bad_definition = f"--task-definition {AUTH.name}:{BAD_REVISION}"
    all_logs = "--log-group-name /aws/lambda/auto-rollback --output text"
    summaries = "events[?contains(message, 'summary')].message"
    history = """fileb://<(echo '{"action": "history"}')"""
    return f"""
The local cloud is up at {cloud.endpoint}, in real time. \
{AUTH.name}:{GOOD_REVISION} has served for six days.

In another terminal, in this folder:

  export PATH="$PWD/.venv/bin:$PWD/infrastructure/cdk-cli/node_modules/.bin:$PATH"
{exports}

Break it, then watch (the alarm needs some three minutes; this window tells):

  aws ecs update-service {service} {bad_definition} --query service.taskDefinition
  aws cloudwatch describe-alarms --state-value ALARM --query 'MetricAlarms[].AlarmName'
  aws logs filter-log-events {all_logs} --query "{summaries}"

By hand:

  ./rollback.sh {AUTH.name} --plan
  ./rollback.sh {AUTH.name} {GOOD_REVISION}
  aws lambda invoke --function-name auto-rollback --payload {history} \
/tmp/answer.json && cat /tmp/answer.json
  cdk deploy --require-approval never

Ctrl-C ends it.
"""
