"""Years of deployments leave records that stay small: a service that is deployed twenty times a day for ten years."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autorollback import results
from autorollback.aws.ledger_items import (
    FACTS_LIMIT,
    incident_item,
    new_incident,
    packed_facts,
    service_ledger,
    size_once_ended,
    to_attributes,
    unpacked,
)
from autorollback.codec import read_record
from autorollback.decision import plan as plans
from autorollback.decision.checks.dependencies import findings
from autorollback.decision.facts import KnownGood, Revision
from autorollback.decision.incident import Intent, RollbackMethod
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.preflight import assessed
from autorollback.decision.result import Outcome
from autorollback.decision.retention import (
    KNOWN_GOOD_KEPT,
    NOTICES_KEPT,
    WEEKS_KEPT,
    Kept,
    cut_to,
    kept_of,
)
from autorollback.decision.verdicts import Candidate, CandidateVerdict, CheckName, Reason, RollBack
from autorollback.naming import ServiceKey
from tests.scenarios.history import ARN, NOW, History, days, incident, minutes

KEY = ServiceKey("shop", "auth")
DEPLOYED = 73_000
APART = timedelta(days=1) / 20
NEWEST, HOUR = NOW - minutes(11), minutes(60)
QUARTER = 100_000
"""Bytes: a quarter of what DynamoDB takes (400 KB), and less than half of SNS's and EventBridge's 256 KB."""


def digest(what: object) -> str:
    return f"sha256:{hashlib.sha256(str(what).encode()).hexdigest()}"


def images(build: object) -> dict[str, str | None]:
    """Ten containers, each with an image of its own."""
    return {f"container-{n}": digest(f"{build} {n}") for n in range(10)}


def ended(number: int) -> datetime:
    return NEWEST - (DEPLOYED - 1 - number) * APART


def item_of(number: int) -> Mapping[str, Any]:
    """A known-good record as the first version wrote it."""
    until = ended(number)
    return {
        "pk": f"service#{KEY}",
        "sk": f"good#{number:064}",
        "revision": f"{ARN}:service-revision/shop/auth/{number:020}",
        "task_definition": f"auth:{number}",
        "task_definition_arn": f"{ARN}:task-definition/auth:{number}",
        "images": {},
        "since": (until - HOUR).isoformat(timespec="milliseconds"),
        "until": until.isoformat(timespec="milliseconds"),
        "requests": 1000,
    }


def items() -> Iterator[Mapping[str, Any]]:
    """All of them in the order of their keys, which is no order of time."""
    for number in sorted(range(DEPLOYED), key=lambda n: hash((n, "any order"))):
        yield item_of(number)


def test_of_ten_years_of_known_good_records_a_few_are_kept_and_the_rest_is_surplus() -> None:
    ledger = service_ledger(items(), NOW)
    good = ledger.state.known_good
    assert KNOWN_GOOD_KEPT < len(good) <= KNOWN_GOOD_KEPT + WEEKS_KEPT
    assert len(good) + len(ledger.surplus) == DEPLOYED
    names = {record.revision.task_definition for record in good}
    newest = {f"auth:{number}" for number in range(DEPLOYED - KNOWN_GOOD_KEPT, DEPLOYED)}
    assert newest <= names
    assert min(record.until for record in good) < NOW - timedelta(weeks=WEEKS_KEPT - 2)


def test_no_more_than_some_hundred_are_held_while_they_are_read() -> None:
    kept, most = Kept(NOW), 0
    for number in range(5000):
        kept.add(str(number), ended(number))
        most = max(most, len(kept._seen))
    assert most == 500
    assert kept.names() == kept_of({str(n): ended(n) for n in range(5000)}, NOW)


def test_the_newest_of_a_week_stays_it_as_the_weeks_pass() -> None:
    """Daily records, trimmed daily for a year."""
    seen: dict[str, datetime] = {}
    begin = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
    for day in range(365):
        now = begin + days(day)
        seen[str(day)] = now
        kept = kept_of(seen, now)
        seen = {name: until for name, until in seen.items() if name in kept}
    assert len(seen) >= KNOWN_GOOD_KEPT + WEEKS_KEPT - 4
    assert min(seen.values()) < begin + days(364) - timedelta(weeks=WEEKS_KEPT - 2)


def test_a_service_that_is_deployed_seldom_keeps_what_is_older_than_the_weeks() -> None:
    seen = {str(year): NOW - timedelta(days=365 * year) for year in range(9)}
    assert kept_of(seen, NOW) == set(seen)


def test_what_is_kept_are_the_newest_twenty_and_the_newest_of_each_of_twenty_six_weeks() -> None:
    of_a_day = {str(number): NOW - minutes(number) for number in range(30)}
    assert kept_of(of_a_day, NOW) == {str(number) for number in range(20)}
    weekly = {str(number): NOW - days(7 * number) for number in range(60)}
    assert kept_of(weekly, NOW) == {str(number) for number in range(26)}


def test_a_week_is_from_monday_to_sunday() -> None:
    """Twenty of today, and one of each day of two weeks in October."""
    seen = {f"today {number}": NOW - minutes(number) for number in range(20)}
    monday = datetime(2026, 10, 12, 9, 0, tzinfo=UTC)
    for day in range(14):
        seen[f"day {day}"] = monday + days(day)
    assert set(seen) - kept_of(seen, NOW) == {f"day {day}" for day in range(13) if day != 6}


def test_of_a_record_that_had_to_be_cut_the_newest_forty_of_each_are_kept() -> None:
    """Of the notes of what is missing too; at the end it says that it was cut."""
    story = busy(3)
    for number in range(60):
        story.quarantined(f"q{number}", ago=days(number)).rolled_back("v0", ago=days(number))
    names = tuple(map(str, range(60)))
    facts = replace(story.facts(), undescribed=names, unread=names)
    cut = cut_to(facts, 50, 5)
    assert cut.deployments == facts.deployments
    assert set(cut.ledger.quarantined) == {f"q{number}" for number in range(40)}
    assert cut.ledger.rollbacks == facts.ledger.rollbacks[:40]
    assert cut.undescribed == names[:40]
    assert cut.unread[:40] == names[:40]
    assert len(cut.unread) == 41


def test_of_a_record_that_had_to_be_cut_what_belongs_to_its_deployments_is_kept() -> None:
    """Of the last two, what they brought and what they replaced."""
    facts = busy(5).facts()
    cut = cut_to(facts, 2, 5)
    newest = [deployment.target for deployment in facts.deployments[:3]]
    assert set(cut.revisions) == set(newest)
    assert set(cut.requests) == set(newest)


def closed(ago: timedelta) -> Mapping[str, Any]:
    """An incident that was closed so long ago."""
    story = incident().deployed("v1", ago=days(900)).deployed("v2", ago=ago)
    intent = Intent(
        request_id="r",
        method=RollbackMethod.UPDATE_SERVICE,
        target="t",
        deploy="t",
        digests={},
        needs_copy=False,
        service_arn="s",
        result=results.judged(Outcome.ROLLED_BACK, Reason.REQUESTED, "done", KEY),
    )
    opened = new_incident(KEY, story.deployments[1], NOW - ago, intent, automatic=True)
    item = incident_item(replace(opened, closed_at=NOW - ago), None)
    return {name: value for name, value in item.items() if value is not None}


@pytest.mark.parametrize(("ago", "kept"), [(days(89), 1), (days(90), 1), (days(91), 0)])
def test_incidents_are_kept_for_ninety_days(ago: timedelta, kept: int) -> None:
    item = closed(ago)
    ledger = service_ledger([item], NOW)
    assert len(ledger.incidents) == kept
    assert ledger.surplus == (() if kept else (item["sk"],))
    assert item["expires_at"] == int((NOW - ago + days(90)).timestamp())


def notice(number: int, **more: object) -> Mapping[str, Any]:
    """One message, so many minutes ago; the names are in no order of time."""
    at = (NOW - minutes(number)).isoformat(timespec="milliseconds")
    return {"pk": f"service#{KEY}", "sk": f"told#{number * 7919 % 5000:04}#x", "at": at, **more}


def test_of_messages_about_no_incident_the_newest_are_kept_and_those_not_sent_yet() -> None:
    """An alarm of nobody's deployment comes and goes fifty times a day, for a month."""
    told = [notice(number, judged={f"mark-{number}"}) for number in range(1500)]
    unsent = notice(2000, unfinished="yes")
    ledger = service_ledger([unsent, *told], NOW)
    assert ledger.judged == {f"mark-{number}" for number in range(NOTICES_KEPT)}
    assert ledger.unsent == (unsent["sk"],)
    assert set(ledger.surplus) == {item["sk"] for item in told[NOTICES_KEPT:]}


