"""Rule 0: muted, paused or off. Nothing is judged.

A muted alarm is turned away by `muted` alone, before the policy is read: no judgement of it begins.
"""

from autorollback.decision.case import Case, Passed, Rule
from autorollback.decision.facts import Trigger
from autorollback.decision.formatting import clock
from autorollback.decision.verdicts import Ignore, Reason
from autorollback.policy import Mode


def muted(trigger: Trigger) -> Ignore | None:
    """The verdict on an alarm whose actions are muted; None where they are not. It needs no policy."""
    if not trigger.muted:
        return None
    return Ignore(Reason.MUTED, f"the alarm's actions are muted: {trigger.muted}")


def _ask(case: Case) -> Passed | Ignore:
    policy, paused_until = case.policy, case.facts.ledger.paused_until
    if policy.mode is Mode.OFF:
        return Ignore(Reason.PAUSED, "the mode of this service is off")
    if paused_until and case.now < paused_until:
        detail = f"automatic rollbacks are paused until {clock(paused_until)}"
        return Ignore(Reason.PAUSED, detail)
    return Passed(f"mode {policy.mode}, neither muted nor paused")


RULE = Rule("paused", _ask)
