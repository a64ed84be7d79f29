"""What holds for every story: order means nothing, the past blames nobody, and nothing unread leads to an act."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from autorollback.decision.decide import decide
from autorollback.decision.facts import Alarm, Facts, Status
from autorollback.decision.quarantine import quarantined
from autorollback.decision.question import Question
from autorollback.decision.serving import serving_periods
from autorollback.decision.verdicts import RollBack
from tests.examples import examples
from tests.scenarios.history import NOW, History, days, incident, minutes

BUILDS = st.sampled_from(["v1", "v2", "v3", "v4"])
STATUSES = st.sampled_from(
    [Status.SUCCESSFUL] * 6 + [Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED]
)
GAPS = st.sampled_from([3, 12, 25, 33, 45, 90, 26 * 60, 5 * 24 * 60])


@st.composite
def stories(draw: st.DrawFn) -> History:
    """Some builds, deployed one after the other, some of them badly; some past alarms; one that fires now."""
    story, gaps = incident(), draw(st.lists(GAPS, min_size=2, max_size=7))
    for number, ago in enumerate([sum(gaps[i:]) for i in range(len(gaps))]):
        newest = number == len(gaps) - 1
        status = (
            draw(st.sampled_from([Status.SUCCESSFUL, Status.IN_PROGRESS]))
            if newest
            else draw(STATUSES)
        )
        build = draw(BUILDS) if number else "v1"
        stamp = draw(st.sampled_from(["", "", "", "-again"]))
        story.deployed(
            f"{build}{stamp}",
            seen_as=build,
            ago=minutes(ago),
            status=status if number else Status.SUCCESSFUL,
            irreversible=draw(st.integers(0, 9)) == 0,
            requests=draw(st.sampled_from([900, 900, 900, 0])),
        )
    for ago in sorted(draw(st.lists(st.integers(20, 4000), max_size=3)), reverse=True):
        story.was_red(draw(st.sampled_from(["5xx-rate", "latency"])), ago=minutes(ago))
    for number in range(draw(st.integers(0, 4))):
        story.neighbour(
            f"other-{number}", onset=minutes(draw(st.integers(0, 20))), changed=draw(st.booleans())
        )
    if draw(st.booleans()):
        signals = draw(st.sampled_from([("5xx-rate",), ("latency",), ()]))
        quarantined_for = minutes(draw(st.integers(1, 9000)))
        story.quarantined(draw(BUILDS), ago=quarantined_for, signals=signals)
    if draw(st.booleans()):
        story.rolled_back(
            draw(BUILDS), ago=minutes(draw(st.integers(5, 3000))), pins=draw(st.booleans())
        )
    return story.alarm("5xx-rate", onset=minutes(draw(st.integers(0, 18))))


told = examples(200)


@told
@given(stories(), st.randoms(use_true_random=False))
def test_a_verdict_never_depends_on_the_order_of_facts(
    story: History, shuffle: random.Random
) -> None:
    def shuffled(values: tuple) -> tuple:  # type: ignore[type-arg] # of whatever facts
        return tuple(shuffle.sample(values, len(values)))

    facts = story.facts()
    memory = replace(facts.ledger, rollbacks=shuffled(facts.ledger.rollbacks))
    other = replace(
        facts,
        deployments=shuffled(facts.deployments),
        alarms=shuffled(facts.alarms),
        neighbours=shuffled(facts.neighbours),
        revisions=dict(shuffled(tuple(facts.revisions.items()))),
        ledger=memory,
    )
    assert decide(other, story.policy, NOW) == decide(facts, story.policy, NOW)


@told
@given(stories())
def test_the_target_ran_well_before_the_suspect_and_is_neither_it_nor_quarantined(
    story: History,
) -> None:
    facts = story.facts()
    verdict = decide(facts, story.policy, NOW).verdict
    if not isinstance(verdict, RollBack):
        return
    suspect = facts.revisions[verdict.suspect.target]
    served = {
        s.revision
        for s in serving_periods(facts)
        if s.end(NOW) - s.since >= story.policy.stable_after
    }
    for candidate in verdict.candidates:
        assert candidate.revision.identity != suspect.identity
        assert candidate.revision.identity not in quarantined(Question(facts, story.policy, NOW))
        assert candidate.revision.arn in served
        assert facts.requests[candidate.revision.arn]


@told
@given(stories())
def test_older_deployments_never_change_who_is_blamed_but_may_offer_a_target(
    story: History,
) -> None:
    """v0 is older than all of the story: another build, which nothing ever went back to.

    That something ran before the oldest deployment also says that this one changed the build, and
    so may have freed it from quarantine.
    """
    verdict = decide(story.facts(), story.policy, NOW).verdict
    told_first = incident().deployed("v0", ago=days(45))
    (ancient,), (revision,) = told_first.deployments, told_first.revisions.values()
    ancient, revision = replace(ancient, arn="ancient", target="v0"), replace(revision, arn="v0")
    facts = story.facts()
    first = replace(facts.deployments[-1], sources=("v0",))
    with_past = replace(
        facts,
        deployments=(*facts.deployments[:-1], first, ancient),
        revisions={**facts.revisions, "v0": revision},
        requests={**facts.requests, "v0": 5000},
    )
    again = decide(with_past, story.policy, NOW).verdict
    if isinstance(verdict, RollBack):
        assert isinstance(again, RollBack)
        assert again.suspect.arn == verdict.suspect.arn
        assert again.candidates[: len(verdict.candidates)] == verdict.candidates
    elif isinstance(again, RollBack):
        assert verdict.reason.value == "no_stable_revision"
        offered = {c.revision.identity for c in again.candidates}
        assert offered - set(story.memory.quarantined) == {"v0"}


def _without(facts: Facts) -> Iterator[Facts]:
    """The same facts with one of them not read."""
    for arn in facts.revisions:
        yield replace(facts, revisions={k: v for k, v in facts.revisions.items() if k != arn})
        unknown = replace(facts.revisions[arn], identity=None)
        yield replace(facts, revisions={**facts.revisions, arn: unknown})
    for arn in facts.requests:
        yield replace(facts, requests={**facts.requests, arn: None})
    blanks: tuple[Callable[[Alarm], Alarm], ...] = (
        lambda a: replace(a, onset=None),
        lambda a: replace(a, since=None),
        lambda a: replace(a, spells=None, history_from=None),
        lambda a: replace(a, first_trace=None),
        lambda a: replace(a, last_breach=None),
    )
    for index, alarm in enumerate(facts.alarms):
        for blank in blanks:
            yield replace(
                facts, alarms=(*facts.alarms[:index], blank(alarm), *facts.alarms[index + 1 :])
            )
    # where one was deployed, those whose deployments were not read count as deployed
    spared = any(neighbour.changed for neighbour in facts.neighbours)
    for index, neighbour in enumerate(() if spared else facts.neighbours):
        unknown_neighbour = replace(neighbour, changed=None)
        others = (*facts.neighbours[:index], unknown_neighbour, *facts.neighbours[index + 1 :])
        yield replace(facts, neighbours=others)
    yield replace(facts, service=None)


@told
@given(stories())
def test_nothing_that_was_not_read_leads_to_an_act(story: History) -> None:
    facts = story.facts()
    if isinstance(decide(facts, story.policy, NOW).verdict, RollBack):
        return
    for fewer in _without(facts):
        verdict = decide(fewer, story.policy, NOW).verdict
        assert not isinstance(verdict, RollBack), verdict.detail
