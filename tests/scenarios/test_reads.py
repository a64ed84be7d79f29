"""Deciding on what was asked for is deciding on everything, and nothing is asked twice."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autorollback.aws.alarm_answers import StateChanges
from autorollback.aws.ecs import DeploymentPage
from autorollback.aws.reader import OlderPage, taken_in
from autorollback.decision import reads, stability
from autorollback.decision.decide import decide
from autorollback.decision.definition import Definition
from autorollback.decision.facts import (
    Alarm,
    AlarmPeriod,
    Controller,
    Deployment,
    Facts,
    KnownGood,
    ReadSoFar,
    Revision,
    Status,
    Strategy,
    TrafficShift,
    Trigger,
    TriggerKind,
)
from autorollback.decision.question import Question
from autorollback.decision.reads import Read, missing, requests_by_revision
from autorollback.decision.request_counts import Requests
from autorollback.decision.serving import serving_periods
from autorollback.decision.verdicts import Hold, Judgement, Reason, RollBack
from autorollback.naming import ServiceKey
from autorollback.policy import ServicePolicy
from tests.examples import examples
from tests.scenarios.history import (
    NOW,
    History,
    bad_deployment,
    days,
    hours,
    incident,
    minutes,
    seconds,
)
from tests.scenarios.test_invariants import stories

KEY = ServiceKey("shop", "auth")
LOAD_BALANCER, TARGET_GROUP = "app/shop/50dc6c495c0c9188", "targetgroup/auth/943f017f100becff"


@dataclass(frozen=True)
class KnownContent(Definition):
    """A task definition whose content is told by the identity that it gives."""

    known_as: str | None = None
    tagged: bool = False
    seen_as: str | None = None

    def identity(self, _digests: Any) -> str:
        return str(self.known_as)

    def process_identity(self, _digests: Any) -> str:
        return str(self.seen_as)

    @property
    def irreversible(self) -> bool:
        return self.tagged


@dataclass(frozen=True)
class ChangesTold(StateChanges):
    """The times in ALARM that a history tells, as the whole story has them."""

    whole: Alarm | None = None

    def told_to(self, alarm: Alarm) -> Alarm:
        assert self.whole is not None
        red = tuple(p for p in self.whole.spells or () if p.until is None or p.until > self.since)
        return replace(
            alarm, spells=red, history_from=self.since, first_trace=self.whole.first_trace
        )


@dataclass
class World:
    """All that AWS could tell of a story; it answers one read at a time."""

    story: History
    page_size: int = 20

    def __post_init__(self) -> None:
        self.whole = self.story.facts()
        balanced = self.whole.service is not None and self.whole.service.behind_load_balancer
        self.policy = ServicePolicy(
            KEY,
            self.story.policy,
            LOAD_BALANCER if balanced else None,
            (TARGET_GROUP,) if balanced else (),
        )
        self.asked: list[Read] = []

    def unread(self) -> Facts:
        """What a judgement starts from."""
        page = self._page(0)
        service = replace(self.whole.service, healthy=None) if self.whole.service else None
        return Facts(
            service=service,
            trigger=self.whole.trigger,
            protected_services=self.whole.protected_services,
            ledger=self.whole.ledger,
            so_far=ReadSoFar(
                listed=page.arns,
                listed_targets=page.targets,
                newest_at=page.newest_at,
                next_page=page.next,
            ),
        )

    def read(self) -> Facts:
        """The facts once nothing is missing."""
        facts = self.unread()
        for _ in range(40):
            wanted = missing(facts, self.policy, NOW)
            if not wanted:
                return facts
            for read in wanted:
                assert read not in self.asked or isinstance(read, reads.DefinitionContent)
            self.asked.extend(wanted)
            facts = taken_in(facts, {read: self.answer(read) for read in wanted})
            question = Question(facts, self.story.policy, NOW)
            facts = replace(facts, requests=requests_by_revision(question))
        raise AssertionError(f"still missing after 40 rounds: {wanted}")

    def answer(self, read: Read) -> Any:
        match read:
            case reads.DeploymentsInFull(arns):
                return tuple(_listed(d) for d in self.whole.deployments if d.arn in arns)
            case reads.ShiftOfTraffic(arn):
                return next(d.traffic for d in self.whole.deployments if d.arn == arn)
            case reads.ServiceRevisions(arns):
                return self._revisions(arns)
            case reads.OlderDeployments(after):
                page = self._page(int(after))
                full = tuple(_listed(d) for d in self.whole.deployments if d.arn in page.arns)
                return OlderPage(page, full, self._revisions(page.targets))
            case reads.DefinitionContent(arn):
                return self._definition(arn)
            case reads.AlarmsNow():
                return tuple(
                    replace(alarm, spells=None, history_from=None) for alarm in self.whole.alarms
                )
            case reads.AlarmHistory(name, since):
                return ChangesTold(since, (), self.whole.alarm(name))
            case reads.RedAlarms():
                return ()
            case reads.NeighbourDeployments():
                return self.whole.neighbours
            case reads.TargetHealth():
                return self.whole.service.healthy if self.whole.service else None
            case reads.StoppedTaskNames():
                return tuple(str(index) for index, _ in enumerate(self.whole.stopped or ()))
            case reads.StoppedTasks():
                return self.whole.stopped
            case reads.RequestsServed(revision, since):
                return self._requests(revision, since)
            case reads.ChangedSecrets():
                return self.whole.secrets or ()
            case _:
                assert_never(read)

    def _page(self, start: int) -> DeploymentPage:
        page = self.whole.deployments[start : start + self.page_size]
        following = start + self.page_size
        return DeploymentPage(
            tuple(d.arn for d in page),
            tuple(d.target for d in page),
            str(following) if following < len(self.whole.deployments) else None,
            page[0].created_at if page else None,
        )

    def _revisions(self, arns: Sequence[str]) -> dict[str, Revision]:
        """Without identity, which the definition's content gives."""
        known = {arn: r for arn in arns if (r := self.whole.revision(arn))}
        return {
            arn: replace(r, identity=None, irreversible=False, process_identity=None)
            for arn, r in known.items()
        }

    def _definition(self, arn: str) -> Definition | None:
        for revision in self.whole.revisions.values():
            if revision.task_definition_arn == arn and revision.identity is not None:
                content = {
                    "containerDefinitions": [{"name": n, "image": n} for n in revision.images]
                }
                known, seen = revision.identity, revision.process_identity
                tagged = revision.irreversible
                return KnownContent(arn, "ACTIVE", content, {}, (), known, tagged, seen)
        return None

    def _requests(self, revision: str, since: datetime) -> Requests:
        """All of them in the moment from which the period was calm."""
        question = Question(self.whole, self.story.policy, NOW)
        for period in serving_periods(self.whole):
            if (period.revision, period.since) == (revision, since):
                runs = stability.assess(period, question).runs
                if runs:
                    count = self.whole.requests.get(revision) or 0
                    return Requests(((runs[-1].since, timedelta(), count),))
        return Requests(())


