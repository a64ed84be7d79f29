"""What every ledger does: who loses a write is told so, and what is kept is told again.

A module that has the fixtures `ledger` and `another`, which is another invocation's ledger on the same table, takes the
tests by importing them.
"""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from autorollback.aws.ledger import Notice, RecordChanged, UnsentNotice
from autorollback.aws.ledger_items import new_incident
from autorollback.aws.ports import Ledger as LedgerPort
from autorollback.decision.facts import Deployment, KnownGood, Revision, Status, TrafficReading
from autorollback.decision.incident import (
    Event,
    Incident,
    Intent,
    LeftRevision,
    Phase,
    RollbackMethod,
)
from autorollback.decision.ledger_state import (
    PendingCheck,
    RecentDeployment,
    RedWatch,
    verdict_marks,
)
from autorollback.decision.result import Outcome, Result, TargetSummary
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY = ServiceKey("prod", "auth")
BAD = Deployment(
    "arn:aws:ecs:eu-west-1:123456789012:service-deployment/prod/auth/abc",
    Status.SUCCESSFUL,
    NOW,
    "rev",
)
RESULT = Result(
    Outcome.ROLLED_BACK,
    Reason.ALARM_AFTER_DEPLOYMENT,
    "rolled back",
    goes_to=TargetSummary("auth:18"),
)
INTENT = Intent(
    method=RollbackMethod.UPDATE_SERVICE,
    target="auth:18",
    deploy="auth:18",
    digests={"app": "sha256:1"},
    needs_copy=False,
    service_arn="arn:service",
    result=RESULT,
)
LEFT = (LeftRevision("bad-build", "auth:19", {"app": None}, "seen", ("5xx-rate", "latency")),)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


def claimed(at: datetime = NOW, *, automatic: bool = True, suffix: str = "") -> Incident:
    intent = replace(INTENT, request_id=str(at))
    return new_incident(KEY, BAD, at, intent, automatic=automatic, suffix=suffix)


def claim(ledger: LedgerPort, at: datetime = NOW, suffix: str = "") -> Incident:
    incident = claimed(at, suffix=suffix)
    assert ledger.claim(incident)
    return incident


def opened(incident: Incident) -> Incident:
    return replace(incident.after(Event.ACTED), result=RESULT)


def test_one_judgement_at_a_time_until_its_owner_is_done_or_its_time_is_over(
    ledger: LedgerPort, another: LedgerPort
) -> None:
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2))
    assert not another.lease(KEY, "two", NOW, NOW + minutes(2))
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2)), "its own retry goes on at once"
    assert another.lease(KEY, "two", NOW + minutes(3), NOW + minutes(5)), (
        "a lease whose time is over is taken over"
    )
    ledger.release_lease(KEY, "one")
    assert not ledger.lease(KEY, "three", NOW + minutes(4), NOW + minutes(6)), (
        "who lost it cannot give it back"
    )


def test_a_deployment_is_claimed_once(ledger: LedgerPort) -> None:
    claim(ledger)
    later = claimed(NOW + minutes(1), automatic=False)
    assert not ledger.claim(later)
    assert ledger.claim(claimed(automatic=False, suffix="forced-person"))


def test_a_claim_whose_answer_was_lost_is_still_its_owners(ledger: LedgerPort) -> None:
    assert ledger.claim(claim(ledger)), "the client sent the same write again"


def test_a_forced_claim_closes_the_held_one_which_then_cannot_write_any_more(
    ledger: LedgerPort,
) -> None:
    held = claim(ledger)
    forced = claimed(NOW + minutes(1), automatic=False, suffix="forced-person")
    assert ledger.claim(forced, over=held)
    assert {i.phase for i in ledger.recall(KEY, NOW).incidents} == {Phase.CLAIMED, Phase.FAILED}
    with pytest.raises(RecordChanged):
        ledger.finish(opened(held), NOW, "one", LEFT, NOW)
    assert ledger.recall(KEY, NOW).state.quarantined == {}, (
        "the record and the quarantine are one stroke"
    )


def test_who_read_an_older_step_of_a_record_does_not_overwrite_the_newer_one(
    ledger: LedgerPort,
) -> None:
    incident = claim(ledger)
    written = ledger.finish(opened(incident), NOW, "one", LEFT, NOW)
    with pytest.raises(RecordChanged):
        ledger.save(incident.closed(Event.GIVEN_UP, RESULT, NOW), None)
    with pytest.raises(RecordChanged):
        ledger.retract(incident)
    ledger.save(replace(written, announced=True), None)
    memory = ledger.recall(KEY, NOW).state
    assert [r.is_open for r in memory.rollbacks] == [True]
    assert memory.quarantined == {"bad-build": LEFT[0].quarantined_at(NOW)}


