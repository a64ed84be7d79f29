"""The ledger's items: what each of them means, and how it is written. What cannot be read is an error that names the item."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from autorollback.aws.alarms import RedAlarm
from autorollback.decision.model import Deployment, KnownGood, Memory, PastRollback, Revision
from autorollback.naming import AlarmKey, ServiceKey

Read = TypeVar("Read")

VERSION = 1

to_item, _from_item = TypeSerializer().serialize, TypeDeserializer().deserialize


class State(StrEnum):
    """Where an incident stands. `claimed` is the intent before the act; the rest is what the contract names."""

    CLAIMED = "claimed"
    OPEN = "open"
    RECOVERED = "recovered"
    NOT_RECOVERED = "not_recovered"
    SUPERSEDED = "superseded"
    FAILED = "failed"


class LedgerRecordError(ValueError):
    """A record of the ledger that cannot be read: written by another version, or edited by hand. It is left as it is."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One rollback, from the intent on.

    Attributes:
        incident_id: `<cluster>/<service>/<time of the deployment>/<its id>`: unique, and readable.
        deployment: the service's newest deployment when it was claimed; the act is keyed by it.
        intent: what was decided, enough to act on again: `target`, `restore`, `way`, `result` ...
        result: the result object, once acted.
        rollback_deployment: the service deployment that carries the rollback out, once known.
        announced: whether people have been told of its state.
        step: how often the record has been written; a write names the step that it follows.
        facts: what the verdict rested on, as `packed` writes it, to be judged again.
    """

    incident_id: str
    key: ServiceKey
    sort_key: str
    state: State
    deployment: str
    claimed_at: datetime
    automatic: bool
    intent: Mapping[str, Any]
    result: Mapping[str, Any] | None = None
    rollback_deployment: str | None = None
    announced: bool = False
    closed_at: datetime | None = None
    step: int = 0
    facts: str | None = None

    @property
    def unfinished(self) -> bool:
        """Whether the act, or its record, is still to be done. A message alone stands in nobody's way."""
        return self.state is State.CLAIMED

    @property
    def untold(self) -> tuple[Mapping[str, Any], ...]:
        """The results that people have not been told of, oldest first. Of a claim there is nothing to tell yet."""
        if self.announced or self.result is None:
            return ()
        return (*self.intent.get("untold", ()), self.result)

    def leaves_untold(self) -> "Incident":
        """The incident about to have another result: what people were not told of is kept beside that."""
        return replace(self, announced=False, intent={**self.intent, "untold": list(self.untold)})

    @property
    def acted(self) -> bool:
        """Whether the service was rolled back: not where AWS refused, or where somebody deployed before the act."""
        told = self.result or {}
        return self.state not in (State.CLAIMED, State.FAILED) and told.get("outcome") == "rolled_back"

    @property
    def attempted_at(self) -> datetime:
        """When the act that is under way was decided: the claim, or the second try after ECS's own rollback failed."""
        again = self.intent.get("again_at")
        return time_of(again) if again else self.claimed_at

    def says(self, **changes: Any) -> "Incident":
        """The incident with changes to the result that its intent holds."""
        return replace(self, intent={**self.intent, "result": {**self.intent["result"], **changes}})


@dataclass(frozen=True, slots=True)
class Watched:
    """A failed deployment that was left to ECS to roll back: `due` is when to see whether it did.

    `deployment` is empty where the event was turned away before anybody read which deployment it was about; `tasks` says that
    it spoke of tasks that cannot start; `named` is the `ecs-svc/...` id that the event named.
    """

    deployment: str
    failed_at: datetime
    due: datetime
    tasks: bool = False
    named: str = ""


@dataclass(frozen=True, slots=True)
class Unsent:
    """A verdict that people could not be told of; `sort_key` is its item's, `resource` the ARN of the service."""

    sort_key: str
    result: Mapping[str, Any]
    resource: str