def _listed(deployment: Deployment) -> Deployment:
    """CodeDeploy's are told without their traffic."""
    if deployment.traffic.strategy is not Strategy.CODE_DEPLOY:
        return deployment
    return replace(deployment, traffic=TrafficShift(Strategy.CODE_DEPLOY))


def in_short(judgement: Judgement) -> tuple[object, ...]:
    """What is done, about which deployment, and where to: what a caller acts on."""
    verdict = judgement.verdict
    if isinstance(verdict, RollBack):
        best = verdict.candidates[0]
        return (
            verdict.reason,
            verdict.suspect.arn,
            verdict.onset,
            best.revision.arn,
            best.detail,
            best.between,
        )
    suspect = verdict.suspect.arn if isinstance(verdict, Hold) and verdict.suspect else None
    return type(verdict), verdict.reason, suspect


def irreversible_alike(story: History) -> History:
    """A task definition has its tags once: whatever deployed it, it is tagged or not."""
    tagged = {r.task_definition_arn for r in story.revisions.values() if r.irreversible}
    for arn, revision in story.revisions.items():
        story.revisions[arn] = replace(
            revision, irreversible=revision.task_definition_arn in tagged
        )
    return story


@examples(300)
@given(stories(), st.sampled_from([1, 2, 3, 20]))
def test_deciding_on_what_was_asked_for_is_deciding_on_everything(
    story: History, page_size: int
) -> None:
    """Everything is all that can be known of the pages of deployments that were looked at.

    Older ones are not read once a stable revision is found: what went back to a build from before them is known by the
    ledger's records, and what ran before the oldest one that was listed is on the next page.
    """
    story = irreversible_alike(story)
    world = World(story, page_size)
    facts = world.read()
    listed = {deployment.arn for deployment in facts.deployments}
    everything = replace(
        world.whole,
        deployments=tuple(d for d in world.whole.deployments if d.arn in listed),
        revisions={arn: world.whole.revisions[arn] for arn in facts.revisions},
    )
    assert in_short(decide(facts, story.policy, NOW)) == in_short(
        decide(everything, story.policy, NOW)
    )


@pytest.mark.parametrize(
    "kind",
    [TriggerKind.TASKS_CANNOT_START, TriggerKind.DEPLOYMENT_FAILED],
    ids=lambda kind: kind.value,
)
@examples(60)
@given(stories())
def test_so_it_is_of_what_ecs_says(kind: TriggerKind, story: History) -> None:
    story = irreversible_alike(story).event(kind)
    world = World(story)
    everything = decide(world.whole, story.policy, NOW)
    assert in_short(decide(world.read(), story.policy, NOW)) == in_short(everything)


