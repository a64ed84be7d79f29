"""Rule 5: an alarm that keeps coming and going convicts nobody.

It came before the deployment, and proves nothing by coming again.
"""

from datetime import timedelta

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Alarm, Deployment
from autorollback.decision.question import Question
from autorollback.decision.stability import past_is_known
from autorollback.decision.verdicts import Hold, Reason

LOOKED_BACK = timedelta(hours=24)
"""How long before the deployment the alarm's transitions count."""


def came_and_went(
    alarm: Alarm,
    suspect: Deployment,
    question: Question,
) -> Passed | Hold:
    """Whether an alarm had come and gone too often before a deployment to convict it."""
    looked_back_to = suspect.start - LOOKED_BACK
    if not past_is_known(alarm, looked_back_to, question.now):
        detail = f"the history of {alarm.signal} in the 24 h before the deployment was not read"
        return Hold(Reason.ALARM_IS_FLAPPING, detail, suspect)

    transitions = 0
    for period in alarm.spells or ():
        if looked_back_to <= period.since < suspect.start:
            transitions += 1
    limit = question.policy.flap_limit
    went = f"{alarm.signal} went to ALARM {transitions} times in the 24 h before the deployment"
    detail = f"{went}, limit {limit}"
    if transitions > limit:
        return Hold(Reason.ALARM_IS_FLAPPING, detail, suspect)
    return Passed(detail)


def _ask(case: Case) -> Passed | Hold:
    alarm, suspect = case.blamed.alarm, case.blamed.suspect
    if alarm is None:
        return Passed("an ECS event, no alarm")
    if case.blamed.known_bad:
        return Passed(
            "a build that was rolled back from before: how the alarm was then says nothing"
        )
    return came_and_went(alarm, suspect, case.question)


RULE = Rule("alarm_is_flapping", _ask)