@dataclass(frozen=True, slots=True)
class Recollection:
    """All that the ledger says of a service: its memory for the judgement, and its incidents, newest first.

    Attributes:
        judged: the alarms that have a verdict of their own, each with the newest deployment then (see `judged_of`).
        muted: when each alarm was last heard muted.
        watched: failed deployments that were left to ECS.
        unsent: verdicts that people could not be told of.
    """

    memory: Memory = field(default_factory=Memory)
    incidents: tuple[Incident, ...] = ()
    judged: frozenset[str] = frozenset()
    muted: Mapping[str, datetime] = field(default_factory=dict)
    watched: tuple[Watched, ...] = ()
    unsent: tuple[Unsent, ...] = ()

    @property
    def has_untold(self) -> bool:
        """Whether people have not been told of something."""
        return bool(self.unsent) or any(incident.untold for incident in self.incidents)

    @property
    def unfinished(self) -> Incident | None:
        """The claim that must be finished before anything else."""
        return next((i for i in self.incidents if i.unfinished), None)

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The rollbacks whose recovery is being watched, newest first."""
        return tuple(i for i in self.incidents if i.state is State.OPEN)


def packed(record: Mapping[str, Any]) -> str:
    """A JSON object small enough to stand in a record that is read at each judgement: compressed, in base 64."""
    return base64.b64encode(zlib.compress(json.dumps(record).encode())).decode()


def unpacked(text: str) -> dict[str, Any]:
    """The JSON object that was packed."""
    record: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return record


def new_incident(
    key: ServiceKey,
    newest: Deployment,
    now: datetime,
    *,
    automatic: bool,
    intent: Mapping[str, Any],
    forced_by: str | None = None,
    failed_before: int = 0,
    facts: str | None = None,
) -> Incident:
    """The claim on a service's newest deployment.

    A person's forced one stands beside a claim that is held; one after claims that were given up stands beside these.
    """
    deployment_id = newest.arn.rpartition("/")[2]
    suffix = f"#forced-{forced_by}" if forced_by else f"#again-{failed_before}" if failed_before else ""
    return Incident(
        incident_id=f"{key}/{text_of(newest.created_at)}/{deployment_id}{suffix.replace('#', '/')}",
        key=key,
        sort_key=f"incident#{text_of(newest.created_at)}#{deployment_id}{suffix}",
        state=State.CLAIMED,
        deployment=newest.arn,
        claimed_at=now,
        automatic=automatic,
        intent=intent,
        facts=facts,
    )


def judged_of(newest: str, alarms: Sequence[str]) -> tuple[str, ...]:
    """What says that alarms have a verdict of their own on a service's newest deployment (its ARN, empty without one)."""
    return tuple(f"{newest.rpartition('/')[2]} {alarm}" for alarm in alarms)


def partition(key: ServiceKey) -> str:
    """The partition that holds all items of a service."""
    return f"service#{key}"


def recollection(items: Sequence[Mapping[str, Any]], now: datetime) -> Recollection:
    """What all the items of a service say.

    Raises:
        LedgerRecordError: for one that cannot be read.
    """
    found = (read_incident(item) for item in items if item["sk"].startswith("incident#"))
    incidents = tuple(sorted(found, key=lambda i: i.claimed_at, reverse=True))
    read = [readable(item, _known_items) for item in items if not item["sk"].startswith("incident#")]
    known = {sk: value for meant in read for sk, value in meant.items()}
    return Recollection(
        _memory(known, incidents, now),
        incidents,
        frozenset().union(*_values(known, "told#").values()),
        _values(known, "muted#"),
        tuple(_values(known, "watch#").values()),
        tuple(readable(item, _unsent) for item in items if item["sk"].startswith("told#") and "unfinished" in item),
    )


def item_of(incident: Incident, due: datetime | None) -> dict[str, Any]:
    """An incident as its item, as plain values; `due` is when the sweep has to look after it, None when it is over."""
    return {
        "pk": partition(incident.key),
        "sk": incident.sort_key,
        "version": VERSION,
        "incident_id": incident.incident_id,
        "cluster": incident.key.cluster,
        "service": incident.key.service,
        "state": incident.state.value,
        "deployment": incident.deployment,
        "claimed_at": text_of(incident.claimed_at),
        "automatic": incident.automatic,
        "intent": json.dumps(incident.intent),
        "result": None if incident.result is None else json.dumps(incident.result),
        "rollback_deployment": incident.rollback_deployment,
        "announced": incident.announced,
        "step": incident.step,
        "facts": incident.facts,
        "closed_at": text_of(incident.closed_at) if incident.closed_at else None,
        "timeline": "incident",
        "at": text_of(incident.claimed_at),
        "unfinished": None if due is None else "yes",
        "due_at": None if due is None else text_of(due),
    }


def read_incident(item: Mapping[str, Any]) -> Incident:
    """The incident of an item.

    Raises:
        LedgerRecordError: the item is of another version, or not as `item_of` writes it.
    """
    version = item.get("version")
    if not isinstance(version, int | Decimal) or version != VERSION:
        newer = isinstance(version, int | Decimal) and version > VERSION
        remedy = "deploy the newer controller that wrote it" if newer else "mend or delete this item"
        raise LedgerRecordError(
            f"ledger record {item['pk']} {item['sk']}: version {version}, this controller reads {VERSION}: {remedy}"
        )
    return readable(item, _incident_of)


