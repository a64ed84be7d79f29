"""What people read: the subject and the letter of a message, made from its fields. No code reads them back."""

from dataclasses import dataclass

from autorollback.decision.formatting import clock, shortened
from autorollback.decision.result import IncidentState, Outcome, Result
from autorollback.decision.verdicts import FindingVerdict, Reason
from autorollback.results import Message

SUBJECT_LIMIT = 99
"""Characters; SNS takes fewer than 100, ASCII, no line breaks (API Publish, Subject)."""

_BACK_FROM_QUARANTINE = "a build that was rolled back from is back, or its images"
_ESCALATED = "STILL IN ALARM"
_STATE_WORDS = {
    IncidentState.RECOVERED: "RECOVERED",
    IncidentState.NOT_RECOVERED: "NOT RECOVERED",
    IncidentState.SUPERSEDED: "SUPERSEDED",
}
_OUTCOME_WORDS = {
    Outcome.ROLLED_BACK: "ROLLED BACK",
    Outcome.WOULD_ROLL_BACK: "WOULD ROLL BACK",
    Outcome.HELD: "HELD",
    Outcome.FAILED: "FAILED",
    Outcome.IGNORED: "IGNORED",
    Outcome.REJECTED: "REJECTED",
    Outcome.DONE: "BACK FROM QUARANTINE",
}


def subject(message: Message) -> str:
    """What a phone shows first, within SNS's limits."""
    what = _BACK_FROM_QUARANTINE
    if isinstance(message, Result) and message.reason:
        what = message.reason.value.replace("_", " ")
    text = f"[{_word(message)}] {message.cluster}/{message.service}: {what}"
    plain = text.encode("ascii", "replace").decode()
    return shortened(plain, SUBJECT_LIMIT)


