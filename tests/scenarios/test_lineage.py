"""What ran before a deployment, and what the deployments before it left."""

from dataclasses import replace

from autorollback.decision.facts import Status
from autorollback.decision.ledger_state import ServiceLedger
from autorollback.decision.lineage import deployment_of, running_before, something_ran_before
from tests.scenarios.history import History, days, incident, minutes, seconds
from tests.scenarios.test_incident import CLAIM, RESULT


def three(status: Status) -> History:
    """v1 ran well, v2 came to something or nothing, then v3 came."""
    story = incident().deployed("v1", ago=days(6)).deployed("v2", ago=minutes(30), status=status)
    return story.deployed("v3", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))


def before(story: History, index: int = 0) -> str | None:
    found = running_before(story.facts(), index)
    return found.identity if found else None


def without_sources(story: History) -> History:
    """As AWS tells it where a deployment names no source."""
    story.deployments = [replace(deployment, sources=()) for deployment in story.deployments]
    return story


def test_where_no_source_is_named_it_is_what_the_deployment_before_left() -> None:
    assert before(without_sources(three(Status.SUCCESSFUL))) == "v2"
    assert before(without_sources(three(Status.ROLLBACK_SUCCESSFUL))) == "v1"
    assert before(without_sources(three(Status.STOPPED))) == "v1", "the one before that"


def test_before_the_first_deployment_nothing_ran() -> None:
    story = without_sources(three(Status.SUCCESSFUL))
    assert before(story, 2) is None
    ran = [something_ran_before(story.facts(), index) for index in range(3)]
    assert ran == [True, True, False]


def test_what_a_deployment_names_as_its_source_ran_though_nothing_else_is_on_record() -> None:
    story = three(Status.SUCCESSFUL)
    del story.deployments[:2]
    assert something_ran_before(story.facts(), 0)
    assert before(story) == "v2"


def test_what_was_still_being_deployed_is_a_source_where_it_is_the_only_one() -> None:
    story = three(Status.STOPPED)
    unfinished = story.deployments[1].target
    story.deployments[2] = replace(story.deployments[2], sources=(unfinished,))
    assert before(story) == "v2"


def test_of_several_sources_only_what_came_just_before_was_still_being_deployed() -> None:
    story = incident().deployed("v1", ago=days(6))
    story.deployed("v2", ago=minutes(50), status=Status.STOPPED).deployed("v3", ago=minutes(30))
    story.deployed("v4", ago=minutes(9)).alarm("5xx-rate", onset=minutes(6))
    _, second, third, _ = story.deployments
    story.deployments[3] = replace(story.deployments[3], sources=(second.target, third.target))
    assert before(story) == "v2", "the first by name, for nobody can tell"


def test_people_have_something_to_be_told_where_one_of_many_incidents_is_untold() -> None:
    told = replace(CLAIM, result=RESULT, announced=True)
    untold = replace(told, announced=False)
    assert ServiceLedger(incidents=(told, untold)).has_untold
    assert not ServiceLedger(incidents=(told, told)).has_untold
    assert ServiceLedger(incidents=(told,), unsent=("notice",)).has_untold


def rollback_over(story: History, over: str | None) -> History:
    """The ledger's one rollback, claimed while that deployment was the newest."""
    rollback = replace(story.memory.rollbacks[0], over=over)
    story.memory = replace(story.memory, rollbacks=(rollback,))
    return story


def v1_three_times() -> History:
    """A rollback to v1 within a minute of v1's own deployment; later v1 was deployed again."""
    story = (
        incident().deployed("v1", ago=minutes(60)).deployed("v2", ago=minutes(59), took=seconds(20))
    )
    story.deployed("v1", ago=minutes(57)).deployed("v1", ago=minutes(20))
    return story.rolled_back("v1", ago=minutes(60)).alarm("5xx-rate", onset=minutes(6))


def carried_out_by(story: History) -> int | None:
    """The number of the deployment that carried the rollback out."""
    found = deployment_of(story.memory.rollbacks[0], story.facts())
    return story.deployments.index(found) + 1 if found else None


def test_what_carried_a_rollback_out_came_after_what_was_claimed() -> None:
    story = v1_three_times()
    assert carried_out_by(rollback_over(story, story.deployments[0].arn)) == 3
    assert carried_out_by(rollback_over(story, story.deployments[2].arn)) == 4
    assert carried_out_by(rollback_over(story, story.deployments[3].arn)) is None


def test_where_what_was_claimed_is_not_on_record_the_first_that_fits_carried_it_out() -> None:
    """AWS has forgotten it, or the record is older than that it is kept."""
    assert carried_out_by(rollback_over(v1_three_times(), "forgotten")) == 3
    assert carried_out_by(rollback_over(v1_three_times(), None)) == 3
