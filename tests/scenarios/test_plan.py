"""How a rollback is done, what it leaves behind, and what people are told of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.decide import choose_for_person
from autorollback.decision.facts import Controller, Facts, Status
from autorollback.decision.lineage import running_now
from autorollback.decision.plan import (
    RollbackPlan,
    left_behind,
    method_of,
    possible_copies,
    summary_of,
)
from autorollback.decision.verdicts import Candidate, RollBack
from tests.scenarios.history import History, bad_deployment, days, incident, minutes, seconds


def verdict_of(story: History) -> RollBack:
    verdict = story.judged().verdict
    assert isinstance(verdict, RollBack), verdict
    return verdict


def under_way(status: Status = Status.IN_PROGRESS) -> History:
    """v1 ran well; v2 is being deployed, and errors followed."""
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(9), status=status)
    return story.alarm("5xx-rate", onset=minutes(6))


def method(story: History) -> str:
    verdict = verdict_of(story)
    return method_of(story.facts(), verdict, verdict.candidates[0]).value


class TestMethod:
    """A deployment in progress is stopped where the target then comes back by itself."""

    @pytest.mark.parametrize(
        ("controller", "finished", "stopped"),
        [
            pytest.param(Controller.ECS, "UpdateService", "StopServiceDeployment", id="ECS"),
            pytest.param(
                Controller.CODE_DEPLOY, "CreateDeployment", "StopDeployment", id="CodeDeploy"
            ),
        ],
    )
    def test_what_is_under_way_is_stopped_and_what_has_finished_is_replaced(
        self, controller: Controller, finished: str, stopped: str
    ) -> None:
        assert method(bad_deployment().serving(controller=controller)) == finished
        assert method(under_way().serving(controller=controller)) == stopped

    def test_one_that_ecs_has_not_begun_yet_is_stopped_too(self) -> None:
        assert method(under_way(Status.PENDING)) == "StopServiceDeployment"

    def test_one_that_was_stopped_cannot_be_stopped_again(self) -> None:
        assert method(under_way(Status.STOPPED)) == "UpdateService"

    def test_not_where_the_target_lies_further_back_than_what_is_being_replaced(self) -> None:
        story = incident().deployed("v0", ago=days(6)).deployed("v1", ago=minutes(25))
        story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
        assert method(story.alarm("5xx-rate", onset=minutes(6))) == "UpdateService"

    def test_not_where_it_replaces_several_at_once(self) -> None:
        """To which of them a stop would go back is not told."""
        story = under_way()
        newest, another = story.deployments[-1], "the-last-by-name"
        story.revisions[another] = replace(story.revisions[newest.sources[0]], arn=another)
        story.deployments[-1] = replace(newest, sources=(*newest.sources, another))
        assert method(story) == "UpdateService"

    def test_not_where_what_it_replaces_was_not_described(self) -> None:
        story = under_way()
        verdict, chosen = verdict_of(story), verdict_of(story).candidates[0]
        del story.revisions[story.deployments[0].target]
        assert method_of(story.facts(), verdict, chosen).value == "UpdateService"

    def test_not_where_somebody_has_deployed_since(self) -> None:
        verdict = verdict_of(under_way())
        since = under_way().deployed("v3", ago=minutes(1), status=Status.IN_PROGRESS).facts()
        assert method_of(since, verdict, verdict.candidates[0]).value == "UpdateService"
        nothing = replace(since, deployments=())
        assert method_of(nothing, verdict, verdict.candidates[0]).value == "UpdateService"

    def test_nor_is_a_service_known_to_be_codedeploys_that_could_not_be_read(self) -> None:
        verdict = verdict_of(under_way())
        facts = replace(under_way().facts(), service=None)
        assert method_of(facts, verdict, verdict.candidates[0]).value == "StopServiceDeployment"


def left(story: History) -> list[str]:
    verdict = verdict_of(story)
    found = left_behind(story.facts(), verdict, verdict.candidates[0])
    return [revision.identity for revision in found]


def test_a_rollback_leaves_behind_what_the_blamed_deployment_and_those_since_brought() -> None:
    story = incident().deployed("v0", ago=days(9)).deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(25)).deployed("v3", ago=minutes(5))
    assert left(story.alarm("5xx-rate", onset=minutes(15))) == ["v3", "v2"]


def test_what_is_gone_back_to_is_not_left_behind_though_it_was_tried_since() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(25))
    verdict = verdict_of(story.alarm("5xx-rate", onset=minutes(15)))
    since = story.deployed("v1", ago=minutes(1)).facts()
    found = left_behind(since, verdict, verdict.candidates[0])
    assert [revision.identity for revision in found] == ["v2"]


def test_what_was_not_described_cannot_be_quarantined() -> None:
    story = bad_deployment()
    verdict = verdict_of(story)
    brought = story.deployments[-1].target
    story.revisions[brought] = replace(story.revisions[brought], identity=None)
    assert left_behind(story.facts(), verdict, verdict.candidates[0]) == ()
    del story.revisions[brought]
    assert left_behind(story.facts(), verdict, verdict.candidates[0]) == ()


def test_definitions_that_ran_with_the_content_of_the_target_may_be_its_copy() -> None:
    """The newest first; each once; not the target's own, and none that could not be described."""
    story = bad_deployment()
    (target,) = (r for r in story.revisions.values() if r.identity == "v1")
    for number, (definition, identity) in enumerate(
        [("older", "v1"), ("newer", "v1"), ("newer", "v1"), ("other", "v2"), ("unread", None)]
    ):
        story.revisions[f"r-{number}"] = replace(
            target,
            arn=f"r-{number}",
            task_definition_arn=definition,
            identity=identity,
            created_at=target.created_at + minutes(number),
        )
    chosen = verdict_of(story).candidates[0]
    assert possible_copies(story.facts(), chosen) == ("newer", "older")
    undescribed = replace(chosen, revision=replace(chosen.revision, identity=None))
    assert possible_copies(story.facts(), undescribed) == ()