@st.composite
def busy_histories(draw: st.DrawFn) -> History:
    """Builds that came and went back and forth within the hour, restarts among them; some have the same images."""
    story = incident()
    ages = st.sampled_from([5, 9, 20, 40, 70, 100, 300, 1000, 3000])
    for ago in sorted(draw(st.sets(ages, min_size=2, max_size=7)), reverse=True):
        status = draw(st.sampled_from([Status.SUCCESSFUL] * 4 + [Status.STOPPED]))
        story.deployed(
            draw(st.sampled_from(["v1", "v2", "v3", "v4"])), ago=minutes(ago), status=status
        )
    alike = draw(st.sets(st.sampled_from(["v1", "v2", "v3", "v4"])))
    for arn, revision in story.revisions.items():
        if revision.identity in alike:
            story.revisions[arn] = replace(revision, images={"app": "sha256:alike"})
    return story.alarm("5xx-rate", onset=minutes(draw(st.sampled_from([4, 8, 15]))))


@examples(400)
@given(busy_histories())
def test_so_it_is_of_builds_that_come_and_go_within_the_hour(story: History) -> None:
    everything = decide(story.facts(), story.policy, NOW)
    assert in_short(decide(World(story).read(), story.policy, NOW)) == in_short(everything)


def test_restarts_that_part_a_time_in_service_are_found_though_each_part_is_short() -> None:
    story = incident().deployed("v2", ago=minutes(100)).deployed("v2", ago=minutes(70))
    story.deployed("v3", ago=minutes(40)).alarm("5xx-rate", onset=minutes(15))
    verdict = decide(World(story).read(), story.policy, NOW).verdict
    assert isinstance(verdict, RollBack)
    assert verdict.candidates[0].revision.identity == "v2"


def test_of_several_changes_within_the_hour_the_newest_is_asked_about() -> None:
    """It brings back the images of what ECS rolled back to long ago."""
    story = incident().deployed("v2", ago=minutes(3000))
    for ago in (1000, 300):
        story.deployed("v1", ago=minutes(ago), status=Status.ROLLBACK_SUCCESSFUL)
    story.deployed("v4", ago=minutes(100)).deployed("v3", ago=minutes(70))
    story.deployed("v1", ago=minutes(5)).alarm("5xx-rate", onset=minutes(4))
    for arn, revision in story.revisions.items():
        if revision.identity != "v3":
            story.revisions[arn] = replace(revision, images={"app": "sha256:alike"})
    everything = decide(story.facts(), story.policy, NOW)
    assert in_short(decide(World(story).read(), story.policy, NOW)) == in_short(everything)


def kinds(asked: Sequence[Read]) -> set[type]:
    return {type(read) for read in asked}


def test_what_can_be_foreseen_is_asked_for_in_the_first_round() -> None:
    """What runs, what the ledger saw run well, the history of the alarm that fired, who else is red."""
    story = bad_deployment().known_good("v0", since=days(9), until=days(8))
    story.serving(task_definition="arn:runs")
    world = World(story)
    first = missing(world.unread(), world.policy, NOW)
    assert kinds(tuple(first)) == {
        reads.DeploymentsInFull,
        reads.ServiceRevisions,
        reads.AlarmsNow,
        reads.RedAlarms,
        reads.DefinitionContent,
        reads.AlarmHistory,
    }
    asked = {read.arn for read in first if isinstance(read, reads.DefinitionContent)}
    assert asked == {"arn:runs", story.memory.known_good[0].revision.task_definition_arn}


def test_of_a_deployment_that_is_too_old_to_be_suspect_nothing_of_the_past_is_foreseen() -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=hours(26))
        .alarm("5xx-rate", onset=minutes(6))
    )
    world = World(story)
    first = missing(world.unread(), world.policy, NOW)
    assert not kinds(tuple(first)) & {reads.DefinitionContent, reads.AlarmHistory}


@pytest.mark.parametrize(
    ("began", "foreseen"),
    [(hours(25), True), (hours(25) + seconds(1), False)],
    ids=["a day and the window before the alarm", "longer before"],
)
def test_a_deployment_may_have_taken_a_day_and_be_suspect(
    began: timedelta, *, foreseen: bool
) -> None:
    story = incident().deployed("v1", ago=days(6)).alarm("5xx-rate", onset=minutes(6))
    story.deployed("v2", ago=minutes(3) + began, took=seconds(0))
    world = World(story)
    asked = kinds(tuple(missing(world.unread(), world.policy, NOW)))
    assert (reads.DefinitionContent in asked) is foreseen


