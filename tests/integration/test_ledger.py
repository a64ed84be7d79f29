"""The ledger on a real table of the local cloud: it does what every ledger does, and what cannot be read stays whole."""

import base64
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from autorollback.aws.ledger import Ledger
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.aws.ledger_table import LedgerTable
from autorollback.decision.facts import Quarantine
from autorollback.decision.incident import Event
from autorollback.naming import ServiceKey
from tests.contracts.ledger import *  # noqa: F403 - the tests are the contract's
from tests.contracts.ledger import INTENT, KEY, LEFT, NOW, claim, minutes, opened


@pytest.fixture
def another(ledger: Ledger) -> Ledger:
    return Ledger(ledger.clients, ledger.table)


def test_a_lifted_quarantine_is_recorded(ledger: Ledger) -> None:
    ledger.finish(opened(claim(ledger)), NOW, "one", LEFT, NOW)
    (quarantine,) = ledger.quarantines(KEY)
    ledger.release(KEY, quarantine, "mended", NOW, "a person")
    assert ledger.recall(KEY, NOW).state.quarantined == {}
    (released,) = LedgerTable(ledger.clients, ledger.table).query(f"service#{KEY}", "release#")
    assert (released["task_definition"], released["words"]) == ("auth:19", "mended")
    assert released["requested_by"] == "a person"


def test_of_a_rollback_another_service_is_told_when_what_it_left_had_been_deployed(
    ledger: Ledger,
) -> None:
    incident = claim(ledger)
    assert ledger.newest_rollbacks(KEY) == (), "a claim is no rollback yet"
    ledger.finish(opened(incident), NOW, "one")
    (mark,) = ledger.newest_rollbacks(KEY)
    left = datetime.fromisoformat(incident.sort_key.split("#")[1])
    assert (mark.at, mark.left) == (incident.claimed_at, left)


def test_a_record_of_the_first_version_is_read(ledger: Ledger) -> None:
    """As the ledger wrote it before its records had typed intents."""
    incident, dynamodb = claim(ledger), ledger.clients.dynamodb
    key: Any = {"pk": {"S": f"service#{KEY}"}, "sk": {"S": incident.sort_key}}
    item: Any = dynamodb.get_item(TableName="ledger", Key=key)["Item"]
    intent = json.loads(item["intent"]["S"])
    intent["way"], intent["restore"] = intent.pop("method"), intent.pop("needs_copy")
    intent["left"] = [
        None,
        {"identity": "bad-build", "task_definition": "auth:19", "images": {"app": None}},
    ]
    del intent["result"]["severity"], intent["untold"], intent["again_at"], intent["stop_refused"]
    dynamodb.put_item(
        TableName="ledger", Item=item | {"version": {"N": "1"}, "intent": {"S": json.dumps(intent)}}
    )
    left = replace(LEFT[0], process_identity=None, signals=())
    assert ledger.recall(KEY, NOW).incidents == (
        incident.with_intent(replace(incident.intent, left=(left,))),
    )


def test_a_damaged_quarantine_is_named_where_it_is_to_be_lifted(ledger: Ledger) -> None:
    ledger.finish(opened(claim(ledger)), NOW, "one", LEFT, NOW)
    (quarantine,) = ledger.quarantines(KEY)
    item = {
        "pk": {"S": f"service#{KEY}"},
        "sk": {"S": f"quarantine#{quarantine.identity}"},
        "at": {"S": "yesterday"},
    }
    ledger.clients.dynamodb.put_item(TableName=ledger.table, Item=item)
    for read in (lambda: ledger.quarantines(KEY), lambda: ledger.recall(KEY, NOW)):
        with pytest.raises(LedgerRecordError, match=f"quarantine#{quarantine.identity}"):
            read()


