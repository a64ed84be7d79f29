"""Rule 6: were services that did not change in trouble before this one?"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from autorollback.decision.case import Case, Passed, Rule, Suspicion
from autorollback.decision.facts import Deployment, Facts, Neighbour
from autorollback.decision.verdicts import Hold, Reason
from autorollback.policy import Policy

NEAR = timedelta(minutes=10)
"""How far apart two onsets may be for one cause, and an onset from the end of the deployment that caused it."""

ENOUGH_AT_ONCE = 8
"""Services that fell ill together with this one are enough for one cause, in however large a fleet."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class _Ill:
    """The other services that were not deployed, by when they fell ill.

    Attributes:
        earlier: up to 10 minutes before this one.
        equal: less than one period from it: which came first cannot be told.
        later: up to 10 minutes after it.
    """

    earlier: Set[str]
    equal: Set[str]
    later: Set[str]


def services_for_shared_cause(protected_services: int, policy: Policy) -> int:
    """How many other services must be in trouble.

    In a small fleet half of the others, but at least two.
    """
    half_of_the_others = -(-(protected_services - 1) // 2)
    return min(policy.shared_cause_services, max(2, half_of_the_others))


def services_at_once(protected_services: int) -> int:
    """How many other services must have fallen ill together with this one.

    A quarter of the others or eight, whichever is fewer.
    """
    quarter_of_the_others = -(-(protected_services - 1) // 4)
    return min(quarter_of_the_others, ENOUGH_AT_ONCE)


def explains(
    deployment: Deployment,
    onset: datetime,
    window: timedelta,
) -> bool:
    """Whether trouble follows a deployment: begun after its start, and not long after its end."""
    if deployment.start > onset:
        return False
    if deployment.finished_at is None:
        return True
    return onset - deployment.finished_at <= min(window, NEAR)


def _ask(case: Case) -> Passed | Hold:
    facts, blamed = case.facts, case.blamed
    needed = services_for_shared_cause(facts.protected_services, case.policy)
    ill = _ill_for_another_reason(blamed, facts)

    if _finished_long_before(blamed):
        counted = ill.earlier | ill.equal | ill.later
        when = "within 10 min of it"
    elif len(ill.equal) >= max(needed, services_at_once(facts.protected_services)):
        counted = ill.earlier | ill.equal
        when = "with it, or within 10 min before it"
    else:
        counted = ill.earlier
        when = "within 10 min before it"

    detail = f"{len(counted)} unchanged services fell ill {when}, {needed} required"
    if len(counted) >= needed:
        named = ", ".join(sorted(counted)[:_NAMED])
        return Hold(Reason.SHARED_CAUSE, f"{detail}: {named}", blamed.suspect)
    if ill.equal - counted:
        detail = f"{detail}; {len(ill.equal)} at the same time"
    return Passed(detail)


def _ill_for_another_reason(suspicion: Suspicion, facts: Facts) -> _Ill:
    """The other services that were not deployed, and whose trouble began near this one's.

    A service with several alarms counts once, by the earliest of them.
    """
    earlier: set[str] = set()
    equal: set[str] = set()
    later: set[str] = set()
    for neighbour in _not_deployed(facts):
        name = str(neighbour.key)
        apart = neighbour.onset - suspicion.onset
        if abs(apart) < max(suspicion.grain, neighbour.grain):
            equal.add(name)
        elif -NEAR <= apart < timedelta():
            earlier.add(name)
        elif timedelta() < apart <= NEAR:
            later.add(name)
    return _Ill(earlier, equal - earlier, later - equal - earlier)


def _not_deployed(facts: Facts) -> Iterator[Neighbour]:
    """The neighbours that no deployment of their own explains.

    Those whose deployments were not read count as deployed, unless all that were read were not.
    """
    any_was = any(neighbour.changed for neighbour in facts.neighbours)
    for neighbour in facts.neighbours:
        if neighbour.changed is False or not any_was:
            yield neighbour


def _finished_long_before(suspicion: Suspicion) -> bool:
    suspect = suspicion.suspect
    if suspect.status.in_progress:
        return False
    finished = suspect.finished_at or suspect.start
    return suspicion.onset - finished > NEAR


RULE = Rule("shared_cause", _ask)
