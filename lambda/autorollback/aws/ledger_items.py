"""The ledger's items: what each of them means, and how it is written."""

import base64
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from autorollback import codec
from autorollback.decision.facts import (
    AlarmSpell,
    Deployment,
    Facts,
    KnownGood,
    LedgerState,
    Quarantine,
    RedAlarm,
    Revision,
    TrafficReading,
)
from autorollback.decision.incident import Incident, Intent, Phase, Told
from autorollback.decision.ledger_state import (
    PendingCheck,
    RecentDeployment,
    RedWatch,
    RollbackMark,
    ServiceLedger,
)
from autorollback.decision.result import Result
from autorollback.decision.retention import (
    INCIDENTS_KEPT,
    NOTICES_KEPT,
    SEEN_AT_ONCE,
    Kept,
    cut_to,
    is_past,
)
from autorollback.naming import AlarmKey, ServiceKey
from autorollback.policy import Policy

Read = TypeVar("Read")
Item = Mapping[str, Any]
"""An item as plain values: DynamoDB's texts, numbers, flags, sets and maps."""

VERSION = 2
"""Of the record of an incident. Version 1 held `way` and `restore` in its intent."""

FACTS_LIMIT = 64_000
"""Characters of packed facts in an item."""

ITEM_LIMIT = 96_000
"""Characters of an item: a quarter of what DynamoDB takes (400 KB)."""

CUTS = ((2000, 150), (100, 150), (50, 100), (25, 50), (10, 20), (3, 6))
"""Of facts that are too large, as many deployments, and times in ALARM of each alarm, are tried."""

BESIDE_RESULTS = 4_000
"""Characters of an incident's other attributes, and of how it ended."""

_INCIDENT = "incident#"
_COPY = "open#"

_serialize = TypeSerializer().serialize
_deserialize = TypeDeserializer().deserialize


class LedgerRecordError(ValueError):
    """A record that cannot be read: of a newer version, or edited by hand. It is left as it is."""


# --- values -------------------------------------------------------------------------------------------------------


def to_attributes(item: Item) -> dict[str, Any]:
    """An item as DynamoDB takes it; what is None is left out."""
    return {name: _serialize(value) for name, value in item.items() if value is not None}


def from_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB as plain values."""
    return {name: _deserialize(value) for name, value in attributes.items()}


def to_attribute(value: object) -> Any:
    """One value as DynamoDB takes it."""
    return _serialize(value)


def text_of(moment: datetime) -> str:
    """A moment as items hold it.

    ISO 8601 in UTC, to the millisecond, so that texts sort as moments do.
    """
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def time_of(text: str) -> datetime:
    """The moment that an item holds.

    ValueError where it is none, or has no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def epoch(moment: datetime) -> int:
    """A moment in whole seconds since 1970, as DynamoDB's time to live wants it."""
    return int(moment.timestamp())


def packed(record: Mapping[str, object]) -> str:
    """A JSON object, compressed and in base 64.

    Small enough for a record that is often read.
    """
    return base64.b64encode(zlib.compress(json.dumps(record).encode())).decode()


def packed_facts(
    facts: Facts,
    policy: Policy,
    now: datetime,
    beside: int = 0,
) -> str | None:
    """What a verdict rested on, as a record takes it.

    None where even little of it is too large. `beside` are the characters of what else the item will hold. Where all is too large, older times in ALARM and
    older deployments are left out, which the facts then say.
    """
    room = min(FACTS_LIMIT, ITEM_LIMIT - beside)
    whole = packed(codec.record_of(facts, policy, now))
    if len(whole) <= room:
        return whole
    for deployments, spells in CUTS:
        less = cut_to(facts, deployments, spells)
        cut = packed(codec.record_of(less, policy, now))
        if len(cut) <= room:
            return cut
    return None


def unpacked(text: str) -> dict[str, object]:
    """The JSON object that was packed.

    Raises:
        ValueError: the text is not as `packed` writes it.
    """
    try:
        document = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    record: dict[str, object] = json.loads(document)
    return record


def partition(key: ServiceKey) -> str:
    """The partition that holds all items of a service."""
    return f"service#{key}"


# --- incidents ----------------------------------------------------------------------------------------------------