@pytest.mark.parametrize(
    ("signal", "asked"),
    [
        pytest.param("unhealthy-targets", True, id="an alarm on targets"),
        pytest.param("5xx-rate", False, id="an alarm on errors"),
    ],
)
def test_healthy_targets_are_counted_where_they_decide(signal: str, *, asked: bool) -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v2", ago=minutes(9))
        .alarm(signal, onset=minutes(6))
    )
    world = World(story)
    assert (reads.TargetHealth in kinds(tuple(missing(world.unread(), world.policy, NOW)))) is asked


def test_no_more_of_the_past_is_read_than_until_a_stable_revision_is_found() -> None:
    """Twenty builds, each a day long: the newest two serving periods are enough."""
    story = incident()
    for number in range(20, 0, -1):
        story.deployed(f"v{number}", ago=days(number))
    story.deployed("bad", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story)
    world.read()
    counted = [read for read in world.asked if isinstance(read, reads.RequestsServed)]
    assert len(counted) == reads.PERIODS_AT_ONCE


def test_what_the_ledger_saw_long_ago_does_not_end_the_search_for_something_newer() -> None:
    """Of the newest four builds two were in trouble when they were replaced."""
    story = incident().known_good("v0", since=days(99), until=days(50))
    story.deployed("v1", ago=days(6)).deployed("v2", ago=days(5)).deployed("v3", ago=days(4))
    for ago in (days(4), minutes(9)):
        story.was_red("latency", ago=ago + minutes(27), lasted=minutes(30))
    story.deployed("v4", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    judgement = decide(World(story).read(), story.policy, NOW)
    assert in_short(judgement) == in_short(story.judged())
    assert story.target() == "v1"


def counted(world: World) -> list[str | None]:
    """The builds whose requests were asked, the newest first."""
    asked = [read for read in world.asked if isinstance(read, reads.RequestsServed)]
    asked.sort(key=lambda read: read.since, reverse=True)
    return [world.whole.revisions[read.revision].identity for read in asked]


def test_short_parts_of_one_time_in_service_end_the_search_together() -> None:
    """Two restarts parted it: what ran long before it is not asked about."""
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    for ago in (60, 45, 30):
        story.deployed("v2", ago=minutes(ago))
    world = World(story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)))
    assert in_short(decide(world.read(), story.policy, NOW)) == in_short(story.judged())
    assert story.target() == "v2"
    assert "v0" not in counted(world)


@pytest.mark.parametrize(
    ("served", "target"),
    [(minutes(30), "v1"), (minutes(30) - seconds(1), "v0")],
    ids=["half an hour", "a second less"],
)
def test_what_served_just_long_enough_is_asked_about(served: timedelta, target: str) -> None:
    story = incident().deployed("v0", ago=days(2)).deployed("v1", ago=minutes(11) + served)
    story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story)
    verdict = decide(world.read(), story.policy, NOW).verdict
    assert isinstance(verdict, RollBack)
    assert verdict.candidates[0].revision.identity == target
    assert ("v1" in counted(world)) == (target == "v1")


def test_older_pages_are_read_until_one_holds_a_stable_revision() -> None:
    """Every build of today lasted a quarter of an hour; the last good one is three pages back."""
    story = incident().deployed("v0", ago=days(6))
    for number in range(7):
        story.deployed(f"v{number + 1}", ago=hours(2) - minutes(15 * number))
    story.deployed("bad", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story, page_size=3)
    facts = world.read()
    assert len([read for read in world.asked if isinstance(read, reads.OlderDeployments)]) == 2
    assert reads.given_up_on(facts, world.policy, NOW) is None


def many_short_ones_since_the_last_good_build() -> History:
    """Seven builds of today that lasted a quarter of an hour each; before them v1 served for days."""
    story = incident().deployed("v1", ago=days(3))
    for number in range(7):
        story.deployed(f"b{number}", ago=hours(2) - minutes(15 * number))
    return story.deployed("bad", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))


@pytest.mark.parametrize("page_size", [1, 3, 20])
def test_an_old_record_does_not_end_the_search_for_what_ran_well_since(page_size: int) -> None:
    """The ledger knows of a build of months ago; the newest good one is on a further page."""
    story = many_short_ones_since_the_last_good_build()
    story.known_good("old", since=days(90), until=days(80))
    world = World(story, page_size)
    judgement = decide(world.read(), story.policy, NOW)
    assert in_short(judgement) == in_short(story.judged())
    assert isinstance(judgement.verdict, RollBack)
    assert judgement.verdict.candidates[0].revision.identity == "v1"


