"""One life of an incident: every transition that there is, and none beside them."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
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
        pytest.param(Phase.CLAIMED, RESULT, False, id="claimed again for a second try"),
        pytest.param(Phase.OPEN, None, False, id="without a result"),
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


@pytest.mark.parametrize(
    ("phase", "result", "refused"),
    [
        pytest.param(
            Phase.FAILED, replace(RESULT, outcome=Outcome.HELD), True, id="refused for good"
        ),
        pytest.param(Phase.FAILED, replace(RESULT, outcome=Outcome.FAILED), False, id="given up"),
        pytest.param(Phase.FAILED, None, False, id="failed, and nothing says why"),
        pytest.param(
            Phase.CLAIMED, replace(RESULT, outcome=Outcome.HELD), False, id="claimed again"
        ),
    ],
)
def test_what_aws_refused_for_good_is_not_tried_again_by_itself(
    phase: Phase, result: Result | None, *, refused: bool
) -> None:
    assert replace(CLAIM, phase=phase, result=result).was_refused is refused


@pytest.mark.parametrize(
    ("method", "stops", "instead"),
    [
        (RollbackMethod.UPDATE_SERVICE, False, "UpdateService"),
        (RollbackMethod.STOP_DEPLOYMENT, True, "UpdateService"),
        (RollbackMethod.CREATE_DEPLOYMENT, False, "CreateDeployment"),
        (RollbackMethod.STOP_CODE_DEPLOY, True, "CreateDeployment"),
    ],
)
def test_where_a_stop_comes_too_late_the_target_is_deployed(
    method: RollbackMethod, *, stops: bool, instead: str
) -> None:
    assert method.stops is stops
    assert method.instead.value == instead
    assert method.through_code_deploy is (instead == "CreateDeployment")


@pytest.mark.parametrize(
    ("needs_copy", "deploy", "missing"),
    [
        pytest.param(True, "auth:18", True, id="not registered yet"),
        pytest.param(True, "auth:20", False, id="registered"),
        pytest.param(False, "auth:18", False, id="none is needed"),
    ],
)
def test_a_copy_is_registered_once(*, needs_copy: bool, deploy: str, missing: bool) -> None:
    assert replace(INTENT, needs_copy=needs_copy, deploy=deploy).copy_is_missing is missing


def test_people_are_told_who_was_asked() -> None:
    assert INTENT.controller == "ECS"
    assert replace(INTENT, code_deploy="app/group").controller == "CodeDeploy"


def test_a_second_try_was_decided_later_than_the_claim() -> None:
    assert CLAIM.attempted_at == NOW
    later = NOW + timedelta(minutes=9)
    assert CLAIM.with_intent(replace(INTENT, again_at=later)).attempted_at == later


def test_what_was_recorded_is_shown_and_before_that_what_is_intended() -> None:
    assert CLAIM.shown == RESULT
    recorded = replace(RESULT, summary="recovered")
    assert replace(CLAIM, result=recorded).shown == recorded


@pytest.mark.parametrize(
    ("again_at", "phase", "outcome", "state"),
    [
        pytest.param(None, Phase.FAILED, Outcome.FAILED, None, id="a claim that did nothing"),
        pytest.param(
            NOW,
            Phase.SUPERSEDED,
            Outcome.ROLLED_BACK,
            IncidentState.SUPERSEDED,
            id="the second try of a rollback that is on record",
        ),
    ],
)
def test_nobody_is_told_of_a_claim_whose_place_a_persons_request_took(
    again_at: datetime | None, phase: Phase, outcome: Outcome, state: IncidentState | None
) -> None:
    """That person knows."""
    claim = CLAIM.with_intent(replace(INTENT, again_at=again_at))
    ended = claim.replaced(NOW)
    assert (ended.phase, ended.shown.outcome, ended.shown.incident_state) == (phase, outcome, state)
    assert ended.closed_at == NOW
    assert ended.untold == ()
