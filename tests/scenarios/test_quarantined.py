"""What was rolled back from stays known as bad, for whom, and until when."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autorollback.decision.facts import Quarantine, Status
from autorollback.decision.quarantine import (
    known_bad,
    quarantined,
    same_to_its_processes,
    with_its_images,
    words_of,
)
from autorollback.decision.question import Question
from tests.scenarios.history import NOW, History, bad_deployment, days, incident, minutes, seconds


def question(story: History) -> Question:
    story.alarm("5xx-rate", onset=minutes(1))
    return Question(story.facts(), story.policy, NOW)


def quarantine_of(identity: str, **more: object) -> Quarantine:
    plain = Quarantine(identity, "auth:2", NOW - days(3))
    return replace(plain, **more)  # type: ignore[arg-type] # the keys are Quarantine's own


@pytest.mark.parametrize(
    ("since", "freed"),
    [(seconds(0), False), (seconds(1), True)],
    ids=["deployed at that moment", "deployed a second later"],
)
def test_it_is_freed_by_a_deployment_that_came_after_the_rollback(
    since: timedelta, *, freed: bool
) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(2), took=seconds(0))
    story.deployed("v3", ago=minutes(9)).quarantined("v2", ago=days(2) + since)
    assert (quarantined(question(story)) == {}) is freed


def test_the_last_of_several_deployments_frees_it() -> None:
    story = incident().deployed("v2", ago=days(9)).deployed("v1", ago=days(6))
    story.quarantined("v2", ago=days(5)).deployed("v2", ago=days(2)).deployed("v3", ago=minutes(9))
    assert quarantined(question(story)) == {}


def test_what_has_no_load_balancer_needs_no_requests_to_be_freed() -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(2))
    story.deployed("v3", ago=minutes(9)).quarantined("v2", ago=days(3)).without_load_balancer()
    assert quarantined(question(story)) == {}


@pytest.mark.parametrize("unread", [0, 1], ids=["what ran before it", "what was deployed"])
def test_what_could_not_be_described_frees_nothing(unread: int) -> None:
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=days(2))
    story.deployed("v3", ago=minutes(9)).quarantined("v2", ago=days(3))
    del story.revisions[story.deployments[unread].target]
    assert set(quarantined(question(story))) == {"v2"}


def test_what_no_process_can_tell_apart_is_the_same_build() -> None:
    revision = bad_deployment().revisions[bad_deployment().deployments[0].target]
    assert same_to_its_processes(replace(revision, process_identity=None), quarantine_of("v1"))
    seen = replace(revision, identity="labelled", process_identity="seen")
    assert same_to_its_processes(seen, quarantine_of("v1", process_identity="seen"))
    assert not same_to_its_processes(seen, quarantine_of("v1", process_identity="other"))
    unseen = replace(seen, process_identity=None)
    assert not same_to_its_processes(unseen, quarantine_of("v1", process_identity=None))
    undescribed = replace(revision, identity=None, process_identity="seen")
    assert not same_to_its_processes(undescribed, quarantine_of("v1", process_identity="seen"))


class TestKnownBad:
    def came_back(self, build: str = "v2", status: Status = Status.SUCCESSFUL) -> History:
        """v2 was rolled back from, and something is deployed again."""
        story = incident().deployed("v1", ago=days(6)).quarantined("v2", ago=days(1))
        return story.deployed(build, ago=minutes(3), status=status)

    def known(self, story: History) -> str | None:
        found = known_bad(question(story), 0)
        return found.identity if found else None

    def test_comes_back(self) -> None:
        assert self.known(self.came_back()) == "v2"
        assert self.known(self.came_back("v3")) is None

    def test_not_where_nothing_was_ever_rolled_back_from(self) -> None:
        assert self.known(bad_deployment()) is None

    def test_not_where_it_could_not_be_described(self) -> None:
        story = self.came_back()
        del story.revisions[story.deployments[-1].target]
        assert self.known(story) is None

    def test_not_by_ecs_or_this_controller(self) -> None:
        assert self.known(self.came_back(status=Status.ROLLBACK_SUCCESSFUL)) is None
        assert self.known(self.came_back().rolled_back("v2", ago=minutes(6))) is None

    def test_of_several_that_a_process_cannot_tell_apart_the_last_is_named(self) -> None:
        story = incident().deployed("v1", ago=days(6))
        story.quarantined("labelled", ago=days(1), seen_as="v2")
        story.quarantined("logged", ago=days(2), seen_as="v2")
        assert self.known(story.deployed("again", seen_as="v2", ago=minutes(3))) == "labelled"


class TestItsImages:
    """Under other settings they are a new build, of which people are told."""

    def named(self, images: dict[str, str | None]) -> str | None:
        story = incident().deployed("v1", ago=days(6)).deployed("new", ago=minutes(3))
        kept = {
            "older": quarantine_of("older", at=NOW - days(3), images={"app": "sha256:2"}),
            "newer": quarantine_of("newer", at=NOW - days(2), images={"app": "sha256:2"}),
            "pair": quarantine_of("pair", images={"app": "sha256:2", "log": "sha256:3"}),
            "unread": quarantine_of("unread", images={"app": None}),
        }
        story.memory = replace(story.memory, quarantined=kept)
        revision = replace(story.revisions[story.deployments[-1].target], images=images)
        found = with_its_images(question(story), revision)
        return found.identity if found else None

    def test_the_last_build_that_ran_them_is_named(self) -> None:
        assert self.named({"app": "sha256:2"}) == "newer"
        assert self.named({"server": "sha256:2"}) == "newer", "whatever the container is called"
        assert self.named({"log": "sha256:2", "app": "sha256:3"}) == "pair"

    def test_none_where_they_differ_or_are_not_known(self) -> None:
        assert self.named({"app": "sha256:9"}) is None
        assert self.named({"app": "sha256:2", "log": None}) is None
        assert self.named({"app": None}) is None
        assert self.named({}) is None


def test_people_are_told_which_build_and_when() -> None:
    told = quarantine_of("v2", task_definition="auth:2")
    assert words_of(told) == "auth:2, which was rolled back from at 2026-11-19 14:00:00Z"
    nameless = quarantine_of("v2", task_definition="")
    assert words_of(nameless).startswith("a build, which was rolled back from")