def new_incident(
    key: ServiceKey,
    newest: Deployment,
    now: datetime,
    intent: Intent,
    *,
    automatic: bool,
    suffix: str = "",
) -> Incident:
    """The claim on a service's newest deployment.

    A `suffix` lets it stand beside another: a person's forced one beside a claim that is held, and one after claims
    that were given up beside these.
    """
    deployment_id = newest.arn.rpartition("/")[2]
    opened = text_of(newest.created_at)
    place = f"{deployment_id}#{suffix}" if suffix else deployment_id
    readable_place = place.replace("#", "/")
    return Incident(
        incident_id=f"{key}/{opened}/{readable_place}",
        key=key,
        sort_key=f"incident#{opened}#{place}",
        phase=Phase.CLAIMED,
        deployment=newest.arn,
        claimed_at=now,
        automatic=automatic,
        intent=intent,
    )


def incident_item(incident: Incident, due: datetime | None) -> Item:
    """An incident as its item.

    `due` is when the sweep has to look after it, None when it is over.
    """
    result = incident.result
    return {
        "pk": partition(incident.key),
        "sk": incident.sort_key,
        "version": VERSION,
        "incident_id": incident.incident_id,
        "cluster": incident.key.cluster,
        "service": incident.key.service,
        "state": incident.phase.value,
        "deployment": incident.deployment,
        "claimed_at": text_of(incident.claimed_at),
        "automatic": incident.automatic,
        "intent": json.dumps(codec.to_json(incident.intent)),
        "result": json.dumps(codec.to_json(result)) if result else None,
        "rollback_deployment": incident.rollback_deployment,
        "announced": incident.announced,
        "told_people": incident.told.people,
        "told_machines": incident.told.machines,
        "step": incident.step,
        "facts": incident.facts,
        "was_lost": True if incident.was_lost else None,
        "closed_at": text_of(incident.closed_at) if incident.closed_at else None,
        "expires_at": _kept_until(incident),
        "timeline": "incident",
        "at": text_of(incident.claimed_at),
        **due_index(due),
    }


def copy_key(incident: Incident) -> str:
    """Sort key of the second record of an open incident."""
    return f"{_COPY}{incident.sort_key.removeprefix(_INCIDENT)}"


def incident_copy(incident: Incident, due: datetime | None) -> Item:
    """The second record of an open incident.

    Without it nobody would miss one that is removed by hand. It is in no history, and holds no facts.
    """
    item = incident_item(replace(incident, facts=None), due)
    left_out = ("timeline", "at")
    kept = {name: value for name, value in item.items() if name not in left_out}
    return {**kept, "sk": copy_key(incident)}


def _lost_incidents(copies: Iterable[Item], incidents: Iterable[Incident]) -> tuple[Incident, ...]:
    """The open incidents whose copy is there, and whose own record is not."""
    known = {incident.sort_key for incident in incidents}
    lost: list[Incident] = []
    for item in copies:
        sort_key = f"{_INCIDENT}{_named_by(item)}"
        if sort_key not in known:
            incident = replace(read_incident(item), sort_key=sort_key)
            lost.append(replace(incident, was_lost=True))
    return tuple(lost)


def size_once_ended(claim: Incident) -> int:
    """Characters that the item of a claim may grow to, beside its facts.

    Its result stands in it as it was intended, as it was told last, and as people may not have been told it before.
    """
    intent = len(json.dumps(codec.to_json(claim.intent)))
    result = len(json.dumps(codec.to_json(claim.intent.result)))
    return intent + 2 * result + BESIDE_RESULTS


def _kept_until(incident: Incident) -> int | None:
    """When DynamoDB may remove it: incidents are kept for a time after they were closed."""
    if incident.closed_at is None:
        return None
    return epoch(incident.closed_at + INCIDENTS_KEPT)


def due_index(due: datetime | None) -> dict[str, str]:
    """The attributes by which the sweep finds an item.

    There are none when nothing is due.
    """
    if due is None:
        return {}
    return {"unfinished": "yes", "due_at": text_of(due)}


def read_incident(item: Item) -> Incident:
    """The incident of an item, of this version or an older one.

    Raises:
        LedgerRecordError: the item is of a newer version, or not as `incident_item` writes it.
    """
    version = item.get("version")
    is_known = isinstance(version, int | Decimal) and 1 <= version <= VERSION
    if not is_known:
        is_newer = isinstance(version, int | Decimal) and version > VERSION
        remedy = (
            "deploy the newer controller that wrote it" if is_newer else "mend or delete this item"
        )
        read = f"version {version}, this controller reads up to {VERSION}"
        raise LedgerRecordError(f"ledger record {item['pk']} {item['sk']}: {read}: {remedy}")
    return readable(item, _incident_of)


