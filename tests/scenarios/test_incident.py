"""One life of an incident: every transition that there is, and none beside them."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from autorollback.decision.incident import (
    TRANSITIONS,
    Event,
    IllegalTransition,
    Incident,
    Intent,
    Phase,
    RollbackMethod,
    following,
)
from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.decision.verdicts import Reason
from autorollback.naming import ServiceKey

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
RESULT = Result(Outcome.ROLLED_BACK, Reason.ALARM_AFTER_DEPLOYMENT, "rolled back")
INTENT = Intent(
    RollbackMethod.UPDATE_SERVICE, "auth:18", "auth:18", {}, False, "arn:service", RESULT
)
CLAIM = Incident(
    "shop/auth/1",
    ServiceKey("shop", "auth"),
    "incident#1",
    Phase.CLAIMED,
    "arn:2",
    NOW,
    True,
    INTENT,
)


@pytest.mark.parametrize(("phase", "event"), list(product(Phase, Event)))
def test_what_can_happen_is_in_the_table_and_all_else_is_refused(
    phase: Phase, event: Event
) -> None:
    if (phase, event) not in TRANSITIONS:
        with pytest.raises(
            IllegalTransition,
            match=f"{event.value} cannot happen to an incident that is {phase.value}",
        ):
            following(phase, event)
        return
    assert following(phase, event) == TRANSITIONS[phase, event]


def test_every_phase_is_reached_and_an_ended_incident_stays_as_it_is() -> None:
    reached = {to for to in TRANSITIONS.values() if to}
    assert reached | {Phase.CLAIMED} == set(Phase)
    begins = {phase for phase, _ in TRANSITIONS}
    assert begins == {Phase.CLAIMED, Phase.ACTING, Phase.OPEN}, "all other phases are the end"


def test_the_diagram_in_the_docs_is_the_table() -> None:
    drawn = re.findall(
        r"^    (\S+) --> (\S+): (\S+)$", (DOCS / "architecture.md").read_text(), re.MULTILINE
    )
    known = {
        (phase.value, to.value if to else "[*]", event.value)
        for (phase, event), to in TRANSITIONS.items()
    }
    assert {(a, b, event) for a, b, event in drawn} == known


def test_a_claim_without_act_has_no_state_to_tell_and_every_other_phase_has_its_own() -> None:
    without_act = {phase for phase in Phase if phase.told_as is None}
    assert without_act == {Phase.CLAIMED, Phase.ACTING, Phase.FAILED}
    assert {phase.told_as for phase in Phase} - {None} == set(IncidentState)


def test_what_people_were_not_told_of_is_kept_through_the_next_phase() -> None:
    """A message that could not be sent before the incident went on is sent with the next one, in order."""
    opened = replace(CLAIM.after(Event.ACTED), result=RESULT)
    recovered = replace(RESULT, summary="recovered")
    closed = opened.closed(Event.CALM, recovered, NOW)
    assert closed.untold == (RESULT, recovered)
    assert replace(opened, announced=True).closed(Event.CALM, recovered, NOW).untold == (recovered,)


def test_a_second_try_keeps_what_people_were_not_told_of_the_first() -> None:
    opened = replace(CLAIM.after(Event.ACTED), result=RESULT)
    again = replace(opened.after(Event.STOP_FAILED), result=None)
    assert again.untold == (), "of a claim there is nothing to tell yet"
    second = replace(again.after(Event.ACTED), result=replace(RESULT, summary="deployed instead"))
    assert [result.summary for result in second.untold] == ["rolled back", "deployed instead"]


def test_of_a_new_claim_nothing_has_been_written_or_told_yet() -> None:
    """Each write names the step that it follows: the first one after the claim follows step 0."""
    assert (CLAIM.step, CLAIM.announced, CLAIM.closed_at) == (0, False, None)


def test_a_removed_record_is_in_no_phase() -> None:
    assert TRANSITIONS[Phase.CLAIMED, Event.RETRACTED] is None
    with pytest.raises(IllegalTransition, match="removes the record"):
        CLAIM.after(Event.RETRACTED)


@pytest.mark.parametrize(
    ("phase", "result", "acted"),
    [
        pytest.param(Phase.CLAIMED, None, False, id="only claimed"),
        pytest.param(Phase.ACTING, None, False, id="asked, and no answer yet"),
        pytest.param(Phase.OPEN, RESULT, True, id="rolled back"),
        pytest.param(Phase.FAILED, replace(RESULT, outcome=Outcome.FAILED), False, id="given up"),
        pytest.param(
            Phase.SUPERSEDED,
            replace(RESULT, outcome=Outcome.IGNORED),
            False,
            id="taken the place of",
        ),
        pytest.param(Phase.SUPERSEDED, RESULT, True, id="rolled back, and another deployed since"),
    ],
)
def test_only_what_was_done_counts_as_a_rollback(
    phase: Phase, result: Result | None, *, acted: bool
) -> None:
    assert replace(CLAIM, phase=phase, result=result).acted is acted
