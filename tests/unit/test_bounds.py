"""What is told stays within what AWS takes, however much there is to tell."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autorollback import results
from autorollback.aws.announcer import Announcer
from autorollback.aws.clients import Clients
from autorollback.aws.ledger_items import (
    incident_copy,
    incident_item,
    new_incident,
    packed_facts,
    size_once_ended,
    to_attributes,
    unpacked,
)
from autorollback.codec import read_record
from autorollback.decision.checks.dependencies import findings
from autorollback.decision.facts import AlarmPeriod, Facts, Secret
from autorollback.decision.incident import Event, Incident, Intent, RollbackMethod
from autorollback.decision.lookups import DependencyStatus
from autorollback.decision.preflight import assessed
from autorollback.decision.result import LookAt, Outcome, Result, RevisionSummary, TargetSummary
from autorollback.decision.verdicts import (
    Candidate,
    CandidateVerdict,
    Check,
    CheckName,
    FindingVerdict,
    Reason,
    RuleFinding,
)
from autorollback.flows.readiness_report import report_of
from autorollback.naming import ServiceKey
from autorollback.results import FindingSeverity, ReadinessFinding, ServiceReadiness
from tests.scenarios.history import NOW, days, minutes
from tests.unit.test_retention import KEY, QUARTER, busy, digest, images, remembered, size_of

SNS_TAKES = EVENTBRIDGE_TAKES = 262_144
LONG = ServiceKey("c" * 255, "s" * 255)


class Recorded:
    """Takes what is published, and refuses what AWS would."""

    def __init__(self) -> None:
        self.sns = self.events = self
        self.published: list[dict[str, Any]] = []
        self.entries: list[dict[str, Any]] = []

    def publish(self, **message: Any) -> None:
        attributes = message.get("MessageAttributes", {})
        size = len(message["Message"].encode()) + len(json.dumps(attributes))
        assert size <= SNS_TAKES
        self.published.append({**message, "forms": json.loads(message["Message"])})

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        (entry,) = Entries
        assert sum(len(str(value).encode()) for value in entry.values()) <= EVENTBRIDGE_TAKES
        self.entries.append({**entry, "detail": json.loads(entry["Detail"])})
        return {"FailedEntryCount": 0, "Entries": []}


def announcer(recorded: Recorded) -> Announcer:
    return Announcer(cast("Clients", recorded), "arn:topic", "auto-rollback")


@cache
def heavy_candidates() -> Sequence[Candidate]:
    """Forty builds of ten containers and a thousand secrets each, of which all are gone."""
    arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/service"
    gone = {
        f"{arn}/token-{n:04}-AbCdEf:password::": DependencyStatus(wrong="there is no such secret")
        for n in range(1000)
    }
    failed = findings(CheckName.SECRETS_PRESENT, gone, NOW)
    absent: list[Check] = []
    for name, ran in images("old").items():
        detail = f"{name}: {'team/repository/' * 20}{name}@{ran} is not in ECR"
        absent.append(Check(CheckName.IMAGE_PRESENT, passed=False, detail=detail))
    found: list[Candidate] = []
    for number in range(40):
        candidate = Candidate(remembered(number).revision, CandidateVerdict.STABLE, "served 6 d")
        found.append(assessed(candidate, (*absent, *failed)))
    return found


def heavy_result(detail: str = "x" * 1500) -> Result:
    chosen = Candidate(
        remembered(40).revision,
        CandidateVerdict.CHOSEN,
        "served 6 d",
        tuple(Check(CheckName.IMAGE_PRESENT, passed=True, detail="y" * 900) for _ in range(12)),
    )
    evidence = [RuleFinding(f"rule_{n}", FindingVerdict.PASSED, "z" * 300) for n in range(20)]
    evidence.append(RuleFinding("requested", FindingVerdict.ROLL_BACK, detail))
    result = results.judged(
        Outcome.ROLLED_BACK, Reason.REQUESTED, detail, LONG, evidence, [*heavy_candidates(), chosen]
    )
    family = f"{'f' * 255}:12345"
    looks = [LookAt("c" * 255, "s" * 255, family, NOW)] * 3
    return replace(
        result,
        came_from=RevisionSummary(family, images("bad")),
        goes_to=TargetSummary(family, images("good"), family),
        look_at=tuple(looks),
        requested_by="é" * 200,
        incident_id=f"{LONG}/{NOW.isoformat()}/{'d' * 36}",
    )


def heavy_facts(spells: int, secrets: int = 1000, deployments: int = 200) -> Facts:
    """A month of flapping alarms, many builds of ten containers, a thousand secrets."""
    facts = busy(deployments).facts()
    flapped: list[AlarmPeriod] = []
    for number in range(spells):
        since = NOW - days(29) + number * timedelta(seconds=29 * 86_400 / spells)
        flapped.append(AlarmPeriod(since, since + timedelta(milliseconds=hash(number) % 30_000)))
    given = [Secret(f"secret-{digest(n)}", NOW - minutes(n)) for n in range(secrets)]
    alarms = [
        replace(alarm, spells=tuple(flapped), history_from=NOW - days(30)) for alarm in facts.alarms
    ]
    return replace(facts, alarms=tuple(alarms), secrets=tuple(given))


def heavy_claim(facts: Facts) -> Incident:
    result = heavy_result()
    intent = Intent(
        request_id="r" * 36,
        method=RollbackMethod.UPDATE_SERVICE,
        target="t" * 300,
        deploy="t" * 300,
        digests=images("good"),
        needs_copy=True,
        service_arn="s" * 600,
        result=result,
        words="w" * 1000,
    )
    story = busy(3)
    claim = new_incident(KEY, story.deployments[1], NOW, intent, automatic=True)
    kept = packed_facts(facts, story.policy, NOW, beside=size_once_ended(claim))
    return replace(claim, facts=kept)


def test_the_candidates_of_a_result_keep_what_failed_and_the_chosen_its_checks() -> None:
    result = heavy_result()
    assert len(result.candidates) == 10
    assert size_of(results.to_json(result)) < QUARTER / 3
    assert len(result.candidates[-1].checks) == 12, "of what was chosen all checks are told"
    for passed_over in result.candidates[:-1]:
        assert "is not in ECR" in passed_over.detail


def test_the_oldest_that_were_passed_over_lose_their_checks_first() -> None:
    checks = tuple(Check(CheckName.IMAGE_PRESENT, None, "x" * 140) for _ in range(8))
    revision = remembered(1).revision
    passed_over = Candidate(revision, CandidateVerdict.PASSED_OVER, "d", checks)
    summaries = results.summaries_of([passed_over] * 9)
    assert [len(one.checks) for one in summaries] == [8, 8, 8, 0, 0, 0, 0, 0, 0]


def test_short_candidates_lose_nothing() -> None:
    checks = (Check(CheckName.IMAGE_PRESENT, passed=True, detail="is in ECR"),)
    revision = remembered(1).revision
    candidates = [Candidate(revision, CandidateVerdict.STABLE, "d", checks)] * 10
    summaries = results.summaries_of(candidates)
    assert [len(one.checks) for one in summaries] == [1] * 10


@pytest.mark.parametrize("spells", [300, 4000])
def test_no_item_of_an_incident_is_larger_than_a_quarter_of_what_is_taken(spells: int) -> None:
    """As a claim, as it is opened while nobody can be told, and as it ends so."""
    claim = heavy_claim(heavy_facts(spells))
    assert claim.facts is not None
    opened = replace(claim.after(Event.ACTED), result=claim.intent.result)
    ended = opened.closed(Event.NOT_CALM, opened.shown, NOW)
    for incident in (claim, opened, ended):
        for item in (incident_item(incident, NOW), incident_copy(incident, NOW)):
            assert size_of(to_attributes(item)) < QUARTER


@pytest.mark.parametrize("spells", [300, 4000])
def test_facts_that_were_cut_are_kept_and_say_what_is_missing(spells: int) -> None:
    whole = heavy_facts(spells)
    kept = packed_facts(whole, busy(3).policy, NOW, beside=60_000)
    assert kept is not None
    facts, _, _ = read_record(unpacked(kept))
    assert facts.unread[-1].endswith("left out of this record")
    for alarm, before in zip(facts.alarms, whole.alarms, strict=True):
        assert alarm.spells
        assert before.spells is not None
        assert alarm.spells == before.spells[-len(alarm.spells) :]
        assert alarm.history_from == alarm.spells[0].since, "it is not claimed to be calm before"


def test_flapping_alone_costs_no_deployment() -> None:
    whole = heavy_facts(4000, secrets=0, deployments=20)
    kept = packed_facts(whole, busy(3).policy, NOW)
    assert kept is not None
    facts, _, _ = read_record(unpacked(kept))
    assert facts.deployments == whole.deployments


@settings(max_examples=5)
@given(st.text(max_size=300), st.sampled_from([0, 2500]))
def test_whatever_is_to_be_said_is_taken_by_sns_and_eventbridge(text: str, wide: int) -> None:
    recorded = Recorded()
    detail = text + "\N{PILE OF POO}" * wide
    result = heavy_result(detail)
    announcer(recorded).tell_people(result)
    announcer(recorded).tell_machines(result, "arn:service")
    (message,), (entry,) = recorded.published, recorded.entries
    told = json.loads(message["forms"]["default"])
    assert told["summary"] == entry["detail"]["summary"] == result.summary
    assert message["forms"]["email"]


def test_a_result_that_is_too_long_all_the_same_loses_its_lists_and_says_so() -> None:
    recorded = Recorded()
    enormous = replace(heavy_result(), evidence=heavy_result().evidence * 40)
    announcer(recorded).tell_people(enormous)
    announcer(recorded).tell_machines(enormous, "arn:service")
    (message,), (entry,) = recorded.published, recorded.entries
    assert "too long for a message" in message["forms"]["email"]
    for document in (json.loads(message["forms"]["default"]), entry["detail"]):
        assert (document["evidence"], document["outcome"]) == ([], "rolled_back")


def audited(number: int, *, ready: bool = False, wide: bool = False) -> ServiceReadiness:
    detail = ("\N{PILE OF POO}" if wide else "x") * 2000
    severity = FindingSeverity.INFO if ready else FindingSeverity.ERROR
    found = [ReadinessFinding("image_present", severity, detail, "push it again")] * 4
    name = f"{number}-".ljust(200, "s")
    return ServiceReadiness(ServiceKey("c" * 200, name), tuple(found))


@pytest.mark.parametrize("wide", [False, True])
def test_a_letter_about_a_thousand_services_is_taken_and_names_the_worst(*, wide: bool) -> None:
    changed = [audited(n, ready=n % 2 == 0, wide=wide) for n in range(1000)]
    report = report_of(changed)
    assert not any(one.ready for one in report.services), "those that are not ready come first"
    named = len(report.services)
    assert (named > 50, named + report.more) == (True, 1000)
    assert report.in_full
    assert f"And {report.more} more: ask the action readiness." in report.letter
    recorded = Recorded()
    document = results.to_json(results.ReadinessAnswer("summary", report.services))
    announcer(recorded).publish("title", report.letter, document)
    (message,) = recorded.published
    assert report.services[-1].key.service in message["forms"]["email"]
    told = json.loads(message["forms"]["default"])["services"]
    assert [one["ready"] for one in told] == [False] * named


def test_of_a_thousand_services_of_usual_names_most_are_named() -> None:
    changed = []
    for number in range(1000):
        finding = replace(audited(number).findings[0], detail="the image is not in ECR " * 5)
        changed.append(ServiceReadiness(ServiceKey("production", f"service-{number}"), (finding,)))
    report = report_of(changed)
    assert len(report.in_full) > 100
    assert len(report.services) > 400
    assert len(report.letter) < SNS_TAKES / 2


def test_a_letter_about_a_few_services_is_whole() -> None:
    changed = [audited(1, ready=True), audited(2)]
    report = report_of(changed)
    assert [one.key for one in report.services] == [changed[1].key, changed[0].key]
    assert (report.by_name, report.more) == ((), 0)
    assert "no room" not in report.letter
