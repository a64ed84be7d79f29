"""The ledger: what makes a rollback happen once, and what is remembered of it.

Items share the partition `service#<cluster>/<service>` and are told apart by the sort key: `lease`, `pause`,
`quarantine#<identity>`, `good#<identity>`, `told#<deployment>#<reason>`, `alarms`, `muted#<alarm>`, `watch#<deployment>`,
`traffic#<deployment>`, `red#<deployment>`, `release#<time>#<identity>`, `incident#<time of the deployment>#<deployment>` and, while that is open, its
copy `open#...`. The partition `all` holds the `pause` of
all services, `deployed#<time>#<cluster>/<service>`, and in an alarm storm the page of `red` alarms that was read last. The index `unfinished` holds what still
wants something, the index `timeline` all incidents by time.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from autorollback import results
from autorollback.aws.clients import in_batches
from autorollback.aws.ledger_items import (
    Item,
    LedgerRecordError,
    copy_key,
    due_index,
    epoch,
    from_attributes,
    incident_copy,
    incident_item,
    partition,
    quarantine_item,
    read_incident,
    read_quarantine,
    read_red_page,
    readable,
    recent_deployment,
    red_page_text,
    rollback_mark,
    service_ledger,
    spells_text,
    text_of,
    time_of,
    to_attributes,
)
from autorollback.aws.ledger_table import IS_NEW, Condition, LedgerTable
from autorollback.decision.facts import KnownGood, Quarantine, RedAlarm, TrafficReading
from autorollback.decision.incident import Incident, LeftRevision, Phase
from autorollback.decision.ledger_state import (
    PendingCheck,
    RecentDeployment,
    RedWatch,
    RollbackMark,
    ServiceLedger,
)
from autorollback.decision.retention import INCIDENTS_KEPT
from autorollback.naming import ServiceKey
from autorollback.results import Message

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

    from autorollback.aws.clients import Clients

NOTICE_KEPT = timedelta(days=30)
MUTED_KEPT = timedelta(days=7)
CHECK_KEPT = timedelta(days=7)
DEPLOYMENT_KEPT = timedelta(days=8)
"""Longer than a window may be."""

RED_KEPT = timedelta(days=1)
WRITTEN_RECENTLY = timedelta(hours=1)
WRITES_AT_ONCE = 25
"""Of a transaction, which takes 100 (API TransactWriteItems)."""

NEWEST_ROLLBACKS = 3
"""Of another service, as many of its incidents are looked at."""

SEAL = 16
"""Characters before the place where a page of the history begins."""

_ALL = "all"


class RecordChanged(RuntimeError):  # noqa: N818 - says what happened
    """Somebody else has written an incident's record meanwhile: theirs stands."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that people get once for each suspect deployment and reason.

    Attributes:
        about: the suspect's ARN, or another word where there is none.
        resource: ARN of the service.
        judged: marks of the alarms that have a verdict of their own now.
        facts: what the verdict rested on, packed.
    """

    about: str
    reason: str
    message: Message
    resource: str
    judged: tuple[str, ...] = ()
    facts: str | None = None

    @property
    def sort_key(self) -> str:
        """Of its item."""
        return f"told#{self.about.rpartition('/')[2]}#{self.reason}"


@dataclass(frozen=True, slots=True)
class UnsentNotice:
    """A message that people, or machines, have not got yet; `sort_key` is its item's."""

    sort_key: str
    message: Message
    resource: str
    people_told: bool = False
    machines_told: bool = False


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Incidents, newest first, and where the next page begins; None on the last one."""

    incidents: tuple[Incident, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Conditional writes only: whoever loses one is told so by the answer."""

    clients: "Clients"
    table: str
    _leased: set[ServiceKey] = field(default_factory=set)

    @property
    def _table(self) -> LedgerTable:
        return LedgerTable(self.clients, self.table)

    # one judgement of a service at a time

    def lease(
        self,
        key: ServiceKey,
        owner: str,
        now: datetime,
        until: datetime,
    ) -> bool:
        """Take the one judgement of a service; False while another owner's lease runs."""
        item = {
            "pk": partition(key),
            "sk": "lease",
            "owner": owner,
            "until": text_of(until),
            "expires_at": epoch(until + timedelta(days=1)),
        }
        is_free = Condition(
            "attribute_not_exists(pk) OR #until < :now OR #owner = :owner",
            {"#until": "until", "#owner": "owner"},
            {":now": text_of(now), ":owner": owner},
        )
        taken = self._table.put(item, is_free)
        if taken:
            self._leased.add(key)
        return taken

    def release_lease(
        self,
        key: ServiceKey,
        owner: str,
    ) -> None:
        """Give the lease back, if it is still this owner's."""
        if key not in self._leased:
            return
        self._leased.discard(key)
        self._table.delete(partition(key), "lease", _owned_by(owner))

    # what is known

    def recall(
        self,
        key: ServiceKey,
        now: datetime,
    ) -> ServiceLedger:
        """What the ledger knows of a service, in one strongly consistent query.

        Raises:
            LedgerRecordError: for a record that cannot be read.
        """
        return service_ledger(self._table.query(partition(key)), now)

    def newest_rollbacks(self, key: ServiceKey) -> tuple[RollbackMark, ...]:
        """The newest few rollbacks of a service, as far as another service's judgement asks.

        A record that cannot be read is none: it is the other service's.
        """
        answer = self.clients.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ProjectionExpression="sk, claimed_at, rollback_deployment, #state",
            ExpressionAttributeNames={"#state": "state"},
            ExpressionAttributeValues=to_attributes(
                {":pk": partition(key), ":prefix": "incident#"}
            ),
            ScanIndexForward=False,
            Limit=NEWEST_ROLLBACKS,
        )
        found: list[RollbackMark] = []
        for attributes in answer["Items"]:
            mark = rollback_mark(from_attributes(attributes))
            if mark is not None:
                found.append(mark)
        return tuple(found)

    def due(self, now: datetime) -> tuple[ServiceKey, ...]:
        """The services with something that wants looking after by now, in one query."""
        pages = self.clients.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            IndexName="unfinished",
            KeyConditionExpression="unfinished = :yes AND due_at <= :now",
            ExpressionAttributeValues=to_attributes({":yes": "yes", ":now": text_of(now)}),
        )
        keys: dict[ServiceKey, None] = {}
        for page in pages:
            for attributes in page["Items"]:
                owner = from_attributes(attributes)["pk"].removeprefix("service#")
                if owner.count("/") == 1:
                    keys[ServiceKey(*owner.split("/"))] = None
        return tuple(keys)

    def history(
        self,
        key: ServiceKey | None,
        limit: int,
        after: str | None,
    ) -> HistoryPage:
        """Incidents of a service or of all; `after` is what the page before gave.

        Raises:
            ValueError: for an `after` that no page gave.
            LedgerRecordError: for a record that cannot be read.
        """
        where: dict[str, Any] = {
            "IndexName": "timeline",
            "KeyConditionExpression": "timeline = :kind",
            "ExpressionAttributeValues": to_attributes({":kind": "incident"}),
        }
        if key:
            values = {":pk": partition(key), ":prefix": "incident#"}
            where = {
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": to_attributes(values),
            }
        if after:
            where["ExclusiveStartKey"] = _place(after, key)
        answer = self.clients.dynamodb.query(
            TableName=self.table,
            ScanIndexForward=False,
            Limit=limit,
            **where,
        )
        incidents = [read_incident(from_attributes(attributes)) for attributes in answer["Items"]]
        last = answer.get("LastEvaluatedKey")
        return HistoryPage(tuple(incidents), _next_of(last, key) if last else None)

    # pauses

    def pause(
        self,
        key: ServiceKey | None,
        until: datetime,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        """Pause automatic rollbacks of a service, or of all."""
        item = {
            "pk": _pausing(key),
            "sk": "pause",
            "until": text_of(until),
            "at": text_of(at),
            "words": words,
            "requested_by": requested_by,
            "expires_at": epoch(until + timedelta(days=1)),
        }
        self._table.put(item)

    def resume(self, key: ServiceKey | None) -> None:
        """End a pause; nothing happens where there is none."""
        self._table.delete(_pausing(key), "pause")

    def pause_of_all(self) -> datetime | None:
        """Until when automatic rollbacks of all services are paused."""
        item = self._table.get(_ALL, "pause")
        return readable(item, lambda i: time_of(i["until"])) if item else None

    # quarantine and known-good records

    def quarantines(self, key: ServiceKey) -> tuple[Quarantine, ...]:
        """Everything of a service that is quarantined.

        Raises:
            LedgerRecordError: for a record that cannot be read.
        """
        items = self._table.query(partition(key), "quarantine#")
        return tuple(read_quarantine(item) for item in items)

    def release(
        self,
        key: ServiceKey,
        lifted: Quarantine,
        words: str | None,
        at: datetime,
        requested_by: str | None = None,
    ) -> None:
        """Lift one quarantine, and record that."""
        record = {
            "pk": partition(key),
            "sk": f"release#{text_of(at)}#{lifted.identity}",
            "expires_at": epoch(at + INCIDENTS_KEPT),
            "task_definition": lifted.task_definition,
            "quarantined_at": text_of(lifted.at),
            "at": text_of(at),
            "words": words,
            "requested_by": requested_by,
        }
        removal = self._table.delete_write(partition(key), f"quarantine#{lifted.identity}")
        self._table.transact([self._table.put_write(record), removal])

    def save_known_good(
        self,
        key: ServiceKey,
        good: KnownGood,
    ) -> None:
        """Remember a revision that ran well, longer than AWS does. The newest time of an identity stands."""
        revision = good.revision
        item = {
            "pk": partition(key),
            "sk": f"good#{revision.identity}",
            "revision": revision.arn,
            "task_definition": revision.task_definition,
            "task_definition_arn": revision.task_definition_arn,
            "images": dict(revision.images),
            "since": text_of(good.since),
            "until": text_of(good.until),
            "requests": good.requests,
            "calm_until": text_of(good.calm_until) if good.calm_until else None,
            "spells": spells_text(good.spells),
        }
        is_newer = Condition(
            "attribute_not_exists(pk) OR #until < :until",
            {"#until": "until"},
            {":until": text_of(good.until)},
        )
        self._table.put(item, is_newer)

    def trim(
        self,
        key: ServiceKey,
        surplus: Sequence[str],
        now: datetime,
    ) -> None:
        """Remove what is not kept any more; what was written again meanwhile stays.

        It stands in the way of nothing: what could not be removed now is the next time.
        """
        is_old = Condition(
            "attribute_not_exists(#until) OR #until < :recently",
            {"#until": "until"},
            {":recently": text_of(now - WRITTEN_RECENTLY)},
        )
        pk = partition(key)
        try:
            for names in in_batches(surplus, WRITES_AT_ONCE):
                self._table.transact([self._table.delete_write(pk, sk, is_old) for sk in names])
        except ClientError:
            return

    # incidents

    def claim(
        self,
        incident: Incident,
        over: Incident | None = None,
    ) -> bool:
        """Write the intent; False where the service's newest deployment has been claimed before.

        `over` is a claim that a person's request takes the place of: it is closed with the same stroke.
        """
        item = incident_item(incident, incident.claimed_at)
        if over is None:
            return self._table.put_or_same(item, IS_NEW)
        closing = self._table.put_write(*_following(over.replaced(incident.claimed_at), None))
        return self._table.transact([self._table.put_write(item, IS_NEW), closing])

    def save(
        self,
        incident: Incident,
        due: datetime | None,
    ) -> Incident:
        """Write what has become of a claimed incident, and answer it as it now stands.

        `due` is when the sweep has to look after it, None when it is over.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        writes = self._with_copy(incident, due)
        if len(writes) == 1:
            written = self._table.put_or_same(*_following(incident, due))
        else:
            written = self._table.transact(writes)
        if not written:
            raise _changed(incident)
        return replace(incident, step=incident.step + 1)

    def finish(
        self,
        incident: Incident,
        due: datetime | None,
        owner: str,
        left: Sequence[LeftRevision] = (),
        at: datetime | None = None,
    ) -> Incident:
        """Write an invocation's last word on an incident, and give the lease back.

        Both are one write.

        What was `left` is quarantined from `at` on. Answers the incident as it now stands.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        writes = self._with_copy(incident, due)
        for item in _quarantine_items(incident, left, at or incident.claimed_at):
            writes.append(self._table.put_write(item))
        pk = partition(incident.key)
        end_of_lease = self._table.delete_write(pk, "lease", _owned_by(owner))
        if incident.key in self._leased and self._table.transact([*writes, end_of_lease]):
            self._leased.discard(incident.key)
        elif not self._table.transact(writes):
            raise _changed(incident)
        return replace(incident, step=incident.step + 1)

    def put_back(self, incident: Incident) -> None:
        """Write the record of an open incident again that was removed.

        The sweep looks after it next."""
        self._table.put(incident_item(incident, incident.claimed_at), IS_NEW)

    def _with_copy(
        self,
        incident: Incident,
        due: datetime | None,
    ) -> "list[TransactWriteItemTypeDef]":
        """The write of an incident's next step, with that of its copy where it has or had one."""
        writes = [self._table.put_write(*_following(incident, due))]
        if incident.has_copy:
            following = replace(incident, step=incident.step + 1)
            writes.append(self._table.put_write(incident_copy(following, due)))
        elif incident.had_copy:
            pk = partition(incident.key)
            writes.append(self._table.delete_write(pk, copy_key(incident)))
        return writes

    def retract(self, incident: Incident) -> None:
        """Take back a claim that has led to no act.

        Raises:
            RecordChanged: another invocation has written it since it was read.
        """
        is_unchanged = Condition(
            "attribute_not_exists(pk) OR (#state IN (:claimed, :acting) AND step = :step)",
            {"#state": "state"},
            {
                ":claimed": Phase.CLAIMED.value,
                ":acting": Phase.ACTING.value,
                ":step": incident.step,
            },
        )
        if not self._table.delete(partition(incident.key), incident.sort_key, is_unchanged):
            raise _changed(incident)

    # what people were told

    def should_notify(
        self,
        key: ServiceKey,
        notice: Notice,
        now: datetime,
    ) -> UnsentNotice | None:
        """What people are still to be told; `notified` must follow once they have been.

        Until then the sweep has it to do. None where they have been told before.
        """
        values: dict[str, object] = {
            ":at": text_of(now),
            ":no": False,
            ":yes": "yes",
            ":result": json.dumps(results.to_json(notice.message)),
            ":resource": notice.resource,
            ":expires": epoch(now + NOTICE_KEPT),
        }
        updates = [
            "#at = if_not_exists(#at, :at)",
            "announced = :no",
            "unfinished = :yes",
            "due_at = :at",
            "#result = if_not_exists(#result, :result)",
            "expires_at = if_not_exists(expires_at, :expires)",
            "#resource = :resource",
        ]
        if notice.facts:
            values[":facts"] = notice.facts
            updates.append("facts = if_not_exists(facts, :facts)")
        expression = f"SET {', '.join(updates)}"
        if notice.judged:
            values[":judged"] = set(notice.judged)
            expression = f"{expression} ADD judged :judged"
        is_untold = Condition(
            "attribute_not_exists(announced) OR announced = :no",
            {"#at": "at", "#result": "result", "#resource": "resource"},
            values,
        )
        there = self._table.update(
            partition(key),
            notice.sort_key,
            expression,
            is_untold,
        )
        if there is not None:
            return readable(there, _unsent_notice)
        if notice.judged:
            judged_too = Condition("", values={":judged": set(notice.judged)})
            self._table.update(
                partition(key),
                notice.sort_key,
                "ADD judged :judged",
                judged_too,
            )
        return None

    def notified(
        self,
        key: ServiceKey,
        notice: UnsentNotice,
    ) -> None:
        """Write down who has been told.

        Nothing is left to do once both people and machines have been.
        """
        is_over = notice.people_told and notice.machines_told
        expression = "SET announced = :over, told_people = :people, told_machines = :machines"
        if is_over:
            expression = f"{expression} REMOVE unfinished, due_at"
        values = {
            ":over": is_over,
            ":people": notice.people_told,
            ":machines": notice.machines_told,
        }
        self._table.update(
            partition(key),
            notice.sort_key,
            expression,
            Condition("", values=values),
        )

    def unsent_notice(
        self,
        key: ServiceKey,
        sort_key: str,
    ) -> UnsentNotice | None:
        """A message that people have not got yet; None where they have meanwhile.

        Raises:
            LedgerRecordError: for a record that cannot be read.
        """
        item = self._table.get(partition(key), sort_key)
        if item is None or item.get("announced"):
            return None
        return readable(item, _unsent_notice)

    # what a judgement has to know

    def save_alarm_trees(
        self,
        key: ServiceKey,
        trees: Mapping[str, tuple[str, ...]],
    ) -> None:
        """Keep which alarms are under a user's own, for judgements to name them."""
        names = {alarm: list(under) for alarm, under in trees.items()}
        self._table.put({"pk": partition(key), "sk": "alarms", "under": names})

    # what the sweep has to know

    def record_muted(
        self,
        key: ServiceKey,
        alarm: str,
        at: datetime,
    ) -> None:
        """Remember that an alarm spoke while it was muted: the sweep leaves it alone too."""
        item = {
            "pk": partition(key),
            "sk": f"muted#{alarm}",
            "at": text_of(at),
            "expires_at": epoch(at + MUTED_KEPT),
        }
        self._table.put(item)

    def add_pending_check(
        self,
        key: ServiceKey,
        check: PendingCheck,
    ) -> None:
        """Have the sweep look into an ECS event."""
        item = {
            "pk": partition(key),
            "sk": _pending_check_key(check),
            "cluster": key.cluster,
            "service": key.service,
            "deployment": check.deployment,
            "tasks": check.tasks,
            "named": check.named,
            "at": text_of(check.failed_at),
            "expires_at": epoch(check.due + CHECK_KEPT),
            **due_index(check.due),
        }
        self._table.put(item)

    def remove_pending_check(
        self,
        key: ServiceKey,
        check: PendingCheck,
    ) -> None:
        """It has been looked into."""
        self._table.delete(partition(key), _pending_check_key(check))

    def watch_red(
        self,
        key: ServiceKey,
        watch: RedWatch,
    ) -> None:
        """Have the sweep look whether an alarm stays red, once.

        Of several holds the first time and its alarms stand, and the newest message.
        """
        values: dict[str, object] = {
            ":about": watch.about,
            ":since": text_of(watch.since),
            ":due": text_of(watch.due),
            ":red": set(watch.red),
            ":yes": "yes",
            ":result": json.dumps(results.to_json(watch.message)),
            ":resource": watch.resource,
            ":expires": epoch(watch.since + NOTICE_KEPT),
        }
        updates = [
            "about = :about",
            "#since = if_not_exists(#since, :since)",
            "due_at = if_not_exists(due_at, :due)",
            "red = if_not_exists(red, :red)",
            "unfinished = :yes",
            "#result = :result",
            "#resource = :resource",
            "expires_at = :expires",
        ]
        is_not_over = Condition(
            "attribute_not_exists(looked_at)",
            {"#since": "since", "#result": "result", "#resource": "resource"},
            values,
        )
        expression = f"SET {', '.join(updates)}"
        self._table.update(
            partition(key),
            watch.sort_key,
            expression,
            is_not_over,
        )

    def end_red_watch(
        self,
        key: ServiceKey,
        watch: RedWatch,
        at: datetime,
        *,
        told: bool,
    ) -> None:
        """It has been looked at, and will not be again where people were told.

        Where they were not, a later hold begins it anew.
        """
        if not told:
            self._table.delete(partition(key), watch.sort_key)
            return
        expression = "SET looked_at = :at REMOVE unfinished, due_at, #result"
        values = Condition("", {"#result": "result"}, {":at": text_of(at)})
        self._table.update(
            partition(key),
            watch.sort_key,
            expression,
            values,
        )

    # what was deployed lately, of all services

    def save_deployment(self, deployed: RecentDeployment) -> None:
        """Remember that a protected service was deployed, for as long as a window may be."""
        key = deployed.key
        item = {
            "pk": _ALL,
            "sk": f"deployed#{text_of(deployed.at)}#{key}",
            "cluster": key.cluster,
            "service": key.service,
            "task_definition": deployed.task_definition,
            "at": text_of(deployed.at),
            "expires_at": epoch(deployed.at + DEPLOYMENT_KEPT),
        }
        self._table.put(item)

    def deployed_between(
        self,
        since: datetime,
        until: datetime,
    ) -> tuple[RecentDeployment, ...]:
        """What was deployed in a time, of all protected services, newest first.

        That is the last hundred at most.

        Raises:
            LedgerRecordError: for a record that cannot be read.
        """
        answer = self.clients.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :since AND :until",
            ExpressionAttributeValues=to_attributes(
                {
                    ":pk": _ALL,
                    ":since": f"deployed#{text_of(since)}",
                    ":until": f"deployed#{text_of(until)}#~",
                }
            ),
            ScanIndexForward=False,
            Limit=100,
        )
        return tuple(recent_deployment(from_attributes(item)) for item in answer["Items"])

    def keep_traffic(
        self,
        key: ServiceKey,
        reading: TrafficReading,
        kept_until: datetime,
        due: datetime | None,
    ) -> None:
        """Remember what was seen of a deployment's traffic; the first time that it baked stands.

        `due` is when the sweep looks again, None where it does no more.
        """
        values: dict[str, object] = {
            ":deployment": reading.deployment,
            ":expires": epoch(kept_until),
        }
        updates = ["deployment = :deployment", "expires_at = :expires"]
        if reading.unserved_at is not None:
            values[":unserved"] = text_of(reading.unserved_at)
            updates.append("unserved_at = :unserved")
        if reading.baking_at is not None:
            values[":baking"] = text_of(reading.baking_at)
            updates.append("baking_at = if_not_exists(baking_at, :baking)")
        removal = " REMOVE unfinished, due_at"
        if due is not None:
            values |= {":yes": "yes", ":due": text_of(due)}
            updates += ["unfinished = :yes", "due_at = :due"]
            removal = ""
        self._table.update(
            partition(key),
            f"traffic#{reading.deployment.rpartition('/')[2]}",
            f"SET {', '.join(updates)}{removal}",
            Condition("", values=values),
        )

    # an alarm storm

    def share_red(
        self,
        red: Sequence[RedAlarm],
        at: datetime,
    ) -> None:
        """Leave a page of red alarms for invocations that CloudWatch throttles."""
        item = {
            "pk": _ALL,
            "sk": "red",
            "at": text_of(at),
            "alarms": red_page_text(red),
            "expires_at": epoch(at + RED_KEPT),
        }
        self._table.put(item)

    def shared_red(self, since: datetime) -> tuple[RedAlarm, ...] | None:
        """The page of red alarms that another invocation read since a moment.

        None where there is none that can be read.
        """
        item = self._table.get(_ALL, "red", consistent=False)
        if item is None:
            return None
        try:
            read_at, alarms = readable(item, read_red_page)
        except LedgerRecordError:
            return None  # CloudWatch is asked instead
        return alarms if read_at >= since else None


