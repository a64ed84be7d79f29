"""The door: one raw event in, one result out."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from autorollback import metrics, results
from autorollback.aws.clients import Clients
from autorollback.decision.verdicts import Reason
from autorollback.flows import confirm, manual, readiness, respond, sweep
from autorollback.flows.desk import Call, Desk, Settings
from autorollback.naming import Names
from autorollback.requests import (
    Action,
    AlarmChanged,
    BadRequest,
    DailyAudit,
    DeploymentEnded,
    Home,
    Manual,
    NotInAlarm,
    NotOurs,
    Request,
    Sweep,
    TasksCannotStart,
    parse,
)
from autorollback.results import Result

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
_MARGIN = timedelta(seconds=5)
"""Added to the time the function has left: a lease must outlive the invocation that took it."""


@cache
def _clients() -> Clients:
    return Clients()


def handle(event: object, context: "LambdaContext") -> Result:
    """Answer one invocation. An input that is not understood is returned as `rejected`; what cannot be finished raises."""
    settings = settings_of(os.environ)
    call = Call(
        context.aws_request_id,
        datetime.now(UTC),  # noqa: TID251 - the one place where time enters
        timedelta(milliseconds=context.get_remaining_time_in_millis()) + _MARGIN,
    )
    # keys of the invocation before must not stand beside what this one says
    logger.append_keys(request_id=call.request_id, correlation_id=_correlation(event), incident_id=None)
    try:
        result = answer(settings, call, event)
    except BadRequest as error:
        result = results.rejected(error)
        logger.warning("rejected: %s", error)
    except Exception:
        logger.exception("this invocation failed")  # the runtime's own trace carries no correlation id
        raise
    _report(settings, result, counted=not _only_asks(event) or result["outcome"] == "rejected")
    return result


def _only_asks(event: object) -> bool:
    """Whether a person asks what would happen: that writes nothing anywhere, so it is in no metric either."""
    return isinstance(event, Mapping) and (event.get("action") == Action.PLAN or event.get("dry_run") is True)


def _report(settings: Settings, result: Result, *, counted: bool = True) -> None:
    """Count one result, and log it under its incident."""
    if counted:
        metrics.count(settings.names.metric_namespace, result)
    logger.append_keys(incident_id=result.get("incident_id"))
    log = logger.debug if result.get("reason") == Reason.UNPROTECTED_SERVICE else logger.info
    log(result.get("summary") or result.get("detail") or "", extra={"result": result})


def _correlation(event: object) -> str | None:
    """The id of the EventBridge event, which its duplicates share; a person's invocation has none."""
    given = event.get("id") if isinstance(event, Mapping) else None
    return given if isinstance(given, str) else None


def settings_of(environment: Mapping[str, str]) -> Settings:
    """What the stack put into the function's environment.

    Raises:
        KeyError: naming what is missing: the function was not deployed by this project's stack.
    """
    return Settings(
        Names.of_prefix(environment["AUTO_ROLLBACK_NAME"]),
        environment["LEDGER_TABLE"],
        environment["TOPIC_ARN"],
        int(environment.get("PROTECTED_SERVICES", "1000")),
    )


def answer(settings: Settings, call: Call, event: object) -> Result:
    """The result of one event or payload.

    Raises:
        BadRequest: for an input that is not understood.
        ExceptionGroup: all is done, but people could not be told of it.
    """
    request = parse(event, settings.names, Home.of_arn(settings.topic_arn))
    desk = Desk.of(settings, _clients(), partial(_report, settings))
    result = _dispatch(desk, call, request)
    if desk.unsent:
        raise ExceptionGroup(f"{len(desk.unsent)} message(s) could not be sent, and are kept", desk.unsent)
    return result


def _dispatch(desk: Desk, call: Call, request: Request) -> Result:
    match request:
        case NotOurs(detail):
            return results.ignored(Reason.UNPROTECTED_SERVICE, detail)
        case NotInAlarm(service, detail):
            return results.ignored(Reason.NOT_IN_ALARM, detail, service)
        case AlarmChanged(in_alarm=False):
            return confirm.confirm(desk, call, request.service)
        case AlarmChanged() | TasksCannotStart():
            return respond.respond(desk, call, request)
        case DeploymentEnded():
            return confirm.deployment_ended(desk, call, request)
        case Sweep():
            return sweep.sweep(desk, call)
        case DailyAudit():
            return readiness.daily(desk, call)
        case Manual():
            return manual.answer(desk, call, request)