def _incident_of(item: Item) -> Incident:
    intent = json.loads(item["intent"])
    if item["version"] == 1:
        intent = _upgraded_intent(intent)
    result = item.get("result")
    closed_at = item.get("closed_at")
    return Incident(
        incident_id=item["incident_id"],
        key=_owner_of(item),
        sort_key=item["sk"],
        phase=Phase(item["state"]),
        deployment=item["deployment"],
        claimed_at=time_of(item["claimed_at"]),
        automatic=bool(item["automatic"]),
        intent=codec.from_json(intent, Intent),
        result=codec.from_json(json.loads(result), Result) if result else None,
        rollback_deployment=item.get("rollback_deployment"),
        announced=bool(item["announced"]),
        told=Told(int(item.get("told_people", 0)), int(item.get("told_machines", 0))),
        closed_at=time_of(closed_at) if closed_at else None,
        step=int(item["step"]),
        facts=item.get("facts"),
        written_for=_written_for(item),
        was_lost=bool(item.get("was_lost")),
    )


def _owner_of(item: Item) -> ServiceKey:
    """The service in whose partition an item lies: that is whose it is, whatever else it says."""
    kind, _, name = str(item["pk"]).partition("#")
    cluster, _, service = name.partition("/")
    if kind != "service" or not cluster or not service:
        raise ValueError(f"{item['pk']!r} is no partition of a service")
    return ServiceKey(cluster, service)


def _written_for(item: Item) -> ServiceKey | None:
    """The service that a record names, where that is not its owner."""
    named = ServiceKey(item["cluster"], item["service"])
    return None if named == _owner_of(item) else named


def _upgraded_intent(intent: dict[str, Any]) -> dict[str, Any]:
    """An intent of version 1 in the words of version 2."""
    upgraded = dict(intent)
    upgraded["method"] = upgraded.pop("way")
    upgraded["needs_copy"] = upgraded.pop("restore")
    upgraded["left"] = [revision for revision in intent.get("left", []) if revision]
    return upgraded


def readable(item: Item, read: Callable[[Item], Read]) -> Read:
    """What an item says.

    Raises:
        LedgerRecordError: naming the item.
    """
    try:
        return read(item)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        where = f"ledger record {item.get('pk')} {item.get('sk')}"
        raise LedgerRecordError(f"{where}: {error!r}; mend or delete this item") from error


# --- all items of a service ---------------------------------------------------------------------------------------


def service_ledger(items: Iterable[Item], now: datetime) -> ServiceLedger:
    """What all the items of a service say.

    But those that the ledger does not keep any more. They are given one after another, and few are held: an older version kept all that ever ran well.

    Raises:
        LedgerRecordError: for one that cannot be read.
    """
    by_kind, surplus = _by_kind(items, now)
    incidents = [read_incident(item) for item in by_kind.get("incident", [])]
    lost = _lost_incidents(by_kind.get("open", []), incidents)
    incidents += lost
    incidents.sort(key=lambda incident: incident.claimed_at, reverse=True)
    judged: set[str] = set()
    for item in by_kind.get("told", []):
        judged |= readable(item, lambda i: set(i.get("judged") or ()))
    muted: dict[str, datetime] = {}
    for item in by_kind.get("muted", []):
        muted[_named_by(item)] = readable(item, lambda i: time_of(i["at"]))
    return ServiceLedger(
        state=_state(by_kind, incidents, now),
        incidents=tuple(incidents),
        judged=frozenset(judged),
        muted=muted,
        pending_checks=tuple(readable(item, _pending_check) for item in by_kind.get("watch", [])),
        unsent=tuple(item["sk"] for item in by_kind.get("told", []) if "unfinished" in item),
        watched=_watched(by_kind.get("traffic", [])),
        red_watches=_red_watches(by_kind.get("red", [])),
        alarm_trees=_alarm_trees(by_kind.get("alarms", [])),
        surplus=surplus,
        lost=lost,
    )