def test_what_was_deployed_since_a_record_is_read_however_many_pages_that_takes() -> None:
    """One of them may be a change that older code cannot live with: unread, it would be held."""
    story = many_short_ones_since_the_last_good_build()
    story.known_good("v1", since=days(3), until=hours(2) + minutes(2))
    world = World(story, page_size=3)
    verdict = decide(world.read(), story.policy, NOW).verdict
    assert isinstance(verdict, RollBack)
    assert verdict.candidates[0].revision.identity == "v1"
    between = [one and one.identity for one in verdict.candidates[0].between]
    assert between == ["bad", *[f"b{number}" for number in reversed(range(7))]]


def test_a_search_that_ended_short_of_a_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies between is not known then: a person has to look."""
    monkeypatch.setattr(reads, "OLDER_PAGES", 1)
    story = many_short_ones_since_the_last_good_build()
    story.known_good("old", since=days(90), until=days(80))
    world = World(story, page_size=2)
    facts = world.read()
    unread = reads.given_up_on(facts, world.policy, NOW)
    assert unread == "service deployments older than the newest 4"
    verdict = decide(replace(facts, unread=(unread,)), story.policy, NOW).verdict
    assert isinstance(verdict, Hold)
    assert verdict.reason is Reason.IRREVERSIBLE_CHANGE
    assert unread in verdict.detail


def test_the_search_ends_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many pages without a stable revision a person has to look."""
    monkeypatch.setattr(reads, "OLDER_PAGES", 5)
    story = incident()
    for number in range(12):
        story.deployed(f"v{number}", ago=hours(3) - minutes(14 * number))
    story.deployed("bad", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story, page_size=1)
    facts = world.read()
    assert (
        reads.given_up_on(facts, world.policy, NOW) == "service deployments older than the newest 6"
    )


def test_after_a_restart_secrets_are_asked_about() -> None:
    story = (
        incident()
        .deployed("v1", ago=days(6))
        .deployed("v1", ago=minutes(9))
        .alarm("5xx-rate", onset=minutes(6))
    )
    story.secret("token", changed=minutes(20))
    world = World(story)
    facts = world.read()
    assert facts.secrets == story.secrets
    assert world.asked[-1] == reads.ChangedSecrets(story.service.task_definition)


@pytest.mark.parametrize("ago", [minutes(9), days(2)], ids=["just now", "long ago"])
def test_nobody_asks_for_secrets_where_settings_were_changed(ago: timedelta) -> None:
    """The verdict names the settings, and nothing of secrets."""
    story = incident().deployed("v1", ago=days(6), settings={"platformVersion": "1.3.0"})
    story.deployed("v1", ago=ago, settings={"platformVersion": "1.4.0"})
    story.secret("token", changed=minutes(20)).alarm("5xx-rate", onset=minutes(6))
    facts = World(story).read()
    assert facts.secrets is None
    assert decide(facts, story.policy, NOW).verdict == story.judged().verdict


def test_nobody_asks_for_secrets_where_no_restart_is_to_blame() -> None:
    world = World(bad_deployment())
    assert world.read().secrets is None


@pytest.mark.parametrize("page_size", [2, 20])
@pytest.mark.parametrize("again", ["v1", "v1-registered-again"])
def test_that_the_service_went_back_is_found_however_many_restarts_followed(
    again: str,
    page_size: int,
) -> None:
    """A definition that was registered again with the same content looks like a change until it is read."""
    story = incident().deployed("v1", ago=days(9)).deployed("v2", ago=days(5))
    story.deployed("v1", ago=days(4))
    for ago in (days(3), days(2), days(1)):
        story.deployed(again, ago=ago, seen_as="v1")
        newest = story.deployments[-1].target
        story.revisions[newest] = replace(story.revisions[newest], identity="v1")
    story.alarm("5xx-rate", onset=minutes(6))
    verdict = decide(World(story, page_size).read(), story.policy, NOW).verdict
    assert verdict == story.judged().verdict
    assert verdict.reason is Reason.DEPLOYMENT_IS_A_ROLLBACK


def test_a_stopped_deployment_in_the_past_is_no_obstacle() -> None:
    story = (
        incident().deployed("v1", ago=days(6)).deployed("v2", ago=hours(5), status=Status.STOPPED)
    )
    story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story)
    assert in_short(decide(world.read(), story.policy, NOW)) == in_short(story.judged())


def test_what_an_unfinished_deployment_was_to_bring_is_described_however_old_it_is() -> None:
    story = (
        incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(1), status=Status.STOPPED)
    )
    story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story)
    world.read()
    assert (
        reads.DefinitionContent(story.revisions[story.deployments[1].target].task_definition_arn)
        in world.asked
    )


def test_of_what_was_restarted_it_is_asked_how_it_fared_before() -> None:
    """Red shortly before the restart, it had not been stable: the restart is passed over."""
    story = incident().deployed("v0", ago=days(6)).deployed("v1", ago=minutes(50))
    story.deployed("v1", ago=minutes(9)).was_red("latency", ago=minutes(30))
    story.alarm("5xx-rate", onset=minutes(6))
    judgement = decide(World(story).read(), story.policy, NOW)
    assert judgement.verdict.reason is Reason.ALARM_AFTER_DEPLOYMENT