def test_of_many_definitions_that_may_be_its_copy_the_newest_ten_are_looked_at() -> None:
    story = bad_deployment()
    (target,) = (r for r in story.revisions.values() if r.identity == "v1")
    for number in range(12):
        story.revisions[f"r-{number}"] = replace(
            target,
            arn=f"r-{number}",
            task_definition_arn=f"copy-{number}",
            created_at=target.created_at + minutes(number),
        )
    found = possible_copies(story.facts(), verdict_of(story).candidates[0])
    assert found == tuple(f"copy-{number}" for number in range(11, 1, -1))


@pytest.mark.parametrize(
    ("chain", "kept"),
    [
        (19, [*range(19, 0, -1)]),
        (20, [*range(20, 0, -1)]),
        (21, [*range(21, 2, -1), 1]),
    ],
)
def test_of_a_long_chain_the_newest_and_the_blamed_one_are_quarantined(
    chain: int, kept: list[int]
) -> None:
    """Of twenty-one builds since the blamed one the second is left out."""
    story = incident().deployed("v0", ago=days(6))
    for number in range(1, chain + 1):
        story.deployed(f"v{number}", ago=minutes(40 - number), took=seconds(30))
    verdict = verdict_of(story.alarm("5xx-rate", onset=minutes(4), fired=minutes(3)))
    blamed = replace(verdict, suspect=story.deployments[1])
    found = left_behind(story.facts(), blamed, verdict.candidates[0])
    assert [revision.identity for revision in found] == [f"v{number}" for number in kept]


def told(story: History, *, words: str | None = None, facts: Facts | None = None) -> str:
    """The result in one sentence."""
    judgement = story.judged()
    verdict = verdict_of(story)
    plan = RollbackPlan(
        verdict, judgement.evidence, judgement.candidates, automatic=True, words=words
    )
    chosen = verdict.candidates[0]
    return summary_of("auth", facts or story.facts(), plan, chosen, "was rolled back")


class TestWhatIsTold:
    def test_from_what_to_what_and_why(self) -> None:
        assert told(bad_deployment()) == (
            "auth was rolled back from auth:v2 to auth:v1: 5xx-rate fired 5 min after the deployment; "
            ":v1 served 5 d without alarm until 2026-11-22 13:49:00Z, 5,000 requests."
        )

    def test_a_persons_words_in_the_place_of_the_alarm(self) -> None:
        assert "to auth:v1: it lies about prices; :v1" in told(
            bad_deployment(), words="it lies about prices"
        )

    def test_what_runs_is_left_out_where_it_could_not_be_described(self) -> None:
        facts = replace(bad_deployment().facts(), revisions={})
        assert told(bad_deployment(), facts=facts).startswith("auth was rolled back to auth:v1: ")

    @pytest.mark.parametrize(
        ("bake", "added"),
        [
            (minutes(90), " The service's own deployment strategy bakes it for 1 h 30 min."),
            (minutes(0), ""),
        ],
    )
    def test_that_the_services_own_strategy_takes_its_time(
        self, bake: timedelta, added: str
    ) -> None:
        said = told(bad_deployment().serving(bake=bake))
        assert said.partition("5,000 requests.")[2] == added

    def test_but_what_is_stopped_goes_back_at_once(self) -> None:
        assert "bakes" not in told(under_way().serving(bake=minutes(90)))

    def test_nor_is_a_strategy_known_of_a_service_that_is_gone(self) -> None:
        facts = replace(bad_deployment().facts(), service=None)
        assert "bakes" not in told(bad_deployment(), facts=facts)


class TestWhatRuns:
    def running(self, story: History) -> str | None:
        found = running_now(story.facts())
        return found.identity if found else None

    def test_while_a_deployment_is_under_way_it_is_what_that_brings(self) -> None:
        assert self.running(under_way()) == "v2"

    def test_once_ecs_has_rolled_back_it_is_what_that_went_back_to(self) -> None:
        assert self.running(under_way(Status.ROLLBACK_SUCCESSFUL)) == "v1"

    def test_without_a_deployment_on_record_nobody_knows(self) -> None:
        assert self.running(incident().alarm("5xx-rate", onset=minutes(6))) is None

    def test_a_person_goes_back_from_what_is_being_deployed_though_it_ran_well_before(self) -> None:
        story = incident().deployed("v2", ago=days(9)).deployed("v1", ago=days(6))
        story.deployed("v2", ago=minutes(9), status=Status.IN_PROGRESS)
        story.alarm("5xx-rate", onset=minutes(6))
        verdict = choose_for_person(story.facts(), story.policy, story.now).verdict
        assert isinstance(verdict, RollBack)
        offered: list[Candidate] = list(verdict.candidates)
        assert [candidate.revision.identity for candidate in offered] == ["v1"]