def busy(deployments: int) -> History:
    """Builds of ten containers, one every fifteen minutes: none was stable; v0 was, long before."""
    story = incident().deployed("v0", ago=days(80))
    for number in range(deployments):
        story.deployed(f"b{number}", ago=minutes(15 * (deployments - number)))
    for arn, revision in story.revisions.items():
        build = arn.rpartition("/")[2]
        story.revisions[arn] = replace(revision, images=images(build), identity=digest(build))
    return story.alarm("5xx-rate", onset=minutes(12))


def remembered(number: int) -> KnownGood:
    revision = Revision(
        arn=f"{ARN}:service-revision/shop/auth/{number:020}",
        task_definition=f"auth:{number}",
        task_definition_arn=f"{ARN}:task-definition/auth:{number}",
        created_at=NOW - days(900),
        images=images(number),
        identity=digest(number),
    )
    return KnownGood(revision, NOW - days(number + 1), NOW - days(number), 5000)


def size_of(document: object) -> int:
    return len(json.dumps(document, default=str).encode())


def test_the_record_of_a_judgement_of_a_long_past_stays_small() -> None:
    """Six hundred deployments with ten containers each, and all that the ledger keeps.

    What judges such a record again is told that it is not whole.
    """
    story = busy(600)
    story.memory = replace(story.memory, known_good=tuple(map(remembered, range(46))))
    packed = packed_facts(story.facts(), story.policy, NOW)
    assert packed is not None
    assert len(packed) <= FACTS_LIMIT
    facts, _, _ = read_record(unpacked(packed))
    assert facts.deployments == story.facts().deployments[: len(facts.deployments)]
    assert "left out of this record" in facts.unread[-1]