def _by_kind(
    items: Iterable[Item],
    now: datetime,
) -> tuple[dict[str, list[Item]], tuple[str, ...]]:
    """The items that are kept, by their kind, and the names of those that are not."""
    by_kind: dict[str, list[Item]] = {}
    good: dict[str, Item] = {}
    kept = Kept(now)
    surplus: list[str] = []
    for item in items:
        kind = item["sk"].partition("#")[0]
        if kind == "good":
            kept.add(item["sk"], readable(item, lambda i: time_of(i["until"])))
            good[item["sk"]] = item
            if len(good) > 2 * SEEN_AT_ONCE:
                good = _only(good, kept.names())
        elif kind == "incident" and _is_past(item, now):
            surplus.append(item["sk"])
        else:
            by_kind.setdefault(kind, []).append(item)
    by_kind["good"] = list(_only(good, kept.names()).values())
    by_kind["told"], old = _newest_notices(by_kind.get("told", []))
    return by_kind, (*kept.surplus, *surplus, *old)


def _newest_notices(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """The messages that are kept, and the names of the others; one that is not sent yet is kept."""
    newest_first = sorted(items, key=lambda item: str(item.get("at")), reverse=True)
    kept: list[Item] = []
    old: list[str] = []
    for item in newest_first:
        if len(kept) < NOTICES_KEPT or "unfinished" in item:
            kept.append(item)
        else:
            old.append(item["sk"])
    return kept, old


def _only(items: Mapping[str, Item], names: Collection[str]) -> dict[str, Item]:
    return {name: item for name, item in items.items() if name in names}


def _is_past(item: Item, now: datetime) -> bool:
    """Whether it is an incident that is over, told, and closed for longer than incidents are kept."""
    closed_at = item.get("closed_at")
    if not closed_at or "unfinished" in item:
        return False
    return is_past(readable(item, lambda i: time_of(i["closed_at"])), now)


def _red_watches(items: Sequence[Item]) -> tuple[RedWatch, ...]:
    """Those of these items that are still to be looked at."""
    return tuple(readable(item, _red_watch) for item in items if "unfinished" in item)


def _red_watch(item: Item) -> RedWatch:
    return RedWatch(
        about=str(item["about"]),
        since=time_of(item["since"]),
        red=tuple(sorted(item["red"])),
        message=codec.from_json(json.loads(item["result"]), Result),
        resource=str(item["resource"]),
    )


def recent_deployment(item: Item) -> RecentDeployment:
    """A deployment of a protected service.

    Raises:
        LedgerRecordError: naming the item.
    """
    return readable(item, _recent_deployment)


def _recent_deployment(item: Item) -> RecentDeployment:
    key = ServiceKey(item["cluster"], item["service"])
    return RecentDeployment(key, str(item["task_definition"]), time_of(item["at"]))


def _watched(items: Sequence[Item]) -> tuple[str, ...]:
    """The deployments of these items whose traffic the sweep looks at."""
    return tuple(str(item.get("deployment")) for item in items if "unfinished" in item)


def _alarm_trees(items: Sequence[Item]) -> dict[str, tuple[str, ...]]:
    trees: dict[str, tuple[str, ...]] = {}
    for item in items:
        under = readable(item, lambda i: dict(i["under"]))
        trees.update({str(alarm): tuple(map(str, names)) for alarm, names in under.items()})
    return trees


def _state(
    by_kind: Mapping[str, Sequence[Item]],
    incidents: Sequence[Incident],
    now: datetime,
) -> LedgerState:
    paused_until = None
    for item in by_kind.get("pause", []):
        until = readable(item, lambda i: time_of(i["until"]))
        paused_until = until if until > now else None
    quarantined = {q.identity: q for q in map(read_quarantine, by_kind.get("quarantine", []))}
    return LedgerState(
        paused_until=paused_until,
        quarantined=quarantined,
        rollbacks=tuple(incident.as_past_rollback() for incident in incidents if incident.acted),
        known_good=tuple(readable(item, _known_good) for item in by_kind.get("good", [])),
        traffic=tuple(readable(item, _traffic) for item in by_kind.get("traffic", [])),
    )


def _named_by(item: Item) -> str:
    """What follows the kind in an item's sort key."""
    return str(item["sk"].partition("#")[2])


def read_quarantine(item: Item) -> Quarantine:
    """The quarantine of an item; an old one knows neither signals nor what processes saw.

    Raises:
        LedgerRecordError: naming the item.
    """
    return readable(item, _quarantine)


def _quarantine(item: Item) -> Quarantine:
    signals = item.get("signals") or ()
    return Quarantine(
        _named_by(item),
        str(item["task_definition"]),
        time_of(item["at"]),
        tuple(str(signal) for signal in signals),
        item.get("process_identity"),
        dict(item.get("images") or {}),
    )


def quarantine_item(key: ServiceKey, quarantine: Quarantine) -> Item:
    """A quarantine as its item."""
    return {
        "pk": partition(key),
        "sk": f"quarantine#{quarantine.identity}",
        "at": text_of(quarantine.at),
        "task_definition": quarantine.task_definition,
        "images": dict(quarantine.images),
        "signals": list(quarantine.signals),
        "process_identity": quarantine.process_identity,
    }


def _pending_check(item: Item) -> PendingCheck:
    return PendingCheck(
        deployment=item["deployment"],
        failed_at=time_of(item["at"]),
        due=time_of(item["due_at"]),
        tasks=bool(item.get("tasks")),
        named=item.get("named", ""),
    )


def _traffic(item: Item) -> TrafficReading:
    unserved_at = item.get("unserved_at")
    baking_at = item.get("baking_at")
    return TrafficReading(
        deployment=item["deployment"],
        unserved_at=time_of(unserved_at) if unserved_at else None,
        baking_at=time_of(baking_at) if baking_at else None,
    )


def _known_good(item: Item) -> KnownGood:
    revision = Revision(
        arn=item["revision"],
        task_definition=item["task_definition"],
        task_definition_arn=item["task_definition_arn"],
        created_at=time_of(item["since"]),
        images=item["images"],
        identity=_named_by(item),
    )
    requests = item.get("requests")
    counted = None if requests is None else int(requests)
    calm_until = item.get("calm_until")
    return KnownGood(
        revision,
        time_of(item["since"]),
        time_of(item["until"]),
        counted,
        calm_until=time_of(calm_until) if calm_until else None,
        spells=_spells_of(item.get("spells")),
    )


def spells_text(spells: Sequence[AlarmSpell]) -> str | None:
    """Times in ALARM as the text that an item holds; None of none."""
    rows = [[spell.signal, text_of(spell.since), text_of(spell.until)] for spell in spells]
    return json.dumps(rows) if rows else None


def _spells_of(text: str | None) -> tuple[AlarmSpell, ...]:
    spells: list[AlarmSpell] = []
    for signal, since, until in json.loads(text or "[]"):
        spells.append(AlarmSpell(signal, time_of(since), time_of(until)))
    return tuple(spells)


# --- what a judgement asks of other services ----------------------------------------------------------------------


def rollback_mark(item: Item) -> RollbackMark | None:
    """The rollback of an incident's item.

    None where none was carried out, or it cannot be read. An incident's sort key has the time of the deployment that it is about.
    """
    carried_out = (Phase.OPEN.value, Phase.RECOVERED.value, Phase.NOT_RECOVERED.value)
    deployment = item.get("rollback_deployment")
    if deployment is None and item.get("state") not in carried_out:
        return None
    try:
        _, left, *_ = item["sk"].split("#")
        return RollbackMark(time_of(item["claimed_at"]), deployment, time_of(left))
    except (KeyError, TypeError, ValueError):
        return None


# --- the page of red alarms that an alarm storm shares ------------------------------------------------------------


def red_page_text(red: Sequence[RedAlarm]) -> str:
    """Red alarms as the text that one item holds."""
    rows = []
    for alarm in red:
        service = alarm.key.service
        row = [alarm.name, service.cluster, service.service, alarm.key.signal, text_of(alarm.onset)]
        rows.append([*row, alarm.grain.total_seconds()])
    return json.dumps(rows)


def read_red_page(item: Item) -> tuple[datetime, tuple[RedAlarm, ...]]:
    """When a page of red alarms was read, and the alarms."""
    alarms = []
    for name, cluster, service, signal, onset, grain in json.loads(item["alarms"]):
        key = AlarmKey(ServiceKey(cluster, service), signal)
        alarms.append(RedAlarm(key, name, time_of(onset), timedelta(seconds=grain)))
    return time_of(item["at"]), tuple(alarms)
