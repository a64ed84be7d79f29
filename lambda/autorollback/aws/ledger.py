"""The ledger: one DynamoDB table that makes a rollback happen once, and remembers it.

Items share the partition `service#<cluster>/<service>` and are told apart by the sort key: `lease`, `pause`,
`quarantine#<identity>`, `good#<identity>`, `told#<deployment>#<reason>` and `incident#<time of the deployment>#<deployment>`.
The index `unfinished` holds the incidents that still want something, the index `timeline` all of them by time.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from autorollback.decision.model import Deployment, KnownGood, Memory, PastRollback, Revision
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

VERSION = 1
CLAIM_RESUMED_WITHIN = timedelta(hours=1)
TOLD_KEPT = timedelta(days=30)

_ALL = "all"
_to_item, _from_item = TypeSerializer().serialize, TypeDeserializer().deserialize


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
        intent: what was decided, enough to act on again: `target`, `restore`, `automatic`, `result` ...
        result: the result object, once acted.
        rollback_deployment: the service deployment that carries the rollback out, once known.
        announced: whether people have been told of the act.
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

    @property
    def unfinished(self) -> bool:
        """Whether a step of it is still to be done: the act, its record, or telling people."""
        return self.state is State.CLAIMED or (self.state is not State.FAILED and not self.announced)


@dataclass(frozen=True, slots=True)
class Recollection:
    """All that the ledger says of a service: its memory for the judgement, and its incidents, newest first."""

    memory: Memory = field(default_factory=Memory)
    incidents: tuple[Incident, ...] = ()

    @property
    def unfinished(self) -> Incident | None:
        """The claim that must be finished before anything else."""
        return next((i for i in self.incidents if i.unfinished), None)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Conditional writes only: whoever loses one is told so by the answer, never by an overwritten record."""

    clients: "Clients"
    table: str

    def lease(self, key: ServiceKey, owner: str, now: datetime, until: datetime) -> bool:
        """Take the one judgement of a service at a time; False while another owner's lease runs."""
        return self._write(
            {
                "pk": _partition(key),
                "sk": "lease",
                "owner": owner,
                "until": _text(until),
                "expires_at": _epoch(until + timedelta(days=1)),
            },
            "attribute_not_exists(pk) OR #until < :now OR #owner = :owner",
            {"#until": "until", "#owner": "owner"},
            {":now": _text(now), ":owner": owner},
        )

    def give_back(self, key: ServiceKey, owner: str) -> None:
        """Give the lease back, if it is still this owner's."""
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.delete_item(
                TableName=self.table,
                Key=_key(_partition(key), "lease"),
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": _to_item(owner)},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return

    def recall(self, key: ServiceKey, now: datetime) -> Recollection:
        """What the ledger knows of a service, in one strongly consistent query.

        Raises:
            LedgerRecordError: for a record that cannot be read.
        """
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": _to_item(_partition(key))},
        )
        items = [_plain(item) for page in pages for item in page["Items"]]
        incidents = tuple(
            sorted((_incident(i) for i in _of_kind(items, "incident#")), key=lambda i: i.claimed_at, reverse=True)
        )
        return Recollection(_memory(items, incidents, now), incidents)

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        """The services with an incident that wants looking after by now; one query of the index when all is calm."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="unfinished",
            KeyConditionExpression="unfinished = :yes AND due_at <= :now",
            ExpressionAttributeValues={":yes": _to_item("yes"), ":now": _to_item(_text(now))},
        )
        items = [_plain(item) for page in pages for item in page["Items"]]
        return tuple(dict.fromkeys(ServiceKey(str(i["cluster"]), str(i["service"])) for i in items))

    def pause_of_all(self) -> datetime | None:
        """Until when automatic rollbacks of all services are paused."""
        answer = self.clients.dynamodb.get_item(TableName=self.table, Key=_key(_ALL, "pause"), ConsistentRead=True)
        return _time(_plain(answer["Item"])["until"]) if answer.get("Item") else None

    def pause(self, key: ServiceKey | None, until: datetime, words: str | None, at: datetime) -> None:
        """Pause automatic rollbacks of a service, or of all."""
        pk = _partition(key) if key else _ALL
        self._write({"pk": pk, "sk": "pause", "until": _text(until), "at": _text(at), "words": words})

    def resume(self, key: ServiceKey | None) -> None:
        """End a pause; nothing happens where there is none."""
        self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(_partition(key) if key else _ALL, "pause"))

    def release(self, key: ServiceKey, task_definition: str, words: str | None, at: datetime) -> int:
        """Lift the quarantine of what ran under a task definition revision, and record that; how many identities that were."""
        recorded = self.recall_items(key, "quarantine#")
        lifted = [item for item in recorded if item["task_definition"] == task_definition]
        for item in lifted:
            record = {"task_definition": task_definition, "quarantined_at": item["at"], "at": _text(at), "words": words}
            self._write({"pk": item["pk"], "sk": f"release#{_text(at)}#{item['sk'].partition('#')[2]}", **record})
            self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(item["pk"], item["sk"]))
        return len(lifted)

    def recall_items(self, key: ServiceKey, prefix: str) -> list[dict[str, Any]]:
        """The items of one kind of a service."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":pk": _to_item(_partition(key)), ":prefix": _to_item(prefix)},
        )
        return [_plain(item) for page in pages for item in page["Items"]]

    def history(self, key: ServiceKey | None, limit: int, after: str | None) -> tuple[list[Incident], str | None]:
        """Incidents of a service or of all, newest first, and how to go on; `after` is what the page before gave.

        Raises:
            ValueError: for an `after` that no page gave.
        """
        where: dict[str, Any] = {
            "KeyConditionExpression": "timeline = :kind",
            "ExpressionAttributeValues": {":kind": _to_item("incident")},
            "IndexName": "timeline",
        }
        if key:
            values = {":pk": _to_item(_partition(key)), ":prefix": _to_item("incident#")}
            where = {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": values,
            }
        if after:
            where["ExclusiveStartKey"] = json.loads(base64.urlsafe_b64decode(after))
        answer = self.clients.dynamodb.query(TableName=self.table, ScanIndexForward=False, Limit=limit, **where)
        last = answer.get("LastEvaluatedKey")
        following = base64.urlsafe_b64encode(json.dumps(last).encode()).decode() if last else None
        return [_incident(_plain(item)) for item in answer["Items"]], following

    def claim(self, incident: Incident) -> bool:
        """Write the intent; False where the service's newest deployment has been claimed before."""
        return self._write(_item(incident, due=incident.claimed_at), "attribute_not_exists(pk)")

    def save(self, incident: Incident, due: datetime | None) -> None:
        """Write what has become of a claimed incident; `due` is when the sweep has to look after it, None when it is over."""
        if not self._write(_item(incident, due), "attribute_exists(pk)"):
            raise LedgerRecordError(
                f"the record of incident {incident.incident_id} has vanished from table {self.table}"
            )

    def retract(self, incident: Incident) -> None:
        """Take back a claim that has led to no act."""
        self.clients.dynamodb.delete_item(
            TableName=self.table,
            Key=_key(_partition(incident.key), incident.sort_key),
            ConditionExpression="#state = :claimed",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues={":claimed": _to_item(State.CLAIMED.value)},
        )

    def quarantine(self, key: ServiceKey, left: Mapping[str, Any], at: datetime) -> None:
        """Keep an identity out, under whatever revision number it comes back: `left` has identity, task_definition, images."""
        item = {"pk": _partition(key), "sk": f"quarantine#{left['identity']}", "at": _text(at)}
        self._write({**item, "task_definition": left["task_definition"], "images": left["images"]})

    def tell_once(
        self, key: ServiceKey, deployment: str, reason: str, result: Mapping[str, Any], now: datetime
    ) -> bool:
        """Whether people are still to be told of this verdict on this deployment; `told` must follow once they have been."""
        item = {
            "pk": _partition(key),
            "sk": _told(deployment, reason),
            "at": _text(now),
            "announced": False,
            "result": json.dumps(result),
            "expires_at": _epoch(now + TOLD_KEPT),
        }
        return self._write(item, "attribute_not_exists(pk) OR announced = :no", values={":no": False})

    def told(self, key: ServiceKey, deployment: str, reason: str) -> None:
        """People have been told."""
        self.clients.dynamodb.update_item(
            TableName=self.table,
            Key=_key(_partition(key), _told(deployment, reason)),
            UpdateExpression="SET announced = :yes",
            ExpressionAttributeValues={":yes": _to_item(True)},
        )

    def _write(
        self,
        item: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        dynamodb = self.clients.dynamodb
        arguments: dict[str, Any] = {
            "TableName": self.table,
            "Item": {k: _to_item(v) for k, v in item.items() if v is not None},
        }
        if condition:
            arguments["ConditionExpression"] = condition
        if names:
            arguments["ExpressionAttributeNames"] = names
        if values:
            arguments["ExpressionAttributeValues"] = {k: _to_item(v) for k, v in values.items()}
        try:
            dynamodb.put_item(**arguments)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True


def new_incident(
    key: ServiceKey,
    newest: Deployment,
    now: datetime,
    *,
    automatic: bool,
    intent: Mapping[str, Any],
    forced_by: str | None = None,
) -> Incident:
    """The claim on a service's newest deployment; a person's forced one stands beside a claim that is held."""
    deployment_id = newest.arn.rpartition("/")[2]
    suffix = f"#forced-{forced_by}" if forced_by else ""
    return Incident(
        incident_id=f"{key}/{_text(newest.created_at)}/{deployment_id}{suffix.replace('#', '/')}",
        key=key,
        sort_key=f"incident#{_text(newest.created_at)}#{deployment_id}{suffix}",
        state=State.CLAIMED,
        deployment=newest.arn,
        claimed_at=now,
        automatic=automatic,
        intent=intent,
    )


def _partition(key: ServiceKey) -> str:
    return f"service#{key}"


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": _to_item(pk), "sk": _to_item(sk)}


def _told(deployment: str, reason: str) -> str:
    return f"told#{deployment.rpartition('/')[2]}#{reason}"


def _item(incident: Incident, due: datetime | None) -> dict[str, Any]:
    return {
        "pk": _partition(incident.key),
        "sk": incident.sort_key,
        "version": VERSION,
        "incident_id": incident.incident_id,
        "cluster": incident.key.cluster,
        "service": incident.key.service,
        "state": incident.state.value,
        "deployment": incident.deployment,
        "claimed_at": _text(incident.claimed_at),
        "automatic": incident.automatic,
        "intent": json.dumps(incident.intent),
        "result": None if incident.result is None else json.dumps(incident.result),
        "rollback_deployment": incident.rollback_deployment,
        "announced": incident.announced,
        "closed_at": _text(incident.closed_at) if incident.closed_at else None,
        "timeline": "incident",
        "at": _text(incident.claimed_at),
        "unfinished": None if due is None else "yes",
        "due_at": None if due is None else _text(due),
    }


def _incident(item: Mapping[str, Any]) -> Incident:
    version = item.get("version")
    if isinstance(version, int | Decimal) and version > VERSION:
        raise LedgerRecordError(
            f"ledger record {item['pk']} {item['sk']}: version {version} was written by a newer controller; this one reads "
            f"up to {VERSION}: deploy the newer one"
        )
    try:
        return Incident(
            incident_id=item["incident_id"],
            key=ServiceKey(item["cluster"], item["service"]),
            sort_key=item["sk"],
            state=State(item["state"]),
            deployment=item["deployment"],
            claimed_at=_time(item["claimed_at"]),
            automatic=bool(item["automatic"]),
            intent=json.loads(item["intent"]),
            result=json.loads(item["result"]) if item.get("result") else None,
            rollback_deployment=item.get("rollback_deployment"),
            announced=bool(item["announced"]),
            closed_at=_time(item["closed_at"]) if item.get("closed_at") else None,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerRecordError(
            f"ledger record {item.get('pk')} {item.get('sk')}: {error!r}; mend or delete this item"
        ) from error


def _memory(items: Sequence[Mapping[str, Any]], incidents: Sequence[Incident], now: datetime) -> Memory:
    pauses = [_time(i["until"]) for i in items if i["sk"] == "pause"]
    return Memory(
        paused_until=max((p for p in pauses if p > now), default=None),
        quarantined={i["sk"].partition("#")[2]: _time(i["at"]) for i in _of_kind(items, "quarantine#")},
        rollbacks=tuple(past_rollback(i) for i in incidents if i.state not in (State.CLAIMED, State.FAILED)),
        known_good=tuple(_known_good(i) for i in _of_kind(items, "good#")),
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


def _known_good(item: Mapping[str, Any]) -> KnownGood:
    revision = Revision(
        arn=item["revision"],
        task_definition=item["task_definition"],
        task_definition_arn=item["task_definition_arn"],
        created_at=_time(item["since"]),
        images=item["images"],
        identity=item["sk"].partition("#")[2],
    )
    requests = item.get("requests")
    return KnownGood(revision, _time(item["since"]), _time(item["until"]), None if requests is None else int(requests))


def _of_kind(items: Sequence[Mapping[str, Any]], prefix: str) -> list[Mapping[str, Any]]:
    return [item for item in items if item["sk"].startswith(prefix)]


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _from_item(value) for key, value in item.items()}


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
