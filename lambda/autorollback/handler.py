"""The entry point: one raw event in, one result out."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from autorollback import metrics, results
from autorollback.aws.clients import Clients
from autorollback.decision.result import Result
from autorollback.decision.verdicts import Reason
from autorollback.flows import began, confirm, manual, readiness, respond, sweep
from autorollback.flows.session import Invocation, Session, Settings
from autorollback.naming import Home, Names
from autorollback.requests import (
    Action,
    AlarmChanged,
    BadRequest,
    DailyAudit,
    DeploymentBegan,
    DeploymentEnded,
    Manual,
    NotInAlarm,
    NotOurs,
    Request,
    Sweep,
    TasksCannotStart,
    at_the_latest,
    parse,
)
from autorollback.results import Answer, Done, ReadinessAnswer

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
_MARGIN = timedelta(seconds=5)
"""Added to the time the function has left: a lease must outlive the invocation that took it."""


@cache
def _clients() -> Clients:
    return Clients()


def handle(event: object, context: "LambdaContext") -> dict[str, object]:
    """Answer one invocation. An input that is not understood is `rejected`; what cannot be finished raises."""
    settings = settings_of(os.environ)
    time_left = timedelta(milliseconds=context.get_remaining_time_in_millis())
    invocation = Invocation(
        context.aws_request_id,
        datetime.now(UTC),  # noqa: TID251 - the one place where time enters
        time_left + _MARGIN,
    )
    # keys of the invocation before must not stand beside what this one says
    logger.append_keys(
        request_id=invocation.request_id, correlation_id=_correlation(event), incident_id=None
    )
    try:
        result = answer(settings, invocation, event)
    except BadRequest as error:
        result = results.rejected(error)
        logger.warning("rejected: %s", error)
    except Exception:
        logger.exception(
            "this invocation failed"
        )  # the runtime's own trace carries no correlation id
        raise
    is_rejected = isinstance(result, Result) and result.reason is Reason.BAD_REQUEST
    _report(settings, result, counted=is_rejected or not _only_asks(event))
    return results.to_json(result)


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


def answer(
    settings: Settings,
    invocation: Invocation,
    event: object,
) -> Answer:
    """The answer to one event or payload.

    Raises:
        BadRequest: for an input that is not understood.
        ExceptionGroup: all is done, but people could not be told of it.
    """
    request = parse(event, settings.names, Home.of_arn(settings.topic_arn))
    session = Session.of(
        settings,
        _clients(),
        invocation,
        partial(_report, settings),
    )
    result = dispatch(session, request)
    if session.unsent:
        told = f"{len(session.unsent)} message(s) could not be sent, and are kept"
        raise ExceptionGroup(told, session.unsent)
    return result


def dispatch(session: Session, request: Request) -> Answer:
    """Give a request to the flow that it is for."""
    request = at_the_latest(request, session.now)
    match request:
        case NotOurs(detail):
            return results.ignored(Reason.UNPROTECTED_SERVICE, detail)
        case NotInAlarm(service, detail):
            return results.ignored(Reason.NOT_IN_ALARM, detail, service)
        case AlarmChanged(in_alarm=False):
            return confirm.confirm(session, request.service)
        case AlarmChanged() | TasksCannotStart():
            return respond.respond(session, request)
        case DeploymentBegan():
            return began.deployment_began(session, request)
        case DeploymentEnded():
            return confirm.deployment_ended(session, request)
        case Sweep():
            return sweep.sweep(session)
        case DailyAudit():
            return readiness.daily(session)
        case Manual():
            return manual.answer(session, request)


def _only_asks(event: object) -> bool:
    """Whether a person asks what would happen: that writes nothing, so it is in no metric either."""
    if not isinstance(event, Mapping):
        return False
    return event.get("action") == Action.PLAN or event.get("dry_run") is True


def _report(
    settings: Settings,
    result: Answer,
    *,
    counted: bool = True,
) -> None:
    """Count one answer, and log it under its incident."""
    namespace = settings.names.metric_namespace
    if isinstance(result, ReadinessAnswer):
        for service in result.services:
            metrics.count_readiness(namespace, service.key, ready=service.ready)
    if isinstance(result, Result) and counted:
        metrics.count(namespace, result)

    incident_id = result.incident_id if isinstance(result, Result | Done) else None
    logger.append_keys(incident_id=incident_id)
    is_noise = isinstance(result, Result) and result.reason is Reason.UNPROTECTED_SERVICE
    log = logger.debug if is_noise else logger.info
    log(_words(result), extra={"result": results.to_json(result)})


def _words(result: Answer) -> str:
    match result:
        case Result() | ReadinessAnswer():
            return result.summary
        case Done():
            return result.summary or result.detail
        case _:
            return ""


def _correlation(event: object) -> str | None:
    """The id of the EventBridge event, which its duplicates share; a person's invocation has none."""
    given = event.get("id") if isinstance(event, Mapping) else None
    return given if isinstance(given, str) else None
