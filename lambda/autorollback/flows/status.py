"""How services stand, one line each.

What runs, what a rollback would go back to, and whether it could.
"""

from autorollback.flows import readiness
from autorollback.flows.session import Session
from autorollback.naming import ServiceKey
from autorollback.results import StatusAnswer, StatusLine


def status(session: Session, key: ServiceKey | None) -> StatusAnswer:
    """One service or all, looked at as the readiness audit does.

    What could not be read of one is None, and it is not ready. Nothing is written.
    """
    seen, left = readiness.look_at_those(session, key)
    lines = tuple(StatusLine(one.key, one.state, one.readiness.ready) for one in seen)
    return StatusAnswer(lines, tuple(left))
