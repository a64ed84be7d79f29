"""How many examples a property is tried with: as many as it names, or a few in `make quick`.

Each of them is derived from the property alone, so that two runs try the same.
"""

import os

from hypothesis import HealthCheck, settings

AT_MOST = "EXAMPLES"
"""The variable with the most that a property is tried with; `make quick` sets it."""


def examples(number: int) -> settings:
    """So many, of stories that may take long to tell."""
    at_most = int(os.environ.get(AT_MOST, number))
    return settings(
        max_examples=min(number, at_most),
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
