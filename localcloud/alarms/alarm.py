"""One alarm with its state, and one entry of its history."""

from dataclasses import dataclass, field
from datetime import datetime

from localcloud.alarms import definitions, rules
from localcloud.alarms.definitions import METRIC, Definition
from localcloud.alarms.queries import MetricQuery

STATES = ("OK", "ALARM", "INSUFFICIENT_DATA")


@dataclass(frozen=True)
class AlarmState:
    """A state with its reason.

    `reason_data` is a JSON string, None where there is no data.
    """

    value: str
    reason: str
    reason_data: str | None
    updated_at: datetime


@dataclass
class Alarm:
    """One alarm: `definition` holds the parameters of the Put call that made it.

    A metric alarm has `queries`, one of which returns the evaluated data; a composite alarm has a `rule` with children.
    """

    name: str
    alarm_arn: str  # so named because moto's tagging looks for it
    kind: str
    definition: Definition
    configured_at: datetime
    queries: list[MetricQuery] = field(init=False)
    rule: rules.Rule = field(init=False)
    state: AlarmState = field(init=False)
    transitioned_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        reason = "Unchecked: Initial alarm creation"
        self.state = AlarmState(
            "INSUFFICIENT_DATA",
            reason,
            None,
            self.configured_at,
        )
        self.transitioned_at = self.configured_at
        self.define(self.definition, self.configured_at)

    def define(self, definition: Definition, now: datetime) -> None:
        """Take on the parameters of a Put call; the state stays."""
        self.definition = definition
        self.configured_at = now
        if self.kind == METRIC:
            self.queries = definitions.queries_of(definition)
            self.rule = rules.NO_RULE
        else:
            self.queries = []
            self.rule = rules.parse(definition["AlarmRule"])

    @property
    def actions(self) -> list[str]:
        """The ARNs that are to be notified of the present state.

        The list is empty while actions are disabled.
        """
        if not self.definition["ActionsEnabled"]:
            return []
        arns: list[str] = self.definition[definitions.ACTIONS_OF_STATE[self.state.value]]
        return arns

    def described(self) -> Definition:
        """The alarm as DescribeAlarms has it."""
        answer = self.definition | {
            "AlarmArn": self.alarm_arn,
            "AlarmConfigurationUpdatedTimestamp": self.configured_at,
            "StateValue": self.state.value,
            "StateReason": self.state.reason,
            "StateUpdatedTimestamp": self.state.updated_at,
            "StateTransitionedTimestamp": self.transitioned_at,
        }
        answer.pop("Tags", None)
        if self.state.reason_data:
            answer["StateReasonData"] = self.state.reason_data
        return answer


@dataclass(frozen=True)
class HistoryItem:
    """One entry of DescribeAlarmHistory; `kind` is the alarm's type, `item` the HistoryItemType."""

    name: str
    kind: str
    item: str
    at: datetime
    summary: str
    data: str
