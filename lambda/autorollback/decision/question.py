"""What is asked of the decision: the facts, the policy and the moment."""

from dataclasses import dataclass
from datetime import datetime

from autorollback.decision.facts import Facts
from autorollback.policy import Policy


@dataclass(frozen=True, slots=True)
class Question:
    """The three arguments of every judgement, which travel together."""

    facts: Facts
    policy: Policy
    now: datetime

    @property
    def behind_load_balancer(self) -> bool:
        """Whether requests are counted on their way, so that a quiet time can be told."""
        service = self.facts.service
        return service is not None and service.behind_load_balancer
