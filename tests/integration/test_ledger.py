"""The ledger on a real table of the local cloud: it does what every ledger does, and what cannot be read stays whole."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from autorollback.aws.ledger import Ledger
from autorollback.aws.ledger_items import LedgerRecordError
from autorollback.aws.ledger_table import LedgerTable
from autorollback.decision.facts import Quarantine
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
