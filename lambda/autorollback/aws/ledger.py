"""The ledger: one DynamoDB table that makes a rollback happen once, and remembers it.

Items share the partition `service#<cluster>/<service>` and are told apart by the sort key: `lease`, `pause`,
`quarantine#<identity>`, `good#<identity>`, `told#<deployment>#<reason>`, `muted#<alarm>`, `watch#<deployment>`,
`release#<time>#<identity>` and `incident#<time of the deployment>#<deployment>`. The partition `all` holds the `pause` of all
services, and in an alarm storm the page of `red` alarms that was read last.
The index `unfinished` holds what still wants something, the index `timeline` all incidents by time.
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from autorollback.aws.alarms import RedAlarm
from autorollback.decision.model import Deployment, KnownGood, Memory, PastRollback, Revision
from autorollback.naming import AlarmKey, ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

Read = TypeVar("Read")

VERSION = 1
TOLD_KEPT = timedelta(days=30)
MUTED_KEPT = timedelta(days=7)
RED_KEPT = timedelta(days=1)
CONFLICTS = 3
"""How often a transaction that met another one is tried again at once."""

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


class RecordChanged(RuntimeError):  # noqa: N818 - says what happened
    """Somebody else has written the record of this incident meanwhile: theirs stands, and the retry goes on from it."""


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
        """Whether a step of it is still to be done: the act, its record, or telling people."""
        return self.state is State.CLAIMED or not self.announced

    @property
    def acted(self) -> bool:
        """Whether the service was rolled back: not where AWS refused, or where somebody deployed before the act."""
        told = self.result or {}
        return self.state not in (State.CLAIMED, State.FAILED) and told.get("outcome") == "rolled_back"

    @property
    def attempted_at(self) -> datetime:
        """When the act that is under way was decided: the claim, or the second try after ECS's own rollback failed."""
        again = self.intent.get("again_at")
        return _time(again) if again else self.claimed_at

    def says(self, **changes: Any) -> "Incident":
        """The incident with changes to the result that its intent holds."""
        return replace(self, intent={**self.intent, "result": {**self.intent["result"], **changes}})