def test_what_comes_with_an_older_page_is_described_too() -> None:
    """Its task definition is one that has been read already, of a newer deployment."""
    story = incident().deployed("v1", ago=days(9))
    for number in range(3):
        story.deployed("v1", ago=minutes(50 - 10 * number))
    story.deployed("v2", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    world = World(story, page_size=2)
    facts = world.read()
    oldest = facts.deployments[-1]
    assert any(isinstance(read, reads.OlderDeployments) for read in world.asked)
    assert facts.revisions[oldest.target].identity == "v1"


def through_code_deploy(*builds: tuple[str, TrafficShift]) -> History:
    """Builds that CodeDeploy deployed, ten minutes after one another, the last of them ten minutes ago."""
    story = incident().serving(controller=Controller.CODE_DEPLOY).deployed("v0", ago=days(6))
    for number, (build, traffic) in enumerate(builds):
        ago = minutes(10 * (len(builds) - number))
        story.deployed(build, ago=ago, traffic=traffic)
    return story


def shift(began: timedelta | None, weight: float | None = 100.0) -> TrafficShift:
    return TrafficShift(
        Strategy.CODE_DEPLOY, weight, began_at=None if began is None else NOW - began
    )


@pytest.mark.parametrize(
    ("story", "asked"),
    [
        pytest.param(
            through_code_deploy(("v1", shift(minutes(21))), ("v2", shift(minutes(11)))).alarm(
                "5xx-rate", onset=minutes(9)
            ),
            1,
            id="the newest convicts",
        ),
        pytest.param(
            through_code_deploy(("v1", shift(minutes(21))), ("v2", shift(minutes(11)))).alarm(
                "5xx-rate", onset=minutes(19)
            ),
            2,
            id="the one before it, which had not proven itself",
        ),
        pytest.param(
            through_code_deploy(("v1", shift(minutes(21))), ("v1", shift(minutes(11)))).alarm(
                "5xx-rate", onset=minutes(9)
            ),
            2,
            id="a restart is passed over",
        ),
    ],
)
def test_how_codedeploy_shifts_traffic_is_asked_of_those_that_may_be_to_blame(
    story: History, asked: int
) -> None:
    world = World(story)
    verdict = decide(world.read(), story.policy, NOW)
    assert in_short(verdict) == in_short(story.judged())
    assert isinstance(verdict.verdict, RollBack)
    assert len([read for read in world.asked if isinstance(read, reads.ShiftOfTraffic)]) == asked


def test_nobody_asks_codedeploy_how_ecs_shifts_traffic() -> None:
    world = World(bad_deployment())
    world.read()
    assert reads.ShiftOfTraffic not in kinds(world.asked)


def remembered(story: History) -> History:
    """The ledger recorded the first build when its period ended: what alarms did then need not be read."""
    first = story.deployments[0]
    until = story.deployments[1].start
    record = KnownGood(story.revisions[first.target], until - hours(5), until, 5000)
    story.memory = replace(story.memory, known_good=(record,))
    return story


def acted(judgement: Judgement) -> tuple[object, ...]:
    """Why, against which deployment, since when and where to; not what proved the target."""
    return in_short(judgement)[:4]


def histories(world: World) -> list[str]:
    """The signals of the alarms whose history was asked."""
    asked = [read.alarm for read in world.asked if isinstance(read, reads.AlarmHistory)]
    return sorted(name.rpartition("/")[2] for name in asked)


def test_of_several_red_alarms_only_the_one_that_convicts_is_asked_whether_it_flaps() -> None:
    story = remembered(bad_deployment().alarm("latency", onset=minutes(5), trigger=False))
    world = World(story)
    assert acted(decide(world.read(), story.policy, NOW)) == acted(story.judged())
    assert histories(world) == ["5xx-rate"]


def test_whoever_asks_without_an_alarm_may_ask_about_any_that_is_red() -> None:
    story = remembered(bad_deployment().alarm("latency", onset=minutes(5)))
    story.trigger = Trigger(TriggerKind.ALARM, NOW)
    world = World(story)
    facts = world.read()
    assert histories(world) == ["5xx-rate", "latency"]
    for alarm in facts.alarms[:2]:
        about = replace(facts, trigger=replace(facts.trigger, alarm=alarm.name))
        whole = replace(story.facts(), trigger=about.trigger)
        assert acted(decide(about, story.policy, NOW)) == acted(decide(whole, story.policy, NOW))


@pytest.mark.parametrize("status", [Status.SUCCESSFUL, Status.ROLLBACK_SUCCESSFUL])
def test_of_a_service_that_is_gone_what_can_be_read_is_read(status: Status) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9), status=status)
    world = World(story.alarm("5xx-rate", onset=minutes(6)))
    world.whole = replace(world.whole, service=None)
    assert decide(world.read(), story.policy, NOW).verdict.reason is Reason.SERVICE_INACTIVE


