"""What comes of an input that something went wrong with; each check takes a seed, and fails where it should not."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from autorollback import handler, results
from autorollback.aws.ledger_items import (
    LedgerRecordError,
    due_index,
    incident_item,
    read_incident,
    read_quarantine,
    service_ledger,
    text_of,
)
from autorollback.aws.policies import parse_policy
from autorollback.naming import Names, ServiceKey
from autorollback.policy import PolicyError
from autorollback.requests import BadRequest, parse
from tests.flows.mutations import JUNK_OF_ITEMS, mutated
from tests.flows.stories import World
from tests.scenarios.history import NOW, days, minutes

KEY = ServiceKey("shop", "auth")
AT = "2026-11-22T14:00:00.000+0000"
ARN = "arn:aws:ecs:eu-central-1:111122223333"
WAS_GOOD = "UpdateService auth:1"

PAYLOADS: tuple[dict[str, Any], ...] = (
    {"service": "auth", "cluster": "shop", "reason": "checkout fails", "requested_by": "me"},
    {"action": "rollback", "service": "auth", "revision": "auth:1", "force": False},
    {"action": "history", "service": "auth", "limit": 5, "next": "shop/auth|1"},
    {"action": "pause", "service": "auth", "minutes": 5, "reason": "load test"},
    {"action": "release", "service": "auth", "revision": 2},
    {"action": "readiness", "service": "auth", "cluster": "shop"},
    {"action": "resume"},
)
_REASON = {
    "version": "1.0",
    "startDate": AT,
    "period": 60,
    "recentDatapoints": [9.0, 9.0, 9.0],
    "threshold": 5.0,
}
_ALARM = {
    "id": "1",
    "source": "aws.cloudwatch",
    "detail-type": "CloudWatch Alarm State Change",
    "account": "111122223333",
    "region": "eu-central-1",
    "time": "2026-11-22T14:00:00Z",
    "resources": ["arn:aws:cloudwatch:eu-central-1:111122223333:alarm:x"],
    "detail": {
        "alarmName": "auto-rollback/shop/auth/5xx-rate",
        "state": {"value": "ALARM", "timestamp": AT, "reasonData": json.dumps(_REASON)},
    },
}


def _of_ecs(detail_type: str, name: str) -> dict[str, Any]:
    return {
        **{name: _ALARM[name] for name in ("id", "account", "region", "time")},
        "source": "aws.ecs",
        "detail-type": detail_type,
        "resources": [f"{ARN}:service/shop/auth"],
        "detail": {
            "eventName": name,
            "deploymentId": "ecs-svc/2",
            "clusterArn": f"{ARN}:cluster/shop",
        },
    }


EVENTS: tuple[dict[str, Any], ...] = (
    _ALARM,
    _of_ecs("ECS Service Action", "SERVICE_TASK_START_IMPAIRED"),
    _of_ecs("ECS Deployment State Change", "SERVICE_DEPLOYMENT_COMPLETED"),
    _of_ecs("ECS Deployment State Change", "SERVICE_DEPLOYMENT_FAILED"),
    {
        **{name: _ALARM[name] for name in ("id", "account", "region", "time")},
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "resources": ["arn:aws:events:eu-central-1:111122223333:rule/auto-rollback-sweep"],
        "detail": {},
    },
)


def a_bad_deployment() -> World:
    """Build 1 served for days, build 2 came nine minutes ago, and the alarm is red."""
    world = World()
    world.service("auth").deployed("1", ago=days(3)).deployed("2", ago=minutes(9))
    world.turn_red("auth", "5xx-rate")
    return world


def ask(world: World, raw: Any) -> None:
    """One invocation: an answer that can be written, or a refusal that names a field."""
    refusal: BadRequest | None = None
    try:
        request = parse(raw, Names(), None)
        answer = handler.dispatch(world.session(), request)
    except BadRequest as refused:
        refusal = refused
        answer = results.rejected(refused)
    assert refusal is None or (refusal.field and refusal.allowed)
    json.dumps(results.to_json(answer), ensure_ascii=False, allow_nan=False).encode()


def check_payload(seed: int) -> None:
    """A payload: what it asks for, or rejected; never another act."""
    payload = mutated(PAYLOADS[seed % len(PAYLOADS)], seed)
    world = a_bad_deployment()
    ask(world, payload)
    allowed = (
        [WAS_GOOD] if PAYLOADS[seed % len(PAYLOADS)].get("action", "rollback") == "rollback" else []
    )
    if isinstance(payload, dict) and payload.get("action", "rollback") == "rollback":
        allowed = [WAS_GOOD]  # without an action it is one: the contract's default
    assert world.ecs.acts in ([], allowed), payload


def check_event(seed: int) -> None:
    """An event: judged as the service is now, ignored, or rejected; never another act."""
    event = mutated(EVENTS[seed % len(EVENTS)], seed)
    world = a_bad_deployment()
    ask(world, event)
    assert world.ecs.acts in ([], [WAS_GOOD]), event


def check_policy(seed: int) -> None:
    """A policy parameter: one that can be read whole, or an error that names it and the key."""
    world = a_bad_deployment()
    document = mutated(world.policies.known[KEY].to_document(), seed)
    text = json.dumps(document, default=str)
    if seed % 7 == 0:
        text = text[: seed % max(1, len(text))]
    refusal: PolicyError | None = None
    try:
        policy = parse_policy("/auto-rollback/shop/auth", KEY, text)
    except PolicyError as error:
        refusal = error
    else:
        assert policy.key == KEY
    if refusal is not None:
        assert refusal.field.startswith("parameter /auto-rollback/shop/auth")
        assert refusal.allowed


def ledger_items() -> list[dict[str, Any]]:
    """One item of each kind, as the ledger writes them."""
    world = a_bad_deployment()
    world.ask(world.alarm_event("auth", "5xx-rate"))
    incident = world.incident()
    pk, at = f"service#{KEY}", text_of(NOW)
    result = json.dumps(results.to_json(incident.shown))
    told = {"pk": pk, "sk": "told#2#x", "at": at, "announced": False, "result": result,
            "resource": f"{ARN}:service/shop/auth", "judged": {"2 alarm"}, **due_index(NOW)}  # fmt: skip
    return [
        {**incident_item(incident, NOW)},
        told,
        {"pk": pk, "sk": "pause", "until": text_of(NOW + timedelta(hours=1)), "at": at},
        {"pk": pk, "sk": "quarantine#abc", "at": at, "task_definition": "auth:2", "images": {}},
        {"pk": pk, "sk": "good#abc", "revision": "rev", "task_definition": "auth:1",
         "task_definition_arn": f"{ARN}:task-definition/auth:1", "images": {"app": "sha256:1"},
         "since": at, "until": at, "requests": 12},
        {"pk": pk, "sk": "muted#alarm", "at": at},
        {"pk": pk, "sk": "watch#2", "deployment": "2", "tasks": False, "named": "x", "at": at, **due_index(NOW)},
        {"pk": pk, "sk": "lease", "owner": "me", "until": at},
    ]  # fmt: skip


def check_item(seed: int) -> None:
    """A ledger item: read as it is, or an error that names the item."""
    items = ledger_items()
    index = seed % len(items)
    keys = {name: items[index][name] for name in ("pk", "sk")}
    damaged = {**mutated(items[index], seed, junk=JUNK_OF_ITEMS), **keys}
    items[index] = damaged
    reads: list[Callable[[], object]] = [partial(service_ledger, items, NOW)]
    if damaged["sk"].startswith("incident#"):
        reads.append(partial(read_incident, damaged))
    if damaged["sk"].startswith("quarantine#"):
        reads.append(partial(read_quarantine, damaged))
    refusals: list[str] = []
    for read in reads:
        try:
            read()
        except LedgerRecordError as error:
            refusals.append(str(error))
    assert all(damaged["sk"] in refusal for refusal in refusals)


CHECKS: Mapping[str, Callable[[int], None]] = {
    "payload": check_payload,
    "event": check_event,
    "policy": check_policy,
    "ledger item": check_item,
}
"""By what they are about."""
