"""The ledger: one DynamoDB table that makes a rollback happen once, and remembers it.

Items share the partition `service#<cluster>/<service>` and are told apart by the sort key: `lease`, `pause`,
`quarantine#<identity>`, `good#<identity>`, `told#<deployment>#<reason>`, `muted#<alarm>`, `watch#<deployment>`,
`release#<time>#<identity>` and `incident#<time of the deployment>#<deployment>`. The partition `all` holds the `pause` of all
services, and in an alarm storm the page of `red` alarms that was read last.
The index `unfinished` holds what still wants something, the index `timeline` all incidents by time.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from autorollback.aws.alarms import RedAlarm
from autorollback.aws.items import (
    Incident,
    LedgerRecordError,
    Recollection,
    State,
    Unsent,
    Watched,
    epoch,
    item_of,
    partition,
    plain,
    read_incident,
    readable,
    recollection,
    red_page,
    text_of,
    time_of,
    to_item,
)
from autorollback.decision.model import KnownGood
from autorollback.naming import ServiceKey

if TYPE_CHECKING:
    from autorollback.aws.clients import Clients

TOLD_KEPT = timedelta(days=30)
MUTED_KEPT = timedelta(days=7)
RED_KEPT = timedelta(days=1)
CONFLICTS = 3
"""How often a transaction that met another one is tried again at once."""

_ALL = "all"


class RecordChanged(RuntimeError):  # noqa: N818 - says what happened
    """Somebody else has written the record of this incident meanwhile: theirs stands, and the retry goes on from it."""


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
            "pk": partition(key),
            "sk": "lease",
            "owner": owner,
            "until": text_of(until),
            "expires_at": epoch(until + timedelta(days=1)),
        }
        taken = self._write(
            item,
            "attribute_not_exists(pk) OR #until < :now OR #owner = :owner",
            {"#until": "until", "#owner": "owner"},
            {":now": text_of(now), ":owner": owner},
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
            "Key": _key(partition(key), "lease"),
            "ConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": {"#owner": "owner"},
            "ExpressionAttributeValues": {":owner": to_item(owner)},
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
            ExpressionAttributeValues={":pk": to_item(partition(key))},
        )
        return recollection([plain(item) for page in pages for item in page["Items"]], now)

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        """The services with something that wants looking after by now; one query of the index when all is calm."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="unfinished",
            KeyConditionExpression="unfinished = :yes AND due_at <= :now",
            ExpressionAttributeValues={":yes": to_item("yes"), ":now": to_item(text_of(now))},
        )
        owners = (plain(item)["pk"].removeprefix("service#") for page in pages for item in page["Items"])
        return tuple(dict.fromkeys(ServiceKey(*owner.split("/")) for owner in owners if owner.count("/") == 1))

    def pause_of_all(self) -> datetime | None:
        """Until when automatic rollbacks of all services are paused."""
        answer = self.clients.dynamodb.get_item(TableName=self.table, Key=_key(_ALL, "pause"), ConsistentRead=True)
        return readable(plain(answer["Item"]), lambda item: time_of(item["until"])) if answer.get("Item") else None

    def share_red(self, red: Sequence[RedAlarm], at: datetime) -> None:
        """Leave a page of red alarms, as read at a moment, for invocations that CloudWatch throttles."""
        alarms = json.dumps(
            [
                [
                    alarm.name,
                    alarm.key.service.cluster,
                    alarm.key.service.service,
                    alarm.key.signal,
                    text_of(alarm.onset),
                ]
                for alarm in red
            ]
        )
        self._write({"pk": _ALL, "sk": "red", "at": text_of(at), "alarms": alarms, "expires_at": epoch(at + RED_KEPT)})

    def shared_red(self, since: datetime) -> tuple[RedAlarm, ...] | None:
        """The page of red alarms that another invocation read since a moment; None where there is none that can be read."""
        item = self.clients.dynamodb.get_item(TableName=self.table, Key=_key(_ALL, "red")).get("Item")
        try:
            found = readable(plain(item), red_page) if item else None
        except LedgerRecordError:
            return None  # CloudWatch is asked instead
        return found[1] if found and found[0] >= since else None

    def pause(self, key: ServiceKey | None, until: datetime, words: str | None, at: datetime) -> None:
        """Pause automatic rollbacks of a service, or of all."""
        pk = partition(key) if key else _ALL
        expires = epoch(until + timedelta(days=1))
        self._write(
            {"pk": pk, "sk": "pause", "until": text_of(until), "at": text_of(at), "words": words, "expires_at": expires}
        )

    def resume(self, key: ServiceKey | None) -> None:
        """End a pause; nothing happens where there is none."""
        self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(partition(key) if key else _ALL, "pause"))

    def release(self, key: ServiceKey, task_definition: str, words: str | None, at: datetime) -> int:
        """Lift the quarantine of what ran under a task definition revision, and record that; how many identities that were."""
        recorded = self.recall_items(key, "quarantine#")
        lifted = [item for item in recorded if item["task_definition"] == task_definition]
        for item in lifted:
            record = {
                "task_definition": task_definition,
                "quarantined_at": item["at"],
                "at": text_of(at),
                "words": words,
            }
            sort_key = f"release#{text_of(at)}#{item['sk'].partition('#')[2]}"
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
            ExpressionAttributeValues={":pk": to_item(partition(key)), ":prefix": to_item(prefix)},
        )
        return [plain(item) for page in pages for item in page["Items"]]

    def history(self, key: ServiceKey | None, limit: int, after: str | None) -> tuple[list[Incident], str | None]:
        """Incidents of a service or of all, newest first, and how to go on; `after` is what the page before gave.

        Raises:
            ValueError: for an `after` that no page gave.
        """
        where: dict[str, Any] = {
            "KeyConditionExpression": "timeline = :kind",
            "ExpressionAttributeValues": {":kind": to_item("incident")},
            "IndexName": "timeline",
        }
        if key:
            values = {":pk": to_item(partition(key)), ":prefix": to_item("incident#")}
            where = {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": values,
            }
        if after:
            where["ExclusiveStartKey"] = _place(after, {"pk", "sk"} if key else {"pk", "sk", "timeline", "at"}, key)
        answer = self.clients.dynamodb.query(TableName=self.table, ScanIndexForward=False, Limit=limit, **where)
        last = answer.get("LastEvaluatedKey")
        following = base64.urlsafe_b64encode(json.dumps(last).encode()).decode() if last else None
        return [read_incident(plain(item)) for item in answer["Items"]], following

    def claim(self, incident: Incident, over: Incident | None = None) -> bool:
        """Write the intent; False where the service's newest deployment has been claimed before.

        A write whose answer was lost, and that the client repeated, is this claim's own. `over` is a held claim that a
        person's force takes the place of: it is closed with the same stroke, so that nobody resumes it.
        """
        put = self._put(item_of(incident, incident.claimed_at), "attribute_not_exists(pk)")
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
            return there is not None and plain(there) == plain(put["Item"])
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
                Key=_key(partition(incident.key), incident.sort_key),
                ConditionExpression="#state = :claimed AND step = :step",
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues={
                    ":claimed": to_item(State.CLAIMED.value),
                    ":step": to_item(incident.step),
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
        resource: str | None = None,
    ) -> Unsent | None:
        """What people are still to be told of this verdict on this deployment; `told` must follow once they have been.

        Until then the sweep has it to do. `judged` are the alarms that have a verdict of their own now, as `judged_of` writes
        them; `facts` is what the verdict rested on, as `packed` writes it; `resource` is the ARN of the service.
        """
        dynamodb, unsent = self.clients.dynamodb, Unsent(_told(deployment, reason), result, resource or str(key))
        values = {
            ":at": text_of(now),
            ":no": False,
            ":yes": "yes",
            ":result": json.dumps(result),
            ":resource": unsent.resource,
            ":expires": epoch(now + TOLD_KEPT),
            **({":judged": set(judged)} if judged else {}),
            **({":facts": facts} if facts else {}),
        }
        try:
            dynamodb.update_item(
                TableName=self.table,
                Key=_key(partition(key), unsent.sort_key),
                ConditionExpression="attribute_not_exists(announced) OR announced = :no",
                UpdateExpression="SET #at = if_not_exists(#at, :at), announced = :no, unfinished = :yes, due_at = :at, "
                "#result = if_not_exists(#result, :result), expires_at = if_not_exists(expires_at, :expires), "
                f"#resource = :resource{', facts = if_not_exists(facts, :facts)' if facts else ''}"
                f"{' ADD judged :judged' if judged else ''}",
                ExpressionAttributeNames={"#at": "at", "#result": "result", "#resource": "resource"},
                ExpressionAttributeValues={name: to_item(value) for name, value in values.items()},
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            self._judged_too(key, unsent, judged)
            return None
        return unsent

    def _judged_too(self, key: ServiceKey, told: Unsent, judged: Sequence[str]) -> None:
        """Alarms whose verdict is one that people have been told of."""
        if judged:
            self.clients.dynamodb.update_item(
                TableName=self.table,
                Key=_key(partition(key), told.sort_key),
                UpdateExpression="ADD judged :judged",
                ExpressionAttributeValues={":judged": to_item(set(judged))},
            )

    def told(self, key: ServiceKey, unsent: Unsent) -> None:
        """People have been told."""
        self.clients.dynamodb.update_item(
            TableName=self.table,
            Key=_key(partition(key), unsent.sort_key),
            UpdateExpression="SET announced = :yes REMOVE unfinished, due_at",
            ExpressionAttributeValues={":yes": to_item(True)},
        )

    def heard_muted(self, key: ServiceKey, alarm: str, at: datetime) -> None:
        """Remember that an alarm spoke while it was muted: the sweep, which hears no events, leaves it alone too."""
        expires = epoch(at + MUTED_KEPT)
        self._write({"pk": partition(key), "sk": f"muted#{alarm}", "at": text_of(at), "expires_at": expires})

    def watch(self, key: ServiceKey, watched: Watched) -> None:
        """Have the sweep see whether ECS rolled a failed deployment back."""
        self._write(
            {
                "pk": partition(key),
                "sk": _watch(watched),
                "cluster": key.cluster,
                "service": key.service,
                "deployment": watched.deployment,
                "tasks": watched.tasks,
                "named": watched.named,
                "at": text_of(watched.failed_at),
                "unfinished": "yes",
                "due_at": text_of(watched.due),
            }
        )

    def watch_no_more(self, key: ServiceKey, watched: Watched) -> None:
        """It has been seen."""
        self.clients.dynamodb.delete_item(TableName=self.table, Key=_key(partition(key), _watch(watched)))

    def keep_good(self, key: ServiceKey, good: KnownGood) -> None:
        """Remember a revision that ran well, longer than AWS does. The newest time of an identity stands."""
        revision = good.revision
        self._write(
            {
                "pk": partition(key),
                "sk": f"good#{revision.identity}",
                "revision": revision.arn,
                "task_definition": revision.task_definition,
                "task_definition_arn": revision.task_definition_arn,
                "images": dict(revision.images),
                "since": text_of(good.since),
                "until": text_of(good.until),
                "requests": good.requests,
            },
            "attribute_not_exists(pk) OR #until < :until",
            {"#until": "until"},
            {":until": text_of(good.until)},
        )

    def _following(self, incident: Incident, due: datetime | None) -> dict[str, Any]:
        """The write of an incident's next step, which only follows the step that was read."""
        before = incident.step
        return self._put(item_of(replace(incident, step=before + 1), due), "step = :before", values={":before": before})

    def _put(
        self,
        item: Mapping[str, Any],
        condition: str | None = None,
        names: Mapping[str, str] | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self.table,
            "Item": {k: to_item(v) for k, v in item.items() if v is not None},
        }
        if condition:
            put["ConditionExpression"] = condition
        if names:
            put["ExpressionAttributeNames"] = names
        if values:
            put["ExpressionAttributeValues"] = {k: to_item(v) for k, v in values.items()}
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


def _place(after: str, keys: set[str], key: ServiceKey | None) -> Any:
    place = json.loads(base64.urlsafe_b64decode(after))
    if (
        not isinstance(place, dict)
        or place.keys() != keys
        or not all(isinstance(at, dict) and at.keys() == {"S"} and isinstance(at["S"], str) for at in place.values())
        or (key is not None and place["pk"]["S"] != partition(key))
    ):
        raise ValueError(f"{after!r} is a place in no list of these records")
    return place


def _quarantine(incident: Incident, left: Sequence[Mapping[str, Any]], at: datetime) -> list[dict[str, Any]]:
    return [
        {
            "pk": partition(incident.key),
            "sk": f"quarantine#{identity}",
            "at": text_of(at),
            "task_definition": what["task_definition"],
            "images": what["images"],
        }
        for identity, what in {str(what["identity"]): what for what in left}.items()
    ]


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": to_item(pk), "sk": to_item(sk)}


def _told(deployment: str, reason: str) -> str:
    return f"told#{deployment.rpartition('/')[2]}#{reason}"


def _watch(watched: Watched) -> str:
    return f"watch#{'tasks' if watched.tasks else watched.deployment.rpartition('/')[2]}"


def _changed(incident: Incident) -> RecordChanged:
    return RecordChanged(f"the record of incident {incident.incident_id} was written or removed by somebody else")


def _not_acted(incident: Incident) -> Mapping[str, Any]:
    """The result of a claim that came to nothing because another deployment was first."""
    return {**incident.intent["result"], "outcome": "ignored", "reason": "superseded", "incident_state": "superseded"}
