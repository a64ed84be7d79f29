"""Lambda: each invocation of the deployed zip runs in a Python process of its own.

Asynchronous invocations are queued, retried and buried as in AWS.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html,
invocation-async-retain-records.html, monitoring-metrics-types.html, and for metrics in logs
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
"""

import base64
import json
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from moto.awslambda.models import EventInvokeConfig, LambdaBackend, LambdaFunction
from moto.cloudwatch.models import cloudwatch_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from localcloud.errors import NotModelled, Refusal
from localcloud.iam import Iam
from localcloud.processes import Job, Processes

if TYPE_CHECKING:
    from localcloud.base import Cloud

# Lambda tries again after a minute, then after two
RETRY_DELAYS = (timedelta(minutes=1), timedelta(minutes=2))
MAXIMUM_AGE = timedelta(hours=6)
_PATROL = timedelta(seconds=5)
# what Lambda accepts for these and the runner does without saying so
_INERT = frozenset(
    {"Architectures", "Tags", "Publish", "TracingConfig", "EphemeralStorage", "SnapStart"}
)
_SPECIFIED = frozenset(
    {
        "FunctionName",
        "Runtime",
        "Role",
        "Handler",
        "Code",
        "Description",
        "Timeout",
        "MemorySize",
        "Environment",
    }
    | {"DeadLetterConfig", "LoggingConfig", "ReservedConcurrentExecutions", "PackageType"}
)


def access_key(function_name: str) -> str:
    """The access key of a function's own calls: the record tells it from people by this."""
    return f"function-{function_name}"


def install(cloud: "Cloud") -> None:
    """Run functions; `of(cloud)` is the way to wait for them."""
    functions = Functions(cloud)
    create, configure = LambdaBackend.create_function, LambdaFunction.update_configuration

    def create_function(self: LambdaBackend, spec: dict[str, Any]) -> LambdaFunction:
        if unknown := sorted(set(spec) - _SPECIFIED - _INERT):
            raise NotModelled(f"lambda CreateFunction: {', '.join(unknown)}")
        function = create(self, spec)
        _remember(function, spec)
        return function

    def update_configuration(self: LambdaFunction, updates: dict[str, Any]) -> Any:
        _remember(self, updates)
        return configure(self, updates)

    def invoke(
        self: LambdaBackend,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        answer: dict[str, str],
    ) -> bytes:
        return functions.invoke(
            self.get_function(function_name, qualifier),
            body,
            headers,
            answer,
        )

    def invoke_by_service(
        self: LambdaFunction,
        body: str,
        _request: object,
        _answer: object,
    ) -> bytes:
        functions.enqueue(self, json.loads(body or "{}"))
        return b""

    def put_config(
        self: LambdaBackend, function_name: str, config: dict[str, Any]
    ) -> dict[str, Any]:
        _check_destinations(config)
        function = self.get_function(function_name)
        function.event_invoke_config = [
            EventInvokeConfig(function.function_arn, function.last_modified, config)
        ]
        answer: dict[str, Any] = function.event_invoke_config[0].response()
        return answer

    cloud.replace(LambdaBackend, "create_function", create_function)
    cloud.replace(LambdaFunction, "update_configuration", update_configuration)
    cloud.replace(LambdaBackend, "invoke", invoke)
    cloud.replace(LambdaFunction, "invoke", invoke_by_service)
    cloud.replace(LambdaBackend, "put_function_event_invoke_config", put_config)
    cloud.replace(LambdaBackend, "create_event_source_mapping", _no_event_sources)
    cloud.close(functions.close)
    vars(cloud)["functions"] = functions
    cloud.clock.every(_PATROL, functions.patrol)


def of(cloud: "Cloud") -> "Functions":
    """The functions of a running cloud."""
    functions: Functions = vars(cloud)["functions"]
    return functions


@dataclass(frozen=True)
class Outcome:
    """How one run ended: `payload` is JSON, `error` is set where the function failed."""

    payload: str
    error: dict[str, Any] | None
    log: str


@dataclass
class _Queued:
    """An asynchronous invocation on its way; its request id stays the same over its retries."""

    function: LambdaFunction
    event: Any
    request_id: str
    accepted: datetime
    due: datetime
    tries: int = 0