def _incident_of(item: Mapping[str, Any]) -> Incident:
    incident = Incident(
        incident_id=item["incident_id"],
        key=ServiceKey(item["cluster"], item["service"]),
        sort_key=item["sk"],
        state=State(item["state"]),
        deployment=item["deployment"],
        claimed_at=time_of(item["claimed_at"]),
        automatic=bool(item["automatic"]),
        intent=json.loads(item["intent"]),
        result=json.loads(item["result"]) if item.get("result") else None,
        rollback_deployment=item.get("rollback_deployment"),
        announced=bool(item["announced"]),
        closed_at=time_of(item["closed_at"]) if item.get("closed_at") else None,
        step=int(item["step"]),
        facts=item.get("facts"),
    )
    missing = [name for name in NEEDED_TO_ACT if name not in incident.intent]
    if missing:
        raise KeyError(f"intent lacks {', '.join(missing)}")
    return incident


NEEDED_TO_ACT = ("way", "target", "digests", "restore", "deploy", "service_arn", "result")
"""What an intent holds at least: with less a claim could not be resumed."""


def readable(item: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Read]) -> Read:
    """What an item says.

    Raises:
        LedgerRecordError: naming the item.
    """
    try:
        return read(item)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LedgerRecordError(
            f"ledger record {item.get('pk')} {item.get('sk')}: {error!r}; mend or delete this item"
        ) from error


def _known_items(item: Mapping[str, Any]) -> dict[str, Any]:
    """What one item means to a judgement, by its sort key; nothing for a kind that only people read."""
    readers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
        "pause": lambda i: time_of(i["until"]),
        "quarantine": lambda i: time_of(i["at"]),
        "good": _known_good,
        "told": lambda i: frozenset(i.get("judged") or ()),
        "muted": lambda i: time_of(i["at"]),
        "watch": lambda i: Watched(
            i["deployment"], time_of(i["at"]), time_of(i["due_at"]), bool(i.get("tasks")), i.get("named", "")
        ),
    }
    reader = readers.get(item["sk"].partition("#")[0])
    return {item["sk"]: reader(item)} if reader else {}


def _unsent(item: Mapping[str, Any]) -> Unsent:
    return Unsent(item["sk"], json.loads(item["result"]), item["resource"])


def _values(known: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {sk.removeprefix(prefix): value for sk, value in known.items() if sk.startswith(prefix)}


def _memory(known: Mapping[str, Any], incidents: Sequence[Incident], now: datetime) -> Memory:
    paused_until = known.get("pause")
    return Memory(
        paused_until=paused_until if paused_until and paused_until > now else None,
        quarantined=_values(known, "quarantine#"),
        rollbacks=tuple(past_rollback(i) for i in incidents if i.acted),
        known_good=tuple(_values(known, "good#").values()),
    )


def past_rollback(incident: Incident) -> PastRollback:
    """An incident as the judgement knows it."""
    target = (incident.result or {}).get("to") or {}
    return PastRollback(
        incident.incident_id,
        incident.claimed_at,
        automatic=incident.automatic,
        pins=bool(incident.intent.get("pins")),
        is_open=incident.state is State.OPEN,
        to_task_definition=str(target.get("task_definition", "")),
        deployed=str(incident.intent.get("deploy", "")),
        deployment=incident.rollback_deployment,
    )


def red_page(item: Mapping[str, Any]) -> tuple[datetime, tuple[RedAlarm, ...]]:
    """When a page of red alarms was read, and the alarms."""
    alarms = (
        RedAlarm(AlarmKey(ServiceKey(cluster, service), signal), name, time_of(onset))
        for name, cluster, service, signal, onset in json.loads(item["alarms"])
    )
    return time_of(item["at"]), tuple(alarms)


def _known_good(item: Mapping[str, Any]) -> KnownGood:
    revision = Revision(
        arn=item["revision"],
        task_definition=item["task_definition"],
        task_definition_arn=item["task_definition_arn"],
        created_at=time_of(item["since"]),
        images=item["images"],
        identity=item["sk"].partition("#")[2],
    )
    requests = item.get("requests")
    return KnownGood(
        revision, time_of(item["since"]), time_of(item["until"]), None if requests is None else int(requests)
    )


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of DynamoDB as plain values."""
    return {key: _from_item(value) for key, value in item.items()}


def text_of(moment: datetime) -> str:
    """A moment as items hold it: ISO 8601 in UTC, to the millisecond, so that texts sort as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def time_of(text: str) -> datetime:
    """The moment that an item holds; ValueError where it is none, or has no time zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def epoch(moment: datetime) -> int:
    """A moment in whole seconds since 1970, as DynamoDB's time to live wants it."""
    return int(moment.timestamp())