@dataclass(frozen=True, slots=True)
class Watched:
    """A failed deployment that was left to ECS to roll back: `due` is when to see whether it did.

    `deployment` is empty where the event was turned away before anybody read which deployment it was about.
    """

    deployment: str
    failed_at: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class Recollection:
    """All that the ledger says of a service: its memory for the judgement, and its incidents, newest first.

    Attributes:
        judged: the alarms that have a verdict of their own, each with the newest deployment then (see `judged_of`).
        muted: when each alarm was last heard muted.
        watched: failed deployments that were left to ECS.
    """

    memory: Memory = field(default_factory=Memory)
    incidents: tuple[Incident, ...] = ()
    judged: frozenset[str] = frozenset()
    muted: Mapping[str, datetime] = field(default_factory=dict)
    watched: tuple[Watched, ...] = ()

    @property
    def unfinished(self) -> Incident | None:
        """The claim that must be finished before anything else."""
        return next((i for i in self.incidents if i.unfinished), None)

    @property
    def open_incidents(self) -> tuple[Incident, ...]:
        """The rollbacks whose recovery is being watched, newest first."""
        return tuple(i for i in self.incidents if i.state is State.OPEN)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Conditional writes only: whoever loses one is told so by the answer, never by an overwritten record."""

    clients: "Clients"
    table: str
    _leased: set[ServiceKey] = field(default_factory=set)

    def lease(self, key: ServiceKey, owner: str, now: datetime, until: datetime) -> bool:
        """Take the one judgement of a service at a time; False while another owner's lease runs.

        A lease that is being written in somebody's transaction is somebody's (API PutItem, TransactionConflictException).
        """
        item = {
            "pk": _partition(key),
            "sk": "lease",
            "owner": owner,
            "until": _text(until),
            "expires_at": _epoch(until + timedelta(days=1)),
        }
        taken = self._write(
            item,
            "attribute_not_exists(pk) OR #until < :now OR #owner = :owner",
            {"#until": "until", "#owner": "owner"},
            {":now": _text(now), ":owner": owner},
        )
        if taken:
            self._leased.add(key)
        return taken

    def give_back(self, key: ServiceKey, owner: str) -> None:
        """Give the lease back, if it is still this owner's."""
        if key not in self._leased:
            return
        self._leased.discard(key)
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.delete_item(**self._end_of_lease(key, owner))
        except (
            dynamodb.exceptions.ConditionalCheckFailedException,
            dynamodb.exceptions.TransactionConflictException,
        ):
            return

    def _end_of_lease(self, key: ServiceKey, owner: str) -> Any:
        return {
            "TableName": self.table,
            "Key": _key(_partition(key), "lease"),
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": _to_item(owner)},
        }

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
        read = [_readable(item, _known_items) for item in items if not item["sk"].startswith("incident#")]
        known = {sk: value for found in read for sk, value in found.items()}
        return Recollection(
            _memory(known, incidents, now),
            incidents,
            frozenset().union(*_values(known, "told#").values()),
            _values(known, "muted#"),
            tuple(_values(known, "watch#").values()),
        )

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        """The services with something that wants looking after by now; one query of the index when all is calm."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="unfinished",
            KeyConditionExpression="unfinished = :yes AND due_at <= :now",
            ExpressionAttributeValues={":yes": _to_item("yes"), ":now": _to_item(_text(now))},
        )
        owners = (_from_item(item["pk"]).removeprefix("service#") for page in pages for item in page["Items"])
        return tuple(dict.fromkeys(ServiceKey(*owner.split("/")) for owner in owners if owner.count("/") == 1))

    def pause_of_all(self) -> datetime | None:
        """Until when automatic rollbacks of all services are paused."""
        answer = self.clients.dynamodb.get_item(TableName=self.table, Key=_key(_ALL, "pause"), ConsistentRead=True)
        return _readable(_plain(answer["Item"]), lambda item: _time(item["until"])) if answer.get("Item") else None

    def share_red(self, red: Sequence[RedAlarm], at: datetime) -> None:
        """Leave a page of red alarms, as read at a moment, for invocations that CloudWatch throttles."""
        alarms = json.dumps(
            [
                [alarm.name, alarm.key.service.cluster, alarm.key.service.service, alarm.key.signal, _text(alarm.onset)]
                for alarm in red
            ]
        )
        self._write({"pk": _ALL, "sk": "red", "at": _text(at), "alarms": alarms, "expires_at": _epoch(at + RED_KEPT)})

    def shared_red(self, since: datetime) -> tuple[RedAlarm, ...] | None:
        """The page of red alarms that another invocation read since a moment; None where there is none that can be read."""
        item = self.clients.dynamodb.get_item(TableName=self.table, Key=_key(_ALL, "red")).get("Item")
        try:
            found = _readable(_plain(item), _red_page) if item else None
        except LedgerRecordError:
            return None  # CloudWatch is asked instead
        return found[1] if found and found[0] >= since else None

    def pause(self, key: ServiceKey | None, until: datetime, words: str | None, at: datetime) -> None:
        """Pause automatic rollbacks of a service, or of all."""
        pk = _partition(key) if key else _ALL
        expires = _epoch(until + timedelta(days=1))
        self._write(
            {"pk": pk, "sk": "pause", "until": _text(until), "at": _text(at), "words": words, "expires_at": expires}
        )

    def resume(self, key: ServiceKey | None) -> None:
        """End a pause; nothing happens where there is none."""
        self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(_partition(key) if key else _ALL, "pause"))

    def release(self, key: ServiceKey, task_definition: str, words: str | None, at: datetime) -> int:
        """Lift the quarantine of what ran under a task definition revision, and record that; how many identities that were."""
        recorded = self.recall_items(key, "quarantine#")
        lifted = [item for item in recorded if item["task_definition"] == task_definition]
        for item in lifted:
            record = {"task_definition": task_definition, "quarantined_at": item["at"], "at": _text(at), "words": words}
            sort_key = f"release#{_text(at)}#{item['sk'].partition('#')[2]}"
            self._transact(
                {"Put": self._put({"pk": item["pk"], "sk": sort_key, **record})},
                {"Delete": {"TableName": self.table, "Key": _key(item["pk"], item["sk"])}},
            )
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
            where["ExclusiveStartKey"] = _place(after, {"pk", "sk"} if key else {"pk", "sk", "timeline", "at"}, key)
        answer = self.clients.dynamodb.query(TableName=self.table, ScanIndexForward=False, Limit=limit, **where)
        last = answer.get("LastEvaluatedKey")
        following = base64.urlsafe_b64encode(json.dumps(last).encode()).decode() if last else None
        return [_incident(_plain(item)) for item in answer["Items"]], following

    def claim(self, incident: Incident, over: Incident | None = None) -> bool:
        """Write the intent; False where the service's newest deployment has been claimed before.

        A write whose answer was lost, and that the client repeated, is this claim's own. `over` is a held claim that a
        person's force takes the place of: it is closed with the same stroke, so that nobody resumes it.
        """
        put = self._put(_item(incident, incident.claimed_at), "attribute_not_exists(pk)")
        if over is not None:
            closed = replace(
                over, state=State.SUPERSEDED, closed_at=incident.claimed_at, announced=True, result=_not_acted(over)
            )
            return self._transact({"Put": put}, {"Put": self._following(closed, None)})
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.put_item(**put, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            there: Any = error.response.get("Item")
            return there is not None and _plain(there) == _plain(put["Item"])
        return True

    def save(self, incident: Incident, due: datetime | None) -> Incident:
        """Write what has become of a claimed incident, and answer it as it now stands.

        `due` is when the sweep has to look after it, None when it is over.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.put_item(**self._following(incident, due))
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            raise _changed(incident) from error
        return replace(incident, step=incident.step + 1)

    def finish(
        self,
        incident: Incident,
        due: datetime | None,
        owner: str,
        left: Sequence[Mapping[str, Any]] = (),
        at: datetime | None = None,
    ) -> Incident:
        """Write the last word of an invocation on an incident, and give the service's lease back with the same stroke.

        What was `left` is kept out from `at` on: each has identity, task_definition and images. Answers the incident as it
        now stands.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        writes: list[Any] = [{"Put": self._following(incident, due)}]
        writes += [{"Put": self._put(item)} for item in _quarantine(incident, left, at or incident.claimed_at)]
        end_of_lease = {"Delete": self._end_of_lease(incident.key, owner)}
        if incident.key in self._leased and self._transact(*writes, end_of_lease):
            self._leased.discard(incident.key)
        elif not self._transact(*writes):
            raise _changed(incident)
        return replace(incident, step=incident.step + 1)

    def retract(self, incident: Incident) -> None:
        """Take back a claim that has led to no act.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.delete_item(
                TableName=self.table,
                Key=_key(_partition(incident.key), incident.sort_key),
                ConditionExpression="#state = :claimed AND step = :step",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":claimed": _to_item(State.CLAIMED.value),
                    ":step": _to_item(incident.step),
                },
            )
        except dynamodb.exceptions.ConditionalCheckFailedException as error:
            raise _changed(incident) from error

    def tell_once(
        self,
        key: ServiceKey,
        deployment: str,
        reason: str,
        result: Mapping[str, Any],
        now: datetime,
        judged: Sequence[str] = (),
        facts: str | None = None,
    ) -> bool:
        """Whether people are still to be told of this verdict on this deployment; `told` must follow once they have been.

        `judged` are the alarms that have a verdict of their own now, as `judged_of` writes them; `facts` is what the verdict
        rested on, as `packed` writes it.
        """
        values = {
            ":at": _text(now),
            ":no": False,
            ":result": json.dumps(result),
            ":expires": _epoch(now + TOLD_KEPT),
            **({":judged": set(judged)} if judged else {}),
            **({":facts": facts} if facts else {}),
        }
        answer = self.clients.dynamodb.update_item(
            TableName=self.table,
            Key=_key(_partition(key), _told(deployment, reason)),
            UpdateExpression="SET #at = if_not_exists(#at, :at), announced = if_not_exists(announced, :no), "
            "#result = if_not_exists(#result, :result), expires_at = if_not_exists(expires_at, :expires)"
            f"{', facts = if_not_exists(facts, :facts)' if facts else ''}{' ADD judged :judged' if judged else ''}",
            ExpressionAttributeNames={"#at": "at", "#result": "result"},
            ExpressionAttributeValues={name: _to_item(value) for name, value in values.items()},
            ReturnValues="ALL_NEW",
        )
        return not _plain(answer["Attributes"])["announced"]

    def told(self, key: ServiceKey, deployment: str, reason: str) -> None:
        """People have been told."""
        self.clients.dynamodb.update_item(
            TableName=self.table,
            Key=_key(_partition(key), _told(deployment, reason)),
            UpdateExpression="SET announced = :yes",
            ExpressionAttributeValues={":yes": _to_item(True)},
        )

    def heard_muted(self, key: ServiceKey, alarm: str, at: datetime) -> None:
        """Remember that an alarm spoke while it was muted: the sweep, which hears no events, leaves it alone too."""
        expires = _epoch(at + MUTED_KEPT)
        self._write({"pk": _partition(key), "sk": f"muted#{alarm}", "at": _text(at), "expires_at": expires})

    def watch(self, key: ServiceKey, watched: Watched) -> None:
        """Have the sweep see whether ECS rolled a failed deployment back."""
        self._write(
            {
                "pk": _partition(key),
                "sk": _watch(watched),
                "cluster": key.cluster,
                "service": key.service,
                "deployment": watched.deployment,
                "at": _text(watched.failed_at),
                "unfinished": "yes",
                "due_at": _text(watched.due),
            }
        )

    def watch_no_more(self, key: ServiceKey, watched: Watched) -> None:
        """It has been seen."""
        self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(_partition(key), _watch(watched)))

    def keep_good(self, key: ServiceKey, good: KnownGood) -> None:
        """Remember a revision that ran well, longer than AWS does. The newest time of an identity stands."""
        revision = good.revision
        self._write(
            {
                "pk": _partition(key),
                "sk": f"good#{revision.identity}",
                "revision": revision.arn,
                "task_definition": revision.task_definition,
                "task_definition_arn": revision.task_definition_arn,
                "images": dict(revision.images),
                "since": _text(good.since),
                "until": _text(good.until),
                "requests": good.requests,
            },
            "attribute_not_exists(pk) OR #until < :until",
            {"#until": "until"},
            {":until": _text(good.until)},
        )

    def _following(self, incident: Incident, due: datetime | None) -> dict[str, Any]:
        """The write of an incident's next step, which only follows the step that was read."""
        before = incident.step
        return self._put(_item(replace(incident, step=before + 1), due), "step = :before", values={":before": before})

    def _put(
        self,
        item: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self.table,
            "Item": {k: _to_item(v) for k, v in item.items() if v is not None},
        }
        if condition:
            put["ConditionExpression"] = condition
        if names:
            put["ExpressionAttributeNames"] = names
        if values:
            put["ExpressionAttributeValues"] = {k: _to_item(v) for k, v in values.items()}
        return put

    def _write(
        self,
        item: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> bool:
        dynamodb = self.clients.dynamodb
        try:
            dynamodb.put_item(**self._put(item, condition, names, values))
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        except dynamodb.exceptions.TransactionConflictException:
            if condition is None:
                raise
            return False
        return True

    def _transact(self, *writes: Any) -> bool:
        """All of the writes or none; False where a condition was not met.

        Two transactions on one item cancel one of them (API TransactWriteItems, TransactionConflict): that one goes again.
        """
        dynamodb = self.clients.dynamodb
        for attempt in range(CONFLICTS):
            try:
                dynamodb.transact_write_items(TransactItems=list(writes))
            except dynamodb.exceptions.TransactionCanceledException as error:
                codes = {reason.get("Code") for reason in error.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in codes:
                    return False
                if "TransactionConflict" not in codes or attempt == CONFLICTS - 1:
                    raise
            else:
                return True
        raise AssertionError("the last attempt answers or raises")


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
        incident_id=f"{key}/{_text(newest.created_at)}/{deployment_id}{suffix.replace('#', '/')}",
        key=key,
        sort_key=f"incident#{_text(newest.created_at)}#{deployment_id}{suffix}",
        state=State.CLAIMED,
        deployment=newest.arn,
        claimed_at=now,
        automatic=automatic,
        intent=intent,
        facts=facts,
    )


def _place(after: str, keys: set[str], key: ServiceKey | None) -> Any:
    place = json.loads(base64.urlsafe_b64decode(after))
    if (
        not isinstance(place, dict)
        or place.keys() != keys
        or not all(isinstance(at, dict) and at.keys() == {"S"} and isinstance(at["S"], str) for at in place.values())
        or (key is not None and place["pk"]["S"] != _partition(key))
    ):
        raise ValueError(f"{after!r} is a place in no list of these records")
    return place


def _quarantine(incident: Incident, left: Sequence[Mapping[str, Any]], at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "pk": _partition(incident.key),
            "sk": f"quarantine#{identity}",
            "at": _text(at),
            "task_definition": what["task_definition"],
            "images": what["images"],
        }
        for identity, what in {str(what["identity"]): what for what in left}.items()
    ]


