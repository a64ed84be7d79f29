"""The ledger on a real table of the local cloud: who loses a write is told so, and what cannot be read stays whole."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autorollback.aws.ledger import Ledger, Notice, RecordChanged, UnsentNotice
from autorollback.aws.ledger_items import LedgerRecordError, new_incident
from autorollback.aws.ledger_table import LedgerTable
from autorollback.decision.facts import Deployment, KnownGood, Revision, Status
from autorollback.decision.incident import Event, Incident, Intent, LeftRevision, Phase, RollbackMethod
from autorollback.decision.ledger_state import PendingCheck, verdict_marks
from autorollback.decision.result import Outcome, Result, TargetSummary
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = ServiceKey("prod", "auth")
BAD = Deployment("arn:aws:ecs:eu-west-1:123456789012:service-deployment/prod/auth/abc", Status.SUCCESSFUL, NOW, "rev")
RESULT = Result(Outcome.ROLLED_BACK, Reason.ALARM_AFTER_DEPLOYMENT, "rolled back", goes_to=TargetSummary("auth:18"))
INTENT = Intent(
    method=RollbackMethod.UPDATE_SERVICE,
    target="auth:18",
    deploy="auth:18",
    digests={"app": "sha256:1"},
    needs_copy=False,
    service_arn="arn:service",
    result=RESULT,
)
LEFT = (LeftRevision("bad-build", "auth:19", {"app": None}),)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def claimed(at: datetime = NOW, *, automatic: bool = True, suffix: str = "") -> Incident:
    intent = replace(INTENT, request_id=str(at))
    return new_incident(KEY, BAD, at, intent, automatic=automatic, suffix=suffix)


def claim(ledger: Ledger, at: datetime = NOW, suffix: str = "") -> Incident:
    incident = claimed(at, suffix=suffix)
    assert ledger.claim(incident)
    return incident


def opened(incident: Incident) -> Incident:
    return replace(incident.after(Event.ACTED), result=RESULT)


def test_one_judgement_at_a_time_until_its_owner_is_done_or_its_time_is_over(ledger: Ledger) -> None:
    other = Ledger(ledger.clients, ledger.table)
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2))
    assert not other.lease(KEY, "two", NOW, NOW + minutes(2))
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2)), "its own retry goes on at once"
    assert other.lease(KEY, "two", NOW + minutes(3), NOW + minutes(5)), "a lease whose time is over is taken over"
    ledger.release_lease(KEY, "one")
    assert not ledger.lease(KEY, "three", NOW + minutes(4), NOW + minutes(6)), "who lost it cannot give it back"


def test_a_deployment_is_claimed_once(ledger: Ledger) -> None:
    claim(ledger)
    later = claimed(NOW + minutes(1), automatic=False)
    assert not ledger.claim(later)
    assert ledger.claim(claimed(automatic=False, suffix="forced-person"))


def test_a_claim_whose_answer_was_lost_is_still_its_owners(ledger: Ledger) -> None:
    assert ledger.claim(claim(ledger)), "the client sent the same write again"


def test_a_forced_claim_closes_the_held_one_which_then_cannot_write_any_more(ledger: Ledger) -> None:
    held = claim(ledger)
    forced = claimed(NOW + minutes(1), automatic=False, suffix="forced-person")
    assert ledger.claim(forced, over=held)
    assert {i.phase for i in ledger.recall(KEY, NOW).incidents} == {Phase.CLAIMED, Phase.SUPERSEDED}
    with pytest.raises(RecordChanged):
        ledger.finish(opened(held), NOW, "one", LEFT, NOW)
    assert ledger.recall(KEY, NOW).state.quarantined == {}, "the record and the quarantine are one stroke"


def test_who_read_an_older_step_of_a_record_does_not_overwrite_the_newer_one(ledger: Ledger) -> None:
    incident = claim(ledger)
    written = ledger.finish(opened(incident), NOW, "one", LEFT, NOW)
    with pytest.raises(RecordChanged):
        ledger.save(incident.closed(Event.GIVEN_UP, RESULT, NOW), None)
    with pytest.raises(RecordChanged):
        ledger.retract(incident)
    ledger.save(replace(written, announced=True), None)
    memory = ledger.recall(KEY, NOW).state
    assert [r.is_open for r in memory.rollbacks] == [True]
    assert memory.quarantined == {"bad-build": NOW}


def test_the_last_word_ends_the_lease_with_the_same_stroke(ledger: Ledger) -> None:
    other = Ledger(ledger.clients, ledger.table)
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2))
    ledger.finish(claim(ledger), NOW, "one")
    assert other.lease(KEY, "two", NOW, NOW + minutes(2))
    stale = claim(ledger, NOW + minutes(1), "again-1")
    ledger.finish(stale, NOW, "one")
    assert not ledger.lease(KEY, "three", NOW, NOW + minutes(2)), "the lease of the other was left alone"


def test_what_has_not_been_acted_counts_for_nothing_in_a_judgement(ledger: Ledger) -> None:
    incident = claim(ledger)
    assert ledger.recall(KEY, NOW).state.rollbacks == ()
    failed = replace(RESULT, outcome=Outcome.FAILED)
    ledger.save(replace(incident.closed(Event.GIVEN_UP, failed, NOW), announced=True), None)
    recalled = ledger.recall(KEY, NOW)
    assert (recalled.state.rollbacks, recalled.unfinished_claim) == ((), None)
    assert ledger.claim(claimed(suffix="again-1"))


def test_only_what_is_due_is_due(ledger: Ledger) -> None:
    claim(ledger, NOW + minutes(5))
    ledger.add_pending_check(ServiceKey("prod", "web"), PendingCheck(BAD.arn, NOW, NOW + minutes(10)))
    assert ledger.due(NOW + minutes(4)) == ()
    assert ledger.due(NOW + minutes(5)) == (KEY,)
    assert set(ledger.due(NOW + minutes(10))) == {KEY, ServiceKey("prod", "web")}
    assert ledger.recall(ServiceKey("prod", "web"), NOW).pending_checks == (
        PendingCheck(BAD.arn, NOW, NOW + minutes(10)),
    )


def test_people_are_told_once_of_a_verdict_and_every_alarm_has_its_own(ledger: Ledger) -> None:
    held = Result(Outcome.HELD, Reason.ALARM_IS_FLAPPING, "it comes and goes")

    def tell(alarm: str) -> UnsentNotice | None:
        marks = verdict_marks(BAD.arn, (alarm,))
        return ledger.should_notify(KEY, Notice(BAD.arn, "alarm_is_flapping", held, "arn:service", marks), NOW)

    assert tell("5xx")
    assert ledger.due(NOW) == (KEY,), "the sweep sends it, if nobody else does"
    unsent = tell("5xx")
    assert unsent, "the message did not go out"
    assert ledger.recall(KEY, NOW).unsent == (unsent.sort_key,)
    assert ledger.unsent_notice(KEY, unsent.sort_key) == unsent
    ledger.notified(KEY, unsent)
    assert not tell("latency")
    assert ledger.unsent_notice(KEY, unsent.sort_key) is None
    assert (ledger.recall(KEY, NOW).unsent, ledger.due(NOW)) == ((), ())
    assert ledger.recall(KEY, NOW).judged == frozenset(verdict_marks(BAD.arn, ("5xx", "latency")))


def test_the_newest_time_that_a_build_ran_well_stands(ledger: Ledger) -> None:
    revision = Revision("rev", "auth:18", "arn:auth:18", NOW, {"app": "sha256:1"}, "good-build")
    for until in (NOW + minutes(90), NOW + minutes(60)):
        ledger.save_known_good(KEY, KnownGood(revision, NOW, until, 1200))
    (known,) = ledger.recall(KEY, NOW).state.known_good
    assert (known.until, known.requests, known.revision.identity) == (NOW + minutes(90), 1200, "good-build")


def test_a_lifted_quarantine_is_recorded(ledger: Ledger) -> None:
    ledger.finish(opened(claim(ledger)), NOW, "one", LEFT, NOW)
    (quarantine,) = ledger.quarantines(KEY)
    ledger.release(KEY, quarantine, "mended", NOW)
    assert ledger.recall(KEY, NOW).state.quarantined == {}
    (released,) = LedgerTable(ledger.clients, ledger.table).query(f"service#{KEY}", "release#")
    assert (released["task_definition"], released["words"]) == ("auth:19", "mended")


def test_a_record_of_the_first_version_is_read(ledger: Ledger) -> None:
    """As the ledger wrote it before its records had typed intents."""
    incident, dynamodb = claim(ledger), ledger.clients.dynamodb
    key: Any = {"pk": {"S": f"service#{KEY}"}, "sk": {"S": incident.sort_key}}
    item: Any = dynamodb.get_item(TableName="ledger", Key=key)["Item"]
    intent = json.loads(item["intent"]["S"])
    intent["way"], intent["restore"] = intent.pop("method"), intent.pop("needs_copy")
    intent["left"] = [None, {"identity": "bad-build", "task_definition": "auth:19", "images": {"app": None}}]
    del intent["result"]["severity"], intent["untold"], intent["again_at"], intent["stop_refused"]
    dynamodb.put_item(TableName="ledger", Item=item | {"version": {"N": "1"}, "intent": {"S": json.dumps(intent)}})
    assert ledger.recall(KEY, NOW).incidents == (incident.with_intent(replace(incident.intent, left=LEFT)),)


@pytest.mark.parametrize(
    ("edited", "says"),
    [
        pytest.param(
            {"version": {"N": "3"}}, "version 3, .* deploy the newer controller", id="written by a newer version"
        ),
        pytest.param({"version": {"N": "0"}}, "version 0, .* mend or delete", id="written by an older version"),
        pytest.param({"state": {"S": "fine"}}, "'fine' is not a valid Phase", id="edited by hand"),
        pytest.param({"intent": {"S": '{"method": "UpdateService"'}}, "Expecting ',' delimiter", id="cut off"),
        pytest.param({"intent": {"S": "{}"}}, "intent.method is missing", id="half there"),
        pytest.param({"claimed_at": {"S": "2026-03-02T09:00:00"}}, "has no time zone", id="a time without its zone"),
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
    with pytest.raises(LedgerRecordError, match=r"service#prod/auth pause: .*tomorrow.*mend or delete"):
        ledger.recall(KEY, NOW)


def test_history_goes_on_where_the_page_before_ended_and_refuses_what_no_page_gave(ledger: Ledger) -> None:
    for number in range(3):
        claim(ledger, NOW + minutes(number), f"again-{number}")
    first = ledger.history(None, 2, None)
    rest = ledger.history(None, 2, first.next)
    assert [i.claimed_at for i in (*first.incidents, *rest.incidents)] == [NOW + minutes(2), NOW + minutes(1), NOW]
    assert rest.next is None
    numbers = dict.fromkeys(("pk", "sk", "timeline", "at"), 1)
    for nonsense in ("xyz", "e30=", base64.urlsafe_b64encode(json.dumps(numbers).encode()).decode()):
        with pytest.raises(ValueError, match=r"."):
            ledger.history(None, 2, nonsense)
    of_this_one = ledger.history(KEY, 1, None).next
    with pytest.raises(ValueError, match="another service's list"):
        ledger.history(ServiceKey("prod", "mail"), 1, of_this_one)


def test_a_record_that_is_half_there_keeps_no_other_service_from_being_looked_after(ledger: Ledger) -> None:
    half: Any = {"pk": f"service#{KEY}", "sk": "incident#half", "unfinished": "yes", "due_at": NOW.isoformat()}
    other = half | {"pk": "service#prod/mail", "cluster": "prod", "service": "mail"}
    for item in (half, other, half | {"pk": "nonsense"}):
        ledger.clients.dynamodb.put_item(TableName="ledger", Item={k: {"S": v} for k, v in item.items()})
    assert set(ledger.due(NOW + minutes(1))) == {KEY, ServiceKey("prod", "mail")}