@pytest.mark.parametrize(
    ("story", "asked"),
    [
        pytest.param(bad_deployment(), False, id="errors"),
        pytest.param(
            bad_deployment().alarm("unhealthy-targets", onset=minutes(5), trigger=False),
            False,
            id="errors that convict, and targets are unhealthy too",
        ),
        pytest.param(
            bad_deployment(onset=minutes(30)).alarm(
                "unhealthy-targets", onset=minutes(5), trigger=False
            ),
            True,
            id="errors from before the deployment, and targets are unhealthy since",
        ),
        pytest.param(bad_deployment().event(TriggerKind.TASKS_CANNOT_START), True, id="ecs"),
    ],
)
def test_why_tasks_stopped_is_asked_where_targets_are_unhealthy_or_ecs_speaks_of_tasks(
    story: History, *, asked: bool
) -> None:
    story.serving(healthy=1, running=1).tasks_stopped(3, "SpotInterruption")
    world = World(story)
    facts = world.read()
    assert (reads.StoppedTasks in kinds(world.asked)) is asked
    assert in_short(decide(facts, story.policy, NOW)) == in_short(story.judged())


def test_where_no_task_has_stopped_nothing_more_is_asked_of_them() -> None:
    world = World(bad_deployment().event(TriggerKind.TASKS_CANNOT_START))
    assert world.read().stopped == ()
    assert reads.StoppedTasks not in kinds(world.asked)


def asked_of_neighbours(story: History) -> list[timedelta]:
    """Near which onsets others in trouble were asked about, as so long ago, in the order of asking."""
    world = World(story)
    world.read()
    return [
        NOW - read.onset for read in world.asked if isinstance(read, reads.NeighbourDeployments)
    ]


def test_who_else_fell_ill_is_asked_once() -> None:
    assert asked_of_neighbours(bad_deployment()) == [minutes(6)]


def test_who_else_fell_ill_is_asked_again_where_another_alarm_convicts() -> None:
    """The one that fired first turns out to flap."""
    story = bad_deployment().alarm("latency", onset=minutes(4), trigger=False)
    spells = story.alarms["5xx-rate"].spells or ()
    for ago in (3, 5, 7):
        spells = (AlarmPeriod(NOW - hours(ago), NOW - hours(ago) + minutes(2)), *spells)
    story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], spells=spells)
    assert asked_of_neighbours(story) == [minutes(6), minutes(4)]


def test_cloudwatch_is_asked_for_no_history_that_it_does_not_keep() -> None:
    story = incident().deployed("v0", ago=days(80)).deployed("v1", ago=days(40))
    story.deployed("v2", ago=days(38)).alarm("5xx-rate", onset=minutes(6))
    for signal in ("latency", "unhealthy-targets"):
        story.watched_by(signal, since=days(1))
    world = World(story)
    world.read()
    asked = [read.since for read in world.asked if isinstance(read, reads.AlarmHistory)]
    assert asked
    assert min(asked) == NOW - days(30)


def revisions_asked(world: World) -> set[str]:
    """ARNs of what was asked for beside what the newest deployments brought."""
    asked: set[str] = set()
    for read in world.asked:
        if isinstance(read, reads.ServiceRevisions):
            asked.update(read.arns)
    return asked - set(world.unread().so_far.listed_targets)


def test_what_ran_before_the_oldest_deployment_on_record_is_described() -> None:
    story = bad_deployment().deployed("v3", ago=minutes(2))
    before = story.deployments.pop(0).target
    world = World(story)
    world.read()
    assert revisions_asked(world) == {before}


def test_what_the_newest_few_replaced_is_described_at_once_and_what_the_next_page_holds_is_not() -> (
    None
):
    """A page of two: the newer of them came after one that was stopped, and replaced what ran before that."""
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(30), status=Status.STOPPED).deployed("v3", ago=minutes(9))
    story.alarm("5xx-rate", onset=minutes(6))
    third = story.deployments[2]
    story.deployments[2] = replace(third, sources=("before the stopped one",))
    world = World(story, page_size=2)
    facts = taken_in(
        world.unread(), {r: world.answer(r) for r in missing(world.unread(), world.policy, NOW)}
    )
    (asked,) = [
        r for r in missing(facts, world.policy, NOW) if isinstance(r, reads.ServiceRevisions)
    ]
    assert asked.arns == (story.deployments[1].target,)