def test_items_messages_and_events_stay_small_with_a_thousand_secrets() -> None:
    """A chain of two hundred builds is to blame; forty candidates, of which none has its secrets."""
    story = busy(200)
    statuses = {
        f"arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/token-{n:04}": (
            DependencyStatus(wrong="there is no such secret")
        )
        for n in range(1000)
    }
    failed = findings(CheckName.SECRETS_PRESENT, statuses, NOW)
    considered = []
    for number in range(40):
        candidate = Candidate(remembered(number).revision, CandidateVerdict.STABLE, "served 6 d")
        considered.append(assessed(candidate, failed))
    chosen = replace(considered[-1], verdict=CandidateVerdict.CHOSEN)
    result = results.judged(
        Outcome.ROLLED_BACK, Reason.REQUESTED, "done", KEY, (), (*considered[:-1], chosen)
    )
    assert len(result.candidates) == 10
    assert result.candidates[-1].verdict is CandidateVerdict.CHOSEN
    assert result.more_candidates == 30
    assert size_of(results.to_json(result)) < QUARTER / 2

    facts = story.facts()
    suspect = story.deployments[1]
    verdict = RollBack(Reason.REQUESTED, "d", suspect, story.deployments[-1], (chosen,))
    left = plans.left_behind(facts, verdict, chosen)
    assert len(left) == 20
    assert left[-1].identity == facts.revisions[suspect.target].identity, "what is blamed is one"
    intent = Intent(
        request_id="r",
        method=RollbackMethod.UPDATE_SERVICE,
        target="t",
        deploy="t",
        digests=images("target"),
        needs_copy=False,
        service_arn="s",
        left=left,
        result=result,
    )
    claim = new_incident(KEY, suspect, NOW, intent, automatic=True)
    kept = packed_facts(facts, story.policy, NOW, beside=size_once_ended(claim))
    claim = replace(claim.with_result(result), facts=kept)
    assert size_of(to_attributes(incident_item(claim, NOW))) < QUARTER