def test_the_last_word_ends_the_lease_with_the_same_stroke(
    ledger: LedgerPort, another: LedgerPort
) -> None:
    assert ledger.lease(KEY, "one", NOW, NOW + minutes(2))
    ledger.finish(claim(ledger), NOW, "one")
    assert another.lease(KEY, "two", NOW, NOW + minutes(2))
    stale = claim(ledger, NOW + minutes(1), "again-1")
    ledger.finish(stale, NOW, "one")
    assert not ledger.lease(KEY, "three", NOW, NOW + minutes(2)), (
        "the lease of the other was left alone"
    )


def test_what_has_not_been_acted_counts_for_nothing_in_a_judgement(ledger: LedgerPort) -> None:
    incident = claim(ledger)
    assert ledger.recall(KEY, NOW).state.rollbacks == ()
    failed = replace(RESULT, outcome=Outcome.FAILED)
    ledger.save(replace(incident.closed(Event.GIVEN_UP, failed, NOW), announced=True), None)
    recalled = ledger.recall(KEY, NOW)
    assert (recalled.state.rollbacks, recalled.unfinished_claim) == ((), None)
    assert ledger.claim(claimed(suffix="again-1"))


def test_only_what_is_due_is_due(ledger: LedgerPort) -> None:
    claim(ledger, NOW + minutes(5))
    ledger.add_pending_check(
        ServiceKey("prod", "web"), PendingCheck(BAD.arn, NOW, NOW + minutes(10))
    )
    assert ledger.due(NOW + minutes(4)) == ()
    assert ledger.due(NOW + minutes(5)) == (KEY,)
    assert set(ledger.due(NOW + minutes(10))) == {KEY, ServiceKey("prod", "web")}
    assert ledger.recall(ServiceKey("prod", "web"), NOW).pending_checks == (
        PendingCheck(BAD.arn, NOW, NOW + minutes(10)),
    )


def test_people_are_told_once_of_a_verdict_and_every_alarm_has_its_own(ledger: LedgerPort) -> None:
    held = Result(Outcome.HELD, Reason.ALARM_IS_FLAPPING, "it comes and goes")

    def tell(alarm: str) -> UnsentNotice | None:
        marks = verdict_marks(BAD.arn, (alarm,))
        return ledger.should_notify(
            KEY, Notice(BAD.arn, "alarm_is_flapping", held, "arn:service", marks), NOW
        )

    assert tell("5xx")
    assert ledger.due(NOW) == (KEY,), "the sweep sends it, if nobody else does"
    unsent = tell("5xx")
    assert unsent, "the message did not go out"
    assert ledger.recall(KEY, NOW).unsent == (unsent.sort_key,)
    assert ledger.unsent_notice(KEY, unsent.sort_key) == unsent
    half = replace(unsent, machines_told=True)
    ledger.notified(KEY, half)
    assert (ledger.due(NOW), ledger.unsent_notice(KEY, unsent.sort_key)) == ((KEY,), half)
    assert tell("5xx") == half, "machines are not told again"
    ledger.notified(KEY, replace(half, people_told=True))
    assert not tell("latency")
    assert ledger.unsent_notice(KEY, unsent.sort_key) is None
    assert (ledger.recall(KEY, NOW).unsent, ledger.due(NOW)) == ((), ())
    assert ledger.recall(KEY, NOW).judged == frozenset(verdict_marks(BAD.arn, ("5xx", "latency")))


def test_the_newest_time_that_a_build_ran_well_stands(ledger: LedgerPort) -> None:
    revision = Revision("rev", "auth:18", "arn:auth:18", NOW, {"app": "sha256:1"}, "good-build")
    for until in (NOW + minutes(90), NOW + minutes(60)):
        ledger.save_known_good(KEY, KnownGood(revision, NOW, until, 1200))
    (known,) = ledger.recall(KEY, NOW).state.known_good
    assert (known.until, known.requests, known.revision.identity) == (
        NOW + minutes(90),
        1200,
        "good-build",
    )