def test_of_what_came_to_nothing_only_the_one_just_before_is_described() -> None:
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    for build, ago in (("v2", days(2)), ("v3", days(1))):
        story.deployed(build, ago=ago, status=Status.STOPPED)
    world = World(story.deployed("v4", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)))
    world.read()
    asked = {
        r.arn.rpartition(":")[2] for r in world.asked if isinstance(r, reads.DefinitionContent)
    }
    assert asked >= {"v1", "v3", "v4"}
    assert "v2" not in asked


def test_who_else_fell_ill_is_asked_beside_why_tasks_stopped() -> None:
    """The first time nobody waits for the one with the other."""
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9))
    story.serving(healthy=1).tasks_stopped(3, "TaskFailedToStart")
    world = World(story.alarm("unhealthy-targets", onset=minutes(6)))
    facts = world.unread()
    first = missing(facts, world.policy, NOW)
    facts = taken_in(facts, {read: world.answer(read) for read in first})
    second = missing(facts, world.policy, NOW)
    assert {reads.NeighbourDeployments, reads.StoppedTasks} <= kinds(tuple(second))


def test_what_came_to_nothing_between_the_target_and_now_is_described() -> None:
    """v1 and v3 were in trouble when they were replaced, and v2 was stopped: v0 is the target."""
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    story.deployed("v2", ago=days(5), status=Status.STOPPED).deployed("v3", ago=days(4))
    for ago in (days(5), days(4), minutes(9)):
        story.was_red("latency", ago=ago + minutes(27), lasted=minutes(30))
    story.deployed("v4", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    assert story.target() == "v0"
    assert in_short(decide(World(story).read(), story.policy, NOW)) == in_short(story.judged())


def test_requests_are_counted_of_what_ran_and_not_of_what_runs_still() -> None:
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    world = World(story.deployed("v1", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6)))
    world.read()
    ends = {read.until for read in world.asked if isinstance(read, reads.RequestsServed)}
    assert ends == {story.deployments[1].start, story.deployments[2].start}


def test_a_revision_that_aws_has_forgotten_is_asked_for_once() -> None:
    story = bad_deployment().deployed("v3", ago=minutes(2))
    forgotten = story.deployments.pop(0).target
    del story.revisions[forgotten]
    world = World(story)
    world.read()
    assert revisions_asked(world) == {forgotten}


def test_where_nothing_served_long_enough_the_whole_chain_that_may_be_to_blame_is_read() -> None:
    story = incident().deployed("v1", ago=minutes(50)).deployed("v2", ago=minutes(25))
    story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(20))
    assert story.reason() == "no_stable_revision", "v2 is to blame"
    assert in_short(decide(World(story).read(), story.policy, NOW)) == in_short(story.judged())


def test_of_a_rollback_that_is_not_shown_yet_nothing_is_asked() -> None:
    story = bad_deployment().rolled_back("v1", ago=minutes(1))
    assert reads.missing_of_recovery(story.facts(), story.memory.rollbacks) == frozenset()


def test_whether_an_alarm_flapped_is_asked_from_a_day_before_what_it_convicts() -> None:
    """The alarm that asks flaps, and the next one convicts."""
    story = remembered(bad_deployment().alarm("latency", onset=minutes(5), trigger=False))
    spells = story.alarms["5xx-rate"].spells or ()
    for ago in (3, 5, 7):
        spells = (AlarmPeriod(NOW - hours(ago), NOW - hours(ago) + minutes(2)), *spells)
    story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], spells=spells)
    world = World(story)
    world.read()
    asked = {r.alarm: r.since for r in world.asked if isinstance(r, reads.AlarmHistory)}
    assert asked[story.alarms["latency"].name] == story.deployments[-1].start - hours(24)


def test_where_no_request_was_counted_there_was_none() -> None:
    story = bad_deployment()
    story.requests = dict.fromkeys(story.requests, 0)
    first = story.deployments[0].target
    assert World(story).read().requests[first] == 0


def test_of_a_build_that_was_rolled_back_from_it_does_not_matter_whether_its_alarm_flaps() -> None:
    """That alarm convicts it, and nobody is asked about the onset of another."""
    story = bad_deployment().alarm("latency", onset=minutes(4), trigger=False)
    spells = story.alarms["5xx-rate"].spells or ()
    for ago in (3, 5, 7):
        spells = (AlarmPeriod(NOW - hours(ago), NOW - hours(ago) + minutes(2)), *spells)
    story.alarms["5xx-rate"] = replace(story.alarms["5xx-rate"], spells=spells)
    assert asked_of_neighbours(story.quarantined("v2", ago=days(2))) == [minutes(6)]


def test_of_what_nobody_has_read_yet_nothing_counts_as_read() -> None:
    nothing = ReadSoFar()
    assert not nothing.present
    assert not nothing.health
    assert (nothing.older_pages, nothing.stable_wanted) == (0, 1)