def judged_of(newest: str, alarms: Sequence[str]) -> tuple[str, ...]:
    """What says that alarms have a verdict of their own on a service's newest deployment (its ARN, empty without one)."""
    return tuple(f"{newest.rpartition('/')[2]} {alarm}" for alarm in alarms)


def _partition(key: ServiceKey) -> str:
    return f"service#{key}"


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": _to_item(pk), "sk": _to_item(sk)}


def _told(deployment: str, reason: str) -> str:
    return f"told#{deployment.rpartition('/')[2]}#{reason}"


def _watch(watched: Watched) -> str:
    return f"watch#{watched.deployment.rpartition('/')[2]}"


def _changed(incident: Incident) -> RecordChanged:
    return RecordChanged(f"the record of incident {incident.incident_id} was written or removed by somebody else")


def _not_acted(incident: Incident) -> Mapping[str, Any]:
    """The result of a claim that came to nothing because another deployment was first."""
    return {**incident.intent["result"], "outcome": "ignored", "reason": "superseded", "incident_state": "superseded"}


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
        "step": incident.step,
        "facts": incident.facts,
        "closed_at": _text(incident.closed_at) if incident.closed_at else None,
        "timeline": "incident",
        "at": _text(incident.claimed_at),
        "unfinished": None if due is None else "yes",
        "due_at": None if due is None else _text(due),
    }