def test_what_is_not_kept_any_more_is_removed(ledger: LedgerPort) -> None:
    """Thirty builds of one week: the newest twenty stay."""
    for number in range(30):
        revision = Revision("rev", "auth:18", "arn:auth:18", NOW, {}, f"build-{number}")
        until = NOW - minutes(600 - number)
        ledger.save_known_good(KEY, KnownGood(revision, NOW - minutes(900), until, 1200))
    recalled = ledger.recall(KEY, NOW)
    assert len(recalled.state.known_good) == 20
    assert len(recalled.surplus) == 10
    ledger.trim(KEY, recalled.surplus, NOW)
    trimmed = ledger.recall(KEY, NOW)
    assert (len(trimmed.state.known_good), trimmed.surplus) == (20, ())


def test_history_goes_on_where_the_page_before_ended_and_refuses_what_no_page_gave(
    ledger: LedgerPort,
) -> None:
    for number in range(3):
        claim(ledger, NOW + minutes(number), f"again-{number}")
    first = ledger.history(None, 2, None)
    rest = ledger.history(None, 2, first.next)
    assert [i.claimed_at for i in (*first.incidents, *rest.incidents)] == [
        NOW + minutes(2),
        NOW + minutes(1),
        NOW,
    ]
    assert rest.next is None
    numbers = dict.fromkeys(("pk", "sk", "timeline", "at"), 1)
    for nonsense in (
        "xyz",
        "e30=",
        base64.urlsafe_b64encode(json.dumps(numbers).encode()).decode(),
    ):
        with pytest.raises(ValueError, match=r"."):
            ledger.history(None, 2, nonsense)
    of_this_one = ledger.history(KEY, 1, None).next
    with pytest.raises(ValueError, match="list"):
        ledger.history(ServiceKey("prod", "mail"), 1, of_this_one)


def test_a_lifted_quarantine_is_lifted(ledger: LedgerPort) -> None:
    ledger.finish(opened(claim(ledger)), NOW, "one", LEFT, NOW)
    (quarantine,) = ledger.quarantines(KEY)
    assert (quarantine.task_definition, quarantine.at) == ("auth:19", NOW)
    ledger.release(KEY, quarantine, "mended", NOW)
    assert ledger.quarantines(KEY) == ()
    assert ledger.recall(KEY, NOW).state.quarantined == {}


def test_a_pause_holds_until_its_time_or_its_end(ledger: LedgerPort, another: LedgerPort) -> None:
    until = NOW + minutes(10)
    ledger.pause(KEY, until, "on purpose", NOW)
    assert another.recall(KEY, NOW).state.paused_until == until
    assert another.recall(KEY, until).state.paused_until is None
    ledger.resume(KEY)
    ledger.resume(KEY)
    assert another.recall(KEY, NOW).state.paused_until is None
    ledger.pause(None, until, None, NOW)
    assert another.pause_of_all() == until
    assert another.recall(KEY, NOW).state.paused_until is None, "it is of all, not of the service"
    ledger.resume(None)
    assert another.pause_of_all() is None


def test_when_an_alarm_was_last_heard_muted_is_known(ledger: LedgerPort) -> None:
    ledger.record_muted(KEY, "alarm", NOW)
    ledger.record_muted(KEY, "alarm", NOW + minutes(1))
    assert ledger.recall(KEY, NOW).muted == {"alarm": NOW + minutes(1)}


def test_what_the_sweep_looked_into_is_due_no_more(ledger: LedgerPort) -> None:
    of_tasks = PendingCheck("", NOW, NOW, tasks=True)
    turned_away = PendingCheck("", NOW, NOW, named="ecs-svc/1")
    for check in (of_tasks, turned_away):
        ledger.add_pending_check(KEY, check)
    ledger.remove_pending_check(KEY, of_tasks)
    assert ledger.recall(KEY, NOW).pending_checks == (turned_away,)
    ledger.remove_pending_check(KEY, turned_away)
    assert ledger.due(NOW) == ()


def test_failures_that_nobody_looked_into_yet_are_kept_apart(ledger: LedgerPort) -> None:
    newer = PendingCheck("", NOW, NOW, named="ecs-svc/2")
    late_news_of_an_older = PendingCheck("", NOW - minutes(9), NOW, named="ecs-svc/1")
    ledger.add_pending_check(KEY, newer)
    ledger.add_pending_check(KEY, late_news_of_an_older)
    assert set(ledger.recall(KEY, NOW).pending_checks) == {newer, late_news_of_an_older}