@dataclass
class Functions:
    """All functions of the cloud, their running processes and the queue of asynchronous invocations."""

    cloud: "Cloud"
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4, "function"))
    _files: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="functions-")))
    _waiting: list[_Queued] = field(default_factory=list)
    _busy: int = 0
    _running: dict[str, int] = field(default_factory=dict)
    _idle: threading.Condition = field(default_factory=threading.Condition)
    _crash: Exception | None = None
    _processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        self._processes = Processes(self._files, self.cloud.cold)

    def invoke(
        self,
        function: LambdaFunction,
        body: Any,
        headers: Any,
        answer: dict[str, str],
    ) -> bytes:
        """The Invoke operation: RequestResponse runs and waits, Event queues.

        DryRun only checks that the function exists.

        Raises:
            Refusal: the payload is not JSON, or the reserved concurrency is used up.
        """
        try:
            event = json.loads(body or "{}")
        except ValueError as error:
            raise Refusal(
                "InvalidRequestContentException", f"Could not parse request body into json: {error}"
            ) from error
        kind = headers.get("X-Amz-Invocation-Type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            answer["x-amzn-RequestId"] = self.enqueue(function, event)
            return b""
        request_id = str(uuid.uuid4())
        with self._slot(function) as free:
            if not free:
                self._measure(function, {"Throttles": 1.0})
                raise Refusal("TooManyRequestsException", "Rate Exceeded.")
            outcome = self._run(function, event, request_id)
        answer["x-amzn-RequestId"] = request_id
        answer["X-Amz-Executed-Version"] = str(function.version)
        answer["x-amz-log-result"] = base64.b64encode(outcome.log.encode()[-4096:]).decode()
        if outcome.error is not None:
            answer["x-amz-function-error"] = "Unhandled"
        return outcome.payload.encode()

    def enqueue(self, function: LambdaFunction, event: Any) -> str:
        """Accept an asynchronous invocation, which begins at once; its request id."""
        now = self.cloud.clock.now()
        queued = _Queued(
            function,
            event,
            str(uuid.uuid4()),
            now,
            now,
        )
        self._start(queued)
        return queued.request_id

    def drain(self) -> None:
        """Wait until nothing runs; what waits for a retry stays in the queue.

        Raises:
            RuntimeError: an invocation could not be handled, for example as its destination does
                not exist.
        """
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0)
            crash = self._crash
            self._crash = None
        if crash is not None:
            raise RuntimeError("an asynchronous invocation could not be handled") from crash

    def patrol(self, now: datetime) -> None:
        """Begin the retries that are due; simulated time does not go on while functions run."""
        with self._idle:
            due = [queued for queued in self._waiting if queued.due <= now]
            self._waiting = [queued for queued in self._waiting if queued.due > now]
        for queued in due:
            self._start(queued)
        with self.cloud.troubles.of("an asynchronous invocation"):
            self.drain()

    def close(self) -> None:
        """Kill what runs, and leave no files."""
        self._processes.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._files, ignore_errors=True)

    def _start(self, queued: _Queued) -> None:
        with self._idle:
            self._busy += 1
        self._pool.submit(self._attempt, queued)

    def _attempt(self, queued: _Queued) -> None:
        try:
            self._attempt_once(queued)
        except Exception as crash:  # noqa: BLE001 - a thread has nobody to tell: `drain` raises it
            with self._idle:
                self._crash = crash
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def _attempt_once(self, queued: _Queued) -> None:
        config = _invoke_config(queued.function)
        oldest = timedelta(
            seconds=config.get("MaximumEventAgeInSeconds", MAXIMUM_AGE.total_seconds())
        )
        if self.cloud.clock.now() - queued.accepted > oldest:
            self._bury(queued, "EventAgeExceeded", None)
            return
        with self._slot(queued.function) as free:
            if not free:
                self._measure(queued.function, {"Throttles": 1.0})
                self._again(queued, _PATROL)
                return
            queued.tries += 1
            outcome = self._run(queued.function, queued.event, queued.request_id)
        if outcome.error is None:
            self._send_record(
                queued,
                "OnSuccess",
                "Success",
                outcome,
            )
        elif queued.tries > config.get("MaximumRetryAttempts", len(RETRY_DELAYS)):
            self._bury(queued, "RetriesExhausted", outcome)
        else:
            self._again(queued, RETRY_DELAYS[queued.tries - 1])

    def _again(self, queued: _Queued, delay: timedelta) -> None:
        queued.due = self.cloud.clock.now() + delay
        with self._idle:
            self._waiting.append(queued)

    @contextmanager
    def _slot(self, function: LambdaFunction) -> Iterator[bool]:
        """A place in the function's reserved concurrency; False where all are taken."""
        reserved = function.reserved_concurrency
        with self._idle:
            taken = self._running.get(function.function_arn, 0)
            free = reserved is None or taken < int(reserved)
            if free:
                self._running[function.function_arn] = taken + 1
        try:
            yield free
        finally:
            if free:
                with self._idle:
                    self._running[function.function_arn] -= 1

    def _run(
        self,
        function: LambdaFunction,
        event: Any,
        request_id: str,
    ) -> Outcome:
        """One process; its log goes to the log group, its metrics to CloudWatch."""
        began = time.perf_counter()
        with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as answered:
            job = self._job(
                function,
                event,
                request_id,
                printed,
                answered,
            )
            timed_out = self._processes.run(job)
            milliseconds = (time.perf_counter() - began) * 1000
            printed.seek(0)
            answered.seek(0)
            output = printed.read().decode(errors="replace")
            answer = answered.read()
        payload, error = _outcome(answer, request_id, function.timeout if timed_out else None)
        if output and not output.endswith("\n"):
            output += "\n"
        if error and timed_out:
            output += f"{error['errorMessage']}\n"
        log = (
            f"START RequestId: {request_id} Version: {function.version}\n"
            f"{output}"
            f"END RequestId: {request_id}\n"
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\t"
            f"Memory Size: {function.memory_size} MB\n"
        )
        self._keep_log(function, job.request["context"]["log_stream"], log)
        self._measure(
            function,
            {"Invocations": 1.0, "Errors": float(error is not None), "Duration": milliseconds},
        )
        self._extract_metrics(output)
        return Outcome(payload, error, log)

    def _job(
        self,
        function: LambdaFunction,
        event: Any,
        request_id: str,
        printed: IO[bytes],
        answered: IO[bytes],
    ) -> Job:
        now = self.cloud.clock.now()
        stream = f"{now:%Y/%m/%d}/[{function.version}]{uuid.uuid4().hex}"
        context = {
            "request_id": request_id,
            "name": function.function_name,
            "version": str(function.version),
            "arn": function.function_arn,
            "memory": str(function.memory_size),
            "log_group": function.logs_group_name,
            "log_stream": stream,
        }
        request = {
            "now": now.timestamp(),
            "handler": function.handler,
            "timeout": function.timeout,
            "event": event,
            "context": context,
        }
        return Job(
            code=function.code_bytes,
            code_hash=function.code_sha_256,
            handler=str(function.handler),
            request=request,
            environment=self._environment(function, stream),
            timeout=function.timeout,
            printed=printed,
            answered=answered,
        )

    def _environment(self, function: LambdaFunction, stream: str) -> dict[str, str]:
        """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime."""
        name = str(function.function_name)
        key = access_key(name)
        # its session has the function's name
        self.cloud.service(Iam).act_as(key, str(function.role), name)
        return {
            **self.cloud.environment(key),
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "_HANDLER": str(function.handler),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.run_time}",
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": function.logs_group_name,
            "AWS_LAMBDA_LOG_STREAM_NAME": stream,
            **function.environment_vars,
        }

    def _keep_log(
        self,
        function: LambdaFunction,
        stream: str,
        log: str,
    ) -> None:
        backend = logs_backends[self.cloud.account][self.cloud.region]
        backend.ensure_log_group(function.logs_group_name)
        group = backend.groups[function.logs_group_name]
        group.create_log_stream(stream)
        now = int(self.cloud.clock.now().timestamp() * 1000)
        group.put_log_events(
            stream, [{"timestamp": now, "message": line} for line in log.splitlines() if line]
        )

    def _measure(self, function: LambdaFunction, values: dict[str, float]) -> None:
        self._put_metrics(
            "AWS/Lambda", values, [{"Name": "FunctionName", "Value": function.function_name}]
        )

    def _extract_metrics(self, output: str) -> None:
        """What the function printed in the embedded metric format becomes metrics, as CloudWatch Logs does it."""
        for line in output.splitlines():
            if not line.startswith("{") or '"_aws"' not in line:
                continue
            document = json.loads(line)
            moment = datetime.fromtimestamp(document["_aws"]["Timestamp"] / 1000, UTC)
            for directive in document["_aws"]["CloudWatchMetrics"]:
                values = {
                    m["Name"]: document[m["Name"]]
                    for m in directive["Metrics"]
                    if m["Name"] in document
                }
                for names in directive["Dimensions"]:
                    dimensions = [{"Name": name, "Value": str(document[name])} for name in names]
                    self._put_metrics(
                        directive["Namespace"],
                        values,
                        dimensions,
                        moment,
                    )

    def _put_metrics(
        self,
        namespace: str,
        values: dict[str, Any],
        dimensions: list[dict[str, str]],
        at: datetime | None = None,
    ) -> None:
        moment = at or self.cloud.clock.now()
        data = [
            {"MetricName": name, "Value": number, "Timestamp": moment, "Dimensions": dimensions}
            for name, value in values.items()
            for number in (value if isinstance(value, list) else [value])
        ]
        cloudwatch_backends[self.cloud.account][self.cloud.region].put_metric_data(namespace, data)

    def _bury(
        self,
        queued: _Queued,
        condition: str,
        outcome: Outcome | None,
    ) -> None:
        """To the on-failure destination and to the dead-letter queue, whichever the function has."""
        self._send_record(
            queued,
            "OnFailure",
            condition,
            outcome,
        )
        arn = (getattr(queued.function, "dead_letter_config", None) or {}).get("TargetArn")
        if not arn:
            return
        message = outcome.error["errorMessage"] if outcome and outcome.error else condition
        attributes = {
            "RequestID": queued.request_id,
            "ErrorCode": "200",
            "ErrorMessage": message[:1024],
        }
        self._send(arn, json.dumps(queued.event), attributes)

    def _send_record(
        self,
        queued: _Queued,
        when: str,
        condition: str,
        outcome: Outcome | None,
    ) -> None:
        destinations = _invoke_config(queued.function).get("DestinationConfig") or {}
        arn = (destinations.get(when) or {}).get("Destination")
        if not arn:
            return
        now = self.cloud.clock.now()
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z",
            "requestContext": {
                "requestId": queued.request_id,
                "functionArn": f"{queued.function.function_arn}:$LATEST",
                "condition": condition,
                "approximateInvokeCount": queued.tries,
            },
            "requestPayload": queued.event,
        }
        if outcome is not None:
            context: dict[str, Any] = {"statusCode": 200, "executedVersion": "$LATEST"}
            record["responseContext"] = context | (
                {"functionError": "Unhandled"} if outcome.error else {}
            )
            record["responsePayload"] = json.loads(outcome.payload)
        self._send(arn, json.dumps(record), {})

    def _send(
        self,
        arn: str,
        body: str,
        attributes: dict[str, str],
    ) -> None:
        _, _, service, region, account, name = arn.split(":", 5)
        if service == "sns":
            sns_backends[account][region].topics[arn].publish(body)
            return
        sqs_backends[account][region].send_message(
            name,
            body,
            message_attributes={
                key: {"DataType": "String", "StringValue": value}
                for key, value in attributes.items()
                if value
            },
        )