def night_message(message: Message, installation: str = "") -> str:
    """The letter that people get.

    What, from, to, why, is it better, what next, and the command to undo.

    `installation` is the name of this installation of the controller, which commands have to give; empty for the first.
    """
    lines = [str(message.summary), ""]
    if isinstance(message, Result):
        lines.extend(_about_revisions(message))
        lines.extend(_why(message))
        lines.extend(_about_copy(message))
        lines.extend(_look_at(message))
    elif message.goes_to:
        lines.append(f"To:      {message.goes_to.task_definition}")
    for line in _what_next(message, installation):
        lines.append(f"{line.heading:<8} {line.text}")
    if message.incident_id:
        lines.extend(["", f"Incident {message.incident_id}"])
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the letter; without a label it goes on with the one before."""

    label: str
    text: str

    @property
    def heading(self) -> str:
        """The label as the letter has it."""
        return f"{self.label}:" if self.label else ""


def _about_revisions(result: Result) -> list[str]:
    lines = []
    if result.came_from:
        lines.append(f"From:    {result.came_from.task_definition}")
    target = result.goes_to
    if target and target.restored_as:
        lines.append(f"To:      {target.task_definition} (restored as {target.restored_as})")
    elif target:
        lines.append(f"To:      {target.task_definition}")
    return lines


def _about_copy(result: Result) -> list[str]:
    """What follows from a copy for those who deploy next."""
    target = result.goes_to
    if target is None or target.restored_as is None or not _was_done(result):
        return []
    return [
        f"Note:    {target.restored_as} names its images by digest; a tool that rewrites image:tag",
        "         of what runs breaks on that. Deploy from your own definition.",
    ]


def _was_done(result: Result) -> bool:
    return result.outcome is Outcome.ROLLED_BACK and result.incident_state is IncidentState.OPEN


def _why(result: Result) -> list[str]:
    spoke = [f for f in result.evidence if f.verdict is not FindingVerdict.PASSED]
    lines = [f"Why:     {finding.detail}" for finding in spoke]
    if result.requested_by:
        lines.append(f"Asked:   by {result.requested_by}, as the request itself says")
    return lines


def _look_at(result: Result) -> list[str]:
    """Other services that were deployed shortly before the trouble."""
    lines = []
    for place in result.look_at:
        what = f"{place.cluster}/{place.service} was deployed"
        lines.append(f"Look at: {what} at {clock(place.at)}: {place.task_definition}")
    return lines


def _what_next(message: Message, installation: str) -> list[_Line]:
    """Is it better, what next, and the command to undo."""
    commands = _Commands(message, installation)
    if isinstance(message, Result):
        after_rollback = _after_rollback(message, commands)
        if after_rollback:
            return after_rollback
    match message.outcome:
        case Outcome.ROLLED_BACK:
            return [
                _Line("Better", "too early to say; its recovery is being watched"),
                _Line("Next", "you will be told how it ended; nothing to do until then"),
                *commands.undo,
            ]
        case Outcome.WOULD_ROLL_BACK:
            return [
                _Line("Better", "no: nothing was changed"),
                _Line("Next", "to do it:"),
                _Line("", commands.roll_back),
            ]
        case Outcome.DONE:
            return [
                _Line("Next", "if nobody meant to deploy it, roll back:"),
                _Line("", commands.roll_back),
            ]
        case _:
            return [
                _Line("Better", "no: nothing was changed"),
                _Line("Next", "a person decides; see what would happen:"),
                _Line("", commands.plan),
            ]


def _after_rollback(result: Result, commands: "_Commands") -> list[_Line]:
    """How a rollback ended, or that nobody acts; nothing where it has not."""
    if _is_red_still(result):
        return [
            _Line("Better", "NO. It has been in ALARM ever since, and nobody acts"),
            _Line("Next", "look at the service now; see what would happen:"),
            _Line("", commands.plan),
        ]
    if result.reason is Reason.REFUSED_BY_AWS:
        return [
            _Line("Better", "no: nothing was changed"),
            _Line("Next", "mend what AWS says above, or go to another revision:"),
            _Line("", commands.to_another),
        ]
    if result.outcome is Outcome.FAILED:
        return [
            _Line("Better", "no: the service runs what it ran before"),
            _Line("Next", "look at the error above; see what would happen now:"),
            _Line("", commands.plan),
        ]
    match result.incident_state:
        case IncidentState.NOT_RECOVERED:
            no = "NO. The rollback did not help, and nothing will be rolled back further"
            return [
                _Line("Better", no),
                _Line("Next", "look at the service now"),
                *commands.undo,
            ]
        case IncidentState.RECOVERED:
            rest = "nothing tonight; the build it came from stays quarantined until it is released"
            return [_Line("Better", "yes"), _Line("Next", rest)]
        case IncidentState.SUPERSEDED:
            return [
                _Line("Better", "not known: somebody has deployed since"),
                _Line("Next", "watch that deployment"),
            ]
        case _:
            return []


class _Commands:
    """The commands that a message offers, for its service and installation."""

    def __init__(
        self,
        message: Message,
        installation: str,
    ) -> None:
        name = f" --name {installation}" if installation else ""
        self._script = f"./rollback.sh {message.service}"
        self._where = f" --cluster {message.cluster}{name}"
        came_from = message.came_from if isinstance(message, Result) else None
        self._came_from = came_from.task_definition if came_from else ""
        self._goes_to = message.goes_to.task_definition if message.goes_to else ""

    @property
    def roll_back(self) -> str:
        return f"{self._script}{self._where}"

    @property
    def plan(self) -> str:
        return f"{self._script}{self._where} --plan"

    @property
    def to_another(self) -> str:
        return f"{self._script} REVISION{self._where}"

    @property
    def undo(self) -> list[_Line]:
        """The way back. A number alone is one of the family that runs then, which may be another one's."""
        if not self._came_from:
            return []
        family, _, number = self._came_from.rpartition(":")
        if family != self._goes_to.rpartition(":")[0]:
            return [_Line("Undo", f"deploy {self._came_from} yourself: it is of another family")]
        return [_Line("Undo", f"{self._script} {number}{self._where} --reason undo")]


def _is_red_still(result: Result) -> bool:
    """Whether it is told again because an alarm stays red; what AWS refused is critical from the first."""
    return result.escalated and result.reason is not Reason.REFUSED_BY_AWS


def _word(message: Message) -> str:
    if isinstance(message, Result) and _is_red_still(message):
        return _ESCALATED
    state = message.incident_state if isinstance(message, Result) else None
    if state in _STATE_WORDS:
        return _STATE_WORDS[state]
    return _OUTCOME_WORDS[message.outcome]