def _incident(item: Mapping[str, Any]) -> Incident:
    version = item.get("version")
    if not isinstance(version, int | Decimal) or version != VERSION:
        newer = isinstance(version, int | Decimal) and version > VERSION
        remedy = "deploy the newer controller that wrote it" if newer else "mend or delete this item"
        raise LedgerRecordError(
            f"ledger record {item['pk']} {item['sk']}: version {version}, this controller reads {VERSION}: {remedy}"
        )
    return _readable(item, _read_incident)


def _read_incident(item: Mapping[str, Any]) -> Incident:
    incident = Incident(
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
        step=int(item["step"]),
        facts=item.get("facts"),
    )
    missing = [name for name in NEEDED_TO_ACT if name not in incident.intent]
    if missing:
        raise KeyError(f"intent lacks {', '.join(missing)}")
    return incident


NEEDED_TO_ACT = ("way", "target", "digests", "restore", "deploy", "service_arn", "result")
"""What an intent holds at least: with less a claim could not be resumed."""


def _readable(item: Mapping[str, Any], read: Callable[[Mapping[str, Any]], Read]) -> Read:
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
        "pause": lambda i: _time(i["until"]),
        "quarantine": lambda i: _time(i["at"]),
        "good": _known_good,
        "told": lambda i: frozenset(i.get("judged") or ()),
        "muted": lambda i: _time(i["at"]),
        "watch": lambda i: Watched(i["deployment"], _time(i["at"]), _time(i["due_at"])),
    }
    reader = readers.get(item["sk"].partition("#")[0])
    return {item["sk"]: reader(item)} if reader else {}


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


def _red_page(item: Mapping[str, Any]) -> tuple[datetime, tuple[RedAlarm, ...]]:
    alarms = (
        RedAlarm(AlarmKey(ServiceKey(cluster, service), signal), name, _time(onset))
        for name, cluster, service, signal, onset in json.loads(item["alarms"])
    )
    return _time(item["at"]), tuple(alarms)


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
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