def test_what_was_seen_of_a_deployments_traffic_is_kept_when_it_is_watched_no_more(
    ledger: LedgerPort,
) -> None:
    later, until = NOW + minutes(5), NOW + minutes(600)
    unserved = TrafficReading(BAD.arn, unserved_at=NOW)
    ledger.keep_traffic(KEY, unserved, until, NOW)
    assert (ledger.due(NOW), ledger.recall(KEY, NOW).watched) == ((KEY,), (BAD.arn,))
    for moment in (later, later + minutes(5)):
        ledger.keep_traffic(KEY, TrafficReading(BAD.arn, baking_at=moment), until, moment)
    ledger.keep_traffic(KEY, TrafficReading(BAD.arn), until, None)
    recalled = ledger.recall(KEY, NOW)
    assert recalled.state.traffic == (TrafficReading(BAD.arn, NOW, later),)
    assert (ledger.due(until), recalled.watched) == ((), ())


def test_only_a_claim_can_be_taken_back(ledger: LedgerPort) -> None:
    acted = ledger.finish(opened(claim(ledger)), NOW, "one")
    with pytest.raises(RecordChanged):
        ledger.retract(acted)
    another_one = claim(ledger, NOW + minutes(1), "again-1")
    ledger.retract(another_one)
    assert ledger.recall(KEY, NOW).incidents == (acted,)
    assert ledger.claim(another_one), "nothing stays of it"


def test_the_alarms_under_a_users_own_are_kept_as_they_were_read_last(ledger: LedgerPort) -> None:
    assert ledger.recall(KEY, NOW).alarm_trees == {}
    ledger.save_alarm_trees(KEY, {"checkout": ("payments", "a b"), "queue": ("x",)})
    ledger.save_alarm_trees(KEY, {"checkout": ("payments",)})
    assert ledger.recall(KEY, NOW).alarm_trees == {"checkout": ("payments",)}


HOLD = Result(Outcome.HELD, Reason.SHARED_CAUSE, "held", "prod", "auth")


def red_watch(at: datetime, *red: str, message: Result = HOLD) -> RedWatch:
    return RedWatch(BAD.arn, at, red, message, "arn:service")


def test_the_first_time_and_alarms_of_a_red_watch_stand_and_its_newest_message(
    ledger: LedgerPort,
) -> None:
    later = replace(HOLD, summary="held again")
    ledger.watch_red(KEY, red_watch(NOW, "a", "b"))
    ledger.watch_red(KEY, red_watch(NOW + minutes(3), "b", "c", message=later))
    (watch,) = ledger.recall(KEY, NOW).red_watches
    assert watch == red_watch(NOW, "a", "b", message=later)
    assert ledger.due(NOW + minutes(14)) == ()
    assert ledger.due(NOW + minutes(15)) == (KEY,)


def test_a_red_watch_of_which_nobody_was_told_begins_anew(ledger: LedgerPort) -> None:
    watch, later = red_watch(NOW, "a"), red_watch(NOW + minutes(20), "b")
    ledger.watch_red(KEY, watch)
    ledger.end_red_watch(KEY, watch, NOW + minutes(15), told=False)
    assert ledger.due(NOW + minutes(60)) == ()
    ledger.watch_red(KEY, later)
    assert ledger.recall(KEY, NOW).red_watches == (later,)


def test_a_red_watch_is_told_once(ledger: LedgerPort) -> None:
    watch = red_watch(NOW, "a")
    ledger.watch_red(KEY, watch)
    ledger.end_red_watch(KEY, watch, NOW + minutes(15), told=True)
    ledger.watch_red(KEY, red_watch(NOW + minutes(20), "a"))
    assert ledger.recall(KEY, NOW).red_watches == ()
    assert ledger.due(NOW + minutes(60)) == ()


def test_what_was_deployed_in_a_time_is_told_newest_first(ledger: LedgerPort) -> None:
    mail = ServiceKey("prod", "mail")
    for key, at in ((KEY, 0), (mail, 5), (KEY, 9), (mail, 20)):
        ledger.save_deployment(RecentDeployment(key, f"{key.service}:{at}", NOW + minutes(at)))
    found = ledger.deployed_between(NOW + minutes(5), NOW + minutes(9))
    assert [one.task_definition for one in found] == ["auth:9", "mail:5"]
    assert ledger.due(NOW + minutes(60)) == ()
