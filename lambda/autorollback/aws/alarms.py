"""Alarms as they are now, and their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from autorollback.aws import alarm_answers
from autorollback.aws.alarm_answers import Answer, StateChanges
from autorollback.decision.facts import Alarm, RedAlarm
from autorollback.naming import OWN_SIGNAL_PREFIX, SIGNALS, Names
from autorollback.policy import ServicePolicy
from autorollback.requests import AlarmChanged

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import AlarmTypeType
    from mypy_boto3_cloudwatch.type_defs import AlarmHistoryItemTypeDef

    from autorollback.aws.clients import Clients

NAMES_A_CALL = 100
"""That DescribeAlarms takes at most, and alarms a page (botocore cloudwatch/2010-08-01)."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Reads alarms: DescribeAlarms by exact names or by prefix and state, never polling."""

    clients: "Clients"
    names: Names

    def of(
        self,
        policy: ServicePolicy,
        event: AlarmChanged | None = None,
    ) -> tuple[Alarm, ...]:
        """The service's own alarms that exist.

        The children of composites are read with them, for the onset. The event that fired tells the
        onset of its alarm, unless the alarm has changed its state again since.
        """
        signals = self._signals_by_alarm(policy)
        described = self._described([*signals, *policy.alarms], policy)
        if event and event.alarm in described:
            described[event.alarm] = alarm_answers.as_it_fired(described[event.alarm], event)

        alarms = []
        for name, signal in signals.items():
            if name in described:
                alarms.append(alarm_answers.read_alarm(described[name], signal, described))
        return tuple(alarms)

    def red(self, cloudwatch: "CloudWatchClient | None" = None) -> tuple[RedAlarm, ...]:
        """One page of this controller's alarms that are in ALARM: at most 100.

        Another client may be named.
        """
        client = cloudwatch or self.clients.cloudwatch
        answer = client.describe_alarms(
            AlarmNamePrefix=self.names.alarm_prefix,
            StateValue="ALARM",
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=NAMES_A_CALL,
        )

        alarms = []
        for described in (*answer["MetricAlarms"], *answer["CompositeAlarms"]):
            alarm = self._red_alarm(described)
            if alarm is not None:
                alarms.append(alarm)
        return tuple(alarms)

    def history(
        self,
        name: str,
        since: datetime,
    ) -> StateChanges:
        """An alarm's changes of state since a moment.

        DescribeAlarmHistory keeps 30 days, and gives 100 items a page.
        """
        pages = self.clients.cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmName=name,
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            HistoryItemType="StateUpdate",
            StartDate=since,
            ScanBy="TimestampDescending",
            PaginationConfig={"PageSize": 100},
        )
        items: list[AlarmHistoryItemTypeDef] = []
        for page in pages:
            items += page["AlarmHistoryItems"]
        return StateChanges(since, tuple(items))

    def _signals_by_alarm(self, policy: ServicePolicy) -> dict[str, str]:
        """The signals of the service's own alarms, by the names of the alarms."""
        own_signals = [f"{OWN_SIGNAL_PREFIX}{alarm}" for alarm in policy.alarms]
        signals = (*SIGNALS, *own_signals)
        return {self.names.alarm(policy.key, signal): signal for signal in signals}

    def _described(
        self,
        wanted: Sequence[str],
        policy: ServicePolicy,
    ) -> dict[str, Answer]:
        """The alarms that exist, by their names.

        DescribeAlarms hides composite and log alarms unless AlarmTypes asks for them (botocore
        cloudwatch/2010-08-01). Only a user's own alarm may be a log alarm.
        """
        kinds: list[AlarmTypeType] = ["MetricAlarm", "CompositeAlarm"]
        if policy.alarms:
            kinds.append("LogAlarm")

        described: dict[str, Answer] = {}
        for start in range(0, len(wanted), NAMES_A_CALL):
            answer = self.clients.cloudwatch.describe_alarms(
                AlarmNames=wanted[start : start + NAMES_A_CALL],
                AlarmTypes=kinds,
                MaxRecords=NAMES_A_CALL,
            )
            log_alarms = answer.get("LogAlarms", [])
            for alarm in (*answer["MetricAlarms"], *answer["CompositeAlarms"], *log_alarms):
                described[str(alarm["AlarmName"])] = alarm
        return described

    def _red_alarm(self, described: Answer) -> RedAlarm | None:
        name = str(described.get("AlarmName"))
        key = self.names.parse_alarm(name)
        if key is None:
            return None

        alarm = alarm_answers.read_alarm(described, key.signal, {})
        if alarm.onset is None:
            return None
        return RedAlarm(key, name, alarm.onset)