def _remember(function: LambdaFunction, spec: dict[str, Any]) -> None:
    """Keep what moto's function drops."""
    if spec.get("PackageType") == "Image":
        raise NotModelled("functions from container images")
    if "DeadLetterConfig" in spec:
        function.dead_letter_config = spec["DeadLetterConfig"]
    if group := (spec.get("LoggingConfig") or {}).get("LogGroup"):
        function.logs_group_name = group


def _no_event_sources(_backend: LambdaBackend, spec: dict[str, Any]) -> None:
    raise NotModelled(f"lambda event source mappings (of {spec.get('EventSourceArn')})")


def _check_destinations(config: dict[str, Any]) -> None:
    for destination in (config.get("DestinationConfig") or {}).values():
        arn = destination.get("Destination", "")
        if arn and arn.split(":")[2] not in ("sqs", "sns"):
            raise NotModelled(f"the lambda destination {arn}")


def _invoke_config(function: LambdaFunction) -> dict[str, Any]:
    config: dict[str, Any] = (
        function.event_invoke_config[0].config if function.event_invoke_config else {}
    )
    return config


def _outcome(
    answer: bytes, request_id: str, timeout: int | None
) -> tuple[str, dict[str, Any] | None]:
    """The payload, and the error where there is one."""
    if timeout is not None:
        error = {
            "errorType": "Sandbox.Timedout",
            "errorMessage": f"RequestId: {request_id} Error: Task timed out after {timeout:.2f} seconds",
        }
        return json.dumps(error), error
    if not answer:
        error = {
            "errorType": "Runtime.ExitError",
            "errorMessage": f"RequestId: {request_id} Error: Runtime exited without providing a reason",
        }
        return json.dumps(error), error
    document = json.loads(answer)
    if "error" in document:
        return json.dumps(document["error"]), document["error"]
    return document["payload"], None
