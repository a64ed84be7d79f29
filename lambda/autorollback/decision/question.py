"""What is asked of the decision: the facts, the policy and the moment."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from autorollback.decision.facts import Facts
from autorollback.decision.serving import ServingPeriod, serving_periods
from autorollback.policy import Policy


@dataclass(frozen=True)
class Question:
    """The three arguments of every judgement, which travel together."""

    facts: Facts
    policy: Policy
    now: datetime

    @cached_property
    def periods(self) -> tuple[ServingPeriod, ...]:
        """The serving periods that the facts tell of, newest first. Nearly every rule asks for them."""
        return serving_periods(self.facts)

    @property
    def behind_load_balancer(self) -> bool:
        """Whether requests are counted on their way, so that a quiet time can be told."""
        service = self.facts.service
        return service is not None and service.behind_load_balancer