def _following(incident: Incident, due: datetime | None) -> tuple[Item, Condition]:
    """The write of an incident's next step, which only follows the step that was read."""
    follows = Condition("step = :before", values={":before": incident.step})
    return incident_item(replace(incident, step=incident.step + 1), due), follows


def _owned_by(owner: str) -> Condition:
    return Condition("#owner = :owner", {"#owner": "owner"}, {":owner": owner})


def _pausing(key: ServiceKey | None) -> str:
    return partition(key) if key else _ALL


def _next_of(place: Mapping[str, Any], key: ServiceKey | None) -> str:
    """A place in a list as callers get it, sealed: what they send back is to be what they got."""
    text = json.dumps(place, sort_keys=True)
    return base64.urlsafe_b64encode(f"{_seal(text, key)}{text}".encode()).decode()


def _place(after: str, key: ServiceKey | None) -> dict[str, Any]:
    """Where a page of the history begins, as DynamoDB takes it."""
    sealed = base64.b64decode(after, altchars=b"-_", validate=True).decode()
    seal, text = sealed[:SEAL], sealed[SEAL:]
    if seal != _seal(text, key):
        raise ValueError(f"{after!r} is a place in no list of these records")
    place: dict[str, Any] = json.loads(text)
    return place


def _seal(text: str, key: ServiceKey | None) -> str:
    """What tells a place that was changed, or is in another service's list."""
    return hashlib.sha256(f"{key} {text}".encode()).hexdigest()[:SEAL]


def _quarantine_items(
    incident: Incident,
    left: Sequence[LeftRevision],
    at: datetime,
) -> list[Item]:
    items = {}
    for revision in left:
        items[revision.identity] = quarantine_item(incident.key, revision.quarantined_at(at))
    return list(items.values())


def _unsent_notice(item: Item) -> UnsentNotice:
    message = results.read_message(json.loads(item["result"]))
    return UnsentNotice(
        item["sk"],
        message,
        str(item["resource"]),
        bool(item.get("told_people")),
        bool(item.get("told_machines")),
    )


def _pending_check_key(check: PendingCheck) -> str:
    """One for each deployment, by the name that the event gave it where nobody read which one it was."""
    about = "tasks" if check.tasks else (check.deployment or check.named).rpartition("/")[2]
    return f"watch#{about}"


def _changed(incident: Incident) -> RecordChanged:
    return RecordChanged(
        f"the record of incident {incident.incident_id} was written or removed by somebody else"
    )