def test_a_quarantine_from_before_it_knew_its_signals_is_read(ledger: Ledger) -> None:
    ledger.clients.dynamodb.put_item(
        TableName="ledger",
        Item={
            "pk": {"S": f"service#{KEY}"},
            "sk": {"S": "quarantine#bad-build"},
            "at": {"S": NOW.isoformat()},
            "task_definition": {"S": "auth:19"},
        },
    )
    assert ledger.quarantines(KEY) == (Quarantine("bad-build", "auth:19", NOW),)


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        pytest.param(
            {"version": {"N": "3"}},
            "version 3, .* deploy the newer controller",
            id="written by a newer version",
        ),
        pytest.param(
            {"version": {"N": "0"}},
            "version 0, .* mend or delete",
            id="written by an older version",
        ),
        pytest.param({"state": {"S": "fine"}}, "'fine' is not a valid Phase", id="edited by hand"),
        pytest.param(
            {"intent": {"S": '{"method": "UpdateService"'}}, "Expecting ',' delimiter", id="cut off"
        ),
        pytest.param({"intent": {"S": "{}"}}, "intent.method is missing", id="half there"),
        pytest.param(
            {"claimed_at": {"S": "2026-03-02T09:00:00"}},
            "has no time zone",
            id="a time without its zone",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_an_error_that_names_it_and_stays_whole(
    ledger: Ledger, edited: dict[str, Any], says: str
) -> None:
    incident, dynamodb = claim(ledger), ledger.clients.dynamodb
    key: Any = {"pk": {"S": f"service#{KEY}"}, "sk": {"S": incident.sort_key}}
    broken: Any = dynamodb.get_item(TableName="ledger", Key=key)["Item"] | edited
    dynamodb.put_item(TableName="ledger", Item=broken)
    with pytest.raises(LedgerRecordError, match=f"incident#2026-03-02.*{says}"):
        ledger.recall(KEY, NOW)
    assert not ledger.claim(incident.with_intent(replace(INTENT, request_id="another")))
    assert dynamodb.get_item(TableName="ledger", Key=key)["Item"] == broken


def test_other_records_that_cannot_be_read_are_named_too(ledger: Ledger) -> None:
    item: Any = {"pk": {"S": f"service#{KEY}"}, "sk": {"S": "pause"}, "until": {"S": "tomorrow"}}
    ledger.clients.dynamodb.put_item(TableName="ledger", Item=item)
    with pytest.raises(
        LedgerRecordError, match=r"service#prod/auth pause: .*tomorrow.*mend or delete"
    ):
        ledger.recall(KEY, NOW)


def test_a_record_that_is_half_there_keeps_no_other_service_from_being_looked_after(
    ledger: Ledger,
) -> None:
    half: Any = {
        "pk": f"service#{KEY}",
        "sk": "incident#half",
        "unfinished": "yes",
        "due_at": NOW.isoformat(),
    }
    other = half | {"pk": "service#prod/mail", "cluster": "prod", "service": "mail"}
    for item in (half, other, half | {"pk": "nonsense"}):
        ledger.clients.dynamodb.put_item(
            TableName="ledger", Item={k: {"S": v} for k, v in item.items()}
        )
    assert set(ledger.due(NOW + minutes(1))) == {KEY, ServiceKey("prod", "mail")}


def removed(ledger: Ledger, sort_key: str) -> None:
    key: Any = {"pk": {"S": f"service#{KEY}"}, "sk": {"S": sort_key}}
    ledger.clients.dynamodb.delete_item(TableName=ledger.table, Key=key)


def test_an_open_incident_whose_record_is_removed_is_known_by_its_copy(
    ledger: Ledger, another: Ledger
) -> None:
    opened_at = NOW + minutes(15)
    incident = ledger.finish(opened(claim(ledger)), opened_at, "one", LEFT, NOW)
    assert another.recall(KEY, NOW).lost == ()
    removed(ledger, incident.sort_key)
    assert another.due(opened_at) == (KEY,)
    known = another.recall(KEY, NOW)
    lost = replace(incident, facts=None, was_lost=True)
    assert (known.lost, known.open_incidents) == ((lost,), (lost,))
    assert [one.incident_id for one in known.state.rollbacks] == [incident.incident_id]

    another.put_back(lost)
    another.put_back(replace(lost, announced=not lost.announced))
    known = ledger.recall(KEY, NOW)
    assert (known.lost, known.incidents) == ((), (lost,))
    closed = ledger.save(lost.closed(Event.CALM, lost.shown, NOW), None)
    assert ledger.recall(KEY, NOW).incidents == (closed,)
    removed(ledger, incident.sort_key)
    assert ledger.recall(KEY, NOW).incidents == (), "what has ended leaves no copy"
    assert ledger.due(opened_at) == ()


def test_a_claim_has_no_copy_and_one_that_is_tried_again_has_none_any_more(
    ledger: Ledger,
) -> None:
    table = LedgerTable(ledger.clients, ledger.table)
    incident = claim(ledger)
    assert list(table.query(f"service#{KEY}", "open#")) == []
    incident = ledger.finish(opened(incident), NOW, "one", LEFT, NOW)
    (copy,) = table.query(f"service#{KEY}", "open#")
    assert {"facts", "timeline"} & copy.keys() == set()
    later = ledger.save(incident, NOW + minutes(5))
    (copy,) = table.query(f"service#{KEY}", "open#")
    assert (copy["step"], copy["due_at"]) == (later.step, "2026-03-02T09:05:00.000+00:00")
    again = later.after(Event.STOP_FAILED)
    again = again.with_intent(replace(again.intent, again_at=NOW))
    ledger.save(again, NOW)
    assert list(table.query(f"service#{KEY}", "open#")) == []


def test_a_place_in_the_history_that_was_changed_is_no_place(ledger: Ledger) -> None:
    for number in range(3):
        claim(ledger, NOW + minutes(number), f"again-{number}")
    for key in (KEY, None):
        place = ledger.history(key, 1, None).next
        assert place is not None
        text = base64.urlsafe_b64decode(place).decode()
        changed = (
            text.replace("again", "again-and-again"),
            text.replace("incident#", "good#"),
            text.replace("prod/auth", "prod/mail"),
            text[:-1],
            text[1:],
            "[" * 1500,
            text[:16] + "[" * 1500,
            "\udcff",
        )
        for one in changed:
            token = base64.urlsafe_b64encode(one.encode("utf-8", "surrogatepass")).decode()
            with pytest.raises(ValueError, match=r"."):
                ledger.history(key, 1, token)
        for token in (place[:-4], f"*{place}", place.upper(), "ü" * 8, place[4:]):
            with pytest.raises(ValueError, match=r"."):
                ledger.history(key, 1, token)
        other = None if key else KEY
        with pytest.raises(ValueError, match="no list of these"):
            ledger.history(other, 1, place)
